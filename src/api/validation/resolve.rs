//! What Secrets and ConfigMaps hold, put into the settings.

use std::fmt;
use std::sync::Arc;

use super::references::{KeyOf, Kind, ReferencedData, Referent};
use super::{ValidatedSource, ValidatedSpec};
use crate::api::conditions::Blocker;
use crate::http::Observer;
use crate::organization;
use crate::source::active_directory::{ActiveDirectorySettings, ActiveDirectorySource};
use crate::source::entra_id::{EntraIdSettings, EntraIdSource};
use crate::source::google_workspace::{GoogleWorkspaceSettings, GoogleWorkspaceSource};
use crate::source::ldap::{LdapSettings, LdapSource};
use crate::source::okta::{OktaSettings, OktaSource};
use crate::source::one_login::{OneLoginSettings, OneLoginSource};
use crate::source::{Source, SourceError};

/// Settings with everything needed to connect to both sides.
#[derive(Debug)]
pub struct Resolved {
    /// The organization. Its observer and limit are the usual ones; whoever runs it sets its own.
    pub organization: organization::Settings,
    /// The directory.
    pub source: ResolvedSource,
}

/// A directory's settings with everything needed to connect.
#[derive(Debug)]
pub enum ResolvedSource {
    /// An LDAP directory.
    Ldap(Box<LdapSettings>),
    /// A Microsoft Entra ID tenant.
    EntraId(Box<EntraIdSettings>),
    /// A Google Workspace customer.
    GoogleWorkspace(Box<GoogleWorkspaceSettings>),
    /// An Okta organization.
    Okta(Box<OktaSettings>),
    /// A OneLogin account.
    OneLogin(Box<OneLoginSettings>),
    /// An Active Directory domain.
    ActiveDirectory(Box<ActiveDirectorySettings>),
}

impl ResolvedSource {
    /// Has `observer` told about each request.
    pub fn observed_by(&mut self, observer: Arc<dyn Observer>) {
        match self {
            Self::Ldap(settings) => settings.observer = observer,
            Self::ActiveDirectory(settings) => settings.observer = observer,
            Self::EntraId(settings) => settings.observer = observer,
            Self::GoogleWorkspace(settings) => settings.observer = observer,
            Self::Okta(settings) => settings.observer = observer,
            Self::OneLogin(settings) => settings.observer = observer,
        }
    }

    /// The directory, ready to be read. Connects to nothing yet.
    ///
    /// # Errors
    /// When the settings can't work, whatever the directory says.
    pub fn connect(self) -> Result<Box<dyn Source>, SourceError> {
        match self {
            Self::Ldap(settings) => Ok(Box::new(LdapSource::new(*settings)?)),
            Self::EntraId(settings) => Ok(Box::new(EntraIdSource::new(*settings)?)),
            Self::GoogleWorkspace(settings) => Ok(Box::new(GoogleWorkspaceSource::new(*settings)?)),
            Self::Okta(settings) => Ok(Box::new(OktaSource::new(*settings)?)),
            Self::OneLogin(settings) => Ok(Box::new(OneLoginSource::new(*settings)?)),
            Self::ActiveDirectory(settings) => Ok(Box::new(ActiveDirectorySource::new(*settings)?)),
        }
    }
}

/// Everything that keeps a spec from being followed although it is valid itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unresolved(
    /// At least one.
    pub Vec<UnresolvedReason>,
);

/// One thing that keeps a spec from being followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnresolvedReason {
    /// A Secret or ConfigMap isn't there, or lacks a key.
    Missing {
        /// The object.
        referent: Referent,
        /// Where it should be.
        namespace: String,
        /// The keys it should have and hasn't.
        keys: Vec<String>,
        /// Whether only the keys are missing.
        object_is_there: bool,
    },
    /// What is there can't be used.
    Unusable {
        /// The object.
        referent: Referent,
        /// The key.
        key: String,
        /// What is wrong, without the value.
        why: String,
    },
}

impl UnresolvedReason {
    pub(super) fn unusable(key: &KeyOf, why: &str) -> Self {
        Self::Unusable {
            referent: key.referent.clone(),
            key: key.key.clone(),
            why: why.to_owned(),
        }
    }

    fn blocker(&self) -> Blocker {
        match self {
            Self::Missing { .. } => Blocker::ReferenceNotFound,
            Self::Unusable { .. } => Blocker::InvalidReference,
        }
    }
}

impl Unresolved {
    /// The reason that conditions and events give: what is missing comes before what can't be used.
    pub fn blocker(&self) -> Blocker {
        let mut reasons = self.0.iter().map(UnresolvedReason::blocker);
        reasons
            .find(|reason| *reason == Blocker::ReferenceNotFound)
            .unwrap_or(Blocker::InvalidReference)
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for UnresolvedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing {
                referent,
                namespace,
                keys,
                object_is_there: false,
            } => {
                let command = match referent.kind {
                    Kind::Secret => "secret generic",
                    Kind::ConfigMap => "configmap",
                };
                write!(
                    f,
                    "{referent} isn't in namespace {namespace:?}; create it: \
                     kubectl -n {namespace} create {command} {}",
                    referent.name
                )?;
                keys.iter()
                    .try_for_each(|key| write!(f, " --from-file={key}=FILE"))
            }
            Self::Missing { referent, keys, .. } => write!(
                f,
                "{referent} has no key {}; add it, or name another key in the spec",
                keys.iter()
                    .map(|key| format!("{key:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            Self::Unusable { referent, key, why } => {
                write!(f, "{referent}, key {key:?}: {why}")
            }
        }
    }
}

pub(super) fn resolve(spec: &ValidatedSpec, data: &ReferencedData) -> Result<Resolved, Unresolved> {
    let mut problems = vec![];
    let organization = spec.organization.resolve(data, &mut problems);
    let source = match &spec.source {
        ValidatedSource::Ldap(ldap) => ldap
            .resolve(data, &mut problems)
            .map(|settings| ResolvedSource::Ldap(Box::new(settings))),
        ValidatedSource::EntraId(entra) => entra
            .resolve(data, &mut problems)
            .map(|settings| ResolvedSource::EntraId(Box::new(settings))),
        ValidatedSource::GoogleWorkspace(google) => google
            .resolve(data, &mut problems)
            .map(|settings| ResolvedSource::GoogleWorkspace(Box::new(settings))),
        ValidatedSource::Okta(okta) => okta
            .resolve(data, &mut problems)
            .map(|settings| ResolvedSource::Okta(Box::new(settings))),
        ValidatedSource::OneLogin(account) => account
            .resolve(data, &mut problems)
            .map(|settings| ResolvedSource::OneLogin(Box::new(settings))),
        ValidatedSource::ActiveDirectory(domain) => domain
            .resolve(data, &mut problems)
            .map(|settings| ResolvedSource::ActiveDirectory(Box::new(settings))),
    };
    match (organization, source) {
        (Some(organization), Some(source)) => Ok(Resolved {
            organization,
            source,
        }),
        _ => Err(Unresolved(told_once(problems))),
    }
}

/// An object that lacks several keys is one problem, not several.
fn told_once(problems: Vec<UnresolvedReason>) -> Vec<UnresolvedReason> {
    let mut once: Vec<UnresolvedReason> = vec![];
    for problem in problems {
        if let UnresolvedReason::Missing { referent, keys, .. } = &problem {
            let earlier = once.iter_mut().find_map(|earlier| match earlier {
                UnresolvedReason::Missing {
                    referent: of, keys, ..
                } if of == referent => Some(keys),
                _ => None,
            });
            if let Some(earlier) = earlier {
                earlier.extend(keys.iter().cloned());
                continue;
            }
        }
        once.push(problem);
    }
    once
}
