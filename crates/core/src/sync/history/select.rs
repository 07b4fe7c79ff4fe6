//! Which records somebody asks for.

use jiff::Timestamp;

use super::{GroupName, Person, Record};

/// Which records somebody asks for; by default all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// About this person: email, external id or id in Bitwarden, or a part of the email.
    pub person: Option<String>,
    /// About this group: name, external id or id in Bitwarden, or a part of the name.
    pub group: Option<String>,
    /// Of this run, or of one whose id begins so.
    pub run: Option<String>,
    /// Not older.
    pub since: Option<Timestamp>,
    /// Of this resource, as `namespace/name`. Records that name none are of it.
    pub directory_sync: Option<String>,
}

impl Selection {
    /// The records that are asked for, the newest run first, each run's in their order.
    pub fn of(&self, records: impl IntoIterator<Item = Record>) -> Vec<Record> {
        let records = records.into_iter();
        let mut found: Vec<Record> = records.filter_map(|record| self.select(record)).collect();
        let mut began: Vec<(super::RunId, Timestamp)> = vec![];
        for record in &found {
            match began.iter_mut().find(|(run, _)| *run == record.run) {
                Some((_, time)) => *time = (*time).min(record.time),
                None => began.push((record.run.clone(), record.time)),
            }
        }
        let began: std::collections::HashMap<_, _> = began.into_iter().collect();
        found.sort_by(|a, b| {
            let newest = began.get(&b.run).cmp(&began.get(&a.run));
            newest
                .then_with(|| a.run.cmp(&b.run))
                .then_with(|| a.number.cmp(&b.number))
        });
        found
    }

    /// The record, where it is asked for. Of who came into and left groups only the person who is asked
    /// for is in it.
    fn select(&self, mut record: Record) -> Option<Record> {
        let is_of = |wanted: &Option<String>, actual: &Option<Box<str>>| match (wanted, actual) {
            (Some(wanted), Some(actual)) => **wanted == **actual,
            _ => true,
        };
        let run = self.run.as_ref();
        if self.since.is_some_and(|since| record.time < since)
            || run.is_some_and(|run| !record.run.as_str().starts_with(run.as_str()))
            || !is_of(&self.directory_sync, &record.directory_sync)
        {
            return None;
        }
        if let Some(wanted) = &self.group {
            let own = record.group.iter().chain(&record.groups);
            own.into_iter().find(|group| is_group(group, wanted))?;
        }
        if let Some(wanted) = &self.person {
            record.added.retain(|person| is_person(person, wanted));
            record.removed.retain(|one| is_person(&one.person, wanted));
            let own = record.person.as_ref();
            let is_own = own.is_some_and(|person| is_person(person, wanted))
                || record
                    .from
                    .as_deref()
                    .is_some_and(|from| own.is_some() && from == wanted);
            if !is_own && record.added.is_empty() && record.removed.is_empty() {
                return None;
            }
        }
        Some(record)
    }
}

fn is_person(person: &Person, wanted: &str) -> bool {
    let id = person.member_id.map(|id| id.to_string());
    contains(person.email.as_deref(), wanted)
        || person.external_id.as_deref() == Some(wanted)
        || id.as_deref() == Some(wanted)
}

fn is_group(group: &GroupName, wanted: &str) -> bool {
    let id = group.group_id.map(|id| id.to_string());
    contains(Some(&group.name), wanted)
        || *group.external_id == *wanted
        || id.as_deref() == Some(wanted)
}

fn contains(text: Option<&str>, part: &str) -> bool {
    text.is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase()))
}
