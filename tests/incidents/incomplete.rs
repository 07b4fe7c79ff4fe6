//! The directory, or the way to it, failed, and the answer looked like an answer.

use directory_sync::directory::AccountState;
use directory_sync::sync::policy::{Limit, OffboardingAction};
use directory_sync_testing::{Run, directory, organization};

use crate::company::{
    PEOPLE, TEAMS, email, everyone, harsh, held, id, nothing, synced, team, teams, unchanged, with,
};

/// awslabs/ssosync#194: Google's API answered with success and no entries.
#[test]
fn a_successful_answer_without_users_and_groups_deletes_nobody() {
    held(&directory(), &harsh());
}

/// go-gitea/gitea#7949: the search succeeded and found nobody; every account was deactivated.
#[test]
fn an_empty_search_result_is_held_even_where_no_limit_is_set() {
    let mut policy = harsh();
    policy.offboarding.limit = Limit::Percent(100.0);
    held(&directory(), &policy);
}

/// bitwarden/directory-connector#107: with `overwriteExisting` an empty result is sent, and removes everybody.
#[test]
fn an_empty_result_does_not_empty_the_organization() {
    let mut policy = harsh();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.offboarding.limit = Limit::Count(PEOPLE);
    held(&directory(), &policy);
}

/// keycloak/keycloak#24669: a query that returned nothing deleted the one user it was for.
#[test]
fn the_only_member_is_not_deleted_by_a_query_that_returns_nothing() {
    let before = organization()
        .owner("owner@example.com")
        .member("1", "ann@example.com");
    let mut after = before.clone();
    let held = Run::default().sync(&directory(), &mut after, &harsh()).held;
    assert!(held.is_some());
    assert_eq!(after.show(), before.show());
}

/// GitLab: users were blocked when the LDAP server's size limit cut the list.
#[test]
fn everybody_after_a_size_limit_keeps_their_access() {
    held(&with(&Vec::from_iter(0..PEOPLE / 2)), &harsh());
}

/// go-gitea/gitea#4402: the search ran into its time limit, and everybody after it was deactivated.
#[test]
fn everybody_after_a_time_limit_keeps_their_access() {
    held(&with(&Vec::from_iter(0..PEOPLE - 5)), &harsh());
}

/// go-gitea/gitea#3815: the size limit cut the users, and what remained counted as all.
#[test]
fn a_page_that_is_missing_in_the_middle_takes_nobody_out() {
    let first_and_last = (0..10).chain(20..PEOPLE);
    held(&with(&Vec::from_iter(first_and_last)), &harsh());
}

/// firezone/firezone#9194: the answer was a success, with data missing; groups and people were deleted.
#[test]
fn a_success_without_two_of_the_groups_and_their_people_deletes_neither() {
    let there = |person: usize| person % TEAMS.len() > 1;
    let people: Vec<usize> = (0..PEOPLE).filter(|person| there(*person)).collect();
    let directory = people.iter().fold(directory(), |directory, &person| {
        directory.person(&id(person), &email(person))
    });
    let directory = [2, 3].iter().fold(directory, |directory, &at| {
        let members: Vec<String> = team(at).map(id).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        directory.group(TEAMS[at], TEAMS[at], &members)
    });
    held(&directory, &harsh());
}

/// awslabs/ssosync#236: members of several groups were missing from one answer, and back in the next.
#[test]
fn members_missing_from_several_groups_stay_in_them() {
    let people = (0..PEOPLE).fold(directory(), |directory, person| {
        directory.person(&id(person), &email(person))
    });
    held(&teams(people, |person| person % 2 == 0), &harsh());
}

/// adobe-apiplatform/user-sync.py#423: the account could read groups but not their members.
#[test]
fn groups_without_visible_members_are_not_emptied() {
    let people = (0..PEOPLE).fold(directory(), |directory, person| {
        directory.person(&id(person), &email(person))
    });
    held(&teams(people, |_| false), &harsh());
}

/// cds-snc/sre-bot#507: reading one group's members failed, and the group looked empty.
#[test]
fn one_team_in_a_large_company_is_not_emptied() {
    const LARGE: usize = 1000;
    let people = (0..LARGE).fold(directory(), |directory, person| {
        directory.person(&id(person), &email(person))
    });
    let members = (0..LARGE).fold(organization(), |organization, person| {
        organization.member(&id(person), &email(person))
    });
    let team: Vec<String> = (0..30).map(email).collect();
    let team: Vec<&str> = team.iter().map(String::as_str).collect();
    let before = members.group("team", "Team", &team);
    let mut after = before.clone();
    let run = Run::default().sync(&people.group("team", "Team", &[]), &mut after, &harsh());
    assert!(run.held.is_some());
    assert_eq!(after.show(), before.show());
}

/// redhat-cop/group-sync-operator#169: a list with random groups missing; those were pruned.
#[test]
fn groups_missing_from_a_list_are_not_pruned() {
    let people = (0..PEOPLE).fold(directory(), |directory, person| {
        directory.person(&id(person), &email(person))
    });
    let members: Vec<String> = team(0).map(id).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    held(&people.group(TEAMS[0], TEAMS[0], &members), &harsh());
}

/// A SCIM bridge lost its state in a restart, and suspended everybody that it no longer knew.
#[test]
fn a_restart_that_forgets_everything_changes_nothing() {
    let mut organization = synced();
    let mut run = Run::default();
    run.sync(&everyone(), &mut organization, &harsh());
    // Another process, which knows nothing of the first one.
    let mut run = Run::default();
    run.sync(&everyone(), &mut organization, &harsh());
    unchanged(&organization);
    nothing(&everyone(), &harsh());
}

/// RocketChat/Rocket.Chat#40842: wrong passwords locked accounts, and locked accounts were deactivated.
#[test]
fn a_password_spray_that_locks_every_account_revokes_nobody() {
    let locked = (0..PEOPLE).fold(directory(), |directory, person| {
        directory.account(&id(person), &email(person), AccountState::Disabled)
    });
    let mut organization = synced();
    let held = Run::default()
        .sync(&teams(locked, |_| true), &mut organization, &harsh())
        .held;
    assert!(held.is_some());
    unchanged(&organization);
}
