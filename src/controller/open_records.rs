//! Which records without an end this operator has written itself.
//!
//! Whoever may write ConfigMaps in a namespace can put records into a history there. A later process
//! looks for what came of records without an end, and tells it, so it has to know which of them are the
//! operator's own. Their digests are kept beside the history as a [`Seal`], and the seal's digest in status,
//! which only the operator writes. Two seals are kept, the latest and the one that status named when that was
//! written: a process can end between the two writes.

use std::cmp::Reverse;
use std::collections::HashMap;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::history::line;
use crate::sync::history::{Outcome, Record, RunId};

/// So many records are sealed, the latest ones: more of them aren't read back either.
const MAX: usize = 6_000;
/// Bytes of a digest.
const SIZE: usize = 16;

type RecordDigest = [u8; SIZE];

/// The digests of records without an end, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seal(Vec<u8>);

impl Seal {
    /// One as it was kept, by anybody.
    pub fn kept(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    fn new(mut digests: Vec<RecordDigest>) -> Self {
        digests.sort_unstable();
        Self(digests.concat())
    }

    /// As it is kept.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What status names it by; `None` where it has no record.
    pub fn digest(&self) -> Option<String> {
        let digest = Sha256::digest(&self.0);
        (!self.0.is_empty()).then(|| HEXLOWER.encode(&digest[..SIZE]))
    }

    /// Whether this very record is sealed, whatever has come of it since.
    pub fn covers(&self, record: &Record) -> bool {
        let (digests, _) = self.0.as_chunks::<SIZE>();
        digests.binary_search(&digest(record)).is_ok()
    }
}

/// Of a record, but for what came of it.
fn digest(record: &Record) -> RecordDigest {
    let begun = Record {
        result: Outcome::Pending,
        nth: None,
        answer: None,
        ..record.clone()
    };
    let whole = Sha256::digest(line(&begun).as_bytes());
    std::array::from_fn(|at| whole[at])
}

/// The records without an end that this operator has written, and the seals of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenRecords {
    digests: HashMap<(RunId, u32), (Timestamp, RecordDigest)>,
    latest: Seal,
    named: Seal,
}

impl OpenRecords {
    /// Goes on from these, which `seal` covers.
    pub fn restored(records: &[Record], seal: Seal) -> Self {
        let mut restored = Self::default();
        restored.note(records);
        restored.named = seal.clone();
        restored.latest = seal;
        restored
    }

    /// Once these records are written, too. `named` is the digest in status.
    pub fn with(&self, records: &[Record], named: Option<&str>) -> Self {
        let mut next = self.clone();
        if next.latest.digest().as_deref() == named {
            next.named = next.latest.clone();
        }
        next.note(records);
        let mut digests: Vec<_> = next.digests.iter().collect();
        if digests.len() > MAX {
            digests.sort_unstable_by_key(|((_, number), (time, _))| (Reverse(*time), *number));
            digests.truncate(MAX);
        }
        next.latest = Seal::new(digests.iter().map(|(_, (_, digest))| *digest).collect());
        next
    }

    fn note(&mut self, records: &[Record]) {
        for record in records {
            let id = (record.run.clone(), record.number);
            if record.result.is_open() {
                self.digests.insert(id, (record.time, digest(record)));
            } else {
                self.digests.remove(&id);
            }
        }
    }

    /// The seal of all of them.
    pub fn latest(&self) -> &Seal {
        &self.latest
    }

    /// The seal that status named when the latest one was made.
    pub fn named(&self) -> &Seal {
        &self.named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32, email: &str, result: &str) -> Record {
        serde_json::from_value(serde_json::json!({
            "time": "2026-11-29T12:00:00Z", "run": "3f1c9a0b62", "number": number,
            "trigger": "Scheduled", "action": "Revoke", "reason": "GoneFromDirectory",
            "person": {"email": email}, "result": result,
        }))
        .unwrap()
    }

    #[test]
    fn a_seal_covers_what_was_written_whatever_has_come_of_it_and_nothing_else() {
        let [ann, bob] = ["ann", "bob"].map(|name| record(0, name, "Pending"));
        let open = OpenRecords::default().with(std::slice::from_ref(&ann), None);
        let seal = Seal::kept(open.latest().bytes().to_vec());
        assert_eq!(seal.digest(), open.latest().digest());
        assert!(seal.covers(&ann) && seal.covers(&record(0, "ann", "Unknown")));
        for other in [&bob, &record(1, "ann", "Pending")] {
            assert!(!seal.covers(other), "{other:?}");
        }
        assert_eq!(Seal::default().digest(), None);
        assert!(!Seal::default().covers(&ann));
        assert!(!Seal::kept(vec![7; 3]).covers(&ann), "of any length");
    }

    #[test]
    fn what_has_an_end_is_sealed_no_more_and_the_seal_that_status_names_stays() {
        let begun = [record(0, "ann", "Pending"), record(1, "bob", "Pending")];
        let first = OpenRecords::default().with(&begun, None);
        let named = first.latest().digest();
        // Status names it by now.
        let ended = [record(0, "ann", "Done"), record(1, "bob", "Unknown")];
        let second = first.with(&ended, named.as_deref());
        assert!(!second.latest().covers(&begun[0]) && second.latest().covers(&begun[1]));
        assert_eq!(second.named(), first.latest());
        // Status still names the first.
        let third = second.with(&[record(1, "bob", "Done")], named.as_deref());
        assert_eq!(third.latest().digest(), None);
        assert_eq!(third.named(), first.latest());

        let restored = OpenRecords::restored(&begun[1..], second.latest().clone());
        let next = restored.with(&[], second.latest().digest().as_deref());
        assert_eq!(next.latest(), second.latest());
    }

    #[test]
    fn the_latest_records_are_sealed_where_there_are_too_many() {
        let old = record(7, "old", "Pending");
        let new = |number| Record {
            time: "2026-11-30T12:00:00Z".parse().unwrap(),
            run: RunId::at(Timestamp::UNIX_EPOCH),
            ..record(number, "new", "Pending")
        };
        let many: Vec<Record> = (0..u32::try_from(MAX).unwrap()).map(new).collect();
        let open = OpenRecords::default().with(std::slice::from_ref(&old), None);
        let open = open.with(&many, None);
        assert_eq!(open.latest().bytes().len(), MAX * SIZE);
        assert!(open.latest().covers(&many[0]) && !open.latest().covers(&old));
    }
}
