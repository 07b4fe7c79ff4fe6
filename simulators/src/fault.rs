//! Makes a simulated server fail a chosen request in a chosen way, before or after having done
//! the work.
//!
//! A [`Fault`] says how, which request, and how often; [`Faults`] is the switch a test holds. The
//! middleware [`inject`] belongs in a router served by [`crate::wire::Served`], because cutting a
//! connection needs a hand on it.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::wire::CuttableConnection;

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// 500 without a body.
    InternalError,
    /// 503 without a body.
    Unavailable,
    /// 429 with `Retry-After`.
    #[serde(rename_all = "camelCase")]
    TooManyRequests {
        /// The seconds in `Retry-After`.
        retry_after: u64,
    },
    /// The connection closes without a byte of an answer.
    CutConnection,
    /// Nothing comes until the client gives up or the simulator stops.
    Hang,
    /// Status and headers of the true answer, then half its body, then the connection closes.
    HalfBody(Framing),
    /// 400 with an error body that blames no row.
    Refused,
    /// This status without a body, as of a server that hasn't got the call.
    Status(u16),
    /// 200 with a body that is neither JSON nor UTF-8, though its type says JSON.
    Garbage,
}

impl Way {
    /// Every way in which a server fails, for sweeps; a 429 asks for one second. A refusal
    /// ([`Self::Refused`]) is a decision of a server that works, and isn't among them.
    pub const ALL: [Self; 8] = [
        Self::InternalError,
        Self::Unavailable,
        Self::TooManyRequests { retry_after: 1 },
        Self::CutConnection,
        Self::Hang,
        Self::HalfBody(Framing::ContentLength),
        Self::HalfBody(Framing::Chunked),
        Self::Garbage,
    ];
}

/// How a client is told where a body ends, and so can tell that it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Framing {
    /// By a `Content-Length` that isn't reached.
    ContentLength,
    /// By the last chunk, which never comes.
    Chunked,
}

/// Whether the server did what was asked before it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// It didn't: the request had no effect.
    #[default]
    Undone,
    /// It did: only the answer is lost.
    Done,
}

impl Work {
    /// Both kinds, for sweeps over all faults.
    pub const BOTH: [Self; 2] = [Self::Undone, Self::Done];
}

/// One rule: which requests fail, and how. By default: the first request of any kind,
/// once, with the work undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    way: Way,
    #[serde(default)]
    work: Work,
    /// Requests that match pass before the first fails.
    #[serde(default)]
    skip: u64,
    /// How many fail; none means all from there on.
    #[serde(default = "once")]
    times: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path_prefix: String,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an Option field")]
fn once() -> Option<u64> {
    Some(1)
}

impl Fault {
    /// The next request fails in this way.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self {
            way,
            work: Work::Undone,
            skip: 0,
            times: once(),
            method: None,
            path_prefix: String::new(),
        }
    }

    /// Whether the work is done before failing.
    #[must_use]
    pub fn work(mut self, work: Work) -> Self {
        self.work = work;
        self
    }

    /// The first to fail is the `k`-th matching request from now, counted from 1.
    ///
    /// # Panics
    /// At 0.
    #[must_use]
    pub fn on_request(mut self, k: u64) -> Self {
        self.skip = k.checked_sub(1).expect("requests are counted from 1");
        self
    }

    /// So many matching requests in a row fail.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.times = Some(n);
        self
    }

    /// Every matching request from the first on fails, until [`Faults::clear`].
    #[must_use]
    pub fn from_then_on(mut self) -> Self {
        self.times = None;
        self
    }

    /// Only requests with this method match (and are counted).
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests whose path begins so match (and are counted).
    #[must_use]
    pub fn path(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.path_prefix);
        self
    }

    fn matches(&self, method: &Method, path: &str) -> bool {
        let method_fits = |wanted: &String| wanted.eq_ignore_ascii_case(method.as_str());
        self.method.as_ref().is_none_or(method_fits) && path.starts_with(&self.path_prefix)
    }

    fn hits(&self, nth_match: u64) -> bool {
        nth_match > self.skip
            && self
                .times
                .is_none_or(|times| nth_match <= self.skip + times)
    }
}

/// The faults in force at one simulated server. Clones share them.
#[derive(Clone, Debug)]
pub struct Faults {
    rules: Arc<Mutex<Rules>>,
    stopping: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Rules {
    armed: Vec<Armed>,
    fired: u64,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    matched: u64,
}

/// Tells a request log, in the answer's extensions, that the answer was tampered with.
#[derive(Clone, Copy, Debug)]
pub struct Failed(pub Way);

impl Faults {
    /// None yet. `stopping` ends hanging requests when the server stops.
    #[must_use]
    pub fn new(stopping: watch::Sender<bool>) -> Self {
        Self {
            rules: Arc::default(),
            stopping,
        }
    }

    /// Puts a rule in force; its count of matching requests begins now. Where several apply to a
    /// request, the first injected decides.
    pub fn inject(&self, fault: Fault) {
        self.rules.lock().armed.push(Armed { fault, matched: 0 });
    }

    /// Takes all rules out of force and sets [`Self::fired`] to zero.
    pub fn clear(&self) {
        *self.rules.lock() = Rules::default();
    }

    /// How many requests have failed by rule since the last [`Self::clear`]: a test that expects
    /// a fault must see that there was one.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.rules.lock().fired
    }

    fn next(&self, method: &Method, path: &str) -> Option<(Way, Work)> {
        let mut rules = self.rules.lock();
        let mut chosen = None;
        for armed in &mut rules.armed {
            if armed.fault.matches(method, path) {
                armed.matched += 1;
                if chosen.is_none() && armed.fault.hits(armed.matched) {
                    chosen = Some((armed.fault.way, armed.fault.work));
                }
            }
        }
        rules.fired += u64::from(chosen.is_some());
        chosen
    }
}

/// The middleware: `axum::middleware::from_fn_with_state(faults, inject)`.
pub async fn inject(
    State(faults): State<Faults>,
    ConnectInfo(wire): ConnectInfo<CuttableConnection>,
    request: Request,
    next: Next,
) -> Response {
    let Some((way, work)) = faults.next(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    // Reading has no effect to leave undone, and half an answer must be half of the true one.
    let harmless = request.method() == Method::GET;
    let answer = match (way, work) {
        (_, Work::Done) => Some(next.run(request).await),
        (Way::HalfBody(_), Work::Undone) if harmless => Some(next.run(request).await),
        (_, Work::Undone) => None,
    };
    let mut spoiled = match way {
        Way::InternalError => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Way::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Way::TooManyRequests { retry_after } => {
            let header = (RETRY_AFTER, HeaderValue::from(retry_after));
            (StatusCode::TOO_MANY_REQUESTS, [header]).into_response()
        }
        Way::CutConnection => {
            wire.cut();
            StatusCode::OK.into_response()
        }
        Way::Hang => {
            let mut stopping = faults.stopping.subscribe();
            let _ = stopping.wait_for(|stopping| *stopping).await;
            wire.cut();
            StatusCode::OK.into_response()
        }
        Way::HalfBody(framing) => half(answer, framing).await,
        Way::Status(status) => StatusCode::from_u16(status)
            .unwrap_or(StatusCode::NOT_FOUND)
            .into_response(),
        Way::Refused => {
            let body = Bytes::from_static(
                b"{\"object\":\"error\",\"message\":\"This can't be done.\",\"errors\":null}",
            );
            let head = [(CONTENT_TYPE, "application/json")];
            (StatusCode::BAD_REQUEST, head, body).into_response()
        }
        Way::Garbage => {
            let body = Bytes::from_static(b"\xff\xfe<html>not what you asked for\0");
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
    };
    spoiled.extensions_mut().insert(Failed(way));
    spoiled
}

/// The answer with its second half cut off. An answer without a body (or none at all, the work
/// being undone) becomes one that promises 16 bytes and brings 8.
async fn half(answer: Option<Response>, framing: Framing) -> Response {
    let (mut head, body) = answer.unwrap_or_default().into_parts();
    let mut whole = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    if whole.is_empty() {
        whole = Bytes::from_static(b"{              }");
    }
    head.headers.remove(TRANSFER_ENCODING);
    match framing {
        Framing::ContentLength => {
            let length = HeaderValue::from(whole.len());
            head.headers.insert(CONTENT_LENGTH, length);
        }
        Framing::Chunked => {
            head.headers.remove(CONTENT_LENGTH);
        }
    }
    let first = whole.slice(..whole.len() / 2);
    // hyper flushes what it has when the body lets it wait, and aborts the connection when the
    // body fails. Without the pause the first half might never leave.
    let cut = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    let body = stream::iter([Ok(first)]).chain(cut);
    Response::from_parts(head, Body::from_stream(body))
}
