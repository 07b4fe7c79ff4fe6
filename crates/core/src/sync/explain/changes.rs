//! What earlier runs did about whom was asked for, by the records of the history.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Explanation, Group, LastChange, NotFound, Person, shown};
use crate::organization::collection::describe_access;
use crate::sync::history::{GroupName, Outcome, Person as Member, Record, RecordedEvidence};
use crate::sync::plan::Kind;

/// So many changes of one person or group are told: the history has all that are kept.
const CHANGES_MAX: usize = 10;

impl Explanation {
    /// Adds the last changes about whom was asked for, the newest first. Where neither side has anybody of
    /// that name, those about whoever had it.
    pub fn add_changes(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut subjects: Vec<(Subject, Newest, &mut Vec<LastChange>)> = vec![];
        let mut add = |subject, told| subjects.push((subject, vec![], told));
        for person in &mut self.people {
            add(Subject::of_person(person), &mut person.last_changes);
        }
        for group in &mut self.groups {
            add(Subject::of_group(group), &mut group.last_changes);
        }
        if let Some(NotFound { last_changes, .. }) = &mut self.not_found {
            add(Subject::of_name(&self.asked), last_changes);
        }
        for record in records {
            for (subject, newest, _) in &mut subjects {
                let Some(what) = subject.what(&record) else {
                    continue;
                };
                newest.push(((record.time, record.number), change(&record, what)));
                // Most histories are sorted already, so this is cheap.
                newest.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
                newest.truncate(CHANGES_MAX);
            }
        }
        for (_, newest, told) in subjects {
            *told = newest.into_iter().map(|(_, change)| change).collect();
        }
    }
}

/// Changes with the time and number of their records.
type Newest = Vec<((Timestamp, u32), LastChange)>;

/// By what a record is about somebody or a group. All texts are in lower case.
#[derive(Default)]
struct Subject {
    /// External ids and ids of the organization.
    ids: HashSet<String>,
    emails: HashSet<String>,
    /// The name of a group that isn't known by an id.
    name: Option<String>,
}

impl Subject {
    fn of_person(person: &Person) -> Self {
        let members = || person.members.iter();
        let ids = members().filter_map(|member| member.id.as_ref());
        let emails = members().map(|member| &member.email);
        let own = person.entry.iter().filter_map(|entry| entry.email.as_ref());
        Self {
            ids: lower(ids.chain(&person.external_ids)),
            emails: lower(emails.chain(own)),
            name: None,
        }
    }

    fn of_group(group: &Group) -> Self {
        let there = group.organization.iter();
        let ids = there.filter_map(|there| there.id.as_ref());
        Self {
            ids: lower(ids.chain(&group.external_id)),
            ..Self::default()
        }
    }

    fn of_name(name: &str) -> Self {
        let name = name.to_lowercase();
        Self {
            ids: [name.clone()].into(),
            emails: [name.clone()].into(),
            name: Some(name),
        }
    }

    fn is(&self, person: &Member) -> bool {
        let member_id = person.member_id.map(|id| id.to_string());
        let ids = person.external_id.as_deref().into_iter();
        let mut ids = ids.chain(member_id.as_deref());
        ids.any(|id| self.ids.contains(&id.to_lowercase()))
            || (person.email.as_ref())
                .is_some_and(|email| self.emails.contains(&email.to_lowercase()))
    }

    fn is_group(&self, group: &GroupName) -> bool {
        let group_id = group.group_id.map(|id| id.to_string());
        let mut ids = [Some(&*group.external_id), group_id.as_deref()]
            .into_iter()
            .flatten();
        ids.any(|id| self.ids.contains(&id.to_lowercase()))
            || (self.name.as_ref()).is_some_and(|name| *name == group.name.to_lowercase())
    }

    /// What a record says that was done about them, and why; `None` where it is about others.
    fn what(&self, record: &Record) -> Option<(String, String)> {
        let reason = || match &record.evidence {
            Some(evidence) => shown(&evidence.detail),
            None => record.reason.describe().to_owned(),
        };
        if record.person.as_ref().is_some_and(|person| self.is(person)) {
            return Some((of_member(record), reason()));
        }
        let group = record.group.as_ref()?;
        if self.is_group(group) {
            return Some((of_group(record), reason()));
        }
        let name = shown(&group.name);
        if record.added.iter().any(|person| self.is(person)) {
            let created = match record.action {
                Kind::CreateGroup => ", which was created",
                _ => "",
            };
            return Some((
                format!("added to group {name}{created}"),
                "in the directory's group".to_owned(),
            ));
        }
        let left = record.removed.iter().find(|one| self.is(&one.person))?;
        let detail = |evidence: &RecordedEvidence| shown(&evidence.detail);
        Some(match record.action {
            Kind::DeleteGroup => (format!("lost group {name}, which was deleted"), reason()),
            _ => (
                format!("removed from group {name}"),
                left.evidence.as_ref().map_or_else(reason, detail),
            ),
        })
    }
}

fn lower<'a>(texts: impl IntoIterator<Item = &'a String>) -> HashSet<String> {
    texts.into_iter().map(|text| text.to_lowercase()).collect()
}

fn of_member(record: &Record) -> String {
    let from = record.from.as_deref().map(shown);
    if let Some(role) = &record.role {
        let was = shown(&role.from.to_string());
        return format!("given the role {} in place of {was}", role.describe());
    }
    match (record.action, from) {
        (Kind::Invite, None) => "invited".to_owned(),
        (Kind::Invite, Some(from)) => {
            format!("invited, in place of the open invitation to {from}")
        }
        (Kind::Link, _) => "linked to the directory's ID".to_owned(),
        (Kind::Unlink, _) => "the external ID was taken out; not managed since".to_owned(),
        (_, Some(from)) => format!("linked to the directory's ID, in place of {from}"),
        (Kind::Restore, None) => "access restored".to_owned(),
        (Kind::Reinvite, None) => record.invitation_sent_again(),
        (Kind::Revoke, None) => "access revoked".to_owned(),
        (Kind::Remove, None) if record.withdrew_invitation() => "invitation withdrawn".to_owned(),
        (Kind::Remove, None) => "removed from the organization".to_owned(),
        (kind, None) => kind.name().to_owned(),
    }
}

fn of_group(record: &Record) -> String {
    let from = record.from.as_deref().map(shown).unwrap_or_default();
    let came = record.added.len() + record.more as usize;
    match record.action {
        Kind::CreateGroup => format!("created with {}", super::find::plural(came, "member")),
        Kind::UpdateGroup => format!(
            "added {}, removed {}",
            super::find::plural(came, "member"),
            super::find::plural(record.removed.len(), "member")
        ),
        Kind::DeleteGroup => "deleted".to_owned(),
        Kind::SetCollections => {
            format!("access to collections: {}", describe_access(&record.access))
        }
        Kind::RenameGroup => format!("renamed; it was {from}"),
        Kind::UnlinkGroup => "the external ID was taken out; not managed since".to_owned(),
        Kind::RelinkGroup if from.is_empty() => "linked to the directory's ID".to_owned(),
        Kind::RelinkGroup => format!("linked to the directory's ID, in place of {from}"),
        kind => kind.name().to_owned(),
    }
}

fn change(record: &Record, (what, why): (String, String)) -> LastChange {
    let answer = record.answer.as_deref().map(shown).unwrap_or_default();
    let with_answer = |text: &str| match answer.is_empty() {
        true => text.to_owned(),
        false => format!("{text}: {answer}"),
    };
    LastChange {
        at: record.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        run: shown(record.run.as_str()),
        trigger: record.trigger.describe().to_owned(),
        what,
        why,
        approved: record.approval.as_ref().map(|approval| {
            let hold = approval.hold.as_ref().map(|hold| shown(&hold.0));
            let by = approval.by.as_deref().map(|by| format!("by {}", shown(by)));
            let parts: Vec<String> = hold.into_iter().chain(by).collect();
            match parts.is_empty() {
                true => "approved".to_owned(),
                false => format!("approved: {}", parts.join(" ")),
            }
        }),
        result: match record.result {
            Outcome::Done => None,
            Outcome::Pending => Some("not known yet whether it was made".to_owned()),
            Outcome::Refused => Some(with_answer("refused")),
            Outcome::NotApplied => Some("accepted, and not seen afterwards".to_owned()),
            Outcome::Unknown => Some(with_answer("unknown whether it was made")),
            Outcome::Partly => {
                Some("the invitation before was withdrawn, the new one wasn't sent".to_owned())
            }
            Outcome::NotMade => Some("not made".to_owned()),
        },
    }
}
