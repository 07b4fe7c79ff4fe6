//! Who is in which group.

use simulators::organization::{GroupSeed, MemberSeed};

use crate::harness::Case;

/// Ann and Cid are in `eng`, Bob is in `finance`, each with an ID of their own: in the directory after
/// `change`, and in the organization. Groups that are gone are deleted.
async fn two_groups(change: impl Fn(String) -> String) -> Case {
    let case = Case::start_changed("one_id_two_people", |ldif| {
        let bob = "mail: bob@example.com\n";
        let (before, after) = ldif.split_once(bob).unwrap();
        let after = after.replacen("employeeNumber: 7", "employeeNumber: 9", 1);
        change(format!("{before}{bob}{after}"))
    })
    .await;
    case.edit(
        "groups: {idAttribute: entryUUID}",
        "groups: {idAttribute: entryUUID}\n  groups: {prune: true}",
    );
    for (uid, id) in [("ann", "7"), ("bob", "9"), ("cid", "8")] {
        let member = MemberSeed::new(&format!("{uid}@example.com"));
        case.organization.seed_member(member.external_id(id));
    }
    for (name, id, members) in [
        ("eng", ENG, &["ann@example.com", "cid@example.com"][..]),
        ("finance", FINANCE, &["bob@example.com"]),
    ] {
        let group = GroupSeed::new(name).external_id(id);
        let members = members.iter().copied();
        case.organization.seed_group(group.members(members));
    }
    case
}

const ENG: &str = "00000000-0000-4000-8000-000000001001";
const FINANCE: &str = "00000000-0000-4000-8000-000000001002";

/// An entry whose ID an access rule hides isn't a group that is gone.
#[tokio::test]
async fn a_group_whose_id_is_hidden_is_not_deleted() {
    let mut case = two_groups(|ldif| ldif).await;
    case.plan().await.ends_with(0).prints("nothing to change");
    let before = case.now();

    case.add_access_rule(
        "access to dn.base=\"cn=finance,ou=groups,dc=example,dc=com\" attrs=entryUUID by * none",
    );
    let ran = case.sync().await;

    assert_eq!(case.now(), before);
    ran.ends_with(0).prints("InvalidExternalId (1)");
}

/// Two groups with one ID aren't one group: neither gets the other's members.
#[tokio::test]
async fn of_two_groups_with_one_id_none_is_synced() {
    let case = two_groups(|ldif| {
        ["cn: eng\n", "cn: finance\n"]
            .iter()
            .fold(ldif, |ldif, name| {
                ldif.replace(name, &format!("{name}description: {ENG}\n"))
            })
    })
    .await;
    case.edit(
        "groups: {idAttribute: entryUUID}",
        "groups: {idAttribute: description}",
    );
    let before = case.now();

    let ran = case.sync().await;

    assert_eq!(case.now(), before);
    ran.ends_with(0).prints("IdentityConflict (1)");
}

/// A second person with the same login name, in another branch, takes nothing from the first: neither
/// the group that names them by it, nor access where only the members of groups have it.
#[tokio::test]
async fn a_login_name_in_two_branches_takes_no_group_and_no_access() {
    let case = Case::start_changed("one_id_two_people", |ldif| {
        let ldif = ldif.replace("employeeNumber: 7\n", "");
        ldif + "\ndn: ou=contractors,dc=example,dc=com\nobjectClass: organizationalUnit\n\
                ou: contractors\n\n\
                dn: uid=ann,ou=contractors,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: ann\n\
                cn: Ann\nsn: Ann\nmail: ann@contractor.example\n\
                entryUUID: 00000000-0000-4000-8000-000000000009\n\n\
                dn: cn=ops,ou=groups,dc=example,dc=com\nobjectClass: posixGroup\ncn: ops\n\
                gidNumber: 500\nmemberUid: ann\nmemberUid: cid\n\
                entryUUID: 00000000-0000-4000-8000-000000001003\n"
    })
    .await;
    case.edit(
        "groups: {idAttribute: entryUUID}",
        "groups: {idAttribute: entryUUID, filter: \"(objectClass=posixGroup)\", memberAttribute: memberUid}\n  \
         groups: {onlyTheirMembers: true}\n  offboarding: {absent: Remove, limit: 100%}",
    );
    case.edit("users: {idAttribute: employeeNumber}\n      ", "");
    for (uid, number) in [("ann", 1), ("cid", 3)] {
        let member = MemberSeed::new(&format!("{uid}@example.com"));
        let id = format!("00000000-0000-4000-8000-{number:012}");
        case.organization.seed_member(member.external_id(&id));
    }
    let ops = GroupSeed::new("ops").external_id("00000000-0000-4000-8000-000000001003");
    let both = ["ann@example.com", "cid@example.com"];
    case.organization.seed_group(ops.members(both));
    let before = case.now();

    let ran = case.sync().await;

    assert_eq!(case.now(), before);
    ran.ends_with(0).prints("AmbiguousMember (");
}

/// user-sync.py 423: groups read as empty because the account may not read their members.
#[tokio::test]
async fn a_group_whose_members_are_hidden_keeps_them() {
    let case = Case::start("members_hidden_by_an_access_rule").await;
    let before = case.now();
    assert_eq!(case.group("finance").len(), 3);

    let ran = case.sync().await;

    assert_eq!(case.now(), before);
    ran.ends_with(0);
    let plan = case.plan().await.ends_with(0);
    plan.prints("nothing to change")
        .prints("HiddenMembers (1)")
        .prints("the directory hides members of group finance");
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

/// Where an access rule hides single members, nothing tells them from members who left.
#[tokio::test]
async fn of_a_group_that_hides_single_members_they_leave_it_within_the_limits() {
    for (limit, leave) in [("0%", 0), ("10%", 1)] {
        let mut case = two_groups(|ldif| ldif).await;
        case.plan().await.ends_with(0).prints("nothing to change");
        case.edit(
            "groups: {prune: true}",
            &format!("groups: {{prune: true}}\n  offboarding: {{limit: \"{limit}\"}}"),
        );
        case.add_access_rule(
            "access to dn.base=\"cn=eng,ou=groups,dc=example,dc=com\" attrs=member \
             val.regex=\"^uid=cid,\" by * none",
        );

        let ran = case.sync().await;

        assert_eq!(case.group("eng").len(), 2 - leave, "{limit}");
        match leave {
            0 => ran.ends_with(3).prints("offboarding.limit"),
            _ => ran.ends_with(0).prints("1 UpdateGroup"),
        };
    }
}
