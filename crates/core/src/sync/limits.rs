//! The arithmetic of the limits: how much may be taken away, or given, within [`WINDOW`] without a
//! person's approval. `docs/safety.md` shows it in one table.

use jiff::SignedDuration;

/// What counts together: a limit is for a rolling day, not for a run.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// A group with fewer managed members than this has no limit of its own: half of three people is no
/// measure. What its members lose counts against the organization's limits.
pub const SMALLEST_LIMITED_GROUP: usize = 10;

/// So many people may always be invited, however small the organization.
pub const SMALLEST_GROWTH: usize = 5;

/// How much may happen within [`WINDOW`] without a person's approval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// This many, and never more than half of those it is about.
    Count(usize),
    /// This share of those it is about, in percent (0 to 100), rounded down. 100 holds nothing back.
    Percent(f64),
}

impl Limit {
    /// How many of `total` may lose something.
    ///
    /// A share that comes to less than one is one where one is less than half: with 10%, one of
    /// three members may go, and neither of two.
    pub fn losses(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count.min(total / 2),
            Self::Percent(percent) => match share(percent, total) {
                0 if percent > 0.0 && total >= 3 => 1,
                share => share,
            },
        }
    }

    /// How many of `total` may lose something because their account is disabled: as
    /// [`Limit::losses`], and always one. Somebody who was dismissed loses access also where they
    /// were half of the organization.
    pub fn disabled(self, total: usize) -> usize {
        let least = match self {
            Self::Count(0) => 0,
            Self::Percent(percent) if percent <= 0.0 => 0,
            _ => 1,
        };
        self.losses(total).max(least)
    }

    /// How many of a group's `total` managed members may leave it; `None`: the group is too small to
    /// have a limit of its own.
    pub fn of_group(self, total: usize) -> Option<usize> {
        (total >= SMALLEST_LIMITED_GROUP).then(|| self.losses(total))
    }

    /// How many people may be invited into an organization with `total` managed members.
    pub fn growth(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) if percent <= 0.0 => 0,
            Self::Percent(percent) => share(percent, total).max(SMALLEST_GROWTH),
        }
    }

    /// Whether it holds nothing back.
    pub fn is_off(self) -> bool {
        matches!(self, Self::Percent(percent) if percent >= 100.0)
    }
}

/// Rounded down, in whole numbers: a percentage has at most three decimals, and a floating-point
/// product could be just below a whole number.
fn share(percent: f64, total: usize) -> usize {
    let thousandths = (percent * 1000.0).round() as u128;
    usize::try_from(thousandths * total as u128 / 100_000).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table in docs/safety.md.
    #[test]
    fn shares_are_rounded_down_exactly() {
        assert_eq!(Limit::Percent(33.3).losses(1_000), 333);
        assert_eq!(Limit::Percent(1.0).losses(100), 1);
        assert_eq!(Limit::Percent(0.001).losses(100_000), 1);
        assert_eq!(Limit::Percent(10.0).losses(19), 1);
        assert_eq!(Limit::Percent(100.0).losses(7), 7);
    }

    #[test]
    fn one_of_three_may_go_and_neither_of_two() {
        let limit = Limit::Percent(10.0);
        assert_eq!([0, 1, 2, 3].map(|n| limit.losses(n)), [0, 0, 0, 1]);
        assert_eq!([0, 1, 2, 3].map(|n| limit.disabled(n)), [1, 1, 1, 1]);
        assert_eq!(Limit::Percent(0.0).disabled(1_000), 0);
        assert_eq!(Limit::Count(0).disabled(1_000), 0);
    }

    proptest! {
        #[test]
        fn no_share_up_to_half_and_no_number_lets_a_majority_go(
            total in 0usize..200_000,
            percent in 0.0f64..=50.0,
            count in any::<usize>(),
        ) {
            for limit in [Limit::Percent(percent), Limit::Count(count)] {
                prop_assert!(limit.losses(total) * 2 <= total, "{:?} of {}", limit, total);
            }
        }

        #[test]
        fn a_wider_limit_and_a_larger_organization_never_let_fewer_go(
            total in 0usize..10_000,
            percent in 0.0f64..=100.0,
            more in 0.0f64..=100.0,
        ) {
            let (narrow, wide) = (Limit::Percent(percent), Limit::Percent((percent + more).min(100.0)));
            prop_assert!(narrow.losses(total) <= wide.losses(total));
            prop_assert!(narrow.losses(total) <= narrow.losses(total + 1));
            prop_assert!(narrow.growth(total) <= wide.growth(total));
            prop_assert!(narrow.losses(total) <= total);
        }
    }
}
