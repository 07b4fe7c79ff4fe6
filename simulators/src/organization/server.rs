//! What the calls share, and the order in which a request passes: log, faults, rate limits,
//! latency, the token's check, the call.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;

use super::answers::Refusal;
use super::config::{Config, Profile, RateLimits};
use super::identity::Tokens;
use super::journal::{self, Request};
use super::limits::Limiter;
use super::store::Store;
use super::{admin, api, vaultwarden};
use crate::fault;
use crate::front::{Front, delay};
use crate::wire::CuttableConnection;

/// The server's state. Clones share it.
pub(super) type Shared = Arc<Server>;

/// The state behind [`Shared`].
pub(super) struct Server {
    pub config: Config,
    pub front: Front<Request>,
    pub store: Mutex<Store>,
    pub tokens: Mutex<Tokens>,
    pub dials: Mutex<Dials>,
    pub limiter: Mutex<Limiter>,
    pub listings: Mutex<Listings>,
}

/// What can be turned while it runs.
pub(super) struct Dials {
    pub client_secret: String,
    pub token_lifetime: Duration,
    pub rate_limits: Option<RateLimits>,
}

/// The lists as they were last sent, with the state's version they show.
#[derive(Debug, Default)]
pub(super) struct Listings {
    pub members: Option<(u64, Bytes)>,
    pub groups: Option<(u64, Bytes)>,
}

impl Server {
    pub fn new(config: Config) -> Shared {
        let store = Store::new(config.seats);
        let dials = Dials {
            client_secret: config.client_secret.clone(),
            token_lifetime: config.token_lifetime,
            rate_limits: config.rate_limits,
        };
        Arc::new(Self {
            front: Front::new(config.latency),
            config,
            store: Mutex::new(store),
            tokens: Mutex::default(),
            dials: Mutex::new(dials),
            limiter: Mutex::default(),
            listings: Mutex::default(),
        })
    }
}

/// Everything the server answers.
pub(super) fn router(shared: &Shared) -> Router {
    let front = &shared.front;
    let simulated = api::router(shared)
        .layer(from_fn_with_state(front.latency.clone(), delay))
        .layer(from_fn_with_state(shared.clone(), limit))
        .layer(from_fn_with_state(front.faults.clone(), fault::inject))
        .layer(from_fn_with_state(shared.clone(), journal::log));
    Router::new()
        .nest("/simulator", admin::router(shared.clone()))
        .fallback_service(simulated)
}

async fn limit(
    State(shared): State<Shared>,
    ConnectInfo(wire): ConnectInfo<CuttableConnection>,
    request: HttpRequest,
    next: Next,
) -> Response {
    let Some(limits) = shared.dials.lock().rate_limits else {
        return next.run(request).await;
    };
    let (profile, client) = (shared.config.profile, wire.peer().ip());
    let (method, path) = (request.method(), request.uri().path());
    let admission = (shared.limiter.lock()).admit(&limits, profile, client, method, path);
    if let Some(refusal) = admission.refusal() {
        return refusal;
    }
    let mut answer = next.run(request).await;
    admission.describe(&mut answer);
    answer
}

/// Lets pass what carries a good token.
pub(super) async fn authorize(
    State(shared): State<Shared>,
    request: HttpRequest,
    next: Next,
) -> Response {
    if is_authorized(&shared, request.headers()) {
        return next.run(request).await;
    }
    match shared.config.profile {
        Profile::Official { .. } => Refusal::Unauthorized.into_response(),
        Profile::Vaultwarden { .. } => vaultwarden::page(StatusCode::UNAUTHORIZED),
    }
}

/// Whether a request carries a good token.
pub(super) fn is_authorized(shared: &Shared, headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION);
    let token = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    token.is_some_and(|token| shared.tokens.lock().is_good(token))
}
