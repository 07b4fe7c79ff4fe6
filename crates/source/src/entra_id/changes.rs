//! Whether anything moved since the last complete read, for two requests and not for a hundred.
//!
//! What is kept here makes a read cheaper and never right: it lives in memory, and whatever is odd
//! about it means a complete read.

use std::time::Duration;

use reqwest::Url;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::graph::{GROUPS_DELTA, Graph, List, USERS_DELTA};
use super::scope::Scope;
use super::settings::EntraIdSettings;
use crate::Version;
use crate::http::{ApiError, Failure, FailureClass};

/// After so long everything is read anew, should a delta ever miss something: Graph's replicas
/// don't all know the same at the same time. Delta links live for 7 days.
const LONGEST_TRUST: Duration = Duration::from_secs(6 * 60 * 60);

/// Where the tenant stood when it was read completely.
#[derive(Debug, Clone)]
pub(super) struct DeltaState {
    pub version: Version,
    pub users: Url,
    /// `None` where no groups are read.
    pub groups: Option<Url>,
    /// Of the lists that no delta covers.
    pub scope: [u8; 32],
    pub since: Instant,
    /// Whether what is known is by what the deltas told since.
    pub is_updated: bool,
}

/// Where changes of users are told from now on; `None` where they are chosen by what can't surely be
/// followed: a filter's properties, licences.
pub(super) async fn users_link(
    graph: &Graph,
    settings: &EntraIdSettings,
) -> Result<Option<Url>, ApiError> {
    let users = &settings.users;
    if users.filter.is_some() || !users.assigned_licenses.is_empty() {
        return Ok(None);
    }
    let list = List::new(&USERS_DELTA, "/users/delta")
        .with("$deltatoken", "latest")
        .select(super::users::properties(users));
    let first = graph.url(&list.path, &list.query);
    let link = graph
        .delta(&list, first, |_: Vec<IgnoredAny>| Ok(()))
        .await?;
    Ok(Some(link))
}

impl DeltaState {
    /// Whether a complete read was long enough ago to be made anew whatever the deltas say.
    pub fn is_old(&self) -> bool {
        self.since.elapsed() > LONGEST_TRUST
    }

    /// The same state with links that go on from now, where provably nothing moved.
    ///
    /// # Errors
    /// When Graph can't be asked; a link that it no longer takes is no error but means `None`.
    pub async fn unmoved(
        &self,
        graph: &Graph,
        settings: &EntraIdSettings,
    ) -> Result<Option<Self>, ApiError> {
        let users = List::new(&USERS_DELTA, "/users/delta");
        let groups = List::new(&GROUPS_DELTA, "/groups/delta");
        let users = still(graph, &users, Some(&self.users));
        let groups = still(graph, &groups, self.groups.as_ref());
        let scope = Scope::read(graph, settings);
        let (users, groups, scope) = match tokio::try_join!(users, groups, scope) {
            Ok(found) => found,
            Err(error) if is_about_the_link(&error) => {
                tracing::debug!(%error, "changes can't be followed, everything is read anew");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match (users, groups) {
            (Still::At(users), Still::At(link)) if scope.fingerprint() == self.scope => {
                Ok(Some(Self {
                    users,
                    groups: self.groups.is_some().then_some(link),
                    ..self.clone()
                }))
            }
            (Still::At(users), Still::NotAsked) if scope.fingerprint() == self.scope => {
                Ok(Some(Self {
                    users,
                    ..self.clone()
                }))
            }
            _ => Ok(None),
        }
    }
}

enum Still {
    /// Nothing moved; the link that goes on.
    At(Url),
    /// There is nothing to ask about.
    NotAsked,
    /// Something was reported: a change, or an earlier one again.
    Moved,
}

async fn still(graph: &Graph, list: &List<'_>, link: Option<&Url>) -> Result<Still, ApiError> {
    let Some(link) = link else {
        return Ok(Still::NotAsked);
    };
    let mut reported = 0;
    let next = graph
        .delta(list, link.clone(), |page: Vec<IgnoredAny>| {
            reported += page.len();
            Ok(())
        })
        .await?;
    Ok(match reported {
        0 => Still::At(next),
        _ => Still::Moved,
    })
}

/// Whether an error says that the link is no good any more, rather than that Graph can't be asked.
pub(super) fn is_about_the_link(error: &ApiError) -> bool {
    let undecodable = error
        .cause
        .as_ref()
        .is_some_and(|cause| matches!(cause.failure, Failure::Undecodable(_)));
    undecodable
        || matches!(
            error.class,
            FailureClass::Restart
                | FailureClass::Vanished
                | FailureClass::Incomplete
                | FailureClass::Request
                | FailureClass::WrongServer
        )
}
