//! Entries that can't be identified: they may be a member, who is then not absent.

use directory_sync_core::problem::ProblemReason::{
    AmbiguousMember, DuplicateEmail, EmptyDirectory, IdentityConflict, InvalidExternalId,
    UnidentifiedEntries, UnknownAccountState,
};
use directory_sync_core::sync::policy::{OffboardingAction, Policy};
use directory_sync_core_testing::{directory, organization, sync};

use crate::{changes, problems, unlimited};

/// Whoever is absent is removed, and groups that are gone are deleted.
fn harsh() -> Policy {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.offboarding.disabled = OffboardingAction::Remove;
    policy.groups.prune = true;
    policy
}

#[test]
fn two_entries_with_one_id_give_nobody_anothers_groups_and_take_nothing() {
    let directory = directory()
        .entry("uid=ann", "7", "ann@example.com")
        .entry("uid=bob", "7", "bob@example.com")
        .person("8", "cid@example.com")
        .group("g", "finance", &["uid=bob", "8"])
        .group("h", "eng", &["uid=ann"]);
    let before = organization()
        .member("7", "ann@example.com")
        .member("8", "cid@example.com")
        .group("g", "finance", &["cid@example.com"])
        .group("h", "eng", &["ann@example.com"]);
    let mut after = before.clone();
    let run = sync(&directory, &mut after, &harsh());
    assert_eq!(after.show(), before.show());
    assert_eq!(problems(&run), [(IdentityConflict, vec!["7"])]);
}

#[test]
fn a_member_whose_entry_shows_no_id_is_found_by_email_and_stays_in_their_groups() {
    let directory = directory()
        .unidentified("uid=ann", "ann@example.com")
        .person("8", "cid@example.com")
        .group("g", "Group", &["uid=ann", "8"])
        .group("h", "Other", &[]);
    let before = organization()
        .member("7", "ann@example.com")
        .member("8", "cid@example.com")
        .member("9", "gone@example.com")
        .group("g", "Group", &["ann@example.com", "gone@example.com"])
        .group("h", "Other", &["ann@example.com"]);
    let mut after = before.clone();
    let run = sync(&directory, &mut after, &harsh());
    assert_eq!(changes(&run), ["Remove 9", "UpdateGroup g"]);
    assert_eq!(
        after.show()[2..],
        [
            "group Group (g): ann@example.com cid@example.com",
            "group Other (h): ann@example.com"
        ]
    );
    assert_eq!(problems(&run), [(InvalidExternalId, vec![])]);
}

#[test]
fn where_nothing_tells_whose_an_entry_is_nobody_is_believed_absent_and_disabled_people_still_go() {
    let directory = directory()
        .unidentified("uid=somebody", "")
        .disabled("8", "cid@example.com")
        .group("g", "Group", &["8"]);
    let mut organization = organization()
        .member("7", "ann@example.com")
        .member("8", "cid@example.com")
        .group("g", "Group", &["ann@example.com", "cid@example.com"]);
    let run = sync(&directory, &mut organization, &harsh());
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (7) confirmed",
            "group Group (g): ann@example.com"
        ]
    );
    assert_eq!(
        problems(&run),
        [
            (InvalidExternalId, vec![]),
            (UnidentifiedEntries, vec!["7"]),
            // Nobody in it is active.
            (EmptyDirectory, vec![])
        ]
    );
    let message = &run.approved.problems.iter().nth(1).unwrap().message;
    assert!(message.contains("uid=somebody"), "{message}");
}

#[test]
fn an_account_of_unknown_state_keeps_what_it_has_and_absence_of_others_is_believed() {
    let directory = directory()
        .undecided("7", "ann@example.com")
        .undecided("new", "new@example.com")
        .person("9", "zoe@example.com")
        .group("g", "Group", &["9"]);
    let mut organization = organization()
        .member("7", "ann@example.com")
        .member("8", "gone@example.com")
        .member("9", "zoe@example.com")
        .group("g", "Group", &["ann@example.com", "zoe@example.com"]);
    let run = sync(&directory, &mut organization, &harsh());
    // Neither removed nor invited; who is in no list at all still goes.
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (7) confirmed",
            "zoe@example.com (9) confirmed",
            "group Group (g): ann@example.com zoe@example.com"
        ]
    );
    assert_eq!(
        problems(&run),
        [
            (UnknownAccountState, vec!["7"]),
            (UnknownAccountState, vec!["new"])
        ]
    );
}

#[test]
fn an_old_entry_that_is_disabled_takes_nothing_from_whom_an_unidentified_one_may_be() {
    let directory = directory()
        .disabled("old", "ann@example.com")
        .unidentified("uid=ann", "ann@example.com");
    let before = organization().member("old", "ann@example.com");
    let mut after = before.clone();
    sync(&directory, &mut after, &harsh());
    assert_eq!(after.show(), before.show());
}

#[test]
fn an_address_that_an_unidentified_entry_has_too_is_not_invited() {
    let directory = directory()
        .unidentified("uid=ann", "ann@example.com")
        .person("8", "ann@example.com");
    let mut organization = organization();
    let run = sync(&directory, &mut organization, &harsh());
    assert_eq!(organization.show(), [""; 0]);
    let reasons: Vec<_> = problems(&run)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(reasons, [DuplicateEmail, InvalidExternalId]);
}

#[test]
fn somebody_active_whose_old_address_an_unidentified_entry_has_is_still_themselves() {
    let directory = directory()
        .unidentified("uid=new", "ann@example.com")
        .person("7", "ann.b@example.com")
        .group("g", "Group", &[]);
    let mut organization =
        organization()
            .member("7", "ann@example.com")
            .group("g", "Group", &["ann@example.com"]);
    let run = sync(&directory, &mut organization, &harsh());
    assert_eq!(changes(&run), ["UpdateGroup g"]);
}

#[test]
fn a_group_without_an_id_is_found_by_its_name_and_else_no_group_is_deleted() {
    let known = directory()
        .person("7", "ann@example.com")
        .unidentified_group("Law");
    let before = organization()
        .member("7", "ann@example.com")
        .group("law", "Law", &["ann@example.com"])
        .group("old", "Old", &[]);
    let mut after = before.clone();
    let run = sync(&known, &mut after, &harsh());
    assert_eq!(
        after.show(),
        [
            "ann@example.com (7) confirmed",
            "group Law (law): ann@example.com"
        ]
    );
    assert_eq!(changes(&run), ["DeleteGroup old"]);

    let mut after = before.clone();
    let unknown = directory()
        .person("7", "ann@example.com")
        .unidentified_group("Renamed");
    let run = sync(&unknown, &mut after, &harsh());
    assert_eq!(after.show(), before.show());
    let reasons: Vec<_> = problems(&run)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(reasons, [InvalidExternalId, UnidentifiedEntries]);
}

#[test]
fn a_group_made_by_hand_is_no_evidence_of_whose_an_entry_without_id_is() {
    // Old is called Team now, and its entry shows no id any more.
    let directory = directory()
        .person("7", "ann@example.com")
        .unidentified_group("Team");
    let before = organization()
        .member("7", "ann@example.com")
        .group("old", "Old", &["ann@example.com"])
        .own_group("Team", &[]);
    let mut after = before.clone();
    let run = sync(&directory, &mut after, &harsh());
    assert_eq!(after.show(), before.show());
    assert!(problems(&run).contains(&(UnidentifiedEntries, vec!["old"])));
}

#[test]
fn a_group_that_contains_one_without_an_id_loses_nobody() {
    let directory = directory()
        .person("7", "ann@example.com")
        .unidentified_group("inner")
        .group("o", "Outer", &["@inner"])
        .group("oo", "Outermost", &["@o"]);
    let before = organization()
        .member("7", "ann@example.com")
        .group("o", "Outer", &["ann@example.com"])
        .group("oo", "Outermost", &["ann@example.com"]);
    let mut after = before.clone();
    let mut policy = harsh();
    policy.groups.only_their_members = true;
    let run = sync(&directory, &mut after, &policy);
    assert_eq!(after.show(), before.show());
    assert!(problems(&run).contains(&(UnidentifiedEntries, vec!["oo"])));
    assert!(
        !problems(&run)
            .iter()
            .any(|(reason, _)| *reason == AmbiguousMember)
    );
}

#[test]
fn a_member_invited_by_hand_is_no_evidence_of_whose_an_entry_without_id_is() {
    let directory = directory()
        .unidentified("ann", "ann@example.com")
        .person("bob", "bob@example.com");
    // Ann's entry shows no id any more, and her address in it is one that was invited by hand.
    let mut organization = organization()
        .member("ann", "ann.old@example.com")
        .member("bob", "bob@example.com")
        .stranger("ann@example.com");
    let before = organization.show();
    let run = sync(&directory, &mut organization, &harsh());
    assert_eq!(organization.show(), before);
    assert_eq!(
        problems(&run),
        [
            (InvalidExternalId, vec![]),
            (UnidentifiedEntries, vec!["ann"])
        ]
    );
}

#[test]
fn one_member_says_of_one_entry_whose_it_is() {
    let before = organization()
        .member("7", "ann@example.com")
        .member("8", "bob@example.com")
        .group("g", "Group", &["ann@example.com", "bob@example.com"]);
    // Bob's entry shows Ann's id: without an email, with another, with hers.
    for email in ["", "robert@example.com", "ann@example.com"] {
        let directory = directory()
            .entry("uid=ann", "7", "ann@example.com")
            .entry("uid=bob", "7", email)
            .group("g", "Group", &["uid=ann", "uid=bob"]);
        let mut after = before.clone();
        sync(&directory, &mut after, &harsh());
        assert_eq!(after.show(), before.show(), "{email}");
    }
    // Ann's entry has no id, and the email of Bob, who has an entry.
    let directory = directory()
        .unidentified("uid=ann", "bob@example.com")
        .person("8", "bob@example.com")
        .group("g", "Group", &["uid=ann", "8"]);
    let mut after = before.clone();
    sync(&directory, &mut after, &harsh());
    assert_eq!(after.show(), before.show());
}
