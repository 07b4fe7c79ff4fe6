//! What the calls share, and the order in which a request passes: log, faults, latency, limits,
//! the token's check, the call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Form, Request as HttpRequest, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use super::answers::Refusal;
use super::api;
use super::config::{Config, LinkStyle, RateLimits, ServiceApp};
use super::limits::{Class, Limiter};
use super::model::Store;
use super::token::{Denied, Tokens};
use crate::fault::{self, Faults};

/// The server's state. Clones share it.
pub(super) type Shared = Arc<Server>;

/// See [`Shared`].
pub(super) struct Server {
    pub faults: Faults,
    pub page_max: usize,
    app: Option<ServiceApp>,
    store: Mutex<Store>,
    tokens: Mutex<Tokens>,
    dials: Mutex<Dials>,
    journal: Mutex<Vec<Request>>,
    limiter: Mutex<Limiter>,
}

/// What can be turned while it runs.
pub(super) struct Dials {
    pub public_url: String,
    pub api_token: String,
    pub rate_limits: Option<RateLimits>,
    pub links: LinkStyle,
    pub latency: Duration,
    /// What the token's owner has no role for.
    pub forbidden: Option<Class>,
}

/// One request, in the order of arrival.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As it was sent.
    pub query: String,
    /// None: not answered (yet, or ever).
    pub status: Option<u16>,
}

impl Server {
    pub fn new(config: Config, faults: Faults) -> Shared {
        Arc::new(Self {
            faults,
            page_max: config.page_max,
            app: config.app,
            store: Mutex::default(),
            tokens: Mutex::default(),
            dials: Mutex::new(Dials {
                public_url: String::new(),
                api_token: config.api_token,
                rate_limits: config.rate_limits,
                links: config.links,
                latency: config.latency,
                forbidden: None,
            }),
            journal: Mutex::default(),
            limiter: Mutex::default(),
        })
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    pub fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    pub fn dials(&self) -> MutexGuard<'_, Dials> {
        lock(&self.dials)
    }

    pub fn journal(&self) -> MutexGuard<'_, Vec<Request>> {
        lock(&self.journal)
    }

    pub fn limiter(&self) -> MutexGuard<'_, Limiter> {
        lock(&self.limiter)
    }
}

/// A test that panicked while holding a lock has failed already; the rest may go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything the server answers.
pub(super) fn router(shared: &Shared) -> Router {
    let api = api::router().route_layer(from_fn_with_state(shared.clone(), authorize));
    Router::new()
        .route("/oauth2/v1/token", post(token))
        .merge(api)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), limit))
        .layer(from_fn_with_state(shared.faults.clone(), fault::inject))
        .layer(from_fn_with_state(shared.clone(), log))
}

async fn log(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let number = {
        let mut journal = shared.journal();
        journal.push(Request {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            status: None,
        });
        journal.len() - 1
    };
    let answer = next.run(request).await;
    // The log may have been cleared meanwhile; then there is nothing to complete.
    if let Some(logged) = shared.journal().get_mut(number) {
        logged.status = Some(answer.status().as_u16());
    }
    answer
}

/// Counts a request as under way until it is answered or its client is gone.
struct UnderWay(Shared);

impl UnderWay {
    fn new(shared: &Shared) -> Self {
        shared.limiter().came();
        Self(shared.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.limiter().went();
    }
}

async fn limit(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let _under_way = UnderWay::new(&shared);
    let (limits, latency) = {
        let dials = shared.dials();
        (dials.rate_limits, dials.latency)
    };
    let admitted = limits
        .zip(Class::of(request.uri().path()))
        .map(|(limits, class)| shared.limiter().admit(&limits, class));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let Some((told, admitted)) = admitted else {
        return next.run(request).await;
    };
    let mut answer = if admitted {
        next.run(request).await
    } else {
        Refusal::RateLimit.into_response()
    };
    told.write(answer.headers_mut());
    answer
}

/// Lets pass what carries a good token with the scope of what is asked.
async fn authorize(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    let refusal = match header.split_once(' ') {
        Some(("SSWS", token)) => (token != shared.dials().api_token).then_some(Refusal::Token),
        Some(("Bearer", token)) => match shared.tokens().scopes(token) {
            None => Some(Refusal::Token),
            Some(scopes) => {
                let wanted = format!("okta.{}.read", kind_of(request.uri().path()));
                (!scopes.contains(&wanted)).then_some(Refusal::Scope)
            }
        },
        _ => Some(Refusal::Token),
    };
    let class = Class::of(request.uri().path());
    let forbidden = class.is_some() && class == shared.dials().forbidden;
    match refusal.or(forbidden.then_some(Refusal::Role)) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

/// `users`, `groups` or `apps`.
fn kind_of(path: &str) -> &str {
    let path = path.strip_prefix("/api/v1/").unwrap_or(path);
    path.split('/').next().unwrap_or("")
}

async fn token(
    State(shared): State<Shared>,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, Denied> {
    let url = format!("{}/oauth2/v1/token", shared.dials().public_url);
    let answer = shared.tokens().answer(shared.app.as_ref(), &form, &url);
    answer.map(Json)
}
