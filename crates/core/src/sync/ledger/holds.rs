//! Holds, and the approvals that name them.
//!
//! A hold is identified by 32 hexadecimal digits, which stand for exactly what is held *and* for this
//! hold of it: the same changes, held again another time, are another hold. So an approval is used
//! once, and does nothing where it is kept (in Git) or comes too late.

use data_encoding::HEXLOWER;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::approved::{BYTES_MAX, LargeApproval, UnknownApproval};
use super::{APPROVED_MAX, Ledger, USED_MAX};
use crate::sync::fingerprint::{Digest, Fingerprint, FingerprintSet};
use crate::sync::hash::truncated;

/// How long a hold is kept at most, in seconds: the longest time for which a policy may ask.
const HOLD_MAX: i64 = 30 * 24 * 3600;
/// How long a run that was stopped in the middle of approved changes may be finished, in seconds.
const IN_PROGRESS: i64 = 24 * 3600;

/// So many approvals may be in progress at the same time.
const APPROVALS_MAX: usize = 20;

/// What identifies a hold.
pub type HoldId = Digest;

/// The holds of one resource, and the approvals that were given to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// How many there were.
    count: u64,
    open: Option<Open>,
    /// One for each approval.
    approved: Vec<Approved>,
    used: Vec<Used>,
}

/// Changes that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    number: u64,
    content: Fingerprint,
    since: i64,
}

/// Approved changes that are being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Approved {
    at: i64,
    changes: Vec<Fingerprint>,
    /// Of the others, which were made, or weren't asked for by a run since. Not of a large one.
    made: Vec<Fingerprint>,
    /// Where there are more than [`APPROVED_MAX`].
    large: Option<LargeApproval>,
}

impl Approved {
    /// The changes that are left to be made, as far as they are known.
    fn left(&self) -> Vec<Fingerprint> {
        let large = self.large.as_ref().and_then(LargeApproval::left);
        [&*self.changes, &*large.unwrap_or_default()].concat()
    }

    /// Which changes it is for isn't known.
    fn unknown(&self) -> Option<UnknownApproval> {
        self.large.as_ref()?.unknown()
    }

    fn bytes(&self) -> usize {
        let large = self.large.as_ref().map_or(0, LargeApproval::bytes);
        size_of_val(&*self.changes) + size_of_val(&*self.made) + large
    }
}

/// An approval that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    id: Fingerprint,
    at: i64,
    changes: u32,
}

/// What is held, as a run finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What an approval names.
    pub id: HoldId,
    /// What is held.
    pub changes: FingerprintSet,
    open: Open,
}

impl Holds {
    /// None yet; the first one gets the number after `count`.
    pub fn after(count: u64) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn at(mut self, now: i64) -> Self {
        self.open = self
            .open
            .filter(|open| (open.since..open.since.saturating_add(HOLD_MAX)).contains(&now));
        self.approved
            .retain(|one| (one.at..one.at.saturating_add(IN_PROGRESS)).contains(&now));
        self
    }

    pub(super) fn large(&self) -> impl Iterator<Item = &LargeApproval> {
        self.approved.iter().filter_map(|one| one.large.as_ref())
    }

    pub(super) fn large_mut(&mut self) -> impl Iterator<Item = &mut LargeApproval> {
        self.approved
            .iter_mut()
            .filter_map(|one| one.large.as_mut())
    }
}

impl Ledger {
    /// The hold of these changes: the open one where it holds exactly them, else a new one.
    pub(crate) fn hold(&self, changes: FingerprintSet) -> Hold {
        let content = changes.content();
        let open = match self.holds.open {
            Some(open) if open.content == content => open,
            _ => Open {
                number: self.holds.count + 1,
                content,
                since: self.latest,
            },
        };
        let mut text = self.organization.to_vec();
        text.extend(self.epoch.to_be_bytes());
        text.extend(self.resource);
        text.extend(open.number.to_be_bytes());
        text.extend(content);
        Hold {
            id: Digest(HEXLOWER.encode(&truncated(&text))),
            changes,
            open,
        }
    }

    /// Ends the open hold where it was held for so long. An approval of it is void then: what is still held
    /// has a new id.
    pub(crate) fn expire_hold(&mut self, after: SignedDuration) {
        let latest = self.latest;
        let is_open = |open: &Open| latest < open.since.saturating_add(after.as_secs());
        self.holds.open = self.holds.open.filter(is_open);
    }

    /// Approved changes that an earlier run was stopped in the middle of.
    pub(crate) fn in_progress(&self) -> FingerprintSet {
        let changes = self.holds.approved.iter().flat_map(Approved::left);
        let mut changes: Vec<Fingerprint> = changes.collect();
        changes.sort_unstable();
        changes.dedup();
        FingerprintSet::from_sorted(changes)
    }

    /// Whether approved changes are being made.
    pub fn is_using_approval(&self) -> bool {
        !self.holds.approved.is_empty()
    }

    /// The same for each approval, with the id of its hold where that is still known.
    pub(crate) fn approvals_in_progress(
        &self,
    ) -> impl Iterator<Item = (Option<HoldId>, FingerprintSet)> {
        self.holds.approved.iter().map(|approved| {
            let mut used = self.holds.used.iter().rev();
            let used = used.find(|used| used.at == approved.at);
            let id = used.map(|used| Digest(HEXLOWER.encode(&used.id)));
            let mut changes = approved.left();
            changes.sort_unstable();
            (id, FingerprintSet::from_sorted(changes))
        })
    }

    /// The largest approval that a run was stopped in the middle of, of those whose changes aren't known: what
    /// is left of them has to be approved again.
    pub(crate) fn unknown_in_progress(&self) -> Option<UnknownApproval> {
        let unknown = self.holds.approved.iter().filter_map(Approved::unknown);
        unknown.max_by_key(|one| one.changes)
    }

    /// The holds of the resource that it is used for.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Uses it for the resource of this name, with these holds. Where several resources share a ledger,
    /// what one of them holds and is approved changes nothing about the holds of another.
    pub fn use_holds(&mut self, resource: &str, holds: Holds) {
        self.resource = truncated(resource.as_bytes());
        self.holds = holds;
    }

    /// Whether an approval of this hold was used.
    pub fn has_used(&self, id: &HoldId) -> bool {
        self.holds
            .used
            .iter()
            .any(|used| HEXLOWER.encode(&used.id) == id.0)
    }

    /// How many approvals are known to have been used.
    pub fn approvals_used(&self) -> usize {
        self.holds.used.len()
    }

    /// Whether this hold is the open one.
    pub(crate) fn has_open_hold(&self, hold: &Hold) -> bool {
        self.holds.open == Some(hold.open)
    }

    pub(super) fn has_open(&self) -> bool {
        self.holds.open.is_some()
    }

    /// The hold, as it stands from now on; `None`: nothing is held.
    pub(crate) fn set_open(&mut self, hold: Option<&Hold>) {
        self.holds.open = hold.map(|hold| hold.open);
        if let Some(hold) = hold {
            self.holds.count = self.holds.count.max(hold.open.number);
        }
    }

    /// Notes that the approval of `hold` is being used.
    pub(super) fn use_approval(&mut self, hold: &Hold) {
        self.holds.open = None;
        self.holds.count = self.holds.count.max(hold.open.number);
        let count = u32::try_from(hold.changes.len()).unwrap_or(u32::MAX);
        let fits = hold.changes.len() <= APPROVED_MAX;
        // Each approval has a day of its own.
        self.holds.approved.push(match fits {
            true => Approved {
                at: self.latest,
                changes: hold.changes.as_slice().to_vec(),
                made: vec![],
                large: None,
            },
            false => Approved {
                at: self.latest,
                changes: vec![],
                made: vec![],
                large: Some(LargeApproval::new(&hold.changes)),
            },
        });
        let bytes = |all: &[Approved]| all.iter().map(Approved::bytes).sum::<usize>();
        while bytes(&self.holds.approved) > BYTES_MAX || self.holds.approved.len() > APPROVALS_MAX {
            self.holds.approved.remove(0);
        }
        let id = u128::from_str_radix(&hold.id.0, 16).unwrap_or_default();
        self.holds.used.push(Used {
            id: id.to_be_bytes(),
            at: self.latest,
            changes: count,
        });
        let surplus = self.holds.used.len().saturating_sub(USED_MAX);
        self.holds.used.drain(..surplus);
    }

    /// Notes which approved changes were made.
    pub(super) fn finish_approved_of(&mut self, done: &FingerprintSet) {
        self.retain_approved(|print| !done.contains(print));
    }

    /// Notes which approved changes are still to be made. The others were made, as a run sees, or
    /// aren't asked for any more: neither is left for another time.
    pub(super) fn finish_approved_except(&mut self, left: &FingerprintSet) {
        self.retain_approved(|print| left.contains(print));
    }

    /// Ends approvals of which a change was made that is among `asked` again: somebody gave it back, or the
    /// record is older than the organization. Neither is a reason to go on with the rest. How many
    /// approvals that ends.
    pub(crate) fn end_undone_approvals(&mut self, asked: &FingerprintSet) -> usize {
        let before = self.holds.approved.len();
        self.holds
            .approved
            .retain(|one| !one.made.iter().any(|print| asked.contains(print)));
        before - self.holds.approved.len()
    }

    fn retain_approved(&mut self, is_left: impl Fn(&Fingerprint) -> bool) {
        for approved in &mut self.holds.approved {
            let made = approved.changes.extract_if(.., |print| !is_left(print));
            let made: Vec<Fingerprint> = made.collect();
            let Some(large) = &mut approved.large else {
                approved.made.extend(made);
                continue;
            };
            large.retain(&is_left);
            // What is left may have room here.
            let left = large.left();
            if let Some(left) = left.filter(|left| size_of_val(&**left) <= large.bytes()) {
                approved.changes = left;
                approved.large = None;
            }
        }
        self.holds
            .approved
            .retain(|one| !one.changes.is_empty() || one.large.is_some());
    }

    /// Notes that a run made the approved changes, or was told that it can't. As long as something is
    /// held, it may be what is left of those that aren't known.
    pub(in crate::sync) fn finish_approved(&mut self, holding: bool) {
        self.holds
            .approved
            .retain(|one| holding && one.unknown().is_some());
    }
}
