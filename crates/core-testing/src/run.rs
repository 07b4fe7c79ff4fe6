//! A run of the core against an organization in memory.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{ModelOrganization, TestDirectory};
use directory_sync_core::organization::model::Organization;
use directory_sync_core::sync::guard::{Approval, GuardedPlan, guard};
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::memberships::{FailedChanges, MembershipCache};
use directory_sync_core::sync::plan::draft;
use directory_sync_core::sync::policy::{
    GroupFilter, Limit, Offboarding, OffboardingAction, Onboarding, Policy, Restore, UserFilter,
};
use directory_sync_core::sync::resolve::resolve;
use directory_sync_core::sync::seats::seats;

/// What a resource without any optional field asks for.
pub fn policy() -> Policy {
    Policy {
        never_send: Some(Default::default()),
        external_id_prefix: String::new(),
        users: UserFilter::default(),
        groups: GroupFilter::default(),
        onboarding: Onboarding {
            invite: true,
            restore: Restore::RevokedByUs,
            limit: Limit::Percent(50.0),
        },
        offboarding: Offboarding {
            disabled: OffboardingAction::Revoke,
            deleted: OffboardingAction::Revoke,
            absent: OffboardingAction::Retain,
            limit: Limit::Percent(10.0),
            disabled_limit: Limit::Percent(25.0),
            remove_after: None,
            approvals_expire_after: Offboarding::APPROVALS_EXPIRE_AFTER,
        },
    }
}

/// Runs that remember each other.
#[derive(Debug, Default)]
pub struct Run {
    /// What the runs so far left behind.
    pub memory: MembershipCache,
    /// What they took away.
    pub ledger: Ledger,
    /// The time of the next run.
    pub now: Timestamp,
    /// The approval that the next run is given.
    pub approval: Option<Approval>,
    /// The groups that the last run read.
    pub read: Vec<Uuid>,
}

impl Run {
    /// Plans without changing anything.
    pub fn plan(
        &mut self,
        directory: &TestDirectory,
        organization: &ModelOrganization,
        policy: &Policy,
    ) -> GuardedPlan {
        self.ledger.keep_for("organization", self.now);
        let roster = resolve(directory.read(), policy).unwrap();
        let content = organization.read();
        let draft = draft(&roster, &content, policy, &self.ledger, self.now);
        self.read = self.memory.to_read(&draft, self.approval.is_some());
        let mut plan = draft.complete(&self.memory, &organization.read_groups(&self.read));
        plan.keep_manual_revocations(policy, &self.ledger);
        let guarded = guard(plan, policy, &self.ledger, self.now, self.approval.as_ref());
        match &content {
            Organization::Read(members) => seats(guarded, members, organization.seats),
            Organization::WriteOnly => guarded,
        }
    }

    /// Plans and applies what may go ahead.
    pub fn sync(
        &mut self,
        directory: &TestDirectory,
        organization: &mut ModelOrganization,
        policy: &Policy,
    ) -> GuardedPlan {
        let guarded = self.plan(directory, organization, policy);
        if guarded.approved.changes.is_empty() {
            self.memory.record(&guarded, &FailedChanges::default());
            self.ledger.observe(&guarded);
            return guarded;
        }
        self.ledger.before(&guarded, self.now);
        organization.apply(&guarded.approved);
        let failed = FailedChanges {
            groups: organization.refused.iter().cloned().collect(),
            people: organization.refused.iter().cloned().collect(),
            refused: !organization.refused.is_empty(),
        };
        self.memory.record(&guarded, &failed);
        self.ledger.after(&guarded, &failed);
        guarded
    }
}

/// One run that remembers nothing.
pub fn sync(
    directory: &TestDirectory,
    organization: &mut ModelOrganization,
    policy: &Policy,
) -> GuardedPlan {
    Run::default().sync(directory, organization, policy)
}
