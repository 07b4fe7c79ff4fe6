//! Why a OneLogin account couldn't be read, in the words of whoever runs it.

use std::time::Duration;

use reqwest::StatusCode;

use super::settings::InvalidSettings;
use super::wire::ErrorBody;
use crate::http::{Answer, Failure, HttpError};
use crate::source::{SourceError, SourceErrorKind};
use crate::text::shorten;

/// What went wrong. The message says what was tried, what was answered and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OneLoginFailure {
    /// The settings can't work.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The API credentials aren't accepted.
    #[error(
        "{tried}: OneLogin refuses the credentials ({answer}); check clientId and clientSecret in \
         the Secret, that they were made in this account (Developers, API Credentials), and that \
         region or subdomain is the account's"
    )]
    Credentials {
        /// What was asked.
        tried: String,
        /// What OneLogin said.
        answer: String,
    },
    /// The credentials are good, but not for this.
    #[error(
        "{tried}: OneLogin doesn't allow it ({answer}); make API credentials with the scope Read \
         Users and store them in the Secret"
    )]
    Forbidden {
        /// What was asked.
        tried: String,
        /// What OneLogin said.
        answer: String,
    },
    /// An attribute's value that OneLogin doesn't understand.
    #[error("{tried}: OneLogin refuses the query in users.attributes ({answer}); correct it")]
    Query {
        /// What was asked.
        tried: String,
        /// What OneLogin said.
        answer: String,
    },
    /// People are shown without an attribute that must have a value.
    #[error(
        "users.attributes: OneLogin shows the account {account} without {attribute:?}, so nobody \
         can say whether it has the value; write the name as in OneLogin's API \
         (custom_attributes.NAME for attributes of your own)"
    )]
    UnknownAttribute {
        /// Whose.
        account: String,
        /// The attribute.
        attribute: String,
    },
    /// Something else than OneLogin answers.
    #[error(
        "{what}; this isn't OneLogin's answer: check region, subdomain or apiUrl, and proxies in \
         between"
    )]
    NotOneLogin {
        /// What was tried and what came back.
        what: String,
    },
    /// The server isn't trusted.
    #[error("{0}; check region, subdomain or apiUrl, and proxies that break up TLS")]
    Tls(#[source] HttpError),
    /// Not reached, lost on the way, or OneLogin failed.
    #[error("{0}")]
    Passing(#[source] HttpError),
    /// OneLogin failed to make a token.
    #[error(
        "{0}; if it stays so, whoever made the API credentials was deleted, with whom they ended: \
         make new ones and store them in the Secret"
    )]
    NoToken(#[source] HttpError),
    /// A limit that was spent again and again.
    #[error("{cause}; the account's requests for this hour are used up, by other clients, too")]
    Throttled {
        /// What was tried.
        #[source]
        cause: HttpError,
        /// OneLogin's own word on when.
        retry_after: Option<Duration>,
    },
    /// A list that may not be whole.
    #[error("{tried}: the list may not be complete: {why}")]
    Incomplete {
        /// What was asked.
        tried: String,
        /// Why.
        why: String,
    },
    /// An account with a status or state that isn't known.
    #[error(
        "the account {account} has the {what} {number}, which this version doesn't know, so nobody \
         can say whether its owner may come in; update the operator, or leave such accounts out \
         with users.attributes"
    )]
    Unknown {
        /// Whose.
        account: String,
        /// `status` or `state`.
        what: &'static str,
        /// As it was sent; `(none)` where it wasn't.
        number: String,
    },
}

/// What a call is for: decides what its refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The access token.
    Token,
    /// A list of people with these attributes.
    Query,
    /// Any other list.
    List,
}

impl OneLoginFailure {
    /// What a failed call means.
    pub fn of(error: HttpError, purpose: Purpose) -> Self {
        let tried = error.call.to_string();
        let what = error.to_string();
        match error.failure {
            Failure::Token(inner) => Self::of(*inner, Purpose::Token),
            Failure::Tls(_) => Self::Tls(error),
            Failure::Html => Self::NotOneLogin { what },
            Failure::Status(ref answer) => {
                let body = body(answer);
                let answer_text = said(&body, answer);
                let status = answer.status;
                let refused_for = |part: &str| answer_text.to_lowercase().contains(part);
                if status == StatusCode::TOO_MANY_REQUESTS || refused_for("rate limit") {
                    return Self::Throttled {
                        retry_after: answer.retry_after,
                        cause: error,
                    };
                }
                if status.is_server_error() {
                    return match purpose {
                        Purpose::Token if status == StatusCode::INTERNAL_SERVER_ERROR => {
                            Self::NoToken(error)
                        }
                        _ => Self::Passing(error),
                    };
                }
                let permission = status == StatusCode::FORBIDDEN || refused_for("permission");
                match status {
                    _ if !body.is_there() => Self::NotOneLogin { what },
                    StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
                        if purpose == Purpose::Token =>
                    {
                        let answer = answer_text;
                        Self::Credentials { tried, answer }
                    }
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                        let answer = answer_text;
                        match permission {
                            true => Self::Forbidden { tried, answer },
                            false => Self::Credentials { tried, answer },
                        }
                    }
                    StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
                        if purpose == Purpose::Query =>
                    {
                        let answer = answer_text;
                        Self::Query { tried, answer }
                    }
                    StatusCode::NOT_FOUND => Self::NotOneLogin { what },
                    _ => Self::Passing(error),
                }
            }
            Failure::Unreachable(_)
            | Failure::Interrupted(_)
            | Failure::Undecodable(_)
            | Failure::TooLarge(_)
            | Failure::Request(_) => Self::Passing(error),
        }
    }

    fn kind(&self) -> SourceErrorKind {
        match self {
            Self::Settings(_)
            | Self::Credentials { .. }
            | Self::Forbidden { .. }
            | Self::Query { .. }
            | Self::UnknownAttribute { .. }
            | Self::NotOneLogin { .. }
            | Self::Tls(_)
            | Self::Unknown { .. } => SourceErrorKind::Configuration,
            Self::Throttled { retry_after, .. } => SourceErrorKind::Transient {
                retry_after: *retry_after,
            },
            Self::Passing(_) | Self::NoToken(_) => SourceErrorKind::Transient { retry_after: None },
            Self::Incomplete { .. } => SourceErrorKind::Incomplete,
        }
    }
}

impl From<OneLoginFailure> for SourceError {
    fn from(failure: OneLoginFailure) -> Self {
        Self {
            kind: failure.kind(),
            message: failure.to_string(),
            cause: Some(Box::new(failure)),
        }
    }
}

/// Whether OneLogin says that what was asked for isn't there.
pub fn is_gone(error: &HttpError) -> bool {
    let answer = error.failure.answer();
    answer.is_some_and(|answer| answer.status == StatusCode::NOT_FOUND && body(answer).is_there())
}

/// Whether OneLogin refuses what was asked for as it was asked.
pub fn is_malformed(error: &HttpError) -> bool {
    let answer = error.failure.answer();
    answer.is_some_and(|answer| matches!(answer.status.as_u16(), 400 | 422))
}

fn body(answer: &Answer) -> ErrorBody {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

fn said(body: &ErrorBody, answer: &Answer) -> String {
    match body.text() {
        text if text.is_empty() => answer.says(),
        text => shorten(&text),
    }
}
