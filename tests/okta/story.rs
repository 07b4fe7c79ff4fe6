//! From a manifest to the organization, by the command that people run.

use std::path::Path;

use simulators::okta::{Config, GroupSeed, Status, UserSeed};
use simulators::organization::{self, MemberSeed, SimulatedOrganization};

use crate::credentials::{CLIENT_ID, P256, app};
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

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_assigned_to_the_application_is_invited_and_who_is_suspended_loses_access() {
    let okta = organization_with(Config {
        app: Some(app()),
        ..Config::default()
    })
    .await;
    let (ann, bob) = (
        okta.user(UserSeed::new("Ann@Example.com")),
        okta.user(UserSeed::new("bob@example.com").id("00ubob")),
    );
    okta.user(UserSeed::new("cid@example.com"));
    let law = okta.group(GroupSeed::new("Law").members([&ann, &bob]));
    okta.application("0oabitwarden", &[&ann, &bob], &[&law]);

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
    okta:
      orgUrl: {}
      credentials:
        oauth:
          clientId: {CLIENT_ID}
          privateKeySecretRef: {{name: okta}}
          keyId: key-of-p256
      applicationId: 0oabitwarden
  offboarding: {{limit: 100%}}
---
apiVersion: v1
kind: Secret
metadata: {{name: bitwarden, namespace: identity}}
stringData: {{clientId: {:?}, clientSecret: {:?}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: okta, namespace: identity}}
stringData:
  privateKey: |
{}",
        bitwarden.url(),
        okta.url(),
        bitwarden.client_id(),
        bitwarden.client_secret(),
        indented(P256),
    );
    std::fs::write(folder.path().join("staff.yaml"), manifest).unwrap();

    let checked = run(folder.path(), "check -f staff.yaml").await;
    assert!(
        checked.contains("the service app's key is accepted"),
        "{checked}"
    );

    run(folder.path(), "sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    assert_eq!(
        after.member("ann@example.com").unwrap().external_id,
        Some(ann)
    );
    assert!(after.member("cid@example.com").is_none());
    let members = &after.group("Law").unwrap().members;
    assert_eq!(members, &["ann@example.com", "bob@example.com"]);

    okta.user(
        UserSeed::new("bob@example.com")
            .id("00ubob")
            .status(Status::Suspended),
    );
    run(folder.path(), "sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    let bob = after.member("bob@example.com").unwrap();
    assert_eq!(bob.status, organization::Status::Revoked);
}
