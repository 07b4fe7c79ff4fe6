//! How many requests Google takes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;

use crate::account_watches::AccountWatch;
use crate::http::{RateLimit, RateLimiter, Window};

/// Google counts 2,400 queries a minute for each user of a project (Directory API, "Limits and
/// quotas"); a little is left for others who act for the same administrator.
pub const REQUESTS_PER_MINUTE: u32 = 2_300;

/// Whole reads leave one request of so many to those about one person and to looks at who left: these would wait a
/// minute for a read that has used up the quota.
const LEAVES_ONE_OF: u32 = 10;

/// What keeps the requests of all in this process who read as the same account within its quota.
#[derive(Debug)]
pub struct Quota {
    all: RateLimiter,
    /// Of whole reads, which keep to both.
    whole: RateLimiter,
}

impl Quota {
    /// That of everybody who reads as this account.
    pub fn shared(base: &Url, account: &str, requests_per_minute: u32) -> Arc<Self> {
        type Key = (String, String, u32);
        static KNOWN: LazyLock<Mutex<HashMap<Key, Weak<Quota>>>> = LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, quota| quota.strong_count() > 0);
        let key = (base.to_string(), account.to_owned(), requests_per_minute);
        if let Some(quota) = known.get(&key).and_then(Weak::upgrade) {
            return quota;
        }
        let quota = Arc::new(Self::new(requests_per_minute));
        known.insert(key, Arc::downgrade(&quota));
        quota
    }

    fn new(requests_per_minute: u32) -> Self {
        let limiter = |requests: u32| {
            let window = Window::new(requests as usize, Duration::from_secs(60));
            RateLimiter::unlimited().with(Method::GET, [window])
        };
        let left = requests_per_minute.div_ceil(LEAVES_ONE_OF);
        Self {
            all: limiter(requests_per_minute),
            whole: limiter(requests_per_minute - left),
        }
    }

    /// Has all requests wait so long.
    pub fn pause(&self, pause: Duration) {
        self.all.pause(&Method::GET, pause);
    }

    /// Until when the next request of a whole read waits, where one does.
    pub fn whole_read_waits_until(&self) -> Option<Instant> {
        let [all, whole] = [&self.all, &self.whole].map(|one| one.waits_until(&Method::GET));
        all.max(whole)
    }
}

impl RateLimit for Quota {
    fn permit<'a>(&'a self, method: &'a Method, path: &'a str) -> BoxFuture<'a, ()> {
        self.all.permit(method, path)
    }

    fn answered(&self, method: &Method, path: &str, status: StatusCode, headers: &HeaderMap) {
        self.all.answered(method, path, status, headers);
    }
}

/// The same quota for whole reads.
#[derive(Debug)]
pub struct WholeReads(pub Arc<Quota>);

impl RateLimit for WholeReads {
    fn permit<'a>(&'a self, method: &'a Method, path: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.0.whole.permit(method, path).await;
            self.0.all.permit(method, path).await;
        })
    }

    fn answered(&self, method: &Method, path: &str, status: StatusCode, headers: &HeaderMap) {
        self.0.answered(method, path, status, headers);
    }
}

/// Joins the watches that read as this account.
pub fn join_watches(base: &Url, account: &str) -> AccountWatch {
    AccountWatch::join("Google", format!("{base} {account}"))
}
