//! Why an Okta organization couldn't be read, in the words of whoever runs it.

use std::time::Duration;

use reqwest::StatusCode;

use super::settings::InvalidSettings;
use super::wire::ErrorBody;
use crate::http::{Answer, Failure, HttpError};
use crate::source::{SourceError, SourceErrorKind};
use crate::text::shorten;

/// What went wrong. The message says what was tried, what was answered and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OktaFailure {
    /// The settings can't work.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The token, or what should buy one, isn't accepted.
    #[error("{tried}: Okta refuses the credentials ({answer}); {advice}")]
    Credentials {
        /// What was asked.
        tried: String,
        /// What Okta said.
        answer: String,
        /// What to do.
        advice: &'static str,
    },
    /// The token is good, but not for this.
    #[error(
        "{tried}: Okta doesn't allow it ({answer}); give a service app the scope {scope}, granted \
         by an administrator, and an admin role that sees users, groups and applications \
         (Read-only Administrator); an API token has the rights of the administrator who made it"
    )]
    Forbidden {
        /// What was asked.
        tried: String,
        /// What Okta said.
        answer: String,
        /// What the token needs.
        scope: &'static str,
    },
    /// A filter or search that Okta doesn't understand.
    #[error("{tried}: Okta refuses the expression in {field} ({answer}); correct it")]
    Expression {
        /// What was asked.
        tried: String,
        /// The field of the spec.
        field: &'static str,
        /// What Okta said.
        answer: String,
    },
    /// No such application.
    #[error(
        "{tried}: the organization has no application {id:?}; take applicationId from the address \
         of the application's page in the admin console"
    )]
    NoApplication {
        /// What was asked.
        tried: String,
        /// The id.
        id: String,
    },
    /// Something else than Okta answers.
    #[error("{what}; this isn't Okta's answer: check orgUrl, and proxies in between")]
    NotOkta {
        /// What was tried and what came back.
        what: String,
    },
    /// The server isn't trusted.
    #[error("{0}; check orgUrl, and proxies that break up TLS")]
    Tls(#[source] HttpError),
    /// Not reached, lost on the way, or Okta failed.
    #[error("{0}")]
    Passing(#[source] HttpError),
    /// Limits that were spent again and again.
    #[error("{cause}; the organization's rate limit is used up, by other clients, too")]
    Throttled {
        /// What was tried.
        #[source]
        cause: HttpError,
        /// Okta's own word on when.
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
    /// An account with a status that isn't known.
    #[error(
        "the account {account} has the status {status:?}, which this version doesn't know, so \
         nobody can say whether its owner may come in; update the operator, or leave such accounts \
         out with users.search"
    )]
    UnknownStatus {
        /// Whose.
        account: String,
        /// The status.
        status: String,
    },
}

/// What a call is for: decides what its refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// The access token.
    Token,
    /// A list that takes an expression from this field of the spec, where there is one.
    List {
        /// The scope that is needed.
        scope: &'static str,
        /// The field.
        expression: Option<&'static str>,
    },
    /// Assignments to this application.
    Application(&'a str),
}

impl OktaFailure {
    /// What a failed call means.
    pub fn of(error: HttpError, purpose: Purpose<'_>) -> Self {
        let tried = error.call.to_string();
        let what = error.to_string();
        match error.failure {
            Failure::Token(inner) => Self::of(*inner, Purpose::Token),
            Failure::Tls(_) => Self::Tls(error),
            Failure::Html => Self::NotOkta { what },
            Failure::Status(ref answer) => {
                let body = body(answer);
                let said = said(&body, answer);
                let okta = !body.error_code.is_empty() || !body.error.is_empty();
                match answer.status {
                    StatusCode::TOO_MANY_REQUESTS => Self::Throttled {
                        retry_after: answer.retry_after,
                        cause: error,
                    },
                    status if status.is_server_error() => Self::Passing(error),
                    _ if !okta => Self::NotOkta { what },
                    StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
                        if purpose == Purpose::Token =>
                    {
                        Self::Credentials {
                            tried,
                            answer: said,
                            advice: token_advice(&body),
                        }
                    }
                    StatusCode::UNAUTHORIZED => Self::Credentials {
                        tried,
                        answer: said,
                        advice: "make a new API token and store it in the Secret; a token ends \
                                 after 30 days without use, and with its owner's account",
                    },
                    StatusCode::FORBIDDEN => Self::Forbidden {
                        tried,
                        answer: said,
                        scope: match purpose {
                            Purpose::List { scope, .. } => scope,
                            Purpose::Application(_) | Purpose::Token => "okta.apps.read",
                        },
                    },
                    StatusCode::BAD_REQUEST => match purpose {
                        Purpose::List {
                            expression: Some(field),
                            ..
                        } => Self::Expression {
                            tried,
                            field,
                            answer: said,
                        },
                        _ => Self::Passing(error),
                    },
                    StatusCode::NOT_FOUND => match purpose {
                        Purpose::Application(id) => Self::NoApplication {
                            tried,
                            id: id.to_owned(),
                        },
                        _ => Self::NotOkta { what },
                    },
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
            | Self::Expression { .. }
            | Self::NoApplication { .. }
            | Self::NotOkta { .. }
            | Self::Tls(_)
            | Self::UnknownStatus { .. } => SourceErrorKind::Configuration,
            Self::Throttled { retry_after, .. } => SourceErrorKind::Transient {
                retry_after: *retry_after,
            },
            Self::Passing(_) => SourceErrorKind::Transient { retry_after: None },
            Self::Incomplete { .. } => SourceErrorKind::Incomplete,
        }
    }
}

impl From<OktaFailure> for SourceError {
    fn from(failure: OktaFailure) -> Self {
        Self {
            kind: failure.kind(),
            message: failure.to_string(),
            cause: Some(Box::new(failure)),
        }
    }
}

/// Whether Okta says that what was asked for isn't there.
pub fn is_gone(error: &HttpError) -> bool {
    error.failure.answer().is_some_and(|answer| {
        answer.status == StatusCode::NOT_FOUND && body(answer).error_code == "E0000007"
    })
}

fn body(answer: &Answer) -> ErrorBody {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

fn said(body: &ErrorBody, answer: &Answer) -> String {
    let text = match (body.error_code.as_str(), body.error.as_str()) {
        ("", "") => return answer.says(),
        ("", error) => format!("{error}: {}", body.error_description),
        (code, _) => format!("{code}: {}", body.error_summary),
    };
    shorten(&text)
}

fn token_advice(body: &ErrorBody) -> &'static str {
    match body.error.as_str() {
        "invalid_scope" => {
            "grant the service app okta.users.read and okta.groups.read (and okta.apps.read with \
             applicationId) under its Okta API Scopes"
        }
        "invalid_dpop_proof" | "use_dpop_nonce" => {
            "turn off \"Require Demonstrating Proof of Possession (DPoP)\" in the service app's \
             general settings: this version can't bind tokens to a key"
        }
        "unauthorized_client" => {
            "the app must be an API Services app, with \"Public key / Private key\" as its client \
             authentication"
        }
        _ => {
            "check clientId, that the key in the Secret belongs to a public key that is active in \
             the app, keyId where the app has several, and this machine's clock"
        }
    }
}
