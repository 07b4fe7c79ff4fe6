//! Notices changes between reads, by the times of the last changes of accounts. Nothing tells who came into or
//! left a role: that is noticed by the scheduled run.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::error::Purpose;
use super::pages::{Account, List, Version};
use super::settings::OneLoginSettings;
use super::wire::User;
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
                ("fields".to_owned(), "id,updated_at".to_owned()),
                ("updated_since".to_owned(), since.to_string()),
            ],
            endpoint: "GET /api/2/users",
            purpose: Purpose::List,
        };
        let page = account.first::<User>(&list).await;
        let (_, page) = page.map_err(|error| error.into_failure(list.purpose))?;
        // OneLogin passes over parameters that it doesn't know, and would list everybody each time.
        let times = page.entries.into_iter();
        let times = times.filter_map(|user| user.updated_at?.parse::<Timestamp>().ok());
        let last = times.filter(|time| *time > since).max();
        if let Some(last) = last {
            observer.changed(Hint::of(Some(last)));
            since = last;
        }
        if !std::mem::replace(&mut is_watching, true) {
            observer.watching(WatchMethod::Poll(settings.poll_interval));
        }
        sleep(settings.poll_interval).await;
    }
}
