//! Faults of single requests to a real API server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::Body as AnswerBody;
use axum::http::{Method, Request, Response, StatusCode};
use futures::future::{BoxFuture, FutureExt as _};
use kube::client::Body;
use serde_json::json;
use tower::{BoxError, Layer, Service};

/// How the requests fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The API server answers with this status.
    Status(StatusCode),
    /// No answer comes, and the API server hasn't got it.
    Silence,
    /// It is done, and no answer comes.
    Unanswered,
}

/// Lets requests of one method, whose path ends in one name, fail as long as there is a fault; all else goes to
/// the server.
#[derive(Clone)]
pub struct FailingRequests {
    method: Method,
    name: String,
    fault: Arc<Mutex<Option<Fault>>>,
    failed: Arc<AtomicUsize>,
}

impl FailingRequests {
    /// Reads of objects with this name.
    pub fn reads_of(name: &str) -> Self {
        Self::of(Method::GET, name)
    }

    /// Writes of status.
    pub fn of_status() -> Self {
        Self::writes_of("status")
    }

    /// Writes of objects with this name.
    pub fn writes_of(name: &str) -> Self {
        Self::of(Method::PATCH, name)
    }

    fn of(method: Method, name: &str) -> Self {
        Self {
            method,
            name: name.to_owned(),
            fault: Arc::default(),
            failed: Arc::default(),
        }
    }

    /// How many have failed so far.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    /// From now on they fail so, or not at all.
    pub fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn of_request<B>(&self, request: &Request<B>) -> Option<Fault> {
        let is_meant = *request.method() == self.method;
        let path = request.uri().path();
        let fault = *self.fault.lock().unwrap();
        let fault = fault.filter(|_| is_meant && path.rsplit('/').next() == Some(&self.name));
        // One that is done counts once it is.
        let failed = fault.is_some_and(|fault| fault != Fault::Unanswered);
        self.failed
            .fetch_add(usize::from(failed), Ordering::Relaxed);
        fault
    }
}

impl<S> Layer<S> for FailingRequests {
    type Service = Failing<S>;

    fn layer(&self, inner: S) -> Failing<S> {
        let faults = self.clone();
        Failing { inner, faults }
    }
}

/// A service with faults.
pub struct Failing<S> {
    inner: S,
    faults: FailingRequests,
}

impl<S, B> Service<Request<Body>> for Failing<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<AnswerBody>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.faults.of_request(&request) {
            None => {
                let answer = self.inner.call(request);
                async move { Ok(answer.await?.map(AnswerBody::new)) }.boxed()
            }
            Some(Fault::Silence) => std::future::pending().boxed(),
            Some(Fault::Unanswered) => {
                let answer = self.inner.call(request);
                let failed = Arc::clone(&self.faults.failed);
                async move {
                    answer.await?;
                    failed.fetch_add(1, Ordering::Relaxed);
                    std::future::pending().await
                }
                .boxed()
            }
            Some(Fault::Status(status)) => {
                let body = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "message": "refused by a test", "reason": "Refused", "code": status.as_u16(),
                });
                let mut answer = Response::new(AnswerBody::from(body.to_string()));
                *answer.status_mut() = status;
                async move { Ok(answer) }.boxed()
            }
        }
    }
}
