//! Every metric with a value.

use std::time::Duration;

use directory_sync::http::{Credential, Expiry, Validity};
use directory_sync::sync::exposure::ExposedSince;
use directory_sync::sync::plan::{Kind, OnboardingCounts};
use directory_sync::telemetry::{
    ConditionStatus, Metrics, Object, RequestOutcome, RequestSide, RunResult, SizeOf,
};

/// What an operator exposes to Prometheus about one resource. A metric without a value isn't in it.
pub fn exposition() -> String {
    let (metrics, staff) = (Metrics::new(), Object::new("identity", "staff"));
    let second = Duration::from_secs(1);
    metrics.run_finished(&staff, RunResult::Succeeded, second, [("Read", second)]);
    let (side, busy) = (RequestSide::Organization, RequestOutcome::Answered(429));
    metrics.request(Some(&staff), side, "GET /public/groups", busy, second);
    metrics.changes_applied(&staff, "Invite", 5);
    metrics.set_access(
        &staff,
        Some([(Kind::SetRole, 1), (Kind::SetCollections, 0)]),
    );
    metrics.nobody_exposed(&staff);
    metrics.exposed(&staff, ExposedSince::Entry, second);
    metrics.set_sizes(&staff, SizeOf::Managed, 10, 2);
    metrics.set_expiries(&staff, &[expiry()]);
    metrics.set_onboarding(&staff, OnboardingCounts::default());
    metrics.set_seats_left(&staff, Some(7));
    metrics.set_held(&staff, 4);
    metrics.set_problems(&staff, [("NoEmail", 1)]);
    metrics.set_conditions(&staff, [("Ready", ConditionStatus::True)]);
    metrics.set_ready_reason(&staff, Some("Succeeded".into()));
    metrics.set_leader(true);
    metrics.text()
}

fn expiry() -> Expiry {
    let at = |second| jiff::Timestamp::from_second(second).expect("a second after 1970");
    Expiry {
        credential: Credential::DirectoryServer,
        validity: Validity {
            begins: at(0),
            ends: at(1),
        },
    }
}
