//! The records of what runs did, in a ConfigMap or Secret `<name>-history` beside the plan's.
//!
//! It isn't kept in memory: a run that has something to add reads it, adds, and writes it.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::FIELD_MANAGER;
use super::plan::{SECRET_TYPE, is_of, is_of_this};
use super::timeout::{ApiServerError, with_timeout};
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
    const MAX: usize = 253;
    let whole = format!("{name}-history");
    if whole.len() <= MAX {
        return whole;
    }
    // Names of objects are ASCII.
    let digest = Sha256::digest(name.as_bytes());
    let digest = HEXLOWER.encode(&digest[..4]);
    format!("{}-{digest}-history", &name[..MAX - 17])
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

async fn find_one<K: Stored>(
    client: &Client,
    object: &DirectorySync,
) -> Result<Option<FoundObject>, HistoryError> {
    let storage = K::STORAGE;
    let name = name(&object.name_any());
    let api: Api<K> = api(client, object);
    let found = with_timeout(api.get_opt(&name)).await;
    let found = found.map_err(|cause| HistoryError::ApiServer { storage, cause })?;
    let Some(mut found) = found else {
        return Ok(None);
    };
    if !found.is_history() || !is_of(found.meta(), &object.name_any()) {
        return Err(HistoryError::Foreign { storage, name });
    }
    let uid = object.metadata.uid.as_deref();
    Ok(Some(FoundObject {
        version: found.resource_version(),
        is_of_another: !is_of_this(found.meta(), &object.name_any(), uid),
        bytes: found.take(),
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
    let owner = OwnerReference {
        // Deleting the owner needs no leave of the history.
        block_owner_deletion: None,
        controller: Some(true),
        ..object.owner_ref(&()).unwrap_or_default()
    };
    let metadata = ObjectMeta {
        name: Some(name(&object.name_any())),
        labels: Some([("app.kubernetes.io/managed-by".into(), FIELD_MANAGER.into())].into()),
        owner_references: Some(vec![owner]),
        resource_version: version,
        ..ObjectMeta::default()
    };
    let data: BTreeMap<String, ByteString> = [(KEY.to_owned(), ByteString(bytes))].into();
    match storage {
        PlanStorage::ConfigMap => {
            let map = ConfigMap {
                metadata,
                binary_data: Some(data),
                ..ConfigMap::default()
            };
            apply(client, object, &map).await
        }
        PlanStorage::Secret => {
            let secret = Secret {
                metadata,
                data: Some(data),
                type_: Some(SECRET_TYPE.into()),
                ..Secret::default()
            };
            apply(client, object, &secret).await
        }
    }
}

async fn apply<K: Stored>(
    client: &Client,
    object: &DirectorySync,
    applied: &K,
) -> Result<(), HistoryError> {
    let storage = K::STORAGE;
    let api: Api<K> = api(client, object);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let name = name(&object.name_any());
    let patched = with_timeout(api.patch(&name, &parameters, &Patch::Apply(applied))).await;
    patched.map_err(|cause| HistoryError::ApiServer { storage, cause })?;
    Ok(())
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

async fn clear_one<K: Stored>(client: &Client, object: &DirectorySync) -> Result<(), HistoryError> {
    let found = find_one::<K>(client, object).await?;
    let Some(FoundObject {
        version,
        bytes: Some(_),
        ..
    }) = found
    else {
        return Ok(());
    };
    // The version makes it fail if the object has become another's meanwhile.
    let patch = json!({
        "metadata": {"resourceVersion": version}, "data": null, "binaryData": null,
    });
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let api: Api<K> = api(client, object);
    let name = name(&object.name_any());
    let patched = with_timeout(api.patch(&name, &parameters, &Patch::Merge(patch))).await;
    let storage = K::STORAGE;
    patched.map_err(|cause| HistoryError::ApiServer { storage, cause })?;
    Ok(())
}

/// A kind that can hold a history.
pub trait Stored:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
{
    /// The kind.
    const STORAGE: PlanStorage;

    /// Whether it is of the type that the operator writes.
    fn is_history(&self) -> bool;

    /// Takes out the compressed lines.
    fn take(&mut self) -> Option<Vec<u8>>;
}

impl Stored for ConfigMap {
    const STORAGE: PlanStorage = PlanStorage::ConfigMap;

    fn is_history(&self) -> bool {
        true
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        Some(self.binary_data.as_mut()?.remove(KEY)?.0)
    }
}

impl Stored for Secret {
    const STORAGE: PlanStorage = PlanStorage::Secret;

    fn is_history(&self) -> bool {
        self.type_.as_deref() == Some(SECRET_TYPE)
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        Some(self.data.as_mut()?.remove(KEY)?.0)
    }
}

fn api<K: Stored>(client: &Client, object: &DirectorySync) -> Api<K> {
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
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
    fn every_name_is_one_that_an_object_may_have() {
        assert_eq!(name("staff"), "staff-history");
        let (a, b) = (
            format!("{}a", "x".repeat(252)),
            format!("{}b", "x".repeat(252)),
        );
        for long in [&a, &b] {
            assert_eq!(name(long).len(), 253);
        }
        assert_ne!(name(&a), name(&b));
    }

    #[test]
    fn of_two_histories_each_line_is_there_once_and_the_newer_ones_come_first() {
        assert_eq!(join("c\nb\n", "b\na\n"), "c\nb\na\n");
        assert_eq!(join("", "a\n"), "a\n");
    }
}
