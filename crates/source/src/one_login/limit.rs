//! OneLogin's rate limit, and the headers that say what is left of it.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::http::{LimitRules, WindowHeaders, written_at};

/// All requests of an account count together.
pub const REQUESTS: &str = "requests";

/// What OneLogin accepts of an account.
pub const REQUESTS_PER_HOUR: u32 = 5_000;

/// 5,000 requests an hour for an account, however many tokens it has ("Get Rate Limit" of OneLogin's
/// reference). Not each part of the API says what is left; where it doesn't, that limit is kept all
/// the same.
pub static RULES: LimitRules = LimitRules {
    vendor: "OneLogin",
    window_of,
    longest_window: Duration::from_secs(2 * 60 * 60),
    // The end is given as seconds from now: the same end comes out a second earlier or later.
    same_within: 1,
    default_limit: Some((REQUESTS_PER_HOUR, Duration::from_secs(60 * 60))),
    // A watch that finds leavers sends up to 120 an hour, and the fast lane as many.
    spared: 20,
};

fn window_of(headers: &HeaderMap) -> Option<WindowHeaders> {
    let number = |name: &str| -> Option<u32> {
        let text = headers.get(name)?.to_str().ok()?;
        text.trim().parse().ok()
    };
    let left = number("x-ratelimit-reset")?;
    Some(WindowHeaders {
        limit: number("x-ratelimit-limit")?,
        remaining: number("x-ratelimit-remaining")?,
        reset: written_at(headers).as_second() + i64::from(left),
        // Whole seconds, rounded who knows how: the window may last a second longer.
        ends_in: Duration::from_secs(u64::from(left) + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_window_is_given_as_seconds_from_the_answer_on() {
        let mut headers = HeaderMap::new();
        let mut with = |name: &'static str, value: &str| {
            headers.insert(name, value.parse().unwrap());
            window_of(&headers)
        };
        with("date", "Thu, 01 Jan 1970 00:10:00 GMT");
        with("x-ratelimit-limit", "5000");
        assert_eq!(with("x-ratelimit-remaining", "4988"), None);
        let window = WindowHeaders {
            limit: 5000,
            remaining: 4988,
            reset: 600 + 832,
            ends_in: Duration::from_secs(833),
        };
        assert_eq!(with("x-ratelimit-reset", "832"), Some(window));
        assert_eq!(with("x-ratelimit-remaining", "-1"), None);
    }
}
