//! `history`: what the operator changed.

use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use tokio::time::sleep;

use super::args::HistoryArgs;
use super::cluster::Cluster;
use super::companion::{self, Expected};
use super::error::PluginError;
use super::resource::Resource;
use crate::api::spec::PlanStorage;
use crate::cli::history::shown;
use crate::cli::output::print;
use crate::controller::companion::Companion;
use crate::controller::history::{KEY, name, seal_of, take_run_seals};
use crate::controller::sealed_runs::{Checked, NamedRuns};
use crate::history::{Parsed, parse, unpack};

/// Shows the records that the operator left in the cluster.
pub async fn history(cluster: &Cluster, args: &HistoryArgs) -> Result<ExitCode, PluginError> {
    let resource = cluster.get(&args.name).await?;
    let parsed = records(cluster, &resource).await?;
    let selection = args.select.selection(None);
    print(&shown(
        &resource.full_name(),
        parsed,
        &selection,
        &args.select,
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Status follows the history within this time.
const NAMED_WITHIN: Duration = Duration::from_secs(1);

/// The records that the operator left in the cluster.
///
/// # Errors
/// When they can't be read, or somebody else made what is there.
pub async fn records(cluster: &Cluster, resource: &Resource) -> Result<Parsed, PluginError> {
    let parsed = read(cluster, resource).await?;
    if parsed.unsealed.is_empty() && parsed.lost == 0 {
        return Ok(parsed);
    }
    // It may have been written just now.
    sleep(NAMED_WITHIN).await;
    let found = cluster.find(resource.namespace(), resource.name()).await?;
    match found {
        Some(now) => read(cluster, &now).await,
        None => Ok(parsed),
    }
}

/// What is kept; nothing where nothing was changed yet.
async fn read(cluster: &Cluster, resource: &Resource) -> Result<Parsed, PluginError> {
    let storage = resource.plan_storage();
    if let Some(parsed) = read_from(cluster, resource, storage).await? {
        return Ok(parsed);
    }
    // The operator moves it when the next run begins.
    match read_from(cluster, resource, storage.other()).await {
        // Whoever may not read Secrets misses none here in all likelihood; and what somebody else has
        // under that name isn't asked for.
        Err(PluginError::Forbidden { .. } | PluginError::NotNow(_)) => Ok(Parsed::default()),
        before => Ok(before?.unwrap_or_default()),
    }
}

async fn read_from(
    cluster: &Cluster,
    resource: &Resource,
    storage: PlanStorage,
) -> Result<Option<Parsed>, PluginError> {
    match storage {
        PlanStorage::ConfigMap => read_kind::<ConfigMap>(cluster, resource).await,
        PlanStorage::Secret => read_kind::<Secret>(cluster, resource).await,
    }
}

async fn read_kind<K: Companion>(
    cluster: &Cluster,
    resource: &Resource,
) -> Result<Option<Parsed>, PluginError> {
    let name = &*name(resource.name());
    let expected = Expected {
        name,
        what: "the history of",
        then: "and the operator keeps the history there",
    };
    let found = companion::get::<K>(cluster, resource, &expected).await?;
    let Some(mut object) = found else {
        return Ok(None);
    };
    let seals = take_run_seals(&mut object);
    let Some(bytes) = object.take_binary(KEY) else {
        return Ok(None);
    };
    let text = unpack(&bytes).map_err(|error| {
        PluginError::NotNow(format!(
            "the history in {} {name:?} can't be read ({error}): use the plugin of the operator's version",
            K::STORAGE.kind()
        ))
    })?;
    let seal = seal_of(&seals, &NamedRuns::of(&resource.status));
    let checked = Checked::new(&text, &seal);
    Ok(Some(Parsed {
        unsealed: checked.unsealed().iter().cloned().collect(),
        lost: checked.lost(),
        ..parse(&text)
    }))
}
