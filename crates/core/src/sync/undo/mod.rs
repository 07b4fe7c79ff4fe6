//! Takes back what an earlier run did, by its records in the history.
//!
//! What comes of it is a [`Plan`] like any other: the guard looks at it, it is shown, applied and recorded.
//! Only what is still as the run left it is taken back. What isn't, and what can't be taken back at all, is
//! named ([`Left`]).

mod adoption;
mod document;
mod draft;
mod groups;
mod people;
mod present;
mod select;

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use document::{Row, UndoDocument};
pub use select::{NoSuchRun, RunChoice, Scope, Selected, select};

use crate::organization::model::Content;
use crate::sync::guard::{Digest, GuardedPlan};
use crate::sync::hash::truncated;
use crate::sync::history::{CollectionAccess, Outcome, Record};
use crate::sync::ledger::Ledger;
use crate::sync::plan::{Change, GroupAction, Kind, MemberAction, Plan};
use crate::sync::policy::Policy;

/// Something that an undo doesn't take back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// What the run did.
    pub action: Kind,
    /// Whom or what it is about: an email or a name.
    pub what: String,
    /// Why it stays, and what a person can do.
    pub why: String,
}

/// What takes back a run.
#[derive(Debug)]
pub struct Undo {
    /// The changes; not guarded yet.
    pub plan: Plan,
    /// What stays as it is.
    pub left: Vec<Left>,
}

/// What an undo goes by.
#[derive(Debug)]
pub struct Sides<'a> {
    /// The members and groups now.
    pub content: &'a Content,
    /// Who is in the groups of [`groups_to_read`].
    pub memberships: &'a HashMap<Uuid, Vec<Uuid>>,
    /// To which collections the groups of [`groups_to_delete`] give access.
    pub collections: &'a HashMap<Uuid, Vec<CollectionAccess>>,
    /// What earlier runs left.
    pub ledger: &'a Ledger,
    /// The rules of the resource.
    pub policy: &'a Policy,
}

/// The groups whose members have to be known, by their ids in Bitwarden.
pub fn groups_to_read(selected: &Selected, content: &Content) -> Vec<Uuid> {
    if selected.adoption {
        // Nobody comes into a group or leaves one.
        return vec![];
    }
    let named = selected.records.iter().flat_map(|record| {
        let own = record.group.iter().filter(|_| record.person.is_none());
        own.chain(&record.groups)
    });
    let named = named.filter_map(|name| present::find_former_group(content, name));
    // Of deleted groups the one that an undo has made again.
    let deleted = selected.records.iter();
    let deleted = deleted.filter(|record| record.action == Kind::DeleteGroup);
    let deleted = deleted.filter_map(|record| record.group.as_ref());
    let again = deleted.filter_map(|name| present::by_external_id(content, &name.external_id));
    let mut found: Vec<Uuid> = named.chain(again).map(|group| group.id).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The groups that the run made, and that are to be deleted where they are still as it left them.
pub fn groups_to_delete(selected: &Selected, content: &Content) -> Vec<Uuid> {
    if selected.adoption {
        return vec![];
    }
    let made = selected.records.iter();
    let made = made.filter(|record| record.action == Kind::CreateGroup);
    let names = made.filter_map(|record| record.group.as_ref());
    names
        .filter_map(|name| present::find_group(content, name))
        .map(|group| group.id)
        .collect()
}

/// What takes the selected records back.
pub fn draft(selected: &Selected, sides: &Sides<'_>) -> Undo {
    draft::draft(selected, sides)
}

/// Records as an undo needs them: each in the latest version that is known.
pub fn merge_latest(records: &[Record], later: &[Record]) -> Vec<Record> {
    let key = |record: &Record| (record.run.clone(), record.number);
    let latest: HashMap<_, &Record> = later.iter().map(|one| (key(one), one)).collect();
    let mut merged = records.to_vec();
    for record in &mut merged {
        if let Some(latest) = latest.get(&key(record)) {
            *record = (*latest).clone();
        }
    }
    merged.retain(|record| record.result != Outcome::NotMade || is_left_of_an_undo(record));
    merged
}

/// Whether an undo was to give a former external id back, and was stopped before: the next one does it.
fn is_left_of_an_undo(record: &Record) -> bool {
    record.undoes.is_some()
        && matches!(
            record.action,
            Kind::Relink | Kind::RelinkGroup | Kind::Unlink | Kind::UnlinkGroup
        )
}

/// Identifies everything that an undo does and leaves: 32 hexadecimal digits. What was confirmed under it
/// is exactly what is done.
pub fn digest(guarded: &GuardedPlan, left: &[Left]) -> Digest {
    let plan = &*guarded.approved;
    let mut text = String::new();
    for change in &plan.changes {
        describe(&mut text, change, plan);
    }
    text.push_str("\nheld");
    for change in guarded.held.iter().flat_map(|held| &held.changes) {
        describe(&mut text, change, plan);
    }
    for one in left {
        push(&mut text, &[one.action.name(), &one.what, &one.why]);
    }
    Digest(HEXLOWER.encode(&truncated(text.as_bytes())))
}

/// Lengths before texts: no two changes read the same.
fn push(text: &mut String, parts: &[&str]) {
    text.push('\n');
    for part in parts {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
}

fn describe(text: &mut String, change: &Change, plan: &Plan) {
    let id = change.external_id();
    let server_id = change.subject.id.map(|id| id.to_string());
    let label = change.subject.label();
    let server_id = server_id.unwrap_or_default();
    push(
        text,
        &[change.kind().name(), id.as_str(), label, &server_id],
    );
    match (change.member(), change.group()) {
        (Some(MemberAction::Relink { from }), _) => push(text, &["from", from.as_str()]),
        (Some(MemberAction::Invite { staged, from }), _) => {
            let from = from.as_ref().map_or("", |from| from.as_str());
            push(text, &["from", from, if *staged { "staged" } else { "" }]);
        }
        (Some(MemberAction::SetRole(role)), _) => {
            push(
                text,
                &["role", &role.from.to_string(), &role.to.to_string()],
            );
        }
        (_, Some(GroupAction::Create { add })) => {
            add.iter()
                .for_each(|one| push(text, &["add", one.as_str()]));
        }
        (_, Some(GroupAction::Update(update))) => {
            let add = update.add.iter();
            add.for_each(|one| push(text, &["add", one.as_str()]));
            let remove = update.remove.iter();
            remove.for_each(|one| push(text, &["remove", one.external_id.as_str()]));
        }
        (_, Some(GroupAction::Delete(deletion))) => {
            let members = deletion.members.iter().flatten();
            members.for_each(|one| push(text, &["loses", one.as_str()]));
            let unmanaged = deletion.unmanaged.iter();
            unmanaged.for_each(|one| push(text, &["loses", &one.to_string()]));
        }
        (_, Some(GroupAction::Rename { from })) => push(text, &["from", from]),
        (_, Some(GroupAction::SetCollections(access))) => {
            let changes = access.changes.iter();
            changes.for_each(|one| push(text, &["access", &one.id.to_string(), &one.to_string()]));
        }
        (_, Some(GroupAction::Relink { from })) => {
            push(
                text,
                &["from", from.as_ref().map_or("", |from| from.as_str())],
            );
        }
        _ => {}
    }
    let again = plan.undoes.as_ref().and_then(|one| one.made_again.get(id));
    for access in again.iter().flat_map(|again| &again.collections) {
        let rights = format!(
            "{} {} {}",
            access.read_only, access.hide_passwords, access.manage
        );
        push(text, &["collection", &access.id.to_string(), &rights]);
    }
    for member in again.iter().flat_map(|again| &again.members) {
        push(text, &["add", &member.to_string()]);
    }
}
