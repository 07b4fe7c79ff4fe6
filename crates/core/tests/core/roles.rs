//! `access.roles`: members of a group have a role.

use std::ops::Range;

use directory_sync_core::organization::model::MemberStatus;
use directory_sync_core::organization::role::{AccessRole, Permissions};
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::{Approval, GuardedPlan, HeldBecause};
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::memberships::FailedChanges;
use directory_sync_core::sync::plan::Kind;
use directory_sync_core::sync::policy::{Access, Glob, Limit, OffboardingAction, Policy, RoleRule};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::killed::{Killed, Whose};
use crate::taken_back::Records;
use crate::{changes, problems, unlimited};

const ADMIN: AccessRole = AccessRole::Admin;
const USER: AccessRole = AccessRole::User;

fn custom(names: &[&str]) -> AccessRole {
    AccessRole::Custom(Permissions::of(names.iter().copied()))
}

fn rules(rules: &[(&str, AccessRole)]) -> Access {
    let rule = |(group, role): &(&str, AccessRole)| RoleRule {
        group: Glob::new(group),
        role: *role,
    };
    Access {
        roles: rules.iter().map(rule).collect(),
        ..Access::default()
    }
}

fn with(access: Access) -> Policy {
    Policy {
        access,
        ..unlimited()
    }
}

/// Ann, Bob, Cid and Dan, and who of them is in which of two groups.
fn company(admins: &[&str], helpdesk: &[&str]) -> TestDirectory {
    let people = ["ann", "bob", "cid", "dan"];
    let directory = people.iter().fold(directory(), |directory, person| {
        directory.person(person, &format!("{person}@example.com"))
    });
    directory
        .group("admins", "bw-admins", admins)
        .group("helpdesk", "helpdesk", helpdesk)
}

fn members() -> ModelOrganization {
    organization()
        .owner("owner@example.com")
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .member("cid", "cid@example.com")
        .member("dan", "dan@example.com")
        .group("admins", "bw-admins", &[])
        .group("helpdesk", "helpdesk", &[])
}

fn roles(organization: &ModelOrganization) -> Vec<String> {
    let members = organization.content.members.iter();
    let roles = members.filter_map(|member| {
        let role = organization.role(member.email.as_str())?;
        let name = member.email.as_str().split('@').next()?;
        (role != USER).then(|| format!("{name}: {role}"))
    });
    let mut roles: Vec<String> = roles.collect();
    roles.sort();
    roles
}

/// A run on a day of its own.
struct Company {
    run: Run,
    organization: ModelOrganization,
    policy: Policy,
}

impl Company {
    fn new(access: Access, organization: ModelOrganization) -> Self {
        let mut run = Run::default();
        run.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 20_000);
        run.ledger = Ledger::begin(run.now);
        Self {
            run,
            organization,
            policy: with(access),
        }
    }

    fn sync(&mut self, directory: &TestDirectory) -> GuardedPlan {
        let guarded = self
            .run
            .sync(directory, &mut self.organization, &self.policy);
        self.run.approval = None;
        guarded
    }

    /// The same on the next day.
    fn next_day(&mut self, directory: &TestDirectory) -> GuardedPlan {
        self.run.now += SignedDuration::from_hours(25);
        self.sync(directory)
    }

    fn roles(&self) -> Vec<String> {
        roles(&self.organization)
    }
}

fn admins() -> Company {
    Company::new(rules(&[("bw-admins", ADMIN)]), members())
}

#[test]
fn who_is_in_the_group_gets_the_role_and_loses_it_by_leaving() {
    let mut company = admins();
    let first = company.sync(&self::company(&["ann"], &[]));
    assert_eq!(changes(&first)[0], "SetRole ann");
    assert_eq!(company.roles(), ["ann: Admin"]);
    let role = first.approved.changes[0].role().unwrap();
    assert_eq!(*role.through, ["bw-admins".into()]);

    let second = company.next_day(&self::company(&["ann"], &[]));
    assert_eq!(changes(&second), [""; 0]);

    company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn a_role_that_somebody_gave_by_hand_stays_when_they_leave_the_group() {
    let mut company = admins();
    company.organization.set_role("ann@example.com", ADMIN);
    company
        .organization
        .set_role("dan@example.com", custom(&["manageUsers"]));
    company.sync(&self::company(&["ann"], &[]));
    company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin", "dan: Custom (manageUsers)"]);
}

#[test]
fn a_role_that_was_changed_by_hand_since_is_somebody_elses() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    // Taken away by hand, and given by hand again once Ann had left the group.
    company.organization.set_role("ann@example.com", USER);
    company.next_day(&self::company(&[], &[]));
    company.organization.set_role("ann@example.com", ADMIN);
    company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin"]);
}

#[test]
fn the_highest_role_counts_and_permissions_add_up() {
    let access = rules(&[
        ("bw-admins", ADMIN),
        ("helpdesk", custom(&["manageUsers"])),
        ("help*", custom(&["accessReports"])),
    ]);
    let mut company = Company::new(access, members());
    company.sync(&self::company(&["ann"], &["ann", "bob"]));
    assert_eq!(
        company.roles(),
        ["ann: Admin", "bob: Custom (accessReports, manageUsers)"]
    );
    // Out of the higher group, the lower one still counts.
    company.next_day(&self::company(&[], &["ann", "bob"]));
    assert_eq!(
        company.roles(),
        [
            "ann: Custom (accessReports, manageUsers)",
            "bob: Custom (accessReports, manageUsers)"
        ]
    );
}

#[test]
fn owners_unmanaged_members_and_whoever_is_invited_get_no_role_in_that_run() {
    let organization = organization()
        .linked_owner("ann", "ann@example.com")
        .stranger("other@example.com");
    let mut company = Company::new(rules(&[("bw-admins", ADMIN)]), organization);
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("admins", "bw-admins", &["ann", "bob"]);
    company.sync(&directory);
    assert_eq!(company.roles(), [""; 0]);
    // Bob is invited by now, and has no role until he accepts.
    company.next_day(&directory);
    assert_eq!(company.roles(), [""; 0]);
    company.organization.accept_all();
    company.next_day(&directory);
    assert_eq!(company.roles(), ["bob: Admin"]);
    assert_eq!(company.organization.role("ann@example.com"), None);
}

#[test]
fn a_rule_without_a_group_takes_nothing_and_is_told() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    let people = ["ann", "bob", "cid", "dan"];
    let renamed = people.iter().fold(directory(), |directory, person| {
        directory.person(person, &format!("{person}@example.com"))
    });
    let renamed = renamed.group("admins", "administrators", &["ann"]);
    let run = company.next_day(&renamed);
    assert_eq!(company.roles(), ["ann: Admin"]);
    let told = problems(&run);
    assert!(
        told.contains(&(ProblemReason::UnmatchedPattern, vec![])),
        "{told:?}"
    );
    // The rule is taken out of the resource: then it is meant.
    company.policy.access.roles.clear();
    company.next_day(&renamed);
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn a_group_that_cannot_be_identified_takes_nothing() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    for unknown in [
        self::company(&[], &[]).unidentified_group("bw-admins"),
        self::company(&[], &[]).unidentified_group(""),
    ] {
        company.next_day(&unknown);
        assert_eq!(company.roles(), ["ann: Admin"]);
    }
    // Another one that isn't known is no reason.
    company.next_day(&self::company(&[], &[]).unidentified_group("other"));
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn a_lost_record_takes_nothing_and_says_so() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    company.run.now += SignedDuration::from_hours(25);
    company.run.ledger = Ledger::begin_careful(company.run.now);
    let run = company.sync(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin"]);
    let told = problems(&run);
    assert!(
        told.contains(&(ProblemReason::AccessKept, vec![])),
        "{told:?}"
    );
}

#[test]
fn a_record_from_a_backup_takes_nothing() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    company.run.now += SignedDuration::from_hours(25);
    company.run.ledger = company.run.ledger.clone().doubted(company.run.now);
    company.sync(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin"]);
}

#[test]
fn a_refused_role_is_not_ours() {
    let mut company = admins();
    company.organization.refused.insert(id("ann"));
    company.sync(&self::company(&["ann"], &[]));
    assert_eq!(company.roles(), [""; 0]);
    // By hand, and then out of the group.
    company.organization.refused.clear();
    company.organization.set_role("ann@example.com", ADMIN);
    company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin"]);
}

#[test]
fn who_gains_rights_is_limited_within_a_day_and_can_be_approved() {
    let mut company = admins();
    company.policy.access.limit = 2;
    let three = self::company(&["ann", "bob", "cid"], &[]);
    let held = company.sync(&three);
    assert_eq!(company.roles(), [""; 0]);
    let waiting = held.held.as_ref().unwrap();
    assert_eq!(waiting.changes.len(), 3);
    assert_eq!(
        waiting.why,
        [HeldBecause::Roles {
            people: 3,
            earlier: 0,
            limit: 2,
            lost: false
        }]
    );
    company.run.approval = Some(Approval {
        digest: held.digest.clone(),
    });
    company.sync(&three);
    assert_eq!(company.roles(), ["ann: Admin", "bob: Admin", "cid: Admin"]);
}

#[test]
fn the_limit_counts_what_earlier_runs_gave_and_took_within_the_day() {
    let mut company = admins();
    company.policy.access.limit = 2;
    company.sync(&self::company(&["ann"], &[]));
    company.sync(&self::company(&["ann", "bob"], &[]));
    // Cid would be the third within a day, also once Ann and Bob aren't admins any more.
    company.organization.set_role("ann@example.com", USER);
    let held = company.sync(&self::company(&["cid"], &[]));
    assert!(held.held.is_some(), "{:?}", company.roles());
    assert!(!company.roles().contains(&"cid: Admin".to_owned()));
    company.next_day(&self::company(&["cid"], &[]));
    assert_eq!(company.roles(), ["cid: Admin"]);
}

#[test]
fn what_else_of_a_person_is_refused_takes_no_role_off_the_limit() {
    let mut company = admins();
    company.policy.access.limit = 1;
    let guarded = company.run.plan(
        &self::company(&["ann"], &[]),
        &company.organization,
        &company.policy,
    );
    company.run.ledger.before(&guarded, company.run.now);
    company.organization.apply(&guarded.approved);
    // A group may have the same ID.
    let others = Kind::ALL.into_iter().filter(|kind| *kind != Kind::SetRole);
    let failed = FailedChanges {
        changes: others.map(|kind| (kind, id("ann"))).collect(),
        refused: true,
        ..FailedChanges::default()
    };
    company.run.memory.record(&guarded, &failed);
    company.run.ledger.after(&guarded, &failed);
    assert_eq!(company.roles(), ["ann: Admin"]);
    let held = company.sync(&self::company(&["ann", "bob"], &[]));
    assert!(held.held.is_some(), "{:?}", company.roles());
    // It is ours to take back.
    company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), [""; 0]);
}

/// Who is in the group of this name.
type InGroup<'a> = (&'a str, Range<usize>);

/// An organization of many, none of whom is an admin, and its directory with some of them in groups of these
/// names.
fn many(people: usize) -> (ModelOrganization, impl Fn(&[InGroup<'_>]) -> TestDirectory) {
    let ids: Vec<String> = (0..people).map(|n| format!("p{n}")).collect();
    let email = |id: &String| format!("{id}@example.com");
    let mut members = organization();
    for id in &ids {
        members = members.member(id, &email(id));
    }
    for group in ["bw-admins", "helpdesk"] {
        members = members.group(group, group, &[]);
    }
    let directory = move |groups: &[InGroup<'_>]| {
        let mut directory = directory();
        for id in &ids {
            directory = directory.person(id, &email(id));
        }
        for (group, inside) in groups {
            let inside: Vec<&str> = ids[inside.clone()].iter().map(String::as_str).collect();
            directory = directory.group(group, group, &inside);
        }
        directory
    };
    (members, directory)
}

#[test]
fn who_gains_rights_counts_also_where_no_more_roles_are_kept_as_given() {
    let (members, directory) = many(640);
    let access = rules(&[
        ("helpdesk", custom(&["accessReports"])),
        ("bw-admins", ADMIN),
    ]);
    let mut company = Company::new(access, members);
    company.policy.access.limit = 3;
    let of = |admins: usize| directory(&[("helpdesk", 0..605), ("bw-admins", 610..610 + admins)]);
    let held = company.sync(&of(0));
    company.run.approval = Some(Approval {
        digest: held.digest.clone(),
    });
    assert!(company.sync(&of(0)).held.is_none());
    assert_eq!(company.roles().len(), 605);
    assert!(company.sync(&of(2)).held.is_none());
    assert!(company.sync(&of(3)).held.is_none());
    let held = company.sync(&of(4));
    let expected = HeldBecause::Roles {
        people: 1,
        earlier: 3,
        limit: 3,
        lost: false,
    };
    assert_eq!(held.held.unwrap().why, [expected]);
    assert_eq!(company.roles().len(), 608);
    assert!(company.next_day(&of(4)).held.is_none());
}

#[test]
fn more_gains_than_are_kept_one_by_one_count_by_their_number() {
    let (members, directory) = many(300);
    let mut company = Company::new(rules(&[("bw-admins", ADMIN)]), members);
    company.policy.access.limit = 250;
    let of = |who: Range<usize>| directory(&[("helpdesk", 0..0), ("bw-admins", who)]);
    assert!(company.sync(&of(0..240)).held.is_none());
    for at in 0..240 {
        let email = format!("p{at}@example.com");
        company.organization.set_role(&email, USER);
    }
    assert!(company.sync(&of(240..245)).held.is_none());
    let held = company.sync(&of(240..260));
    let expected = HeldBecause::Roles {
        people: 15,
        earlier: 245,
        limit: 250,
        lost: false,
    };
    assert_eq!(held.held.unwrap().why, std::slice::from_ref(&expected));
    // Nor is a record that is lost a fresh limit.
    let used = company.run.ledger.used();
    assert_eq!(used.iter().map(|one| one.gained).sum::<u32>(), 245);
    company.run.ledger = Ledger::load(
        None,
        Some("0123456789abcdef0123456789abcdef"),
        company.run.now,
    );
    company.run.ledger.count_used(&used);
    let held = company.sync(&of(240..260));
    assert!(held.held.unwrap().why.contains(&expected));
}

#[test]
fn roles_that_are_refused_at_every_run_use_up_no_limit_however_many() {
    let (members, directory) = many(300);
    let mut company = Company::new(rules(&[("bw-admins", ADMIN)]), members);
    company.policy.access.limit = 260;
    let of = |who: Range<usize>| directory(&[("helpdesk", 0..0), ("bw-admins", who)]);
    assert!(company.sync(&of(0..260)).held.is_none());
    company.next_day(&of(0..260));
    company.organization.refused = (0..260).map(|n| id(&format!("p{n}"))).collect();
    for _ in 0..3 {
        let run = company.next_day(&of(0..0));
        assert!(run.held.is_none());
        company.run.now -= SignedDuration::from_hours(25);
        assert_eq!(company.roles().len(), 260);
    }
    company.organization.refused.clear();
    assert!(company.sync(&of(0..0)).held.is_none());
    assert_eq!(company.roles().len(), 0);
    company.run.now += SignedDuration::from_hours(1);
    let held = company.sync(&of(0..0)).held;
    assert!(held.is_none());
}

#[test]
fn a_record_that_is_lost_again_and_again_gives_no_fresh_limit_of_admins() {
    let mut company = admins();
    company.policy.access.limit = 1;
    let all = self::company(&["ann", "bob", "cid"], &[]);
    company.sync(&self::company(&["ann"], &[]));
    for _ in 0..2 {
        let run = &mut company.run;
        run.now += SignedDuration::from_hours(2);
        let used = run.ledger.used();
        run.ledger = Ledger::load(None, Some("0123456789abcdef0123456789abcdef"), run.now);
        run.ledger.count_used(&used);
        let held = company.sync(&self::company(&["ann", "bob"], &[]));
        assert!(held.held.is_some());
        assert_eq!(company.roles(), ["ann: Admin"]);
    }
    company.next_day(&self::company(&["ann", "bob"], &[]));
    assert_eq!(company.roles(), ["ann: Admin", "bob: Admin"]);
    let held = company.sync(&all);
    assert!(held.held.is_some(), "{:?}", company.roles());
}

#[test]
fn so_many_admins_are_not_lost_at_once() {
    let mut company = admins();
    company.policy.access.limit = 2;
    company.sync(&self::company(&["ann", "bob"], &[]));
    company.next_day(&self::company(&["ann", "bob", "cid"], &[]));
    // Somebody empties the group.
    let held = company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin", "bob: Admin", "cid: Admin"]);
    let why = &held.held.as_ref().unwrap().why;
    assert!(
        matches!(
            why[..],
            [HeldBecause::Roles {
                people: 3,
                lost: true,
                ..
            }]
        ),
        "{why:?}"
    );
    assert_eq!(held.held.unwrap().members(), 3);
}

#[test]
fn a_role_counts_as_something_to_lose() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    company.policy.offboarding.limit = Limit::Count(0);
    let held = company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin"]);
    assert!(held.held.is_some());
}

#[test]
fn whose_place_in_the_group_is_held_keeps_the_role() {
    let mut company = admins();
    company.policy.groups.protected = vec![Glob::new("bw-admins")];
    company.sync(&self::company(&["ann"], &[]));
    let held = company.next_day(&self::company(&[], &[]));
    assert_eq!(company.roles(), ["ann: Admin"]);
    company.run.approval = Some(Approval {
        digest: held.digest.clone(),
    });
    company.sync(&self::company(&[], &[]));
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn whoever_comes_back_does_not_come_back_as_an_admin() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    let without_ann = |admins: &[&str]| {
        directory()
            .disabled("ann", "ann@example.com")
            .person("bob", "bob@example.com")
            .person("cid", "cid@example.com")
            .person("dan", "dan@example.com")
            .group("admins", "bw-admins", admins)
            .group("helpdesk", "helpdesk", &[])
    };
    // Still in the group: nothing but the access goes.
    company.next_day(&without_ann(&["ann"]));
    assert_eq!(
        company.organization.by_email("ann@example.com").status,
        MemberStatus::Revoked
    );
    assert_eq!(company.roles(), ["ann: Admin"]);
    company.next_day(&without_ann(&[]));
    assert_eq!(company.roles(), [""; 0]);
    company.next_day(&self::company(&[], &[]));
    let ann = company.organization.by_email("ann@example.com");
    assert_eq!(ann.status, MemberStatus::Confirmed);
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn nobody_who_is_revoked_gains_a_role() {
    let mut company = admins();
    company
        .organization
        .set_status("ann@example.com", MemberStatus::Revoked);
    company.sync(&self::company(&["ann"], &[]));
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn an_empty_directory_takes_no_role() {
    let mut company = admins();
    company.policy.offboarding.absent = OffboardingAction::Retain;
    company.sync(&self::company(&["ann"], &[]));
    company.next_day(&directory());
    assert_eq!(company.roles(), ["ann: Admin"]);
}

#[test]
fn a_hand_made_role_of_somebody_in_the_group_becomes_what_the_rule_says() {
    let access = rules(&[("helpdesk", custom(&["manageUsers"]))]);
    let mut company = Company::new(access, members());
    company.organization.set_role("ann@example.com", ADMIN);
    company
        .organization
        .set_role("bob@example.com", custom(&["manageScim"]));
    company.sync(&self::company(&[], &["ann", "bob"]));
    assert_eq!(
        company.roles(),
        ["ann: Custom (manageUsers)", "bob: Custom (manageUsers)"]
    );
}

const PEOPLE: [&str; 4] = ["ann", "bob", "cid", "dan"];

fn any_role() -> impl Strategy<Value = AccessRole> {
    prop_oneof![
        Just(USER),
        Just(ADMIN),
        Just(custom(&["manageUsers"])),
        Just(custom(&["manageGroups", "manageUsers"])),
        Just(custom(&["accessReports"])),
    ]
}

/// What happens between two runs, or to one.
#[derive(Debug, Clone)]
enum Event {
    /// Who is in which group.
    Directory(Vec<bool>, Vec<bool>),
    /// Somebody gives a role by hand.
    ByHand(usize, AccessRole),
    /// The rules are changed.
    Rules(Option<AccessRole>, Option<AccessRole>),
    /// The server refuses changes of these people.
    Refusing(Vec<bool>),
    /// The process is killed in the middle of a run.
    Killed(Killed),
    /// The record is lost.
    RecordLost,
    /// The last run is undone.
    Undone,
    /// What the last run held is approved.
    Approved,
}

fn events() -> impl Strategy<Value = Event> {
    let who = || prop::collection::vec(any::<bool>(), PEOPLE.len());
    let rule = || prop::option::weighted(0.8, any_role());
    prop_oneof![
        4 => (who(), who()).prop_map(|(a, b)| Event::Directory(a, b)),
        2 => (0..PEOPLE.len(), any_role()).prop_map(|(who, role)| Event::ByHand(who, role)),
        2 => (rule(), rule()).prop_map(|(a, b)| Event::Rules(a, b)),
        1 => who().prop_map(Event::Refusing),
        2 => Killed::any().prop_map(Event::Killed),
        1 => Just(Event::RecordLost),
        2 => Just(Event::Undone),
        1 => Just(Event::Approved),
    ]
}

fn named(who: &[bool]) -> Vec<&'static str> {
    let people = PEOPLE.into_iter().zip(who);
    people.filter(|(_, is)| **is).map(|(one, _)| one).collect()
}

proptest! {
    /// Whatever happened: once nothing is refused, whoever a rule is about has exactly its role, whoever has a role
    /// that no run certainly gave keeps it, and whoever has one that a run may have given, or an undo gave back, is
    /// named.
    #[test]
    fn roles_end_as_declared_and_the_rest_is_untouched(
        by_hand in prop::collection::vec(any_role(), PEOPLE.len()),
        history in prop::collection::vec(events(), 1..12),
    ) {
        let mut company = Company::new(rules(&[]), members());
        company.policy.access.limit = 100;
        for (person, role) in PEOPLE.iter().zip(&by_hand) {
            company.organization.set_role(&format!("{person}@example.com"), *role);
        }
        let mut whose = [const { Whose::Somebodys }; PEOPLE.len()];
        let (mut admins, mut helpdesk) = (vec![false; 4], vec![false; 4]);
        let (mut first, mut second) = (None, None);
        let email = |at: usize| format!("{}@example.com", PEOPLE[at]);
        let mut records = Records::default();
        let mut digest = None;
        for event in history.iter().chain([&Event::Refusing(vec![false; 4])]) {
            let mut killed = None;
            let mut changed_by_hand = None;
            match event {
                Event::Directory(one, other) => {
                    (admins, helpdesk) = (one.clone(), other.clone());
                }
                Event::ByHand(at, role) => {
                    // The same once more can't be seen.
                    let before = company.organization.role(&email(*at));
                    changed_by_hand = (before != Some(*role)).then_some(*at);
                    company.organization.set_role(&email(*at), *role);
                }
                Event::Rules(one, other) => (first, second) = (*one, *other),
                Event::Refusing(who) => {
                    company.organization.refused = named(who).into_iter().map(id).collect();
                }
                Event::Killed(how) => killed = Some(*how),
                Event::RecordLost => {
                    company.run.ledger = Ledger::begin_careful(company.run.now);
                    whose = [const { Whose::Somebodys }; PEOPLE.len()];
                }
                Event::Undone => {
                    let Company { run, organization, policy } = &mut company;
                    let undone = records.undo(run, organization, policy);
                    let refused = organization.refused.clone();
                    let changes = undone.iter().flat_map(|undone| &undone.approved.changes);
                    for change in changes.filter(|one| !refused.contains(one.external_id())) {
                        let at = PEOPLE.iter().position(|one| id(one) == *change.external_id());
                        if let (Some(role), Some(at)) = (change.role(), at) {
                            whose[at] = match role.to {
                                USER => Whose::Somebodys,
                                _ => Whose::GivenBack,
                            };
                        }
                    }
                }
                Event::Approved => {
                    company.run.approval = digest.take().map(|digest| Approval { digest });
                    company.run.now -= SignedDuration::from_hours(24);
                }
            }
            let all = [("bw-admins", first), ("helpdesk", second)];
            let all: Vec<(&str, AccessRole)> =
                all.into_iter().filter_map(|(group, role)| Some((group, role?))).collect();
            company.policy.access.roles = rules(&all).roles;
            let directory = self::company(&named(&admins), &named(&helpdesk));
            // A process that was killed is started again soon.
            company.run.now += match whose.iter().any(|one| matches!(one, Whose::InDoubt(_))) {
                true => SignedDuration::from_mins(10),
                false => SignedDuration::from_hours(25),
            };
            let before = company.organization.clone();
            for (at, one) in whose.iter_mut().enumerate() {
                let now = before.role(&email(at)).filter(|role| *role != USER);
                let read = std::mem::replace(one, Whose::Somebodys);
                *one = read.read(now.as_ref(), changed_by_hand == Some(at));
            }
            let told = match killed {
                Some(how) => {
                    let Company { run, organization, policy } = &mut company;
                    let (guarded, kept) = how.run(run, &directory, organization, policy);
                    for (change, kept) in kept {
                        let at = PEOPLE.iter().position(|one| id(one) == *change.external_id());
                        if let (Some(role), Some(at)) = (change.role(), at) {
                            let [from, to] =
                                [role.from, role.to].map(|one| Some(one).filter(|one| *one != USER));
                            let before = std::mem::replace(&mut whose[at], Whose::Somebodys);
                            whose[at] = before.killed(kept, from, to);
                        }
                    }
                    guarded
                }
                None => {
                    let Company { run, organization, policy } = &mut company;
                    let ran = records.sync(run, &directory, organization, policy);
                    run.approval = None;
                    ran
                }
            };
            digest = told.held.as_ref().map(|_| told.digest.clone());
            let holds = told.held.is_some();
            let told = problems(&told);
            for at in 0..PEOPLE.len() {
                let now = company.organization.role(&email(at)).unwrap();
                let was = before.role(&email(at)).unwrap();
                let claims = [(admins[at], first), (helpdesk[at], second)];
                let claim = claims
                    .into_iter()
                    .filter_map(|(inside, role)| role.filter(|_| inside))
                    .reduce(AccessRole::or);
                let is_refused = company.organization.refused.contains(&id(PEOPLE[at]));
                if is_refused {
                    prop_assert_eq!(now, was, "a refusal takes nothing from {}", PEOPLE[at]);
                }
                if killed.is_some() {
                    continue;
                }
                match (claim, &whose[at]) {
                    _ if is_refused || holds => {}
                    (Some(role), _) => prop_assert_eq!(now, role, "{} is as declared", PEOPLE[at]),
                    (None, Whose::Runs) => {
                        prop_assert_eq!(now, USER, "{} gave it back", PEOPLE[at]);
                    }
                    (None, _) => prop_assert_eq!(now, was, "{} is untouched", PEOPLE[at]),
                }
                let is_told = told.contains(&(ProblemReason::AccessKept, vec![PEOPLE[at]]));
                let is_left = claim.is_none() && whose[at].is_told();
                prop_assert_eq!(is_told, is_left, "{} is named", PEOPLE[at]);
                if now != was {
                    whose[at] = match now {
                        USER => Whose::Somebodys,
                        _ => Whose::Runs,
                    };
                }
            }
        }
    }
}

impl Company {
    /// A run that is killed.
    fn killed(&mut self, directory: &TestDirectory, how: Killed) {
        self.run.now += SignedDuration::from_mins(10);
        how.run(
            &mut self.run,
            directory,
            &mut self.organization,
            &self.policy,
        );
    }

    /// Who is named because nobody can tell whose their role is, in a run ten minutes later.
    fn sync_soon(&mut self, directory: &TestDirectory) -> Vec<String> {
        self.run.now += SignedDuration::from_mins(10);
        let run = self.sync(directory);
        let told = problems(&run).into_iter();
        let told = told.filter(|(reason, _)| *reason == ProblemReason::AccessKept);
        told.map(|(_, ids)| ids.join(", ")).collect()
    }
}

#[test]
fn a_role_that_somebody_gave_after_a_run_was_killed_that_was_to_give_it_stays_and_is_told() {
    let mut company = admins();
    let inside = self::company(&["ann"], &[]);
    company.killed(&inside, Killed::before_its_changes());
    company.organization.set_role("ann@example.com", ADMIN);
    // As long as the rule gives it there is nothing to tell.
    assert_eq!(company.sync_soon(&inside), [""; 0]);
    let outside = self::company(&[], &[]);
    for _ in 0..2 {
        assert_eq!(company.sync_soon(&outside), ["ann"]);
        assert_eq!(company.roles(), ["ann: Admin"]);
    }
    // Somebody decides.
    company.organization.set_role("ann@example.com", USER);
    assert_eq!(company.sync_soon(&outside), [""; 0]);
    company.organization.set_role("ann@example.com", ADMIN);
    assert_eq!(company.sync_soon(&outside), [""; 0]);
    assert_eq!(company.roles(), ["ann: Admin"]);
}

#[test]
fn a_role_that_a_run_gave_right_before_it_was_killed_stays_and_is_told() {
    let mut company = admins();
    company.killed(&self::company(&["ann"], &[]), Killed::after(1));
    assert_eq!(company.roles(), ["ann: Admin"]);
    assert_eq!(company.sync_soon(&self::company(&[], &[])), ["ann"]);
    assert_eq!(company.roles(), ["ann: Admin"]);
    // It counts as gained: two more reach the limit, and a third is over it.
    company.policy.access.limit = 3;
    let three = self::company(&["bob", "cid"], &[]);
    assert!(company.sync(&three).held.is_none());
    assert!(
        company
            .sync(&self::company(&["bob", "cid", "dan"], &[]))
            .held
            .is_some()
    );
}

#[test]
fn what_the_record_of_a_killed_run_has_as_given_is_taken_back_and_what_it_had_not_come_to_is_not() {
    let mut company = admins();
    let all = self::company(&["ann", "bob", "cid", "dan"], &[]);
    company.policy.access.limit = 10;
    // Ann's is done, Bob's is requested, and Cid's and Dan's weren't.
    company.killed(&all, Killed::noted(1, 1, 1));
    assert_eq!(company.roles(), ["ann: Admin", "bob: Admin"]);
    company.organization.set_role("cid@example.com", ADMIN);
    assert_eq!(company.sync_soon(&self::company(&[], &[])), ["bob"]);
    assert_eq!(company.roles(), ["bob: Admin", "cid: Admin"]);
}

#[test]
fn a_role_that_somebody_gave_again_after_a_run_was_killed_that_was_to_take_it_stays_and_is_told() {
    for how in [Killed::after(1), Killed::noted(0, 1, 1)] {
        let mut company = admins();
        company.sync(&self::company(&["ann"], &[]));
        let outside = self::company(&[], &[]);
        company.killed(&outside, how);
        assert_eq!(company.roles(), [""; 0]);
        company.organization.set_role("ann@example.com", ADMIN);
        assert_eq!(company.sync_soon(&outside), ["ann"]);
        assert_eq!(company.roles(), ["ann: Admin"]);
        // Back in the group and out of it: still nobody knows.
        company.sync_soon(&self::company(&["ann"], &[]));
        assert_eq!(company.sync_soon(&outside), ["ann"]);
        assert_eq!(company.roles(), ["ann: Admin"]);
    }
}

#[test]
fn a_role_is_taken_back_after_a_run_was_killed_that_had_not_come_to_it() {
    let mut company = admins();
    company.sync(&self::company(&["ann"], &[]));
    let outside = self::company(&[], &[]);
    company.killed(&outside, Killed::noted(0, 0, 0));
    assert_eq!(company.roles(), ["ann: Admin"]);
    assert_eq!(company.sync_soon(&outside), [""; 0]);
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn a_role_that_was_there_already_when_it_was_to_be_given_is_nobodys_for_certain() {
    let mut company = admins();
    let inside = self::company(&["ann"], &[]);
    let guarded = company
        .run
        .plan(&inside, &company.organization, &company.policy);
    company.run.ledger.before(&guarded, company.run.now);
    company.organization.set_role("ann@example.com", ADMIN);
    let failed = FailedChanges {
        in_doubt: [(Kind::SetRole, id("ann"))].into_iter().collect(),
        ..FailedChanges::default()
    };
    company.run.memory.record(&guarded, &failed);
    company.run.ledger.after(&guarded, &failed);
    assert_eq!(company.sync_soon(&self::company(&[], &[])), ["ann"]);
    assert_eq!(company.roles(), ["ann: Admin"]);
}

#[test]
fn a_role_that_an_undo_gave_back_stays_and_is_named_until_somebody_decides() {
    let (inside, outside) = (company(&["ann"], &[]), company(&[], &[]));
    for killed in [None, Some(Killed::after(1)), Some(Killed::noted(1, 0, 0))] {
        let mut company = admins();
        company.sync(&inside);
        let mut records = Records::default();
        let Company {
            run,
            organization,
            policy,
        } = &mut company;
        run.now += SignedDuration::from_hours(25);
        records.sync(run, &outside, organization, policy);
        assert_eq!(roles(organization), [""; 0]);
        match killed {
            None => {
                records.undo(run, organization, policy);
            }
            Some(how) => records.killed_undo(run, organization, policy, how),
        }
        for _ in 0..2 {
            assert_eq!(company.sync_soon(&outside), ["ann"]);
            assert_eq!(company.roles(), ["ann: Admin"]);
        }
        // Also once there is no rule any more.
        let rules = std::mem::take(&mut company.policy.access.roles);
        assert_eq!(company.sync_soon(&outside), ["ann"]);
        company.policy.access.roles = rules;
        // As long as a rule gives it there is nothing to tell.
        assert_eq!(company.sync_soon(&inside), [""; 0]);
        assert_eq!(company.sync_soon(&outside), ["ann"]);
        company.organization.set_role("ann@example.com", USER);
        assert_eq!(company.sync_soon(&outside), [""; 0]);
        company.organization.set_role("ann@example.com", ADMIN);
        assert_eq!(company.sync_soon(&outside), [""; 0]);
        assert_eq!(company.roles(), ["ann: Admin"]);
    }
}

#[test]
fn what_is_taken_back_of_a_role_that_an_undo_gave_is_asked_for_by_nobody() {
    let mut company = admins();
    let inside = self::company(&["ann"], &[]);
    company
        .organization
        .set_role("ann@example.com", custom(&["manageUsers"]));
    let mut records = Records::default();
    let Company {
        run,
        organization,
        policy,
    } = &mut company;
    records.sync(run, &inside, organization, policy);
    assert_eq!(roles(organization), ["ann: Admin"]);
    // By hand she had another role. The rule asks for Admin again, which is held.
    records.undo(run, organization, policy);
    run.now += SignedDuration::from_mins(10);
    assert_eq!(company.sync_soon(&inside), [""; 0]);
    assert_eq!(company.roles(), ["ann: Custom (manageUsers)"]);
    let held = company.sync(&inside);
    assert!(held.held.is_some());
    company.run.approval = Some(Approval {
        digest: held.digest,
    });
    company.sync(&inside);
    assert_eq!(company.roles(), ["ann: Admin"]);
    // That is the run's.
    assert_eq!(company.sync_soon(&self::company(&[], &[])), [""; 0]);
    assert_eq!(company.roles(), [""; 0]);
}

#[test]
fn the_plan_says_by_which_rule_somebody_may_have_more_than_they_certainly_have() {
    let access = rules(&[("bw-*", ADMIN), ("solo", custom(&["manageGroups"]))]);
    let mut company = Company::new(access, members());
    company.sync(&self::company(&["ann"], &[]));
    let run = company.next_day(&self::company(&[], &[]));
    let role = run.approved.changes[0].role().unwrap();
    assert_eq!(
        role.doubt.as_deref(),
        Some("Custom (manageGroups) may be by the rule for solo, which fits no group")
    );
    assert_eq!(company.roles(), ["ann: Custom (manageGroups)"]);
    // Without doubt there is nothing to say.
    company.policy.access.roles.pop();
    let run = company.next_day(&self::company(&[], &[]));
    assert_eq!(run.approved.changes[0].role().unwrap().doubt, None);
    assert_eq!(company.roles(), [""; 0]);
}
