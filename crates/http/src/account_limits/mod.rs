//! Keeps to a share of a vendor's rate limits, as the headers of its answers give them.
//!
//! Such a vendor counts the requests of all clients of an account in fixed windows, and names in
//! each answer the window's limit, what remains of it and when it ends. All sources of this process
//! that read one account share what is known of its windows.

mod window;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, StatusCode};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::RateLimit;
use window::{Share, State, Verdict};

/// How a vendor's answers give its limits.
#[derive(Debug)]
pub struct LimitRules {
    /// Its name, for people.
    pub vendor: &'static str,
    /// Reads an answer's headers.
    pub window_of: fn(&HeaderMap) -> Option<WindowHeaders>,
    /// Whatever the headers say, no window is longer.
    pub longest_window: Duration,
    /// Ends that differ at most so many seconds apart are those of one window.
    pub same_within: u64,
    /// The limit that holds, and for how long from the first request on, where the headers say
    /// nothing. `None`: there is none then.
    pub default_limit: Option<(u32, Duration)>,
    /// So many percent of our share whole reads leave to requests that somebody's leaving depends on.
    pub spared: u8,
}

/// What an answer's headers say of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowHeaders {
    /// Requests of all clients in the window.
    pub limit: u32,
    /// As many are left.
    pub remaining: u32,
    /// When it ends, in seconds since 1970 by the vendor's clock: its name.
    pub reset: i64,
    /// From the moment the answer was written.
    pub ends_in: Duration,
}

/// One source's way to the limits of an account.
#[derive(Debug, Clone)]
pub struct AccountLimits {
    rules: &'static LimitRules,
    account: Arc<Account>,
    /// Of each limit.
    share: Share,
    /// Until when a request waits, in seconds since 1970.
    waits_until: Arc<AtomicI64>,
    /// Requests that were let through.
    sent: Arc<AtomicU32>,
}

#[derive(Debug, Default)]
struct Account(Mutex<HashMap<&'static str, Arc<Windows>>>);

impl Account {
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Arc<Windows>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccountLimits {
    /// The limits of the account at `address`, of which `share` percent are used at most.
    pub fn of(rules: &'static LimitRules, address: &str, share: u8) -> Self {
        type Known = HashMap<(&'static str, String), Weak<Account>>;
        static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, account| account.strong_count() > 0);
        let name = (rules.vendor, address.to_owned());
        let account = known.get(&name).and_then(Weak::upgrade).unwrap_or_default();
        known.insert(name, Arc::downgrade(&account));
        Self {
            rules,
            account,
            share: Share {
                percent: share,
                spares: false,
            },
            waits_until: Arc::default(),
            sent: Arc::default(),
        }
    }

    /// The same for whole lists: a part of the share is left to requests that somebody's leaving depends on
    /// ([`LimitRules::spared`]).
    #[must_use]
    pub fn sparing(&self) -> Self {
        Self {
            share: Share {
                spares: true,
                ..self.share
            },
            waits_until: Arc::default(),
            sent: Arc::default(),
            ..self.clone()
        }
    }

    /// Requests that were let through, other clones of this one included.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// From when on `requests` of `bucket` may go that could wait, so that what else is to come in the window has room:
    /// a quarter of the share at once, and all of it by the end of the window. `None`: now, also where the length of
    /// windows isn't known.
    pub fn room_for(&self, bucket: &'static str, requests: u32) -> Option<Timestamp> {
        let buckets = self.account.lock();
        let windows = buckets.get(bucket)?;
        let now = Instant::now();
        let until = windows.lock().room_for(now, self.share, requests)?;
        Timestamp::now().checked_add(until - now).ok()
    }

    /// What paces the requests that the vendor counts together as `bucket`.
    pub fn bucket(&self, bucket: &'static str) -> Arc<dyn RateLimit> {
        let mut buckets = self.account.lock();
        let windows = buckets
            .entry(bucket)
            .or_insert_with(|| Arc::new(Windows::new(self.rules)));
        Arc::new(AccountLimiter {
            limits: self.clone(),
            bucket,
            windows: windows.clone(),
        })
    }

    /// Until when requests wait, or waited last.
    pub fn waits_until(&self) -> Option<Timestamp> {
        match self.waits_until.load(Ordering::Relaxed) {
            0 => None,
            seconds => Timestamp::from_second(seconds).ok(),
        }
    }
}

/// When an answer was written, by the clock of whoever wrote it; by ours where it doesn't say.
pub fn written_at(headers: &HeaderMap) -> Timestamp {
    headers
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok())
        .unwrap_or_else(Timestamp::now)
}

struct AccountLimiter {
    limits: AccountLimits,
    bucket: &'static str,
    windows: Arc<Windows>,
}

impl fmt::Debug for AccountLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % of {}", self.limits.share.percent, self.bucket)
    }
}

impl AccountLimiter {
    /// Logs that requests wait, once for every wait that is longer than the last.
    fn log_wait(&self, until: Instant, now: Instant) {
        // Rounded up, so that the logged time isn't past.
        let then = Timestamp::now() + (until - now) + Duration::from_millis(999);
        let before = self
            .limits
            .waits_until
            .fetch_max(then.as_second(), Ordering::Relaxed);
        if then.as_second() > before + 1 {
            tracing::info!(
                vendor = self.limits.rules.vendor,
                class = self.bucket,
                until = %then,
                "our share of the rate limit is spent; reading waits"
            );
        }
    }
}

impl RateLimit for AccountLimiter {
    fn permit<'a>(&'a self, _method: &'a Method, _path: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let windows = &self.windows;
            loop {
                let mut changed = std::pin::pin!(windows.changed.notified());
                // From here on no change is missed.
                changed.as_mut().enable();
                let now = Instant::now();
                let verdict = windows.lock().verdict(now, self.limits.share);
                let until = match verdict {
                    Verdict::Go => {
                        self.limits.sent.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    Verdict::Probing(until) => until,
                    Verdict::Spent(until) => {
                        self.log_wait(until, now);
                        until
                    }
                };
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = changed => {}
                }
            }
        })
    }

    fn answered(&self, _method: &Method, _path: &str, status: StatusCode, headers: &HeaderMap) {
        let window = (self.limits.rules.window_of)(headers);
        self.windows.lock().answered(Instant::now(), status, window);
        self.windows.changed.notify_waiters();
    }
}

#[derive(Debug)]
struct Windows {
    state: Mutex<State>,
    changed: Notify,
}

impl Windows {
    fn new(rules: &'static LimitRules) -> Self {
        Self {
            state: Mutex::new(State::new(rules)),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
