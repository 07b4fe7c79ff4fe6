//! Holds back what looks dangerous until a person approves it.

use crate::sync::plan::{Change, Plan};

/// A plan split in two: what goes ahead, and what waits for a person.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// What may be applied.
    pub approved: Approved<Plan>,
    /// What waits; `None` where nothing does.
    pub held: Option<Held>,
    /// The digest of everything the plan takes away, whether held or not.
    pub digest: Digest,
}

/// A value that passed the guard.
#[derive(Debug, Clone)]
pub struct Approved<T>(T);

impl<T> std::ops::Deref for Approved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Removals that wait for approval.
#[derive(Debug, Clone)]
pub struct Held {
    /// The removals, all of them.
    pub changes: Vec<Change>,
    /// Why they wait.
    pub why: HeldBecause,
}

/// Why removals wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBecause {
    /// More than the limit would lose something.
    OverLimit {
        /// Members who would lose something.
        members: usize,
        /// How many may.
        members_limit: usize,
        /// Groups that would be deleted.
        groups: usize,
        /// How many may.
        groups_limit: usize,
    },
    /// The directory named no one at all, and the organization has members of ours.
    EmptyDirectory {
        /// How many of ours there are.
        members: usize,
    },
}

/// Stands for an exact set of removals: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(pub String);
