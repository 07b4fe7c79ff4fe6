//! Which revoked members get their access back.

use crate::directory::ExternalId;
use crate::problem::{Problem, ProblemReason};
use crate::sync::plan::{Kind, Plan};
use crate::sync::policy::{Policy, Restore};
use crate::text::sanitize;

/// What earlier runs know about revocations.
pub trait Revocations {
    /// Whether an earlier run revoked this person, and they weren't restored since.
    fn has_revoked(&self, person: &ExternalId) -> bool;
    /// Whether earlier runs revoked anybody.
    fn any(&self) -> bool;
}

impl Plan {
    /// Leaves out the restores of members whom somebody revoked by hand, unless the policy asks for
    /// everybody's. Each is reported.
    ///
    /// Where the attribute that tells disabled accounts was seen on no entry at all although earlier
    /// runs revoked somebody, it is probably hidden from us: then nobody is known to be active again,
    /// and nobody is restored.
    pub fn keep_manual_revocations(&mut self, policy: &Policy, earlier: &impl Revocations) {
        let hidden = self.unseen_state_attribute.take().filter(|_| earlier.any());
        let all = policy.onboarding.restore == Restore::All;
        let problems = &mut self.problems;
        self.changes.retain(|change| {
            // On a server that can't be read, only whom we revoked is known to be revoked.
            if change.kind() != Kind::Restore || change.subject.id.is_none() {
                return true;
            }
            let person = sanitize(change.subject.label());
            let why = if let Some(attribute) = &hidden {
                format!(
                    "{person} isn't restored: no entry of the directory has the attribute \
                     {attribute}, by which disabled accounts are recognised, so it isn't known who is \
                     active again; give the operator's account the right to read it"
                )
            } else if all || earlier.has_revoked(change.external_id()) {
                return true;
            } else {
                format!(
                    "{person} is active in the directory and revoked in Bitwarden, not by an earlier \
                     run: restore them in Bitwarden, leave them out with users.exclude, or set \
                     onboarding.restore to true to restore everybody"
                )
            };
            let id = change.external_id().clone();
            problems.add(Problem::new(ProblemReason::NotRestored, why, [id]));
            false
        });
    }
}
