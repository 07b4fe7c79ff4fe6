//! Why a tenant couldn't be read, in the words of whoever runs the sync.

use std::time::Duration;

use reqwest::StatusCode;

use super::settings::InvalidSettings;
use super::wire::{ErrorBody, GraphError};
use crate::http::{Failure, HttpError};
use crate::source::{SourceError, SourceErrorKind};
use crate::text::shorten;

/// A kind of call: what it reads, what it needs, what of the settings it depends on.
#[derive(Debug)]
pub(super) struct Resource {
    /// The path's template.
    pub endpoint: &'static str,
    /// What is read, for people.
    pub what: &'static str,
    /// The least permissions that let an application make it, either of them.
    pub permission: &'static str,
    /// The fields that may be wrong when the call is.
    pub field: &'static str,
}

/// What went wrong. The message says what was tried, what was answered and what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntraFailure {
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The token endpoint refused.
    #[error("no access token for Microsoft Graph: {call}: {answer}; {advice}")]
    Token {
        call: String,
        answer: String,
        advice: String,
        mended: Mended,
    },
    /// Graph refuses the call to this application.
    #[error(
        "reading {} is refused ({answer}): give the app registration the application permission {} and let an administrator consent to it", .resource.what, .resource.permission
    )]
    NotPermitted {
        resource: &'static Resource,
        answer: String,
    },
    /// Graph doesn't take a token that was just issued.
    #[error(
        "Microsoft Graph refuses a token that was just issued ({answer}): check that cloud, or authorityUrl and graphUrl, belong together"
    )]
    TokenRefused { answer: String },
    /// Something that the settings name isn't there.
    #[error("{what} ({answer}); check {field}")]
    NotFound {
        what: String,
        answer: String,
        field: String,
    },
    /// The call can't be understood, for which a filter of the settings is the only reason.
    #[error("reading {} is refused ({answer}); check the OData filter in {}", .resource.what, .resource.field)]
    Filter {
        resource: &'static Resource,
        answer: String,
    },
    /// A name of the settings stands for several groups.
    #[error(
        "{field} names {name:?}, and {count} groups have that name; name the one that is meant by its id"
    )]
    Ambiguous {
        field: &'static str,
        name: String,
        count: usize,
    },
    /// People's accounts can't be told apart.
    #[error(
        "Microsoft Graph doesn't tell whether accounts are enabled: give the app registration the application permission User.Read.All and let an administrator consent to it"
    )]
    AccountsHidden,
    /// A group of the settings hides its members.
    #[error(
        "{field} names the group {group}, which hides its members: give the app registration the application permission Member.Read.Hidden and let an administrator consent to it, or name another group"
    )]
    SelectionHidden { field: &'static str, group: String },
    /// What came may not be everything.
    #[error("reading {what}: {why}; nothing is changed, and the next run reads anew")]
    Doubt { what: &'static str, why: String },
    /// A part of a batch was refused for good.
    #[error("reading {}: Microsoft Graph answers {answer}", .resource.what)]
    Part {
        resource: &'static Resource,
        answer: String,
        retry_after: Option<Duration>,
    },
    /// A delta link that Graph no longer knows.
    #[error(
        "reading {what}: Microsoft Graph lost track of the changes ({answer}); the next run reads anew"
    )]
    Resync { what: &'static str, answer: String },
    /// Anything else of a call.
    #[error("reading {}: {cause}", .resource.what)]
    Http {
        resource: &'static Resource,
        #[source]
        cause: HttpError,
    },
}

/// Where somebody has to mend something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mended {
    /// In the spec or a Secret, which is noticed.
    Here,
    /// In Entra ID or the cluster, of which we hear nothing: tried again now and then.
    Elsewhere,
}

/// How often is tried again what has to be mended elsewhere.
const NOW_AND_THEN: Duration = Duration::from_secs(300);

/// What an answer's body says: Graph's code and message, and the id its support asks for.
pub(super) fn said(status: StatusCode, error: &GraphError) -> String {
    let mut text = format!("{} {}", status.as_u16(), shorten(&error.code));
    if !error.message.is_empty() {
        text.push_str(": ");
        text.push_str(shorten(error.message.trim()).trim_end_matches('.'));
    }
    if !error.inner_error.request_id.is_empty() {
        text.push_str(", request-id ");
        text.push_str(&shorten(&error.inner_error.request_id));
    }
    text
}

impl EntraFailure {
    pub(super) fn doubt(what: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Doubt { what, why }
    }

    /// What a failed call means. `names` is what of the settings it stands for: a 404 is about it.
    pub(super) fn of(resource: &'static Resource, names: Option<&str>, cause: HttpError) -> Self {
        match cause.failure {
            Failure::Token(inner) => Self::of_token(*inner),
            Failure::Status(ref answer) if !answer.is_html() => {
                let body: ErrorBody = serde_json::from_str(&answer.body).unwrap_or_default();
                Self::of_answer(resource, names, answer.status, &body.error)
                    .unwrap_or(Self::Http { resource, cause })
            }
            _ => Self::Http { resource, cause },
        }
    }

    /// What a status and Graph's error mean where they have a meaning of their own.
    pub(super) fn of_answer(
        resource: &'static Resource,
        names: Option<&str>,
        status: StatusCode,
        error: &GraphError,
    ) -> Option<Self> {
        let answer = said(status, error);
        let lost = [
            "syncStateNotFound",
            "resyncRequired",
            "Directory_ExpiredPageToken",
        ];
        if status == StatusCode::GONE || lost.contains(&error.code.as_str()) {
            let what = resource.what;
            return Some(Self::Resync { what, answer });
        }
        match status {
            StatusCode::UNAUTHORIZED => Some(Self::TokenRefused { answer }),
            StatusCode::FORBIDDEN => Some(Self::NotPermitted { resource, answer }),
            StatusCode::NOT_FOUND => match names {
                Some(name) => Some(Self::NotFound {
                    what: format!("there is no {name} in the tenant"),
                    answer,
                    field: resource.field.to_owned(),
                }),
                // It was there a moment ago.
                None => Some(Self::doubt(
                    resource.what,
                    format!("it changed while it was read ({answer})"),
                )),
            },
            StatusCode::BAD_REQUEST if resource.field.ends_with("filter") => {
                Some(Self::Filter { resource, answer })
            }
            _ => None,
        }
    }

    /// What it means that there is no token.
    pub(super) fn of_token(cause: HttpError) -> Self {
        let call = cause.call.to_string();
        let (answer, advice, mended) = match &cause.failure {
            Failure::Status(answer) if !answer.status.is_server_error() && !answer.is_html() => {
                let refusal = TokenRefusal::read(&answer.body);
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    return Self::Http {
                        resource: &TOKEN,
                        cause,
                    };
                }
                let (advice, mended) = refusal.advice();
                (refusal.says(answer.status), advice, mended)
            }
            Failure::Request(why) => {
                let advice = "see that the token's file is mounted";
                (why.clone(), advice, Mended::Elsewhere)
            }
            _ => {
                return Self::Http {
                    resource: &TOKEN,
                    cause,
                };
            }
        };
        Self::Token {
            call,
            answer,
            advice: advice.to_owned(),
            mended,
        }
    }

    fn kind(&self) -> SourceErrorKind {
        match self {
            Self::Settings(_)
            | Self::TokenRefused { .. }
            | Self::Filter { .. }
            | Self::Token {
                mended: Mended::Here,
                ..
            } => SourceErrorKind::Configuration,
            // Consent, groups and credentials of the application are Entra ID's.
            Self::Token { .. }
            | Self::NotPermitted { .. }
            | Self::NotFound { .. }
            | Self::Ambiguous { .. }
            | Self::AccountsHidden
            | Self::SelectionHidden { .. } => SourceErrorKind::Transient {
                retry_after: Some(NOW_AND_THEN),
            },
            Self::Doubt { .. } | Self::Resync { .. } => SourceErrorKind::Incomplete,
            Self::Part { retry_after, .. } => SourceErrorKind::Transient {
                retry_after: *retry_after,
            },
            Self::Http { cause, .. } => match &cause.failure {
                Failure::Interrupted(_) | Failure::Undecodable(_) | Failure::TooLarge(_) => {
                    SourceErrorKind::Incomplete
                }
                Failure::Request(_) => SourceErrorKind::Configuration,
                Failure::Status(answer) if answer.status == StatusCode::BAD_REQUEST => {
                    SourceErrorKind::Configuration
                }
                failure => SourceErrorKind::Transient {
                    retry_after: failure.answer().and_then(|answer| answer.retry_after),
                },
            },
        }
    }
}

impl From<EntraFailure> for SourceError {
    fn from(failure: EntraFailure) -> Self {
        Self {
            kind: failure.kind(),
            message: failure.to_string(),
            cause: Some(Box::new(failure)),
        }
    }
}

/// Asking for a token.
pub(super) static TOKEN: Resource = Resource {
    endpoint: "POST /{tenant}/oauth2/v2.0/token",
    what: "an access token",
    permission: "",
    field: "credentials",
};

/// What the token endpoint says when it gives none.
#[derive(Debug, Default, serde::Deserialize)]
struct TokenRefusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl TokenRefusal {
    fn read(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    fn says(&self, status: StatusCode) -> String {
        // What follows is for Microsoft's own logs.
        let text = self.error_description.split(" Trace ID:").next();
        let text = shorten(text.unwrap_or_default().lines().next().unwrap_or_default());
        let status = status.as_u16();
        match text.trim().trim_end_matches('.') {
            "" => format!("{status} {}", shorten(&self.error)),
            text => format!("{status} {text}"),
        }
    }

    /// What to do and where, by the code (Microsoft: "Entra authentication and authorization error
    /// codes").
    fn advice(&self) -> (&'static str, Mended) {
        let code = self.error_codes.first().copied().unwrap_or_default();
        let elsewhere = [50_027, 70_021, 700_024, 700_027, 700_211, 700_212, 700_213];
        let mended = match elsewhere.contains(&code) {
            true => Mended::Elsewhere,
            false => Mended::Here,
        };
        let advice = match code {
            7_000_222 => {
                "the client secret has expired: create a new one for the app registration and put its value into the Secret"
            }
            7_000_215 => {
                "the client secret is wrong: put the secret's value, not its id, into the Secret"
            }
            90_002 | 900_023 => "check tenantId, and that cloud is the tenant's",
            700_016 => "check clientId, and that the application is in this tenant",
            700_027 => {
                "upload the certificate to the app registration, and check that it is still valid"
            }
            700_024 => {
                "check the clock of this machine: the assertion isn't valid yet, or not any more"
            }
            700_211 => {
                "add a federated credential to the app registration whose issuer is the cluster's, exactly as its tokens have it"
            }
            700_212 => {
                "the token's audience isn't the federated credential's: both should be api://AzureADTokenExchange"
            }
            700_213 => {
                "the token's subject isn't the federated credential's: it should be system:serviceaccount:NAMESPACE:NAME of the operator"
            }
            70_021 => {
                "check issuer, subject and audience of the app registration's federated credential"
            }
            500_011 | 70_011 => "check cloud or graphUrl: the tenant knows no such Microsoft Graph",
            _ => "check tenantId, clientId and credentials",
        };
        (advice, mended)
    }
}
