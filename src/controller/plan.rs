//! The plan of the last run that had anything to do, in a ConfigMap or Secret beside the object;
//! and with it what a later process needs to go on cheaply and carefully.

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
use super::decision::Fingerprint;
use super::timeout::{ApiServerError, with_timeout};
use crate::api::DirectorySync;
use crate::api::spec::PlanStorage;
use crate::sync::guard::GuardedPlan;
use crate::sync::ledger::{self, Ledger};
use crate::sync::memberships::MembershipCache;
use crate::sync::render::{Sides, json, markdown};

/// The plan in Markdown.
pub const MARKDOWN: &str = "plan.md";
/// The plan as [`json`] writes it.
pub const JSON: &str = "plan.json";
/// The type of the Secrets that hold a plan. A Secret of another type is never written: the type
/// can't be changed, and an admission policy can allow the operator this one alone.
pub const SECRET_TYPE: &str = "directorysync.dev/plan";
const MEMBERSHIPS: &str = "memberships";
const LEDGER: &str = "ledger";

/// The API server takes 1 MiB an object, metadata included. Binary data grows by a third.
const MARKDOWN_MAX: usize = 150 * 1024;
const JSON_MAX: usize = 250 * 1024;
/// Enough for 10,000 groups; what is longer is left out, and every group read after a restart.
const MEMBERSHIPS_MAX: usize = 250 * 1024;
/// A ledger is never larger.
const LEDGER_MAX: usize = ledger::BYTES_MAX;

/// The content of the ConfigMap or Secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanContent {
    text: BTreeMap<String, String>,
    binary: BTreeMap<String, ByteString>,
    /// It was written for another object, which had the name before: it was deleted and made anew, or
    /// came from a backup.
    of_another: bool,
}

/// Why the plan couldn't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The ConfigMap or Secret of that name is somebody else's.
    #[error(
        "{} {name:?} belongs to somebody else and was left alone; delete or rename it to see the plan there",
        .storage.kind()
    )]
    Foreign {
        /// Its kind.
        storage: PlanStorage,
        /// Its name.
        name: String,
    },
    /// The operator lacks the right (RBAC), or an admission policy refuses.
    #[error("the plan's {}: {cause}{}", .storage.kind(), advice(*.storage))]
    Refused {
        /// The kind of object.
        storage: PlanStorage,
        /// The answer.
        cause: ApiServerError,
    },
    /// The API server refused a request for another reason, or couldn't be reached.
    #[error("the plan's {}: {cause}", .storage.kind())]
    ApiServer {
        /// The kind of object.
        storage: PlanStorage,
        /// The answer.
        cause: ApiServerError,
    },
}

fn advice(storage: PlanStorage) -> &'static str {
    match storage {
        PlanStorage::ConfigMap => "",
        PlanStorage::Secret => {
            "; whoever runs the operator can allow it (chart: rbac.planSecrets), or set \
             spec.planStorage to ConfigMap"
        }
    }
}

impl PlanError {
    fn from_api_server(storage: PlanStorage, cause: ApiServerError) -> Self {
        if cause.is_refused() {
            Self::Refused { storage, cause }
        } else {
            Self::ApiServer { storage, cause }
        }
    }

    /// Whether it stays so until somebody changes something.
    pub fn needs_action(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Refused { .. })
    }
}

impl PlanContent {
    /// The plan, and what a later process needs.
    pub fn new(
        guarded: &GuardedPlan,
        sides: &Sides<'_>,
        memberships: &MembershipCache,
        ledger: &Ledger,
    ) -> Self {
        let text = [
            (MARKDOWN, markdown(guarded, sides, MARKDOWN_MAX)),
            (JSON, json(guarded, sides, Some(JSON_MAX))),
        ];
        let mut content = Self {
            text: text.map(|(key, text)| (key.to_owned(), text)).into(),
            binary: BTreeMap::new(),
            of_another: false,
        };
        content.remember(memberships, ledger);
        content
    }

    /// Replaces what is remembered of memberships and the ledger, and leaves the plan as it is.
    pub fn remember(&mut self, memberships: &MembershipCache, ledger: &Ledger) {
        self.set(MEMBERSHIPS, memberships.to_bytes(), MEMBERSHIPS_MAX);
        self.set_ledger(ledger);
    }

    /// Replaces the ledger alone.
    pub fn set_ledger(&mut self, ledger: &Ledger) {
        self.set(LEDGER, ledger.to_bytes(), LEDGER_MAX);
    }

    fn set(&mut self, key: &str, bytes: Vec<u8>, max: usize) {
        if bytes.is_empty() || bytes.len() > max {
            self.binary.remove(key);
        } else {
            self.binary.insert(key.to_owned(), ByteString(bytes));
        }
    }

    /// What is remembered of memberships; `None` unless it is what `digest` stands for.
    pub fn memberships(&self, digest: &str) -> Option<MembershipCache> {
        let bytes = &self.binary.get(MEMBERSHIPS)?.0;
        let memberships = MembershipCache::from_bytes(bytes).ok()?;
        (memberships.digest() == digest).then_some(memberships)
    }

    /// Whether something is remembered of memberships, whatever it is.
    pub fn has_memberships(&self) -> bool {
        self.binary.contains_key(MEMBERSHIPS)
    }

    /// Whether it was written for another object of this name.
    pub fn is_of_another(&self) -> bool {
        self.of_another
    }

    /// The ledger, as it was written.
    pub fn ledger(&self) -> Option<&[u8]> {
        Some(&self.binary.get(LEDGER)?.0)
    }

    /// Stands for all of it.
    pub fn digest(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        let text = self.text.iter().map(|(key, text)| (key, text.as_bytes()));
        let binary = self
            .binary
            .iter()
            .map(|(key, bytes)| (key, bytes.0.as_slice()));
        for (key, value) in text.chain(binary) {
            hash.update((key.len() as u64).to_be_bytes());
            hash.update(key);
            hash.update((value.len() as u64).to_be_bytes());
            hash.update(value);
        }
        hash.finalize().into()
    }
}

/// The name of the ConfigMap or Secret beside the object of this name: `<name>-plan`.
pub fn name(name: &str) -> String {
    const MAX: usize = 253;
    let whole = format!("{name}-plan");
    if whole.len() <= MAX {
        return whole;
    }
    // Names of objects are ASCII.
    let digest = Sha256::digest(name.as_bytes());
    let digest = HEXLOWER.encode(&digest[..4]);
    format!("{}-{digest}-plan", &name[..MAX - 14])
}

/// The kind of object that the spec asks for.
pub fn storage(object: &DirectorySync) -> PlanStorage {
    object.spec.plan_storage.unwrap_or_default()
}

/// What an earlier run left in an object of this kind; `None` where there is none, or where it was
/// [cleared](clear).
///
/// # Errors
/// As [`PlanError`].
pub async fn read(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
) -> Result<Option<PlanContent>, PlanError> {
    let name = name(&object.name_any());
    let failed = |cause| PlanError::from_api_server(storage, cause);
    let found = match storage {
        PlanStorage::ConfigMap => {
            let api: Api<ConfigMap> = api(client, object);
            let found = with_timeout(api.get_opt(&name)).await;
            found.map_err(failed)?.map(|map| {
                check_ours(&map, object).map(|()| (map.metadata.clone(), of_config_map(map)))
            })
        }
        PlanStorage::Secret => {
            let api: Api<Secret> = api(client, object);
            let found = with_timeout(api.get_opt(&name)).await;
            found.map_err(failed)?.map(|secret| {
                check_ours(&secret, object).map(|()| (secret.metadata.clone(), of_secret(secret)))
            })
        }
    };
    let Some((metadata, mut content)) = found.transpose()? else {
        return Ok(None);
    };
    if content == PlanContent::default() {
        return Ok(None);
    }
    let mut owners = metadata.owner_references.iter().flatten();
    content.of_another = !owners.any(|owner| Some(&owner.uid) == object.metadata.uid.as_ref());
    Ok(Some(content))
}

/// Keys that aren't of a plan are somebody else's, and go nowhere.
fn of_config_map(map: ConfigMap) -> PlanContent {
    let mut content = PlanContent {
        text: map.data.unwrap_or_default(),
        binary: map.binary_data.unwrap_or_default(),
        of_another: false,
    };
    content.text.retain(|key, _| is_text(key));
    content.binary.retain(|key, _| is_binary(key));
    content
}

/// A Secret doesn't tell text from other data; the keys do.
fn of_secret(secret: Secret) -> PlanContent {
    let mut content = PlanContent::default();
    for (key, value) in secret.data.unwrap_or_default() {
        if is_text(&key) {
            let text = String::from_utf8_lossy(&value.0).into_owned();
            content.text.insert(key, text);
        } else if is_binary(&key) {
            content.binary.insert(key, value);
        }
    }
    content
}

fn is_text(key: &str) -> bool {
    [MARKDOWN, JSON].contains(&key)
}

fn is_binary(key: &str) -> bool {
    [MEMBERSHIPS, LEDGER].contains(&key)
}

/// Writes it in place of what was there; the resource version of the object that holds it now.
///
/// # Errors
/// As [`PlanError`].
pub async fn write(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: &PlanContent,
) -> Result<Option<String>, PlanError> {
    write_over(client, object, storage, content, None).await
}

/// Writes it again, unless somebody has written since this resource version: another process may be in
/// charge by now.
///
/// # Errors
/// As [`PlanError`]; also where somebody has.
pub async fn rewrite(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: &PlanContent,
    version: &str,
) -> Result<Option<String>, PlanError> {
    write_over(client, object, storage, content, Some(version)).await
}

async fn write_over(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: &PlanContent,
    version: Option<&str>,
) -> Result<Option<String>, PlanError> {
    let name = name(&object.name_any());
    let owner = OwnerReference {
        // Deleting the owner needs no leave of the plan.
        block_owner_deletion: None,
        controller: Some(true),
        ..object.owner_ref(&()).unwrap_or_default()
    };
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        labels: Some([("app.kubernetes.io/managed-by".into(), FIELD_MANAGER.into())].into()),
        owner_references: Some(vec![owner]),
        resource_version: version.map(str::to_owned),
        ..ObjectMeta::default()
    };
    match storage {
        PlanStorage::ConfigMap => {
            let map = ConfigMap {
                metadata,
                data: Some(content.text.clone()),
                binary_data: Some(content.binary.clone()).filter(|binary| !binary.is_empty()),
                immutable: None,
            };
            apply(api(client, object), object, storage, &name, &map).await
        }
        PlanStorage::Secret => {
            let text = content.text.iter();
            let text = text.map(|(key, text)| (key.clone(), ByteString(text.clone().into())));
            let secret = Secret {
                metadata,
                data: Some(text.chain(content.binary.clone()).collect()),
                type_: Some(SECRET_TYPE.into()),
                ..Secret::default()
            };
            apply(api(client, object), object, storage, &name, &secret).await
        }
    }
}

async fn apply<K: Stored>(
    api: Api<K>,
    object: &DirectorySync,
    storage: PlanStorage,
    name: &str,
    applied: &K,
) -> Result<Option<String>, PlanError> {
    let failed = |cause| PlanError::from_api_server(storage, cause);
    // Of a version that we wrote it is known whose it is.
    if applied.meta().resource_version.is_none() {
        let found = with_timeout(api.get_opt(name)).await;
        if let Some(found) = found.map_err(failed)? {
            check_ours(&found, object)?;
        }
    }
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patched = with_timeout(api.patch(name, &parameters, &Patch::Apply(applied))).await;
    let patched = patched.map_err(failed)?;
    Ok(patched.meta().resource_version.clone())
}

/// Empties the object of this kind, where there is one of ours. It isn't deleted: that would need a
/// right to delete any ConfigMap or Secret.
///
/// # Errors
/// As [`PlanError`].
pub async fn clear(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
) -> Result<(), PlanError> {
    let name = name(&object.name_any());
    match storage {
        PlanStorage::ConfigMap => {
            let api: Api<ConfigMap> = api(client, object);
            clear_one(api, object, storage, &name).await
        }
        PlanStorage::Secret => {
            let api: Api<Secret> = api(client, object);
            clear_one(api, object, storage, &name).await
        }
    }
}

async fn clear_one<K: Stored>(
    api: Api<K>,
    object: &DirectorySync,
    storage: PlanStorage,
    name: &str,
) -> Result<(), PlanError> {
    let failed = |cause| PlanError::from_api_server(storage, cause);
    let found = with_timeout(api.get_opt(name)).await;
    let Some(found) = found.map_err(failed)? else {
        return Ok(());
    };
    check_ours(&found, object)?;
    // Not applied: that would leave what another field manager (a backup's) owns, too. The version
    // makes it fail if the object has become another's meanwhile.
    let version = found.meta().resource_version.as_ref();
    let patch = json!({
        "metadata": {"resourceVersion": version}, "data": null, "binaryData": null,
    });
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patched = with_timeout(api.patch(name, &parameters, &Patch::Merge(patch))).await;
    patched.map_err(failed)?;
    Ok(())
}

/// A kind that can hold a plan.
trait Stored:
    Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned
{
    const STORAGE: PlanStorage;

    /// Whether it is of the type that holds plans.
    fn is_plan(&self) -> bool;
}

impl Stored for ConfigMap {
    const STORAGE: PlanStorage = PlanStorage::ConfigMap;

    fn is_plan(&self) -> bool {
        true
    }
}

impl Stored for Secret {
    const STORAGE: PlanStorage = PlanStorage::Secret;

    fn is_plan(&self) -> bool {
        self.type_.as_deref() == Some(SECRET_TYPE)
    }
}

/// Whether a ConfigMap or Secret is the plan of the object of this name, or of one that had it
/// before: it names it as its owner.
pub fn is_of(found: &ObjectMeta, object: &str) -> bool {
    let mut owners = found.owner_references.iter().flatten();
    owners.any(|owner| {
        let group = owner.api_version.split('/').next();
        group == Some(&DirectorySync::group(&()))
            && owner.kind == DirectorySync::kind(&())
            && owner.name == object
    })
}

fn check_ours<K: Stored>(found: &K, object: &DirectorySync) -> Result<(), PlanError> {
    let owner = object.name_any();
    if found.is_plan() && is_of(found.meta(), &owner) {
        return Ok(());
    }
    Err(PlanError::Foreign {
        storage: K::STORAGE,
        name: name(&owner),
    })
}

fn api<K>(client: &Client, object: &DirectorySync) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}
