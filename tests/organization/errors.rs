//! What a person reads when it can't work, and whether it is theirs to fix.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::{any, get, post};
use directory_sync::fault::FaultKind;
use directory_sync::organization::{
    ClientId, InvalidSettings, OrganizationClient, OrganizationError, Region, Settings,
};
use reqwest::Url;
use simulators::fault::{Fault, Way};
use simulators::organization::{Config, MemberSeed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::{client, content, settings, start};

const KEY: &str = "organization.0d9f3c1e-6a52-4a3c-9d0b-b0c7a5e41f27";

/// Serves `router` for as long as the test runs; its address.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn error_at(url: &str) -> OrganizationError {
    let region = Region::server(url).unwrap();
    error_in(region).await
}

async fn error_in(region: Region) -> OrganizationError {
    let key = ClientId::parse(KEY).unwrap();
    let mut settings = Settings::new(region, key, "a-secret-key".into());
    settings.retry.first_delay = Duration::from_millis(1);
    settings.retry.times = 1;
    settings.connection.connect_timeout = Duration::from_secs(1);
    let client = OrganizationClient::new(settings).unwrap();
    client.read().await.unwrap_err()
}

fn token() -> axum::routing::MethodRouter {
    post(async || r#"{"access_token": "abcdefgh", "expires_in": 3600, "token_type": "Bearer"}"#)
}

#[track_caller]
fn assert_wrong_address(error: &OrganizationError, saying: &str) {
    assert!(
        matches!(error, OrganizationError::WrongAddress { .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), FaultKind::Configuration);
    let text = error.to_string();
    assert!(
        text.contains("serverUrl") && text.contains(saying),
        "{text}"
    );
}

#[test]
fn a_persons_api_key_is_distinguished_from_an_organizations() {
    let error = ClientId::parse("user.0d9f3c1e-6a52-4a3c-9d0b-b0c7a5e41f27").unwrap_err();
    assert!(matches!(error, InvalidSettings::UserKey));
    let text = error.to_string();
    assert!(
        text.contains("View API key") && text.contains("organization."),
        "{text}"
    );

    for wrong in ["", "organization.", "organization.acme", "0d9f3c1e"] {
        let error = ClientId::parse(wrong).unwrap_err();
        assert!(matches!(error, InvalidSettings::ClientId), "{wrong}");
    }
    assert!(
        ClientId::parse(&format!(" {KEY}\n")).is_ok(),
        "a Secret often ends in a line break"
    );
}

#[test]
fn an_address_that_cannot_be_one_is_refused_with_an_example() {
    for wrong in [
        "vault.example.com",
        "ftp://vault.example.com",
        "https://user:password@vault.example.com",
        "https://vault.example.com/?organization=1",
        "https://vault.example.com/#/login",
        "",
    ] {
        let text = Region::server(wrong).unwrap_err().to_string();
        assert!(text.contains("https://vault.example.com"), "{text}");
        assert!(!text.contains("password@"), "{text}");
    }
}

#[test]
fn an_empty_secret_is_refused_before_anything_is_sent() {
    let key = ClientId::parse(KEY).unwrap();
    let error = OrganizationClient::new(Settings::new(Region::Eu, key, " \n".into())).unwrap_err();
    assert!(
        error.to_string().contains("clientSecret is empty"),
        "{error}"
    );
    assert_eq!(error.kind(), FaultKind::Configuration);
}

#[tokio::test]
async fn a_wrong_key_is_for_the_user_to_fix_and_does_not_show() {
    let server = start(Config::cloud()).await;
    let mut settings = settings(&server);
    settings.client_secret = "surely-the-wrong-key".into();
    let client = OrganizationClient::new(settings).unwrap();
    let error = client.read().await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::WrongCredentials { .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), FaultKind::Configuration);
    let text = error.to_string();
    assert!(
        text.contains("invalid_client") && text.contains("View API key"),
        "{text}"
    );
    assert!(!format!("{error:?} {text} {client:?}").contains("surely-the-wrong-key"));
    assert_eq!(server.requests().len(), 1, "a wrong key isn't tried again");
}

#[tokio::test]
async fn a_key_that_the_other_side_quotes_does_not_show_in_any_spelling() {
    let key = "p@ss word+100%/\u{fc}ber";
    let encoded = "p%40ss+word%2B100%25%2F%C3%BCber";
    let echo = async |form: String| {
        let error = serde_json::json!({"error": form}).to_string();
        (StatusCode::BAD_REQUEST, error)
    };
    let decoding = async move |form: String| {
        assert!(form.contains(encoded), "it was sent: {form}");
        let error = format!("{{\"error\": \"no client with {key}\"}}");
        (StatusCode::BAD_REQUEST, error)
    };
    for router in [
        Router::new().fallback(any(echo)),
        Router::new().fallback(any(decoding)),
    ] {
        let region = Region::server(&serve(router).await).unwrap();
        let id = ClientId::parse(KEY).unwrap();
        let client = OrganizationClient::new(Settings::new(region, id, key.into())).unwrap();
        let error = client.read().await.unwrap_err();
        let shown = format!("{error} {error:?} {client:?}");
        assert!(shown.contains("…") || shown.contains("withheld"), "{shown}");
        assert!(!shown.contains(key) && !shown.contains(encoded), "{shown}");
    }
}

#[tokio::test]
async fn a_rotated_key_is_noticed_in_the_middle() {
    let server = start(Config::cloud()).await;
    let client = client(&server);
    content(&client).await;
    // Tokens of the old key stay good for up to an hour, which is over then.
    server.rotate_secret("another");
    content(&client).await;
    server.revoke_all_tokens();
    let error = client.read().await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::WrongCredentials { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn fresh_tokens_that_are_refused_mean_a_revoked_key() {
    let url = serve(
        Router::new()
            .route("/identity/connect/token", token())
            .fallback(StatusCode::UNAUTHORIZED),
    )
    .await;
    let error = error_at(&url).await;
    assert!(
        matches!(error, OrganizationError::KeyRevoked { .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), FaultKind::Configuration);
}

#[tokio::test]
async fn something_else_than_bitwarden_is_distinguished_from_a_refusal() {
    let nothing = serve(Router::new()).await;
    assert_wrong_address(&error_at(&nothing).await, "404");

    let page = serve(Router::new().fallback(async || Html("<h1>Welcome to nginx!</h1>"))).await;
    assert_wrong_address(&error_at(&page).await, "HTML page");

    let login = serve(Router::new().fallback(async || Redirect::to("https://sso.example.com/")));
    assert_wrong_address(
        &error_at(&login.await).await,
        "303 See Other to another host",
    );

    let other = serve(Router::new().fallback(any(async || r#"{"hello": "world"}"#))).await;
    assert_wrong_address(&error_at(&other).await, "access_token");
}

#[tokio::test]
async fn an_api_that_is_not_there_is_not_vaultwarden() {
    let only_identity = Router::new().route("/identity/connect/token", token());
    let url = serve(only_identity).await;
    assert_wrong_address(&error_at(&url).await, "/public/");

    let official = Router::new()
        .route("/identity/connect/token", token())
        .route("/api/config", get(async || r#"{"server": null}"#));
    let url = serve(official).await;
    assert_wrong_address(&error_at(&url).await, "call itself Vaultwarden");
}

#[tokio::test]
async fn an_api_that_was_there_before_is_expected_back() {
    let server = start(Config::cloud()).await;
    server.seed_member(MemberSeed::new("ann@example.com"));
    let gateway = Arc::new(AtomicBool::new(true));
    let (up, api) = (gateway.clone(), server.api_url());
    let lost = Router::new().fallback(
        async move |uri: axum::http::Uri, headers: axum::http::HeaderMap| {
            if !up.load(Ordering::Relaxed) {
                return Err((StatusCode::NOT_FOUND, "default backend - 404"));
            }
            let http = directory_sync::http::client(&Default::default()).unwrap();
            let request = http.get(format!("{api}{}", uri.path()));
            let answer = request.headers(headers).send().await.unwrap();
            Ok(answer.text().await.unwrap())
        },
    );
    let mut settings = settings(&server);
    settings.region = Region::Split {
        identity: Url::parse(&server.identity_url()).unwrap(),
        api: Url::parse(&serve(lost).await).unwrap(),
    };
    let client = OrganizationClient::new(settings).unwrap();
    content(&client).await;

    gateway.store(false, Ordering::Relaxed);
    let error = client.read().await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Transient { retry_after: None });
    assert!(error.to_string().contains("was there before"), "{error}");

    gateway.store(true, Ordering::Relaxed);
    assert_eq!(content(&client).await.members.len(), 1);
}

#[tokio::test]
async fn a_list_that_goes_on_elsewhere_is_not_complete() {
    let more = r#"{"object": "list", "data": [], "continuationToken": "more"}"#;
    let url = serve(
        Router::new()
            .route("/identity/connect/token", token())
            .fallback(any(async move || more)),
    )
    .await;
    let error = error_at(&url).await;
    assert_eq!(error.kind(), FaultKind::Incomplete);
    assert!(error.to_string().contains("continuation token"), "{error}");
}

#[tokio::test]
async fn what_this_version_does_not_know_is_kept_and_not_lost() {
    let members = r#"{"object": "list", "continuationToken": null, "new": {"a": [1]}, "data": [
        {"id": "6d656d62-6572-4000-8000-000000000001", "email": "A@example.com", "status": 7,
         "type": 9, "externalId": "", "collections": null, "alsoNew": 1},
        {"id": "6d656d62-6572-4000-8000-000000000002", "email": null, "status": 0, "type": 0,
         "externalId": null}]}"#;
    let groups = r#"{"data": []}"#;
    let url = serve(
        Router::new()
            .route("/identity/connect/token", token())
            .route("/api/public/members", get(async move || members))
            .route("/api/public/groups", get(async move || groups)),
    )
    .await;
    let region = Region::server(&url).unwrap();
    let key = ClientId::parse(KEY).unwrap();
    let client = OrganizationClient::new(Settings::new(region, key, "a-secret-key".into()));
    let content = content(&client.unwrap()).await;
    use directory_sync::organization::model::{MemberRole, MemberStatus};
    assert_eq!(content.members[0].status, MemberStatus::Other(7));
    assert_eq!(content.members[0].role, MemberRole::Other(9));
    assert_eq!(content.members[0].external_id, None, "empty is none");
    assert_eq!(content.members[0].email.as_str(), "a@example.com");
    assert_eq!(content.members[1].role, MemberRole::Owner);
}

#[tokio::test]
async fn nobody_there_passes_and_names_the_address() {
    let server = start(Config::cloud()).await;
    let url = server.url();
    drop(server);
    let error = error_at(&url).await;
    assert!(
        matches!(error, OrganizationError::Unreachable(_)),
        "{error:?}"
    );
    assert_eq!(error.kind(), FaultKind::Transient { retry_after: None });
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn being_throttled_for_long_passes_and_says_until_when() {
    for path in ["/api/public/members", "/identity/connect/token"] {
        let server = start(Config::cloud()).await;
        let throttled = Fault::new(Way::TooManyRequests { retry_after: 900 });
        server.faults().inject(throttled.path(path).from_then_on());
        let error = client(&server).read().await.unwrap_err();
        assert!(
            matches!(error, OrganizationError::Throttled { .. }),
            "{error:?}"
        );
        let retry_after = Some(Duration::from_secs(900));
        assert_eq!(error.kind(), FaultKind::Transient { retry_after });
    }
}

#[tokio::test]
async fn a_login_limit_without_a_time_is_waited_for_and_said_in_words() {
    let times = Arc::new(AtomicUsize::new(0));
    let count = times.clone();
    let limited = async move |headers: axum::http::HeaderMap| {
        assert!(headers.contains_key("bitwarden-client-version"));
        match count.fetch_add(1, Ordering::Relaxed) {
            // Vaultwarden's answer; there is no Retry-After.
            0..2 => (
                StatusCode::TOO_MANY_REQUESTS,
                r#"{"message": "Too many login requests", "error": "", "object": "error"}"#,
            ),
            _ => (
                StatusCode::OK,
                r#"{"access_token": "abcdefgh", "expires_in": 3600}"#,
            ),
        }
    };
    let list = async || r#"{"object": "list", "data": [], "continuationToken": null}"#;
    let url = serve(
        Router::new()
            .route("/identity/connect/token", post(limited))
            .route("/api/public/members", get(list))
            .route("/api/public/groups", get(list)),
    )
    .await;
    let mut settings = Settings::new(
        Region::server(&url).unwrap(),
        ClientId::parse(KEY).unwrap(),
        "a-secret-key".into(),
    );
    settings.retry.times = 0;
    settings.retry.longest_delay = Duration::from_millis(1);
    let client = OrganizationClient::new(settings.clone()).unwrap();
    let error = client.read().await.unwrap_err().to_string();
    assert!(error.contains("Too many login requests"), "{error}");
    assert!(!error.contains('{'), "no raw JSON: {error}");
    // Its empty fields leave nothing behind.
    assert!(error.contains(": Too many login requests"), "{error}");
    assert!(
        !error.contains(": :") && !error.contains("requests:"),
        "{error}"
    );
    assert!(client.read().await.is_ok(), "the third is let in");
    assert_eq!(times.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn when_the_url_names_a_service_the_error_says_to_leave_it_off() {
    let error = Region::server("https://vault.example.com/api/").unwrap_err();
    assert!(error.to_string().contains("leave /api off"), "{error}");
    assert!(Region::server("https://vault.example.com/identity").is_err());
    assert!(Region::server("https://example.com/vault").is_ok());
}
