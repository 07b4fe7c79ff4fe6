//! Validates the interval or cron schedule of a spec.

use std::time::Duration;

use crate::api::spec::DirectorySyncSpec;
use crate::checks::Checks;
use crate::schedule::{DEFAULT_INTERVAL, InvalidSchedule, Schedule};

const INTERVAL_MIN: Duration = Duration::from_secs(60);

pub(super) fn validate(checks: &mut Checks, spec: &DirectorySyncSpec) -> Option<Schedule> {
    if spec.interval.is_some() && spec.schedule.is_some() {
        checks.refuse("spec", "write either interval or schedule, not both");
    }
    if spec.time_zone.is_some() && spec.schedule.is_none() {
        checks.refuse(
            "spec.timeZone",
            "has no meaning without schedule: add schedule, or leave timeZone out",
        );
    }
    let interval = checks.duration(
        "spec.interval",
        spec.interval.as_deref(),
        INTERVAL_MIN,
        DEFAULT_INTERVAL,
    );
    let Some(cron) = &spec.schedule else {
        return Some(Schedule::Every(interval));
    };
    Schedule::parse(None, Some(cron), spec.time_zone.as_deref())
        .map_err(|error| {
            let field = match error {
                InvalidSchedule::TimeZone(_) => "spec.timeZone",
                _ => "spec.schedule",
            };
            checks.refuse(field, error.to_string());
        })
        .ok()
}
