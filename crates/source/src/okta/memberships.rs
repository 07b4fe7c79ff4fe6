//! Who is in which group, remembered between the reads of one source.
//!
//! Okta says of each group when its membership changed last (`lastMembershipUpdated`). As long as that
//! stays the same the members that were read then are taken, without a request. That makes a read
//! cheaper, and may only make it more careful:
//!
//! - Stamps have a limited resolution, and a list may be behind the members. So members are taken only
//!   if they were read [`settled`](MembershipCacheSettings::settled) after the stamp was first seen.
//! - Whoever was a member and isn't among the people any more makes the group be read again.
//! - Every [`full`](MembershipCacheSettings::full) all groups are read. A group that has other members than its
//!   stamp promised may have changed between the list of groups and the list of its members: it is read
//!   again from then on. If it still has that stamp once that is settled, stamps can't be relied on, and
//!   nothing is remembered any more.
//! - Nothing is kept beyond the process. Its first read is always a full one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::wire::Group;

/// For how long members are taken from an earlier read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembershipCacheSettings {
    /// How long a group's stamp must have been the same when its members were read. Default 10 minutes.
    pub settled: Duration,
    /// After this time every group is read again. Default a day.
    pub full: Duration,
}

impl Default for MembershipCacheSettings {
    fn default() -> Self {
        Self {
            settled: Duration::from_secs(600),
            full: Duration::from_secs(24 * 3600),
        }
    }
}

/// The ids of a group's members.
pub(super) type Members = Vec<Arc<str>>;

/// What one group held.
#[derive(Debug, Clone)]
struct Known {
    /// Its `lastMembershipUpdated`.
    stamp: String,
    /// When a list first had that stamp.
    seen: Instant,
    /// When its members were asked for.
    read: Instant,
    members: Arc<Members>,
    /// Those of them who were among the people.
    people: Arc<Members>,
}

/// What is remembered, by the id of the group.
#[derive(Debug, Default)]
pub(super) struct MembershipCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Arc<HashMap<String, Known>>,
    full: Option<Instant>,
    /// Groups that had other members than their stamp promised: the stamp, and when that was seen.
    suspects: HashMap<String, (String, Instant)>,
    /// A stamp was the same although the members weren't.
    unreliable: bool,
}

/// One read, with what earlier ones know.
#[derive(Debug)]
pub(super) struct Recall {
    known: Arc<HashMap<String, Known>>,
    started: Instant,
    settled: Duration,
    /// No members are taken from it.
    full: bool,
}

/// A group with its members, as one read has them.
#[derive(Debug)]
pub(super) struct GroupRead {
    pub group: Group,
    pub members: Arc<Members>,
    /// They are from an earlier read.
    pub remembered: bool,
    /// When they were asked for.
    pub asked: Instant,
}

impl MembershipCache {
    /// Begins a read.
    pub fn recall(&self, rules: &MembershipCacheSettings) -> Recall {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        let due = |at: Instant| started.saturating_duration_since(at) >= rules.full;
        let full = state.unreliable || state.full.is_none_or(due);
        Recall {
            known: state.known.clone(),
            started,
            settled: rules.settled,
            full,
        }
    }

    /// Has the next read ask for the members of every group.
    pub fn forget(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.full = None;
    }

    /// Keeps what a complete read saw; `people` are the ids of everybody who was listed.
    pub fn keep(&self, recall: &Recall, groups: &[GroupRead], people: &HashSet<&str>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashMap::with_capacity(groups.len());
        for read in groups {
            let Some(stamp) = &read.group.last_membership_updated else {
                continue;
            };
            let id = read.group.id.clone();
            let before = recall
                .known
                .get(&id)
                .filter(|before| before.stamp == *stamp);
            match before {
                Some(before) if read.remembered => {
                    known.insert(id, before.clone());
                    continue;
                }
                Some(before) if recall.is_settled(before) && recall.full => {
                    let sorted = |members: &Members| {
                        let mut members = members.clone();
                        members.retain(|id| people.contains(&**id));
                        members.sort_unstable();
                        members
                    };
                    if sorted(&before.members) != sorted(&read.members) {
                        let suspect = (stamp.clone(), recall.started);
                        state.suspects.insert(id, suspect);
                        continue;
                    }
                }
                _ => {}
            }
            match state.suspects.get(&id) {
                Some((old, since)) if old == stamp => {
                    if recall.started.saturating_duration_since(*since) >= recall.settled {
                        state.unreliable = true;
                        tracing::warn!(
                            group = %id,
                            "Okta said that the group's members hadn't changed, and they have: from \
                             now on the members of every group are read each time"
                        );
                    }
                    continue;
                }
                Some(_) => {
                    state.suspects.remove(&id);
                }
                None => {}
            }
            let members = read.members.clone();
            let people = members.iter().filter(|id| people.contains(&***id));
            let people = Arc::new(people.cloned().collect());
            let seen = before.map_or(recall.started, |before| before.seen);
            let entry = Known {
                stamp: stamp.clone(),
                seen,
                read: read.asked,
                members,
                people,
            };
            known.insert(id, entry);
        }
        state.known = Arc::new(known);
        if recall.full {
            state.full = Some(recall.started);
        }
    }
}

impl Recall {
    /// The members of a group that hasn't changed since they were read.
    pub fn members(&self, group: &Group) -> Option<GroupRead> {
        let known = self.known.get(&group.id).filter(|_| !self.full)?;
        let same = group.last_membership_updated.as_ref() == Some(&known.stamp);
        (same && self.is_settled(known)).then(|| GroupRead {
            group: group.clone(),
            members: known.members.clone(),
            remembered: true,
            asked: known.read,
        })
    }

    /// Whether somebody of a remembered group is no longer among the people.
    pub fn has_lost(&self, read: &GroupRead, people: &HashSet<&str>) -> bool {
        let known = self.known.get(&read.group.id);
        read.remembered
            && known.is_none_or(|known| known.people.iter().any(|id| !people.contains(&**id)))
    }

    fn is_settled(&self, known: &Known) -> bool {
        known.read.saturating_duration_since(known.seen) >= self.settled
    }
}
