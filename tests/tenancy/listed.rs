//! Directories and organizations that list what they were sent: as ids, names and addresses.

use directory_sync_testing::manifests::{api_key, secret};
use simulators::lab::{Ldif, Person, Slapd};
use simulators::okta::{
    Config as OktaConfig, GroupSeed, SimulatedOkta, Status as UserStatus, UserSeed,
};
use simulators::organization::{Config, MemberSeed, SimulatedOrganization, Status};

use crate::canary::{ENCODINGS, KEY, assert_reveals_nothing, run_traced, write};

/// What is shown of a run whose directory or organization has such entries.
const COMMANDS: [&str; 4] = [
    "plan -f .",
    "plan -f . -o json",
    "plan -f . -o markdown",
    "sync -f . --yes",
];

/// The forms that are looked for in lists: a list has a million texts.
const FORMS: [&str; 6] = [
    "as it is",
    "in capitals",
    "Base64",
    "hexadecimal",
    "soft hyphens",
    "spaces",
];

async fn shows_none(organization: &SimulatedOrganization, source: &str, objects: &str) {
    let folder = tempfile::tempdir().unwrap();
    let objects = format!("{objects}---\n{}", api_key(organization));
    write(folder.path(), &organization.url(), source, &objects);
    for words in COMMANDS {
        let ran = run_traced(folder.path(), words).await;
        assert_eq!(ran.code, 0, "{words}: {ran}");
        assert_reveals_nothing(&ran.to_string(), words);
        assert!(ran.to_string().contains("SecretInEntry"), "{words}: {ran}");
    }
    // Only whom the directory names otherwise was invited, and nothing else was sent.
    let invited: Vec<_> = organization.invitations().into_keys().collect();
    assert_eq!(invited, ["ann@example.com"]);
    for event in organization.history() {
        assert_reveals_nothing(&format!("{event:?}"), "what was sent");
    }
}

async fn okta_lists_its_token(organization: Config, (form, encode): crate::canary::Encoding) {
    println!("{form}");
    let okta = SimulatedOkta::start(OktaConfig {
        api_token: KEY.to_owned(),
        ..OktaConfig::default()
    });
    let okta = okta.await.unwrap();
    let said = encode(KEY);
    let ann = okta.user(UserSeed::new("ann@example.com").id("00u-ann"));
    let by_address = okta.user(UserSeed::new(&format!("{said}@example.com")).id("00u-address"));
    let by_id = okta.user(UserSeed::new("id@example.com").id(&said));
    okta.group(
        GroupSeed::new(&format!("the {said}"))
            .id("00g-name")
            .members([&ann]),
    );
    okta.group(
        GroupSeed::new("all")
            .id("00g-all")
            .members([&ann, &by_address, &by_id]),
    );
    let organization = SimulatedOrganization::start(organization).await.unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    let source = format!(
        "okta: {{orgUrl: \"{}\", credentials: {{apiTokenSecretRef: {{name: directory}}}}}}",
        okta.url()
    );
    shows_none(
        &organization,
        &source,
        &secret("directory", &[("token", KEY)]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_lists_its_token_as_names_ids_and_addresses_shows_none() {
    let forms = ENCODINGS.iter().filter(|(form, _)| FORMS.contains(form));
    let all = forms.map(|&encoding| okta_lists_its_token(Config::self_hosted(), encoding));
    futures::future::join_all(all).await;
    okta_lists_its_token(Config::vaultwarden(), ENCODINGS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ldap_directory_that_lists_the_bind_password_shows_none() {
    let mut ldif = Ldif::new("dc=example,dc=com");
    ldif.unit("", "people");
    let ann = ldif.person("ou=people", &Person::new("ann"));
    let named = ldif.person("ou=people", &Person::new(KEY));
    let mut without = Person::new("ben");
    without.mail = Some(format!("{KEY} at example.com"));
    let without = ldif.person("ou=people", &without);
    ldif.unit("", "groups");
    ldif.group_of_names("ou=groups", KEY, None, &[&ann]);
    let elsewhere = format!("uid={KEY},ou=elsewhere,dc=example,dc=com");
    ldif.group_of_names(
        "ou=groups",
        "all",
        None,
        &[&ann, &named, &without, &elsewhere],
    );
    let reader = ldif.account("reader", KEY);
    let slapd = Slapd::options().ldif(ldif.text()).start().unwrap();
    let organization = SimulatedOrganization::start(Config::self_hosted())
        .await
        .unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    let source = format!(
        "ldap: {{url: \"{}\", baseDn: \"dc=example,dc=com\", allowPlaintext: true, \
         bindSecretRef: {{name: directory}}}}",
        slapd.url()
    );
    let bind = secret("directory", &[("bindDn", &reader), ("password", KEY)]);
    shows_none(&organization, &source, &bind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_lists_its_key_shows_none_and_all_others_are_synced() {
    let okta = SimulatedOkta::start(OktaConfig {
        api_token: "a-token-of-this-test-1".to_owned(),
        ..OktaConfig::default()
    });
    let okta = okta.await.unwrap();
    okta.user(UserSeed::new("ann@example.com").id("00u-ann"));
    okta.user(
        UserSeed::new("ben@example.com")
            .id("00u-ben")
            .status(UserStatus::Suspended),
    );
    let organization = SimulatedOrganization::start(Config::self_hosted())
        .await
        .unwrap();
    organization.rotate_secret(KEY);
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    // One by hand; and one of ours, whose account is disabled.
    organization.seed_member(MemberSeed::new(&format!("{KEY}@example.com")));
    let ours = format!("{KEY}@example.org");
    organization.seed_member(MemberSeed::new(&ours).external_id("00u-ben"));
    let source = format!(
        "okta: {{orgUrl: \"{}\", credentials: {{apiTokenSecretRef: {{name: directory}}}}}}",
        okta.url()
    );
    let folder = tempfile::tempdir().unwrap();
    let token = secret("directory", &[("token", "a-token-of-this-test-1")]);
    let objects = format!("{token}---\n{}", api_key(&organization));
    write(folder.path(), &organization.url(), &source, &objects);
    for words in COMMANDS {
        let ran = run_traced(folder.path(), words).await;
        assert_eq!(ran.code, 0, "{words}: {ran}");
        assert_reveals_nothing(&ran.to_string(), words);
        assert!(ran.to_string().contains("SecretInEntry"), "{words}: {ran}");
    }
    let invited: Vec<_> = organization.invitations().into_keys().collect();
    assert_eq!(invited, ["ann@example.com"]);
    let members = organization.snapshot().members;
    let mut members = members.iter();
    let ben = members.find(|(email, _)| email.eq_ignore_ascii_case(&ours));
    assert_eq!(ben.unwrap().1.status, Status::Revoked);
}
