//! How long to wait after failures.

use std::time::Duration;

use crate::schedule::share_of;

/// However long the other side asks to be left alone, it is asked again after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Bounds of the wait between two tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub min: Duration,
    /// However many there were.
    pub max: Duration,
}

impl Backoff {
    /// The wait after this many failures in a row (at least one): doubled with each, a fifth more
    /// or less, never shorter than the other side asked for.
    pub fn after(self, failures: u32, uid: &str, retry_after: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let wait = self.min.saturating_mul(1 << doublings).min(self.max);
        let spread = 0.8 + 0.4 * share_of(&format!("{uid} {failures}"));
        wait.mul_f64(spread)
            .max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BACKOFF: Backoff = Backoff {
        min: Duration::from_secs(5),
        max: Duration::from_secs(600),
    };

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_differs_between_objects() {
        for (failures, expected) in [(1, 5), (2, 10), (4, 40), (8, 600), (1_000, 600)] {
            let wait = BACKOFF.after(failures, "uid", None);
            let expected = SECOND * expected;
            assert!(
                wait >= expected.mul_f64(0.8) && wait <= expected.mul_f64(1.2),
                "{failures}: {wait:?}"
            );
        }
        assert_ne!(
            BACKOFF.after(3, "one", None),
            BACKOFF.after(3, "other", None)
        );
    }

    #[test]
    fn the_other_sides_wish_is_honoured_within_reason() {
        assert_eq!(BACKOFF.after(1, "uid", Some(SECOND * 90)), SECOND * 90);
        assert_eq!(
            BACKOFF.after(1, "uid", Some(Duration::MAX)),
            LONGEST_RETRY_AFTER
        );
    }
}
