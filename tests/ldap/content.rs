//! What is read: people, emails, states, groups and who is in them.

use directory_sync::api::spec::{LdapDisabled, LdapScope};
use directory_sync::directory::AccountState;
use directory_sync::problem::ProblemReason;
use directory_sync::source::ldap::{DerivedEmail, GroupSettings, IdAttribute, MemberAttribute};
use simulators::lab::{Person, Slapd};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn twelve_hundred_people_come_in_pages_with_their_groups() {
    let mut ldif = company();
    let people: Vec<_> = (0..1_200)
        .map(|n| ldif.person("ou=people", &Person::new(&format!("user{n:04}"))))
        .collect();
    ldif.group_of_names("ou=groups", "everyone", None, &people);
    let slapd = start(Slapd::options().ldif(ldif.text()).log_requests());

    let directory = read(settings(&slapd.url())).await;

    assert_eq!(directory.users.len(), 1_200);
    assert_eq!(members(&directory, "everyone").len(), 1_200);
    assert_eq!(directory.unknown_members.count, 0);
    assert!(directory.problems.is_empty());
    let pages = slapd
        .log()
        .lines()
        .filter(|line| line.contains("SRCH base=") && line.contains("inetOrgPerson"))
        .count();
    assert_eq!(pages, 2, "two pages of a thousand:\n{}", slapd.log());
    let asked: Vec<_> = slapd
        .log()
        .lines()
        .filter_map(|line| {
            line.split_once("SRCH attr=")
                .map(|(_, attrs)| attrs.to_owned())
        })
        .collect();
    assert!(asked.contains(&"entryUUID mail".to_owned()), "{asked:?}");
    assert!(
        asked.contains(&"entryUUID cn member objectClass".to_owned()),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_size_reads_the_same_and_so_does_none() {
    let mut ldif = company();
    for n in 0..25 {
        ldif.person("ou=people", &Person::new(&format!("user{n:02}")));
    }
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    for page_size in [0, 1, 5, 24, 25, 26] {
        settings.page_size = page_size;
        let directory = read(settings.clone()).await;
        assert_eq!(directory.users.len(), 25, "with pages of {page_size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_renamed_and_moved_stays_the_same_person_with_its_memberships() {
    let mut ldif = company();
    ldif.unit("", "alumni");
    let ann = ldif.person("ou=people", &Person::new("ann"));
    ldif.group_of_names("ou=groups", "eng", None, &[&ann]);
    let slapd = slapd(&ldif);
    let before = read(settings(&slapd.url())).await;

    let moved = format!("uid=ann.smith,ou=alumni,{SUFFIX}");
    slapd
        .modify(&format!(
            "dn: {ann}\nchangetype: modrdn\nnewrdn: uid=ann.smith\ndeleteoldrdn: 1\n\
             newsuperior: ou=alumni,{SUFFIX}\n\n\
             dn: cn=eng,ou=groups,{SUFFIX}\nchangetype: modify\nreplace: member\nmember: {moved}\n"
        ))
        .unwrap();
    let after = read(settings(&slapd.url())).await;

    assert_eq!(before.users[0].id, after.users[0].id);
    assert_eq!(before.groups[0].id, after.groups[0].id);
    assert_eq!(members(&after, "eng"), ["ann"]);

    let mut by_dn = settings(&slapd.url());
    by_dn.users.id = IdAttribute::named("DN");
    assert_eq!(read(by_dn).await.users[0].id.as_str(), moved);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_found_however_their_names_are_spelled() {
    let mut ldif = company();
    let odd = |rdn: &str| format!("{rdn},ou=people,{SUFFIX}");
    let class = [("objectClass", "inetOrgPerson"), ("sn", "x")];
    let mut person = |dn: &str, more: &[(&str, &str)], mail: &str| {
        let attributes = [&class[..], more, &[("mail", mail)]].concat();
        ldif.entry(dn, &attributes);
    };
    person(
        &odd("cn=Lee\\, Ann"),
        &[("cn", "Lee, Ann")],
        "comma@example.com",
    );
    person(
        &odd("cn=Zoë Ångström"),
        &[("cn", "Zoë Ångström")],
        "utf8@example.com",
    );
    person(&odd("cn=a \\+ b"), &[("cn", "a + b")], "plus@example.com");
    person(
        &odd("cn=\\#1 \\\"The\\\" \\<x\\>"),
        &[("cn", "#1 \"The\" <x>")],
        "special@example.com",
    );
    person(
        &odd("cn=Kim+uid=k7"),
        &[("cn", "Kim"), ("uid", "k7")],
        "multi@example.com",
    );
    person(
        &odd("uid=MixedCase"),
        &[("cn", "m"), ("uid", "MixedCase")],
        "case@example.com",
    );
    let spelled = [
        format!("CN=Lee\\2C Ann , OU=People,{SUFFIX}"),
        format!("cn=ZO\\C3\\8B \\C3\\85ngstr\\C3\\B6m,ou=PEOPLE,{SUFFIX}"),
        format!("cn=A \\2B  B,ou=people,{SUFFIX}"),
        format!("cn=\\231 \\22THE\\22 \\3Cx\\3E,ou=people,{SUFFIX}"),
        format!("UID=K7+CN=kim,ou=people,{SUFFIX}"),
        "userid=mixedcase,2.5.4.11=people,domainComponent=example,DC=COM".to_owned(),
    ];
    ldif.group_of_names("ou=groups", "odd", None, &spelled);
    let slapd = slapd(&ldif);

    let directory = read(settings(&slapd.url())).await;

    assert_eq!(
        directory.unknown_members.count, 0,
        "{:?}",
        directory.unknown_members
    );
    assert_eq!(
        members(&directory, "odd"),
        ["case", "comma", "multi", "plus", "special", "utf8"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_groups_keep_their_direct_members_through_a_diamond_and_a_cycle() {
    let mut ldif = company();
    let ann = ldif.person("ou=people", &Person::new("ann"));
    let bob = ldif.person("ou=people", &Person::new("bob"));
    let group = |name: &str| format!("cn={name},ou=groups,{SUFFIX}");
    let mut add = |name: &str, members: &[&str]| {
        ldif.group_of_names("ou=groups", name, None, members);
    };
    add("top", &[&group("left"), &group("right")]);
    add("left", &[&group("bottom"), &ann]);
    add("right", &[&group("bottom")]);
    add("bottom", &[&bob, &group("top")]);
    add("empty", &[]);
    add(
        "strangers",
        &[&ann, "cn=printer,ou=devices,dc=example,dc=com"],
    );
    let slapd = slapd(&ldif);

    let directory = read(settings(&slapd.url())).await;

    assert_eq!(members(&directory, "top"), ["group:left", "group:right"]);
    assert_eq!(members(&directory, "left"), ["ann", "group:bottom"]);
    assert_eq!(members(&directory, "right"), ["group:bottom"]);
    assert_eq!(members(&directory, "bottom"), ["bob", "group:top"]);
    assert_eq!(members(&directory, "empty"), [""; 0]);
    assert_eq!(members(&directory, "strangers"), ["ann"]);
    assert_eq!(directory.unknown_members.count, 1);
    assert_eq!(
        directory.unknown_members.sample,
        ["cn=printer,ou=devices,dc=example,dc=com"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn posix_groups_name_their_members_by_uid() {
    let mut ldif = company();
    ldif.unit("", "contractors");
    for uid in ["ann", "Bob", "cat"] {
        ldif.person("ou=people", &Person::new(uid));
    }
    // Another person who calls himself cat: nobody can say which one the group means.
    let mut other = Person::new("cat");
    other.mail = Some("cat@contractor.example".into());
    ldif.person("ou=contractors", &other);
    ldif.posix_group("ou=groups", "ops", 7, &["ann", "bob", "cat", "gone"]);
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    settings.groups = Some(GroupSettings {
        filter: "(objectClass=posixGroup)".into(),
        members: vec![MemberAttribute::named("memberUid")],
        ..GroupSettings::default()
    });

    let directory = read(settings).await;

    assert_eq!(members(&directory, "ops"), ["ann", "bob"]);
    assert_eq!(directory.unknown_members.count, 1);
    let problems: Vec<_> = directory.problems.iter().collect();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].reason, ProblemReason::AmbiguousMember);
    assert_eq!(problems[0].external_ids.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_members_may_carry_an_identifier_after_their_name() {
    let mut ldif = company();
    let ann = ldif.person("ou=people", &Person::new("ann"));
    let bob = ldif.person("ou=people", &Person::new("bob"));
    ldif.entry(
        &format!("cn=board,ou=groups,{SUFFIX}"),
        &[
            ("objectClass", "groupOfUniqueNames"),
            ("cn", "board"),
            ("uniqueMember", &format!("{ann}#'0101'B")),
            ("uniqueMember", &bob),
        ],
    );
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    settings.groups = Some(GroupSettings {
        filter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))".into(),
        members: vec![
            MemberAttribute::named("member"),
            MemberAttribute::named("uniqueMember"),
        ],
        ..GroupSettings::default()
    });

    assert_eq!(members(&read(settings).await, "board"), ["ann", "bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_can_come_from_member_of_of_the_people() {
    let mut ldif = company();
    let ann = ldif.person("ou=people", &Person::new("ann"));
    let bob = ldif.person("ou=people", &Person::new("bob"));
    ldif.group_of_names("ou=groups", "eng, core", None, &[&ann, &bob]);
    ldif.group_of_names("ou=groups", "ops", None, &[&bob]);
    let slapd = start(Slapd::options().ldif(ldif.text()).member_of());
    let mut settings = settings(&slapd.url());
    settings.users.member_of = Some("memberOf".into());
    settings.groups.as_mut().unwrap().members.clear();

    let directory = read(settings).await;

    assert_eq!(members(&directory, "eng, core"), ["ann", "bob"]);
    assert_eq!(members(&directory, "ops"), ["bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn emails_come_from_the_first_attribute_that_has_one_or_are_put_together() {
    let mut ldif = company();
    let mut person = |uid: &str, more: &[(&str, &str)]| {
        let base = [
            ("objectClass", "inetOrgPerson"),
            ("uid", uid),
            ("cn", uid),
            ("sn", uid),
        ];
        let dn = format!("uid={uid},ou=people,{SUFFIX}");
        ldif.entry(&dn, &[&base[..], more].concat());
    };
    person("plain", &[("mail", "Plain@Example.com")]);
    person(
        "two",
        &[("mail", "no address"), ("mail", "second@example.com")],
    );
    person("other", &[("homePostalAddress", "other@example.com")]);
    person("derived", &[]);
    person("wrong", &[("mail", "not an address")]);
    let slapd = slapd(&ldif);

    let mut settings = settings(&slapd.url());
    let directory = read(settings.clone()).await;
    assert_eq!(
        emails(&directory),
        [
            "(there is no email)",
            "(there is no email)",
            "(this is not an email address (there is no @): not an address)",
            "plain@example.com",
            "second@example.com",
        ]
    );
    let without = directory
        .users
        .iter()
        .find_map(|user| user.email.as_ref().err());
    assert!(without.unwrap().entry.starts_with("uid="), "{without:?}");

    settings.users.email.attributes = vec!["mail".into(), "homePostalAddress".into()];
    settings.users.email.derived = Some(DerivedEmail {
        prefix_attribute: "uid".into(),
        suffix: "@example.org".into(),
    });
    assert_eq!(
        emails(&read(settings).await),
        [
            "(this is not an email address (there is no @): not an address)",
            "derived@example.org",
            "other@example.com",
            "plain@example.com",
            "second@example.com",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_accounts_are_recognised_by_an_attribute_or_its_values() {
    let mut ldif = company();
    for (uid, lock) in [("ann", None), ("bob", Some("true")), ("cat", Some("FALSE"))] {
        let mut attributes = vec![
            ("objectClass", "inetOrgPerson"),
            ("objectClass", "extensibleObject"),
            ("cn", uid),
            ("sn", uid),
        ];
        let mail = format!("{uid}@example.com");
        attributes.push(("mail", &mail));
        attributes.extend(lock.map(|lock| ("carLicense", lock)));
        ldif.entry(&format!("uid={uid},ou=people,{SUFFIX}"), &attributes);
    }
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    let blocked = |directory| -> Vec<String> {
        people(&directory)
            .into_iter()
            .filter(|(_, state)| *state == AccountState::Disabled)
            .map(|(email, _)| email)
            .collect()
    };

    assert!(blocked(read(settings.clone()).await).is_empty());
    settings.users.disabled = Some(LdapDisabled {
        attribute: "carlicense".into(),
        values: Some(vec!["TRUE".into()]),
    });
    assert_eq!(blocked(read(settings.clone()).await), ["bob@example.com"]);
    settings.users.disabled.as_mut().unwrap().values = None;
    // Without values, whatever is there disables, but for what says that it doesn't.
    assert_eq!(blocked(read(settings).await), ["bob@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn base_scope_and_filter_limit_what_is_read() {
    let mut ldif = company();
    ldif.unit("ou=people", "deep");
    ldif.person("ou=people", &Person::new("ann"));
    ldif.person("ou=deep,ou=people", &Person::new("bob"));
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    settings.groups = None;
    assert_eq!(read(settings.clone()).await.users.len(), 2);

    settings.users.base_dn = Some(format!("ou=people,{SUFFIX}"));
    settings.users.scope = LdapScope::OneLevel;
    assert_eq!(emails(&read(settings.clone()).await), ["ann@example.com"]);

    settings.users.scope = LdapScope::Subtree;
    settings.users.filter = "(&(objectClass=inetOrgPerson)(!(uid=ann)))".into();
    assert_eq!(emails(&read(settings).await), ["bob@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_a_visible_id_is_named_and_a_directory_without_any_is_an_error() {
    let mut ldif = company();
    ldif.person("ou=people", &Person::new("ann"));
    ldif.person("ou=people", &Person::new("bob"));
    let hidden = |what: &str| {
        let rule = format!("access to dn.{what} attrs=entryUUID by * none");
        start(Slapd::options().ldif(ldif.text()).database_line(&rule))
    };

    let one = hidden(&format!("base=\"uid=bob,ou=people,{SUFFIX}\""));
    let directory = read(settings(&one.url())).await;
    assert_eq!(emails(&directory), ["ann@example.com"]);
    let problem = directory.problems.iter().next().unwrap();
    assert_eq!(problem.reason, ProblemReason::InvalidExternalId);
    assert!(problem.message.contains("uid=bob"), "{}", problem.message);

    let all = hidden(&format!("subtree=\"ou=people,{SUFFIX}\""));
    refused(settings(&all.url()))
        .await
        .is_configuration()
        .says("entryUUID");
}
