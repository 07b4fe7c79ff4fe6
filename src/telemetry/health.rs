//! Whether the process is ready for work, and whether it still moves.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

/// What `/readyz` and `/healthz` answer. Cheap to clone: all clones are one.
///
/// Ready is what the process says of itself: it reached the API server and watches. Alive is what
/// shows by itself: each loop that was given a [`Heartbeat`] still turns. A slow directory, an
/// unreachable API server, a sync of an hour are no reason to be restarted and don't stop
/// a heartbeat; a deadlock does.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    ready: AtomicBool,
    heartbeats: Mutex<BTreeMap<&'static str, LastBeat>>,
}

#[derive(Debug, Clone, Copy)]
struct LastBeat {
    last: Instant,
    stale_after: Duration,
}

impl Health {
    /// Not ready yet, with no loop to look after.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the process is ready for work.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether the process is ready for work.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed)
    }

    /// Looks after a loop from now on: without a beat for `stale_after` the process counts as hung.
    pub fn look_after(&self, name: &'static str, stale_after: Duration) -> Heartbeat {
        let beat = LastBeat {
            last: Instant::now(),
            stale_after,
        };
        self.heartbeats().insert(name, beat);
        Heartbeat {
            health: self.clone(),
            name,
            every: stale_after / 6,
        }
    }

    /// The loops that hang, with how long ago they last moved. Empty: alive.
    pub fn hung(&self) -> Vec<(&'static str, Duration)> {
        self.heartbeats()
            .iter()
            .map(|(name, beat)| (*name, beat.last.elapsed(), beat.stale_after))
            .filter(|(_, silence, stale_after)| silence > stale_after)
            .map(|(name, silence, _)| (name, silence))
            .collect()
    }

    fn heartbeats(&self) -> MutexGuard<'_, BTreeMap<&'static str, LastBeat>> {
        self.0
            .heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A loop's sign of life; when it is dropped, the loop is looked after no more.
#[derive(Debug)]
pub struct Heartbeat {
    health: Health,
    name: &'static str,
    every: Duration,
}

impl Heartbeat {
    /// Records that the loop still runs; liveness fails when this stays away too long.
    pub fn beat(&self) {
        if let Some(beat) = self.health.heartbeats().get_mut(self.name) {
            beat.last = Instant::now();
        }
    }

    /// Runs `future` and beats as long as the task it runs in is free to: waiting keeps the
    /// heartbeat going, a thread that is blocked inside `future` stops it.
    pub async fn during<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                output = &mut future => return output,
                _ = ticks.tick() => self.beat(),
            }
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.health.heartbeats().remove(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_waits_for_hours_is_alive() {
        let health = Health::new();
        let heartbeat = health.look_after("controller", MINUTE);

        heartbeat
            .during(async {
                tokio::time::sleep(MINUTE * 180).await;
                assert_eq!(health.hung(), []);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_no_longer_turns_is_named_with_its_silence() {
        let health = Health::new();
        let stuck = health.look_after("controller", MINUTE);
        let _other = health.look_after("leader", MINUTE * 10);

        tokio::time::advance(MINUTE * 2).await;

        assert_eq!(health.hung(), [("controller", MINUTE * 2)]);
        stuck.beat();
        assert_eq!(health.hung(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_ended_is_not_missed() {
        let health = Health::new();
        drop(health.look_after("controller", MINUTE));

        tokio::time::advance(MINUTE * 2).await;

        assert_eq!(health.hung(), []);
    }
}
