//! Stories about access of groups that end, and about what an undo gave back: nothing that a person gave is taken, and
//! nothing stays untold that no rule gives.

use directory_sync_core::organization::collection::CollectionRight;
use directory_sync_core::organization::model::MemberStatus;
use directory_sync_core::organization::role::AccessRole;
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::{Approval, GuardedPlan};
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::policy::{
    CollectionName, CollectionRule, Glob, Limit, OffboardingAction, Policy, RoleRule,
};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::killed::Killed;
use crate::taken_back::Records;
use crate::{changes, unlimited};

use CollectionRight::{Edit, View};

/// Ann and Bob in `eng`, Cid in `ops`; `eng` has View on infra and Ann is Admin, both by rules for `eng*`.
struct Story {
    run: Run,
    organization: ModelOrganization,
    policy: Policy,
    records: Records,
}

fn people() -> TestDirectory {
    ["ann", "bob", "cid"].iter().fold(directory(), |all, one| {
        all.person(one, &format!("{one}@example.com"))
    })
}

fn ops(all: TestDirectory) -> TestDirectory {
    all.group("ops", "ops", &["cid"]).group("eng2", "eng2", &[])
}

fn with_eng() -> TestDirectory {
    ops(people()).group("eng", "eng", &["ann", "bob"])
}

fn without_eng() -> TestDirectory {
    ops(people())
}

impl Story {
    fn begin() -> Self {
        let organization = ["ann", "bob", "cid"]
            .iter()
            .fold(organization(), |all, one| {
                all.member(one, &format!("{one}@example.com"))
            })
            .group("eng", "eng", &["ann@example.com", "bob@example.com"])
            .group("eng2", "eng2", &[])
            .group("ops", "ops", &["cid@example.com"])
            .collection("infra")
            .collection("wiki");
        let mut run = Run::default();
        run.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000);
        run.ledger = Ledger::begin(run.now);
        let mut policy = unlimited();
        policy.access.limit = 100;
        policy.access.collections = vec![CollectionRule {
            group: Glob::new("eng*"),
            collections: vec![(CollectionName::ExternalId("infra".into()), View)],
            exclusive: false,
        }];
        policy.access.roles = vec![RoleRule {
            group: Glob::new("eng*"),
            role: AccessRole::Admin,
        }];
        let mut story = Self {
            run,
            organization,
            policy,
            records: Records::default(),
        };
        story.sync(&with_eng());
        assert_eq!(story.access(), [ENG, ENG2]);
        assert_eq!(story.role("ann"), AccessRole::Admin);
        story
    }

    /// A run on the next day, with the record as it was kept.
    fn sync(&mut self, directory: &TestDirectory) -> GuardedPlan {
        self.run.now += SignedDuration::from_hours(25);
        let (kept, digest) = (self.run.ledger.to_bytes(), self.run.ledger.digest());
        self.run.ledger = Ledger::load(Some(&kept), Some(digest.as_str()), self.run.now);
        let Self {
            run,
            organization,
            policy,
            records,
        } = self;
        let ran = records.sync(run, directory, organization, policy);
        run.approval = None;
        ran
    }

    fn undo(&mut self) {
        let Self {
            run,
            organization,
            policy,
            records,
        } = self;
        records.undo(run, organization, policy).unwrap();
    }

    /// Whom or what the next run names.
    fn told(&mut self, directory: &TestDirectory) -> Vec<String> {
        told(&self.sync(directory))
    }

    fn access(&self) -> Vec<String> {
        let mut access = self.organization.access();
        access.sort_by_key(|one| one.split(':').next().map(str::to_owned));
        access
    }

    /// The group's id in Bitwarden.
    fn eng(&self) -> Uuid {
        let mut groups = self.organization.content.groups.iter();
        groups.find(|one| &*one.name == "eng").unwrap().id
    }

    fn role(&self, who: &str) -> AccessRole {
        let role = self.organization.role(&format!("{who}@example.com"));
        role.unwrap()
    }

    fn give(&mut self, right: Option<CollectionRight>) {
        self.organization.set_right("eng", "infra", right);
    }
}

fn told(ran: &GuardedPlan) -> Vec<String> {
    let problems = ran.approved.problems.iter();
    let kept = problems.filter(|one| one.reason == ProblemReason::AccessKept);
    let ids = kept.map(|one| {
        let ids = one.external_ids.iter();
        ids.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    });
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

const ENG: &str = "eng: View on infra";
const ENG2: &str = "eng2: View on infra";
const NOBODY: [&str; 0] = [];

#[test]
fn what_somebody_gave_a_group_that_is_gone_stays_whenever_they_did() {
    // Another right, before the run that finds the group gone.
    let mut story = Story::begin();
    story.give(Some(Edit));
    assert_eq!(story.told(&without_eng()), NOBODY);
    assert_eq!(story.access(), ["eng: Edit on infra", ENG2]);
    // The same right, after the run that took it.
    let mut story = Story::begin();
    story.sync(&without_eng());
    assert_eq!(story.access(), [ENG2]);
    story.give(Some(View));
    assert_eq!(story.told(&without_eng()), NOBODY);
    assert_eq!(story.access(), [ENG, ENG2]);
    // Taken and given again while the group was there, with a run between.
    let mut story = Story::begin();
    story.policy.access.collections.clear();
    story.give(None);
    story.sync(&with_eng());
    story.give(Some(View));
    assert_eq!(story.told(&without_eng()), NOBODY);
    assert_eq!(story.access(), [ENG]);
    // On another collection, beside a rule that is exclusive.
    let mut story = Story::begin();
    story.organization.set_right("eng", "wiki", Some(View));
    story.policy.access.collections[0].exclusive = true;
    story.sync(&without_eng());
    assert_eq!(story.access(), ["eng: View on wiki", ENG2]);
}

#[test]
fn what_a_killed_run_took_of_a_group_that_is_gone_and_somebody_gave_again_stays_and_is_named() {
    for how in [Killed::after(9), Killed::noted(0, 9, 9)] {
        let mut story = Story::begin();
        story.policy.access.roles.clear();
        story.sync(&with_eng());
        story.run.now += SignedDuration::from_mins(10);
        let Story {
            run,
            organization,
            policy,
            ..
        } = &mut story;
        how.run(run, &without_eng(), organization, policy);
        assert_eq!(story.access(), [ENG2]);
        story.give(Some(View));
        for _ in 0..2 {
            assert_eq!(story.told(&without_eng()), ["eng"]);
            assert_eq!(story.access(), [ENG, ENG2]);
        }
    }
}

#[test]
fn a_refusal_leaves_it_the_runs_own_and_the_next_run_takes_it() {
    let mut story = Story::begin();
    story.organization.refused = [id("eng")].into();
    story.sync(&without_eng());
    assert_eq!(story.access(), [ENG, ENG2]);
    story.organization.refused.clear();
    story.sync(&without_eng());
    assert_eq!(story.access(), [ENG2]);
}

#[test]
fn a_group_that_comes_back_under_another_id_keeps_its_access_all_the_time() {
    let mut story = Story::begin();
    let again = without_eng().group("eng-again", "eng", &["ann", "bob"]);
    let ran = story.sync(&again);
    assert!(changes(&ran).contains(&"RelinkGroup eng-again".to_owned()));
    assert_eq!(story.access(), [ENG, ENG2]);
    assert_eq!(changes(&story.sync(&again)), NOBODY);
    // And then it is gone for good.
    story.sync(&without_eng());
    assert_eq!(story.access(), [ENG2]);
}

#[test]
fn a_record_that_is_lost_takes_nothing_of_a_group_that_is_gone_and_is_told() {
    let mut story = Story::begin();
    story.run.ledger = Ledger::begin_careful(story.run.now);
    story.run.now -= SignedDuration::from_hours(24);
    assert_eq!(story.told(&without_eng()), [""]);
    assert_eq!(story.access(), [ENG, ENG2]);
}

#[test]
fn an_empty_directory_takes_nothing_of_groups() {
    let mut story = Story::begin();
    story.policy.offboarding.absent = OffboardingAction::Retain;
    let ran = story.sync(&directory());
    assert_eq!(changes(&ran), NOBODY);
    assert_eq!(story.access(), [ENG, ENG2]);
}

#[test]
fn members_who_are_not_ours_count_where_a_group_that_is_gone_loses_access() {
    let mut story = Story::begin();
    for who in ["x1@other.test", "x2@other.test"] {
        let members = std::mem::replace(&mut story.organization, organization());
        story.organization = members.stranger(who);
        let member = story.organization.by_email(who).id;
        let eng = story.eng();
        story
            .organization
            .inside
            .get_mut(&eng)
            .unwrap()
            .insert(member);
    }
    story.policy.access.roles.clear();
    story.policy.offboarding.limit = Limit::Percent(100.0);
    story.sync(&with_eng());
    story.policy.offboarding.limit = Limit::Count(3);
    let ran = story.sync(&without_eng());
    let why = ran.held.unwrap().describe();
    assert!(
        why.starts_with("4 members would lose something, by the rules of access"),
        "{why}"
    );
    assert_eq!(story.access(), [ENG, ENG2]);
}

#[test]
fn an_approval_of_what_a_group_loses_that_is_gone_is_for_those_who_were_in_it() {
    let mut story = Story::begin();
    story.policy.groups.protected = vec![Glob::new("eng")];
    story.policy.access.roles.clear();
    story.sync(&with_eng());
    let held = story.sync(&without_eng());
    let cid = story.organization.by_email("cid@example.com").id;
    let eng = story.eng();
    story.organization.inside.get_mut(&eng).unwrap().insert(cid);
    story.run.approval = Some(Approval {
        digest: held.digest,
    });
    story.run.now -= SignedDuration::from_hours(24);
    let other = story.sync(&without_eng());
    assert_eq!(story.access(), [ENG, ENG2]);
    story.run.approval = Some(Approval {
        digest: other.digest,
    });
    story.run.now -= SignedDuration::from_hours(24);
    story.sync(&without_eng());
    assert_eq!(story.access(), [ENG2]);
}

#[test]
fn what_an_undo_gave_back_is_named_through_restarts_until_it_is_gone_and_taken_by_no_run() {
    let mut story = Story::begin();
    let out = ops(people()).group("eng", "eng", &["bob"]);
    story.sync(&out);
    assert_eq!(story.role("ann"), AccessRole::User);
    story.undo();
    assert_eq!(story.role("ann"), AccessRole::Admin);
    // She was put back into the group, too; leaving it is held, and approved later.
    let held = story.sync(&out);
    assert_eq!(told(&held), ["ann"]);
    story.run.approval = Some(Approval {
        digest: held.digest,
    });
    story.run.now -= SignedDuration::from_hours(24);
    assert_eq!(story.told(&out), ["ann"]);
    // Without the rule, while she is revoked, and once she is back.
    story.policy.access.roles.clear();
    assert_eq!(story.told(&out), ["ann"]);
    story
        .organization
        .set_status("ann@example.com", MemberStatus::Revoked);
    let disabled = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("cid", "cid@example.com");
    let disabled = ops(disabled).group("eng", "eng", &["bob"]);
    assert_eq!(story.told(&disabled), ["ann"]);
    story
        .organization
        .set_status("ann@example.com", MemberStatus::Confirmed);
    assert_eq!(story.told(&out), ["ann"]);
    assert_eq!(story.role("ann"), AccessRole::Admin);
    story
        .organization
        .set_role("ann@example.com", AccessRole::User);
    assert_eq!(story.told(&out), NOBODY);
}

#[test]
fn an_undo_of_an_undo_leaves_nothing_to_name() {
    let mut story = Story::begin();
    story.sync(&without_eng());
    assert_eq!(
        (story.access(), story.role("ann")),
        (vec![ENG2.to_owned()], AccessRole::User)
    );
    story.undo();
    assert_eq!(story.access(), [ENG, ENG2]);
    story.undo();
    assert_eq!(
        (story.access(), story.role("ann")),
        (vec![ENG2.to_owned()], AccessRole::User)
    );
    assert_eq!(story.told(&without_eng()), NOBODY);
    assert_eq!(story.access(), [ENG2]);
}

#[test]
fn what_an_undo_gave_back_and_somebody_changed_since_is_theirs_and_not_named() {
    let mut story = Story::begin();
    story.sync(&without_eng());
    story.undo();
    story.give(Some(Edit));
    story
        .organization
        .set_role("ann@example.com", AccessRole::User);
    assert_eq!(story.told(&without_eng()), ["bob"]);
    story.give(Some(View));
    story
        .organization
        .set_role("ann@example.com", AccessRole::Admin);
    assert_eq!(story.told(&without_eng()), ["bob"]);
    assert_eq!(
        (story.access(), story.role("ann")),
        (vec![ENG.to_owned(), ENG2.to_owned()], AccessRole::Admin)
    );
}

#[test]
fn an_undo_that_is_refused_gave_nothing_back() {
    let mut story = Story::begin();
    story.sync(&without_eng());
    story.organization.refused = [id("eng"), id("ann"), id("bob")].into();
    story.undo();
    story.organization.refused.clear();
    assert_eq!(story.access(), [ENG2]);
    story.give(Some(View));
    story
        .organization
        .set_role("ann@example.com", AccessRole::Admin);
    assert_eq!(story.told(&without_eng()), NOBODY);
    assert_eq!(
        (story.access(), story.role("ann")),
        (vec![ENG.to_owned(), ENG2.to_owned()], AccessRole::Admin)
    );
}

#[test]
fn what_a_run_gives_anew_after_an_undo_is_the_runs_again_once_it_was_gone_between() {
    let mut story = Story::begin();
    story.sync(&without_eng());
    story.undo();
    story.give(None);
    story
        .organization
        .set_role("ann@example.com", AccessRole::User);
    story
        .organization
        .set_role("bob@example.com", AccessRole::User);
    assert_eq!(story.told(&without_eng()), NOBODY);
    story.sync(&with_eng());
    assert_eq!(
        (story.access(), story.role("ann")),
        (vec![ENG.to_owned(), ENG2.to_owned()], AccessRole::Admin)
    );
    assert_eq!(story.told(&without_eng()), NOBODY);
    assert_eq!(
        (story.access(), story.role("ann")),
        (vec![ENG2.to_owned()], AccessRole::User)
    );
}
