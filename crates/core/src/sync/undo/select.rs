//! Which records are to be taken back.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::adoption;
use crate::sync::history::{GroupName, Outcome, Person, Record, RunId};
use crate::sync::plan::Kind;

/// Which run is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunChoice {
    /// The one whose id begins so.
    Id(String),
    /// The newest one that changed something.
    Last,
    /// All runs, as far as they gave members and groups other external ids.
    Adoption,
}

/// Which part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only what is about this person: email, external id or id in Bitwarden.
    pub person: Option<String>,
    /// Only what is about this group: name, external id or id in Bitwarden.
    pub group: Option<String>,
}

/// Why there is nothing to take back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchRun {
    /// No run of that id.
    #[error(
        "the history has no run {0}: write the ID of a run as history shows it (its first digits are \
         enough), or --last"
    )]
    Unknown(String),
    /// More than one.
    #[error("the history has several runs whose ID begins with {0}: {1}; write more digits")]
    Ambiguous(String, String),
    /// Nothing was ever changed.
    #[error("the history has no run that changed anything")]
    Empty,
    /// Nobody was given another external id.
    #[error(
        "no sync in this history gave a member or a group another external ID: there is nothing to give back"
    )]
    NotAdopted,
    /// These weren't.
    #[error("no sync in this history gave {0} another external ID: see history")]
    NotAmongAdopted(String),
    /// The run did nothing of the kind.
    #[error("run {0} did nothing to {1}: see what it did with history --run {0}")]
    NotInRun(RunId, String),
}

/// The records of one run, and what later ones did to the same people.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The run.
    pub run: RunId,
    /// When it began, by its first record.
    pub began: Timestamp,
    /// What is to be taken back, in the run's order.
    pub records: Vec<Record>,
    /// Whose access later runs changed: what they did last.
    pub(super) later: LaterChanges,
    /// Only one person's share of it.
    pub(super) of_person: bool,
    /// It is about former external ids, of all runs; `run` is the first of them.
    pub adoption: bool,
    /// Only what is about one person or group.
    pub(super) is_part: bool,
    /// All external ids that syncs gave or gave back; of an adoption.
    pub(super) given: HashSet<Box<str>>,
}

/// What later runs did to people, who may have got another external id in between.
#[derive(Debug, Clone, Default)]
pub(super) struct LaterChanges {
    by_id: HashMap<Box<str>, Later>,
    by_member: HashMap<Uuid, Later>,
}

/// What a later run did to somebody.
#[derive(Debug, Clone)]
pub(super) struct Later {
    time: Timestamp,
    pub run: RunId,
    pub action: Kind,
    /// Whether that run took this one back.
    pub is_undo: bool,
}

/// Finds the records of a run. `directory_sync` is the resource as `namespace/name` where one file has the
/// records of several.
///
/// # Errors
/// Where there is no such run, and where it did nothing to whom or what is asked for.
pub fn select(
    records: &[Record],
    choice: &RunChoice,
    scope: &Scope,
    directory_sync: Option<&str>,
) -> Result<Selected, NoSuchRun> {
    let is_own = |record: &&Record| match (&record.directory_sync, directory_sync) {
        (Some(of), Some(wanted)) => **of == *wanted,
        _ => true,
    };
    let own: Vec<&Record> = records.iter().filter(is_own).collect();
    let run = match choice {
        RunChoice::Adoption => return adoption::select(&own, scope),
        RunChoice::Last => last_run(&own)?,
        RunChoice::Id(text) => find_run(&own, text)?,
    };
    let of_run = || own.iter().filter(|record| record.run == run);
    let began = of_run().map(|record| record.time).min();
    let began = began.ok_or(NoSuchRun::Empty)?;
    let mut found: Vec<Record> = of_run().filter_map(|record| scope.of(record)).collect();
    found.sort_by_key(|record| record.number);
    if found.is_empty() {
        let whom = scope.person.iter().chain(&scope.group);
        let whom: Vec<&str> = whom.map(String::as_str).collect();
        return Err(NoSuchRun::NotInRun(run, whom.join(" and ")));
    }
    let mut later = LaterChanges::default();
    for record in &own {
        let is_access = matches!(
            record.action,
            Kind::Revoke | Kind::Restore | Kind::Remove | Kind::Invite
        );
        if record.run == run || record.result != Outcome::Done || !is_access || record.time < began
        {
            continue;
        }
        let Some(person) = &record.person else {
            continue;
        };
        let change = Later {
            time: record.time,
            run: record.run.clone(),
            action: record.action,
            is_undo: record.undoes.as_ref() == Some(&run),
        };
        later.add(person, &change);
    }
    Ok(Selected {
        run,
        began,
        records: found,
        later,
        of_person: scope.person.is_some(),
        adoption: false,
        is_part: *scope != Scope::default(),
        given: HashSet::new(),
    })
}

impl LaterChanges {
    fn add(&mut self, person: &Person, change: &Later) {
        if let Some(id) = &person.external_id {
            let known = self.by_id.entry(id.clone());
            known.or_insert_with(|| change.clone()).update(change);
        }
        if let Some(member) = person.member_id {
            let known = self.by_member.entry(member);
            known.or_insert_with(|| change.clone()).update(change);
        }
    }

    /// What was done last to somebody.
    pub(super) fn of(&self, person: &Person) -> Option<&Later> {
        let id = person.external_id.as_ref();
        let by_id = id.and_then(|id| self.by_id.get(id));
        let by_member = person.member_id.and_then(|id| self.by_member.get(&id));
        let known = by_id.into_iter().chain(by_member);
        known.max_by_key(|change| change.time)
    }
}

impl Later {
    fn update(&mut self, change: &Self) {
        if self.time < change.time {
            *self = change.clone();
        }
    }
}

fn last_run(records: &[&Record]) -> Result<RunId, NoSuchRun> {
    let made = records
        .iter()
        .filter(|one| !matches!(one.result, Outcome::Refused | Outcome::NotMade));
    let mut began: HashMap<&RunId, Timestamp> = HashMap::new();
    for record in made {
        let time = began.entry(&record.run).or_insert(record.time);
        *time = (*time).min(record.time);
    }
    let last = began
        .into_iter()
        .max_by_key(|(run, time)| (*time, (*run).clone()));
    last.map(|(run, _)| run.clone()).ok_or(NoSuchRun::Empty)
}

fn find_run(records: &[&Record], text: &str) -> Result<RunId, NoSuchRun> {
    let text = text.trim().to_lowercase();
    let mut runs: Vec<&RunId> = records.iter().map(|record| &record.run).collect();
    runs.sort_unstable();
    runs.dedup();
    runs.retain(|run| !text.is_empty() && run.as_str().starts_with(&text));
    match runs.as_slice() {
        [] => Err(NoSuchRun::Unknown(text)),
        [run] => Ok((*run).clone()),
        several => {
            let ids: Vec<&str> = several.iter().map(|run| run.as_str()).collect();
            Err(NoSuchRun::Ambiguous(text, ids.join(", ")))
        }
    }
}

impl Scope {
    /// The part of a record that is asked for.
    pub(super) fn of(&self, record: &Record) -> Option<Record> {
        let mut record = record.clone();
        if let Some(wanted) = &self.group {
            let group = record.group.as_ref();
            group.filter(|group| is_group(group, wanted))?;
        }
        if let Some(wanted) = &self.person {
            let is_own = record
                .person
                .as_ref()
                .is_some_and(|one| is_person(one, wanted));
            record.added.retain(|one| is_person(one, wanted));
            record.removed.retain(|one| is_person(&one.person, wanted));
            record.more = 0;
            if !is_own && record.added.is_empty() && record.removed.is_empty() {
                return None;
            }
        }
        Some(record)
    }
}

fn is_person(person: &Person, wanted: &str) -> bool {
    let id = person.member_id.map(|id| id.to_string());
    let email = person.email.as_deref();
    email.is_some_and(|email| email.eq_ignore_ascii_case(wanted))
        || person.external_id.as_deref() == Some(wanted)
        || id.as_deref() == Some(wanted)
}

fn is_group(group: &GroupName, wanted: &str) -> bool {
    let id = group.group_id.map(|id| id.to_string());
    *group.name == *wanted || *group.external_id == *wanted || id.as_deref() == Some(wanted)
}
