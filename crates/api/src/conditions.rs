//! Conditions: what a run's outcome looks like to people, `kubectl wait`, Flux and Argo CD.
//!
//! The one place where conditions are made. They follow kstatus: `Ready` is always there;
//! `Reconciling` and `Stalled` only while they are true. A reason is the same word in a condition
//! and in its event.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use directory_sync_directory::text::truncate;

/// Longest message of a condition, in characters. Status must be written whatever happened, and the
/// API server refuses objects that are too large.
pub const MESSAGE_MAX: usize = 1_000;

/// The types of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// Whether the last run did what the spec asks for.
    Ready,
    /// Work goes on, or will be tried again without anyone's help.
    Reconciling,
    /// It takes a person: nothing is tried until the spec or something it refers to changes, but for
    /// what the other side refused, which is tried again now and then.
    Stalled,
    /// Removals wait for approval.
    RemovalsHeld,
    /// Changes in the directory aren't noticed between two runs, although they were.
    SignalsLost,
    /// A certificate or another credential ends soon.
    CredentialExpiring,
}

impl ConditionType {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::RemovalsHeld,
        Self::SignalsLost,
        Self::CredentialExpiring,
    ];

    /// Whether it is no run's outcome, and so stays until it is taken away.
    fn stands_by_itself(self) -> bool {
        matches!(self, Self::SignalsLost | Self::CredentialExpiring)
    }
}

impl ConditionType {
    /// Its name in status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::RemovalsHeld => "RemovalsHeld",
            Self::SignalsLost => "SignalsLost",
            Self::CredentialExpiring => "CredentialExpiring",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Enums whose variants' names are reasons, and whose docs are what the reference says of them.
macro_rules! reasons {
    ($(
        $(#[$about:meta])*
        pub enum $kind:ident { $( $(#[doc = $meaning:literal])+ $reason:ident, )+ }
    )+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $kind { $( $(#[doc = $meaning])+ $reason, )+ }

        impl $kind {
            /// All of them, each with its meaning.
            pub const ALL: &[(Self, &str)] = &[ $( (Self::$reason, concat!($($meaning),+)), )+ ];
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    )+};
}

reasons! {
    /// A run that did all that it could do now.
    pub enum Success {
        /// The organization agrees with the directory.
        Succeeded,
        /// It does, except for entries that need manual action.
        SucceededWithProblems,
        /// The plan is reported, as `mode: Preview` asks; nothing was changed.
        Previewed,
        /// Nothing is done, as `suspend` asks.
        Suspended,
    }

    /// A failure that passes by itself or with another try.
    pub enum Failure {
        /// The directory can't be reached or doesn't answer as it should.
        SourceUnavailable,
        /// The directory's answer isn't provably complete; nothing was changed.
        SourceIncomplete,
        /// The organization's server can't be reached or doesn't answer as it should.
        OrganizationUnavailable,
        /// Some changes couldn't be made.
        ApplyFailed,
        /// The run was stopped: the operator shuts down, or the spec changed.
        Interrupted,
    }

    /// A failure that needs manual action.
    pub enum Blocker {
        /// The spec can't be followed.
        InvalidSpec,
        /// A Secret or ConfigMap, or a key in it, is missing.
        ReferenceNotFound,
        /// What a Secret or ConfigMap holds can't be used.
        InvalidReference,
        /// The directory refuses the credentials, or what the spec asks it for.
        SourceRefused,
        /// The organization's server refuses the credentials, or what the spec asks it for.
        OrganizationRefused,
        /// Another DirectorySync manages the organization.
        AlreadyManaged,
    }

    /// Why removals of a run wait for approval; the reason of the condition `RemovalsHeld`.
    pub enum HeldReason {
        /// A limit would be exceeded, a protected group would lose somebody, or the record of earlier
        /// changes is missing.
        LimitExceeded,
        /// The directory names nobody who is active and in scope.
        DirectoryEmpty,
    }
}

/// `Ready`'s reason while the first run of a generation is under way, and `Reconciling`'s during
/// every run.
pub const SYNCING: &str = "Syncing";
/// The reason of `Reconciling`, and of `Ready` for a new generation, until the run's turn comes.
pub const WAITING: &str = "Waiting";
/// `Reconciling`'s reason between a failure and the next try.
pub const RETRYING: &str = "Retrying";
/// `Ready`'s reason where a run succeeded and removals wait.
pub const REMOVALS_HELD: &str = "RemovalsHeld";

/// The reason of `SignalsLost`.
pub const WATCH_FAILED: &str = "WatchFailed";

/// The reason of `CredentialExpiring`.
pub const EXPIRES_SOON: &str = "ExpiresSoon";

/// Whether a word is a reason that `Ready` may have.
pub fn is_ready_reason(word: &str) -> bool {
    fn among<T: fmt::Display>(word: &str, reasons: &[(T, &str)]) -> bool {
        reasons.iter().any(|(reason, _)| reason.to_string() == word)
    }
    [SYNCING, WAITING, REMOVALS_HELD].contains(&word)
        || among(word, Success::ALL)
        || among(word, Failure::ALL)
        || among(word, Blocker::ALL)
}

/// Where a resource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncOutcome {
    /// A run is due, and waits until others have made room.
    Waiting {
        /// What it waits for.
        message: String,
    },
    /// A run is under way.
    Syncing {
        /// What is being done.
        message: String,
    },
    /// A run did all that it could do now.
    Succeeded {
        /// The reason of `Ready`.
        reason: Success,
        /// What was seen and done.
        message: String,
        /// Removals that wait for approval, and what to do about them.
        held: Option<(HeldReason, String)>,
    },
    /// A run failed, and another try will follow.
    Failed {
        /// The reason of `Ready`, which says at which side it failed.
        reason: Failure,
        /// What was tried, what the other side answered, what to do.
        message: String,
    },
    /// It takes a person.
    Stalled {
        /// The reason of `Stalled`.
        reason: Blocker,
        /// What a person has to change before the next run.
        message: String,
    },
}

impl SyncOutcome {
    /// The conditions of a resource at `generation` that had `before` until now.
    ///
    /// A condition keeps its `lastTransitionTime` as long as its status stays; whether removals
    /// wait is known by a successful run only and stays as it was otherwise. Whether the directory is
    /// watched, and whether a credential expires, is no run's result ([`set_signals_lost`],
    /// [`set_credential_expiring`]). Conditions of other types are kept.
    pub fn conditions(
        &self,
        before: &[Condition],
        generation: i64,
        now: Timestamp,
    ) -> Vec<Condition> {
        let mut wanted = self.wanted(before, generation);
        if !matches!(self, Self::Succeeded { .. }) {
            let held = find(before, ConditionType::RemovalsHeld);
            wanted.extend(held.map(|held| {
                (
                    ConditionType::RemovalsHeld,
                    "True",
                    held.reason.clone(),
                    held.message.clone(),
                )
            }));
        }
        let ours = wanted.into_iter().map(|(kind, status, reason, message)| {
            let since = find(before, kind)
                .filter(|earlier| earlier.status == status)
                .map_or(Time(now), |earlier| earlier.last_transition_time.clone());
            Condition {
                type_: kind.to_string(),
                status: status.to_owned(),
                reason,
                message: truncate(&message, MESSAGE_MAX),
                observed_generation: Some(generation),
                last_transition_time: since,
            }
        });
        let stays = |condition: &&Condition| {
            ConditionType::ALL
                .iter()
                .find(|kind| kind.name() == condition.type_)
                .is_none_or(|kind| kind.stands_by_itself())
        };
        ours.chain(before.iter().filter(stays).cloned()).collect()
    }

    /// The word for this outcome, as in `Ready`'s reason and in the event.
    pub fn reason(&self) -> String {
        match self {
            Self::Waiting { .. } => WAITING.to_owned(),
            Self::Syncing { .. } => SYNCING.to_owned(),
            Self::Succeeded { held: Some(_), .. } => REMOVALS_HELD.to_owned(),
            Self::Succeeded { reason, .. } => reason.to_string(),
            Self::Failed { reason, .. } => reason.to_string(),
            Self::Stalled { reason, .. } => reason.to_string(),
        }
    }

    /// What was seen and done, or what to do.
    pub fn message(&self) -> &str {
        match self {
            Self::Waiting { message }
            | Self::Syncing { message }
            | Self::Succeeded { message, .. }
            | Self::Failed { message, .. }
            | Self::Stalled { message, .. } => message,
        }
    }

    fn wanted(
        &self,
        before: &[Condition],
        generation: i64,
    ) -> Vec<(ConditionType, &'static str, String, String)> {
        use ConditionType::{Ready, Reconciling, RemovalsHeld, Stalled};
        match self {
            Self::Waiting { message } | Self::Syncing { message } => {
                // A run of an unchanged spec takes nothing back of what the last one found; of a
                // new spec nothing is known yet.
                let ready = match find(before, Ready) {
                    Some(ready)
                        if ready.observed_generation == Some(generation)
                            && ready.reason != WAITING =>
                    {
                        let status = match ready.status.as_str() {
                            "True" => "True",
                            "False" => "False",
                            _ => "Unknown",
                        };
                        (Ready, status, ready.reason.clone(), ready.message.clone())
                    }
                    _ => (Ready, "Unknown", self.reason(), message.clone()),
                };
                vec![ready, (Reconciling, "True", self.reason(), message.clone())]
            }
            Self::Succeeded { message, held, .. } => {
                let ready = (Ready, "True", self.reason(), message.clone());
                let held = held
                    .iter()
                    .map(|(why, what)| (RemovalsHeld, "True", why.to_string(), what.clone()));
                std::iter::once(ready).chain(held).collect()
            }
            Self::Failed { message, .. } => vec![
                (Ready, "False", self.reason(), message.clone()),
                (Reconciling, "True", RETRYING.to_owned(), message.clone()),
            ],
            Self::Stalled { message, .. } => vec![
                (Ready, "False", self.reason(), message.clone()),
                (Stalled, "True", self.reason(), message.clone()),
            ],
        }
    }
}

/// Says in `conditions` why the directory isn't watched any more; `None` takes that away.
pub fn set_signals_lost(
    conditions: &mut Vec<Condition>,
    message: Option<&str>,
    generation: i64,
    now: Timestamp,
) {
    let kind = ConditionType::SignalsLost;
    set(conditions, (kind, WATCH_FAILED), message, generation, now);
}

/// Says in `conditions` which credentials expire soon; `None` takes that away.
pub fn set_credential_expiring(
    conditions: &mut Vec<Condition>,
    message: Option<&str>,
    generation: i64,
    now: Timestamp,
) {
    let kind = ConditionType::CredentialExpiring;
    set(conditions, (kind, EXPIRES_SOON), message, generation, now);
}

fn set(
    conditions: &mut Vec<Condition>,
    (kind, reason): (ConditionType, &str),
    message: Option<&str>,
    generation: i64,
    now: Timestamp,
) {
    let since = find(conditions, kind).map(|before| before.last_transition_time.clone());
    conditions.retain(|condition| condition.type_ != kind.name());
    conditions.extend(message.map(|message| Condition {
        type_: kind.to_string(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: truncate(message, MESSAGE_MAX),
        observed_generation: Some(generation),
        last_transition_time: since.unwrap_or(Time(now)),
    }));
}

/// The condition of a type.
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    let name = kind.to_string();
    conditions.iter().find(|condition| condition.type_ == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn succeeded() -> SyncOutcome {
        SyncOutcome::Succeeded {
            reason: Success::Succeeded,
            message: "234 members and 20 groups are in sync".into(),
            held: None,
        }
    }

    fn failed() -> SyncOutcome {
        SyncOutcome::Failed {
            reason: Failure::SourceUnavailable,
            message: "connection refused".into(),
        }
    }

    fn syncing() -> SyncOutcome {
        SyncOutcome::Syncing {
            message: "reading".into(),
        }
    }

    /// `Ready=True/Succeeded`, for each condition.
    fn summary(conditions: &[Condition]) -> Vec<String> {
        conditions
            .iter()
            .map(|c| format!("{}={}/{}", c.type_, c.status, c.reason))
            .collect()
    }

    #[test]
    fn each_outcome_has_ready_and_only_the_others_that_are_true() {
        let stalled = SyncOutcome::Stalled {
            reason: Blocker::ReferenceNotFound,
            message: "Secret ldap-bind is missing".into(),
        };
        let of = |outcome: &SyncOutcome| summary(&outcome.conditions(&[], 1, at(0)));
        assert_eq!(
            of(&syncing()),
            ["Ready=Unknown/Syncing", "Reconciling=True/Syncing"]
        );
        assert_eq!(of(&succeeded()), ["Ready=True/Succeeded"]);
        assert_eq!(
            of(&failed()),
            ["Ready=False/SourceUnavailable", "Reconciling=True/Retrying"]
        );
        assert_eq!(
            of(&stalled),
            [
                "Ready=False/ReferenceNotFound",
                "Stalled=True/ReferenceNotFound"
            ]
        );
    }

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let first = succeeded().conditions(&[], 1, at(10));
        let second = succeeded().conditions(&first, 1, at(20));
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        let third = failed().conditions(&second, 1, at(30));
        assert_eq!(third[0].last_transition_time, Time(at(30)));
        let fourth = failed().conditions(&third, 1, at(40));
        assert_eq!(fourth[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn a_run_of_the_same_spec_leaves_ready_alone_and_one_of_a_new_spec_makes_it_unknown() {
        let ready = succeeded().conditions(&[], 1, at(10));
        assert_eq!(
            summary(&syncing().conditions(&ready, 1, at(20))),
            ["Ready=True/Succeeded", "Reconciling=True/Syncing"]
        );
        assert_eq!(
            summary(&syncing().conditions(&ready, 2, at(20))),
            ["Ready=Unknown/Syncing", "Reconciling=True/Syncing"]
        );
    }

    #[test]
    fn waiting_for_a_turn_is_said_and_forgotten_when_the_run_begins() {
        let waiting = SyncOutcome::Waiting {
            message: "other runs go first".into(),
        };
        let queued = waiting.conditions(&[], 1, at(10));
        assert_eq!(
            summary(&queued),
            ["Ready=Unknown/Waiting", "Reconciling=True/Waiting"]
        );
        assert_eq!(
            summary(&syncing().conditions(&queued, 1, at(20))),
            ["Ready=Unknown/Syncing", "Reconciling=True/Syncing"]
        );
        let ready = succeeded().conditions(&queued, 1, at(30));
        assert_eq!(
            summary(&waiting.conditions(&ready, 1, at(40))),
            ["Ready=True/Succeeded", "Reconciling=True/Waiting"]
        );
    }

    #[test]
    fn removals_stay_held_through_failures_until_a_run_succeeds_without_any() {
        let held = SyncOutcome::Succeeded {
            reason: Success::Succeeded,
            message: "in sync".into(),
            held: Some((
                HeldReason::LimitExceeded,
                "70 of 200 members would lose access".into(),
            )),
        };
        let first = held.conditions(&[], 1, at(10));
        assert_eq!(
            summary(&first),
            ["Ready=True/RemovalsHeld", "RemovalsHeld=True/LimitExceeded"]
        );
        let second = failed().conditions(&first, 1, at(20));
        let waiting = find(&second, ConditionType::RemovalsHeld).unwrap();
        assert_eq!(waiting.last_transition_time, Time(at(10)));
        assert_eq!(waiting.message, "70 of 200 members would lose access");
        assert_eq!(
            summary(&succeeded().conditions(&second, 1, at(30))),
            ["Ready=True/Succeeded"]
        );
    }

    #[test]
    fn a_lost_watch_is_told_through_runs_until_the_directory_is_watched_again() {
        let mut conditions = succeeded().conditions(&[], 1, at(10));
        set_signals_lost(&mut conditions, Some("no route"), 1, at(20));
        set_signals_lost(&mut conditions, Some("refused"), 1, at(30));
        let mut after = failed().conditions(&conditions, 2, at(40));
        assert_eq!(
            summary(&after),
            [
                "Ready=False/SourceUnavailable",
                "Reconciling=True/Retrying",
                "SignalsLost=True/WatchFailed"
            ]
        );
        let lost = find(&after, ConditionType::SignalsLost).unwrap();
        assert_eq!(lost.message, "refused");
        assert_eq!(lost.last_transition_time, Time(at(20)));
        set_signals_lost(&mut after, None, 2, at(50));
        assert!(find(&after, ConditionType::SignalsLost).is_none());
    }

    #[test]
    fn what_expires_is_told_through_runs_until_it_is_renewed() {
        let mut conditions = succeeded().conditions(&[], 1, at(10));
        set_credential_expiring(&mut conditions, Some("renew it"), 1, at(20));
        let mut after = failed().conditions(&conditions, 1, at(30));
        let expiring = find(&after, ConditionType::CredentialExpiring).unwrap();
        assert_eq!(
            (expiring.reason.as_str(), expiring.message.as_str()),
            (EXPIRES_SOON, "renew it")
        );
        set_credential_expiring(&mut after, None, 1, at(40));
        assert!(find(&after, ConditionType::CredentialExpiring).is_none());
        assert!(find(&after, ConditionType::Ready).is_some());
    }

    #[test]
    fn conditions_of_others_are_kept_and_long_messages_are_cut() {
        let theirs = Condition {
            type_: "Audited".into(),
            status: "True".into(),
            reason: "Audited".into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(at(1)),
        };
        let long = SyncOutcome::Failed {
            reason: Failure::ApplyFailed,
            message: "ä".repeat(5_000),
        };
        let conditions = long.conditions(std::slice::from_ref(&theirs), 1, at(2));
        assert!(conditions.contains(&theirs));
        assert_eq!(conditions[0].message.chars().count(), MESSAGE_MAX);
    }
}
