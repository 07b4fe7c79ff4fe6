//! `POST /identity/connect/token`: client credentials against a token, and which tokens are good.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::Instant;

use super::config::Profile;
use super::vaultwarden;

/// The tokens that were given out and are still good.
#[derive(Default)]
pub(super) struct Tokens {
    good_until: HashMap<String, Instant>,
    issued: u64,
}

impl Tokens {
    pub fn issue(&mut self, lifetime: Duration) -> String {
        let now = Instant::now();
        self.good_until.retain(|_, until| *until > now);
        self.issued += 1;
        let token = format!("simulated-token-{}", self.issued);
        self.good_until.insert(token.clone(), now + lifetime);
        token
    }

    pub fn is_good(&self, token: &str) -> bool {
        let until = self.good_until.get(token);
        until.is_some_and(|until| *until > Instant::now())
    }

    pub fn revoke_all(&mut self) {
        self.good_until.clear();
    }
}

/// Why no token is given: the `error` of the answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Denied {
    /// Not the client credentials grant, or none named.
    #[error("unsupported_grant_type")]
    Grant,
    /// No such client.
    #[error("invalid_client")]
    Client,
    /// Not the client's secret.
    #[error("invalid_client")]
    Secret,
    /// A scope other than `api.organization`.
    #[error("invalid_scope")]
    Scope,
    /// Not a form, or (Vaultwarden) a field is missing.
    #[error("invalid_request")]
    Request,
}

impl Denied {
    /// What the server answers.
    pub fn answer(&self, profile: Profile) -> Response {
        match profile {
            Profile::Official { .. } => {
                let body = Json(json!({"error": self.to_string()}));
                (StatusCode::BAD_REQUEST, body).into_response()
            }
            Profile::Vaultwarden { .. } => {
                let message = match self {
                    Self::Grant => "Invalid type",
                    Self::Client => "Invalid client_id",
                    Self::Secret => "Incorrect client_secret",
                    Self::Scope => "Scope not supported",
                    Self::Request => "device_identifier cannot be blank",
                };
                vaultwarden::refusal(StatusCode::BAD_REQUEST, message)
            }
        }
    }
}

/// What the form is checked against.
pub(super) struct Expected<'c> {
    pub organization_id: &'c str,
    pub client_secret: &'c str,
    pub device_needed: bool,
}

impl Expected<'_> {
    pub fn check(&self, form: &HashMap<String, String>) -> Result<(), Denied> {
        let field = |name: &str| form.get(name).map(String::as_str);
        if field("grant_type") != Some("client_credentials") {
            return Err(Denied::Grant);
        }
        let device = ["device_identifier", "device_name", "device_type"];
        if self.device_needed && device.iter().any(|name| field(name).is_none()) {
            return Err(Denied::Request);
        }
        let organization =
            field("client_id").and_then(|client_id| client_id.strip_prefix("organization."));
        let known = organization.is_some_and(|id| id.eq_ignore_ascii_case(self.organization_id));
        if !known {
            return Err(Denied::Client);
        }
        if field("client_secret") != Some(self.client_secret) {
            return Err(Denied::Secret);
        }
        if field("scope") != Some("api.organization") {
            return Err(Denied::Scope);
        }
        Ok(())
    }
}
