//! How far a run has come, for whoever shows it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::directory::ReadProgress;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    /// Directory and organization are read, side by side.
    #[default]
    Read,
    /// The members of groups are read back.
    ReadMemberships,
    /// The difference is worked out.
    Plan,
    /// Members lose access, leave, or get their new external ids.
    ChangeMembers,
    /// People are invited and linked.
    Invite,
    /// Groups are created, renamed, filled and deleted.
    ChangeGroups,
    /// The organization is read again, to see that the changes are there.
    Verify,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Read,
        Self::ReadMemberships,
        Self::Plan,
        Self::ChangeMembers,
        Self::Invite,
        Self::ChangeGroups,
        Self::Verify,
    ];

    /// A stable name: for metrics' labels and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::ReadMemberships => "ReadMemberships",
            Self::Plan => "Plan",
            Self::ChangeMembers => "ChangeMembers",
            Self::Invite => "Invite",
            Self::ChangeGroups => "ChangeGroups",
            Self::Verify => "Verify",
        }
    }
}

/// Counters that a run moves and others look at. Nothing is ever awaited on them.
#[derive(Debug, Default)]
pub struct Progress {
    /// The directory's side of [`Phase::Read`].
    pub read: ReadProgress,
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Starts a phase of `total` steps (0: unknown).
    pub fn start(&self, phase: Phase, total: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total as u64, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Counts steps of the phase.
    pub fn add(&self, steps: usize) {
        self.done.fetch_add(steps as u64, Ordering::Relaxed);
    }

    /// So many steps of the phase are done in all.
    pub fn reach(&self, done: usize) {
        self.done.store(done as u64, Ordering::Relaxed);
    }

    /// The phase, its steps done, and of how many (0: unknown).
    pub fn now(&self) -> (Phase, u64, u64) {
        let phase = Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed)) % Phase::ALL.len()];
        (
            phase,
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }
}
