//! Asks the operator something by an annotation, and waits for its answer.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::companion::{self, Expected};
use super::error::PluginError;
use super::resource::Resource;
use crate::api::spec::PlanStorage;
use crate::controller::answers::{ANSWER, ID, Slot};
use crate::controller::companion::Companion;
use crate::text::sanitize;

/// How long to wait before the answer is looked for again.
const LOOK: Duration = Duration::from_millis(300);
/// After so long a question that another one replaced is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// What is asked.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// Where the answer stands.
    pub slot: Slot,
    /// The annotation that asks.
    pub annotation: &'static str,
    /// What it says after the ID.
    pub text: &'a str,
    /// How long to wait.
    pub timeout: Duration,
}

/// Puts the question into the annotation until there is an answer to it.
///
/// # Errors
/// When nobody answers in time, or the answer can't be read.
pub async fn answered<T: DeserializeOwned>(
    cluster: &Cluster,
    resource: &Resource,
    asking: &Asking<'_>,
    show: &mut (dyn FnMut(&str, Duration) + Send),
) -> Result<T, PluginError> {
    let Asking {
        slot,
        annotation,
        text,
        timeout,
    } = *asking;
    let id = format!("{:032x}", fastrand::u128(..));
    let value = format!("{id} {text}");
    let question = json!({"metadata": {"annotations": {annotation: value}}});
    cluster.patch(resource, question.clone()).await?;
    let (began, mut asked) = (Instant::now(), Instant::now());
    loop {
        match answer(cluster, resource, slot, &id).await {
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
        if now.object.annotations().get(annotation) != Some(&value) && asked.elapsed() >= ASK_AGAIN
        {
            // Somebody else asked meanwhile.
            asked = Instant::now();
            cluster.patch(resource, question.clone()).await?;
        }
        show(&eligibility, began.elapsed());
        sleep(LOOK).await;
    }
}

/// The answer to this question, once it is there.
async fn answer<T: DeserializeOwned>(
    cluster: &Cluster,
    resource: &Resource,
    slot: Slot,
    id: &str,
) -> Result<Option<T>, PluginError> {
    match resource.plan_storage() {
        PlanStorage::ConfigMap => answer_in::<ConfigMap, T>(cluster, resource, slot, id).await,
        PlanStorage::Secret => answer_in::<Secret, T>(cluster, resource, slot, id).await,
    }
}

async fn answer_in<K: Companion, T: DeserializeOwned>(
    cluster: &Cluster,
    resource: &Resource,
    slot: Slot,
    id: &str,
) -> Result<Option<T>, PluginError> {
    let expected = Expected {
        name: &slot.name(resource.name()),
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
