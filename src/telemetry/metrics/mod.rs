//! What is counted and measured, by meaning.

mod labels;
mod per_object;
mod process;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use labels::{
    ByAccessResult, ByChange, ByCondition, ByCredential, ByEndpoint, ByPhase, ByReason, ByRequest,
    ByResult, BySide, BySince, ByState, NoLabels,
};
pub use labels::{ConditionStatus, RequestOutcome, RequestSide, RunResult, SizeOf};
use per_object::PerObject;
pub(super) use text::Exposition;

use crate::http::{self, Expiry, Validity};
use crate::sync::access_outcome::{AccessOutcome, AccessResult};
use crate::sync::exposure::ExposedSince;
use crate::sync::plan::{Kind, OnboardingCounts};
use crate::telemetry::{Object, VERSION};

/// The metrics of this process. Cheap to clone: all clones count into the same series.
///
/// Every series of an object goes with [`Metrics::forget`]. No label holds what a remote side sent.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    run_durations: PerObject<NoLabels, Histogram>,
    phase_durations: PerObject<ByPhase, Histogram>,
    runs: PerObject<ByResult, Counter>,
    requests: PerObject<ByRequest, Counter>,
    request_durations: Family<ByEndpoint, Histogram, fn() -> Histogram>,
    changes: PerObject<ByChange, Counter>,
    exposures: PerObject<BySince, Histogram>,
    access_changes: PerObject<ByAccessResult, Counter>,
    access_held: PerObject<ByChange, Gauge>,
    members: PerObject<BySide, Gauge>,
    groups: PerObject<BySide, Gauge>,
    onboarding: PerObject<ByState, Gauge>,
    seats_left: PerObject<NoLabels, Gauge>,
    held_removals: PerObject<NoLabels, Gauge>,
    problems: PerObject<ByReason, Gauge>,
    last_success: PerObject<NoLabels, Gauge>,
    conditions: PerObject<ByCondition, Gauge>,
    ready_reason: PerObject<ByReason, Gauge>,
    credential_expiry: PerObject<ByCredential, Gauge>,
    credential_lifetime: PerObject<ByCredential, Gauge>,
    leader: Gauge,
    audit_sent: Counter,
    audit_dropped: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, without any series of an object yet.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let inner = Inner {
            run_durations: PerObject::new(|| Histogram::new(RUN_SECONDS)),
            phase_durations: PerObject::new(|| Histogram::new(RUN_SECONDS)),
            runs: PerObject::default(),
            requests: PerObject::default(),
            request_durations: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            changes: PerObject::default(),
            exposures: PerObject::new(|| Histogram::new(EXPOSURE_SECONDS)),
            access_changes: PerObject::default(),
            access_held: PerObject::default(),
            members: PerObject::default(),
            groups: PerObject::default(),
            onboarding: PerObject::default(),
            seats_left: PerObject::default(),
            held_removals: PerObject::default(),
            problems: PerObject::default(),
            last_success: PerObject::default(),
            conditions: PerObject::default(),
            ready_reason: PerObject::default(),
            credential_expiry: PerObject::default(),
            credential_lifetime: PerObject::default(),
            leader: Gauge::default(),
            audit_sent: Counter::default(),
            audit_dropped: Counter::default(),
            registry: Registry::default(),
        };
        inner.register(registry.sub_registry_with_prefix("directory_sync"));
        registry.register_collector(Box::new(process::ProcessCollector));
        Self(Arc::new(Inner { registry, ..inner }))
    }

    /// A run has ended: how, how long it took in all, and how long each phase that it reached.
    ///
    /// A phase's name is one of few, such as [`Phase::name`](crate::sync::progress::Phase::name).
    pub fn run_finished(
        &self,
        object: &Object,
        result: RunResult,
        took: Duration,
        phases: impl IntoIterator<Item = (&'static str, Duration)>,
    ) {
        self.0.runs.of(object, ByResult { result }).inc();
        let whole = self.0.run_durations.of(object, NoLabels);
        whole.observe(took.as_secs_f64());
        for (phase, took) in phases {
            let part = self.0.phase_durations.of(object, ByPhase { phase });
            part.observe(took.as_secs_f64());
        }
        if result.is_success() {
            self.set_last_success(object, Timestamp::now());
        }
    }

    /// When a run last ended well, also one of an earlier process.
    pub fn set_last_success(&self, object: &Object, at: Timestamp) {
        self.0.last_success.of(object, NoLabels).set(at.as_second());
    }

    /// A request was made, for `object` where it was made for one.
    ///
    /// `endpoint` is a template (`GET /public/members`), never an address with ids in it.
    pub fn request(
        &self,
        object: Option<&Object>,
        side: RequestSide,
        endpoint: &'static str,
        outcome: RequestOutcome,
        took: Duration,
    ) {
        let nobody = Object::new("", "");
        let labels = ByRequest {
            side,
            endpoint,
            code: outcome,
        };
        self.0.requests.of(object.unwrap_or(&nobody), labels).inc();
        self.0
            .request_durations
            .get_or_create(&ByEndpoint { side, endpoint })
            .observe(took.as_secs_f64());
    }

    /// What tells these metrics about every request of an HTTP client.
    pub fn observer(&self, object: &Object, side: RequestSide) -> Arc<dyn http::Observer> {
        Arc::new(RequestObserver {
            metrics: self.clone(),
            object: object.clone(),
            side,
        })
    }

    /// Changes of one kind (`Invite`, `UpdateGroup`…) were made.
    pub fn changes_applied(&self, object: &Object, kind: &'static str, count: usize) {
        let counter = self.0.changes.of(object, ByChange { kind });
        counter.inc_by(count as u64);
    }

    /// Shows that nobody of an object was exposed so far. Prometheus takes the first value of a series that
    /// wasn't there before for no increase.
    pub fn nobody_exposed(&self, object: &Object) {
        for since in ExposedSince::ALL {
            self.0.exposures.of(object, BySince { since });
        }
    }

    /// Somebody lost access who had it for so long after the directory took it from them.
    pub fn exposed(&self, object: &Object, since: ExposedSince, lasted: Duration) {
        let exposures = self.0.exposures.of(object, BySince { since });
        exposures.observe(lasted.as_secs_f64());
    }

    /// Shows that no role and no access of an object was changed so far, and how many such changes wait for
    /// approval. `None`: it has no rules.
    pub fn set_access(&self, object: &Object, held: Option<[(Kind, usize); 2]>) {
        for (kind, _) in held.into_iter().flatten() {
            let kind = kind.name();
            for result in AccessResult::ALL {
                self.0
                    .access_changes
                    .of(object, ByAccessResult { kind, result });
            }
        }
        let held = held.into_iter().flatten();
        let held = held.map(|(kind, held)| (ByChange { kind: kind.name() }, held as i64));
        self.0.access_held.replace(object, held);
    }

    /// Something became of a change of somebody's role, or of a group's access to collections.
    pub fn access_changed(&self, object: &Object, outcome: AccessOutcome) {
        let labels = ByAccessResult {
            kind: outcome.kind.name(),
            result: outcome.result,
        };
        self.0.access_changes.of(object, labels).inc();
    }

    /// How many members and groups one side has.
    pub fn set_sizes(&self, object: &Object, side: SizeOf, members: usize, groups: usize) {
        self.0
            .members
            .of(object, BySide { side })
            .set(members as i64);
        self.0.groups.of(object, BySide { side }).set(groups as i64);
    }

    /// Where managed members stand on their way in.
    pub fn set_onboarding(&self, object: &Object, counts: OnboardingCounts) {
        let valid = counts
            .invited
            .saturating_sub(counts.expired + counts.age_unknown);
        let in_time = counts.accepted.saturating_sub(counts.overdue);
        let states = [
            ("staged", counts.staged),
            ("invited", valid),
            ("invitation_expired", counts.expired),
            ("invitation_age_unknown", counts.age_unknown),
            ("accepted", in_time),
            ("confirmation_overdue", counts.overdue),
            ("confirmed", counts.confirmed),
        ];
        for (state, members) in states {
            let series = self.0.onboarding.of(object, ByState { state });
            series.set(members as i64);
        }
    }

    /// How many more members the subscription has seats for; `None` where that isn't known, or has no limit.
    pub fn set_seats_left(&self, object: &Object, left: Option<usize>) {
        let series = left.map(|left| (NoLabels, left as i64));
        self.0.seats_left.replace(object, series);
    }

    /// How many removals wait for approval.
    pub fn set_held(&self, object: &Object, removals: usize) {
        self.0
            .held_removals
            .of(object, NoLabels)
            .set(removals as i64);
    }

    /// The problems of the last run by reason; reasons that aren't named have none any more.
    pub fn set_problems(
        &self,
        object: &Object,
        problems: impl IntoIterator<Item = (impl fmt::Display, usize)>,
    ) {
        let problems = problems.into_iter().map(|(reason, count)| {
            (
                ByReason {
                    reason: reason.to_string(),
                },
                count as i64,
            )
        });
        self.0.problems.replace(object, problems);
    }

    /// The conditions as they stand in the object's status; those that aren't named are gone.
    pub fn set_conditions(
        &self,
        object: &Object,
        conditions: impl IntoIterator<Item = (&'static str, ConditionStatus)>,
    ) {
        let series = conditions.into_iter().flat_map(|(r#type, now)| {
            ConditionStatus::ALL
                .map(|status| (ByCondition { r#type, status }, i64::from(status == now)))
        });
        self.0.conditions.replace(object, series);
    }

    /// Why `Ready` is as it is, in one word of few; `None`: nothing is known yet.
    pub fn set_ready_reason(&self, object: &Object, reason: Option<String>) {
        let series = reason.map(|reason| (ByReason { reason }, 1));
        self.0.ready_reason.replace(object, series);
    }

    /// When certificates and other credentials end, as far as that is known; what isn't named isn't known any more.
    pub fn set_expiries(&self, object: &Object, expiries: &[Expiry]) {
        let series = |value: fn(Validity) -> i64| {
            expiries.iter().map(move |expiry| {
                let credential = expiry.credential.name();
                (ByCredential { credential }, value(expiry.validity))
            })
        };
        self.0
            .credential_expiry
            .replace(object, series(|validity| validity.ends.as_second()));
        self.0
            .credential_lifetime
            .replace(object, series(|validity| validity.lifetime().as_secs()));
    }

    /// Whether this process is the one that syncs.
    pub fn set_leader(&self, leader: bool) {
        self.0.leader.set(i64::from(leader));
    }

    /// The receiver of records took so many.
    pub fn audit_sent(&self, records: usize) {
        self.0.audit_sent.inc_by(records as u64);
    }

    /// So many records never reached the receiver.
    pub fn audit_dropped(&self, records: usize) {
        self.0.audit_dropped.inc_by(records as u64);
    }

    /// Removes every series of an object that is gone. Whatever still reports on it must have
    /// ended.
    pub fn forget(&self, object: &Object) {
        self.0.run_durations.forget(object);
        self.0.phase_durations.forget(object);
        self.0.runs.forget(object);
        self.0.requests.forget(object);
        self.0.changes.forget(object);
        self.0.exposures.forget(object);
        self.0.access_changes.forget(object);
        self.0.access_held.forget(object);
        self.0.members.forget(object);
        self.0.groups.forget(object);
        self.0.onboarding.forget(object);
        self.0.seats_left.forget(object);
        self.0.held_removals.forget(object);
        self.0.problems.forget(object);
        self.0.last_success.forget(object);
        self.0.conditions.forget(object);
        self.0.ready_reason.forget(object);
        self.0.credential_expiry.forget(object);
        self.0.credential_lifetime.forget(object);
    }

    /// Everything as text, as scrapers get it that accept nothing newer.
    pub fn text(&self) -> String {
        self.expose(Exposition::Prometheus)
    }

    /// All metrics in one of the text formats of Prometheus and OpenMetrics.
    pub(super) fn expose(&self, exposition: Exposition) -> String {
        text::expose(&self.0.registry, exposition)
    }
}

impl Inner {
    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "run_duration",
            "How long runs took",
            Unit::Seconds,
            self.run_durations.family(),
        );
        registry.register_with_unit(
            "phase_duration",
            "How long the phases of runs took",
            Unit::Seconds,
            self.phase_durations.family(),
        );
        registry.register("runs", "Runs that ended, by result", self.runs.family());
        registry.register(
            "requests",
            "Requests to the directory, the organization and the API server, by endpoint and answer",
            self.requests.family(),
        );
        registry.register_with_unit(
            "request_duration",
            "How long requests took until their answer was read, by endpoint",
            Unit::Seconds,
            self.request_durations.clone(),
        );
        registry.register(
            "changes",
            "Changes made in the organization, by kind",
            self.changes.family(),
        );
        registry.register_with_unit(
            "exposure",
            "How long people kept access after the directory took it from them, by what it is counted from: \
             the last change of the entry, or when it was first seen",
            Unit::Seconds,
            self.exposures.family(),
        );
        registry.register(
            "access_changes",
            "Changes by access.roles (of a member's role) and access.collections (of a group's access), by what \
             became of them: given also if something else was taken, taken, refused by the server",
            self.access_changes.family(),
        );
        registry.register(
            "access_held",
            "Changes by access.roles and access.collections that wait for a person's approval",
            self.access_held.family(),
        );
        registry.register(
            "members",
            "People the directory wants in the organization, and members the organization has",
            self.members.family(),
        );
        registry.register(
            "groups",
            "Groups in scope in the directory, and groups the organization has",
            self.groups.family(),
        );
        registry.register(
            "onboarding_members",
            "Members that the resource manages, by where they stand on their way in; each counts once",
            self.onboarding.family(),
        );
        registry.register(
            "seats_left",
            "Seats of the subscription that nobody has, with those by which it may grow by itself; only of Bitwarden's \
             cloud, and where there is a limit",
            self.seats_left.family(),
        );
        registry.register(
            "held_removals",
            "Removals that wait for a person's approval",
            self.held_removals.family(),
        );
        registry.register(
            "problems",
            "What the last run reported, by reason; all but UnknownMembers needs manual action",
            self.problems.family(),
        );
        registry.register_with_unit(
            "last_success_timestamp",
            "When a run last ended well, in seconds since 1970",
            Unit::Seconds,
            self.last_success.family(),
        );
        registry.register(
            "condition",
            "The conditions of the resource: 1 for the status that a condition has now",
            self.conditions.family(),
        );
        registry.register(
            "ready_reason",
            "Why the resource is ready or not: 1 for the reason that Ready has now",
            self.ready_reason.family(),
        );
        registry.register_with_unit(
            "credential_expiry_timestamp",
            "When a certificate or another credential ends, in seconds since 1970, where that is known",
            Unit::Seconds,
            self.credential_expiry.family(),
        );
        registry.register_with_unit(
            "credential_lifetime",
            "How long a certificate or another credential is good in all",
            Unit::Seconds,
            self.credential_lifetime.family(),
        );
        registry.register(
            "leader",
            "Whether this process is the one that syncs (1) or stands by (0)",
            self.leader.clone(),
        );
        registry.register(
            "audit_records_sent",
            "Records of changes that the receiver at --audit-url took",
            self.audit_sent.clone(),
        );
        registry.register(
            "audit_records_dropped",
            "Records of changes that never reached the receiver at --audit-url; the log has them",
            self.audit_dropped.clone(),
        );
        registry.register(
            "build",
            "What this process was built from",
            Info::new([("version", VERSION.as_str())]),
        );
    }
}

struct RequestObserver {
    metrics: Metrics,
    object: Object,
    side: RequestSide,
}

impl http::Observer for RequestObserver {
    fn request(&self, endpoint: &'static str, outcome: http::CallOutcome, elapsed: Duration) {
        let object = Some(&self.object);
        self.metrics
            .request(object, self.side, endpoint, outcome.into(), elapsed);
    }
}

impl fmt::Debug for RequestObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requests of {} to {:?}", self.object, self.side)
    }
}

/// From a sync with nothing to do to the first one of a large organization at the vendor's pace.
const RUN_SECONDS: [f64; 9] = [0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0];

/// From a directory that sends its changes to one that is read once a day.
const EXPOSURE_SECONDS: [f64; 13] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0,
];

/// From a cached answer to the vendor's slowest import.
const REQUEST_SECONDS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

#[cfg(test)]
mod tests;
