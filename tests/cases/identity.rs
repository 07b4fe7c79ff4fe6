//! Whose entry is it?

use simulators::organization::Status;

use crate::harness::Case;

/// MeshCentral 4899, 6474, 3091; cds-ils 503: two people get one ID and overwrite each other.
#[tokio::test]
async fn of_two_people_with_one_id_none_is_synced_and_both_are_named() {
    let case = Case::start("one_id_two_people").await;
    let names = "2 people have the id 7: uid=ann,ou=people,dc=example,dc=com and \
                 uid=bob,ou=people,dc=example,dc=com";

    let ran = case.sync().await;

    assert_eq!(case.emails(), ["cid@example.com"]);
    assert_eq!(case.group("eng"), ["cid@example.com"]);
    assert_eq!(case.group("finance"), [""; 0]);
    ran.ends_with(0).prints("IdentityConflict (1)");
    let plan = case.plan().await.ends_with(0);
    plan.prints("IdentityConflict (1)").prints(names);
    let check = case.check().await;
    check.prints("find users: 3").prints("1 with an id");
}

/// The same where one of them is disabled, and Ann is a member with this ID.
#[tokio::test]
async fn a_member_whose_id_two_people_have_loses_nothing_and_gets_nothing() {
    let case = Case::start_changed("one_id_two_people", |ldif| {
        let ann = "uid: ann\n";
        ldif.replace(ann, &format!("{ann}employeeType: disabled\n"))
    })
    .await;
    case.edit(
        "{idAttribute: employeeNumber}",
        "{idAttribute: employeeNumber, disabled: {attribute: employeeType, values: [disabled]}}",
    );
    let ann = simulators::organization::MemberSeed::new("ann@example.com").external_id("7");
    case.organization.seed_member(ann);

    case.sync()
        .await
        .ends_with(0)
        .prints("IdentityConflict (1)");

    assert_eq!(case.status("ann@example.com"), Status::Confirmed);
    assert_eq!(case.emails(), ["ann@example.com", "cid@example.com"]);
    assert_eq!(case.group("finance"), [""; 0]);
    assert_eq!(case.organization.losses(), []);
}

/// Nextcloud server 27859, ownCloud core 26285, wg-portal 744: an entry without its ID is taken for
/// one that is gone.
#[tokio::test]
async fn a_member_whose_entry_has_no_visible_id_keeps_access_and_group() {
    let case = Case::start("id_of_one_person_not_visible").await;
    let before = case.now();

    let ran = case.sync().await;

    assert_eq!(case.now(), before);
    ran.ends_with(0);
    let plan = case.plan().await.ends_with(0);
    plan.prints("nothing to change")
        .prints("InvalidExternalId (1)")
        .prints("uid=u5,ou=people,dc=example,dc=com");
}

/// The same where the entry has no email either, so that nothing tells whose it is.
#[tokio::test]
async fn where_nothing_tells_whose_entry_it_is_nobody_counts_as_gone() {
    let case = Case::start_changed("id_of_one_person_not_visible", |ldif| {
        ldif.replace("mail: u5@example.com\n", "")
    })
    .await;
    let before = case.now();

    let ran = case.sync().await;

    assert_eq!(case.now(), before);
    let ran = ran.ends_with(0).prints("UnidentifiedEntries (1)");
    ran.prints("u5");
}

/// gitlab-ce-ldap-sync 23, user_ldap 751, Gitea 28660: a new account with the old one's address.
#[tokio::test]
async fn whoever_has_a_new_account_under_the_same_address_is_linked_anew() {
    let case = Case::start("new_account_old_one_disabled").await;

    let ran = case.sync().await;

    let now = case.now();
    let ann = now.member("ann@example.com").unwrap();
    let new = "00000000-0000-4000-8000-000000000002";
    assert_eq!(ann.external_id.as_deref(), Some(new));
    assert_eq!(ann.status, Status::Confirmed);
    assert_eq!(case.group("eng"), ["ann@example.com", "bob@example.com"]);
    assert_eq!(case.organization.losses(), []);
    ran.ends_with(0).prints("1 Relink");
    case.plan().await.ends_with(0).prints("nothing to change");
}

/// GLPI 24332, BookStack 1872: a binary attribute as ID.
#[tokio::test]
async fn an_id_attribute_that_holds_bytes_is_refused_by_what_it_holds() {
    let case = Case::start("binary_id").await;

    let plan = case.plan().await.ends_with(1);
    plan.complains("labGuid of uid=ann,ou=people,dc=example,dc=com holds bytes, not text")
        .complains("name another idAttribute");
    assert_eq!(case.emails(), [""; 0]);
}
