//! Who and what is in scope.

use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::policy::{Glob, Policy};
use directory_sync_core::sync::resolve::resolve;
use directory_sync_core::sync::roster::{Eligibility, Roster};
use directory_sync_core_testing::{TestDirectory, directory, organization, policy, sync};

use crate::unlimited;

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn roster(directory: &TestDirectory, policy: &Policy) -> Roster {
    resolve(directory.read(), policy).unwrap()
}

fn active(roster: &Roster) -> Vec<&str> {
    let people = roster
        .people
        .iter()
        .filter(|person| person.eligibility == Eligibility::Active);
    people.map(|person| person.id.as_str()).collect()
}

#[test]
fn emails_are_included_and_excluded_blind_to_case_and_exclusion_wins() {
    let directory = directory()
        .person("ann", "Ann@Example.com")
        .person("svc", "svc-backup@example.com")
        .person("guest", "guest@partner.com");
    let mut policy = policy();
    assert_eq!(
        active(&roster(&directory, &policy)),
        ["ann", "svc", "guest"]
    );
    policy.users.include = globs(&["*@EXAMPLE.com"]);
    assert_eq!(active(&roster(&directory, &policy)), ["ann", "svc"]);
    policy.users.exclude = globs(&["SVC-*"]);
    assert_eq!(active(&roster(&directory, &policy)), ["ann"]);
}

#[test]
fn a_group_in_scope_keeps_people_it_has_through_groups_that_are_not() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("cid", "cid@example.com")
        .group("eng", "eng-all", &["ann", "@team"])
        .group("team", "team", &["bob", "@deep"])
        .group("deep", "deep", &["bob"])
        .group("ops", "ops", &["cid"]);
    let mut policy = policy();
    policy.groups.include = globs(&["ENG-*"]);
    policy.groups.only_their_members = true;
    let roster = roster(&directory, &policy);
    assert_eq!(roster.groups.len(), 1);
    assert_eq!(roster.groups[0].people.len(), 2);
    assert_eq!(active(&roster), ["ann", "bob"]);
    assert_eq!(roster.other_groups.len(), 3);
}

#[test]
fn members_of_a_group_in_scope_whose_name_is_broken_stay_in_scope() {
    let directory =
        directory()
            .person("ann", "ann@example.com")
            .group("eng", &"e".repeat(101), &["ann"]);
    let mut policy = policy();
    policy.groups.only_their_members = true;
    assert_eq!(active(&roster(&directory, &policy)), ["ann"]);
}

#[test]
fn without_any_group_in_scope_only_their_members_is_nobody() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("eng", "eng", &["ann"]);
    let mut policy = policy();
    policy.groups.include = globs(&["nothing"]);
    assert_eq!(active(&roster(&directory, &policy)), ["ann"]);
    policy.groups.only_their_members = true;
    assert_eq!(active(&roster(&directory, &policy)), [""; 0]);
}

#[test]
fn accounts_without_email_are_a_problem_only_where_they_would_be_in_scope() {
    let directory = directory()
        .person("active", "")
        .disabled("disabled", "")
        .deleted("deleted", "")
        .person("typo", "nobody");
    let reported = |policy: &Policy| {
        let problems = roster(&directory, policy).problems;
        problems
            .iter()
            .map(|p| p.external_ids[0].to_string())
            .collect::<Vec<_>>()
    };
    let mut policy = policy();
    assert_eq!(reported(&policy), ["active", "typo"]);
    policy.users.include = globs(&["*@example.com"]);
    assert_eq!(reported(&policy), ["typo"]);
    policy.groups.only_their_members = true;
    assert_eq!(reported(&policy), [""; 0]);
}

#[test]
fn twins_of_whom_one_is_filtered_out_are_no_twins() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("ann-admin", "ann@example.com")
        .group("staff", "staff", &["ann"]);
    let mut policy = policy();
    policy.groups.only_their_members = true;
    let roster = roster(&directory, &policy);
    assert_eq!(active(&roster), ["ann"]);
    assert!(roster.problems.is_empty());
}

#[test]
fn ids_carry_the_prefix() {
    let mut policy = policy();
    policy.external_id_prefix = "hr:".into();
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("g", "Group", &["ann"]);
    let roster = roster(&directory, &policy);
    assert_eq!(active(&roster), ["hr:ann"]);
    assert_eq!(roster.groups[0].id.as_str(), "hr:g");
    assert_eq!(
        roster
            .by_id
            .keys()
            .map(|id| id.as_str())
            .collect::<Vec<_>>(),
        ["hr:ann"]
    );
}

#[test]
fn a_pattern_that_fits_nothing_is_told_by_name() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("eng", "eng-core", &["ann"]);
    let mut policy = unlimited();
    policy.users.include = globs(&["*@example.com", "*@exmaple.com"]);
    policy.users.exclude = globs(&["svc-*"]);
    policy.groups.include = globs(&["/^eng-.*/", "ENG-*"]);
    policy.groups.exclude = globs(&["eng-old"]);
    policy.groups.protected = globs(&["admins", "by hand", "eng-co?e"]);
    let mut organization = organization().own_group("By hand", &[]);
    let run = sync(&directory, &mut organization, &policy);
    let told = |reason: ProblemReason| -> Vec<&str> {
        let problems = run.approved.problems.iter();
        let problems = problems.filter(|one| one.reason == reason);
        problems
            .map(|one| one.message.split(" fits").next().unwrap())
            .collect()
    };
    assert_eq!(
        told(ProblemReason::UnmatchedPattern),
        [
            r#"groups.include: the pattern "/^eng-.*/""#,
            r#"users.include: the pattern "*@exmaple.com""#,
            r#"groups.protected: the pattern "admins""#,
        ]
    );
    assert_eq!(
        told(ProblemReason::UnmatchedExclusion),
        [
            r#"groups.exclude: the pattern "eng-old""#,
            r#"users.exclude: the pattern "svc-*""#
        ]
    );
    assert!(ProblemReason::UnmatchedPattern.needs_action());
    assert!(!ProblemReason::UnmatchedExclusion.needs_action());
}
