//! What a run remembers of the one before.

use directory_sync_core::sync::memberships::MembershipCache;
use directory_sync_core::sync::policy::{Limit, OffboardingAction};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, failed, id, organization, policy,
};

use crate::{changes, unlimited};

fn two_groups() -> TestDirectory {
    directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &["ann"])
        .group("h", "Second", &["ann", "bob"])
}

fn filled() -> (Run, ModelOrganization) {
    let (mut run, mut organization) = (Run::default(), organization());
    run.sync(&two_groups(), &mut organization, &unlimited());
    (run, organization)
}

#[test]
fn groups_of_which_nothing_is_known_are_read_and_then_never_again() {
    let (_, mut organization) = filled();
    let mut run = Run::default();
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 2);
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 0);
    assert_eq!(
        changes(&run.sync(&two_groups(), &mut organization, &unlimited())),
        [""; 0]
    );
}

#[test]
fn what_is_remembered_holds_for_one_organization_only() {
    let (mut run, mut organization) = (Run::default(), organization());
    run.memory.keep_for("acme at https://api.example.com");
    run.sync(&two_groups(), &mut organization, &unlimited());
    run.memory = MembershipCache::from_bytes(&run.memory.to_bytes()).unwrap();
    assert!(run.memory.keep_for("acme at https://api.example.com"));
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 0);

    assert!(!run.memory.keep_for("other at https://api.example.com"));
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 2);
}

#[test]
fn groups_that_were_just_created_are_not_read_back() {
    let (mut run, mut organization) = filled();
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 0);
}

#[test]
fn only_the_group_that_changed_in_the_directory_is_read() {
    let (mut run, mut organization) = filled();
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &["bob"])
        .group("h", "Second", &["ann", "bob"]);
    let guarded = run.sync(&directory, &mut organization, &unlimited());
    assert_eq!(
        (changes(&guarded), run.read.len()),
        (vec!["UpdateGroup g".into()], 1)
    );
}

#[test]
fn somebody_removed_by_hand_and_invited_again_is_back_in_their_groups() {
    let (mut run, mut organization) = filled();
    let before = organization.show();
    organization.drop_member("ann@example.com");
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(organization.show(), before);
}

#[test]
fn a_removal_costs_no_read_of_the_groups_that_still_list_the_person() {
    let (mut run, mut organization) = filled();
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &["ann"])
        .group("h", "Second", &["ann", "bob"]);
    let guarded = run.sync(&directory, &mut organization, &policy);
    assert_eq!(
        (changes(&guarded), run.read.len()),
        (vec!["Remove ann".into()], 0)
    );
    run.sync(&directory, &mut organization, &policy);
    assert_eq!(run.read.len(), 0);
}

#[test]
fn what_is_held_is_remembered_and_read_again_only_for_its_approval() {
    let (mut run, mut organization) = filled();
    let mut policy = policy();
    policy.offboarding.limit = Limit::Count(0);
    policy.offboarding.disabled_limit = Limit::Count(0);
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &[])
        .group("h", "Second", &["ann", "bob"]);
    let before = organization.show();
    let first = run.sync(&directory, &mut organization, &policy);
    assert_eq!(run.read.len(), 1);
    let second = run.sync(&directory, &mut organization, &policy);
    assert_eq!((run.read.len(), &second.digest), (0, &first.digest));
    assert_eq!(organization.show(), before);

    let digest = second.digest;
    run.approval = Some(directory_sync_core::sync::guard::Approval { digest });
    run.sync(&directory, &mut organization, &policy);
    assert_eq!(run.read.len(), 1);
    assert!(organization.show().contains(&"group Group (g):".to_owned()));
}

#[test]
fn held_removals_of_people_leave_no_false_memory_of_their_groups() {
    let (mut run, mut organization) = filled();
    let mut policy = policy();
    policy.offboarding.limit = Limit::Count(0);
    policy.offboarding.disabled_limit = Limit::Count(0);
    policy.offboarding.disabled = OffboardingAction::Remove;
    let blocked = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &["ann"])
        .group("h", "Second", &["ann", "bob"]);
    assert!(
        run.sync(&blocked, &mut organization, &policy)
            .held
            .is_some()
    );
    // Back at work, in another department.
    let back = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &[])
        .group("h", "Second", &["bob"]);
    run.sync(&back, &mut organization, &unlimited());
    assert_eq!(
        organization.show()[2..],
        ["group Group (g):", "group Second (h): bob@example.com"]
    );
}

#[test]
fn what_failed_is_not_taken_as_done() {
    let (mut run, mut organization) = filled();
    let directory = two_groups()
        .person("cid", "cid@example.com")
        .group("g", "Group", &["cid"]);
    let guarded = run.plan(&directory, &organization, &unlimited());
    // The invitation was refused, its group filled with who is there.
    let refused = failed(&guarded, false, |change| *change.external_id() == id("cid"));
    run.memory.record(&guarded, &refused);
    run.sync(&directory, &mut organization, &unlimited());
    assert!(
        organization
            .show()
            .contains(&"group Group (g): ann@example.com cid@example.com".to_owned())
    );

    let guarded = run.plan(&two_groups(), &organization, &unlimited());
    let refused = failed(&guarded, false, |change| *change.external_id() == id("g"));
    run.memory.record(&guarded, &refused);
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 1);
    assert!(
        organization
            .show()
            .contains(&"group Group (g): ann@example.com".to_owned())
    );
}

#[test]
fn a_removal_that_failed_leaves_the_person_in_the_groups_that_are_remembered() {
    let (mut run, mut organization) = filled();
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &["ann"])
        .group("h", "Second", &["ann", "bob"]);
    let guarded = run.plan(&directory, &organization, &policy);
    let refused = failed(&guarded, false, |change| *change.external_id() == id("ann"));
    run.memory.record(&guarded, &refused);
    let back = directory_sync_core_testing::directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Group", &[])
        .group("h", "Second", &["bob"]);
    run.sync(&back, &mut organization, &policy);
    assert_eq!(
        organization.show()[2..],
        ["group Group (g):", "group Second (h): bob@example.com"]
    );
}

#[test]
fn a_preview_reads_each_group_once_and_shows_the_same_plan_again() {
    let (_, organization) = filled();
    let directory = two_groups()
        .person("cid", "cid@example.com")
        .group("g", "Group", &["cid"]);
    let mut run = Run::default();
    let first = run.plan(&directory, &organization, &unlimited());
    run.memory.observe(&first);
    let second = run.plan(&directory, &organization, &unlimited());
    assert_eq!(run.read.len(), 0);
    assert_eq!(changes(&second), changes(&first));
    assert_eq!(changes(&first), ["Invite cid", "UpdateGroup g"]);
}

#[test]
fn a_member_who_was_there_by_hand_and_is_linked_leaves_groups_that_do_not_want_them() {
    let mut organization =
        organization()
            .stranger("cid@example.com")
            .group("g", "Group", &["cid@example.com"]);
    let mut run = Run::default();
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert!(
        organization
            .show()
            .contains(&"group Group (g): ann@example.com cid@example.com".to_owned())
    );
    let directory = two_groups().person("cid", "cid@example.com");
    run.sync(&directory, &mut organization, &unlimited());
    assert_eq!(run.read.len(), 1);
    assert!(
        organization
            .show()
            .contains(&"group Group (g): ann@example.com".to_owned())
    );
}

#[test]
fn after_a_restart_the_memory_is_as_good_as_before_and_distrust_reads_everything() {
    let (mut run, mut organization) = filled();
    let digest = run.memory.digest();
    run.memory = MembershipCache::from_bytes(&run.memory.to_bytes()).unwrap();
    assert_eq!(run.memory.digest(), digest);
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 0);
    run.memory.invalidate();
    run.sync(&two_groups(), &mut organization, &unlimited());
    assert_eq!(run.read.len(), 2);
}
