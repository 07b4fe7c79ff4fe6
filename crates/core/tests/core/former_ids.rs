//! Organizations that another program filled, with names of entries (DNs) as external ids.

use directory_sync_core::directory::AccountState;
use directory_sync_core::organization::model::{MemberRole, MemberStatus};
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::plan::Recognized;
use directory_sync_core::sync::policy::{OffboardingAction, Policy};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization, policy, sync,
};

use crate::{changes, problems, unlimited};

const ANN: &str = "uid=ann,ou=people,dc=example";
const BOB: &str = "uid=bob,ou=people,dc=example";
const STAFF: &str = "cn=staff,ou=groups,dc=example";

/// Whoever is gone is removed, whoever is disabled too: what a mistake would do at once.
fn strict() -> Policy {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.offboarding.disabled = OffboardingAction::Remove;
    policy.groups.prune = true;
    policy
}

fn company() -> TestDirectory {
    directory()
        .entry(ANN, "a1", "ann@example.com")
        .entry(BOB, "b1", "bob@example.com")
        .group_entry(STAFF, "s1", "Staff", &[ANN, BOB])
}

#[test]
fn whoever_is_kept_by_a_dn_is_relinked_though_their_email_differs() {
    // Ann is called by another address in Bitwarden, and her DN is written in another way.
    let mut organization = organization()
        .member("UID=Ann,ou=People,dc=example", "ann.old@example.com")
        .member(BOB, "bob@example.com")
        .group(STAFF, "Staff", &["ann.old@example.com", "bob@example.com"]);
    let run = sync(&company(), &mut organization, &strict());
    assert_eq!(changes(&run), ["Relink a1", "Relink b1", "RelinkGroup s1"]);
    assert_eq!(problems(&run), [(ProblemReason::EmailChanged, vec!["a1"])]);
    assert_eq!(
        organization.show(),
        [
            "ann.old@example.com (a1) confirmed",
            "bob@example.com (b1) confirmed",
            "group Staff (s1): ann.old@example.com bob@example.com",
        ]
    );
    let recognized = Recognized {
        by_former_id: 2,
        ..Recognized::default()
    };
    assert_eq!(run.approved.counts.recognized, recognized);
    assert_eq!(run.approved.counts.unrecognized, 0);

    let again = sync(&company(), &mut organization, &strict());
    assert_eq!(changes(&again), [""; 0]);
    let recognized = Recognized {
        by_id: 2,
        ..Recognized::default()
    };
    assert_eq!(again.approved.counts.recognized, recognized);
}

#[test]
fn recognized_members_are_counted_by_what_recognizes_them() {
    let directory = company()
        .entry("uid=cid,dc=example", "c1", "cid@example.com")
        .entry("uid=dan,dc=example", "d1", "dan@example.com");
    let mut organization = organization()
        .member("a1", "ann@example.com")
        .member(BOB, "bob@example.com")
        .stranger("cid@example.com")
        .member("older", "dan@example.com")
        .member("gone", "eve@example.com")
        .stranger("friend@example.com");
    let run = sync(&directory, &mut organization, &policy());
    let recognized = Recognized {
        by_id: 1,
        by_former_id: 1,
        by_email: 2,
        not: 1,
    };
    assert_eq!(run.approved.counts.recognized, recognized);
}

#[test]
fn an_owner_who_is_kept_by_a_dn_stays_and_nobody_is_told_to_remove_them() {
    for email in ["ann@example.com", "boss@example.com"] {
        let mut organization = organization()
            .linked_owner(ANN, email)
            .member("b1", "bob@example.com")
            .group("s1", "Staff", &[email, "bob@example.com"]);
        let before = organization.show();
        let run = sync(&company(), &mut organization, &strict());
        assert_eq!(changes(&run), [""; 0], "{email}");
        assert_eq!(problems(&run), [(ProblemReason::OwnerRetained, vec!["a1"])]);
        let message = &run.approved.problems.iter().next().unwrap().message;
        assert!(message.contains("is an owner and keeps"), "{message}");
        assert!(!message.contains("remove"), "{message}");
        assert_eq!(organization.show(), before);
    }
}

#[test]
fn an_owner_with_an_id_that_is_out_of_use_is_not_a_conflict() {
    let mut organization = organization().linked_owner("older", "ann@example.com");
    let run = sync(
        &directory().entry(ANN, "a1", "ann@example.com"),
        &mut organization,
        &strict(),
    );
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(problems(&run), [(ProblemReason::OwnerRetained, vec!["a1"])]);
}

#[test]
fn whoever_is_disabled_loses_access_by_their_dn_as_by_their_id() {
    let directory = directory()
        .entry_in(ANN, "a1", "ann@example.com", AccountState::Disabled)
        .entry(BOB, "b1", "bob@example.com");
    // By another address, so that only the DN says who she is.
    let filled = || {
        organization()
            .member(ANN, "ann.old@example.com")
            .member(BOB, "bob@example.com")
    };
    let mut policy = unlimited();
    let mut organization = filled();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), [format!("Revoke {ANN}"), "Relink b1".into()]);

    // Of a member who has lost access already, the name alone isn't enough to remove them for good.
    policy.offboarding.disabled = OffboardingAction::Remove;
    let mut organization = filled();
    organization.set_status("ann.old@example.com", MemberStatus::Revoked);
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), ["Relink b1"]);
}

#[test]
fn somebody_without_an_email_keeps_the_member_that_has_their_dn() {
    let directory = directory()
        .entry(ANN, "a1", "")
        .entry(BOB, "b1", "bob@example.com");
    let mut organization = organization()
        .member(ANN, "ann@example.com")
        .member("b1", "bob@example.com");
    let run = sync(&directory, &mut organization, &strict());
    assert_eq!(changes(&run), [""; 0]);
}

#[test]
fn a_dn_and_an_email_that_say_two_members_change_neither() {
    // The one who was invited by hand, and one whose id is out of use.
    let by_hand = |organization: ModelOrganization| organization.stranger("ann@example.com");
    let older = |organization: ModelOrganization| organization.member("old", "ann@example.com");
    for other in [by_hand, older] {
        let mut organization = other(organization().member(ANN, "ann.old@example.com"))
            .member("b1", "bob@example.com")
            .group("s1", "Staff", &["ann.old@example.com", "bob@example.com"]);
        let before = organization.show();
        let run = sync(&company(), &mut organization, &strict());
        assert_eq!(changes(&run), [""; 0]);
        let conflict = (ProblemReason::IdentityConflict, vec!["a1", ANN]);
        assert_eq!(problems(&run), [conflict]);
        assert_eq!(organization.show(), before);
    }
}

#[test]
fn several_members_of_one_name_and_a_member_who_has_the_id_already_are_left_alone() {
    let twice = organization()
        .member(ANN, "ann@example.com")
        .member("UID=ANN,ou=people,dc=example", "ann2@example.com")
        .member("b1", "bob@example.com");
    let known = organization()
        .member("a1", "ann@example.com")
        .member(ANN, "ann.old@example.com")
        .member("b1", "bob@example.com");
    for (mut organization, conflicts) in [(twice, 2), (known, 1)] {
        organization = organization.group("s1", "Staff", &["ann@example.com", "bob@example.com"]);
        let before = organization.show();
        let run = sync(&company(), &mut organization, &strict());
        assert_eq!(changes(&run), [""; 0]);
        let conflict = (ProblemReason::IdentityConflict, vec!["a1"]);
        assert_eq!(problems(&run), vec![conflict; conflicts]);
        assert_eq!(organization.show(), before);
    }
}

#[test]
fn an_id_that_somebody_has_now_is_theirs_and_no_former_one() {
    // The id of one entry is the name of another, written in another way.
    let other = "UID=ANN,ou=people,dc=example";
    let directory = directory()
        .entry(ANN, "a1", "ann@example.com")
        .person(other, "other@example.com");
    let mut organization = organization().member(other, "other@example.com");
    let run = sync(&directory, &mut organization, &strict());
    assert_eq!(changes(&run), ["Invite a1"]);
}

#[test]
fn with_a_prefix_only_ids_with_it_are_former_ones() {
    let mut policy = strict();
    policy.external_id_prefix = "berlin:".to_owned();
    let directory =
        directory()
            .entry(ANN, "a1", "ann@example.com")
            .entry(BOB, "b1", "bob@example.com");
    let mut organization = organization()
        .member(&format!("berlin:{ANN}"), "ann.old@example.com")
        .member(BOB, "bob.old@example.com");
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), ["Relink berlin:a1", "Invite berlin:b1"]);
}

#[test]
fn a_group_that_is_kept_by_its_dn_stays_whatever_it_is_called() {
    let mut organization = organization()
        .member("a1", "ann@example.com")
        .member("b1", "bob@example.com")
        .stranger("guest@example.com")
        .group(
            "CN=Staff,ou=groups,dc=example",
            "Former name",
            &["ann@example.com", "bob@example.com", "guest@example.com"],
        );
    let mut run = Run::default();
    let first = run.sync(&company(), &mut organization, &strict());
    assert_eq!(changes(&first), ["RelinkGroup s1"]);
    let second = run.sync(&company(), &mut organization, &strict());
    assert_eq!(changes(&second), ["RenameGroup s1"]);
    assert_eq!(
        organization.show()[3],
        "group Staff (s1): ann@example.com bob@example.com guest@example.com"
    );
}

#[test]
fn groups_of_one_name_are_told_and_none_of_them_is_deleted_or_made_again() {
    let people = || {
        organization()
            .member("a1", "ann@example.com")
            .member("b1", "bob@example.com")
    };
    let all = ["ann@example.com", "bob@example.com"];
    let twice = people().group(STAFF, "Staff", &all).group(
        "CN=STAFF,ou=groups,dc=example",
        "Staff 2",
        &all,
    );
    let known = people()
        .group("s1", "Staff", &all)
        .group(STAFF, "Staff", &all);
    for mut organization in [twice, known] {
        let before = organization.show();
        let run = sync(&company(), &mut organization, &strict());
        assert_eq!(changes(&run), [""; 0]);
        let conflict = (ProblemReason::IdentityConflict, vec!["s1"]);
        assert_eq!(problems(&run), [conflict]);
        assert_eq!(organization.show(), before);
    }
}

#[test]
fn a_revoked_member_with_a_dn_gets_the_id_first_and_the_access_never_in_the_same_run() {
    let mut organization = organization();
    organization.add(
        Some(id(ANN)),
        "ann@example.com",
        MemberStatus::Revoked,
        MemberRole::USER,
    );
    let directory = directory().entry(ANN, "a1", "ann@example.com");
    let run = sync(&directory, &mut organization, &strict());
    assert_eq!(changes(&run), ["Relink a1"]);
    assert_eq!(organization.show(), ["ann@example.com (a1) revoked"]);
}

#[test]
fn whoever_was_revoked_under_the_name_of_their_entry_is_told_so_and_not_of_another_account() {
    let told = |member: &str| {
        let mut organization = organization()
            .revoked(member, "ann@example.com")
            .member(BOB, "bob@example.com");
        let run = sync(&company(), &mut organization, &policy());
        assert!(changes(&run).contains(&"Relink a1".to_owned()), "{member}");
        assert_eq!(problems(&run), [(ProblemReason::NotRestored, vec!["a1"])]);
        run.approved.problems.iter().next().unwrap().message.clone()
    };
    assert_eq!(
        told(ANN),
        "ann@example.com is active in the directory and was revoked in Bitwarden under the name (DN) of the \
         same entry: restore them in Bitwarden if they should have access, else leave them out with users.exclude"
    );
    let other = told("older");
    assert!(other.contains("by another account"), "{other}");
}
