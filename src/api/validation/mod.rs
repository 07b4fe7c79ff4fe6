//! From what a person wrote to settings that can't be wrong, with the defaults applied.
//!
//! In two steps, for the first needs nothing but the spec: [`ValidatedSpec::from_spec`] checks it
//! and tells which Secrets and ConfigMaps it refers to; [`ValidatedSpec::resolve`] takes what they
//! hold. Neither knows a cluster: the operator fetches the objects, the command line reads them
//! from files. The API server checks the same rules when a manifest is applied, but not those of a
//! file, nor of an object from before a rule.

mod active_directory;
mod check;
mod entra_id;
mod google_workspace;
mod ldap;
mod ldap_tls;
mod okta;
mod one_login;
mod organization;
mod policy;
mod references;
mod resolve;
mod schedule;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use active_directory::ValidatedActiveDirectory;
pub use entra_id::ValidatedEntraId;
pub use google_workspace::ValidatedGoogleWorkspace;
pub use ldap::ValidatedLdap;
pub use okta::ValidatedOkta;
pub use one_login::ValidatedOneLogin;
pub use organization::ValidatedOrganization;
pub use references::{Kind, Reference, ReferencedData, Referent};
pub use resolve::{Resolved, ResolvedSource, Unresolved, UnresolvedReason};

use super::conditions::Blocker;
use super::spec::{DirectorySyncSpec, Mode, SourceSpec};
use crate::schedule::Schedule;
use crate::sync::policy::Policy;
use check::Checks;

const DRIFT_CHECK_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// A spec that can be followed, without what Secrets and ConfigMaps hold.
#[derive(Debug, Clone)]
pub struct ValidatedSpec {
    /// Nothing shall be done at all.
    pub suspended: bool,
    /// Whether to change the organization.
    pub mode: Mode,
    /// When to run.
    pub schedule: Schedule,
    /// How often all memberships are compared although nothing changed.
    pub drift_check_interval: Duration,
    /// Whom to take, and what may happen to them.
    pub policy: Policy,
    /// The organization.
    pub organization: ValidatedOrganization,
    /// The directory.
    pub source: ValidatedSource,
}

/// A directory's settings that can be followed.
#[derive(Debug, Clone)]
pub enum ValidatedSource {
    /// An LDAP directory.
    Ldap(Box<ValidatedLdap>),
    /// A Microsoft Entra ID tenant.
    EntraId(Box<ValidatedEntraId>),
    /// A Google Workspace customer.
    GoogleWorkspace(Box<ValidatedGoogleWorkspace>),
    /// An Okta organization.
    Okta(Box<ValidatedOkta>),
    /// A OneLogin account.
    OneLogin(Box<ValidatedOneLogin>),
    /// An Active Directory domain.
    ActiveDirectory(Box<ValidatedActiveDirectory>),
}

impl ValidatedSpec {
    /// Checks a spec and applies the defaults.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with the field and what to write instead.
    pub fn from_spec(spec: &DirectorySyncSpec) -> Result<Self, InvalidSpec> {
        let mut checks = Checks::default();
        let schedule = schedule::validate(&mut checks, spec);
        let drift_check_interval = checks.duration(
            "spec.driftCheckInterval",
            spec.drift_check_interval.as_deref(),
            Duration::from_secs(60 * 60),
            DRIFT_CHECK_INTERVAL,
        );
        let policy = policy::validate(&mut checks, spec);
        let organization = organization::validate(&mut checks, &spec.organization);
        let source = validate_source(&mut checks, &spec.source, reads_groups(spec));
        match (schedule, policy, organization, source, checks.finish()) {
            (Some(schedule), Some(policy), Some(organization), Some(source), Ok(())) => Ok(Self {
                suspended: spec.suspend.unwrap_or_default(),
                mode: spec.mode.unwrap_or_default(),
                schedule,
                drift_check_interval,
                policy,
                organization,
                source,
            }),
            (.., Err(invalid)) => Err(invalid),
            _ => unreachable!("a part is left out only together with what is wrong with it"),
        }
    }

    /// The Secrets and ConfigMaps that [`ValidatedSpec::resolve`] needs, each once.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.organization.references();
        match &self.source {
            ValidatedSource::Ldap(ldap) => references.extend(ldap.references()),
            ValidatedSource::EntraId(entra) => references.extend(entra.references()),
            ValidatedSource::GoogleWorkspace(google) => references.extend(google.references()),
            ValidatedSource::Okta(okta) => references.extend(okta.references()),
            ValidatedSource::OneLogin(account) => references.extend(account.references()),
            ValidatedSource::ActiveDirectory(domain) => references.extend(domain.references()),
        }
        references::merged(references)
    }

    /// Takes what Secrets and ConfigMaps hold.
    ///
    /// # Errors
    /// Everything that is missing or can't be used, each with what to do.
    pub fn resolve(&self, data: &ReferencedData) -> Result<Resolved, Unresolved> {
        resolve::resolve(self, data)
    }
}

fn validate_source(
    checks: &mut Checks,
    source: &SourceSpec,
    reads_groups: bool,
) -> Option<ValidatedSource> {
    checks.exactly_one(
        "spec.source",
        &[
            ("ldap", source.ldap.is_some()),
            ("activeDirectory", source.active_directory.is_some()),
            ("entraId", source.entra_id.is_some()),
            ("googleWorkspace", source.google_workspace.is_some()),
            ("okta", source.okta.is_some()),
            ("oneLogin", source.one_login.is_some()),
        ],
    );
    if let Some(ldap) = &source.ldap {
        return ldap::validate(checks, ldap, reads_groups)
            .map(|ldap| ValidatedSource::Ldap(Box::new(ldap)));
    }
    if let Some(entra) = &source.entra_id {
        return entra_id::validate(checks, entra, reads_groups)
            .map(|entra| ValidatedSource::EntraId(Box::new(entra)));
    }
    if let Some(google) = &source.google_workspace {
        return google_workspace::validate(checks, google, reads_groups)
            .map(|google| ValidatedSource::GoogleWorkspace(Box::new(google)));
    }
    if let Some(okta) = &source.okta {
        return okta::validate(checks, okta, reads_groups)
            .map(|okta| ValidatedSource::Okta(Box::new(okta)));
    }
    if let Some(account) = &source.one_login {
        return one_login::validate(checks, account, reads_groups)
            .map(|account| ValidatedSource::OneLogin(Box::new(account)));
    }
    active_directory::validate(checks, source.active_directory.as_ref()?, reads_groups)
        .map(|domain| ValidatedSource::ActiveDirectory(Box::new(domain)))
}

/// Groups need not be read where all are left out and nobody is taken for being in one.
fn reads_groups(spec: &DirectorySyncSpec) -> bool {
    let Some(groups) = &spec.groups else {
        return true;
    };
    let none = groups
        .exclude
        .iter()
        .flatten()
        .any(|pattern| pattern.trim() == "*");
    !none || groups.only_their_members.unwrap_or_default()
}

/// A spec that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSpec(
    /// Everything that is wrong with it; at least one.
    pub Vec<Invalid>,
);

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field: `spec.organization.serverUrl`.
    pub field: String,
    /// What to write instead.
    pub message: String,
}

impl InvalidSpec {
    /// The reason that conditions and events give.
    pub fn blocker(&self) -> Blocker {
        Blocker::InvalidSpec
    }
}

impl fmt::Display for InvalidSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, invalid) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", invalid.field, invalid.message)?;
        }
        Ok(())
    }
}
