//! Okta's limits: so many requests in a window by bucket, so many at once.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::config::RateLimits;

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateLimitBucket {
    /// Requests for `/api/v1/users`.
    Users,
    /// Requests for `/api/v1/groups` and below.
    Groups,
    /// Requests for `/api/v1/apps` and below.
    Apps,
}

impl RateLimitBucket {
    pub(super) fn of(path: &str) -> Option<Self> {
        let below = path.strip_prefix("/api/v1/")?;
        match below.split('/').next()? {
            "users" => Some(Self::Users),
            "groups" => Some(Self::Groups),
            "apps" => Some(Self::Apps),
            _ => None,
        }
    }

    fn limit(self, limits: &RateLimits) -> u32 {
        match self {
            Self::Users => limits.users,
            Self::Groups => limits.groups,
            Self::Apps => limits.apps,
        }
    }
}

/// What was asked of a bucket in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The bucket that the requests counted in.
    pub bucket: RateLimitBucket,
    /// When the window ended, in seconds since 1970.
    pub reset: u64,
    /// Requests, those refused included.
    pub requests: u32,
    /// Requests that were refused.
    pub refused: u32,
}

/// What the headers say of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct LimitHeaders {
    limit: u32,
    remaining: u32,
    reset: u64,
}

impl LimitHeaders {
    pub fn write(self, headers: &mut HeaderMap) {
        let limit_headers = [
            ("x-rate-limit-limit", u64::from(self.limit)),
            ("x-rate-limit-remaining", u64::from(self.remaining)),
            ("x-rate-limit-reset", self.reset),
        ];
        for (name, value) in limit_headers {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

#[derive(Debug, Default)]
struct Window {
    reset: u64,
    /// Of whoever asks here.
    requests: u32,
    refused: u32,
    others: u32,
}

/// Counts requests in windows that begin with the first request after the last one's end.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    windows: BTreeMap<RateLimitBucket, Window>,
    past: Vec<Spent>,
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

impl Limiter {
    fn window(&mut self, limits: &RateLimits, bucket: RateLimitBucket) -> &mut Window {
        let window = self.windows.entry(bucket).or_default();
        if now() >= window.reset {
            if window.requests > 0 {
                self.past.push(Spent {
                    bucket,
                    reset: window.reset,
                    requests: window.requests,
                    refused: window.refused,
                });
            }
            *window = Window {
                reset: now() + limits.window_seconds,
                ..Window::default()
            };
        }
        window
    }

    /// Counts a request, one of so many under way; what its headers shall say, and whether it may
    /// be answered.
    pub fn admit(
        &mut self,
        limits: &RateLimits,
        bucket: RateLimitBucket,
        in_flight: u32,
    ) -> (LimitHeaders, bool) {
        let limit = bucket.limit(limits);
        if in_flight > limits.concurrent {
            // How Okta says that too many are under way: a limit of nothing.
            let limit_headers = LimitHeaders {
                limit: 0,
                remaining: 0,
                reset: now() + limits.window_seconds,
            };
            return (limit_headers, false);
        }
        let window = self.window(limits, bucket);
        window.requests += 1;
        let used = window.requests + window.others;
        let limit_headers = LimitHeaders {
            limit,
            remaining: limit.saturating_sub(used),
            reset: window.reset,
        };
        let admitted = used <= limit;
        window.refused += u32::from(!admitted);
        (limit_headers, admitted)
    }

    pub fn others(&mut self, limits: &RateLimits, bucket: RateLimitBucket, requests: u32) {
        self.window(limits, bucket).others += requests;
    }

    pub fn spent(&self) -> Vec<Spent> {
        let current = self
            .windows
            .iter()
            .filter(|(_, window)| window.requests > 0);
        let current = current.map(|(bucket, window)| Spent {
            bucket: *bucket,
            reset: window.reset,
            requests: window.requests,
            refused: window.refused,
        });
        self.past.iter().copied().chain(current).collect()
    }

    pub fn forget(&mut self) {
        self.windows.clear();
        self.past.clear();
    }
}
