//! From a manifest to the organization, by the command that people run.

use std::path::Path;

use simulators::one_login::{RoleSeed, UserSeed};
use simulators::organization::{self, MemberSeed, SimulatedOrganization};

use crate::harness::*;

/// `directory-sync` with these words in a folder of manifests; what it printed.
async fn run(folder: &Path, words: &str) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_directory-sync"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_the_department_is_invited_and_who_is_suspended_loses_access() {
    let one_login = account().await;
    let law = |email: &str| UserSeed::new(email).with("department", "Law");
    let (ann, bob) = (
        one_login.user(law("Ann@Example.com")),
        one_login.user(UserSeed::named("bob").with("department", "Law").id(77)),
    );
    let cid = one_login.user(UserSeed::new("cid@example.com"));
    one_login.role(RoleSeed::new("Counsel").id(9).members([ann, bob, cid]));

    let bitwarden = SimulatedOrganization::start(organization::Config::self_hosted())
        .await
        .unwrap();
    bitwarden.seed_member(MemberSeed::new("owner@example.com").owner());
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: identity}}
spec:
  organization:
    serverUrl: {}
    credentialsSecretRef: {{name: bitwarden}}
  source:
    oneLogin:
      apiUrl: {}
      credentialsSecretRef: {{name: onelogin}}
      users:
        attributes: [{{attribute: department, value: Law}}]
        emailSuffix: \"@example.com\"
  offboarding: {{limit: 100%}}
---
apiVersion: v1
kind: Secret
metadata: {{name: bitwarden, namespace: identity}}
stringData: {{clientId: {:?}, clientSecret: {:?}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: onelogin, namespace: identity}}
stringData: {{clientId: {CLIENT_ID}, clientSecret: {CLIENT_SECRET}}}
",
        bitwarden.url(),
        one_login.url(),
        bitwarden.client_id(),
        bitwarden.client_secret(),
    );
    std::fs::write(folder.path().join("staff.yaml"), manifest).unwrap();

    let checked = run(folder.path(), "check -f staff.yaml").await;
    assert!(
        checked.contains("the API credentials are accepted"),
        "{checked}"
    );
    assert!(
        checked.contains("read who is in the role Counsel"),
        "{checked}"
    );

    run(folder.path(), "sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    assert_eq!(
        after.member("ann@example.com").unwrap().external_id,
        Some(ann.to_string())
    );
    assert!(after.member("cid@example.com").is_none());
    let members = &after.group("Counsel").unwrap().members;
    assert_eq!(members, &["ann@example.com", "bob@example.com"]);

    let suspended = UserSeed::named("bob").with("department", "Law").id(77);
    one_login.user(suspended.with("status", 2));
    run(folder.path(), "sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    let bob = after.member("bob@example.com").unwrap();
    assert_eq!(bob.status, organization::Status::Revoked);
}
