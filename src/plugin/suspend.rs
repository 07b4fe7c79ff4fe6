//! `suspend` and `resume`: sets `spec.suspend`.

use std::process::ExitCode;

use serde_json::json;

use super::args::ChangeArgs;
use super::cluster::{Cluster, RESOURCE};
use super::error::PluginError;
use super::resource::Resource;
use super::sync::Tally;
use crate::cli::explain;
use crate::cli::output::{complain, print_text};

/// Sets `spec.suspend` of each; those that fail don't keep the others from it.
pub async fn suspend(
    cluster: &Cluster,
    these: &ChangeArgs,
    suspend: bool,
) -> Result<ExitCode, PluginError> {
    let done = if suspend { "suspended" } else { "resumed" };
    let mut tally = Tally::default();
    for resource in cluster.select_some(these).await? {
        let name = resource.name();
        if resource.is_suspended() == suspend {
            print_text(&format!("{RESOURCE}/{name} {done} already\n"))?;
            continue;
        }
        match set_suspend(cluster, &resource, suspend).await {
            Ok(()) => print_text(&format!("{RESOURCE}/{name} {done}\n"))?,
            Err(error) => tally.fail(&resource, &explain(&error)),
        }
        if let Some(owner) = resource.owner() {
            complain(&format!(
                "note: {} is managed by {owner}, which may turn this back: change spec.suspend at its \
                 source, too",
                resource.full_name()
            ));
        }
    }
    Ok(tally.code())
}

/// Sets `spec.suspend` of one resource.
///
/// # Errors
/// When it can't be changed.
pub async fn set_suspend(
    cluster: &Cluster,
    resource: &Resource,
    suspend: bool,
) -> Result<(), PluginError> {
    // Written out, not taken away: what Git doesn't mention it leaves alone.
    let patch = json!({"spec": {"suspend": suspend}});
    cluster.patch(resource, patch).await.map(|_| ())
}
