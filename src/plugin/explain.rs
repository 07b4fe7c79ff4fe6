//! `explain`: has the operator say why one person or group is, or isn't, in the organization.

use std::process::ExitCode;
use std::time::Duration;

use super::args::{ExplainArgs, ExplainOutput};
use super::asking::{Asking, answered};
use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use super::wait::Display;
use crate::api::annotations::EXPLAIN;
use crate::cli::output::print;
use crate::controller::answers::Slot;
use crate::controller::explain::Answer;
use crate::sync::explain::{Explanation, Question};
use crate::text::escaped_json;

/// From when on the state is shown while somebody waits.
const SHOWN_AFTER: Duration = Duration::from_secs(2);
/// Where neither side has anybody of that name, as of `directory-sync explain`.
const NOT_FOUND: u8 = 4;

/// Asks, waits for the answer, and shows it.
pub async fn explain(cluster: &Cluster, args: &ExplainArgs) -> Result<ExitCode, PluginError> {
    let resource = cluster.get(&args.name).await?;
    let timeout = Duration::try_from(args.timeout).unwrap_or_default();
    let mut display = Display::new(resource.full_name());
    let mut show = |state: &str, waited| {
        if waited >= SHOWN_AFTER {
            display.show(state, waited);
        }
    };
    let explanation = ask(cluster, &resource, &args.question, timeout, &mut show).await;
    display.end();
    let explanation = explanation?;
    print(&match args.output {
        ExplainOutput::Json => format!("{}\n", escaped_json(&explanation.to_json())),
        ExplainOutput::Text => format!("{}\n{}", resource.full_name(), explanation.to_text()),
    })?;
    Ok(match explanation.not_found {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::from(NOT_FOUND),
    })
}

/// Has the operator explain somebody. While it waits, `show` is told the state of the resource, and
/// since when it waits.
///
/// # Errors
/// When nobody answers within `timeout`, or the answer is that there is none.
pub async fn ask(
    cluster: &Cluster,
    resource: &Resource,
    question: &Question,
    timeout: Duration,
    show: &mut (dyn FnMut(&str, Duration) + Send),
) -> Result<Explanation, PluginError> {
    let asked = Asking {
        slot: Slot::Explain,
        annotation: EXPLAIN,
        text: question.as_str(),
        timeout,
    };
    let answer: Answer = answered(cluster, resource, &asked, show).await?;
    if let Some(error) = answer.error {
        return Err(PluginError::NotNow(format!(
            "{}: no answer: {}",
            resource.full_name(),
            crate::text::one_line(&crate::text::lines(&error))
        )));
    }
    answer.explanation.ok_or_else(|| {
        PluginError::NotNow(
            "the answer isn't in a form that this version of the plugin reads: use the plugin of the \
             operator's version"
                .into(),
        )
    })
}
