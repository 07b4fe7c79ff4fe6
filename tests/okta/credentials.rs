//! API tokens and service apps: what works, and what an error says to do.

use directory_sync::source::SourceErrorKind;
use directory_sync::source::okta::Credentials;
use serde_json::Value;
use simulators::fault::{Fault, Way, Work};
use simulators::okta::{Config, PublicKey, RateLimitBucket, ServiceApp, SimulatedOkta, UserSeed};

use crate::harness::*;

pub const CLIENT_ID: &str = "0oaserviceapp";

pub const RSA: &str = include_str!("keys/rsa.pem");
pub const P256: &str = include_str!("keys/p256.pem");

const JWKS: [&str; 3] = [
    include_str!("keys/rsa.jwk.json"),
    include_str!("keys/p256.jwk.json"),
    include_str!("keys/p384.jwk.json"),
];

/// Each kind of key in each form it is stored in, with the id it is registered under.
const KEYS: [(&str, &str); 9] = [
    ("key-of-rsa", RSA),
    ("key-of-rsa", include_str!("keys/rsa-pkcs1.pem")),
    ("key-of-rsa", JWKS[0]),
    ("key-of-p256", P256),
    ("key-of-p256", include_str!("keys/p256-sec1.pem")),
    ("key-of-p256", JWKS[1]),
    ("key-of-p384", include_str!("keys/p384.pem")),
    ("key-of-p384", include_str!("keys/p384-sec1.pem")),
    ("key-of-p384", JWKS[2]),
];

pub fn app() -> ServiceApp {
    let keys = JWKS.map(|text| {
        let jwk: Value = serde_json::from_str(text).unwrap();
        let id = jwk["kid"].as_str().unwrap().to_owned();
        (id, PublicKey::from_jwk(&jwk).unwrap())
    });
    ServiceApp {
        client_id: CLIENT_ID.to_owned(),
        keys: keys.into(),
        scopes: ["okta.users.read", "okta.groups.read", "okta.apps.read"]
            .map(str::to_owned)
            .to_vec(),
        requires_dpop: false,
    }
}

async fn organization_with_app(app: ServiceApp) -> SimulatedOkta {
    let okta = organization_with(Config {
        app: Some(app),
        ..Config::default()
    })
    .await;
    let ann = okta.user(UserSeed::new("ann@example.com"));
    okta.application("0oabitwarden", &[&ann], &[]);
    okta
}

fn with_key(okta: &SimulatedOkta, key: &str, id: Option<&str>) -> OktaSetup {
    let credentials = Credentials::ServiceApp {
        client_id: CLIENT_ID.to_owned(),
        private_key: key.into(),
        key_id: id.map(str::to_owned),
    };
    settings_with(okta, credentials)
}

fn tokens_asked(okta: &SimulatedOkta) -> usize {
    let requests = okta.requests();
    requests
        .iter()
        .filter(|r| r.path == "/oauth2/v1/token")
        .count()
}

#[tokio::test]
async fn a_service_app_gets_in_with_every_kind_of_key() {
    let okta = organization_with_app(app()).await;
    for (id, key) in KEYS {
        okta.clear_requests();
        // A JWK tells its id itself.
        let id = (!key.starts_with('{')).then_some(id);
        let seen = read(with_key(&okta, key, id)).await;
        assert_eq!(seen.emails(), ["ann@example.com"], "{id:?}");
        assert_eq!(tokens_asked(&okta), 1, "one token serves all requests");
    }
}

#[tokio::test]
async fn a_wrong_key_a_wrong_id_and_no_id_among_several_are_refused_with_advice() {
    let okta = organization_with_app(app()).await;
    let other = include_str!("keys/other.pem");
    for (key, id) in [
        (other, Some("key-of-rsa")),
        (RSA, Some("key-of-p256")),
        (RSA, Some("nobodys")),
        (RSA, None),
    ] {
        let error = failure(with_key(&okta, key, id)).await;
        assert_eq!(error.kind, SourceErrorKind::Configuration, "{error}");
        assert!(error.message.contains("invalid_client"), "{error}");
        assert!(error.message.contains("keyId"), "{error}");
    }
}

#[tokio::test]
async fn an_assertion_is_for_the_address_it_is_sent_to() {
    let okta = organization_with_app(app()).await;
    let settings = with_key(&okta, P256, Some("key-of-p256"));
    // The organization has another address than the one it was asked at.
    okta.set_public_url("https://example.okta.com");
    let error = failure(settings).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("audience"), "{error}");
}

#[tokio::test]
async fn what_cannot_sign_is_refused_before_anything_is_sent_and_never_shown() {
    let okta = organization_with_app(app()).await;
    for key in [
        "not a key at all",
        "{\"kty\": \"oct\", \"k\": \"c2VjcmV0LXNlY3JldA\"}",
        include_str!("keys/rsa.pem").split_at(400).0,
    ] {
        let error = failure(with_key(&okta, key, None)).await;
        assert_eq!(error.kind, SourceErrorKind::Configuration);
        assert!(error.message.contains("private key"), "{error}");
        assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
    }
    assert_eq!(okta.requests().len(), 0);
}

#[tokio::test]
async fn an_assertion_whose_answer_is_lost_is_not_sent_a_second_time() {
    let okta = organization_with_app(app()).await;
    for way in [Way::CutConnection, Way::InternalError, Way::Unavailable] {
        okta.clear_requests();
        okta.faults().clear();
        let fault = Fault::new(way).work(Work::Done).path("/oauth2/");
        okta.faults().inject(fault);
        let seen = read(with_key(&okta, P256, Some("key-of-p256"))).await;
        assert_eq!(seen.users.len(), 1, "a replayed assertion would be refused");
        assert_eq!(tokens_asked(&okta), 2, "{way:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_is_replaced() {
    let okta = organization_with_app(app()).await;
    let settings = with_key(&okta, P256, Some("key-of-p256"));
    let source = source(settings).unwrap();
    let read = async || {
        use directory_sync::source::Source as _;
        source.read(None, &Default::default()).await.unwrap()
    };
    read().await;
    okta.revoke_access_tokens();
    read().await;
    assert_eq!(tokens_asked(&okta), 2);
}

#[tokio::test]
async fn scopes_are_asked_for_as_needed_and_missing_ones_are_named() {
    let mut narrow = app();
    narrow.scopes.truncate(2);
    let okta = organization_with_app(narrow).await;
    let mut settings = with_key(&okta, P256, Some("key-of-p256"));
    assert_eq!(read(settings.clone()).await.users.len(), 1);

    settings.application_id = Some("0oabitwarden".into());
    let error = failure(settings).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("okta.apps.read"), "{error}");
}

/// Okta refuses an access token without the scope by a header alone.
#[tokio::test]
async fn a_403_without_a_body_is_a_missing_scope_and_not_another_server() {
    let refusal = async || {
        let header = [("www-authenticate", "Bearer error=\"insufficient_scope\"")];
        (axum::http::StatusCode::FORBIDDEN, header)
    };
    let router = axum::Router::new().fallback(refusal);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let okta = organization().await;
    let mut setup = settings(&okta);
    setup.settings.org_url = url.parse().unwrap();

    let error = failure(setup).await;

    assert_eq!(error.kind, SourceErrorKind::Configuration);
    // Whichever list is asked for first.
    for part in [
        "403 without an error code",
        "give a service app the scope okta.",
    ] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[tokio::test]
async fn what_the_tokens_owner_may_not_see_is_named_and_is_not_taken_for_nothing() {
    let scopes = [
        (RateLimitBucket::Users, "okta.users.read"),
        (RateLimitBucket::Groups, "okta.groups.read"),
        (RateLimitBucket::Apps, "okta.apps.read"),
    ];
    for (bucket, scope) in scopes {
        let okta = organization_with_app(app()).await;
        okta.forbid(bucket);
        let mut settings = with_key(&okta, P256, Some("key-of-p256"));
        settings.application_id = Some("0oabitwarden".into());
        let error = failure(settings).await;
        assert_eq!(error.kind, SourceErrorKind::Configuration, "{error}");
        assert!(error.message.contains("E0000006"), "{error}");
        assert!(error.message.contains(scope), "{error}");
        assert!(error.message.contains("role"), "{error}");
    }
}

#[tokio::test]
async fn when_an_app_wants_bound_tokens_the_error_says_what_to_turn_off() {
    let mut bound = app();
    bound.requires_dpop = true;
    let okta = organization_with_app(bound).await;
    let error = failure(with_key(&okta, P256, Some("key-of-p256"))).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("DPoP"), "{error}");
}

#[tokio::test]
async fn a_wrong_api_token_is_for_the_user_to_fix_and_is_never_shown() {
    let okta = organization_with_app(app()).await;
    let secret = "00quite-another-token-zzzzzzzzzzzzzzzzzzz";
    let settings = settings_with(&okta, Credentials::ApiToken(secret.into()));
    let error = failure(settings.clone()).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert!(error.message.contains("E0000011"), "{error}");
    assert!(!format!("{settings:?} {error:?}").contains(secret));
}
