//! What is sent again, when, and what isn't.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use directory_sync::http::{Call, CallOutcome, Idempotency, Observer, Retry};
use reqwest::{Method, Url};

use super::server::{Canned, Server};
use super::{get, numbers, quick, remote};

#[tokio::test]
async fn what_may_pass_is_sent_again() {
    for failing in [
        Canned::status(408),
        Canned::status(429),
        Canned::status(500),
        Canned::status(502),
        Canned::status(503),
        Canned::status(504),
        Canned::status(524),
        Canned::cut(),
    ] {
        let server = Server::start([failing.clone(), failing, Canned::json("[7]")]).await;
        assert_eq!(numbers(&server).await.unwrap(), [7]);
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn what_stays_as_it_is_is_sent_once() {
    for status in [301, 400, 401, 403, 404, 409, 413, 501] {
        let server = Server::start([Canned::status(status)]).await;
        assert!(numbers(&server).await.is_err());
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn trying_again_has_an_end() {
    let server = Server::start([Canned::status(503)]).await;
    let error = numbers(&server).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(server.requests().len(), 1 + quick().times);
}

#[tokio::test]
async fn a_change_that_must_not_be_doubled_is_sent_again_only_where_it_was_not_done() {
    let sent = async |failing: Canned, idempotency| {
        let server = Server::start([failing, Canned::json("{}")]).await;
        let url = Url::parse(&server.url()).unwrap();
        let call = Call::new(Method::POST, url, "/").idempotency(idempotency);
        let _ = remote().done(&call).await;
        server.requests().len()
    };
    let only_if_undone = Idempotency::NonIdempotent;
    assert_eq!(sent(Canned::status(429), only_if_undone).await, 2);
    assert_eq!(sent(Canned::status(503), only_if_undone).await, 1);
    assert_eq!(sent(Canned::cut(), only_if_undone).await, 1);
    assert_eq!(sent(Canned::status(500), only_if_undone).await, 1);
    assert_eq!(sent(Canned::status(500), Idempotency::Always).await, 2);
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let throttled = Canned::status(429).header("Retry-After: 1");
    let server = Server::start([throttled, Canned::json("[7]")]).await;
    let started = Instant::now();
    assert_eq!(numbers(&server).await.unwrap(), [7]);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_retry_after_beyond_the_longest_wait_is_reported_and_not_waited_for() {
    let throttled = Canned::status(429).header("Retry-After: 3600");
    let server = Server::start([throttled]).await;
    let started = Instant::now();
    let error = numbers(&server).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1));
    let retry_after = error.failure.answer().unwrap().retry_after;
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn all_waits_of_one_request_together_have_an_end() {
    let throttled = Canned::status(503).header("Retry-After: 1");
    let server = Server::start([throttled]).await;
    let mut remote = remote();
    remote.retry = Retry {
        times: 1_000,
        longest_wait: Duration::from_millis(1_500),
        ..quick()
    };
    let result: Result<Vec<u32>, _> = remote.json(&get(&server), 10).await;
    assert!(result.is_err());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn silence_ends_in_an_error() {
    // Accepts and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let call = Call::new(Method::GET, Url::parse(&url).unwrap(), "/")
        .idempotency(Idempotency::NonIdempotent);
    let error = remote().done(&call).await.unwrap_err().to_string();
    assert!(error.contains("nothing came in time"), "{error}");
    drop(listener);
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(&'static str, CallOutcome)>>);

impl Observer for Seen {
    fn request(&self, endpoint: &'static str, outcome: CallOutcome, _: Duration) {
        self.0.lock().unwrap().push((endpoint, outcome));
    }
}

#[tokio::test]
async fn each_try_is_reported_to_the_observer() {
    let answers = [Canned::status(503), Canned::cut(), Canned::json("[7]")];
    let server = Server::start(answers).await;
    let seen = Arc::new(Seen::default());
    let mut remote = remote();
    remote.observer = seen.clone();
    let _: Vec<u32> = remote.json(&get(&server), 10).await.unwrap();
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            ("/things", CallOutcome::Status(503)),
            ("/things", CallOutcome::Interrupted),
            ("/things", CallOutcome::Status(200)),
        ]
    );
}
