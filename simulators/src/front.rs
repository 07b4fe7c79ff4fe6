//! What every simulated server has whoever's it is: a log of requests, faults, latency, and a
//! listener on loopback.
//!
//! A `Front` is part of a server's state. Once it listens it is [`Running`], which is what a
//! test's handle of any vendor dereferences to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::fault::{self, Faults};
use crate::request_log::{self, Log, Request};
use crate::wire::Served;

/// What a request meets before the vendor's own rules. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Front<R = Request> {
    pub log: Log<R>,
    pub faults: Faults,
    pub latency: Latency,
    stopping: watch::Sender<bool>,
}

impl<R> Front<R> {
    /// Nothing logged, no faults.
    pub fn new(latency: Duration) -> Self {
        let (stopping, _) = watch::channel(false);
        Self {
            log: Log::default(),
            faults: Faults::new(stopping.clone()),
            latency: Latency(Arc::new(Mutex::new(latency))),
            stopping,
        }
    }

    /// Serves `router` on loopback; port 0 takes any free one.
    ///
    /// # Errors
    /// The port can't be bound.
    pub async fn serve(self, router: Router, port: u16) -> io::Result<Running<R>> {
        let served = Served::start(router, port, self.stopping.clone()).await?;
        Ok(Running {
            front: self,
            served,
        })
    }
}

impl Front {
    /// Has every request to `router` logged, and fail where a fault says so.
    pub fn before(&self, router: Router) -> Router {
        router
            .layer(from_fn_with_state(self.faults.clone(), fault::inject))
            .layer(from_fn_with_state(self.log.clone(), request_log::log))
    }
}

/// How long every request takes on top. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Arc<Mutex<Duration>>);

impl Latency {
    /// Waits for the latency before a request goes on.
    pub async fn pass(&self) {
        let latency = *self.0.lock();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }
}

/// The middleware of a vendor that does nothing else meanwhile.
pub(crate) async fn delay(
    State(latency): State<Latency>,
    request: HttpRequest,
    next: Next,
) -> Response {
    latency.pass().await;
    next.run(request).await
}

/// A simulated server on loopback, until dropped.
#[derive(Debug)]
pub struct Running<R = Request> {
    front: Front<R>,
    served: Served,
}

impl<R: Clone> Running<R> {
    /// Where it listens, whatever it takes for its own address.
    #[must_use]
    pub fn listens_at(&self) -> String {
        format!("http://{}", self.served.address())
    }

    /// How long every request takes on top, from now on.
    pub fn set_latency(&self, latency: Duration) {
        *self.front.latency.0.lock() = latency;
    }

    /// The requests so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<R> {
        self.front.log.requests()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.front.log.clear();
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.front.faults
    }
}
