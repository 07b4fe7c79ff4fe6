//! What the calls share, and the order in which a request passes: log, faults, latency, the limit,
//! the token's check, the call.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use parking_lot::Mutex;

use super::answers::{Refusal, Version};
use super::api;
use super::config::{Config, LimitHeaders, PageMax, RateLimit};
use super::limits::Limiter;
use super::model::Store;
use super::paging::Paging;
use super::query::Search;
use super::token::{self, Tokens};
use crate::front::Front;

/// The server's state. Clones share it.
pub(super) type Shared = Arc<Server>;

/// What happens to the account in the middle of a read.
pub(super) type Change = Box<dyn FnOnce(&mut Store) + Send>;

/// The state behind [`Shared`].
pub(super) struct Server {
    pub front: Front,
    pub page_max: PageMax,
    pub refuses_large_pages: bool,
    pub store: Mutex<Store>,
    pub tokens: Mutex<Tokens>,
    pub dials: Mutex<Dials>,
    pub limiter: Mutex<Limiter>,
    changes: Mutex<Vec<(String, usize, Change)>>,
}

/// What can be turned while it runs.
pub(super) struct Dials {
    pub client_id: String,
    pub client_secret: String,
    pub rate_limit: Option<RateLimit>,
    pub paging: Paging,
    pub search: Search,
    pub owner_is_gone: bool,
    pub scope_is_too_small: bool,
}

impl Server {
    pub fn new(config: Config) -> Shared {
        Arc::new(Self {
            front: Front::new(config.latency),
            page_max: config.page_max,
            refuses_large_pages: config.refuses_large_pages,
            store: Mutex::default(),
            tokens: Mutex::default(),
            dials: Mutex::new(Dials {
                client_id: config.client_id,
                client_secret: config.client_secret,
                rate_limit: config.rate_limit,
                paging: Paging::Complete,
                search: Search::default(),
                owner_is_gone: false,
                scope_is_too_small: false,
            }),
            limiter: Mutex::default(),
            changes: Mutex::default(),
        })
    }

    /// Has `change` happen right after the answer to the `nth` request from now to `path`.
    pub fn change_after(&self, path: &str, nth: usize, change: Change) {
        self.changes.lock().push((path.to_owned(), nth, change));
    }

    fn changed_after(&self, path: &str) {
        let mut changes = self.changes.lock();
        for (_, left, _) in changes.iter_mut().filter(|(of, ..)| of == path) {
            *left -= 1;
        }
        for (.., change) in changes.extract_if(.., |(_, left, _)| *left == 0) {
            change(&mut self.store.lock());
        }
    }
}

/// Everything the server answers.
pub(super) fn router(shared: &Shared) -> Router {
    let api = api::router().route_layer(from_fn_with_state(shared.clone(), authorize));
    let router = Router::new()
        .route("/auth/oauth2/v2/token", post(token::generate))
        .merge(api)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), limit));
    let router = shared.front.before(router);
    router.layer(from_fn_with_state(shared.clone(), change))
}

/// Changes the account once the request is answered.
async fn change(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let answer = next.run(request).await;
    shared.changed_after(&path);
    answer
}

async fn limit(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let path = request.uri().path();
    let version = Version::of(path);
    let limit = shared.dials.lock().rate_limit;
    // Tokens, and the question what is left, don't count.
    let counted = limit.filter(|_| path.starts_with("/api/"));
    let admitted = counted.map(|limit| (limit, shared.limiter.lock().admit(&limit)));
    shared.front.latency.pass().await;
    let Some((limit, (left, admitted))) = admitted else {
        return next.run(request).await;
    };
    let mut answer = match admitted {
        true => next.run(request).await,
        false => Refusal::RateLimit.answer(version),
    };
    if limit.headers == LimitHeaders::Everywhere || version == Version::One {
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
    let refusal = if !shared.tokens.lock().is_good(token) {
        Some(Refusal::Unauthorized)
    } else if shared.dials.lock().scope_is_too_small {
        Some(Refusal::Scope)
    } else {
        None
    };
    match refusal {
        Some(refusal) => refusal.answer(Version::of(request.uri().path())),
        None => next.run(request).await,
    }
}
