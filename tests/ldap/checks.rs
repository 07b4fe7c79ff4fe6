//! What `check` reports, step by step.

use std::time::Duration;

use directory_sync::source::ldap::{GroupSettings, MemberAttribute};
use simulators::lab::{Authority, Person, Slapd, free_port};

use crate::harness::*;

/// Each step as `name: what was seen` or `name! what failed`.
fn lines(steps: &[directory_sync::source::Step]) -> Vec<String> {
    let line = |step: &directory_sync::source::Step| match &step.result {
        Ok(seen) => format!("{}: {seen}", step.name),
        Err(failed) => format!("{}! {failed}", step.name),
    };
    steps.iter().map(line).collect()
}

fn slapd_with_ann() -> Slapd {
    let mut ldif = company();
    let ann = ldif.person("ou=people", &Person::new("ann"));
    let mut bob = Person::new("bob");
    bob.mail = None;
    ldif.person("ou=people", &bob);
    ldif.group_of_names("ou=groups", "eng", None, &[&ann]);
    ldif.posix_group("ou=groups", "ops", 7, &["ann"]);
    ldif.account("reader", "reader-password");
    slapd(&ldif)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_good_read_is_reported_with_what_was_seen() {
    let slapd = slapd_with_ann();
    let mut settings = settings(&slapd.ldaps_url());
    settings.tls.ca_bundle = Some(slapd.authority().pem().into_bytes());
    settings.bind = simple(format!("cn=reader,{SUFFIX}"), "reader-password");

    let steps = lines(&check(settings.clone()).await);

    let expected = [
        ("find the address of 127.0.0.1: ", "127.0.0.1"),
        ("connect to ldaps://127.0.0.1", "answered"),
        (
            "TLS: certificate for ",
            "signed by CN=directory-sync lab: directory, valid until ",
        ),
        ("bind: ", "as the account in the bind Secret"),
        (
            "ask the server what it is: OpenLDAP",
            "can give lists in pages",
        ),
        ("find the base DN dc=example,dc=com: ", "it is there"),
        (
            "find users: 2, such as uid=",
            "2 with an id, 1 with an email",
        ),
        (
            "find groups: 1, such as cn=eng",
            "the member uid=ann,ou=people,dc=example,dc=com is among the users",
        ),
    ];
    assert_eq!(steps.len(), expected.len(), "{steps:#?}");
    for (step, (start, end)) in steps.iter().zip(expected) {
        assert!(step.starts_with(start) && step.contains(end), "{step}");
    }

    settings.groups = Some(GroupSettings {
        filter: "(objectClass=posixGroup)".into(),
        members: vec![MemberAttribute::named("memberUid")],
        ..GroupSettings::default()
    });
    let steps = lines(&check(settings).await);
    assert!(
        steps[7].ends_with("the member ann is among the users"),
        "{steps:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_step_that_fails_is_the_last_one_of_its_server() {
    let slapd = slapd_with_ann();
    let dead = format!("ldap://127.0.0.1:{}", free_port().unwrap());
    let mut settings = settings(&dead);
    settings.connect_timeout = Duration::from_secs(2);
    settings.servers.push(slapd.ldaps_url().parse().unwrap());
    settings.tls.ca_bundle = Some(Authority::new("Somebody Else").unwrap().pem().into_bytes());

    let steps = lines(&check(settings.clone()).await);
    assert_eq!(steps.len(), 5, "{steps:#?}");
    assert!(steps[1].contains("! could not connect to"), "{steps:#?}");
    assert!(
        steps[4].starts_with("TLS! could not set up TLS"),
        "{steps:#?}"
    );

    settings.servers = vec![slapd.url().parse().unwrap()];
    settings.base_dn = "dc=example,dc=org".into();
    let steps = lines(&check(settings.clone()).await);
    assert!(steps[2].contains("can be seen on the way"), "{steps:#?}");
    assert!(
        steps.last().unwrap().contains("32 (noSuchObject)"),
        "{steps:#?}"
    );

    settings.base_dn = SUFFIX.into();
    settings.users.filter = "(objectClass=person2)".into();
    let steps = lines(&check(settings).await);
    assert!(
        steps
            .iter()
            .any(|step| step.contains("find users: none below")),
        "{steps:#?}"
    );
}
