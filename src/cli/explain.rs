//! `explain`: why one person or group is, or isn't, in the organization.

use std::process::ExitCode;

use super::CliError;
use super::args::{ExplainArgs, ExplainOutput};
use super::manifests::{Manifests, object_of};
use super::output::{failed, note, print};
use super::run::{Run, RunFailure};
use super::session::{Session, SessionError};
use crate::api::spec::Mode;
use crate::sync::explain::Explanation;
use crate::text::escaped_json;

/// Where no resource has anybody of that name.
const NOT_FOUND: u8 = 4;

/// Asks each resource; those that fail don't keep the others from it.
pub async fn explain(args: &ExplainArgs) -> Result<ExitCode, CliError> {
    let manifests = Manifests::load(&args.manifests)?;
    note(&manifests.notes);
    let (mut all_well, mut found) = (true, false);
    for resource in manifests.resources() {
        let object = object_of(resource);
        match explain_one(Session::open(resource, &manifests), args).await {
            Ok(explanation) => {
                found |= explanation.not_found.is_none();
                print(&match args.output {
                    ExplainOutput::Json => format!("{}\n", escaped_json(&explanation.to_json())),
                    ExplainOutput::Text => format!("{object}\n{}", explanation.to_text()),
                })?;
            }
            Err(error) => {
                failed(&object, &error);
                all_well = false;
            }
        }
    }
    Ok(match (all_well, found) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(NOT_FOUND),
    })
}

async fn explain_one(
    session: Result<Session, SessionError>,
    args: &ExplainArgs,
) -> Result<Explanation, RunFailure> {
    let session = session?;
    let mut run = Run::new(&session, &args.state, args.progress.quiet)?;
    let mut explanation = run.explain(&args.question).await?;
    explanation.note_circumstances(session.suspended, session.mode == Mode::Preview);
    Ok(explanation)
}
