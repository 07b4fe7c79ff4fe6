//! Refusals, in Okta's form: a code, a summary, an id for support.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A parameter that can't be.
    Validation(&'static str),
    /// The token's owner has no role that allows it.
    Role,
    /// An access token without the scope.
    Scope,
    /// 404: no object of this kind has the id.
    NotFound { kind: &'static str, id: String },
    /// 401: no token, or one that isn't valid any more.
    Token,
    /// `filter` or `search` can't be understood.
    Expression,
    /// 429: the requests of the window are used up.
    RateLimit,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, summary) = match &self {
            Self::Validation(what) => (
                StatusCode::BAD_REQUEST,
                "E0000001",
                format!("Api validation failed: {what}"),
            ),
            Self::Role => (
                StatusCode::FORBIDDEN,
                "E0000006",
                "You do not have permission to perform the requested action".to_owned(),
            ),
            Self::Scope => (
                StatusCode::FORBIDDEN,
                "E0000006",
                "The access token provided does not contain the required scopes.".to_owned(),
            ),
            Self::NotFound { kind, id } => (
                StatusCode::NOT_FOUND,
                "E0000007",
                format!("Not found: Resource not found: {id} ({kind})"),
            ),
            Self::Token => (
                StatusCode::UNAUTHORIZED,
                "E0000011",
                "Invalid token provided".to_owned(),
            ),
            Self::Expression => (
                StatusCode::BAD_REQUEST,
                "E0000031",
                "Invalid search criteria.".to_owned(),
            ),
            Self::RateLimit => (
                StatusCode::TOO_MANY_REQUESTS,
                "E0000047",
                "API call exceeded rate limit due to too many requests.".to_owned(),
            ),
        };
        let body = json!({
            "errorCode": code,
            "errorSummary": summary,
            "errorLink": code,
            "errorId": "oaesimulated0000000000000",
            "errorCauses": [],
        });
        if self == Self::Scope {
            // As Okta does it for access tokens: the header says it all.
            let value = "Bearer error=\"insufficient_scope\"";
            return (status, [(WWW_AUTHENTICATE, value)]).into_response();
        }
        (status, Json(body)).into_response()
    }
}
