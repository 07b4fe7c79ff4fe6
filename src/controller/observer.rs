//! Counts an object's requests to its organization.

use std::sync::Arc;
use std::time::Duration;

use crate::http::{Observer, Outcome};
use crate::telemetry::{Metrics, Object, RequestOutcome, RequestSide};

/// Counts an object's requests to its organization.
pub struct RequestMetrics {
    metrics: Metrics,
    object: Object,
}

impl RequestMetrics {
    /// For this object.
    pub fn new(metrics: &Metrics, object: Object) -> Self {
        Self {
            metrics: metrics.clone(),
            object,
        }
    }

    /// As clients want it.
    pub fn shared(self) -> Arc<dyn Observer> {
        Arc::new(self)
    }
}

impl std::fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequestMetrics({})", self.object)
    }
}

impl Observer for RequestMetrics {
    fn request(&self, endpoint: &'static str, outcome: Outcome, elapsed: Duration) {
        let outcome = match outcome {
            Outcome::Status(code) => RequestOutcome::Answered(code),
            Outcome::Unreachable | Outcome::Interrupted => RequestOutcome::Failed,
        };
        let side = RequestSide::Organization;
        self.metrics
            .request(Some(&self.object), side, endpoint, outcome, elapsed);
    }
}
