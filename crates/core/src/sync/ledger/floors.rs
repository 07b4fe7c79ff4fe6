//! What a limit was a share of when it first held something.
//!
//! A limit that holds something isn't raised for a day by what comes in meanwhile: else the additions
//! of the same run, which go ahead, would let go in the next one what they were held with.

use serde::{Deserialize, Serialize};

use super::{FLOORS_MAX, KEPT, Key, Ledger};
use crate::sync::limits::WINDOW;

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limited {
    /// Members who are absent, out of scope or out of a group.
    Absent,
    /// Members whose account is disabled.
    Disabled,
    /// Deleted groups.
    Groups,
    /// The members of one group.
    Group(Key),
    /// Invitations.
    Invited,
}

/// How many there were when something was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Floor {
    pub(super) at: i64,
    pub(super) of: Limited,
    total: u32,
}

impl Ledger {
    /// What a limit is a share of, where there are `total` now.
    pub(crate) fn at_most(&self, of: Limited, total: usize) -> usize {
        let since = self.latest.saturating_sub(WINDOW.as_secs());
        let floors = self.floors.iter().chain(&self.shared.floors);
        let floors = floors.filter(|floor| floor.of == of && floor.at > since);
        floors.fold(total, |total, floor| total.min(floor.total as usize))
    }

    /// Notes what the limits that hold something now are a share of.
    pub(crate) fn note_floors(&mut self, held: &[(Limited, usize)]) {
        let (at, since) = (self.latest, self.latest.saturating_sub(WINDOW.as_secs()));
        for &(of, total) in held {
            let total = u32::try_from(total).unwrap_or(u32::MAX);
            let mut known = self.floors.iter();
            // For a day since it was first held: an unchanged ledger isn't written.
            if !known.any(|one| one.of == of && one.at > since && one.total <= total) {
                self.floors.push(Floor { at, of, total });
            }
        }
        if held.is_empty() {
            return;
        }
        self.floors.retain(|one| one.at > at.saturating_sub(KEPT));
        let surplus = self.floors.len().saturating_sub(FLOORS_MAX);
        self.floors.drain(..surplus);
    }

    /// What is noted of a group holds for it under another id, too.
    pub(super) fn carry_floor(&mut self, from: Key, to: Key) {
        let of = Limited::Group(to);
        let carried = self.floors.iter();
        let carried = carried.filter(|one| one.of == Limited::Group(from));
        let carried: Vec<Floor> = carried.map(|one| Floor { of, ..*one }).collect();
        for one in carried {
            if !self.floors.contains(&one) && self.floors.len() < FLOORS_MAX {
                self.floors.push(one);
            }
        }
    }
}
