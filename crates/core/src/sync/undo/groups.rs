//! Takes back what was done with groups.

use std::collections::HashSet;

use uuid::Uuid;

use super::Left;
use super::draft::Draft;
use super::present::{by_external_id, find_former_group, find_group};
use crate::directory::ExternalId;
use crate::organization::collection::AccessChange;
use crate::organization::model::Group;
use crate::sync::history::{CollectionAccess, Person, Record};
use crate::sync::plan::{
    Action, CollectionsChange, Deletion, GroupAction, Kind, MadeAgain, MemberAction, RemovedMember,
    Subject, Update,
};

const GONE: &str = "the group isn't there any more";
const OF_A_PERSON: &str =
    "is about the whole group: undo it without --person, or add the person in Bitwarden";
/// Of a member or group whose former external id is given back.
pub(super) const ID_AGAIN: &str = "has the former external id again";
pub(super) const OTHER_ID: &str = "has got another external id since";
const WITHOUT_ID: &str = "has no external id of their own, by which a group takes them";

impl<'a> Draft<'a> {
    fn group(&mut self, record: &Record) -> Option<&'a Group> {
        let found = find_group(self.sides.content, record.group.as_ref()?);
        if found.is_none() {
            self.leave(record, GONE);
        }
        found
    }

    /// A group as it is once everything is taken back.
    fn group_subject(&self, group: &Group) -> Option<Subject> {
        let id = self.relinked_groups.get(&group.id);
        let id = id.or(group.external_id.as_ref())?.clone();
        let name = self.renamed.get(&group.id).unwrap_or(&group.name);
        Some(Subject::group(id, name.clone(), Some(group.id)))
    }

    fn is_of_a_person(&mut self, record: &Record) -> bool {
        if self.selected.of_person {
            self.leave(record, OF_A_PERSON);
        }
        self.selected.of_person
    }

    pub(super) fn relink_group(&mut self, record: &Record) {
        if self.is_of_a_person(record) {
            return;
        }
        let Some(group) = self.group(record) else {
            return;
        };
        let from = match record.from.as_deref() {
            Some(from) => match ExternalId::of_member(from) {
                Some(from) => Some(from),
                None => return,
            },
            None => None,
        };
        let given = record.group.as_ref().map(|name| &*name.external_id);
        let current = group.external_id.clone();
        let (Some(current), true) = (
            current,
            group.external_id.as_ref().map(ExternalId::as_str) == given,
        ) else {
            match (&from, &group.external_id) {
                (None, None) => {}
                (from, now) if from == now => self.leave(record, ID_AGAIN),
                _ => self.leave(record, OTHER_ID),
            }
            return;
        };
        let Some(from) = from else {
            let subject = Subject::group(current, group.name.clone(), Some(group.id));
            self.change(subject, Action::Group(GroupAction::Unlink));
            return;
        };
        let is_taken = by_external_id(self.sides.content, from.as_str()).is_some();
        let mut given_back = self.relinked_groups.values();
        if is_taken || given_back.any(|one| *one == from) {
            self.leave(record, "another group has the former external id by now");
            return;
        }
        self.relinked_groups.insert(group.id, from);
        if let Some(subject) = self.group_subject(group) {
            let from = Some(current);
            self.change(subject, Action::Group(GroupAction::Relink { from }));
        }
    }

    /// An undo took a group's external id out: it gets it again.
    pub(super) fn link_group_again(&mut self, record: &Record) {
        if self.is_of_a_person(record) {
            return;
        }
        let Some(group) = self.group(record) else {
            return;
        };
        let id = record.group.as_ref();
        let id = id.and_then(|name| ExternalId::of_member(&name.external_id));
        let (Some(id), None) = (id, &group.external_id) else {
            self.leave(record, "has got an external id since");
            return;
        };
        if by_external_id(self.sides.content, id.as_str()).is_some() {
            self.leave(record, "another group has the external id by now");
            return;
        }
        self.relinked_groups.insert(group.id, id.clone());
        let subject = Subject::group(id, group.name.clone(), Some(group.id));
        self.change(subject, Action::Group(GroupAction::Relink { from: None }));
    }

    pub(super) fn rename_group(&mut self, record: &Record) {
        if self.is_of_a_person(record) {
            return;
        }
        let Some(group) = self.group(record) else {
            return;
        };
        let given = record.group.as_ref().map(|name| &*name.name);
        let (Some(from), true) = (&record.from, Some(&*group.name) == given) else {
            let is_back = record.from.as_deref() == Some(&*group.name);
            let why = match is_back {
                true => "has its former name again",
                false => "has got another name since",
            };
            self.leave(record, why);
            return;
        };
        self.renamed.insert(group.id, from.clone());
        if let Some(subject) = self.group_subject(group) {
            let from = group.name.clone();
            self.change(subject, Action::Group(GroupAction::Rename { from }));
        }
    }

    /// A group has the access to collections that it had, where nobody has changed it since.
    pub(super) fn set_collections(&mut self, record: &Record) {
        if self.is_of_a_person(record) {
            return;
        }
        let Some(group) = self.group(record) else {
            return;
        };
        let now = group.collections.as_deref().unwrap_or_default();
        let is_so =
            |one: &&AccessChange| now.iter().find(|now| now.id == one.id).copied() == one.to;
        let changes: Vec<AccessChange> = record
            .access
            .iter()
            .filter(is_so)
            .map(AccessChange::reversed)
            .collect();
        if changes.len() < record.access.len() {
            let why = match changes.is_empty() {
                true => "has got other access to collections since",
                false => "has got other access to some of the collections since",
            };
            self.leave(record, why);
        }
        let Some(subject) = self.group_subject(group).filter(|_| !changes.is_empty()) else {
            return;
        };
        let takes = changes.iter().any(AccessChange::takes_away);
        let change = CollectionsChange {
            changes,
            losing: vec![],
            gaining: vec![],
            others: vec![],
            evidence: takes.then(|| self.evidence()),
        };
        self.change(
            subject,
            Action::Group(GroupAction::SetCollections(Box::new(change))),
        );
    }

    /// A group that the run made goes, as long as nobody has used it for anything else.
    pub(super) fn delete_group(&mut self, record: &Record) {
        if self.is_of_a_person(record) {
            return;
        }
        let Some(group) = self.group(record) else {
            return;
        };
        let given = record.group.as_ref().map(|name| &*name.name);
        let inside = self.sides.memberships.get(&group.id);
        let (Some(inside), Some(id)) = (inside, group.external_id.clone()) else {
            self.leave(record, GONE);
            return;
        };
        let added: HashSet<Uuid> = record
            .added
            .iter()
            .filter_map(|person| Some(self.members.find_in_group(person)?.id))
            .collect();
        let access = self.sides.collections.get(&group.id);
        let why = if Some(&*group.name) != given {
            Some("has got another name since")
        } else if inside.iter().any(|member| !added.contains(member)) {
            Some("others have come into it since: take them out, or delete it in Bitwarden")
        } else if !access.is_some_and(|now| same(now, record.collections.as_deref())) {
            Some("has got access to other collections since: delete it in Bitwarden")
        } else {
            None
        };
        if let Some(why) = why {
            self.leave(record, why);
            return;
        }
        let (mut members, mut unmanaged) = (vec![], vec![]);
        for member in inside {
            match self.final_id_of(*member) {
                Some(id) => members.push(id),
                None => unmanaged.push(*member),
            }
        }
        members.sort_unstable();
        unmanaged.sort_unstable();
        let action = GroupAction::Delete(Box::new(Deletion {
            evidence: self.evidence(),
            members: Some(members),
            unmanaged,
        }));
        let subject = Subject::group(id, group.name.clone(), Some(group.id));
        self.change(subject, Action::Group(action));
    }

    /// A deleted group is made again, with its collections and members.
    pub(super) fn make_group(&mut self, record: &Record) {
        if self.is_of_a_person(record) {
            return;
        }
        let name = record.group.as_ref();
        let id = name.and_then(|name| ExternalId::of_member(&name.external_id));
        let (Some(name), Some(id)) = (name, id) else {
            return;
        };
        let present = by_external_id(self.sides.content, &name.external_id);
        // An undo that was stopped made it, and didn't get as far as its members or collections.
        let unfinished = present.filter(|_| self.sides.ledger.has_made_again(&id));
        if present.is_some() && unfinished.is_none() {
            self.leave(record, "there is a group with its external id again");
            return;
        }
        let (mut add, mut others) = (vec![], vec![]);
        for one in &record.removed {
            match (
                self.final_id(&one.person),
                self.members.find_in_group(&one.person),
            ) {
                (Some(id), _) => add.push(id),
                (None, Some(member)) => others.push(member.id),
                (None, None) => {
                    self.leave_person(record, &one.person, "isn't a member any more");
                }
            }
        }
        let removed = self.selected.records.iter();
        let removed = removed.filter(|one| {
            one.groups
                .iter()
                .any(|group| group.external_id == name.external_id)
        });
        let removed: Vec<ExternalId> = removed
            .filter_map(|one| self.final_id(one.person.as_ref()?))
            .collect();
        add.extend(removed);
        add.sort_unstable();
        add.dedup();
        if record.collections.is_none() {
            self.leave(
                record,
                "to which collections it gave access isn't in the history, which an earlier version \
                 wrote: give it access in Bitwarden",
            );
        }
        self.filled.insert(id.clone());
        let collections = record.collections.clone().unwrap_or_default();
        match unfinished {
            None => {
                let again = MadeAgain {
                    collections,
                    members: others,
                };
                self.made_again.insert(id.clone(), again);
                let subject = Subject::group(id, name.name.clone(), None);
                self.change(subject, Action::Group(GroupAction::Create { add }));
            }
            Some(group) => self.fill_group(group, id, (add, others), collections),
        }
    }

    /// What is missing of a group that an undo has made again and was stopped then.
    fn fill_group(
        &mut self,
        group: &Group,
        id: ExternalId,
        (mut add, mut others): (Vec<ExternalId>, Vec<Uuid>),
        mut collections: Vec<CollectionAccess>,
    ) {
        let inside = self.inside(group.id);
        add.retain(|id| !inside.contains(id));
        let members = self.sides.memberships.get(&group.id);
        others.retain(|id| !members.is_some_and(|members| members.contains(id)));
        if let Some(now) = &group.collections {
            collections.retain(|one| now.iter().all(|now| now.id != one.id));
            let missing = std::mem::take(&mut collections).into_iter();
            let changes: Vec<AccessChange> = missing
                .map(|access| AccessChange {
                    id: access.id,
                    external_id: None,
                    from: None,
                    to: Some(access),
                })
                .collect();
            if let Some(subject) = self.group_subject(group).filter(|_| !changes.is_empty()) {
                let change = CollectionsChange {
                    changes,
                    losing: vec![],
                    gaining: vec![],
                    others: vec![],
                    evidence: None,
                };
                self.change(
                    subject,
                    Action::Group(GroupAction::SetCollections(Box::new(change))),
                );
            }
        }
        self.joins.entry(group.id).or_default().extend(add);
        if !others.is_empty() || !collections.is_empty() {
            let members = others;
            self.made_again.insert(
                id,
                MadeAgain {
                    collections,
                    members,
                },
            );
        }
    }

    /// Who is in a group by external id.
    fn inside(&self, group: Uuid) -> HashSet<ExternalId> {
        let inside = self.sides.memberships.get(&group).into_iter().flatten();
        inside
            .filter_map(|member| self.final_id_of(*member))
            .collect()
    }

    pub(super) fn members_of_group(&mut self, record: &Record) {
        let Some(group) = self.group(record) else {
            return;
        };
        let Some(inside) = self.sides.memberships.get(&group.id) else {
            self.leave(record, GONE);
            return;
        };
        for person in &record.added {
            let Some(member) = self.members.find_in_group(person) else {
                continue;
            };
            if !inside.contains(&member.id) || self.leaving.contains(&member.id) {
                continue;
            }
            match self.final_id_of(member.id) {
                Some(id) => self.leaves.entry(group.id).or_default().push(id),
                None => self.leave_person(record, person, WITHOUT_ID),
            }
        }
        for one in &record.removed {
            let member = self.members.find_in_group(&one.person);
            if member.is_some_and(|member| inside.contains(&member.id)) {
                continue;
            }
            match (self.final_id(&one.person), member) {
                (Some(id), _) => {
                    let kind = one.evidence.as_ref().map(|evidence| evidence.kind);
                    self.note_evidence(&id, kind);
                    self.joins.entry(group.id).or_default().push(id);
                }
                (None, Some(_)) => self.leave_person(record, &one.person, WITHOUT_ID),
                (None, None) => {
                    self.leave_person(record, &one.person, "isn't a member any more");
                }
            }
        }
    }

    /// Whoever is invited again comes into their groups again.
    pub(super) fn groups_of_removed(&mut self, record: &Record) {
        let Some(id) = record.person.as_ref().and_then(|one| self.coming_id(one)) else {
            return;
        };
        for name in &record.groups {
            let made = ExternalId::of_member(&name.external_id);
            let made = made.is_some_and(|id| self.filled.contains(&id));
            let group = find_former_group(self.sides.content, name);
            match group {
                Some(group) if !made => self.joins.entry(group.id).or_default().push(id.clone()),
                _ if made => {}
                _ => {
                    let why = format!("group {} isn't there any more", name.name);
                    self.leave(record, why);
                }
            }
        }
    }

    fn coming_id(&self, person: &Person) -> Option<ExternalId> {
        let id = ExternalId::of_member(person.external_id.as_deref()?)?;
        // An undo that was stopped invited them, and didn't get as far as their groups.
        let is_back = || {
            let later = self.selected.later.of(person);
            later.is_some_and(|later| later.is_undo && later.action == Kind::Invite)
                && self.members.with_external_id(id.as_str()).is_some()
        };
        (self.coming.contains(&id) || is_back()).then_some(id)
    }

    /// One change for each group that somebody comes into or leaves.
    pub(super) fn update_groups(&mut self) {
        let mut joins = std::mem::take(&mut self.joins);
        let mut leaves = std::mem::take(&mut self.leaves);
        let deleted: HashSet<Uuid> = self
            .changes
            .iter()
            .filter(|change| matches!(change.group(), Some(GroupAction::Delete(_))))
            .filter_map(|change| change.subject.id)
            .collect();
        let removed: HashSet<&ExternalId> = self
            .changes
            .iter()
            .filter(|change| matches!(change.member(), Some(MemberAction::Remove { .. })))
            .map(|change| change.external_id())
            .collect();
        let groups: std::collections::BTreeSet<Uuid> =
            joins.keys().chain(leaves.keys()).copied().collect();
        let (mut changes, mut without_id) = (vec![], vec![]);
        for id in groups.difference(&deleted.into_iter().collect()) {
            let groups = &self.sides.content.groups;
            let group = groups.iter().find(|group| group.id == *id);
            let inside = self.sides.memberships.get(id);
            let (Some(group), Some(inside)) = (group, inside) else {
                continue;
            };
            let Some(subject) = self.group_subject(group) else {
                let moved = joins.remove(id).unwrap_or_default().len()
                    + leaves.remove(id).unwrap_or_default().len();
                without_id.push((group.name.clone(), moved));
                continue;
            };
            let mut add = joins.remove(id).unwrap_or_default();
            add.sort_unstable();
            add.dedup();
            let gone: HashSet<ExternalId> =
                leaves.remove(id).unwrap_or_default().into_iter().collect();
            let (mut keep, mut remove, mut unmanaged) = (vec![], vec![], vec![]);
            for member in inside {
                match self.final_id_of(*member) {
                    Some(id) if gone.contains(&id) => remove.push(RemovedMember {
                        external_id: id,
                        evidence: self.evidence(),
                    }),
                    // They leave it by being removed.
                    Some(id) if removed.contains(&id) => {}
                    Some(id) => keep.push(id),
                    None => unmanaged.push(*member),
                }
            }
            keep.sort_unstable();
            unmanaged.sort_unstable();
            remove.sort_by(|a, b| a.external_id.cmp(&b.external_id));
            add.retain(|id| keep.binary_search(id).is_err());
            let again = self.made_again.contains_key(&subject.external_id);
            if add.is_empty() && remove.is_empty() && !again {
                continue;
            }
            let update = Update {
                add,
                remove,
                keep,
                unmanaged: Some(unmanaged),
            };
            changes.push((
                subject,
                Action::Group(GroupAction::Update(Box::new(update))),
            ));
        }
        drop(removed);
        for (group, moved) in without_id.into_iter().filter(|(_, moved)| *moved > 0) {
            self.left.push(Left {
                action: Kind::UpdateGroup,
                what: group.to_string(),
                why: format!(
                    "has no external id any more: take the people out in Bitwarden, or put them in ({moved})"
                ),
            });
        }
        for (subject, action) in changes {
            self.change(subject, action);
        }
    }
}

/// Whether a group gives the access that a run gave it, or none where it gave none.
fn same(now: &[CollectionAccess], given: Option<&[CollectionAccess]>) -> bool {
    let sorted = |access: &[CollectionAccess]| {
        let mut access = access.to_vec();
        access.sort_unstable();
        access
    };
    sorted(now) == sorted(given.unwrap_or_default())
}
