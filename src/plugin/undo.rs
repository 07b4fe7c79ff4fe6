//! `undo`: takes back what a run did, once it has been shown.

use std::process::ExitCode;
use std::time::Duration;

use super::args::UndoArgs;
use super::asking::{Asking, answered};
use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use super::wait::Display;
use crate::api::annotations::UNDO;
use crate::cli::args::UndoOutput;
use crate::cli::confirm::{ask, can_ask};
use crate::cli::output::{complain, print};
use crate::controller::answers::Slot;
use crate::controller::requests::UndoQuestion;
use crate::controller::undo::Answer;
use crate::sync::undo::UndoDocument;
use crate::text::{escaped_json, lines, one_line, sanitize};

/// From when on the state is shown while somebody waits.
const SHOWN_AFTER: Duration = Duration::from_secs(2);
/// Where changes are held until they are approved.
const HELD: u8 = 3;

/// Shows what takes the run back, asks, and has exactly that done.
pub async fn undo(cluster: &Cluster, args: &UndoArgs) -> Result<ExitCode, PluginError> {
    let is_json = args.output == UndoOutput::Json;
    if is_json && !args.yes && !args.dry_run {
        return Err(PluginError::Usage(
            "with -o json nobody is asked: add --dry-run to look at it, or --yes to have it done"
                .into(),
        ));
    }
    let resource = cluster.get(&args.name).await?;
    let name = resource.full_name();
    let mut question = UndoQuestion {
        run: args.choice.run.clone(),
        person: args.choice.person.clone(),
        group: args.choice.group.clone(),
        adoption: args.choice.adoption,
        digest: None,
        by: None,
        approve: args.approve.as_ref().map(|digest| digest.0.clone()),
    };
    let timeout = Duration::try_from(args.timeout).unwrap_or_default();
    let mut shown = of(
        &resource,
        waited(cluster, &resource, &question, timeout).await?,
    )?;
    loop {
        if !is_json || args.dry_run {
            print(&match is_json {
                true => json(&shown),
                false => shown.to_text(&name),
            })?;
        }
        let held = match shown.held.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(HELD),
        };
        if args.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        if shown.changes.is_empty() {
            return Ok(held);
        }
        if !args.yes {
            if !can_ask() {
                return Err(PluginError::NotNow(
                    "there is no terminal to confirm the changes on: look at them, then add --yes"
                        .into(),
                ));
            }
            if !ask(&format!("Make these {} changes?", shown.count()))? {
                complain("nothing was changed");
                return Ok(ExitCode::FAILURE);
            }
        }
        // The run that was shown: --last may be another one by now.
        question.run = (!shown.adoption).then(|| shown.run.to_string());
        question.digest = Some(shown.confirmation().0);
        let answer = waited(cluster, &resource, &question, timeout).await?;
        if answer.changed {
            ensure_other(&answer, &shown)?;
            complain(
                "something has changed since this was shown, so nothing of it was done; this is what would be \
                 done now:",
            );
            shown = of(&resource, answer)?;
            if args.yes {
                print(&shown.to_text(&name))?;
                return Err(PluginError::NotNow("look at it, and undo again".into()));
            }
            continue;
        }
        print(&told(&name, &answer, is_json))?;
        of(&resource, answer)?;
        return Ok(held);
    }
}

/// The operator's answer.
async fn waited(
    cluster: &Cluster,
    resource: &Resource,
    question: &UndoQuestion,
    timeout: Duration,
) -> Result<Answer, PluginError> {
    let mut display = Display::new(resource.full_name());
    let mut show = |state: &str, waited| {
        if waited >= SHOWN_AFTER {
            display.show(state, waited);
        }
    };
    let answer = ask_operator(cluster, resource, question, timeout, &mut show).await;
    display.end();
    answer
}

/// Has the operator show an undo, or, with the digest of what it showed, do it.
///
/// # Errors
/// When nobody answers within `timeout`.
pub async fn ask_operator(
    cluster: &Cluster,
    resource: &Resource,
    question: &UndoQuestion,
    timeout: Duration,
    show: &mut (dyn FnMut(&str, Duration) + Send),
) -> Result<Answer, PluginError> {
    let by = match question.digest {
        Some(_) => cluster.who_am_i().await,
        None => None,
    };
    let question = UndoQuestion {
        by,
        ..question.clone()
    };
    let text = serde_json::to_string(&question).expect("it is made of texts");
    let asking = Asking {
        slot: Slot::Undo,
        annotation: UNDO,
        text: &text,
        timeout,
    };
    answered(cluster, resource, &asking, show).await
}

/// The undo that an answer shows.
///
/// # Errors
/// Why there is none.
pub fn of(resource: &Resource, answer: Answer) -> Result<UndoDocument, PluginError> {
    if let Some(error) = answer.error {
        return Err(PluginError::NotNow(format!(
            "{}: {}",
            resource.full_name(),
            one_line(&lines(&error))
        )));
    }
    answer.undo.ok_or_else(|| {
        PluginError::NotNow(
            "the answer isn't in a form that this version of the plugin reads: use the plugin of the \
             operator's version"
                .into(),
        )
    })
}

/// What was confirmed and wasn't done has to be another undo by now.
///
/// # Errors
/// When it is the same.
fn ensure_other(answer: &Answer, shown: &UndoDocument) -> Result<(), PluginError> {
    if answer.undo.as_ref() != Some(shown) {
        return Ok(());
    }
    Err(PluginError::NotNow(
        "nothing was done: what was shown isn't what the operator showed. Use the plugin of the operator's \
         version; if it is, somebody has changed the answer on its way"
            .into(),
    ))
}

fn json(document: &UndoDocument) -> String {
    let text = serde_json::to_string(document).expect("it is made of texts, numbers and lists");
    format!("{}\n", escaped_json(&text))
}

/// What was done.
fn told(name: &str, answer: &Answer, is_json: bool) -> String {
    if is_json {
        return answer.undo.as_ref().map(json).unwrap_or_default();
    }
    let done = answer.done.as_ref().map(|done| {
        let counts = done.iter();
        let counts = counts.map(|(kind, count)| format!("{count} {}", sanitize(kind)));
        counts.collect::<Vec<_>>().join(", ")
    });
    let mut text = match done.as_deref() {
        None => String::new(),
        Some("") => format!("\n{name}: nothing was changed\n"),
        Some(done) => format!("\n{name}: done: {done}\n"),
    };
    for problem in &answer.problems {
        text.push_str(&format!("{}\n", sanitize(problem)));
    }
    text
}
