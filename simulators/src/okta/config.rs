//! What an organization is like before anybody asks.

use std::time::Duration;

use super::token::PublicKey;

/// What an organization is like.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The API token that is good.
    pub api_token: String,
    /// The OAuth 2.0 service app, where there is one.
    pub app: Option<ServiceApp>,
    /// Requests a minute; none: unlimited, without headers.
    pub rate_limits: Option<RateLimits>,
    /// How pages are linked.
    pub links: LinkStyle,
    /// How long every request takes on top.
    pub latency: Duration,
    /// Entries a page at most, whatever is asked for.
    pub page_max: usize,
}

/// An OAuth 2.0 service app.
#[derive(Debug, Clone)]
pub struct ServiceApp {
    /// The client id of the app.
    pub client_id: String,
    /// The keys registered for it, each with its id.
    pub keys: Vec<(String, PublicKey)>,
    /// The scopes granted to it.
    pub scopes: Vec<String>,
    /// Whether its tokens must be bound to a key.
    pub requires_dpop: bool,
}

/// Requests in a window, by bucket, as the organization's limits are; and at once.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Requests for `/api/v1/users`.
    pub users: u32,
    /// Requests for `/api/v1/groups` and below.
    pub groups: u32,
    /// Requests for `/api/v1/apps` and below.
    pub apps: u32,
    /// Under way at once.
    pub concurrent: u32,
    /// Length of a window, in whole seconds.
    pub window_seconds: u64,
}

/// How a page names the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStyle {
    /// A header for each link.
    Several,
    /// All links in one header.
    One,
    /// No links: a proxy took them away.
    Stripped,
    /// The next page is said to be at another host.
    Elsewhere,
    /// The next page is always this one.
    Loop,
}

impl RateLimits {
    /// Those of a workforce organization: 600 a minute for users, 500 for groups, 100 for
    /// applications, 75 at once.
    pub const DEFAULT: Self = Self {
        users: 600,
        groups: 500,
        apps: 100,
        concurrent: 75,
        window_seconds: 60,
    };
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            api_token: "00simulated-api-token-0123456789abcdef".to_owned(),
            app: None,
            rate_limits: Some(RateLimits::DEFAULT),
            links: LinkStyle::Several,
            latency: Duration::ZERO,
            page_max: usize::MAX,
        }
    }
}
