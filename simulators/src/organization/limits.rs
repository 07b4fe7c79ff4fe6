//! Rate limits: so many requests a minute and a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::Instant;

use super::config::{Profile, RateLimits};
use super::vaultwarden;

/// Of the identity server, whose one call it is.
const TOKEN: &str = "/identity/connect/token";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Period {
    Minute,
    Second,
}

impl Period {
    /// As the server calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Second => "1s",
        }
    }
}

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

/// A client's requests that are counted together.
type Key = (IpAddr, Method, String, Period);

/// What counts towards a limit: how many in which period.
struct Rule {
    period: Period,
    most: u32,
    length: Duration,
}

/// Counts requests in windows that begin with the first request after the last one's end.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    windows: HashMap<Key, Window>,
    /// Vaultwarden: when the next token of a client would be due if they came one in a minute.
    tokens_due: HashMap<IpAddr, Instant>,
}

/// What an answer tells of the limits.
#[derive(Debug)]
pub(super) enum Admission {
    /// There is no limit.
    Unlimited,
    /// Passes; this many may follow, until then.
    Passes {
        left: u32,
        period: &'static str,
        reset: Duration,
    },
    /// Comes too early, by this long.
    Refused {
        period: &'static str,
        wait: Duration,
    },
    /// Vaultwarden refuses, and doesn't say for how long.
    RefusedByVaultwarden,
}

impl Limiter {
    /// Counts a request that may pass; a refused one isn't counted.
    pub fn admit(
        &mut self,
        limits: &RateLimits,
        profile: Profile,
        client: IpAddr,
        method: &Method,
        path: &str,
    ) -> Admission {
        match profile {
            Profile::Official { cloud: true } => self.in_cloud(limits, client, method, path),
            Profile::Vaultwarden { .. } if path == TOKEN => self.by_vaultwarden(limits, client),
            _ => Admission::Unlimited,
        }
    }

    fn in_cloud(
        &mut self,
        limits: &RateLimits,
        client: IpAddr,
        method: &Method,
        path: &str,
    ) -> Admission {
        let rules = rules(limits, method, path);
        let now = Instant::now();
        let key = |period| (client, method.clone(), path.to_owned(), period);
        let mut refused: Option<(Period, Duration)> = None;
        for rule in &rules {
            let new = || Window {
                since: now,
                count: 0,
            };
            let window = self.windows.entry(key(rule.period)).or_insert_with(new);
            if now.duration_since(window.since) >= rule.length {
                *window = new();
            }
            let wait = (window.since + rule.length).duration_since(now);
            if window.count >= rule.most && refused.is_none_or(|(_, longest)| wait > longest) {
                refused = Some((rule.period, wait));
            }
        }
        if let Some((period, wait)) = refused {
            let period = period.name();
            return Admission::Refused { period, wait };
        }
        let mut admission = Admission::Unlimited;
        for rule in rules.iter().rev() {
            if let Some(window) = self.windows.get_mut(&key(rule.period)) {
                window.count += 1;
                // That of the longest period is told, which comes first.
                admission = Admission::Passes {
                    left: rule.most - window.count,
                    period: rule.period.name(),
                    reset: (window.since + rule.length).duration_since(now),
                };
            }
        }
        admission
    }

    fn by_vaultwarden(&mut self, limits: &RateLimits, client: IpAddr) -> Admission {
        let now = Instant::now();
        let due = self.tokens_due.entry(client).or_insert(now);
        let burst = limits.minute * limits.tokens_per_minute.saturating_sub(1);
        if due.duration_since(now) > burst {
            return Admission::RefusedByVaultwarden;
        }
        *due = (*due).max(now) + limits.minute;
        Admission::Unlimited
    }
}

fn rules(limits: &RateLimits, method: &Method, path: &str) -> Vec<Rule> {
    let minute = |most| Rule {
        period: Period::Minute,
        most,
        length: limits.minute,
    };
    let second = |most| Rule {
        period: Period::Second,
        most,
        length: limits.second,
    };
    if path == TOKEN {
        vec![
            minute(limits.tokens_per_minute),
            second(limits.tokens_per_second),
        ]
    } else if !path.starts_with("/api/") {
        Vec::new()
    } else if method == Method::GET {
        vec![minute(limits.reads_per_minute)]
    } else {
        vec![
            minute(limits.writes_per_minute),
            second(limits.writes_per_second),
        ]
    }
}

impl Admission {
    /// The answer to a request that isn't admitted.
    pub fn refusal(&self) -> Option<Response> {
        match self {
            Self::Unlimited | Self::Passes { .. } => None,
            Self::Refused { period, wait } => {
                let message = format!("Slow down! Too many requests. Try again in {period}.");
                let body = Json(json!({"object": "error", "message": message}));
                let mut answer = (StatusCode::TOO_MANY_REQUESTS, body).into_response();
                let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
                let seconds = HeaderValue::from(seconds.max(1));
                answer.headers_mut().insert(RETRY_AFTER, seconds);
                describe(&mut answer, period, 0, *wait);
                Some(answer)
            }
            Self::RefusedByVaultwarden => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                Some(vaultwarden::refusal(status, "Too many login requests"))
            }
        }
    }

    /// Tells in an answer what is left.
    pub fn describe(&self, answer: &mut Response) {
        if let Self::Passes {
            left,
            period,
            reset,
        } = self
        {
            describe(answer, period, *left, *reset);
        }
    }
}

fn describe(answer: &mut Response, period: &'static str, left: u32, reset: Duration) {
    let headers = answer.headers_mut();
    headers.insert("x-rate-limit-limit", HeaderValue::from_static(period));
    headers.insert("x-rate-limit-remaining", HeaderValue::from(left));
    let reset = jiff::Timestamp::now() + reset;
    if let Ok(reset) = HeaderValue::from_str(&reset.to_string()) {
        headers.insert("x-rate-limit-reset", reset);
    }
}
