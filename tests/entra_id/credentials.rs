//! How the application proves who it is, and what is said when it can't.

use std::sync::Arc;
use std::time::Duration;

use directory_sync::http::oauth::{NoIdentity, ProjectedToken};
use directory_sync::source::SourceErrorKind;
use directory_sync::source::entra_id::Credentials;
use rcgen::{CertificateParams, KeyPair};
use simulators::entra_id::{Config, FederatedCredential, Secret, SimulatedEntra, UserSeed};
use simulators::fault::{Fault, Way};
use simulators::lab::ApiServer;

use crate::harness::*;

const AUDIENCE: &str = "api://AzureADTokenExchange";
const SUBJECT: &str = "system:serviceaccount";

#[tokio::test]
async fn a_secret_that_is_wrong_or_expired_is_told_apart_and_never_shown() {
    let tenant = tenant().await;
    let secret = tenant.config().secret.clone().unwrap();
    let wrong = Credentials::Secret("wrong~secret".into());
    refused(settings_with(&tenant, wrong))
        .await
        .is_configuration()
        .says("AADSTS7000215")
        .says("the secret's value, not its id")
        .never_says("wrong~secret");
    tenant.set_secret(Some(Secret {
        expired: true,
        ..secret.clone()
    }));
    refused(settings(&tenant))
        .await
        .is_configuration()
        .says("AADSTS7000222")
        .says("has expired: create a new one")
        .never_says(&secret.value);
}

#[tokio::test]
async fn a_wrong_tenant_application_or_cloud_is_named() {
    let tenant = tenant().await;
    let with = |change: fn(&mut EntraSetup)| {
        let mut settings = settings(&tenant);
        change(&mut settings);
        refused(settings)
    };
    let other = with(|s| s.tenant = "other.onmicrosoft.com".into()).await;
    other
        .is_configuration()
        .says("AADSTS90002")
        .says("check tenantId");
    let other = with(|s| s.client_id = "00000000-0000-0000-0000-000000000001".into()).await;
    other
        .is_configuration()
        .says("AADSTS700016")
        .says("check clientId");
    let elsewhere = with(|s| s.addresses.graph = "http://localhost:1".parse().unwrap()).await;
    elsewhere
        .is_configuration()
        .says("AADSTS500011")
        .says("check cloud");
    // The tenant issues a token, but for another Graph than the one that is asked.
    let public = Config {
        other_audience: true,
        ..Config::default()
    };
    let astray = tenant_with(public).await;
    let refusal = refused(settings(&astray)).await.is_configuration();
    refusal.says("Invalid audience").says("belong together");
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_passes() {
    let tenant = tenant().await;
    tenant.add_user(UserSeed::new("ada"));
    let path = format!("/{}", tenant.config().tenant_id);
    tenant
        .faults()
        .inject(Fault::new(Way::Unavailable).path(&path).times(2));
    assert_eq!(names(&read(settings(&tenant)).await), ["ada"]);
    tenant
        .faults()
        .inject(Fault::new(Way::Unavailable).path(&path).from_then_on());
    let refusal = refused(settings(&tenant)).await;
    refusal
        .is(SourceErrorKind::Transient { retry_after: None })
        .says("503");
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_a_read_costs_one_more() {
    let tenant = tenant().await;
    for number in 0..3_000 {
        tenant.add_user(UserSeed::new(&format!("user{number}")));
    }
    // The second page of users is asked for with a token that Graph no longer takes.
    let mut reader = Reader::new(settings(&tenant));
    tenant.revoke_tokens_before("/v1.0/users", 2);
    assert_eq!(reader.next().await.unwrap().users.len(), 3_000);
    let requests = tenant.requests();
    let tokens = requests.iter().filter(|r| r.method == "POST").count();
    assert_eq!(tokens, 2);
    assert!(requests.iter().any(|request| request.status == Some(401)));
}

/// A self-signed certificate for an RSA key.
fn certificate(key: &str) -> (String, String) {
    let pair = KeyPair::from_pem(key).unwrap();
    let parameters = CertificateParams::new(vec!["directory-sync".into()]).unwrap();
    let certificate = parameters.self_signed(&pair).unwrap().pem();
    (certificate, key.to_owned())
}

/// Made for these tests; nothing trusts them.
const KEY: &str = include_str!("keys/one.pem");
const PKCS1_KEY: &str = include_str!("keys/one-pkcs1.pem");
const OTHER_KEY: &str = include_str!("keys/other.pem");

fn by_certificate(certificate: &str, key: &str) -> Credentials {
    Credentials::Certificate {
        certificate: certificate.as_bytes().to_vec(),
        key: key.into(),
    }
}

#[tokio::test]
async fn a_registered_certificate_is_proof_and_another_is_not() {
    let (certificate, key) = certificate(KEY);
    let tenant = tenant_with(Config {
        secret: None,
        certificates: vec![certificate.clone()],
        ..Config::default()
    })
    .await;
    tenant.add_user(UserSeed::new("ada"));
    let good = settings_with(&tenant, by_certificate(&certificate, &key));
    let mut reader = Reader::new(good);
    assert_eq!(names(&reader.next().await.unwrap()), ["ada"]);
    // Each assertion is used once: the tenant refuses one that it has seen.
    tenant.revoke_all_tokens();
    assert!(reader.next().await.is_none());
    let pkcs1 = settings_with(&tenant, by_certificate(&certificate, PKCS1_KEY));
    assert_eq!(names(&read(pkcs1).await), ["ada"]);

    let (other, other_key) = self::certificate(OTHER_KEY);
    let unknown = settings_with(&tenant, by_certificate(&other, &other_key));
    let refusal = refused(unknown).await.for_entra();
    refusal
        .says("AADSTS700027")
        .says("upload the certificate")
        .never_says("PRIVATE KEY");
}

#[tokio::test]
async fn a_certificate_that_cannot_work_is_refused_before_anybody_is_asked() {
    let tenant = tenant().await;
    let (one, key) = certificate(KEY);
    let curve = KeyPair::generate().unwrap().serialize_pem();
    for (certificate, key, why) in [
        (one.as_str(), OTHER_KEY, "isn't the key of the certificate"),
        (&one, "no key", "holds no private key in PEM"),
        (&one, &curve, "isn't an RSA key"),
        ("no certificate", &key, "holds no certificate in PEM"),
    ] {
        let credentials = by_certificate(certificate, key);
        let refusal = source(settings_with(&tenant, credentials)).unwrap_err();
        Refusal(refusal).is_configuration().says(why);
    }
    assert!(tenant.requests().is_empty());
}

/// A tenant that trusts a service account of the test's API server.
async fn federated(
    issuer: &str,
    subject: &str,
    audience: &str,
) -> (SimulatedEntra, &'static ApiServer) {
    let server = ApiServer::shared();
    let keys = server
        .run_kubectl(&["get", "--raw", "/openid/v1/jwks"])
        .unwrap();
    let tenant = tenant_with(Config {
        secret: None,
        federated: vec![FederatedCredential {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            audience: audience.to_owned(),
            keys: serde_json::from_str(&keys).unwrap(),
        }],
        ..Config::default()
    })
    .await;
    tenant.add_user(UserSeed::new("ada"));
    (tenant, server)
}

fn issuer(server: &ApiServer) -> String {
    let discovery = server
        .run_kubectl(&["get", "--raw", "/.well-known/openid-configuration"])
        .unwrap();
    let discovery: serde_json::Value = serde_json::from_str(&discovery).unwrap();
    discovery["issuer"].as_str().unwrap().to_owned()
}

fn service_account_token(server: &ApiServer, namespace: &str, audience: &str) -> String {
    let audience = format!("--audience={audience}");
    let arguments = ["-n", namespace, "create", "token", "operator", &audience];
    server.run_kubectl(&arguments).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_s_token_is_proof_without_any_secret() {
    let server = ApiServer::shared();
    let namespace = server.namespace("entra").unwrap();
    server
        .run_kubectl(&["-n", &namespace, "create", "serviceaccount", "operator"])
        .unwrap();
    let issuer = issuer(server);
    let subject = format!("{SUBJECT}:{namespace}:operator");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("azure-identity-token");
    let write = |token: &str| std::fs::write(&file, token).unwrap();
    let credentials = || Credentials::FederatedToken(Arc::new(ProjectedToken(file.clone())));

    let (tenant, _) = federated(&issuer, &subject, AUDIENCE).await;
    let good = service_account_token(server, &namespace, AUDIENCE);
    write(&good);
    let mut reader = Reader::new(settings_with(&tenant, credentials()));
    assert_eq!(names(&reader.next().await.unwrap()), ["ada"]);

    // The kubelet puts a new token in place of the old one: read again, not remembered.
    write("spoiled");
    tenant.revoke_all_tokens();
    let error = reader.try_next().await.unwrap_err();
    Refusal(error).for_entra().says("AADSTS50027");
    write(&format!("{good}\n"));
    assert!(reader.next().await.is_some());

    // Signed by somebody else: the last part isn't the signature of the others.
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let flipped = format!("{first}{}", &signature[1..]);
    write(&format!("{signed}.{flipped}"));
    let refusal = refused(settings_with(&tenant, credentials())).await;
    refusal
        .says("failed signature validation")
        .never_says(&flipped);

    write(&service_account_token(
        server,
        &namespace,
        "https://other.example.com",
    ));
    let refusal = refused(settings_with(&tenant, credentials())).await;
    refusal.for_entra().says("AADSTS700212").says(AUDIENCE);

    write(&good);
    let (other, _) = federated(&issuer, "system:serviceaccount:other:operator", AUDIENCE).await;
    let refusal = refused(settings_with(&other, credentials())).await;
    refusal
        .says("AADSTS700213")
        .says("system:serviceaccount:NAMESPACE:NAME");
    let (other, _) = federated("https://elsewhere.example.com", &subject, AUDIENCE).await;
    let refusal = refused(settings_with(&other, credentials())).await;
    refusal.says("AADSTS700211").says("issuer is the cluster's");

    let nothing = NoIdentity("nothing is mounted".into());
    let unnamed = Credentials::FederatedToken(Arc::new(nothing));
    let refusal = refused(settings_with(&tenant, unnamed)).await;
    refusal.for_entra().says("nothing is mounted");
    std::fs::remove_file(&file).unwrap();
    let refusal = refused(settings_with(&tenant, credentials())).await;
    refusal
        .for_entra()
        .says("can't read the cluster's token")
        .says("a ServiceAccount that a federated credential");
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_used_for_its_lifetime() {
    let tenant = tenant().await;
    tenant.set_token_lifetime(Duration::from_secs(3600));
    let mut reader = Reader::new(settings(&tenant));
    reader.next().await;
    reader.next().await;
    let requests = tenant.requests();
    let tokens = requests
        .iter()
        .filter(|r| r.path.ends_with("/token"))
        .count();
    assert_eq!(tokens, 1);
}
