//! `check`: tries both sides and says step by step what could be seen and done.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::CliError;
use super::args::CheckArgs;
use super::manifests::{Manifests, object_of};
use super::output::{explain, note, print_text};
use super::session::{Session, SessionError};
use crate::fault::Step;
use crate::text::{plain, sanitize};

/// Checks each resource; ends well only if every step does.
pub async fn check(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let manifests = Manifests::load(&args.manifests)?;
    note(&manifests.notes);
    let mut all_well = true;
    for resource in manifests.resources() {
        let object = object_of(resource);
        print_text(&format!("{object}\n"))?;
        let well = match Session::open(resource, &manifests) {
            Ok(session) => check_one(&session).await?,
            Err(error) => {
                show(&[failed_to_open(&error)])?;
                false
            }
        };
        all_well &= well;
    }
    Ok(ExitCode::from(u8::from(!all_well)))
}

async fn check_one(session: &Session) -> Result<bool, CliError> {
    let settings = Step {
        name: "settings".into(),
        result: Ok("the spec is valid; the Secrets and ConfigMaps it names are there".into()),
    };
    let mut well = show(&[settings])?;
    for doubt in &session.policy.doubts {
        print_text(&format!("  note    settings: {}\n", plain(&doubt.message)))?;
    }
    // Both sides, whatever the first one says: a person wants to know all that is wrong.
    let span = session.object.span();
    let (directory, organization) = tracing::Instrument::instrument(
        async { tokio::join!(session.source.check(), session.organization.check()) },
        span,
    )
    .await;
    print_text(&format!(
        "directory {}\n",
        sanitize(&session.source.describe())
    ))?;
    well &= show(&directory)?;
    print_text(&format!(
        "organization {}\n",
        sanitize(&session.organization.describe())
    ))?;
    well &= show(&organization)?;
    let now = Timestamp::now();
    for expiry in session.expiries().iter().filter(|one| one.is_near(now)) {
        print_text(&format!("  note    {}\n", expiry.describe()))?;
    }
    Ok(well)
}

fn failed_to_open(error: &SessionError) -> Step {
    Step {
        name: "settings".into(),
        result: Err(explain(error)),
    }
}

/// Prints the steps; whether all went well.
pub(super) fn show(steps: &[Step]) -> Result<bool, CliError> {
    for step in steps {
        let (color, mark, text) = match &step.result {
            Ok(seen) => (AnsiColor::Green, "ok", seen),
            Err(why) => (AnsiColor::Red, "FAILED", why),
        };
        let style = Style::new().fg_color(Some(color.into()));
        print_text(&format!(
            "  {style}{mark:6}{style:#}  {}: {text}\n",
            step.name
        ))?;
    }
    Ok(steps.iter().all(|step| step.result.is_ok()))
}
