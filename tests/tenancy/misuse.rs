//! Manifests that use Secrets for what they aren't for, or make the program read or call something
//! of its own.

use directory_sync_testing::command::run;
use directory_sync_testing::manifests::{config_map, secret};

use crate::canary::{KEY, PASSWORD, assert_reveals_nothing, run_traced, write};
use crate::echo::{Refuses, server};

/// What a manifest is about, its source, its objects besides the organization's Secret, and what
/// has to be said.
pub type Attack = (&'static str, String, String, &'static str);

const HERE: &str =
    "url: \"ldap://127.0.0.1:9\", baseDn: \"dc=example,dc=com\", allowPlaintext: true";

fn private_key_on_one_line() -> String {
    format!("-----BEGIN PRIVATE KEY----- {KEY}{KEY} -----END PRIVATE KEY-----")
}

pub fn attacks() -> Vec<Attack> {
    let deep = format!("{}(mail=*){}", "(&".repeat(20_000), ")".repeat(20_000));
    let entra = "entraId: {tenantId: 11111111-1111-1111-1111-111111111111, \
                 clientId: 22222222-2222-2222-2222-222222222222, ";
    vec![
        (
            "the password of something else as the DN to bind with",
            format!("ldap: {{{HERE}, bindSecretRef: {{name: payroll, bindDnKey: password, passwordKey: password}}}}"),
            secret("payroll", &[("password", PASSWORD)]),
            "",
        ),
        (
            "a password that looks like a DN as the DN to bind with",
            format!("ldap: {{{HERE}, bindSecretRef: {{name: payroll, bindDnKey: password}}}}"),
            secret("payroll", &[("password", &format!("a={KEY},b={PASSWORD}"))]),
            "",
        ),
        (
            "a private key on one line as the certificates of a CA",
            "ldap: {url: \"ldaps://127.0.0.1:9\", baseDn: \"dc=example,dc=com\", \
             tls: {caBundleRef: {kind: Secret, name: payroll, key: key}}}"
                .to_owned(),
            secret("payroll", &[("key", &private_key_on_one_line())]),
            "line breaks are missing",
        ),
        (
            "a password as the certificates of a CA, in a ConfigMap",
            "ldap: {url: \"ldaps://127.0.0.1:9\", baseDn: \"dc=example,dc=com\", \
             tls: {caBundleRef: {name: payroll, key: key}}}"
                .to_owned(),
            config_map("payroll", &[("key", PASSWORD)]),
            "PEM",
        ),
        (
            "a password as Google's key file",
            "googleWorkspace: {domains: [example.com], adminEmail: a@example.com, \
             credentials: {serviceAccountKeySecretRef: {name: payroll, key: password}}}"
                .to_owned(),
            secret("payroll", &[("password", PASSWORD)]),
            "payroll",
        ),
        (
            "Google's key file with a password in each field",
            "googleWorkspace: {domains: [example.com], adminEmail: a@example.com, \
             credentials: {serviceAccountKeySecretRef: {name: payroll, key: file}}}"
                .to_owned(),
            secret(
                "payroll",
                &[("file", &serde_json::json!({
                    "type": PASSWORD, "client_email": PASSWORD, "private_key": private_key_on_one_line(),
                    "private_key_id": KEY, "token_uri": format!("https://{KEY}.example"), "client_id": KEY,
                }).to_string())],
            ),
            "payroll",
        ),
        (
            "a password as Okta's private key",
            "okta: {orgUrl: \"https://example.okta.com\", credentials: {oauth: {clientId: abc, \
             privateKeySecretRef: {name: payroll, key: password}}}}"
                .to_owned(),
            secret("payroll", &[("password", PASSWORD)]),
            "payroll",
        ),
        (
            "a JWK with a password in it as Okta's private key",
            "okta: {orgUrl: \"https://example.okta.com\", credentials: {oauth: {clientId: abc, \
             privateKeySecretRef: {name: payroll, key: jwk}}}}"
                .to_owned(),
            secret("payroll", &[("jwk", &format!("{{\"kty\":\"RSA\",\"n\":\"{KEY}\",\"d\":\"{KEY}\"}}"))]),
            "payroll",
        ),
        (
            "a password as Entra's certificate",
            format!("{entra} credentials: {{certificateSecretRef: {{name: payroll, certificateKey: password, privateKeyKey: password}}}}}}"),
            secret("payroll", &[("password", PASSWORD)]),
            "",
        ),
        (
            "a file of the machine as the operator's own token",
            format!("{entra} credentials: {{workloadIdentity: {{tokenFile: /etc/passwd}}}}}}"),
            secret("payroll", &[]),
            "",
        ),
        (
            "a server of one's own as the place to send the operator's own token",
            format!(
                "{entra} authorityUrl: \"URL\", graphUrl: \"URL\", \
                 credentials: {{workloadIdentity: {{}}}}}}"
            ),
            secret("payroll", &[]),
            "",
        ),
        (
            "a filter that is nested deeper than the stack",
            format!("ldap: {{{HERE}, users: {{filter: \"{deep}\"}}}}"),
            secret("payroll", &[]),
            "filter",
        ),
        (
            "an Active Directory filter that is nested deeper than the stack",
            format!("activeDirectory: {{domain: example.com, bindSecretRef: {{name: payroll}}, users: {{filter: \"{deep}\"}}}}"),
            secret("payroll", &[("username", "a@example.com"), ("password", PASSWORD)]),
            "",
        ),
        (
            "a key with characters that no header takes",
            "okta: {orgUrl: \"URL\", credentials: {apiTokenSecretRef: {name: payroll, key: token}}}"
                .to_owned(),
            secret("payroll", &[("token", &format!("{KEY}\u{e9}\u{7f}{PASSWORD}"))]),
            "",
        ),
        (
            "a password as the id of the organization's key",
            format!("ldap: {{{HERE}, bindSecretRef: {{name: payroll}}}}"),
            format!(
                "{}---\n{}",
                secret("payroll", &[("bindDn", "cn=a"), ("password", PASSWORD)]),
                secret("bitwarden", &[("clientId", PASSWORD), ("clientSecret", KEY)]),
            ),
            "clientId",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_misuse_of_a_secret_shows_it_and_no_manifest_ends_the_process() {
    // It refuses, so that nothing is tried again.
    let url = server(Refuses::Tokens, |_| "refused".to_owned()).await;
    for (attack, source, objects, says) in attacks() {
        let source = source.replace("URL", &url);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &url, &source, &objects);
        for words in ["check -f .", "plan -f . -o json"] {
            let ran = run_traced(folder.path(), words).await;
            assert_eq!(ran.code, 1, "{attack}: {ran}");
            assert!(ran.to_string().contains(says), "{attack}: {ran}");
            assert!(!ran.to_string().contains("root:"), "{attack}: {ran}");
            assert_reveals_nothing(&ran.to_string(), attack);
        }
    }
}

/// `objects` with another value in the place of both secrets, however they are quoted there.
fn with_value(objects: &str, value: &str) -> String {
    let quoted = |text: &str| {
        serde_json::Value::from(text)
            .to_string()
            .trim_matches('"')
            .to_owned()
    };
    let (once, twice) = (quoted(PASSWORD), quoted(&quoted(PASSWORD)));
    [twice.as_str(), once.as_str(), PASSWORD, KEY]
        .iter()
        .fold(objects.to_owned(), |objects, secret| {
            objects.replace(secret, value)
        })
}

/// A short value or one that is a word can't be taken out of a message: the message may hold the same
/// word rightfully, and whoever writes the manifest would learn by what is taken out which word it is.
/// So what we say ourselves mustn't depend on the values.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_about_a_misused_secret_is_the_same_whatever_short_value_it_has() {
    let url = server(Refuses::Tokens, |_| "refused".to_owned()).await;
    let mut changed = 0;
    for (attack, source, objects, _) in attacks() {
        let source = source.replace("URL", &url);
        let mut said = Vec::new();
        for value in ["zq7", "kx28", "wombat", "quokka"] {
            let objects_with = with_value(&objects, value);
            changed += usize::from(objects_with != objects);
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &url, &source, &objects_with);
            let ran = run(folder.path(), "check -f .", &[]).await;
            said.push((ran.code, ran.to_string()));
        }
        assert!(
            said.iter().all(|other| *other == said[0]),
            "{attack}: {said:#?}"
        );
    }
    assert!(changed > 4 * 8, "{changed}");
}
