//! Numbers of people by the hour, where who they are isn't kept.

use super::{Invited, Uncounted};

/// More than the hours for which anything is kept, so that only a clock that jumps back and forth
/// reaches it. Then the latest of these also stands for the ones before.
pub(super) const HOURS_MAX: usize = 400;

/// A number with the time of the last of those it counts.
pub(super) trait Hourly {
    fn at(&self) -> i64;
    /// Whether both may be one number.
    fn is_alike(&self, other: &Self) -> bool;
    /// Counts those of `other`, too.
    fn take(&mut self, other: &Self);
}

impl Hourly for Uncounted {
    fn at(&self) -> i64 {
        self.at
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    fn take(&mut self, other: &Self) {
        self.at = self.at.max(other.at);
        self.ahead = self.ahead.max(other.ahead);
        self.losses = self.losses.saturating_add(other.losses);
    }
}

/// Whom a stopped run may have invited stays by itself.
impl Hourly for Invited {
    fn at(&self) -> i64 {
        self.at
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.done && other.done && self.asked == other.asked
    }

    fn take(&mut self, other: &Self) {
        self.at = self.at.max(other.at);
        self.ahead = self.ahead.max(other.ahead);
        self.people = self.people.saturating_add(other.people);
    }
}

/// Leaves one number an hour of those that are alike and follow each other, and no more than
/// [`HOURS_MAX`] in all.
pub(super) fn merge<T: Hourly>(all: &mut Vec<T>) {
    merge_to(all, HOURS_MAX);
}

/// The same with another number in all.
pub(super) fn merge_to<T: Hourly>(all: &mut Vec<T>, most: usize) {
    all.dedup_by(|next, kept| {
        let same = kept.is_alike(next) && next.at() / 3600 == kept.at() / 3600;
        if same {
            kept.take(next);
        }
        same
    });
    while all.len() > most
        && let Some(at) = all.windows(2).position(|two| two[0].is_alike(&two[1]))
    {
        let earlier = all.remove(at);
        all[at].take(&earlier);
    }
}

/// The same of people who came in, in any order.
pub(super) fn merge_invited(invited: &mut Vec<Invited>) {
    invited.sort_by_key(|one| (one.asked, one.at));
    merge(invited);
}

/// The same of losses in any order.
pub(super) fn merge_losses(losses: &mut Vec<Uncounted>) {
    losses.sort_by_key(|one| (one.kind, one.at));
    merge(losses);
}
