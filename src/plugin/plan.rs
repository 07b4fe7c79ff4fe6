//! `plan`: what the operator planned.

use std::process::ExitCode;

use jiff::Timestamp;

use super::args::PlanArgs;
use super::cluster::Cluster;
use super::error::PluginError;
use super::published::{Published, Which, age};
use super::resource::{Resource, State};
use super::sync::request;
use super::wait::{Ended, wait};
use crate::cli::args::OutputArg;
use crate::cli::output::{complain, print, print_text};
use crate::cli::view::view;
use crate::text::sanitize;

/// Shows the plan that is in the cluster, after a new one was made where that was asked for.
pub async fn plan(cluster: &Cluster, args: &PlanArgs) -> Result<ExitCode, PluginError> {
    let mut resource = cluster.get(&args.name).await?;
    if args.refresh {
        refresh(cluster, &resource, args).await?;
        resource = cluster.get(&args.name).await?;
    }
    let which = match args.previous {
        true => Which::Previous,
        false => Which::Latest,
    };
    let Some(published) = Published::of(cluster, &resource, which).await? else {
        return Err(PluginError::NotNow(match which {
            Which::Latest => format!(
                "there is no plan of {}: no run of it had anything to do yet; it is {}",
                resource.full_name(),
                resource.state_in_words()
            ),
            Which::Previous => format!(
                "no plan of {} is kept beside the latest: none before it had changes that were made, or \
                 the last of those was large",
                resource.full_name()
            ),
        }));
    };
    if let Some(warning) = published.warning(&resource) {
        complain(&format!("warning: {}", sanitize(&warning)));
    }
    let Published {
        document,
        index,
        written,
        ..
    } = published;
    let name = resource.full_name();
    let text = view(document, &name, &args.view);
    let of_when = age(written.as_ref(), Timestamp::now());
    match (args.view.output, which) {
        (OutputArg::Table, Which::Latest) => {
            let eligibility = eligibility(&resource);
            print_text(&format!(
                "{name}: plan of the last run that had anything to do, {of_when}; {eligibility}\n{text}"
            ))?;
        }
        (OutputArg::Table, Which::Previous) => {
            print_text(&format!(
                "{name}: an earlier plan, {of_when}; {} changes made, {} held\n{text}",
                index.changes, index.held
            ))?;
        }
        (OutputArg::Json | OutputArg::Markdown | OutputArg::Html, _) => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of the plan.
pub fn eligibility(resource: &Resource) -> &'static str {
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
