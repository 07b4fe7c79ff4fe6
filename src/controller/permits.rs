//! Who runs next, so that no namespace and no slow server starves the others.
//!
//! - A run that makes no progress (its server hangs, or it waits for a rate limit) doesn't count
//!   against the limit, so others take its place meanwhile.
//! - Namespaces with the fewest runs come first, and within those whoever waits longest.
//! - One namespace never has more runs than the limit, idle ones included.
//! - Large directories run one at a time, because each holds all its entries in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Permits to run. Cheap to clone: all clones share them.
#[derive(Debug, Clone)]
pub struct Permits(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
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
pub struct Permit {
    permits: Permits,
    number: u64,
}

impl Permits {
    /// So many runs make progress at a time.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            limit,
            next: 0,
            waiting: Vec::new(),
            held: Vec::new(),
        })))
    }

    /// Waits for a permit for an object of `namespace`. `large` tells that its directory is one of
    /// those that run one at a time.
    pub async fn acquire(&self, namespace: &Arc<str>, large: bool) -> Permit {
        let (granted, is_granted) = oneshot::channel();
        let permit = {
            let mut queue = self.queue();
            let number = queue.next;
            queue.next += 1;
            queue.waiting.push(Waiting {
                number,
                namespace: Arc::clone(namespace),
                large,
                granted,
            });
            queue.grant();
            Permit {
                permits: self.clone(),
                number,
            }
        };
        // The sender stays in the queue until it is used, for only the permit removes it.
        is_granted.await.ok();
        permit
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Says whether the run makes no progress. One that goes on again does so at once, even where
    /// others took its place; then there is one more than the limit for a while.
    pub fn set_idle(&self, idle: bool) {
        let mut queue = self.permits.queue();
        let held = queue
            .held
            .iter_mut()
            .find(|held| held.number == self.number);
        if let Some(held) = held {
            held.idle = idle;
        }
        queue.grant();
    }

    /// The directory turned out to be large. False where another large one runs: then this run has
    /// to end, and to wait for its turn.
    #[must_use]
    pub fn become_large(&self) -> bool {
        let mut queue = self.permits.queue();
        let number = self.number;
        if queue
            .held
            .iter()
            .any(|held| held.large && held.number != number)
        {
            return false;
        }
        for held in &mut queue.held {
            held.large |= held.number == number;
        }
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut queue = self.permits.queue();
        queue
            .waiting
            .retain(|waiting| waiting.number != self.number);
        queue.held.retain(|held| held.number != self.number);
        queue.grant();
    }
}

impl Queue {
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

    fn acquire(permits: &Permits, namespace: &str, large: bool) -> BoxFuture<'static, Permit> {
        let (permits, namespace) = (permits.clone(), Arc::from(namespace));
        let mut acquiring = async move { permits.acquire(&namespace, large).await }.boxed();
        // Takes its place in the queue.
        match (&mut acquiring).now_or_never() {
            Some(permit) => std::future::ready(permit).boxed(),
            None => acquiring,
        }
    }

    fn granted(acquiring: &mut BoxFuture<'static, Permit>) -> Permit {
        acquiring.now_or_never().expect("a permit at once")
    }

    fn waits(acquiring: &mut BoxFuture<'static, Permit>) {
        assert!(acquiring.now_or_never().is_none(), "it has to wait");
    }

    #[test]
    fn no_more_run_than_the_limit_and_the_oldest_comes_next() {
        let permits = Permits::new(1);
        let first = granted(&mut acquire(&permits, "a", false));
        let mut second = acquire(&permits, "b", false);
        let mut third = acquire(&permits, "c", false);
        waits(&mut second);
        drop(first);
        waits(&mut third);
        let second = granted(&mut second);
        drop(second);
        granted(&mut third);
    }

    #[test]
    fn a_namespace_gets_no_second_permit_while_others_wait() {
        let permits = Permits::new(2);
        let mut first = acquire(&permits, "greedy", false);
        let mut modest_one = acquire(&permits, "x", false);
        let (first, x) = (granted(&mut first), granted(&mut modest_one));
        let mut second = acquire(&permits, "greedy", false);
        let mut modest = acquire(&permits, "y", false);
        drop(x);
        waits(&mut second);
        let _modest = granted(&mut modest);
        drop(first);
        granted(&mut second);
    }

    #[test]
    fn a_run_that_hangs_makes_room_but_one_namespace_does_not_multiply_so() {
        let permits = Permits::new(2);
        let hung: Vec<_> = (0..2)
            .map(|_| granted(&mut acquire(&permits, "hung", false)))
            .collect();
        let mut other = acquire(&permits, "other", false);
        waits(&mut other);
        hung.iter().for_each(|permit| permit.set_idle(true));
        let _other = granted(&mut other);
        waits(&mut acquire(&permits, "hung", false));
        // Going on again needs no turn, and counts.
        hung.iter().for_each(|permit| permit.set_idle(false));
        waits(&mut acquire(&permits, "another", false));
    }

    #[test]
    fn large_directories_run_one_at_a_time_and_small_ones_pass_them() {
        let permits = Permits::new(4);
        let large = granted(&mut acquire(&permits, "a", true));
        let mut second = acquire(&permits, "b", true);
        waits(&mut second);
        let small = granted(&mut acquire(&permits, "c", false));
        assert!(!small.become_large(), "another large one runs");
        large.set_idle(true);
        waits(&mut second);
        drop(large);
        let second = granted(&mut second);
        drop(second);
        assert!(small.become_large());
        waits(&mut acquire(&permits, "d", true));
    }

    #[test]
    fn who_stops_waiting_takes_nobodys_place() {
        let permits = Permits::new(1);
        let first = granted(&mut acquire(&permits, "a", false));
        drop(acquire(&permits, "b", false));
        let mut third = acquire(&permits, "c", false);
        drop(first);
        granted(&mut third);
    }
}
