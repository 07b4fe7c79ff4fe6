//! From records to the changes that take them back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::present::Members;
use super::{Left, Selected, Sides, Undo};
use crate::directory::{Evidence, ExternalId};
use crate::organization::model::MemberStatus;
use crate::sync::history::{GroupName, Outcome, Person, Record, RecordedEvidenceKind};
use crate::sync::plan::{
    Action, Change, Kind, MadeAgain, MemberAction, Names, Plan, Reason, Subject, Undoes, tally,
};

/// Changes while they are put together.
pub(super) struct Draft<'a> {
    pub selected: &'a Selected,
    pub sides: &'a Sides<'a>,
    pub members: Members<'a>,
    pub changes: Vec<Change>,
    pub left: Vec<Left>,
    /// The external ids that members get back.
    pub relinked: HashMap<Uuid, ExternalId>,
    /// The same of groups.
    pub relinked_groups: HashMap<Uuid, ExternalId>,
    /// All of these ids: nobody gets one that another one gets.
    pub given_back: HashSet<ExternalId>,
    /// The names that groups get back.
    pub renamed: HashMap<Uuid, Box<str>>,
    /// Who came by a sync, of whom the way back has seen a record.
    pub newcomers: HashSet<Uuid>,
    /// Who is invited again.
    pub coming: HashSet<ExternalId>,
    /// Whose invitation is taken back.
    pub leaving: HashSet<Uuid>,
    /// Who comes into groups, by the group.
    pub joins: BTreeMap<Uuid, Vec<ExternalId>>,
    /// Who leaves groups.
    pub leaves: BTreeMap<Uuid, Vec<ExternalId>>,
    pub made_again: HashMap<ExternalId, MadeAgain>,
    /// Deleted groups whose members come back with them.
    pub filled: HashSet<ExternalId>,
    disabled: HashSet<ExternalId>,
}

pub(super) fn draft(selected: &Selected, sides: &Sides<'_>) -> Undo {
    let mut draft = Draft {
        selected,
        sides,
        members: Members::of(sides.content),
        changes: vec![],
        left: vec![],
        relinked: HashMap::new(),
        relinked_groups: HashMap::new(),
        given_back: HashSet::new(),
        renamed: HashMap::new(),
        newcomers: HashSet::new(),
        coming: HashSet::new(),
        leaving: HashSet::new(),
        joins: BTreeMap::new(),
        leaves: BTreeMap::new(),
        made_again: HashMap::new(),
        filled: HashSet::new(),
        disabled: HashSet::new(),
    };
    let records: Vec<&Record> = selected.records.iter().collect();
    let made: Vec<&Record> = records
        .into_iter()
        .filter(|one| draft.was_made(one))
        .collect();
    let of = |kinds: &[Kind]| -> Vec<&Record> {
        let found = made.iter().filter(|record| kinds.contains(&record.action));
        found.copied().collect()
    };
    of(&[Kind::Relink])
        .into_iter()
        .for_each(|one| draft.relink(one));
    if selected.adoption {
        of(&[Kind::Link])
            .into_iter()
            .for_each(|one| draft.unlink(one));
        of(&[Kind::RelinkGroup])
            .into_iter()
            .for_each(|one| draft.relink_group(one));
        of(&[Kind::Invite, Kind::CreateGroup])
            .into_iter()
            .for_each(|one| draft.newcomer(one));
        draft.name_rest();
        return draft.finish();
    }
    let access = [Kind::Revoke, Kind::Remove, Kind::Restore, Kind::Invite];
    of(&access).into_iter().for_each(|one| draft.access(one));
    of(&[Kind::SetRole])
        .into_iter()
        .for_each(|one| draft.set_role(one));
    for mail in of(&[Kind::Reinvite]) {
        draft.leave(mail, "was sent a mail, which can't be taken back");
    }
    // By the ids that they get again, people come into groups, and groups get members.
    of(&[Kind::Unlink])
        .into_iter()
        .for_each(|one| draft.link_again(one));
    of(&[Kind::UnlinkGroup])
        .into_iter()
        .for_each(|one| draft.link_group_again(one));
    of(&[Kind::SetCollections])
        .into_iter()
        .for_each(|one| draft.set_collections(one));
    of(&[Kind::RelinkGroup])
        .into_iter()
        .for_each(|one| draft.relink_group(one));
    of(&[Kind::RenameGroup])
        .into_iter()
        .for_each(|one| draft.rename_group(one));
    of(&[Kind::CreateGroup])
        .into_iter()
        .for_each(|one| draft.delete_group(one));
    of(&[Kind::DeleteGroup])
        .into_iter()
        .for_each(|one| draft.make_group(one));
    of(&[Kind::UpdateGroup])
        .into_iter()
        .for_each(|one| draft.members_of_group(one));
    of(&[Kind::Remove])
        .into_iter()
        .for_each(|one| draft.groups_of_removed(one));
    draft.update_groups();
    // Last: by the id everything else names them.
    for link in of(&[Kind::Link]) {
        match draft.changed_later(link) {
            Some(why) => draft.leave(link, why),
            None => draft.unlink(link),
        }
    }
    draft.finish()
}

impl<'a> Draft<'a> {
    /// Whether there is anything to take back. What isn't known is named.
    fn was_made(&mut self, record: &Record) -> bool {
        if record.more > 0 {
            let more = record.more;
            let why = match record.group {
                Some(_) => format!("{more} more people came into it, whose names aren't kept"),
                None => format!("{more} more people, whose names aren't kept in the history"),
            };
            self.leave(record, why);
        }
        if record.person.is_none() && record.group.is_none() {
            return false;
        }
        let why = match record.result {
            Outcome::Done => return true,
            Outcome::Refused | Outcome::NotMade => return false,
            Outcome::NotApplied => "it was accepted, and had no effect",
            Outcome::Partly => {
                "the invitation before was withdrawn, and the next sync sends the new one"
            }
            Outcome::Pending | Outcome::Unknown => {
                "it isn't known whether it was made: run a sync, which finds out, and undo then"
            }
        };
        self.leave(record, why);
        false
    }

    pub fn leave(&mut self, record: &Record, why: impl Into<String>) {
        self.left.push(Left {
            action: record.action,
            what: record.label(),
            why: why.into(),
        });
    }

    /// Names somebody in a group who isn't moved.
    pub fn leave_person(&mut self, record: &Record, person: &Person, why: &str) {
        let group = record.group.as_ref().map_or("", |group| &group.name);
        self.left.push(Left {
            action: record.action,
            what: format!("{} in {group}", person.label()),
            why: why.to_owned(),
        });
    }

    pub fn change(&mut self, subject: Subject, action: Action) {
        self.changes.push(Change {
            subject,
            reason: Reason::Undone,
            action,
        });
    }

    pub fn member_change(&mut self, subject: Subject, action: MemberAction) {
        self.change(subject, Action::Member(action));
    }

    pub fn evidence(&self) -> Evidence {
        Evidence::Undone(Arc::from(self.selected.run.as_str()))
    }

    /// The external id that somebody has once everything is taken back, where an import can name them by
    /// it.
    pub fn final_id(&self, person: &Person) -> Option<ExternalId> {
        match self.members.find_in_group(person) {
            Some(member) => self.final_id_of(member.id),
            None => {
                let id = ExternalId::of_member(person.external_id.as_deref()?)?;
                self.coming.contains(&id).then_some(id)
            }
        }
    }

    pub fn final_id_of(&self, member: Uuid) -> Option<ExternalId> {
        if let Some(id) = self.relinked.get(&member) {
            return Some(id.clone());
        }
        self.members.name(self.members.with_id(member)?).cloned()
    }

    /// Notes that somebody lost something because their account is disabled.
    pub fn note_evidence(&mut self, id: &ExternalId, kind: Option<RecordedEvidenceKind>) {
        if kind == Some(RecordedEvidenceKind::Disabled) {
            self.disabled.insert(id.clone());
        }
    }

    /// The groups of those whose invitation is taken back, so that it can be undone in its turn.
    fn groups_that_are_left(&self) -> HashMap<ExternalId, Vec<GroupName>> {
        let mut leaves: HashMap<ExternalId, Vec<GroupName>> = HashMap::new();
        let deleted = self.changes.iter();
        let deleted = deleted.filter(|change| change.kind() == Kind::DeleteGroup);
        let deleted: HashSet<Uuid> = deleted.filter_map(|change| change.subject.id).collect();
        let groups = self.sides.content.groups.iter();
        for group in groups.filter(|group| !deleted.contains(&group.id)) {
            let inside = self.sides.memberships.get(&group.id).into_iter().flatten();
            for member in inside.filter(|member| self.leaving.contains(*member)) {
                let (Some(id), Some(of)) = (self.final_id_of(*member), &group.external_id) else {
                    continue;
                };
                leaves.entry(id).or_default().push(GroupName {
                    name: group.name.clone(),
                    external_id: of.as_str().into(),
                    group_id: Some(group.id),
                });
            }
        }
        leaves
    }

    fn finish(self) -> Undo {
        let sides = self.sides;
        let leaves = self.groups_that_are_left();
        let mut plan = Plan {
            changes: self.changes,
            undoes: Some(Undoes {
                run: self.selected.run.clone(),
                disabled: self.disabled,
                leaves,
                made_again: self.made_again,
            }),
            ..Plan::default()
        };
        plan.counts
            .count(sides.content, &sides.policy.external_id_prefix);
        plan.tally = tally(sides.content, &sides.policy.external_id_prefix);
        let revoked = sides.content.members.iter();
        let revoked = revoked.filter(|member| member.status == MemberStatus::Revoked);
        let revoked = revoked.filter_map(|one| Some((one.external_id.clone()?, one.id)));
        plan.revoked = Some(revoked.collect());
        plan.changes.sort_by(|a, b| a.order().cmp(&b.order()));
        plan.names = Names::of_members(&plan, sides.content);
        Undo {
            plan,
            left: self.left,
        }
    }
}
