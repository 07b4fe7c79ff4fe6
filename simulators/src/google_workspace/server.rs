//! What the calls share, and the order in which a request passes: log, faults, latency, quota, the
//! token's check, the call.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Path, Request as HttpRequest, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use super::answers::{Denied, Refusal, Spent};
use super::api;
use super::config::{Config, Quota};
use super::model::Store;
use super::paging::Pages;
use super::token::{Holder, Tokens};
use crate::concurrency::Concurrency;
use crate::front::Front;

/// The server's state. Clones share it.
pub(super) type Shared = Arc<Server>;

/// The state behind [`Shared`].
pub(super) struct Server {
    pub front: Front,
    pub config: Config,
    pub store: Mutex<Store>,
    pub tokens: Mutex<Tokens>,
    pub dials: Mutex<Dials>,
    pub counter: Mutex<Counter>,
    pub concurrency: Concurrency,
    pub scenes: Mutex<Vec<Scene>>,
}

/// Something that happens just before the first request with this text in its address.
pub(super) struct Scene {
    pub part: String,
    pub act: Box<dyn FnOnce(&Shared) + Send>,
}

/// What can be turned while it runs.
pub(super) struct Dials {
    pub public_url: String,
    pub quota: Option<Quota>,
    pub pages: Pages,
    /// Page tokens of earlier generations are forgotten.
    pub token_generation: u64,
    pub admin_sdk_enabled: bool,
    pub iam_enabled: bool,
    pub apis_allowed: bool,
    pub may_sign: bool,
    /// Administrators may see users no better than colleagues do.
    pub shown_as_to_colleagues: bool,
    pub delegated_scopes: Vec<String>,
    pub has_role: bool,
    /// What tokens are good for, whatever was asked for.
    pub issued_scopes: Option<Vec<String>>,
}

/// What was asked of the Directory API.
#[derive(Debug, Default)]
pub(super) struct Counter {
    windows: HashMap<String, (Instant, u32)>,
    /// Refusals to come: which, after how many more requests, how many of them.
    refusals: Vec<(Spent, u64, u64)>,
}

impl Server {
    pub fn new(config: Config) -> Shared {
        let account = &config.service_account;
        Arc::new(Self {
            front: Front::new(config.latency),
            store: Mutex::default(),
            tokens: Mutex::default(),
            dials: Mutex::new(Dials {
                public_url: String::new(),
                quota: config.quota,
                pages: Pages::Good,
                token_generation: 0,
                admin_sdk_enabled: true,
                iam_enabled: true,
                apis_allowed: true,
                may_sign: config.federation.may_sign,
                shown_as_to_colleagues: false,
                delegated_scopes: account.delegated_scopes.clone(),
                has_role: account.has_role,
                issued_scopes: None,
            }),
            counter: Mutex::default(),
            concurrency: Concurrency::default(),
            scenes: Mutex::default(),
            config,
        })
    }
}

impl Counter {
    /// The `k`-th request from now, counted from 1, and `times - 1` after it are refused.
    pub fn refuse(&mut self, spent: Spent, k: u64, times: u64) {
        self.refusals.push((spent, k.saturating_sub(1), times));
    }

    /// The quota counts from zero again.
    pub fn next_window(&mut self) {
        self.windows.clear();
    }

    /// Counts one more query of `account`, one of so many under way; whether a limit is spent.
    fn admit(&mut self, quota: Option<Quota>, account: &str, in_flight: u32) -> Option<Spent> {
        let mut refused = None;
        for (spent, skip, times) in &mut self.refusals {
            if *skip > 0 {
                *skip -= 1;
            } else if *times > 0 && refused.is_none() {
                *times -= 1;
                refused = Some(*spent);
            }
        }
        self.refusals.retain(|(_, _, times)| *times > 0);
        let Some(quota) = quota else { return refused };
        let now = Instant::now();
        let window = self.windows.entry(account.to_owned()).or_insert((now, 0));
        if now >= window.0 + quota.window {
            *window = (now, 0);
        }
        window.1 += 1;
        if window.1 > quota.queries {
            return Some(Spent::User);
        }
        let crowded = in_flight > quota.concurrent;
        refused.or(crowded.then_some(Spent::Concurrent))
    }
}

/// Everything the server answers.
pub(super) fn router(shared: &Shared) -> Router {
    let api = api::router()
        .fallback(async |_: Uri| Refusal::NotFound("endpoint"))
        .route_layer(from_fn_with_state(shared.clone(), authorize));
    let router = Router::new()
        .route("/token", post(token))
        .route("/v1/token", post(exchange))
        .route("/v1/projects/-/serviceAccounts/{call}", post(sign))
        .merge(api)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared.clone(), delay));
    let router = shared.front.before(router);
    router.layer(from_fn_with_state(shared.clone(), play))
}

/// Has happen what shall happen before the request.
async fn play(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let address = request.uri().to_string();
    let due = |scene: &mut Scene| address.contains(&scene.part);
    let due: Vec<Scene> = shared.scenes.lock().extract_if(.., due).collect();
    for scene in due {
        (scene.act)(&shared);
    }
    next.run(request).await
}

async fn delay(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let _in_flight = shared.concurrency.enter();
    shared.front.latency.pass().await;
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> &str {
    let header = headers.get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    header.strip_prefix("Bearer ").unwrap_or("")
}

/// Lets pass what carries a good token of somebody who may, within the quota.
async fn authorize(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    let holder = shared
        .tokens
        .lock()
        .holder(bearer(request.headers()))
        .cloned();
    match refusal(&shared, holder.as_ref(), request.uri().path()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(shared: &Shared, holder: Option<&Holder>, path: &str) -> Option<Refusal> {
    let Some(holder) = holder else {
        return Some(Refusal::Token);
    };
    let dials = shared.dials.lock();
    if !dials.admin_sdk_enabled {
        return Some(Refusal::NotEnabled("Admin SDK API"));
    }
    let (quota, in_flight) = (dials.quota, shared.concurrency.now());
    let spent = shared.counter.lock().admit(quota, &holder.email, in_flight);
    if let Some(spent) = spent {
        return Some(Refusal::Spent(spent));
    }
    // Any of these, as the API's description has it; those that may write can read, too.
    let scopes: &[&str] = match path {
        path if path.starts_with("/admin/directory/v1/users") => &["user.readonly", "user"],
        path if path.ends_with("/members") => &[
            "group.readonly",
            "group",
            "group.member.readonly",
            "group.member",
        ],
        _ => &["group.readonly", "group"],
    };
    let has = |scope: &&str| {
        let full = format!("https://www.googleapis.com/auth/admin.directory.{scope}");
        let narrowed = dials.issued_scopes.as_ref();
        holder.scopes.contains(&full) && narrowed.is_none_or(|good| good.contains(&full))
    };
    if !scopes.iter().any(has) {
        return Some(Refusal::Scope);
    }
    if !dials.apis_allowed {
        return Some(Refusal::DomainCannotUseApis);
    }
    let account = &shared.config.service_account;
    let may = match holder.email == account.email {
        true => dials.has_role,
        false => {
            let store = shared.store.lock();
            let user = store.user_by_email(&holder.email);
            user.is_some_and(|user| user.admin)
        }
    };
    (!may).then_some(Refusal::Forbidden)
}

async fn token(
    State(shared): State<Shared>,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, Denied> {
    let (url, delegated) = {
        let dials = shared.dials.lock();
        let url = format!("{}/token", dials.public_url);
        (url, dials.delegated_scopes.clone())
    };
    let mut account = shared.config.service_account.clone();
    account.delegated_scopes = delegated;
    let federation = &shared.config.federation;
    let store = shared.store.lock();
    let answer = shared
        .tokens
        .lock()
        .grant(&account, federation, &store, &form, &url);
    answer.map(Json)
}

async fn exchange(
    State(shared): State<Shared>,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, Denied> {
    let answer = shared
        .tokens
        .lock()
        .exchange(&shared.config.federation, &form);
    answer.map(Json)
}

async fn sign(
    State(shared): State<Shared>,
    Path(call): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let email = call.strip_suffix(":signJwt");
    let email = email.ok_or(Refusal::NotFound("method"))?;
    let mut federation = shared.config.federation.clone();
    {
        let dials = shared.dials.lock();
        if !dials.iam_enabled {
            return Err(Refusal::NotEnabled("IAM Service Account Credentials API"));
        }
        federation.may_sign = dials.may_sign;
    }
    let account = &shared.config.service_account;
    let token = bearer(&headers);
    let answer = shared
        .tokens
        .lock()
        .sign(account, &federation, token, email, &body);
    answer.map(Json)
}
