//! `plan`: what a sync would change.

use std::io;
use std::process::ExitCode;

use super::CliError;
use super::args::{OutputArg, PlanArgs, ViewArgs};
use super::manifests::{Manifests, object_of};
use super::output::{failed, note, print_parts};
use super::run::{Run, RunFailure};
use super::session::Session;
use super::view::view_in_parts;
use crate::sync::guard::GuardedPlan;
use crate::sync::render::{PlanDocument, Sides};
use crate::sync::report::Report;

/// Where changes are pending, and `--detailed-exitcode` wants to know.
const PENDING: u8 = 2;

/// Plans each resource; those that fail don't keep the others from it.
pub async fn plan(args: &PlanArgs) -> Result<ExitCode, CliError> {
    let manifests = Manifests::load(&args.manifests)?;
    note(&manifests.notes);
    let mut all_well = true;
    let mut pending = false;
    for resource in manifests.resources() {
        match plan_one(Session::open(resource, &manifests), args).await {
            Ok((session, report)) => {
                print_plan(&session, report.guarded.as_ref(), &args.view)?;
                pending |= !report.in_sync();
            }
            Err(error) => {
                failed(&object_of(resource), &error);
                all_well = false;
            }
        }
    }
    Ok(match (all_well, pending && args.detailed_exitcode) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(PENDING),
        (true, false) => ExitCode::SUCCESS,
    })
}

async fn plan_one(
    session: Result<Session, super::session::SessionError>,
    args: &PlanArgs,
) -> Result<(Session, Report), RunFailure> {
    let session = session?;
    let mut run = Run::new(&session, &args.state, args.progress.quiet)?;
    let planned = run.plan(None).await?;
    let report = run.preview(planned)?;
    Ok((session, report))
}

/// Prints the plan in the form that was asked for.
pub fn print_plan(
    session: &Session,
    guarded: Option<&GuardedPlan>,
    args: &ViewArgs,
) -> io::Result<()> {
    let Some(guarded) = guarded else {
        return Ok(());
    };
    let document = document(session, guarded);
    let object = session.object.to_string();
    print_parts(|take| {
        if args.output == OutputArg::Table {
            take(&format!("{object}\n"));
        }
        view_in_parts(document, &object, args, take);
    })
}

/// The plan as it is shown.
pub fn document<'a>(session: &Session, guarded: &'a GuardedPlan) -> PlanDocument<'a> {
    let (source, organization) = (session.source.describe(), session.organization.describe());
    let sides = Sides {
        source: &source,
        organization: &organization,
    };
    PlanDocument::of(guarded, &sides)
}
