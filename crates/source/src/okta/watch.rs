//! Notices changes between reads, by the times of the last changes: Okta can list the people and groups that
//! were changed after a time.

use std::convert::Infallible;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::limit::RateLimitBucket;
use super::pages::{List, Organization};
use super::read::{group_list, user_purpose};
use super::settings::OktaSettings;
use super::wire::{self, Changed, User};
use crate::directory::{AccountState, ExternalId};
use crate::http::ApiError;
use crate::{Hint, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// By how much Okta's clock may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Watches until a question fails. `since` is when the last read began.
pub(super) async fn watch(
    organization: &Organization,
    settings: &OktaSettings,
    since: Timestamp,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    let watch = Watch {
        organization,
        settings,
        observer,
    };
    match watch.execute(settings.poll_interval, since).await {
        Ok(never) => match never {},
        Err(error) => WatchEnd::Lost(SourceError::from(error)),
    }
}

struct Watch<'a> {
    organization: &'a Organization,
    settings: &'a OktaSettings,
    observer: &'a dyn WatchObserver,
}

impl Watch<'_> {
    async fn execute(&self, interval: Duration, since: Timestamp) -> Result<Infallible, ApiError> {
        let begin = since.saturating_sub(SKEW).unwrap_or(since).to_string();
        let (mut users_since, mut groups_since) = (begin.clone(), begin);
        let mut is_watching = false;
        loop {
            let changed = self.users(&users_since).await?;
            for user in &changed {
                self.observer.changed(self.hint(user));
                let at = user.last_updated.as_deref().unwrap_or_default();
                // Times of one form compare as texts.
                if at > &*users_since {
                    users_since = at.to_owned();
                }
            }
            if let Some(scope) = &self.settings.groups {
                let filter = format!("lastMembershipUpdated gt \"{groups_since}\"");
                let list = group_list(self.organization, scope);
                let url = self
                    .organization
                    .url(&["groups"], &[("limit", "200"), ("filter", &filter)]);
                let list = List { url, ..list };
                let changed: Vec<Changed> = self.page(&list).await?;
                let last = changed
                    .into_iter()
                    .filter_map(|group| group.last_membership_updated);
                if let Some(last) = last.max() {
                    self.observer.changed(Hint::of(last.parse().ok()));
                    groups_since = groups_since.max(last);
                }
            }
            if !std::mem::replace(&mut is_watching, true) {
                self.observer.watching(WatchMethod::Poll(interval));
            }
            sleep(interval).await;
        }
    }

    /// The first page of the people who were changed after a time.
    async fn users(&self, since: &str) -> Result<Vec<User>, ApiError> {
        let filter = format!("lastUpdated gt \"{since}\"");
        let list = List {
            url: self
                .organization
                .url(&["users"], &[("limit", "200"), ("filter", &filter)]),
            endpoint: "GET /api/v1/users",
            bucket: RateLimitBucket::Users,
            purpose: user_purpose(None),
        };
        self.page(&list).await
    }

    async fn page<T>(&self, list: &List<'_>) -> Result<Vec<T>, ApiError>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        let page = self.organization.page(list, &list.url).await;
        let page = page.map_err(|error| error.into_failure(list.purpose))?;
        Ok(page.0)
    }

    fn hint(&self, user: &User) -> Hint {
        let meaning = wire::meaning(&self.settings.statuses, &user.status);
        let left = matches!(
            meaning,
            Ok(Some(AccountState::Disabled | AccountState::Deleted))
        );
        Hint {
            changed: user
                .last_updated
                .as_deref()
                .and_then(|time| time.parse().ok()),
            leaver: left.then(|| ExternalId::parse(&user.id).ok()).flatten(),
        }
    }
}
