//! `plan`: what the operator planned.

use std::process::ExitCode;

use jiff::Timestamp;

use super::args::{PlanArgs, PlanOutput};
use super::cluster::Cluster;
use super::error::PluginError;
use super::published::{Published, age};
use super::resource::{Resource, State};
use super::sync::request;
use super::wait::{Ended, wait};
use crate::cli::output::print;
use crate::text::{escaped_json, lines};

/// Shows the plan that is in the cluster, after a new one was made where that was asked for.
pub async fn plan(cluster: &Cluster, args: &PlanArgs) -> Result<ExitCode, PluginError> {
    let mut resource = cluster.get(&args.name).await?;
    if args.refresh {
        refresh(cluster, &resource, args).await?;
        resource = cluster.get(&args.name).await?;
    }
    let Some(published) = Published::of(cluster, &resource).await? else {
        return Err(PluginError::NotNow(format!(
            "there is no plan of {}: no run of it had anything to do yet; it is {}",
            resource.full_name(),
            resource.state_in_words()
        )));
    };
    match args.output {
        PlanOutput::Json => print(&format!("{}\n", escaped_json(published.json.trim_end())))?,
        PlanOutput::Markdown => print(&lines(&published.markdown))?,
        PlanOutput::Table => {
            let content = published.content()?;
            let of_when = age(published.written.as_ref(), Timestamp::now());
            let eligibility = eligibility(&resource);
            print(&format!(
                "{}: plan of the last run that had anything to do, {of_when}; {eligibility}\n{}",
                resource.full_name(),
                content.table()
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of the plan.
fn eligibility(resource: &Resource) -> &'static str {
    match resource.state() {
        _ if resource.is_preview() => "mode is Preview: nothing of it is made",
        State::Held => "made, except for what is held",
        State::InSync | State::Problems => "made",
        State::Waiting => "a run waits for its turn",
        State::Syncing => "a run is under way",
        State::Suspended => "suspended since",
        State::Failing | State::Stalled => "the last run failed: see status",
        State::Preview | State::NotSeen => "the spec is another since",
    }
}

async fn refresh(
    cluster: &Cluster,
    resource: &Resource,
    args: &PlanArgs,
) -> Result<(), PluginError> {
    if !resource.is_preview() {
        return Err(PluginError::NotNow(format!(
            "mode of {} is Apply: a run would make its plan, not only show it. Set spec.mode to \
             Preview, or plan from here: kubectl get dsync,secret,configmap -n {} -o yaml | \
             directory-sync plan -f - --name {}",
            resource.full_name(),
            resource.namespace(),
            resource.name()
        )));
    }
    let awaited = request(cluster, resource).await?;
    match wait(cluster, resource, &awaited, args.timeout).await? {
        Ended::Failed(why) => Err(PluginError::NotNow(format!(
            "{}: {why}",
            resource.full_name()
        ))),
        Ended::Done(_) | Ended::Held(_) => Ok(()),
    }
}
