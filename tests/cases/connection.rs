//! Keys, certificates, filters and paging: what is wrong is said in words, or isn't wrong.

use simulators::lab::Identity;

use crate::harness::Case;

/// load-secrets-action 123, democratic-csi 228: a private key on one line.
#[tokio::test]
async fn a_private_key_on_one_line_is_quoted_nowhere() {
    let case = Case::start("private_key_on_one_line").await;
    let key = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cases/private_key_on_one_line/secrets/client/tls.key"
    ))
    .unwrap();
    let uses = [
        ("tls.key", "holds no private key in PEM"),
        ("tls.crt", "holds no PEM certificate"),
        ("ca.crt", "no PEM certificate"),
    ];
    for (at, (name, says)) in uses.into_iter().enumerate() {
        if at > 0 {
            case.write(&format!("secrets/client/{name}"), &key);
        }
        if name == "ca.crt" {
            case.edit(
                "{clientCertificateSecretRef: {name: client}}",
                "{caBundleRef: {kind: Secret, name: client}}",
            );
        }
        let ran = case.plan().await.ends_with(1);
        let ran = ran
            .complains("Secret \"client\"")
            .complains(name)
            .complains(says)
            .complains("its line breaks are missing");
        let said = ran.stderr + &ran.stdout;
        for part in ["THIS+IS", "NO+KEY", "BEGIN PRIVATE", "45, 45, 45"] {
            assert!(!said.contains(part), "{part:?} is in {said}");
        }
    }
}

/// ldap3 82, Backstage 5261: a filter with white space between its parts, as YAML folds it.
#[tokio::test]
async fn a_filter_may_stand_on_several_lines() {
    let case = Case::start("filter_on_several_lines").await;

    case.sync().await.ends_with(0).prints("1 Invite");

    assert_eq!(case.emails(), ["ann@example.com"]);
}

/// lnd 5450, lakekeeper 438: what `openssl req -x509` makes, trusted by putting itself into the
/// bundle.
#[tokio::test]
async fn a_self_signed_certificate_that_is_named_is_trusted() {
    let named = Identity::self_signed("127.0.0.1").unwrap();
    let case = Case::start_with_tls("self_signed_server_certificate", named.clone()).await;

    case.write("secrets/corp-ca/ca.crt", &named.certificate);
    case.plan().await.ends_with(0).prints("1 Invite");

    let another = Identity::self_signed("127.0.0.1").unwrap();
    case.write("secrets/corp-ca/ca.crt", &another.certificate);
    let plan = case.plan().await.ends_with(1);
    plan.complains("certificate").complains("caBundle");
}

/// bitnami/containers 24924: a byte order mark before a bind DN; 1Password/connect 62: a value that
/// was encoded twice.
#[tokio::test]
async fn a_byte_order_mark_is_taken_off_and_double_encoding_is_named() {
    let case = Case::start("byte_order_mark").await;

    case.plan().await.ends_with(0).prints("1 Invite");
    case.write("secrets/ldap-bind/password", "\u{feff}reader-password");
    case.plan().await.ends_with(0).prints("1 Invite");

    // base64 of cn=reader,dc=example,dc=com
    let twice = "Y249cmVhZGVyLGRjPWV4YW1wbGUsZGM9Y29t";
    case.write("secrets/ldap-bind/bindDn", twice);
    let plan = case.plan().await.ends_with(1);
    plan.complains("bindDn").complains("encoded twice");
}

/// user-sync.py 324, directory-connector 16 and 40: a server that refuses paged results.
#[tokio::test]
async fn where_paging_is_refused_the_setting_that_helps_is_named() {
    let case = Case::start("paging_refused").await;

    let plan = case.plan().await.ends_with(1);
    plan.complains("refuses paged results")
        .complains("set pageSize to 0");

    case.edit("baseDn:", "pageSize: 0\n      baseDn:");
    case.plan().await.ends_with(0).prints("1 Invite");
}
