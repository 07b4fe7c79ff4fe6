//! ConfigMaps and Secrets that the operator keeps beside a resource: its plan, its history, answers.
//!
//! Each of them names the resource as its owner. One of the same name that doesn't is somebody else's, and
//! is left alone.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::FIELD_MANAGER;
use super::timeout::{ApiServerError, with_timeout};
use crate::api::DirectorySync;
use crate::api::spec::PlanStorage;

/// The type of the Secrets. A Secret of another type is never written: the type can't be changed, and an
/// admission policy can allow the operator this one alone.
pub const SECRET_TYPE: &str = "directorysync.dev/plan";

/// What such an object holds, by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// Texts.
    pub text: BTreeMap<String, String>,
    /// Everything else.
    pub binary: BTreeMap<String, ByteString>,
}

/// A kind of such objects.
pub trait Companion:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
{
    /// The kind.
    const STORAGE: PlanStorage;

    /// Whether it is of the type that the operator writes.
    fn has_our_type(&self) -> bool;

    /// An object with this content.
    fn with(metadata: ObjectMeta, content: Content) -> Self;

    /// Takes out the text under a key.
    fn take_text(&mut self, key: &str) -> Option<String>;

    /// Takes out what is under a key and no text.
    fn take_binary(&mut self, key: &str) -> Option<Vec<u8>>;
}

impl Companion for ConfigMap {
    const STORAGE: PlanStorage = PlanStorage::ConfigMap;

    fn has_our_type(&self) -> bool {
        true
    }

    fn with(metadata: ObjectMeta, content: Content) -> Self {
        Self {
            metadata,
            data: Some(content.text).filter(|text| !text.is_empty()),
            binary_data: Some(content.binary).filter(|binary| !binary.is_empty()),
            immutable: None,
        }
    }

    fn take_text(&mut self, key: &str) -> Option<String> {
        self.data.as_mut()?.remove(key)
    }

    fn take_binary(&mut self, key: &str) -> Option<Vec<u8>> {
        Some(self.binary_data.as_mut()?.remove(key)?.0)
    }
}

impl Companion for Secret {
    const STORAGE: PlanStorage = PlanStorage::Secret;

    fn has_our_type(&self) -> bool {
        self.type_.as_deref() == Some(SECRET_TYPE)
    }

    fn with(metadata: ObjectMeta, content: Content) -> Self {
        let text = content.text.into_iter();
        let text = text.map(|(key, text)| (key, ByteString(text.into_bytes())));
        Self {
            metadata,
            data: Some(text.chain(content.binary).collect()),
            type_: Some(SECRET_TYPE.into()),
            ..Self::default()
        }
    }

    // A Secret doesn't tell text from other data; the key does.
    fn take_text(&mut self, key: &str) -> Option<String> {
        let bytes = self.take_binary(key)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn take_binary(&mut self, key: &str) -> Option<Vec<u8>> {
        Some(self.data.as_mut()?.remove(key)?.0)
    }
}

/// `<object>-<suffix>`, or, where that has more than `max` characters, a shorter name that no other object has.
pub fn name(object: &str, suffix: &str, max: usize) -> String {
    let whole = format!("{object}-{suffix}");
    if whole.len() <= max {
        return whole;
    }
    // Names of objects are ASCII.
    let digest = Sha256::digest(object.as_bytes());
    let suffix = format!("-{}-{suffix}", HEXLOWER.encode(&digest[..4]));
    format!("{}{suffix}", &object[..max - suffix.len()])
}

/// The one of this name, where there is one.
///
/// # Errors
/// What the API server answered.
pub async fn get<K: Companion>(
    client: &Client,
    object: &DirectorySync,
    name: &str,
) -> Result<Option<K>, ApiServerError> {
    with_timeout(api(client, object).get_opt(name)).await
}

/// Writes it in place of what was there; `version`: unless somebody has written since.
///
/// # Errors
/// What the API server answered.
pub async fn apply<K: Companion>(
    client: &Client,
    object: &DirectorySync,
    (name, content): (&str, Content),
    version: Option<String>,
) -> Result<K, ApiServerError> {
    let owner = OwnerReference {
        // Deleting the owner needs no leave of this object.
        block_owner_deletion: None,
        controller: Some(true),
        ..object.owner_ref(&()).unwrap_or_default()
    };
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some([("app.kubernetes.io/managed-by".into(), FIELD_MANAGER.into())].into()),
        owner_references: Some(vec![owner]),
        resource_version: version,
        ..ObjectMeta::default()
    };
    let applied = Patch::Apply(K::with(metadata, content));
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let api: Api<K> = api(client, object);
    with_timeout(api.patch(name, &parameters, &applied)).await
}

/// Empties one that was found. It isn't deleted: that would need a right to delete any ConfigMap or
/// Secret.
///
/// # Errors
/// What the API server answered; also where the object has become another's meanwhile.
pub async fn empty<K: Companion>(
    client: &Client,
    object: &DirectorySync,
    name: &str,
    version: Option<&str>,
) -> Result<(), ApiServerError> {
    // Not applied: that would leave what another field manager (a backup's) owns, too. The version
    // makes it fail if the object has become another's meanwhile.
    let patch = json!({
        "metadata": {"resourceVersion": version}, "data": null, "binaryData": null,
    });
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let api: Api<K> = api(client, object);
    with_timeout(api.patch(name, &parameters, &Patch::Merge(patch))).await?;
    Ok(())
}

fn api<K: Companion>(client: &Client, object: &DirectorySync) -> Api<K> {
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}

/// Whether the operator wrote it for the object of this name, or for one that had it before.
pub fn is_ours<K: Companion>(found: &K, object: &str) -> bool {
    found.has_our_type() && is_of(found.meta(), object)
}

/// Whether it names the object of this name, or one that had it before, as its owner.
pub fn is_of(found: &ObjectMeta, object: &str) -> bool {
    owners(found, object).next().is_some()
}

/// Whether it is of the object of this name and uid itself, not of one that had the name before.
pub fn is_of_this(found: &ObjectMeta, object: &str, uid: Option<&str>) -> bool {
    owners(found, object).any(|owner| Some(&*owner.uid) == uid)
}

fn owners<'a>(found: &'a ObjectMeta, object: &'a str) -> impl Iterator<Item = &'a OwnerReference> {
    let owners = found.owner_references.iter().flatten();
    owners.filter(move |owner| {
        let group = owner.api_version.split('/').next();
        group == Some(&DirectorySync::group(&()))
            && owner.kind == DirectorySync::kind(&())
            && owner.name == object
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_an_object_may_have_and_of_one_resource() {
        assert_eq!(name("staff", "history", 253), "staff-history");
        let (a, b) = (
            format!("{}a", "x".repeat(252)),
            format!("{}b", "x".repeat(252)),
        );
        for long in [&a, &b] {
            assert_eq!(name(long, "history", 253).len(), 253);
        }
        assert_ne!(name(&a, "history", 253), name(&b, "history", 253));
    }

    #[test]
    fn an_object_is_of_the_resource_with_its_uid_alone() {
        let owner = OwnerReference {
            api_version: DirectorySync::api_version(&()).into(),
            kind: DirectorySync::kind(&()).into(),
            name: "staff".into(),
            uid: "1".into(),
            ..OwnerReference::default()
        };
        let found = ObjectMeta {
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        assert!(is_of_this(&found, "staff", Some("1")));
        for (name, uid) in [("staff", Some("2")), ("staff", None), ("other", Some("1"))] {
            assert!(!is_of_this(&found, name, uid), "{name} {uid:?}");
        }
        assert!(is_of(&found, "staff") && !is_of(&found, "other"));
    }
}
