//! How many requests Google takes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::{Method, Url};

use crate::account_watches::AccountWatch;
use crate::http::{RateLimiter, Window};

/// Google counts 2,400 queries a minute for each user of a project (Directory API, "Limits and
/// quotas"); a little is left for others who act for the same administrator.
pub const REQUESTS_PER_MINUTE: u32 = 2_300;

/// The rate limiter of all in this process who read as the same account.
pub fn shared(base: &Url, account: &str, requests_per_minute: u32) -> Arc<RateLimiter> {
    type Key = (String, String, u32);
    static KNOWN: LazyLock<Mutex<HashMap<Key, Weak<RateLimiter>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|_, limiter| limiter.strong_count() > 0);
    let key = (base.to_string(), account.to_owned(), requests_per_minute);
    if let Some(limiter) = known.get(&key).and_then(Weak::upgrade) {
        return limiter;
    }
    let window = Window::new(requests_per_minute as usize, Duration::from_secs(60));
    let limiter = Arc::new(RateLimiter::unlimited().with(Method::GET, [window]));
    known.insert(key, Arc::downgrade(&limiter));
    limiter
}

/// Joins the watches that read as this account.
pub fn join_watches(base: &Url, account: &str) -> AccountWatch {
    AccountWatch::join("Google", format!("{base} {account}"))
}
