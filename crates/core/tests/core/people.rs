//! Who comes in, who goes, who stays.

use directory_sync_core::directory::{AccountState, Evidence};
use directory_sync_core::organization::model::{MemberRole, MemberStatus};
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::{Approval, HeldBecause};
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::plan::Reason;
use directory_sync_core::sync::policy::{Glob, Limit, OffboardingAction, Policy, Restore};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization, policy, sync,
};
use jiff::SignedDuration;

use crate::{changes, problems, unlimited};

#[test]
fn newcomers_are_invited_and_blocked_accounts_are_not() {
    let directory = directory()
        .person("ann", " Ann@Example.com ")
        .disabled("bob", "bob@example.com")
        .deleted("cid", "cid@example.com");
    let mut organization = organization();
    sync(&directory, &mut organization, &policy());
    assert_eq!(organization.show(), ["ann@example.com (ann) invited"]);
}

#[test]
fn without_invitations_newcomers_are_staged() {
    let mut policy = policy();
    policy.onboarding.invite = false;
    let mut organization = organization();
    sync(
        &directory().person("ann", "ann@example.com"),
        &mut organization,
        &policy,
    );
    assert_eq!(organization.show(), ["ann@example.com (ann) staged"]);
}

#[test]
fn a_member_without_external_id_is_linked_by_email_even_an_owner() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("root", "root@example.com");
    let mut organization = organization()
        .stranger("Ann@example.com")
        .owner("root@example.com");
    let run = sync(&directory, &mut organization, &policy());
    assert_eq!(changes(&run), ["Link ann", "Link root"]);
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (ann) confirmed",
            "root@example.com (root) confirmed owner"
        ]
    );
}

#[test]
fn a_new_id_for_a_known_email_is_relinked_and_neither_removed_nor_invited() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    let directory = directory()
        .person("new", "ann@example.com")
        .group("g", "Group", &["new"]);
    let mut organization =
        organization()
            .member("old", "ann@example.com")
            .group("g", "Group", &["ann@example.com"]);
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), ["Relink new"]);
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (new) confirmed",
            "group Group (g): ann@example.com"
        ]
    );
}

#[test]
fn an_id_that_the_directory_lists_as_deleted_gives_way_to_the_new_one() {
    let directory = directory()
        .deleted("old", "ann@example.com")
        .person("new", "ann@example.com");
    let mut organization = organization().member("old", "ann@example.com");
    assert_eq!(
        changes(&sync(&directory, &mut organization, &policy())),
        ["Relink new"]
    );
}

#[test]
fn an_active_person_keeps_the_member_whose_older_entry_is_disabled_or_filtered_out() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    policy.offboarding.absent = OffboardingAction::Remove;
    let before = || {
        organization()
            .member("old", "ann@example.com")
            .group("g", "Group", &["ann@example.com"])
    };
    let relinked = [
        "ann@example.com (new) confirmed",
        "group Group (g): ann@example.com",
    ];
    let disabled = directory()
        .disabled("old", "ann@example.com")
        .person("new", "ann@example.com")
        .group("g", "Group", &["new"]);
    let mut organization = before();
    let run = sync(&disabled, &mut organization, &policy);
    assert_eq!(organization.show(), relinked);
    assert_eq!(changes(&run), ["Relink new"]);
    assert_eq!(problems(&run), []);

    policy.users.exclude = vec![Glob::new("old-*")];
    let filtered_out = directory()
        .person("old", "old-ann@example.com")
        .person("new", "ann@example.com")
        .group("g", "Group", &["new"]);
    let mut organization = before();
    let run = sync(&filtered_out, &mut organization, &policy);
    assert_eq!(organization.show(), relinked);
    assert_eq!(changes(&run), ["Relink new"]);
}

#[test]
fn whoever_is_disabled_and_has_access_by_a_member_without_an_id_is_told_and_keeps_it() {
    let told = |directory: &TestDirectory, organization: ModelOrganization, policy: &Policy| {
        let guarded = Run::default().plan(directory, &organization, policy);
        assert_eq!(changes(&guarded), [""; 0]);
        let told = guarded.approved.problems.iter();
        let told = told.filter(|one| one.reason == ProblemReason::UnmanagedAccess);
        told.map(|one| one.message.clone()).collect::<Vec<_>>()
    };
    let in_directory = directory()
        .person("ann", "ann@example.com")
        .disabled("bob", "bob@example.com")
        .deleted("cid", "cid@example.com")
        .disabled("dan", "dan@example.com")
        .disabled("eve", "ann@example.com");
    let members = || {
        organization()
            .member("ann", "ann@example.com")
            .stranger("bob@example.com")
            .stranger("cid@example.com")
    };
    let both = told(&in_directory, members(), &unlimited());
    let [bob, cid] = both.as_slice() else {
        panic!("dan is no member, and ann's member is hers: {both:?}");
    };
    let starts = "bob@example.com is disabled in the directory, and the member with that email has no external id";
    assert!(bob.starts_with(starts), "{bob}");
    assert!(cid.starts_with("cid@example.com is deleted"), "{cid}");

    // Neither those without access, nor where whoever is disabled keeps it anyway.
    let mut revoked = members();
    for email in ["bob@example.com", "cid@example.com"] {
        revoked.set_status(email, MemberStatus::Revoked);
    }
    assert_eq!(told(&in_directory, revoked, &unlimited()), [""; 0]);
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Retain;
    assert_eq!(
        told(&in_directory, members(), &policy).len(),
        1,
        "cid alone"
    );

    // Nor where an entry with a problem may be theirs; and once, however many are disabled.
    let twins = directory()
        .person("bob", "bob@example.com")
        .person("bob2", "bob@example.com")
        .disabled("old", "bob@example.com")
        .disabled("cid", "cid@example.com")
        .disabled("cid2", "cid@example.com");
    let told_of_twins = told(&twins, members(), &unlimited());
    let [cid] = told_of_twins.as_slice() else {
        panic!("{told_of_twins:?}");
    };
    assert!(cid.starts_with("cid@example.com is disabled"), "{cid}");

    // It is about the person: `explain` says it, too.
    let explained = Run::default().explain(&in_directory, &members(), &unlimited(), "bob");
    assert_eq!(explained.people[0].problems[0].reason, "UnmanagedAccess");
}

#[test]
fn an_active_persons_email_keeps_a_member_of_a_disabled_entry_where_both_are_members() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let directory = directory()
        .disabled("old", "ann@example.com")
        .person("new", "ann@example.com");
    let before = organization()
        .member("old", "ann@example.com")
        .member("new", "ann.before@example.com");
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(organization.show(), before.show());
    assert_eq!(
        problems(&run),
        [
            (ProblemReason::IdentityConflict, vec!["new", "old"]),
            (ProblemReason::EmailChanged, vec!["new"]),
        ]
    );
}

#[test]
fn a_revoked_member_who_is_linked_or_relinked_is_not_restored_with_it() {
    let directory = directory().person("new", "ann@example.com");
    for restore in [Restore::RevokedByUs, Restore::All] {
        let mut policy = policy();
        policy.onboarding.restore = restore;
        let mut organization = organization().revoked("old", "ann@example.com");
        let run = sync(&directory, &mut organization, &policy);
        assert_eq!(organization.show(), ["ann@example.com (new) revoked"]);
        assert_eq!(changes(&run), ["Relink new"]);
    }
}

#[test]
fn a_member_whose_id_is_in_use_foreign_or_an_owners_is_left_alone_and_told() {
    let mut policy = unlimited();
    policy.external_id_prefix = "d:".into();
    policy.offboarding.absent = OffboardingAction::Remove;
    let directory = directory()
        .person("a2", "a@example.com")
        .person("a1", "renamed@example.com")
        .person("b", "b@example.com")
        .person("c", "c@example.com");
    let before = organization()
        .member("d:a1", "a@example.com")
        .member("other:b", "b@example.com")
        .linked_owner("d:c0", "c@example.com");
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(organization.show(), before.show());
    assert_eq!(
        problems(&run),
        [
            (ProblemReason::IdentityConflict, vec!["d:a2", "d:a1"]),
            (ProblemReason::IdentityConflict, vec!["d:b", "other:b"]),
            (ProblemReason::EmailChanged, vec!["d:a1"]),
            (ProblemReason::OwnerRetained, vec!["d:c"]),
        ]
    );
}

/// Ann, who was invited at an address that isn't hers any more, in a group; and others.
fn invited_at_old(others: usize) -> ModelOrganization {
    let mut organization = organization();
    let (invited, user) = (MemberStatus::Invited, MemberRole::USER);
    organization.add(Some(id("ann")), "old@example.com", invited, user);
    for at in 0..others {
        organization = organization.member(&format!("u{at}"), &format!("u{at}@example.com"));
    }
    organization.add_group(Some(id("g")), "Group", &["old@example.com"]);
    organization.add_group(None, "by hand", &["old@example.com"]);
    organization
}

/// Ann at her new address, in two groups; and others.
fn ann_at_new(others: usize) -> TestDirectory {
    let mut directory = directory().person("ann", "new@example.com");
    for at in 0..others {
        directory = directory.person(&format!("u{at}"), &format!("u{at}@example.com"));
    }
    directory
        .group("g", "Group", &["ann"])
        .group("h", "More", &["ann"])
}

#[test]
fn an_address_that_changed_while_the_invitation_is_open_is_invited_in_place_of_the_old_one() {
    let mut organization = invited_at_old(0);
    let before = organization.by_email("old@example.com").id;
    let mut run = Run::default();
    let guarded = run.sync(&ann_at_new(0), &mut organization, &policy());
    assert_eq!(changes(&guarded), ["Invite ann", "CreateGroup h"]);
    assert_eq!(problems(&guarded), []);
    let change = &guarded.approved.changes[0];
    assert!(!change.takes_away(), "nobody loses anything");
    assert_eq!(change.reason, Reason::EmailChanged);
    assert_eq!(
        change.subject.id,
        Some(before),
        "whose invitation is withdrawn"
    );
    assert_eq!(
        organization.show(),
        [
            "new@example.com (ann) invited",
            "group Group (g): new@example.com",
            "group More (h): new@example.com",
            "group by hand: new@example.com",
        ]
    );
    let again = run.sync(&ann_at_new(0), &mut organization, &policy());
    assert!(changes(&again).is_empty(), "{:?}", changes(&again));
}

#[test]
fn an_invitation_that_is_replaced_needs_no_seat_more() {
    let mut organization = invited_at_old(0).seats(1);
    let guarded = sync(&ann_at_new(0), &mut organization, &policy());
    assert_eq!(problems(&guarded), []);
    assert_eq!(
        organization.by_email("new@example.com").external_id,
        Some(id("ann"))
    );
    // Nor does it free one for somebody else.
    let mut organization = invited_at_old(0).seats(1);
    let another = ann_at_new(0).person("abe", "abe@example.com");
    let guarded = sync(&another, &mut organization, &policy());
    assert_eq!(problems(&guarded), [(ProblemReason::NoSeats, vec!["abe"])]);
    assert_eq!(
        organization.by_email("new@example.com").external_id,
        Some(id("ann"))
    );
}

#[test]
fn a_run_that_stops_between_withdrawing_and_inviting_has_taken_nothing_from_anybody() {
    let mut organization = invited_at_old(10);
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Count(1);
    let mut run = Run::default();
    let at_old = directory().person("ann", "old@example.com");
    let everybody = |first: TestDirectory, of: usize| {
        (0..of).fold(first, |directory, at| {
            directory.person(&format!("u{at}"), &format!("u{at}@example.com"))
        })
    };
    run.sync(&everybody(at_old, 10), &mut organization, &policy);
    run.now += SignedDuration::from_hours(48);
    let stopped = run.plan(&ann_at_new(10), &organization, &policy);
    assert_eq!(changes(&stopped), ["Invite ann", "CreateGroup h"]);
    run.ledger.before(&stopped, run.now);
    organization.drop_member("old@example.com");
    // One person is gone by now, which is what the limit allows.
    let next = run.sync(&ann_at_new(9), &mut organization, &policy);
    assert!(next.held.is_none(), "{:?}", next.held);
    assert!(
        changes(&next).contains(&"Revoke u9".into()),
        "{:?}",
        changes(&next)
    );
    assert!(
        changes(&next).contains(&"Invite ann".into()),
        "{:?}",
        changes(&next)
    );
    // Nor is anybody missed who was there for a whole run.
    run.now += SignedDuration::from_hours(1);
    run.sync(&ann_at_new(9), &mut organization, &policy);
    assert_eq!(
        run.sync(&ann_at_new(9), &mut organization, &policy)
            .held
            .map(|h| h.describe()),
        None
    );
}

#[test]
fn a_replaced_invitation_is_expected_once_and_not_twice() {
    let mut organization = invited_at_old(10);
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Count(1);
    let mut run = Run::default();
    for others in [10, 10, 9] {
        run.now += SignedDuration::from_hours(48);
        let guarded = run.sync(&ann_at_new(others), &mut organization, &policy);
        assert!(guarded.held.is_none(), "{:?}", guarded.held);
    }
    assert_eq!(
        organization.by_email("u9@example.com").status,
        MemberStatus::Revoked
    );
}

#[test]
fn a_replaced_invitation_is_limited_as_invitations_are() {
    let mut organization = invited_at_old(9);
    let mut policy = policy();
    policy.onboarding.limit = Limit::Count(0);
    let before = organization.show();
    let guarded = sync(&ann_at_new(9), &mut organization, &policy);
    let held = guarded.held.as_ref().unwrap();
    assert_eq!(held.changes.len(), 1, "{:?}", held.changes);
    assert_eq!(held.changes[0].external_id(), &id("ann"));
    // Until it is approved they come into no more groups.
    assert_eq!(organization.show()[..10], before[..10]);
    assert!(
        organization.show().contains(&"group More (h):".into()),
        "{:?}",
        organization.show()
    );
    assert!(
        organization
            .show()
            .contains(&"group Group (g): old@example.com".into())
    );
}

#[test]
fn an_open_invitation_stays_where_it_cannot_be_replaced_and_is_told_with_the_way_out() {
    let told = |status, role, policy: &Policy, way_out: &str| {
        let mut organization = organization();
        organization.add(Some(id("ann")), "old@example.com", status, role);
        let ann = directory().person("ann", "new@example.com");
        let run = sync(&ann, &mut organization, policy);
        assert!(changes(&run).is_empty(), "{:?}", changes(&run));
        let problem = run.approved.problems.iter().next().unwrap();
        assert_eq!(problem.reason, ProblemReason::EmailChanged);
        assert!(problem.message.contains(way_out), "{}", problem.message);
        // Which works.
        organization.drop_member("old@example.com");
        sync(&ann, &mut organization, policy);
        let status = if policy.onboarding.invite {
            "invited"
        } else {
            "staged"
        };
        assert_eq!(
            organization.show(),
            [format!("new@example.com (ann) {status}")]
        );
    };
    let (user, admin) = (MemberRole::USER, MemberRole::Other(1));
    let invites = "the next run invites new@example.com";
    let adds = "the next run adds new@example.com";
    told(MemberStatus::Invited, admin, &policy(), invites);
    told(MemberStatus::Staged, user, &policy(), adds);
    let mut staging = policy();
    staging.onboarding.invite = false;
    told(MemberStatus::Invited, user, &staging, adds);
}

#[test]
fn an_open_invitation_is_not_replaced_by_one_to_somebody_elses_address() {
    let mut organization = organization().stranger("new@example.com");
    let (invited, user) = (MemberStatus::Invited, MemberRole::USER);
    organization.add(Some(id("ann")), "old@example.com", invited, user);
    let before = organization.show();
    let ann = directory().person("ann", "new@example.com");
    let run = sync(&ann, &mut organization, &policy());
    assert_eq!(problems(&run), [(ProblemReason::EmailChanged, vec!["ann"])]);
    assert_eq!(organization.show(), before);
}

#[test]
fn a_changed_email_is_told_with_both_addresses_and_changes_nothing() {
    let mut organization = organization().member("ann", "old@example.com");
    let run = sync(
        &directory().person("ann", "new@example.com"),
        &mut organization,
        &policy(),
    );
    assert_eq!(organization.show(), ["old@example.com (ann) confirmed"]);
    let problem = run.approved.problems.iter().next().unwrap();
    assert_eq!(problem.reason, ProblemReason::EmailChanged);
    assert!(
        problem.message.contains("old@example.com"),
        "{}",
        problem.message
    );
    assert!(
        problem.message.contains("new@example.com"),
        "{}",
        problem.message
    );
    assert!(
        problem.message.contains("change it in Bitwarden first"),
        "{}",
        problem.message
    );
}

#[test]
fn somebody_active_again_gets_access_back_where_the_policy_says_so() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("new", "bob@example.com");
    let before = || {
        organization()
            .revoked("ann", "ann@example.com")
            .revoked("old", "bob@example.com")
    };
    let mut all = policy();
    all.onboarding.restore = Restore::All;
    let mut organization = before();
    sync(&directory, &mut organization, &all);
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (ann) confirmed",
            "bob@example.com (new) revoked"
        ]
    );

    let mut strict = policy();
    strict.onboarding.restore = Restore::Nobody;
    let mut organization = before();
    sync(&directory, &mut organization, &strict);
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (ann) revoked",
            "bob@example.com (new) revoked"
        ]
    );
}

#[test]
fn a_revoked_owner_is_not_ours_to_restore() {
    let mut organization = organization();
    organization.add(
        Some(id("ann")),
        "ann@example.com",
        MemberStatus::Revoked,
        MemberRole::Owner,
    );
    let run = sync(
        &directory().person("ann", "ann@example.com"),
        &mut organization,
        &policy(),
    );
    assert_eq!(changes(&run), [""; 0]);
}

#[test]
fn blocked_people_go_as_the_policy_says() {
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .disabled("bob", "bob@example.com")
        .person("zoe", "zoe@example.com");
    let before = organization()
        .member("ann", "ann@example.com")
        .revoked("bob", "bob@example.com")
        .member("zoe", "zoe@example.com");
    for (departure, after) in [
        (
            OffboardingAction::Retain,
            vec![
                "ann@example.com (ann) confirmed",
                "bob@example.com (bob) revoked",
            ],
        ),
        (
            OffboardingAction::Revoke,
            vec![
                "ann@example.com (ann) revoked",
                "bob@example.com (bob) revoked",
            ],
        ),
        (OffboardingAction::Remove, vec![]),
    ] {
        let mut policy = unlimited();
        policy.offboarding.disabled = departure;
        policy.offboarding.absent = OffboardingAction::Retain;
        let mut organization = before.clone();
        sync(&directory, &mut organization, &policy);
        let after: Vec<_> = after
            .into_iter()
            .chain(["zoe@example.com (zoe) confirmed"])
            .collect();
        assert_eq!(organization.show(), after, "{departure:?}");
    }
}

#[test]
fn somebody_blocked_under_a_new_id_without_email_filters_or_groups_is_blocked_and_not_absent() {
    let mut policy = unlimited();
    policy.groups.only_their_members = true;
    policy.users.include = vec![Glob::new("*@example.com")];
    policy.offboarding.absent = OffboardingAction::Remove;
    let directory = directory()
        .disabled("stripped", "")
        .disabled("new", "bob@example.com")
        .person("zoe", "zoe@example.com")
        .group("g", "Group", &["zoe"]);
    let mut organization = organization()
        .member("stripped", "ann@example.com")
        .member("old", "bob@example.com")
        .member("zoe", "zoe@example.com")
        .group("g", "Group", &["zoe@example.com"]);
    sync(&directory, &mut organization, &policy);
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (stripped) revoked",
            "bob@example.com (old) revoked",
            "zoe@example.com (zoe) confirmed",
            "group Group (g): zoe@example.com",
        ]
    );
}

#[test]
fn people_gone_deleted_or_filtered_out_go_as_the_policy_for_absent_ones_says() {
    let directory = directory()
        .deleted("deleted", "deleted@example.com")
        .person("out", "svc-out@example.com")
        .person("zoe", "zoe@example.com");
    let before = organization()
        .member("gone", "gone@example.com")
        .member("deleted", "deleted@example.com")
        .member("out", "svc-out@example.com")
        .member("zoe", "zoe@example.com");
    let expected = |departure| {
        let state = |email: &str, id: &str| match departure {
            OffboardingAction::Retain => Some(format!("{email} ({id}) confirmed")),
            OffboardingAction::Revoke => Some(format!("{email} ({id}) revoked")),
            OffboardingAction::Remove => None,
        };
        let mut all: Vec<String> = [
            ("deleted@example.com", "deleted"),
            ("gone@example.com", "gone"),
            ("svc-out@example.com", "out"),
        ]
        .into_iter()
        .filter_map(|(email, id)| state(email, id))
        .collect();
        all.push("zoe@example.com (zoe) confirmed".into());
        all
    };
    for departure in [
        OffboardingAction::Retain,
        OffboardingAction::Revoke,
        OffboardingAction::Remove,
    ] {
        let mut policy = unlimited();
        policy.users.exclude = vec![Glob::new("SVC-*")];
        policy.offboarding.absent = departure;
        policy.offboarding.deleted = departure;
        policy.offboarding.disabled = OffboardingAction::Retain;
        let mut organization = before.clone();
        sync(&directory, &mut organization, &policy);
        assert_eq!(organization.show(), expected(departure), "{departure:?}");
    }
}

#[test]
fn who_is_listed_as_deleted_goes_at_once_and_who_is_merely_absent_stays() {
    let directory = directory()
        .deleted("deleted", "deleted@example.com")
        .person("zoe", "zoe@example.com");
    let mut organization = organization()
        .member("gone", "gone@example.com")
        .member("deleted", "deleted@example.com")
        .member("zoe", "zoe@example.com");
    sync(&directory, &mut organization, &unlimited());
    assert_eq!(
        organization.show(),
        [
            "deleted@example.com (deleted) revoked",
            "gone@example.com (gone) confirmed",
            "zoe@example.com (zoe) confirmed",
        ]
    );
}

#[test]
fn whoever_is_listed_as_deleted_under_a_new_id_is_known_by_email() {
    let deleted = directory()
        .deleted("new", "ann@example.com")
        .person("zoe", "zoe@example.com");
    let before = organization()
        .member("old", "ann@example.com")
        .member("zoe", "zoe@example.com");
    for (departure, expected) in [
        (OffboardingAction::Retain, None),
        (
            OffboardingAction::Revoke,
            Some("ann@example.com (old) revoked"),
        ),
    ] {
        let mut policy = unlimited();
        policy.offboarding.deleted = departure;
        policy.offboarding.absent = OffboardingAction::Retain;
        let mut organization = before.clone();
        let run = sync(&deleted, &mut organization, &policy);
        let expected = expected.unwrap_or("ann@example.com (old) confirmed");
        assert!(organization.show().contains(&expected.to_owned()));
        assert_eq!(problems(&run), []);
        if departure == OffboardingAction::Revoke {
            let evidence = run.approved.changes[0].evidence();
            assert!(matches!(evidence, Some(Evidence::Disabled(_))));
        }
    }
    // Somebody active has the address by now: the member is theirs.
    let successor = deleted.clone().person("ann", "ann@example.com");
    let mut organization = before.clone();
    let run = sync(&successor, &mut organization, &unlimited());
    assert_eq!(changes(&run), ["Relink ann"]);
    // Invited by hand: nobody's to revoke.
    let mut organization = organization_with_a_stranger();
    let run = sync(&deleted, &mut organization, &unlimited());
    assert_eq!(changes(&run), [""; 0]);
}

fn organization_with_a_stranger() -> ModelOrganization {
    organization()
        .stranger("ann@example.com")
        .member("zoe", "zoe@example.com")
}

#[test]
fn whoever_goes_under_a_new_id_and_has_the_email_of_somebody_elses_member_is_reported() {
    let mut policy = unlimited();
    policy.users.exclude = vec![Glob::new("svc-*")];
    policy.offboarding.absent = OffboardingAction::Retain;
    for (old, reasons) in [
        ("svc-ann@example.com", vec![ProblemReason::IdentityConflict]),
        (
            "anna@example.com",
            vec![ProblemReason::IdentityConflict, ProblemReason::EmailChanged],
        ),
    ] {
        for going in [TestDirectory::deleted, TestDirectory::disabled] {
            let directory = directory()
                .person("old", old)
                .person("zoe", "zoe@example.com");
            let directory = going(directory, "new", "ann@example.com");
            let mut organization = organization()
                .member("old", "ann@example.com")
                .member("zoe", "zoe@example.com");
            let run = sync(&directory, &mut organization, &policy);
            assert_eq!(changes(&run), [""; 0], "{old}");
            let mut told: Vec<ProblemReason> =
                problems(&run).into_iter().map(|(why, _)| why).collect();
            told.retain(|why| *why != ProblemReason::UnmatchedExclusion);
            assert_eq!(told, reasons, "{old}");
        }
    }
    // The entry with the member's id has the email, too: it decides.
    let twins = directory()
        .person("old", "ann@example.com")
        .deleted("new", "ann@example.com");
    let mut organization = organization().member("old", "ann@example.com");
    let run = sync(&twins, &mut organization, &policy);
    assert_eq!(changes(&run), [""; 0]);
    let told = problems(&run);
    assert!(
        told.iter()
            .all(|(why, _)| *why == ProblemReason::UnmatchedExclusion)
    );
}

#[test]
fn an_owner_who_would_have_to_go_stays_and_is_named() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("zoe", "zoe@example.com");
    let before = organization()
        .linked_owner("ann", "ann@example.com")
        .linked_owner("gone", "gone@example.com")
        .member("zoe", "zoe@example.com");
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(organization.show(), before.show());
    assert_eq!(
        problems(&run),
        [
            (ProblemReason::OwnerRetained, vec!["ann"]),
            (ProblemReason::OwnerRetained, vec!["gone"]),
        ]
    );
}

#[test]
fn members_of_another_prefix_and_without_external_id_are_nobodys_to_remove() {
    let mut policy = unlimited();
    policy.external_id_prefix = "hr:".into();
    policy.offboarding.absent = OffboardingAction::Remove;
    let mut organization = organization()
        .member("it:ann", "ann@example.com")
        .member("hr:bob", "bob@example.com")
        .member("hr:zoe", "zoe@example.com")
        .stranger("cid@example.com");
    sync(
        &directory().person("zoe", "zoe@example.com"),
        &mut organization,
        &policy,
    );
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (it:ann) confirmed",
            "cid@example.com confirmed",
            "zoe@example.com (hr:zoe) confirmed",
        ]
    );
}

#[test]
fn people_whose_entries_are_broken_are_named_and_lose_nothing() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.offboarding.disabled = OffboardingAction::Remove;
    let long = format!("{}@example.com", "x".repeat(250));
    let directory = directory()
        .person("none", "")
        .person("bad", "not an address")
        .person("long", &long)
        .person("twin1", "twin@example.com")
        .person("twin2", "twin@example.com")
        .person("zoe", "zoe@example.com")
        .group("g", "Group", &["none", "bad", "long", "twin1", "twin2"]);
    let everyone = [
        "none@example.com",
        "bad@example.com",
        "long@example.com",
        "twin@example.com",
    ];
    let before = organization()
        .member("none", "none@example.com")
        .member("bad", "bad@example.com")
        .member("long", "long@example.com")
        .member("before-the-twins", "twin@example.com")
        .member("zoe", "zoe@example.com")
        .group("g", "Group", &everyone);
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(organization.show(), before.show());
    assert_eq!(
        problems(&run),
        [
            (ProblemReason::NoEmail, vec!["none"]),
            (ProblemReason::InvalidEmail, vec!["bad"]),
            (ProblemReason::EmailTooLong, vec!["long"]),
            (ProblemReason::DuplicateEmail, vec!["twin1", "twin2"]),
        ]
    );
}

#[test]
fn a_blocked_or_deleted_twin_is_ignored_for_the_emails_sake() {
    let directory = directory()
        .disabled("old", "ann@example.com")
        .deleted("older", "ann@example.com")
        .person("ann", "ann@example.com");
    let mut organization = organization();
    let run = sync(&directory, &mut organization, &policy());
    assert_eq!(organization.show(), ["ann@example.com (ann) invited"]);
    assert!(run.approved.problems.is_empty());
}

#[test]
fn two_active_entries_with_the_email_of_a_disabled_one_leave_its_member_as_they_are() {
    let directory = directory()
        .person("p0", "e3@partner.com")
        .person("p1", "e3@partner.com")
        .disabled("p3", "e3@partner.com")
        .group("joins", "Joins", &["p3"])
        .group("leaves", "Leaves", &[]);
    let mut organization = organization()
        .member("p3", "e3@partner.com")
        .group("joins", "Joins", &[])
        .group("leaves", "Leaves", &["e3@partner.com"]);
    let before = organization.show();
    let run = sync(&directory, &mut organization, &unlimited());
    assert_eq!(organization.show(), before);
    assert_eq!(
        problems(&run),
        [
            (ProblemReason::DuplicateEmail, vec!["p0", "p1"]),
            (ProblemReason::IdentityConflict, vec!["p3"]),
        ]
    );
}

#[test]
fn two_members_with_one_external_id_are_named_and_left_alone() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    let directory = directory()
        .disabled("twin", "one@example.com")
        .person("zoe", "zoe@example.com")
        .group("g", "Group", &["zoe"]);
    let before = organization()
        .member("twin", "one@example.com")
        .member("twin", "two@example.com")
        .member("zoe", "zoe@example.com")
        .group("g", "Group", &["one@example.com", "zoe@example.com"]);
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(organization.show(), before.show());
    assert_eq!(
        problems(&run),
        [(ProblemReason::IdentityConflict, vec!["twin"])]
    );
}

#[test]
fn an_id_too_long_with_its_prefix_is_named_and_its_person_left_out() {
    let mut policy = policy();
    policy.external_id_prefix = "prefix:".into();
    let long = "x".repeat(295);
    let mut organization = organization();
    let run = sync(
        &directory().person(&long, "ann@example.com"),
        &mut organization,
        &policy,
    );
    assert_eq!(
        problems(&run),
        [(ProblemReason::InvalidExternalId, vec![&*long])]
    );
    assert_eq!(organization.show(), [""; 0]);
}

#[test]
fn a_link_or_relink_that_is_refused_takes_nobody_out_of_a_group() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("new", "bob@example.com")
        .person("cid", "cid@example.com")
        .group("g", "Group", &["ann", "new", "cid"]);
    let mut organization = organization()
        .stranger("ann@example.com")
        .member("old", "bob@example.com")
        .group("g", "Group", &["ann@example.com", "bob@example.com"])
        .refusing("ann")
        .refusing("new");
    let mut run = Run::default();
    for _ in 0..3 {
        run.sync(&directory, &mut organization, &unlimited());
        assert_eq!(
            organization.show(),
            [
                "ann@example.com confirmed",
                "bob@example.com (old) confirmed",
                "cid@example.com (cid) invited",
                "group Group (g): ann@example.com bob@example.com cid@example.com",
            ]
        );
    }
    // Once it isn't refused any more, it is made up for.
    organization.refused.clear();
    run.sync(&directory, &mut organization, &unlimited());
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (ann) confirmed",
            "bob@example.com (new) confirmed",
            "cid@example.com (cid) invited",
            "group Group (g): ann@example.com bob@example.com cid@example.com",
        ]
    );
}

#[test]
fn only_whom_we_revoked_is_restored_and_who_was_revoked_by_hand_stays_so() {
    let everyone = directory()
        .person("ann", "ann@example.com")
        .person("eve", "eve@example.com");
    let ann_disabled = directory()
        .disabled("ann", "ann@example.com")
        .person("eve", "eve@example.com");
    // Somebody revoked Eve by hand: her laptop was stolen.
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .revoked("eve", "eve@example.com");
    let mut run = Run::default();
    let revoked = run.sync(&ann_disabled, &mut organization, &unlimited());
    assert_eq!(changes(&revoked), ["Revoke ann"]);
    let restored = run.sync(&everyone, &mut organization, &unlimited());
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (ann) confirmed",
            "eve@example.com (eve) revoked"
        ]
    );
    assert_eq!(changes(&restored), ["Restore ann"]);
    assert_eq!(
        problems(&restored),
        [(ProblemReason::NotRestored, vec!["eve"])]
    );
}

#[test]
fn somebody_fired_stays_revoked_when_another_person_gets_their_id() {
    let everyone = directory()
        .person("u0", "fired@example.com")
        .person("u1", "ann@example.com");
    let fired = directory()
        .disabled("u0", "fired@example.com")
        .person("u1", "ann@example.com");
    let reused = directory()
        .person("u0", "newhire@example.com")
        .person("u1", "ann@example.com")
        .group("g", "Group", &["u0", "u1"]);
    for restore in [Restore::RevokedByUs, Restore::All] {
        let mut policy = unlimited();
        policy.onboarding.restore = restore;
        let mut organization = organization()
            .member("u0", "fired@example.com")
            .member("u1", "ann@example.com");
        let mut run = Run::default();
        run.sync(&everyone, &mut organization, &policy);
        assert_eq!(
            changes(&run.sync(&fired, &mut organization, &policy)),
            ["Revoke u0"]
        );
        let after = run.sync(&reused, &mut organization, &policy);
        assert_eq!(changes(&after), ["CreateGroup g"]);
        assert_eq!(
            problems(&after),
            [(ProblemReason::EmailChanged, vec!["u0"])]
        );
        let message = &after.approved.problems.iter().next().unwrap().message;
        assert!(message.contains("isn't given back"), "{message}");
        assert_eq!(
            organization.show(),
            [
                "ann@example.com (u1) confirmed",
                "fired@example.com (u0) revoked",
                "group Group (g): ann@example.com",
            ]
        );
        // It was the same person after all: once both agree, everything follows.
        let same = directory()
            .person("u0", "fired@example.com")
            .person("u1", "ann@example.com")
            .group("g", "Group", &["u0", "u1"]);
        run.sync(&same, &mut organization, &policy);
        assert_eq!(
            organization.show()[1..],
            [
                "fired@example.com (u0) confirmed",
                "group Group (g): ann@example.com fired@example.com",
            ]
        );
    }
}

#[test]
fn an_account_takes_nobodys_place_in_a_group_where_ids_were_swapped() {
    let before = directory()
        .person("u0", "ann@example.com")
        .person("u2", "bob@example.com")
        .person("u3", "cid@example.com")
        .group("g", "Group", &["u3"]);
    // Ann is u2 now and Bob is u0, and one of them comes into the group.
    let swapped = directory()
        .person("u2", "ann@example.com")
        .person("u0", "bob@example.com")
        .person("u3", "cid@example.com")
        .group("g", "Group", &["u3", "u0"]);
    let mut organization = organization()
        .member("u0", "ann@example.com")
        .member("u2", "bob@example.com")
        .member("u3", "cid@example.com");
    let mut run = Run::default();
    run.sync(&before, &mut organization, &unlimited());
    for _ in 0..2 {
        let after = run.sync(&swapped, &mut organization, &unlimited());
        assert!(changes(&after).is_empty(), "{:?}", changes(&after));
        let reasons: Vec<_> = problems(&after).into_iter().map(|one| one.0).collect();
        assert_eq!(reasons, [ProblemReason::EmailChanged; 2]);
    }
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): cid@example.com"
    );
    // Nor does who has a new address that is nobody else's: it may be another person's entry.
    let married = directory()
        .person("u0", "ann@example.com")
        .person("u2", "robert@example.com")
        .person("u3", "cid@example.com")
        .group("g", "Group", &["u3", "u2"]);
    let after = run.sync(&married, &mut organization, &unlimited());
    assert!(changes(&after).is_empty(), "{:?}", changes(&after));
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): cid@example.com"
    );
    // Once the address is the same in Bitwarden, they come.
    organization.set_email("bob@example.com", "robert@example.com");
    run.sync(&married, &mut organization, &unlimited());
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): cid@example.com robert@example.com"
    );
}

#[test]
fn where_a_directory_gives_ids_to_other_people_nobody_comes_into_their_groups() {
    // Another server, which numbers other people from one: they have addresses of their own.
    let numbered = |at: &str, group: &[&str]| {
        let people = (0..20).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("{at}{n}@example.com"))
        });
        people.group("eng", "Engineering", group)
    };
    let mut organization = organization();
    let mut run = Run::default();
    run.sync(&numbered("old", &["p0"]), &mut organization, &unlimited());
    organization.accept_all();
    run.sync(&numbered("old", &["p0"]), &mut organization, &unlimited());
    let before = organization.show();
    let everyone: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    let everyone: Vec<&str> = everyone.iter().map(String::as_str).collect();
    let after = run.sync(&numbered("new", &everyone), &mut organization, &unlimited());
    assert_eq!(organization.show(), before);
    assert_eq!(problems(&after).len(), 20);
    assert!(
        problems(&after)
            .iter()
            .all(|(reason, _)| *reason == ProblemReason::EmailChanged)
    );
}

#[test]
fn whoever_got_access_back_by_hand_and_was_revoked_by_hand_then_stays_revoked() {
    let active = directory()
        .person("ann", "ann@example.com")
        .person("eve", "eve@example.com");
    let disabled = directory()
        .disabled("ann", "ann@example.com")
        .person("eve", "eve@example.com");
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com");
    let mut run = Run::default();
    run.sync(&disabled, &mut organization, &unlimited());
    let written = run.ledger.digest();
    organization.set_status("ann@example.com", MemberStatus::Confirmed);
    let quiet = run.sync(&active, &mut organization, &unlimited());
    assert!(changes(&quiet).is_empty());
    assert_ne!(run.ledger.digest(), written, "it has to be kept");
    organization.set_status("ann@example.com", MemberStatus::Revoked);
    let after = run.sync(&active, &mut organization, &unlimited());
    assert!(changes(&after).is_empty(), "{:?}", changes(&after));
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );
}

#[test]
fn whoever_was_revoked_under_another_id_stays_so_until_somebody_restores_them() {
    let mut organization = organization()
        .member("old", "ann@example.com")
        .member("eve", "eve@example.com");
    let with = |id: &str, disabled: bool| {
        let eve = directory().person("eve", "eve@example.com");
        match disabled {
            true => eve.disabled(id, "ann@example.com"),
            false => eve.person(id, "ann@example.com"),
        }
    };
    let mut run = Run::default();
    run.sync(&with("old", true), &mut organization, &unlimited());
    let back = with("new", false);
    let relinked = run.sync(&back, &mut organization, &unlimited());
    assert_eq!(changes(&relinked), ["Relink new"]);
    // It is told in the run that finds it: the next one may be hours away.
    assert_eq!(
        problems(&relinked),
        [(ProblemReason::NotRestored, vec!["new"])]
    );
    // The account may be that of somebody who was dismissed, and the address another person's by now.
    for _ in 0..2 {
        let after = run.sync(&back, &mut organization, &unlimited());
        assert_eq!(organization.show()[0], "ann@example.com (new) revoked");
        assert_eq!(changes(&after), [""; 0]);
        assert_eq!(
            problems(&after),
            [(ProblemReason::NotRestored, vec!["new"])]
        );
    }
    assert_eq!(run.ledger.revoked(), 0);
    organization.set_status("ann@example.com", MemberStatus::Confirmed);
    let restored = run.sync(&back, &mut organization, &unlimited());
    assert_eq!(changes(&restored), [""; 0]);
    assert_eq!(problems(&restored), []);
}

#[test]
fn a_hidden_state_attribute_keeps_only_those_revoked_for_it_from_coming_back() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Revoke;
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .member("eve", "eve@example.com");
    let mut run = Run::default();
    let eve = || directory().person("eve", "eve@example.com");
    // Ann is disabled, Bob is absent.
    let gone = eve().disabled("ann", "ann@example.com");
    run.sync(&gone, &mut organization, &policy);
    let back = eve()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .without_attribute("pwdAccountLockedTime");
    let after = run.sync(&back, &mut organization, &policy);
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (ann) revoked",
            "bob@example.com (bob) confirmed",
            "eve@example.com (eve) confirmed",
        ]
    );
    assert_eq!(changes(&after), ["Restore bob"]);
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );
}

#[test]
fn where_disabled_accounts_may_be_hidden_nobody_is_invited() {
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com")
        .group("g", "Group", &["eve@example.com"]);
    let mut run = Run::default();
    // Ann is disabled, and so is Cid, who never was a member.
    let company = |ann_and_cid: fn(TestDirectory, &str, &str) -> TestDirectory| {
        let eve = directory().person("eve", "eve@example.com");
        let ann = ann_and_cid(eve, "ann", "ann@example.com");
        ann_and_cid(ann, "cid", "cid@example.com")
    };
    let shown = company(|directory, id, email| directory.disabled(id, email));
    run.sync(&shown, &mut organization, &unlimited());
    let before = organization.show();
    let hidden = company(|directory, id, email| directory.person(id, email))
        .group("g", "Group", &["eve", "cid"])
        .without_attribute("pwdAccountLockedTime");
    let after = run.sync(&hidden, &mut organization, &unlimited());
    assert_eq!(organization.show(), before);
    assert_eq!(changes(&after), [""; 0]);
    assert_eq!(
        problems(&after),
        [
            (ProblemReason::UnknownAccountState, vec!["cid"]),
            (ProblemReason::NotRestored, vec!["ann"])
        ]
    );
    // Somebody looks, and restores Ann: the account isn't disabled any more.
    organization.set_status("ann@example.com", MemberStatus::Confirmed);
    let after = run.sync(&hidden, &mut organization, &unlimited());
    assert_eq!(changes(&after), ["Invite cid", "UpdateGroup g"]);
}

#[test]
fn whoever_has_a_status_that_is_not_known_keeps_what_they_have_whatever_the_directory_says() {
    // A public API that is proposed for Vaultwarden has revoked as -128 to -126.
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.onboarding.restore = Restore::All;
    let mut organization = organization().member("eve", "eve@example.com");
    for name in ["active", "disabled", "gone", "old"] {
        let (own, email) = (id(name), format!("{name}@example.com"));
        organization.add(
            Some(own),
            &email,
            MemberStatus::Other(-128),
            MemberRole::USER,
        );
    }
    let stranger = "stranger@example.com";
    organization.add(None, stranger, MemberStatus::Other(-126), MemberRole::USER);
    let before = organization.show();
    let directory = directory()
        .person("eve", "eve@example.com")
        .person("active", "active@example.com")
        .disabled("disabled", "disabled@example.com")
        .person("new", "old@example.com")
        .person("stranger", stranger);
    let mut run = Run::default();
    for _ in 0..2 {
        let guarded = run.sync(&directory, &mut organization, &policy);
        assert!(changes(&guarded).is_empty(), "{:?}", changes(&guarded));
        let unknown = guarded.approved.problems.iter();
        let unknown = unknown.filter(|one| one.reason == ProblemReason::UnknownMemberStatus);
        let told: String = unknown.map(|one| one.message.as_str()).collect();
        for name in ["active", "disabled", "gone", "old", "stranger"] {
            assert!(
                told.contains(&format!("{name}@example.com")),
                "{name}: {told}"
            );
        }
        assert!(told.contains("(-128)"), "{told}");
        assert_eq!(organization.show(), before);
    }
}

#[test]
fn whoever_was_removed_as_disabled_is_not_invited_while_the_state_attribute_is_hidden() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let eve = || directory().person("eve", "eve@example.com");
    let disabled = eve().disabled("ann", "ann@example.com");
    let active = || {
        let both = eve().person("ann", "ann@example.com");
        both.group("g", "Group", &["ann", "eve"])
    };
    let hidden = active().without_attribute("pwdAccountLockedTime");
    let by_a_run = |run: &mut Run, organization: &mut ModelOrganization| {
        let removed = run.sync(&disabled, organization, &policy);
        assert_eq!(changes(&removed), ["Remove ann"]);
    };
    let mut revoking = policy.clone();
    revoking.offboarding.disabled = OffboardingAction::Revoke;
    let by_hand = |run: &mut Run, organization: &mut ModelOrganization| {
        let revoked = run.sync(&disabled, organization, &revoking);
        assert_eq!(changes(&revoked), ["Revoke ann"]);
        organization.drop_member("ann@example.com");
        run.sync(&disabled, organization, &revoking);
    };
    // The attribute is hidden before a run sees that they were removed.
    let unseen = |run: &mut Run, organization: &mut ModelOrganization| {
        run.sync(&disabled, organization, &revoking);
        organization.drop_member("ann@example.com");
    };
    type Act<'a> = &'a dyn Fn(&mut Run, &mut ModelOrganization);
    let all: [Act<'_>; 3] = [&by_a_run, &by_hand, &unseen];
    for removes in all {
        let mut organization = organization()
            .member("ann", "ann@example.com")
            .member("eve", "eve@example.com");
        let mut run = Run::default();
        removes(&mut run, &mut organization);
        for made in [&["CreateGroup g"][..], &[]] {
            run.now += SignedDuration::from_hours(30);
            let after = run.sync(&hidden, &mut organization, &policy);
            assert_eq!(changes(&after), made);
            assert_eq!(
                problems(&after),
                [(ProblemReason::NotRestored, vec!["ann"])]
            );
        }
        // Once the attribute is seen again, she is active.
        let back = run.sync(&active(), &mut organization, &policy);
        assert_eq!(changes(&back), ["Invite ann", "UpdateGroup g"]);
    }
}

#[test]
fn a_revocation_that_a_stopped_run_may_not_have_made_is_not_ours() {
    let everyone = directory()
        .person("ann", "ann@example.com")
        .person("eve", "eve@example.com");
    let disabled = directory()
        .disabled("ann", "ann@example.com")
        .person("eve", "eve@example.com");
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com");
    let mut run = Run::default();
    let stopped = run.plan(&disabled, &organization, &unlimited());
    assert_eq!(changes(&stopped), ["Revoke ann"]);
    run.ledger.before(&stopped, run.now);
    // It didn't come to it, and somebody revokes her by hand.
    organization.set_status("ann@example.com", MemberStatus::Revoked);
    for _ in 0..2 {
        let after = run.sync(&everyone, &mut organization, &unlimited());
        assert_eq!(changes(&after), [""; 0]);
        assert_eq!(
            problems(&after),
            [(ProblemReason::NotRestored, vec!["ann"])]
        );
    }
}

#[test]
fn whom_a_stopped_run_is_known_to_have_revoked_is_restored() {
    let eve = || directory().person("eve", "eve@example.com");
    let disabled = eve().disabled("ann", "ann@example.com");
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com");
    let mut run = Run::default();
    let stopped = run.plan(&disabled, &organization, &unlimited());
    run.ledger.before(&stopped, run.now);
    organization.apply(&stopped.approved);
    let done = stopped.approved.changes.iter();
    run.ledger
        .interrupted(&stopped, &done.collect(), &Default::default());
    let active = eve().person("ann", "ann@example.com");
    let after = run.sync(&active, &mut organization, &unlimited());
    assert_eq!(changes(&after), ["Restore ann"]);
}

#[test]
fn whoever_got_access_back_by_a_run_that_ended_early_and_was_revoked_by_hand_stays_so() {
    let (mut run, mut organization) = revoked_as_disabled(&unlimited());
    let ended = run.plan(&ann_and_eve(), &organization, &unlimited());
    assert_eq!(changes(&ended), ["Restore ann"]);
    run.ledger.before(&ended, run.now);
    organization.apply(&ended.approved);
    let done = ended.approved.changes.iter();
    run.ledger
        .interrupted(&ended, &done.collect(), &Default::default());
    organization.set_status("ann@example.com", MemberStatus::Revoked);
    let after = run.sync(&ann_and_eve(), &mut organization, &unlimited());
    assert_eq!(changes(&after), [""; 0]);
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );
}

#[test]
fn whoever_was_about_to_get_access_back_when_a_process_was_killed_is_not_restored_again() {
    let (mut run, organization) = revoked_as_disabled(&unlimited());
    let killed = run.plan(&ann_and_eve(), &organization, &unlimited());
    assert_eq!(changes(&killed), ["Restore ann"]);
    run.ledger.before(&killed, run.now);
    let next: Vec<_> = killed.approved.changes.iter().collect();
    let done = Default::default();
    run.ledger = run
        .ledger
        .checkpoint(&killed, &done, &next, &Default::default());
    // It came that far, and somebody revokes her by hand; or it didn't.
    let mut first = run.clone();
    let mut revoked = organization.clone();
    for _ in 0..2 {
        let after = first.sync(&ann_and_eve(), &mut revoked, &unlimited());
        assert_eq!(changes(&after), [""; 0]);
        assert_eq!(
            problems(&after),
            [(ProblemReason::NotRestored, vec!["ann"])]
        );
    }
    // What told that she was disabled stays known: another rule restores her neither way.
    let mut all = unlimited();
    all.onboarding.restore = Restore::All;
    let other = ann_and_eve().other_account_rule("state is retired");
    let after = first.sync(&other, &mut revoked, &all);
    assert_eq!(changes(&after), [""; 0]);
    let after = first.sync(&ann_and_eve(), &mut revoked, &all);
    assert_eq!(changes(&after), ["Restore ann"], "by an explicit choice");
}

#[test]
fn nobody_is_restored_while_the_record_is_lost_whatever_the_policy_asks_for() {
    let mut all = unlimited();
    all.onboarding.restore = Restore::All;
    let (mut run, mut organization) = revoked_as_disabled(&all);
    run.ledger = Ledger::begin_careful(run.now);
    let after = run.sync(&ann_and_eve(), &mut organization, &all);
    assert_eq!(changes(&after), [""; 0]);
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );
    run.now += SignedDuration::from_hours(25);
    let after = run.sync(&ann_and_eve(), &mut organization, &all);
    assert_eq!(changes(&after), ["Restore ann"]);
}

/// Ann was disabled, and is revoked for it; Eve is active.
fn revoked_as_disabled(policy: &Policy) -> (Run, ModelOrganization) {
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com");
    let mut run = Run::default();
    let disabled = directory()
        .person("eve", "eve@example.com")
        .disabled("ann", "ann@example.com");
    run.sync(&disabled, &mut organization, policy);
    (run, organization)
}

fn ann_and_eve() -> TestDirectory {
    directory()
        .person("ann", "ann@example.com")
        .person("eve", "eve@example.com")
}

#[test]
fn a_spec_that_reads_something_else_than_what_told_disabled_accounts_gives_nobody_access() {
    let mut restoring = unlimited();
    restoring.onboarding.restore = Restore::All;
    let mut removing = unlimited();
    removing.offboarding.disabled = OffboardingAction::Remove;
    type Edit = fn(TestDirectory) -> TestDirectory;
    let edits: [Edit; 2] = [TestDirectory::without_account_rule, |directory| {
        directory.other_account_rule("state is retired")
    }];
    for policy in [unlimited(), restoring, removing] {
        for edit in edits {
            let (mut run, mut organization) = revoked_as_disabled(&policy);
            let before = organization.show();
            let newcomer = || ann_and_eve().person("new", "new@example.com");
            for _ in 0..2 {
                run.now += SignedDuration::from_hours(30);
                let after = run.sync(&edit(newcomer()), &mut organization, &policy);
                // Neither Ann, who is disabled still, nor a newcomer, who may be.
                assert_eq!(organization.show(), before);
                assert_eq!(
                    problems(&after),
                    [
                        (ProblemReason::UnknownAccountState, vec!["new"]),
                        (ProblemReason::NotRestored, vec!["ann"]),
                    ]
                );
            }
            // By what told so she is active again.
            let after = run.sync(&newcomer(), &mut organization, &policy);
            let back = match policy.offboarding.disabled {
                OffboardingAction::Remove => "Invite ann",
                _ => "Restore ann",
            };
            assert_eq!(changes(&after), [back, "Invite new"]);
        }
    }
}

#[test]
fn whoever_was_removed_as_disabled_is_not_invited_under_another_id_by_another_rule() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let all = |ann: &str, eve: &str| {
        directory()
            .person(ann, "ann@example.com")
            .person(eve, "eve@example.com")
    };
    type Edit = fn(TestDirectory) -> TestDirectory;
    let edits: [Edit; 2] = [TestDirectory::without_account_rule, |directory| {
        directory.other_account_rule("state is retired")
    }];
    for edit in edits {
        // Eve's id changes, too, or stays.
        for eve in ["eve", "eve2"] {
            let (mut run, mut organization) = revoked_as_disabled(&policy);
            for days in [0, 6] {
                run.now += SignedDuration::from_hours(24 * days);
                let after = run.sync(&edit(all("ann2", eve)), &mut organization, &policy);
                assert_eq!(organization.show().len(), 1, "{:?}", changes(&after));
                let waits = (ProblemReason::UnknownAccountState, vec!["ann2"]);
                assert_eq!(problems(&after), [waits]);
            }
            // By what told so she is active again.
            let mut told = (run.clone(), organization.clone());
            let after = told.0.sync(&all("ann2", eve), &mut told.1, &policy);
            assert_eq!(changes(&after), ["Invite ann2"]);
            // Else it takes somebody who has looked, once.
            run.now += SignedDuration::from_hours(24 * 60);
            let after = run.sync(&edit(all("ann2", eve)), &mut organization, &policy);
            assert_eq!(changes(&after), [""; 0]);
            let why = &after.held.as_ref().unwrap().why;
            assert_eq!(why[..], [HeldBecause::UnknownAccountState { people: 1 }]);
            run.approval = Some(Approval {
                digest: after.digest.clone(),
            });
            let after = run.sync(&edit(all("ann2", eve)), &mut organization, &policy);
            assert_eq!(changes(&after), ["Invite ann2"]);
            run.approval = None;
            let next = edit(all("ann2", eve).person("new", "new@example.com"));
            let after = run.sync(&next, &mut organization, &policy);
            assert_eq!(changes(&after), ["Invite new"]);
        }
    }
}

#[test]
fn newcomers_who_may_be_disabled_come_in_once_somebody_approves_them_and_no_others() {
    let (mut run, mut organization) = revoked_as_disabled(&unlimited());
    let with = |newcomer: &str| {
        let all = ann_and_eve().person(newcomer, &format!("{newcomer}@example.com"));
        all.group("g", "Group", &["eve", newcomer])
            .without_account_rule()
    };
    let waits = run.sync(&with("new"), &mut organization, &unlimited());
    assert_eq!(changes(&waits), ["CreateGroup g"]);
    let held = &waits.held.as_ref().unwrap().changes;
    assert_eq!(held.len(), 1);
    run.approval = Some(Approval {
        digest: waits.digest.clone(),
    });
    let other = run.plan(&with("other"), &organization, &unlimited());
    assert_eq!(changes(&other), [""; 0], "it was for somebody else");
    let after = run.sync(&with("new"), &mut organization, &unlimited());
    assert_eq!(changes(&after), ["Invite new", "UpdateGroup g"]);
    assert_eq!(
        problems(&after)[1],
        (ProblemReason::NotRestored, vec!["ann"]),
        "she stays revoked"
    );
    // As long as she is reported, the next one waits, too.
    run.approval = None;
    let next = with("new").person("other", "other@example.com");
    let waits = run.sync(&next, &mut organization, &unlimited());
    assert_eq!(changes(&waits), [""; 0]);
    assert!(waits.held.is_some());
}

#[test]
fn whoever_is_read_as_disabled_under_another_id_is_not_invited_by_another_rule() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    let eve = || directory().person("eve2", "eve@example.com");
    let disabled = eve().disabled("ann2", "ann@example.com");
    let after = run.sync(&disabled, &mut organization, &policy);
    assert_eq!(changes(&after), ["Relink eve2"]);
    let dropped = || {
        eve()
            .person("ann2", "ann@example.com")
            .without_account_rule()
    };
    for days in [1, 20] {
        run.now += SignedDuration::from_hours(24 * days);
        let after = run.sync(&dropped(), &mut organization, &policy);
        assert_eq!(changes(&after), [""; 0]);
        assert_eq!(
            problems(&after),
            [(ProblemReason::NotRestored, vec!["ann2"])]
        );
    }
}

#[test]
fn whoever_is_disabled_and_whose_member_becomes_an_active_persons_is_not_invited_by_another_rule() {
    let organization = organization()
        .member("dan", "ann@example.com")
        .member("eve", "eve@example.com");
    let active = || {
        directory()
            .person("eve", "eve@example.com")
            .person("ann", "ann@example.com")
    };
    let disabled = active().disabled("dan", "dan@example.com");
    for departure in [OffboardingAction::Retain, OffboardingAction::Revoke] {
        let mut policy = unlimited();
        policy.offboarding.disabled = departure;
        let (mut run, mut organization) = (Run::default(), organization.clone());
        let first = run.sync(&disabled, &mut organization, &policy);
        assert_eq!(changes(&first), ["Relink ann"]);
        let all = active().person("dan", "dan@example.com");
        let other = all.without_account_rule();
        let next = run.sync(&other, &mut organization, &policy);
        assert_eq!(changes(&next), [""; 0]);
        assert_eq!(problems(&next), [(ProblemReason::NotRestored, vec!["dan"])]);
    }
}

#[test]
fn whoever_stays_disabled_for_long_after_their_removal_is_not_invited_under_another_id() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    let eve = || directory().person("eve", "eve@example.com");
    let disabled = eve().disabled("ann", "ann@example.com");
    for _ in 0..5 {
        run.now += SignedDuration::from_hours(48);
        run.sync(&disabled, &mut organization, &policy);
        let kept = run.ledger.digest();
        run.now += SignedDuration::from_hours(1);
        run.sync(&disabled, &mut organization, &policy);
        assert_eq!(run.ledger.digest(), kept, "it is noted once a day");
    }
    run.now += SignedDuration::from_hours(48);
    let dropped = eve()
        .person("ann2", "ann@example.com")
        .without_account_rule();
    let after = run.sync(&dropped, &mut organization, &policy);
    assert_eq!(changes(&after), [""; 0]);
    assert_eq!(
        problems(&after),
        [(ProblemReason::UnknownAccountState, vec!["ann2"])]
    );
}

#[test]
fn whoever_was_disabled_and_relinked_is_not_restored_by_another_rule() {
    for restore in [Restore::RevokedByUs, Restore::All] {
        let mut policy = unlimited();
        policy.onboarding.restore = restore;
        let (mut run, mut organization) = revoked_as_disabled(&policy);
        let relinked = || {
            directory()
                .person("ann2", "ann@example.com")
                .person("eve2", "eve@example.com")
        };
        let dropped = relinked().without_account_rule();
        let after = run.sync(&dropped, &mut organization, &policy);
        assert_eq!(changes(&after), ["Relink ann2", "Relink eve2"]);
        for days in [0, 20] {
            run.now += SignedDuration::from_hours(24 * days);
            let after = run.sync(&dropped, &mut organization, &policy);
            assert_eq!(changes(&after), [""; 0]);
            assert_eq!(
                problems(&after),
                [(ProblemReason::NotRestored, vec!["ann2"])]
            );
            let told = after.approved.problems.iter().next().unwrap();
            assert!(!told.message.contains("onboarding.restore"), "{told:?}");
        }
        // By what told so she is active: `restore: true` is asked for, or it is left to a person.
        let after = run.sync(&relinked(), &mut organization, &policy);
        match restore {
            Restore::All => assert_eq!(changes(&after), ["Restore ann2"]),
            _ => assert_eq!(changes(&after), [""; 0]),
        }
    }
}

#[test]
fn whom_runs_restored_within_a_day_counts_against_the_limit_of_invitations() {
    let mut policy = unlimited();
    let names: Vec<String> = (10..30).map(|n| format!("p{n}")).collect();
    let mut organization = organization();
    for name in &names {
        organization = organization.member(name, &format!("{name}@example.com"));
    }
    let with = |disabled: std::ops::Range<usize>| {
        let people = names.iter().enumerate();
        people.fold(directory(), |directory, (at, name)| {
            let email = format!("{name}@example.com");
            match disabled.contains(&at) {
                true => directory.disabled(name, &email),
                false => directory.person(name, &email),
            }
        })
    };
    let mut run = Run::default();
    run.sync(&with(0..15), &mut organization, &policy);
    run.now += SignedDuration::from_hours(30);
    policy.onboarding.limit = Limit::Count(5);
    let back = run.sync(&with(3..15), &mut organization, &policy);
    assert_eq!(changes(&back).len(), 3);
    run.now += SignedDuration::from_mins(18);
    let third = with(5..15);
    let back = run.sync(&third, &mut organization, &policy);
    assert_eq!(changes(&back).len(), 2, "five within a day");
    run.now += SignedDuration::from_mins(18);
    let held = run.sync(&with(8..15), &mut organization, &policy);
    assert_eq!(changes(&held), [""; 0]);
    let (people, earlier, limit) = (3, 5, 5);
    let why = HeldBecause::Invited {
        people,
        earlier,
        limit,
    };
    assert_eq!(held.held.unwrap().why, [why]);
    run.now += SignedDuration::from_hours(24);
    let back = run.sync(&with(8..15), &mut organization, &policy);
    assert_eq!(changes(&back).len(), 3);
}

#[test]
fn whoever_is_disabled_by_the_new_rule_as_well_is_restored_by_it() {
    let (mut run, mut organization) = revoked_as_disabled(&unlimited());
    let other = |directory: TestDirectory| directory.other_account_rule("state is off or retired");
    let eve = || directory().person("eve", "eve@example.com");
    let disabled = other(eve().disabled("ann", "ann@example.com"));
    let after = run.sync(&disabled, &mut organization, &unlimited());
    assert_eq!(changes(&after), [""; 0]);
    let kept = run.ledger.digest();
    run.sync(&disabled, &mut organization, &unlimited());
    assert_eq!(run.ledger.digest(), kept, "it is noted once");
    let after = run.sync(&other(ann_and_eve()), &mut organization, &unlimited());
    assert_eq!(changes(&after), ["Restore ann"]);
}

#[test]
fn whoever_was_disabled_while_revoked_for_another_reason_is_not_restored_by_another_rule() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.onboarding.restore = Restore::All;
    let eve = || directory().person("eve", "eve@example.com");
    let disabled = eve().disabled("ann", "ann@example.com");
    let by_a_run = |run: &mut Run, organization: &mut ModelOrganization| {
        let after = run.sync(&eve(), organization, &policy);
        assert_eq!(changes(&after), ["Revoke ann"]);
    };
    let by_hand = |_: &mut Run, organization: &mut ModelOrganization| {
        organization.set_status("ann@example.com", MemberStatus::Revoked);
    };
    type Act<'a> = &'a dyn Fn(&mut Run, &mut ModelOrganization);
    let both: [Act<'_>; 2] = [&by_a_run, &by_hand];
    for revokes in both {
        let mut organization = organization()
            .member("ann", "ann@example.com")
            .member("eve", "eve@example.com");
        let mut run = Run::default();
        revokes(&mut run, &mut organization);
        let before = organization.show();
        run.sync(&disabled, &mut organization, &policy);
        let dropped = ann_and_eve().without_account_rule();
        let after = run.sync(&dropped, &mut organization, &policy);
        assert_eq!(organization.show(), before);
        assert_eq!(
            problems(&after),
            [(ProblemReason::NotRestored, vec!["ann"])]
        );
        let after = run.sync(&ann_and_eve(), &mut organization, &policy);
        assert_eq!(changes(&after), ["Restore ann"]);
    }
}

#[test]
fn whom_the_record_has_no_room_for_is_not_restored_either_where_others_are_not() {
    let mut policy = unlimited();
    policy.onboarding.restore = Restore::All;
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    // Somebody else revoked Old long ago, and the record doesn't know of it.
    let (own, revoked) = (Some(id("old")), MemberStatus::Revoked);
    organization.add(own, "old@example.com", revoked, MemberRole::USER);
    let before = organization.show();
    let everyone = || ann_and_eve().person("old", "old@example.com");
    let after = run.sync(
        &everyone().without_account_rule(),
        &mut organization,
        &policy,
    );
    assert_eq!(organization.show(), before);
    assert_eq!(
        problems(&after),
        [
            (ProblemReason::NotRestored, vec!["ann"]),
            (ProblemReason::NotRestored, vec!["old"]),
        ]
    );
    let after = run.sync(&everyone(), &mut organization, &policy);
    assert_eq!(changes(&after), ["Restore ann", "Restore old"]);
}

#[test]
fn whoever_a_killed_run_had_not_come_to_and_was_revoked_by_hand_then_stays_revoked() {
    let names = ["ann", "bob", "cid"];
    let company = |disabled: bool| {
        let eve = directory().person("eve", "eve@example.com");
        names.iter().fold(eve, |all, name| {
            let email = format!("{name}@example.com");
            match disabled {
                true => all.disabled(name, &email),
                false => all.person(name, &email),
            }
        })
    };
    let organization = organization().member("eve", "eve@example.com");
    let mut organization = names.iter().fold(organization, |all, name| {
        all.member(name, &format!("{name}@example.com"))
    });
    let mut run = Run::default();
    let killed = run.plan(&company(true), &organization, &unlimited());
    assert_eq!(changes(&killed).len(), 3);
    run.ledger.before(&killed, run.now);
    // The record was kept once more, before the first of three requests; and the run is killed after it.
    let next: Vec<_> = killed.approved.changes.iter().collect();
    let done = Default::default();
    run.ledger = run
        .ledger
        .checkpoint(&killed, &done, &next, &Default::default());
    for name in names {
        organization.set_status(&format!("{name}@example.com"), MemberStatus::Revoked);
    }
    run.now += SignedDuration::from_mins(30);
    for restored in [vec!["Restore ann"], vec![]] {
        let after = run.sync(&company(false), &mut organization, &unlimited());
        assert_eq!(changes(&after), restored);
        assert_eq!(
            problems(&after),
            [
                (ProblemReason::NotRestored, vec!["bob"]),
                (ProblemReason::NotRestored, vec!["cid"])
            ]
        );
    }
}

#[test]
fn an_attribute_that_active_people_had_and_do_not_show_any_more_restores_nobody() {
    let policy = unlimited();
    // Cfo is disabled as well, and shows it: so it can be seen in that part of the tree.
    let company = |ann: AccountState, eve_shows: bool| {
        let people = directory()
            .account("ann", "ann@example.com", ann)
            .person("eve", "eve@example.com")
            .disabled("cfo", "cfo@example.com")
            .shows_attribute("cfo", "staff");
        let people = match eve_shows {
            true => people.shows_attribute("eve", "staff"),
            false => people.lacks_attribute("eve", "staff"),
        };
        match ann {
            AccountState::Active => people.lacks_attribute("ann", "staff"),
            _ => people.shows_attribute("ann", "staff"),
        }
    };
    let (disabled, active) = (AccountState::Disabled, AccountState::Active);
    let before = |days: i64, eve_shows: bool| {
        let mut organization = organization()
            .member("ann", "ann@example.com")
            .member("eve", "eve@example.com");
        let mut run = Run::default();
        let revoked = run.sync(&company(disabled, eve_shows), &mut organization, &policy);
        assert_eq!(changes(&revoked), ["Revoke ann"]);
        run.now += SignedDuration::from_hours(24 * days);
        (run, organization)
    };
    // A rule hides it of all but the Cfo; first of the active ones, and later of Ann.
    let (mut run, mut organization) = before(1, true);
    run.sync(&company(disabled, false), &mut organization, &policy);
    for days in [0, 28] {
        run.now += SignedDuration::from_hours(24 * days);
        let hidden = run.sync(&company(active, false), &mut organization, &policy);
        assert_eq!(changes(&hidden), [""; 0]);
        let told = hidden.approved.problems.iter().next().unwrap();
        assert_eq!(told.reason, ProblemReason::NotRestored);
        assert!(told.message.contains("active people"), "{}", told.message);
    }
    // Where that was a month ago, they have it no more.
    let (mut run, mut organization) = before(31, true);
    let after = run.sync(&company(active, false), &mut organization, &policy);
    assert_eq!(changes(&after), ["Restore ann"]);
    // And where they never had it, lacking it is being active.
    let (mut run, mut organization) = before(1, false);
    let after = run.sync(&company(active, false), &mut organization, &policy);
    assert_eq!(changes(&after), ["Restore ann"]);
}

#[test]
fn whoever_lost_access_as_disabled_gets_none_under_another_prefix_by_another_rule() {
    for (action, restore) in [
        (OffboardingAction::Remove, Restore::RevokedByUs),
        (OffboardingAction::Revoke, Restore::All),
    ] {
        let mut policy = unlimited();
        policy.offboarding.disabled = action;
        policy.onboarding.restore = restore;
        policy.external_id_prefix = "d:".into();
        let mut organization = organization()
            .member("d:ann", "ann@example.com")
            .member("d:eve", "eve@example.com");
        let mut run = Run::default();
        let disabled = directory()
            .person("eve", "eve@example.com")
            .disabled("ann", "ann@example.com");
        run.sync(&disabled, &mut organization, &policy);
        // A prefix that begins the other one: whoever is there gets the new id. The command line keeps another
        // ledger for it, which asks the one of before.
        policy.external_id_prefix = "".into();
        let before = std::mem::take(&mut run.ledger);
        for _ in 0..3 {
            run.now += SignedDuration::from_hours(1);
            run.ledger.ask_also(&before, true);
            let dropped = ann_and_eve().without_account_rule();
            let after = run.sync(&dropped, &mut organization, &policy);
            let has_access = |line: &String| line.starts_with("ann@") && !line.contains("revoked");
            let shown = organization.show();
            assert!(!shown.iter().any(has_access), "{shown:?}");
            let waits = [
                ProblemReason::UnknownAccountState,
                ProblemReason::NotRestored,
            ];
            let told = problems(&after);
            assert!(
                changes(&after).contains(&"Relink ann".to_owned())
                    || told.iter().any(|(reason, _)| waits.contains(reason)),
                "{told:?}"
            );
        }
    }
}

#[test]
fn a_member_whose_address_holds_a_secret_is_known_by_their_id() {
    let everyone = |ann: AccountState| {
        directory()
            .account("ann", "ann@example.com", ann)
            .person("eve", "eve@example.com")
            .group("g", "Group", &["ann", "eve"])
    };
    let members = || {
        organization()
            .member("ann", "(withheld)")
            .member("eve", "eve@example.com")
            .group("g", "Group", &["(withheld)", "eve@example.com"])
    };
    for status in [MemberStatus::Confirmed, MemberStatus::Invited] {
        let mut organization = members();
        organization.set_status("(withheld)", status);
        let active = everyone(AccountState::Active);
        let run = sync(&active, &mut organization, &unlimited());
        assert_eq!(changes(&run), [""; 0]);
        assert_eq!(problems(&run), [(ProblemReason::EmailChanged, vec!["ann"])]);
        let disabled = everyone(AccountState::Disabled);
        let run = sync(&disabled, &mut organization, &unlimited());
        assert_eq!(changes(&run)[0], "Revoke ann");
    }
}

#[test]
fn a_member_whose_external_id_holds_a_secret_is_left_alone_and_not_invited_again() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("eve", "eve@example.com")
        .group("g", "Group", &["ann", "eve"]);
    let mut organization = organization()
        .stranger("ann@example.com")
        .member("eve", "eve@example.com")
        .group("g", "Group", &["ann@example.com", "eve@example.com"]);
    organization.set_status("ann@example.com", MemberStatus::Withheld);
    let before = organization.show();
    let run = sync(&directory, &mut organization, &unlimited());
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(
        problems(&run),
        [(ProblemReason::SecretInEntry, vec!["ann"])]
    );
    assert_eq!(organization.show(), before);
}

#[test]
fn what_somebody_changed_by_hand_is_changed_back_at_the_next_run() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("eve", "eve@example.com")
        .disabled("bob", "bob@example.com")
        .group("g", "Group", &["ann", "eve"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com")
        .member("bob", "bob@example.com")
        .group("g", "Group", &["ann@example.com", "eve@example.com"]);
    let mut run = Run::default();
    let mut next = |organization: &mut ModelOrganization| {
        let ran = run.sync(&directory, organization, &unlimited());
        changes(&ran)
    };
    assert_eq!(next(&mut organization), ["Revoke bob"]);
    let healed = organization.show();
    organization.set_status("bob@example.com", MemberStatus::Confirmed);
    assert_eq!(next(&mut organization), ["Revoke bob"]);
    organization.content.groups[0].name = "Another".into();
    assert_eq!(next(&mut organization), ["RenameGroup g"]);
    assert_eq!(organization.show(), healed);
    organization.content.groups.clear();
    organization.inside.clear();
    assert_eq!(next(&mut organization), ["CreateGroup g"]);
    assert_eq!(organization.show(), healed);
    organization.drop_member("eve@example.com");
    assert_eq!(next(&mut organization)[0], "Invite eve");
    organization.accept_all();
    next(&mut organization);
    assert_eq!(next(&mut organization), [""; 0]);
    assert_eq!(organization.show().len(), healed.len());
}

#[test]
fn an_older_copy_of_the_record_still_tells_by_which_rule_people_were_disabled() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    let digest_of_another = "0123456789abcdef0123456789abcdef";
    let kept = run.ledger.to_bytes();
    run.ledger = Ledger::load(Some(&kept), Some(digest_of_another), run.now);
    assert!(run.ledger.is_careful());
    let dropped = ann_and_eve().without_account_rule();
    let after = run.sync(&dropped, &mut organization, &policy);
    assert_eq!(changes(&after), [""; 0]);
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );
}

#[test]
fn an_attribute_that_is_hidden_in_a_part_of_the_directory_restores_and_invites_nobody_there() {
    let policy = unlimited();
    // Ann is on the board, whose entries don't show the attribute any more; Ron and newcomers elsewhere.
    let company = |ron: fn(TestDirectory, &str, &str) -> TestDirectory| {
        let people = ann_and_eve().person("new", "new@example.com");
        let people = ron(people, "ron", "ron@example.com");
        people
            .person("there", "there@example.com")
            .lacks_attribute("ann", "board")
            .lacks_attribute("eve", "staff")
            .lacks_attribute("new", "board")
            .lacks_attribute("there", "staff")
    };
    let elsewhere = |people: TestDirectory| {
        people
            .disabled("off", "off@example.com")
            .shows_attribute("off", "staff")
    };
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    let hidden = elsewhere(company(|people, _, _| people));
    let after = run.sync(&hidden, &mut organization, &policy);
    assert_eq!(changes(&after), ["Invite there"], "nobody of the board");
    assert_eq!(
        problems(&after),
        [
            (ProblemReason::UnknownAccountState, vec!["new"]),
            (ProblemReason::NotRestored, vec!["ann"]),
        ]
    );
    // Somebody on the board shows it: it isn't hidden there.
    let shown = hidden
        .disabled("cfo", "cfo@example.com")
        .shows_attribute("cfo", "board");
    let after = run.sync(&shown, &mut organization, &policy);
    assert_eq!(changes(&after), ["Restore ann", "Invite new"]);

    // Where active people have it, nobody is active for lacking it, wherever they are.
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    let lacks = |people: TestDirectory| {
        people
            .person("ron", "ron@example.com")
            .shows_attribute("ron", "staff")
            .lacks_attribute("ann", "staff")
            .lacks_attribute("eve", "staff")
    };
    let after = run.sync(&lacks(ann_and_eve()), &mut organization, &policy);
    assert_eq!(changes(&after), ["Invite ron"]);
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );
    let back = ann_and_eve().shows_attribute("ann", "staff");
    let after = run.sync(&back, &mut organization, &policy);
    assert_eq!(changes(&after), ["Restore ann"]);

    // But for a lockout that passes, which active people have for a while.
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    let passing = lacks(ann_and_eve().attribute_comes_and_goes());
    let after = run.sync(&passing, &mut organization, &policy);
    assert!(changes(&after).contains(&"Restore ann".to_owned()));
}

#[test]
fn whoever_was_removed_and_invited_anew_and_revoked_by_hand_stays_revoked() {
    let mut policy = unlimited();
    policy.offboarding.remove_after = Some(SignedDuration::from_hours(24));
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    // The same person as another member.
    organization.drop_member("ann@example.com");
    let (own, revoked) = (Some(id("ann")), MemberStatus::Revoked);
    organization.add(own, "ann@example.com", revoked, MemberRole::USER);
    let before = organization.show();
    let after = run.sync(&ann_and_eve(), &mut organization, &policy);
    assert_eq!(organization.show(), before);
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );

    // Nor are they removed for good, as whoever was revoked by a run would be.
    let (mut run, mut organization) = revoked_as_disabled(&policy);
    organization.drop_member("ann@example.com");
    let own = Some(id("ann"));
    organization.add(own, "ann@example.com", revoked, MemberRole::USER);
    let disabled = directory()
        .person("eve", "eve@example.com")
        .disabled("ann", "ann@example.com");
    for _ in 0..2 {
        run.now += SignedDuration::from_hours(30);
        run.sync(&disabled, &mut organization, &policy);
        assert_eq!(organization.show(), before);
    }
}

#[test]
fn whoever_is_revoked_though_the_answer_was_not_heard_was_revoked_by_us_within_the_hour() {
    let eve = || directory().person("eve", "eve@example.com");
    let disabled = eve().disabled("ann", "ann@example.com");
    let active = eve().person("ann", "ann@example.com");
    let interrupted = |is_done: bool| {
        let mut organization = organization()
            .member("ann", "ann@example.com")
            .member("eve", "eve@example.com");
        let mut run = Run::default();
        let stopped = run.plan(&disabled, &organization, &unlimited());
        assert_eq!(changes(&stopped), ["Revoke ann"]);
        run.ledger.before(&stopped, run.now);
        if is_done {
            organization.apply(&stopped.approved);
        }
        let done = Default::default();
        let requested: Vec<_> = stopped.approved.changes.iter().collect();
        run.ledger = run
            .ledger
            .checkpoint(&stopped, &done, &requested, &Default::default());
        (run, organization)
    };

    let (mut run, mut organization) = interrupted(true);
    run.now += SignedDuration::from_mins(59);
    let after = run.sync(&active, &mut organization, &unlimited());
    assert_eq!(changes(&after), ["Restore ann"]);

    // By now it may have been by hand; and so it stays.
    let (mut run, mut organization) = interrupted(true);
    run.now += SignedDuration::from_mins(61);
    for _ in 0..2 {
        let after = run.sync(&active, &mut organization, &unlimited());
        assert_eq!(changes(&after), [""; 0]);
        assert_eq!(
            problems(&after),
            [(ProblemReason::NotRestored, vec!["ann"])]
        );
    }

    // It wasn't done, as the next run sees; a revocation that comes later is somebody else's.
    let (mut run, mut organization) = interrupted(false);
    let after = run.sync(&active, &mut organization, &unlimited());
    assert_eq!(changes(&after), [""; 0]);
    organization.set_status("ann@example.com", MemberStatus::Revoked);
    let after = run.sync(&active, &mut organization, &unlimited());
    assert_eq!(
        problems(&after),
        [(ProblemReason::NotRestored, vec!["ann"])]
    );
}
