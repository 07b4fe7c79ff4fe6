//! The record of claims that operators share: one Lease for each organization, with who manages
//! what in it as an annotation.
//!
//! Several operators may share out resources by label or namespace and don't see each other's. They
//! agree through Leases in one namespace, which is the one of the leader election's Lease. Each
//! write names the version that it follows, so of two operators that claim at once one is told to
//! read again. Operators in different namespaces or clusters can't see each other's claims.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::FIELD_MANAGER;
use super::claims::{Claim, overlap};
use super::timeout::{ApiServerError, with_timeout};
use crate::api::DirectorySync;
use crate::telemetry::Object;

/// The annotation with the claims, as JSON.
const CLAIMS: &str = "directorysync.dev/claims";
/// How often a write is tried while other operators write the same Lease.
const ATTEMPTS: u32 = 10;

/// Leases of claims in one namespace.
#[derive(Clone)]
pub struct ClaimLeases {
    client: Client,
    namespace: String,
}

/// Why a claim isn't recorded.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another object, of another operator, manages these members.
    #[error("{0} manages the organization")]
    OwnedBy(Object),
    /// The Lease can't be read or written.
    #[error("the Lease that records who manages the organization: {0}")]
    ApiServer(#[from] ApiServerError),
    /// Other operators write it all the time.
    #[error(
        "the Lease {0} that records who manages the organization was changed by others at each of \
         {ATTEMPTS} tries"
    )]
    Contended(String),
}

/// One object's claim, as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    namespace: String,
    name: String,
    uid: String,
    #[serde(default)]
    external_id_prefix: String,
}

impl ClaimLeases {
    /// The Leases in this namespace.
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// Records `claim`, unless another object's is there. That of an object that doesn't exist any
    /// more is replaced.
    ///
    /// # Errors
    /// [`ClaimError`]; then it isn't recorded, or not known to be.
    pub async fn record(&self, claim: &Claim) -> Result<(), ClaimError> {
        let name = lease_name(claim.organization);
        let ours = Recorded::of(claim);
        for attempt in 0..ATTEMPTS {
            let found = with_timeout(self.leases().get_opt(&name)).await?;
            let mut claims = found.as_ref().map(recorded).unwrap_or_default();
            if claims.contains(&ours) {
                return Ok(());
            }
            claims.retain(|other| other.uid != ours.uid);
            let conflicting = claims
                .iter()
                .filter(|other| overlap(&other.external_id_prefix, &ours.external_id_prefix));
            let mut gone = Vec::new();
            for other in conflicting {
                if self.exists(other).await? {
                    return Err(ClaimError::OwnedBy(other.object()));
                }
                gone.push(other.uid.clone());
            }
            claims.retain(|other| !gone.contains(&other.uid));
            claims.push(ours.clone());
            if self.write(&name, found, &claims).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt + 1))).await;
        }
        Err(ClaimError::Contended(name))
    }

    /// Removes `claim`, where it is recorded.
    ///
    /// # Errors
    /// When the Lease can't be read or written. Then the record stays until another object claims
    /// the organization and finds that this one doesn't exist any more.
    pub async fn release(&self, claim: &Claim) -> Result<(), ClaimError> {
        let name = lease_name(claim.organization);
        for _ in 0..ATTEMPTS {
            let Some(found) = with_timeout(self.leases().get_opt(&name)).await? else {
                return Ok(());
            };
            let mut claims = recorded(&found);
            let before = claims.len();
            claims.retain(|other| *other != Recorded::of(claim));
            if claims.len() == before {
                return Ok(());
            }
            let done = match claims.is_empty() {
                true => self.delete(&name, found).await?,
                false => self.write(&name, Some(found), &claims).await?,
            };
            if done {
                return Ok(());
            }
        }
        Err(ClaimError::Contended(name))
    }

    /// Deletes a Lease whose last claim is released: whoever makes resources for one organization after
    /// another leaves nothing behind. False where somebody else was faster.
    async fn delete(&self, name: &str, found: Lease) -> Result<bool, ApiServerError> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                resource_version: found.resource_version(),
                uid: found.uid(),
            }),
            ..DeleteParams::default()
        };
        match with_timeout(self.leases().delete(name, &parameters)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_gone() => Ok(false),
            // With the rights of an older chart it stays, and is empty.
            Err(error) if error.is_refused() => {
                tracing::warn!(%error, lease = name, "an empty Lease stays");
                self.write(name, Some(found), &[]).await
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the claims in place of what was found; false where somebody else was faster.
    async fn write(
        &self,
        name: &str,
        found: Option<Lease>,
        claims: &[Recorded],
    ) -> Result<bool, ApiServerError> {
        let parameters = PostParams::default();
        let leases = self.leases();
        let text = serde_json::to_string(claims).unwrap_or_default();
        let holder = claims.first().map(|claim| claim.object().to_string());
        let is_new = found.is_none();
        let mut lease = found.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(
                    [("app.kubernetes.io/managed-by".into(), FIELD_MANAGER.into())].into(),
                ),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        lease.annotations_mut().insert(CLAIMS.to_owned(), text);
        // For people who list Leases; what counts is the annotation.
        lease
            .spec
            .get_or_insert_with(LeaseSpec::default)
            .holder_identity = holder;
        let written = match is_new {
            true => with_timeout(leases.create(&parameters, &lease)).await,
            false => with_timeout(leases.replace(name, &parameters, &lease)).await,
        };
        match written {
            Ok(_) => Ok(true),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the object that made a claim exists still. Where that can't be seen, it is believed
    /// to.
    async fn exists(&self, claim: &Recorded) -> Result<bool, ApiServerError> {
        let objects: Api<kube::core::PartialObjectMeta<DirectorySync>> =
            Api::namespaced(self.client.clone(), &claim.namespace);
        let of_that_name = ListParams::default().fields(&format!("metadata.name={}", claim.name));
        match with_timeout(objects.list_metadata(&of_that_name)).await {
            Ok(found) => {
                let uid = Some(claim.uid.as_str());
                Ok(found
                    .items
                    .iter()
                    .any(|object| object.metadata.uid.as_deref() == uid))
            }
            Err(error) if error.is_refused() => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

impl Recorded {
    fn of(claim: &Claim) -> Self {
        Self {
            namespace: claim.object.namespace.to_string(),
            name: claim.object.name.to_string(),
            uid: claim.uid.clone(),
            external_id_prefix: claim.prefix.clone(),
        }
    }

    fn object(&self) -> Object {
        Object::new(&*self.namespace, &*self.name)
    }
}

/// The name of an organization's Lease.
fn lease_name(organization: Uuid) -> String {
    format!("directory-sync-organization-{organization}")
}

/// The claims in a Lease. What can't be parsed, because somebody edited it, counts as none.
fn recorded(lease: &Lease) -> Vec<Recorded> {
    let text = lease.annotations().get(CLAIMS);
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
