//! The company that all incidents happen to: forty people in four teams, all of them members, with
//! everything that a sync can take away at its harshest.

use directory_sync::sync::policy::{OffboardingAction, Policy};
use directory_sync_testing::{
    ModelOrganization, Run, TestDirectory, directory, organization, policy,
};

pub const PEOPLE: usize = 40;
pub const TEAMS: [&str; 4] = ["eng", "ops", "sales", "legal"];

/// A policy that removes who is absent, revokes who is disabled and deletes groups that are gone, within
/// the usual limit.
pub fn harsh() -> Policy {
    let mut policy = policy();
    policy.offboarding.disabled = OffboardingAction::Revoke;
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.groups.prune = true;
    policy
}

pub fn id(person: usize) -> String {
    format!("id-{person:02}")
}

pub fn email(person: usize) -> String {
    format!("p{person:02}@example.com")
}

/// The people of a team, by number.
pub fn team(at: usize) -> impl Iterator<Item = usize> {
    (0..PEOPLE).filter(move |person| person % TEAMS.len() == at)
}

/// The directory with these people, each in their team.
pub fn with(people: &[usize]) -> TestDirectory {
    let everyone = people.iter().fold(directory(), |directory, &person| {
        directory.person(&id(person), &email(person))
    });
    teams(everyone, |person| people.contains(&person))
}

/// A directory with all people of the company.
pub fn everyone() -> TestDirectory {
    with(&Vec::from_iter(0..PEOPLE))
}

/// Adds the teams, with those of their people for whom `there` holds.
pub fn teams(people: TestDirectory, there: impl Fn(usize) -> bool) -> TestDirectory {
    TEAMS
        .iter()
        .enumerate()
        .fold(people, |directory, (at, name)| {
            let members: Vec<String> = team(at).filter(|person| there(*person)).map(id).collect();
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            directory.group(name, name, &members)
        })
}

/// The organization after it was synced with the whole company: with an owner, and an auditor whom
/// somebody invited by hand, and who is in a group made by hand.
pub fn synced() -> ModelOrganization {
    let members = (0..PEOPLE).fold(
        organization()
            .owner("owner@example.com")
            .stranger("auditor@partner.example")
            .own_group("Auditors", &["auditor@partner.example"]),
        |organization, person| organization.member(&id(person), &email(person)),
    );
    TEAMS
        .iter()
        .enumerate()
        .fold(members, |organization, (at, name)| {
            let emails: Vec<String> = team(at).map(email).collect();
            let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
            organization.group(name, name, &emails)
        })
}

/// A sync of the synced organization with this directory is held, and takes nothing from anybody.
#[track_caller]
pub fn held(directory: &TestDirectory, policy: &Policy) {
    let mut organization = synced();
    let held = Run::default()
        .sync(directory, &mut organization, policy)
        .held;
    assert!(held.is_some(), "nothing is held");
    unchanged(&organization);
    // Nor does the next run believe it because the first one saw it, too.
    let held = Run::default()
        .sync(directory, &mut organization, policy)
        .held;
    assert!(held.is_some(), "the second run holds nothing");
    unchanged(&organization);
}

/// A sync with this directory changes nothing, and holds nothing.
#[track_caller]
pub fn nothing(directory: &TestDirectory, policy: &Policy) {
    let mut organization = synced();
    let held = Run::default()
        .sync(directory, &mut organization, policy)
        .held;
    assert!(held.is_none(), "something is held");
    unchanged(&organization);
}

/// The organization is as it was when it was in sync.
#[track_caller]
pub fn unchanged(organization: &ModelOrganization) {
    assert_eq!(organization.show(), synced().show());
}
