//! What an account is like before anybody asks.

use std::time::Duration;

/// What an account is like.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The id of its API credentials.
    pub client_id: String,
    /// The client secret of the credentials.
    pub client_secret: String,
    /// Requests in a window; none: unlimited, without headers.
    pub rate_limit: Option<RateLimit>,
    /// Entries a page at most, whatever is asked for.
    pub page_max: PageMax,
    /// Whether a larger page than that is refused rather than cut.
    pub refuses_large_pages: bool,
    /// How long every request takes on top.
    pub latency: Duration,
}

/// The account's limit: all its requests count together.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// Requests in a window.
    pub requests: u32,
    /// Length of a window, in whole seconds.
    pub window_seconds: u64,
    /// Which answers have headers with what is left.
    pub headers: LimitHeaders,
}

/// The versions of the API whose answers have headers with what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitHeaders {
    /// Those of both versions.
    Everywhere,
    /// Those of version 1 alone.
    InVersionOne,
}

/// Entries a page at most, by list.
#[derive(Debug, Clone, Copy)]
pub struct PageMax {
    /// Entries a page of `/api/2/users`.
    pub users: usize,
    /// Entries a page of `/api/2/roles`.
    pub roles: usize,
    /// Entries a page of `/api/2/roles/{id}/users`.
    pub members: usize,
    /// Entries a page of `/api/1/groups`.
    pub groups: usize,
}

impl RateLimit {
    /// That of every account: 5,000 an hour.
    pub const DEFAULT: Self = Self {
        requests: 5_000,
        window_seconds: 3_600,
        headers: LimitHeaders::Everywhere,
    };
}

impl PageMax {
    /// As OneLogin's reference and client name them, the smaller where they differ.
    pub const DEFAULT: Self = Self {
        users: 100,
        roles: 650,
        members: 100,
        groups: 50,
    };

    /// The same of every list.
    #[must_use]
    pub fn all(most: usize) -> Self {
        Self {
            users: most,
            roles: most,
            members: most,
            groups: most,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            client_id: "simulated-client-id".to_owned(),
            client_secret: "simulated-client-secret".to_owned(),
            rate_limit: Some(RateLimit::DEFAULT),
            page_max: PageMax::DEFAULT,
            refuses_large_pages: false,
            latency: Duration::ZERO,
        }
    }
}
