//! Why a customer's directory couldn't be read, in the words of whoever runs the sync.

use std::time::Duration;

use reqwest::StatusCode;

use super::api::List;
use super::refusal::{self, Mended};
use super::settings::InvalidSettings;
use super::wire::ErrorBody;
use crate::http::{Answer, Failure, HttpError};
use crate::source::{SourceError, SourceErrorKind};
use crate::text::shorten;

/// As whom we come.
#[derive(Debug, Clone)]
pub struct Account {
    /// The service account.
    pub service_account: String,
    /// The administrator it acts for.
    pub admin: Option<String>,
}

impl Account {
    /// Whose rights count, and whose quota.
    pub fn acts_as(&self) -> &str {
        self.admin.as_deref().unwrap_or(&self.service_account)
    }

    fn role_advice(&self, privilege: &str) -> String {
        match &self.admin {
            Some(admin) => format!(
                "give {} an administrator role with the Admin API privilege \"{privilege}\"",
                shorten(admin)
            ),
            None => format!(
                "assign the service account {} an administrator role with the Admin API privilege \
                 \"{privilege}\" and write customer (its id, in the Admin console's account \
                 settings), or write adminEmail to act for somebody who has one",
                shorten(&self.service_account)
            ),
        }
    }
}

/// What went wrong. The message says what was tried, what was answered and what to do.
#[derive(Debug, thiserror::Error)]
pub enum GoogleFailure {
    /// The settings can't work.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// No token.
    #[error("no access token for Google Workspace: {tried}: {answer}; {advice}")]
    Token {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
        /// What to do.
        advice: String,
        /// Where.
        mended: Mended,
    },
    /// A token that was just issued isn't taken.
    #[error(
        "{tried}: Google refuses a token that was just issued ({answer}); check that tokenUrl and \
         directoryUrl belong together"
    )]
    TokenRefused {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
    },
    /// The project hasn't the API switched on.
    #[error(
        "{tried}: the Admin SDK API isn't enabled ({answer}); enable admin.googleapis.com in the \
         Google Cloud project of the service account {service_account}"
    )]
    NotEnabled {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
        /// Whose project.
        service_account: String,
    },
    /// The token isn't for this.
    #[error(
        "{tried}: the token's scopes don't allow it ({answer}); allow the service account \
         {service_account} the scope {scope}"
    )]
    Scope {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
        /// Who.
        service_account: String,
        /// What it needs.
        scope: &'static str,
    },
    /// The customer keeps everybody from its APIs.
    #[error(
        "{tried}: the customer doesn't let anybody use its APIs ({answer}); turn API access on in \
         the Admin console under Security, Access and data control, API controls"
    )]
    ApisOff {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
    },
    /// The account has no role that allows it.
    #[error(
        "{tried}: {account} may not read {what} ({answer}); {advice}; and check that customer or \
         domains are its own"
    )]
    Forbidden {
        /// What was asked.
        tried: String,
        /// Who asked.
        account: String,
        /// What it was.
        what: &'static str,
        /// What Google said.
        answer: String,
        /// What to do.
        advice: String,
    },
    /// A query that Google doesn't understand.
    #[error("{tried}: Google refuses the query in {field} ({answer}); correct it")]
    Query {
        /// What was asked.
        tried: String,
        /// The field of the spec.
        field: &'static str,
        /// What Google said.
        answer: String,
    },
    /// No such customer or domain.
    #[error(
        "{tried}: Google knows no such customer or domain ({answer}); check customer or domains"
    )]
    NoTenant {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
    },
    /// A group that was there a moment ago.
    #[error("{tried}: there is no such group ({answer})")]
    Gone {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
    },
    /// Nobody says whether people are suspended.
    #[error(
        "Google doesn't tell whether the account of {user} is suspended; {advice}, which sees \
         more than colleagues do"
    )]
    AccountsHidden {
        /// Whose.
        user: String,
        /// What to do.
        advice: String,
    },
    /// Quotas that were spent again and again.
    #[error(
        "{cause}; Google's quota is used up, by others who act as {account} or read this customer, \
         too: read less often, or lower requestsPerMinute"
    )]
    Throttled {
        /// What was tried.
        #[source]
        cause: HttpError,
        /// Whose quota.
        account: String,
        /// Google's own word on when.
        retry_after: Option<Duration>,
    },
    /// The place in a list that a page token stands for is lost.
    #[error(
        "{tried}: Google lost the place in the list ({answer}); nothing is changed, and the next \
         run reads anew"
    )]
    PageLost {
        /// What was asked.
        tried: String,
        /// What Google said.
        answer: String,
    },
    /// A list that may not be whole.
    #[error("{tried}: the list may not be complete: {why}")]
    Incomplete {
        /// What was asked.
        tried: String,
        /// Why.
        why: String,
    },
    /// Something else than Google answers.
    #[error("{what}; this isn't Google's answer: check directoryUrl, and proxies in between")]
    NotGoogle {
        /// What was tried and what came back.
        what: String,
    },
    /// The server isn't trusted.
    #[error("{0}; check directoryUrl and tokenUrl, and proxies that break up TLS")]
    Tls(#[source] HttpError),
    /// Not reached, lost on the way, or Google failed.
    #[error("{0}")]
    Passing(#[source] HttpError),
}

impl GoogleFailure {
    pub(super) fn incomplete(list: &List, why: &str) -> Self {
        let method = reqwest::Method::GET;
        let tried = crate::http::CallName::new(&method, &list.url).to_string();
        let why = why.to_owned();
        Self::Incomplete { tried, why }
    }

    pub(super) fn hidden(user: &str, account: &Account) -> Self {
        Self::AccountsHidden {
            user: shorten(user),
            advice: account.role_advice("Users: Read"),
        }
    }

    /// What a failed call means; `further`: it asked for a page after the first.
    pub(super) fn of(error: HttpError, list: &List, further: bool, account: &Account) -> Self {
        if is_quota(&error) {
            return Self::Throttled {
                retry_after: error.failure.answer().and_then(|answer| answer.retry_after),
                account: shorten(account.acts_as()),
                cause: error,
            };
        }
        let tried = error.call.to_string();
        let what = error.to_string();
        match error.failure {
            Failure::Token(inner) => Self::of_token(*inner),
            Failure::Tls(_) => Self::Tls(error),
            Failure::Html => Self::NotGoogle { what },
            Failure::Status(ref answer) => {
                let body = body(answer);
                let said = said(&body, answer);
                let service_account = shorten(&account.service_account);
                let is = |reasons: &[&str]| body.reasons().any(|found| reasons.contains(&found));
                match answer.status {
                    status if status.is_server_error() => Self::Passing(error),
                    _ if body.error.message.is_empty() => Self::NotGoogle { what },
                    StatusCode::UNAUTHORIZED => Self::TokenRefused {
                        tried,
                        answer: said,
                    },
                    StatusCode::FORBIDDEN if is(&NOT_ENABLED) => Self::NotEnabled {
                        tried,
                        answer: said,
                        service_account,
                    },
                    StatusCode::FORBIDDEN if is(&NOT_IN_SCOPE) => Self::Scope {
                        tried,
                        answer: said,
                        service_account,
                        scope: list.resource.scope,
                    },
                    StatusCode::FORBIDDEN if is(&["domainCannotUseApis"]) => Self::ApisOff {
                        tried,
                        answer: said,
                    },
                    StatusCode::FORBIDDEN => Self::Forbidden {
                        tried,
                        account: shorten(account.acts_as()),
                        what: list.resource.what,
                        answer: said,
                        advice: account.role_advice(list.resource.privilege),
                    },
                    StatusCode::BAD_REQUEST | StatusCode::GONE if further => Self::PageLost {
                        tried,
                        answer: said,
                    },
                    StatusCode::BAD_REQUEST if list.queried => Self::Query {
                        tried,
                        field: list.resource.query,
                        answer: said,
                    },
                    StatusCode::NOT_FOUND if list.is_of_members() => Self::Gone {
                        tried,
                        answer: said,
                    },
                    StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if !list.is_of_members() => {
                        Self::NoTenant {
                            tried,
                            answer: said,
                        }
                    }
                    _ => Self::Passing(error),
                }
            }
            _ => Self::Passing(error),
        }
    }

    /// What it means that there is no token.
    pub(super) fn of_token(error: HttpError) -> Self {
        match error.failure {
            // The call to sign needs a token itself.
            Failure::Token(inner) => Self::of_exchange(*inner),
            _ => Self::of_refusal(refusal::of(&error), error),
        }
    }

    /// What it means that the cluster's token isn't exchanged.
    pub(super) fn of_exchange(error: HttpError) -> Self {
        Self::of_refusal(refusal::of_exchange(&error), error)
    }

    fn of_refusal(refused: Option<refusal::Refused>, error: HttpError) -> Self {
        match refused {
            Some(refused) => Self::Token {
                tried: refused.tried,
                answer: refused.answer,
                advice: refused.advice,
                mended: refused.mended,
            },
            None if matches!(error.failure, Failure::Tls(_)) => Self::Tls(error),
            None => Self::Passing(error),
        }
    }

    fn kind(&self) -> SourceErrorKind {
        match self {
            Self::Settings(_)
            | Self::Token {
                mended: Mended::Here,
                ..
            }
            | Self::TokenRefused { .. }
            | Self::Query { .. }
            | Self::NoTenant { .. }
            | Self::NotGoogle { .. }
            | Self::Tls(_) => SourceErrorKind::Configuration,
            // APIs, roles and delegation are switched at Google, and nobody tells us.
            Self::Token { .. }
            | Self::NotEnabled { .. }
            | Self::Scope { .. }
            | Self::ApisOff { .. }
            | Self::Forbidden { .. }
            | Self::AccountsHidden { .. } => SourceErrorKind::Transient {
                retry_after: Some(NOW_AND_THEN),
            },
            Self::Throttled { retry_after, .. } => SourceErrorKind::Transient {
                retry_after: *retry_after,
            },
            Self::PageLost { .. } | Self::Incomplete { .. } | Self::Gone { .. } => {
                SourceErrorKind::Incomplete
            }
            Self::Passing(error) => match error.failure {
                Failure::Interrupted(_) | Failure::Undecodable(_) | Failure::TooLarge(_) => {
                    SourceErrorKind::Incomplete
                }
                _ => SourceErrorKind::Transient { retry_after: None },
            },
        }
    }
}

/// How often is tried again what has to be mended elsewhere.
const NOW_AND_THEN: Duration = Duration::from_secs(300);

/// Reasons of a 403 that pass (Directory API, "Limits and quotas"); in both forms of errors.
const QUOTA: [&str; 4] = [
    "quotaExceeded",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
];
const NOT_ENABLED: [&str; 2] = ["accessNotConfigured", "SERVICE_DISABLED"];
const NOT_IN_SCOPE: [&str; 2] = ["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"];

impl From<GoogleFailure> for SourceError {
    fn from(failure: GoogleFailure) -> Self {
        Self {
            kind: failure.kind(),
            message: failure.to_string(),
            cause: Some(Box::new(failure)),
        }
    }
}

/// Whether a quota is spent, which passes within a minute.
pub(super) fn is_quota(error: &HttpError) -> bool {
    error
        .failure
        .answer()
        .is_some_and(|answer| match answer.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::FORBIDDEN => body(answer).reasons().any(|found| QUOTA.contains(&found)),
            _ => false,
        })
}

pub(super) fn body(answer: &Answer) -> ErrorBody {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

/// What an API's refusal says: its reason and message.
pub(super) fn said(body: &ErrorBody, answer: &Answer) -> String {
    let status = answer.status.as_u16();
    let message = body.error.message.trim();
    match (body.reasons().next(), message) {
        (None, "") => format!("{status} {}", answer.says()),
        (None, message) => format!("{status}: {}", shorten(message)),
        (Some(reason), message) => format!("{status} {}: {}", shorten(reason), shorten(message)),
    }
}
