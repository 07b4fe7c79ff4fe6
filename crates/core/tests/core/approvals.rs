//! What an approval is for, and what it isn't.

use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::policy::{Glob, Limit, OffboardingAction};
use directory_sync_core_testing::{ModelOrganization, TestDirectory, directory, organization};

use crate::guard::{NOON, approve, hours, limited, members, people, since};
use crate::{changes, problems};

#[test]
fn an_approval_whose_changes_are_no_longer_to_be_made_is_over() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let mut run = since(NOON);
    let held = run.sync(&people(40..60), &mut organization, &policy);
    run.approval = approve(&held.digest);
    let approved = run.plan(&people(40..60), &organization, &policy);
    // The process ends before the first change, and the directory is mended.
    run.ledger.before(&approved, run.now);
    run.approval = None;
    run.now += hours(1);
    assert_eq!(
        changes(&run.sync(&people(0..60), &mut organization, &policy)),
        [""; 0]
    );
    // The same accident again.
    run.now += hours(1);
    let again = run.sync(&people(40..60), &mut organization, &policy);
    assert!(again.held.is_some());
    assert_eq!(organization.content.members.len(), 60);
}

#[test]
fn an_approved_removal_takes_nobody_who_stays_out_of_a_group() {
    let mut policy = limited(Limit::Percent(10.0));
    policy.groups.protected = vec![Glob::new("Group")];
    let mut organization = members(60);
    let mut run = since(NOON);
    let held = run.sync(&people(12..60), &mut organization, &policy);
    run.approval = approve(&held.digest);
    let approved = run.plan(&people(12..60), &organization, &policy);
    run.ledger.before(&approved, run.now);
    // They are back, but for the group.
    let everybody: Vec<String> = (0..60).map(|n| format!("p{n}")).collect();
    let staff = everybody.iter().fold(directory(), |directory, id| {
        directory.person(id, &format!("{id}@example.com"))
    });
    let left: Vec<&str> = everybody[12..].iter().map(String::as_str).collect();
    run.approval = None;
    run.now += hours(1);
    let later = run.sync(
        &staff.group("g", "Group", &left),
        &mut organization,
        &policy,
    );
    assert!(later.held.is_some(), "{:?}", changes(&later));
    assert_eq!(changes(&later), [""; 0]);
}

#[test]
fn an_approval_is_for_the_account_the_address_and_the_groups_members_that_were_shown() {
    let mut policy = limited(Limit::Percent(10.0));
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.groups.protected = vec![Glob::new("Group")];
    let digest = |organization: &ModelOrganization, directory: &TestDirectory| {
        since(NOON).plan(directory, organization, &policy).digest
    };
    // The id was moved to another account.
    let before = members(60);
    let mut moved = before.clone();
    moved.content.members[0].id = uuid::Uuid::from_u128(0xce0);
    let gone = people(12..60);
    assert_ne!(digest(&before, &gone), digest(&moved, &gone));

    // An invitation goes to another address.
    let many = |first: &str| {
        (1..60).fold(directory().person("new0", first), |directory, n| {
            directory.person(&format!("new{n}"), &format!("new{n}@example.org"))
        })
    };
    let shown = digest(&before, &many("new0@example.org"));
    assert_ne!(shown, digest(&before, &many("somebody@example.com")));

    // A group that is to be deleted got members meanwhile.
    let empty = directory()
        .person("p0", "p0@example.com")
        .person("p1", "p1@example.com")
        .group("h", "Other", &["p0"]);
    let few = organization()
        .member("p0", "p0@example.com")
        .member("p1", "p1@example.com");
    let with = |inside: &[&str]| {
        few.clone()
            .stranger("guest@example.com")
            .group("g", "Group", inside)
    };
    let shown = digest(&with(&["p0@example.com"]), &empty);
    assert_ne!(
        shown,
        digest(&with(&["p0@example.com", "p1@example.com"]), &empty)
    );
    assert_ne!(
        shown,
        digest(&with(&["p0@example.com", "guest@example.com"]), &empty)
    );
    assert_eq!(shown, digest(&with(&["p0@example.com"]), &empty));
    assert_eq!(
        problems(&since(NOON).plan(&empty, &few, &policy)),
        [(ProblemReason::UnmatchedPattern, vec![])],
        "nothing else is told"
    );
}
