//! One token for all, renewed in time and when it is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use directory_sync::http::{Answer, CallName, Failure, HttpError, Token, TokenCache, TokenSource};
use futures::future::BoxFuture;
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;

use super::server::{Canned, Server};
use super::{get, remote};

/// Issues `token-1`, `token-2` …, each after a moment; fails where told.
#[derive(Debug, Clone, Default)]
struct Issuer {
    issued: Arc<AtomicUsize>,
    broken: bool,
    lifetime: Option<Duration>,
}

impl TokenSource for Issuer {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
            if self.broken {
                let url = Url::parse("https://identity.example.com/token").unwrap();
                return Err(HttpError {
                    call: CallName::new(&Method::POST, &url),
                    failure: Failure::Status(Box::new(Answer::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        None,
                        None,
                    ))),
                });
            }
            Ok(Token {
                secret: format!("token-{number}").into(),
                lifetime: self.lifetime.unwrap_or(Duration::from_secs(3600)),
            })
        })
    }
}

async fn current(cache: &TokenCache) -> (String, u64) {
    let (token, generation) = cache.get().await.unwrap();
    (token.expose_secret().to_owned(), generation)
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_at_once_one_token_is_issued() {
    let issuer = Issuer::default();
    let cache = TokenCache::new(issuer.clone());
    futures::future::join_all((0..50).map(|_| current(&cache))).await;
    assert_eq!(issuer.issued.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_its_end() {
    let cache = TokenCache::new(Issuer::default());
    assert_eq!(current(&cache).await.0, "token-1");
    tokio::time::advance(Duration::from_secs(3530)).await;
    assert_eq!(current(&cache).await.0, "token-1");
    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(current(&cache).await.0, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_that_no_clock_reaches_is_a_day() {
    let cache = TokenCache::new(Issuer {
        lifetime: Some(Duration::MAX),
        ..Issuer::default()
    });
    assert_eq!(current(&cache).await.0, "token-1");
    tokio::time::advance(Duration::from_hours(24)).await;
    assert_eq!(current(&cache).await.0, "token-2");
}

#[tokio::test(start_paused = true)]
async fn many_who_meet_the_same_refused_token_cost_one_new_one() {
    let issuer = Issuer::default();
    let cache = TokenCache::new(issuer.clone());
    let (_, generation) = current(&cache).await;
    let again = (0..20).map(async |_| {
        cache.refused(generation).await;
        current(&cache).await.0
    });
    let tokens = futures::future::join_all(again).await;
    assert!(tokens.iter().all(|token| token == "token-2"));
    assert_eq!(issuer.issued.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_then_believed_refused() {
    let server = Server::start([Canned::status(401)]).await;
    let issuer = Issuer::default();
    let mut remote = remote();
    remote.token = Some(Arc::new(TokenCache::new(issuer.clone())));
    let error = remote.done(&get(&server)).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].contains("Bearer token-1"));
    assert!(requests[1].contains("Bearer token-2"));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let server = Server::start([Canned::json("{}")]).await;
    let issuer = Issuer {
        broken: true,
        ..Issuer::default()
    };
    let mut remote = remote();
    remote.token = Some(Arc::new(TokenCache::new(issuer.clone())));
    let error = remote.done(&get(&server)).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Token(_)), "{error}");
    assert!(server.requests().is_empty());
    assert_eq!(
        issuer.issued.load(Ordering::Relaxed),
        1,
        "who issues tokens tries again by itself"
    );
}
