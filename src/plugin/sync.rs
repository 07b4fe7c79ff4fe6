//! `sync`: asks for a run.

use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::json;

use super::args::SyncArgs;
use super::cluster::{Cluster, RESOURCE};
use super::error::PluginError;
use super::resource::Resource;
use super::wait::{Awaited, Ended, wait};
use crate::api::annotations::SYNC_REQUESTED_AT;
use crate::cli::explain;
use crate::cli::output::{complain, print_text};
use crate::controller::requests::sync_request;

/// Where changes are held until they are approved, as of `directory-sync sync`.
const HELD: u8 = 3;

/// Asks for a run of each resource; those that fail don't keep the others from it.
pub async fn sync(cluster: &Cluster, args: &SyncArgs) -> Result<ExitCode, PluginError> {
    let resources = cluster.select_some(&args.select).await?;
    let mut tally = Tally::default();
    let mut asked = Vec::new();
    for resource in &resources {
        match request(cluster, resource).await {
            Ok(awaited) => {
                print_text(&format!("{RESOURCE}/{} sync requested\n", resource.name()))?;
                asked.push((resource, awaited));
            }
            Err(error) => tally.fail(resource, &explain(&error)),
        }
    }
    if args.wait.wait {
        for (resource, awaited) in asked {
            tally
                .wait(cluster, resource, &awaited, args.wait.timeout)
                .await?;
        }
    }
    Ok(tally.code())
}

/// How several resources came out.
#[derive(Default)]
pub struct Tally {
    failed: bool,
    held: bool,
}

impl Tally {
    /// Waits for one more, and prints how it ended.
    ///
    /// # Errors
    /// When that can't be printed.
    pub async fn wait(
        &mut self,
        cluster: &Cluster,
        resource: &Resource,
        awaited: &Awaited,
        timeout: SignedDuration,
    ) -> Result<(), PluginError> {
        match wait(cluster, resource, awaited, timeout).await {
            Ok(Ended::Done(message)) => {
                print_text(&format!("{}: {message}\n", resource.full_name()))?
            }
            Ok(Ended::Held(message)) => {
                self.held = true;
                print_text(&format!("{}: {message}\n", resource.full_name()))?;
            }
            Ok(Ended::Failed(why)) => self.fail(resource, &why),
            Err(error) => self.fail(resource, &explain(&error)),
        }
        Ok(())
    }

    /// Tells that one failed.
    pub fn fail(&mut self, resource: &Resource, why: &str) {
        self.failed = true;
        complain(&format!("error: {}: {why}", resource.full_name()));
    }

    /// The exit code of them all.
    pub fn code(&self) -> ExitCode {
        match (self.failed, self.held) {
            (true, _) => ExitCode::FAILURE,
            (false, true) => ExitCode::from(HELD),
            (false, false) => ExitCode::SUCCESS,
        }
    }
}

/// Asks for a run of one resource; what is to be waited for then.
///
/// # Errors
/// When it is suspended, or can't be changed.
pub async fn request(cluster: &Cluster, resource: &Resource) -> Result<Awaited, PluginError> {
    if resource.is_suspended() {
        return Err(suspended(resource));
    }
    // Never the same twice: only another text than the last one asks for anything.
    let token = Timestamp::now().to_string();
    let annotations = json!({"metadata": {"annotations": {SYNC_REQUESTED_AT: token}}});
    let asked = cluster.patch(resource, annotations).await?;
    let token = sync_request(asked.object.annotations()).unwrap_or(token);
    Ok(Awaited::Request(token))
}

/// That a suspended resource isn't worked on.
pub fn suspended(resource: &Resource) -> PluginError {
    PluginError::NotNow(format!(
        "it is suspended, and the operator does nothing for it; first: kubectl directorysync resume {} \
         -n {}",
        resource.name(),
        resource.namespace()
    ))
}
