//! Looks for what was applied in what the organization holds afterwards.

use std::collections::HashMap;

use crate::directory::ExternalId;
use crate::directory::hash::{FastMap, FastSet};
use crate::organization::collection::{AccessChange, CollectionAccess};
use crate::organization::model::{Content, Group, Member, MemberStatus};
use crate::organization::role::AccessRole;
use crate::problem::{Problem, ProblemReason};
use crate::sync::plan::{Action, Change, GroupAction, MemberAction, Plan};
use crate::sync::report::Applied;
use crate::text::sanitize;

/// Takes back from `applied` what can't be seen in the organization `after` it, and notes each as a
/// problem. What was refused is told already and isn't looked for.
///
/// Group memberships aren't looked at: an import that was accepted has set them, for everyone who
/// is a member.
pub fn verify(plan: &Plan, after: &Content, applied: &mut Applied) {
    let seen = Seen::of(plan, after);
    for (at, change) in plan.changes.iter().enumerate() {
        let id = change.external_id();
        if applied.refused.has(change) || seen.shows(change) {
            continue;
        }
        let message = format!(
            "Bitwarden accepted {} of {}, yet it can't be seen there; it is tried again at the next \
             run, and if that doesn't help, look at the organization's event log",
            change.kind().name(),
            sanitize(id.as_str()),
        );
        let problem = Problem::new(ProblemReason::NotApplied, message, [id.clone()]);
        applied.problems.add(problem);
        applied.counts.take_back(change.kind());
        applied.outcomes.not_applied(at);
        // Somebody may have undone it by hand meanwhile.
        applied.in_doubt.insert(change);
        applied.refused.insert(change);
    }
}

/// What the organization holds of what a plan is about.
struct Seen<'a> {
    members: FastMap<&'a ExternalId, &'a Member>,
    groups: FastMap<&'a ExternalId, &'a Group>,
    group_ids: FastSet<uuid::Uuid>,
    access: HashMap<uuid::Uuid, &'a [CollectionAccess]>,
}

impl<'a> Seen<'a> {
    fn of(plan: &Plan, after: &'a Content) -> Self {
        let ids: FastSet<_> = plan.changes.iter().map(Change::external_id).collect();
        let planned = |id: &'a Option<ExternalId>| id.as_ref().filter(|id| ids.contains(id));
        let members = after.members.iter();
        let groups = after.groups.iter();
        Self {
            members: members
                .filter_map(|member| Some((planned(&member.external_id)?, member)))
                .collect(),
            groups: groups
                .clone()
                .filter_map(|group| Some((planned(&group.external_id)?, group)))
                .collect(),
            group_ids: groups.clone().map(|group| group.id).collect(),
            access: groups
                .filter_map(|group| Some((group.id, group.collections.as_deref()?)))
                .collect(),
        }
    }

    fn shows(&self, change: &Change) -> bool {
        let member = self.members.get(change.external_id());
        let group = self.groups.get(change.external_id());
        match &change.action {
            Action::Member(action) => match action {
                MemberAction::Invite { from: Some(_), .. } => {
                    member.is_some_and(|member| Some(&member.email) == change.subject.email())
                }
                MemberAction::Invite { .. } | MemberAction::Link | MemberAction::Relink { .. } => {
                    member.is_some()
                }
                MemberAction::Restore => {
                    member.is_some_and(|member| member.status != MemberStatus::Revoked)
                }
                MemberAction::Revoke { .. } => {
                    member.is_none_or(|member| member.status == MemberStatus::Revoked)
                }
                MemberAction::Remove { .. } => member.is_none(),
                MemberAction::SetRole(role) => {
                    member.is_none_or(|member| AccessRole::of(member) == Some(role.to))
                }
                // Nothing shows it.
                MemberAction::Reinvite { .. } => true,
                MemberAction::Unlink => {
                    member.is_none_or(|member| Some(member.id) != change.subject.id)
                }
            },
            Action::Group(action) => match action {
                GroupAction::Create { .. } | GroupAction::Relink { .. } => group.is_some(),
                GroupAction::Update(_) => true,
                GroupAction::SetCollections(access) => {
                    let id = change.subject.id.as_ref();
                    let now = id.and_then(|id| self.access.get(id));
                    now.is_none_or(|now| {
                        let is_so = |one: &AccessChange| {
                            now.iter().find(|now| now.id == one.id) == one.to.as_ref()
                        };
                        access.changes.iter().all(is_so)
                    })
                }
                GroupAction::Rename { .. } => {
                    group.is_none_or(|group| *group.name == *change.subject.label())
                }
                GroupAction::Unlink => {
                    group.is_none_or(|group| Some(group.id) != change.subject.id)
                }
                GroupAction::Delete(_) => {
                    let id = change.subject.id.as_ref();
                    id.is_none_or(|id| !self.group_ids.contains(id))
                }
            },
        }
    }
}
