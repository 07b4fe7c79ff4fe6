//! Whose a role of a member is, or a group's access to a collection, as far as runs can tell.
//!
//! Only what a run certainly gave is ever taken back. A run that is killed leaves open what of its plan it made,
//! and until the next one reads the organization anybody may have given the same by hand: what is there then is
//! nobody's for certain. It stays, and is told once no rule gives it any more.

use serde::{Deserialize, Serialize};

use crate::sync::memberships::FailedChanges;
use crate::sync::plan::Change;

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Origin {
    /// Somebody else's, or nobody has it any more.
    Elsewhere,
    /// A run gave it: the server said so.
    Run,
    /// A run is about to give it, and isn't known to have come that far.
    Giving,
    /// A run gave it, and one is about to take it back, and isn't known to have come that far.
    Taking,
    /// It was there after a run that was about to give it or take it back, and whose end isn't known.
    Unclear,
    /// An undo is about to give it back, and isn't known to have come that far.
    GivingBack,
    /// An undo gave it back: a person asked for that, and no run takes it away again.
    GivenBack,
}

impl Origin {
    /// Whether a run may take it back.
    pub fn is_run(self) -> bool {
        self == Self::Run
    }

    /// Whether a run may have given it, or somebody by hand, if it is there.
    pub fn is_unclear(self) -> bool {
        matches!(self, Self::Giving | Self::Taking | Self::Unclear)
    }

    /// Whether an undo gave it back, if it is there.
    pub fn is_given_back(self) -> bool {
        matches!(self, Self::GivingBack | Self::GivenBack)
    }

    /// Once the organization was read, and it was there or wasn't.
    pub fn seen(self, is_there: bool) -> Self {
        match self {
            _ if !is_there => Self::Elsewhere,
            Self::Giving | Self::Taking => Self::Unclear,
            Self::GivingBack => Self::GivenBack,
            known => known,
        }
    }

    /// As a run is about to change it into something else.
    pub fn taking(self) -> Self {
        match self {
            Self::Run => Self::Taking,
            other => other,
        }
    }

    /// Once the change that it is part of was made.
    pub fn made(self) -> Self {
        match self {
            Self::Giving => Self::Run,
            Self::GivingBack => Self::GivenBack,
            _ => Self::Elsewhere,
        }
    }

    /// Once it is certain that the change wasn't made.
    pub fn not_made(self) -> Self {
        match self {
            Self::Giving | Self::GivingBack => Self::Elsewhere,
            Self::Taking => Self::Run,
            other => other,
        }
    }
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    Made,
    NotMade,
}

impl Came {
    /// Of a run that came to its end; `None` where it isn't known.
    pub fn of(change: &Change, failed: &FailedChanges) -> Option<Self> {
        if failed.in_doubt.has(change) {
            return None;
        }
        Some(match failed.changes.has(change) {
            true => Self::NotMade,
            false => Self::Made,
        })
    }
}

impl Origin {
    /// Once it is known what became of the change that it is part of.
    pub fn ended(self, came: Came) -> Self {
        match came {
            Came::Made => self.made(),
            Came::NotMade => self.not_made(),
        }
    }
}
