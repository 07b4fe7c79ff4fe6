//! From what a person wrote to settings that can't be wrong, with the defaults applied.
//!
//! In two steps, for the first needs nothing but the spec: [`ValidatedSpec::from_spec`] checks it
//! and lists which Secrets and ConfigMaps it refers to; [`connect`](crate::connect) takes what they
//! hold. Neither knows a cluster: the operator fetches the objects, the command line reads them
//! from files. The API server checks the same rules when a manifest is applied, but not those of a
//! file, nor of an object from before a rule.

mod effect;
#[cfg(test)]
mod fixtures;
mod policy;
mod schedule;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use directory_sync_core::sync::policy::Policy;

use crate::api::spec::{DirectorySyncSpec, Mode, Signals};
use crate::checks::{Checks, InvalidSpec};
use crate::organization::{self, ValidatedOrganization};
use crate::problem::{Problem, ProblemReason};
use crate::references::{self, KeyOf, Reference, is_object_name};
use crate::schedule::Schedule;
use crate::source::{self, SourceSettings};

/// Within it the members of 10,000 groups are read at the pace of Bitwarden's cloud.
const DRIFT_CHECK_INTERVAL_MIN: Duration = Duration::from_secs(10 * 60);
const DRIFT_CHECK_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// A spec that can be followed, without what Secrets and ConfigMaps hold.
#[derive(Debug, Clone)]
pub struct ValidatedSpec {
    /// Nothing shall be done at all.
    pub suspended: bool,
    /// Whether to change the organization.
    pub mode: Mode,
    /// The interval or cron schedule of the runs.
    pub schedule: Schedule,
    /// Whether a change in the directory may make a run come early.
    pub signals: bool,
    /// How often all memberships are compared although nothing changed.
    pub drift_check_interval: Duration,
    /// The filters, and what may happen to members and groups.
    pub policy: Policy,
    /// The organization, without its API key.
    pub organization: ValidatedOrganization,
    /// The directory, without its credentials.
    pub source: Arc<dyn SourceSettings>,
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
            DRIFT_CHECK_INTERVAL_MIN,
            DRIFT_CHECK_INTERVAL,
        );
        let policy = policy::validate(&mut checks, spec);
        let organization = organization::validate(&mut checks, &spec.organization);
        let source = source::validate(&mut checks, &spec.source, reads_groups(spec));
        let referents = source.iter().flat_map(|source| source.references());
        let referents = referents.chain(organization.iter().flat_map(|of| of.references()));
        for Reference { to, .. } in referents {
            if !is_object_name(&to.name) {
                checks.refuse(
                    "spec",
                    format!(
                        "{to} can't be there: write the name of a {} in this namespace",
                        to.kind
                    ),
                );
            }
        }
        match (schedule, policy, organization, source, checks.finish()) {
            (Some(schedule), Some(mut policy), Some(organization), Some(source), Ok(())) => {
                let told = source.tells_disabled();
                let nobody = effect::nobody_offboarded(&policy.offboarding, told);
                let nobody =
                    nobody.map(|text| Problem::new(ProblemReason::NobodyOffboarded, text, []));
                let left_out = effect::leavers_left_out(
                    spec,
                    &policy.offboarding,
                    &source.may_leave_out_leavers(),
                );
                let left_out =
                    left_out.map(|text| Problem::new(ProblemReason::LeaversLeftOut, text, []));
                // Where nobody is offboarded, leavers aren't either.
                policy.doubts.extend(nobody.or(left_out));
                Ok(Self {
                    suspended: spec.suspend.unwrap_or_default(),
                    mode: spec.mode.unwrap_or_default(),
                    signals: spec.signals.unwrap_or_default() == Signals::Auto
                        && matches!(schedule, Schedule::Every(_)),
                    schedule,
                    drift_check_interval,
                    policy,
                    organization,
                    source,
                })
            }
            (.., Err(invalid)) => Err(invalid),
            _ => unreachable!("a part is left out only together with what is wrong with it"),
        }
    }

    /// The Secrets and ConfigMaps that [`connect`](crate::connect::connect()) needs, each once.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.organization.references();
        references.extend(self.source.references());
        references::merged(references)
    }

    /// The values in Secrets that are names and no credentials: a bind DN, the id of an API key.
    pub fn names(&self) -> Vec<KeyOf> {
        let mut names = self.organization.names();
        names.extend(self.source.names());
        names
    }
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
