//! When the next run is due.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Between runs where the spec names neither interval nor schedule.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// An interval is stretched or shortened by at most this share.
const JITTER: f64 = 0.1;

/// How often an object runs.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// This long after the end of a run, give or take a tenth.
    Every(Duration),
    /// At these times of day.
    At(Box<Calendar>),
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// Matches the clock as it runs.
    clock: Crontab,
    /// Matches the clock face, as though no hour were ever left out.
    face: Crontab,
    zone: TimeZone,
}

/// Why a schedule can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchedule {
    /// The text isn't a duration such as `15m`.
    #[error(
        "interval {0:?} isn't a duration: write hours, minutes and seconds, such as 15m or 1h30m"
    )]
    Interval(String),
    /// The text isn't a cron expression of five fields.
    #[error(
        "schedule {text:?} isn't a cron expression: {why}; write five fields, such as */30 8-18 * * 1-5"
    )]
    Cron {
        /// The expression as the spec has it.
        text: String,
        /// What the parser says.
        why: String,
    },
    /// No such time zone.
    #[error("there is no time zone {0:?}: write its IANA name, such as Europe/Berlin")]
    TimeZone(String),
    /// An expression without a date.
    #[error("schedule {0:?} never comes true: no month has such a day")]
    Never(String),
}

impl Schedule {
    /// Reads what the spec says; with neither, [`DEFAULT_INTERVAL`].
    ///
    /// # Errors
    /// When a text isn't what it should be, with what to write instead.
    pub fn parse(
        interval: Option<&str>,
        cron: Option<&str>,
        time_zone: Option<&str>,
    ) -> Result<Self, InvalidSchedule> {
        match (interval, cron) {
            (_, Some(cron)) => Calendar::parse(cron, time_zone.unwrap_or("UTC"))
                .map(|calendar| Self::At(Box::new(calendar))),
            (Some(interval), None) => interval
                .parse::<SignedDuration>()
                .ok()
                .and_then(|duration| Duration::try_from(duration).ok())
                .map(Self::Every)
                .ok_or_else(|| InvalidSchedule::Interval(interval.into())),
            (None, None) => Ok(Self::Every(DEFAULT_INTERVAL)),
        }
    }

    /// The first time after `last`. The same `uid` is always early or late by the same share of
    /// its interval, so that objects made at once drift apart and a restart moves nothing.
    pub fn next_after(&self, last: Timestamp, uid: &str) -> Timestamp {
        match self {
            Self::Every(interval) => last + jittered(*interval, uid),
            Self::At(calendar) => calendar.next_after(last).unwrap_or(Timestamp::MAX),
        }
    }

    /// When the first run after `last` is due at the latest, whatever object it is of.
    pub fn latest_after(&self, last: Timestamp) -> Timestamp {
        let next = match self {
            Self::Every(interval) => last.checked_add(interval.mul_f64(1.0 + JITTER)).ok(),
            Self::At(calendar) => calendar.next_after(last),
        };
        next.unwrap_or(Timestamp::MAX)
    }
}

impl Calendar {
    fn parse(cron: &str, zone: &str) -> Result<Self, InvalidSchedule> {
        let parse = |zone: &str| {
            cronexpr::parse_crontab(&format!("{cron} {zone}")).map_err(|error| {
                InvalidSchedule::Cron {
                    text: cron.into(),
                    why: crate::text::sanitize(&error.to_string()),
                }
            })
        };
        // Its own message first: the parser's points into a line that the user didn't write.
        let calendar = Self {
            zone: TimeZone::get(zone).map_err(|_| InvalidSchedule::TimeZone(zone.into()))?,
            face: parse("UTC")?,
            clock: parse(zone)?,
        };
        match calendar.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(calendar),
            None => Err(InvalidSchedule::Never(cron.into())),
        }
    }

    /// The earlier of two readings, so that the hour that spring leaves out moves a run back
    /// instead of swallowing it, and the hour that autumn repeats is kept like any other.
    fn next_after(&self, last: Timestamp) -> Option<Timestamp> {
        let by_clock = self.clock.find_next(MakeTimestamp(last)).ok()?.timestamp();
        let by_face = self.next_face_after(last).filter(|next| *next > last);
        Some(by_face.map_or(by_clock, |by_face| by_face.min(by_clock)))
    }

    fn next_face_after(&self, last: Timestamp) -> Option<Timestamp> {
        let face = self.zone.to_datetime(last);
        let as_utc = TimeZone::UTC.to_timestamp(face).ok()?;
        let next = self.face.find_next(MakeTimestamp(as_utc)).ok()?.datetime();
        self.zone.to_ambiguous_timestamp(next).compatible().ok()
    }
}

/// `interval` ±10%, always the same for the same `uid`.
fn jittered(interval: Duration, uid: &str) -> Duration {
    interval.mul_f64(1.0 + JITTER * (2.0 * share_of(uid) - 1.0))
}

/// A number from 0 to 1 that looks random and is always the same for the same `uid`.
pub fn share_of(uid: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    hasher.finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cron(expression: &str, zone: &str) -> Schedule {
        Schedule::parse(None, Some(expression), Some(zone)).unwrap()
    }

    fn runs(schedule: &Schedule, after: &str, count: usize) -> Vec<Timestamp> {
        let mut last = at(after);
        std::iter::repeat_with(|| {
            last = schedule.next_after(last, "uid");
            last
        })
        .take(count)
        .collect()
    }

    #[test]
    fn an_interval_varies_by_a_tenth_from_object_to_object_and_never_for_one() {
        let schedule = Schedule::parse(Some("1h30m"), None, None).unwrap();
        let last = at("2026-03-01T12:00:00Z");
        let waits: Vec<_> = (0..200)
            .map(|n| {
                let uid = format!("uid-{n}");
                assert_eq!(
                    schedule.next_after(last, &uid),
                    schedule.next_after(last, &uid)
                );
                (schedule.next_after(last, &uid) - last).get_seconds()
            })
            .collect();
        assert!(
            waits.iter().all(|wait| (4_860..=5_940).contains(wait)),
            "{waits:?}"
        );
        assert!(waits.iter().any(|wait| *wait < 5_000) && waits.iter().any(|wait| *wait > 5_800));
    }

    #[test]
    fn without_a_word_on_it_runs_are_a_quarter_of_an_hour_apart() {
        let schedule = Schedule::parse(None, None, None).unwrap();
        assert!(matches!(schedule, Schedule::Every(DEFAULT_INTERVAL)));
    }

    #[test]
    fn a_cron_expression_follows_the_clock_of_its_time_zone() {
        let office = cron("*/30 8-9 * * 1-5", "Europe/Berlin");
        // A Friday in winter, UTC+1.
        assert_eq!(
            runs(&office, "2026-01-09T08:20:00Z", 2),
            [at("2026-01-09T08:30:00Z"), at("2026-01-12T07:00:00Z")]
        );
    }

    #[test]
    fn the_hour_that_spring_leaves_out_delays_a_run_instead_of_dropping_it() {
        let nightly = cron("30 2 * * *", "Europe/Berlin");
        assert_eq!(
            runs(&nightly, "2026-03-28T12:00:00Z", 2),
            // 03:30 summer time, then 02:30 as usual.
            [at("2026-03-29T01:30:00Z"), at("2026-03-30T00:30:00Z")]
        );
    }

    #[test]
    fn the_hour_that_autumn_repeats_has_no_hole() {
        let half_hourly = cron("*/30 * * * *", "Europe/Berlin");
        let night = runs(&half_hourly, "2026-10-24T23:00:00Z", 8);
        for (before, after) in night.iter().zip(&night[1..]) {
            assert_eq!((*after - *before).get_seconds(), 1_800);
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_what_to_write() {
        let refusal = |interval, cron, zone| {
            Schedule::parse(interval, cron, zone)
                .unwrap_err()
                .to_string()
        };
        assert!(refusal(Some("soon"), None, None).contains("15m"));
        assert!(refusal(None, Some("61 * * * *"), None).contains("*/30 8-18"));
        assert!(refusal(None, Some("0 0 30 2 *"), None).contains("never comes true"));
        assert!(refusal(None, Some("0 0 * * *"), Some("Europe/Bärlin")).contains("IANA"));
    }
}
