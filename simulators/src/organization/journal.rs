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
use crate::wire::CuttableConnection;

/// One request, in the order of arrival.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Counted from the server's start.
    pub number: usize,
    /// The address that the request came from.
    pub peer: IpAddr,
    /// The method, such as `GET` or `POST`.
    pub method: String,
    /// The path without the query.
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

/// Completes what is logged of a request.
fn answered(request: &mut Request, answer: &Response) {
    let extensions = answer.extensions();
    request.fault = extensions.get::<Failed>().map(|failed| failed.0);
    let silent = matches!(request.fault, Some(Way::CutConnection | Way::Hang));
    request.status = (!silent).then(|| answer.status().as_u16());
    request.summary = extensions.get::<Summary>().map(|summary| summary.0.clone());
}

/// Travels with an answer to be put in the log.
#[derive(Clone, Debug)]
pub(super) struct Summary(pub String);

/// The middleware, outside of all others.
pub(super) async fn log(
    State(shared): State<Shared>,
    ConnectInfo(wire): ConnectInfo<CuttableConnection>,
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
    let number = shared.front.log.arrived(|number| Request {
        number,
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
    let complete = |request: &mut Request| answered(request, &answer);
    shared.front.log.answered(number, complete);
    answer
}
