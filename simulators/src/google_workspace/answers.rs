//! Refusals, in Google's forms: of its APIs, and of its token endpoints.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Which limit is said to be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// 403 `userRateLimitExceeded`: of the minute and user.
    User,
    /// 403 `quotaExceeded`: too many at once.
    Concurrent,
    /// 403 `rateLimitExceeded`, as older backends say it.
    Rate,
    /// 429 `rateLimitExceeded`: of the customer.
    Customer,
    /// 503 `backendError`, which Google asks clients to retry.
    Backend,
}

impl Spent {
    /// Every one, for sweeps.
    pub const ALL: [Self; 5] = [
        Self::User,
        Self::Concurrent,
        Self::Rate,
        Self::Customer,
        Self::Backend,
    ];
}

/// A refusal of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A parameter that can't be.
    Invalid(String),
    /// Neither customer nor domain.
    BadRequest,
    /// 401: no access token, or one that isn't valid any more.
    Token,
    /// A token without the scope.
    Scope,
    /// No role that allows it, or another customer.
    Forbidden,
    /// The project hasn't enabled the API.
    NotEnabled(&'static str),
    /// The customer turned API access off.
    DomainCannotUseApis,
    /// The service account doesn't let the caller.
    MayNot(&'static str),
    /// 404: no object of this kind has the key.
    NotFound(&'static str),
    /// One of the quotas is used up.
    Spent(Spent),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let usage = "usageLimits";
        let (status, domain, reason, message) = match &self {
            Self::Invalid(what) => (400, "global", "invalid", format!("Invalid Input: {what}")),
            Self::BadRequest => (400, "global", "badRequest", "Bad Request".to_owned()),
            Self::Token => (
                401,
                "global",
                "authError",
                "Request had invalid authentication credentials.".to_owned(),
            ),
            Self::Scope => (
                403,
                "global",
                "insufficientPermissions",
                "Request had insufficient authentication scopes.".to_owned(),
            ),
            Self::Forbidden => (
                403,
                "global",
                "forbidden",
                "Not Authorized to access this resource/api".to_owned(),
            ),
            Self::NotEnabled(api) => (
                403,
                usage,
                "accessNotConfigured",
                format!(
                    "{api} has not been used in project 123456789 before or it is disabled. \
                     Enable it and retry."
                ),
            ),
            Self::DomainCannotUseApis => (
                403,
                "global",
                "domainCannotUseApis",
                "Domain cannot use apis.".to_owned(),
            ),
            Self::MayNot(permission) => (
                403,
                "global",
                "forbidden",
                format!("Permission '{permission}' denied on resource (or it may not exist)."),
            ),
            Self::NotFound(what) => (
                404,
                "global",
                "notFound",
                format!("Resource Not Found: {what}"),
            ),
            Self::Spent(Spent::User) => (
                403,
                usage,
                "userRateLimitExceeded",
                "User Rate Limit Exceeded".to_owned(),
            ),
            Self::Spent(Spent::Concurrent) => {
                (403, usage, "quotaExceeded", "Quota exceeded".to_owned())
            }
            Self::Spent(Spent::Rate) => (
                403,
                usage,
                "rateLimitExceeded",
                "Rate Limit Exceeded".to_owned(),
            ),
            Self::Spent(Spent::Customer) => (
                429,
                usage,
                "rateLimitExceeded",
                "Rate Limit Exceeded".to_owned(),
            ),
            Self::Spent(Spent::Backend) => (
                503,
                "global",
                "backendError",
                "Service unavailable. Please try again".to_owned(),
            ),
        };
        let mut error = json!({
            "code": status,
            "message": message,
            "errors": [{"message": message, "domain": domain, "reason": reason}],
        });
        if let Self::NotEnabled(_) | Self::MayNot(_) | Self::Scope = self {
            error["status"] = "PERMISSION_DENIED".into();
            error["details"] = details(&self);
        }
        let status = StatusCode::from_u16(status).unwrap_or_default();
        let mut answer = (status, Json(json!({"error": error}))).into_response();
        let challenge = match self {
            Self::Token => {
                Some("Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"")
            }
            Self::Scope => {
                Some("Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\"")
            }
            _ => None,
        };
        if let Some(challenge) = challenge.and_then(|text| text.parse().ok()) {
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

fn details(refusal: &Refusal) -> Value {
    let reason = match refusal {
        Refusal::NotEnabled(_) => "SERVICE_DISABLED",
        Refusal::Scope => "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        _ => "IAM_PERMISSION_DENIED",
    };
    json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
    }])
}

/// Why no token is given: the `error` of the answer and what it says.
#[derive(Debug)]
pub(super) struct Denied(pub StatusCode, pub &'static str, pub String);

impl Denied {
    pub fn bad(error: &'static str, why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, error, why.into())
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let body = json!({"error": self.1, "error_description": self.2});
        (self.0, Json(body)).into_response()
    }
}
