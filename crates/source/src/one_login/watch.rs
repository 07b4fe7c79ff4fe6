//! Notices changes between reads, by the times of the last changes of accounts. Nothing tells who came into or
//! left a role: that is noticed by the scheduled run.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::error::Purpose;
use super::pages::{Account, List, Version};
use super::people::state;
use super::settings::OneLoginSettings;
use super::wire::User;
use crate::directory::{AccountState, ExternalId};
use crate::http::ApiError;
use crate::{Hint, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// By how much OneLogin's clock may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Watches until a question fails. `since` is when the last read began.
pub(super) async fn watch(
    account: &Account,
    settings: &OneLoginSettings,
    since: Timestamp,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    match execute(account, settings, since, observer).await {
        Ok(never) => match never {},
        Err(error) => WatchEnd::Lost(SourceError::from(error)),
    }
}

async fn execute(
    account: &Account,
    settings: &OneLoginSettings,
    since: Timestamp,
    observer: &dyn WatchObserver,
) -> Result<Infallible, ApiError> {
    let mut since = since.saturating_sub(SKEW).unwrap_or(since);
    let mut is_watching = false;
    loop {
        let list = List {
            version: Version::Two,
            path: vec!["users".to_owned()],
            query: vec![
                ("fields".to_owned(), "id,status,state,updated_at".to_owned()),
                ("updated_since".to_owned(), since.to_string()),
            ],
            endpoint: "GET /api/2/users",
            purpose: Purpose::List,
        };
        let page = account.first::<User>(&list).await;
        let (_, page) = page.map_err(|error| error.into_failure(list.purpose))?;
        // OneLogin passes over parameters that it doesn't know, and would list everybody each time.
        let mut last = since;
        for user in page.entries {
            let updated = user.updated_at.as_deref();
            let Some(updated) = updated.and_then(|time| time.parse::<Timestamp>().ok()) else {
                continue;
            };
            if updated > since {
                observer.changed(Hint {
                    changed: Some(updated),
                    leaver: leaver(settings, &user),
                });
                last = last.max(updated);
            }
        }
        since = last;
        if !std::mem::replace(&mut is_watching, true) {
            observer.watching(WatchMethod::Poll(settings.poll_interval));
        }
        sleep(settings.poll_interval).await;
    }
}

/// Who has an account that can't be used.
fn leaver(settings: &OneLoginSettings, user: &User) -> Option<ExternalId> {
    let state = state(settings, user).ok().flatten()?.state;
    let has_left = matches!(state, AccountState::Disabled | AccountState::Deleted);
    let id = has_left.then(|| ExternalId::parse(&user.id.to_string()).ok());
    id.flatten()
}
