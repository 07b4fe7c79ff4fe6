//! What identifies a change that may be held, and a set of them.

use std::collections::HashSet;
use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::directory::{Email, ExternalId};
use crate::sync::plan::{Action, Change, GroupAction, MemberAction};

/// 32 hexadecimal digits: what a hold is called, and what an approval names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Digest(pub String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifies one change that may be held: somebody revoked, removed, invited, re-linked, given another role, withdrawn from
/// or added to one group, a group made, deleted, re-linked or renamed.
pub type Fingerprint = [u8; 16];

/// The fingerprints of a set of changes, so that a later run can tell which of its own were among
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FingerprintSet {
    sorted: Vec<Fingerprint>,
}

impl FingerprintSet {
    /// Everything that `changes` take away, and everybody they invite.
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
        let mut prints: Vec<Fingerprint> = vec![];
        for change in changes {
            if change.reason.overwrites() {
                prints.push(overwrite(change));
            }
            match change.group() {
                Some(GroupAction::Update(update)) => {
                    let leaving = update.remove.iter().map(|leaving| &leaving.external_id);
                    let leaving = leaving.filter(|id| !removed.contains(*id));
                    prints.extend(leaving.map(|id| removed_member(change.external_id(), id)));
                }
                _ => prints.extend(of_change(change)),
            }
        }
        prints.sort_unstable();
        prints.dedup();
        Self { sorted: prints }
    }

    /// The same with those withdrawals that come with a removal from the organization.
    pub(crate) fn with_all_withdrawals(changes: &[Change]) -> Self {
        let withdrawals = changes.iter().filter_map(|change| match change.group() {
            Some(GroupAction::Update(update)) => Some((change.external_id(), &update.remove)),
            _ => None,
        });
        let withdrawals = withdrawals.flat_map(|(group, leaving)| {
            let leaving = leaving.iter().map(|leaving| &leaving.external_id);
            leaving.map(|id| removed_member(group, id))
        });
        let mut sorted: Vec<Fingerprint> = withdrawals.collect();
        sorted.sort_unstable();
        let joins = Self::of_joins(changes);
        Self::of(changes).union(&Self { sorted }).union(&joins)
    }

    /// Who comes into groups: held only where somebody took it back before.
    pub(crate) fn of_joins<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let updates = changes
            .into_iter()
            .filter_map(|change| match change.group() {
                Some(GroupAction::Update(update)) => Some((change.external_id(), &update.add)),
                _ => None,
            });
        let prints = updates.flat_map(|(group, add)| add.iter().map(|id| joined(group, id)));
        let mut sorted: Vec<Fingerprint> = prints.collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    pub(crate) fn from_sorted(sorted: Vec<Fingerprint>) -> Self {
        Self { sorted }
    }

    /// The SHA-256 over all of them, the first half.
    pub(crate) fn content(&self) -> Fingerprint {
        let mut sha = Sha256::new();
        self.sorted.iter().for_each(|print| sha.update(print));
        half(sha)
    }

    /// `FingerprintSet::content` in hexadecimal digits.
    pub fn digest(&self) -> Digest {
        Digest(HEXLOWER.encode(&self.content()))
    }

    /// Whether this change as a whole is among them. An update of a group is asked for by its
    /// withdrawals.
    pub(crate) fn has(&self, change: &Change) -> bool {
        !self.is_empty() && of_change(change).is_some_and(|print| self.contains(&print))
    }

    /// Whether it is among them that `member` leaves `group`.
    pub(crate) fn has_withdrawal(&self, group: &ExternalId, member: &ExternalId) -> bool {
        !self.is_empty() && self.contains(&removed_member(group, member))
    }

    /// Whether it is among them that `member` comes into `group`.
    pub(crate) fn has_join(&self, group: &ExternalId, member: &ExternalId) -> bool {
        !self.is_empty() && self.contains(&joined(group, member))
    }

    pub(crate) fn contains(&self, print: &Fingerprint) -> bool {
        self.sorted.binary_search(print).is_ok()
    }

    /// With what follows from it in `changes`: who is removed from the organization leaves their
    /// groups. Only where they are: an approved removal doesn't take somebody who stays out of a group.
    pub(crate) fn and_what_follows(mut self, changes: &[Change]) -> Self {
        if self.is_empty() {
            return self;
        }
        let removed: HashSet<&ExternalId> = changes
            .iter()
            .filter(|change| matches!(change.member(), Some(MemberAction::Remove { .. })))
            .filter(|change| self.has(change))
            .map(Change::external_id)
            .collect();
        for change in changes {
            if let Some(GroupAction::Update(update)) = change.group() {
                let leaving = update.remove.iter().map(|leaving| &leaving.external_id);
                let leaving = leaving.filter(|id| removed.contains(*id));
                let prints = leaving.map(|id| removed_member(change.external_id(), id));
                self.sorted.extend(prints);
            }
        }
        self.sorted.sort_unstable();
        self.sorted.dedup();
        self
    }

    /// The fingerprints of both sets, each once.
    pub(crate) fn union(&self, more: &Self) -> Self {
        let mut sorted = [&*self.sorted, &more.sorted].concat();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    /// The fingerprints in ascending order.
    pub(crate) fn as_slice(&self) -> &[Fingerprint] {
        &self.sorted
    }

    /// Whether each of these is among `others`.
    pub fn is_subset(&self, others: &Self) -> bool {
        self.sorted.iter().all(|print| others.contains(print))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

fn of_change(change: &Change) -> Option<Fingerprint> {
    let id = change.external_id();
    if change.reason.overwrites() {
        return Some(overwrite(change));
    }
    let member = || change.subject.id.map(|id| id.to_string());
    let (kind, of) = match &change.action {
        // The id may be somebody else's by the time of the approval.
        Action::Member(MemberAction::Revoke { .. }) => ("revoke", member()),
        Action::Member(MemberAction::Remove { .. }) => ("remove", member()),
        Action::Member(MemberAction::Restore) => ("restore", member()),
        Action::Member(MemberAction::Invite { .. }) => {
            ("invite", change.subject.email().map(ToString::to_string))
        }
        Action::Member(MemberAction::SetRole(role)) => {
            let member = member().unwrap_or_default();
            let text = format!("{member} {} {}", role.from, role.to);
            return Some(fingerprint("role", id, Some(&text)));
        }
        Action::Group(GroupAction::SetCollections(access)) => {
            let group = member().unwrap_or_default();
            let changes = access.changes.iter();
            let changes = changes.map(|one| format!("{} {one}", one.id));
            let text = format!("{group}\n{}", changes.collect::<Vec<_>>().join("\n"));
            // Who gains and who loses it, too: another group of people is another matter.
            let gaining = named(Some(&access.gaining), &access.others);
            let text = format!("{text}\n{gaining}\n{}", named(Some(&access.losing), &[]));
            return Some(fingerprint("collections", id, Some(&text)));
        }
        Action::Group(GroupAction::Delete(deletion)) => {
            let inside = named(deletion.members.as_deref(), &deletion.unmanaged);
            ("delete-group", Some(inside))
        }
        Action::Group(GroupAction::Rename { .. }) => {
            return Some(fingerprint("rename", id, Some(change.subject.label())));
        }
        // These are held only where somebody took them back before.
        Action::Member(MemberAction::Relink { from }) => ("relink", Some(from.as_str().to_owned())),
        Action::Member(MemberAction::Link) => ("link", member()),
        Action::Group(GroupAction::Create { .. }) => {
            return Some(fingerprint("make-group", id, Some(change.subject.label())));
        }
        Action::Group(GroupAction::Relink { from }) => {
            ("relink-group", from.as_ref().map(ToString::to_string))
        }
        Action::Member(MemberAction::Reinvite { .. } | MemberAction::Unlink)
        | Action::Group(GroupAction::Update(_) | GroupAction::Unlink) => return None,
    };
    Some(fingerprint(kind, id, of.as_deref()))
}

/// What is sent in place of something that isn't known: the account's address, or who is in the group
/// from then on.
fn overwrite(change: &Change) -> Fingerprint {
    let mut sent: Vec<&str> = match change.group() {
        Some(GroupAction::Create { add }) => add.iter().map(ExternalId::as_str).collect(),
        Some(GroupAction::Update(update)) => {
            let stay = update.add.iter().chain(&update.keep);
            stay.map(ExternalId::as_str).collect()
        }
        _ => change
            .subject
            .email()
            .into_iter()
            .map(Email::as_str)
            .collect(),
    };
    sent.sort_unstable();
    fingerprint("overwrite", change.external_id(), Some(&sent.join("\n")))
}

/// Who is in a group that is deleted, or gains or loses access by it.
fn named(members: Option<&[ExternalId]>, unmanaged: &[Uuid]) -> String {
    let mut unmanaged: Vec<String> = unmanaged.iter().map(Uuid::to_string).collect();
    unmanaged.sort_unstable();
    let unmanaged = unmanaged.join(" ");
    let Some(members) = members else {
        return format!("unknown, {unmanaged}");
    };
    let mut ids: Vec<&str> = members.iter().map(ExternalId::as_str).collect();
    ids.sort_unstable();
    format!("{unmanaged}, {}", ids.join("\n"))
}

fn removed_member(group: &ExternalId, member: &ExternalId) -> Fingerprint {
    fingerprint("withdraw", member, Some(group.as_str()))
}

fn joined(group: &ExternalId, member: &ExternalId) -> Fingerprint {
    fingerprint("join", member, Some(group.as_str()))
}

/// `more` is the group that somebody leaves, the name that a group gets, or who it is about.
fn fingerprint(kind: &str, id: &ExternalId, more: Option<&str>) -> Fingerprint {
    let mut sha = Sha256::new();
    // Lengths before texts: no two different changes read the same.
    for text in [kind, id.as_str(), more.unwrap_or_default()] {
        sha.update((text.len() as u64).to_be_bytes());
        sha.update(text);
    }
    half(sha)
}

fn half(sha: Sha256) -> Fingerprint {
    let mut half = [0; 16];
    half.copy_from_slice(&sha.finalize()[..16]);
    half
}
