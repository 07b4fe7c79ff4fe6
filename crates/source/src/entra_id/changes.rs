//! Whether anything moved since the last complete read, for two requests and not for a hundred.
//!
//! What is kept here makes a read cheaper and never right: it lives in memory, and whatever is odd
//! about it means a complete read.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;
use uuid::Uuid;

use super::graph::{GROUPS_DELTA, Graph, List, USERS_DELTA};
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
    /// Whether what is known isn't just what a complete read saw: it is also by what the deltas told since, or a
    /// read didn't come to its end. Then the links only say who has moved.
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
    /// Whether nothing is known but what a complete read saw, not too long ago, which `known` is the version of.
    pub fn is_all_of(&self, known: Option<&Version>) -> bool {
        known == Some(&self.version) && !self.is_updated && !self.is_old()
    }

    /// Whether a complete read was long enough ago to be made anew whatever the deltas say.
    fn is_old(&self) -> bool {
        self.since.elapsed() > LONGEST_TRUST
    }

    /// Asks the deltas for what they have told since.
    pub async fn follow(&self, graph: &Graph) -> Result<Followed, ApiError> {
        let (users, groups) = (&mut vec![], &mut vec![]);
        let follow_users = async {
            let list = List::new(&USERS_DELTA, "/users/delta");
            let page = |page: Vec<Told>| {
                users.extend(page);
                Ok(())
            };
            graph.delta(&list, self.users.clone(), page).await
        };
        let follow_groups = async {
            let Some(link) = &self.groups else {
                return Ok(None);
            };
            let list = List::new(&GROUPS_DELTA, "/groups/delta");
            let page = |page: Vec<Told>| {
                groups.extend(page);
                Ok(())
            };
            graph.delta(&list, link.clone(), page).await.map(Some)
        };
        let (users_link, groups_link) = tokio::try_join!(follow_users, follow_groups)?;
        Ok(Followed {
            users: std::mem::take(users),
            groups: std::mem::take(groups),
            users_link,
            groups_link,
        })
    }
}

/// What a delta tells of a user or group, as far as it is believed.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub id: Uuid,
    #[serde(rename = "@removed")]
    removed: Option<IgnoredAny>,
}

/// Of whom the deltas told, changes and earlier ones again, and the links that go on from there.
#[derive(Debug)]
pub(super) struct Followed {
    pub users: Vec<Told>,
    pub groups: Vec<Told>,
    pub users_link: Url,
    pub groups_link: Option<Url>,
}

impl Followed {
    /// Whether provably nothing moved.
    pub fn tells_nothing(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Of whom it is told that they were deleted.
    pub fn removed(&self) -> BTreeSet<Uuid> {
        let all = self.users.iter().chain(&self.groups);
        let removed = all.filter(|one| one.removed.is_some());
        removed.map(|one| one.id).collect()
    }
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
