//! Hints between reads: something in the directory may have changed.
//!
//! A hint only makes the next read come earlier. It says nothing about who is there: whoever isn't in a
//! hint isn't absent, and a lost hint costs time, because the next scheduled read sees the change.

use std::time::Duration;

use jiff::Timestamp;

use crate::SourceError;
use crate::directory::{ExternalId, User};

/// Who is told what a watch notices.
pub trait WatchObserver: Send + Sync {
    /// The watch is in place: changes from now on are noticed.
    fn watching(&self, how: WatchMethod);

    /// Something may have changed.
    fn changed(&self, hint: Hint);
}

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMethod {
    /// The server sends them.
    Stream,
    /// The server is asked for them at this interval.
    Poll(Duration),
}

/// That something may have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint {
    /// When it changed, by the directory's own clock; `None` where the directory doesn't say.
    pub changed: Option<Timestamp>,
    /// Who seems to have left by it, by the id without a prefix, where nothing else seems to have changed. It
    /// is to be looked at ([`Source::check_leaver`](crate::Source::check_leaver)), and says nothing by itself.
    pub leaver: Option<ExternalId>,
}

impl Hint {
    /// That something may have changed at this time.
    pub fn of(changed: Option<Timestamp>) -> Self {
        Self {
            changed,
            leaver: None,
        }
    }
}

/// What the directory says of one person who seems to have left.
#[derive(Debug)]
pub enum LeaverCheck {
    /// The entry, which says that the account is disabled or deleted. No other entry has its id or address.
    Left(Box<User>),
    /// Nothing for certain, and why: a whole read has to tell.
    Uncertain(String),
}

/// Why a watch has ended.
#[derive(Debug)]
pub enum WatchEnd {
    /// The directory doesn't tell of changes, or not to this account. What would change that.
    Unsupported(String),
    /// The watch was lost, or couldn't be begun.
    Lost(SourceError),
}
