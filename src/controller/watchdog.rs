//! Watches a run's progress: gives its permit to others while it makes none, and ends it when it
//! makes none for too long.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::run_queue::RunPermit;
use super::timing::Timing;
use crate::api::DirectorySyncStatus;
use crate::sync::progress::{Phase, Progress};

/// From so many people and groups on, a directory runs only while no other such does. Three below
/// this size and one of 100,000 fit into the memory limit of the chart.
pub const LARGE: u64 = 20_000;

/// Of runs that have read so many people and groups, no more make progress at a time than twice the
/// operator's `concurrency`, however long others wait.
const HEAVY: u64 = 2_000;

/// Watches the progress of one run.
#[derive(Debug, Default)]
pub struct Watchdog {
    expired: OnceLock<Expired>,
    has_to_wait: AtomicBool,
}

/// Why a run was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// What it was doing.
    pub phase: Phase,
    /// The limit that it exceeded.
    pub limit: Limit,
}

/// A limit of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// For all of it.
    Run(Duration),
    /// The run made no progress for this long.
    NoProgress(Duration),
    /// The directory holds more people and groups than this.
    Entries(u64),
}

impl Watchdog {
    /// Watches until the run has to end, which `stop` then tells it.
    pub async fn watch(
        &self,
        progress: &Progress,
        permit: &RunPermit,
        timing: &Timing,
        stop: &CancellationToken,
    ) {
        let started = Instant::now();
        let mut moved = started;
        let mut seen = snapshot(progress);
        let mut large = false;
        loop {
            sleep(timing.idle_after / 50).await;
            let turn = permit.turn(timing.idle_after);
            let now = snapshot(progress);
            let waits = progress.read.waits_until().is_some();
            if now != seen || waits {
                moved = Instant::now();
            }
            permit.set_idle(waits || moved.elapsed() >= turn);
            if started.elapsed() >= turn {
                permit.end_turn();
            }
            if started.elapsed() >= timing.idle_after {
                permit.set_slow();
            }
            if now.1 >= HEAVY {
                permit.set_heavy();
            }
            seen = now;
            if !large && seen.1 >= LARGE {
                large = permit.become_large();
                if !large {
                    tracing::info!("a large directory; it waits until no other large one runs");
                    self.has_to_wait.store(true, Ordering::Relaxed);
                    return stop.cancel();
                }
            }
            let limit = if seen.1 > timing.max_entries {
                Limit::Entries(timing.max_entries)
            } else if moved.elapsed() >= timing.no_progress {
                Limit::NoProgress(timing.no_progress)
            } else if started.elapsed() >= timing.run {
                Limit::Run(timing.run)
            } else {
                continue;
            };
            let expired = Expired {
                phase: seen.0,
                limit,
            };
            self.expired.set(expired).ok();
            return stop.cancel();
        }
    }

    /// Why the run was ended, if the watchdog did it.
    pub fn expired(&self) -> Option<Expired> {
        self.expired.get().copied()
    }

    /// Whether the run was ended because it has to wait for another large one.
    pub fn has_to_wait(&self) -> bool {
        self.has_to_wait.load(Ordering::Relaxed)
    }
}

/// Whether the last complete read found a large directory.
pub fn is_large(status: &DirectorySyncStatus) -> bool {
    status.source.as_ref().is_some_and(|source| {
        let entries = source.users.unwrap_or_default() + source.groups.unwrap_or_default();
        u64::try_from(entries).is_ok_and(|entries| entries >= LARGE)
    })
}

/// The phase, the entries read, and the steps done: whatever changes here is progress.
fn snapshot(progress: &Progress) -> (Phase, u64, u64) {
    let (phase, done, _) = progress.now();
    let read = &progress.read;
    let read = read.users.load(Ordering::Relaxed) + read.groups.load(Ordering::Relaxed);
    (phase, read, done)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt as _;

    use super::super::run_queue::RunQueue;
    use super::*;

    fn timing() -> Timing {
        Timing {
            idle_after: Duration::from_secs(5),
            no_progress: Duration::from_secs(600),
            run: Duration::from_secs(3_600),
            ..Timing::default()
        }
    }

    async fn permit(queue: &RunQueue, namespace: &str) -> RunPermit {
        queue.acquire(&Arc::from(namespace), false, false).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_hangs_gives_way_within_seconds_and_ends_within_minutes() {
        let queue = RunQueue::new(1);
        let hung = permit(&queue, "hung").await;
        let (watchdog, progress) = (Watchdog::default(), Progress::default());
        let stop = CancellationToken::new();
        let started = Instant::now();
        let timing = timing();
        let watching = watchdog.watch(&progress, &hung, &timing, &stop);
        let other = async {
            let _permit = permit(&queue, "other").await;
            started.elapsed()
        };
        let ((), waited) = tokio::join!(watching, other);
        assert!(waited <= Duration::from_secs(7), "{waited:?}");
        assert!(stop.is_cancelled());
        let expired = watchdog.expired().unwrap();
        assert_eq!(expired.phase, Phase::Read);
        assert_eq!(expired.limit, Limit::NoProgress(timing.no_progress));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_goes_on_gives_way_to_another_namespace_only_and_ends_at_the_limit_of_a_run()
    {
        let queue = RunQueue::new(1);
        let busy = permit(&queue, "busy").await;
        let (watchdog, progress) = (Watchdog::default(), Progress::default());
        let stop = CancellationToken::new();
        let timing = timing();
        let mut same = Box::pin(permit(&queue, "busy"));
        let mut other = Box::pin(permit(&queue, "other"));
        let started = Instant::now();
        let moving = async {
            let mut others = None;
            loop {
                sleep(Duration::from_secs(2)).await;
                progress.read.add_users(1);
                assert!((&mut same).now_or_never().is_none());
                if others.is_none() {
                    others = (&mut other).now_or_never();
                }
                // Both have waited since then: each second counts twice.
                let turn_ended = started.elapsed() > timing.idle_after / 2;
                assert_eq!(others.is_some(), turn_ended, "{:?}", started.elapsed());
            }
        };
        tokio::select! {
            () = watchdog.watch(&progress, &busy, &timing, &stop) => {}
            () = moving => {}
        }
        let expired = watchdog.expired().unwrap();
        assert_eq!(expired.limit, Limit::Run(timing.run));
    }

    /// What hostile resources do, run after run.
    #[derive(Debug, Clone, Copy)]
    struct Hostile {
        namespaces: usize,
        /// In each of them.
        resources: usize,
        /// A server sends so many entries at once,
        first: usize,
        /// and so many every 50 ms.
        then: usize,
        /// Until then; `None`: without end.
        ends: Option<Duration>,
    }

    /// So many whose servers never send anything.
    fn hang(namespaces: usize) -> Hostile {
        Hostile {
            namespaces,
            resources: 1,
            first: 0,
            then: 0,
            ends: None,
        }
    }

    async fn run_again_and_again(queue: RunQueue, namespace: Arc<str>, hostile: Hostile) {
        let (timing, mut large) = (timing(), false);
        loop {
            let permit = queue.acquire(&namespace, large, false).await;
            let (watchdog, progress) = (Watchdog::default(), Progress::default());
            let stop = CancellationToken::new();
            let sending = async {
                progress.read.add_users(hostile.first);
                let started = Instant::now();
                while hostile.ends.is_none_or(|ends| started.elapsed() < ends) {
                    sleep(Duration::from_millis(50)).await;
                    progress.read.add_users(hostile.then);
                }
            };
            tokio::select! {
                () = watchdog.watch(&progress, &permit, &timing, &stop) => {}
                () = sending => {}
            }
            large |= watchdog.has_to_wait();
        }
    }

    /// How long a namespace waits that comes `later` than all of these.
    async fn wait_behind(hostile: Hostile, later: Duration, has_succeeded: bool) -> Duration {
        let queue = RunQueue::new(4);
        let mut others = tokio::task::JoinSet::new();
        for number in 0..hostile.namespaces {
            let namespace: Arc<str> = format!("hostile-{number}").into();
            for _ in 0..hostile.resources {
                others.spawn(run_again_and_again(
                    queue.clone(),
                    namespace.clone(),
                    hostile,
                ));
            }
        }
        sleep(later).await;
        let started = Instant::now();
        let namespace = Arc::from("healthy");
        let _permit = queue.acquire(&namespace, false, has_succeeded).await;
        started.elapsed()
    }

    const AT_ONCE: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn a_new_namespace_waits_less_than_ten_seconds_behind_many_that_hang() {
        for namespaces in [4, 12, 100] {
            let waited = wait_behind(hang(namespaces), AT_ONCE, false).await;
            assert!(waited < Duration::from_secs(9), "{namespaces}: {waited:?}");
        }
    }

    /// Ten times as many as may run at a time, and what each does.
    #[tokio::test(start_paused = true)]
    async fn a_new_namespace_waits_less_than_ten_seconds_behind_forty_whatever_they_do() {
        let ends = |millis| Some(Duration::from_millis(millis));
        let later = Duration::from_secs(12);
        for (resources, first, then, ends, later) in [
            // Drip, at once or after thousands of entries.
            (1, 0, 1, None, AT_ONCE),
            (1, 2_000, 1, None, later),
            // Send as fast as a good server, until the directory is a large one.
            (1, 0, 100, None, AT_ONCE),
            // Fail at once, or before they are slow, and are asked for again.
            (1, 0, 0, ends(300), later),
            (4, 0, 0, ends(300), later),
            (4, 100, 1, ends(4_900), AT_ONCE),
            // The same when they are known to be slow.
            (4, 100, 1, ends(6_000), later),
        ] {
            let hostile = Hostile {
                namespaces: 40,
                resources,
                first,
                then,
                ends,
            };
            let waited = wait_behind(hostile, later, false).await;
            assert!(
                waited < Duration::from_secs(9),
                "{hostile:?}, {later:?}: {waited:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_restart_who_succeeded_before_passes_those_who_never_did() {
        let waited = wait_behind(hang(100), AT_ONCE, true).await;
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_without_end_is_given_up() {
        let queue = RunQueue::new(1);
        let endless = permit(&queue, "endless").await;
        let (watchdog, progress) = (Watchdog::default(), Progress::default());
        let stop = CancellationToken::new();
        let timing = Timing {
            max_entries: 2_000,
            ..timing()
        };
        let paging = async {
            loop {
                sleep(Duration::from_millis(10)).await;
                progress.read.add_users(1);
            }
        };
        let started = Instant::now();
        tokio::select! {
            () = watchdog.watch(&progress, &endless, &timing, &stop) => {}
            () = paging => {}
        }
        assert!(started.elapsed() < Duration::from_secs(25));
        assert_eq!(watchdog.expired().unwrap().limit, Limit::Entries(2_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_turns_out_to_be_large_ends_where_another_large_one_runs() {
        let queue = RunQueue::new(2);
        let _large = queue.acquire(&Arc::from("a"), true, false).await;
        let growing = permit(&queue, "b").await;
        let (watchdog, progress) = (Watchdog::default(), Progress::default());
        let stop = CancellationToken::new();
        progress.read.add_users(usize::try_from(LARGE).unwrap());
        watchdog.watch(&progress, &growing, &timing(), &stop).await;
        assert!(watchdog.has_to_wait() && stop.is_cancelled());
        assert_eq!(watchdog.expired(), None);
    }
}
