//! How Okta's errors are recognised, and what to do about them.

use reqwest::StatusCode;
use serde_json::Value;

use super::settings::InvalidSettings;
use super::wire::ErrorBody;
use crate::http::{Answer, ApiError, FailureClass, HttpError, Refusal, Vendor};

static OKTA: Vendor = Vendor {
    name: "Okta",
    address: "orgUrl",
    throttled: "the organization's rate limit is used up, by other clients, too",
    said,
};

/// What a call is for: decides what its refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// The request for an access token.
    Token,
    /// A list that takes an expression from this field of the spec, where there is one.
    List {
        /// The scope that is needed.
        scope: &'static str,
        /// The field of the spec that has the expression.
        expression: Option<&'static str>,
    },
    /// Assignments to this application.
    Application(&'a str),
}

impl From<InvalidSettings> for ApiError {
    fn from(invalid: InvalidSettings) -> Self {
        Self::new(FailureClass::Settings, invalid.to_string())
    }
}

/// What a failed call means.
pub(super) fn failure(error: HttpError, purpose: Purpose<'_>) -> ApiError {
    let (error, for_token) = error.into_token_failure();
    let purpose = if for_token { Purpose::Token } else { purpose };
    ApiError::of(error, &OKTA, |refusal| recognise(refusal, purpose))
}

fn recognise(refusal: &Refusal<'_>, purpose: Purpose<'_>) -> Option<ApiError> {
    let Refusal {
        tried,
        answer,
        said,
    } = refusal;
    let credentials = |advice: &str| {
        ApiError::new(
            FailureClass::Credentials,
            format!("{tried}: Okta refuses the credentials ({said}); {advice}"),
        )
    };
    Some(match (answer.status, purpose) {
        (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED, Purpose::Token) => {
            credentials(token_advice(&answer.fields()))
        }
        (StatusCode::UNAUTHORIZED, _) => credentials(
            "make a new API token and store it in the Secret; a token ends after 30 days without \
             use, and with its owner's account",
        ),
        (StatusCode::FORBIDDEN, _) => {
            let scope = match purpose {
                Purpose::List { scope, .. } => scope,
                Purpose::Application(_) | Purpose::Token => "okta.apps.read",
            };
            ApiError::new(
                FailureClass::Permission,
                format!(
                    "{tried}: Okta doesn't allow it ({said}); give a service app the scope \
                     {scope}, granted by an administrator, and an admin role that sees users, \
                     groups and applications (Read-only Administrator); an API token has the \
                     rights of the administrator who made it"
                ),
            )
        }
        (
            StatusCode::BAD_REQUEST,
            Purpose::List {
                expression: Some(field),
                ..
            },
        ) => ApiError::new(
            FailureClass::Request,
            format!("{tried}: Okta refuses the expression in {field} ({said}); correct it"),
        ),
        (StatusCode::NOT_FOUND, Purpose::Application(id)) => ApiError::new(
            FailureClass::NotFound,
            format!(
                "{tried}: the organization has no application {id:?}; take applicationId from the \
                 address of the application's page in the admin console"
            ),
        ),
        _ => return None,
    })
}

/// Whether Okta says that what was asked for isn't there.
pub(super) fn is_gone(error: &HttpError) -> bool {
    error.failure.answer().is_some_and(|answer| {
        let body: ErrorBody = answer.fields();
        answer.status == StatusCode::NOT_FOUND && body.error_code.raw() == "E0000007"
    })
}

fn said(answer: &Answer) -> Option<String> {
    let body: ErrorBody = answer.fields();
    match (body.error_code.raw(), body.error.raw()) {
        // A token without the scope is refused with WWW-Authenticate alone, too.
        ("", "")
            if answer.status == StatusCode::FORBIDDEN
                && !answer.is_html()
                && answer.fields::<Option<Value>>().is_none() =>
        {
            Some("403 without an error code".to_owned())
        }
        ("", "") => None,
        ("", _) => Some(format!("{}: {}", body.error, body.error_description)),
        _ => Some(format!("{}: {}", body.error_code, body.error_summary)),
    }
}

fn token_advice(body: &ErrorBody) -> &'static str {
    match body.error.raw() {
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
