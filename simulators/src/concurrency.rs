//! How many requests are under way at once, and were at most.

use std::sync::Arc;

use parking_lot::Mutex;

/// The count. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concurrency(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    now: u32,
    most: u32,
}

impl Concurrency {
    /// One more is under way until what this gives is dropped: it is answered, or its client is
    /// gone.
    pub fn enter(&self) -> InFlight {
        let mut count = self.0.lock();
        count.now += 1;
        count.most = count.most.max(count.now);
        InFlight(self.clone())
    }

    /// The requests under way now.
    pub fn now(&self) -> u32 {
        self.0.lock().now
    }

    /// The most that were since the start, or since [`Self::forget`].
    pub fn most(&self) -> u32 {
        self.0.lock().most
    }

    /// What was before this moment doesn't matter any more.
    pub fn forget(&self) {
        let mut count = self.0.lock();
        count.most = count.now;
    }
}

/// Counts one request as long as it is kept.
#[must_use]
pub(crate) struct InFlight(Concurrency);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.lock().now -= 1;
    }
}
