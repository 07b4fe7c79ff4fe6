//! Who runs next, so that no namespace and no slow server starves the others.
//!
//! - A run that makes no progress (its server hangs, or it waits for a rate limit) doesn't count
//!   against the limit, so others take its place meanwhile.
//! - Namespaces with the fewest runs come first, and within those whoever waits longest.
//! - One namespace never has more runs than the limit, idle ones included.
//! - A namespace without a run doesn't wait for the end of long ones: for it, other namespaces count as
//!   one run each, and only during their [turn](RunPermit::end_turn). So up to twice as many namespaces as
//!   the limit can have runs; for whoever has waited [`PATIENCE`] only runs that have read
//!   [much](RunPermit::set_heavy) count so, and up to eight times as many namespaces can have runs.
//! - The more namespaces wait for their first run, and the longer, the shorter is a
//!   [turn](RunPermit::turn): all of them have had one within [`ROUND`], and who hangs has given way.
//! - Of those, namespaces whose last run was quick have a [head start](HEAD_START) before new ones, and those
//!   before namespaces whose last run took long: however many of them have servers that hang, who is quick
//!   waits for the turns that are under way. It is short, because whoever is quick can ask for a run again
//!   and again.
//! - Large directories run one at a time, because each holds all its entries in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Namespaces whose last run was quick pass new ones that came up to this much earlier, and those namespaces
/// whose last run took long.
const HEAD_START: Duration = Duration::from_secs(3);

/// All namespaces that wait for their first run have a turn within this time.
const ROUND: Duration = Duration::from_secs(2);

/// Whoever has waited for so long gets a permit while more runs make progress than otherwise, as long as
/// those are small.
const PATIENCE: Duration = Duration::from_secs(3);

/// Permits to run. Cheap to clone: all clones share them.
#[derive(Debug, Clone)]
pub struct RunQueue(Arc<Mutex<QueueState>>);

#[derive(Debug)]
struct QueueState {
    limit: usize,
    next: u64,
    waiting: Vec<Waiting>,
    held: Vec<Held>,
    served: HashMap<Arc<str>, Served>,
}

/// What a namespace was given last.
#[derive(Debug)]
struct Served {
    /// When it got a permit.
    at: Instant,
    /// Whether its last run was slow; `None` before one was over.
    slow: Option<bool>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    namespace: Arc<str>,
    large: bool,
    /// Whether runs of it succeeded before this process started.
    has_succeeded: bool,
    since: Instant,
    granted: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    namespace: Arc<str>,
    large: bool,
    idle: bool,
    turn_ended: bool,
    slow: bool,
    heavy: bool,
}

/// A permit to run, or a place in the queue for one. Dropping it gives either up.
#[derive(Debug)]
pub struct RunPermit {
    queue: RunQueue,
    number: u64,
}

impl RunQueue {
    /// So many runs make progress at a time.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(QueueState {
            limit,
            next: 0,
            waiting: Vec::new(),
            held: Vec::new(),
            served: HashMap::new(),
        })))
    }

    /// Waits until a run of an object in `namespace` may start. `large`: its directory is one of those
    /// that run one at a time. `has_succeeded`: an earlier run of the object did; after a restart it is all
    /// that is known of who is quick.
    pub async fn acquire(
        &self,
        namespace: &Arc<str>,
        large: bool,
        has_succeeded: bool,
    ) -> RunPermit {
        let (granted, is_granted) = oneshot::channel();
        let permit = {
            let mut state = self.state();
            let number = state.next;
            state.next += 1;
            state.waiting.push(Waiting {
                number,
                namespace: Arc::clone(namespace),
                large,
                has_succeeded,
                since: Instant::now(),
                granted,
            });
            state.grant();
            RunPermit {
                queue: self.clone(),
                number,
            }
        };
        // The sender stays in the queue until it is used, for only the permit removes it.
        is_granted.await.ok();
        permit
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunPermit {
    /// Says whether the run makes no progress. One that goes on again does so at once, even where
    /// others took its place; then there is one more than the limit for a while.
    pub fn set_idle(&self, idle: bool) {
        let mut state = self.queue.state();
        let held = state
            .held
            .iter_mut()
            .find(|held| held.number == self.number);
        if let Some(held) = held {
            held.idle = idle;
        }
        state.grant();
    }

    /// How long a turn is now, that is `usual` where nobody waits for a first run.
    pub fn turn(&self, usual: Duration) -> Duration {
        let mut state = self.queue.state();
        if state.waiting.is_empty() {
            return usual;
        }
        // Somebody's patience may have ended since the last change.
        state.grant();
        let (waiting, oldest) = state.without_a_run();
        let turn = usual.saturating_sub(oldest);
        if waiting <= state.limit {
            return turn;
        }
        let share = ROUND.saturating_sub(oldest).as_secs_f64() / waiting as f64;
        turn.min(Duration::from_secs_f64(share * state.limit as f64))
    }

    /// The run has read so much that few like it fit into memory.
    pub fn set_heavy(&self) {
        let mut state = self.queue.state();
        let number = self.number;
        for held in &mut state.held {
            held.heavy |= held.number == number;
        }
    }

    /// The run takes longer than quick ones do, which come first the next time.
    pub fn set_slow(&self) {
        let mut state = self.queue.state();
        let number = self.number;
        for held in &mut state.held {
            held.slow |= held.number == number;
        }
    }

    /// The run has been going on for long enough that a namespace without any may start one beside it.
    pub fn end_turn(&self) {
        let mut state = self.queue.state();
        let number = self.number;
        for held in &mut state.held {
            held.turn_ended |= held.number == number;
        }
        state.grant();
    }

    /// The directory turned out to be large. False where another large one runs: then this run has
    /// to end, and to wait for its turn.
    #[must_use]
    pub fn become_large(&self) -> bool {
        let mut state = self.queue.state();
        let number = self.number;
        if state
            .held
            .iter()
            .any(|held| held.large && held.number != number)
        {
            return false;
        }
        for held in &mut state.held {
            held.large |= held.number == number;
        }
        true
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state
            .waiting
            .retain(|waiting| waiting.number != self.number);
        if let Some(at) = state
            .held
            .iter()
            .position(|held| held.number == self.number)
        {
            let held = state.held.swap_remove(at);
            if let Some(served) = state.served.get_mut(&held.namespace) {
                served.slow = Some(held.slow);
            }
        }
        state.grant();
    }
}

impl QueueState {
    fn grant(&mut self) {
        while let Some(at) = self.next_in_turn() {
            let waiting = self.waiting.remove(at);
            let served = self.served.get(&waiting.namespace);
            let served = Served {
                at: Instant::now(),
                slow: served.and_then(|served| served.slow),
            };
            self.served.insert(Arc::clone(&waiting.namespace), served);
            self.held.push(Held {
                number: waiting.number,
                namespace: waiting.namespace,
                large: waiting.large,
                idle: false,
                turn_ended: false,
                slow: false,
                heavy: false,
            });
            // Whoever stopped waiting drops its permit, which takes it out of `held`.
            waiting.granted.send(()).ok();
        }
    }

    /// How many namespaces without a run wait for one that may start, and how long the first of them has.
    fn without_a_run(&self) -> (usize, Duration) {
        let held: HashSet<_> = self.held.iter().map(|held| &held.namespace).collect();
        let a_large_one_runs = self.held.iter().any(|held| held.large);
        let waiting = self.waiting.iter().filter(|waiting| {
            let has_to_wait = waiting.large && a_large_one_runs;
            !has_to_wait && !held.contains(&waiting.namespace)
        });
        let oldest = waiting.clone().map(|waiting| waiting.since.elapsed()).max();
        let namespaces: HashSet<_> = waiting.map(|waiting| &waiting.namespace).collect();
        (namespaces.len(), oldest.unwrap_or_default())
    }

    fn next_in_turn(&self) -> Option<usize> {
        let busy = || self.held.iter().filter(|held| !held.idle);
        let in_turn: HashSet<_> = busy()
            .filter(|held| !held.turn_ended)
            .map(|held| &held.namespace)
            .collect();
        let busy_namespaces: HashSet<_> = busy().map(|held| &held.namespace).collect();
        let has_room = busy().count() < self.limit;
        // Not the number of runs: those that had no progress for a while come back without a turn.
        let has_turn = in_turn.len() < self.limit;
        if !has_room && !has_turn {
            return None;
        }
        let heavy = busy().filter(|held| held.heavy);
        let heavy_namespaces: HashSet<_> = heavy.map(|held| &held.namespace).collect();
        let has_room_for_the_first = |waiting: &Waiting| {
            let few = match waiting.since.elapsed() >= PATIENCE {
                true => {
                    heavy_namespaces.len() < 2 * self.limit
                        && busy_namespaces.len() < 8 * self.limit
                }
                false => busy_namespaces.len() < 2 * self.limit,
            };
            has_turn && few
        };
        let runs_of = |namespace: &str| {
            let held = self.held.iter();
            held.filter(|held| &*held.namespace == namespace).count()
        };
        let a_large_one_runs = self.held.iter().any(|held| held.large);
        let may_run = |waiting: &Waiting| {
            let runs = runs_of(&waiting.namespace);
            runs < self.limit
                && (has_room || (runs == 0 && has_room_for_the_first(waiting)))
                && !(waiting.large && a_large_one_runs)
        };
        self.waiting
            .iter()
            .enumerate()
            .filter(|(_, waiting)| may_run(waiting))
            .min_by_key(|(_, waiting)| {
                let served = self.served.get(&waiting.namespace);
                let behind = match served.and_then(|served| served.slow) {
                    Some(false) => 0,
                    None if waiting.has_succeeded => 0,
                    None => 1,
                    Some(true) => 2,
                };
                let since = served.map_or(waiting.since, |served| waiting.since.max(served.at));
                let since = since + behind * HEAD_START;
                (runs_of(&waiting.namespace), since, waiting.number)
            })
            .map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use tokio::time::advance;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn acquire(queue: &RunQueue, namespace: &str, large: bool) -> BoxFuture<'static, RunPermit> {
        let (queue, namespace) = (queue.clone(), Arc::from(namespace));
        let mut acquiring = async move { queue.acquire(&namespace, large, false).await }.boxed();
        // Takes its place in the queue.
        match (&mut acquiring).now_or_never() {
            Some(permit) => std::future::ready(permit).boxed(),
            None => acquiring,
        }
    }

    fn granted(acquiring: &mut BoxFuture<'static, RunPermit>) -> RunPermit {
        acquiring.now_or_never().expect("a permit at once")
    }

    fn waits(acquiring: &mut BoxFuture<'static, RunPermit>) {
        assert!(acquiring.now_or_never().is_none(), "it has to wait");
    }

    #[test]
    fn runs_that_come_back_after_a_pause_leave_a_turn_to_other_namespaces() {
        let queue = RunQueue::new(2);
        let two = |namespace: &str| [0, 1].map(|_| granted(&mut acquire(&queue, namespace, false)));
        let of_a = two("a");
        of_a.iter().for_each(|run| run.set_idle(true));
        let of_b = two("b");
        of_a.iter().for_each(|run| run.set_idle(false));
        let mut of_c = acquire(&queue, "c", false);
        waits(&mut of_c);
        of_a.iter().chain(&of_b).for_each(RunPermit::end_turn);
        granted(&mut of_c);
    }

    #[test]
    fn no_more_run_than_the_limit_and_the_oldest_comes_next() {
        let queue = RunQueue::new(1);
        let first = granted(&mut acquire(&queue, "a", false));
        let mut second = acquire(&queue, "b", false);
        let mut third = acquire(&queue, "c", false);
        waits(&mut second);
        drop(first);
        waits(&mut third);
        let second = granted(&mut second);
        drop(second);
        granted(&mut third);
    }

    #[test]
    fn a_namespace_gets_no_second_permit_while_others_wait() {
        let queue = RunQueue::new(2);
        let mut first = acquire(&queue, "greedy", false);
        let mut modest_one = acquire(&queue, "x", false);
        let (first, x) = (granted(&mut first), granted(&mut modest_one));
        let mut second = acquire(&queue, "greedy", false);
        let mut modest = acquire(&queue, "y", false);
        drop(x);
        waits(&mut second);
        let _modest = granted(&mut modest);
        drop(first);
        granted(&mut second);
    }

    #[test]
    fn a_run_that_hangs_makes_room_but_one_namespace_does_not_multiply_so() {
        let queue = RunQueue::new(2);
        let hung: Vec<_> = (0..2)
            .map(|_| granted(&mut acquire(&queue, "hung", false)))
            .collect();
        hung.iter().for_each(|permit| permit.set_idle(true));
        let other = || granted(&mut acquire(&queue, "other", false));
        let _others = [other(), other()];
        waits(&mut acquire(&queue, "hung", false));
        // Going on again needs no turn, and counts.
        hung.iter().for_each(|permit| permit.set_idle(false));
        waits(&mut acquire(&queue, "another", false));
    }

    #[test]
    fn for_a_namespace_without_a_run_another_counts_as_one() {
        let queue = RunQueue::new(2);
        let _greedy = [0, 1].map(|_| granted(&mut acquire(&queue, "greedy", false)));
        waits(&mut acquire(&queue, "greedy", false));
        let _modest = granted(&mut acquire(&queue, "modest", false));
        waits(&mut acquire(&queue, "modest", false));
        waits(&mut acquire(&queue, "third", false));
    }

    #[test]
    fn after_its_turn_a_run_goes_on_but_keeps_no_namespace_waiting() {
        let queue = RunQueue::new(2);
        let endless = ["a", "b"].map(|name| granted(&mut acquire(&queue, name, false)));
        let mut other = acquire(&queue, "c", false);
        waits(&mut other);
        endless[0].end_turn();
        let other = granted(&mut other);
        waits(&mut acquire(&queue, "a", false));
        endless[1].end_turn();
        let _another = granted(&mut acquire(&queue, "d", false));
        // Never more than twice the limit.
        other.end_turn();
        let mut too_many = acquire(&queue, "e", false);
        waits(&mut too_many);
        drop(endless);
        granted(&mut too_many);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_quick_passes_new_and_slow_namespaces_but_nobody_for_long() {
        let queue = RunQueue::new(1);
        drop(granted(&mut acquire(&queue, "quick", false)));
        let slow = granted(&mut acquire(&queue, "slow", false));
        slow.end_turn();
        slow.set_slow();
        drop(slow);
        let first = granted(&mut acquire(&queue, "a", false));
        let mut slow = acquire(&queue, "slow", false);
        let mut new = acquire(&queue, "new", false);
        let mut quick = acquire(&queue, "quick", false);
        drop(first);
        let permit = granted(&mut quick);
        let mut again = acquire(&queue, "quick", false);
        drop(permit);
        let permit = granted(&mut again);
        advance(HEAD_START + MOMENT).await;
        let mut again = acquire(&queue, "quick", false);
        drop(permit);
        let permit = granted(&mut new);
        waits(&mut again);
        advance(HEAD_START).await;
        drop(again);
        let mut again = acquire(&queue, "quick", false);
        drop(permit);
        let _slow = granted(&mut slow);
        waits(&mut again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_has_one_place_in_the_queue_however_many_resources_wait_there() {
        let queue = RunQueue::new(1);
        for namespace in ["many", "one"] {
            drop(granted(&mut acquire(&queue, namespace, false)));
        }
        let first = granted(&mut acquire(&queue, "a", false));
        let mut many = [0, 1].map(|_| acquire(&queue, "many", false));
        advance(MOMENT).await;
        let mut one = acquire(&queue, "one", false);
        advance(MOMENT).await;
        drop(first);
        let permit = granted(&mut many[0]);
        drop(permit);
        waits(&mut many[1]);
        let permit = granted(&mut one);
        drop(permit);
        granted(&mut many[1]);
    }

    #[test]
    fn large_directories_run_one_at_a_time_and_small_ones_pass_them() {
        let queue = RunQueue::new(4);
        let large = granted(&mut acquire(&queue, "a", true));
        let mut second = acquire(&queue, "b", true);
        waits(&mut second);
        let small = granted(&mut acquire(&queue, "c", false));
        assert!(!small.become_large(), "another large one runs");
        large.set_idle(true);
        waits(&mut second);
        drop(large);
        let second = granted(&mut second);
        drop(second);
        assert!(small.become_large());
        waits(&mut acquire(&queue, "d", true));
    }

    #[test]
    fn who_stops_waiting_takes_nobodys_place() {
        let queue = RunQueue::new(1);
        let first = granted(&mut acquire(&queue, "a", false));
        drop(acquire(&queue, "b", false));
        let mut third = acquire(&queue, "c", false);
        drop(first);
        granted(&mut third);
    }
}
