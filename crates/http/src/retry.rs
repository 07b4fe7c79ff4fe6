//! When a failed request is sent again. A request inside a Graph `$batch` isn't one of its own: what the
//! answer says of it is looked at in the Entra ID source, by the same rules.

use std::time::Duration;

use backon::ExponentialBuilder;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::Failure;

/// How often and for how long a failed request is sent again: with delays that double, each
/// lengthened by chance up to twice itself, or as the other side asks by `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is sent again.
    pub times: usize,
    /// The delay before the second try; it doubles from try to try.
    pub first_delay: Duration,
    /// The longest delay of our own choice.
    pub longest_delay: Duration,
    /// All delays of one request together: a `Retry-After` that goes beyond isn't waited for but
    /// told to the caller.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: 4,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(20),
            longest_wait: Duration::from_secs(150),
        }
    }
}

impl Retry {
    pub(super) fn delays(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.longest_delay)
            .with_max_times(self.times)
    }
}

/// After which failures a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// After everything that may pass: a request that ends in the same state when it is done twice.
    Always,
    /// Only where the other side surely did nothing: not connected, or refused by 429.
    NonIdempotent,
}

/// Whether a request that failed so may be sent again.
pub(super) fn is_retryable(failure: &Failure, idempotency: Idempotency) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Interrupted(_) => idempotency != Idempotency::NonIdempotent,
        Failure::Status(answer) => is_retryable_status(answer.status.as_u16(), idempotency),
        Failure::Denied(_)
        | Failure::Tls(_)
        | Failure::Scheme(_)
        | Failure::Undecodable(_)
        | Failure::Html
        | Failure::TooLarge(_)
        | Failure::Identity(_)
        | Failure::Request(_) => false,
        // Asking for it was tried again already.
        Failure::Token(_) => false,
    }
}

/// Whether a request that was answered with this status may be sent again.
pub fn is_retryable_status(status: u16, idempotency: Idempotency) -> bool {
    match status {
        429 => true,
        // 520 to 524: a proxy of Cloudflare, in front of the cloud and of many servers, didn't
        // get an answer from the server behind it.
        408 | 500 | 502..=504 | 520..=524 => idempotency != Idempotency::NonIdempotent,
        _ => false,
    }
}

/// The other side's word on when to come back: seconds, or a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at - Timestamp::now()).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date_of_http() {
        assert_eq!(parsed("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            parsed("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO),
            "a date that has passed asks for no wait"
        );
        let soon = Timestamp::now() + Duration::from_secs(90);
        let date = rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&soon)
            .unwrap();
        let wait = parsed(&date).unwrap();
        assert!(
            (88..=90).contains(&wait.as_secs()),
            "{date} is {wait:?} from now"
        );
        assert_eq!(parsed("soon"), None);
        assert_eq!(parsed("-3"), None);
    }
}
