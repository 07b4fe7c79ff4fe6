//! Whether an object runs now, and if not, when. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::DirectorySyncStatus;
use crate::api::conditions::{ConditionType, find};
use crate::schedule::{Schedule, share_of};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The generation of the spec.
    pub generation: i64,
    /// What the Secrets and ConfigMaps hold.
    pub fingerprint: Fingerprint,
    /// The token of the last request to sync now.
    pub request: Option<&'a str>,
    /// The removals that may go ahead.
    pub approval: Option<&'a str>,
    /// How often to run.
    pub schedule: &'a Schedule,
    /// Between two comparisons of all memberships.
    pub drift_check: Duration,
}

/// Stands for all that an object's Secrets and ConfigMaps hold.
pub type Fingerprint = [u8; 32];

/// What was done so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// The last try: `None` before the first of this process and of those before it.
    pub last: Option<Attempt>,
    /// How many tries failed since the last that didn't.
    pub failures: u32,
    /// When all memberships were last compared.
    pub drift_checked: Option<Timestamp>,
}

/// One try.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// When it ended.
    pub ended: Timestamp,
    /// Of which generation.
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

/// Whether to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now(Why),
    /// Then.
    At(Timestamp),
}

/// Why a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The first of all.
    First,
    /// The spec is another.
    SpecChanged,
    /// A Secret or ConfigMap holds something else.
    ReferenceChanged,
    /// Somebody asked.
    Requested,
    /// Held removals were approved.
    Approved,
    /// It is time.
    Scheduled,
}

/// Whether to run `now`.
pub fn due(wanted: &Wanted<'_>, past: &Past, now: Timestamp) -> Due {
    let Some(last) = &past.last else {
        return Due::Now(Why::First);
    };
    if last.generation != wanted.generation {
        return Due::Now(Why::SpecChanged);
    }
    if last
        .fingerprint
        .is_some_and(|known| known != wanted.fingerprint)
    {
        return Due::Now(Why::ReferenceChanged);
    }
    if wanted.request.is_some() && wanted.request != last.request.as_deref() {
        return Due::Now(Why::Requested);
    }
    if wanted.approval.is_some()
        && wanted.approval == last.held.as_deref()
        && wanted.approval != last.approval.as_deref()
    {
        return Due::Now(Why::Approved);
    }
    if last.next <= now {
        Due::Now(Why::Scheduled)
    } else {
        Due::At(last.next)
    }
}

/// When to try again what only a person can mend: as scheduled, but not within `least`. The other
/// side counts wrong passwords and tells nobody when it is mended.
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
pub fn checks_everything(why: Why, wanted: &Wanted<'_>, past: &Past, now: Timestamp) -> bool {
    let overdue = past.drift_checked.is_none_or(|checked| {
        Timestamp::saturating_add(checked, wanted.drift_check).is_ok_and(|due| due <= now)
    });
    overdue || matches!(why, Why::SpecChanged | Why::Requested)
}

/// What an object's status tells of runs that other processes made.
///
/// Status may lag behind by up to `heartbeat`, for a run that changes nothing writes none. So a run
/// that seems to be overdue by less may have taken place: it is made up for, but not by all objects
/// at once.
pub fn past_of_status(
    status: &DirectorySyncStatus,
    schedule: &Schedule,
    uid: &str,
    heartbeat: Duration,
    now: Timestamp,
) -> Past {
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
    Past {
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

    fn wanted(schedule: &Schedule) -> Wanted<'_> {
        Wanted {
            generation: 3,
            fingerprint: [1; 32],
            request: Some("monday"),
            approval: None,
            schedule,
            drift_check: HOUR * 24,
        }
    }

    fn past(next: Timestamp) -> Past {
        Past {
            last: Some(Attempt {
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
            due(&wanted(&schedule), &past(later), noon()),
            Due::At(later)
        );
        assert_eq!(
            due(&wanted(&schedule), &past(noon()), noon()),
            Due::Now(Why::Scheduled)
        );
    }

    #[test]
    fn every_change_that_counts_runs_at_once() {
        let schedule = quarter_hourly();
        let wanted = || wanted(&schedule);
        let changes = [
            (
                Wanted {
                    generation: 4,
                    ..wanted()
                },
                Why::SpecChanged,
            ),
            (
                Wanted {
                    fingerprint: [2; 32],
                    ..wanted()
                },
                Why::ReferenceChanged,
            ),
            (
                Wanted {
                    request: Some("tuesday"),
                    ..wanted()
                },
                Why::Requested,
            ),
            (
                Wanted {
                    approval: Some("digest"),
                    ..wanted()
                },
                Why::Approved,
            ),
        ];
        for (changed, why) in changes {
            assert_eq!(due(&changed, &past(noon() + HOUR), noon()), Due::Now(why));
        }
    }

    #[test]
    fn a_request_that_was_answered_an_approval_of_other_removals_and_a_withdrawn_request_do_not() {
        let schedule = quarter_hourly();
        let wanted = || wanted(&schedule);
        for same in [
            wanted(),
            Wanted {
                request: None,
                ..wanted()
            },
            Wanted {
                approval: Some("of last year"),
                ..wanted()
            },
        ] {
            assert_eq!(
                due(&same, &past(noon() + HOUR), noon()),
                Due::At(noon() + HOUR)
            );
        }
        let mut tried = past(noon() + HOUR);
        tried.last.as_mut().unwrap().approval = Some("digest".into());
        let approved = Wanted {
            approval: Some("digest"),
            ..wanted()
        };
        assert_eq!(due(&approved, &tried, noon()), Due::At(noon() + HOUR));
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
        let checks = |why, past: &Past| checks_everything(why, &wanted(&schedule), past, noon());
        let mut past = past(noon() + HOUR);
        assert!(!checks(Why::Scheduled, &past));
        assert!(!checks(Why::ReferenceChanged, &past));
        assert!(checks(Why::Requested, &past));
        assert!(checks(Why::SpecChanged, &past));
        past.drift_checked = Some(noon() - HOUR * 24);
        assert!(checks(Why::Scheduled, &past));
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

    fn due_after_restart(schedule: &Schedule, ago: Duration, uid: &str) -> Due {
        let past = past_of_status(&status(noon() - ago), schedule, uid, HOUR, noon());
        due(&wanted(schedule), &past, noon())
    }

    #[test]
    fn a_restart_runs_nothing_early() {
        let schedule = quarter_hourly();
        let expected = schedule.next_after(noon() - MINUTE * 5, "uid");
        assert_eq!(
            due_after_restart(&schedule, MINUTE * 5, "uid"),
            Due::At(expected)
        );
    }

    #[test]
    fn a_restart_spreads_what_may_have_run_unrecorded_over_one_interval() {
        let schedule = quarter_hourly();
        let waits: Vec<_> = (0..50)
            .map(
                |n| match due_after_restart(&schedule, MINUTE * 40, &format!("uid-{n}")) {
                    Due::At(at) => (at - noon()).get_seconds(),
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
            Due::Now(Why::Scheduled)
        );
        let nightly = Schedule::parse(None, Some("0 2 * * *"), None).unwrap();
        assert_eq!(
            due_after_restart(&nightly, HOUR * 20, "uid"),
            Due::Now(Why::Scheduled)
        );
    }

    #[test]
    fn a_restart_keeps_to_the_recorded_time_and_does_not_repeat_an_answered_request() {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
        let schedule = quarter_hourly();
        let mut status = status(noon() - MINUTE * 40);
        status.next_sync_time = Some(Time(noon() + MINUTE * 7));
        status.consecutive_failures = Some(4);
        let past = past_of_status(&status, &schedule, "uid", HOUR, noon());
        assert_eq!(past.failures, 4);
        assert_eq!(
            due(&wanted(&schedule), &past, noon()),
            Due::At(noon() + MINUTE * 7)
        );
    }

    #[test]
    fn a_restart_goes_on_with_what_was_interrupted_or_stalled() {
        use crate::api::conditions::Outcome;
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
        let schedule = quarter_hourly();
        let mut status = status(noon() - MINUTE);
        let syncing = Outcome::Syncing {
            message: "reading".into(),
        };
        let stalled = Outcome::Stalled {
            reason: crate::api::conditions::Blocker::SourceRefused,
            message: "wrong password".into(),
        };
        for (outcome, next) in [(syncing, None), (stalled, Some(Time(noon() + HOUR)))] {
            status.conditions = outcome.conditions(&[], 3, noon());
            status.next_sync_time = next;
            let past = past_of_status(&status, &schedule, "uid", HOUR, noon());
            assert_eq!(
                due(&wanted(&schedule), &past, noon()),
                Due::Now(Why::Scheduled)
            );
        }
    }
}
