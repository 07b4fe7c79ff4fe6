//! Rate limits: so many requests a minute and a second, by client address and method.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::Method;
use tokio::time::Instant;

use super::config::RateLimits;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Period {
    Minute,
    Second,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

/// Counts requests in windows that begin with the first request after the last one's end.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    windows: HashMap<(IpAddr, Method, Period), Window>,
}

impl Limiter {
    /// Lets a request through and counts it, or says how long until one is let through again. A
    /// refused request isn't counted.
    pub fn admit(
        &mut self,
        limits: &RateLimits,
        client: IpAddr,
        method: &Method,
    ) -> Result<(), Duration> {
        let rules: &[(Period, u32, Duration)] = if method == Method::GET {
            &[(Period::Minute, limits.reads_per_minute, limits.minute)]
        } else {
            &[
                (Period::Minute, limits.writes_per_minute, limits.minute),
                (Period::Second, limits.writes_per_second, limits.second),
            ]
        };
        let now = Instant::now();
        let mut wait = Duration::ZERO;
        for (period, most, length) in rules {
            let window = self
                .windows
                .entry((client, method.clone(), *period))
                .or_insert(Window {
                    since: now,
                    count: 0,
                });
            if now.duration_since(window.since) >= *length {
                *window = Window {
                    since: now,
                    count: 0,
                };
            }
            if window.count >= *most {
                wait = wait.max((window.since + *length).duration_since(now));
            }
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        for (period, ..) in rules {
            if let Some(window) = self.windows.get_mut(&(client, method.clone(), *period)) {
                window.count += 1;
            }
        }
        Ok(())
    }
}
