//! What is known of one window of a limit, and whether one more request fits into our share of it.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::Instant;

use super::{LimitRules, WindowHeaders};

/// While nothing is known of a window, so long after a request the next one may go although the
/// first isn't answered yet.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A request without an answer for so long never gets one.
const LOST_AFTER: Duration = Duration::from_secs(120);
/// So much of our share is there at the beginning of a window for what could wait, and the rest comes evenly until its
/// end.
const AT_ONCE: f64 = 0.25;
/// After a refusal that names a limit of nothing, by which Okta says that too many requests are
/// under way at once, nothing is sent for so long.
const CONCURRENCY_PAUSE: Duration = Duration::from_secs(1);

/// What is known of one bucket.
///
/// A request counts from its permission on: first as one that flies, then in the window that its
/// answer names. So those answered in the current window and those that fly are together never
/// fewer than what the vendor counts of us in it.
#[derive(Debug)]
pub(super) struct State {
    rules: &'static LimitRules,
    window: Option<Window>,
    /// When requests without an answer yet were permitted.
    in_flight: VecDeque<Instant>,
    /// When a request was permitted to find out about the window.
    probed: Option<Instant>,
    paused_until: Option<Instant>,
    /// Answers come without the headers, and nobody knows the limit otherwise.
    unlimited: bool,
}

#[derive(Debug)]
struct Window {
    /// As the vendor names it, in seconds since 1970; `None`: we suppose it.
    reset: Option<i64>,
    /// Not before it is over.
    ends: Instant,
    limit: u32,
    remaining: u32,
    answered: u32,
}

/// What of a limit is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Of the whole limit, at most.
    pub percent: u8,
    /// The last of that ([`LimitRules::spared`]) is left to others of this process, also where other clients have
    /// used the rest.
    pub spares: bool,
}

impl Share {
    /// How many requests of a window are allowed, and how many of these are left to others.
    fn of(self, window: &Window, rules: &LimitRules) -> (u64, u64) {
        let allowed = u64::from(window.limit) * u64::from(self.percent) / 100;
        let spared = match self.spares {
            true => allowed * u64::from(rules.spared) / 100,
            false => 0,
        };
        (allowed, spared)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// Somebody else's request finds out about the window.
    Probing(Instant),
    /// Nothing is left of our share, or of the whole.
    Spent(Instant),
}

impl State {
    pub(super) fn new(rules: &'static LimitRules) -> Self {
        Self {
            rules,
            window: None,
            in_flight: VecDeque::new(),
            probed: None,
            paused_until: None,
            unlimited: false,
        }
    }

    pub(super) fn verdict(&mut self, now: Instant, share: Share) -> Verdict {
        while self
            .in_flight
            .front()
            .is_some_and(|at| *at + LOST_AFTER <= now)
        {
            self.in_flight.pop_front();
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Verdict::Spent(until);
        }
        if self.unlimited {
            return Verdict::Go;
        }
        let in_flight = u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX);
        match self.window.as_ref().filter(|window| window.ends > now) {
            Some(window) => {
                let (allowed, spared) = share.of(window, self.rules);
                let in_flight = u64::from(in_flight);
                let used = u64::from(window.answered) + in_flight;
                // However small the share, one request in a window goes.
                if used >= (allowed - spared).max(1)
                    || u64::from(window.remaining) <= in_flight + spared
                {
                    return Verdict::Spent(window.ends);
                }
            }
            None => {
                let probe = self.probed.map(|at| at + PROBE_TIMEOUT);
                if let Some(until) = probe.filter(|until| *until > now) {
                    return Verdict::Probing(until);
                }
                self.probed = Some(now);
            }
        }
        self.in_flight.push_back(now);
        Verdict::Go
    }

    /// When so many requests that could wait have room beside those that are to come in the window; `None`: now.
    pub(super) fn room_for(&self, now: Instant, share: Share, requests: u32) -> Option<Instant> {
        let (_, length) = self.rules.default_limit?;
        let window = self.window.as_ref().filter(|window| window.ends > now)?;
        let (allowed, spared) = share.of(window, self.rules);
        let used = u64::from(window.answered) + self.in_flight.len() as u64;
        let needed = (used + u64::from(requests)) as f64 / (allowed - spared).max(1) as f64;
        if needed <= AT_ONCE {
            return None;
        }
        let passed = (needed - AT_ONCE) / (1.0 - AT_ONCE);
        let left = length.mul_f64((1.0 - passed).max(0.0));
        Some(window.ends - left.min(window.ends - now)).filter(|from| *from > now)
    }

    pub(super) fn answered(
        &mut self,
        now: Instant,
        status: StatusCode,
        headers: Option<WindowHeaders>,
    ) {
        self.in_flight.pop_front();
        self.probed = None;
        let refused = status == StatusCode::TOO_MANY_REQUESTS;
        match headers {
            // Too many under way at once: that is no word about the window.
            Some(WindowHeaders { limit: 0, .. }) if refused => {
                self.paused_until = Some(now + CONCURRENCY_PAUSE);
                self.count_unnamed();
            }
            Some(headers) => self.count(now, headers, refused),
            None => {
                if status.is_success() {
                    self.suppose(now);
                }
                self.count_unnamed();
            }
        }
    }

    /// Opens the window that is supposed where no headers say.
    fn suppose(&mut self, now: Instant) {
        let Some((limit, length)) = self.rules.default_limit else {
            self.unlimited |= self.window.is_none();
            return;
        };
        if self.window.as_ref().is_none_or(|window| window.ends <= now) {
            self.window = Some(Window {
                reset: None,
                ends: now + length,
                limit,
                remaining: limit,
                answered: 0,
            });
        }
    }

    /// An answer that names no window is counted in the current one.
    fn count_unnamed(&mut self) {
        if let Some(window) = &mut self.window {
            window.answered += 1;
        }
    }

    fn count(&mut self, now: Instant, headers: WindowHeaders, refused: bool) {
        self.unlimited = false;
        let ends = now + headers.ends_in.min(self.rules.longest_window);
        let remaining = if refused { 0 } else { headers.remaining };
        let mut answered = 1;
        if let Some(window) = &mut self.window {
            let apart = window
                .reset
                .map(|reset| headers.reset.saturating_sub(reset));
            match apart {
                Some(apart) if apart.unsigned_abs() <= self.rules.same_within => {
                    window.answered += 1;
                    window.limit = window.limit.min(headers.limit);
                    window.remaining = window.remaining.min(remaining);
                    // Dates are whole seconds: the earliest of the ends told is still not too
                    // early, unless the vendor says so.
                    window.ends = if window.ends > now {
                        window.ends.min(ends)
                    } else {
                        ends
                    };
                    return;
                }
                Some(apart) if apart < 0 => return,
                // What went while the window was only supposed may be counted in this one.
                None if window.ends > now => answered += window.answered,
                _ => {}
            }
        }
        self.window = Some(Window {
            reset: Some(headers.reset),
            ends,
            limit: headers.limit,
            remaining,
            answered,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const FROM_HEADERS: LimitRules = LimitRules {
        vendor: "a vendor",
        window_of: |_| None,
        longest_window: Duration::from_secs(180),
        same_within: 0,
        default_limit: None,
        spared: 10,
    };

    const SUPPOSED: LimitRules = LimitRules {
        longest_window: Duration::from_secs(3600),
        same_within: 1,
        default_limit: Some((20, Duration::from_secs(3600))),
        ..FROM_HEADERS
    };

    const HALF: Share = Share {
        percent: 50,
        spares: false,
    };

    fn headers(limit: u32, remaining: u32, reset: i64, ends_in: u64) -> Option<WindowHeaders> {
        Some(WindowHeaders {
            limit,
            remaining,
            reset,
            ends_in: Duration::from_secs(ends_in),
        })
    }

    fn go_on(state: &mut State, now: Instant) -> usize {
        (0..1000)
            .take_while(|_| state.verdict(now, HALF) == Verdict::Go)
            .count()
    }

    #[test]
    fn one_request_finds_out_the_limit_and_then_half_of_it_goes() {
        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        assert_eq!(go_on(&mut state, now), 1);
        assert_eq!(
            state.verdict(now, HALF),
            Verdict::Probing(now + PROBE_TIMEOUT)
        );

        state.answered(now, StatusCode::OK, headers(20, 19, 100, 30));
        assert_eq!(go_on(&mut state, now), 9, "ten in all");
        assert_eq!(state.verdict(now, HALF), Verdict::Spent(now + 30 * SECOND));

        let later = now + 30 * SECOND;
        assert_eq!(go_on(&mut state, later), 1, "a new window is found out");
    }

    #[test]
    fn answers_that_were_on_their_way_when_the_window_ended_count_in_the_next() {
        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, headers(20, 19, 100, 1));
        assert_eq!(go_on(&mut state, now), 9);

        let later = now + SECOND;
        assert_eq!(go_on(&mut state, later), 1, "nine others fly");
        state.answered(later, StatusCode::OK, headers(20, 19, 160, 60));
        assert_eq!(go_on(&mut state, later), 0, "nine may be counted yet");
        for answered in 0..9 {
            state.answered(later, StatusCode::OK, headers(20, 19, 100, 60));
            assert_eq!(go_on(&mut state, later), 1, "{answered}");
        }
    }

    #[test]
    fn what_others_used_up_is_waited_for_though_our_share_is_not_spent() {
        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, headers(100, 3, 100, 30));
        assert_eq!(go_on(&mut state, now), 3);
        assert_eq!(state.verdict(now, HALF), Verdict::Spent(now + 30 * SECOND));
    }

    #[test]
    fn the_last_tenth_of_the_share_is_spared_and_so_is_as_much_of_what_others_left() {
        let sparing = Share {
            spares: true,
            ..HALF
        };
        let go_sparing = |state: &mut State, now| {
            (0..1000)
                .take_while(|_| state.verdict(now, sparing) == Verdict::Go)
                .count()
        };
        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, headers(100, 99, 100, 30));
        assert_eq!(go_sparing(&mut state, now), 44, "45 in all");
        assert_eq!(go_on(&mut state, now), 5, "the rest of our half");

        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, headers(100, 8, 100, 30));
        assert_eq!(go_sparing(&mut state, now), 3);
        assert_eq!(go_on(&mut state, now), 5);
    }

    #[test]
    fn what_could_wait_has_room_beside_what_is_to_come_in_the_window() {
        let sparing = Share {
            spares: true,
            ..HALF
        };
        let (mut state, began) = (State::new(&SUPPOSED), Instant::now());
        assert_eq!(
            state.room_for(began, sparing, 300),
            None,
            "nothing is known"
        );
        go_on(&mut state, began);
        // Half of it, less a tenth for others: 900 of 2,000.
        state.answered(began, StatusCode::OK, headers(2_000, 1_999, 100, 3_600));
        assert_eq!(
            state.room_for(began, sparing, 224),
            None,
            "a quarter, at once"
        );
        let half = state.room_for(began, sparing, 562).unwrap();
        let passed = (half - began).as_secs();
        assert!((1_795..=1_805).contains(&passed), "{passed}");
        assert_eq!(state.room_for(half, sparing, 562), None);
        for _ in 0..600 {
            assert_eq!(state.verdict(began, sparing), Verdict::Go);
        }
        let later = state.room_for(half, sparing, 250).unwrap();
        assert!(later > half && later < began + 3_600 * SECOND);
        let end = state.room_for(half, sparing, 562);
        assert_eq!(end, Some(began + 3_600 * SECOND), "the next window has it");
        assert_eq!(State::new(&FROM_HEADERS).room_for(began, sparing, 1), None);
    }

    #[test]
    fn a_refusal_ends_the_window_and_crowding_only_pauses() {
        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, headers(100, 99, 100, 30));
        assert_eq!(state.verdict(now, HALF), Verdict::Go);
        state.answered(now, StatusCode::TOO_MANY_REQUESTS, headers(0, 0, 500, 60));
        assert_eq!(
            state.verdict(now, HALF),
            Verdict::Spent(now + CONCURRENCY_PAUSE)
        );
        let later = now + CONCURRENCY_PAUSE;
        assert_eq!(state.verdict(later, HALF), Verdict::Go);
        state.answered(
            later,
            StatusCode::TOO_MANY_REQUESTS,
            headers(100, 7, 100, 29),
        );
        assert_eq!(
            state.verdict(later, HALF),
            Verdict::Spent(now + 30 * SECOND)
        );
    }

    #[test]
    fn the_smallest_share_still_lets_one_request_in_a_window_go() {
        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        state.window = Some(Window {
            reset: Some(100),
            ends: now + SECOND,
            limit: 20,
            remaining: 20,
            answered: 0,
        });
        let least = Share { percent: 1, ..HALF };
        assert_eq!(state.verdict(now, least), Verdict::Go);
        assert_eq!(state.verdict(now, least), Verdict::Spent(now + SECOND));
    }

    #[test]
    fn requests_that_are_never_answered_count_until_they_surely_are_lost() {
        let (mut state, now) = (State::new(&FROM_HEADERS), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, headers(4, 3, 100, 180));
        assert_eq!(go_on(&mut state, now), 1);
        assert_eq!(go_on(&mut state, now + 100 * SECOND), 0);
        assert_eq!(go_on(&mut state, now + LOST_AFTER), 1);
    }

    #[test]
    fn without_headers_the_default_limit_holds_and_what_was_used_of_it_is_not_forgotten() {
        let (mut state, now) = (State::new(&SUPPOSED), Instant::now());
        assert_eq!(go_on(&mut state, now), 1, "somebody may tell yet");
        state.answered(now, StatusCode::OK, None);
        assert_eq!(go_on(&mut state, now), 9, "ten in all");
        for _ in 0..8 {
            state.answered(now, StatusCode::OK, None);
        }
        assert_eq!(
            state.verdict(now, HALF),
            Verdict::Spent(now + 3600 * SECOND)
        );

        state.answered(now, StatusCode::OK, headers(40, 39, 100, 60));
        assert_eq!(go_on(&mut state, now), 10, "of twenty, ten went before");
        assert_eq!(state.verdict(now, HALF), Verdict::Spent(now + 60 * SECOND));
    }

    #[test]
    fn a_window_is_the_same_though_headers_give_its_end_a_second_apart() {
        let (mut state, now) = (State::new(&SUPPOSED), Instant::now());
        go_on(&mut state, now);
        state.answered(now, StatusCode::OK, headers(20, 19, 100, 60));
        assert_eq!(go_on(&mut state, now), 9);
        for reset in [101, 99, 100] {
            state.answered(now, StatusCode::OK, headers(20, 16, reset, 60));
        }
        assert_eq!(go_on(&mut state, now), 0);
        state.answered(now, StatusCode::OK, headers(20, 19, 160, 60));
        assert_eq!(
            go_on(&mut state, now),
            4,
            "one answered in it, and five fly"
        );
    }
}
