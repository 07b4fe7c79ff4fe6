//! Servers of somebody who wants to harm the operator, or the others who use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::net::TcpListener;

/// What a server does with every request but the one for a token, which it grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Sends a byte every two seconds.
    Drip,
    /// Accepts the request and never answers.
    Silence,
    /// Asks to come again after as long as is just worth waiting for.
    ComeAgain,
    /// Has always another page with this many people, after this many milliseconds.
    EndlessPages(usize, u64),
    /// Has one group, whose members have always another page of this many.
    EndlessMembers(usize),
    /// Sends a body as compressed by gzip.
    Compressed(&'static [u8]),
}

/// Starts a server on loopback, for Okta and for an organization; its URL. It ends with the runtime.
pub async fn server(harm: Harm) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (address, count) = (url.clone(), Arc::new(AtomicU64::new(0)));
    let answer = move |uri: Uri| answer(harm, uri, address.clone(), count.clone());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

async fn answer(harm: Harm, uri: Uri, address: String, count: Arc<AtomicU64>) -> Response {
    if uri.path().contains("token") {
        let token = json!({"access_token": "a-token-of-this-test", "token_type": "Bearer",
            "expires_in": 3600, "scope": "api.organization"});
        return axum::Json(token).into_response();
    }
    let is_json = [(header::CONTENT_TYPE, "application/json")];
    match harm {
        Harm::Drip => {
            let bytes = stream::repeat(Bytes::from_static(b" ")).then(|byte| async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok::<_, std::io::Error>(byte)
            });
            (is_json, Body::from_stream(bytes)).into_response()
        }
        Harm::Silence => std::future::pending().await,
        Harm::ComeAgain => {
            let wait = [(header::RETRY_AFTER, "60")];
            (StatusCode::TOO_MANY_REQUESTS, wait, "{}").into_response()
        }
        Harm::Compressed(bytes) => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (is_json, encoding, bytes).into_response()
        }
        Harm::EndlessPages(..) | Harm::EndlessMembers(_) if uri.path().contains("/public/") => {
            axum::Json(json!({"object": "list", "data": []})).into_response()
        }
        Harm::EndlessPages(size, pause) => {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            people(size, &uri, &address, &count)
        }
        Harm::EndlessMembers(_) if uri.path().ends_with("/groups") => {
            let group =
                json!([{"id": "00g1", "type": "OKTA_GROUP", "profile": {"name": "endless"}}]);
            (links(&uri, &address, None), axum::Json(group)).into_response()
        }
        Harm::EndlessMembers(size) if uri.path().contains("/groups/") => {
            people(size, &uri, &address, &count)
        }
        Harm::EndlessMembers(_) => {
            (links(&uri, &address, None), axum::Json(json!([]))).into_response()
        }
    }
}

/// A page of people who weren't there before.
fn people(size: usize, uri: &Uri, address: &str, count: &AtomicU64) -> Response {
    let page = count.fetch_add(1, Ordering::Relaxed);
    let people = (0..size).map(|number| {
        let id = format!("00u{page:012}{number:05}");
        let email = format!("p{page}.{number}@example.com");
        json!({"id": id, "status": "ACTIVE", "type": "OKTA_GROUP",
            "profile": {"login": email, "email": email, "name": email}})
    });
    let people: Vec<_> = people.collect();
    let next = format!("after=p{page}");
    (links(uri, address, Some(&next)), axum::Json(people)).into_response()
}

fn links(uri: &Uri, address: &str, next: Option<&str>) -> HeaderMap {
    let mut links = format!("<{address}{uri}>; rel=\"self\"");
    if let Some(next) = next {
        links = format!("{links}, <{address}{}?{next}>; rel=\"next\"", uri.path());
    }
    HeaderMap::from_iter([(header::LINK, links.parse().unwrap())])
}
