//! How long somebody kept access who should have none: from the change in the directory to the answer of the
//! organization's server.

use std::time::Duration;

use jiff::Timestamp;

use crate::directory::Evidence;
use crate::sync::guard::GuardedPlan;
use crate::sync::plan::Kind;
use crate::sync::report::{Outcomes, Sent};

/// How long one person kept access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// What it is counted from.
    pub since: ExposedSince,
    /// Zero where the directory's clock is ahead of ours.
    pub lasted: Duration,
}

/// From when it is counted how long somebody kept access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExposedSince {
    /// From the last change of the entry that says that the account is disabled or deleted, by the
    /// directory's own clock.
    Entry,
    /// From when the change was first seen, by a signal or by the read that found it: the directory doesn't
    /// say when it was made.
    Seen,
}

impl ExposedSince {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Entry, Self::Seen];
}

/// The exposures that ended by the changes of a plan that were made; `seen` is when its run first saw that
/// something had changed.
pub(super) fn ended(
    guarded: &GuardedPlan,
    outcomes: &Outcomes,
    seen: Timestamp,
) -> impl Iterator<Item = Exposure> {
    let plan = &*guarded.approved;
    let changes = plan.changes.iter().enumerate();
    changes.filter_map(move |(at, change)| {
        // Who was revoked before had no access any more.
        let loses = matches!(change.kind(), Kind::Revoke | Kind::Remove)
            && !plan.was_revoked(change.external_id());
        let Some(Sent::Done { time, .. }) = outcomes.get(at).filter(|_| loses) else {
            return None;
        };
        let changed = match change.evidence()? {
            Evidence::Disabled(account) => account.changed,
            Evidence::Absent | Evidence::OutOfScope(_) => None,
            Evidence::Undone(_) | Evidence::NotAccepted { .. } => return None,
        };
        let since = match changed {
            Some(_) => ExposedSince::Entry,
            None => ExposedSince::Seen,
        };
        let lasted = time.duration_since(changed.unwrap_or(seen));
        Some(Exposure {
            since,
            lasted: Duration::try_from(lasted).unwrap_or_default(),
        })
    })
}
