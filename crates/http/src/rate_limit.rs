//! How fast requests may follow each other.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::retry_after;

/// What keeps requests within another side's limits.
///
/// One value is shared by everything that the other side counts together. [`RateLimiter`] and
/// [`PathLimiter`](crate::PathLimiter) know the limits beforehand; a limit that headers give is learned in
/// [`RateLimit::answered`].
pub trait RateLimit: std::fmt::Debug + Send + Sync {
    /// Waits until one more request with `method` to `path` (of the URL, without a query) may be sent.
    fn permit<'a>(&'a self, method: &'a Method, path: &'a str) -> BoxFuture<'a, ()>;

    /// Called with each answer, to follow a 429 and what its headers say of the limit.
    fn answered(&self, method: &Method, path: &str, status: StatusCode, headers: &HeaderMap);
}

/// At most so many requests in any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    requests: usize,
    length: Duration,
}

impl Window {
    /// At most `requests` (at least one) in any stretch of `length`.
    pub fn new(requests: usize, length: Duration) -> Self {
        Self {
            requests: requests.max(1),
            length,
        }
    }
}

/// Longest pause that a `Retry-After` puts on other requests than the refused one.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Sliding windows by method, and a pause for all requests with a method while a `Retry-After` of a
/// 429 lasts, or while the headers of an answer say that the limit is near ([`RateLimiter::with_throttle_hint`]).
///
/// First come, first served. A caller that gives up waiting leaves no trace.
#[derive(Debug)]
pub struct RateLimiter {
    by_method: Vec<(Method, SlidingWindows)>,
    others: SlidingWindows,
    throttle_hint: Option<ThrottleHint>,
}

/// How long the headers of an answer ask everybody to wait before the next request, where a vendor
/// tells how much of its limit is left.
pub type ThrottleHint = fn(StatusCode, &HeaderMap) -> Option<Duration>;

/// Requests that are counted together, in windows that begin with each of them.
#[derive(Debug, Default)]
pub(crate) struct SlidingWindows {
    windows: Vec<Window>,
    /// When the last requests were permitted, as many as the longest window counts. Whoever waits
    /// for their turn holds it.
    permitted: tokio::sync::Mutex<VecDeque<Instant>>,
    paused_until: Mutex<Option<Instant>>,
    /// Of whoever waits first; may have passed.
    waits_until: Mutex<Option<Instant>>,
}

impl RateLimiter {
    /// No window: only a 429 slows it down.
    pub fn unlimited() -> Self {
        Self {
            by_method: Vec::new(),
            others: SlidingWindows::default(),
            throttle_hint: None,
        }
    }

    /// The same, which also follows what the headers of each answer say.
    pub fn with_throttle_hint(mut self, hint: ThrottleHint) -> Self {
        self.throttle_hint = Some(hint);
        self
    }

    /// The same with windows for requests with `method`; all of them are kept at once.
    pub fn with(mut self, method: Method, windows: impl Into<Vec<Window>>) -> Self {
        let limiter = SlidingWindows::new(windows.into());
        self.by_method.push((method, limiter));
        self
    }

    /// Has requests with `method` wait so long, where an answer says that a limit is used up elsewhere than in
    /// the headers of a 429.
    pub fn pause(&self, method: &Method, pause: Duration) {
        self.limiter(method).pause(pause);
    }

    /// Until when the next request with `method` waits, where one does.
    pub fn waits_until(&self, method: &Method) -> Option<Instant> {
        let until = *unpoisoned(&self.limiter(method).waits_until);
        until.filter(|until| *until > Instant::now())
    }

    fn limiter(&self, method: &Method) -> &SlidingWindows {
        self.by_method
            .iter()
            .find(|(of, _)| of == method)
            .map_or(&self.others, |(_, limiter)| limiter)
    }
}

impl SlidingWindows {
    pub(crate) fn new(windows: Vec<Window>) -> Self {
        Self {
            windows,
            ..Self::default()
        }
    }

    /// Has the requests wait so long, at most [`LONGEST_PAUSE`].
    pub(crate) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST_PAUSE);
        let mut paused_until = self.paused();
        *paused_until = (*paused_until).max(Some(until));
    }

    /// Whether nothing is known that a new one wouldn't know: no request counts any more, and no pause
    /// lasts.
    pub(crate) fn is_idle(&self) -> bool {
        let now = Instant::now();
        let Ok(permitted) = self.permitted.try_lock() else {
            return false;
        };
        let longest = self.windows.iter().map(|window| window.length).max();
        let counts = |at: &Instant| *at + longest.unwrap_or_default() > now;
        !permitted.back().is_some_and(counts) && self.paused().is_none_or(|until| until <= now)
    }

    pub(crate) async fn permit(&self) {
        let mut permitted = self.permitted.lock().await;
        loop {
            let now = Instant::now();
            let next = self.next(&permitted, now);
            if next <= now {
                break;
            }
            *unpoisoned(&self.waits_until) = Some(next);
            tokio::time::sleep_until(next).await;
        }
        let remembered = self.windows.iter().map(|window| window.requests).max();
        permitted.push_back(Instant::now());
        while permitted.len() > remembered.unwrap_or(0) {
            permitted.pop_front();
        }
    }

    fn next(&self, permitted: &VecDeque<Instant>, now: Instant) -> Instant {
        let by_windows = self.windows.iter().filter_map(|window| {
            let oldest = permitted.len().checked_sub(window.requests)?;
            Some(permitted[oldest] + window.length)
        });
        by_windows.chain(*self.paused()).fold(now, Instant::max)
    }

    fn paused(&self) -> MutexGuard<'_, Option<Instant>> {
        unpoisoned(&self.paused_until)
    }
}

/// A time is whole whatever happened to who set it.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RateLimit for RateLimiter {
    fn permit<'a>(&'a self, method: &'a Method, _path: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.limiter(method).permit())
    }

    fn answered(&self, method: &Method, _path: &str, status: StatusCode, headers: &HeaderMap) {
        let hinted = self.throttle_hint.and_then(|hint| hint(status, headers));
        let refused = match status {
            StatusCode::TOO_MANY_REQUESTS => retry_after(headers),
            _ => None,
        };
        if let Some(pause) = hinted.max(refused) {
            self.pause(method, pause);
        }
    }
}
