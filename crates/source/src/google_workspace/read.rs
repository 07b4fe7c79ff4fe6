//! A complete read: people and groups side by side into one directory.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::api::Api;
use super::groups::{self, Groups};
use super::settings::{GoogleWorkspaceSettings, Tenant};
use super::users::{self, Seen};
use crate::ReadProgress;
use crate::complete::Complete;
use crate::directory::Directory;
use crate::http::{ApiError, FailureClass};
use crate::text::sanitize;

/// Reads everything in the source's scope. Where Google lost the place in a list, once more from
/// the beginning: what a list said before it can't be told from what has changed since.
///
/// # Errors
/// Whatever leaves one of the lists incomplete.
pub(super) async fn read(
    api: &Api,
    settings: &GoogleWorkspaceSettings,
    progress: &ReadProgress,
) -> Result<Complete<Directory>, ApiError> {
    match read_once(api, settings, progress).await {
        Err(lost) if lost.class == FailureClass::Restart => {
            tracing::info!(reason = %lost, "reading from the beginning");
            progress.users.store(0, Ordering::Relaxed);
            progress.groups.store(0, Ordering::Relaxed);
            read_once(api, settings, progress).await
        }
        result => result,
    }
}

async fn read_once(
    api: &Api,
    settings: &GoogleWorkspaceSettings,
    progress: &ReadProgress,
) -> Result<Complete<Directory>, ApiError> {
    let tenant = &settings.tenant;
    let seen = Mutex::new(Seen::default());
    let read_users = users::read(api, tenant, &settings.users, &seen, progress);
    let read_groups = async {
        match &settings.groups {
            Some(which) => groups::read(api, tenant, which, &seen, progress).await,
            None => Ok(Groups::default()),
        }
    };
    let read_deleted = users::read_deleted(api, tenant, &seen);
    let ((), (), mut groups) = tokio::try_join!(read_users, read_deleted, read_groups)?;
    groups.read_nested(api, &seen).await?;

    let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let meaning = settings.users.describe_states();
    seen.builder.account_rule("suspended or archived", &meaning);
    // Whoever is of one of the customer's domains is somebody out of scope, or gone by now.
    let mut external_members = std::mem::take(&mut seen.external_members);
    external_members.retain(|key, email| !seen.people.contains(key) && !seen.is_ours(email));
    seen.external_members = external_members;
    let whose = match tenant {
        Tenant::Customer(_) => "of this Google Workspace customer".to_owned(),
        Tenant::Domains(domains) => format!("of {}", sanitize(&domains.join(", "))),
    };
    Ok(groups.build(seen, &whose).finish())
}
