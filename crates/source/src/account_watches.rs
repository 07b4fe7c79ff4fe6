//! How many watches of this process ask one account: together they have to fit into its limits, however many
//! resources read it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// One watch among those of an account. Dropping it leaves them.
#[derive(Debug)]
pub(crate) struct AccountWatch(Arc<()>);

impl AccountWatch {
    /// Joins those that watch the account of `vendor` at `address`.
    pub fn join(vendor: &'static str, address: String) -> Self {
        type Known = HashMap<(&'static str, String), Weak<()>>;
        static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, watches| watches.strong_count() > 0);
        let key = (vendor, address);
        let watches = known.get(&key).and_then(Weak::upgrade).unwrap_or_default();
        known.insert(key, Arc::downgrade(&watches));
        Self(watches)
    }

    /// By how much each has to wait longer than if it were alone, where one sends `each` requests and all of them
    /// together may send `most` in the same time.
    pub fn slower_by(&self, each: u32, most: u32) -> u32 {
        let watches = u32::try_from(Arc::strong_count(&self.0)).unwrap_or(u32::MAX);
        let all = watches.saturating_mul(each);
        all.div_ceil(most.max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_of_one_account_share_what_they_may_send() {
        let join = |address: &str| AccountWatch::join("a vendor", address.to_owned());
        let alone = join("another");
        let mut watches: Vec<_> = (0..6).map(|_| join("one")).collect();
        assert_eq!(watches[0].slower_by(80, 500), 1, "480 of 500");
        watches.push(join("one"));
        assert_eq!(watches[0].slower_by(80, 500), 2);
        watches.extend((0..24).map(|_| join("one")));
        assert_eq!(watches[0].slower_by(80, 500), 5, "31 of them: 496 of 500");
        assert_eq!(alone.slower_by(80, 500), 1);
        assert_eq!(alone.slower_by(80, 10), 8, "a small share of the limit");
        watches.truncate(6);
        assert_eq!(watches[0].slower_by(80, 500), 1, "the others have left");
    }
}
