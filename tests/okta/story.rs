//! From a manifest to the organization, by the command that people run.

use simulators::okta::{Config, GroupSeed, Status, UserSeed};
use simulators::organization::Status::Revoked;

use crate::credentials::{CLIENT_ID, P256, app};
use crate::harness::*;
use directory_sync_testing::command::run;
use directory_sync_testing::manifests::*;

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

    let bitwarden = bitwarden().await;
    let folder = tempfile::tempdir().unwrap();
    let spec = format!(
        "  source:
    okta:
      orgUrl: {}
      credentials:
        oauth:
          clientId: {CLIENT_ID}
          privateKeySecretRef: {{name: okta}}
          keyId: key-of-p256
      applicationId: 0oabitwarden
  offboarding: {{limit: 100%}}
",
        okta.url()
    );
    let manifests = [
        resource(&bitwarden, &spec),
        api_key(&bitwarden),
        secret("okta", &[("privateKey", P256)]),
    ];
    std::fs::write(folder.path().join("staff.yaml"), manifests.join("---\n")).unwrap();

    let run = async |words: &str| run(folder.path(), words, &[]).await.ends_with(0);

    let checked = run("check -f staff.yaml").await;
    checked.prints("the service app's key is accepted");

    run("sync -f staff.yaml -q --yes").await;
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
    run("sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    let bob = after.member("bob@example.com").unwrap();
    assert_eq!(bob.status, Revoked);
}
