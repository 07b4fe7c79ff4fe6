//! What runs did: a timeline, a chart, and records that can be searched.

use std::collections::HashSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use maud::{Markup, PreEscaped, html};

use super::{Frame, above, address, foreign, when};
use crate::history::Parsed;
use crate::organization::collection::describe_access;
use crate::plugin::resource::Resource;
use crate::sync::history::{Outcome, Record, RunId, Selection};
use crate::sync::plan::Kind;

/// Runs that the timeline and the chart show.
const RUNS: usize = 30;
/// Records that a page of the history shows.
const RECORDS: usize = 1_000;
/// People of one record that are named.
const NAMED: usize = 50;

/// What is searched for, as it was typed.
#[derive(Debug, Default, Clone, serde::Deserialize)]
#[serde(default)]
pub struct Search {
    /// A part of an email, or an ID.
    pub person: String,
    /// A part of a group's name, or its ID.
    pub group: String,
    /// The beginning of a run's ID.
    pub run: String,
}

impl Search {
    fn selection(&self) -> Selection {
        let asked = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Selection {
            person: asked(&self.person),
            group: asked(&self.group),
            run: asked(&self.run),
            ..Selection::default()
        }
    }
}

/// The records that are searched for, by run.
pub fn history(
    frame: &Frame<'_>,
    resource: &Resource,
    records: Parsed,
    search: &Search,
    now: Timestamp,
) -> Markup {
    let here = format!("{}/history", address(frame.base, resource));
    let all = records.records.len();
    let unreadable = unreadable(&records);
    let unsealed = &records.unsealed;
    let found = search.selection().of(records.records);
    let shown = &found[..found.len().min(RECORDS)];
    let content = html! {
        form.search method="get" action=(here) role="search" {
            p { label for="person" { "Person" } input id="person" name="person" type="search" value=(search.person) placeholder="Email or ID"; }
            p { label for="group" { "Group" } input id="group" name="group" type="search" value=(search.group) placeholder="Name or ID"; }
            p { label for="run" { "Run" } input id="run" name="run" type="search" value=(search.run); }
            p { button type="submit" { "Search" } }
        }
        p role="status" {
            (found.len()) " of " (all) " records"
            @if found.len() > shown.len() {
                ", of which the newest " (shown.len()) " are shown: search for less"
            }
            "."
        }
        (unreadable)
        @for run in shown.chunk_by(|a, b| a.run == b.run) {
            (one_run((frame, resource, now), run, unsealed.contains(&run[0].run)))
        }
    };
    frame.page(&above(frame, resource), &content)
}

/// That there is more than what is shown.
fn unreadable(records: &Parsed) -> Markup {
    html! {
        @if records.unreadable > 0 {
            p.unreadable { (records.unreadable) " records of another version of this program aren't shown." }
        }
        @if records.lost > 0 {
            p.warning {
                "The records of " (records.lost) " runs were taken out or changed by somebody else than the \
                 operator."
            }
        }
    }
}

fn one_run(
    (frame, resource, now): (&Frame<'_>, &Resource, Timestamp),
    records: &[Record],
    is_unsealed: bool,
) -> Markup {
    let first = &records[0];
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by_key(|record| !record.takes_away());
    html! {
        section aria-labelledby={ "run-" (first.run) } {
            h2 id={ "run-" (first.run) } {
                (when(Some(&Time(first.time)), now)) ": " (first.trigger.describe())
            }
            p {
                "Run " code { (first.run) } ", " (exact(first.time))
                @if let Some(by) = &first.by { ", asked for by " (foreign(by)) }
                @if !is_unsealed { (link_to_undo(frame, resource, first)) }
            }
            @if is_unsealed {
                p.warning {
                    "Not sealed: somebody else than the operator wrote this, or changed it since. It can't be \
                     undone."
                }
            }
            ul.records { @for record in sorted { (one_record(record)) } }
        }
    }
}

/// Leads to what would take the run back.
fn link_to_undo(frame: &Frame<'_>, resource: &Resource, record: &Record) -> Markup {
    // Somebody else may have written what is no ID.
    let is_id = record
        .run
        .as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric());
    html! {
        @if is_id {
            " – "
            a href={ (address(frame.base, resource)) "/undo?run=" (record.run) }
                aria-label={ "Undo run " (record.run) } { "Undo…" }
        }
    }
}

fn exact(time: Timestamp) -> String {
    crate::plugin::time::exact(&Time(time))
}

fn one_record(record: &Record) -> Markup {
    let evidence = record.evidence.as_ref();
    let left: Vec<(&str, Option<&str>)> = record
        .removed
        .iter()
        .map(|one| {
            let evidence = one.evidence.as_ref().map(|evidence| &*evidence.detail);
            (one.person.label(), evidence)
        })
        .collect();
    let came: Vec<(&str, Option<&str>)> =
        record.added.iter().map(|one| (one.label(), None)).collect();
    html! {
        li {
            strong { (verb(record.action)) } " " (foreign(&record.label()))
            @if let Some(from) = &record.from { " (was " (foreign(from)) ")" }
            ": "
            @if let Some(what) = what(record) { (foreign(&what)) "; " }
            @match evidence {
                Some(evidence) => (foreign(&evidence.detail)),
                None => (record.reason.describe()),
            }
            @if let Some(result) = result(record) { " – " strong { (foreign(&result)) } }
            @if let Some(approval) = &record.approval {
                " – approved"
                @if let Some(by) = &approval.by { " by " (foreign(by)) }
            }
            (people("Left", &left))
            (people("Came in", &came))
            @if record.more > 0 && record.group.is_some() {
                p { "… and " (record.more) " more came in" }
            }
        }
    }
}

/// Which role or access somebody got, in place of which.
fn what(record: &Record) -> Option<String> {
    let access = (!record.access.is_empty()).then(|| describe_access(&record.access));
    let role = record.role.as_ref();
    role.map(|role| format!("{}, was {}", role.describe(), role.from))
        .or(access)
}

fn people(what: &str, people: &[(&str, Option<&str>)]) -> Markup {
    html! {
        @if !people.is_empty() {
            details open[people.len() <= 5] {
                summary { (what) " (" (people.len()) ")" }
                ul {
                    @for (person, evidence) in people.iter().take(NAMED) {
                        li {
                            (foreign(person))
                            @if let Some(evidence) = evidence { ": " (foreign(evidence)) }
                        }
                    }
                    @if people.len() > NAMED { li { "… and " (people.len() - NAMED) " more" } }
                }
            }
        }
    }
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Invite => "Invited",
        Kind::Link => "Linked",
        Kind::Relink => "Re-linked",
        Kind::Restore => "Restored",
        Kind::Reinvite => "Invitation sent again",
        Kind::Revoke => "Revoked",
        Kind::Remove => "Removed",
        Kind::CreateGroup => "Group created",
        Kind::RelinkGroup => "Group re-linked",
        Kind::RenameGroup => "Group renamed",
        Kind::UpdateGroup => "Group updated",
        Kind::DeleteGroup => "Group deleted",
        Kind::SetRole => "Role changed",
        Kind::SetCollections => "Access changed",
        Kind::Unlink => "External ID taken out",
        Kind::UnlinkGroup => "External ID of group taken out",
    }
}

/// What came of it, where it isn't simply done.
fn result(record: &Record) -> Option<String> {
    let answer = record.answer.as_deref().unwrap_or_default();
    let text = match record.result {
        Outcome::Done if answer.is_empty() => return None,
        Outcome::Done => answer.to_owned(),
        Outcome::Pending => "not known yet: the next run looks what came of it".into(),
        Outcome::Refused => format!("refused: {answer}"),
        Outcome::NotApplied => "accepted, and not seen afterwards".into(),
        Outcome::Unknown => format!("unknown whether it was made: {answer}"),
        Outcome::Partly => "the invitation before was withdrawn, the new one wasn't sent".into(),
        Outcome::NotMade => "not made".into(),
    };
    Some(text)
}

/// A run in numbers.
struct Numbers<'a> {
    first: &'a Record,
    is_unsealed: bool,
    /// Members who got access, or an invitation.
    given: i64,
    /// Members who lost it.
    taken: i64,
    /// Members who got another role.
    roles: i64,
    groups: i64,
    not_done: i64,
}

impl<'a> Numbers<'a> {
    fn of(run: &'a [Record], unsealed: &HashSet<RunId>) -> Self {
        let mut numbers = Self {
            first: &run[0],
            is_unsealed: unsealed.contains(&run[0].run),
            given: 0,
            taken: 0,
            roles: 0,
            groups: 0,
            not_done: 0,
        };
        for record in run {
            if record.result != Outcome::Done {
                numbers.not_done += 1;
                continue;
            }
            match record.action {
                Kind::Invite | Kind::Restore => {
                    numbers.given += if record.person.is_some() {
                        1
                    } else {
                        i64::from(record.more)
                    };
                }
                Kind::Revoke | Kind::Remove => numbers.taken += 1,
                Kind::SetRole => numbers.roles += 1,
                Kind::Link | Kind::Relink | Kind::Unlink | Kind::Reinvite => {}
                Kind::CreateGroup
                | Kind::RelinkGroup
                | Kind::RenameGroup
                | Kind::UpdateGroup
                | Kind::SetCollections
                | Kind::UnlinkGroup
                | Kind::DeleteGroup => numbers.groups += 1,
            }
        }
        numbers
    }

    fn words(&self) -> String {
        let parts = [
            (self.taken, "lost access", "lost access"),
            (self.given, "invited or restored", "invited or restored"),
            (self.roles, "role changed", "roles changed"),
            (self.groups, "group changed", "groups changed"),
            (
                self.not_done,
                "change not made or not known",
                "changes not made or not known",
            ),
        ];
        let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, one, several)| match count {
                1 => format!("1 {one}"),
                count => format!("{count} {several}"),
            })
            .collect();
        match parts.is_empty() {
            true => "links only".into(),
            false => parts.join(", "),
        }
    }
}

/// The last runs that changed something, with a chart.
pub fn timeline(frame: &Frame<'_>, resource: &Resource, records: Parsed, now: Timestamp) -> Markup {
    let here = format!("{}/history", address(frame.base, resource));
    let unreadable = unreadable(&records);
    let unsealed = records.unsealed;
    let sorted = Selection::default().of(records.records);
    let runs = sorted.chunk_by(|a, b| a.run == b.run).take(RUNS);
    let runs: Vec<Numbers<'_>> = runs.map(|run| Numbers::of(run, &unsealed)).collect();
    let members = resource.members();
    html! {
        (unreadable)
        @if runs.is_empty() {
            p { "No run has changed anything yet." }
        } @else {
            (chart(&runs, members))
            ol.timeline {
                @for run in &runs {
                    li {
                        a href={ (here) "?run=" (run.first.run) } {
                            (when(Some(&Time(run.first.time)), now))
                        }
                        " – " (run.first.trigger.describe()) ": " (run.words())
                        @if run.is_unsealed { " (not sealed)" } @else { (link_to_undo(frame, resource, run.first)) }
                    }
                }
            }
            p { a href=(here) { "The whole history, with search" } }
        }
    }
}

/// Bars of what runs gave and took, and the line of members before and after. The list below it says the
/// same to whoever doesn't see it.
fn chart(runs: &[Numbers<'_>], members: Option<i64>) -> Markup {
    const WIDTH: i64 = 600;
    const MIDDLE: i64 = 60;
    const HEIGHT: i64 = 120;
    let largest = runs.iter().flat_map(|run| [run.given, run.taken]).max();
    let largest = largest.unwrap_or(0).max(1);
    let step = WIDTH / i64::try_from(RUNS).unwrap_or(1);
    let place = |number: usize| {
        // The newest on the right.
        let back = i64::try_from(number).unwrap_or(i64::MAX);
        WIDTH - (back + 1) * step
    };
    let bars = runs.iter().enumerate().map(|(number, run)| {
        let height = |count: i64| match count {
            0 => 0,
            count => (count * (MIDDLE - 4) / largest).max(2),
        };
        (place(number), height(run.given), height(run.taken))
    });
    let bars: Vec<(i64, i64, i64)> = bars.collect();
    let mut line = String::new();
    let mut range = None;
    if let Some(last) = members {
        let mut counts = vec![last];
        for run in runs {
            let after = counts[counts.len() - 1];
            counts.push((after - run.given + run.taken).max(0));
        }
        let (least, most) = counts
            .iter()
            .fold((last, last), |(a, b), count| (a.min(*count), b.max(*count)));
        for (number, count) in counts.iter().enumerate() {
            let back = i64::try_from(number).unwrap_or(i64::MAX);
            let height = (count - least) * (HEIGHT - 20) / (most - least).max(1);
            // Writing into a string can't fail.
            let _ = write!(line, "{},{} ", WIDTH - back * step, HEIGHT - 10 - height);
        }
        range = Some((least, most));
    }
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="chart" {
                title id="chart" { "Changes of the last " (runs.len()) " runs; the list below says the same" }
                @for (x, given, taken) in bars {
                    rect.given x=(x + 3) y=(MIDDLE - given) width=(step - 6) height=(given) {}
                    rect.taken x=(x + 3) y=(MIDDLE) width=(step - 6) height=(taken) {}
                }
                line.axis x1="0" y1=(MIDDLE) x2=(WIDTH) y2=(MIDDLE) {}
                @if !line.is_empty() { polyline.members points=(PreEscaped(line.trim_end())) {} }
            }
            figcaption {
                span.given { "▲ invited or restored" } " " span.taken { "▼ lost access" }
                @if let Some((least, most)) = range {
                    " " span.members { "— members that aren't revoked, " (least) " to " (most) }
                    ", counted back from now by these changes"
                }
            }
        }
    }
}
