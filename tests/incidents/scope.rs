//! Somebody changed a filter, or gave two of them.

use directory_sync::sync::policy::{Glob, Policy};
use directory_sync_testing::{Run, directory};

use crate::company::{
    PEOPLE, TEAMS, email, everyone, harsh, held, id, nothing, synced, team, teams, unchanged, with,
};

fn only_groups(pattern: &str) -> Policy {
    let mut policy = harsh();
    policy.groups.include = vec![Glob::new(pattern)];
    policy
}

/// awslabs/ssosync#88: with a name filter, the tool deleted the groups outside it that others had made.
#[test]
fn groups_and_members_that_others_made_are_outside_of_every_filter() {
    let mut policy = only_groups("*");
    policy.users.include = vec![Glob::new("*@example.com")];
    nothing(&everyone(), &policy);
}

/// awslabs/ssosync#159: one query filled the organization, and a scheduled run with another one deleted all.
#[test]
fn a_run_with_another_query_deletes_nothing() {
    let mut organization = synced();
    let mut by_hand = Run::default();
    by_hand.sync(&everyone(), &mut organization, &harsh());
    let other_query: Vec<usize> = team(3).collect();
    let mut scheduled = Run::default();
    let run = scheduled.sync(&with(&other_query), &mut organization, &harsh());
    assert!(run.held.is_some());
    unchanged(&organization);
}

/// keycloak/keycloak#26361: a changed filter deleted the users that no longer matched it.
#[test]
fn a_changed_filter_for_users_removes_nobody_unasked() {
    let mut policy = harsh();
    policy.users.include = vec![Glob::new("p0*@example.com")];
    held(&everyone(), &policy);
}

/// redhat-cop/group-sync-operator#248: a group of the allow list was pruned now and then, with what it held.
#[test]
fn groups_that_a_narrower_list_leaves_out_are_not_deleted_unasked() {
    held(&everyone(), &only_groups("eng"));
}

/// The same with people: only members of the listed groups are in scope, and the list got shorter.
#[test]
fn people_outside_a_shorter_list_of_groups_stay_until_somebody_approves() {
    let mut policy = only_groups("eng");
    policy.groups.only_their_members = true;
    held(&everyone(), &policy);
}

/// awslabs/ssosync#189: after an update the owners of groups didn't count as their members any more, and lost
/// their accounts.
#[test]
fn owners_of_groups_who_are_not_listed_as_members_any_more_keep_their_access() {
    let mut policy = harsh();
    policy.groups.only_their_members = true;
    let people = (0..PEOPLE).fold(directory(), |directory, person| {
        directory.person(&id(person), &email(person))
    });
    // Two of the ten in each team.
    held(&teams(people, |person| person >= 2 * TEAMS.len()), &policy);
}
