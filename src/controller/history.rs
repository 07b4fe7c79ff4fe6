//! The records of what runs did, in a ConfigMap or Secret `<name>-history` beside the plan's.
//!
//! It isn't kept in memory: a run that has something to add reads it, adds, and writes it.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, ResourceExt};

use super::companion::{self, Companion, Content, is_of_this};
use super::timeout::ApiServerError;
use crate::api::DirectorySync;
use crate::api::spec::PlanStorage;
use crate::history::{self as lines, PACKED_MAX, merge, pack, unpack};
use crate::sync::history::Record;

/// The key of the lines, compressed.
pub const KEY: &str = "history.jsonl.gz";

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
    text: String,
}

/// What is kept in an object of this kind; empty where there is none.
///
/// # Errors
/// As [`HistoryError`].
pub async fn read(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
) -> Result<String, HistoryError> {
    Ok(find(client, object, storage).await?.text)
}

/// The records without an end of these histories.
pub async fn open_records(histories: [String; 2]) -> Vec<Record> {
    let open = |text: &String| lines::open_records(text);
    run_blocking(move || histories.iter().flat_map(open).collect()).await
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
            text: String::new(),
        });
    };
    let version = found.version;
    let text = match found.bytes {
        None => String::new(),
        // Its records are about what another object did.
        Some(_) if found.is_of_another => String::new(),
        Some(bytes) => run_blocking(move || unpack(&bytes))
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "the history can't be read and is begun anew");
                String::new()
            }),
    };
    Ok(Found { version, text })
}

/// An object of the name of a history.
struct FoundObject {
    version: Option<String>,
    bytes: Option<Vec<u8>>,
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
    }))
}

/// Adds records, in place of those of the same run and number. `moved` is what was kept in the other kind
/// of object.
///
/// # Errors
/// As [`HistoryError`].
pub async fn add(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    records: &[Record],
    moved: &str,
) -> Result<(), HistoryError> {
    for left in (0..TRIES).rev() {
        let Found { version, text } = find(client, object, storage).await?;
        let (records, moved) = (records.to_vec(), moved.to_owned());
        let bytes = run_blocking(move || {
            let text = if moved.is_empty() {
                text
            } else {
                join(&text, &moved)
            };
            pack(&merge(&text, &records), PACKED_MAX)
        });
        match write(client, object, storage, bytes.await, version).await {
            // Another process writes: it may be in charge by now, and this is about what was done before.
            Err(HistoryError::ApiServer { cause, .. }) if cause.is_gone() && left > 0 => {}
            written => return written,
        }
    }
    Ok(())
}

/// Two histories of one object, of which the first one is newer.
fn join(newer: &str, older: &str) -> String {
    let known: std::collections::HashSet<&str> = newer.lines().collect();
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
    bytes: Vec<u8>,
    version: Option<String>,
) -> Result<(), HistoryError> {
    let name = name(&object.name_any());
    let content = Content {
        binary: [(KEY.to_owned(), ByteString(bytes))].into(),
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

    #[test]
    fn of_two_histories_each_line_is_there_once_and_the_newer_ones_come_first() {
        assert_eq!(join("c\nb\n", "b\na\n"), "c\nb\na\n");
        assert_eq!(join("", "a\n"), "a\n");
    }
}
