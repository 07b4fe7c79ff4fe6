//! An undo as it is shown, on a terminal, on a page and as JSON.

use std::collections::HashMap;
use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Left;
use crate::directory::{Email, ExternalId};
use crate::organization::collection::{AccessChange, describe_access};
use crate::organization::role::AccessRole;
use crate::sync::guard::{Digest, GuardedPlan};
use crate::sync::hash::truncated;
use crate::sync::history::{INDENT, RunId, wrap, wrap_at};
use crate::sync::ledger::UNDONE_MAX;
use crate::sync::plan::{Change, GroupAction, Kind, MemberAction, Plan};
use crate::text::{plain, sanitize};

/// Everything that an undo would do, and everything that it would leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndoDocument {
    /// The run that is taken back.
    pub run: RunId,
    /// When it began.
    pub began: Timestamp,
    /// Former external ids are given back, of all runs from that one on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub adoption: bool,
    /// Identifies all of this: what is confirmed under it is exactly what is done.
    pub digest: Digest,
    /// What is done.
    pub changes: Vec<Row>,
    /// So many more members and groups get their former external id back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
    /// How many get which former external id back, of all changes; where that is what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_ids: Option<FormerIds>,
    /// What the resource's limits hold back.
    #[serde(default)]
    pub held: Vec<Row>,
    /// Why that is held.
    #[serde(default)]
    pub held_because: Vec<String>,
    /// What lets it go ahead, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_digest: Option<Digest>,
    /// What stays as it is.
    pub left: Vec<Left>,
    /// So many more stay as they are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_left: usize,
    /// What can't be done as it should: no seats, say.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// How many members and groups get former external ids back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormerIds {
    /// Members who get another one back.
    pub members: usize,
    /// Groups that do.
    pub groups: usize,
    /// Members who have none then, as before.
    pub members_without: usize,
    /// Groups that have none then.
    pub groups_without: usize,
}

impl FormerIds {
    fn of<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Self {
        let mut all = Self::default();
        for kind in kinds {
            match kind {
                Kind::RelinkGroup => all.groups += 1,
                Kind::Unlink => all.members_without += 1,
                Kind::UnlinkGroup => all.groups_without += 1,
                _ => all.members += 1,
            }
        }
        all
    }

    /// In one line or two.
    fn describe(self) -> Vec<String> {
        let who = |members: usize, groups: usize| {
            let of = |count: usize, what: &str| match count {
                1 => format!("1 {what}"),
                _ => format!("{count} {what}s"),
            };
            let text = match (members, groups) {
                (members, 0) => of(members, "member"),
                (0, groups) => of(groups, "group"),
                (members, groups) => {
                    format!("{} and {}", of(members, "member"), of(groups, "group"))
                }
            };
            (text, members + groups)
        };
        let mut lines = vec![];
        let (back, count) = who(self.members, self.groups);
        if count > 0 {
            let get = if count == 1 { "gets" } else { "get" };
            lines.push(format!(
                "{back} {get} the former external ID back; nobody loses or gains anything"
            ));
        }
        let (without, none) = who(self.members_without, self.groups_without);
        if none > 0 {
            let have = if none == 1 { "has" } else { "have" };
            lines.push(format!(
                "{without} {have} none again: a sync gave the first one; nobody loses or gains anything"
            ));
        }
        lines
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// So many are named where former ids are given back: nobody loses or gains anything by it.
const NAMED_MAX: usize = 20;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What is done.
    pub action: Kind,
    /// The email of a person, the name of a group.
    pub what: String,
    /// The external id, as it is afterwards.
    pub external_id: String,
    /// The name, address, external id or role that goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The role that a member gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What changes of a group's access to collections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<AccessChange>,
    /// Who comes into the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Who leaves the group, or loses it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// The collections to which a group that is made again gives access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<Uuid>,
}

impl UndoDocument {
    /// The document of a guarded undo.
    pub fn new(
        (run, began, adoption): (&RunId, Timestamp, bool),
        guarded: &GuardedPlan,
        left: &[Left],
        digest: &Digest,
    ) -> Self {
        let plan = &*guarded.approved;
        let held = guarded.held.as_ref();
        let all = plan.changes.iter();
        let all = all.chain(held.into_iter().flat_map(|held| &held.changes));
        let emails = all.filter_map(|one| Some((one.external_id(), one.subject.email()?)));
        let emails: HashMap<&ExternalId, &Email> = emails.collect();
        let row = |change: &Change| Row::new(change, plan, &emails);
        let rows = |changes: &[Change]| {
            let mut rows: Vec<Row> = changes.iter().map(row).collect();
            for same in rows.chunk_by_mut(|a, b| a.action == b.action) {
                same.sort_by(|a, b| a.what.cmp(&b.what));
            }
            rows
        };
        Self {
            run: run.clone(),
            began,
            adoption,
            digest: digest.clone(),
            changes: rows(&plan.changes),
            more: 0,
            former_ids: adoption.then(|| {
                let kinds: Vec<Kind> = plan.changes.iter().map(Change::kind).collect();
                FormerIds::of(kinds.iter())
            }),
            held: held.map(|held| rows(&held.changes)).unwrap_or_default(),
            held_because: held
                .map(|held| held.reasons().collect())
                .unwrap_or_default(),
            held_digest: held.map(|held| held.hold.id.clone()),
            left: left.to_vec(),
            more_left: 0,
            problems: plan
                .problems
                .iter()
                .map(|one| one.message.clone())
                .collect(),
        }
    }

    /// Identifies all that it shows, by which a person confirms it: 32 hexadecimal digits. Whoever can put
    /// another text in its place on the way gets that confirmed, and nothing is done.
    pub fn confirmation(&self) -> Digest {
        let text = serde_json::to_vec(self).expect("it is made of texts, numbers and lists");
        Digest(HEXLOWER.encode(&truncated(&text)))
    }

    /// How many people are invited.
    pub fn invited(&self) -> usize {
        let invited = self.changes.iter().filter(|row| row.action == Kind::Invite);
        invited.count()
    }

    /// How many changes there are.
    pub fn count(&self) -> usize {
        self.changes.len() + self.more
    }

    /// The same with at most so many rows of a kind, where nobody loses or gains anything by what is left out.
    pub fn shortened(mut self, rows: usize) -> Self {
        if self.adoption {
            self.more += self.changes.len().saturating_sub(rows);
            self.changes.truncate(rows);
            self.more_left += self.left.len().saturating_sub(rows);
            self.left.truncate(rows);
        }
        self
    }

    /// How many members and groups get their former external id back; an operator of an earlier version
    /// doesn't say.
    fn former_ids(&self) -> FormerIds {
        let of_rows = || {
            let all = FormerIds::of(self.changes.iter().map(|row| &row.action));
            FormerIds {
                members: all.members + self.more,
                ..all
            }
        };
        self.former_ids.unwrap_or_else(of_rows)
    }

    /// What having no external id means for members.
    fn note_of_given_back(&self) -> Option<String> {
        let is_back = |row: &Row| match row.action {
            Kind::SetRole => row.role.as_deref() != Some(AccessRole::User.to_string().as_str()),
            Kind::SetCollections => row.access.iter().any(|one| one.to.is_some()),
            _ => false,
        };
        self.changes.iter().any(is_back).then(|| {
            "A role or access that is given back is held only as long as a rule asks for another. Where none \
             does, it stays, and the problem AccessKept names it."
                .to_owned()
        })
    }

    fn note_of_unlinked(&self) -> Option<String> {
        let unlinked = self.changes.iter().filter(|row| row.action == Kind::Unlink);
        let unlinked = match self.former_ids {
            // Of many changes the first are listed.
            Some(all) => all.members_without,
            None => unlinked.count(),
        };
        (unlinked > 0).then(|| {
            "Afterwards no sync takes access away from those who are unlinked, not even where their account is \
             disabled, until they are linked again."
                .to_owned()
        })
    }

    /// For a terminal of 80 columns. Everything is in it: nobody confirms what they haven't seen.
    pub fn to_text(&self, object: &str) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = writeln!(
            text,
            "{object}: {} {} ({})",
            if self.adoption {
                "former external IDs\n  of before run"
            } else {
                "undo of run"
            },
            self.run,
            self.began.strftime("%Y-%m-%d %H:%M:%SZ")
        );
        if self.changes.is_empty() && !self.held.is_empty() {
            text.push_str("\nnothing of it goes ahead\n");
        } else if self.changes.is_empty() {
            text.push_str(match self.adoption {
                true => "\nnothing is left to give back\n",
                false => "\nnothing is left to take back\n",
            });
        } else if self.adoption {
            text.push_str("\nwould change:\n");
            let lines = self.former_ids().describe();
            lines.iter().for_each(|one| line(&mut text, one));
            let shown = self.changes.iter().take(NAMED_MAX);
            shown.for_each(|row| row.show(&mut text));
            more(&mut text, self.count().saturating_sub(NAMED_MAX));
        } else {
            text.push_str("\nwould change:\n");
            self.changes.iter().for_each(|row| row.show(&mut text));
        }
        if !self.held.is_empty() {
            text.push_str("\nheld back:\n");
            for why in &self.held_because {
                line(&mut text, &plain(why));
            }
            self.held.iter().for_each(|row| row.show(&mut text));
            if let Some(digest) = &self.held_digest {
                line(
                    &mut text,
                    &format!("to let it go ahead, too: --approve {digest}"),
                );
            }
        }
        if !self.left.is_empty() {
            text.push_str("\nstays as it is:\n");
            let shown = if self.adoption {
                NAMED_MAX
            } else {
                self.left.len()
            };
            for one in self.left.iter().take(shown) {
                let (what, why) = (sanitize(&one.what), plain(&one.why));
                wrap(&mut text, &start(one.done()), &format!("{what}: {why}"));
            }
            let left = self.left.len() + self.more_left;
            more(&mut text, left.saturating_sub(shown));
        }
        if !self.problems.is_empty() {
            text.push_str("\nproblems:\n");
            self.problems
                .iter()
                .for_each(|one| line(&mut text, &plain(one)));
        }
        for note in self.notes() {
            text.push('\n');
            line(&mut text, &note);
        }
        text
    }

    /// What has to be known before it is confirmed.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![];
        match self.invited() {
            0 => {}
            invited => {
                let people = match invited {
                    1 => "1 person is".to_owned(),
                    many => format!("{many} people are"),
                };
                notes.push(format!(
                    "{people} invited: a new member, who has to accept, and be confirmed. Access that was \
                     given to the former member by hand, and a role other than user, don't come back."
                ));
            }
        }
        let restored = self
            .changes
            .iter()
            .filter(|row| row.action == Kind::Restore);
        let given = restored.count() + self.invited();
        if given > 0 {
            notes.push(format!(
                "{given} {} access; onboarding.limit doesn't hold that back.",
                if given == 1 {
                    "person gets"
                } else {
                    "people get"
                }
            ));
        }
        if self.count() > UNDONE_MAX {
            notes.push(
                "So much isn't kept by name: afterwards every sync holds everything, until it is approved."
                    .to_owned(),
            );
        } else if !self.changes.is_empty() {
            notes.push(
                "A sync doesn't do again by itself what is taken back: it is held until the directory \
                 doesn't ask for it any more, or somebody approves it."
                    .to_owned(),
            );
        }
        notes.extend(self.note_of_given_back());
        notes.extend(self.note_of_unlinked());
        if self.adoption && !self.changes.is_empty() {
            notes.push(
                "Set mode: Preview, or delete the resource, before the former program runs again: two that \
                 fill one organization undo each other's work."
                    .to_owned(),
            );
        }
        notes
    }
}

fn more(text: &mut String, count: usize) {
    if count > 0 {
        line(text, &format!("… and {} more", count));
    }
}

fn line(text: &mut String, line: &str) {
    wrap_at(text, 4, "  ", line);
}

fn start(verb: &str) -> String {
    format!("  {verb:<width$}", width = INDENT - 2)
}

impl Left {
    /// What the run did, in a word or two.
    pub fn done(&self) -> &'static str {
        match self.action {
            Kind::Invite => "invited",
            Kind::Link => "linked",
            Kind::Relink | Kind::RelinkGroup => "re-linked",
            Kind::Restore => "restored",
            Kind::Reinvite => "invited again",
            Kind::Revoke => "revoked",
            Kind::Remove => "removed",
            Kind::CreateGroup => "group made",
            Kind::RenameGroup => "renamed",
            Kind::UpdateGroup => "group",
            Kind::DeleteGroup => "group deleted",
            Kind::SetRole => "role changed",
            Kind::SetCollections => "access",
            Kind::Unlink | Kind::UnlinkGroup => "unlinked",
        }
    }
}

/// What an undo does, in a word or two.
fn to_do(kind: Kind) -> &'static str {
    match kind {
        Kind::Invite => "invite",
        Kind::Link => "link",
        Kind::Relink => "re-link",
        Kind::RelinkGroup => "re-link group",
        Kind::Restore => "restore",
        Kind::Reinvite => "invite again",
        Kind::Revoke => "revoke",
        Kind::Remove => "remove",
        Kind::CreateGroup => "make group",
        Kind::RenameGroup => "rename",
        Kind::UpdateGroup => "group",
        Kind::DeleteGroup => "delete group",
        Kind::SetRole => "set role",
        Kind::SetCollections => "set access",
        Kind::Unlink => "unlink",
        Kind::UnlinkGroup => "unlink group",
    }
}

impl Row {
    /// `emails` are those of the people whom other changes are about.
    fn new(change: &Change, plan: &Plan, emails: &HashMap<&ExternalId, &Email>) -> Self {
        let label = |id: &ExternalId| {
            let own = emails.get(id).copied();
            let email = own.or_else(|| plan.names.email(id)).map(Email::as_str);
            email.unwrap_or(id.as_str()).to_owned()
        };
        let member = |id: &Uuid| match plan.names.unmanaged(id) {
            Some(email) => email.as_str().to_owned(),
            None => format!("member {id}"),
        };
        let mut row = Self {
            action: change.kind(),
            what: change.subject.label().to_owned(),
            external_id: change.external_id().as_str().to_owned(),
            from: None,
            role: None,
            access: vec![],
            add: vec![],
            remove: vec![],
            collections: vec![],
        };
        match (change.member(), change.group()) {
            (Some(MemberAction::Invite { from, .. }), _) => {
                row.from = from.as_ref().map(|from| from.as_str().to_owned());
            }
            (Some(MemberAction::Relink { from }), _) => row.from = Some(from.as_str().to_owned()),
            (Some(MemberAction::SetRole(role)), _) => {
                row.from = Some(role.from.to_string());
                row.role = Some(role.to.to_string());
            }
            (_, Some(GroupAction::Create { add })) => {
                row.add = add.iter().map(label).collect();
            }
            (_, Some(GroupAction::Update(update))) => {
                row.add = update.add.iter().map(label).collect();
                let leaving = update.remove.iter().map(|one| label(&one.external_id));
                row.remove = leaving.collect();
            }
            (_, Some(GroupAction::Delete(deletion))) => {
                row.remove = deletion.members.iter().flatten().map(label).collect();
                row.remove.extend(deletion.unmanaged.iter().map(member));
            }
            (_, Some(GroupAction::Rename { from })) => row.from = Some(from.to_string()),
            (_, Some(GroupAction::SetCollections(access))) => row.access = access.changes.clone(),
            (_, Some(GroupAction::Relink { from })) => {
                row.from = from.as_ref().map(|from| from.as_str().to_owned());
            }
            (Some(MemberAction::Unlink), _) | (_, Some(GroupAction::Unlink)) => {
                row.from = Some(row.external_id.clone());
            }
            _ => {}
        }
        let undoes = plan.undoes.as_ref();
        if let Some(again) = undoes.and_then(|one| one.made_again.get(change.external_id())) {
            row.add.extend(again.members.iter().map(member));
            row.collections = again.collections.iter().map(|access| access.id).collect();
        }
        row
    }

    /// The row in one line: `restore ann@example.com`.
    pub fn describe(&self) -> String {
        let mut line = sanitize(&self.what);
        if let Some(from) = &self.from {
            let _ = write!(line, " (now {})", sanitize(from));
        }
        match self.action {
            Kind::Invite if self.from.is_none() => line.push_str(": an invitation, to be accepted"),
            Kind::SetRole => {
                let role = self.role.as_deref().unwrap_or_default();
                let _ = write!(line, ": back to {}", sanitize(role));
            }
            Kind::Relink | Kind::RelinkGroup => {
                let _ = write!(line, ": back to {}", sanitize(&self.external_id));
            }
            Kind::Unlink | Kind::UnlinkGroup => line.push_str(": none again"),
            _ => {}
        }
        line
    }

    /// What is done, in a word or two.
    pub fn verb(&self) -> &'static str {
        to_do(self.action)
    }

    /// Who comes and goes, and what a group gives access to.
    pub fn details(&self) -> Vec<String> {
        let mut details = vec![];
        let remove: Vec<String> = self.remove.iter().map(|one| sanitize(one)).collect();
        if self.action == Kind::DeleteGroup {
            if !remove.is_empty() {
                details.push(format!("members: {}", remove.join(", ")));
            }
        } else {
            let remove = remove.into_iter().map(|one| format!("−{one}"));
            let add = self.add.iter().map(|one| format!("+{}", sanitize(one)));
            let all: Vec<String> = remove.chain(add).collect();
            if !all.is_empty() {
                details.push(all.join(", "));
            }
        }
        if !self.access.is_empty() {
            details.push(describe_access(&self.access));
        }
        match self.collections.as_slice() {
            [] => {}
            [one] => details.push(format!("access to collection {one}")),
            several => {
                let ids: Vec<String> = several.iter().map(Uuid::to_string).collect();
                details.push(format!("access to collections {}", ids.join(", ")));
            }
        }
        details
    }

    fn show(&self, text: &mut String) {
        wrap(text, &start(self.verb()), &self.describe());
        let indent = " ".repeat(INDENT);
        for detail in self.details() {
            wrap(text, &indent, &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_many_get_their_former_ids_back_is_told_though_few_are_named() {
        let row =
            |action: &str| json!({"action": action, "what": "x", "externalId": "1", "from": "2"});
        let rows: Vec<_> = [
            "Relink",
            "Relink",
            "Relink",
            "RelinkGroup",
            "Unlink",
            "UnlinkGroup",
        ]
        .map(row)
        .into();
        let document = |former: Option<serde_json::Value>| -> UndoDocument {
            let mut json = json!({
                "run": "3f1c9a0b62", "began": "2026-11-29T12:00:00Z", "adoption": true,
                "digest": "5f0a3c1b5f0a3c1b5f0a3c1b5f0a3c1b", "changes": rows, "left": [],
            });
            if let Some(former) = former {
                json["formerIds"] = former;
            }
            serde_json::from_value(json).unwrap()
        };
        let told = |document: UndoDocument| {
            let text = document.to_text("default/staff");
            let lines = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            let start = lines.find("would change: ").unwrap() + "would change: ".len();
            lines[start..]
                .split(" re-link ")
                .next()
                .unwrap()
                .trim()
                .to_owned()
        };
        let counts = json!({"members": 3, "groups": 1, "membersWithout": 1, "groupsWithout": 1});
        let expected = "3 members and 1 group get the former external ID back; nobody loses or gains anything \
                        1 member and 1 group have none again: a sync gave the first one; nobody loses or gains \
                        anything";
        assert_eq!(told(document(Some(counts)).shortened(1)), expected);
        // An operator of an earlier version.
        assert_eq!(told(document(None)), expected);
    }

    #[test]
    fn who_is_unlinked_loses_nothing_and_keeps_everything_which_is_told_once() {
        let document = |actions: &[&str], members_without: Option<usize>| -> UndoDocument {
            let rows = actions.iter();
            let rows: Vec<_> = rows
                .map(
                    |action| json!({"action": action, "what": "x", "externalId": "1", "from": "1"}),
                )
                .collect();
            let mut json = json!({
                "run": "3f1c9a0b62", "began": "2026-11-29T12:00:00Z", "adoption": members_without.is_some(),
                "digest": "5f0a3c1b5f0a3c1b5f0a3c1b5f0a3c1b", "changes": rows, "left": [],
            });
            if let Some(count) = members_without {
                json["formerIds"] =
                    json!({"members": 1, "groups": 0, "membersWithout": count, "groupsWithout": 0});
            }
            serde_json::from_value(json).unwrap()
        };
        let told = |document: UndoDocument| {
            let notes = document.notes();
            notes
                .iter()
                .filter(|note| note.starts_with("Afterwards no sync takes access away"))
                .count()
        };
        assert_eq!(told(document(&["Unlink", "Unlink", "Restore"], None)), 1);
        assert_eq!(told(document(&["Restore", "UnlinkGroup"], None)), 0);
        // Of many changes the list ends before them.
        assert_eq!(told(document(&["Relink"], Some(3))), 1);
        assert_eq!(told(document(&["Relink"], Some(0))), 0);
    }

    #[test]
    fn a_way_back_that_is_complete_says_so_and_names_what_stays() {
        let document: UndoDocument = serde_json::from_value(json!({
            "run": "3f1c9a0b62", "began": "2026-11-29T12:00:00Z", "adoption": true,
            "digest": "5f0a3c1b5f0a3c1b5f0a3c1b5f0a3c1b", "changes": [],
            "left": [{"action": "CreateGroup", "what": "ops", "why": "a sync made it"}],
        }))
        .unwrap();
        let text = document.to_text("default/staff");
        assert!(text.contains("\nnothing is left to give back\n"), "{text}");
        assert!(text.contains("ops: a sync made it"), "{text}");
        assert_eq!(document.notes(), [""; 0]);
    }
}
