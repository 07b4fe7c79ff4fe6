//! What OneLogin sends, as far as it is used.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::http::RemoteText;

/// One of a list.
pub trait Entry {
    /// Its number within its kind.
    fn id(&self) -> u64;
}

/// A person as `/api/2/users` lists them.
#[derive(Debug, Deserialize)]
pub struct User {
    pub id: u64,
    pub email: Option<String>,
    pub username: Option<String>,
    pub status: Option<i64>,
    pub state: Option<i64>,
    pub group_id: Option<u64>,
    pub updated_at: Option<String>,
    /// Whatever else was asked for.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// A role, or a group of version 1.
#[derive(Debug, Deserialize)]
pub struct Group {
    pub id: u64,
    pub name: Option<String>,
}

/// Somebody in a role.
#[derive(Debug, Deserialize)]
pub struct Member {
    pub id: u64,
    /// `false` for those who are listed without being in it.
    pub assigned: Option<bool>,
}

impl Entry for User {
    fn id(&self) -> u64 {
        self.id
    }
}

impl Entry for Group {
    fn id(&self) -> u64 {
        self.id
    }
}

impl Entry for Member {
    fn id(&self) -> u64 {
        self.id
    }
}

/// An answer of version 1.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct Envelope<T> {
    /// Absent where somebody cut the answer.
    pub pagination: Option<Pagination>,
    #[serde(deserialize_with = "crate::http::process_limits::bounded_list")]
    pub data: Vec<T>,
}

/// Where the neighbours of a page of version 1 are.
#[derive(Debug, Deserialize)]
pub struct Pagination {
    pub after_cursor: Option<String>,
}

/// The body of a refusal, of either version.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorBody {
    /// The HTTP status once more, in version 2.
    pub status_code: Option<u16>,
    pub name: Option<String>,
    pub message: Option<Value>,
    pub error: Option<Value>,
    pub description: Option<String>,
    /// Version 1 has all of it in here; newer parts of version 2 have the number alone.
    pub status: Option<Value>,
}

impl ErrorBody {
    /// Whether it is of OneLogin's making.
    pub fn is_there(&self) -> bool {
        self.status_code.is_some() || self.status.is_some()
    }

    /// What it says.
    pub fn text(&self) -> RemoteText {
        let inner = |name: &str| self.status.as_ref().and_then(|status| status.get(name));
        let name = self.name.clone().map(Value::from);
        let description = self.description.clone().map(Value::from);
        let what = name
            .as_ref()
            .or(self.error.as_ref())
            .or_else(|| inner("type"));
        let why = self
            .message
            .as_ref()
            .or(description.as_ref())
            .or_else(|| inner("message"));
        let parts = [what, why].into_iter().flatten();
        let texts = parts.map(|part| match part {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        RemoteText::new(texts.collect::<Vec<_>>().join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_found_in_each_form_of_a_refusal() {
        let said = |text: &str| {
            let body: ErrorBody = serde_json::from_str(text).unwrap();
            assert!(body.is_there(), "{text}");
            body.text().raw().to_owned()
        };
        assert_eq!(
            said(r#"{"message": "Unauthorized", "statusCode": 401, "name": "UnauthorizedError"}"#),
            "UnauthorizedError: Unauthorized"
        );
        assert_eq!(
            said(
                r#"{"status": {"error": true, "code": 401, "type": "Unauthorized", "message": "Authentication Failure"}}"#
            ),
            "Unauthorized: Authentication Failure"
        );
        assert_eq!(
            said(
                r#"{"status": 400, "error": "BadRequestError", "description": "Invalid pagination cursor"}"#
            ),
            "BadRequestError: Invalid pagination cursor"
        );
        assert_eq!(
            said(
                r#"{"status": {"code": 400, "type": "bad request", "message": {"attribute": "id"}}}"#
            ),
            r#"bad request: {"attribute":"id"}"#
        );
    }
}
