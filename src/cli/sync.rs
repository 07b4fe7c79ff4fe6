//! `sync`: brings organizations in sync, once.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use super::CliError;
use super::args::{OrderArg, SyncArgs};
use super::confirm::{ask, can_ask};
use super::manifests::{Manifests, object_of};
use super::output::{complain, failed, note, print_text};
use super::plan::document;
use super::run::{Run, RunFailure};
use super::session::Session;
use super::view::table_options;
use crate::api::spec;
use crate::sync::planned::Planned;
use crate::sync::render::table;
use crate::sync::report::Report;
use crate::sync::run::REPLANS;
use crate::text::plain;

/// Where changes are held until they are approved.
const HELD: u8 = 3;

/// Problems of each reason that the report shows.
const PROBLEMS: usize = 10;

/// How a resource came out.
enum Synced {
    Done,
    Held,
    Declined,
}

/// Why a resource wasn't synced.
#[derive(Debug, thiserror::Error)]
enum NotSynced {
    #[error(transparent)]
    Run(#[from] RunFailure),
    #[error("spec.suspend is true: nothing was read or changed; set it to false to sync")]
    Suspended,
    #[error("spec.mode is Preview: nothing was changed; set it to Apply to sync, or use plan")]
    PreviewOnly,
    #[error("can't ask for confirmation: {0}")]
    Terminal(#[from] io::Error),
}

/// Syncs each resource; those that fail don't keep the others from it.
pub async fn sync(args: &SyncArgs) -> Result<ExitCode, CliError> {
    if !args.yes && !can_ask() {
        return Err(CliError::Unconfirmed);
    }
    let manifests = Manifests::load(&args.manifests)?;
    note(&manifests.notes);
    let mut all_well = true;
    let mut held = false;
    for resource in manifests.resources() {
        let session = Session::open(resource, &manifests).map_err(RunFailure::from);
        let synced = match session {
            Ok(session) => {
                let synced = sync_one(&session, args).await;
                if synced.is_ok() {
                    session.source.ask_expiries().await;
                }
                session.warn_of_expiries();
                synced
            }
            Err(error) => Err(error.into()),
        };
        match synced {
            Ok(Synced::Done) => {}
            Ok(Synced::Held) => held = true,
            Ok(Synced::Declined) => all_well = false,
            Err(error) => {
                failed(&object_of(resource), &error);
                all_well = false;
            }
        }
    }
    Ok(match (all_well, held) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(HELD),
        (true, false) => ExitCode::SUCCESS,
    })
}

async fn sync_one(session: &Session, args: &SyncArgs) -> Result<Synced, NotSynced> {
    if session.suspended {
        return Err(NotSynced::Suspended);
    }
    if session.mode == spec::Mode::Preview {
        return Err(NotSynced::PreviewOnly);
    }
    let approve = args.approve.as_ref();
    let mut run = Run::new(session, &args.state, args.progress.quiet)?;
    let mut planned = run.plan(approve).await?;
    if !args.yes {
        loop {
            print_text(&shown(session, &planned))?;
            if planned.changes().is_empty() {
                return Ok(outcome(&run.finish(planned)?));
            }
            if !confirmed(&planned)? {
                complain("nothing was changed");
                return Ok(Synced::Declined);
            }
            let shown = std::mem::replace(&mut planned, run.plan(approve).await?);
            if planned.makes_same_changes_as(&shown) {
                break;
            }
            complain(
                "the directory or the organization has changed since this plan was made, so nothing of it \
                 was applied; this is the plan now:",
            );
        }
    }
    let mut report = run.apply(planned).await?;
    // Where somebody was asked, nothing else is done than they have seen.
    let replans = if args.yes { REPLANS } else { 0 };
    for _ in 0..replans {
        if !report.changed_meanwhile {
            break;
        }
        let next = async {
            let planned = run.plan(approve).await?;
            run.apply(planned).await
        };
        report = match next.await {
            Ok(next) => next.after(report),
            Err(error) => return Err(error.after(&report).into()),
        };
    }
    print_text(&describe_result(session, &report))?;
    Ok(outcome(&report))
}

/// All of a plan: nobody confirms what they haven't seen.
fn shown(session: &Session, planned: &Planned) -> String {
    let Some(guarded) = planned.guarded() else {
        return String::new();
    };
    let options = table_options(true, OrderArg::Action);
    let table = table(&document(session, guarded), &options);
    format!("{}\n{table}", session.object)
}

fn outcome(report: &Report) -> Synced {
    match report.held() {
        Some(_) => Synced::Held,
        None => Synced::Done,
    }
}

fn confirmed(planned: &Planned) -> io::Result<bool> {
    ask(&format!("Make these {} changes?", planned.changes().len()))
}

/// What a finished run did, and what it leaves to a person.
fn describe_result(session: &Session, report: &Report) -> String {
    let done: Vec<String> = report
        .applied
        .iter()
        .map(|(kind, count)| format!("{count} {}", kind.name()))
        .collect();
    let mut text = if done.is_empty() {
        format!("{}: nothing was to be changed\n", session.object)
    } else {
        let what = match report.imported {
            None => "done",
            Some(_) => "sent to a server that can't be read",
        };
        format!("{}: {what}: {}\n", session.object, done.join(", "))
    };
    // Writing into a string can't fail.
    if let Some(held) = report.held() {
        let count = held.changes.len();
        let held_are = if count == 1 {
            "change is"
        } else {
            "changes are"
        };
        let _ = writeln!(text, "{count} {held_are} held: {}", held.describe());
        let _ = writeln!(
            text,
            "look at them with plan; to let them go ahead: --approve {}",
            report.digest
        );
    }
    for (reason, count, kept) in report.problems.by_reason() {
        let _ = writeln!(text, "{reason} ({count})");
        for problem in kept.iter().take(PROBLEMS) {
            let _ = writeln!(text, "  {}", plain(&problem.message));
        }
        if count > PROBLEMS {
            let _ = writeln!(text, "  … and {} more", count - PROBLEMS);
        }
    }
    text
}
