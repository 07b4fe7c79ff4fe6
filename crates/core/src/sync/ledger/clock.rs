//! How far the clock is believed where something is decided by how long ago it was.
//!
//! Nobody can tell a clock that jumped from time that went by. Where more than [`GAP`] lies between two
//! runs, and more than the schedule explains, what is due by the clock of the earlier one is due, and the rest
//! a day later.

use serde::{Deserialize, Serialize};

use crate::sync::limits::WINDOW;

/// Between two runs, in seconds: longer than a weekend.
const GAP: i64 = 3 * 24 * 3600;

/// The clocks of runs, in seconds. Zeros before the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clock {
    /// Of the latest run, or of one less than a day before: an unchanged ledger isn't written.
    last: i64,
    /// Of the last run before the clock jumped; zero where it didn't.
    before: i64,
    /// Of the first run after that.
    jumped: i64,
}

impl Clock {
    /// Notes the clock of a run that begins. By the schedule the first run after a time begins at `due` of it, at
    /// the latest.
    pub(super) fn tick(&mut self, now: i64, due: impl FnOnce(i64) -> i64) {
        let day = WINDOW.as_secs();
        // The latest run was up to a day after `last`, and one may begin late.
        let explained = || due(self.last.saturating_add(day)).saturating_add(day);
        if self.last == 0 {
            self.last = now;
        } else if now < self.last {
            // It was ahead then, or is behind now.
            *self = Self {
                last: now,
                ..Self::default()
            };
        } else if now.saturating_sub(self.last) > GAP && now > explained() {
            let settled = self.before == 0 || now.saturating_sub(self.jumped) >= day;
            let before = if settled { self.last } else { self.before };
            (self.before, self.jumped, self.last) = (before, now, now);
        } else {
            if self.before != 0 && now.saturating_sub(self.jumped) >= day {
                (self.before, self.jumped) = (0, 0);
            }
            if now.saturating_sub(self.last) >= day {
                self.last = now;
            }
        }
    }

    /// The time that it may be, at least.
    pub(super) fn believed(&self, now: i64) -> i64 {
        match self.before {
            0 => now,
            before => before.min(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;
    const NOON: i64 = 1_800_000_000;

    /// Runs at these times that nothing says of when the next one is due.
    fn after(clocks: &[i64]) -> Clock {
        every(0, clocks)
    }

    fn every(interval: i64, clocks: &[i64]) -> Clock {
        let mut clock = Clock::default();
        for now in clocks {
            clock.tick(NOON + now, |last| last + interval);
        }
        clock
    }

    #[test]
    fn runs_that_follow_each_other_are_believed() {
        let clock = after(&[0, DAY / 2, DAY, 3 * DAY, 6 * DAY]);
        assert_eq!(clock.believed(NOON + 6 * DAY), NOON + 6 * DAY);
    }

    #[test]
    fn a_clock_that_jumps_is_believed_after_a_day() {
        let year = 365 * DAY;
        for jumped in [&[0, year][..], &[0, year, year + DAY - 1]] {
            assert_eq!(after(jumped).believed(NOON + year), NOON, "{jumped:?}");
        }
        let clock = after(&[0, year, year + DAY]);
        assert_eq!(clock.believed(NOON + year + DAY), NOON + year + DAY);
        // One that is set right again is believed at once, and is no jump.
        let clock = after(&[0, year, 60]);
        assert_eq!(clock.believed(NOON + 60), NOON + 60);
    }

    #[test]
    fn of_runs_once_a_week_each_believes_the_one_before() {
        let clock = after(&[0, 7 * DAY, 14 * DAY]);
        assert_eq!(clock.believed(NOON + 14 * DAY), NOON + 7 * DAY);
    }

    #[test]
    fn runs_that_the_schedule_has_once_a_week_are_believed_and_a_clock_that_jumps_further_is_not() {
        let clock = every(7 * DAY, &[0, 7 * DAY, 14 * DAY]);
        assert_eq!(clock.believed(NOON + 14 * DAY), NOON + 14 * DAY);
        let late = every(7 * DAY, &[0, 9 * DAY]);
        assert_eq!(late.believed(NOON + 9 * DAY), NOON + 9 * DAY);
        let jumped = every(7 * DAY, &[0, 7 * DAY, 40 * DAY]);
        assert_eq!(jumped.believed(NOON + 40 * DAY), NOON + 7 * DAY);
        // Every half hour until Friday evening, and on Monday morning again.
        let weekend = |last: i64| match last - NOON {
            friday if friday < 2 * DAY => last + 1_800,
            _ => NOON + 4 * DAY,
        };
        let mut clock = Clock::default();
        for now in [0, DAY + 1, 4 * DAY + 10] {
            clock.tick(NOON + now, weekend);
        }
        assert_eq!(clock.believed(NOON + 4 * DAY + 10), NOON + 4 * DAY + 10);
    }

    #[test]
    fn a_clock_that_runs_is_written_once_a_day() {
        let clock = after(&[0]);
        assert_eq!(after(&[0, 300, 600, DAY - 1]), clock);
    }
}
