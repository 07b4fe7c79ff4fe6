//! OneLogin's limit: so many requests of the account in a window.

use axum::http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::config::RateLimit;

/// What was asked in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Requests, those refused included.
    pub requests: u32,
    /// Requests that were refused.
    pub refused: u32,
}

/// What is left at a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub limit: u32,
    pub remaining: u32,
    /// Seconds until the window ends.
    pub reset: u64,
}

impl Left {
    pub fn write(self, headers: &mut HeaderMap) {
        let pairs = [
            ("x-ratelimit-limit", u64::from(self.limit)),
            ("x-ratelimit-remaining", u64::from(self.remaining)),
            ("x-ratelimit-reset", self.reset),
        ];
        for (name, value) in pairs {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

/// Counts requests in windows that begin with the first request after the last one's end.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    ends: u64,
    requests: u32,
    refused: u32,
    /// Requests of whoever doesn't ask here.
    others: u32,
    past: Vec<Spent>,
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

impl Limiter {
    fn turn(&mut self, limit: &RateLimit) {
        if now() < self.ends {
            return;
        }
        self.past.extend(self.current());
        *self = Self {
            ends: now() + limit.window_seconds,
            past: std::mem::take(&mut self.past),
            ..Self::default()
        };
    }

    fn current(&self) -> Option<Spent> {
        (self.requests > 0).then_some(Spent {
            requests: self.requests,
            refused: self.refused,
        })
    }

    /// The requests that the window still allows.
    pub fn left(&mut self, limit: &RateLimit) -> Left {
        self.turn(limit);
        Left {
            limit: limit.requests,
            remaining: limit.requests.saturating_sub(self.requests + self.others),
            reset: self.ends.saturating_sub(now()),
        }
    }

    /// Counts a request; what its headers shall say, and whether it may be answered.
    pub fn admit(&mut self, limit: &RateLimit) -> (Left, bool) {
        self.turn(limit);
        self.requests += 1;
        let admitted = self.requests + self.others <= limit.requests;
        self.refused += u32::from(!admitted);
        (self.left(limit), admitted)
    }

    pub fn others(&mut self, limit: &RateLimit, requests: u32) {
        self.turn(limit);
        self.others += requests;
    }

    pub fn spent(&self) -> Vec<Spent> {
        self.past.iter().copied().chain(self.current()).collect()
    }
}
