//! Sentences of docs/safety.md that no other story is about.

use directory_sync_core::organization::model::MemberStatus;
use directory_sync_core::sync::guard::{GuardedPlan, HeldBecause};
use directory_sync_core::sync::history::Record;
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::plan::Kind;
use directory_sync_core::sync::policy::{Glob, Limit, OffboardingAction};
use directory_sync_core_testing::{
    ModelOrganization, TestDirectory, directory, organization, policy,
};
use jiff::SignedDuration;
use serde_json::json;

use crate::elsewhere::take_back;
use crate::guard::{NOON, hours, limited, members, people, since};
use crate::{changes, unlimited};

fn why(guarded: &GuardedPlan) -> Vec<HeldBecause> {
    let held = guarded.held.as_ref();
    held.map_or(vec![], |held| held.why.clone())
}

fn own(n: usize) -> String {
    format!("p{n}")
}

fn email(n: usize) -> String {
    format!("p{n}@example.com")
}

fn everybody(numbers: impl Iterator<Item = usize>) -> TestDirectory {
    numbers.fold(directory(), |all, n| all.person(&own(n), &email(n)))
}

fn with_team(directory: TestDirectory, team: impl Iterator<Item = usize>) -> TestDirectory {
    let ids: Vec<String> = team.map(own).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    directory.group("team", "Team", &ids)
}

fn company(people: usize, team: usize) -> ModelOrganization {
    let emails: Vec<String> = (0..team).map(email).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let members = (0..people).fold(organization(), |all, n| all.member(&own(n), &email(n)));
    members.group("team", "Team", &emails)
}

#[test]
fn who_is_removed_from_the_organization_counts_against_no_limit_of_a_group_that_is_not_compared() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.offboarding.limit = Limit::Count(6);
    policy.groups.limit = Limit::Count(1);
    let gone = || with_team(everybody(4..40), 4..20);
    // Compared, the four would be three too many.
    let mut organization = company(40, 20);
    let compared = since(NOON).sync(&gone(), &mut organization, &policy);
    assert!(matches!(
        why(&compared)[..],
        [HeldBecause::Group { members: 4, .. }]
    ));

    let mut organization = company(40, 20);
    let mut run = since(NOON);
    policy.groups.exclude = vec![Glob::new("Team")];
    let removed = run.sync(&gone(), &mut organization, &policy);
    assert_eq!(why(&removed), []);
    assert_eq!(organization.content.members.len(), 36);
    // Nor does it once the group is compared again.
    policy.groups.exclude.clear();
    run.now += hours(1);
    let two = with_team(everybody(4..40), 6..20);
    let expected = HeldBecause::Group {
        name: "Team".into(),
        members: 2,
        earlier: 0,
        limit: 1,
    };
    assert_eq!(
        why(&run.clone().plan(&two, &organization, &policy)),
        [expected]
    );
    let one = with_team(everybody(4..40), 5..20);
    assert_eq!(why(&run.sync(&one, &mut organization, &policy)), []);
    // They count against the other one: with three more there are seven.
    run.now += hours(1);
    let more = with_team(everybody(7..40), 7..20);
    let absent = run.plan(&more, &organization, &policy);
    assert!(matches!(
        why(&absent)[0],
        HeldBecause::Absent {
            members: 3,
            earlier: 4,
            limit: 6
        }
    ));
}

#[test]
fn members_whom_a_run_links_are_part_of_a_groups_size() {
    let mut organization = (0..9).fold(organization(), |all, n| all.member(&own(n), &email(n)));
    for n in 9..11 {
        organization = organization.stranger(&email(n));
    }
    let emails: Vec<String> = (0..11).map(email).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let mut organization = organization.group("team", "Team", &emails);
    let mut policy = unlimited();
    policy.groups.limit = Limit::Percent(50.0);
    // Nine have no limit, eleven have one of five.
    let six_leave = with_team(everybody(0..11), 6..11);
    let held = since(NOON).sync(&six_leave, &mut organization, &policy);
    assert!(changes(&held).contains(&"Link p9".to_owned()));
    let expected = HeldBecause::Group {
        name: "Team".into(),
        members: 6,
        earlier: 0,
        limit: 5,
    };
    assert_eq!(why(&held), [expected]);
}

#[test]
fn what_somebody_does_by_hand_raises_no_limit_while_it_holds_something_and_else_from_the_next_run_on()
 {
    let revoked = || {
        let members = (0..20).fold(organization(), |all, n| all.member(&own(n), &email(n)));
        (20..60).fold(members, |all, n| all.revoked(&own(n), &email(n)))
    };
    let restore = |organization: &mut ModelOrganization| {
        (20..60).for_each(|n| organization.set_status(&email(n), MemberStatus::Confirmed));
    };
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    let four_gone = everybody(4..60);
    // Two of twenty may go, six of sixty.
    let mut organization = revoked();
    let mut run = since(NOON);
    let expected = HeldBecause::Absent {
        members: 4,
        earlier: 0,
        limit: 2,
    };
    let held = run.sync(&four_gone, &mut organization, &policy);
    assert_eq!(why(&held), std::slice::from_ref(&expected));
    restore(&mut organization);
    for _ in 0..2 {
        run.now += hours(11);
        let held = run.sync(&four_gone, &mut organization, &policy);
        assert_eq!(why(&held), std::slice::from_ref(&expected));
    }
    run.now += hours(3);
    let gone = run.sync(&four_gone, &mut organization, &policy);
    assert_eq!(why(&gone), []);
    assert_eq!(changes(&gone).len(), 4);

    // Where nothing is held.
    let mut organization = revoked();
    let mut run = since(NOON);
    let all = run.sync(&everybody(0..60), &mut organization, &policy);
    assert_eq!(why(&all), []);
    restore(&mut organization);
    run.now += SignedDuration::from_mins(1);
    let gone = run.sync(&four_gone, &mut organization, &policy);
    assert_eq!(why(&gone), []);
    assert_eq!(changes(&gone).len(), 4);
}

#[test]
fn whoever_an_undo_gave_access_back_counts_for_no_limit_while_they_are_held() {
    let company = |disabled: usize| {
        (0..60).fold(directory(), |all, n| match n < disabled {
            true => all.disabled(&own(n), &email(n)),
            false => all.person(&own(n), &email(n)),
        })
    };
    let mut policy = unlimited();
    policy.offboarding.disabled_limit = Limit::Count(5);
    let mut organization = members(60);
    let mut run = since(NOON);
    run.sync(&company(5), &mut organization, &policy);
    let records: Vec<Record> = (0..5)
        .map(|n| {
            let member = organization.by_email(&email(n)).id.to_string();
            let person = json!({"email": email(n), "externalId": own(n), "memberId": member});
            let evidence = json!({"kind": "Disabled", "detail": "the account is disabled"});
            let json = json!({
                "time": "2027-01-15T08:00:00Z", "run": "first", "number": n, "trigger": "Command",
                "action": "Revoke", "reason": "DisabledInDirectory", "person": person,
                "evidence": evidence, "result": "Done",
            });
            serde_json::from_value(json).unwrap()
        })
        .collect();
    run.now += hours(25);
    let undo = take_back(&mut run, &mut organization, &records, &policy);
    assert_eq!(undo.approved.counts_by_kind(), [(Kind::Restore, 5)]);
    // The five are held, and as many others lose access as on any other day.
    run.now += hours(1);
    let others = run.sync(&company(10), &mut organization, &policy);
    assert_eq!(why(&others), [HeldBecause::Undone { changes: 5 }]);
    let revoked: Vec<String> = (5..10).map(|n| format!("Revoke p{n}")).collect();
    assert_eq!(changes(&others), revoked);
    let sixth = run.sync(&company(11), &mut organization, &policy);
    assert_eq!(why(&sixth).len(), 2, "{:?}", why(&sixth));
}

#[test]
fn without_a_limit_nothing_has_to_be_known_of_the_day_before_unless_a_record_is_known_to_be_lost() {
    let policy = limited(Limit::Percent(100.0));
    let thirty_gone = people(30..60);
    let mut organization = members(60);
    let mut first = since(NOON);
    first.ledger.adopt(60, 30, NOON);
    let gone = first.sync(&thirty_gone, &mut organization, &policy);
    assert_eq!(why(&gone), []);
    assert_eq!(organization.content.members.len(), 30);

    let mut organization = members(60);
    let mut lost = since(NOON);
    lost.ledger = Ledger::begin_careful(NOON);
    let held = lost.sync(&thirty_gone, &mut organization, &policy);
    assert!(matches!(
        why(&held)[..],
        [HeldBecause::UnknownHistory { members: 30, .. }]
    ));
    let empty = since(NOON).sync(&directory(), &mut organization, &policy);
    assert_eq!(why(&empty)[0], HeldBecause::EmptyDirectory { members: 60 });
    assert_eq!(organization.content.members.len(), 60);
}

#[test]
fn whom_an_undo_invites_again_raises_no_limit_and_uses_up_none() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.onboarding.limit = Limit::Percent(50.0);
    let mut organization = members(60);
    let mut run = since(NOON);
    let removed = organization.clone();
    run.sync(&people(30..60), &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 30);
    let records: Vec<Record> = (0..30)
        .map(|n| {
            let member = removed.by_email(&email(n)).id.to_string();
            let person = json!({"email": email(n), "externalId": own(n), "memberId": member});
            let evidence = json!({"kind": "Absent", "detail": "absent"});
            let json = json!({
                "time": "2027-01-15T08:00:00Z", "run": "first", "number": n, "trigger": "Command",
                "action": "Remove", "reason": "GoneFromDirectory", "person": person,
                "evidence": evidence, "result": "Done",
            });
            serde_json::from_value(json).unwrap()
        })
        .collect();
    run.now += hours(1);
    let undo = take_back(&mut run, &mut organization, &records, &policy);
    assert_eq!(undo.approved.counts_by_kind()[0], (Kind::Invite, 30));
    // Half of the thirty who were there before, and not of sixty.
    run.now += hours(1);
    let sixteen = run.plan(&people(0..76), &organization, &policy);
    let expected = HeldBecause::Invited {
        people: 16,
        earlier: 0,
        limit: 15,
    };
    assert_eq!(why(&sixteen), [expected]);
    let fifteen = run.plan(&people(0..75), &organization, &policy);
    assert_eq!(why(&fifteen), []);
}
