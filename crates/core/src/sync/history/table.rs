//! Records for a terminal of 80 columns.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{Outcome, Record, RecordedApproval, RunId};
use crate::organization::collection::describe_access;
use crate::sync::plan::Kind;
use crate::text::sanitize;

/// Columns that a line takes, unless one word is longer.
pub const WIDTH: usize = 80;
/// Where the text of a record begins.
pub(in crate::sync) const INDENT: usize = 16;
/// So many people of one record are shown where lists are cut.
const SHOWN: usize = 20;

/// The records under a line for each run, in the order given. What takes something away comes first in
/// a run. `unsealed` runs say so. `cut` shortens lists of people; without it everybody is shown.
pub fn table(records: &[Record], unsealed: &HashSet<RunId>, cut: bool) -> String {
    let mut text = String::new();
    for run in records.chunk_by(|a, b| a.run == b.run) {
        let first = &run[0];
        let began = run.iter().map(|record| record.time).min();
        let began = began.unwrap_or(first.time);
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing into a string can't fail.
        let _ = writeln!(
            text,
            "{}  run {}  {}{}{}",
            began.strftime("%Y-%m-%d %H:%M:%SZ"),
            sanitize(first.run.as_str()),
            first.trigger.describe(),
            match &first.undoes {
                Some(run) => format!(" of run {}", sanitize(run.as_str())),
                None => String::new(),
            },
            match unsealed.contains(&first.run) {
                true => "  NOT SEALED",
                false => "",
            }
        );
        if let Some(by) = &first.by {
            wrap(&mut text, "  asked for by ", &sanitize(by));
        }
        let approval = first.approval.as_ref();
        let common = approval.filter(|_| run.iter().all(|one| one.approval.as_ref() == approval));
        if let Some(approval) = common {
            wrap_at(&mut text, 4, "  ", &describe_approval(approval));
        }
        let mut run: Vec<&Record> = run.iter().collect();
        run.sort_by_key(|record| !record.takes_away());
        for same in run.chunk_by_mut(|a, b| a.action == b.action) {
            // Last, how many more there are.
            let is_rest = |one: &Record| one.person.is_none() && one.group.is_none();
            same.sort_by_cached_key(|record| (is_rest(record), record.label()));
        }
        for record in run {
            show(&mut text, record, cut, common.is_some());
        }
    }
    text
}

/// What a kind of change did, in a word or two.
fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Invite => "invited",
        Kind::Link => "linked",
        Kind::Relink => "re-linked",
        Kind::Restore => "restored",
        Kind::Reinvite => "invited again",
        Kind::Revoke => "revoked",
        Kind::Remove => "removed",
        Kind::CreateGroup => "group made",
        Kind::RelinkGroup => "re-linked",
        Kind::RenameGroup => "renamed",
        Kind::UpdateGroup => "group",
        Kind::DeleteGroup => "group deleted",
        Kind::SetRole => "role",
        Kind::SetCollections => "access",
        Kind::Unlink | Kind::UnlinkGroup => "unlinked",
    }
}

fn show(text: &mut String, record: &Record, cut: bool, approval_was_told: bool) {
    let mut line = sanitize(&record.label());
    if let Some(from) = &record.from {
        let _ = write!(line, " (was {})", sanitize(from));
    }
    let detail = match (&record.role, &record.evidence) {
        _ if record.nth.is_some() => record.invitation_sent_again(),
        (Some(role), _) => format!(
            "{}, was {}; {}",
            role.describe(),
            sanitize(&role.from.to_string()),
            record.reason.describe()
        ),
        (None, _) if !record.access.is_empty() => format!(
            "{}; {}",
            describe_access(&record.access),
            record.reason.describe()
        ),
        (None, Some(evidence)) => sanitize(&evidence.detail),
        (None, None) => record.reason.describe().to_owned(),
    };
    match (&record.person, record.action) {
        (None, Kind::UpdateGroup) => {}
        _ => {
            let _ = write!(line, ": {detail}");
        }
    }
    let start = format!("  {:<width$}", verb(record.action), width = INDENT - 2);
    wrap(text, &start, &line);
    let indent = " ".repeat(INDENT);
    let left: Vec<String> = record
        .removed
        .iter()
        .map(|one| sanitize(one.person.label()))
        .collect();
    match record.action {
        Kind::DeleteGroup if !left.is_empty() => {
            wrap(text, &indent, &format!("members: {}", listed(&left, cut)));
        }
        Kind::DeleteGroup => {}
        _ => {
            let shown = if cut { SHOWN } else { usize::MAX };
            for one in record.removed.iter().take(shown) {
                let evidence = one.evidence.as_ref();
                let evidence = evidence.map(|evidence| format!(": {}", sanitize(&evidence.detail)));
                let who = sanitize(one.person.label());
                wrap(
                    text,
                    &indent,
                    &format!("−{who}{}", evidence.unwrap_or_default()),
                );
            }
            if record.removed.len() > shown {
                let more = record.removed.len() - shown;
                wrap(text, &indent, &format!("… and {more} more who left: --all"));
            }
        }
    }
    let mut came: Vec<String> = record
        .added
        .iter()
        .map(|one| format!("+{}", sanitize(one.label())))
        .collect();
    if record.more > 0 && record.group.is_some() {
        came.push(format!("+{} more (see the log)", record.more));
    }
    if !came.is_empty() {
        wrap(text, &indent, &listed(&came, cut));
    }
    if !record.groups.is_empty() {
        let groups: Vec<String> = record
            .groups
            .iter()
            .map(|one| sanitize(&one.name))
            .collect();
        wrap(text, &indent, &format!("was in {}", listed(&groups, cut)));
    }
    if let (Kind::DeleteGroup, Some(collections)) = (record.action, &record.collections)
        && !collections.is_empty()
    {
        let line = match collections.len() {
            1 => "gave access to 1 collection".to_owned(),
            count => format!("gave access to {count} collections"),
        };
        wrap(text, &indent, &line);
    }
    if let Some(approval) = record.approval.as_ref().filter(|_| !approval_was_told) {
        wrap(text, &indent, &describe_approval(approval));
    }
    let answer = record.answer.as_deref().map(sanitize).unwrap_or_default();
    let result = match record.result {
        Outcome::Done if answer.is_empty() => return,
        Outcome::Done => answer,
        Outcome::Pending => "not known yet: the next run looks what came of it".to_owned(),
        Outcome::Refused => format!("refused: {answer}"),
        Outcome::NotApplied => "accepted, and not seen afterwards".to_owned(),
        Outcome::Unknown => format!("unknown whether it was made: {answer}"),
        Outcome::Partly => {
            "the invitation before was withdrawn, the new one wasn't sent".to_owned()
        }
        Outcome::NotMade => "not made".to_owned(),
    };
    wrap(text, &indent, &result);
}

fn describe_approval(approval: &RecordedApproval) -> String {
    let mut line = "approved".to_owned();
    if let Some(hold) = &approval.hold {
        let _ = write!(line, ": {hold}");
    }
    if let Some(by) = &approval.by {
        let _ = write!(line, " by {}", sanitize(by));
    }
    line
}

fn listed(words: &[String], cut: bool) -> String {
    let shown = if cut { SHOWN } else { usize::MAX };
    let mut text = words[..words.len().min(shown)].join(", ");
    if words.len() > shown {
        let _ = write!(text, ", … and {} more: --all", words.len() - shown);
    }
    text
}

/// Adds `line` after `start`, broken between words; lines after the first are indented.
pub(in crate::sync) fn wrap(text: &mut String, start: &str, line: &str) {
    wrap_at(text, INDENT, start, line);
}

/// The same with so many columns before the lines after the first.
pub(in crate::sync) fn wrap_at(text: &mut String, hanging: usize, start: &str, line: &str) {
    let indent = " ".repeat(hanging);
    let mut current = start.to_owned();
    let mut width = current.chars().count();
    let mut is_empty = true;
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if !is_empty && width + 1 + length > WIDTH {
            text.push_str(&current);
            text.push('\n');
            current.clone_from(&indent);
            width = hanging;
            is_empty = true;
        }
        if !is_empty {
            current.push(' ');
            width += 1;
        }
        current.push_str(word);
        width += length;
        is_empty = false;
    }
    text.push_str(current.trim_end());
    text.push('\n');
}
