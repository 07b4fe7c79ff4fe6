//! From a spec to both sides, ready to be used.

use std::sync::Arc;

use kube::{Client, ResourceExt};

use super::memory::{Blocked, Prepared, Remote};
use super::patience::NoAnswer;
use super::references::{self, Fetched, Versions};
use crate::api::DirectorySync;
use crate::api::conditions::Blocker;
use crate::api::validation::ValidatedSpec;
use crate::fault::FaultKind;
use crate::http::Observer;
use crate::organization::OrganizationClient;
use crate::telemetry::{Metrics, Object, RequestSide};

/// Prepares `object` anew where its spec or what it refers to isn't as it was `before`.
///
/// # Errors
/// When the API server can't be asked for what the spec refers to.
pub async fn prepare(
    client: &Client,
    metrics: &Metrics,
    object: &DirectorySync,
    before: Option<Prepared>,
) -> Result<Prepared, (NoAnswer, Option<Prepared>)> {
    let generation = object.metadata.generation.unwrap_or_default();
    let namespace = object.namespace().unwrap_or_default();
    let before = match before {
        Some(before) if before.generation == generation => {
            let versions = references::versions(client, &namespace, before.versions.keys()).await;
            match versions {
                Ok(versions) if versions == before.versions => return Ok(before),
                Ok(_) => Some(before),
                // What is known goes on being used; the next look comes soon.
                Err(error) => {
                    tracing::debug!(%error, "couldn't look for changed Secrets and ConfigMaps");
                    return Ok(before);
                }
            }
        }
        _ => None,
    };
    let spec = match ValidatedSpec::from_spec(&object.spec) {
        Ok(spec) => spec,
        Err(invalid) => {
            let blocked = Blocked {
                blocker: invalid.blocker(),
                message: invalid.to_string(),
            };
            return Ok(Prepared {
                generation,
                versions: Versions::new(),
                fingerprint: Default::default(),
                remote: Err(blocked),
            });
        }
    };
    let fetched = match references::fetch(client, &namespace, &spec.references()).await {
        Ok(fetched) => fetched,
        Err(error) => return Err((error, before)),
    };
    if let Some(before) = before
        && before.fingerprint == fetched.fingerprint
    {
        return Ok(Prepared {
            versions: fetched.versions,
            ..before
        });
    }
    let object = Object::new(namespace, object.name_any());
    let observers = [RequestSide::Directory, RequestSide::Organization]
        .map(|side| -> Arc<dyn Observer> { metrics.observer(&object, side) });
    Ok(Prepared {
        generation,
        remote: remote(spec, &fetched, observers),
        versions: fetched.versions,
        fingerprint: fetched.fingerprint,
    })
}

fn remote(
    spec: ValidatedSpec,
    fetched: &Fetched,
    [directory, organization]: [Arc<dyn Observer>; 2],
) -> Result<Remote, Blocked> {
    let mut resolved = spec.resolve(&fetched.data).map_err(|unresolved| Blocked {
        blocker: unresolved.blocker(),
        message: unresolved.to_string(),
    })?;
    resolved.source.observed_by(directory);
    resolved.organization.observer = organization;
    let organization = OrganizationClient::new(resolved.organization).map_err(|error| Blocked {
        blocker: Blocker::InvalidReference,
        message: error.to_string(),
    })?;
    let source = resolved.source.connect().map_err(|error| Blocked {
        blocker: match error.kind {
            FaultKind::Configuration => Blocker::InvalidSpec,
            FaultKind::Transient { .. } | FaultKind::Incomplete => Blocker::SourceRefused,
        },
        message: error.to_string(),
    })?;
    Ok(Remote {
        spec,
        source,
        organization,
    })
}
