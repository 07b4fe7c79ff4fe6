//! The form for a browser: one file that needs nothing else, and that asks for nothing.
//!
//! Whatever a directory holds stays text: the templates escape it, `<bdi>` keeps its direction to itself,
//! and the page's policy allows its own style and script alone. Without JavaScript all rows are there.

use std::borrow::Cow;
use std::collections::BTreeSet;

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html as template};
use sha2::{Digest as _, Sha256};

use super::document::{ChangeRow, Entry, PlanDocument};
use super::{details, members, plain, sizes};

/// The page's style.
pub const STYLE: &str = include_str!("plan.css");
/// What makes the page better to use: search, filters, sorting.
pub const SCRIPT: &str = include_str!("plan.js");

/// The plan as a page.
pub fn html(document: &PlanDocument<'_>, title: &str) -> String {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let title = plain(title);
    let page = template! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="referrer" content="no-referrer";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Plan of " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { "Plan of " (foreign(&title)) } }
                main { (body(document)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Everything of a plan, as a part of a page that has [`STYLE`] and [`SCRIPT`].
pub fn body(document: &PlanDocument<'_>) -> Markup {
    let head = &document.head;
    template! {
        div.summary {
            p { (foreign(&head.source)) " → " (foreign(&head.organization)) }
            @for line in sizes(&head.sizes) { p { (line) } }
            p { strong { "Plan: " (document.summary()) } }
            @if let Some(new_ids) = document.new_ids() { p { (new_ids) } }
        }
        (contents(document))
        (controls(document, &[&document.held, &document.changes]))
        @if document.held() > 0 { (held_section(document)) }
        section id="changes" {
            h2 { "Changes (" (document.changes()) ")" }
            @if document.changes() == 0 { p { "Nothing to change." } }
            (sections(document, &document.changes, ""))
            (omitted(document, "changes"))
        }
        @if !document.problems.is_empty() { (problems(document)) }
    }
}

/// What is held, alone, in the same way.
pub fn held(document: &PlanDocument<'_>) -> Markup {
    template! {
        (controls(document, &[&document.held]))
        (held_section(document))
    }
}

fn held_section(document: &PlanDocument<'_>) -> Markup {
    let head = &document.head;
    template! {
        section id="held" {
            h2 { "Held, waiting for approval (" (document.held()) ")" }
            ul { @for why in &head.held_because { li { (foreign(why)) } } }
            p { "To let exactly these changes go ahead, approve the digest "
                code { (plain(&head.digest)) } "." }
            (sections(document, &document.held, "held-"))
            (omitted(document, "held"))
        }
    }
}

fn hash(content: &str) -> String {
    format!("sha256-{}", BASE64.encode(&Sha256::digest(content)))
}

/// A remote side's text.
fn foreign(text: &str) -> Markup {
    template! { bdi { (plain(text)) } }
}

/// What identifies the section of a kind of change.
fn anchor(before: &str, action: &str) -> String {
    let letters = action.chars().map(|c| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_lowercase(),
        false => '-',
    });
    format!("{before}{}", letters.collect::<String>())
}

fn contents(document: &PlanDocument<'_>) -> Markup {
    let links = |entries: &[Entry<'_>], before: &str, words: &str| {
        let sections = entries.chunk_by(|a, b| a.action() == b.action());
        let links = sections.map(|section| {
            let action = section[0].action();
            let text = format!("{words}{} ({})", plain(action), section.len());
            (anchor(before, action), text)
        });
        links.collect::<Vec<_>>()
    };
    let mut all = links(&document.held, "held-", "Held: ");
    all.extend(links(&document.changes, "", ""));
    if !document.problems.is_empty() {
        all.push(("problems".into(), "Problems".into()));
    }
    template! {
        nav aria-label="Contents" {
            ul { @for (anchor, text) in all { li { a href={ "#" (anchor) } { (text) } } } }
        }
    }
}

/// Shown by the script, which they need.
fn controls<'a>(document: &PlanDocument<'a>, lists: &[&[Entry<'a>]]) -> Markup {
    let entries = || lists.iter().copied().flatten();
    let mut kinds: Vec<&str> = entries().map(Entry::action).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let groups = entries().filter(|entry| entry.is_of_group());
    let mut groups: Vec<Cow<'_, str>> = groups.map(|entry| plain(entry.label())).collect();
    groups.sort_unstable();
    groups.dedup();
    let reasons: BTreeSet<String> = entries()
        .map(|entry| reason(&document.row(entry)))
        .collect();
    let reasons = reasons.into_iter().map(Cow::Owned).collect();
    let select = |id: &str, label: &str, values: Vec<Cow<'_, str>>| {
        template! {
            p {
                label for=(id) { (label) }
                select id=(id) {
                    option value="" { "All" }
                    @for value in values { option value=(value) { (value) } }
                }
            }
        }
    };
    template! {
        div id="controls" role="search" hidden {
            p {
                label for="search" { "Search" }
                input id="search" type="search" autocomplete="off" placeholder="Name, email or ID";
            }
            (select("kind", "Change", kinds.into_iter().map(plain).collect()))
            (select("group", "Group", groups))
            (select("reason", "Reason", reasons))
            p id="count" role="status" {}
        }
    }
}

fn reason(row: &ChangeRow<'_>) -> String {
    details(row).swap_remove(0).into_owned()
}

fn sections<'a>(document: &PlanDocument<'a>, entries: &[Entry<'a>], before: &str) -> Markup {
    let write_only = document.head.sizes.is_write_only();
    template! {
        @for section in entries.chunk_by(|a, b| a.action() == b.action()) {
            @let action = section[0].action();
            @let name = plain(action);
            details open id=(anchor(before, action)) {
                summary { h3 { (name) " (" (section.len()) ")" } }
                @if let Some(warning) = section[0].warning(write_only) {
                    p.warning { (warning) "." }
                }
                div.wide tabindex="0" role="region" aria-label=(name) {
                    table {
                        caption { (if before.is_empty() { "" } else { "Held: " }) (name) }
                        thead { tr {
                            th scope="col" { "Person or group" }
                            th scope="col" { "External ID" }
                            th scope="col" { "Reason" }
                            th scope="col" { "Evidence and details" }
                        } }
                        tbody {
                            @for row in document.rows(section) { (table_row(&row, &name)) }
                        }
                    }
                }
            }
        }
    }
}

fn table_row(row: &ChangeRow<'_>, kind: &str) -> Markup {
    let mut details = details(row);
    let reason = details.remove(0);
    let group = row.is_of_group().then(|| plain(row.label()));
    let remove = row.remove.as_deref().unwrap_or_default();
    let add = row.add.as_deref().unwrap_or_default();
    template! {
        tr data-kind=(kind) data-reason=(reason) data-group=[group] {
            th scope="row" { (foreign(row.label())) }
            td.id { (foreign(&row.external_id)) }
            td { (reason) }
            td {
                (details.join("; "))
                @if !remove.is_empty() {
                    details open[remove.len() <= 20] {
                        summary { "Leave: " (members(remove.len())) }
                        ul { @for member in remove {
                            li {
                                (foreign(member.label()))
                                @if let Some(evidence) = &member.evidence { ": " (foreign(&evidence.detail)) }
                            }
                        } }
                    }
                }
                @if !add.is_empty() {
                    details open[add.len() <= 20] {
                        summary { "Come in: " (members(add.len())) }
                        ul { @for member in add { li { (foreign(member.label())) } } }
                    }
                }
            }
        }
    }
}

fn omitted(document: &PlanDocument<'_>, list: &str) -> Markup {
    template! {
        @if let Some(count) = document.omitted.get(list) {
            p.warning { (count) " more had no room in the published plan." }
        }
    }
}

fn problems(document: &PlanDocument<'_>) -> Markup {
    template! {
        section id="problems" {
            h2 { "Problems" }
            @for (reason, count, rows) in document.problems_by_reason() {
                details open[rows.len() <= 50] {
                    summary { h3 { (plain(reason)) " (" (count) ")" } }
                    ul {
                        @for problem in &rows { li { (foreign(&problem.message)) } }
                        @if count > rows.len() { li { "… and " (count - rows.len()) " more" } }
                    }
                }
            }
        }
    }
}
