//! What people are called whom a plan knows by their ids alone.

use uuid::Uuid;

use super::Person;
use crate::directory::ExternalId;
use crate::directory::hash::FastMap;
use crate::organization::model::{Content, Member, MemberStatus};
use crate::sync::plan::{Action, Change, GroupAction, MemberAction, Plan};

/// The organization's members by their ids, and those whom a plan invites.
#[derive(Default)]
pub(super) struct Names<'a> {
    members: FastMap<&'a ExternalId, &'a Member>,
    by_member_id: FastMap<Uuid, &'a Member>,
    coming: FastMap<&'a ExternalId, &'a Change>,
}

impl<'a> Names<'a> {
    /// Looked up only where a plan changes who is in groups, or revokes somebody.
    pub fn new(content: Option<&'a Content>, plan: &'a Plan) -> Self {
        let changes = plan.changes.iter();
        let names_members = |change: &Change| {
            matches!(
                change.action,
                Action::Member(MemberAction::Revoke { .. })
                    | Action::Group(
                        GroupAction::Create { .. }
                            | GroupAction::Update(_)
                            | GroupAction::Delete(_)
                    )
            )
        };
        let mut names = Self::default();
        if !plan.changes.iter().any(names_members) {
            return names;
        }
        let people = changes.filter(|change| change.member().is_some());
        names.coming = people
            .map(|change| (change.external_id(), change))
            .collect();
        if let Some(content) = content {
            for member in &content.members {
                if let Some(id) = &member.external_id {
                    names.members.insert(id, member);
                }
                names.by_member_id.insert(member.id, member);
            }
        }
        names
    }

    /// Somebody by the directory's id.
    pub fn person(&self, id: &ExternalId) -> Person {
        let member = self.members.get(id);
        let coming = self.coming.get(id).map(|change| &change.subject);
        let email = coming.and_then(|subject| subject.email());
        let email = email.or(member.map(|member| &member.email));
        let member_id = member.map(|member| member.id);
        Person {
            email: email.map(|email| email.as_str().into()),
            external_id: Some(id.as_str().into()),
            member_id: member_id.or(coming.and_then(|subject| subject.id)),
        }
    }

    /// What a member is now.
    pub fn status(&self, id: Uuid) -> Option<&'static str> {
        match self.by_member_id.get(&id)?.status {
            MemberStatus::Revoked => Some("Revoked"),
            MemberStatus::Invited => Some("Invited"),
            MemberStatus::Accepted => Some("Accepted"),
            MemberStatus::Confirmed => Some("Confirmed"),
            MemberStatus::Staged => Some("Staged"),
            MemberStatus::Other(_) | MemberStatus::Withheld => None,
        }
    }

    /// Somebody by the id in Bitwarden.
    pub fn member(&self, id: Uuid) -> Person {
        let member = self.by_member_id.get(&id);
        let external_id = member.and_then(|member| member.external_id.as_ref());
        Person {
            email: member.map(|member| member.email.as_str().into()),
            external_id: external_id.map(|id| id.as_str().into()),
            member_id: Some(id),
        }
    }
}
