//! `explain`: has the operator say why one person or group is, or isn't, in the organization.

use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::{ExplainArgs, ExplainOutput};
use super::cluster::Cluster;
use super::companion::{self, Expected};
use super::error::PluginError;
use super::resource::Resource;
use super::wait::Display;
use crate::api::annotations::EXPLAIN;
use crate::api::spec::PlanStorage;
use crate::cli::output::print;
use crate::controller::companion::Companion;
use crate::controller::explain::{ANSWER, Answer, ID, name};
use crate::sync::explain::{Explanation, Question};
use crate::text::{escaped_json, sanitize};

/// How long to wait before the answer is looked for again.
const LOOK: Duration = Duration::from_millis(300);
/// After so long a question that another one replaced is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(3);
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
    let answer = answered(cluster, resource, question, timeout, show).await?;
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

/// Puts the question into the annotation until there is an answer to it.
async fn answered(
    cluster: &Cluster,
    resource: &Resource,
    question: &Question,
    timeout: Duration,
    show: &mut (dyn FnMut(&str, Duration) + Send),
) -> Result<Answer, PluginError> {
    let id = format!("{:032x}", fastrand::u128(..));
    let value = format!("{id} {}", question.as_str());
    let question = json!({"metadata": {"annotations": {EXPLAIN: value}}});
    cluster.patch(resource, question.clone()).await?;
    let (began, mut asked) = (Instant::now(), Instant::now());
    loop {
        match answer(cluster, resource, &id).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) | Err(PluginError::Unreachable { .. }) => {}
            Err(error) => return Err(error),
        }
        let now = match cluster.find(resource.namespace(), resource.name()).await {
            Ok(Some(now)) => now,
            Ok(None) => return Err(PluginError::NotNow("it was deleted".into())),
            Err(PluginError::Unreachable { .. }) => continue,
            Err(error) => return Err(error),
        };
        let eligibility = now.state_in_words();
        if began.elapsed() >= timeout {
            return Err(PluginError::NotNow(format!(
                "no answer after {}; {} is {eligibility}. Is the operator running, and of this version? \
                 Events say if it can't write the answer: kubectl events --for \
                 directorysync/{} -n {}",
                super::time::length(SignedDuration::try_from(timeout).unwrap_or_default()),
                resource.full_name(),
                resource.name(),
                resource.namespace()
            )));
        }
        if now.object.annotations().get(EXPLAIN) != Some(&value) && asked.elapsed() >= ASK_AGAIN {
            // Somebody else asked meanwhile.
            asked = Instant::now();
            cluster.patch(resource, question.clone()).await?;
        }
        show(&eligibility, began.elapsed());
        sleep(LOOK).await;
    }
}

/// The answer to this question, once it is there.
async fn answer(
    cluster: &Cluster,
    resource: &Resource,
    id: &str,
) -> Result<Option<Answer>, PluginError> {
    match resource.plan_storage() {
        PlanStorage::ConfigMap => answer_in::<ConfigMap>(cluster, resource, id).await,
        PlanStorage::Secret => answer_in::<Secret>(cluster, resource, id).await,
    }
}

async fn answer_in<K: Companion>(
    cluster: &Cluster,
    resource: &Resource,
    id: &str,
) -> Result<Option<Answer>, PluginError> {
    let expected = Expected {
        name: &name(resource.name()),
        what: "of",
        then: "and ask again",
    };
    let found = companion::get::<K>(cluster, resource, &expected).await?;
    let Some(mut found) = found else {
        return Ok(None);
    };
    if found.take_text(ID).as_deref() != Some(id) {
        return Ok(None);
    }
    let Some(answer) = found.take_text(ANSWER) else {
        return Ok(None);
    };
    let answer = serde_json::from_str(&answer).map_err(|error| {
        PluginError::NotNow(format!(
            "the answer isn't in a form that this version of the plugin reads ({}): use the plugin of \
             the operator's version",
            sanitize(&error.to_string())
        ))
    })?;
    Ok(Some(answer))
}
