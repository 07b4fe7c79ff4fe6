//! The HTTP client for all, against a server that answers byte for byte what a test says.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod pace;
mod retry;
mod secrecy;
mod server;
mod tls;
mod token;

use std::sync::Arc;
use std::time::Duration;

use directory_sync::http::{
    ApiClient, ApiError, Call, ClientSettings, Failure, HttpError, RateLimit, RateLimiter,
    Redactor, Retry, Unobserved, Vendor, client,
};
use reqwest::{Method, Url};
use server::{Canned, Server};

/// Four quick tries after the first.
fn quick() -> Retry {
    Retry {
        first_delay: Duration::from_millis(2),
        longest_delay: Duration::from_millis(10),
        ..Retry::default()
    }
}

fn remote() -> ApiClient {
    let settings = ClientSettings {
        connect_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(2),
        ..ClientSettings::default()
    };
    ApiClient {
        client: client(&settings).unwrap(),
        limit: Arc::new(RateLimiter::unlimited()) as Arc<dyn RateLimit>,
        retry: quick(),
        observer: Arc::new(Unobserved),
        token: None,
        secrets: Arc::new(Redactor::new()),
    }
}

fn get(server: &Server) -> Call {
    let url = Url::parse(&format!("{}/things?key=hush-hush", server.url())).unwrap();
    Call::new(Method::GET, url, "/things")
}

async fn numbers(server: &Server) -> Result<Vec<u32>, HttpError> {
    remote().json(&get(server), 1 << 20).await
}

#[tokio::test]
async fn a_body_is_decoded_whole() {
    let server = Server::start([Canned::json("[1, 2, 3]")]).await;
    assert_eq!(numbers(&server).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn a_compressed_body_is_decoded_too() {
    const ONE_TO_TEN: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x8b\x36\xd4\x31\xd2\x31\xd6\x31\xd1\x31\xd5\x31\xd3\x31\xd7\xb1\xd0\xb1\xd4\x31\x34\x88\x05\x00\x1a\x75\x3d\x8e\x16\x00\x00\x00";
    let gzip = |body: &[u8]| Canned::json(body).header("Content-Encoding: gzip");

    let whole = Server::start([gzip(ONE_TO_TEN)]).await;
    assert_eq!(numbers(&whole).await.unwrap().len(), 10);

    let cut = &ONE_TO_TEN[..ONE_TO_TEN.len() - 10];
    let cut = Server::start(vec![gzip(cut); 5]).await;
    let error = numbers(&cut).await.unwrap_err();
    assert!(
        matches!(error.failure, Failure::Interrupted(_)),
        "a compressed body that ends early is no shorter list: {error}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_never_a_shorter_list() {
    let whole = "[1,2,3,4,5]";
    for length in 0..whole.len() {
        for canned in [
            Canned::json(&whole[..length]).promising(whole.len()),
            Canned::json(&whole[..length]).chunked_without_end(),
            // Announced as whole, yet not: a proxy that cut it without telling.
            Canned::json(&whole[..length]),
        ] {
            let server = Server::start(vec![canned; 5]).await;
            let error = numbers(&server).await.unwrap_err();
            assert!(
                matches!(error.failure, Failure::Interrupted(_)),
                "{length} bytes: {error}"
            );
            assert_eq!(server.requests().len(), 5, "it is asked for again");
        }
    }
}

#[tokio::test]
async fn a_whole_value_whose_end_was_not_seen_is_not_believed() {
    let canned = Canned::json("[1,2,3]").chunked_without_end();
    let server = Server::start(vec![canned; 5]).await;
    assert!(numbers(&server).await.is_err());
}

#[tokio::test]
async fn a_body_larger_than_expected_is_refused() {
    let server = Server::start([Canned::json("[1,2,3,4,5,6,7,8,9]")]).await;
    let result: Result<Vec<u32>, _> = remote().json(&get(&server), 10).await;
    let error = result.unwrap_err();
    assert!(matches!(error.failure, Failure::TooLarge(10)), "{error}");
}

#[tokio::test]
async fn a_page_for_people_is_distinguished_from_an_answer() {
    let server = Server::start([Canned::html("<html>Sign in</html>")]).await;
    let error = numbers(&server).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Html), "{error}");

    let server = Server::start([Canned::html("<html>Sign in</html>")]).await;
    let error = remote().done(&get(&server)).await.unwrap_err();
    assert!(
        matches!(error.failure, Failure::Html),
        "and isn't taken for the success of a change: {error}"
    );
}

#[tokio::test]
async fn a_redirect_is_reported_and_not_followed() {
    let to = "Location: https://login.example.com/start?ticket=abc";
    let server = Server::start([Canned::status(302).header(to)]).await;
    let error = numbers(&server).await.unwrap_err().to_string();
    assert!(error.contains("302"), "{error}");
    assert!(error.contains(" to another host"), "{error}");
    assert!(
        !error.contains("login") && !error.contains("start"),
        "{error}"
    );

    let to = "Location: /start?ticket=abc";
    let server = Server::start([Canned::status(302).header(to)]).await;
    let error = numbers(&server).await.unwrap_err().to_string();
    assert!(error.contains(" to http://127.0.0.1:"), "{error}");
    assert!(!error.contains("start"), "only the host is shown: {error}");
}

#[tokio::test]
async fn nothing_of_a_body_is_shown_that_nobody_recognises() {
    for body in ["internal: build 4711", r#"{"internal": "build 4711"}"#] {
        let server = Server::start([Canned::status(418).body(body)]).await;
        let error = numbers(&server).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("418"), "{shown}");
        assert!(!shown.contains("4711"), "{shown}");
    }
}

#[tokio::test]
async fn what_is_recognised_is_shown_short_and_on_one_line() {
    let message = format!("no\\n\\u001b[31mway {}", "x".repeat(10_000));
    let body = format!(r#"{{"message": "{message}"}}"#);
    let server = Server::start([Canned::status(418).body(&body)]).await;
    let vendor = Vendor {
        name: "Example",
        address: "url",
        throttled: "slow down",
        said: |answer| answer.fields::<Message>().message,
    };
    let error = ApiError::of(numbers(&server).await.unwrap_err(), &vendor, |_| None);
    let error = error.to_string();
    assert!(error.contains("no  [31mway xxx"), "{error}");
    assert!(error.chars().count() < 400, "{error}");
    assert!(!error.chars().any(char::is_control), "{error:?}");
}

#[derive(Default, serde::Deserialize)]
struct Message {
    message: Option<String>,
}

#[tokio::test]
async fn an_error_names_method_address_and_cause_without_the_query() {
    let server = Server::start([]).await;
    let address = server.url();
    let call = get(&server);
    server.stop().await;
    let result: Result<Vec<u32>, _> = remote().json(&call, 10).await;
    let error = result.unwrap_err();
    assert!(matches!(error.failure, Failure::Unreachable(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("GET {address}/things: can't connect")),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
    assert!(!text.contains("hush-hush"), "{text}");
}
