//! What directories do besides the standard: hidden values, ids that aren't, lockouts that pass.

use directory_sync::api::spec::LdapDisabled;
use directory_sync::directory::{AccountState, Directory, InPart};
use directory_sync::problem::ProblemReason;
use directory_sync::source::SourceErrorKind;
use directory_sync::source::ldap::{GroupSettings, IdAttribute, MemberAttribute};
use simulators::lab::{Person, Slapd};

use crate::harness::*;

/// Attributes that OpenLDAP's own schema lacks.
const SCHEMA: [&str; 3] = [
    "attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'GUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )",
    "attributetype ( 1.3.6.1.4.1.99999.1.3 NAME 'labGuid' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )",
    "attributetype ( 1.3.6.1.4.1.99999.1.4 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )",
];

fn person_with(attributes: &[(&str, &str)], uid: &str) -> String {
    let mut entry = format!(
        "\ndn: uid={uid},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nobjectClass: extensibleObject\n\
         uid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {uid}@example.com\n"
    );
    for (name, value) in attributes {
        entry.push_str(&format!("{name}: {value}\n"));
    }
    entry
}

fn with_schema(ldif: &str) -> Slapd {
    let options = SCHEMA
        .iter()
        .fold(Slapd::options(), |options, line| options.global_line(line));
    start(options.ldif(ldif))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_names_without_a_visible_member_is_hidden_and_not_empty() {
    let mut ldif = company();
    let ann = ldif.person("ou=people", &Person::new("ann"));
    ldif.group_of_names("ou=groups", "finance", None, &[&ann]);
    ldif.group_of_names("ou=groups", "eng", None, &[&ann]);
    // The blank member that OpenLDAP's empty groups have.
    ldif.group_of_names("ou=groups", "empty", None, &[""]);
    let rule =
        format!("access to dn.base=\"cn=finance,ou=groups,{SUFFIX}\" attrs=member by * none");
    let slapd = start(Slapd::options().ldif(ldif.text()).database_line(&rule));
    let directory = read(settings(&slapd.url())).await;
    let mut in_part: Vec<_> = directory
        .groups
        .iter()
        .map(|group| (&*group.name, group.in_part))
        .collect();
    in_part.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(
        in_part,
        [
            ("empty", None),
            ("eng", None),
            ("finance", Some(InPart::HiddenMembers))
        ]
    );
    let steps = check(settings(&slapd.url())).await;
    let seen = steps.last().unwrap().result.as_ref().unwrap();
    assert!(seen.contains("1 show no member"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_id_is_hidden_is_unidentified_and_two_with_one_id_are_set_aside() {
    let mut ldif = company();
    ldif.person("ou=people", &Person::new("ann"));
    ldif.person("ou=people", &Person::new("bob"));
    ldif.person("ou=people", &Person::new("cid"));
    let rule =
        format!("access to dn.base=\"uid=ann,ou=people,{SUFFIX}\" attrs=entryUUID by * none");
    let slapd = start(Slapd::options().ldif(ldif.text()).database_line(&rule));
    let directory = read(settings(&slapd.url())).await;
    assert_eq!(emails(&directory), ["bob@example.com", "cid@example.com"]);
    let [ann] = &directory.unidentified_users[..] else {
        panic!("{:?}", directory.unidentified_users);
    };
    assert_eq!(ann.email.as_ref().unwrap().as_str(), "ann@example.com");
    assert_eq!(ann.id, None);

    let mut text = company().text().to_owned();
    text.push_str(&person_with(&[("employeeNumber", "7")], "ann"));
    text.push_str(&person_with(&[("employeeNumber", "7")], "bob"));
    text.push_str(&person_with(&[("employeeNumber", "8")], "cid"));
    let slapd = with_schema(&text);
    let mut settings = settings(&slapd.url());
    settings.users.id = IdAttribute::Attribute("employeeNumber".into());
    let directory = read(settings).await;
    assert_eq!(emails(&directory), ["cid@example.com"]);
    assert_eq!(directory.unidentified_users.len(), 2);
    let problem = directory.problems.iter().next().unwrap();
    assert_eq!(problem.reason, ProblemReason::IdentityConflict);
    for dn in ["uid=ann,ou=people", "uid=bob,ou=people"] {
        assert!(problem.message.contains(dn), "{}", problem.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lockout_that_passes_disables_nobody_and_one_for_good_does_and_says_why() {
    let mut text = company().text().to_owned();
    text.push_str(&person_with(
        &[("pwdAccountLockedTime", "20261129081936Z")],
        "ann",
    ));
    text.push_str(&person_with(
        &[("pwdAccountLockedTime", "000001010000Z")],
        "bob",
    ));
    text.push_str(&person_with(&[], "cid"));
    let options = Slapd::options()
        .global_line("moduleload ppolicy")
        .database_line("overlay ppolicy");
    let slapd = start(options.ldif(&text));
    let mut settings = settings(&slapd.url());
    settings.users.disabled = Some(LdapDisabled {
        attribute: "pwdAccountLockedTime".into(),
        values: None,
    });
    let directory = read(settings).await;
    let disabled: Vec<_> = directory
        .users
        .iter()
        .filter(|user| user.state == AccountState::Disabled)
        .collect();
    assert_eq!(disabled.len(), 1);
    assert_eq!(
        disabled[0].evidence.as_ref().unwrap().to_string(),
        format!("pwdAccountLockedTime of uid=bob,ou=people,{SUFFIX} is 000001010000Z")
    );
    let rule = directory.account_rule.unwrap();
    assert_eq!((&*rule.name, rule.seen), ("pwdAccountLockedTime", Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn member_uid_may_hold_dns_and_uids() {
    let mut ldif = company();
    let ann = ldif.person("ou=people", &Person::new("ann"));
    let bob = ldif.person("ou=people", &Person::new("bob"));
    let spaced = bob.replace(",dc=com", ", dc=com");
    ldif.posix_group("ou=groups", "blue", 500, &[&ann, &spaced]);
    ldif.posix_group("ou=groups", "devops", 800, &["ann", "BOB"]);
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    settings.groups = Some(GroupSettings {
        filter: "(objectClass=posixGroup)".into(),
        members: vec![MemberAttribute::named("memberUid")],
        ..GroupSettings::default()
    });
    let directory = read(settings.clone()).await;
    for group in ["blue", "devops"] {
        assert_eq!(members(&directory, group), ["ann", "bob"], "{group}");
    }
    let steps = check(settings).await;
    let seen = steps.last().unwrap().result.as_ref().unwrap();
    assert!(seen.contains("is among the users"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_a_member_who_is_not_among_the_users() {
    let mut ldif = company();
    ldif.unit("", "ext");
    ldif.person("ou=people", &Person::new("ann"));
    let bob = ldif.person("ou=ext", &Person::new("bob"));
    ldif.group_of_names("ou=groups", "eng", None, &[&bob]);
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    settings.users.base_dn = Some(format!("ou=people,{SUFFIX}"));
    let steps = check(settings).await;
    let seen = steps.last().unwrap().result.as_ref().unwrap();
    assert!(seen.contains("is among neither users nor groups"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_server_refuses_paging_the_error_says_to_turn_it_off() {
    let mut ldif = company();
    ldif.person("ou=people", &Person::new("ann"));
    let options = Slapd::options().ldif(ldif.text());
    let slapd = start(options.database_line("limits * size.prtotal=disabled"));
    let mut settings = settings(&slapd.url());
    refused(settings.clone()).await.says("set pageSize to 0");
    settings.page_size = 0;
    assert_eq!(read(settings).await.users.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_id_is_read_as_its_vendor_writes_it_or_refused_as_bytes() {
    let mut text = company().text().to_owned();
    // Bytes 0 to 15, and sixteen that happen to be text.
    let bytes = ["AAECAwQFBgcICQoLDA0O/w==", "QUJDREVGR0hJSktMTU5PUA=="];
    for (uid, value) in ["ann", "bob"].iter().zip(bytes) {
        let mut entry = person_with(&[], uid);
        for name in ["GUID", "labGuid", "objectGUID"] {
            entry.push_str(&format!("{name}:: {value}\n"));
        }
        text.push_str(&entry);
    }
    let slapd = with_schema(&text);
    let mut settings = settings(&slapd.url());
    settings.groups = None;
    for (name, expected) in [
        (
            "objectGUID",
            [
                "03020100-0504-0706-0809-0a0b0c0d0eff",
                "44434241-4645-4847-494a-4b4c4d4e4f50",
            ],
        ),
        (
            "GUID",
            [
                "000102030405060708090a0b0c0d0eff",
                "4142434445464748494a4b4c4d4e4f50",
            ],
        ),
    ] {
        settings.users.id = IdAttribute::Attribute(name.into());
        let directory = read(settings.clone()).await;
        let mut ids: Vec<_> = directory
            .users
            .iter()
            .map(|user| user.id.as_str())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, expected, "{name}");
    }
    settings.users.id = IdAttribute::Attribute("labGuid".into());
    refused(settings)
        .await
        .is(SourceErrorKind::Configuration)
        .says("labGuid")
        .says("holds bytes, not text");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_in_their_primary_group_where_that_is_asked_for() {
    let mut text = company().text().to_owned();
    for (uid, gid) in [("ann", "500"), ("bob", "503"), ("cid", "700")] {
        text.push_str(&person_with(&[("gidNumber", gid)], uid));
    }
    for (name, gid) in [("staff", "500"), ("one", "700"), ("two", "700")] {
        text.push_str(&format!(
            "\ndn: cn={name},ou=groups,{SUFFIX}\nobjectClass: posixGroup\ncn: {name}\n\
             gidNumber: {gid}\nmemberUid: bob\n"
        ));
    }
    let slapd = start(Slapd::options().ldif(&text));
    let mut settings = settings(&slapd.url());
    let mut groups = GroupSettings {
        filter: "(objectClass=posixGroup)".into(),
        members: vec![MemberAttribute::named("memberUid")],
        ..GroupSettings::default()
    };
    settings.groups = Some(groups.clone());
    assert_eq!(members(&read(settings.clone()).await, "staff"), ["bob"]);
    groups.include_primary = true;
    settings.groups = Some(groups);
    let directory = read(settings).await;
    assert_eq!(members(&directory, "staff"), ["ann", "bob"]);
    let mut in_part: Vec<_> = directory
        .groups
        .iter()
        .map(|group| (&*group.name, group.in_part.is_some()))
        .collect();
    in_part.sort_unstable();
    assert_eq!(in_part, [("one", true), ("staff", false), ("two", true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_that_is_hidden_in_a_part_of_the_tree_is_told_by_the_entries_beside() {
    let mut text = company().text().to_owned();
    text.push_str(&format!(
        "\ndn: ou=board,{SUFFIX}\nobjectClass: organizationalUnit\nou: board\n\n"
    ));
    let person = |kind: Option<&str>, uid: &str, unit: &str| {
        let attributes: Vec<(&str, &str)> = kind
            .map(|kind| ("employeeType", kind))
            .into_iter()
            .collect();
        let entry = person_with(&attributes, uid);
        entry.replace("ou=people,", &format!("ou={unit},"))
    };
    for (kind, uid, unit) in [
        (Some("left"), "ann", "board"),
        (Some("left"), "bob", "people"),
        (None, "cid", "people"),
        (None, "dea", "board"),
    ] {
        text.push_str(&person(kind, uid, unit));
    }
    let read_with = async |rule: &str| {
        let slapd = start(Slapd::options().ldif(&text).database_line(rule));
        let mut settings = settings(&slapd.url());
        settings.users.disabled = Some(LdapDisabled {
            attribute: "employeeType".into(),
            values: Some(vec!["left".into()]),
        });
        read(settings).await
    };
    let unseen = |directory: &Directory| -> Vec<String> {
        let rule = directory.account_rule.as_ref().unwrap();
        let unseen = directory.users.iter().filter(|user| {
            let container = user.lacks_attribute_in;
            container.is_some_and(|container| rule.may_be_hidden_in(container))
        });
        let mut emails: Vec<String> = unseen
            .map(|user| user.email.as_ref().unwrap().to_string())
            .collect();
        emails.sort();
        emails
    };
    let shown = read_with("").await;
    assert_eq!(unseen(&shown), [""; 0], "somebody in each unit has it");
    let board = format!("dn.subtree=\"ou=board,{SUFFIX}\"");
    let hidden = read_with(&format!("access to {board} attrs=employeeType by * none")).await;
    assert_eq!(unseen(&hidden), ["ann@example.com", "dea@example.com"]);
    let rule = hidden.account_rule.unwrap();
    assert!(!rule.active_have_it);
    assert_eq!((&*rule.name, rule.seen), ("employeeType", Some(1)));
    assert_eq!(
        Some(rule.meaning),
        shown.account_rule.map(|rule| rule.meaning)
    );
}
