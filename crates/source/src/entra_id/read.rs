//! A complete read: users and groups side by side into one directory.

use std::sync::Mutex;

use reqwest::Url;
use tokio::time::Instant;

use super::changes::{self, DeltaState};
use super::graph::Graph;
use super::groups;
use super::scope::Scope;
use super::settings::EntraIdSettings;
use super::users;
use crate::complete::Complete;
use crate::directory::{Directory, DirectoryBuilder};
use crate::http::ApiError;
use crate::{ReadProgress, Version};

/// Reads the whole tenant; with it the state from which changes can be followed, if they can.
///
/// # Errors
/// Whatever leaves one of the lists incomplete.
pub(super) async fn read(
    graph: &Graph,
    settings: &EntraIdSettings,
    progress: &ReadProgress,
) -> Result<(Complete<Directory>, Option<DeltaState>), ApiError> {
    let since = Instant::now();
    // Before the users themselves are read: what changes meanwhile is told later.
    let (users_link, scope) = tokio::try_join!(
        changes::users_link(graph, settings),
        Scope::read(graph, settings)
    )?;
    let builder = Mutex::new(DirectoryBuilder::new());
    let read_users = users::read(graph, &settings.users, &scope, &builder, progress);
    let read_groups = async {
        match &settings.groups {
            Some(which) => {
                let a_few = settings.batched_groups;
                let read = groups::read(graph, which, a_few, &scope, &builder, progress).await?;
                Ok(Some((which, read)))
            }
            None => Ok(None),
        }
    };
    let read_deleted = users::read_deleted(graph, &settings.users, &builder);
    let ((), (), read) = tokio::try_join!(read_users, read_deleted, read_groups)?;
    let mut builder = builder
        .into_inner()
        .expect("no reader panicked while it held the builder");
    builder.account_rule("accountEnabled", "accountEnabled is false");
    let mut groups_link = None;
    if let Some((which, (groups, link))) = read {
        groups.build(which, &scope, &mut builder);
        groups_link = Some(link);
    }
    let followed: Option<(Url, Option<Url>)> = match (users_link, groups_link) {
        (Some(users), Some(Some(groups))) => Some((users, Some(groups))),
        (Some(users), None) => Some((users, None)),
        _ => None,
    };
    let delta_state = followed.map(|(users, groups)| DeltaState {
        version: Version(format!("{:032x}", fastrand::u128(..))),
        users,
        groups,
        scope: scope.fingerprint(),
        since,
    });
    Ok((builder.finish(), delta_state))
}
