//! How long invitations have been open, how often they were sent again, and whose were withdrawn.
//!
//! The public API tells a member's status, and not since when. What runs have seen is a lower bound: whoever
//! was read as invited at some time, and is invited now, was all the time in between. When an invitation was
//! sent is known only of those that a run sent. Of the others nobody knows how often somebody sent them,
//! so they are never sent again, and neither is any after the record was lost.
//!
//! An invitation counts as sent again before the request is made, and until the server refuses it: of a
//! process that is killed, one mail too few is sent, never one too many.
//!
//! Invitations are kept as [`KEY_BITS`] of a hash of the person's external id and email, sorted and coded by their differences, for each time and
//! number of mails: three bytes for each of 80,000.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::Ledger;
use crate::directory::{Email, ExternalId};
use crate::sync::hash::hash;
use crate::sync::limits::WINDOW;
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{Change, Kind, MemberAction, Plan};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeSeq as _};

/// No more bytes of a ledger are about invitations. Members who don't fit count as seen for the first time
/// in each run.
pub(super) const BYTES_MAX: usize = 240 * 1024;
/// By so many bits of a hash a member is known. A member who isn't one of 80,000 that are kept is taken for
/// one of them once in 860,000 times.
const KEY_BITS: u32 = 36;
/// Times are rounded up where there are more different ones.
const TIMES_MAX: usize = 2_000;
/// So many bytes a time takes at most, with what belongs to it.
const TIME_BYTES: usize = 26;
/// How long a link in an invitation can be used, in seconds.
const LINK_LIVES: i64 = 120 * 3600;

/// What is known of a member who isn't confirmed yet, or of a withdrawn invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Waiting {
    /// What the member waits for.
    pub(crate) for_what: WaitingFor,
    /// When they were first seen so, in seconds: it may have been so for longer.
    pub(crate) since: i64,
    /// The invitations that runs sent; `None` where somebody else sent one, or may have.
    pub(crate) sent: Option<SentInvitations>,
}

/// What a member waits for. In the order in which they are given up where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum WaitingFor {
    /// Nothing: their invitation was withdrawn, and they aren't invited again.
    Withdrawn,
    /// That they accept.
    Acceptance,
    /// That an administrator confirms them.
    Confirmation,
    /// They are revoked, and were invited before.
    Access,
}

/// The invitations that runs sent to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SentInvitations {
    /// When the last one was sent, in seconds.
    pub last: i64,
    /// How many were sent after the first.
    pub again: u8,
}

/// Whether the link in an invitation can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Valid,
    Expired,
    /// Nobody knows when it was sent.
    Unknown,
}

impl Waiting {
    /// Times that lie ahead of the clock count from now on.
    pub(crate) fn at(mut self, now: i64) -> Self {
        self.since = self.since.min(now);
        if let Some(sent) = &mut self.sent {
            sent.last = sent.last.min(now);
        }
        self
    }

    /// Whether the link in the last invitation can be used. Somebody may have sent another one by hand, which
    /// nothing tells.
    pub(crate) fn link(&self, now: i64) -> Link {
        match self.sent {
            Some(sent) if now >= sent.last.saturating_add(LINK_LIVES) => Link::Expired,
            Some(_) => Link::Valid,
            None if now >= self.since.saturating_add(LINK_LIVES) => Link::Expired,
            None => Link::Unknown,
        }
    }

    /// When the link is known to have expired.
    pub(crate) fn expires(&self) -> i64 {
        let from = self.sent.map_or(self.since, |sent| sent.last);
        from.saturating_add(LINK_LIVES)
    }
}

/// Everybody who is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invitations(Arc<BTreeMap<Key, Waiting>>);

/// [`KEY_BITS`] bits.
pub(crate) type Key = u64;

/// An invitation: of a person, to an address.
pub(crate) fn invitation(id: &ExternalId, email: &Email) -> Key {
    key("invitation", id, email)
}

fn withdrawn(id: &ExternalId, email: &Email) -> Key {
    key("withdrawn", id, email)
}

fn key(of: &str, id: &ExternalId, email: &Email) -> Key {
    let text = [of, id.as_str(), email.as_str()].join("\0");
    (hash(text.as_bytes()) >> (128 - KEY_BITS)) as u64
}

impl Invitations {
    /// What is known of whoever has or had this invitation.
    pub(crate) fn get(&self, invitation: Key) -> Option<Waiting> {
        self.0.get(&invitation).copied()
    }

    /// When an invitation of this person to this address was withdrawn, if nothing changed since.
    pub(crate) fn withdrawn(&self, id: &ExternalId, email: &Email) -> Option<i64> {
        if self.0.is_empty() {
            return None;
        }
        let withdrawn = self.0.get(&withdrawn(id, email))?;
        Some(withdrawn.since)
    }

    /// What was noted in bytes, about.
    fn bytes(&self) -> usize {
        let mut times: HashMap<Waiting, usize> = HashMap::new();
        for waiting in self.0.values() {
            *times.entry(*waiting).or_default() += 1;
        }
        let coded = times.into_values().map(|count| {
            let bits = count * (low_bits(count) as usize + 3);
            TIME_BYTES + bits.div_ceil(8)
        });
        coded.sum()
    }

    fn set(&mut self, key: Key, waiting: Waiting) {
        Arc::make_mut(&mut self.0).insert(key, waiting);
    }

    fn set_sent(&mut self, key: Key, sent: SentInvitations) {
        if let Some(waiting) = Arc::make_mut(&mut self.0).get_mut(&key) {
            waiting.sent = Some(sent);
        }
    }

    fn remove(&mut self, key: Key) {
        if self.0.contains_key(&key) {
            Arc::make_mut(&mut self.0).remove(&key);
        }
    }

    fn limit(&mut self) {
        let times = |all: &BTreeMap<Key, Waiting>| {
            let times: HashSet<&Waiting> = all.values().collect();
            times.len()
        };
        for unit in [3600, 24 * 3600] {
            if times(&self.0) <= TIMES_MAX {
                break;
            }
            for waiting in Arc::make_mut(&mut self.0).values_mut() {
                waiting.since = rounded_up(waiting.since, unit);
                if let Some(sent) = &mut waiting.sent {
                    sent.last = rounded_up(sent.last, unit);
                }
            }
        }
        while self.bytes() > BYTES_MAX {
            // Of one kind the latest: those of whom it matters least.
            let order =
                |waiting: &Waiting| (waiting.for_what, waiting.sent.is_none(), waiting.since);
            let Some(last) = self.0.values().map(order).max() else {
                break;
            };
            Arc::make_mut(&mut self.0).retain(|_, waiting| order(waiting) != last);
        }
    }
}

fn rounded_up(time: i64, unit: i64) -> i64 {
    time.div_euclid(unit)
        .saturating_add(i64::from(time.rem_euclid(unit) > 0))
        .saturating_mul(unit)
}

/// What a plan has read of invitations, for the ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenInvitations {
    /// Of members who aren't confirmed, as they are now.
    pub members: Vec<(Key, Waiting)>,
    /// The active people whose invitations were withdrawn, and who aren't members.
    pub withdrawn: Vec<(ExternalId, Email)>,
}

impl Ledger {
    /// What is known of invitations.
    pub fn invitations(&self) -> &Invitations {
        &self.invitations
    }

    /// Notes what a plan has read. Forgets whoever is confirmed or gone, and withdrawn invitations of those who
    /// are members again, or aren't active under the same id and address any more.
    ///
    /// Of a directory that wasn't read whole (`is_incremental`) nobody is known to be gone.
    pub(super) fn notice_invitations(
        &mut self,
        seen: Option<&SeenInvitations>,
        is_incremental: bool,
    ) {
        let Some(seen) = seen else { return };
        let mut now: BTreeMap<Key, Waiting> = BTreeMap::new();
        let day = self.latest.saturating_add(WINDOW.as_secs());
        for (key, waiting) in &seen.members {
            let mut waiting = *waiting;
            // A clock that was ahead by more than what times are rounded by.
            if waiting.since > day || waiting.sent.is_some_and(|sent| sent.last > day) {
                waiting = waiting.at(self.latest);
            }
            now.insert(*key, waiting);
        }
        for (id, email) in &seen.withdrawn {
            let key = withdrawn(id, email);
            if let Some(waiting) = self.invitations.get(key) {
                now.insert(key, waiting);
            }
        }
        // Whom a run may have invited that was killed may be seen by a later one.
        let since = self.latest.saturating_sub(WINDOW.as_secs());
        for (key, waiting) in self.invitations.0.iter() {
            let is_new = waiting.for_what == WaitingFor::Acceptance && waiting.since > since;
            let is_kept = is_incremental && waiting.for_what == WaitingFor::Withdrawn;
            if (is_kept || is_new && waiting.sent.is_some()) && !now.contains_key(key) {
                now.insert(*key, *waiting);
            }
        }
        if now != *self.invitations.0 {
            self.invitations = Invitations(Arc::new(now));
            self.invitations.limit();
        }
    }

    /// Notes the invitations that a run is about to send.
    pub(super) fn start_invitations(&mut self, plan: &Plan) {
        let now = self.latest;
        let mut all = self.invitations.clone();
        for change in &plan.changes {
            let (id, Some(email)) = (change.external_id(), change.subject.email()) else {
                continue;
            };
            let key = || invitation(id, email);
            match change.member() {
                Some(MemberAction::Invite { staged: false, .. }) => {
                    let sent = SentInvitations {
                        last: now,
                        again: 0,
                    };
                    let waiting = Waiting {
                        for_what: WaitingFor::Acceptance,
                        since: now,
                        sent: Some(sent),
                    };
                    all.set(key(), waiting);
                }
                // Somebody else has sent the invitation to whoever is linked.
                Some(MemberAction::Link | MemberAction::Relink { .. } | MemberAction::Unlink) => {
                    all.remove(key());
                }
                Some(MemberAction::Reinvite { nth, .. }) => {
                    let sent = SentInvitations {
                        last: now,
                        again: nth.number,
                    };
                    all.set_sent(key(), sent);
                }
                Some(MemberAction::Remove { .. }) if change.withdraws_invitation() => {
                    let waiting = Waiting {
                        for_what: WaitingFor::Withdrawn,
                        since: now,
                        sent: None,
                    };
                    all.set(withdrawn(id, email), waiting);
                }
                _ => {}
            }
        }
        all.limit();
        self.invitations = all;
    }

    /// Forgets the invitations that weren't sent or withdrawn. Those that are sent again count although the
    /// server refused it: a refusal can come after the mail.
    pub(super) fn end_invitations(&mut self, plan: &Plan, failed: &FailedChanges) {
        for change in plan.changes.iter().filter(|one| failed.changes.has(one)) {
            let (id, Some(email)) = (change.external_id(), change.subject.email()) else {
                continue;
            };
            match change.member() {
                Some(MemberAction::Invite { .. }) => {
                    self.invitations.remove(invitation(id, email));
                }
                Some(MemberAction::Remove { .. }) if change.withdraws_invitation() => {
                    self.invitations.remove(withdrawn(id, email));
                }
                _ => {}
            }
        }
    }

    /// Forgets the invitations that a run was going to send again, and ended before it requested them.
    pub(crate) fn take_back_reinvitations(&mut self, plan: &Plan, requested: &HashSet<ExternalId>) {
        for change in &plan.changes {
            if change.kind() == Kind::Reinvite && !requested.contains(change.external_id()) {
                self.take_back_reinvitation(change);
            }
        }
    }

    fn take_back_reinvitation(&mut self, change: &Change) {
        if let (Some(MemberAction::Reinvite { nth, last }), Some(email)) =
            (change.member(), change.subject.email())
        {
            let sent = SentInvitations {
                last: last.as_second(),
                again: nth.number.saturating_sub(1),
            };
            let key = invitation(change.external_id(), email);
            self.invitations.set_sent(key, sent);
        }
    }
}

/// So many bits of each difference are written as they are, where there are `count` keys.
fn low_bits(count: usize) -> u32 {
    let mean = (1_u64 << KEY_BITS) / (count.max(1) as u64);
    mean.max(1).ilog2()
}

/// The differences of sorted keys, as Rice codes.
fn encode(keys: &[Key]) -> Vec<u8> {
    let low = low_bits(keys.len());
    let (mut bytes, mut bits) = (vec![], 0);
    let mut push = |bit: bool| {
        if bits % 8 == 0 {
            bytes.push(0);
        }
        if let Some(last) = bytes.last_mut() {
            *last |= u8::from(bit) << (bits % 8);
        }
        bits += 1;
    };
    let mut before = 0;
    for &key in keys {
        let difference = key - before;
        (0..difference >> low).for_each(|_| push(true));
        push(false);
        (0..low).for_each(|at| push(difference >> at & 1 == 1));
        before = key;
    }
    bytes
}

/// What [`encode`] wrote for `count` keys; `None` where it wasn't written so.
fn decode(bytes: &[u8], count: usize) -> Option<Vec<Key>> {
    // Each takes a bit at least.
    if count > bytes.len().saturating_mul(8) {
        return None;
    }
    let low = low_bits(count);
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |at| byte >> at & 1 == 1));
    let mut keys = Vec::with_capacity(count);
    let mut key: Key = 0;
    for _ in 0..count {
        let mut difference: Key = 0;
        while bits.next()? {
            difference += 1 << low;
        }
        for at in 0..low {
            difference |= Key::from(bits.next()?) << at;
        }
        key = key
            .checked_add(difference)
            .filter(|key| key >> KEY_BITS == 0)?;
        keys.push(key);
    }
    Some(keys)
}

impl Serialize for Invitations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut by_time: BTreeMap<Waiting, Vec<Key>> = BTreeMap::new();
        for (key, waiting) in self.0.iter() {
            by_time.entry(*waiting).or_default().push(*key);
        }
        let mut sequence = serializer.serialize_seq(Some(by_time.len()))?;
        for (waiting, keys) in by_time {
            let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
            sequence.serialize_element(&(waiting, count, encode(&keys)))?;
        }
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for Invitations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let by_time: Vec<(Waiting, u32, Vec<u8>)> = Vec::deserialize(deserializer)?;
        let mut all = BTreeMap::new();
        for (waiting, count, bytes) in by_time {
            let keys = decode(&bytes, count as usize);
            let keys = keys.ok_or_else(|| de::Error::custom("invitations are damaged"))?;
            all.extend(keys.into_iter().map(|key| (key, waiting)));
        }
        Ok(Self(Arc::new(all)))
    }
}

#[cfg(test)]
impl Invitations {
    /// As many as there is room for.
    pub(super) fn of_80_000() -> Self {
        tests::of(80_000, |_| 1_800_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(since: i64) -> Waiting {
        Waiting {
            for_what: WaitingFor::Acceptance,
            since,
            sent: Some(SentInvitations {
                last: since,
                again: 0,
            }),
        }
    }

    pub(super) fn of(count: u128, since: impl Fn(u128) -> i64) -> Invitations {
        let members = (0..count).map(|n| {
            let key = (hash(&n.to_be_bytes()) >> (128 - KEY_BITS)) as u64;
            (key, waiting(since(n)))
        });
        Invitations(Arc::new(members.collect()))
    }

    #[test]
    fn they_come_back_as_they_were_written() {
        for count in [0, 1, 2, 3, 1_000] {
            let some = of(count, |n| n as i64 % 7);
            let bytes = postcard::to_allocvec(&some).unwrap();
            assert_eq!(postcard::from_bytes::<Invitations>(&bytes), Ok(some));
        }
        let bytes = postcard::to_allocvec(&vec![(waiting(0), 9_u32, vec![0_u8])]).unwrap();
        postcard::from_bytes::<Invitations>(&bytes).unwrap_err();
        let bytes = postcard::to_allocvec(&vec![(waiting(0), 8_u32, vec![255_u8; 9])]).unwrap();
        postcard::from_bytes::<Invitations>(&bytes).unwrap_err();
    }

    #[test]
    fn a_first_sync_of_80_000_fits_and_of_more_the_latest_are_given_up() {
        let all = of(80_000, |_| 1_800_000_000);
        let mut limited = all.clone();
        limited.limit();
        assert_eq!(limited, all);
        let bytes = postcard::to_allocvec(&all).unwrap().len();
        assert!(bytes <= BYTES_MAX && all.bytes() <= BYTES_MAX, "{bytes}");

        let mut limited = of(150_000, |n| 1_800_000_000 + n as i64 / 10_000);
        limited.limit();
        let bytes = postcard::to_allocvec(&limited).unwrap().len();
        assert!(bytes <= BYTES_MAX, "{bytes}");
        assert!(limited.0.len() >= 60_000, "{}", limited.0.len());
        let latest = limited.0.values().map(|waiting| waiting.since).max();
        assert!(latest < Some(1_800_000_010), "the first are kept");
    }

    #[test]
    fn many_different_times_are_rounded_up() {
        let mut limited = of(5_000, |n| 1_800_000_000 + n as i64 * 60);
        let before = limited.clone();
        limited.limit();
        let times: HashSet<_> = limited.0.values().collect();
        assert!(times.len() <= TIMES_MAX, "{}", times.len());
        for (key, waiting) in limited.0.iter() {
            let late = waiting.since - before.0[key].since;
            assert!((0..3_600).contains(&late), "{late}");
        }
    }
}
