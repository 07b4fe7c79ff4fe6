//! Proof of how a list came about that wasn't read whole.

use crate::ExternalId;
use crate::hash::FastSet;

/// A value that was put together from an earlier complete read and from what changed since, as the other
/// side told it.
///
/// It isn't [`Complete`](crate::complete::Complete): a change that wasn't told is missing in it, and nobody
/// notices. So it may give and never take: whatever would take something from somebody on account of it is
/// planned anew from a complete read. What it gives, it gives only to entries that were themselves sent in this
/// read.
#[derive(Debug, Clone)]
pub struct Incremental<T> {
    value: T,
    read_now: ReadNow,
}

/// The entries that were themselves sent in a read of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadNow {
    /// People.
    pub users: FastSet<ExternalId>,
    /// Groups.
    pub groups: FastSet<ExternalId>,
}

impl<T> Incremental<T> {
    /// `value` as it is by an earlier complete read and the changes since; `read_now` was sent among these.
    pub fn new(value: T, read_now: ReadNow) -> Self {
        Self { value, read_now }
    }

    /// The value and what of it was sent in this read.
    pub fn into_parts(self) -> (T, ReadNow) {
        (self.value, self.read_now)
    }

    /// The same of what `change` makes of the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Incremental<U> {
        Incremental {
            value: change(self.value),
            read_now: self.read_now,
        }
    }
}
