//! How much of each limit is used, in numbers by the hour.
//!
//! They are kept where nobody else can write, apart from the ledger. If that is lost or isn't believed, they
//! count in its place: losing a ledger gives no fresh limit.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Asked, EvidenceKind, Invited, Key, Ledger, Uncounted, What, hourly};
use crate::sync::limits::WINDOW;

/// So many numbers are kept; of more the earliest are added up.
pub const LIMITS_USED_MAX: usize = 40;

/// What counts against limits of about an hour; of the days before the last one, of about a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Used {
    /// When the last of it happened, in seconds.
    pub at: i64,
    /// People who lost something because their account was disabled.
    pub disabled: u32,
    /// People who lost something on other evidence.
    pub absent: u32,
    /// People who were invited or got access back without an approval.
    pub invited: u32,
    /// The same with one: they use up nothing, and raise nothing.
    pub approved: u32,
    /// People who gained rights of their role.
    pub gained: u32,
    /// People who gained access to collections.
    pub access: u32,
    /// People who gained `Manage` on a collection.
    pub manage: u32,
}

/// One of the numbers.
type Which = fn(&mut Used) -> &mut u32;

const DISABLED: Which = |used| &mut used.disabled;
const ABSENT: Which = |used| &mut used.absent;
const INVITED: Which = |used| &mut used.invited;
const APPROVED: Which = |used| &mut used.approved;
const GAINED: Which = |used| &mut used.gained;
const ACCESS: Which = |used| &mut used.access;
const MANAGE: Which = |used| &mut used.manage;

const ALL: [Which; 7] = [DISABLED, ABSENT, INVITED, APPROVED, GAINED, ACCESS, MANAGE];

impl Used {
    fn add(&mut self, other: Self) {
        self.with(other, u32::saturating_add);
    }

    /// Of each number the larger one, and the later time.
    fn raise(&mut self, other: Self) {
        self.with(other, u32::max);
    }

    fn with(&mut self, mut other: Self, of_both: fn(u32, u32) -> u32) {
        self.at = self.at.max(other.at);
        for which in ALL {
            let number = which(self);
            *number = of_both(*number, *which(&mut other));
        }
    }
}

/// The larger of two accounts of the same runs, of which either may be an older copy: by the hour, so that it is no
/// smaller than either at any time.
pub fn larger(one: &[Used], other: &[Used]) -> Vec<Used> {
    let by_hour = |all: &[Used]| {
        let mut hours: BTreeMap<i64, Used> = BTreeMap::new();
        for used in all {
            let hour = used.at - used.at.rem_euclid(3600);
            hours.entry(hour).or_default().add(*used);
        }
        hours
    };
    let mut larger = by_hour(one);
    for (hour, other) in by_hour(other) {
        larger.entry(hour).or_default().raise(other);
    }
    larger.into_values().collect()
}

/// By the hour, or the day.
struct Periods {
    latest: i64,
    periods: BTreeMap<i64, Used>,
}

impl Periods {
    fn add(&mut self, at: i64, which: Which, count: u32) {
        let is_recent = at > self.latest.saturating_sub(WINDOW.as_secs());
        let length = if is_recent { 3600 } else { 24 * 3600 };
        let mut used = Used {
            at,
            ..Used::default()
        };
        *which(&mut used) = count;
        let period = self.periods.entry(at - at.rem_euclid(length)).or_default();
        period.add(used);
    }

    fn bounded(self) -> Vec<Used> {
        let mut all: Vec<Used> = self.periods.into_values().collect();
        let surplus = all.len().saturating_sub(LIMITS_USED_MAX);
        let earliest: Vec<Used> = all.drain(..surplus).collect();
        if let Some(first) = all.first_mut() {
            earliest.into_iter().for_each(|one| first.add(one));
        }
        all
    }
}

/// The latest time of each person.
fn latest_of(times: impl Iterator<Item = (Key, i64)>) -> HashMap<Key, i64> {
    let mut latest: HashMap<Key, i64> = HashMap::new();
    for (person, at) in times {
        let known = latest.entry(person).or_insert(at);
        *known = at.max(*known);
    }
    latest
}

impl Ledger {
    /// How much of each limit its runs used. A first sync isn't counted, as it isn't by the limit.
    pub fn used(&self) -> Vec<Used> {
        let mut periods = Periods {
            latest: self.latest,
            periods: BTreeMap::new(),
        };
        for (kind, which) in [
            (EvidenceKind::Disabled, DISABLED),
            (EvidenceKind::Absent, ABSENT),
        ] {
            let losses = self.losses.iter().filter(|loss| loss.kind == kind);
            let people = losses.filter_map(|loss| match loss.what {
                What::Access { person }
                | What::Membership { person, .. }
                | What::Role { person } => Some((person, self.used_at(loss.at, loss.ahead))),
                What::Group { .. } | What::Name { .. } | What::Ended { .. } => None,
            });
            for at in latest_of(people).into_values() {
                periods.add(at, which, 1);
            }
            for one in self.uncounted.iter().filter(|one| one.kind == kind) {
                periods.add(self.used_at(one.at, one.ahead), which, one.losses);
            }
        }
        for one in &self.invited {
            let which = match one.asked {
                Asked::Nobody => INVITED,
                Asked::Approved => APPROVED,
                Asked::FirstSync => continue,
            };
            periods.add(self.used_at(one.at, one.ahead), which, one.people);
        }
        for at in latest_of(self.gained_rights()).into_values() {
            periods.add(at, GAINED, 1);
        }
        for (at, ahead, manage, people) in self.gained_accesses() {
            let which = if manage { MANAGE } else { ACCESS };
            periods.add(self.used_at(at, ahead), which, people);
        }
        for (at, members) in self.gained_rights_numbers() {
            periods.add(at, GAINED, members);
        }
        periods.bounded()
    }

    /// The latest time that it may have been, unless it has counted for a day by now.
    fn used_at(&self, at: i64, ahead: i64) -> i64 {
        match at.saturating_add(WINDOW.as_secs()) < self.latest {
            true => at,
            false => at.saturating_add(ahead),
        }
    }

    /// Has it count that so much of the limits was used, as far as the ledger doesn't know it. It is for one
    /// that isn't believed, or in place of one that is lost: who it was isn't known, so none of them is part
    /// of what limits are a share of.
    pub fn count_used(&mut self, used: &[Used]) {
        // What is older than a day is kept: this clock may be the one that is wrong. What lies ahead counts from
        // now on, and once: else it would count anew with each ledger that is lost until then.
        let mut used = used.to_vec();
        for one in &mut used {
            one.at = one.at.min(self.latest);
        }
        used.sort_by_key(|one| one.at);
        // What the ledger knows of these counts, too, and not twice.
        let mut known = self.recent().people(EvidenceKind::Absent, |_| false);
        for one in &mut used {
            let both = known.min(one.absent as usize);
            one.absent = one.absent.saturating_sub(both as u32);
            known -= both;
        }
        // Here it may say any time.
        for (asked, which) in [(Asked::Nobody, INVITED), (Asked::Approved, APPROVED)] {
            if used.iter_mut().any(|one| *which(one) > 0) {
                self.invited.retain(|one| one.asked != asked);
            }
        }
        let access = used.iter().flat_map(|one| {
            let numbers = [(false, one.access), (true, one.manage)];
            numbers.map(|(manage, people)| (one.at, manage, people))
        });
        let access: Vec<(i64, bool, u32)> = access.collect();
        self.count_gained_access(&access);
        self.count_gained_rights(used.iter().map(|one| (one.at, one.gained)));
        for one in used {
            let Used { at, .. } = one;
            for (kind, losses) in [
                (EvidenceKind::Disabled, one.disabled),
                (EvidenceKind::Absent, one.absent),
            ] {
                let uncounted = Uncounted {
                    at,
                    ahead: 0,
                    kind,
                    losses,
                };
                self.uncounted.extend((losses > 0).then_some(uncounted));
            }
            let came = [
                (Asked::Nobody, one.invited),
                (Asked::Approved, one.approved),
            ];
            for (asked, people) in came.into_iter().filter(|(_, people)| *people > 0) {
                self.invited.push(Invited {
                    at,
                    ahead: 0,
                    people,
                    done: true,
                    pending: vec![],
                    asked,
                });
            }
        }

        hourly::merge_losses(&mut self.uncounted);
        hourly::merge_invited(&mut self.invited);
    }
}
