//! Which revoked members get their access back.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::directory::ExternalId;
use crate::problem::{Problem, ProblemReason};
use crate::sync::guard::postpone;
use crate::sync::plan::{Kind, Plan};
use crate::sync::policy::{Policy, Restore};
use crate::text::sanitize;

/// What earlier runs know about revocations.
pub trait Revocations {
    /// Whether an earlier run revoked this person, and they weren't restored since.
    fn has_revoked(&self, person: &ExternalId) -> bool;
    /// Whether it did so because their account was disabled.
    fn has_revoked_disabled(&self, person: &ExternalId) -> bool;
    /// Whether an earlier run revoked this person at that time or before, and they weren't restored
    /// since.
    fn has_revoked_by(&self, person: &ExternalId, time: Timestamp) -> bool;
    /// Whether this person lost access or membership because their account was disabled, and hasn't
    /// got it back by a run.
    fn was_disabled(&self, person: &ExternalId) -> bool;
    /// The time that it is by the clocks of earlier runs: `now`, or earlier where the clock has jumped.
    fn believed(&self, now: Timestamp) -> Timestamp;
}

impl Plan {
    /// Leaves out the restores of members whom somebody revoked by hand, unless the policy asks for
    /// everybody's. Each is reported.
    ///
    /// Where the attribute that tells disabled accounts was seen on no entry at all, it may be hidden
    /// from us: then whoever was revoked because of it isn't known to be active again, and isn't
    /// restored. Who was revoked for another reason is: some servers have the attribute only on
    /// locked accounts, and there may be none. As long as somebody isn't restored for that, nobody is
    /// invited either: any newcomer may be disabled.
    pub fn keep_manual_revocations(&mut self, policy: &Policy, earlier: &impl Revocations) {
        let hidden = self.unseen_state_attribute.take();
        let all = policy.onboarding.restore == Restore::All;
        let problems = &mut self.problems;
        let mut is_doubtful = false;
        self.changes.retain(|change| {
            if change.kind() != Kind::Restore {
                return true;
            }
            let person = sanitize(change.subject.label());
            // On a server that can't be read nobody is revoked for another reason.
            let unread = change.subject.id.is_none();
            let why = if let Some(attribute) = &hidden
                && (unread || earlier.has_revoked_disabled(change.external_id()))
            {
                is_doubtful = true;
                format!(
                    "{person} isn't restored: no entry of the directory has the attribute \
                     {attribute}, by which disabled accounts are recognised, and they were revoked for \
                     it, so it isn't known whether they are active again; give the operator's account \
                     the right to read it, or restore them in Bitwarden"
                )
            } else if all
                || earlier.has_revoked(change.external_id())
                // There, only whom we revoked is known to be revoked.
                || unread
            {
                return true;
            } else {
                format!(
                    "{person} is active in the directory and revoked in Bitwarden, and no earlier run is \
                     known to have done that under this external id: restore them in Bitwarden, leave them out with users.exclude, or set \
                     onboarding.restore to true to restore everybody"
                )
            };
            let id = change.external_id().clone();
            problems.add(Problem::new(ProblemReason::NotRestored, why, [id]));
            false
        });
        if let Some(attribute) = &hidden {
            let is_doubtful = self.keep_former(attribute, earlier) || is_doubtful;
            if is_doubtful {
                self.postpone_invitations(attribute);
            }
        }
    }

    fn postpone_invitations(&mut self, attribute: &str) {
        let invited = self
            .changes
            .iter()
            .filter(|change| self.invites_new(change));
        let invited: HashSet<ExternalId> =
            invited.map(|change| change.external_id().clone()).collect();
        if invited.is_empty() {
            return;
        }
        let people = match invited.len() {
            1 => "1 person isn't invited".to_owned(),
            people => format!("{people} people aren't invited"),
        };
        let message = format!(
            "{people}: no entry of the directory has the attribute {attribute}, by which disabled \
             accounts are recognised, and somebody was revoked for it, so it isn't known whether they \
             are disabled; give the operator's account the right to read it, or restore in Bitwarden \
             whoever isn't disabled any more"
        );
        postpone(self, &invited);
        let mut ids: Vec<ExternalId> = invited.into_iter().collect();
        ids.sort_unstable();
        let reason = ProblemReason::UnknownAccountState;
        self.problems.add(Problem::new(reason, message, ids));
    }

    /// Leaves out the invitations of people who lost access because their account was disabled, where
    /// the attribute that tells so may be hidden; whether there are any.
    fn keep_former(&mut self, attribute: &str, earlier: &impl Revocations) -> bool {
        let invited = self.changes.iter().filter(|change| {
            change.kind() == Kind::Invite && earlier.was_disabled(change.external_id())
        });
        let why = invited.map(|change| {
            let message = format!(
                "{} isn't invited: no entry of the directory has the attribute {attribute}, by which \
                 disabled accounts are recognised, and an earlier run took their access away for it, \
                 so it isn't known whether they are active again; give the operator's account the \
                 right to read it, or invite them in Bitwarden",
                sanitize(change.subject.label())
            );
            let id = change.external_id().clone();
            Problem::new(ProblemReason::NotRestored, message, [id])
        });
        let why: Vec<Problem> = why.collect();
        if why.is_empty() {
            return false;
        }
        let people = why.iter().flat_map(|problem| problem.external_ids.clone());
        postpone(self, &people.collect());
        why.into_iter()
            .for_each(|problem| self.problems.add(problem));
        true
    }
}
