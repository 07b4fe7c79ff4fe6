//! How far a read of a directory has come, for whoever shows it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

/// How far a read has come; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct ReadProgress {
    /// People read so far.
    pub users: AtomicU64,
    /// Groups read so far.
    pub groups: AtomicU64,
    /// Seconds since 1970; whatever is past tells of no wait.
    waits_until: AtomicI64,
}

impl ReadProgress {
    /// Adds to the number of people read.
    pub fn add_users(&self, more: usize) {
        self.users.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Everything is read once more: what was counted so far isn't.
    pub fn begin_again(&self) {
        self.users.store(0, Ordering::Relaxed);
        self.groups.store(0, Ordering::Relaxed);
    }

    /// Says that the read waits until `then`, because the directory's limit on requests (or our
    /// share of it) is spent.
    pub fn wait_until(&self, then: Timestamp) {
        self.waits_until.store(then.as_second(), Ordering::Relaxed);
    }

    /// Until when the read waits for the directory's limit on requests; `None` where it goes on.
    pub fn waits_until(&self) -> Option<Timestamp> {
        let then = Timestamp::from_second(self.waits_until.load(Ordering::Relaxed)).ok()?;
        (then > Timestamp::now()).then_some(then)
    }

    /// Adds to the number of groups read.
    pub fn add_groups(&self, more: usize) {
        self.groups.fetch_add(more as u64, Ordering::Relaxed);
    }
}
