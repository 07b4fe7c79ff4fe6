//! Limits in resource units.

use axum::http::StatusCode;
use tokio::time::Instant;

use super::answers::Reply;
use super::config::Limits;

/// What the application used up so far.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    window: Option<(Instant, u32)>,
    /// Everything ever used, refused requests aside.
    pub total: u64,
    /// So many parts of batches are refused whatever was used.
    pub refuse_parts: u32,
}

/// From here on, headers say how near the limit is.
const HEADERS_FROM: f64 = 0.8;

impl Throttle {
    /// Counts a request: what the headers of its answer say, or the refusal.
    pub fn admit(
        &mut self,
        limits: Option<Limits>,
        units: u32,
    ) -> Result<Vec<(&'static str, String)>, Reply> {
        let mut headers = vec![("x-ms-resource-unit", units.to_string())];
        if let Some(limits) = limits {
            let now = Instant::now();
            let (since, used) = match self.window {
                Some((since, used)) if now.duration_since(since) < limits.per => (since, used),
                _ => (now, 0),
            };
            if used + units > limits.units {
                let wait = (since + limits.per).duration_since(now);
                return Err(refusal(wait.as_secs() + 1));
            }
            let used = used + units;
            self.window = Some((since, used));
            let share = f64::from(used) / f64::from(limits.units);
            if share >= HEADERS_FROM {
                headers.push(("x-ms-throttle-limit-percentage", format!("{share:.2}")));
            }
        }
        self.total += u64::from(units);
        Ok(headers)
    }
}

/// A 429 with `Retry-After`.
pub(super) fn refusal(seconds: u64) -> Reply {
    Reply::error(
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequests",
        "Too many requests.",
    )
    .header("retry-after", seconds)
    .header(
        "x-ms-throttle-scope",
        "Tenant_Application/ReadWrite/simulated",
    )
    .header("x-ms-throttle-information", "ResourceUnitLimitExceeded")
}
