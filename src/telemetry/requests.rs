//! The requests of an HTTP client, counted.

use std::sync::Arc;
use std::time::Duration;

use crate::http::{Observer, Outcome};
use crate::telemetry::{Metrics, Object, RequestOutcome, RequestSide};

impl Metrics {
    /// Counts the requests that an HTTP client makes for an object.
    pub fn requests_of(&self, object: &Object, side: RequestSide) -> Arc<dyn Observer> {
        Arc::new(Requests {
            metrics: self.clone(),
            object: object.clone(),
            side,
        })
    }
}

struct Requests {
    metrics: Metrics,
    object: Object,
    side: RequestSide,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Requests")
    }
}

impl Observer for Requests {
    fn request(&self, endpoint: &'static str, outcome: Outcome, elapsed: Duration) {
        let outcome = match outcome {
            Outcome::Status(status) => RequestOutcome::Answered(status),
            Outcome::Unreachable | Outcome::Interrupted => RequestOutcome::Failed,
        };
        self.metrics
            .request(Some(&self.object), self.side, endpoint, outcome, elapsed);
    }
}
