//! The cache of group memberships: what earlier runs saw or wrote.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER;
use uuid::Uuid;

use crate::directory::ExternalId;
use crate::sync::change_set::ChangeSet;
use crate::sync::hash::{person_hash, truncated};
use crate::sync::plan::{
    CachedMembers, Change, DesiredGroup, Draft, Existing, GroupAction, GroupCache, GroupState,
    Kind, MemberAction, Plan, RemovedMember,
};
use crate::sync::sent::{SendResult, SentState};

/// What earlier runs saw or made of an organization's groups, so that an unchanged directory costs
/// no request a group.
///
/// It makes runs cheaper, never right: without it (or after [`MembershipCache::invalidate`]) the next run reads
/// every group. What somebody changes by hand in Bitwarden is found only then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembershipCache {
    /// Stands for the organization that all this is about; zeros before the first run.
    pub(super) organization: [u8; 16],
    /// By the hash of the group's external id.
    pub(super) groups: HashMap<u64, CachedGroup>,
    /// Stands for all members who weren't ours to move; zeros where that isn't known.
    pub(super) unmanaged: [u8; 16],
    /// What was sent to a server that can't be read.
    pub(super) sent: SentState,
}

/// What a group held when it was last seen or filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachedGroup {
    /// Stands for those who were wanted in it.
    pub digest: [u8; 16],
    /// What was different from that.
    pub differs: Option<Box<Differences>>,
    /// As [`GroupState::unmanaged`].
    pub unmanaged: Option<u32>,
}

/// Who is wanted in a group and not there, and the other way around.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Differences {
    pub missing: Vec<ExternalId>,
    pub extra: Vec<ExternalId>,
}

/// What of an approved plan wasn't done.
#[derive(Debug, Clone, Default)]
pub struct FailedChanges {
    /// The changes that weren't made, or not surely.
    pub changes: ChangeSet,
    /// Those of roles and access of which it isn't known whether this run made them.
    pub in_doubt: ChangeSet,
    /// Groups that hold other members than the plan was made for, whatever became of its changes: the next run
    /// reads them.
    pub outdated: HashSet<ExternalId>,
    /// Whether the server refused the changes. `false`: the run may have ended before they were sent.
    pub refused: bool,
}

/// By these somebody becomes a member, gets another external ID, or loses access. Whether they are in a group
/// afterwards depends on it.
const OF_MEMBERS: [Kind; 6] = [
    Kind::Invite,
    Kind::Link,
    Kind::Relink,
    Kind::Restore,
    Kind::Revoke,
    Kind::Remove,
];

/// What a group is afterwards, and who is in it, depends on these.
const OF_GROUPS: [Kind; 6] = [
    Kind::CreateGroup,
    Kind::RelinkGroup,
    Kind::RenameGroup,
    Kind::UpdateGroup,
    Kind::DeleteGroup,
    Kind::UnlinkGroup,
];

impl FailedChanges {
    /// Whether a person isn't what the plan makes of them.
    fn has_person(&self, id: &ExternalId) -> bool {
        self.changes.has_any(&OF_MEMBERS, id)
    }

    /// Whether a group isn't what the plan makes of it.
    fn has_group(&self, id: &ExternalId) -> bool {
        self.outdated.contains(id) || self.changes.has_any(&OF_GROUPS, id)
    }
}

impl MembershipCache {
    /// Forgets everything unless it is about this organization; whether it was about it.
    pub fn keep_for(&mut self, organization: &str) -> bool {
        let organization = truncated(organization.as_bytes());
        let same = self.organization == organization;
        if !same {
            // What is lost may have been about this one.
            let lost = self.sent.lost;
            *self = Self {
                organization,
                ..Self::default()
            };
            self.sent.lost = lost;
        }
        same
    }

    /// Forgets what was seen, so that the next run reads every group, or sends it where the server
    /// can't be read. Accounts that were sent there stay known: who may lose access depends on it.
    pub fn invalidate(&mut self) {
        self.groups.clear();
        self.sent.invalidate();
    }

    /// The groups that have to be read before the draft can be completed:
    /// - those of which nothing is known that still holds;
    /// - those that are to be deleted, and those whose access to collections changes;
    /// - protected ones, while somebody is to be removed from the organization;
    /// - those with withdrawals that wait, while somebody is `approving` them;
    /// - those in which somebody may be who became ours to move, or has another external id now.
    pub fn to_read(&self, draft: &Draft<'_>, approving: bool) -> Vec<Uuid> {
        let unmanaged_changed = self.unmanaged != draft.unmanaged().with_relinked;
        let mut unknown: Vec<Uuid> = draft
            .existing()
            .filter(|(group, id, existing)| {
                draft.may_lose_protected(group)
                    || match existing {
                        Existing::Relinked => true,
                        Existing::Known(wanted) => match self.members(id, wanted) {
                            None => true,
                            Some(CachedMembers::Differs { .. }) => approving || unmanaged_changed,
                            Some(CachedMembers::AsDesired | CachedMembers::WithLeavers) => {
                                unmanaged_changed && self.unmanaged(id).is_some()
                            }
                        },
                    }
            })
            .map(|(group, ..)| group)
            .chain(draft.deleted())
            .chain(draft.changing_access())
            .chain(draft.protected().iter().copied())
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// As [`GroupState::unmanaged`], when the group was read.
    pub(crate) fn unmanaged(&self, id: &ExternalId) -> Option<u32> {
        self.groups.get(&key(id)).and_then(|group| group.unmanaged)
    }

    /// What holds of a group that wasn't read.
    pub(crate) fn members(&self, id: &ExternalId, wanted: &DesiredGroup) -> Option<CachedMembers> {
        let cached = self.groups.get(&key(id))?;
        if let Some(differs) = &cached.differs {
            let Differences { missing, extra } = &**differs;
            return (cached.digest == wanted.digest).then(|| CachedMembers::Differs {
                missing: missing.clone(),
                extra: extra.clone(),
            });
        }
        if wanted.joins {
            // Somebody who was in it left the organization and comes back, or is new.
            None
        } else if cached.digest == wanted.digest {
            Some(CachedMembers::AsDesired)
        } else if wanted.before == Some(cached.digest) {
            Some(CachedMembers::WithLeavers)
        } else {
            None
        }
    }

    /// Notes what the groups hold after an approved plan was applied but for what `failed`.
    pub(crate) fn record_applied(&mut self, plan: &Plan, failed: &FailedChanges) {
        let gone: HashSet<&ExternalId> = plan
            .changes
            .iter()
            .filter(|change| matches!(change.member(), Some(MemberAction::Remove { .. })))
            .filter(|change| !failed.changes.has(change))
            .map(Change::external_id)
            .collect();
        let people_failed = failed.changes.has_kind(&OF_MEMBERS);
        let mut added = match people_failed {
            true => added(plan),
            false => HashMap::new(),
        };
        self.groups = plan
            .groups
            .iter()
            .filter(|state| !failed.has_group(&state.external_id))
            .map(|state| {
                let stays = state
                    .leaving
                    .iter()
                    .filter(|id| !gone.contains(*id))
                    .cloned();
                let mut extra: Vec<ExternalId> = state.extra.iter().cloned().chain(stays).collect();
                extra.sort_unstable();
                extra.dedup();
                let mut missing = state.missing.clone();
                let mut added = added.remove(&state.external_id).unwrap_or_default();
                added.retain(|id| failed.has_person(id));
                missing.extend(added);
                remember(state, missing, extra)
            })
            .collect();
        self.unmanaged = match people_failed {
            true => [0; 16],
            false => plan.unmanaged.unchanged,
        };
        let outcome = SendResult {
            failed: &|change| failed.changes.has(change),
            has_person_failed: &|id| failed.has_person(id),
            refused: failed.refused,
        };
        self.sent.record(plan, outcome);
    }

    /// Notes what the groups hold where nothing was applied (a preview).
    pub(crate) fn record_seen(&mut self, plan: &Plan, held: &[Change]) {
        let mut updates: HashMap<&ExternalId, (Vec<ExternalId>, Vec<ExternalId>)> = HashMap::new();
        let mut unseen: HashSet<&ExternalId> = HashSet::new();
        for change in plan.changes.iter().chain(held) {
            let id = change.external_id();
            match change.group() {
                Some(GroupAction::Update(update)) => {
                    let known = updates.entry(id).or_default();
                    known.0.extend(update.add.iter().cloned());
                    known.1.extend(update.remove.iter().map(RemovedMember::id));
                }
                Some(
                    GroupAction::Create { .. } | GroupAction::Relink { .. } | GroupAction::Unlink,
                ) => {
                    unseen.insert(id);
                }
                _ => {}
            }
        }
        self.unmanaged = plan.unmanaged.with_relinked;
        self.groups = plan
            .groups
            .iter()
            .filter(|state| !unseen.contains(&state.external_id))
            .map(|state| {
                let (add, remove) = updates.remove(&state.external_id).unwrap_or_default();
                let (mut missing, mut extra) = (state.missing.clone(), state.extra.clone());
                missing.extend(add);
                extra.extend(remove);
                extra.extend(state.leaving.iter().cloned());
                for ids in [&mut missing, &mut extra] {
                    ids.sort_unstable();
                    ids.dedup();
                }
                remember(state, missing, extra)
            })
            .collect();
    }

    /// Without what makes runs cheaper: only what was sent to a server that can't be read.
    #[must_use]
    pub fn sent_only(self) -> Self {
        Self {
            organization: self.organization,
            sent: self.sent,
            ..Self::default()
        }
    }

    /// Without what was sent to a server that can't be read: only what makes runs cheaper.
    #[must_use]
    pub fn groups_only(self) -> Self {
        Self {
            sent: SentState::default(),
            ..self
        }
    }

    /// With the groups of `other` in place of its own, where that is about the same organization.
    #[must_use]
    pub fn with_groups_of(self, other: Self) -> Self {
        match self.organization == other.organization {
            true => Self {
                sent: self.sent,
                ..other
            },
            false => self,
        }
    }

    /// Whether no group is known.
    pub fn knows_no_group(&self) -> bool {
        self.groups.is_empty()
    }

    /// What was sent to a server that can't be read.
    pub fn sent(&self) -> &SentState {
        &self.sent
    }

    /// Of a resource that an earlier process worked on, where what that remembered is lost, or was
    /// too large to be kept.
    pub fn lost() -> Self {
        Self {
            sent: SentState::unknown(),
            ..Self::default()
        }
    }
}

fn added(plan: &Plan) -> HashMap<&ExternalId, Vec<ExternalId>> {
    let changes = plan.changes.iter();
    changes
        .filter_map(|change| Some((change.external_id(), change.group()?.added()?.to_vec())))
        .collect()
}

fn remember(
    state: &GroupState,
    missing: Vec<ExternalId>,
    extra: Vec<ExternalId>,
) -> (u64, CachedGroup) {
    let differs = (!missing.is_empty() || !extra.is_empty())
        .then(|| Box::new(Differences { missing, extra }));
    (
        key(&state.external_id),
        CachedGroup {
            digest: state.digest,
            differs,
            unmanaged: state.unmanaged,
        },
    )
}

/// 64 bits of an external id's hash: enough to tell a few hundred thousand groups apart.
pub(super) fn key(id: &ExternalId) -> u64 {
    (person_hash(id) >> 64) as u64
}

impl MembershipCache {
    /// Stands for everything in it: 32 hexadecimal digits.
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&truncated(&self.to_bytes()))
    }
}

impl GroupCache for MembershipCache {
    fn members(&self, id: &ExternalId, wanted: &DesiredGroup) -> Option<CachedMembers> {
        self.members(id, wanted)
    }

    fn unmanaged(&self, id: &ExternalId) -> Option<u32> {
        self.unmanaged(id)
    }

    fn sent(&self) -> &SentState {
        self.sent()
    }
}

impl Draft<'_> {
    /// The plan. `read` has the members of the groups that were read; for the others the plan goes
    /// by `memory`. A group that neither knows is left alone.
    pub fn complete(self, memory: &MembershipCache, read: &HashMap<Uuid, Vec<Uuid>>) -> Plan {
        self.complete_with(memory, read)
    }
}
