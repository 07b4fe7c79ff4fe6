use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::post;
use data_encoding::BASE64;

use crate::lab::{BIND_PASSWORD, Lab};

/// Everything that everything below us has to say, too.
const EVERYTHING: &str = "trace";

#[tokio::test]
async fn no_secret_is_in_any_output_whatever_is_logged() {
    let lab = Lab::new().await.with_leaver();
    let secrets = secrets_of(&lab);
    let log = [(
        "DIRECTORY_SYNC_LOG_LEVEL",
        "trace,directory_sync=trace,h2=trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,ldap3=trace",
    )];
    assert!(log[0].1.starts_with(EVERYTHING));

    for words in [
        "check -f .",
        "plan -f . -o json",
        "sync -f . --yes",
        "sync -f . --yes --log-format json",
    ] {
        let ran = lab.run_with(words, &log).await;
        let said = ran.to_string();
        assert!(said.contains("TRACE"), "nothing was logged: {said}");
        for secret in &secrets {
            assert!(
                !said.contains(secret),
                "a secret is in the output of {words}: {said}"
            );
        }
    }

    let other = lab.organization.client_secret();
    lab.organization.rotate_secret("rotated");
    let refused = lab.run_with("sync -f . --yes", &log).await.ends_with(1);
    assert!(!refused.to_string().contains(&other), "{refused}");
}

/// What a receiver of traces was sent: path, content type, body.
type Received = Arc<Mutex<Vec<(String, String, Bytes)>>>;

#[tokio::test]
async fn spans_of_a_run_reach_the_receiver_before_the_end_and_carry_no_secret() {
    let lab = Lab::new().await;
    let (endpoint, received) = otlp_receiver().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_SERVICE_NAME", "sync-of-a-test"),
    ];

    let sync = lab.run_with("sync -f . -q --yes", &variables).await;
    sync.ends_with(0);

    let received = received.lock().unwrap();
    let [(path, content_type, body)] = received.as_slice() else {
        panic!("one batch was expected: {received:?}");
    };
    assert_eq!(path, "/v1/traces");
    assert_eq!(content_type, "application/x-protobuf");
    for text in [
        "sync-of-a-test",
        "identity",
        "staff",
        "read_directory",
        "read_organization",
        "apply",
        "/public/organization/import",
    ] {
        assert!(holds(body, text), "{text} is missing");
    }
    for secret in secrets_of(&lab) {
        assert!(!holds(body, &secret), "a secret was sent");
    }
}

#[tokio::test]
async fn a_receiver_of_traces_that_is_away_doesnt_change_how_a_command_ends() {
    let lab = Lab::new().await;

    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    lab.run_with("plan -f . -q", &variables)
        .await
        .ends_with(0)
        .prints("ada@example.com");

    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    lab.run_with("plan -f . -q", &variables)
        .await
        .ends_with(1)
        .complains("http/protobuf");
}

fn secrets_of(lab: &Lab) -> Vec<String> {
    let secrets = [BIND_PASSWORD.to_owned(), lab.organization.client_secret()];
    let encoded = secrets
        .iter()
        .map(|secret| BASE64.encode(secret.as_bytes()));
    encoded
        .collect::<Vec<_>>()
        .into_iter()
        .chain(secrets.clone())
        .collect()
}

/// The least of an OTLP receiver: takes everything, keeps it.
async fn otlp_receiver() -> (String, Received) {
    let received = Received::default();
    let keep =
        async |State(received): State<Received>, uri: Uri, headers: HeaderMap, body: Bytes| {
            let content_type = headers["content-type"].to_str().unwrap().to_owned();
            let mut received = received.lock().unwrap();
            received.push((uri.path().to_owned(), content_type, body));
        };
    let app = Router::new()
        .fallback(post(keep))
        .with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (endpoint, received)
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len())
        .any(|window| window == text.as_bytes())
}
