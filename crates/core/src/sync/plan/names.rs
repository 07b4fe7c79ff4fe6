//! Emails of the people whom changes of groups name by id, so that a plan can be read.

use std::collections::HashSet;

use uuid::Uuid;

use crate::directory::hash::{FastMap, FastSet};
use crate::directory::{Email, ExternalId, Place};
use crate::organization::model::Content;
use crate::sync::plan::{Change, GroupAction, Plan};
use crate::sync::roster::Roster;
use crate::sync::sent::SentState;

/// Emails of people in changes of groups who aren't the subject of a change themselves.
#[derive(Debug, Clone, Default)]
pub struct Names {
    by_id: FastMap<ExternalId, Email>,
    unmanaged: FastMap<Uuid, Email>,
}

impl Names {
    /// The email of whoever has this external id.
    pub fn email(&self, id: &ExternalId) -> Option<&Email> {
        self.by_id.get(id)
    }

    /// The email of a member whom the resource doesn't manage.
    pub fn unmanaged(&self, member: &Uuid) -> Option<&Email> {
        self.unmanaged.get(member)
    }

    /// Those whom `plan` needs. `content` is the organization where it can be read, `sent` what was sent
    /// where it can't.
    pub(super) fn of(
        plan: &Plan,
        roster: &Roster,
        content: Option<&Content>,
        sent: &SentState,
    ) -> Self {
        Self::looked_up(plan, content, sent, |id| {
            let person = roster.by_id.get(id)?;
            roster.people[*person as usize].email.as_ref()
        })
    }

    /// Those whom a plan needs that isn't made of a directory.
    pub(crate) fn of_members(plan: &Plan, content: &Content) -> Self {
        Self::looked_up(plan, Some(content), &SentState::default(), |_| None)
    }

    fn looked_up<'a>(
        plan: &Plan,
        content: Option<&Content>,
        sent: &SentState,
        in_directory: impl Fn(&ExternalId) -> Option<&'a Email>,
    ) -> Self {
        let mut ids: FastSet<&ExternalId> = FastSet::default();
        let mut unmanaged: HashSet<Uuid> = HashSet::new();
        // A person's id is mostly held once. Most people of a first plan are the subject of a change themselves,
        // and in several groups: their texts needn't be looked at.
        let has_email = |change: &&Change| change.subject.email().is_some();
        let subjects = plan.changes.iter().filter(has_email);
        let subjects: FastSet<Place> = subjects.map(|one| one.external_id().place()).collect();
        let isnt_one = |id: &&ExternalId| !subjects.contains(&id.place());
        for change in &plan.changes {
            match change.group() {
                Some(GroupAction::Create { add }) => ids.extend(add.iter().filter(isnt_one)),
                Some(GroupAction::Update(update)) => {
                    ids.extend(update.add.iter().filter(isnt_one));
                    ids.extend(update.remove.iter().map(|leaving| &leaving.external_id));
                }
                Some(GroupAction::Delete(deletion)) => {
                    ids.extend(deletion.members.iter().flatten());
                    unmanaged.extend(&deletion.unmanaged);
                }
                _ => {}
            }
        }
        if ids.is_empty() && unmanaged.is_empty() {
            return Self::default();
        }
        for change in plan.changes.iter().filter(has_email) {
            ids.remove(change.external_id());
        }
        let mut names = Self::default();
        for member in content.iter().flat_map(|content| &content.members) {
            let id = member.external_id.as_ref();
            if let Some(id) = id.filter(|id| ids.contains(id)) {
                names.by_id.insert(id.clone(), member.email.clone());
            }
            if unmanaged.contains(&member.id) {
                names.unmanaged.insert(member.id, member.email.clone());
            }
        }
        for (email, account) in &sent.accounts {
            let id = &account.external_id;
            if ids.contains(id) {
                names.by_id.insert(id.clone(), email.clone());
            }
        }
        for id in ids {
            if let (false, Some(email)) = (names.by_id.contains_key(id), in_directory(id)) {
                names.by_id.insert(id.clone(), email.clone());
            }
        }
        names
    }
}
