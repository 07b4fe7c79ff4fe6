//! How many requests a Bitwarden server takes.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::Method;

use super::settings::Region;
use crate::http::{RateLimit, RateLimiter, Window};

impl Region {
    /// The limits to keep where the settings name none.
    pub(super) fn limit(&self) -> Arc<dyn RateLimit> {
        // The cloud counts per client address, so all organizations of this process share one.
        static US: LazyLock<Arc<RateLimiter>> = LazyLock::new(|| Arc::new(cloud_rate_limiter()));
        static EU: LazyLock<Arc<RateLimiter>> = LazyLock::new(|| Arc::new(cloud_rate_limiter()));
        static GOV: LazyLock<Arc<RateLimiter>> = LazyLock::new(|| Arc::new(cloud_rate_limiter()));
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

/// The limits of Bitwarden's cloud: 200 reads a minute; 60 a minute and 5 a second of each kind of
/// write. The windows are a little longer than the server's, for requests that travel at different
/// speeds.
pub fn cloud_rate_limiter() -> RateLimiter {
    let minute = Duration::from_millis(60_500);
    let second = Duration::from_millis(1_100);
    let write = [Window::new(60, minute), Window::new(5, second)];
    RateLimiter::unlimited()
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

    #[test]
    fn all_organizations_of_a_cloud_region_share_one_limit_of_token_requests() {
        let same = |a: Region, b: Region| Arc::ptr_eq(&a.token_limit(), &b.token_limit());
        assert!(same(Region::Eu, Region::Eu));
        assert!(!same(Region::Eu, Region::Us), "each region counts its own");
        let server = || Region::server("https://vault.example.com").unwrap();
        assert!(!same(server(), server()), "a server of one's own has none");
    }
}
