//! From a manifest to the organization, by the command that people run.

use simulators::one_login::{RoleSeed, UserSeed};
use simulators::organization::Status::Revoked;

use crate::harness::*;
use directory_sync_testing::command::run;
use directory_sync_testing::manifests::*;

/// The Secret with the account's API credentials.
pub fn credentials() -> String {
    secret(
        "onelogin",
        &[("clientId", CLIENT_ID), ("clientSecret", CLIENT_SECRET)],
    )
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

    let bitwarden = bitwarden().await;
    let folder = tempfile::tempdir().unwrap();
    let spec = format!(
        "  source:
    oneLogin:
      apiUrl: {}
      credentialsSecretRef: {{name: onelogin}}
      users:
        attributes: [{{attribute: department, value: Law}}]
        emailSuffix: \"@example.com\"
  offboarding: {{limit: 100%}}
",
        one_login.url()
    );
    let manifests = [
        resource(&bitwarden, &spec),
        api_key(&bitwarden),
        credentials(),
    ];
    std::fs::write(folder.path().join("staff.yaml"), manifests.join("---\n")).unwrap();

    let run = async |words: &str| run(folder.path(), words, &[]).await.ends_with(0);

    run("check -f staff.yaml")
        .await
        .prints("the API credentials are accepted")
        .prints("read who is in the role Counsel");

    run("sync -f staff.yaml -q --yes").await;
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
    run("sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    let bob = after.member("bob@example.com").unwrap();
    assert_eq!(bob.status, Revoked);
}
