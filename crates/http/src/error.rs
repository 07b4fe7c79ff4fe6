//! What can go wrong with a call, without anything secret in it.

use std::error::Error;
use std::fmt;
use std::io;

use reqwest::{Method, Url};
use rustls::InvalidMessage;

use crate::egress::Denied;
use crate::{Answer, CallOutcome, Redactor};
use directory_sync_directory::text::sanitize;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {failure}")]
pub struct HttpError {
    /// The method and address of the call, without its query.
    pub call: CallName,
    /// What came of it.
    pub failure: Failure,
}

/// A call as a person may see it: method and address without its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallName(String);

impl CallName {
    /// The method and address of a call, without its query.
    pub fn new(method: &Method, url: &Url) -> Self {
        Self(format!("{method} {}", without_query(url)))
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `scheme://host:port/path`: no user, password, query or fragment.
pub(super) fn without_query(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    sanitize(&format!("{origin}{}", url.path()))
}

/// What a server that speaks HTTP without TLS answers to a handshake isn't a TLS message.
const NO_TLS: &str = "the server doesn't speak TLS on this port: write the port on which it does, or http:// \
                      (which needs allowPlaintext)";
const ONLY_TLS: &str = "the server speaks TLS on this port: write https://";

/// What hyper says of an answer that isn't HTTP: a server that speaks TLS answers a plain request with an
/// alert.
const NO_HTTP: &str = "invalid HTTP version parsed";

/// How a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The operator's settings don't allow a connection to that server.
    #[error("{0}")]
    Denied(Denied),
    /// No connection: the name isn't known, nobody listens, no answer in time.
    #[error("can't connect: {0}")]
    Unreachable(String),
    /// The server's certificate isn't trusted, or ours isn't.
    #[error("no trusted connection: {0}")]
    Tls(String),
    /// The address says `http` where the server speaks TLS, or `https` where it doesn't.
    #[error("{0}")]
    Scheme(&'static str),
    /// The connection broke, or was silent too long, before the answer was whole.
    #[error("the connection was lost before the answer was whole: {0}")]
    Interrupted(String),
    /// An answer that isn't a success.
    #[error("{0}")]
    Status(Box<Answer>),
    /// A success with a body that can't be understood.
    #[error("the answer can't be understood: {0}")]
    Undecodable(String),
    /// A success with a page for people: a login form, a captive portal.
    #[error("the answer is an HTML page")]
    Html,
    /// A body larger than it ever should be.
    #[error(
        "the answer is larger than {0} bytes when it is decompressed; if that is right, raise \
         --max-response-size"
    )]
    TooLarge(u64),
    /// There was no token to send with it.
    #[error("there is no access token: {0}")]
    Token(#[source] Box<HttpError>),
    /// There was no token of the cluster to send with it; there may be one at the next try.
    #[error("there is no token of the cluster: {0}")]
    Identity(String),
    /// The request couldn't be written.
    #[error("the request can't be sent: {0}")]
    Request(String),
}

impl Failure {
    /// What came back, where an answer that isn't a success did.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Status(answer) => Some(answer),
            _ => None,
        }
    }

    /// For the observer; `None` where nothing was sent, or the status tells it.
    pub(super) fn outcome(&self) -> Option<CallOutcome> {
        match self {
            Self::Unreachable(_) | Self::Tls(_) | Self::Scheme(_) => Some(CallOutcome::Unreachable),
            Self::Interrupted(_) => Some(CallOutcome::Interrupted),
            _ => None,
        }
    }

    /// Of an error before any answer.
    pub(super) fn of_sending(error: &reqwest::Error, secrets: &Redactor) -> Self {
        // The text may hold what a certificate says.
        let text = secrets.clean(&chain(error));
        if let Some(denied) = denied(error) {
            Self::Denied(denied.clone())
        } else if let Some(tls) = of_tls(error) {
            match tls {
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                    Self::Scheme(NO_TLS)
                }
                _ => Self::Tls(text),
            }
        } else if text.contains(NO_HTTP) {
            Self::Scheme(ONLY_TLS)
        } else if error.is_connect() {
            Self::Unreachable(text)
        } else if error.is_builder() {
            Self::Request(text)
        } else {
            Self::Interrupted(text)
        }
    }
}

/// The causes of an error in one line, from the outside in, without addresses and without
/// repetition.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        // The text of these two says no more than that there was an error, or holds the address.
        let text = match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => "nothing came in time".into(),
            Some(_) => String::new(),
            None => error.to_string(),
        };
        let new = !text.is_empty() && !parts.iter().any(|before| before.contains(&text));
        if new && text != "client error (Connect)" && text != "client error (SendRequest)" {
            parts.push(text);
        }
        next = error.source();
    }
    sanitize(&parts.join(": "))
}

/// Why TLS refused the other side, or was refused by it. The error may lie in several layers of I/O
/// errors, which don't say what they wrap as their source.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .map(|inner| inner as &(dyn Error + 'static));
    error
        .downcast_ref()
        .or_else(|| of_tls(wrapped?))
        .or_else(|| of_tls(error.source()?))
}

/// The policy's refusal, where it is what kept us from connecting.
fn denied<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Denied> {
    match error.downcast_ref() {
        Some(denied) => Some(denied),
        None => denied(error.source()?),
    }
}
