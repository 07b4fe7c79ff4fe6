//! What stands for a removal, and for a set of them.

use std::collections::HashSet;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::directory::ExternalId;
use crate::sync::plan::{Action, Change, GroupAction, MemberAction, Reason};

/// Stands for an exact set of removals: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Digest(pub String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stands for one removal: somebody revoked, removed, or withdrawn from one group, or a group
/// deleted.
pub type Fingerprint = [u8; 16];

/// The fingerprints of a set of removals, so that a later run can tell whether what is left of
/// them was among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FingerprintSet {
    sorted: Vec<Fingerprint>,
}

/// Bytes that aren't a set of fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are no fingerprints of removals: {0} bytes, not sorted in pieces of 16")]
pub struct NoFingerprints(usize);

impl FingerprintSet {
    /// Everything that `changes` take away.
    ///
    /// Who is removed from the organization leaves its groups by that alone: whether a group's
    /// update names them as well depends on what else is to be done there, and must not make
    /// another set of it.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change> + Clone) -> Self {
        let removed: HashSet<&ExternalId> = changes
            .clone()
            .into_iter()
            .filter(|change| matches!(change.member(), Some(MemberAction::Remove { .. })))
            .map(Change::external_id)
            .collect();
        let mut sorted: Vec<Fingerprint> = vec![];
        for change in changes {
            fingerprints(change, &removed, |print| sorted.push(print));
        }
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    /// The SHA-256 over all of them, in hexadecimal digits, the first 32.
    pub fn digest(&self) -> Digest {
        let mut sha = Sha256::new();
        self.sorted.iter().for_each(|print| sha.update(print));
        Digest(
            sha.finalize()[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// Whether each of these is among `others`.
    pub fn is_subset(&self, others: &Self) -> bool {
        self.sorted
            .iter()
            .all(|print| others.sorted.binary_search(print).is_ok())
    }

    /// How many removals there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether nothing is taken away.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// 16 bytes for each.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.sorted.concat()
    }

    /// Reads what [`FingerprintSet::to_bytes`] wrote. Whether it is the right set is told by its
    /// digest.
    ///
    /// # Errors
    /// Anything that isn't a sorted list of fingerprints.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoFingerprints> {
        let (prints, rest) = bytes.as_chunks::<16>();
        let sorted = prints.is_sorted_by(|a, b| a < b);
        if rest.is_empty() && sorted {
            Ok(Self {
                sorted: prints.to_vec(),
            })
        } else {
            Err(NoFingerprints(bytes.len()))
        }
    }
}

fn fingerprints(
    change: &Change,
    removed: &HashSet<&ExternalId>,
    mut found: impl FnMut(Fingerprint),
) {
    let id = change.external_id();
    if change.reason == Reason::MembersUnknown {
        found(fingerprint("overwrite", id, None));
    }
    match &change.action {
        Action::Member(MemberAction::Revoke { .. }) => found(fingerprint("revoke", id, None)),
        Action::Member(MemberAction::Remove { .. }) => found(fingerprint("remove", id, None)),
        Action::Group(GroupAction::Delete { .. }) => found(fingerprint("delete-group", id, None)),
        Action::Group(GroupAction::Update(update)) => {
            update
                .remove
                .iter()
                .map(|withdrawal| &withdrawal.external_id)
                .filter(|member| !removed.contains(*member))
                .for_each(|member| found(fingerprint("withdraw", member, Some(id))));
        }
        Action::Member(
            MemberAction::Invite { .. }
            | MemberAction::Link
            | MemberAction::Relink { .. }
            | MemberAction::Restore,
        )
        | Action::Group(
            GroupAction::Create { .. } | GroupAction::Relink { .. } | GroupAction::Rename { .. },
        ) => {}
    }
}

fn fingerprint(kind: &str, id: &ExternalId, group: Option<&ExternalId>) -> Fingerprint {
    let mut sha = Sha256::new();
    // Lengths before texts: no two different removals read the same.
    for text in [kind, id.as_str(), group.map_or("", ExternalId::as_str)] {
        sha.update((text.len() as u64).to_be_bytes());
        sha.update(text);
    }
    let mut print = [0; 16];
    print.copy_from_slice(&sha.finalize()[..16]);
    print
}
