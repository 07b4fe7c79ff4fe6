//! The log of the requests to a simulated server.

use std::sync::Arc;

use axum::extract::{Request as HttpRequest, State};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;

/// One request, in the order of arrival.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, such as `GET` or `POST`.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// As it was sent.
    pub query: String,
    /// None: not answered (yet, or ever).
    pub status: Option<u16>,
}

/// The requests so far, with of each what its vendor's tests look at. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Log<R>(Arc<Mutex<Entries<R>>>);

#[derive(Debug)]
struct Entries<R> {
    requests: Vec<R>,
    /// How many came before those that are left.
    cleared: usize,
}

impl<R> Default for Log<R> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Entries {
            requests: Vec::new(),
            cleared: 0,
        })))
    }
}

impl<R> Log<R> {
    /// Logs a request; its number, counted from the server's start, from 1.
    pub fn arrived(&self, request: impl FnOnce(usize) -> R) -> usize {
        let mut entries = self.0.lock();
        let number = entries.cleared + entries.requests.len() + 1;
        entries.requests.push(request(number));
        number
    }

    /// Completes what is logged of a request. Where the log has been cleared meanwhile there is
    /// nothing to complete.
    pub fn answered(&self, number: usize, complete: impl FnOnce(&mut R)) {
        let mut entries = self.0.lock();
        let index = number.checked_sub(entries.cleared + 1);
        if let Some(request) = index.and_then(|index| entries.requests.get_mut(index)) {
            complete(request);
        }
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        let mut entries = self.0.lock();
        entries.cleared += entries.requests.len();
        entries.requests.clear();
    }
}

impl<R: Clone> Log<R> {
    /// Those that weren't cleared.
    pub fn requests(&self) -> Vec<R> {
        self.0.lock().requests.clone()
    }
}

/// The middleware, outside of faults and all that is the vendor's.
pub(crate) async fn log(
    State(log): State<Log<Request>>,
    request: HttpRequest,
    next: Next,
) -> Response {
    let number = log.arrived(|_| Request {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
    });
    let answer = next.run(request).await;
    log.answered(number, |logged| {
        logged.status = Some(answer.status().as_u16());
    });
    answer
}

#[cfg(test)]
mod tests {
    use super::Log;

    #[test]
    fn an_answer_that_comes_after_the_log_was_cleared_is_not_taken_for_another_requests() {
        let log = Log::default();
        let slow = log.arrived(|_| "slow");
        log.clear();
        let next = log.arrived(|_| "next");
        log.answered(slow, |request| *request = "slow, answered");
        assert_eq!(log.requests(), ["next"]);
        log.answered(next, |request| *request = "next, answered");
        assert_eq!(log.requests(), ["next, answered"]);
    }
}
