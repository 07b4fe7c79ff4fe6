//! From a spec to clients of both sides.

use std::sync::Arc;

use kube::ResourceExt;

use super::context::Context;
use super::identity::NamespaceIdentities;
use super::references::{self, Versions};
use super::state::{Blocked, Connected, Prepared};
use super::timeout::ApiServerError;
use crate::api::DirectorySync;
use crate::api::conditions::Blocker;
use crate::connect::{Connections, Observers, connect};
use crate::source::SourceEnvironment;
use crate::telemetry::{Object, RequestSide};
use crate::text::sanitize;
use crate::validation::ValidatedSpec;

/// Prepares `object` anew where its spec or what it refers to isn't as it was `before`.
///
/// # Errors
/// When the API server can't be asked for what the spec refers to.
pub async fn prepare(
    context: &Context,
    object: &DirectorySync,
    before: Option<Prepared>,
) -> Result<Prepared, (ApiServerError, Option<Prepared>)> {
    let Context {
        client, metrics, ..
    } = context;
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
                connected: Err(blocked),
            });
        }
    };
    let hosts = [spec.organization.hosts(), spec.source.hosts()].concat();
    if let Some(host) = context.resources.hosts.denied(&namespace, &hosts) {
        let blocked = Blocked {
            blocker: Blocker::InvalidSpec,
            message: format!(
                "resources in namespace {namespace:?} may not name {}: its host isn't among those \
                 that are allowed there; whoever runs the operator can add it (--namespace-hosts)",
                sanitize(host)
            ),
        };
        return Ok(Prepared {
            generation,
            versions: Versions::new(),
            fingerprint: Default::default(),
            connected: Err(blocked),
        });
    }
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
    let environment = SourceEnvironment {
        urls: context.resources.vendor_urls.clone(),
        kept: Arc::clone(&context.resources.kept),
        identities: Arc::new(NamespaceIdentities {
            client: client.clone(),
            may_use_own: context.resources.own_identity.contains(&namespace),
            namespace: namespace.clone(),
        }),
    };
    let object = Object::new(namespace, object.name_any());
    let observers = Observers {
        directory: metrics.observer(&object, RequestSide::Directory),
        organization: metrics.observer(&object, RequestSide::Organization),
    };
    let connected = match connect(&spec, &fetched.data, observers, &environment) {
        Ok(Connections {
            source,
            organization,
        }) => Ok(Connected {
            spec,
            source: source.into(),
            organization,
        }),
        Err(error) => Err(Blocked {
            blocker: error.blocker(),
            message: error.to_string(),
        }),
    };
    Ok(Prepared {
        generation,
        connected,
        versions: fetched.versions,
        fingerprint: fetched.fingerprint,
    })
}
