//! `history`: what syncs of the command line changed.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use super::CliError;
use super::args::{HistoryArgs, HistoryOutput};
use super::manifests::{Manifests, object_of};
use super::output::{complain, failed, note, print};
use super::records::RecordsFile;
use super::run::RunFailure;
use super::session::Session;
use crate::history::{Parsed, as_json};
use crate::sync::history::{Selection, table};

/// Shows each resource's records; those that can't be read don't keep the others from it.
pub async fn history(args: &HistoryArgs) -> Result<ExitCode, CliError> {
    let manifests = Manifests::load(&args.manifests)?;
    note(&manifests.notes);
    let mut all_well = true;
    for resource in manifests.resources() {
        let object = object_of(resource);
        let read = Session::open(resource, &manifests)
            .map_err(RunFailure::from)
            .and_then(|session| {
                let organization = session.organization.organization_id();
                Ok(RecordsFile::of(&args.state, organization)?.read()?)
            });
        let parsed = match read {
            Ok(parsed) => parsed,
            Err(error) => {
                failed(&object, &error);
                all_well = false;
                continue;
            }
        };
        let selection = args.select.selection(Some(object.to_string()));
        print(&shown(
            &object.to_string(),
            parsed,
            &selection,
            &args.select,
        ))?;
    }
    Ok(match all_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What is asked for of a history, in the form that is asked for.
pub fn shown(
    object: &str,
    parsed: Parsed,
    selection: &Selection,
    args: &super::args::HistorySelectArgs,
) -> String {
    let records = selection.of(parsed.records);
    if parsed.unreadable > 0 {
        let lines = parsed.unreadable;
        complain(&format!(
            "note: {lines} records of another version of this program aren't shown"
        ));
    }
    let not_sealed = records
        .iter()
        .filter(|one| parsed.unsealed.contains(&one.run));
    if not_sealed.count() > 0 {
        complain(
            "note: records that aren't sealed were written by somebody else than the operator, or changed since; \
             they aren't undone",
        );
    }
    if parsed.lost > 0 {
        let runs = parsed.lost;
        complain(&format!(
            "note: the records of {runs} runs were taken out or changed by somebody else than the operator"
        ));
    }
    if args.output == HistoryOutput::Json {
        return as_json(&records, &parsed.unsealed);
    }
    if records.is_empty() {
        return format!("{object}: no record of a change\n");
    }
    let cut = !args.all && io::stdout().is_terminal();
    format!("{object}\n\n{}", table(&records, &parsed.unsealed, cut))
}
