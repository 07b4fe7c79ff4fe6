//! The plan of the last run that had anything to do, as a ConfigMap beside the object; and in it
//! what a later process needs to go on cheaply.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use sha2::{Digest as _, Sha256};

use super::FIELD_MANAGER;
use super::decision::Fingerprint;
use super::timeout::{ApiServerError, with_timeout};
use crate::api::DirectorySync;
use crate::sync::guard::GuardedPlan;
use crate::sync::ledger::{self, Ledger};
use crate::sync::memberships::MembershipCache;
use crate::sync::render::{Sides, json, markdown};

/// The plan in Markdown.
pub const MARKDOWN: &str = "plan.md";
/// The plan as [`json`] writes it.
pub const JSON: &str = "plan.json";
const MEMBERSHIPS: &str = "memberships";
const LEDGER: &str = "ledger";

/// The API server takes 1 MiB an object, metadata included. Binary data grows by a third.
const MARKDOWN_MAX: usize = 150 * 1024;
const JSON_MAX: usize = 250 * 1024;
/// Enough for 10,000 groups; what is longer is left out, and every group read after a restart.
const MEMBERSHIPS_MAX: usize = 250 * 1024;
/// A ledger is never larger.
const LEDGER_MAX: usize = ledger::BYTES_MAX;

/// What stands in the ConfigMap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanConfigMapData {
    text: BTreeMap<String, String>,
    binary: BTreeMap<String, ByteString>,
    /// It was written for another object, which had the name before: it was deleted and made anew, or
    /// came from a backup.
    of_another: bool,
}

/// Why the plan couldn't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The ConfigMap of that name is somebody else's.
    #[error(
        "ConfigMap {0:?} belongs to somebody else and was left alone; delete or rename it to see the plan there"
    )]
    Foreign(String),
    /// The API server refused a request or couldn't be reached.
    #[error("the plan's ConfigMap: {0}")]
    ApiServerError(#[from] ApiServerError),
}

impl PlanConfigMapData {
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

/// The name of the ConfigMap beside the object of this name: `<name>-plan`.
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

/// What an earlier process left.
///
/// # Errors
/// As [`PlanError`].
pub async fn read(
    client: &Client,
    object: &DirectorySync,
) -> Result<Option<PlanConfigMapData>, PlanError> {
    let Some(map) = with_timeout(api(client, object).get_opt(&name(&object.name_any()))).await?
    else {
        return Ok(None);
    };
    check_ours(&map.metadata, object)?;
    let mut owners = map.metadata.owner_references.iter().flatten();
    Ok(Some(PlanConfigMapData {
        of_another: !owners.any(|owner| Some(&owner.uid) == object.metadata.uid.as_ref()),
        text: map.data.unwrap_or_default(),
        binary: map.binary_data.unwrap_or_default(),
    }))
}

/// Writes it in place of what was there.
///
/// # Errors
/// As [`PlanError`].
pub async fn write(
    client: &Client,
    object: &DirectorySync,
    content: &PlanConfigMapData,
) -> Result<(), PlanError> {
    let (api, name) = (api(client, object), name(&object.name_any()));
    if let Some(found) = with_timeout(api.get_metadata_opt(&name)).await? {
        check_ours(&found.metadata, object)?;
    }
    let owner = OwnerReference {
        // Deleting the owner needs no leave of the plan.
        block_owner_deletion: None,
        controller: Some(true),
        ..object.owner_ref(&()).unwrap_or_default()
    };
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some([("app.kubernetes.io/managed-by".into(), FIELD_MANAGER.into())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(content.text.clone()),
        binary_data: Some(content.binary.clone()).filter(|binary| !binary.is_empty()),
        immutable: None,
    };
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    with_timeout(api.patch(&name, &parameters, &Patch::Apply(&map))).await?;
    Ok(())
}

/// Whether a ConfigMap is the plan of the object of this name, or of one that had it before: it
/// names it as its owner.
pub fn is_of(found: &ObjectMeta, object: &str) -> bool {
    let mut owners = found.owner_references.iter().flatten();
    owners.any(|owner| owner.kind == DirectorySync::kind(&()) && owner.name == object)
}

fn check_ours(found: &ObjectMeta, object: &DirectorySync) -> Result<(), PlanError> {
    let owner = object.name_any();
    if is_of(found, &owner) {
        Ok(())
    } else {
        Err(PlanError::Foreign(name(&owner)))
    }
}

fn api(client: &Client, object: &DirectorySync) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}
