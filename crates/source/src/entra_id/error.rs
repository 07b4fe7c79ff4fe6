//! How Microsoft's errors are recognised, and what to do about them.

use std::time::Duration;

use reqwest::StatusCode;

use super::settings::InvalidSettings;
use super::wire::{ErrorBody, GraphError};
use crate::http::{Answer, ApiError, Failure, FailureClass, HttpError, RemoteText, Vendor};

static GRAPH: Vendor = Vendor {
    name: "Microsoft",
    address: "cloud",
    throttled: "Microsoft Graph limits this application's requests",
    said: graph_said,
};

static TOKENS: Vendor = Vendor {
    name: "Microsoft",
    address: "cloud",
    throttled: "Microsoft limits this application's requests",
    said: token_said,
};

/// A kind of call: what it reads, what it needs, what of the settings it depends on.
#[derive(Debug)]
pub(super) struct Resource {
    /// The path with placeholders instead of ids, as metrics and messages name it.
    pub endpoint: &'static str,
    /// What is read, for people.
    pub what: &'static str,
    /// The least permissions that let an application make it, either of them.
    pub permission: &'static str,
    /// The fields that may be wrong when the call is.
    pub field: &'static str,
}

impl From<InvalidSettings> for ApiError {
    fn from(invalid: InvalidSettings) -> Self {
        Self::new(FailureClass::Settings, invalid.to_string())
    }
}

/// What came may not be everything.
pub(super) fn incomplete(what: &'static str, why: impl Into<String>) -> ApiError {
    unread(FailureClass::Incomplete, what, why)
}

fn unread(class: FailureClass, what: &'static str, why: impl Into<String>) -> ApiError {
    let why = why.into();
    ApiError::new(
        class,
        format!("reading {what}: {why}; nothing is changed, and the next run reads anew"),
    )
}

/// People's accounts can't be told apart.
pub(super) fn accounts_hidden() -> ApiError {
    ApiError::new(
        FailureClass::Permission,
        "Microsoft Graph doesn't tell whether accounts are enabled: give the app registration the \
         application permission User.Read.All and let an administrator consent to it",
    )
}

/// A group or administrative unit of the settings hides its members.
pub(super) fn selection_hidden(field: &'static str, what: &str) -> ApiError {
    ApiError::new(
        FailureClass::Permission,
        format!(
            "{field} names the {what}, which hides its members: give the app registration \
             the application permission Member.Read.Hidden and let an administrator consent to \
             it, or name another"
        ),
    )
}

/// Something that `field` of the settings names isn't there.
pub(super) fn not_found(what: &str, answer: &str, field: &str) -> ApiError {
    ApiError::new(
        FailureClass::NotFound,
        format!("{what} ({answer}); check {field}"),
    )
}

/// A name of the settings stands for several groups.
pub(super) fn ambiguous(field: &'static str, name: &str, count: usize) -> ApiError {
    ApiError::new(
        FailureClass::NotFound,
        format!(
            "{field} names {name:?}, and {count} groups have that name; name the one that is \
             meant by its id"
        ),
    )
}

/// A part of a batch that wasn't answered well.
pub(super) fn part(
    resource: &'static Resource,
    answer: &str,
    retry_after: Option<Duration>,
) -> ApiError {
    ApiError::new(
        FailureClass::Unavailable { retry_after },
        format!(
            "reading {}: Microsoft Graph answers {answer}",
            resource.what
        ),
    )
}

/// What an answer's body says: Graph's code and message, and the id its support asks for.
pub(super) fn said(status: StatusCode, error: &GraphError) -> String {
    // Parts of a batch that failed may come without a body.
    let mut text = match error.code.is_empty() {
        true => status.to_string(),
        false => format!("{} {}", status.as_u16(), error.code),
    };
    if !error.message.is_empty() {
        text.push_str(": ");
        text.push_str(error.message.to_string().trim_end_matches('.'));
    }
    let request_id = error.inner_error.request_id.raw();
    if is_uuid(request_id) {
        text.push_str(", request-id ");
        text.push_str(request_id);
    }
    text
}

/// Whether a text has the form of Graph's ids of requests, and holds nothing else.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    let hex = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(hex)
}

fn graph_said(answer: &Answer) -> Option<String> {
    let body: ErrorBody = answer.fields();
    (!body.error.code.is_empty()).then(|| said(answer.status, &body.error))
}

fn token_said(answer: &Answer) -> Option<String> {
    let refusal: TokenRefusal = answer.fields();
    (!refusal.error.is_empty()).then(|| refusal.says(answer.status))
}

/// What a failed call means. `names` is what of the settings it stands for: a 404 is about it.
pub(super) fn failure(
    resource: &'static Resource,
    names: Option<&str>,
    cause: HttpError,
) -> ApiError {
    let (cause, for_token) = cause.into_token_failure();
    if for_token {
        return token_failure(cause);
    }
    let mut recognised = false;
    let mut failure = ApiError::of(cause, &GRAPH, |refusal| {
        let body: ErrorBody = refusal.answer.fields();
        let found = refused(resource, names, refusal.answer.status, &body.error);
        recognised = found.is_some();
        found
    });
    if !recognised {
        failure.message = format!("reading {}: {}", resource.what, failure.message).into();
    }
    failure
}

/// What a status and Graph's error mean where they have a meaning of their own.
pub(super) fn refused(
    resource: &'static Resource,
    names: Option<&str>,
    status: StatusCode,
    error: &GraphError,
) -> Option<ApiError> {
    let Resource {
        what,
        permission,
        field,
        ..
    } = resource;
    let answer = said(status, error);
    let lost = [
        "syncStateNotFound",
        "resyncRequired",
        "Directory_ExpiredPageToken",
    ];
    if status == StatusCode::GONE || lost.contains(&error.code.raw()) {
        return Some(ApiError::new(
            FailureClass::Restart,
            format!(
                "reading {what}: Microsoft Graph lost track of the changes ({answer}); the next \
                 run reads anew"
            ),
        ));
    }
    Some(match (status, names) {
        (StatusCode::UNAUTHORIZED, _) => ApiError::new(
            FailureClass::Credentials,
            format!(
                "Microsoft Graph refuses a token that was just issued ({answer}): check that cloud, \
                 or the addresses of --vendor-urls, belong together"
            ),
        ),
        (StatusCode::FORBIDDEN, _) => ApiError::new(
            FailureClass::Permission,
            format!(
                "reading {what} is refused ({answer}): give the app registration the application \
                 permission {permission} and let an administrator consent to it"
            ),
        ),
        (StatusCode::NOT_FOUND, Some(name)) => {
            not_found(&format!("there is no {name} in the tenant"), &answer, field)
        }
        // It was there a moment ago.
        (StatusCode::NOT_FOUND, None) => unread(
            FailureClass::Vanished,
            what,
            format!("it changed while it was read ({answer})"),
        ),
        (StatusCode::BAD_REQUEST, _) if field.ends_with("filter") => ApiError::new(
            FailureClass::Request,
            format!("reading {what} is refused ({answer}); check the OData filter in {field}"),
        ),
        _ => return None,
    })
}

/// Whether a call was refused because this cloud doesn't know the type of object it asks for.
pub(super) fn is_unknown_type(error: &ApiError) -> bool {
    matches!(error.class, FailureClass::NotFound | FailureClass::Request)
}

/// What it means that there is no token.
pub(super) fn token_failure(cause: HttpError) -> ApiError {
    let call = cause.call.to_string();
    let refused = |answer: &str, advice: &str| {
        ApiError::new(
            FailureClass::Credentials,
            format!("no access token for Microsoft Graph: {call}: {answer}; {advice}"),
        )
    };
    if let Failure::Request(why) = &cause.failure {
        return refused(
            why,
            "workload identity needs a token of the cluster, for a ServiceAccount that a federated \
             credential of the application trusts",
        );
    }
    let mut recognised = false;
    let mut failure = ApiError::of(cause, &TOKENS, |refusal| {
        let status = refusal.answer.status;
        recognised = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        let body: TokenRefusal = refusal.answer.fields();
        recognised.then(|| refused(&refusal.said, body.advice()))
    });
    if !recognised {
        failure.message = format!("reading {}: {}", TOKEN.what, failure.message).into();
    }
    failure
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
    error: RemoteText,
    #[serde(default)]
    error_description: RemoteText,
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl TokenRefusal {
    fn says(&self, status: StatusCode) -> String {
        // What follows is for Microsoft's own logs.
        let text = self.error_description.raw().split(" Trace ID:").next();
        let text = text.unwrap_or_default().lines().next();
        let text = RemoteText::new(text.unwrap_or_default());
        let status = status.as_u16();
        match text.is_empty() {
            true => format!("{status} {}", self.error),
            false => format!("{status} {}", text.to_string().trim_end_matches('.')),
        }
    }

    /// What to do and where, by the code (Microsoft: "Entra authentication and authorization error
    /// codes").
    fn advice(&self) -> &'static str {
        let code = self.error_codes.first().copied().unwrap_or_default();
        match code {
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
            500_011 | 70_011 => {
                "check cloud (or --vendor-urls): the tenant knows no such Microsoft Graph"
            }
            _ => "check tenantId, clientId and credentials",
        }
    }
}
