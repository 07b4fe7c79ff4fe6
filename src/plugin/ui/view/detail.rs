//! One resource.

use jiff::Timestamp;
use maud::{Markup, html};

use super::explanation::question;
use super::history::timeline;
use super::{Frame, address, foreign, state, when};
use crate::api::status::{HeldRemovals, ProblemStatus};
use crate::cli::explain;
use crate::history::Parsed;
use crate::plugin::detail::{counted, facts};
use crate::plugin::error::PluginError;
use crate::plugin::resource::Resource;
use crate::plugin::ui::actions::Action;
use crate::problem::ProblemReason;

/// All that is known of a resource, with what can be done.
pub fn detail(
    frame: &Frame<'_>,
    resource: &Resource,
    records: Result<Parsed, PluginError>,
    now: Timestamp,
) -> Markup {
    let status = &resource.status;
    let (problems, notes): (Vec<_>, Vec<_>) = status
        .problems
        .iter()
        .partition(|problem| ProblemReason::name_needs_action(&problem.reason));
    let here = address(frame.base, resource);
    let content = html! {
        p { (state(resource)) }
        (buttons(&here, resource))
        @if let Some(held) = &status.held_removals { (held_changes(&here, held, resource)) }
        section aria-labelledby="facts" {
            h2 id="facts" { "Both sides" }
            dl.facts {
                @for (name, value) in facts(resource, now) {
                    div { dt { (name) } dd { (foreign(&value)) } }
                }
            }
        }
        section aria-labelledby="conditions" {
            h2 id="conditions" { "Conditions" }
            (conditions(resource, now))
        }
        section aria-labelledby="plan" {
            h2 id="plan" { "Plan" }
            @if let Some(changes) = &status.changes {
                p {
                    @if resource.is_preview() { "A sync would make: " } @else { "Last changes: " }
                    (counted(changes)) "."
                }
            }
            p { a href={ (here) "/plan" } { "The plan of the last run with changes" } }
        }
        section aria-labelledby="history" {
            h2 id="history" { "Last runs with changes" }
            @match records {
                Ok(records) => (timeline(frame, resource, records, now)),
                // Somebody who may see the resource needn't be allowed to see names.
                Err(error) => p { "They can't be shown: " (foreign(&explain(&error))) },
            }
        }
        section aria-labelledby="explain" {
            h2 id="explain" { "Explain" }
            (question(frame, resource, ""))
        }
        (entries("problems", "Entries that need manual action", &problems))
        (entries("notes", "For information", &notes))
    };
    frame.page(
        &html! { li aria-current="page" { (resource.full_name()) } },
        &content,
    )
}

/// Links, not forms: each leads to a page that shows first what is done.
fn buttons(here: &str, resource: &Resource) -> Markup {
    let mut actions = vec![];
    if resource.is_suspended() {
        actions.push(Action::Resume);
    } else {
        if resource.status.held_removals.is_some() && !resource.is_preview() {
            actions.push(Action::Approve);
        }
        actions.extend([Action::Sync, Action::Suspend]);
    }
    html! {
        nav aria-label="Actions" {
            ul.buttons {
                @for action in actions {
                    li { a.button href={ (here) "/do/" (action.word()) } { (action.label()) "…" } }
                }
            }
        }
    }
}

fn held_changes(here: &str, held: &HeldRemovals, resource: &Resource) -> Markup {
    let more = held.total - i64::try_from(held.sample.len()).unwrap_or(i64::MAX);
    html! {
        section.held aria-labelledby="held" {
            h2 id="held" { "Held, waiting for approval (" (held.total) ")" }
            p { (foreign(&held.why)) }
            ul {
                @for removal in &held.sample { li { (foreign(removal)) } }
                @if more > 0 { li { a href={ (here) "/plan#held" } { "… and " (more) " more" } } }
            }
            @if resource.is_preview() {
                p { "The mode is Preview: nothing is changed, approved or not." }
            }
        }
    }
}

fn conditions(resource: &Resource, now: Timestamp) -> Markup {
    let conditions = &resource.status.conditions;
    html! {
        @if conditions.is_empty() {
            p {
                "The operator hasn't said anything about this resource. Is it running, and does it watch this \
                 namespace and these labels?"
            }
        } @else {
            dl.conditions {
                @for condition in conditions {
                    div {
                        dt {
                            (condition.type_) " is " (condition.status) " (" (condition.reason) "), since "
                            (when(Some(&condition.last_transition_time), now))
                        }
                        dd { (foreign(&condition.message)) }
                    }
                }
            }
        }
    }
}

fn entries(id: &str, title: &str, problems: &[&ProblemStatus]) -> Markup {
    html! {
        @if !problems.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                @for problem in problems {
                    h3 { (foreign(&problem.reason)) " (" (problem.count) ")" }
                    ul {
                        @for entry in &problem.sample { li { (foreign(entry)) } }
                        @let more = problem.count - i64::try_from(problem.sample.len()).unwrap_or(i64::MAX);
                        @if more > 0 { li { "… and " (more) " more: see the plan" } }
                    }
                }
            }
        }
    }
}
