//! Keeps to a share of the organization's rate limits, which Okta tells in the headers of each
//! answer.
//!
//! Okta counts requests in fixed windows, by groups of endpoints ([`Class`]), and names in each
//! answer the window's limit, what remains of it and when it ends. All sources of this process that
//! read one organization share what is known of its windows.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, StatusCode};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::http::Limit;

/// What Okta counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `/api/v1/users`.
    Users,
    /// `/api/v1/groups` and below. Where an organization counts lists and members apart, the
    /// smaller limit of those told within a window holds.
    Groups,
    /// `/api/v1/apps` and below.
    Apps,
}

/// While nothing is known of a window, so long after a request the next one may go although the
/// first isn't answered yet.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);
/// A request without an answer for so long never gets one.
const LOST_AFTER: Duration = Duration::from_secs(120);
/// After Okta said that too many requests are under way at once, nothing is sent for so long.
const CROWDED_PAUSE: Duration = Duration::from_secs(1);
/// Whatever the headers say, no window is longer.
const LONGEST_WINDOW: Duration = Duration::from_secs(180);

/// One source's way to an organization's limits.
#[derive(Debug, Clone)]
pub struct Limits {
    organization: Arc<Organization>,
    /// Of each limit, in percent.
    share: u8,
    /// Until when a request waits, in seconds since 1970.
    waits_until: Arc<AtomicI64>,
}

#[derive(Debug, Default)]
struct Organization {
    users: Windows,
    groups: Windows,
    apps: Windows,
}

impl Limits {
    /// The limits of the organization at `origin`, of which `share` percent are used at most.
    pub fn of(origin: &str, share: u8) -> Self {
        static KNOWN: LazyLock<Mutex<HashMap<String, Weak<Organization>>>> =
            LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, organization| organization.strong_count() > 0);
        let organization = known.get(origin).and_then(Weak::upgrade);
        let organization = organization.unwrap_or_default();
        known.insert(origin.to_owned(), Arc::downgrade(&organization));
        Self {
            organization,
            share,
            waits_until: Arc::default(),
        }
    }

    /// What paces the requests of one class.
    pub fn class(&self, class: Class) -> Arc<dyn Limit> {
        Arc::new(Share {
            limits: self.clone(),
            class,
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

struct Share {
    limits: Limits,
    class: Class,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % of {:?}", self.limits.share, self.class)
    }
}

impl Share {
    fn windows(&self) -> &Windows {
        let organization = &self.limits.organization;
        match self.class {
            Class::Users => &organization.users,
            Class::Groups => &organization.groups,
            Class::Apps => &organization.apps,
        }
    }

    /// Tells that requests wait, once for every wait that is longer than the last.
    fn tell(&self, until: Instant, now: Instant) {
        // Rounded up, so that nobody is told of a time that has come.
        let then = Timestamp::now() + (until - now) + Duration::from_millis(999);
        let before = self
            .limits
            .waits_until
            .fetch_max(then.as_second(), Ordering::Relaxed);
        if then.as_second() > before + 1 {
            let class = self.class;
            tracing::info!(
                ?class,
                until = %then,
                "our share of Okta's rate limit is spent; reading waits"
            );
        }
    }
}

impl Limit for Share {
    fn permit<'a>(&'a self, _method: &'a Method) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let windows = self.windows();
            loop {
                let mut changed = std::pin::pin!(windows.changed.notified());
                // From here on no change is missed.
                changed.as_mut().enable();
                let now = Instant::now();
                let verdict = windows.lock().verdict(now, self.limits.share);
                let until = match verdict {
                    Verdict::Go => return,
                    Verdict::Probing(until) => until,
                    Verdict::Spent(until) => {
                        self.tell(until, now);
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

    fn answered(&self, _method: &Method, status: StatusCode, headers: &HeaderMap) {
        let windows = self.windows();
        windows
            .lock()
            .answered(Instant::now(), status, Told::of(headers));
        windows.changed.notify_waiters();
    }
}

#[derive(Debug, Default)]
struct Windows {
    state: Mutex<State>,
    changed: Notify,
}

impl Windows {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of one class.
///
/// A request counts from its permission on: first as one that flies, then in the window that its
/// answer names. So those answered in the current window and those that fly are together never
/// fewer than what Okta counts of us in it.
#[derive(Debug, Default)]
struct State {
    window: Option<Window>,
    /// When requests without an answer yet were permitted.
    flying: VecDeque<Instant>,
    /// When a request was permitted to find out about the window.
    probed: Option<Instant>,
    paused_until: Option<Instant>,
    /// Answers come without the headers: somebody between us and Okta takes them away.
    untold: bool,
}

#[derive(Debug)]
struct Window {
    /// As Okta names it, in seconds since 1970.
    reset: i64,
    /// Not before it is over.
    ends: Instant,
    limit: u32,
    remaining: u32,
    answered: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Go,
    /// Somebody else's request finds out about the window.
    Probing(Instant),
    /// Nothing is left of our share, or of the whole.
    Spent(Instant),
}

/// What an answer's headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    limit: u32,
    remaining: u32,
    reset: i64,
    /// From the moment the answer was written.
    ends_in: Duration,
}

impl Told {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let reset: i64 = text("x-rate-limit-reset")?.trim().parse().ok()?;
        // By Okta's own clock, which ours may differ from.
        let written = text(DATE.as_str())
            .and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok())
            .unwrap_or_else(Timestamp::now);
        let left = reset.saturating_sub(written.as_second()).max(0);
        let left = u64::try_from(left).unwrap_or_default();
        Some(Self {
            limit: text("x-rate-limit-limit")?.trim().parse().ok()?,
            remaining: text("x-rate-limit-remaining")?.trim().parse().ok()?,
            reset,
            ends_in: Duration::from_secs(left).min(LONGEST_WINDOW),
        })
    }
}

impl State {
    fn verdict(&mut self, now: Instant, share: u8) -> Verdict {
        while self
            .flying
            .front()
            .is_some_and(|at| *at + LOST_AFTER <= now)
        {
            self.flying.pop_front();
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Verdict::Spent(until);
        }
        if self.untold {
            return Verdict::Go;
        }
        let flying = u32::try_from(self.flying.len()).unwrap_or(u32::MAX);
        match self.window.as_ref().filter(|window| window.ends > now) {
            Some(window) => {
                let allowed = u64::from(window.limit) * u64::from(share) / 100;
                let used = u64::from(window.answered) + u64::from(flying);
                // However small the share, one request in a window goes.
                if used >= allowed.max(1) || window.remaining <= flying {
                    return Verdict::Spent(window.ends);
                }
            }
            None => {
                let probe = self.probed.map(|at| at + PROBE_PATIENCE);
                if let Some(until) = probe.filter(|until| *until > now) {
                    return Verdict::Probing(until);
                }
                self.probed = Some(now);
            }
        }
        self.flying.push_back(now);
        Verdict::Go
    }

    fn answered(&mut self, now: Instant, status: StatusCode, told: Option<Told>) {
        self.flying.pop_front();
        self.probed = None;
        let refused = status == StatusCode::TOO_MANY_REQUESTS;
        match told {
            // Too many under way at once: that is no word about the window.
            Some(Told { limit: 0, .. }) if refused => {
                self.paused_until = Some(now + CROWDED_PAUSE);
                self.count_unnamed();
            }
            Some(told) => self.count(now, told, refused),
            None => {
                self.untold |= status.is_success() && self.window.is_none();
                self.count_unnamed();
            }
        }
    }

    /// An answer that names no window is counted in the current one.
    fn count_unnamed(&mut self) {
        if let Some(window) = &mut self.window {
            window.answered += 1;
        }
    }

    fn count(&mut self, now: Instant, told: Told, refused: bool) {
        self.untold = false;
        let ends = now + told.ends_in;
        let remaining = if refused { 0 } else { told.remaining };
        match &mut self.window {
            Some(window) if window.reset == told.reset => {
                window.answered += 1;
                window.limit = window.limit.min(told.limit);
                window.remaining = window.remaining.min(remaining);
                // Dates are whole seconds: the earliest of the ends told is still not too early.
                window.ends = window.ends.min(ends);
            }
            Some(window) if window.reset > told.reset => {}
            _ => {
                self.window = Some(Window {
                    reset: told.reset,
                    ends,
                    limit: told.limit,
                    remaining,
                    answered: 1,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn told(limit: u32, remaining: u32, reset: i64, ends_in: u64) -> Option<Told> {
        Some(Told {
            limit,
            remaining,
            reset,
            ends_in: Duration::from_secs(ends_in),
        })
    }

    fn go_on(state: &mut State, now: Instant) -> usize {
        (0..1000)
            .take_while(|_| state.verdict(now, 50) == Verdict::Go)
            .count()
    }

    #[test]
    fn one_request_finds_out_the_limit_and_then_half_of_it_goes() {
        let (mut state, now) = (State::default(), Instant::now());
        assert_eq!(go_on(&mut state, now), 1);
        assert_eq!(
            state.verdict(now, 50),
            Verdict::Probing(now + PROBE_PATIENCE)
        );

        state.answered(now, StatusCode::OK, told(20, 19, 100, 30));
        assert_eq!(go_on(&mut state, now), 9, "ten in all");
        assert_eq!(state.verdict(now, 50), Verdict::Spent(now + 30 * SECOND));

        let later = now + 30 * SECOND;
        assert_eq!(go_on(&mut state, later), 1, "a new window is found out");
    }

    #[test]
    fn answers_that_were_on_their_way_when_the_window_ended_count_in_the_next() {
        let (mut state, now) = (State::default(), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, told(20, 19, 100, 1));
        assert_eq!(go_on(&mut state, now), 9);

        let later = now + SECOND;
        assert_eq!(go_on(&mut state, later), 1, "nine others fly");
        state.answered(later, StatusCode::OK, told(20, 19, 160, 60));
        assert_eq!(go_on(&mut state, later), 0, "nine may be counted yet");
        for answered in 0..9 {
            state.answered(later, StatusCode::OK, told(20, 19, 100, 60));
            assert_eq!(go_on(&mut state, later), 1, "{answered}");
        }
    }

    #[test]
    fn what_others_used_up_is_waited_for_though_our_share_is_not_spent() {
        let (mut state, now) = (State::default(), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, told(100, 3, 100, 30));
        assert_eq!(go_on(&mut state, now), 3);
        assert_eq!(state.verdict(now, 50), Verdict::Spent(now + 30 * SECOND));
    }

    #[test]
    fn a_refusal_ends_the_window_and_crowding_only_pauses() {
        let (mut state, now) = (State::default(), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, told(100, 99, 100, 30));
        assert_eq!(state.verdict(now, 50), Verdict::Go);
        state.answered(now, StatusCode::TOO_MANY_REQUESTS, told(0, 0, 500, 60));
        assert_eq!(state.verdict(now, 50), Verdict::Spent(now + CROWDED_PAUSE));
        let later = now + CROWDED_PAUSE;
        assert_eq!(state.verdict(later, 50), Verdict::Go);
        state.answered(later, StatusCode::TOO_MANY_REQUESTS, told(100, 7, 100, 29));
        assert_eq!(state.verdict(later, 50), Verdict::Spent(now + 30 * SECOND));
    }

    #[test]
    fn the_smallest_share_still_lets_one_request_in_a_window_go() {
        let (mut state, now) = (State::default(), Instant::now());
        state.window = Some(Window {
            reset: 100,
            ends: now + SECOND,
            limit: 20,
            remaining: 20,
            answered: 0,
        });
        assert_eq!(state.verdict(now, 1), Verdict::Go);
        assert_eq!(state.verdict(now, 1), Verdict::Spent(now + SECOND));
    }

    #[test]
    fn requests_that_are_never_answered_count_until_they_surely_are_lost() {
        let (mut state, now) = (State::default(), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, told(4, 3, 100, 180));
        assert_eq!(go_on(&mut state, now), 1);
        assert_eq!(go_on(&mut state, now + 100 * SECOND), 0);
        assert_eq!(go_on(&mut state, now + LOST_AFTER), 1);
    }
}
