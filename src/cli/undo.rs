//! `undo`: takes back what an earlier sync of the command line did.

use std::io;
use std::process::ExitCode;

use super::CliError;
use super::args::{UndoArgs, UndoOutput};
use super::confirm::{ask, can_ask};
use super::manifests::{Manifests, object_of};
use super::output::{complain, failed, print};
use super::run::{Run, RunFailure};
use super::session::Session;
use crate::api::spec;
use crate::sync::report::Report;
use crate::sync::run_undo::{PlannedUndo, UndoError};
use crate::sync::undo::{NoSuchRun, UndoDocument};
use crate::text::{escaped_json, plain};

/// Where changes are held until they are approved.
const HELD: u8 = 3;

/// How it came out.
enum Undone {
    Done,
    Held,
    Declined,
}

/// Why nothing was undone.
#[derive(Debug, thiserror::Error)]
enum NotUndone {
    #[error(transparent)]
    Run(#[from] RunFailure),
    #[error("spec.suspend is true: nothing was changed; set it to false to undo")]
    Suspended,
    #[error("spec.mode is Preview: nothing was changed; set it to Apply to undo, or add --dry-run")]
    PreviewOnly,
    #[error("can't ask for confirmation, or write to standard output: {0}")]
    Terminal(#[from] io::Error),
}

impl NotUndone {
    /// Whether the run may be another resource's.
    fn is_unknown_run(&self) -> bool {
        matches!(
            self,
            Self::Run(RunFailure::Undo(UndoError::NoSuchRun(NoSuchRun::Unknown(
                _
            ))))
        )
    }
}

/// Undoes the run of the one resource that has it.
pub async fn undo(args: &UndoArgs) -> Result<ExitCode, CliError> {
    if args.output == UndoOutput::Json && !args.yes && !args.dry_run {
        return Err(CliError::JsonUnconfirmed);
    }
    if !args.yes && !args.dry_run && !can_ask() {
        return Err(CliError::Unconfirmed);
    }
    let manifests = Manifests::load(&args.manifests)?;
    super::output::note(&manifests.notes);
    let resources = manifests.resources();
    let (mut all_well, mut held) = (true, false);
    let mut elsewhere = vec![];
    let several = resources.len() > 1;
    let mut found = false;
    for resource in resources {
        let session = Session::open(resource, &manifests).map_err(RunFailure::from);
        let undone = match session {
            Ok(session) => undo_one(&session, args).await,
            Err(error) => Err(error.into()),
        };
        match undone {
            Err(error) if several && error.is_unknown_run() => {
                elsewhere.push((object_of(resource), error));
                continue;
            }
            Ok(Undone::Done) => {}
            Ok(Undone::Held) => held = true,
            Ok(Undone::Declined) => all_well = false,
            Err(error) => {
                failed(&object_of(resource), &error);
                all_well = false;
            }
        }
        found = true;
    }
    if !found {
        for (object, error) in &elsewhere {
            failed(object, error);
        }
        all_well = false;
    }
    Ok(match (all_well, held) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(HELD),
        (true, false) => ExitCode::SUCCESS,
    })
}

async fn undo_one(session: &Session, args: &UndoArgs) -> Result<Undone, NotUndone> {
    if session.suspended && !args.dry_run {
        return Err(NotUndone::Suspended);
    }
    if session.mode == spec::Mode::Preview && !args.dry_run {
        return Err(NotUndone::PreviewOnly);
    }
    let approve = args.approve.as_ref();
    let request = args.choice.request();
    let mut run = Run::new(session, &args.state, args.progress.quiet)?;
    let mut undo = run.plan_undo(&request, approve).await?;
    let object = session.object.to_string();
    if args.dry_run || !args.yes {
        print(&shown(&object, &undo, args.output))?;
    }
    if args.dry_run {
        return Ok(Undone::Done);
    }
    if !args.yes {
        loop {
            if undo.changes().is_empty() {
                return Ok(outcome(&undo));
            }
            if !ask(&format!("Make these {} changes?", undo.changes().len()))? {
                complain("nothing was changed");
                return Ok(Undone::Declined);
            }
            let again = run.plan_undo(&request, approve).await?;
            let is_same = again.digest == undo.digest;
            undo = again;
            if is_same {
                break;
            }
            complain(
                "the organization has changed since this was shown, so nothing of it was done; this is what \
                 would be done now:",
            );
            print(&shown(&object, &undo, args.output))?;
        }
    }
    let outcome = outcome(&undo);
    let document = document(&undo);
    let report = match undo.changes().is_empty() {
        true => None,
        false => Some(run.apply(undo.planned).await?),
    };
    print(&told(&object, document.as_ref(), report.as_ref(), args))?;
    Ok(outcome)
}

fn outcome(undo: &PlannedUndo) -> Undone {
    match undo.held() {
        Some(_) => Undone::Held,
        None => Undone::Done,
    }
}

fn document(undo: &PlannedUndo) -> Option<UndoDocument> {
    let guarded = undo.guarded()?;
    Some(UndoDocument::new(
        (&undo.run, undo.began, undo.adoption),
        guarded,
        &undo.left,
        &undo.digest,
    ))
}

fn shown(object: &str, undo: &PlannedUndo, output: UndoOutput) -> String {
    let Some(document) = document(undo) else {
        return String::new();
    };
    match output {
        UndoOutput::Table => document.to_text(object),
        UndoOutput::Json => json(&document),
    }
}

fn json(document: &UndoDocument) -> String {
    let text = serde_json::to_string(document);
    let text = text.expect("it is made of texts, numbers and lists");
    format!("{}\n", escaped_json(&text))
}

/// What was done.
fn told(
    object: &str,
    document: Option<&UndoDocument>,
    report: Option<&Report>,
    args: &UndoArgs,
) -> String {
    let Some(document) = document else {
        return String::new();
    };
    if args.output == UndoOutput::Json {
        return json(document);
    }
    let mut text = match report {
        // With --yes nobody has seen yet what stays.
        _ if args.yes => document.to_text(object),
        _ => String::new(),
    };
    let Some(report) = report else {
        return text;
    };
    let done: Vec<String> = report
        .applied
        .iter()
        .map(|(kind, count)| format!("{count} {}", kind.name()))
        .collect();
    let done = match done.is_empty() {
        true => "nothing was changed".to_owned(),
        false => format!("done: {}", done.join(", ")),
    };
    text.push_str(&format!("\n{object}: {done}\n"));
    for problem in report.problems.iter() {
        text.push_str(&format!(
            "{}: {}\n",
            problem.reason,
            plain(&problem.message)
        ));
    }
    text
}
