//! A complete read: users and groups side by side into one directory.

use std::sync::Mutex;

use reqwest::Url;
use tokio::time::Instant;

use super::changes::{self, DeltaState};
use super::graph::Graph;
use super::groups::{self, Groups};
use super::kept::{Keeping, KeptTenant};
use super::scope::Scope;
use super::settings::EntraIdSettings;
use super::users;
use crate::complete::Complete;
use crate::directory::{Directory, DirectoryBuilder};
use crate::http::ApiError;
use crate::kept::Reservation;
use crate::{ReadProgress, Version};

/// What a complete read found.
pub(super) struct Read {
    pub directory: Complete<Directory>,
    /// From where changes can be followed, if they can.
    pub delta_state: Option<DeltaState>,
    /// The tenant to be kept, where there is room for it and changes can be followed.
    pub kept: Option<KeptTenant>,
}

/// Reads the whole tenant. It is kept in `memory`, where there is any.
///
/// # Errors
/// Whatever leaves one of the lists incomplete.
pub(super) async fn read(
    graph: &Graph,
    settings: &EntraIdSettings,
    memory: Option<Reservation>,
    progress: &ReadProgress,
) -> Result<Read, ApiError> {
    let since = Instant::now();
    // Before the users themselves are read: what changes meanwhile is told later.
    let (users_link, scope) = tokio::try_join!(
        changes::users_link(graph, settings),
        Scope::read(graph, settings)
    )?;
    let memory = memory.filter(|_| users_link.is_some());
    let mut keeping = Keeping(memory.map(KeptTenant::new));
    let builder = Mutex::new(DirectoryBuilder::new());
    let read_users = users::read(
        graph,
        &settings.users,
        &scope,
        (&builder, &mut keeping),
        progress,
    );
    let read_groups = async {
        match &settings.groups {
            Some(which) => {
                let a_few = settings.batched_groups;
                let read = groups::read(graph, which, a_few, &scope, progress).await?;
                Ok(Some(read))
            }
            None => Ok(None),
        }
    };
    let mut deleted = vec![];
    let read_deleted = users::read_deleted(graph, |user| deleted.push(user));
    let ((), (), read) = tokio::try_join!(read_users, read_deleted, read_groups)?;
    let mut builder = builder
        .into_inner()
        .expect("no reader panicked while it held the builder");
    for user in &deleted {
        users::add_deleted(&mut builder, &settings.users, user);
    }
    let (groups, groups_link) = match read {
        Some((groups, link)) => (Some(groups), Some(link)),
        None => (None, None),
    };
    add_groups(settings, groups.as_ref(), &scope, &mut builder);
    let followed: Option<(Url, Option<Url>)> = match (users_link, groups_link) {
        (Some(users), Some(Some(groups))) => Some((users, Some(groups))),
        (Some(users), None) => Some((users, None)),
        _ => None,
    };
    let delta_state = followed.map(|(users, groups)| DeltaState {
        version: new_version(),
        users,
        groups,
        scope: scope.fingerprint(),
        since,
        is_updated: false,
    });
    let kept = delta_state.as_ref().and_then(|state| {
        keeping.keep(|kept| {
            kept.put_deleted(deleted);
            kept.finish(state.version.clone(), groups, scope)
        });
        keeping.0
    });
    Ok(Read {
        directory: builder.finish(),
        delta_state,
        kept,
    })
}

/// A version that no other read has.
pub(super) fn new_version() -> Version {
    Version(format!("{:032x}", fastrand::u128(..)))
}

/// Puts the groups into the builder, and by what accounts are told as disabled.
pub(super) fn add_groups(
    settings: &EntraIdSettings,
    groups: Option<&Groups>,
    scope: &Scope,
    builder: &mut DirectoryBuilder,
) {
    builder.account_rule("accountEnabled", "accountEnabled is false");
    if let (Some(which), Some(groups)) = (&settings.groups, groups) {
        groups.build(which, scope, builder);
    }
}
