//! Which record of removals beside a resource is the operator's own.
//!
//! Whoever may write ConfigMaps in a namespace can put a record there. So a later process believes none but
//! those whose digests are in status, which only the operator writes. The digest of the next record is written
//! there before the record itself, beside the digest of the one that is there: a process that ends between the
//! two writes leaves one of two records, both its own. Once the record is written, the digest of the one before is
//! taken out, before the first change is made: nobody can put that one back.
//!
//! With them stands how much of the limits was used, in numbers. They count where the record isn't believed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::DirectorySyncStatus;
use crate::api::status::LimitsUsed;
use crate::sync::ledger::{Ledger, Used};

/// The digests of the records that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordSeal {
    /// Of the record that is there; `None` where there was none yet.
    present: Option<String>,
    /// Of the record that is about to be written over it, or may have been.
    next: Option<String>,
    /// What is there isn't one of these.
    is_broken: bool,
    /// How much of the limits was used by then.
    used: Vec<Used>,
}

impl RecordSeal {
    /// What an earlier process left.
    pub fn of(status: &DirectorySyncStatus) -> Self {
        Self {
            present: status.ledger_digest.clone(),
            next: status.next_ledger_digest.clone(),
            is_broken: false,
            used: status.limits_used.iter().map(used).collect(),
        }
    }

    /// Writes it into status.
    pub fn put(&self, status: &mut DirectorySyncStatus) {
        status.ledger_digest.clone_from(&self.present);
        status.next_ledger_digest.clone_from(&self.next);
        status.limits_used = self.used.iter().map(in_status).collect();
    }

    fn digests(&self) -> impl Iterator<Item = &str> {
        [&self.present, &self.next]
            .into_iter()
            .filter_map(Option::as_deref)
    }

    /// Whether this is a record of the operator's.
    pub fn covers(&self, kept: &[u8]) -> bool {
        let digest = Ledger::digest_of(kept);
        self.digests().any(|one| one == digest)
    }

    /// The record as it was found: a careful one unless it is one of these. It counts what was used by what status
    /// says.
    pub fn open(&mut self, kept: Option<&[u8]>, now: Timestamp) -> Ledger {
        let mut ledger = match (kept, &self.present) {
            // The first one was about to be written.
            (None, None) => Ledger::begin(now),
            _ => Ledger::load(kept, self.digests(), now),
        };
        match kept {
            Some(kept) if self.covers(kept) => {
                (self.present, self.next) = (Some(Ledger::digest_of(kept)), None);
            }
            Some(_) => self.is_broken = true,
            None => self.is_broken = self.present.is_some(),
        }
        if self.is_broken {
            self.count_used(&mut ledger);
        }
        ledger
    }

    /// Has a record that isn't believed count what was used by what status says.
    pub fn count_used(&self, ledger: &mut Ledger) {
        ledger.count_used(&self.used);
    }

    /// Whether the record that was found isn't the operator's, or none was found.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether this record is the one that is there.
    pub fn is_of(&self, digest: &str) -> bool {
        !self.is_broken && self.next.is_none() && self.present.as_deref() == Some(digest)
    }

    /// This record is about to be written over the one that is `there`. To be written to status before.
    pub fn announce(&mut self, ledger: &Ledger, there: Option<&[u8]>) {
        let digest = ledger.digest();
        self.used = ledger.used();
        match there {
            Some(there) if self.covers(there) => {
                let there = Ledger::digest_of(there);
                self.next = (there != digest).then_some(digest);
                self.present = Some(there);
                self.is_broken = false;
            }
            None if self.present.is_none() && !self.is_broken => self.next = Some(digest),
            // What is there is nothing to go by.
            _ => {
                (self.present, self.next) = (Some(digest), None);
                self.is_broken = true;
            }
        }
    }

    /// It was written.
    pub fn written(&mut self) {
        self.present = self.next.take().or(self.present.take());
        self.is_broken = false;
    }

    /// It may not have been, and changes are made all the same: the one before doesn't know of them.
    pub fn unwritten(&mut self) {
        self.present = self.next.take().or(self.present.take());
        self.is_broken = true;
    }
}

fn used(one: &LimitsUsed) -> Used {
    let number = |count: Option<i64>| {
        let count = count.unwrap_or_default().max(0);
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    Used {
        at: one.time.0.as_second(),
        disabled: number(one.disabled),
        absent: number(one.absent),
        invited: number(one.invited),
        approved: number(one.approved),
        gained: number(one.gained_rights),
        access: number(one.gained_access),
        manage: number(one.gained_manage),
    }
}

fn in_status(used: &Used) -> LimitsUsed {
    let number = |count: u32| (count > 0).then_some(i64::from(count));
    LimitsUsed {
        // No clock is that wrong.
        time: Time(Timestamp::from_second(used.at).unwrap_or(Timestamp::MAX)),
        disabled: number(used.disabled),
        absent: number(used.absent),
        invited: number(used.invited),
        approved: number(used.approved),
        gained_rights: number(used.gained),
        gained_access: number(used.access),
        gained_manage: number(used.manage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_764_504_000, 0);

    fn ledger(number: i64) -> Ledger {
        let time = Timestamp::from_second(1_764_000_000 + number).unwrap();
        Ledger::begin(time)
    }

    fn record(number: i64) -> Vec<u8> {
        ledger(number).to_bytes()
    }

    /// What the next process finds.
    fn found(seal: &RecordSeal, kept: Option<&[u8]>) -> (RecordSeal, Ledger) {
        let mut status = DirectorySyncStatus::default();
        seal.put(&mut status);
        let mut seal = RecordSeal::of(&status);
        let ledger = seal.open(kept, NOON);
        assert_eq!(seal.is_broken(), ledger.is_careful());
        (seal, ledger)
    }

    fn believed(seal: &RecordSeal, kept: Option<&[u8]>) -> bool {
        !found(seal, kept).1.is_careful()
    }

    fn announce(seal: &mut RecordSeal, record: &[u8], there: Option<&[u8]>) {
        seal.announce(&Ledger::load_unchecked(record, NOON), there);
    }

    /// A seal of this record, which is there.
    fn of(record: &[u8]) -> RecordSeal {
        let mut seal = RecordSeal::default();
        announce(&mut seal, record, None);
        seal.written();
        seal
    }

    #[test]
    fn between_the_two_writes_either_record_is_believed_and_no_other() {
        let [first, second, other] = [1, 2, 3].map(record);
        let mut seal = of(&first);
        assert!(believed(&seal, Some(&first)) && seal.is_of(&Ledger::digest_of(&first)));
        for kept in [None, Some(&second[..]), Some(b"damaged")] {
            assert!(!believed(&seal, kept), "{kept:?}");
        }
        announce(&mut seal, &second, Some(&first));
        assert!(believed(&seal, Some(&first)) && believed(&seal, Some(&second)));
        assert!(!believed(&seal, Some(&other)) && !believed(&seal, None));
        seal.written();
        assert!(believed(&seal, Some(&second)));
        assert!(!believed(&seal, Some(&first)), "nobody puts it back");
    }

    #[test]
    fn before_the_first_record_none_is_needed_and_none_is_believed() {
        let [first, other] = [1, 2].map(record);
        let mut seal = RecordSeal::default();
        assert!(believed(&seal, None) && !believed(&seal, Some(&other)));
        announce(&mut seal, &first, None);
        assert!(believed(&seal, None) && believed(&seal, Some(&first)));
        assert!(!believed(&seal, Some(&other)));
        seal.written();
        assert!(believed(&seal, Some(&first)) && !believed(&seal, None));
    }

    #[test]
    fn over_a_record_that_is_not_ours_only_the_next_one_is_believed() {
        let [first, forged, second] = [1, 2, 3].map(record);
        let (mut seal, _) = found(&of(&first), Some(&forged));
        announce(&mut seal, &second, Some(&forged));
        for kept in [None, Some(&first), Some(&forged)] {
            assert!(!believed(&seal, kept.map(|kept| &kept[..])), "{kept:?}");
        }
        assert!(believed(&seal, Some(&second)));
        seal.written();
        assert!(seal.is_of(&Ledger::digest_of(&second)));
    }

    #[test]
    fn where_changes_are_made_without_it_the_one_before_is_not_believed() {
        let [first, second] = [1, 2].map(record);
        let mut seal = of(&first);
        announce(&mut seal, &second, Some(&first));
        seal.unwritten();
        assert!(!believed(&seal, Some(&first)) && !believed(&seal, None));
        assert!(believed(&seal, Some(&second)), "it was written after all");
        assert!(!seal.is_of(&Ledger::digest_of(&second)));
    }

    #[test]
    fn status_keeps_each_number_of_what_was_used() {
        let all = Used {
            at: NOON.as_second(),
            disabled: 1,
            absent: 2,
            invited: 3,
            approved: 4,
            gained: 5,
            access: 6,
            manage: 7,
        };
        assert_eq!(used(&in_status(&all)), all);
    }

    #[test]
    fn a_write_whose_answer_was_not_heard_leaves_either() {
        let [first, second, third] = [1, 2, 3].map(record);
        let mut seal = of(&first);
        announce(&mut seal, &second, Some(&first));
        // The answer didn't come; what is there was read again.
        for there in [&first, &second] {
            let mut seal = seal.clone();
            announce(&mut seal, &third, Some(there));
            assert!(believed(&seal, Some(there)) && believed(&seal, Some(&third)));
        }
    }
}
