//! The bodies and headers of Graph's answers and errors.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An answer, whole or as a part of a batch.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

impl Reply {
    pub fn ok(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            headers: vec![],
            body,
        }
    }

    /// An error in the form of OData.
    pub fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let inner = json!({
            "date": "2026-01-01T00:00:00",
            "request-id": "11111111-2222-3333-4444-555555555555",
            "client-request-id": "11111111-2222-3333-4444-555555555555",
        });
        Self {
            status,
            headers: vec![],
            body: json!({"error": {"code": code, "message": message, "innerError": inner}}),
        }
    }

    pub fn bad(code: &str, message: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, code, message)
    }

    /// What the simulator was about to answer and Graph would not.
    pub fn violation(why: &str) -> Self {
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, "VIOLATION", why)
    }

    pub fn not_found(what: &str) -> Self {
        let message = format!(
            "Resource '{what}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::error(StatusCode::NOT_FOUND, "Request_ResourceNotFound", &message)
    }

    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        (self.status, headers, Json(self.body)).into_response()
    }
}
