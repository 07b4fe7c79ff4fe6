//! `plan`: what a sync would change.

use std::process::ExitCode;

use super::CliError;
use super::args::{OutputArg, PlanArgs};
use super::manifests::{Manifests, object_of};
use super::output::{failed, note, print};
use super::run::{Run, RunFailure};
use super::session::Session;
use crate::sync::guard::GuardedPlan;
use crate::sync::render;
use crate::sync::report::Report;

/// Where changes are pending, and `--detailed-exitcode` wants to know.
const PENDING: u8 = 2;

/// Rows of each kind of change that the table shows.
pub const ROWS: usize = 50;

/// Plans each resource; those that fail don't keep the others from it.
pub async fn plan(args: &PlanArgs) -> Result<ExitCode, CliError> {
    let manifests = Manifests::load(&args.manifests)?;
    note(&manifests.notes);
    let mut all_well = true;
    let mut pending = false;
    for resource in manifests.resources() {
        match plan_one(Session::open(resource, &manifests), args).await {
            Ok((session, report)) => {
                print(&render_plan(&session, report.guarded.as_ref(), args.output))?;
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

/// The plan in the form that was asked for.
pub fn render_plan(session: &Session, guarded: Option<&GuardedPlan>, output: OutputArg) -> String {
    let Some(guarded) = guarded else {
        return String::new();
    };
    let (source, organization) = (session.source.describe(), session.organization.describe());
    let sides = render::Sides {
        source: &source,
        organization: &organization,
    };
    match output {
        OutputArg::Table => format!(
            "{}\n{}",
            session.object,
            render::table(guarded, &sides, ROWS)
        ),
        OutputArg::Json => format!("{}\n", render::json(guarded, &sides, None)),
        OutputArg::Markdown => render::markdown(guarded, &sides, usize::MAX),
    }
}
