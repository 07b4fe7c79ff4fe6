//! Whether an object runs now, and if not, when. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::DirectorySyncStatus;
use crate::api::conditions::{ConditionType, find};
use crate::schedule::{Schedule, share_of};
use crate::sync::history::RunTrigger;

/// What the spec, its references and annotations ask for.
#[derive(Debug, Clone)]
pub struct Desired<'a> {
    /// The generation of the spec.
    pub generation: i64,
    /// What the Secrets and ConfigMaps hold.
    pub fingerprint: Fingerprint,
    /// The token of the last request to sync now.
    pub request: Option<&'a str>,
    /// The removals that may go ahead.
    pub approval: Option<&'a str>,
    /// When a run should come early, because something may have changed in the directory.
    pub signaled: Option<Timestamp>,
    /// How often to run.
    pub schedule: &'a Schedule,
    /// Between two comparisons of all memberships.
    pub drift_check: Duration,
}

/// Digest of all that an object's Secrets and ConfigMaps hold.
pub type Fingerprint = [u8; 32];

/// The runs so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The last try: `None` before the first of this process and of those before it.
    pub last: Option<Attempt>,
    /// How many tries failed since the last that didn't.
    pub failures: u32,
    /// When all memberships were last compared.
    pub drift_checked: Option<Timestamp>,
}

/// One run, however it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// When the run began, as far as that is known.
    pub started: Timestamp,
    /// When the run ended.
    pub ended: Timestamp,
    /// The `metadata.generation` of the spec that it used.
    pub generation: i64,
    /// With which Secrets and ConfigMaps; `None` where another process made it.
    pub fingerprint: Option<Fingerprint>,
    /// The request it answered.
    pub request: Option<String>,
    /// The approval it was given.
    pub approval: Option<String>,
    /// The removals that were held at its end.
    pub held: Option<String>,
    /// When the next one is due, if nothing changes.
    pub next: Timestamp,
}

/// Whether to run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Run at once, for this reason.
    Now(RunTrigger),
    /// Don't run before this time.
    At(Timestamp),
}

/// Decides whether to run `now`.
pub fn decide(desired: &Desired<'_>, history: &History, now: Timestamp) -> Decision {
    let Some(last) = &history.last else {
        return Decision::Now(RunTrigger::First);
    };
    if last.generation != desired.generation {
        return Decision::Now(RunTrigger::SpecChanged);
    }
    if last
        .fingerprint
        .is_some_and(|known| known != desired.fingerprint)
    {
        return Decision::Now(RunTrigger::ReferenceChanged);
    }
    if desired.request.is_some() && desired.request != last.request.as_deref() {
        return Decision::Now(RunTrigger::Requested);
    }
    if desired.approval.is_some()
        && desired.approval == last.held.as_deref()
        && desired.approval != last.approval.as_deref()
    {
        return Decision::Now(RunTrigger::Approved);
    }
    if last.next <= now {
        return Decision::Now(RunTrigger::Scheduled);
    }
    // After a failure the wait counts, whatever happens in the directory.
    match desired.signaled.filter(|_| history.failures == 0) {
        Some(due) if due <= now => Decision::Now(RunTrigger::Signaled),
        Some(due) => Decision::At(due.min(last.next)),
        None => Decision::At(last.next),
    }
}

/// When to try again what needs manual action: as scheduled, but not within `least`. The other
/// side counts wrong passwords and doesn't notify anybody when it is fixed.
pub fn after_refusal(
    schedule: &Schedule,
    ended: Timestamp,
    uid: &str,
    least: Duration,
) -> Timestamp {
    let earliest = Timestamp::saturating_add(ended, least).unwrap_or(Timestamp::MAX);
    let next = schedule.next_after(ended, uid);
    match schedule {
        _ if next >= earliest => next,
        Schedule::Every(_) => earliest,
        Schedule::At(_) => schedule.next_after(earliest, uid),
    }
}

/// Whether a run that begins for this reason compares all memberships with the organization's.
pub fn needs_full_resync(
    trigger: RunTrigger,
    desired: &Desired<'_>,
    history: &History,
    now: Timestamp,
) -> bool {
    let overdue = history.drift_checked.is_none_or(|checked| {
        Timestamp::saturating_add(checked, desired.drift_check).is_ok_and(|due| due <= now)
    });
    overdue || matches!(trigger, RunTrigger::SpecChanged | RunTrigger::Requested)
}

/// What an object's status tells of runs that other processes made.
///
/// Status may lag behind by up to `heartbeat`, for a run that changes nothing writes none. So a run
/// that seems to be overdue by less may have taken place: it is made up for, but not by all objects
/// at once.
pub fn history_from_status(
    status: &DirectorySyncStatus,
    schedule: &Schedule,
    uid: &str,
    heartbeat: Duration,
    now: Timestamp,
) -> History {
    let condition = |kind| find(&status.conditions, kind).is_some_and(|c| c.status == "True");
    let ended = [&status.last_attempt_time, &status.last_sync_time]
        .into_iter()
        .flatten()
        .map(|time| time.0)
        .max();
    let drift_checked = status.last_drift_check_time.as_ref().map(|time| time.0);
    let failures = status.consecutive_failures.unwrap_or_default();
    let failures = u32::try_from(failures).unwrap_or_default();
    let last = match (ended, status.observed_generation) {
        (Some(ended), Some(generation)) => {
            let next = match &status.next_sync_time {
                // What it waited for, it may have missed.
                _ if condition(ConditionType::Stalled) => now,
                Some(next) => next.0,
                // What the last process was doing, it didn't finish.
                None if condition(ConditionType::Reconciling) => now,
                None => after_restart(schedule, ended, uid, heartbeat, now),
            };
            Some(Attempt {
                started: status.last_attempt_time.as_ref().map_or(ended, |at| at.0),
                ended,
                generation,
                fingerprint: None,
                request: status.last_handled_sync_request.clone(),
                approval: None,
                held: status
                    .held_removals
                    .as_ref()
                    .map(|held| held.digest.clone()),
                next,
            })
        }
        _ => None,
    };
    History {
        last,
        failures,
        drift_checked,
    }
}

fn after_restart(
    schedule: &Schedule,
    ended: Timestamp,
    uid: &str,
    heartbeat: Duration,
    now: Timestamp,
) -> Timestamp {
    let next = schedule.next_after(ended, uid);
    let may_have_run = next.saturating_add(heartbeat).is_ok_and(|late| now < late);
    match schedule {
        _ if next > now => next,
        Schedule::Every(interval) if may_have_run => {
            now + interval.min(&heartbeat).mul_f64(share_of(uid))
        }
        Schedule::At(_) if may_have_run => schedule.next_after(now, uid),
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn quarter_hourly() -> Schedule {
        Schedule::parse(Some("15m"), None, None).unwrap()
    }

    fn noon() -> Timestamp {
        "2026-05-04T12:00:00Z".parse().unwrap()
    }

    fn desired(schedule: &Schedule) -> Desired<'_> {
        Desired {
            generation: 3,
            fingerprint: [1; 32],
            request: Some("monday"),
            approval: None,
            signaled: None,
            schedule,
            drift_check: HOUR * 24,
        }
    }

    fn history(next: Timestamp) -> History {
        History {
            last: Some(Attempt {
                started: noon() - MINUTE * 6,
                ended: noon() - MINUTE * 5,
                generation: 3,
                fingerprint: Some([1; 32]),
                request: Some("monday".into()),
                approval: None,
                held: Some("digest".into()),
                next,
            }),
            failures: 0,
            drift_checked: Some(noon() - HOUR),
        }
    }

    #[test]
    fn nothing_runs_before_its_time() {
        let schedule = quarter_hourly();
        let later = noon() + MINUTE;
        assert_eq!(
            decide(&desired(&schedule), &history(later), noon()),
            Decision::At(later)
        );
        assert_eq!(
            decide(&desired(&schedule), &history(noon()), noon()),
            Decision::Now(RunTrigger::Scheduled)
        );
    }

    #[test]
    fn a_signal_makes_a_run_come_early_unless_the_last_one_failed() {
        let schedule = quarter_hourly();
        let later = noon() + MINUTE;
        let decided = |signaled, failures| {
            let desired = Desired {
                signaled: Some(signaled),
                ..desired(&schedule)
            };
            let history = History {
                failures,
                ..history(later)
            };
            decide(&desired, &history, noon())
        };
        assert_eq!(decided(noon(), 0), Decision::Now(RunTrigger::Signaled));
        let soon = noon() + Duration::from_secs(2);
        assert_eq!(decided(soon, 0), Decision::At(soon));
        assert_eq!(decided(later + MINUTE, 0), Decision::At(later));
        assert_eq!(decided(noon(), 1), Decision::At(later));
    }

    #[test]
    fn every_change_that_counts_runs_at_once() {
        let schedule = quarter_hourly();
        let desired = || desired(&schedule);
        let changes = [
            (
                Desired {
                    generation: 4,
                    ..desired()
                },
                RunTrigger::SpecChanged,
            ),
            (
                Desired {
                    fingerprint: [2; 32],
                    ..desired()
                },
                RunTrigger::ReferenceChanged,
            ),
            (
                Desired {
                    request: Some("tuesday"),
                    ..desired()
                },
                RunTrigger::Requested,
            ),
            (
                Desired {
                    approval: Some("digest"),
                    ..desired()
                },
                RunTrigger::Approved,
            ),
        ];
        for (changed, trigger) in changes {
            assert_eq!(
                decide(&changed, &history(noon() + HOUR), noon()),
                Decision::Now(trigger)
            );
        }
    }

    #[test]
    fn a_request_that_was_answered_an_approval_of_other_removals_and_a_withdrawn_request_do_not() {
        let schedule = quarter_hourly();
        let desired = || desired(&schedule);
        for same in [
            desired(),
            Desired {
                request: None,
                ..desired()
            },
            Desired {
                approval: Some("of last year"),
                ..desired()
            },
        ] {
            assert_eq!(
                decide(&same, &history(noon() + HOUR), noon()),
                Decision::At(noon() + HOUR)
            );
        }
        let mut tried = history(noon() + HOUR);
        tried.last.as_mut().unwrap().approval = Some("digest".into());
        let approved = Desired {
            approval: Some("digest"),
            ..desired()
        };
        assert_eq!(
            decide(&approved, &tried, noon()),
            Decision::At(noon() + HOUR)
        );
    }

    #[test]
    fn what_was_refused_is_asked_for_as_scheduled_but_never_within_half_an_hour() {
        let least = MINUTE * 30;
        let after = |interval: Option<&str>, cron| {
            let schedule = Schedule::parse(interval, cron, None).unwrap();
            after_refusal(&schedule, noon(), "uid", least)
        };
        assert_eq!(after(Some("15m"), None), noon() + least);
        let hours = after(Some("6h"), None).duration_since(noon());
        assert!((5..=7).contains(&hours.as_hours()), "{hours}");
        assert_eq!(after(None, Some("10 * * * *")), noon() + MINUTE * 70);
        assert_eq!(after(None, Some("40 * * * *")), noon() + MINUTE * 40);
    }

    #[test]
    fn memberships_are_compared_on_request_after_a_change_of_the_spec_and_once_a_day() {
        let schedule = quarter_hourly();
        let checks = |trigger, history: &History| {
            needs_full_resync(trigger, &desired(&schedule), history, noon())
        };
        let mut history = history(noon() + HOUR);
        assert!(!checks(RunTrigger::Scheduled, &history));
        assert!(!checks(RunTrigger::ReferenceChanged, &history));
        assert!(checks(RunTrigger::Requested, &history));
        assert!(checks(RunTrigger::SpecChanged, &history));
        history.drift_checked = Some(noon() - HOUR * 24);
        assert!(checks(RunTrigger::Scheduled, &history));
    }

    fn status(last_sync: Timestamp) -> DirectorySyncStatus {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
        DirectorySyncStatus {
            observed_generation: Some(3),
            last_attempt_time: Some(Time(last_sync)),
            last_sync_time: Some(Time(last_sync)),
            last_handled_sync_request: Some("monday".into()),
            last_drift_check_time: Some(Time(last_sync)),
            ..Default::default()
        }
    }

    fn due_after_restart(schedule: &Schedule, ago: Duration, uid: &str) -> Decision {
        let history = history_from_status(&status(noon() - ago), schedule, uid, HOUR, noon());
        decide(&desired(schedule), &history, noon())
    }

    #[test]
    fn a_restart_runs_nothing_early() {
        let schedule = quarter_hourly();
        let expected = schedule.next_after(noon() - MINUTE * 5, "uid");
        assert_eq!(
            due_after_restart(&schedule, MINUTE * 5, "uid"),
            Decision::At(expected)
        );
    }

    #[test]
    fn a_restart_spreads_what_may_have_run_unrecorded_over_one_interval() {
        let schedule = quarter_hourly();
        let waits: Vec<_> = (0..50)
            .map(
                |n| match due_after_restart(&schedule, MINUTE * 40, &format!("uid-{n}")) {
                    Decision::At(at) => (at - noon()).get_seconds(),
                    other => panic!("{other:?}"),
                },
            )
            .collect();
        assert!(
            waits.iter().all(|wait| (0..=900).contains(wait)),
            "{waits:?}"
        );
        assert!(
            waits.iter().any(|w| *w < 300) && waits.iter().any(|w| *w > 600),
            "{waits:?}"
        );
    }

    #[test]
    fn a_restart_makes_up_at_once_for_what_was_certainly_missed() {
        let schedule = quarter_hourly();
        assert_eq!(
            due_after_restart(&schedule, HOUR * 3, "uid"),
            Decision::Now(RunTrigger::Scheduled)
        );
        let nightly = Schedule::parse(None, Some("0 2 * * *"), None).unwrap();
        assert_eq!(
            due_after_restart(&nightly, HOUR * 20, "uid"),
            Decision::Now(RunTrigger::Scheduled)
        );
    }

    #[test]
    fn a_restart_keeps_to_the_recorded_time_and_does_not_repeat_an_answered_request() {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
        let schedule = quarter_hourly();
        let mut status = status(noon() - MINUTE * 40);
        status.next_sync_time = Some(Time(noon() + MINUTE * 7));
        status.consecutive_failures = Some(4);
        let history = history_from_status(&status, &schedule, "uid", HOUR, noon());
        assert_eq!(history.failures, 4);
        assert_eq!(
            decide(&desired(&schedule), &history, noon()),
            Decision::At(noon() + MINUTE * 7)
        );
    }

    #[test]
    fn a_restart_goes_on_with_what_was_interrupted_or_stalled() {
        use crate::api::conditions::SyncOutcome;
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
        let schedule = quarter_hourly();
        let mut status = status(noon() - MINUTE);
        let syncing = SyncOutcome::Syncing {
            message: "reading".into(),
        };
        let stalled = SyncOutcome::Stalled {
            reason: crate::api::conditions::Blocker::SourceRefused,
            message: "wrong password".into(),
        };
        for (outcome, next) in [(syncing, None), (stalled, Some(Time(noon() + HOUR)))] {
            status.conditions = outcome.conditions(&[], 3, noon());
            status.next_sync_time = next;
            let history = history_from_status(&status, &schedule, "uid", HOUR, noon());
            assert_eq!(
                decide(&desired(&schedule), &history, noon()),
                Decision::Now(RunTrigger::Scheduled)
            );
        }
    }
}
