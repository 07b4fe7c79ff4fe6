//! Seats of the subscription, which Bitwarden's cloud alone tells of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::time::{Instant, timeout};

use crate::OrganizationClient;
use crate::OrganizationError;
use crate::http::{ApiClient, HttpError};
use crate::model::Seats;
use crate::read::is_status;
use crate::wire::Subscription;

/// No subscription is longer.
const ANSWER_MAX: u64 = 1 << 20;
/// How often the server is asked where no run needs to know.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// An answer that takes longer isn't waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the server said last.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownSeats(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    seats: Option<Seats>,
    /// When to ask next; at once where nobody asked yet.
    next: Option<Instant>,
}

impl KnownSeats {
    fn get(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrganizationClient {
    /// The subscription's seats; `None` where the server doesn't say or has no limit.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn seats(&self) -> Result<Option<Seats>, OrganizationError> {
        let asked = self.ask_for_seats(&self.remote).await;
        asked.map_err(|error| self.error(error))
    }

    /// The seats as the server told last; `None` where it didn't, or has no limit.
    pub fn known_seats(&self) -> Option<Seats> {
        self.seats.get().seats
    }

    /// Asks for the seats where nobody did for a day, by a request that nothing else waits for. A server that can't tell
    /// isn't asked, and what goes wrong is left at that.
    pub async fn refresh_seats(&self) {
        {
            let mut known = self.seats.get();
            let may_tell = self.settings.region.is_cloud() || known.seats.is_some();
            let now = Instant::now();
            if !may_tell || known.next.is_some_and(|next| now < next) {
                return;
            }
            known.next = Some(now + INTERVAL);
        }
        // Not within the time of the question: a read that waits for the same token would have to begin again.
        if self.authenticate().await.is_err() {
            return;
        }
        let beside = self.remote.beside();
        match timeout(PATIENCE, self.ask_for_seats(&beside)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "couldn't find out how many seats there are"),
            Err(_) => tracing::debug!("no answer in time to how many seats there are"),
        }
    }

    async fn ask_for_seats(&self, remote: &ApiClient) -> Result<Option<Seats>, HttpError> {
        let path = "/public/organization/subscription";
        let endpoint = "GET /public/organization/subscription";
        let call = self.call(Method::GET, path, endpoint);
        let seats = match remote.json::<Subscription>(&call, ANSWER_MAX).await {
            Ok(subscription) => subscription.seats(),
            Err(error) if is_status(&error, StatusCode::NOT_FOUND) => None,
            // A company's own server: "Only allowed when not self hosted."
            Err(error)
                if !self.settings.region.is_cloud()
                    && is_status(&error, StatusCode::BAD_REQUEST) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        *self.seats.get() = Known {
            seats,
            next: Some(Instant::now() + INTERVAL),
        };
        Ok(seats)
    }
}
