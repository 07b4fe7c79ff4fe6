//! Notices changes between reads, by the deltas of users and groups.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::sleep;
use uuid::Uuid;

use super::changes::{DeltaState, is_about_the_link};
use super::graph::{GROUPS_DELTA, Graph, List, USERS_DELTA};
use super::settings::EntraIdSettings;
use super::users::properties;
use crate::directory::ExternalId;
use crate::http::ApiError;
use crate::{Hint, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// What a delta tells of a user: those properties alone that have changed, or all of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangedUser {
    id: Uuid,
    account_enabled: Option<bool>,
}

/// Watches until Graph can't be asked. `last_read` is where the last read left the deltas.
pub(super) async fn watch(
    graph: &Graph,
    settings: &EntraIdSettings,
    last_read: Option<DeltaState>,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    let watch = Watch {
        graph,
        settings,
        observer,
    };
    match watch.execute(last_read).await {
        Ok(never) => match never {},
        Err(error) => WatchEnd::Lost(SourceError::from(error)),
    }
}

struct Watch<'a> {
    graph: &'a Graph,
    settings: &'a EntraIdSettings,
    observer: &'a dyn WatchObserver,
}

/// Where the deltas go on.
struct Links {
    users: Url,
    groups: Option<Url>,
}

impl Watch<'_> {
    async fn execute(&self, last_read: Option<DeltaState>) -> Result<Infallible, ApiError> {
        let mut links = match last_read {
            Some(state) => Links {
                users: state.users,
                groups: state.groups,
            },
            None => self.begin().await?,
        };
        let every = self.settings.poll_interval;
        let mut is_watching = false;
        loop {
            links = match self.follow(&links).await {
                Ok(links) => links,
                // Links live for seven days, and Graph may forget them earlier.
                Err(error) if is_about_the_link(&error) => self.begin().await?,
                Err(error) => return Err(error),
            };
            if !std::mem::replace(&mut is_watching, true) {
                self.observer.watching(WatchMethod::Poll(every));
            }
            sleep(every).await;
        }
    }

    /// Begins with what changes from now on; what changed before isn't known.
    async fn begin(&self) -> Result<Links, ApiError> {
        let latest = |list: List<'static>| list.with("$deltatoken", "latest");
        let users = latest(List::new(&USERS_DELTA, "/users/delta"));
        let users = users.select(properties(&self.settings.users));
        let groups = latest(List::new(&GROUPS_DELTA, "/groups/delta"));
        let groups = groups.select("displayName,members");
        let first = |list: &List<'_>| self.graph.url(&list.path, &list.query);
        let ignore = |_: Vec<IgnoredAny>| Ok(());
        let links = Links {
            users: self.graph.delta(&users, first(&users), ignore).await?,
            groups: match self.settings.groups {
                Some(_) => Some(self.graph.delta(&groups, first(&groups), ignore).await?),
                None => None,
            },
        };
        self.observer.changed(Hint::default());
        Ok(links)
    }

    /// Tells of what has changed, which may be told again: replays and doubles are to be expected.
    async fn follow(&self, links: &Links) -> Result<Links, ApiError> {
        let hints = Mutex::new(vec![]);
        let note = |hint| {
            let mut hints = hints.lock().unwrap_or_else(PoisonError::into_inner);
            hints.push(hint);
        };
        let users = List::new(&USERS_DELTA, "/users/delta");
        let users = self.graph.delta(&users, links.users.clone(), |page| {
            page.into_iter().map(hint).for_each(note);
            Ok(())
        });
        let groups = async {
            let Some(link) = &links.groups else {
                return Ok(None);
            };
            let list = List::new(&GROUPS_DELTA, "/groups/delta");
            let next = self
                .graph
                .delta(&list, link.clone(), |page: Vec<IgnoredAny>| {
                    if !page.is_empty() {
                        note(Hint::default());
                    }
                    Ok(())
                });
            next.await.map(Some)
        };
        let (users, groups) = tokio::try_join!(users, groups)?;
        let hints = hints.into_inner().unwrap_or_else(PoisonError::into_inner);
        hints
            .into_iter()
            .for_each(|hint| self.observer.changed(hint));
        Ok(Links { users, groups })
    }
}

/// Who was deleted has no property: a read tells.
fn hint(user: ChangedUser) -> Hint {
    let left = user.account_enabled == Some(false);
    Hint {
        changed: None,
        leaver: left
            .then(|| ExternalId::parse(&user.id.to_string()).ok())
            .flatten(),
    }
}
