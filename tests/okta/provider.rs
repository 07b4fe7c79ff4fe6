//! Assertions before an OpenID provider that others wrote.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use directory_sync::source::okta::Credentials;
use directory_sync_testing::client;
use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{LabError, find, free_port, node_js, or_skip};
use tokio::sync::watch;

use crate::harness::*;

const PATH: &str = "/oauth2/v1/token";

/// Stands before the provider and remembers what was sent.
#[derive(Clone)]
struct Door {
    provider: String,
    /// The address that the provider takes for its own.
    host: Arc<Mutex<String>>,
    sent: Arc<Mutex<Vec<Bytes>>>,
}

impl Door {
    /// Passes a token request on; status and body of the answer.
    async fn pass(&self, body: Bytes) -> (StatusCode, Value) {
        let host = self.host.lock().unwrap().clone();
        let answer = client()
            .post(format!("{}{PATH}", self.provider))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("X-Forwarded-Host", host)
            .header("X-Forwarded-Proto", "http")
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

async fn knock(
    State(door): State<Door>,
    body: Bytes,
) -> (StatusCode, HeaderMap, axum::Json<Value>) {
    door.sent.lock().unwrap().push(body.clone());
    let (status, body) = door.pass(body).await;
    (status, HeaderMap::new(), axum::Json(body))
}

struct Provider {
    door: Door,
    address: std::net::SocketAddr,
    process: Process,
    _served: simulators::wire::Served,
}

impl Provider {
    async fn start() -> Result<Self, LabError> {
        let library = find("oidc-provider")?;
        let port = free_port()?;
        let door = Door {
            provider: format!("http://127.0.0.1:{port}"),
            host: Arc::default(),
            sent: Arc::default(),
        };
        let router = Router::new()
            .route(PATH, post(knock))
            .with_state(door.clone());
        let (stopping, _) = watch::channel(false);
        let served = simulators::wire::Served::start(router, 0, stopping)
            .await
            .unwrap();
        let address = served.address();
        *door.host.lock().unwrap() = address.to_string();

        let folder = tempfile::tempdir().unwrap().keep();
        let jwks = folder.join("jwks.json");
        std::fs::write(&jwks, public_keys().to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/okta/provider.mjs");
        let arguments = [
            script.to_str().unwrap(),
            library.to_str().unwrap(),
            &port.to_string(),
            &format!("http://{address}"),
            jwks.to_str().unwrap(),
        ]
        .map(str::to_owned);
        let mut process = Process::start(&node_js()?, arguments, &folder)?;
        process.wait_for_port(port)?;
        Ok(Self {
            door,
            address,
            process,
            _served: served,
        })
    }

    /// What a check with this key at this address says of the token.
    async fn token(&self, org_url: &str, key: &str, id: Option<&str>) -> Result<String, String> {
        let okta = organization().await;
        let credentials = Credentials::ServiceApp {
            client_id: "0oaserviceapp".to_owned(),
            private_key: key.into(),
            key_id: id.map(str::to_owned),
        };
        let mut settings = settings_with(&okta, credentials);
        settings.org_url = org_url.parse().unwrap();
        let step = check(settings).await.swap_remove(0);
        assert_eq!(step.name, "get an access token");
        step.result
    }
}

const KEYS: [&str; 3] = [
    include_str!("keys/rsa.jwk.json"),
    include_str!("keys/p256.jwk.json"),
    include_str!("keys/p384.jwk.json"),
];

fn public_keys() -> Value {
    let public = KEYS.map(|text| {
        let mut jwk: Value = serde_json::from_str(text).unwrap();
        let parts = jwk.as_object_mut().unwrap();
        parts.retain(|name, _| ["kty", "kid", "n", "e", "crv", "x", "y"].contains(&&**name));
        jwk
    });
    json!({ "keys": public })
}

#[tokio::test(flavor = "multi_thread")]
async fn assertions_are_accepted_by_a_provider_of_others_and_refused_when_wrong_or_used() {
    let test = "assertions_are_accepted_by_a_provider_of_others_and_refused_when_wrong_or_used";
    let Some(provider) = or_skip(test, Provider::start().await) else {
        return;
    };
    let own = format!("http://{}", provider.address);
    for key in KEYS {
        provider.token(&own, key, None).await.unwrap();
    }
    for (key, id) in [
        (crate::credentials::RSA, "key-of-rsa"),
        (crate::credentials::P256, "key-of-p256"),
    ] {
        provider.token(&own, key, Some(id)).await.unwrap();
    }

    let used = provider.door.sent.lock().unwrap().last().unwrap().clone();
    let (status, body) = provider.door.pass(used).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert_eq!(body["error"], "invalid_client");
    assert!(provider.process.log().contains("only be used once"));

    // The same door by another name is another audience.
    let elsewhere = format!("http://localhost:{}", provider.address.port());
    let refused = provider.token(&elsewhere, KEYS[1], None).await.unwrap_err();
    assert!(refused.contains("invalid_client"), "{refused}");
    assert!(provider.process.log().contains("audience (aud) must equal"));

    let stranger = include_str!("keys/other.pem");
    let refused = provider.token(&own, stranger, Some("key-of-rsa")).await;
    assert!(refused.unwrap_err().contains("invalid_client"));
}
