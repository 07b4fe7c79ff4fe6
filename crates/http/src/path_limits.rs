//! Keeps the limits of a server that counts each address of a resource for itself.
//!
//! Such a server counts by client address, method and exact path: requests for different members don't
//! add up, two for one list do. So there is a limiter for each path. What stands in front of the server
//! may count all requests of an address together, and doesn't publish its limits. So all requests also
//! keep a common pace, which begins below what was seen to work, is halved by each 429 and grows again
//! slowly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, sleep_until};

use crate::rate_limit::{LONGEST_PAUSE, SlidingWindows};
use crate::{RateLimit, Window, retry_after};

/// Paths that are remembered before those without a recent request are forgotten.
const PATHS_MIN: usize = 1_024;
/// After a 429 others follow, of requests that were under way: for so long they are the same refusal.
const ONE_REFUSAL: Duration = Duration::from_secs(1);

/// The common pace of all requests, in requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// At the beginning.
    pub first: f64,
    /// However often the server refuses.
    pub slowest: f64,
    /// However long it doesn't.
    pub fastest: f64,
}

/// Sliding windows for each method and path, and a common pace for all of them.
///
/// It is for servers whose limits are known; a 429 that comes all the same pauses its path as long as
/// it asks for, and all paths where it isn't the server's own (it has no header that names the limit).
#[derive(Debug)]
pub struct PathLimiter {
    windows: Vec<(Method, Vec<Window>)>,
    /// The server's own 429 has it.
    named_by: HeaderName,
    paths: Mutex<Paths>,
    pace: Mutex<PaceState>,
}

#[derive(Debug, Default)]
struct Paths {
    limiters: HashMap<(Method, Box<str>), Arc<SlidingWindows>>,
    /// So many of them, and the ones that nobody needs are removed.
    full_at: usize,
}

#[derive(Debug)]
struct PaceState {
    bounds: Pace,
    now: f64,
    /// When the next request may go.
    next: Instant,
    paused_until: Option<Instant>,
    refused: Option<Instant>,
}

impl PathLimiter {
    /// No windows yet: requests keep `pace`. A 429 with the header `named_by` (in lower case) is about
    /// its path alone.
    pub fn new(pace: Pace, named_by: &'static str) -> Self {
        Self {
            windows: Vec::new(),
            named_by: HeaderName::from_static(named_by),
            paths: Mutex::default(),
            pace: Mutex::new(PaceState {
                bounds: pace,
                now: pace.first,
                next: Instant::now(),
                paused_until: None,
                refused: None,
            }),
        }
    }

    /// The same with windows for requests with `method` to one path; all of them are kept at once.
    pub fn with(mut self, method: Method, windows: impl Into<Vec<Window>>) -> Self {
        self.windows.push((method, windows.into()));
        self
    }

    fn limiter(&self, method: &Method, path: &str) -> Arc<SlidingWindows> {
        let mut paths = unpoisoned(&self.paths);
        let key = (method.clone(), Box::from(path));
        if let Some(limiter) = paths.limiters.get(&key) {
            return limiter.clone();
        }
        if paths.limiters.len() >= paths.full_at {
            paths.limiters.retain(|_, limiter| {
                // Whoever waits for it, or is about to, holds it.
                Arc::strong_count(limiter) > 1 || !limiter.is_idle()
            });
            paths.full_at = (paths.limiters.len() * 2).max(PATHS_MIN);
        }
        let windows = self.windows.iter().find(|(of, _)| of == method);
        let windows = windows.map_or_else(Vec::new, |(_, windows)| windows.clone());
        let limiter = Arc::new(SlidingWindows::new(windows));
        paths.limiters.insert(key, limiter.clone());
        limiter
    }
}

impl PaceState {
    /// When one more request may go; it is counted as one that does.
    fn take(&mut self, now: Instant) -> Instant {
        let at = self.next.max(now);
        self.next = at + Duration::from_secs_f64(1.0 / self.now);
        at
    }

    fn accepted(&mut self) {
        // One request a second more, for each second at full speed without a refusal.
        self.now = (self.now + 1.0 / self.now).min(self.bounds.fastest);
    }

    fn refused(&mut self, now: Instant, pause: Option<Duration>) {
        if let Some(pause) = pause {
            let until = now + pause.min(LONGEST_PAUSE);
            self.next = self.next.max(until);
            self.paused_until = self.paused_until.max(Some(until));
        }
        if self.refused.is_none_or(|at| at + ONE_REFUSAL <= now) {
            self.now = (self.now / 2.0).max(self.bounds.slowest);
            self.refused = Some(now);
        }
    }
}

impl RateLimit for PathLimiter {
    fn permit<'a>(&'a self, method: &'a Method, path: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // The pace first: a request that waits for it isn't counted in the windows yet, which begin
            // when it goes.
            let at = unpoisoned(&self.pace).take(Instant::now());
            sleep_until(at).await;
            // Others may have been refused meanwhile.
            let paused_until = unpoisoned(&self.pace).paused_until;
            if let Some(until) = paused_until {
                sleep_until(until).await;
            }
            self.limiter(method, path).permit().await;
        })
    }

    fn answered(&self, method: &Method, path: &str, status: StatusCode, headers: &HeaderMap) {
        let mut pace = unpoisoned(&self.pace);
        if status != StatusCode::TOO_MANY_REQUESTS {
            pace.accepted();
            return;
        }
        let asked = retry_after(headers);
        let is_of_path = headers.contains_key(&self.named_by);
        pace.refused(Instant::now(), asked.filter(|_| !is_of_path));
        drop(pace);
        if let Some(asked) = asked {
            self.limiter(method, path).pause(asked);
        }
    }
}

/// What is in it is whole whatever happened to who changed it.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn paths_without_a_recent_request_are_forgotten() {
        let pace = Pace {
            first: 1e6,
            slowest: 1.0,
            fastest: 1e6,
        };
        let minute = Duration::from_secs(60);
        let limiter = PathLimiter::new(pace, "x-limit").with(Method::GET, [Window::new(1, minute)]);
        let known = || unpoisoned(&limiter.paths).limiters.len();
        for n in 0..PATHS_MIN {
            limiter.permit(&Method::GET, &format!("/{n}")).await;
        }
        limiter.permit(&Method::GET, "/recent").await;
        assert_eq!(known(), PATHS_MIN + 1, "all of them count for a minute");
        tokio::time::sleep(minute).await;
        for n in 0..PATHS_MIN {
            limiter.permit(&Method::GET, &format!("/later/{n}")).await;
        }
        assert!(known() <= PATHS_MIN + 1, "{}", known());

        // Forgetting takes no count away.
        let started = Instant::now();
        limiter.permit(&Method::GET, "/later/1000").await;
        assert!(started.elapsed() > minute / 2);
    }
}
