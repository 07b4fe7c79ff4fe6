//! How many requests a Bitwarden server takes.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::Method;

use super::settings::Region;
use crate::http::{Pace, PathLimiter, RateLimit, RateLimiter, Window};

/// The cloud's own 429 has it; one of what stands in front of it doesn't.
const LIMIT_HEADER: &str = "x-rate-limit-limit";

/// What stands in front of the cloud has limits that nobody knows. A thousand requests for different
/// members go in half a minute.
const PACE: Pace = Pace {
    first: 20.0,
    slowest: 1.0,
    fastest: 40.0,
};

impl Region {
    /// The limits to keep where the settings name none.
    pub(super) fn limit(&self) -> Arc<dyn RateLimit> {
        // The cloud counts per client address, so all organizations of this process share one.
        static US: LazyLock<Arc<PathLimiter>> = LazyLock::new(|| Arc::new(cloud_rate_limiter()));
        static EU: LazyLock<Arc<PathLimiter>> = LazyLock::new(|| Arc::new(cloud_rate_limiter()));
        static GOV: LazyLock<Arc<PathLimiter>> = LazyLock::new(|| Arc::new(cloud_rate_limiter()));
        match self {
            Self::Us => US.clone(),
            Self::Eu => EU.clone(),
            Self::UsGov => GOV.clone(),
            Self::Server { .. } | Self::Split { .. } => Arc::new(RateLimiter::unlimited()),
        }
    }

    /// The limit of token requests. The cloud counts them per client address, so all organizations
    /// of this process share one for each region.
    pub(super) fn token_limit(&self) -> Arc<dyn RateLimit> {
        static US: LazyLock<Arc<RateLimiter>> = LazyLock::new(|| Arc::new(token_rate_limiter()));
        static EU: LazyLock<Arc<RateLimiter>> = LazyLock::new(|| Arc::new(token_rate_limiter()));
        static GOV: LazyLock<Arc<RateLimiter>> = LazyLock::new(|| Arc::new(token_rate_limiter()));
        match self {
            Self::Us => US.clone(),
            Self::Eu => EU.clone(),
            Self::UsGov => GOV.clone(),
            Self::Server { .. } | Self::Split { .. } => Arc::new(RateLimiter::unlimited()),
        }
    }
}

/// The limits of Bitwarden's cloud, for each client address, method and exact path: 200 reads a minute;
/// 60 writes a minute and 5 a second. So requests for different members don't add up, while imports
/// and lists do, whichever organization they are for. The windows are a little longer than the
/// server's, for requests that travel at different speeds.
pub fn cloud_rate_limiter() -> PathLimiter {
    let minute = Duration::from_millis(60_500);
    let second = Duration::from_millis(1_100);
    let write = [Window::new(60, minute), Window::new(5, second)];
    PathLimiter::new(PACE, LIMIT_HEADER)
        .with(Method::GET, [Window::new(200, minute)])
        .with(Method::POST, write)
        .with(Method::PUT, write)
        .with(Method::DELETE, write)
}

/// The limit of the cloud's identity service: 10 token requests a minute and 5 a second, for all
/// organizations behind one client address together.
fn token_rate_limiter() -> RateLimiter {
    let minute = Window::new(10, Duration::from_millis(60_500));
    let second = Window::new(5, Duration::from_millis(1_100));
    RateLimiter::unlimited().with(Method::POST, [minute, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUD: [Region; 3] = [Region::Us, Region::Eu, Region::UsGov];

    /// When the last of so many requests to one path may go.
    async fn last_of(requests: usize, limit: &dyn RateLimit, method: Method) -> Duration {
        let started = tokio::time::Instant::now();
        for _ in 0..requests {
            limit
                .permit(&method, "/api/public/organization/import")
                .await;
        }
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_region_of_the_cloud_has_the_limits_that_all_its_organizations_share() {
        for region in CLOUD {
            assert!(Arc::ptr_eq(&region.limit(), &region.limit()), "{region:?}");
            // Half of them by one organization.
            let first = last_of(30, &*region.limit(), Method::POST).await;
            let then = last_of(31, &*region.limit(), Method::POST).await;
            assert!(
                (first + then).as_secs() >= 60,
                "{region:?}: {first:?}, {then:?}"
            );
        }
        assert!(!Arc::ptr_eq(&Region::Us.limit(), &Region::UsGov.limit()));
        let own = Region::server("https://vault.example.com").unwrap();
        let none = last_of(1_000, &*own.limit(), Method::POST).await;
        assert_eq!(none, Duration::ZERO, "a server of one's own has none");
    }

    #[tokio::test(start_paused = true)]
    async fn all_organizations_of_a_cloud_region_share_its_limit_of_token_requests() {
        for region in CLOUD {
            let times = [10, 1].map(|requests| {
                let limit = region.token_limit();
                async move { last_of(requests, &*limit, Method::POST).await }
            });
            let [first, eleventh] = times;
            let (first, eleventh) = (first.await, eleventh.await);
            assert!((first + eleventh).as_secs() >= 60, "{region:?}");
        }
        assert!(!Arc::ptr_eq(
            &Region::Eu.token_limit(),
            &Region::Us.token_limit()
        ));
        let own = Region::server("https://vault.example.com").unwrap();
        let none = last_of(1_000, &*own.token_limit(), Method::POST).await;
        assert_eq!(none, Duration::ZERO);
    }
}
