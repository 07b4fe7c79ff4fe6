//! One person, read alone: who certainly left, and of whom that isn't certain.

use directory_sync::api::spec::LdapDisabled;
use directory_sync::directory::{AccountState, ExternalId};
use directory_sync::source::ldap::{DerivedEmail, IdAttribute, LdapSettings, LdapSource};
use directory_sync::source::{LeaverCheck, Source};
use jiff::Timestamp;
use simulators::lab::{Person, Slapd};

use crate::harness::*;

/// Ann and Bob, whose ids are their login names; people are disabled by their `employeeType`.
fn directory() -> (Slapd, LdapSettings) {
    let mut ldif = company();
    for uid in ["ann", "bob"] {
        ldif.person("ou=people", &Person::new(uid));
    }
    ldif.unit("", "elsewhere");
    let slapd = slapd(&ldif);
    let mut settings = settings(&slapd.url());
    settings.users.id = IdAttribute::Attribute("uid".into());
    settings.users.disabled = Some(LdapDisabled {
        attribute: "employeeType".into(),
        values: Some(vec!["left".into()]),
    });
    (slapd, settings)
}

fn replace(uid: &str, attribute: &str, value: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,{SUFFIX}\nchangetype: modify\nreplace: {attribute}\n\
         {attribute}: {value}\n\n"
    )
}

/// Somebody who is added, with an address.
fn twin(place: &str, mail: &str) -> String {
    format!(
        "dn: uid=twin,{place},{SUFFIX}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: t\nsn: t\n\
         uid: twin\nmail: {mail}\n\n"
    )
}

async fn check(settings: &LdapSettings, id: &str) -> LeaverCheck {
    let source = LdapSource::new(settings.clone()).unwrap();
    let id = ExternalId::parse(id).unwrap();
    source.check_leaver(&id).await.unwrap()
}

async fn why_uncertain(settings: &LdapSettings, id: &str) -> String {
    match check(settings, id).await {
        LeaverCheck::Uncertain(why) => why,
        LeaverCheck::Left(user) => panic!("certain: {user:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_certain_with_what_says_so_and_when_it_was_changed() {
    let (slapd, settings) = directory();
    let why = why_uncertain(&settings, "ann").await;
    assert!(why.contains("doesn't say"), "{why}");
    slapd
        .modify(&replace("ann", "employeeType", "left"))
        .unwrap();
    let LeaverCheck::Left(ann) = check(&settings, "ann").await else {
        panic!("it isn't certain");
    };
    assert_eq!(
        (ann.id.as_str(), ann.state),
        ("ann", AccountState::Disabled)
    );
    assert_eq!(ann.email.unwrap().as_str(), "ann@example.com");
    let evidence = ann.evidence.unwrap();
    assert_eq!(&*evidence.value, "left");
    let ago = Timestamp::now().duration_since(evidence.changed.unwrap());
    assert!(ago.as_secs() < 60, "{ago:?}");
    let why = why_uncertain(&settings, "nobody").await;
    assert!(why.contains("not one entry"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_left_for_certain_whose_address_another_entry_has() {
    let (slapd, mut settings) = directory();
    slapd
        .modify(&replace("ann", "employeeType", "left"))
        .unwrap();
    settings.users.filter = "(&(objectClass=inetOrgPerson)(!(description=hidden)))".into();
    // Within the filter or not, in another case, or as a further address.
    let hidden = twin("ou=people", "ann@example.com\ndescription: hidden");
    for change in [
        twin("ou=people", "ann@example.com"),
        twin("ou=elsewhere", "Ann@Example.COM"),
        twin("ou=people", "t@example.com\nmail: ANN@example.com"),
        // With a tab behind it, a tab before it, and the end of a line.
        twin("ou=people", ": YW5uQGV4YW1wbGUuY29tCQ==").replace("mail: : ", "mail:: "),
        twin("ou=people", ": CUFubkBleGFtcGxlLmNvbQ==").replace("mail: : ", "mail:: "),
        twin("ou=people", ": YW5uQGV4YW1wbGUuY29tDQo=").replace("mail: : ", "mail:: "),
        hidden,
    ] {
        slapd.modify(&change).unwrap();
        let why = why_uncertain(&settings, "ann").await;
        assert!(why.contains("another entry"), "{change}: {why}");
        let dn = change.lines().next().unwrap().strip_prefix("dn: ").unwrap();
        slapd.delete(&[dn]).unwrap();
        assert!(matches!(
            check(&settings, "ann").await,
            LeaverCheck::Left(_)
        ));
    }
    // A login name that becomes the address.
    settings.users.email.derived = Some(DerivedEmail {
        prefix_attribute: "employeeNumber".into(),
        suffix: "@Example.com".into(),
    });
    let named = twin("ou=people", "t@example.com\nemployeeNumber: ann");
    slapd.modify(&named).unwrap();
    let why = why_uncertain(&settings, "ann").await;
    assert!(why.contains("another entry"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_searched_for_is_never_certain() {
    let (slapd, mut settings) = directory();
    slapd
        .modify(&replace("ann", "employeeType", "left"))
        .unwrap();
    // Outside of the filter, somebody is absent and not disabled.
    settings.users.filter = "(&(objectClass=inetOrgPerson)(!(employeeType=left)))".into();
    let why = why_uncertain(&settings, "ann").await;
    assert!(why.contains("within the filter"), "{why}");
    settings.users.filter = "(objectClass=inetOrgPerson)".into();
    // An address in an attribute that tells capital letters apart.
    let secret = "dn: uid=ann,ou=people,dc=example,dc=com\nchangetype: modify\nadd: objectClass\n\
                  objectClass: labeledURIObject\n-\nadd: labeledURI\nlabeledURI: ann@example.com\n\n";
    slapd.modify(secret).unwrap();
    settings.users.email.attributes = vec!["labeledURI".into()];
    let why = why_uncertain(&settings, "ann").await;
    assert!(why.contains("can't be searched"), "{why}");
    settings.users.email.attributes = vec!["mail".into()];
    settings.users.id = IdAttribute::Dn;
    let why = why_uncertain(&settings, "uid=ann,ou=people,dc=example,dc=com").await;
    assert!(why.contains("by their names"), "{why}");
    // A text that would be more than a value.
    settings.users.id = IdAttribute::Attribute("uid".into());
    let why = why_uncertain(&settings, "*)(uid=ann").await;
    assert!(why.contains("not one entry"), "{why}");
}
