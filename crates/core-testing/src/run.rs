//! A run of the core against an organization in memory.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{ModelOrganization, TestDirectory};
use directory_sync_core::directory::{Lookup, ReadNow};
use directory_sync_core::organization::model::Organization;
use directory_sync_core::sync::explain::{
    Decided, Explanation, Found, MemberGroups, Question, Sides,
};
use directory_sync_core::sync::guard::{Approval, GuardedPlan, guard};
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::memberships::{FailedChanges, MembershipCache};
use directory_sync_core::sync::plan::{Change, draft};
use directory_sync_core::sync::policy::{
    Access, GroupFilter, Limit, Offboarding, OffboardingAction, Onboarding, Policy, Restore,
    UserFilter,
};
use directory_sync_core::sync::resolve::{resolve, resolve_incremental};
use directory_sync_core::sync::roster::Roster;
use directory_sync_core::sync::seats::seats;

/// What a resource without any optional field asks for.
pub fn policy() -> Policy {
    Policy {
        never_send: Some(Default::default()),
        doubts: vec![],
        access: Access::default(),
        external_id_prefix: String::new(),
        users: UserFilter::default(),
        groups: GroupFilter::default(),
        onboarding: Onboarding {
            invite: true,
            restore: Restore::RevokedByUs,
            limit: Limit::Percent(50.0),
            confirm_within: Onboarding::CONFIRM_WITHIN,
            reinvite: None,
            withdraw_after: None,
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
#[derive(Debug, Clone, Default)]
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
        let roster = resolve(directory.read(), policy).unwrap();
        self.plan_roster(&roster, organization, policy)
    }

    /// Plans of a directory that wasn't read whole.
    pub fn plan_incremental(
        &mut self,
        directory: &TestDirectory,
        read_now: ReadNow,
        organization: &ModelOrganization,
        policy: &Policy,
    ) -> GuardedPlan {
        let directory = directory.read_incremental(read_now);
        let roster = resolve_incremental(directory, policy).unwrap();
        self.plan_roster(&roster, organization, policy)
    }

    fn plan_roster(
        &mut self,
        roster: &Roster,
        organization: &ModelOrganization,
        policy: &Policy,
    ) -> GuardedPlan {
        self.ledger.keep_for("organization", self.now);
        let content = organization.read();
        let draft = draft(roster, &content, policy, &self.ledger, self.now);
        self.read = self.memory.to_read(&draft, self.approval.is_some());
        let mut plan = draft.complete(&self.memory, &organization.read_groups(&self.read));
        plan.keep_manual_revocations(policy, &self.ledger);
        let guarded = guard(plan, policy, &self.ledger, self.now, self.approval.as_ref());
        match &content {
            Organization::Read(members) => seats(guarded, members, organization.seats),
            Organization::WriteOnly => guarded,
        }
    }

    /// Explains what the next run would make of whom `asked` names. Remembers nothing of it.
    pub fn explain(
        &self,
        directory: &TestDirectory,
        organization: &ModelOrganization,
        policy: &Policy,
        asked: &str,
    ) -> Explanation {
        self.explain_with(
            directory,
            organization,
            policy,
            (asked, Lookup::Unsupported),
        )
    }

    /// The same, where the source is asked for the entry, too.
    pub fn explain_with(
        &self,
        directory: &TestDirectory,
        organization: &ModelOrganization,
        policy: &Policy,
        (asked, lookup): (&str, Lookup),
    ) -> Explanation {
        let read = self.explain_by(
            directory,
            organization,
            policy,
            (asked, lookup.clone()),
            true,
        );
        let whole = self.explain_by(directory, organization, policy, (asked, lookup), false);
        if !read.rests_on_all_groups() {
            assert_eq!(
                read, whole,
                "the groups of the question are enough for the answer"
            );
        }
        whole
    }

    /// Whether all groups have to be compared for the answer.
    pub fn rests_on_all_groups(
        &self,
        directory: &TestDirectory,
        organization: &ModelOrganization,
        policy: &Policy,
        asked: &str,
    ) -> bool {
        let asked = (asked, Lookup::Unsupported);
        self.explain_by(directory, organization, policy, asked, true)
            .rests_on_all_groups()
    }

    /// An explanation by all groups, or by those that the question is about alone.
    fn explain_by(
        &self,
        directory: &TestDirectory,
        organization: &ModelOrganization,
        policy: &Policy,
        (asked, lookup): (&str, Lookup),
        own_groups_only: bool,
    ) -> Explanation {
        let (mut ledger, memory) = (self.ledger.clone(), self.memory.clone());
        ledger.keep_for("organization", self.now);
        let (read, content) = (directory.read(), organization.read());
        let sides = Sides {
            directory: &read,
            organization: &content,
            sent: memory.sent(),
            policy,
        };
        let question = Question::new(asked).unwrap();
        let found = Found::new(&question, &sides, lookup);
        let of_member = |member: Uuid| {
            let inside = organization.inside.iter();
            let groups = inside.filter(|(_, members)| members.contains(&member));
            (member, groups.map(|(group, _)| *group).collect())
        };
        let member_groups: MemberGroups = found.members().into_iter().map(of_member).collect();
        let beside = found.groups_to_read(&member_groups, &content, &policy.external_id_prefix);
        let mut own = found.groups_to_join(&content, &policy.external_id_prefix);
        own.extend(member_groups.values().flatten().chain(&beside));
        let roster = resolve(read, policy).unwrap();
        let draft = draft(&roster, &content, policy, &ledger, self.now);
        let mut unknown = memory.to_read(&draft, false);
        let beside: Vec<Uuid> = beside
            .into_iter()
            .filter(|id| !unknown.contains(id))
            .collect();
        if own_groups_only {
            unknown.retain(|group| own.contains(group));
        }
        unknown.extend(&beside);
        let group_members = organization.read_groups(&unknown);
        let mut plan = draft.complete(&memory, &group_members);
        plan.keep_manual_revocations(policy, &ledger);
        let guarded = guard(plan, policy, &ledger, self.now, None);
        let guarded = match &content {
            Organization::Read(members) => seats(guarded, members, organization.seats),
            Organization::WriteOnly => guarded,
        };
        let decided = Decided {
            roster: &roster,
            organization: &content,
            policy,
            guarded: &guarded,
            ledger: &ledger,
            member_groups: &member_groups,
            group_members: &group_members,
            read_for_this: &beside,
        };
        found.explain(&decided, "a directory", "an organization")
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
        let failed = failed(&guarded, true, |change| organization.refuses(change));
        self.memory.record(&guarded, &failed);
        self.ledger.after(&guarded, &failed);
        guarded
    }
}

/// The changes of a plan that aren't made; `refused`: because the server refuses them.
pub fn failed(
    guarded: &GuardedPlan,
    refused: bool,
    which: impl Fn(&Change) -> bool,
) -> FailedChanges {
    let changes = guarded.approved.changes.iter();
    FailedChanges {
        changes: changes.filter(|change| which(change)).collect(),
        refused,
        ..FailedChanges::default()
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
