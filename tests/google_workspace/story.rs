//! From a manifest to the organization, by the command that people run.

use std::path::Path;
use std::time::Duration;

use simulators::google_workspace::{GroupSeed, Member, SimulatedGoogle, UserSeed};
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

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

async fn bitwarden() -> SimulatedOrganization {
    let bitwarden = SimulatedOrganization::start(organization::Config::self_hosted())
        .await
        .unwrap();
    bitwarden.seed_member(MemberSeed::new("owner@example.com").owner());
    bitwarden
}

/// A manifest with these credentials, as lines below `credentials:`.
fn manifest(google: &SimulatedGoogle, bitwarden: &SimulatedOrganization, way_in: &str) -> String {
    format!(
        "apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: identity}}
spec:
  organization:
    serverUrl: {}
    credentialsSecretRef: {{name: bitwarden}}
  source:
    googleWorkspace:
      domains: [example.com]
      adminEmail: {ADMIN}
      tokenUrl: {}/token
      directoryUrl: {}
      users: {{organizationalUnits: [/Staff], archived: Absent}}
      groups: {{query: 'email:team-*'}}
      credentials:
{way_in}
  offboarding: {{limit: 100%}}
---
apiVersion: v1
kind: Secret
metadata: {{name: bitwarden, namespace: identity}}
stringData: {{clientId: {:?}, clientSecret: {:?}}}
",
        bitwarden.url(),
        google.url(),
        google.url(),
        bitwarden.client_id(),
        bitwarden.client_secret(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_unit_is_invited_with_a_key_and_who_is_suspended_loses_access() {
    let google = customer().await;
    let staff = |email: &str| UserSeed::new(email).unit("/Staff");
    let ann = google.user(staff("Ann@Example.com"));
    let bob = google.user(staff("bob@example.com").id("200"));
    google.user(UserSeed::new("cid@example.com").unit("/Robots"));
    google.group(GroupSeed::new("team-law@example.com", "Law").users([&ann, &bob]));
    google.group(GroupSeed::new("all@example.com", "All").member(Member::Customer));
    let bitwarden = bitwarden().await;
    let folder = tempfile::tempdir().unwrap();
    let way_in = "        serviceAccountKeySecretRef: {name: google}";
    let manifest = format!(
        "{}---
apiVersion: v1
kind: Secret
metadata: {{name: google, namespace: identity}}
stringData:
  key.json: |
{}",
        manifest(&google, &bitwarden, way_in),
        indented(&google.key_file()),
    );
    std::fs::write(folder.path().join("staff.yaml"), manifest).unwrap();

    let checked = run(folder.path(), "check -f staff.yaml").await;
    assert!(
        checked.contains("may act for admin@example.com"),
        "{checked}"
    );
    run(folder.path(), "sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    assert_eq!(
        after.member("ann@example.com").unwrap().external_id,
        Some(ann)
    );
    assert!(after.member("cid@example.com").is_none());
    assert!(after.member(ADMIN).is_none(), "not in the unit");
    let members = &after.group("Law").unwrap().members;
    assert_eq!(members, &["ann@example.com", "bob@example.com"]);
    assert!(after.group("All").is_none());

    // Suspended and moved out, as leavers are.
    google.user(
        UserSeed::new("bob@example.com")
            .id("200")
            .unit("/Former")
            .suspended(),
    );
    run(folder.path(), "sync -f staff.yaml -q --yes").await;
    let bob = bitwarden.snapshot();
    let bob = bob.member("bob@example.com").unwrap();
    assert_eq!(bob.status, organization::Status::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_same_people_come_in() {
    let google = customer().await;
    let ann = google.user(UserSeed::new("ann@example.com").unit("/Staff"));
    google.group(GroupSeed::new("team-law@example.com", "Law").users([&ann]));
    let bitwarden = bitwarden().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, google.cluster_token(Duration::from_secs(3600))).unwrap();
    let way_in = format!(
        "        workloadIdentity:
          audience: {}
          serviceAccountEmail: {}
          tokenFile: {}
          stsUrl: {url}
          iamUrl: {url}",
        google.config().federation.provider,
        google.config().service_account.email,
        token.display(),
        url = google.url(),
    );
    let manifest = manifest(&google, &bitwarden, &way_in);
    std::fs::write(folder.path().join("staff.yaml"), manifest).unwrap();
    let checked = run(folder.path(), "check -f staff.yaml").await;
    assert!(
        checked.contains("the workload identity provider accepts it"),
        "{checked}"
    );
    run(folder.path(), "sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    let members = &after.group("Law").unwrap().members;
    assert_eq!(members, &["ann@example.com"]);
}
