//! API credentials: what works, and what an error says to do.

use directory_sync_testing::client;
use reqwest::StatusCode;
use simulators::one_login::{SimulatedOneLogin, UserSeed};

use crate::harness::*;

const TOKEN: &str = "/auth/oauth2/v2/token";

async fn one_person() -> SimulatedOneLogin {
    let one_login = account().await;
    one_login.user(UserSeed::new("ann@example.com"));
    one_login
}

#[tokio::test]
async fn one_token_serves_all_requests_and_one_that_is_refused_is_replaced() {
    let one_login = one_person().await;
    let source = source(settings(&one_login)).unwrap();
    for _ in 0..2 {
        let seen = read_by(&source).await.unwrap();
        assert_eq!(seen.emails(), ["ann@example.com"]);
    }
    assert_eq!(asked(&one_login, TOKEN), 1);

    one_login.revoke_access_tokens();
    let seen = read_by(&source).await.unwrap();
    assert_eq!(seen.emails(), ["ann@example.com"]);
    assert_eq!(asked(&one_login, TOKEN), 2);
}

#[tokio::test]
async fn a_wrong_secret_is_for_the_user_to_fix_and_never_shown() {
    let one_login = one_person().await;
    let mut wrong = settings(&one_login);
    wrong.credentials.client_secret = "a-secret-of-somebody-else".into();
    assert!(!format!("{wrong:?}").contains("a-secret-of"));
    refusal(wrong)
        .await
        .is_configuration()
        .says("Authentication Failure")
        .says("clientSecret")
        .never_says("a-secret-of");
}

#[tokio::test]
async fn credentials_of_too_small_a_scope_are_distinguished_from_wrong_ones() {
    let one_login = one_person().await;
    one_login.take_scope();
    refusal(settings(&one_login))
        .await
        .is_configuration()
        .says("Insufficient Permission")
        .says("Read Users");
}

#[tokio::test]
async fn credentials_that_ended_with_their_owner_pass_by_themselves_and_say_what_may_be_wrong() {
    let one_login = one_person().await;
    one_login.delete_owner();
    refusal(settings(&one_login))
        .await
        .is_transient()
        .says("whoever made the API credentials was deleted");
}

#[tokio::test]
async fn the_simulated_token_call_takes_each_form_that_onelogin_documents() {
    let one_login = one_person().await;
    let (id, secret) = (CLIENT_ID, CLIENT_SECRET);
    let post = || client().post(format!("{}{TOKEN}", one_login.url()));
    let json = r#"{"grant_type": "client_credentials"}"#;
    let own = format!("client_id:{id}, client_secret:{secret}");
    let form = "application/x-www-form-urlencoded";
    let both = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    for (call, expected) in [
        (
            post().basic_auth(id, Some(secret)).body(json),
            StatusCode::OK,
        ),
        (
            post().header("Authorization", own).body(json),
            StatusCode::OK,
        ),
        (
            post().header("Content-Type", form).body(both),
            StatusCode::OK,
        ),
        (
            post().basic_auth(id, Some("no")).body(json),
            StatusCode::UNAUTHORIZED,
        ),
        (
            post().basic_auth(id, Some(secret)).body("{}"),
            StatusCode::BAD_REQUEST,
        ),
        (post().body(json), StatusCode::UNAUTHORIZED),
    ] {
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
}
