//! Approvals of more changes than the ledger has room for.
//!
//! The ledger keeps what identifies all of them together, and a bit for each that is done. The changes
//! themselves are kept beside it ([`ApprovedSets`]), and count only if they are exactly those.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{APPROVED_MAX, Ledger};
use crate::sync::fingerprint::{Fingerprint, FingerprintSet};
use crate::sync::stored::{self, Magic};

/// Of an approval with more changes than this, a process that ends in the middle of them leaves the rest to be
/// approved again: there is no room for a bit of each.
pub const LARGE_APPROVAL_MAX: usize = BYTES_MAX * 8;
/// So many bytes of a ledger are about approvals that are being used.
pub(super) const BYTES_MAX: usize = APPROVED_MAX * size_of::<Fingerprint>();
/// No sets take more bytes in the form in which they are kept.
pub const APPROVED_SETS_MAX: usize = LARGE_APPROVAL_MAX * size_of::<Fingerprint>() + (1 << 10);

const MAGIC: &Magic = b"dsyncap1";

/// The changes of approvals that the ledger itself has no room for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovedSets(Vec<Arc<FingerprintSet>>);

/// An approval whose changes are kept beside the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LargeApproval {
    /// What identifies exactly these changes.
    content: Fingerprint,
    /// How many there are.
    count: u32,
    /// A bit for each in their order: it is done, or isn't to be done any more. Empty where there is no
    /// room.
    done: Vec<u8>,
    /// The changes, where they are known. Not kept here.
    #[serde(skip)]
    set: Option<Arc<FingerprintSet>>,
}

/// An approval that was used, and of which it isn't known which changes it was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownApproval {
    /// How many changes it was for.
    pub changes: u32,
    /// Whether so many are kept at all.
    pub is_kept: bool,
}

impl LargeApproval {
    pub fn new(changes: &FingerprintSet) -> Self {
        let fits = changes.len() <= LARGE_APPROVAL_MAX;
        let bits = if fits { changes.len().div_ceil(8) } else { 0 };
        Self {
            content: changes.content(),
            count: u32::try_from(changes.len()).unwrap_or(u32::MAX),
            done: vec![0; bits],
            set: fits.then(|| Arc::new(changes.clone())),
        }
    }

    /// How many bytes of the ledger it takes.
    pub fn bytes(&self) -> usize {
        self.done.len()
    }

    /// What is left to be done; `None` where that isn't known.
    pub fn left(&self) -> Option<Vec<Fingerprint>> {
        let set = self.set.as_ref()?.as_slice().iter().enumerate();
        let left = set.filter(|(at, _)| !self.is_done(*at));
        Some(left.map(|(_, print)| *print).collect())
    }

    pub fn unknown(&self) -> Option<UnknownApproval> {
        self.set.is_none().then_some(UnknownApproval {
            changes: self.count,
            is_kept: !self.done.is_empty(),
        })
    }

    /// Notes as done whatever isn't left.
    pub fn retain(&mut self, is_left: impl Fn(&Fingerprint) -> bool) {
        let Some(set) = &self.set else { return };
        for (at, print) in set.as_slice().iter().enumerate() {
            if !is_left(print) {
                self.done[at / 8] |= 1 << (at % 8);
            }
        }
    }

    fn is_done(&self, at: usize) -> bool {
        let bits = self.done.get(at / 8);
        bits.is_some_and(|bits| bits & (1 << (at % 8)) != 0)
    }

    /// Whether these are its changes.
    fn is_of(&self, set: &FingerprintSet) -> bool {
        set.len() == self.count as usize
            && self.done.len() == set.len().div_ceil(8)
            && set.content() == self.content
    }
}

impl Ledger {
    /// The changes of approvals that are being used, where it has no room for them. To be kept beside it before
    /// it is.
    pub fn approved_sets(&self) -> ApprovedSets {
        let large = self.holds.large();
        ApprovedSets(large.filter_map(|one| one.set.clone()).collect())
    }

    /// Whether it names approvals whose changes have to be [read back](Self::read_approved).
    pub fn needs_approved(&self) -> bool {
        let mut unknown = self.holds.large().filter_map(LargeApproval::unknown);
        unknown.any(|unknown| unknown.is_kept)
    }

    /// Takes the changes of approvals from what was kept beside it. Sets of other approvals, and altered ones,
    /// count for nothing.
    pub fn read_approved(&mut self, kept: &ApprovedSets) {
        for large in self.holds.large_mut().filter(|one| one.set.is_none()) {
            let set = kept.0.iter().find(|set| large.is_of(set));
            large.set = set.cloned();
        }
    }
}

impl super::Holds {
    /// Those of `sets` that these holds name.
    pub fn named<'a>(
        &self,
        sets: &'a ApprovedSets,
    ) -> impl Iterator<Item = &'a Arc<FingerprintSet>> {
        let named: HashSet<Fingerprint> = self.large().map(|one| one.content).collect();
        let sets = sets.0.iter();
        sets.filter(move |set| !named.is_empty() && named.contains(&set.content()))
    }
}

impl ApprovedSets {
    /// These sets.
    pub fn of(sets: impl IntoIterator<Item = FingerprintSet>) -> Self {
        Self(sets.into_iter().map(Arc::new).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and others, each once.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        let new = others.0.iter().filter(|set| !self.0.contains(set));
        let new: Vec<_> = new.cloned().collect();
        self.0.extend(new);
        self
    }

    /// Those that one of these holds names.
    #[must_use]
    pub fn named_by<'a>(&self, holds: impl Iterator<Item = &'a super::Holds>) -> Self {
        let mut named = Self::default();
        for holds in holds {
            let sets = holds.named(self).cloned().collect();
            named = named.with(&Self(sets));
        }
        named
    }

    /// The form in which they are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sets: Vec<&[Fingerprint]> = self.0.iter().map(|set| set.as_slice()).collect();
        stored::to_bytes(MAGIC, &sets)
    }

    /// What [`ApprovedSets::to_bytes`] wrote.
    ///
    /// # Errors
    /// As [`stored::Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, stored::Corrupt> {
        let sets: Vec<Vec<Fingerprint>> = stored::from_bytes(MAGIC, bytes)?;
        let is_sorted = |set: &Vec<Fingerprint>| set.is_sorted_by(|one, next| one < next);
        if !sets.iter().all(is_sorted) {
            return Err(stored::Corrupt::Damaged);
        }
        let sets = sets.into_iter().map(FingerprintSet::from_sorted);
        Ok(Self(sets.map(Arc::new).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(prints: std::ops::Range<u128>) -> FingerprintSet {
        FingerprintSet::from_sorted(prints.map(u128::to_be_bytes).collect())
    }

    #[test]
    fn only_exactly_these_changes_are_taken_back_and_what_is_done_stays_so() {
        let all = set(0..5_000);
        let mut large = LargeApproval::new(&all);
        large.retain(|print| u128::from_be_bytes(*print) >= 4_000);
        assert_eq!(large.left().unwrap().len(), 1_000);
        let kept = ApprovedSets(vec![Arc::new(set(0..4_999)), Arc::new(set(1..5_001))]);
        large.set = None;
        assert!(kept.0.iter().all(|set| !large.is_of(set)));
        assert_eq!(large.left(), None);
        let unknown = large.unknown().unwrap();
        assert!(unknown.is_kept && unknown.changes == 5_000);
        assert!(large.is_of(&all));
        large.set = Some(Arc::new(all));
        assert_eq!(large.left().unwrap().len(), 1_000);
    }

    #[test]
    fn they_come_back_from_bytes_of_bounded_length() {
        let sets = ApprovedSets(vec![Arc::new(set(0..5_000)), Arc::new(set(9..5_000))]);
        let bytes = sets.to_bytes();
        assert_eq!(ApprovedSets::from_bytes(&bytes), Ok(sets));
        for (at, byte) in [(0, b'x'), (9, 1), (40_000, 7)] {
            let mut altered = bytes.clone();
            altered[at] ^= byte;
            ApprovedSets::from_bytes(&altered).unwrap_err();
        }
        let largest = set(0..LARGE_APPROVAL_MAX as u128);
        assert_eq!(LargeApproval::new(&largest).bytes(), BYTES_MAX);
        let largest = ApprovedSets(vec![Arc::new(largest)]);
        assert!(largest.to_bytes().len() <= APPROVED_SETS_MAX);
        let larger = LargeApproval::new(&set(0..LARGE_APPROVAL_MAX as u128 + 1));
        assert_eq!(larger.bytes(), 0);
        assert!(!larger.unknown().unwrap().is_kept);
    }
}
