//! What the calls share, and the order in which a request passes: log, faults, latency, limits,
//! the token's check, the call.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Form, Request as HttpRequest, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;

use super::answers::Refusal;
use super::api;
use super::config::{Config, LinkStyle, RateLimits, ServiceApp};
use super::limits::{Limiter, RateLimitBucket};
use super::model::Store;
use super::token::{Denied, Tokens};
use crate::concurrency::Concurrency;
use crate::front::Front;

/// The server's state. Clones share it.
pub(super) type Shared = Arc<Server>;

/// The state behind [`Shared`].
pub(super) struct Server {
    pub front: Front,
    pub page_max: usize,
    app: Option<ServiceApp>,
    pub store: Mutex<Store>,
    pub tokens: Mutex<Tokens>,
    pub dials: Mutex<Dials>,
    pub limiter: Mutex<Limiter>,
    pub concurrency: Concurrency,
}

/// What can be turned while it runs.
pub(super) struct Dials {
    pub public_url: String,
    pub api_token: String,
    pub rate_limits: Option<RateLimits>,
    pub links: LinkStyle,
    /// What the token's owner has no role for.
    pub forbidden: Option<RateLimitBucket>,
}

impl Server {
    pub fn new(config: Config) -> Shared {
        Arc::new(Self {
            front: Front::new(config.latency),
            page_max: config.page_max,
            app: config.app,
            store: Mutex::default(),
            tokens: Mutex::default(),
            dials: Mutex::new(Dials {
                public_url: String::new(),
                api_token: config.api_token,
                rate_limits: config.rate_limits,
                links: config.links,
                forbidden: None,
            }),
            limiter: Mutex::default(),
            concurrency: Concurrency::default(),
        })
    }
}

/// Everything the server answers.
pub(super) fn router(shared: &Shared) -> Router {
    let api = api::router().route_layer(from_fn_with_state(shared.clone(), authorize));
    let router = Router::new()
        .route("/oauth2/v1/token", post(token))
        .merge(api)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), limit));
    shared.front.before(router)
}

async fn limit(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let _in_flight = shared.concurrency.enter();
    let limits = shared.dials.lock().rate_limits;
    let admitted = limits
        .zip(RateLimitBucket::of(request.uri().path()))
        .map(|(limits, bucket)| {
            let in_flight = shared.concurrency.now();
            shared.limiter.lock().admit(&limits, bucket, in_flight)
        });
    shared.front.latency.pass().await;
    let Some((limit_headers, admitted)) = admitted else {
        return next.run(request).await;
    };
    let mut answer = if admitted {
        next.run(request).await
    } else {
        Refusal::RateLimit.into_response()
    };
    limit_headers.write(answer.headers_mut());
    answer
}

/// Lets pass what carries a good token with the scope of what is asked.
async fn authorize(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    let refusal = match header.split_once(' ') {
        Some(("SSWS", token)) => (token != shared.dials.lock().api_token).then_some(Refusal::Token),
        Some(("Bearer", token)) => match shared.tokens.lock().scopes(token) {
            None => Some(Refusal::Token),
            Some(scopes) => {
                let wanted = format!("okta.{}.read", kind_of(request.uri().path()));
                (!scopes.contains(&wanted)).then_some(Refusal::Scope)
            }
        },
        _ => Some(Refusal::Token),
    };
    let bucket = RateLimitBucket::of(request.uri().path());
    let forbidden = bucket.is_some() && bucket == shared.dials.lock().forbidden;
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
    let url = format!("{}/oauth2/v1/token", shared.dials.lock().public_url);
    let answer = shared
        .tokens
        .lock()
        .answer(shared.app.as_ref(), &form, &url);
    answer.map(Json)
}
