//! People were taken for somebody else, or for nobody.

use directory_sync::organization::model::MemberStatus;
use directory_sync::sync::policy::OffboardingAction;
use directory_sync_testing::{Run, TestDirectory, directory, organization, sync};

use crate::company::{PEOPLE, email, everyone, harsh, held, id, nothing, synced, teams, unchanged};

/// The company with other ids, as after a move of everybody to another branch where the id is the DN.
fn with_other_ids() -> TestDirectory {
    let other = |person: usize| format!("moved-{person:02}");
    let people = (0..PEOPLE).fold(directory(), |directory, person| {
        directory.person(&other(person), &email(person))
    });
    crate::company::TEAMS
        .iter()
        .enumerate()
        .fold(people, |directory, (at, name)| {
            let members: Vec<String> = crate::company::team(at).map(other).collect();
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            directory.group(name, name, &members)
        })
}

/// Everybody's email with status and role, and the groups' members; the external ids left out.
fn without_ids(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .map(|line| match (line.find(" ("), line.find(')')) {
            (Some(from), Some(to)) => format!("{}{}", &line[..from], &line[to + 1..]),
            _ => line,
        })
        .collect()
}

/// myOmikron/mailcow-ldap-sync#3: an organizational unit was moved, and the id was the DN; everybody was
/// deleted and made again, empty.
#[test]
fn people_whose_ids_change_all_at_once_keep_access_and_groups() {
    let mut organization = synced();
    let mut run = Run::default();
    for _ in 0..3 {
        run.sync(&with_other_ids(), &mut organization, &harsh());
    }
    assert_eq!(
        without_ids(organization.show()),
        without_ids(synced().show())
    );
}

/// nextcloud/server#8764: a renamed organizational unit made everybody exist twice.
#[test]
fn people_whose_ids_change_are_not_invited_again() {
    let mut organization = synced();
    sync(&with_other_ids(), &mut organization, &harsh());
    let members = &organization.content.members;
    assert_eq!(members.len(), PEOPLE + 2);
    assert!(
        members
            .iter()
            .all(|member| member.status == MemberStatus::Confirmed)
    );
}

/// tine20/tine20#6171: a login was made anew with another id, and the old account's deletion took the data.
#[test]
fn an_account_that_was_made_anew_keeps_its_member() {
    let directory = (1..PEOPLE).fold(directory(), |directory, person| {
        directory.person(&id(person), &email(person))
    });
    let directory = teams(directory, |person| person != 0).person("new", &email(0));
    let mut organization = synced();
    let run = sync(&directory, &mut organization, &harsh());
    assert!(run.held.is_none());
    let member = organization.by_email(&email(0));
    assert_eq!(member.external_id.as_ref().unwrap().as_str(), "new");
    assert_eq!(member.status, MemberStatus::Confirmed);
    assert_eq!(organization.content.members.len(), PEOPLE + 2);
}

/// bitwarden/directory-connector#548: entries in Active Directory's recycle bin deleted members, also of people
/// whose account was made anew.
#[test]
fn an_old_entry_in_the_recycle_bin_takes_nothing_from_the_new_one() {
    nothing(&everyone().deleted("tombstone", &email(0)), &harsh());
}

/// owncloud/user_ldap#751: an account was deleted and made anew with the same address, and the collision
/// stopped everybody else's sync.
#[test]
fn two_entries_with_one_address_stop_nobody_else() {
    let directory = everyone()
        .person("twin", &email(0))
        .person("new", "newcomer@example.com");
    let mut organization = synced();
    sync(&directory, &mut organization, &harsh());
    assert_eq!(
        organization.by_email("newcomer@example.com").status,
        MemberStatus::Invited
    );
    organization.drop_member("newcomer@example.com");
    unchanged(&organization);
}

/// DefGuard/defguard#3184: an administrator's address matched a directory user, and they lost their rights.
#[test]
fn an_owner_who_is_disabled_in_the_directory_stays_the_owner() {
    let directory = everyone().disabled("root", "owner@example.com");
    nothing(&directory, &harsh());
}

/// awslabs/ssosync#88: users that others had added were deleted.
#[test]
fn a_member_who_was_invited_by_hand_and_is_disabled_in_the_directory_stays() {
    let directory = everyone().disabled("auditor", "auditor@partner.example");
    nothing(&directory, &harsh());
}

/// nextcloud/server#27859 and h44z/wg-portal#744: an entry whose id couldn't be read counted as gone.
#[test]
fn people_whose_ids_became_unreadable_are_not_gone() {
    let directory = (0..PEOPLE).fold(directory(), |directory, person| {
        if person < 2 {
            directory.unidentified(&id(person), &email(person))
        } else {
            directory.person(&id(person), &email(person))
        }
    });
    let mut organization = synced();
    sync(&teams(directory, |_| true), &mut organization, &harsh());
    unchanged(&organization);
}

/// Ylianst/MeshCentral#4899: two people got one id, and each overwrote the other.
#[test]
fn two_people_with_one_id_get_nothing_of_each_other() {
    let directory = directory()
        .entry("uid=ann", "7", "ann@example.com")
        .entry("uid=bob", "7", "bob@example.com")
        .group("g", "Payroll", &["uid=bob"]);
    let before = organization()
        .owner("owner@example.com")
        .member("7", "ann@example.com")
        .group("g", "Payroll", &[]);
    let mut after = before.clone();
    sync(&directory, &mut after, &harsh());
    assert_eq!(after.show(), before.show());
}

/// bitwarden/server#6173: an import with `overwriteExisting` removed everybody; accounts without a master password
/// were lost.
#[test]
fn people_who_vanish_are_not_removed_all_at_once_whatever_the_policy() {
    let mut policy = harsh();
    for departure in [OffboardingAction::Remove, OffboardingAction::Revoke] {
        policy.offboarding.absent = departure;
        held(&crate::company::with(&[0, 1, 2, 3]), &policy);
    }
}
