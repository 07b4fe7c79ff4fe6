//! The log of requests.

use axum::extract::{Request as HttpRequest, State};
use axum::middleware::Next;
use axum::response::Response;

use super::server::Shared;

/// One request, in the order of arrival.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The query as it was sent.
    pub query: String,
    /// None: not answered (yet, or ever).
    pub status: Option<u16>,
}

/// The middleware, outside of all others.
pub(super) async fn log(
    State(shared): State<Shared>,
    request: HttpRequest,
    next: Next,
) -> Response {
    let entry = Request {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
    };
    shared.run_script(&entry.path);
    let index = {
        let mut requests = shared.requests();
        requests.push(entry);
        requests.len() - 1
    };
    let answer = next.run(request).await;
    if let Some(entry) = shared.requests().get_mut(index) {
        entry.status = Some(answer.status().as_u16());
    }
    answer
}
