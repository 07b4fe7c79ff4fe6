//! What became of the changes by `access.roles` and `access.collections`, for figures.

use crate::sync::guard::GuardedPlan;
use crate::sync::plan::{Change, GroupAction, Kind};
use crate::sync::report::{Outcomes, Sent};

/// What became of a change of somebody's role, or of a group's access to collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessOutcome {
    /// `SetRole` or `SetCollections`.
    pub kind: Kind,
    /// What became of it.
    pub result: AccessResult,
}

/// What became of one of these changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessResult {
    /// It was made, and gave rights or access; it may have taken others.
    Given,
    /// It was made, and only took some away.
    Taken,
    /// The server refused it, or it couldn't be seen afterwards.
    Refused,
}

impl AccessResult {
    /// All results, for one series each.
    pub const ALL: [Self; 3] = [Self::Given, Self::Taken, Self::Refused];
}

/// Of the changes of a plan that were sent and answered.
pub(super) fn ended(
    guarded: &GuardedPlan,
    outcomes: &Outcomes,
) -> impl Iterator<Item = AccessOutcome> {
    let changes = guarded.approved.changes.iter().enumerate();
    changes.filter_map(|(at, change)| {
        let gives = gives(change)?;
        let result = match outcomes.get(at)? {
            Sent::Done { .. } if gives => AccessResult::Given,
            Sent::Done { .. } => AccessResult::Taken,
            Sent::Refused { .. } | Sent::NotApplied { .. } => AccessResult::Refused,
            Sent::Not | Sent::Waiting { .. } => return None,
        };
        let kind = change.kind();
        Some(AccessOutcome { kind, result })
    })
}

/// Whether it gives somebody rights or access; `None` of other changes.
fn gives(change: &Change) -> Option<bool> {
    match (change.role(), change.group()) {
        (Some(role), _) => Some(role.gives()),
        (None, Some(GroupAction::SetCollections(access))) => Some(access.gives()),
        _ => None,
    }
}
