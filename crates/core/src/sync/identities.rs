//! Which members, external ids and addresses are one person's.
//!
//! Somebody has another external id than before where a run re-linked them, and the former one again where an undo
//! takes that back. A word about a person is found under each of them: in the organization, in the history and in
//! what is about to be changed.

use std::collections::HashSet;

use uuid::Uuid;

use crate::directory::{Email, ExternalId};
use crate::organization::model::Content;
use crate::sync::history::{Person, Record};
use crate::sync::plan::{Change, Kind, MemberAction, Plan};

/// Some people, by everything that identifies them.
///
/// Whoever had the address of one of them counts as that person: for what is given to nobody among them, one too many
/// is better than one too few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    members: HashSet<Uuid>,
    ids: HashSet<Box<str>>,
    emails: HashSet<Email>,
}

/// What identifies one person.
#[derive(Default)]
struct Identity<'a> {
    member: Option<Uuid>,
    ids: [Option<&'a str>; 2],
    emails: [Option<Email>; 2],
}

impl People {
    /// These members, and whoever has one of these external ids.
    pub fn of(members: &HashSet<Uuid>, ids: &HashSet<ExternalId>) -> Self {
        Self {
            members: members.clone(),
            ids: ids.iter().map(|id| id.as_str().into()).collect(),
            emails: HashSet::new(),
        }
    }

    /// The same people by what the organization, a plan and the history know them by, too.
    #[must_use]
    pub fn known_to(mut self, content: &Content, plan: &Plan, records: &[Record]) -> Self {
        if self.members.is_empty() && self.ids.is_empty() {
            return self;
        }
        let members = content.members.iter().map(|member| Identity {
            member: Some(member.id),
            ids: [member.external_id.as_ref().map(ExternalId::as_str), None],
            emails: [Some(member.email.clone()), None],
        });
        let identities = members
            .chain(plan.changes.iter().filter_map(Identity::of_change))
            .chain(records.iter().flat_map(Identity::of_record));
        let identities: Vec<Identity<'_>> = identities.collect();
        // Each pass follows one more change of an id; there are few.
        while identities.iter().filter(|one| self.take_in(one)).count() > 0 {}
        self
    }

    /// Whether that is one of them.
    pub fn has_member(&self, member: Uuid) -> bool {
        self.members.contains(&member)
    }

    /// Whether one of them has or had this external id.
    pub fn has_id(&self, id: &ExternalId) -> bool {
        self.ids.contains(id.as_str())
    }

    /// Whether a change is about one of them, and not about a group.
    pub fn is_subject_of(&self, change: &Change) -> bool {
        Identity::of_change(change).is_some_and(|one| self.has(&one))
    }

    /// The external ids that they have or had.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ExternalId> {
        self.ids.iter().filter_map(|id| ExternalId::of_member(id))
    }

    fn has(&self, one: &Identity<'_>) -> bool {
        let mut ids = one.ids.iter().flatten();
        let mut emails = one.known_emails();
        one.member.is_some_and(|id| self.members.contains(&id))
            || ids.any(|id| self.ids.contains(*id))
            || emails.any(|email| self.emails.contains(email))
    }

    /// Whether anything new came with it.
    fn take_in(&mut self, one: &Identity<'_>) -> bool {
        let before = self.members.len() + self.ids.len() + self.emails.len();
        if self.has(one) {
            self.members.extend(one.member);
            let ids = one.ids.iter().flatten();
            self.ids.extend(ids.map(|id| Box::from(*id)));
            self.emails.extend(one.known_emails().cloned());
        }
        self.members.len() + self.ids.len() + self.emails.len() > before
    }
}

impl<'a> Identity<'a> {
    fn of_change(change: &'a Change) -> Option<Self> {
        let (from, former) = match change.member()? {
            MemberAction::Relink { from } => (Some(from.as_str()), None),
            MemberAction::Invite { from, .. } => (None, from.clone()),
            _ => (None, None),
        };
        Some(Self {
            member: change.subject.id,
            ids: [Some(change.external_id().as_str()), from],
            emails: [change.subject.email().cloned(), former],
        })
    }

    /// Everybody whom a record names.
    fn of_record(record: &'a Record) -> impl Iterator<Item = Self> {
        let from = record.from.as_deref();
        let (id, email) = match record.action {
            Kind::Relink => (from, None),
            Kind::Invite => (None, from.map(Email::of_member)),
            _ => (None, None),
        };
        let about = record.person.as_ref().map(|person| {
            let mut one = Self::of_person(person);
            one.ids[1] = id;
            one.emails[1] = email;
            one
        });
        let removed = record.removed.iter().map(|one| &one.person);
        let moved = record.added.iter().chain(removed).map(Self::of_person);
        about.into_iter().chain(moved)
    }

    fn of_person(person: &'a Person) -> Self {
        Self {
            member: person.member_id,
            ids: [person.external_id.as_deref(), None],
            emails: [person.email.as_deref().map(Email::of_member), None],
        }
    }

    /// All addresses that aren't shown look the same.
    fn known_emails(&self) -> impl Iterator<Item = &Email> {
        let emails = self.emails.iter().flatten();
        emails.filter(|email| !email.is_withheld())
    }
}
