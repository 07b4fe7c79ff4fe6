//! Who is in which group.

use crate::harness::Case;

/// user-sync.py 423: groups read as empty because the account may not read their members.
#[tokio::test]
async fn a_group_whose_members_are_hidden_keeps_them() {
    let case = Case::start("members_hidden_by_an_access_rule").await;
    let before = case.now();
    assert_eq!(case.group("finance").len(), 3);

    let plan = case.plan().await.ends_with(0);
    plan.prints("nothing to change")
        .prints("HiddenMembers (1)")
        .prints("the directory hides members of group finance");
    case.sync().await.ends_with(0);

    assert_eq!(case.now(), before);
    case.check()
        .await
        .prints("1 show no member although groups of their class have one");
}

/// Test data of Bitwarden's Directory Connector: membership by DN and by UID in one attribute.
#[tokio::test]
async fn one_attribute_may_hold_dns_and_uids() {
    let case = Case::start("memberuid_holds_dns_and_uids").await;

    case.sync().await.ends_with(0).prints("2 Invite");

    let both = ["ann@example.com", "bob@example.com"];
    assert_eq!(case.group("Blue Team"), both);
    assert_eq!(case.group("DevOps"), both);
}

/// pg-ldap-sync 26, dex 3713: members outside the base, ghosts, aliases.
#[tokio::test]
async fn members_that_nobody_knows_are_counted_and_named() {
    let case = Case::start("members_nobody_knows").await;

    let plan = case.plan().await.ends_with(0);
    plan.prints("UnknownMembers (1)")
        .prints("3 members of group eng (uid=ann,ou=groups,dc=example,dc=com; uid=bob,ou=ext,dc=example,dc=com; uid=ghost,ou=people,dc=example,dc=com)");
    // Bob wasn't read, so he may be one of them.
    case.sync().await;
    assert!(case.group("eng").contains(&"bob@example.com".to_owned()));
    let check = case.check().await;
    check.prints("the member uid=bob,ou=ext,dc=example,dc=com is among neither users nor groups");
}

/// Nextcloud server 2640, redmine_ldap_sync 98: people whose `gidNumber` is the group's.
#[tokio::test]
async fn people_of_a_primary_group_are_in_it_where_asked_for() {
    let case = Case::start("primary_group").await;

    case.sync().await.ends_with(0);
    assert_eq!(case.group("staff"), [""; 0]);

    case.edit("memberUid}", "memberUid, includePrimary: true}");
    case.sync().await.ends_with(0);
    assert_eq!(case.group("staff"), ["ann@example.com"]);
}
