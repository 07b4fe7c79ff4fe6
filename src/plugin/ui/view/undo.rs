//! What takes a run back, before it is done and afterwards.

use maud::{Markup, html};

use super::{Frame, above, address, foreign};
use crate::controller::requests::UndoQuestion;
use crate::plugin::resource::Resource;
use crate::plugin::ui::undoing::UndoAnswer;
use crate::sync::undo::{Row, UndoDocument};

/// Asks which part of a run to take back.
pub fn ask_to_undo(frame: &Frame<'_>, resource: &Resource, run: &str) -> Markup {
    let content = html! {
        p {
            "The operator works out what would take the run back, and shows it. Nothing is changed by that."
        }
        form.search method="post" action={ (address(frame.base, resource)) "/undo" } {
            input type="hidden" name="token" value=(frame.token);
            p { label for="run" { "Run" } input id="run" name="run" type="text" required maxlength="64" value=(run); }
            p {
                label for="person" { "Only what it did to this person (email or ID)" }
                input id="person" name="person" type="text" maxlength="1024" value="";
            }
            p {
                label for="group" { "Only what it did to this group (name or ID)" }
                input id="group" name="group" type="text" maxlength="1024" value="";
            }
            p { button type="submit" { "Show what it would do" } }
        }
    };
    frame.page(&above(frame, resource), &content)
}

/// Shows everything that an undo would do, and asks.
pub fn undo(frame: &Frame<'_>, resource: &Resource, answer: &UndoAnswer) -> Markup {
    let (document, question) = (&answer.document, &answer.question);
    let digest = html! { input type="hidden" name="digest" value=(document.confirmation()); };
    let approve = document.held_digest.as_ref();
    let approve = approve.map(|held| html! { input type="hidden" name="approve" value=(held); });
    let button = match document.changes.len() {
        1 => "Make this change".into(),
        changes => format!("Make these {changes} changes"),
    };
    let content = html! {
        @if answer.changed {
            p.warning role="alert" {
                "Something has changed since this was shown, so nothing was done. This is what would be done \
                 now:"
            }
        }
        (head(document, question))
        section aria-labelledby="changes" {
            @match document.changes.len() {
                0 if document.held.is_empty() => h2 id="changes" { "Nothing is left to take back" },
                0 => h2 id="changes" { "Nothing of it goes ahead" },
                changes => h2 id="changes" { "Would change (" (changes) ")" },
            }
            (rows(&document.changes))
        }
        @if !document.held.is_empty() {
            section.held aria-labelledby="held" {
                h2 id="held" { "Held back (" (document.held.len()) ")" }
                @for why in &document.held_because { p { (foreign(why)) } }
                (rows(&document.held))
                @if let Some(approve) = approve {
                    (form(frame, resource, question, &approve, "Show it with these, too"))
                }
            }
        }
        (left(document))
        @for note in document.notes() { p { (note) } }
        @if resource.is_suspended() {
            p.warning { "The resource is suspended: resume it, and undo then." }
        } @else if resource.is_preview() {
            p.warning { "The mode is Preview: set spec.mode to Apply, and undo then." }
        } @else if !document.changes.is_empty() {
            (form(frame, resource, question, &digest, &button))
        }
        p { a.button href=(address(frame.base, resource)) { "Cancel" } }
    };
    frame.page(&above(frame, resource), &content)
}

/// Shows what was done.
pub fn undone(frame: &Frame<'_>, resource: &Resource, answer: &UndoAnswer) -> Markup {
    let done = answer.done.as_deref().unwrap_or_default();
    let here = address(frame.base, resource);
    let content = html! {
        p.said role="status" {
            @if done.is_empty() { "Nothing was left to take back." } @else { "Undone." }
        }
        (head(&answer.document, &answer.question))
        ul { @for one in done { li { (foreign(one)) } } }
        (rows(&answer.document.changes))
        (left(&answer.document))
        p { a href={ (here) "/history" } { "The history" } " has it as a run, which can be undone in its turn." }
    };
    frame.page(&above(frame, resource), &content)
}

fn head(document: &UndoDocument, question: &UndoQuestion) -> Markup {
    html! {
        p {
            "Undo of run " code { (foreign(document.run.as_str())) } ", "
            (document.began.strftime("%Y-%m-%d %H:%M:%SZ"))
            @if let Some(person) = &question.person { "; only what it did to " (foreign(person)) }
            @if let Some(group) = &question.group { "; only what it did to group " (foreign(group)) }
        }
    }
}

/// All of them: nobody confirms what they haven't seen.
fn rows(rows: &[Row]) -> Markup {
    html! {
        @if !rows.is_empty() {
            ul.records {
                @for row in rows {
                    li {
                        strong { (row.verb()) } " " (foreign(&row.describe()))
                        @for detail in row.details() { p { (foreign(&detail)) } }
                    }
                }
            }
        }
    }
}

fn left(document: &UndoDocument) -> Markup {
    html! {
        @if !document.left.is_empty() {
            section aria-labelledby="left" {
                h2 id="left" { "Stays as it is (" (document.left.len()) ")" }
                ul.records {
                    @for one in &document.left {
                        li { strong { (one.done()) } " " (foreign(&one.what)) ": " (foreign(&one.why)) }
                    }
                }
            }
        }
        @if !document.problems.is_empty() {
            section aria-labelledby="undo-problems" {
                h2 id="undo-problems" { "Problems" }
                ul { @for problem in &document.problems { li { (foreign(problem)) } } }
            }
        }
    }
}

/// A form that asks the same with these fields.
fn form(
    frame: &Frame<'_>,
    resource: &Resource,
    question: &UndoQuestion,
    fields: &Markup,
    button: &str,
) -> Markup {
    let given = [
        ("run", &question.run),
        ("person", &question.person),
        ("group", &question.group),
    ];
    let approved = question.approve.as_ref();
    html! {
        form method="post" action={ (address(frame.base, resource)) "/undo" } {
            input type="hidden" name="token" value=(frame.token);
            @for (name, value) in given {
                @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
            }
            @if let Some(approved) = approved { input type="hidden" name="approve" value=(approved); }
            (fields)
            p.buttons { button type="submit" { (button) } }
        }
    }
}
