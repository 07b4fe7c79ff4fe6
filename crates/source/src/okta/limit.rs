//! Okta's rate limits, and the headers that say what is left of them.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::http::{LimitRules, WindowHeaders, written_at};

/// What Okta counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitBucket {
    /// Lists of people, `/api/v1/users`.
    Users,
    /// `/api/v1/groups` and below. Where an organization counts lists and members apart, the
    /// smaller limit of those given within a window holds.
    Groups,
    /// Lists of applications and their assignments, `/api/v1/apps` and below.
    Apps,
}

impl RateLimitBucket {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Apps => "apps",
        }
    }
}

/// Windows of a minute, named by their end in seconds since 1970. Without the headers (somebody
/// between us and Okta takes them away) nobody knows an organization's limits.
pub static RULES: LimitRules = LimitRules {
    vendor: "Okta",
    window_of,
    longest_window: Duration::from_secs(180),
    same_within: 0,
    default_limit: None,
    spared: 10,
};

fn window_of(headers: &HeaderMap) -> Option<WindowHeaders> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let reset: i64 = text("x-rate-limit-reset")?.parse().ok()?;
    // By Okta's own clock, which ours may differ from.
    let left = reset.saturating_sub(written_at(headers).as_second()).max(0);
    Some(WindowHeaders {
        limit: text("x-rate-limit-limit")?.parse().ok()?,
        remaining: text("x-rate-limit-remaining")?.parse().ok()?,
        reset,
        ends_in: Duration::from_secs(u64::try_from(left).unwrap_or_default()),
    })
}
