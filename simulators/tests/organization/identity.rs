use std::time::Duration;

use serde_json::json;
use simulators::organization::Config;

use crate::client::{Signed, cloud, read, signed};

/// The right form with one field changed, or left out.
fn form(signed: &Signed, name: &str, value: Option<&str>) -> Vec<(&'static str, String)> {
    let mut form = signed.form();
    form.retain_mut(|(field, present)| {
        if *field != name {
            return true;
        }
        value.map(|value| value.clone_into(present)).is_some()
    });
    form
}

#[tokio::test]
async fn a_token_is_given_for_the_right_key_and_opens_the_api() {
    let signed = cloud().await;
    let answer = signed.ask_for_token(&signed.form()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["expires_in"], 3600);
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["scope"], "api.organization");
    assert_eq!(signed.get("/members").await.status, 200);
}

#[tokio::test]
async fn every_field_of_the_request_is_checked() {
    let signed = cloud().await;
    for (name, value, error) in [
        ("grant_type", Some("password"), "unsupported_grant_type"),
        ("grant_type", None, "unsupported_grant_type"),
        ("client_id", Some("organization.other"), "invalid_client"),
        (
            "client_id",
            Some(signed.organization.organization_id()),
            "invalid_client",
        ),
        ("client_secret", Some("wrong"), "invalid_client"),
        ("client_secret", None, "invalid_client"),
        ("scope", Some("api"), "invalid_scope"),
    ] {
        let answer = signed.ask_for_token(&form(&signed, name, value)).await;
        assert_eq!(answer.status, 400, "{name} {value:?}");
        assert_eq!(answer.body, json!({"error": error}), "{name} {value:?}");
    }
}

#[tokio::test]
async fn vaultwarden_wants_to_know_the_device_and_the_official_server_does_not_care() {
    let official = cloud().await;
    let vaultwarden = signed(Config::vaultwarden()).await;
    for field in ["device_identifier", "device_name", "device_type"] {
        let without = form(&official, field, None);
        assert_eq!(official.ask_for_token(&without).await.status, 200);
        let without = form(&vaultwarden, field, None);
        let answer = vaultwarden.ask_for_token(&without).await;
        assert_eq!(answer.status, 400, "{field}");
    }
}

#[tokio::test]
async fn no_token_a_made_up_one_and_a_revoked_one_are_401_everywhere() {
    let signed = cloud().await;
    signed.organization.revoke_all_tokens();
    assert_eq!(signed.get("/members").await.status, 401);
    assert_eq!(signed.import_members(json!([])).await.status, 401);
    let url = format!("{}/public/groups", signed.organization.api_url());
    let without = signed.http.get(&url).send().await.unwrap();
    assert_eq!(read(without).await.status, 401);
    let made_up = signed.http.get(&url).bearer_auth("made-up");
    assert_eq!(read(made_up.send().await.unwrap()).await.status, 401);
}

#[tokio::test]
async fn a_token_expires_and_a_new_one_is_good() {
    let mut config = Config::cloud();
    config.token_lifetime = Duration::from_secs(1);
    let mut signed = signed(config).await;
    assert_eq!(signed.get("/members").await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(signed.get("/members").await.status, 401);
    signed.sign_in().await;
    assert_eq!(signed.get("/members").await.status, 200);
}

#[tokio::test]
async fn a_rotated_secret_shuts_out_the_old_one() {
    let mut signed = cloud().await;
    let old = signed.form();
    signed.organization.rotate_secret("the new one");
    // Its tokens stay good until they end, though.
    assert_eq!(signed.get("/members").await.status, 200);
    signed.organization.revoke_all_tokens();
    assert_eq!(signed.get("/members").await.status, 401);
    let answer = signed.ask_for_token(&old).await;
    assert_eq!(answer.body["error"], "invalid_client");
    signed.sign_in().await;
    assert_eq!(signed.get("/members").await.status, 200);
}

#[tokio::test]
async fn no_secret_is_in_the_log() {
    let signed = cloud().await;
    signed.ask_for_token(&signed.form()).await;
    let url = format!("{}/simulator/requests", signed.organization.url());
    let shown = signed.http.get(url).send().await.unwrap();
    let shown = shown.text().await.unwrap();
    assert!(shown.contains("/identity/connect/token"), "{shown}");
    let logged = format!("{:?}", signed.organization.requests());
    for text in [shown, logged] {
        assert!(!text.contains(&signed.organization.client_secret()));
        assert!(!text.contains(&signed.token));
    }
}
