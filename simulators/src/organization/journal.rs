//! The log of requests: who asked what, what was answered.

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answers::Refusal;
use super::server::Shared;
use crate::fault::{Failed, Way};
use crate::wire::Wire;

/// One request, in the order of arrival.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Counted from the server's start.
    pub number: u64,
    /// Who sent it.
    pub peer: IpAddr,
    /// `GET`, `POST` …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// None: not answered (yet, or ever).
    pub status: Option<u16>,
    /// What an import was about.
    pub summary: Option<String>,
    /// How it was made to fail. Unknown where the client gave up before an answer, as it does
    /// on a hang.
    pub fault: Option<Way>,
    /// What was sent; None for a token request, whose body holds the secret, and where the
    /// configuration keeps no bodies.
    #[serde(skip)]
    pub body: Option<Bytes>,
}

impl Request {
    /// The body as JSON; null where it isn't, or wasn't kept.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let body = self.body.as_deref().unwrap_or_default();
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Whether it asked for a change of the organization.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != "GET" && self.path.starts_with("/api/")
    }
}

/// The requests so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub requests: Vec<Request>,
    last: u64,
}

impl Journal {
    fn arrived(&mut self, mut request: Request) -> u64 {
        self.last += 1;
        request.number = self.last;
        self.requests.push(request);
        self.last
    }

    /// The log may have been cleared meanwhile; then there is nothing to complete.
    fn answered(&mut self, number: u64, answer: &Response) {
        let logged = self
            .requests
            .binary_search_by_key(&number, |request| request.number);
        if let Ok(index) = logged {
            let request = &mut self.requests[index];
            request.fault = answer.extensions().get::<Failed>().map(|failed| failed.0);
            let silent = matches!(request.fault, Some(Way::CutConnection | Way::Hang));
            request.status = (!silent).then(|| answer.status().as_u16());
            request.summary = answer
                .extensions()
                .get::<Summary>()
                .map(|summary| summary.0.clone());
        }
    }
}

/// Travels with an answer to be put in the log.
#[derive(Clone, Debug)]
pub(super) struct Summary(pub String);

/// The middleware, outside of all others.
pub(super) async fn log(
    State(shared): State<Shared>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: HttpRequest,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    // Only loopback reaches this server, and an import of a whole company is large.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Refusal::Crash.into_response();
    };
    let path = head.uri.path().to_owned();
    let keeps = shared.config.keeps_bodies && path.starts_with("/api/");
    let number = shared.journal().arrived(Request {
        number: 0,
        peer: wire.peer().ip(),
        method: head.method.to_string(),
        path,
        status: None,
        summary: None,
        fault: None,
        body: keeps.then(|| body.clone()),
    });
    let request = HttpRequest::from_parts(head, Body::from(body));
    let answer = next.run(request).await;
    shared.journal().answered(number, &answer);
    answer
}
