//! The records of what runs did, in a ConfigMap or Secret `<name>-history` beside the plan's.
//!
//! It isn't kept in memory: a run that has something to add reads it, adds, and writes it. Beside it are the
//! seals of the runs that the operator has written ([`RunSeal`]), and of its records without an end
//! ([`OpenRecords`]).

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, ResourceExt};

use super::companion::{self, Companion, Content, is_of_this};
use super::open_records::{OpenRecords, Seal};
use super::sealed_runs::{Checked, NamedRuns, RunSeal, newest_runs, run_of};
use super::timeout::ApiServerError;
use crate::api::DirectorySync;
use crate::api::spec::PlanStorage;
use crate::history::{self as lines, PACKED_MAX, merge, pack, unpack};
use crate::sync::explain::Explanation;
use crate::sync::history::{Record, RunId};

/// The key of the lines, compressed.
pub const KEY: &str = "history.jsonl.gz";
/// The key of the seal of the records without an end.
const SEAL: &str = "open";
/// The key of the seal that status named when that one was written.
const NAMED_SEAL: &str = "open.before";
/// The keys of the seals of runs: the latest, and the one before. A process that takes over knows that one, if
/// this one wrote once more after its successor looked at status.
pub const RUN_SEALS: [&str; 2] = ["runs", "runs.before"];

/// How often a write is tried where somebody else writes at the same time.
pub const TRIES: usize = 3;

/// Why the history couldn't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The ConfigMap or Secret of that name is somebody else's.
    #[error(
        "{} {name:?} belongs to somebody else and was left alone; delete or rename it to see the \
         history there",
        .storage.kind()
    )]
    Foreign {
        /// Its kind.
        storage: PlanStorage,
        /// Its name.
        name: String,
    },
    /// Status couldn't be written, and a run that it doesn't name isn't believed later.
    #[error("status, which has to name the history, couldn't be written")]
    Unsealed,
    /// Others write at the same time.
    #[error("the history is being written by another process at the same time")]
    Contested,
    /// The API server refused, or couldn't be reached.
    #[error("the history's {}: {cause}{}", .storage.kind(), advice(*.storage, .cause))]
    ApiServer {
        /// The kind of object.
        storage: PlanStorage,
        /// The answer.
        cause: ApiServerError,
    },
}

fn advice(storage: PlanStorage, cause: &ApiServerError) -> &'static str {
    match storage {
        PlanStorage::Secret if cause.is_refused() => {
            "; whoever runs the operator can allow it (chart: rbac.planSecrets), or set \
             spec.planStorage to ConfigMap"
        }
        _ => "",
    }
}

impl HistoryError {
    /// Whether it stays so until somebody changes something.
    pub fn needs_action(&self) -> bool {
        match self {
            Self::Foreign { .. } => true,
            Self::Unsealed | Self::Contested => false,
            Self::ApiServer { cause, .. } => cause.is_refused(),
        }
    }
}

/// The name of the ConfigMap or Secret beside the object of this name: `<name>-history`.
pub fn name(name: &str) -> String {
    companion::name(name, "history", 253)
}

/// A history as it was found.
struct Found {
    version: Option<String>,
    kept: Kept,
}

/// What is kept in one kind of object, by anybody who may write it.
#[derive(Debug, Default)]
pub struct Kept {
    /// The lines.
    pub text: String,
    /// The seals of the records without an end.
    seals: Vec<Seal>,
    /// The seals of runs.
    run_seals: Vec<RunSeal>,
}

impl Kept {
    /// Which of its runs the operator has written; `named` identifies their seal.
    pub async fn checked(self, named: &NamedRuns) -> (Self, Checked) {
        let seal = seal_of(&self.run_seals, named);
        run_blocking(move || {
            let checked = Checked::new(&self.text, &seal);
            (self, checked)
        })
        .await
    }
}

/// The records of the runs that the operator has written, and whether none of those is missing. `named`
/// identifies their seal.
pub async fn sealed_records(kept: Kept, named: &NamedRuns) -> (Vec<Record>, bool) {
    let (kept, checked) = kept.checked(named).await;
    run_blocking(move || {
        let records = lines::records(&kept.text);
        let sealed = records.filter(|one| checked.is_sealed(&one.run)).collect();
        (sealed, checked.lost() == 0)
    })
    .await
}

/// The first of these seals that status names; without any run where there is none.
pub fn seal_of(seals: &[RunSeal], named: &NamedRuns) -> RunSeal {
    let mut seals = seals.iter();
    let found = seals.find(|seal| seal.digest().is_some_and(|digest| named.has(&digest)));
    found.cloned().unwrap_or_default()
}

/// What is kept in an object of this kind; empty where there is none.
///
/// # Errors
/// As [`HistoryError`].
pub async fn read(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
) -> Result<Kept, HistoryError> {
    Ok(find(client, object, storage).await?.kept)
}

/// Records without an end that were found in a history.
#[derive(Debug, Default)]
pub struct FoundOpen {
    /// Those that the operator has written.
    pub records: Vec<Record>,
    /// The same, with their seal.
    pub open: OpenRecords,
    /// How many others there are.
    pub others: usize,
    /// How many runs aren't sealed, or are missing, or are in two versions.
    pub changed_runs: usize,
    /// What identifies the seal of the runs that was found.
    pub sealed: Option<String>,
}

/// The records without an end of these histories. Status names the seal of those that the operator has
/// written, and of its runs.
pub async fn open_records(
    histories: Arc<[Kept; 2]>,
    (named, runs): (Option<&str>, &NamedRuns),
) -> FoundOpen {
    let (named, runs) = (named.map(str::to_owned), runs.clone());
    run_blocking(move || {
        let [here, there] = &*histories;
        let seals = [&*here.run_seals, &*there.run_seals].concat();
        let seal = seal_of(&seals, &runs);
        let (text, left_out) = join(&here.text, &there.text, &seal);
        let checked = Checked::new(&text, &seal);
        FoundOpen {
            changed_runs: checked.unsealed().len() + checked.lost() + left_out,
            sealed: seal.digest(),
            ..find_open(&histories, named.as_deref(), &seal)
        }
    })
    .await
}

/// Those that the seal of open records covers, and those of runs that `runs` covers: a process may have ended
/// before status named the former.
fn find_open(histories: &[Kept; 2], named: Option<&str>, runs: &RunSeal) -> FoundOpen {
    let mut seals = histories.iter().flat_map(|kept| &kept.seals);
    let seal = seals.find(|seal| named.is_some() && seal.digest().as_deref() == named);
    let seal = seal.cloned().unwrap_or_default();
    let mut others = 0;
    let records = histories.iter().flat_map(|kept| {
        let checked = Checked::new(&kept.text, runs);
        let is_ours = |record: &Record| seal.covers(record) || checked.is_sealed(&record.run);
        let (records, left_out) = lines::open_records(&kept.text, is_ours);
        others += left_out;
        records
    });
    let mut records: Vec<Record> = records.collect();
    let mut known = HashSet::new();
    records.retain(|one| known.insert((one.run.clone(), one.number)));
    FoundOpen {
        open: OpenRecords::restored(&records, seal),
        records,
        others,
        ..FoundOpen::default()
    }
}

/// [`OpenRecords::with`], not on the thread of others.
pub async fn seal(open: &OpenRecords, records: &[Record], named: Option<&str>) -> OpenRecords {
    let (open, records, named) = (open.clone(), records.to_vec(), named.map(str::to_owned));
    run_blocking(move || open.with(&records, named.as_deref())).await
}

/// An explanation with the last changes about whom it is about, as far as the operator has written them.
/// `named` identifies the seal of those.
pub async fn explained(
    client: &Client,
    object: &DirectorySync,
    (storage, named): (PlanStorage, &NamedRuns),
    mut explanation: Explanation,
) -> Explanation {
    match read(client, object, storage).await {
        Ok(kept) => {
            let (kept, checked) = kept.checked(named).await;
            run_blocking(move || {
                let records = lines::records(&kept.text);
                explanation.add_changes(records.filter(|one| checked.is_sealed(&one.run)));
                if let Some(note) = checked.note() {
                    explanation.notes.push(note);
                }
                explanation
            })
            .await
        }
        Err(error) => {
            let note = format!("what earlier runs changed isn't known: {error}");
            explanation.notes.push(note);
            explanation
        }
    }
}

async fn find(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
) -> Result<Found, HistoryError> {
    let found = match storage {
        PlanStorage::ConfigMap => find_one::<ConfigMap>(client, object).await?,
        PlanStorage::Secret => find_one::<Secret>(client, object).await?,
    };
    let Some(found) = found else {
        return Ok(Found {
            version: None,
            kept: Kept::default(),
        });
    };
    let version = found.version;
    let kept = match found.bytes {
        None => Kept::default(),
        // Its records are about what another object did.
        Some(_) if found.is_of_another => Kept::default(),
        Some(bytes) => Kept {
            text: run_blocking(move || unpack(&bytes))
                .await
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "the history can't be read and is begun anew");
                    String::new()
                }),
            seals: found.seals,
            run_seals: found.run_seals,
        },
    };
    Ok(Found { version, kept })
}

/// An object of the name of a history.
struct FoundObject {
    version: Option<String>,
    bytes: Option<Vec<u8>>,
    seals: Vec<Seal>,
    run_seals: Vec<RunSeal>,
    /// Whether it was written for an earlier object of this name.
    is_of_another: bool,
}

async fn find_one<K: Companion>(
    client: &Client,
    object: &DirectorySync,
) -> Result<Option<FoundObject>, HistoryError> {
    let storage = K::STORAGE;
    let name = name(&object.name_any());
    let found = companion::get::<K>(client, object, &name).await;
    let found = found.map_err(|cause| HistoryError::ApiServer { storage, cause })?;
    let Some(mut found) = found else {
        return Ok(None);
    };
    if !companion::is_ours(&found, &object.name_any()) {
        return Err(HistoryError::Foreign { storage, name });
    }
    let uid = object.metadata.uid.as_deref();
    Ok(Some(FoundObject {
        version: found.resource_version(),
        is_of_another: !is_of_this(found.meta(), &object.name_any(), uid),
        bytes: found.take_binary(KEY),
        seals: [SEAL, NAMED_SEAL]
            .into_iter()
            .filter_map(|key| found.take_binary(key).map(Seal::kept))
            .collect(),
        run_seals: take_run_seals(&mut found),
    }))
}

/// The seals of runs in an object, as [`RUN_SEALS`] names them.
pub fn take_run_seals<K: Companion>(found: &mut K) -> Vec<RunSeal> {
    let seals = RUN_SEALS.into_iter();
    let seals = seals.filter_map(|key| found.take_binary(key).map(RunSeal::kept));
    seals.collect()
}

/// What is added to a history.
#[derive(Debug, Default)]
pub struct Addition {
    /// Records, in place of those of the same run and number.
    pub records: Vec<Record>,
    /// What was kept in the other kind of object.
    pub moved: Option<Kept>,
    /// The records without an end once these are written.
    pub open: OpenRecords,
    /// What identifies the seal of the runs that this operator has written.
    pub named: NamedRuns,
}

/// A history with what is added, to be written once status names its seal.
pub struct NextHistory {
    content: Content,
    /// Of the object that it replaces.
    version: Option<String>,
    /// Identifies the seal of its runs.
    pub sealed: Option<String>,
    /// The same of what is there so far.
    pub there: Option<String>,
}

/// What a history is with an addition.
///
/// # Errors
/// As [`HistoryError`].
pub async fn next(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    addition: &Arc<Addition>,
) -> Result<NextHistory, HistoryError> {
    let Found { version, kept } = find(client, object, storage).await?;
    let added = Arc::clone(addition);
    let (lines, seals) = run_blocking(move || put_into(&kept, &added)).await;
    Ok(NextHistory {
        sealed: seals[0].digest(),
        there: seals[1].digest(),
        content: content(lines, &addition.open, seals),
        version,
    })
}

/// Writes it. `false` where somebody else wrote at the same time, and it has to be made anew.
///
/// # Errors
/// As [`HistoryError`].
pub async fn write_next(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    next: NextHistory,
) -> Result<bool, HistoryError> {
    match write(client, object, storage, next.content, next.version).await {
        Ok(()) => Ok(true),
        // Another process may be in charge by now, and this is about what was done before.
        Err(HistoryError::ApiServer { cause, .. }) if cause.is_gone() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The compressed lines of a history with what is added, and the seals of its runs.
fn put_into(kept: &Kept, added: &Addition) -> (Vec<u8>, [RunSeal; 2]) {
    let moved = added.moved.as_ref();
    let seals: Vec<RunSeal> = [Some(kept), moved]
        .into_iter()
        .flatten()
        .flat_map(|kept| kept.run_seals.iter().cloned())
        .collect();
    let seal = seal_of(&seals, &added.named);
    let text = match moved {
        None => kept.text.clone(),
        Some(moved) => join(&kept.text, &moved.text, &seal).0,
    };
    let checked = Checked::new(&text, &seal);
    let merged = merge(&text, &added.records);
    let (bytes, packed) = pack(newest_runs(&merged), PACKED_MAX);
    let next = checked.reseal(&seal, &added.records, packed);
    (bytes, [next, seal])
}

/// Two histories of one object, of which the first one is newer, and how many runs were left out. Of a run that
/// both have, the one that is sealed counts, or else the newer: what somebody puts into one mustn't mix with what
/// the operator wrote into the other.
fn join(newer: &str, older: &str, seal: &RunSeal) -> (String, usize) {
    let [here, there] = [newer, older].map(|text| Checked::new(text, seal));
    let unsealed: HashSet<&RunId> = here.unsealed().iter().collect();
    let is_here = |run: &RunId| here.is_sealed(run) || unsealed.contains(run);
    let is_replaced = |run: &RunId| unsealed.contains(run) && there.is_sealed(run);
    let mut left_out: HashSet<RunId> = HashSet::new();
    let mut text = String::new();
    for (from_older, line) in
        (newer.lines().map(|line| (false, line))).chain(older.lines().map(|line| (true, line)))
    {
        let Some(run) = run_of(line) else { continue };
        if from_older == is_replaced(&run) || (from_older && !is_here(&run)) {
            text.push_str(line);
            text.push('\n');
        } else if !(here.is_sealed(&run) && there.is_sealed(&run)) {
            left_out.insert(run);
        }
    }
    (text, left_out.len())
}

fn content(lines: Vec<u8>, open: &OpenRecords, runs: [RunSeal; 2]) -> Content {
    let open = [(SEAL, open.latest()), (NAMED_SEAL, open.named())];
    let open = open.map(|(key, seal)| (key, seal.bytes().to_vec()));
    let runs = RUN_SEALS.into_iter().zip(runs);
    let runs = runs.map(|(key, seal)| (key, seal.bytes().to_vec()));
    let binary = [(KEY, lines)].into_iter().chain(open).chain(runs);
    let binary = binary.filter(|(_, bytes)| !bytes.is_empty());
    Content {
        binary: binary
            .map(|(key, bytes)| (key.to_owned(), ByteString(bytes)))
            .collect(),
        ..Content::default()
    }
}

async fn write(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: Content,
    version: Option<String>,
) -> Result<(), HistoryError> {
    let name = name(&object.name_any());
    let content = (&*name, content);
    let written = match storage {
        PlanStorage::ConfigMap => {
            let written = companion::apply::<ConfigMap>(client, object, content, version);
            written.await.map(|_| ())
        }
        PlanStorage::Secret => {
            let written = companion::apply::<Secret>(client, object, content, version);
            written.await.map(|_| ())
        }
    };
    written.map_err(|cause| HistoryError::ApiServer { storage, cause })
}

/// Empties the object of this kind, where there is one of ours. It isn't deleted: that would need a
/// right to delete any ConfigMap or Secret.
///
/// # Errors
/// As [`HistoryError`].
pub async fn clear(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
) -> Result<(), HistoryError> {
    match storage {
        PlanStorage::ConfigMap => clear_one::<ConfigMap>(client, object).await,
        PlanStorage::Secret => clear_one::<Secret>(client, object).await,
    }
}

async fn clear_one<K: Companion>(
    client: &Client,
    object: &DirectorySync,
) -> Result<(), HistoryError> {
    let found = find_one::<K>(client, object).await?;
    let Some(FoundObject {
        version,
        bytes: Some(_),
        ..
    }) = found
    else {
        return Ok(());
    };
    let name = name(&object.name_any());
    let emptied = companion::empty::<K>(client, object, &name, version.as_deref()).await;
    let storage = K::STORAGE;
    emptied.map_err(|cause| HistoryError::ApiServer { storage, cause })
}

/// Megabytes are compressed and parsed on another thread than the one that other objects wait for.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32, email: &str) -> Record {
        serde_json::from_value(serde_json::json!({
            "time": "2026-11-29T12:00:00Z", "run": "3f1c9a0b62", "number": number,
            "trigger": "Approved", "action": "Remove", "reason": "GoneFromDirectory",
            "person": {"email": email}, "result": "Pending",
        }))
        .unwrap()
    }

    /// With these seals.
    fn kept(records: &[&Record], open: &OpenRecords) -> Kept {
        Kept {
            text: records.iter().map(|one| lines::line(one) + "\n").collect(),
            seals: vec![open.latest().clone(), open.named().clone()],
            run_seals: vec![],
        }
    }

    #[test]
    fn records_of_somebody_else_are_counted_and_those_of_the_operator_found_once() {
        let (ours, theirs) = (record(0, "ann"), record(1, "ceo"));
        let open = OpenRecords::default().with(std::slice::from_ref(&ours), None);
        let named = open.latest().digest();
        let all = || kept(&[&theirs, &ours, &ours], &open);
        let found = |histories, named: Option<&str>| {
            let found = find_open(&histories, named, &RunSeal::default());
            (found.records, found.others)
        };
        let there = found([all(), Kept::default()], named.as_deref());
        assert_eq!(there, (vec![ours.clone()], 1));
        let moved = found([Kept::default(), all()], named.as_deref());
        assert_eq!(moved, there, "in the other kind of object");
        assert_eq!(found([all(), Kept::default()], None), (vec![], 3));
        assert_eq!(found([all(), Kept::default()], Some("x")), (vec![], 3));

        // Their seal of their record isn't the one that status names.
        let forged = OpenRecords::default().with(std::slice::from_ref(&theirs), None);
        let forged = [kept(&[&theirs, &ours], &forged), Kept::default()];
        assert_eq!(found(forged, named.as_deref()), (vec![], 2));

        // The process ended before status named their seal, and their run is sealed.
        let text = lines::line(&ours) + "\n";
        let mut runs = RunSeal::default();
        runs = Checked::default().reseal(&runs, std::slice::from_ref(&ours), &text);
        let histories = [kept(&[&ours], &OpenRecords::default()), Kept::default()];
        let begun = find_open(&histories, None, &runs);
        assert_eq!((begun.records, begun.others), (vec![ours.clone()], 0));

        // The process ended before status named the latest seal.
        let later = open.with(&[record(2, "bob")], named.as_deref());
        let histories = [kept(&[&ours], &later), Kept::default()];
        assert_eq!(found(histories, named.as_deref()), (vec![ours], 0));
    }

    #[test]
    fn of_two_histories_each_run_is_there_once_as_the_operator_wrote_it_and_the_newer_come_first() {
        let of = |run: &str, email: &str| {
            let mut one = serde_json::to_value(record(0, email)).unwrap();
            one["run"] = run.into();
            one.to_string() + "\n"
        };
        let [a, b, c] = ["a", "b", "c"].map(|run| of(run, "ann"));
        let all = [&*c, &b, &a].concat();
        let records: Vec<Record> = lines::records(&all).collect();
        let seal = Checked::default().reseal(&RunSeal::default(), &records, &all);
        let none = RunSeal::default();
        let joined =
            |newer: [&str; 2], older: [&str; 2]| join(&newer.concat(), &older.concat(), &seal);
        assert_eq!(joined([&c, &b], [&b, &a]), (all.clone(), 0));
        assert_eq!(join("", &all, &none), (all.clone(), 0), "nothing is lost");
        assert_eq!(join(&all, "", &none), (all.clone(), 0));

        // Somebody's line for a run that the operator wrote, in either object, and a run of theirs.
        let (more, other) = (of("b", "ceo"), of("d", "ceo"));
        let (text, left_out) = joined([&c, &b], [&more, &a]);
        assert_eq!((&text, left_out), (&all, 1));
        let checked = Checked::new(&text, &seal);
        assert_eq!((checked.unsealed().len(), checked.lost()), (0, 0));
        let (text, left_out) = joined([&c, &more], [&b, &a]);
        assert_eq!((&text, left_out), (&all, 1));
        let (text, left_out) = joined([&c, &b], [&other, &a]);
        let checked = Checked::new(&text, &seal);
        assert_eq!(
            (checked.unsealed().len(), checked.lost(), left_out),
            (1, 0, 0)
        );
    }
}
