//! Refusals, in the form of each version of the API.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `/api/1`, and what is below `/auth`.
    One,
    /// Version 2, below `/api/2`.
    Two,
}

impl Version {
    pub fn of(path: &str) -> Self {
        if path.starts_with("/api/2/") {
            Self::Two
        } else {
            Self::One
        }
    }
}

/// A refusal of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A grant other than client credentials.
    Grant,
    /// No good credentials or token.
    Unauthorized,
    /// Good ones of too small a scope.
    Scope,
    /// 404: no object has the id.
    NotFound,
    /// A cursor that isn't one.
    Cursor,
    /// A page larger than may be.
    PageSize,
    /// A parameter that can't be.
    Parameter(String),
    /// Too many requests this hour.
    RateLimit,
    /// The credentials' owner was deleted.
    Owner,
}

impl Refusal {
    pub fn answer(&self, version: Version) -> Response {
        let (status, kind, name, message) = self.words();
        let body = match (version, self) {
            (Version::Two, Self::Cursor) => {
                json!({"status": status.as_u16(), "error": name, "description": message})
            }
            (Version::Two, _) => {
                json!({"message": message, "statusCode": status.as_u16(), "name": name})
            }
            (Version::One, _) => json!({"status": {
                "error": true,
                "code": status.as_u16(),
                "type": kind,
                "message": message,
            }}),
        };
        (status, Json(body)).into_response()
    }

    fn words(&self) -> (StatusCode, &'static str, &'static str, String) {
        let bad = StatusCode::BAD_REQUEST;
        let (status, kind, name, message) = match self {
            Self::Grant => (
                bad,
                "bad request",
                "BadRequestError",
                "grant_type is incorrect/absent",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "UnauthorizedError",
                "Authentication Failure",
            ),
            Self::Scope => (
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "UnauthorizedError",
                "Insufficient Permission",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not found",
                "NotFoundError",
                "The resource with the given id could not be found",
            ),
            Self::Cursor => (
                bad,
                "bad request",
                "BadRequestError",
                "Invalid pagination cursor",
            ),
            Self::PageSize => (bad, "bad request", "BadRequestError", "limit is too large"),
            Self::Parameter(what) => {
                let message = format!("{what} is invalid");
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return (status, "unprocessable", "UnprocessableEntityError", message);
            }
            Self::RateLimit => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests",
                "TooManyRequestsError",
                "Rate limit exceeded",
            ),
            Self::Owner => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal server error",
                "InternalServerError",
                "Internal server error",
            ),
        };
        (status, kind, name, message.to_owned())
    }
}
