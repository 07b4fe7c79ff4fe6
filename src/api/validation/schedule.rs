//! When to run.

use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::Timestamp;

use super::check::Checks;
use crate::api::spec::DirectorySyncSpec;
use crate::text::shorten;

const INTERVAL: Duration = Duration::from_secs(15 * 60);
const INTERVAL_MIN: Duration = Duration::from_secs(60);

/// When to run.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// This long after the end of the last run.
    Interval(Duration),
    /// At the times that a cron expression names, in its time zone.
    Cron(Box<Crontab>),
}

impl Schedule {
    /// The first time to run after `now`, without jitter.
    pub fn next_after(&self, now: Timestamp) -> Timestamp {
        match self {
            // An interval can't pass the end of time: specs are bounded to some eleven years.
            Self::Interval(interval) => now.checked_add(*interval).unwrap_or(Timestamp::MAX),
            Self::Cron(crontab) => crontab
                .find_next(MakeTimestamp(now))
                .map_or(Timestamp::MAX, |next| next.timestamp()),
        }
    }
}

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
    let Some(schedule) = &spec.schedule else {
        let interval = spec.interval.as_deref();
        return Some(Schedule::Interval(checks.duration(
            "spec.interval",
            interval,
            INTERVAL_MIN,
            INTERVAL,
        )));
    };
    let zone = spec.time_zone.as_deref().unwrap_or("UTC");
    if zone.contains(char::is_whitespace) || jiff::tz::TimeZone::get(zone).is_err() {
        checks.refuse(
            "spec.timeZone",
            format!(
                "{:?} is no time zone; write its IANA name: Europe/Berlin",
                shorten(zone)
            ),
        );
        return None;
    }
    let why = match cronexpr::parse_crontab(&format!("{schedule} {zone}")) {
        // A day that never comes (30 February) is found out by looking for it.
        Ok(crontab) => match crontab.find_next(MakeTimestamp(Timestamp::UNIX_EPOCH)) {
            Ok(_) => return Some(Schedule::Cron(Box::new(crontab))),
            Err(_) => "names a time that never comes".to_owned(),
        },
        // The library's message draws the expression on several lines, the cause last.
        Err(error) => {
            let error = error.to_string();
            let cause = error.lines().last().unwrap_or_default();
            format!(
                "isn't a cron expression ({})",
                shorten(cause.trim_matches([' ', '^', '-']))
            )
        }
    };
    checks.refuse(
        "spec.schedule",
        format!(
            "{:?} {why}; write five fields (minute, hour, day of month, month, day of week): */30 8-18 * * 1-5",
            shorten(schedule)
        ),
    );
    None
}
