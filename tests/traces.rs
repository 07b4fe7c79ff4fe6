//! Traces as their receiver sees them. One test only: the exporter reads the environment of the
//! whole process.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::post;
use directory_sync::telemetry::{LogFormat, LogSettings, Object, Telemetry};
use secrecy::SecretString;

const SECRET: &str = "hunter2-hunter2";

/// What the receiver was sent: path, content type, body.
type Received = Arc<Mutex<Vec<(String, String, Bytes)>>>;

#[test]
fn spans_of_a_run_reach_the_receiver_before_the_end_and_carry_no_secret() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", Some(endpoint.as_str())),
        ("OTEL_SERVICE_NAME", Some("sync-of-a-test")),
        ("NO_PROXY", Some("127.0.0.1")),
    ];
    let received = temp_env::with_vars(variables, || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let received = receive(listener);
            traced_run().await;
            received
        })
    });

    let received = received.lock().unwrap();
    let [(path, content_type, body)] = received.as_slice() else {
        panic!("one batch was expected: {received:?}");
    };
    assert_eq!(path, "/v1/traces");
    assert_eq!(content_type, "application/x-protobuf");
    for text in [
        "sync-of-a-test",
        "read_directory",
        "identity",
        "staff",
        "read 3 people",
    ] {
        assert!(holds(body, text), "{text} is missing");
    }
    assert!(!holds(body, SECRET), "a secret was sent");
    assert!(
        !holds(body, "a library's span"),
        "only our own spans are sent"
    );
}

async fn traced_run() {
    let settings = LogSettings {
        format: LogFormat::Json,
        filter: "off".parse().unwrap(),
    };
    let telemetry = Telemetry::start(&settings).unwrap();
    let password = SecretString::from(SECRET);
    Object::new("identity", "staff").span().in_scope(|| {
        tracing::info_span!(target: "directory_sync::source", "read_directory", ?password)
            .in_scope(|| {
                tracing::info!(target: "directory_sync::source", ?password, "read 3 people");
                tracing::info_span!(target: "hyper", "a library's span").in_scope(|| {});
            });
    });
    telemetry.shutdown().await;
}

/// The least of an OTLP receiver: takes everything, keeps it.
fn receive(listener: std::net::TcpListener) -> Received {
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
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    received
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len())
        .any(|window| window == text.as_bytes())
}
