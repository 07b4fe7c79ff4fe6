//! What the calls share, and the order in which a request passes: log, faults, latency, the
//! token's check, the call.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use super::answers::Reply;
use super::config::{Config, Limits, PageSizes, Secret};
use super::delta::{Delta, DeltaLoss};
use super::graph::Listing;
use super::store::Store;
use super::throttle::Throttle;
use super::{batch, token};
use crate::front::{Front, delay};

/// The server's state. Clones share it.
pub(super) type Shared = Arc<Server>;

/// The state behind [`Shared`].
pub(super) struct Server {
    pub config: Config,
    pub front: Front,
    pub store: Mutex<Store>,
    /// What a replica knows that is behind.
    pub replica: Mutex<Store>,
    pub dials: Mutex<Dials>,
    pub throttle: Mutex<Throttle>,
    tokens: Mutex<HashMap<String, Token>>,
    access: Mutex<HashMap<String, Access>>,
    pub used_assertions: Mutex<BTreeSet<String>>,
    pub script: Mutex<Vec<Scene>>,
    pub spoils: Mutex<Vec<Spoil>>,
}

/// What can be turned while it runs.
pub(super) struct Dials {
    pub secret: Option<Secret>,
    pub permissions: BTreeSet<&'static str>,
    pub token_lifetime: Duration,
    pub limits: Option<Limits>,
    pub pages: PageSizes,
    pub noisy: bool,
    /// Whether `replica` answers.
    pub is_behind: bool,
}

/// What a `$skiptoken` or `$deltatoken` stands for.
#[derive(Clone, Debug)]
pub(super) enum Token {
    Listing(Listing),
    Delta(Delta),
    Lost(DeltaLoss),
}

/// What an access token is good for.
struct Access {
    until: Instant,
    audience: String,
}

/// Something that happens to the tenant right before a request is answered.
pub(super) struct Scene {
    pub path: String,
    /// Requests to it that are still to pass.
    pub skip: u64,
    pub change: Box<dyn FnOnce(&Server) + Send>,
}

pub(super) type SpoilAnswer = Box<dyn FnOnce(&mut Value) + Send>;

/// An answer that is to be another than it would be.
pub(super) struct Spoil {
    pub path: String,
    /// Requests to it that are still to pass.
    pub skip: u64,
    pub change: Option<SpoilAnswer>,
}

impl Server {
    pub fn new(config: Config) -> Shared {
        let dials = Dials {
            secret: config.secret.clone(),
            permissions: config.permissions.clone(),
            token_lifetime: config.token_lifetime,
            limits: config.limits,
            pages: config.pages,
            noisy: false,
            is_behind: false,
        };
        Arc::new(Self {
            front: Front::new(config.latency),
            config,
            store: Mutex::default(),
            replica: Mutex::default(),
            dials: Mutex::new(dials),
            throttle: Mutex::default(),
            tokens: Mutex::default(),
            access: Mutex::default(),
            used_assertions: Mutex::default(),
            script: Mutex::default(),
            spoils: Mutex::default(),
        })
    }

    /// Lets happen what shall happen before this request.
    pub fn run_script(&self, path: &str) {
        let mut due = vec![];
        {
            let mut script = self.script.lock();
            let mut index = 0;
            while index < script.len() {
                let scene = &mut script[index];
                if path == scene.path && scene.skip == 0 {
                    due.push(script.remove(index));
                    continue;
                }
                scene.skip -= u64::from(path == scene.path);
                index += 1;
            }
        }
        for scene in due {
            (scene.change)(self);
        }
    }

    fn spoil(&self, path: &str, reply: &mut Reply) {
        let mut due = vec![];
        self.spoils.lock().retain_mut(|spoil| {
            if spoil.path != path {
                return true;
            }
            if let Some(left) = spoil.skip.checked_sub(1) {
                spoil.skip = left;
                return true;
            }
            due.extend(spoil.change.take());
            false
        });
        for change in due {
            change(&mut reply.body);
        }
    }

    /// A text that stands for `token`, and tells nothing of it.
    pub fn remember(&self, token: Token) -> String {
        let mut tokens = self.tokens.lock();
        // Spread over all numbers by an odd factor, so that no client takes it for a position.
        let number = (tokens.len() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text = format!("{number:016x}_opaque");
        tokens.insert(text.clone(), token);
        text
    }

    pub fn token(&self, text: &str) -> Option<Token> {
        self.tokens.lock().get(text).cloned()
    }

    /// Forgets where every delta was.
    pub fn lose_deltas(&self, loss: DeltaLoss) {
        for token in self.tokens.lock().values_mut() {
            if matches!(token, Token::Delta(_)) {
                *token = Token::Lost(loss);
            }
        }
    }

    /// A new access token for Graph at `audience`.
    pub fn issue(&self, audience: &str) -> String {
        let until = Instant::now() + self.dials.lock().token_lifetime;
        let mut access = self.access.lock();
        let text = format!("simulated-entra-token-{}", access.len() + 1);
        let audience = audience.to_owned();
        access.insert(text.clone(), Access { until, audience });
        text
    }

    pub fn revoke_all(&self) {
        for access in self.access.lock().values_mut() {
            access.until = Instant::now();
        }
    }

    /// Why this token isn't good here, if it isn't.
    fn refuses(&self, base: &str, headers: &HeaderMap) -> Option<Reply> {
        let denied = |message: &str| {
            let code = "InvalidAuthenticationToken";
            Some(Reply::error(StatusCode::UNAUTHORIZED, code, message))
        };
        let header = headers.get(AUTHORIZATION);
        let text = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let Some(text) = text else {
            return denied("Access token is empty.");
        };
        match self.access.lock().get(text) {
            Some(access) if access.until <= Instant::now() => {
                denied("Lifetime validation failed, the token is expired.")
            }
            Some(access) if access.audience == base => None,
            Some(_) => denied("Access token validation failure. Invalid audience."),
            None => denied("IDX14100: JWT is not well formed."),
        }
    }
}

/// Everything the server answers.
pub(super) fn router(shared: &Shared) -> Router {
    let latency = shared.front.latency.clone();
    let router = Router::new()
        .fallback(answer)
        .with_state(shared.clone())
        .layer(from_fn_with_state(latency, delay));
    let router = shared.front.before(router);
    router.layer(from_fn_with_state(shared.clone(), play))
}

/// Has happen what shall happen before the request.
async fn play(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    shared.run_script(request.uri().path());
    next.run(request).await
}

async fn answer(
    State(server): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let base = format!("http://{}", host.unwrap_or_default());
    let path = uri.path();
    if method == Method::POST && path.ends_with("/oauth2/v2.0/token") {
        return token::answer(&server, &base, path, &body).into_response();
    }
    if let Some(refusal) = server.refuses(&base, &headers) {
        return refusal.into_response();
    }
    let mut reply = if method == Method::POST && path == "/v1.0/$batch" {
        batch::answer(&server, &base, &body)
    } else if method == Method::GET {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        server.graph(&base, target, &headers)
    } else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    server.spoil(path, &mut reply);
    reply.into_response()
}
