//! What the API answers when it doesn't do what was asked.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::config::Config;
use super::model::CollectionAccess;
use super::store::Store;

/// Why a call is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// A rule of the organization or its plan.
    #[error("{0}")]
    Bad(&'static str),
    /// Inviting failed, for a reason that isn't a row's.
    #[error("{0}")]
    Invite(String),
    /// Fields that break their rules, by their path in the request.
    #[error("fields break their rules: {0:?}")]
    Invalid(BTreeMap<String, Vec<String>>),
    /// No such object in this organization: the one that the path names.
    #[error("not found")]
    NotFound,
    /// No such object in this organization: one that the body names.
    #[error("not found")]
    NotFoundInBody,
    /// More than the server takes.
    #[error("too large")]
    TooLarge,
    /// No token, or one that is no longer good.
    #[error("unauthorized")]
    Unauthorized,
    /// The server fell over the request.
    #[error("an unhandled exception")]
    Crash,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = |message: &str, errors: Option<&BTreeMap<String, Vec<String>>>| {
            Json(json!({"object": "error", "message": message, "errors": errors}))
        };
        match self {
            Self::Bad(message) => (StatusCode::BAD_REQUEST, body(message, None)).into_response(),
            Self::Invalid(errors) => {
                let body = body("The request's model state is invalid.", Some(&errors));
                (StatusCode::BAD_REQUEST, body).into_response()
            }
            Self::Invite(why) => {
                let errors = BTreeMap::from([("An error has occurred.".to_owned(), vec![why])]);
                let body = body("Errors have occurred.", Some(&errors));
                (StatusCode::BAD_REQUEST, body).into_response()
            }
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::NotFoundInBody => {
                (StatusCode::NOT_FOUND, body("Resource not found.", None)).into_response()
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Self::Unauthorized => {
                let challenge = [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
                (StatusCode::UNAUTHORIZED, challenge).into_response()
            }
            Self::Crash => {
                let body = body("An unhandled server error has occurred.", None);
                (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
            }
        }
    }
}

/// The request's JSON, or 400 naming where it isn't what was expected.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let mut fields = Fields::default();
        fields.breaks("$", &format!("The JSON value could not be read: {error}"));
        Refusal::Invalid(fields.0)
    })
}

/// Refuses collections that the organization doesn't have.
pub(super) fn known(
    store: &Store,
    config: &Config,
    collections: Option<&[CollectionAccess]>,
) -> Result<(), Refusal> {
    let known = |access: &CollectionAccess| {
        !store.deleted_collections.contains(&access.id)
            && (config.collections.is_empty() || config.collections.contains(&access.id))
    };
    if collections.is_none_or(|collections| collections.iter().all(known)) {
        Ok(())
    } else {
        Err(Refusal::NotFoundInBody)
    }
}

/// Collects broken fields, so that one answer names them all.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, Vec<String>>);

impl Fields {
    /// Notes a field that breaks a rule.
    pub fn breaks(&mut self, field: &str, why: &str) {
        self.0
            .entry(field.to_owned())
            .or_default()
            .push(why.to_owned());
    }

    /// A text that must be there and not too long.
    pub fn required(&mut self, field: &str, text: Option<&str>, longest: usize) {
        match text {
            Some(text) if !text.trim().is_empty() => self.at_most(field, Some(text), longest),
            _ => self.breaks(field, &format!("The {} field is required.", last(field))),
        }
    }

    /// A text that may be missing but not be too long. Length counts UTF-16 units, as .NET does.
    pub fn at_most(&mut self, field: &str, text: Option<&str>, longest: usize) {
        if text.is_some_and(|text| text.encode_utf16().count() > longest) {
            let name = last(field);
            let why =
                format!("The field {name} must be a string with a maximum length of {longest}.");
            self.breaks(field, &why);
        }
    }

    /// A text that, where it is there, looks like an address: one @ with something on both
    /// sides, on one line. An empty text doesn't.
    pub fn address(&mut self, field: &str, text: Option<&str>) {
        let looks_right = |text: &str| {
            let sides = text.split_once('@');
            let sides = sides.filter(|(local, domain)| {
                !local.is_empty() && !domain.is_empty() && !domain.contains('@')
            });
            sides.is_some() && !text.contains(['\r', '\n'])
        };
        if !text.is_none_or(looks_right) {
            let why = format!("The {} field is not a valid e-mail address.", last(field));
            self.breaks(field, &why);
        }
    }

    /// Access to collections: managing one includes writing and seeing.
    pub fn collections(&mut self, collections: Option<&[CollectionAccess]>) {
        let contradicts = |access: &CollectionAccess| {
            access.manage && (access.read_only || access.hide_passwords)
        };
        if collections.is_some_and(|collections| collections.iter().any(contradicts)) {
            let why = "The Manage property is mutually exclusive and cannot be true while the \
                ReadOnly or HidePasswords properties are also true.";
            self.breaks("Collections", why);
        }
    }

    /// The refusal, where any field broke a rule.
    pub fn check(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Invalid(self.0))
        }
    }
}

/// Whether a text is an address by the strict rules: those of inviting one person, and Vaultwarden's.
pub(super) fn is_strict_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let dots_are_inside = |part: &str| part.split('.').all(|label| !label.is_empty());
    local.len() <= 64
        && dots_are_inside(local)
        && dots_are_inside(domain)
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && !domain.contains('@')
}

fn last(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}
