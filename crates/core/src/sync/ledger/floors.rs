//! What a limit was a share of when it first held something, and before a run added to it.
//!
//! A limit isn't raised for a day by what comes in: else the additions of a run, which go ahead, would let
//! go in the next one what they were held with, or what would have been held without them.

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

/// How many there were when something was held, or before a run added some.
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
        if !held.is_empty() {
            self.trim_floors();
        }
    }

    /// Notes what limits were a share of before a run added to it. Of the runs of an hour the smallest is
    /// kept, as of the last of them: it counts for up to an hour longer than a day.
    pub(crate) fn note_raised(&mut self, raised: &[(Limited, usize)]) {
        let at = self.latest;
        for &(of, total) in raised {
            let total = u32::try_from(total).unwrap_or(u32::MAX);
            // What is no smaller and ends earlier says nothing more.
            self.floors
                .retain(|one| one.of != of || one.total < total || one.at > at);
            let hour =
                |one: &&mut Floor| one.of == of && one.at / 3600 == at / 3600 && one.at <= at;
            match self.floors.iter_mut().find(hour) {
                Some(smaller) => smaller.at = at,
                None => self.floors.push(Floor { at, of, total }),
            }
        }
        if !raised.is_empty() {
            self.trim_floors();
        }
    }

    /// Those of single groups go first: there may be any number of groups.
    fn trim_floors(&mut self) {
        let kept = self.latest.saturating_sub(KEPT);
        self.floors.retain(|one| one.at > kept);
        let mut surplus = self.floors.len().saturating_sub(FLOORS_MAX);
        self.floors.retain(|one| {
            let drop = surplus > 0 && matches!(one.of, Limited::Group(_));
            surplus -= usize::from(drop);
            !drop
        });
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
