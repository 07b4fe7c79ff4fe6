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
use crate::api::annotations::{APPROVE_REMOVALS, APPROVED_BY};
use crate::api::status::HeldRemovals;
use crate::cli::args::OrderArg;
use crate::cli::confirm::{ask, can_ask};
use crate::cli::output::{complain, explain, print_text};
use crate::cli::view::table_options;
use crate::sync::render::held_table;
use crate::text::sanitize;

/// Shows what is held, asks, and approves exactly that.
pub async fn approve(cluster: &Cluster, args: &ApproveArgs) -> Result<ExitCode, PluginError> {
    let resource = cluster.get(&args.name).await?;
    let status = approvable(&resource, args.digest.as_deref())?;
    let held = Held::of(cluster, &resource).await?;
    print_text(&held.text(&resource))?;
    if !held.is_whole && args.digest.is_none() {
        return Err(PluginError::NotNow(format!(
            "not all of the {} held changes can be shown here, and nothing is approved that wasn't seen. \
             Look at the plan where it can be read (the right to get configmaps, or secrets with \
             planStorage: Secret), or plan on the manifests with directory-sync plan; then approve with \
             --digest {}",
            held.total,
            sanitize(&held.digest)
        )));
    }
    if resource.annotations_say(status) {
        complain("these were approved before; the operator hasn't acted on it yet");
    }
    if !args.yes {
        if !can_ask() {
            return Err(PluginError::NotNow(
                "there is no terminal to confirm the changes on: look at them, then add --yes, and \
                 --digest to approve no others"
                    .into(),
            ));
        }
        let question = match held.total {
            1 => "Let this held change go ahead?".to_owned(),
            total => format!("Let these {total} held changes go ahead?"),
        };
        if !ask(&question)? {
            complain("nothing was approved");
            return Ok(ExitCode::FAILURE);
        }
    }
    approve_held(cluster, &resource, &held.digest).await?;
    print_text(&format!(
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

/// Approves what this digest identifies.
///
/// # Errors
/// As [`approvable`]; when the resource can't be changed.
pub async fn approve_held(
    cluster: &Cluster,
    resource: &Resource,
    digest: &str,
) -> Result<(), PluginError> {
    let held = approvable(resource, Some(digest))?;
    let by = cluster.who_am_i().await;
    let by = by.map(|name| format!("{} {name}", held.digest));
    let annotations = json!({"metadata": {"annotations": {
        APPROVE_REMOVALS: held.digest, APPROVED_BY: by,
    }}});
    cluster.patch(resource, annotations).await.map(|_| ())
}

/// What is held, where it can be approved and is what was meant: with `digest`, only that.
///
/// # Errors
/// [`PluginError::NotNow`], with the reason.
pub fn approvable<'a>(
    resource: &'a Resource,
    digest: Option<&str>,
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
    match digest {
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

/// What an approval would let go ahead.
pub struct Held {
    /// Identifies it.
    pub digest: String,
    /// How many changes wait.
    pub total: i64,
    /// The changes.
    pub shown: Shown,
    /// Whether these are all.
    pub is_whole: bool,
}

/// Where the changes are taken from.
pub enum Shown {
    /// The plan that the operator published, with every change.
    Plan(Box<Published>),
    /// The status, which has some.
    Sample {
        /// Why they are held.
        why: String,
        /// Some of them.
        sample: Vec<String>,
        /// How many more there are, and why the plan can't be read.
        unreadable: Option<String>,
    },
}

impl Held {
    /// All of them where the plan can be read, else those that status names.
    ///
    /// # Errors
    /// When nothing can be approved.
    pub async fn of(cluster: &Cluster, resource: &Resource) -> Result<Self, PluginError> {
        let held = approvable(resource, None)?;
        let published = Published::of(cluster, resource, Which::Latest).await;
        let why = match published {
            Ok(Some(published))
                if published.document.head.digest == held.digest
                    && published.document.held() > 0 =>
            {
                published.check_held(resource, held)?;
                return Ok(Self {
                    digest: held.digest.clone(),
                    total: held.total,
                    is_whole: published.document.shows_all_held(),
                    shown: Shown::Plan(Box::new(published)),
                });
            }
            Err(error) => explain(&error),
            Ok(_) => "the plan in the cluster is another one".into(),
        };
        let named = i64::try_from(held.sample.len()).unwrap_or(i64::MAX);
        let more = held.total - named;
        Ok(Self {
            digest: held.digest.clone(),
            total: held.total,
            shown: Shown::Sample {
                why: held.why.clone(),
                sample: held.sample.clone(),
                unreadable: (more > 0)
                    .then(|| format!("… and {more} more; the plan can't be read here: {why}")),
            },
            // A group in the sample doesn't name those who leave it.
            is_whole: more <= 0 && held.members + held.groups <= held.total,
        })
    }

    fn text(&self, resource: &Resource) -> String {
        let name = resource.full_name();
        let (why, sample, unreadable) = match &self.shown {
            Shown::Plan(published) => {
                let options = table_options(true, OrderArg::Action);
                return format!("{name}\n{}", held_table(&published.document, &options));
            }
            Shown::Sample {
                why,
                sample,
                unreadable,
            } => (why, sample, unreadable),
        };
        let mut text = format!(
            "{name}\n\nheld, waiting for approval:\n  {}\napprove with digest {}\n\n",
            sanitize(why),
            sanitize(&self.digest)
        );
        for removal in sample {
            text.push_str(&format!("  {}\n", sanitize(removal)));
        }
        if let Some(unreadable) = unreadable {
            text.push_str(&format!("  {unreadable}\n"));
        }
        text
    }
}

impl Resource {
    fn annotations_say(&self, held: &HeldRemovals) -> bool {
        self.object.annotations().get(APPROVE_REMOVALS) == Some(&held.digest)
    }
}
