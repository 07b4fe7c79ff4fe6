//! Microsoft Graph's rate limit, and the header that says how much of it is used.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::http::RateLimiter;

/// The limiter of one application in one tenant, which Graph counts together. The limits aren't
/// known beforehand: they depend on the tenant's size.
pub fn of_application() -> RateLimiter {
    RateLimiter::unlimited().with_throttle_hint(headroom)
}

/// Each answer says, from 80 per cent on, how much of the budget of ten seconds is used up. The
/// nearer the end, the longer everybody waits; past it, a 429 says how long.
fn headroom(_: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let percentage = headers.get("x-ms-throttle-limit-percentage")?;
    let used: f64 = percentage.to_str().ok()?.trim().parse().ok()?;
    let over = ((used - 0.8) / 0.2).clamp(0.0, 1.0);
    (used >= 0.8).then(|| Duration::from_millis(100) + Duration::from_secs(2).mul_f64(over))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_at(share: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        let value = share.parse().unwrap();
        headers.insert("x-ms-throttle-limit-percentage", value);
        headroom(StatusCode::OK, &headers)
    }

    #[test]
    fn the_nearer_the_limit_the_longer_everybody_waits() {
        assert_eq!(headroom(StatusCode::OK, &HeaderMap::new()), None);
        assert_eq!(wait_at("0.5"), None);
        assert_eq!(wait_at("much"), None);
        let waits = ["0.80", "0.90", "1.00", "1.80"].map(|share| wait_at(share).unwrap());
        assert!(waits.is_sorted(), "{waits:?}");
        assert!(waits[0] < Duration::from_millis(200) && waits[2] == waits[3]);
    }
}
