//! Who runs next, so that no namespace and no slow server starves the others.
//!
//! - A run that makes no progress (its server hangs, or it waits for a rate limit) doesn't count
//!   against the limit, so others take its place meanwhile.
//! - Namespaces with the fewest runs come first, and within those whoever waits longest.
//! - One namespace never has more runs than the limit, idle ones included.
//! - Large directories run one at a time, because each holds all its entries in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// RunQueue to run. Cheap to clone: all clones share them.
#[derive(Debug, Clone)]
pub struct RunQueue(Arc<Mutex<QueueState>>);

#[derive(Debug)]
struct QueueState {
    limit: usize,
    next: u64,
    waiting: Vec<Waiting>,
    held: Vec<Held>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    namespace: Arc<str>,
    large: bool,
    granted: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    namespace: Arc<str>,
    large: bool,
    idle: bool,
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
        })))
    }

    /// Waits until a run of an object in `namespace` may start. `large`: its directory is one of those
    /// that run one at a time.
    pub async fn acquire(&self, namespace: &Arc<str>, large: bool) -> RunPermit {
        let (granted, is_granted) = oneshot::channel();
        let permit = {
            let mut state = self.state();
            let number = state.next;
            state.next += 1;
            state.waiting.push(Waiting {
                number,
                namespace: Arc::clone(namespace),
                large,
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
        state.held.retain(|held| held.number != self.number);
        state.grant();
    }
}

impl QueueState {
    fn grant(&mut self) {
        while let Some(at) = self.next_in_turn() {
            let waiting = self.waiting.remove(at);
            self.held.push(Held {
                number: waiting.number,
                namespace: waiting.namespace,
                large: waiting.large,
                idle: false,
            });
            // Whoever stopped waiting drops its permit, which takes it out of `held`.
            waiting.granted.send(()).ok();
        }
    }

    fn next_in_turn(&self) -> Option<usize> {
        if self.held.iter().filter(|held| !held.idle).count() >= self.limit {
            return None;
        }
        let runs_of = |namespace: &str| {
            let held = self.held.iter();
            held.filter(|held| &*held.namespace == namespace).count()
        };
        let a_large_one_runs = self.held.iter().any(|held| held.large);
        let may_run = |waiting: &Waiting| {
            runs_of(&waiting.namespace) < self.limit && !(waiting.large && a_large_one_runs)
        };
        self.waiting
            .iter()
            .enumerate()
            .filter(|(_, waiting)| may_run(waiting))
            .min_by_key(|(_, waiting)| (runs_of(&waiting.namespace), waiting.number))
            .map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    use super::*;

    fn acquire(queue: &RunQueue, namespace: &str, large: bool) -> BoxFuture<'static, RunPermit> {
        let (queue, namespace) = (queue.clone(), Arc::from(namespace));
        let mut acquiring = async move { queue.acquire(&namespace, large).await }.boxed();
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
        let mut other = acquire(&queue, "other", false);
        waits(&mut other);
        hung.iter().for_each(|permit| permit.set_idle(true));
        let _other = granted(&mut other);
        waits(&mut acquire(&queue, "hung", false));
        // Going on again needs no turn, and counts.
        hung.iter().for_each(|permit| permit.set_idle(false));
        waits(&mut acquire(&queue, "another", false));
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
