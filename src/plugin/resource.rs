//! One resource, and the state it is in. Pure.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

use super::time::ahead;
use crate::api::DirectorySyncStatus;
use crate::api::conditions::{ConditionType, REMOVALS_HELD, SYNCING, Success, WAITING, find};
use crate::api::spec::PlanStorage;
use crate::api::status::{Phase, Progress};
use crate::problem::ProblemReason;

/// One resource as the API server holds it, also one of another version of the operator.
pub struct Resource {
    /// The object as the API server has it.
    pub object: DynamicObject,
    /// Its status; empty where there is none, or one that can't be read.
    pub status: DirectorySyncStatus,
}

/// In which state a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The operator hasn't seen this spec yet.
    NotSeen,
    /// A run is due, and waits until others have made room.
    Waiting,
    /// A run is under way.
    Syncing,
    /// Nothing is done, as the spec asks.
    Suspended,
    /// `Stalled` is true: it needs manual action.
    Stalled,
    /// The last run failed; another try follows.
    Failing,
    /// Removals wait for approval; the rest is in sync.
    Held,
    /// The plan is shown, as the spec asks.
    Preview,
    /// In step, except for entries that need manual action.
    Problems,
    /// The last run left nothing to do.
    InSync,
}

impl State {
    /// The state as a column of `status` shows it.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotSeen => "not seen yet",
            Self::Waiting => "waiting",
            Self::Syncing => "syncing",
            Self::Suspended => "suspended",
            Self::Stalled => "stalled",
            Self::Failing => "failing",
            Self::Held => "changes held",
            Self::Preview => "preview",
            Self::Problems => "in sync, problems",
            Self::InSync => "in sync",
        }
    }

    /// Whether it stays so until a person does something.
    pub fn needs_somebody(self) -> bool {
        match self {
            Self::Stalled | Self::Failing | Self::Held | Self::NotSeen | Self::Problems => true,
            Self::Waiting | Self::Syncing | Self::Suspended | Self::Preview | Self::InSync => false,
        }
    }

    /// The colour of the state on a terminal.
    pub fn style(self) -> Style {
        let color = match self {
            Self::InSync => AnsiColor::Green,
            Self::Stalled | Self::Failing => AnsiColor::Red,
            Self::Held | Self::Problems | Self::NotSeen => AnsiColor::Yellow,
            Self::Waiting | Self::Syncing | Self::Preview => AnsiColor::Cyan,
            Self::Suspended => return Style::new().dimmed(),
        };
        color.on_default()
    }
}

impl Resource {
    /// The resource that an object is.
    pub fn new(object: DynamicObject) -> Self {
        let status = object.data.get("status").cloned();
        let status = status.and_then(|status| serde_json::from_value(status).ok());
        Self {
            object,
            status: status.unwrap_or_default(),
        }
    }

    /// The name of the resource.
    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    /// The namespace of the resource.
    pub fn namespace(&self) -> &str {
        let namespace = self.object.metadata.namespace.as_deref();
        namespace.unwrap_or_default()
    }

    /// `identity/staff`, for messages about one of several.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace(), self.name())
    }

    /// A field of spec, such as `/suspend`.
    pub fn spec(&self, pointer: &str) -> Option<&Value> {
        self.object.data.get("spec")?.pointer(pointer)
    }

    /// How many members that it manages aren't revoked. A status of an older version has only how many
    /// it manages.
    pub fn members(&self) -> Option<i64> {
        let organization = self.status.organization.as_ref()?;
        organization.active_members.or(organization.managed_members)
    }

    /// Whether the spec asks for nothing to be done.
    pub fn is_suspended(&self) -> bool {
        self.spec("/suspend").and_then(Value::as_bool) == Some(true)
    }

    /// Whether the spec asks for a plan alone.
    pub fn is_preview(&self) -> bool {
        self.spec("/mode").and_then(Value::as_str) == Some("Preview")
    }

    /// Where its plan is kept. A word of a newer version counts as the default.
    pub fn plan_storage(&self) -> PlanStorage {
        let storage = self.spec("/planStorage").cloned();
        storage
            .and_then(|storage| serde_json::from_value(storage).ok())
            .unwrap_or_default()
    }

    /// When it runs next, or how often where that isn't recorded.
    pub fn next_sync(&self, now: Timestamp) -> String {
        match (self.state(), &self.status.next_sync_time) {
            (State::Suspended, _) => "when resumed".into(),
            (State::Stalled, _) => "when fixed".into(),
            (_, Some(next)) => ahead(next, now),
            (_, None) => self.rhythm(),
        }
    }

    /// How often it runs: `every 15m`, or its cron expression.
    pub fn rhythm(&self) -> String {
        let text = |pointer| self.spec(pointer).and_then(Value::as_str);
        match (text("/schedule"), text("/interval")) {
            (Some(schedule), _) => match text("/timeZone") {
                Some(zone) => format!("{schedule} ({zone})"),
                None => format!("{schedule} (UTC)"),
            },
            (None, Some(interval)) => format!("every {interval}"),
            (None, None) => "every 15m".into(),
        }
    }

    /// The state that its conditions describe.
    pub fn state(&self) -> State {
        let conditions = &self.status.conditions;
        let condition = |kind| find(conditions, kind).filter(|found| found.status == "True");
        if self.status.observed_generation != self.object.metadata.generation {
            return State::NotSeen;
        }
        if condition(ConditionType::Stalled).is_some() {
            return State::Stalled;
        }
        match condition(ConditionType::Reconciling).map(|found| found.reason.as_str()) {
            Some(SYNCING) => return State::Syncing,
            Some(WAITING) => return State::Waiting,
            _ => {}
        }
        let Some(ready) = find(conditions, ConditionType::Ready) else {
            return State::NotSeen;
        };
        let is = |success: Success| ready.reason == success.to_string();
        match ready.status.as_str() {
            "True" if is(Success::Suspended) => State::Suspended,
            "True" if ready.reason == REMOVALS_HELD => State::Held,
            "True" if is(Success::Previewed) => State::Preview,
            "True" if is(Success::SucceededWithProblems) => State::Problems,
            "True" => State::InSync,
            _ => State::Failing,
        }
    }

    /// The state, and how far a run has come.
    pub fn state_in_words(&self) -> String {
        let state = self.state();
        match &self.status.progress {
            Some(progress) if state == State::Syncing => {
                format!("{} ({})", state.words(), how_far(progress))
            }
            _ => state.words().into(),
        }
    }

    /// `Ready`'s reason and message.
    pub fn ready(&self) -> Option<(&str, &str)> {
        let ready = find(&self.status.conditions, ConditionType::Ready)?;
        Some((&ready.reason, &ready.message))
    }

    /// How many entries need manual action.
    pub fn problems(&self) -> i64 {
        let problems = self.status.problems.iter();
        let counts = problems
            .filter(|problem| ProblemReason::name_needs_action(&problem.reason))
            .map(|problem| problem.count);
        counts.fold(0, i64::saturating_add)
    }

    /// Who writes the resource from outside the cluster and may turn a change back.
    pub fn owner(&self) -> Option<&'static str> {
        let (labels, annotations) = (self.object.labels(), self.object.annotations());
        let by = [
            ("kustomize.toolkit.fluxcd.io/name", "Flux"),
            ("helm.toolkit.fluxcd.io/name", "Flux"),
            ("argocd.argoproj.io/instance", "Argo CD"),
            ("argocd.argoproj.io/tracking-id", "Argo CD"),
            ("meta.helm.sh/release-name", "Helm"),
        ];
        by.into_iter()
            .find(|(key, _)| labels.contains_key(*key) || annotations.contains_key(*key))
            .map(|(_, who)| who)
    }
}

/// `reading 1200`, `applying 60 of 90`
pub fn how_far(progress: &Progress) -> String {
    let phase = match progress.phase {
        Phase::Reading => "reading",
        Phase::Planning => "planning",
        Phase::Applying => "applying",
    };
    match (progress.done, progress.total) {
        (done, Some(total)) => format!("{phase} {done} of {total}"),
        (0, None) => phase.into(),
        (done, None) => format!("{phase} {done}"),
    }
}

#[cfg(test)]
pub mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::api::conditions::{Blocker, Failure, HeldReason, SyncOutcome};

    /// A resource at generation 2 whose status speaks of `observed`.
    pub fn resource(outcome: &SyncOutcome, observed: i64) -> Resource {
        let status = DirectorySyncStatus {
            observed_generation: Some(observed),
            conditions: outcome.conditions(&[], observed, Timestamp::UNIX_EPOCH),
            ..DirectorySyncStatus::default()
        };
        let object = json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": {"name": "staff", "namespace": "identity", "generation": 2},
            "spec": {},
            "status": status,
        });
        Resource::new(serde_json::from_value(object).unwrap())
    }

    fn succeeded(reason: Success, held: Option<(HeldReason, String)>) -> SyncOutcome {
        SyncOutcome::Succeeded {
            reason,
            message: "in sync".into(),
            held,
        }
    }

    #[test]
    fn every_outcome_is_a_state_of_its_own() {
        let held = Some((HeldReason::LimitExceeded, "70 removals wait".into()));
        let message = String::from("a message");
        let outcomes = [
            (succeeded(Success::Succeeded, None), State::InSync),
            (succeeded(Success::Succeeded, held), State::Held),
            (
                succeeded(Success::SucceededWithProblems, None),
                State::Problems,
            ),
            (succeeded(Success::Previewed, None), State::Preview),
            (succeeded(Success::Suspended, None), State::Suspended),
            (
                SyncOutcome::Failed {
                    reason: Failure::SourceUnavailable,
                    message: message.clone(),
                },
                State::Failing,
            ),
            (
                SyncOutcome::Stalled {
                    reason: Blocker::SourceRefused,
                    message: message.clone(),
                },
                State::Stalled,
            ),
            (
                SyncOutcome::Waiting {
                    message: message.clone(),
                },
                State::Waiting,
            ),
            (SyncOutcome::Syncing { message }, State::Syncing),
        ];
        for (outcome, state) in outcomes {
            assert_eq!(resource(&outcome, 2).state(), state, "{outcome:?}");
        }
    }

    #[test]
    fn what_status_says_of_an_older_spec_is_not_taken_for_this_one() {
        let in_sync = succeeded(Success::Succeeded, None);
        assert_eq!(resource(&in_sync, 1).state(), State::NotSeen);
    }

    #[test]
    fn a_status_that_cant_be_read_doesnt_keep_the_resource_from_being_shown() {
        let object = json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": {"name": "staff", "generation": 1},
            "status": {"conditions": "later versions write a text here"},
        });
        let resource = Resource::new(serde_json::from_value(object).unwrap());
        assert_eq!(
            (resource.name(), resource.state()),
            ("staff", State::NotSeen)
        );
    }

    #[test]
    fn the_rhythm_is_what_the_spec_says_or_the_default() {
        let rhythm = |spec: Value| {
            let mut resource = resource(&succeeded(Success::Succeeded, None), 2);
            resource.object.data["spec"] = spec;
            resource.rhythm()
        };
        assert_eq!(rhythm(json!({})), "every 15m");
        assert_eq!(rhythm(json!({"interval": "1h"})), "every 1h");
        let nightly = json!({"schedule": "0 2 * * *", "timeZone": "Europe/Berlin"});
        assert_eq!(rhythm(nightly), "0 2 * * * (Europe/Berlin)");
    }
}
