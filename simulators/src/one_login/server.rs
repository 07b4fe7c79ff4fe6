//! What the calls share, and the order in which a request passes: log, faults, latency, the limit,
//! the token's check, the call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;

use super::answers::{Refusal, Version};
use super::api;
use super::config::{Config, PageMax, RateLimit, Told};
use super::limits::Limiter;
use super::model::Store;
use super::paging::Paging;
use super::token::{self, Tokens};
use crate::fault::{self, Faults};

/// The server's state. Clones share it.
pub(super) type Shared = Arc<Server>;

/// What happens to the account in the middle of a read.
pub(super) type Change = Box<dyn FnOnce(&mut Store) + Send>;

/// See [`Shared`].
pub(super) struct Server {
    pub faults: Faults,
    pub page_max: PageMax,
    pub refuses_large_pages: bool,
    store: Mutex<Store>,
    tokens: Mutex<Tokens>,
    dials: Mutex<Dials>,
    journal: Mutex<Vec<Request>>,
    limiter: Mutex<Limiter>,
    changes: Mutex<Vec<(String, usize, Change)>>,
}

/// What can be turned while it runs.
pub(super) struct Dials {
    pub client_id: String,
    pub client_secret: String,
    pub rate_limit: Option<RateLimit>,
    pub latency: Duration,
    pub paging: Paging,
    pub owner_is_gone: bool,
    pub scope_is_too_small: bool,
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
            refuses_large_pages: config.refuses_large_pages,
            store: Mutex::default(),
            tokens: Mutex::default(),
            dials: Mutex::new(Dials {
                client_id: config.client_id,
                client_secret: config.client_secret,
                rate_limit: config.rate_limit,
                latency: config.latency,
                paging: Paging::Told,
                owner_is_gone: false,
                scope_is_too_small: false,
            }),
            journal: Mutex::default(),
            limiter: Mutex::default(),
            changes: Mutex::default(),
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

    /// Has `change` happen right after the answer to the `nth` request from now to `path`.
    pub fn change_after(&self, path: &str, nth: usize, change: Change) {
        lock(&self.changes).push((path.to_owned(), nth, change));
    }

    fn changed_after(&self, path: &str) {
        let mut changes = lock(&self.changes);
        for (_, left, _) in changes.iter_mut().filter(|(of, ..)| of == path) {
            *left -= 1;
        }
        for (.., change) in changes.extract_if(.., |(_, left, _)| *left == 0) {
            change(&mut self.store());
        }
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
        .route("/auth/oauth2/v2/token", post(token::generate))
        .merge(api)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), limit))
        .layer(from_fn_with_state(shared.faults.clone(), fault::inject))
        .layer(from_fn_with_state(shared.clone(), log))
}

async fn log(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let number = {
        let mut journal = shared.journal();
        journal.push(Request {
            method: request.method().to_string(),
            path: path.clone(),
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
    shared.changed_after(&path);
    answer
}

async fn limit(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let path = request.uri().path();
    let version = Version::of(path);
    let (limit, latency) = {
        let dials = shared.dials();
        (dials.rate_limit, dials.latency)
    };
    // Tokens, and the question what is left, don't count.
    let counted = limit.filter(|_| path.starts_with("/api/"));
    let admitted = counted.map(|limit| (limit, shared.limiter().admit(&limit)));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let Some((limit, (left, admitted))) = admitted else {
        return next.run(request).await;
    };
    let mut answer = match admitted {
        true => next.run(request).await,
        false => Refusal::RateLimit.answer(version),
    };
    if limit.told == Told::Everywhere || version == Version::One {
        left.write(answer.headers_mut());
    }
    answer
}

/// Lets pass what carries a good token: `bearer …`, or `bearer:…` as version 1 has it.
async fn authorize(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    let token = match header.split_once([' ', ':']) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    let refusal = if !shared.tokens().is_good(token) {
        Some(Refusal::Unauthorized)
    } else if shared.dials().scope_is_too_small {
        Some(Refusal::Scope)
    } else {
        None
    };
    match refusal {
        Some(refusal) => refusal.answer(Version::of(request.uri().path())),
        None => next.run(request).await,
    }
}
