//! `history`: what the operator changed.

use std::process::ExitCode;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::args::HistoryArgs;
use super::cluster::Cluster;
use super::companion::{self, Expected};
use super::error::PluginError;
use super::resource::Resource;
use crate::api::spec::PlanStorage;
use crate::cli::history::shown;
use crate::cli::output::print;
use crate::controller::companion::Companion;
use crate::controller::history::{KEY, name};
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

async fn read_kind<K: Companion>(
    cluster: &Cluster,
    resource: &Resource,
) -> Result<Option<String>, PluginError> {
    let name = &*name(resource.name());
    let expected = Expected {
        name,
        what: "the history of",
        then: "and the operator keeps the history there",
    };
    let found = companion::get::<K>(cluster, resource, &expected).await?;
    let Some(bytes) = found.and_then(|mut object| object.take_binary(KEY)) else {
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
