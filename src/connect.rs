//! From a valid spec and what its Secrets hold to clients of both sides.
//!
//! The controller and the command line connect here, and only here.

use std::sync::Arc;

use crate::api::conditions::Blocker;
use crate::api::validation::{ReferencedData, Unresolved, ValidatedSpec, both};
use crate::fault::FaultKind;
use crate::http::{Observer, Unobserved};
use crate::organization::{OrganizationClient, OrganizationError};
use crate::source::{self, Source, SourceError};

/// Clients of both sides, ready to be used.
pub struct Connections {
    /// The directory.
    pub source: Box<dyn Source>,
    /// The organization.
    pub organization: OrganizationClient,
}

/// Who is told about each request.
#[derive(Debug, Clone)]
pub struct Observers {
    /// About requests to the directory.
    pub directory: Arc<dyn Observer>,
    /// About requests to the organization.
    pub organization: Arc<dyn Observer>,
}

impl Default for Observers {
    /// Nobody is told.
    fn default() -> Self {
        Self {
            directory: Arc::new(Unobserved),
            organization: Arc::new(Unobserved),
        }
    }
}

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A Secret or ConfigMap is missing, or holds something that can't be used.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    /// The directory's settings can't work.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The organization's settings can't work.
    #[error(transparent)]
    Organization(#[from] OrganizationError),
}

impl ConnectError {
    /// The reason that conditions and events give.
    pub fn blocker(&self) -> Blocker {
        match self {
            Self::Unresolved(unresolved) => unresolved.blocker(),
            Self::Organization(_) => Blocker::InvalidReference,
            Self::Source(error) => match error.kind {
                FaultKind::Configuration => Blocker::InvalidSpec,
                FaultKind::Transient { .. } | FaultKind::Incomplete => Blocker::SourceRefused,
            },
        }
    }
}

/// Makes the clients of both sides. Sends nothing yet.
///
/// # Errors
/// [`ConnectError`], with what to do about it.
pub fn connect(
    spec: &ValidatedSpec,
    data: &ReferencedData,
    observers: Observers,
) -> Result<Connections, ConnectError> {
    let organization = spec.organization.settings(data);
    // What is missing of both sides is told together.
    let source = match spec.source.connect(data, observers.directory) {
        Err(source::ConnectError::References(unresolved)) => Err(unresolved),
        Err(source::ConnectError::Source(error)) => Ok(Err(error)),
        Ok(source) => Ok(Ok(source)),
    };
    let (mut organization, source) = both(organization, source)?;
    organization.observer = observers.organization;
    Ok(Connections {
        source: source?,
        organization: OrganizationClient::new(organization)?,
    })
}
