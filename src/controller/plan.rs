//! The plan of the last run that had anything to do, in a ConfigMap or Secret beside the object;
//! and with it what a later process needs to go on cheaply and carefully.
//!
//! Every change is published, whatever the number: the plan is compressed, and what doesn't fit in the
//! first object goes into further ones, `<name>-plan-2` and so on. They are written before the first one,
//! whose index says how many there are and what they make together.
//!
//! So is what an approval of very many changes was for, as long as it is being used (`<name>-plan-91` and so
//! on): another process can finish it.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::companion::{self, Companion, Content, is_of_this};
use super::decision::Fingerprint;
use super::timeout::ApiServerError;
use crate::api::DirectorySync;
use crate::api::spec::PlanStorage;
use crate::sync::guard::GuardedPlan;
use crate::sync::ledger::{self, APPROVED_SETS_MAX, ApprovedSets, Ledger};
use crate::sync::memberships::MembershipCache;
use crate::sync::render::{MarkdownOptions, PlanDocument, Sides, markdown, publish};

/// The plan in Markdown, as much of it as fits.
pub const MARKDOWN: &str = "plan.md";
/// The whole plan as [`publish`] writes it, or a part of it.
pub const PLAN: &str = "plan.jsonl.gz";
/// What belongs to the plan: [`PlanIndex`].
pub const INDEX: &str = "plan.index.json";
/// The last plan before that of which something was made, where it isn't large.
pub const PREVIOUS: &str = "previous.jsonl.gz";
/// Its index.
pub const PREVIOUS_INDEX: &str = "previous.index.json";
const MEMBERSHIPS: &str = "memberships";
const APPROVED: &str = "approved";
const LEDGER: &str = "ledger";

/// The API server takes 1 MiB of data an object. All that is in the first one stays below that.
const MARKDOWN_MAX: usize = 100 * 1024;
/// Members of a group whom the Markdown names on each side.
const MARKDOWN_MEMBERS: usize = 50;
/// The part of the plan in the first object.
pub const FIRST_PART_MAX: usize = 80 * 1024;
/// The part of the plan in each further object.
const PART_MAX: usize = 1000 * 1024;
/// Objects that one plan takes at most: the first sync of 400,000 people with five groups each.
const PARTS_MAX: usize = 32;
/// The longest plan that is published whole, compressed.
pub const PLAN_MAX: usize = FIRST_PART_MAX + (PARTS_MAX - 1) * PART_MAX;
/// The numbers of objects with the changes of approvals come after this one.
const APPROVED_PART: usize = 90;
/// So many they take at most.
const APPROVED_PARTS_MAX: usize = APPROVED_SETS_MAX.div_ceil(PART_MAX);
const PREVIOUS_MAX: usize = 50 * 1024;
/// Enough for 10,000 groups; what is longer is left out, and every group read after a restart.
const MEMBERSHIPS_MAX: usize = 250 * 1024;
/// A ledger is never larger.
const LEDGER_MAX: usize = ledger::BYTES_MAX;
/// The two indexes.
const INDEXES_MAX: usize = 4 * 1024;
const _: () = assert!(
    MARKDOWN_MAX + FIRST_PART_MAX + PREVIOUS_MAX + MEMBERSHIPS_MAX + LEDGER_MAX + INDEXES_MAX
        <= 1024 * 1024
);

/// The content of the ConfigMap or Secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanContent {
    text: BTreeMap<String, String>,
    binary: BTreeMap<String, ByteString>,
    /// The parts of the plan in further objects; empty where they are as they were.
    further: Vec<Vec<u8>>,
    /// Identifies what is held, as this plan lists it.
    held_digest: Option<String>,
    /// The parts of what approvals were for, likewise.
    approved: Vec<Vec<u8>>,
    /// When it was written.
    written: Option<Time>,
    /// It was written for another object, which had the name before: it was deleted and made anew, or
    /// came from a backup.
    of_another: bool,
}

/// What belongs to a published plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanIndex {
    /// In how many objects it is, the first one included.
    pub parts: usize,
    /// The SHA-256 of all parts together, in hexadecimal digits.
    pub sha256: String,
    /// The id of the hold where something is held; otherwise the digest of all that is taken away.
    pub digest: String,
    /// How many changes go ahead.
    pub changes: usize,
    /// How many changes are held.
    pub held: usize,
    /// How many changes and problems it lacks, because all objects together had no room for them.
    pub omitted: usize,
    /// Whether the changes that go ahead are made; `false`: only shown.
    pub made: bool,
    /// In how many further objects it is what approvals were for that are being used.
    #[serde(skip_serializing_if = "is_zero")]
    pub approved_parts: usize,
    /// The SHA-256 of these together, in hexadecimal digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub approved_sha256: String,
    /// When a plan was written that isn't the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Time>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl PlanIndex {
    /// Whether there are further objects.
    pub fn has_further(&self) -> bool {
        self.parts > 1 || self.approved_parts > 0
    }

    /// Whether another plan leaves further objects of this one without use.
    pub fn has_more_than(&self, other: &Self) -> bool {
        self.parts > other.parts || self.approved_parts > other.approved_parts
    }
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
    /// Status couldn't be written, and a record that it doesn't name isn't believed later.
    #[error("status, which has to name the record, couldn't be written")]
    Unsealed,
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
    /// The plan, in at most so many bytes, and what a later process needs. `made`: the changes that go
    /// ahead are made, not only shown.
    pub fn new(
        guarded: &GuardedPlan,
        sides: &Sides<'_>,
        (max_bytes, made): (usize, bool),
        memberships: &MembershipCache,
        ledger: &Ledger,
    ) -> Self {
        let document = PlanDocument::of(guarded, sides);
        let options = MarkdownOptions {
            max_bytes: MARKDOWN_MAX,
            members: MARKDOWN_MEMBERS,
        };
        let plan = publish(&document, max_bytes);
        let (first, rest) = plan.bytes.split_at(plan.bytes.len().min(FIRST_PART_MAX));
        let further: Vec<Vec<u8>> = rest.chunks(PART_MAX).map(<[u8]>::to_vec).collect();
        let sets = ledger.approved_sets();
        let approved = match sets.is_empty() {
            true => vec![],
            false => sets.to_bytes(),
        };
        let fits = approved.len() <= APPROVED_PARTS_MAX * PART_MAX;
        let approved = if fits { approved } else { vec![] };
        let approved_sha256 = match approved.is_empty() {
            true => String::new(),
            false => sha256(&approved),
        };
        let approved: Vec<Vec<u8>> = approved.chunks(PART_MAX).map(<[u8]>::to_vec).collect();
        let index = PlanIndex {
            parts: 1 + further.len(),
            approved_parts: approved.len(),
            approved_sha256,
            sha256: sha256(&plan.bytes),
            digest: guarded.digest.0.clone(),
            changes: document.changes(),
            held: document.held(),
            omitted: plan.omitted,
            made,
            written: None,
        };
        let text = [
            (MARKDOWN, markdown(&document, options)),
            (INDEX, json!(index).to_string()),
        ];
        let first = (PLAN.to_owned(), ByteString(first.to_vec()));
        let mut content = Self {
            text: text.map(|(key, text)| (key.to_owned(), text)).into(),
            binary: [first].into(),
            further,
            held_digest: Some(plan.held_digest),
            approved,
            ..Self::default()
        };
        content.remember(memberships, ledger);
        content
    }

    /// What belongs to the plan; `None` where there is none.
    pub fn index(&self) -> Option<PlanIndex> {
        serde_json::from_str(self.text.get(INDEX)?).ok()
    }

    /// Identifies what is held, as this plan lists it; `None` of one that was read.
    pub fn held_digest(&self) -> Option<&str> {
        self.held_digest.as_deref()
    }

    /// Keeps the last plan of which something was made beside this one: `before`, or what was kept beside
    /// that.
    pub fn keep_previous(&mut self, before: &Self) {
        let (Some(new), Some(mut old)) = (self.index(), before.index()) else {
            return;
        };
        let plan = before.binary.get(PLAN).filter(|plan| {
            old.made && old.changes > 0 && old.parts == 1 && plan.0.len() <= PREVIOUS_MAX
        });
        let (index, plan) = match plan {
            Some(plan) if old.sha256 != new.sha256 => {
                old.written.clone_from(&before.written);
                (json!(old).to_string(), plan)
            }
            _ => match (before.text.get(PREVIOUS_INDEX), before.binary.get(PREVIOUS)) {
                (Some(index), Some(plan)) => (index.clone(), plan),
                _ => return,
            },
        };
        self.text.insert(PREVIOUS_INDEX.to_owned(), index);
        self.binary.insert(PREVIOUS.to_owned(), plan.clone());
    }

    /// Leaves the further parts to where they were written.
    pub fn without_further(mut self) -> Self {
        self.further = vec![];
        self.approved = vec![];
        self
    }

    /// Takes out what approvals were for, where it can't be written.
    pub fn without_approved(&mut self) {
        self.approved.clear();
        if let Some(mut index) = self.index() {
            index.approved_parts = 0;
            index.approved_sha256.clear();
            let index = json!(index).to_string();
            self.text.insert(INDEX.to_owned(), index);
        }
    }

    /// Takes the plan out, where not all of it could be moved.
    pub fn without_plan(&mut self) {
        self.text.remove(INDEX);
        self.binary.remove(PLAN);
        self.further.clear();
        self.approved.clear();
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

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The whole plan of its parts, if they make the one that `index` is about.
pub fn whole(index: &PlanIndex, parts: &[Vec<u8>]) -> Option<Vec<u8>> {
    let whole = parts.concat();
    (parts.len() == index.parts && sha256(&whole) == index.sha256).then_some(whole)
}

/// The names of the ConfigMaps or Secrets that have the further parts of a plan: `<name>-plan-2` and so
/// on. Of a made-up index no more than there can be.
pub fn further_names(object: &str, index: &PlanIndex) -> impl Iterator<Item = String> + use<> {
    let first = name(object);
    (2..=index.parts.min(PARTS_MAX)).map(move |part| format!("{first}-{part}"))
}

/// The names of those that have what approvals were for: `<name>-plan-91` and so on. Plans take fewer objects,
/// and where the names of Secrets are limited to those of plans, these are among them.
fn approved_names(object: &str, index: &PlanIndex) -> impl Iterator<Item = String> + use<> {
    let first = name(object);
    let parts = index.approved_parts.min(APPROVED_PARTS_MAX);
    (1..=parts).map(move |part| format!("{first}-{}", APPROVED_PART + part))
}

/// The name of the ConfigMap or Secret beside the object of this name: `<name>-plan`.
pub fn name(name: &str) -> String {
    // With room for the number of a further part.
    companion::name(name, "plan", 250)
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
    let found = read_named(client, object, storage, &name).await?;
    let Some((metadata, mut content)) = found else {
        return Ok(None);
    };
    if content == PlanContent::default() {
        return Ok(None);
    }
    content.written = written(&metadata);
    let uid = object.metadata.uid.as_deref();
    content.of_another = !is_of_this(&metadata, &object.name_any(), uid);
    Ok(Some(content))
}

async fn read_named(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    name: &str,
) -> Result<Option<(ObjectMeta, PlanContent)>, PlanError> {
    let failed = |cause| PlanError::from_api_server(storage, cause);
    let found = match storage {
        PlanStorage::ConfigMap => {
            let found = companion::get::<ConfigMap>(client, object, name).await;
            found.map_err(failed)?.map(|map| {
                check_ours(&map, object, name).map(|()| (map.metadata.clone(), of_config_map(map)))
            })
        }
        PlanStorage::Secret => {
            let found = companion::get::<Secret>(client, object, name).await;
            found.map_err(failed)?.map(|secret| {
                check_ours(&secret, object, name)
                    .map(|()| (secret.metadata.clone(), of_secret(secret)))
            })
        }
    };
    found.transpose()
}

/// When an object was written last.
pub fn written(metadata: &ObjectMeta) -> Option<Time> {
    let entries = metadata.managed_fields.iter().flatten();
    let times = entries.filter_map(|entry| entry.time.clone());
    times.max_by_key(|time| time.0)
}

/// Reads the further parts of a plan, so that they can be written elsewhere.
///
/// # Errors
/// As [`PlanError`]. A part that is gone is empty.
pub async fn read_further(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: &mut PlanContent,
) -> Result<(), PlanError> {
    let index = content.index().unwrap_or_default();
    let mut further = vec![];
    for name in further_names(&object.name_any(), &index) {
        let part = read_named(client, object, storage, &name).await?;
        let part = part.and_then(|(_, mut part)| part.binary.remove(PLAN));
        further.push(part.unwrap_or_default().0);
    }
    content.further = further;
    content.approved = read_parts(client, object, storage, &index).await?;
    Ok(())
}

async fn read_parts(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    index: &PlanIndex,
) -> Result<Vec<Vec<u8>>, PlanError> {
    let mut parts = vec![];
    for name in approved_names(&object.name_any(), index) {
        let part = read_named(client, object, storage, &name).await?;
        let part = part.and_then(|(_, mut part)| part.binary.remove(APPROVED));
        parts.push(part.unwrap_or_default().0);
    }
    Ok(parts)
}

/// Reads what approvals were for that are being used. Where it isn't what was written, there is nothing.
///
/// # Errors
/// As [`PlanError`].
pub async fn read_approved(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    index: &PlanIndex,
) -> Result<ApprovedSets, PlanError> {
    let bytes = match read_parts(client, object, storage, index).await {
        Err(PlanError::Foreign { .. }) => vec![],
        parts => parts?.concat(),
    };
    let is_whole = sha256(&bytes) == index.approved_sha256;
    let sets = is_whole.then(|| ApprovedSets::from_bytes(&bytes).ok());
    Ok(sets.flatten().unwrap_or_default())
}

/// Keys that aren't of a plan are somebody else's, and go nowhere.
fn of_config_map(map: ConfigMap) -> PlanContent {
    let mut content = PlanContent {
        text: map.data.unwrap_or_default(),
        binary: map.binary_data.unwrap_or_default(),
        ..PlanContent::default()
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
    [MARKDOWN, INDEX, PREVIOUS_INDEX].contains(&key)
}

fn is_binary(key: &str) -> bool {
    [MEMBERSHIPS, LEDGER, PLAN, PREVIOUS, APPROVED].contains(&key)
}

/// Whether the further objects hold the parts of this plan: anybody who may write them can have changed
/// them.
///
/// # Errors
/// As [`PlanError`].
pub async fn has_further(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: &PlanContent,
) -> Result<bool, PlanError> {
    let index = content.index().unwrap_or_default();
    let names = further_names(&object.name_any(), &index);
    for (name, expected) in names.zip(&content.further) {
        let part = read_named(client, object, storage, &name).await?;
        let part = part.and_then(|(_, mut part)| part.binary.remove(PLAN));
        if part.is_none_or(|part| part.0 != *expected) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the further parts of the plan.
///
/// # Errors
/// As [`PlanError`].
pub async fn write_further(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: &PlanContent,
) -> Result<(), PlanError> {
    let index = content.index().unwrap_or_default();
    let names = further_names(&object.name_any(), &index);
    let parts = names.zip(&content.further);
    write_parts(client, object, storage, (PLAN, parts)).await
}

/// Writes the parts of what approvals were for.
///
/// # Errors
/// As [`PlanError`].
pub async fn write_approved(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    content: &PlanContent,
) -> Result<(), PlanError> {
    let index = content.index().unwrap_or_default();
    let names = approved_names(&object.name_any(), &index);
    let parts = names.zip(&content.approved);
    write_parts(client, object, storage, (APPROVED, parts)).await
}

/// Writes each part under its name and this key.
async fn write_parts<'p>(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    (key, parts): (&str, impl Iterator<Item = (String, &'p Vec<u8>)>),
) -> Result<(), PlanError> {
    for (name, part) in parts {
        let part = PlanContent {
            binary: [(key.to_owned(), ByteString(part.clone()))].into(),
            ..PlanContent::default()
        };
        write_named(client, object, storage, (&name, &part), None).await?;
    }
    Ok(())
}

/// Writes the first object in place of what was there; the resource version that it has now.
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
    write_named(client, object, storage, (&name, content), version).await
}

async fn write_named(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    (name, content): (&str, &PlanContent),
    version: Option<&str>,
) -> Result<Option<String>, PlanError> {
    let content = Content {
        text: content.text.clone(),
        binary: content.binary.clone(),
    };
    let content = (name, content);
    match storage {
        PlanStorage::ConfigMap => apply::<ConfigMap>(client, object, content, version).await,
        PlanStorage::Secret => apply::<Secret>(client, object, content, version).await,
    }
}

async fn apply<K: Companion>(
    client: &Client,
    object: &DirectorySync,
    (name, content): (&str, Content),
    version: Option<&str>,
) -> Result<Option<String>, PlanError> {
    let failed = |cause| PlanError::from_api_server(K::STORAGE, cause);
    // Of a version that we wrote it is known whose it is.
    if version.is_none() {
        let found = companion::get::<K>(client, object, name).await;
        if let Some(found) = found.map_err(failed)? {
            check_ours(&found, object, name)?;
        }
    }
    let version = version.map(str::to_owned);
    let applied = companion::apply::<K>(client, object, (name, content), version).await;
    Ok(applied.map_err(failed)?.resource_version())
}

/// Empties the objects of this kind, where there are any of ours: all of a plan of so many parts. They
/// aren't deleted: that would need a right to delete any ConfigMap or Secret.
///
/// # Errors
/// As [`PlanError`].
pub async fn clear(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    index: &PlanIndex,
) -> Result<(), PlanError> {
    let first = name(&object.name_any());
    let further = further_names(&object.name_any(), index);
    let approved = approved_names(&object.name_any(), index);
    for name in further.chain(approved).chain([first]) {
        clear_named(client, object, storage, &name).await?;
    }
    Ok(())
}

/// Empties the further objects that held parts of the plan `before` and hold none of the one that is
/// there `now`.
///
/// # Errors
/// As [`PlanError`].
pub async fn clear_surplus(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    (before, now): (&PlanIndex, &PlanIndex),
) -> Result<(), PlanError> {
    let surplus = further_names(&object.name_any(), before).skip(now.parts.saturating_sub(1));
    let approved = approved_names(&object.name_any(), before).skip(now.approved_parts);
    for name in surplus.chain(approved) {
        clear_named(client, object, storage, &name).await?;
    }
    Ok(())
}

async fn clear_named(
    client: &Client,
    object: &DirectorySync,
    storage: PlanStorage,
    name: &str,
) -> Result<(), PlanError> {
    match storage {
        PlanStorage::ConfigMap => clear_one::<ConfigMap>(client, object, name).await,
        PlanStorage::Secret => clear_one::<Secret>(client, object, name).await,
    }
}

async fn clear_one<K: Companion>(
    client: &Client,
    object: &DirectorySync,
    name: &str,
) -> Result<(), PlanError> {
    let failed = |cause| PlanError::from_api_server(K::STORAGE, cause);
    let found = companion::get::<K>(client, object, name).await;
    let Some(found) = found.map_err(failed)? else {
        return Ok(());
    };
    check_ours(&found, object, name)?;
    let version = found.meta().resource_version.as_deref();
    let emptied = companion::empty::<K>(client, object, name, version).await;
    emptied.map_err(failed)
}

fn check_ours<K: Companion>(
    found: &K,
    object: &DirectorySync,
    name: &str,
) -> Result<(), PlanError> {
    if companion::is_ours(found, &object.name_any()) {
        return Ok(());
    }
    Err(PlanError::Foreign {
        storage: K::STORAGE,
        name: name.to_owned(),
    })
}
