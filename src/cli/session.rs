//! One resource with both its sides, ready to run.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::manifests::{ManifestError, Manifests, Values, object_of};
use crate::api::DirectorySync;
use crate::api::spec::Mode;
use crate::checks::InvalidSpec;
use crate::connect::{ConnectError, Connections, Observers, connect, connect_organization};
use crate::http::{Expiry, Unobserved};
use crate::organization::{OrganizationClient, OrganizationError};
use crate::references::{Kind, Reference, ReferencedData, Referent, Unresolved};
use crate::schedule::Schedule;
use crate::source::{Source, SourceError};
use crate::sync::policy::Policy;
use crate::telemetry::Object;
use crate::validation::ValidatedSpec;

/// One resource with both its sides, ready to run.
pub struct Session {
    /// The namespace and name of the resource.
    pub object: Object,
    /// Its author wants nothing done.
    pub suspended: bool,
    /// Whether its author wants changes made.
    pub mode: Mode,
    /// When its runs are due.
    pub schedule: Schedule,
    /// The filters and limits of its spec.
    pub policy: Policy,
    /// Reads the directory.
    pub source: Box<dyn Source>,
    /// Reads and changes the organization.
    pub organization: OrganizationClient,
}

/// Why a resource can't be run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The spec isn't valid.
    #[error("the spec can't be followed: {0}")]
    Spec(#[from] InvalidSpec),
    /// Secrets or ConfigMaps that the spec names are missing or incomplete.
    #[error("{}", with_places(.0))]
    References(#[from] Unresolved),
    /// A file of the secret directory.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// The directory's settings can't be used.
    #[error("the source can't be used: {0}")]
    Source(#[from] SourceError),
    /// The organization's settings can't be used.
    #[error("the organization can't be used: {0}")]
    Organization(#[from] OrganizationError),
}

/// What is missing, and where it was looked for.
fn with_places(unresolved: &Unresolved) -> String {
    let places = match unresolved.kinds().any(|kind| kind == Kind::ConfigMap) {
        true => "the manifests, Secrets in --secret-dir, too",
        false => "the manifests and in --secret-dir",
    };
    format!("{unresolved} (looked for in {places})")
}

impl From<ConnectError> for SessionError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unresolved(unresolved) => unresolved.into(),
            ConnectError::Source(error) => error.into(),
            ConnectError::Organization(error) => error.into(),
        }
    }
}

impl Session {
    /// Puts a resource together with what it refers to. Connects to nothing yet.
    pub fn open(resource: &DirectorySync, manifests: &Manifests) -> Result<Self, SessionError> {
        let object = object_of(resource);
        let spec = ValidatedSpec::from_spec(&resource.spec)?;
        let data = referenced(&object, &spec.references(), manifests)?;
        let Connections {
            source,
            organization,
        } = connect(&spec, &data, Observers::default(), manifests.environment())?;
        Ok(Self {
            suspended: spec.suspended,
            mode: spec.mode,
            source,
            organization,
            schedule: spec.schedule,
            policy: spec.policy,
            object,
        })
    }

    /// The client of a resource's organization, also where what its directory needs is missing. Connects to nothing
    /// yet.
    pub fn open_organization(
        resource: &DirectorySync,
        manifests: &Manifests,
    ) -> Result<OrganizationClient, SessionError> {
        let object = object_of(resource);
        let spec = ValidatedSpec::from_spec(&resource.spec)?;
        let data = referenced(&object, &spec.references(), manifests)?;
        Ok(connect_organization(&spec, &data, Arc::new(Unobserved))?)
    }

    /// When certificates and other credentials of both sides end, as far as that is known.
    pub fn expiries(&self) -> Vec<Expiry> {
        let directory = self.source.expiries();
        directory
            .into_iter()
            .chain(self.organization.expiries())
            .collect()
    }

    /// Logs a warning for each that ends soon: nobody looks at a status here.
    pub fn warn_of_expiries(&self) {
        let now = Timestamp::now();
        for expiry in self.expiries().iter().filter(|one| one.is_near(now)) {
            let object = &self.object;
            tracing::warn!(%object, "{}", expiry.describe());
        }
    }
}

fn referenced(
    object: &Object,
    references: &[Reference],
    manifests: &Manifests,
) -> Result<ReferencedData, ManifestError> {
    let mut data = ReferencedData::of_namespace(&*object.namespace);
    for Reference { to, .. } in references {
        let values = match to.kind {
            Kind::Secret => manifests.secret(&object.namespace, &to.name)?,
            Kind::ConfigMap => manifests.config_map(&object.namespace, &to.name).cloned(),
        };
        if let Some(values) = values {
            add(&mut data, to, &values);
        }
    }
    Ok(data)
}

fn add(data: &mut ReferencedData, to: &Referent, values: &Values) {
    let values = values
        .iter()
        .map(|(key, value)| (key.clone(), value.expose_secret().to_vec()));
    data.add(to.clone(), values);
}
