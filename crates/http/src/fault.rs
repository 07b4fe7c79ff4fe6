//! Who can fix an error, and when to try again: the same question for both sides of a sync.

use std::time::Duration;

/// Who can fix an error, and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Credentials, addresses, filters, certificates: the user's to fix, here or on the other
    /// side. Tried again when the spec or a Secret changes, and rarely without.
    Configuration,
    /// Passes by itself; tried again with back-off, not before this delay where one is given.
    Transient {
        /// The other side's own word on when to come back.
        retry_after: Option<Duration>,
    },
    /// The read ended early: a limit, a referral, a cut connection. Tried again with back-off.
    Incomplete,
}

/// One step of a check.
#[derive(Debug, Clone)]
pub struct Step {
    /// The step's name in the output of a check.
    pub name: String,
    /// What was seen, or what failed and what to do.
    pub result: Result<String, String>,
}
