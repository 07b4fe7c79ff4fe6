//! The records of what runs did, in a ConfigMap or Secret `<name>-history` beside the plan's.
//!
//! It isn't kept in memory: a run that has something to add reads it, adds, and writes it. Beside it are the
//! seals of the records without an end that the operator has written ([`OpenRecords`]).

use std::collections::HashSet;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, ResourceExt};

use super::companion::{self, Companion, Content, is_of_this};
use super::open_records::{OpenRecords, Seal};
use super::timeout::ApiServerError;
use crate::api::DirectorySync;
use crate::api::spec::PlanStorage;
use crate::history::{self as lines, PACKED_MAX, merge, pack, unpack};
use crate::sync::explain::Explanation;
use crate::sync::history::Record;

/// The key of the lines, compressed.
pub const KEY: &str = "history.jsonl.gz";
/// The key of the seal of the records without an end.
const SEAL: &str = "open";
/// The key of the seal that status named when that one was written.
const NAMED_SEAL: &str = "open.before";

/// How often a write is tried where somebody else writes at the same time.
const TRIES: usize = 3;

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
}

/// The records without an end of these histories. Status names the seal of those that the operator has
/// written.
pub async fn open_records(histories: [Kept; 2], named: Option<&str>) -> FoundOpen {
    let named = named.map(str::to_owned);
    run_blocking(move || find_open(&histories, named.as_deref())).await
}

fn find_open(histories: &[Kept; 2], named: Option<&str>) -> FoundOpen {
    let mut seals = histories.iter().flat_map(|kept| &kept.seals);
    let seal = seals.find(|seal| named.is_some() && seal.digest().as_deref() == named);
    let seal = seal.cloned().unwrap_or_default();
    let mut others = 0;
    let records = histories.iter().flat_map(|kept| {
        let (records, left_out) = lines::open_records(&kept.text, |record| seal.covers(record));
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
    }
}

/// [`OpenRecords::with`], not on the thread of others.
pub async fn seal(open: &OpenRecords, records: &[Record], named: Option<&str>) -> OpenRecords {
    let (open, records, named) = (open.clone(), records.to_vec(), named.map(str::to_owned));
    run_blocking(move || open.with(&records, named.as_deref())).await
}

/// An explanation with the last changes about whom it is about.
pub async fn explained(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    mut explanation: Explanation,
) -> Explanation {
    match read(client, object, storage).await {
        Ok(kept) => {
            run_blocking(move || {
                explanation.add_changes(lines::records(&kept.text));
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
        },
    };
    Ok(Found { version, kept })
}

/// An object of the name of a history.
struct FoundObject {
    version: Option<String>,
    bytes: Option<Vec<u8>>,
    seals: Vec<Seal>,
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
    }))
}

/// Adds records, in place of those of the same run and number. `moved` is what was kept in the other kind
/// of object. `open` are the records without an end once these are written.
///
/// # Errors
/// As [`HistoryError`].
pub async fn add(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    records: &[Record],
    moved: &str,
    open: &OpenRecords,
) -> Result<(), HistoryError> {
    for left in (0..TRIES).rev() {
        let Found { version, kept } = find(client, object, storage).await?;
        let (records, moved) = (records.to_vec(), moved.to_owned());
        let bytes = run_blocking(move || {
            let text = if moved.is_empty() {
                kept.text
            } else {
                join(&kept.text, &moved)
            };
            pack(&merge(&text, &records), PACKED_MAX)
        });
        match write(client, object, storage, (bytes.await, open), version).await {
            // Another process writes: it may be in charge by now, and this is about what was done before.
            Err(HistoryError::ApiServer { cause, .. }) if cause.is_gone() && left > 0 => {}
            written => return written,
        }
    }
    Ok(())
}

/// Two histories of one object, of which the first one is newer.
fn join(newer: &str, older: &str) -> String {
    let known: HashSet<&str> = newer.lines().collect();
    let mut text = newer.to_owned();
    for line in older.lines().filter(|line| !known.contains(line)) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

async fn write(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    (lines, open): (Vec<u8>, &OpenRecords),
    version: Option<String>,
) -> Result<(), HistoryError> {
    let name = name(&object.name_any());
    let seals = [(SEAL, open.latest()), (NAMED_SEAL, open.named())];
    let seals = seals.map(|(key, seal)| (key, seal.bytes().to_vec()));
    let binary = [(KEY, lines)].into_iter().chain(seals);
    let binary = binary.filter(|(_, bytes)| !bytes.is_empty());
    let content = Content {
        binary: binary
            .map(|(key, bytes)| (key.to_owned(), ByteString(bytes)))
            .collect(),
        ..Content::default()
    };
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
        }
    }

    #[test]
    fn records_of_somebody_else_are_counted_and_those_of_the_operator_found_once() {
        let (ours, theirs) = (record(0, "ann"), record(1, "ceo"));
        let open = OpenRecords::default().with(std::slice::from_ref(&ours), None);
        let named = open.latest().digest();
        let all = || kept(&[&theirs, &ours, &ours], &open);
        let found = |histories, named: Option<&str>| {
            let found = find_open(&histories, named);
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

        // The process ended before status named the latest seal.
        let later = open.with(&[record(2, "bob")], named.as_deref());
        let histories = [kept(&[&ours], &later), Kept::default()];
        assert_eq!(found(histories, named.as_deref()), (vec![ours], 0));
    }

    #[test]
    fn of_two_histories_each_line_is_there_once_and_the_newer_ones_come_first() {
        assert_eq!(join("c\nb\n", "b\na\n"), "c\nb\na\n");
        assert_eq!(join("", "a\n"), "a\n");
    }
}
