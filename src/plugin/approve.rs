//! `approve`: lets held changes go ahead, once they have been shown.

use std::process::ExitCode;

use kube::ResourceExt;
use serde_json::json;

use super::args::ApproveArgs;
use super::cluster::{Cluster, RESOURCE};
use super::error::PluginError;
use super::published::{Published, Which};
use super::resource::Resource;
use super::sync::{Tally, suspended};
use super::wait::Awaited;
use crate::api::annotations::APPROVE_REMOVALS;
use crate::api::status::HeldRemovals;
use crate::cli::args::OrderArg;
use crate::cli::confirm::{ask, can_ask};
use crate::cli::output::{explain, print};
use crate::cli::view::table_options;
use crate::sync::render::held_table;
use crate::text::sanitize;

/// Shows what is held, asks, and approves exactly that.
pub async fn approve(cluster: &Cluster, args: &ApproveArgs) -> Result<ExitCode, PluginError> {
    let resource = cluster.get(&args.name).await?;
    let held = approvable(&resource, args)?;
    let (text, is_whole) = held_removals_text(cluster, &resource, held).await;
    print(&text)?;
    if !is_whole && args.digest.is_none() {
        return Err(PluginError::NotNow(format!(
            "not all of the {} held changes can be shown here, and nothing is approved that wasn't seen. \
             Look at the plan where it can be read (the right to get configmaps, or secrets with \
             planStorage: Secret), or plan on the manifests with directory-sync plan; then approve with \
             --digest {}",
            held.total,
            sanitize(&held.digest)
        )));
    }
    if resource.annotations_say(held) {
        eprintln!("these were approved before; the operator hasn't acted on it yet");
    }
    if !args.yes {
        if !can_ask() {
            return Err(PluginError::NotNow(
                "there is no terminal to confirm the changes on: look at them, then add --yes, and \
                 --digest to approve no others"
                    .into(),
            ));
        }
        if !ask(&format!("Let these {} held changes go ahead?", held.total))? {
            eprintln!("nothing was approved");
            return Ok(ExitCode::FAILURE);
        }
    }
    let annotations = json!({"metadata": {"annotations": {APPROVE_REMOVALS: held.digest}}});
    cluster.patch(&resource, annotations).await?;
    print(&format!(
        "{RESOURCE}/{} held changes approved\n",
        resource.name()
    ))?;
    let mut tally = Tally::default();
    if args.wait.wait {
        let awaited = Awaited::Approval {
            digest: held.digest.clone(),
            before: resource.status.last_attempt_time.clone(),
        };
        let timeout = args.wait.timeout;
        tally.wait(cluster, &resource, &awaited, timeout).await?;
    }
    Ok(tally.code())
}

/// What is held, where it can be approved and is what was meant.
fn approvable<'a>(
    resource: &'a Resource,
    args: &ApproveArgs,
) -> Result<&'a HeldRemovals, PluginError> {
    if resource.is_suspended() {
        return Err(suspended(resource));
    }
    if resource.is_preview() {
        return Err(PluginError::NotNow(
            "mode is Preview: nothing is removed, approved or not; first set spec.mode to Apply"
                .into(),
        ));
    }
    let Some(held) = &resource.status.held_removals else {
        return Err(PluginError::NotNow(format!(
            "no changes of {} wait for approval; it is {}",
            resource.full_name(),
            resource.state_in_words()
        )));
    };
    match &args.digest {
        Some(digest) if digest.trim().to_lowercase() != held.digest => {
            Err(PluginError::NotNow(format!(
                "{} isn't the digest of what is held: that is {} now, for what is held has changed; \
                 look at them again with status {} -n {}",
                sanitize(digest),
                sanitize(&held.digest),
                resource.name(),
                resource.namespace()
            )))
        }
        _ => Ok(held),
    }
}

/// All of them where the plan can be read, else those that status names; and whether these are all.
async fn held_removals_text(
    cluster: &Cluster,
    resource: &Resource,
    held: &HeldRemovals,
) -> (String, bool) {
    let published = Published::of(cluster, resource, Which::Latest).await;
    if let Ok(Some(Published { document, .. })) = &published
        && document.head.digest == held.digest
        && document.held() > 0
    {
        let options = table_options(true, OrderArg::Action);
        let table = held_table(document, &options);
        let text = format!("{}\n{table}", resource.full_name());
        return (text, document.shows_all_held());
    }
    let mut text = format!(
        "{}\n\nheld, waiting for approval:\n  {}\napprove with digest {}\n\n",
        resource.full_name(),
        sanitize(&held.why),
        sanitize(&held.digest)
    );
    for removal in &held.sample {
        text.push_str(&format!("  {}\n", sanitize(removal)));
    }
    let named = i64::try_from(held.sample.len()).unwrap_or(i64::MAX);
    let more = held.total - named;
    if more > 0 {
        let why = match published {
            Err(error) => explain(&error),
            Ok(_) => "the plan in the cluster is another one".into(),
        };
        text.push_str(&format!(
            "  … and {more} more; the plan can't be read here: {why}\n"
        ));
    }
    // A group in the sample doesn't name those who leave it.
    let is_whole = more <= 0 && held.members + held.groups <= held.total;
    (text, is_whole)
}

impl Resource {
    fn annotations_say(&self, held: &HeldRemovals) -> bool {
        self.object.annotations().get(APPROVE_REMOVALS) == Some(&held.digest)
    }
}
