//! `access.collections`: groups have access to collections.

use directory_sync_core::organization::collection::CollectionRight;
use directory_sync_core::organization::model::MemberStatus;
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::{Approval, GuardedPlan, HeldBecause};
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::memberships::FailedChanges;
use directory_sync_core::sync::plan::{GroupAction, Kind};
use directory_sync_core::sync::policy::{
    Access, CollectionName, CollectionRule, Glob, Limit, Policy,
};
use directory_sync_core::sync::render::{self, PlanDocument, Sides};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::killed::{Killed, Whose};
use crate::render::PIPE;
use crate::taken_back::Records;
use crate::{changes, problems, unlimited};

use CollectionRight::{Edit, Manage, View};

const GROUPS: [&str; 3] = ["eng-a", "eng-b", "ops"];
const COLLECTIONS: [&str; 3] = ["infra", "web", "wiki"];

fn rule(group: &str, exclusive: bool, access: &[(&str, CollectionRight)]) -> CollectionRule {
    let named = |(name, right): &(&str, CollectionRight)| {
        (CollectionName::ExternalId((*name).into()), *right)
    };
    CollectionRule {
        group: Glob::new(group),
        collections: access.iter().map(named).collect(),
        exclusive,
    }
}

fn company() -> TestDirectory {
    company_with(&[true; 3])
}

/// The same with these of its groups.
fn company_with(there: &[bool]) -> TestDirectory {
    let people = ["ann", "bob", "cid", "dan"];
    let directory = people.iter().fold(directory(), |directory, person| {
        directory.person(person, &format!("{person}@example.com"))
    });
    let inside: [&[&str]; 3] = [&["ann", "bob"], &["cid"], &["dan"]];
    let groups = GROUPS.iter().zip(inside).zip(there);
    groups
        .filter(|(_, there)| **there)
        .fold(directory, |directory, ((group, inside), _)| {
            directory.group(group, group, inside)
        })
}

fn members() -> ModelOrganization {
    let people = ["ann", "bob", "cid", "dan"];
    let organization = people.iter().fold(organization(), |organization, person| {
        organization.member(person, &format!("{person}@example.com"))
    });
    let organization = organization
        .group("eng-a", "eng-a", &["ann@example.com", "bob@example.com"])
        .group("eng-b", "eng-b", &["cid@example.com"])
        .group("ops", "ops", &["dan@example.com"])
        .own_group("by hand", &["ann@example.com"]);
    COLLECTIONS.iter().fold(organization, |organization, one| {
        organization.collection(one)
    })
}

struct Company {
    run: Run,
    organization: ModelOrganization,
    policy: Policy,
}

impl Company {
    fn new(rules: Vec<CollectionRule>) -> Self {
        let mut run = Run::default();
        run.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000);
        run.ledger = Ledger::begin(run.now);
        let mut policy = unlimited();
        policy.access.collections = rules;
        Self {
            run,
            organization: members(),
            policy,
        }
    }

    fn sync(&mut self, directory: &TestDirectory) -> GuardedPlan {
        self.run.now += SignedDuration::from_hours(25);
        let guarded = self
            .run
            .sync(directory, &mut self.organization, &self.policy);
        self.run.approval = None;
        guarded
    }

    fn access(&self) -> Vec<String> {
        self.organization.access()
    }
}

#[test]
fn groups_get_the_access_that_rules_say_and_nothing_is_left_to_do() {
    let mut company = Company::new(vec![
        rule("eng-*", false, &[("infra", View), ("web", Edit)]),
        rule("eng-a", false, &[("infra", Manage)]),
    ]);
    let first = company.sync(&self::company());
    assert_eq!(
        changes(&first),
        ["SetCollections eng-a", "SetCollections eng-b"]
    );
    assert_eq!(
        company.access(),
        [
            "eng-a: Edit on web",
            "eng-a: Manage on infra",
            "eng-b: Edit on web",
            "eng-b: View on infra"
        ]
    );
    assert_eq!(changes(&company.sync(&self::company())), [""; 0]);
}

#[test]
fn when_a_rule_goes_what_it_gave_goes_and_what_was_there_stays() {
    let mut company = Company::new(vec![rule(
        "eng-*",
        false,
        &[("infra", View), ("web", Edit)],
    )]);
    company.organization.set_right("eng-a", "infra", Some(View));
    company
        .organization
        .set_right("eng-a", "wiki", Some(Manage));
    company
        .organization
        .set_right("by hand", "wiki", Some(View));
    company.sync(&self::company());
    company.policy.access.collections.clear();
    company.sync(&self::company());
    assert_eq!(
        company.access(),
        [
            "by hand: View on wiki",
            "eng-a: Manage on wiki",
            "eng-a: View on infra"
        ]
    );
}

#[test]
fn access_that_somebody_changed_by_hand_since_is_theirs() {
    let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
    company.sync(&self::company());
    company
        .organization
        .set_right("eng-b", "infra", Some(Manage));
    company.policy.access.collections.clear();
    company.sync(&self::company());
    assert_eq!(company.access(), ["eng-b: Manage on infra"]);
}

#[test]
fn access_that_somebody_took_away_and_gave_again_is_theirs() {
    let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
    company.sync(&self::company());
    company.organization.set_right("eng-b", "infra", None);
    company.policy.access.collections.clear();
    company.sync(&self::company());
    company.organization.set_right("eng-b", "infra", Some(View));
    company.sync(&self::company());
    assert_eq!(company.access(), ["eng-b: View on infra"]);
}

#[test]
fn an_exclusive_rule_takes_everything_else_away_within_the_limits() {
    let mut company = Company::new(vec![rule("eng-a", true, &[("infra", View)])]);
    company.organization.set_right("eng-a", "wiki", Some(View));
    company.organization.set_right("ops", "wiki", Some(View));
    company.policy.offboarding.limit = Limit::Count(1);
    // Two people are in the group.
    let held = company.sync(&self::company());
    assert_eq!(
        company.access(),
        ["eng-a: View on wiki", "ops: View on wiki"]
    );
    assert_eq!(held.held.as_ref().unwrap().members(), 2);
    company.run.approval = Some(Approval {
        digest: held.digest.clone(),
    });
    company.run.now -= SignedDuration::from_hours(25);
    company.sync(&self::company());
    assert_eq!(
        company.access(),
        ["eng-a: View on infra", "ops: View on wiki"]
    );
}

#[test]
fn a_collection_that_is_not_there_takes_nothing_and_is_told() {
    let mut company = Company::new(vec![rule(
        "eng-a",
        true,
        &[("infra", View), ("gone", View)],
    )]);
    company.organization.set_right("eng-a", "wiki", Some(View));
    let run = company.sync(&self::company());
    assert_eq!(
        company.access(),
        ["eng-a: View on infra", "eng-a: View on wiki"]
    );
    let told = problems(&run);
    assert!(
        told.contains(&(ProblemReason::UnknownCollection, vec![])),
        "{told:?}"
    );
}

#[test]
fn a_pattern_that_fits_no_group_takes_nothing_and_is_told() {
    let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
    company.sync(&self::company());
    company.policy.access.collections = vec![rule("eng-c", false, &[("infra", View)])];
    let run = company.sync(&self::company());
    assert_eq!(company.access(), ["eng-b: View on infra"]);
    let told = problems(&run);
    assert!(
        told.contains(&(ProblemReason::UnmatchedPattern, vec![])),
        "{told:?}"
    );
}

#[test]
fn a_lost_record_takes_nothing_and_says_so() {
    let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
    company.sync(&self::company());
    company.run.ledger = Ledger::begin_careful(company.run.now);
    company.policy.access.collections = vec![rule("eng-a", false, &[("infra", View)])];
    company.run.now -= SignedDuration::from_hours(24);
    let run = company.sync(&self::company());
    assert_eq!(
        company.access(),
        ["eng-a: View on infra", "eng-b: View on infra"]
    );
    // And it is told, as it is with rules for roles.
    let told = problems(&run);
    assert!(
        told.contains(&(ProblemReason::AccessKept, vec![])),
        "{told:?}"
    );
}

#[test]
fn an_organization_that_does_not_list_its_collections_changes_nothing() {
    let mut company = Company::new(vec![rule("eng-b", true, &[("infra", View)])]);
    company.organization.set_right("eng-b", "wiki", Some(View));
    let kept = company.organization.content.collections.take();
    let run = company.sync(&self::company());
    company.organization.content.collections = kept;
    assert_eq!(company.access(), ["eng-b: View on wiki"]);
    assert_eq!(problems(&run), [(ProblemReason::Unsupported, vec![])]);
}

/// Forty people: twenty in `all`, eight in `eng-a`, four in `ops`.
fn crowd() -> (TestDirectory, ModelOrganization) {
    let people: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    let emails: Vec<String> = people
        .iter()
        .map(|id| format!("{id}@example.com"))
        .collect();
    let (mut directory, mut members) = (directory(), organization());
    for (id, email) in people.iter().zip(&emails) {
        directory = directory.person(id, email);
        members = members.member(id, email);
    }
    for (name, inside) in [("all", 0..20), ("eng-a", 20..28), ("ops", 28..32)] {
        let ids: Vec<&str> = people[inside.clone()].iter().map(String::as_str).collect();
        let inside: Vec<&str> = emails[inside].iter().map(String::as_str).collect();
        directory = directory.group(name, name, &ids);
        members = members.group(name, name, &inside);
    }
    let members = COLLECTIONS
        .iter()
        .fold(members, |members, one| members.collection(one));
    (directory, members)
}

/// The same with rules, of which a run has read nothing yet.
fn crowded(rules: Vec<CollectionRule>) -> (Company, TestDirectory) {
    let (directory, members) = crowd();
    let mut company = Company::new(vec![]);
    company.organization = members;
    company.policy.access.collections_limit = Access::COLLECTIONS_LIMIT;
    company.sync(&directory);
    company.policy.access.collections = rules;
    (company, directory)
}

fn why(guarded: &GuardedPlan) -> Vec<HeldBecause> {
    guarded
        .held
        .as_ref()
        .map_or(vec![], |held| held.why.clone())
}

#[test]
fn a_rule_that_gives_access_to_more_than_a_share_of_the_members_waits_for_approval() {
    let (mut company, directory) = crowded(vec![
        rule("*", false, &[("infra", View)]),
        rule("ops", true, &[("wiki", Edit)]),
    ]);
    let held = company.sync(&directory);
    // Five at least, and 10% of forty is less.
    let expected = HeldBecause::Collections {
        people: 32,
        earlier: 0,
        limit: 5,
        manage: false,
    };
    assert_eq!(why(&held), std::slice::from_ref(&expected));
    assert_eq!(
        expected.to_string(),
        "32 people would gain access by access.collections; access.collectionsLimit allows 5 in 24 hours"
    );
    assert_eq!(company.access(), [""; 0]);
    company.run.approval = Some(Approval {
        digest: held.digest.clone(),
    });
    company.run.now -= SignedDuration::from_hours(25);
    let approved = company.sync(&directory);
    assert_eq!(why(&approved), []);
    assert_eq!(company.access().len(), 4);
    // What was approved is no part of the day's: another four may gain something.
    company
        .policy
        .access
        .collections
        .push(rule("ops", false, &[("web", View)]));
    company.run.now -= SignedDuration::from_hours(24);
    company.sync(&directory);
    assert_eq!(company.access().len(), 5);
}

#[test]
fn what_a_rule_gives_within_a_day_counts_together() {
    let (mut company, directory) = crowded(vec![rule("ops", false, &[("infra", View)])]);
    assert_eq!(why(&company.sync(&directory)), []);
    // The same four people, and nobody new: they are counted again, because nobody keeps who they were.
    company.policy.access.collections = vec![rule("ops", false, &[("infra", Edit)])];
    company.run.now -= SignedDuration::from_hours(24);
    let held = company.sync(&directory);
    let expected = HeldBecause::Collections {
        people: 4,
        earlier: 4,
        limit: 5,
        manage: false,
    };
    assert_eq!(why(&held), [expected]);
    assert_eq!(company.access(), ["ops: View on infra"]);
    // On the next day they may.
    assert_eq!(why(&company.sync(&directory)), []);
    assert_eq!(company.access(), ["ops: Edit on infra"]);
    // Less than before is no gain.
    company.policy.access.collections = vec![rule("ops", false, &[("infra", View)])];
    company.run.now -= SignedDuration::from_hours(24);
    assert_eq!(why(&company.sync(&directory)), []);
    assert_eq!(company.access(), ["ops: View on infra"]);
}

#[test]
fn a_record_that_is_lost_again_and_again_gives_no_fresh_limit_of_access() {
    for (access, limit) in [(View, 5), (Manage, 4)] {
        let manage = access == Manage;
        let (mut company, directory) = crowded(vec![rule("ops", false, &[("infra", access)])]);
        company.policy.access.limit = 4;
        if manage {
            company.policy.access.collections_limit = Limit::Percent(100.0);
        }
        let older = company.run.ledger.to_bytes();
        assert_eq!(why(&company.sync(&directory)), []);
        let latest = company.run.ledger.to_bytes();
        company.policy.access.collections = vec![
            rule("ops", false, &[("infra", access)]),
            rule("ops", false, &[("wiki", access)]),
        ];
        let expected = HeldBecause::Collections {
            people: 4,
            earlier: 4,
            limit,
            manage,
        };
        // Nothing is found, an older record, or one that nobody can tell from a made-up one.
        for found in [None, Some(&older[..]), Some(&latest[..])] {
            let run = &mut company.run;
            let now = run.now + SignedDuration::from_hours(1);
            let used = run.ledger.used();
            run.ledger = Ledger::load(found, Some("0123456789abcdef0123456789abcdef"), now);
            run.ledger.count_used(&used);
            run.now = now - SignedDuration::from_hours(25);
            let held = company.sync(&directory);
            assert_eq!(why(&held), std::slice::from_ref(&expected));
            assert_eq!(company.access(), [format!("ops: {access:?} on infra")]);
        }
        // On the next day they may.
        assert_eq!(why(&company.sync(&directory)), []);
        assert_eq!(company.access().len(), 2);
    }
}

#[test]
fn what_a_record_that_is_not_believed_knows_of_one_kind_of_access_counts_where_status_knows_the_other()
 {
    let (mut company, directory) = crowded(vec![rule("ops", false, &[("infra", Manage)])]);
    company.policy.access.limit = 4;
    company.policy.access.collections_limit = Limit::Percent(100.0);
    assert_eq!(why(&company.sync(&directory)), []);
    let latest = company.run.ledger.to_bytes();
    let more = rule("ops", false, &[("wiki", Manage)]);
    company.policy.access.collections.push(more);
    let run = &mut company.run;
    let now = run.now + SignedDuration::from_hours(1);
    let mut used = run.ledger.used();
    used.iter_mut().for_each(|one| one.manage = 0);
    run.ledger = Ledger::load(Some(&latest), Some("another"), now);
    run.ledger.count_used(&used);
    run.now = now - SignedDuration::from_hours(25);
    let expected = HeldBecause::Collections {
        people: 4,
        earlier: 4,
        limit: 4,
        manage: true,
    };
    assert_eq!(why(&company.sync(&directory)), [expected]);
}

#[test]
fn more_than_three_who_would_say_who_has_access_wait_whatever_the_share() {
    let (mut company, directory) = crowded(vec![rule("ops", false, &[("infra", Manage)])]);
    company.policy.access.collections_limit = Limit::Percent(100.0);
    let held = company.sync(&directory);
    let expected = HeldBecause::Collections {
        people: 4,
        earlier: 0,
        limit: 3,
        manage: true,
    };
    assert_eq!(why(&held), std::slice::from_ref(&expected));
    assert_eq!(
        expected.to_string(),
        "4 people would gain Manage by access.collections; access.limit allows 3 in 24 hours"
    );
    assert_eq!(company.access(), [""; 0]);
    company.policy.access.limit = 4;
    assert_eq!(why(&company.sync(&directory)), []);
    assert_eq!(company.access(), ["ops: Manage on infra"]);
}

#[test]
fn who_has_not_accepted_does_not_count_so_that_a_first_sync_is_not_held() {
    let (directory, members) = crowd();
    let rules = vec![rule("*", false, &[("infra", Manage)])];
    let mut company = Company::new(rules);
    company.policy.access.collections_limit = Access::COLLECTIONS_LIMIT;
    let empty = organization();
    company.organization = COLLECTIONS
        .iter()
        .fold(empty, |empty, one| empty.collection(one));
    for _ in 0..2 {
        assert_eq!(why(&company.sync(&directory)), []);
    }
    assert_eq!(company.access().len(), 3, "{:?}", company.access());

    // Whoever is linked was a member before.
    let mut company = Company::new(company.policy.access.collections.clone());
    company.policy.access.collections_limit = Access::COLLECTIONS_LIMIT;
    company.organization = members;
    for member in &mut company.organization.content.members {
        member.external_id = None;
    }
    let held = company.sync(&directory);
    assert_eq!(why(&held).len(), 2, "{:?}", why(&held));
    assert_eq!(company.access(), [""; 0]);
}

#[test]
fn who_gains_access_in_a_run_that_is_killed_or_refused_counts_once_or_not_at_all() {
    let (mut company, directory) = crowded(vec![rule("ops", false, &[("infra", View)])]);
    company.run.now += SignedDuration::from_hours(25);
    for _ in 0..2 {
        let planned = company
            .run
            .plan(&directory, &company.organization, &company.policy);
        assert_eq!(why(&planned), []);
        company.run.ledger.before(&planned, company.run.now);
        company.run.now += SignedDuration::from_hours(1);
        // Killed.
    }
    company.run.now -= SignedDuration::from_hours(25);
    company.organization.refused = [id("ops")].into();
    assert_eq!(why(&company.sync(&directory)), []);
    company.organization.refused.clear();
    company.run.now -= SignedDuration::from_hours(24);
    assert_eq!(why(&company.sync(&directory)), []);
    assert_eq!(company.access(), ["ops: View on infra"]);
    company
        .policy
        .access
        .collections
        .push(rule("ops", false, &[("web", View)]));
    company.run.now -= SignedDuration::from_hours(24);
    let held = company.sync(&directory);
    assert_eq!(why(&held).len(), 1, "those count now");
}

/// A run, a minute after the one before, of which `failed` wasn't done.
fn failing(
    company: &mut Company,
    directory: &TestDirectory,
    failed: &FailedChanges,
) -> GuardedPlan {
    company.run.now += SignedDuration::from_mins(1);
    let (run, organization) = (&mut company.run, &mut company.organization);
    let guarded = run.plan(directory, organization, &company.policy);
    run.ledger.before(&guarded, run.now);
    let mut plan = (*guarded.approved).clone();
    plan.changes.retain(|change| !failed.changes.has(change));
    organization.apply(&plan);
    run.memory.record(&guarded, failed);
    run.ledger.after(&guarded, failed);
    guarded
}

#[test]
fn what_else_of_a_group_is_refused_takes_nobody_who_gained_access_off_the_limit() {
    let (mut company, directory) = crowded(vec![rule("ops", false, &[("infra", View)])]);
    // A person may have the same ID.
    let others = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::SetCollections);
    let failed = FailedChanges {
        changes: others.map(|kind| (kind, id("ops"))).collect(),
        outdated: [id("ops")].into(),
        refused: true,
        ..FailedChanges::default()
    };
    company.run.now += SignedDuration::from_hours(25);
    assert_eq!(why(&failing(&mut company, &directory, &failed)), []);
    assert_eq!(company.access(), ["ops: View on infra"]);
    let more = rule("ops", false, &[("web", View)]);
    company.policy.access.collections.push(more);
    let expected = HeldBecause::Collections {
        people: 4,
        earlier: 4,
        limit: 5,
        manage: false,
    };
    let held = failing(&mut company, &directory, &failed);
    assert_eq!(why(&held), [expected]);
}

#[test]
fn access_that_is_refused_at_every_run_uses_up_no_limit_however_many_would_gain_or_lose_it() {
    let people: Vec<String> = (0..300).map(|n| format!("p{n}")).collect();
    let (mut directory, mut members) = (directory(), organization().collection("infra"));
    for id in &people {
        let email = format!("{id}@example.com");
        directory = directory.person(id, &email);
        members = members.member(id, &email);
    }
    let ids: Vec<&str> = people.iter().map(String::as_str).collect();
    let emails: Vec<String> = ids.iter().map(|id| format!("{id}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let directory = directory.group("all", "all", &ids);
    let mut company = Company::new(vec![rule("all", false, &[("infra", Manage)])]);
    company.organization = members.group("all", "all", &emails);
    company.policy.access.limit = 300;
    let refused = FailedChanges {
        changes: [(Kind::SetCollections, id("all"))].into_iter().collect(),
        refused: true,
        ..FailedChanges::default()
    };
    for _ in 0..3 {
        assert_eq!(why(&failing(&mut company, &directory, &refused)), []);
    }
    let done = FailedChanges::default();
    assert_eq!(why(&failing(&mut company, &directory, &done)), []);
    assert_eq!(company.access(), ["all: Manage on infra"]);

    company.policy.access.collections.clear();
    for _ in 0..3 {
        let run = failing(&mut company, &directory, &refused);
        assert_eq!(why(&run), []);
        assert_eq!(changes(&run), ["SetCollections all"]);
        // None of what was refused counts.
        let losses = company.run.ledger.used();
        assert!(losses.iter().all(|one| one.absent == 0), "{losses:?}");
    }
}

/// How many people each change of access is about.
fn people(guarded: &GuardedPlan) -> Vec<usize> {
    let held = guarded.held.iter().flat_map(|held| &held.changes);
    let changes = guarded.approved.changes.iter().chain(held);
    let access = changes.filter_map(|change| match change.group() {
        Some(GroupAction::SetCollections(access)) => Some(access.people()),
        _ => None,
    });
    access.collect()
}

#[test]
fn who_is_in_a_group_by_hand_gains_and_loses_access_like_everybody_else() {
    let (mut company, directory) = crowded(vec![]);
    let emails = ["x1@other.test", "x2@other.test", "x3@other.test"];
    let mut members = std::mem::replace(&mut company.organization, organization());
    for email in emails {
        members = members.stranger(email);
    }
    let strangers = emails.map(|email| members.by_email(email).id);
    let ops = members.content.groups.iter();
    let ops = ops.filter(|group| &*group.name == "ops");
    let ops = ops.map(|group| group.id).next().unwrap();
    members.inside.get_mut(&ops).unwrap().extend(strangers);
    members.set_status(emails[2], MemberStatus::Revoked);
    company.organization = members;
    company.policy.access.collections = vec![rule("ops", false, &[("infra", Manage)])];
    company.policy.access.limit = 5;
    let expected = |limit: usize, manage: bool| HeldBecause::Collections {
        people: 6,
        earlier: 0,
        limit,
        manage,
    };
    // Four of ours, and two others who have access.
    let held = company.sync(&directory);
    assert_eq!(why(&held), [expected(5, true), expected(5, false)]);
    assert_eq!(people(&held), [6]);
    let sides = Sides {
        source: "a directory",
        organization: "an organization",
    };
    let shown = render::table(&PlanDocument::of(&held, &sides), &PIPE);
    assert!(shown.contains("Manage on infra; 6 people"), "{shown}");

    company.policy.access.limit = 6;
    company.policy.access.collections_limit = Limit::Count(7);
    assert_eq!(why(&company.sync(&directory)), []);
    // They count for the next run, too.
    let more = rule("ops", false, &[("web", Manage)]);
    company.policy.access.collections.push(more);
    company.run.now -= SignedDuration::from_hours(24);
    assert_eq!(why(&company.sync(&directory)).len(), 2);

    company.policy.access.collections.clear();
    company.policy.offboarding.limit = Limit::Count(5);
    let held = company.sync(&directory);
    assert_eq!(why(&held).len(), 1, "{:?}", why(&held));
    assert_eq!(people(&held), [6]);
    assert_eq!(company.access(), ["ops: Manage on infra"]);
    company.policy.offboarding.limit = Limit::Count(6);
    assert_eq!(why(&company.sync(&directory)), []);
    assert_eq!(company.access(), [""; 0]);
}

#[test]
fn who_stays_in_a_group_because_their_leaving_is_held_gains_access_like_everybody_else() {
    let (mut company, directory) = crowded(vec![rule("ops", false, &[("infra", Manage)])]);
    company.policy.groups.protected = vec![Glob::new("ops")];
    let others: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    let left = others.iter().fold(self::directory(), |directory, id| {
        directory.person(id, &format!("{id}@example.com"))
    });
    let all: Vec<&str> = others.iter().map(String::as_str).collect();
    let left = left
        .group("all", "all", &all[..20])
        .group("eng-a", "eng-a", &all[20..28])
        .group("ops", "ops", &all[28..29]);
    let held = company.sync(&left);
    let expected = HeldBecause::Collections {
        people: 4,
        earlier: 0,
        limit: 3,
        manage: true,
    };
    assert!(why(&held).contains(&expected), "{:?}", why(&held));
    assert_eq!(company.access(), [""; 0]);
    let _ = directory;
}

fn rights() -> impl Strategy<Value = CollectionRight> {
    prop_oneof![Just(View), Just(Edit), Just(Manage)]
}

/// A group, whether the rule is exclusive, and the collections with what is given.
type Rule = (usize, bool, Vec<(usize, CollectionRight)>);

#[derive(Debug, Clone)]
enum Event {
    /// Other rules may come before the next run.
    ByHand(usize, usize, Option<CollectionRight>, Option<Vec<Rule>>),
    Rules(Vec<Rule>),
    Refusing(Vec<bool>),
    Killed(Killed),
    RecordLost,
    /// Which groups the directory has.
    Directory(Vec<bool>),
    /// The last run is undone.
    Undone,
    /// What the last run held is approved.
    Approved,
}

/// The groups that rules may name.
const PATTERNS: [&str; 4] = ["eng-a", "eng-*", "ops", "*"];

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let access = prop::collection::vec((0..COLLECTIONS.len(), rights()), 0..3);
    let rule = (0..PATTERNS.len(), prop::bool::weighted(0.3), access);
    prop::collection::vec(rule, 0..3)
}

fn events() -> impl Strategy<Value = Event> {
    let of = (0..GROUPS.len(), 0..COLLECTIONS.len());
    let right = prop::option::of(rights());
    let by_hand = (of, right, prop::option::weighted(0.3, rules()));
    prop_oneof![
        3 => by_hand.prop_map(|((group, collection), right, rules)| {
            Event::ByHand(group, collection, right, rules)
        }),
        3 => rules().prop_map(Event::Rules),
        1 => prop::collection::vec(any::<bool>(), GROUPS.len()).prop_map(Event::Refusing),
        2 => Killed::any().prop_map(Event::Killed),
        1 => Just(Event::RecordLost),
        2 => prop::collection::vec(prop::bool::weighted(0.7), GROUPS.len()).prop_map(Event::Directory),
        2 => Just(Event::Undone),
        1 => Just(Event::Approved),
    ]
}

proptest! {
    /// Whatever happened: once nothing is refused, a group has exactly the access that rules give it, with
    /// `exclusive` nothing else, without it what no run certainly gave, and what one may have given or an undo gave
    /// back is told, also of groups that the directory doesn't have any more; and groups made by hand are
    /// untouched.
    #[test]
    fn access_ends_as_declared_and_the_rest_is_untouched(
        history in prop::collection::vec(events(), 1..12),
    ) {
        let mut company = Company::new(vec![]);
        company.organization.set_right("by hand", "wiki", Some(Edit));
        let nobodys = || GROUPS.map(|_| COLLECTIONS.map(|_| Whose::Somebodys));
        let mut whose = nobodys();
        let mut rules: Vec<Rule> = vec![];
        let mut there = vec![true; GROUPS.len()];
        let mut records = Records::default();
        let mut digest = None;
        let right = |company: &Company, group: usize, collection: usize| {
            let wanted = format!("{}: ", GROUPS[group]);
            let end = format!(" on {}", COLLECTIONS[collection]);
            let access = company.access().into_iter();
            let mut found = access.filter(|one| one.starts_with(&wanted) && one.ends_with(&end));
            found.next()
        };
        let named = |group: usize, collection: usize, right: CollectionRight| {
            format!("{}: {} on {}", GROUPS[group], right.name(), COLLECTIONS[collection])
        };
        for event in &history {
            let mut killed = None;
            let mut changed_by_hand = None;
            match event {
                Event::ByHand(group, collection, to, new) => {
                    rules = new.clone().unwrap_or(rules);
                    let before = right(&company, *group, *collection);
                    company.organization.set_right(GROUPS[*group], COLLECTIONS[*collection], *to);
                    // The same once more can't be seen.
                    let is_other = before != right(&company, *group, *collection);
                    changed_by_hand = is_other.then_some((*group, *collection));
                }
                Event::Rules(new) => rules = new.clone(),
                Event::Refusing(who) => {
                    let refused = GROUPS.into_iter().zip(who).filter(|(_, is)| **is);
                    company.organization.refused = refused.map(|(one, _)| id(one)).collect();
                }
                Event::Killed(how) => killed = Some(*how),
                Event::RecordLost => {
                    company.run.ledger = Ledger::begin_careful(company.run.now);
                    whose = nobodys();
                }
                Event::Directory(groups) => there = groups.clone(),
                Event::Undone => {
                    let Company { run, organization, policy } = &mut company;
                    let undone = records.undo(run, organization, policy);
                    let refused = organization.refused.clone();
                    for change in undone.iter().flat_map(|undone| &undone.approved.changes) {
                        let group = GROUPS.iter().position(|one| id(one) == *change.external_id());
                        let (Some(group), Some(GroupAction::SetCollections(access))) =
                            (group, change.group())
                        else {
                            continue;
                        };
                        for one in access.changes.iter().filter(|_| !refused.contains(change.external_id())) {
                            let name = one.external_id.as_deref();
                            let at = COLLECTIONS.iter().position(|it| Some(*it) == name).unwrap();
                            whose[group][at] = match one.to {
                                Some(_) => Whose::GivenBack,
                                None => Whose::Somebodys,
                            };
                        }
                    }
                }
                Event::Approved => {
                    company.run.approval = digest.take().map(|digest| Approval { digest });
                    company.run.now -= SignedDuration::from_hours(24);
                }
            }
            company.policy.access.collections = rules
                .iter()
                .map(|(group, exclusive, access)| {
                    let access: Vec<(&str, CollectionRight)> =
                        access.iter().map(|(one, right)| (COLLECTIONS[*one], *right)).collect();
                    rule(PATTERNS[*group], *exclusive, &access)
                })
                .collect();
            // Where the record is lost nothing is held that rests on it.
            company.policy.offboarding.limit = Limit::Percent(100.0);
            let before: Vec<Vec<Option<String>>> = (0..GROUPS.len())
                .map(|group| (0..COLLECTIONS.len()).map(|one| right(&company, group, one)).collect())
                .collect();
            for (group, of_group) in whose.iter_mut().enumerate() {
                for (one, known) in of_group.iter_mut().enumerate() {
                    let read = std::mem::replace(known, Whose::Somebodys);
                    let is_other = changed_by_hand == Some((group, one));
                    *known = read.read(before[group][one].as_ref(), is_other);
                }
            }
            let directory = company_with(&there);
            let ran = match killed {
                Some(how) => {
                    company.run.now += SignedDuration::from_hours(25);
                    let Company { run, organization, policy } = &mut company;
                    let (guarded, kept) = how.run(run, &directory, organization, policy);
                    for (change, kept) in kept {
                        let group = GROUPS.iter().position(|one| id(one) == *change.external_id());
                        let (Some(group), Some(GroupAction::SetCollections(access))) =
                            (group, change.group())
                        else {
                            continue;
                        };
                        for one in &access.changes {
                            let name = one.external_id.as_deref();
                            let at = COLLECTIONS.iter().position(|it| Some(*it) == name).unwrap();
                            let [from, to] = [one.from, one.to]
                                .map(|access| Some(named(group, at, access?.right())));
                            let known = std::mem::replace(&mut whose[group][at], Whose::Somebodys);
                            whose[group][at] = known.killed(kept, from, to);
                        }
                    }
                    guarded
                }
                None => {
                    company.run.now += SignedDuration::from_hours(25);
                    let Company { run, organization, policy } = &mut company;
                    let ran = records.sync(run, &directory, organization, policy);
                    run.approval = None;
                    ran
                }
            };
            digest = ran.held.as_ref().map(|_| ran.digest.clone());
            prop_assert!(company.access().contains(&"by hand: Edit on wiki".to_owned()));
            if killed.is_some() {
                continue;
            }
            let told = ran.approved.problems.iter();
            let told = told.filter(|one| one.reason == ProblemReason::AccessKept);
            let told: Vec<&str> = told.map(|one| &*one.message).collect();
            for group in 0..GROUPS.len() {
                let fits = |pattern: usize, group: usize| {
                    there[group] && Glob::new(PATTERNS[pattern]).matches(GROUPS[group])
                };
                let own = |pattern: usize| fits(pattern, group);
                let mine: Vec<_> = rules.iter().filter(|(pattern, ..)| own(*pattern)).collect();
                let exclusive = mine.iter().any(|(_, exclusive, _)| *exclusive);
                let refused = company.organization.refused.contains(&id(GROUPS[group]));
                for one in 0..COLLECTIONS.len() {
                    let (was, now) = (&before[group][one], right(&company, group, one));
                    let access = mine.iter().flat_map(|(_, _, access)| access);
                    let access = access.filter(|(named, _)| *named == one).map(|(_, right)| *right);
                    let declared = access.reduce(|a, b| a.max(b));
                    let declared = declared.map(|right| named(group, one, right));
                    // By a rule that fits no group somebody may be meant to have it.
                    let is_doubtful = rules.iter().any(|(pattern, _, access)| {
                        !(0..GROUPS.len()).any(|group| fits(*pattern, group))
                            && access.iter().any(|(named, _)| *named == one)
                    });
                    // People of a group that is gone may get it by one that is there, in its place.
                    let gains = |other: usize| {
                        let rules = rules.iter().filter(|(pattern, ..)| fits(*pattern, other));
                        let access = rules.flat_map(|(_, _, access)| access);
                        let mut access = access.filter(|(named, _)| *named == one);
                        let had = |right| before[other][one] == Some(named(other, one, right));
                        let most = access.clone().map(|(_, right)| *right).max();
                        let has_more = [View, Edit, Manage].into_iter().any(|right| {
                            had(right) && most.is_some_and(|most| most <= right)
                        });
                        access.next().is_some() && !has_more
                    };
                    let is_awaited = !there[group] && (0..GROUPS.len()).any(gains);
                    let about = format!("{} on {}", GROUPS[group], COLLECTIONS[one]);
                    let known = &mut whose[group][one];
                    if refused {
                        prop_assert_eq!(&now, was, "a refusal takes nothing: {}", about);
                    } else if ran.held.is_none() {
                        match &declared {
                            Some(declared) => prop_assert_eq!(now.as_ref(), Some(declared)),
                            None if !is_doubtful
                                && !is_awaited
                                && (exclusive || *known == Whose::Runs) =>
                            {
                                prop_assert_eq!(&now, &None, "{}", about);
                            }
                            None => prop_assert_eq!(&now, was, "{} is untouched", about),
                        }
                    }
                    let names = format!("on {}, and no rule", COLLECTIONS[one]);
                    let group_named = format!("group {} has", GROUPS[group]);
                    let is_told =
                        told.iter().any(|it| it.contains(&names) && it.contains(&group_named));
                    let is_left =
                        declared.is_none() && !exclusive && !is_doubtful && known.is_told();
                    prop_assert_eq!(is_told, is_left, "{} is told: {:?}", about, told);
                    if now != *was {
                        *known = match now {
                            Some(_) => Whose::Runs,
                            None => Whose::Somebodys,
                        };
                    }
                }
            }
        }
    }
}

impl Company {
    /// A run that is killed.
    fn killed(&mut self, how: Killed) {
        self.run.now += SignedDuration::from_mins(10);
        let Self {
            run,
            organization,
            policy,
        } = self;
        how.run(run, &company(), organization, policy);
    }

    /// What is told because nobody can tell who gave it.
    fn kept(&mut self) -> Vec<String> {
        let run = self.sync(&company());
        let told = run.approved.problems.iter();
        let told = told.filter(|one| one.reason == ProblemReason::AccessKept);
        let told = told.map(|one| {
            one.message
                .split(", and no rule")
                .next()
                .unwrap()
                .to_owned()
        });
        told.collect()
    }
}

const KEPT: [&str; 1] = ["access.collections: group eng-b has View on infra"];

#[test]
fn access_that_somebody_gave_after_a_run_was_killed_that_was_to_give_it_stays_and_is_told() {
    let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
    company.killed(Killed::before_its_changes());
    company.organization.set_right("eng-b", "infra", Some(View));
    assert_eq!(company.kept(), [""; 0]);
    company.policy.access.collections.clear();
    for _ in 0..2 {
        assert_eq!(company.kept(), KEPT);
        assert_eq!(company.access(), ["eng-b: View on infra"]);
    }
    company.organization.set_right("eng-b", "infra", None);
    assert_eq!(company.kept(), [""; 0]);
}

#[test]
fn access_that_somebody_gave_again_after_a_run_was_killed_that_was_to_take_it_stays_and_is_told() {
    for how in [Killed::after(1), Killed::noted(0, 1, 1)] {
        let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
        company.sync(&self::company());
        company.policy.access.collections.clear();
        company.killed(how);
        assert_eq!(company.access(), [""; 0]);
        company.organization.set_right("eng-b", "infra", Some(View));
        assert_eq!(company.kept(), KEPT);
        assert_eq!(company.access(), ["eng-b: View on infra"]);
    }
    // Where the record has it as done there is nothing to tell.
    let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
    company.sync(&self::company());
    company.policy.access.collections.clear();
    company.killed(Killed::noted(1, 0, 0));
    company.organization.set_right("eng-b", "infra", Some(View));
    assert_eq!(company.kept(), [""; 0]);
    assert_eq!(company.access(), ["eng-b: View on infra"]);
}

#[test]
fn what_the_record_of_a_killed_run_has_of_each_group_is_believed() {
    let mut company = Company::new(vec![rule("*", false, &[("infra", View)])]);
    company.killed(Killed::noted(1, 1, 1));
    company.organization.set_right("ops", "infra", Some(View));
    assert_eq!(
        company.access(),
        [
            "eng-a: View on infra",
            "eng-b: View on infra",
            "ops: View on infra"
        ]
    );
    company.policy.access.collections.clear();
    assert_eq!(company.kept(), KEPT);
    assert_eq!(
        company.access(),
        ["eng-b: View on infra", "ops: View on infra"]
    );
    // And what a killed run hadn't come to is taken back.
    let mut company = Company::new(vec![rule("eng-b", false, &[("infra", View)])]);
    company.sync(&self::company());
    company.policy.access.collections.clear();
    company.killed(Killed::noted(0, 0, 0));
    assert_eq!(company.kept(), [""; 0]);
    assert_eq!(company.access(), [""; 0]);
}

#[test]
fn an_approval_of_access_is_for_the_people_who_gain_and_lose_it() {
    let (mut company, directory) = crowded(vec![rule("ops", true, &[("infra", Manage)])]);
    company.organization.set_right("ops", "wiki", Some(Edit));
    let held = company.sync(&directory);
    assert_eq!(people(&held), [4]);
    let joined = |many: usize| {
        let ids: Vec<String> = (28..32 + many).map(|n| format!("p{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let all = (0..40).fold(directory_sync_core_testing::directory(), |all, n| {
            all.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        all.group("ops", "ops", &ids)
    };
    // Three more come into the group: it is another hold, before they are in it and afterwards.
    let digest = held.digest.clone();
    company.run.approval = Some(Approval {
        digest: digest.clone(),
    });
    let more = company.sync(&joined(3));
    assert_ne!(more.digest, digest);
    assert_eq!(company.access(), ["ops: Edit on wiki"]);
    company.run.approval = Some(Approval { digest });
    company.sync(&joined(3));
    assert_eq!(company.access(), ["ops: Edit on wiki"]);
    // What was seen is what is approved.
    let seen = company.sync(&joined(3));
    company.run.approval = Some(Approval {
        digest: seen.digest,
    });
    company.sync(&joined(3));
    assert_eq!(company.access(), ["ops: Manage on infra"]);
}

#[test]
fn who_came_in_with_an_approval_does_not_raise_what_others_may_gain_either() {
    let (mut company, directory) = crowded(vec![]);
    company.policy.onboarding.limit = Limit::Count(5);
    let all = (40..240).fold(directory, |all, n| {
        all.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let many = company.sync(&all);
    company.run.approval = Some(Approval {
        digest: many.digest,
    });
    company.sync(&all);
    company.organization.accept_all();
    assert_eq!(company.organization.content.members.len(), 240);
    company.run.now -= SignedDuration::from_hours(24);
    company.policy.access.collections = vec![rule("eng-a", false, &[("infra", View)])];
    let held = company.sync(&all);
    let expected = HeldBecause::Collections {
        people: 8,
        earlier: 0,
        limit: 5,
        manage: false,
    };
    assert_eq!(why(&held), [expected]);
}

/// What is told of access that stays.
fn told(guarded: &GuardedPlan) -> Vec<String> {
    let told = guarded.approved.problems.iter();
    let told = told.filter(|one| one.reason == ProblemReason::AccessKept);
    told.map(|one| one.message.to_string()).collect()
}

/// The company without `eng-b`, to which a run gave access to `infra`; `wiki` it had by hand.
fn without_eng_b() -> (Company, TestDirectory) {
    let mut company = Company::new(vec![rule("eng-*", false, &[("infra", View)])]);
    company.organization.set_right("eng-b", "wiki", Some(Edit));
    company.sync(&self::company());
    (company, company_with(&[true, false, true]))
}

const WITHOUT_EXCEPT_BY_HAND: [&str; 2] = ["eng-a: View on infra", "eng-b: Edit on wiki"];
const AS_BEFORE: [&str; 3] = [
    "eng-a: View on infra",
    "eng-b: Edit on wiki",
    "eng-b: View on infra",
];

#[test]
fn a_group_that_is_gone_from_the_directory_loses_what_a_run_gave_it_and_nothing_else() {
    let (mut company, without) = without_eng_b();
    let run = company.sync(&without);
    assert_eq!(changes(&run), ["SetCollections eng-b"]);
    assert_eq!(people(&run), [1]);
    assert_eq!(company.access(), WITHOUT_EXCEPT_BY_HAND);
    assert_eq!(changes(&company.sync(&without)), [""; 0]);
    // It is a group like any other again.
    company.sync(&self::company());
    assert_eq!(company.access(), AS_BEFORE);
}

#[test]
fn a_group_that_a_filter_leaves_out_loses_what_a_run_gave_it() {
    let (mut company, _) = without_eng_b();
    company.policy.groups.exclude = vec![Glob::new("eng-b")];
    company.sync(&self::company());
    assert_eq!(company.access(), WITHOUT_EXCEPT_BY_HAND);
}

#[test]
fn the_access_of_a_group_that_is_gone_stays_as_long_as_its_rule_fits_no_group() {
    let (mut company, without) = without_eng_b();
    company.policy.access.collections = vec![
        rule("eng-a", false, &[("infra", View)]),
        rule("eng-b", false, &[("infra", View)]),
    ];
    let run = company.sync(&without);
    assert_eq!(company.access(), AS_BEFORE);
    assert!(problems(&run).contains(&(ProblemReason::UnmatchedPattern, vec![])));
    company.policy.access.collections.pop();
    company.sync(&without);
    assert_eq!(company.access(), WITHOUT_EXCEPT_BY_HAND);
}

#[test]
fn a_group_that_may_be_an_entry_that_cannot_be_identified_keeps_its_access_and_is_named() {
    let (mut company, without) = without_eng_b();
    for entry in ["another", ""] {
        let run = company.sync(&without.clone().unidentified_group(entry));
        assert_eq!(company.access(), AS_BEFORE);
        let told = told(&run);
        assert!(
            told[0].contains("group eng-b keeps View on infra, which a sync gave"),
            "{told:?}"
        );
    }
    company.sync(&without);
    assert_eq!(company.access(), WITHOUT_EXCEPT_BY_HAND);
}

#[test]
fn a_group_that_is_not_managed_any_more_keeps_its_access_and_is_named() {
    let (mut company, without) = without_eng_b();
    let groups = company.organization.content.groups.iter_mut();
    let eng_b = groups.filter(|group| &*group.name == "eng-b");
    eng_b.for_each(|group| group.external_id = None);
    for _ in 0..2 {
        let run = company.sync(&without);
        assert_eq!(company.access(), AS_BEFORE);
        let told = told(&run);
        assert!(
            told[0].contains("group eng-b keeps View on infra, which a sync gave, and isn't"),
            "{told:?}"
        );
    }
    company
        .organization
        .content
        .groups
        .retain(|group| &*group.name != "eng-b");
    assert_eq!(told(&company.sync(&without)), [""; 0]);
}

#[test]
fn a_group_that_is_deleted_is_deleted_and_its_access_is_no_matter_of_its_own() {
    let (mut company, without) = without_eng_b();
    company.policy.groups.prune = true;
    assert_eq!(changes(&company.sync(&without)), ["DeleteGroup eng-b"]);
}

#[test]
fn the_limits_of_a_deletion_hold_what_a_group_loses_that_is_gone() {
    let (directory, _) = crowd();
    let held = |policy: &dyn Fn(&mut Policy), left: &[&str]| {
        let (mut company, _) = crowded(vec![rule("*", false, &[("infra", View)])]);
        company.policy.access.collections_limit = Limit::Percent(100.0);
        assert_eq!(why(&company.sync(&directory)), []);
        company.policy.groups.exclude = left.iter().map(|one| Glob::new(one)).collect();
        policy(&mut company.policy);
        let run = company.sync(&directory);
        (why(&run), company.access().len())
    };
    // All twenty of a group at once, as if it had been deleted.
    let (why, left) = held(
        &|policy| policy.groups.limit = Limit::Percent(50.0),
        &["all"],
    );
    let expected = HeldBecause::EndedGroup {
        name: "all".into(),
        members: 20,
        limit: Some(10),
    };
    assert_eq!((why, left), (vec![expected.clone()], 3));
    assert_eq!(
        expected.to_string(),
        "group all isn't synced any more, and 20 members would lose access that rules gave it; groups.limit \
         allows 10 in 24 hours"
    );
    // Or one that is protected.
    let (why, left) = held(
        &|policy| policy.groups.protected = vec![Glob::new("ops")],
        &["ops"],
    );
    let expected = HeldBecause::EndedGroup {
        name: "ops".into(),
        members: 4,
        limit: None,
    };
    assert_eq!((why, left), (vec![expected.clone()], 3));
    assert_eq!(
        expected.to_string(),
        "group ops isn't synced any more and is protected, and 4 members would lose access that rules gave it"
    );
    // Or many groups, however few people are in them.
    let (why, left) = held(
        &|policy| policy.offboarding.limit = Limit::Percent(50.0),
        &["ops", "eng-a"],
    );
    let expected = HeldBecause::EndedGroups {
        groups: 2,
        earlier: 0,
        limit: 1,
    };
    assert_eq!((why, left), (vec![expected.clone()], 3));
    assert_eq!(
        expected.to_string(),
        "2 groups would lose access that rules gave, not being synced any more; offboarding.limit allows 1 in \
         24 hours"
    );
    // Or more people than may lose something.
    let (why, left) = held(
        &|policy| policy.offboarding.limit = Limit::Count(3),
        &["ops"],
    );
    assert_eq!(why.len(), 1, "{why:?}");
    assert_eq!(
        why[0].to_string(),
        "4 members would lose something, by the rules of access; offboarding.limit allows 3 in 24 hours"
    );
    assert_eq!(left, 3);
    let (why, left) = held(&|_| {}, &["ops"]);
    assert_eq!((why, left), (vec![], 2));
}

#[test]
fn groups_that_are_gone_one_after_the_other_count_together_within_a_day() {
    let (mut company, directory) = crowded(vec![rule("*", false, &[("infra", View)])]);
    company.policy.access.collections_limit = Limit::Percent(100.0);
    company.sync(&directory);
    company.policy.offboarding.limit = Limit::Percent(50.0);
    company.policy.groups.exclude = vec![Glob::new("ops")];
    assert_eq!(why(&company.sync(&directory)), []);
    company.policy.groups.exclude.push(Glob::new("eng-a"));
    company.run.now -= SignedDuration::from_hours(24);
    let expected = HeldBecause::EndedGroups {
        groups: 1,
        earlier: 1,
        limit: 1,
    };
    let guarded = company.sync(&directory);
    assert_eq!(why(&guarded), [expected]);
    let reasons = guarded.held.unwrap().describe();
    assert!(
        reasons.ends_with("allows 1 in 24 hours (of 3 managed groups)"),
        "{reasons}"
    );
    assert_eq!(company.access().len(), 2);
    assert_eq!(why(&company.sync(&directory)), []);
    assert_eq!(company.access().len(), 1);
}

#[test]
fn whoever_is_in_a_new_group_instead_loses_the_access_once_that_has_it() {
    let (mut company, without) = without_eng_b();
    let renamed = without.group("new", "eng-new", &["cid"]);
    let first = company.sync(&renamed);
    assert_eq!(changes(&first), ["CreateGroup new"]);
    let follows: Vec<String> = first.approved.follows[&id("new")]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(follows, ["View on infra"]);
    let sides = Sides {
        source: "a directory",
        organization: "an organization",
    };
    let document = PlanDocument::of(&first, &sides);
    let shown = render::table(&document, &PIPE);
    assert!(
        shown.contains("access follows in the next run: View on infra"),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_str(&render::json(&document)).unwrap();
    assert_eq!(
        json["changes"][0]["accessFollows"][0]["externalId"],
        "infra"
    );
    company.sync(&renamed);
    // Not in the run that gives it to the new group: that can be held, refused or cut off.
    let kept = |one: &String| one.starts_with("eng-b: ") && one.ends_with(" on infra");
    assert!(company.access().iter().any(kept));
    company.sync(&renamed);
    assert_eq!(
        company.access(),
        [
            "eng-a: View on infra",
            "eng-b: Edit on wiki",
            "eng-new: View on infra"
        ]
    );
}

#[test]
fn a_group_that_an_incremental_read_lacks_loses_nothing_before_all_is_read() {
    let (mut company, without) = without_eng_b();
    let Company {
        run,
        organization,
        policy,
    } = &mut company;
    let planned = run.plan_incremental(&without, Default::default(), organization, policy);
    assert_eq!(changes(&planned), [""; 0]);
    assert!(planned.needs_complete_read.is_some());
}

#[test]
fn what_was_taken_from_a_group_that_is_gone_and_given_back_by_an_undo_stays_and_is_named() {
    let (mut company, without) = without_eng_b();
    let mut records = Records::default();
    let Company {
        run,
        organization,
        policy,
    } = &mut company;
    run.now += SignedDuration::from_hours(25);
    records.sync(run, &without, organization, policy);
    assert_eq!(organization.access(), WITHOUT_EXCEPT_BY_HAND);
    records.undo(run, organization, policy);
    assert_eq!(organization.access(), AS_BEFORE);
    for _ in 0..2 {
        let run = company.sync(&without);
        assert_eq!(changes(&run), [""; 0]);
        let told = told(&run);
        assert!(
            told[0].contains(
                "group eng-b has View on infra, and no rule gives it any more; an undo gave it back"
            ),
            "{told:?}"
        );
        assert_eq!(company.access(), AS_BEFORE);
    }
    // Somebody decides.
    company.organization.set_right("eng-b", "infra", None);
    assert_eq!(told(&company.sync(&without)), [""; 0]);
}

#[test]
fn access_that_an_undo_gave_back_stays_and_is_named_until_a_rule_gives_it_again() {
    let gives = || vec![rule("eng-b", false, &[("infra", View)])];
    for killed in [None, Some(Killed::after(1)), Some(Killed::noted(1, 0, 0))] {
        let mut company = Company::new(gives());
        company.sync(&self::company());
        company.policy.access.collections.clear();
        let mut records = Records::default();
        let Company {
            run,
            organization,
            policy,
        } = &mut company;
        run.now += SignedDuration::from_hours(25);
        records.sync(run, &self::company(), organization, policy);
        assert_eq!(organization.access(), [""; 0]);
        match killed {
            None => {
                records.undo(run, organization, policy);
            }
            Some(how) => records.killed_undo(run, organization, policy, how),
        }
        assert_eq!(company.access(), ["eng-b: View on infra"]);
        for _ in 0..2 {
            assert_eq!(company.kept(), KEPT);
        }
        company.policy.access.collections = gives();
        assert_eq!(company.kept(), [""; 0]);
        company.policy.access.collections.clear();
        assert_eq!(company.kept(), KEPT);
        assert_eq!(company.access(), ["eng-b: View on infra"]);
        // Taken away and given again by hand it is somebody's.
        company.organization.set_right("eng-b", "infra", None);
        assert_eq!(company.kept(), [""; 0]);
        company.organization.set_right("eng-b", "infra", Some(View));
        assert_eq!(company.kept(), [""; 0]);
    }
}
