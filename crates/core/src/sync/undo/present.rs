//! The organization as it is now, found by what records name.

use std::collections::HashMap;

use uuid::Uuid;

use crate::directory::{Email, ExternalId};
use crate::organization::model::{Content, Group, Member};
use crate::sync::history::{GroupName, Person};

/// A group by its id in Bitwarden, or, where a run made it and didn't know that yet, by its external id.
pub(super) fn find_group<'a>(content: &'a Content, name: &GroupName) -> Option<&'a Group> {
    match name.group_id {
        Some(id) => content.groups.iter().find(|group| group.id == id),
        None => by_external_id(content, &name.external_id),
    }
}

/// The same of a group that somebody was in, which is another one where it was deleted and made again since.
pub(super) fn find_former_group<'a>(content: &'a Content, name: &GroupName) -> Option<&'a Group> {
    let found = find_group(content, name);
    found.or_else(|| by_external_id(content, &name.external_id))
}

/// The one group with this external id.
pub(super) fn by_external_id<'a>(content: &'a Content, id: &str) -> Option<&'a Group> {
    let has_id = |group: &&Group| {
        group
            .external_id
            .as_ref()
            .is_some_and(|own| own.as_str() == id)
    };
    let mut groups = content.groups.iter().filter(has_id);
    let found = groups.next();
    found.filter(|_| groups.next().is_none())
}

/// Members by what identifies them.
pub(super) struct Members<'a> {
    by_id: HashMap<Uuid, &'a Member>,
    by_external_id: HashMap<&'a str, Vec<&'a Member>>,
    by_email: HashMap<&'a Email, &'a Member>,
}

impl<'a> Members<'a> {
    pub fn of(content: &'a Content) -> Self {
        let mut members = Self {
            by_id: HashMap::new(),
            by_external_id: HashMap::new(),
            by_email: HashMap::new(),
        };
        for member in &content.members {
            members.by_id.insert(member.id, member);
            members.by_email.insert(&member.email, member);
            if let Some(id) = &member.external_id {
                let found = members.by_external_id.entry(id.as_str());
                found.or_default().push(member);
            }
        }
        members
    }

    /// Somebody as a record names them: the same member, or, where there was none before the run, whoever
    /// has the external id now.
    pub fn find(&self, person: &Person) -> Option<&'a Member> {
        match person.member_id {
            Some(id) => self.by_id.get(&id).copied(),
            None => self.with_external_id(person.external_id.as_deref()?),
        }
    }

    /// The same of somebody in a group, who is another member where their invitation was replaced.
    pub fn find_in_group(&self, person: &Person) -> Option<&'a Member> {
        let found = self.find(person);
        found.or_else(|| self.with_external_id(person.external_id.as_deref()?))
    }

    /// The one member with this external id.
    pub fn with_external_id(&self, id: &str) -> Option<&'a Member> {
        match self.by_external_id.get(id)?.as_slice() {
            [member] => Some(member),
            _ => None,
        }
    }

    /// Whether anybody has this external id.
    pub fn has_external_id(&self, id: &str) -> bool {
        self.by_external_id.contains_key(id)
    }

    /// Whoever has this address.
    pub fn with_email(&self, email: &Email) -> Option<&'a Member> {
        self.by_email.get(email).copied()
    }

    /// A member by the id in Bitwarden.
    pub fn with_id(&self, id: Uuid) -> Option<&'a Member> {
        self.by_id.get(&id).copied()
    }

    /// The external id of a member, where an import can name them by it: no other member has it.
    pub fn name(&self, member: &'a Member) -> Option<&'a ExternalId> {
        let id = member.external_id.as_ref()?;
        self.with_external_id(id.as_str()).map(|_| id)
    }
}
