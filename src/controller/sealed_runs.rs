//! Which runs of a history this operator has written itself, line by line.
//!
//! Whoever may write ConfigMaps in a namespace can put records into a history there, change them and take
//! them out. So a list of digests is kept beside the history, one for each of its runs, and the list's own
//! digest in status, which only the operator writes. The digest of the next list is written there before the
//! list itself, as that of the record of removals is ([`RecordSeal`](super::record_seal::RecordSeal)): a process
//! can end between the two writes.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::api::DirectorySyncStatus;
use crate::sync::history::{Record, RunId};

/// So many runs are sealed, and kept: two lists of them take 256 KiB beside the lines.
pub const RUNS_MAX: usize = 8_192;
/// Bytes of a digest.
const SIZE: usize = 16;

type RunDigest = [u8; SIZE];

/// The lists that are believed, by their digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedRuns {
    /// Of the list that is there.
    present: Option<String>,
    /// Of the one that is about to be written over it, or may have been.
    next: Option<String>,
}

impl NamedRuns {
    /// What an earlier process left.
    pub fn of(status: &DirectorySyncStatus) -> Self {
        Self {
            present: status.history_digest.clone(),
            next: status.next_history_digest.clone(),
        }
    }

    /// The list that was found.
    pub fn found(digest: Option<String>) -> Self {
        Self {
            present: digest,
            next: None,
        }
    }

    /// Writes it into status.
    pub fn put(&self, status: &mut DirectorySyncStatus) {
        status.history_digest.clone_from(&self.present);
        status.next_history_digest.clone_from(&self.next);
    }

    /// Whether a list is one of these.
    pub fn has(&self, digest: &str) -> bool {
        let named = [&self.present, &self.next].into_iter().flatten();
        named.into_iter().any(|one| one == digest)
    }

    /// A list is about to be written over the one that is `there`. To be written to status before.
    pub fn announce(&mut self, next: Option<&str>, there: Option<&str>) {
        if let Some(there) = there {
            self.present = Some(there.to_owned());
        }
        let next = next.filter(|next| self.present.as_deref() != Some(next));
        self.next = next.map(str::to_owned);
    }
}

/// The digests of runs, the newest run first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSeal(Vec<u8>);

impl RunSeal {
    /// One as it was kept, by anybody.
    pub fn kept(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As it is kept.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What status names it by; `None` where it has no run.
    pub fn digest(&self) -> Option<String> {
        let digest = Sha256::digest(&self.0);
        (!self.0.is_empty()).then(|| HEXLOWER.encode(&digest[..SIZE]))
    }

    fn digests(&self) -> &[RunDigest] {
        self.0.as_chunks::<SIZE>().0
    }
}

/// The run that a line is about.
#[derive(Deserialize)]
struct OfRun {
    run: RunId,
}

/// The run that a line is about, where it is a record.
pub fn run_of(line: &str) -> Option<RunId> {
    let of: OfRun = serde_json::from_str(line).ok()?;
    Some(of.run)
}

/// The runs of a history with the digest of their lines, in the order of their first lines.
fn runs_of(text: &str) -> Vec<(RunId, RunDigest)> {
    let mut places: HashMap<RunId, usize> = HashMap::new();
    let mut runs: Vec<(RunId, Sha256)> = vec![];
    for line in text.lines() {
        let Some(run) = run_of(line) else { continue };
        let place = *places.entry(run.clone()).or_insert_with(|| {
            runs.push((run, Sha256::new()));
            runs.len() - 1
        });
        let hash = &mut runs[place].1;
        hash.update(line);
        hash.update("\n");
    }
    let runs = runs.into_iter().map(|(run, hash)| {
        let whole = hash.finalize();
        (run, std::array::from_fn(|at| whole[at]))
    });
    runs.collect()
}

/// The lines of the first [`RUNS_MAX`] runs.
pub fn newest_runs(text: &str) -> &str {
    let mut runs: HashSet<RunId> = HashSet::new();
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if let Some(run) = run_of(line) {
            runs.insert(run);
        }
        if runs.len() > RUNS_MAX {
            break;
        }
        end += line.len();
    }
    &text[..end]
}

/// Why a run of a history isn't believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSealed {
    /// Somebody else wrote it, or changed it.
    #[error(
        "the records of run {0} aren't the operator's, or were changed since it wrote them, so it can't be \
         undone: somebody who may write there may have made them up. The operator's log (target audit) has \
         what it really did"
    )]
    Run(RunId),
    /// Records of later runs are missing.
    #[error(
        "records of runs after {0} were changed or taken out of the history, so nobody can tell what is still \
         as that run left it, and it can't be undone. The operator's log (target audit) has what it really did"
    )]
    Later(RunId),
}

/// What of a history the operator has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Where the seal has each run.
    sealed: HashMap<RunId, usize>,
    /// The others, in the order of their first lines.
    unsealed: Vec<RunId>,
    /// Where the seal has runs that aren't there, or not as they were written.
    lost: Vec<usize>,
}

impl Checked {
    /// Compares a history with its seal.
    pub fn new(text: &str, seal: &RunSeal) -> Self {
        let digests = seal.digests();
        let places = digests.iter().enumerate();
        let places: HashMap<&RunDigest, usize> = places.map(|(at, one)| (one, at)).collect();
        let mut checked = Self::default();
        let mut found = HashSet::new();
        for (run, digest) in runs_of(text) {
            match places.get(&digest) {
                Some(at) => {
                    found.insert(*at);
                    checked.sealed.insert(run, *at);
                }
                None => checked.unsealed.push(run),
            }
        }
        checked.lost = (0..digests.len())
            .filter(|at| !found.contains(at))
            .collect();
        checked
    }

    /// Whether the operator has written every record of this run that is there, and no other is.
    pub fn is_sealed(&self, run: &RunId) -> bool {
        self.sealed.contains_key(run)
    }

    /// The runs that the operator hasn't written so, the newest first.
    pub fn unsealed(&self) -> &[RunId] {
        &self.unsealed
    }

    /// How many runs are missing that the operator has written, or were changed.
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// What to say where something isn't as the operator wrote it.
    pub fn note(&self) -> Option<String> {
        let (others, lost) = (self.unsealed.len(), self.lost.len());
        (others + lost > 0).then(|| {
            format!(
                "of the history {others} runs aren't the operator's or were changed, and {lost} that it wrote \
                 are missing or changed; somebody who may write there did that"
            )
        })
    }

    /// Whether a run can be undone by its records, and by those of later ones.
    ///
    /// # Errors
    /// Why not.
    pub fn ensure(&self, run: &RunId) -> Result<(), NotSealed> {
        let Some(at) = self.sealed.get(run) else {
            return Err(NotSealed::Run(run.clone()));
        };
        match self.lost.iter().any(|lost| lost < at) {
            true => Err(NotSealed::Later(run.clone())),
            false => Ok(()),
        }
    }

    /// The seal of a history once `records` were put into it. `before` is what was there, and `text` what is
    /// there now.
    pub fn reseal(&self, seal: &RunSeal, records: &[Record], text: &str) -> RunSeal {
        let ours: HashSet<&RunId> = records.iter().map(|record| &record.run).collect();
        let unsealed: HashSet<&RunId> = self.unsealed.iter().collect();
        let (digests, mut lost) = (seal.digests(), self.lost.iter().copied().peekable());
        let mut next: Vec<RunDigest> = vec![];
        for (run, digest) in runs_of(text) {
            let before = self.sealed.get(&run);
            if before.is_none() && (unsealed.contains(&run) || !ours.contains(&run)) {
                continue;
            }
            // That something is missing is remembered as long as there is something older.
            while let Some(at) = lost.next_if(|at| before.is_some_and(|before| at < before)) {
                next.push(digests[at]);
            }
            next.push(digest);
        }
        next.truncate(RUNS_MAX);
        RunSeal(next.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{line, merge};

    fn record(run: &str, number: u32, email: &str, result: &str) -> Record {
        serde_json::from_value(serde_json::json!({
            "time": "2026-11-29T12:00:00Z", "run": run, "number": number,
            "trigger": "Scheduled", "action": "Revoke", "reason": "GoneFromDirectory",
            "person": {"email": email}, "result": result,
        }))
        .unwrap()
    }

    fn run(id: &str) -> RunId {
        record(id, 0, "", "Done").run
    }

    /// As the operator writes these one after another.
    fn written(text: &str, seal: &RunSeal, records: &[Record]) -> (String, RunSeal) {
        let checked = Checked::new(text, seal);
        let next = merge(text, records);
        let seal = checked.reseal(seal, records, &next);
        (next, seal)
    }

    fn three() -> (String, RunSeal) {
        let first = written("", &RunSeal::default(), &[record("a", 0, "ann", "Done")]);
        let second = written(&first.0, &first.1, &[record("b", 0, "bob", "Done")]);
        written(&second.0, &second.1, &[record("c", 0, "cid", "Done")])
    }

    #[test]
    fn what_the_operator_wrote_is_sealed_and_what_somebody_adds_or_changes_is_not() {
        let (text, seal) = three();
        let checked = Checked::new(&text, &seal);
        assert!(
            ["a", "b", "c"]
                .iter()
                .all(|id| checked.ensure(&run(id)).is_ok())
        );
        assert_eq!((checked.unsealed().len(), checked.lost()), (0, 0));

        let forged = line(&record("d", 0, "ceo", "Done")) + "\n" + &text;
        let checked = Checked::new(&forged, &seal);
        assert_eq!(checked.ensure(&run("d")), Err(NotSealed::Run(run("d"))));
        assert_eq!(checked.unsealed(), [run("d")]);
        assert_eq!(
            checked.ensure(&run("c")),
            Ok(()),
            "nothing of it was changed"
        );

        let added = text.clone() + &line(&record("b", 1, "ceo", "Done")) + "\n";
        let checked = Checked::new(&added, &seal);
        assert_eq!(checked.ensure(&run("b")), Err(NotSealed::Run(run("b"))));
        assert_eq!(checked.ensure(&run("c")), Ok(()), "it is newer");
        assert_eq!(checked.ensure(&run("a")), Err(NotSealed::Later(run("a"))));

        let none = Checked::new(&text, &RunSeal::default());
        assert_eq!(none.unsealed(), [run("c"), run("b"), run("a")]);
        assert!(
            Checked::new("", &RunSeal::kept(vec![7; 3]))
                .unsealed()
                .is_empty()
        );
    }

    #[test]
    fn what_somebody_put_there_is_never_sealed_by_what_the_operator_writes_afterwards() {
        let (text, seal) = three();
        let forged = line(&record("d", 0, "ceo", "Done")) + "\n" + &text;
        // Also with records of the very run: they may be of a run that is being made.
        for id in ["d", "e"] {
            let more = [record(id, 1, "eve", "Done")];
            let (text, seal) = written(&forged, &seal, &more);
            let checked = Checked::new(&text, &seal);
            assert!(!checked.is_sealed(&run("d")), "{id}");
            assert_eq!(checked.is_sealed(&run("e")), id == "e");
            assert_eq!(checked.ensure(&run("a")), Ok(()));
        }
        // Nor is what was taken out forgotten.
        let without: String = text
            .lines()
            .skip(1)
            .map(|one| one.to_owned() + "\n")
            .collect();
        let (text, seal) = written(&without, &seal, &[record("d", 0, "dan", "Done")]);
        let checked = Checked::new(&text, &seal);
        assert_eq!(checked.lost(), 1);
        assert_eq!(checked.ensure(&run("d")), Ok(()));
        assert_eq!(checked.ensure(&run("b")), Err(NotSealed::Later(run("b"))));
    }

    #[test]
    fn a_run_stays_sealed_as_its_records_come_to_an_end_and_old_ones_go() {
        let (text, seal) = three();
        let begun = [
            record("d", 0, "dan", "Pending"),
            record("d", 1, "eve", "Pending"),
        ];
        let (text, seal) = written(&text, &seal, &begun);
        let ended = [
            record("d", 0, "dan", "Done"),
            record("d", 1, "eve", "NotMade"),
        ];
        let (text, seal) = written(&text, &seal, &ended);
        let checked = Checked::new(&text, &seal);
        assert_eq!(checked.ensure(&run("d")), Ok(()));
        assert_eq!(checked.ensure(&run("a")), Ok(()));

        // There is no room for the oldest.
        let kept = text.lines().take(3).map(|one| one.to_owned() + "\n");
        let kept: String = kept.collect();
        let seal = checked.reseal(&seal, &[], &kept);
        let checked = Checked::new(&kept, &seal);
        assert_eq!((checked.unsealed().len(), checked.lost()), (0, 0));
        assert_eq!(checked.ensure(&run("b")), Ok(()));
    }

    #[test]
    fn so_many_runs_are_kept_as_can_be_sealed() {
        let runs = 0..u32::try_from(RUNS_MAX).unwrap() + 5;
        let records: Vec<Record> = runs
            .map(|number| record(&format!("{number:x}"), 0, "ann", "Done"))
            .collect();
        let text = merge("", &records);
        let kept = newest_runs(&text);
        assert_eq!(kept.lines().count(), RUNS_MAX);
        let seal = Checked::default().reseal(&RunSeal::default(), &records, kept);
        assert_eq!(seal.bytes().len(), RUNS_MAX * SIZE);
        assert!(Checked::new(kept, &seal).unsealed().is_empty());
    }
}
