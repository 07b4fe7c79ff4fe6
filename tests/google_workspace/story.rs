//! From a manifest to the organization, by the command that people run.

use std::time::Duration;

use simulators::google_workspace::{GroupSeed, Member, SimulatedGoogle, UserSeed};
use simulators::organization::SimulatedOrganization;
use simulators::organization::Status::Revoked;

use crate::harness::*;
use directory_sync_testing::command::run;
use directory_sync_testing::manifests::*;

/// The simulated Google in place of the real one, as whoever runs the command says.
fn addresses(google: &SimulatedGoogle) -> String {
    let url = google.url();
    format!("google-token={url}/token,google-directory={url},google-sts={url},google-iam={url}")
}

/// The manifests with these credentials, as lines below `credentials:`.
fn manifests(organization: &SimulatedOrganization, way_in: &str) -> [String; 2] {
    let spec = format!(
        "  source:
    googleWorkspace:
      domains: [example.com]
      adminEmail: {ADMIN}
      users: {{organizationalUnits: [/Staff], archived: Absent}}
      groups: {{query: 'email:team-*'}}
      credentials:
{way_in}
  offboarding: {{limit: 100%}}
"
    );
    [resource(organization, &spec), api_key(organization)]
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
    let [resource, api_key] = manifests(&bitwarden, way_in);
    let key = secret("google", &[("key.json", &google.key_file())]);
    let manifests = [resource, api_key, key].join("---\n");
    std::fs::write(folder.path().join("staff.yaml"), manifests).unwrap();
    let urls = addresses(&google);
    let variables = [("DIRECTORY_SYNC_VENDOR_URLS", urls.as_str())];
    let run = async |words: &str| run(folder.path(), words, &variables).await.ends_with(0);

    let checked = run("check -f staff.yaml").await;
    checked.prints("may act for admin@example.com");
    run("sync -f staff.yaml -q --yes").await;
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
    run("sync -f staff.yaml -q --yes").await;
    let bob = bitwarden.snapshot();
    let bob = bob.member("bob@example.com").unwrap();
    assert_eq!(bob.status, Revoked);
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
          serviceAccountEmail: {}",
        google.config().federation.provider,
        google.config().service_account.email,
    );
    let text = manifests(&bitwarden, &way_in).join("---\n");
    let file = folder.path().join("staff.yaml");
    let (urls, own) = (addresses(&google), token.display().to_string());
    let variables = [
        ("DIRECTORY_SYNC_VENDOR_URLS", urls.as_str()),
        ("DIRECTORY_SYNC_GOOGLE_TOKEN_FILE", own.as_str()),
    ];
    // Whoever wrote the manifest may not choose which file is read and where it is sent.
    for (field, says) in [
        (format!("tokenFile: {own}"), "serviceAccountName"),
        (format!("stsUrl: {}", google.url()), "--vendor-urls"),
    ] {
        let manifest = text.replace(
            "serviceAccountEmail:",
            &format!("{field}\n          serviceAccountEmail:"),
        );
        std::fs::write(&file, manifest).unwrap();
        google.clear_requests();
        let refused = run(folder.path(), "check -f staff.yaml", &variables).await;
        refused.ends_with(1).complains(says);
        assert!(google.requests().is_empty(), "the token went nowhere");
    }

    std::fs::write(&file, text).unwrap();
    let run = async |words: &str| run(folder.path(), words, &variables).await.ends_with(0);

    let checked = run("check -f staff.yaml").await;
    checked.prints("the workload identity provider accepts it");
    run("sync -f staff.yaml -q --yes").await;
    let after = bitwarden.snapshot();
    let members = &after.group("Law").unwrap().members;
    assert_eq!(members, &["ann@example.com"]);
}
