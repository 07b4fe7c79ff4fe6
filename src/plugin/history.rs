//! `history`: what the operator changed.

use std::process::ExitCode;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

use super::args::HistoryArgs;
use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use crate::api::spec::PlanStorage;
use crate::cli::history::shown;
use crate::cli::output::print;
use crate::controller::history::{Stored, name};
use crate::controller::plan::{is_of, is_of_this};
use crate::history::{Parsed, parse, unpack};

/// Shows the records that the operator left in the cluster.
pub async fn history(cluster: &Cluster, args: &HistoryArgs) -> Result<ExitCode, PluginError> {
    let resource = cluster.get(&args.name).await?;
    let text = read(cluster, &resource).await?.unwrap_or_default();
    let selection = args.select.selection(None);
    print(&shown(
        &resource.full_name(),
        parse(&text),
        &selection,
        &args.select,
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The records that the operator left in the cluster.
///
/// # Errors
/// When they can't be read, or somebody else made what is there.
pub async fn records(cluster: &Cluster, resource: &Resource) -> Result<Parsed, PluginError> {
    let text = read(cluster, resource).await?.unwrap_or_default();
    Ok(parse(&text))
}

/// The lines that are kept; `None` where nothing was changed yet.
async fn read(cluster: &Cluster, resource: &Resource) -> Result<Option<String>, PluginError> {
    let storage = resource.plan_storage();
    if let Some(text) = read_from(cluster, resource, storage).await? {
        return Ok(Some(text));
    }
    // The operator moves it when the next run begins.
    match read_from(cluster, resource, storage.other()).await {
        // Whoever may not read Secrets misses none here in all likelihood; and what somebody else has
        // under that name isn't asked for.
        Err(PluginError::Forbidden { .. } | PluginError::NotNow(_)) => Ok(None),
        before => before,
    }
}

async fn read_from(
    cluster: &Cluster,
    resource: &Resource,
    storage: PlanStorage,
) -> Result<Option<String>, PluginError> {
    match storage {
        PlanStorage::ConfigMap => read_kind::<ConfigMap>(cluster, resource).await,
        PlanStorage::Secret => read_kind::<Secret>(cluster, resource).await,
    }
}

async fn read_kind<K: Stored>(
    cluster: &Cluster,
    resource: &Resource,
) -> Result<Option<String>, PluginError> {
    let namespace = resource.namespace();
    let api: Api<K> = Api::namespaced(cluster.client.clone(), namespace);
    let name = name(resource.name());
    let asked = cluster.asked("get", K::STORAGE.resource(), Some(namespace));
    let found = api.get_opt(&name).await;
    let Some(mut object) = found.map_err(|error| asked.failed(error))? else {
        return Ok(None);
    };
    if !object.is_history() || !is_of(object.meta(), resource.name()) {
        return Err(PluginError::NotNow(format!(
            "{} {name:?} isn't the history of {}: somebody else made it; delete or rename it, and the \
             operator keeps the history there",
            K::STORAGE.kind(),
            resource.full_name()
        )));
    }
    let uid = resource.object.metadata.uid.as_deref();
    if !is_of_this(object.meta(), resource.name(), uid) {
        // Of an earlier resource of this name. The operator doesn't read it, either.
        return Ok(None);
    }
    let Some(bytes) = object.take() else {
        return Ok(None);
    };
    let text = unpack(&bytes).map_err(|error| {
        PluginError::NotNow(format!(
            "the history in {} {name:?} can't be read ({error}): use the plugin of the operator's version",
            K::STORAGE.kind()
        ))
    })?;
    Ok(Some(text))
}
