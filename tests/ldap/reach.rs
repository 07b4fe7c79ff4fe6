//! Getting in: addresses, TLS, certificates, credentials.

use std::time::{Duration, Instant};

use directory_sync::source::ldap::{Bind, ClientIdentity, LdapSettings};
use simulators::lab::{Authority, ClientCertificates, Person, Slapd, free_port};

use crate::harness::*;

fn one_person() -> Slapd {
    start(options_with_ann())
}

fn options_with_ann() -> simulators::lab::SlapdOptions {
    let mut ldif = company();
    ldif.person("ou=people", &Person::new("ann"));
    ldif.account("reader", "reader-password");
    Slapd::options().ldif(ldif.text())
}

fn trusting(mut settings: LdapSettings, authority: &Authority) -> LdapSettings {
    settings.tls.ca_bundle = Some(authority.pem().into_bytes());
    settings
}

async fn reads_ann(settings: LdapSettings) {
    assert_eq!(emails(&read(settings).await), ["ann@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ldaps_and_start_tls_work_with_a_private_authority() {
    let slapd = start(options_with_ann().require_tls());

    reads_ann(trusting(settings(&slapd.ldaps_url()), slapd.authority())).await;
    let mut start_tls = trusting(settings(&slapd.url()), slapd.authority());
    start_tls.tls.start_tls = true;
    reads_ann(start_tls).await;

    refused(settings(&slapd.url()))
        .await
        .is_configuration()
        .says("13 (confidentialityRequired)")
        .says("startTls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused_with_both_names() {
    let slapd = one_person();
    let other = Authority::new("Somebody Else").unwrap();
    for url in [slapd.ldaps_url(), slapd.url()] {
        let mut settings = trusting(settings(&url), &other);
        settings.tls.start_tls = true;
        refused(settings)
            .await
            .is_configuration()
            .says("directory-sync lab: directory")
            .says("Somebody Else")
            .says("tls.caBundle");
    }
    // Nor is it one that the system trusts.
    refused(settings(&slapd.ldaps_url()))
        .await
        .is_configuration()
        .says("tls.caBundle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_refused_unless_verification_is_off() {
    let slapd = one_person();
    let by_other_name = format!("ldaps://127.0.0.2:{}", slapd.tls_port());
    let proxy = forward(("127.0.0.2", 0), slapd.tls_port()).await;
    let by_other_name = by_other_name.replace(&slapd.tls_port().to_string(), &proxy.to_string());

    let mut settings = trusting(settings(&by_other_name), slapd.authority());
    refused(settings.clone())
        .await
        .is_configuration()
        .says("127.0.0.2")
        .says("localhost, 127.0.0.1");

    settings.tls.insecure_skip_verify = true;
    reads_ann(settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_without_certificates_is_refused_before_anybody_is_asked() {
    let mut settings = settings("ldaps://127.0.0.1:1");
    settings.tls.ca_bundle = Some(b"no PEM".to_vec());
    refused(settings)
        .await
        .is_configuration()
        .says("tls.caBundle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_does_not_speak_tls_is_distinguished_from_a_wrong_certificate() {
    let slapd = one_person();
    let mut settings = trusting(
        settings(&slapd.url().replace("ldap:", "ldaps:")),
        slapd.authority(),
    );
    settings.connect_timeout = Duration::from_secs(2);
    refused(settings)
        .await
        .says("could not set up TLS")
        .says("startTls");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_certificate_is_who_we_are_with_sasl_external() {
    let slapd = start(
        options_with_ann()
            .client_certificates(ClientCertificates::Required)
            .database_line("access to attrs=userPassword by anonymous auth by * none")
            .database_line("access to * by dn.base=\"cn=reader,dc=example,dc=com\" read by * none"),
    );
    let identity = |authority: &Authority| {
        let identity = authority.client("reader", None).unwrap();
        Some(ClientIdentity {
            certificate: identity.certificate.into_bytes(),
            key: identity.key.into(),
        })
    };
    let mut settings = trusting(settings(&slapd.ldaps_url()), slapd.authority());
    settings.tls.client_identity = identity(slapd.authority());
    settings.bind = Bind::SaslExternal;
    reads_ann(settings.clone()).await;

    let mut stranger = settings.clone();
    stranger.tls.client_identity = identity(&Authority::new("Somebody Else").unwrap());
    refused(stranger)
        .await
        .is_transient()
        .says("client certificate");

    // The certificate alone makes nobody of us.
    settings.bind = Bind::Anonymous;
    refused(settings)
        .await
        .is_configuration()
        .says("32 (noSuchObject)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_without_showing_it() {
    let slapd = one_person();
    let reader = format!("cn=reader,{SUFFIX}");
    let mut settings = settings(&slapd.url());
    settings.bind = simple(&reader, "reader-password");
    reads_ann(settings.clone()).await;

    settings.bind = simple(&reader, "a wrong one");
    assert!(!format!("{settings:?}").contains("a wrong one"));
    // Asked of one server only: another attempt elsewhere could lock the account.
    settings.servers.push(settings.servers[0].clone());
    refused(settings)
        .await
        .is_configuration()
        .says("49 (invalidCredentials)")
        .never_says(&reader)
        .says("bind Secret")
        .never_says("a wrong one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forbids_anonymous_reading_or_plain_passwords_says_what_it_wants() {
    let closed = start(options_with_ann().global_line("require authc"));
    refused(settings(&closed.url()))
        .await
        .says("authentication required")
        .says("anonymous");

    let strict = start(options_with_ann().global_line("security simple_bind=128"));
    let mut settings = settings(&strict.url());
    settings.bind = simple(format!("cn=reader,{SUFFIX}"), "reader-password");
    refused(settings).await.is_configuration().says("startTls");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_asked_when_the_first_is_dead_or_silent() {
    let slapd = one_person();
    // Connections are accepted by the system, and nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("ldaps://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let dead = format!("ldap://127.0.0.1:{}", free_port().unwrap());
    let unknown = "ldap://nowhere.invalid";

    let mut settings = settings(&slapd.url());
    settings.connect_timeout = Duration::from_millis(500);
    let good = settings.servers.remove(0);
    for url in [&silent, &dead, unknown] {
        settings.servers.push(url.parse().unwrap());
    }
    let started = Instant::now();
    refused(settings.clone())
        .await
        .is_transient()
        .says("none of the 3 servers")
        .says(&silent)
        .says(&dead)
        .says("nowhere.invalid");

    settings.servers.push(good);
    reads_ann(settings).await;
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_dn_that_is_not_there_is_reported_with_the_nearest_that_is() {
    let slapd = one_person();
    let mut settings = settings(&slapd.url());
    settings.base_dn = format!("ou=staff,{SUFFIX}");
    refused(settings)
        .await
        .is_configuration()
        .says("ou=staff")
        .says("32 (noSuchObject)")
        .says(&format!("nearest entry is {SUFFIX}"))
        .says("baseDn");
}

/// Passes every connection to `port`; the port it listens on.
async fn forward(listen: (&str, u16), port: u16) -> u16 {
    let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .unwrap();
                tokio::io::copy_bidirectional(&mut client, &mut server)
                    .await
                    .ok();
            });
        }
    });
    own
}
