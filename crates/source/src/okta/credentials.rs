//! What is sent with each call: an API token as it is, or an access token that a service app gets
//! for an assertion.

use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Map;

use crate::http::oauth::{Assertion, JWT_BEARER_ASSERTION, TokenEndpoint, TokenForm};
use crate::http::{HttpError, JwtSigner, Token, TokenSource};

/// An API token never runs out by itself while it is used.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long an assertion is good; Okta takes an hour at most.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);

/// Sends an API token with each request (`Authorization: SSWS …`).
pub(super) struct ApiToken(pub SecretString);

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiToken")
    }
}

impl TokenSource for ApiToken {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        let token = Token {
            secret: self.0.clone(),
            lifetime: FOREVER,
        };
        Box::pin(std::future::ready(Ok(token)))
    }
}

/// A service app: proves itself with a private key, and gets access tokens (RFC 7523).
#[derive(Debug)]
pub(super) struct ServiceApp {
    endpoint: TokenEndpoint,
    assertion: Assertion,
    key_id: Option<String>,
    scope: &'static str,
    signer: JwtSigner,
}

impl ServiceApp {
    /// Gets tokens at `endpoint`. `key_id` comes before the key's own.
    pub fn new(
        endpoint: TokenEndpoint,
        client_id: String,
        key_id: Option<String>,
        signer: JwtSigner,
        with_applications: bool,
    ) -> Self {
        Self {
            assertion: Assertion {
                issuer: client_id.clone(),
                subject: Some(client_id),
                audience: endpoint.url.to_string(),
                scope: None,
                lifetime: ASSERTION_LIFETIME,
                valid_since: None,
            },
            endpoint,
            key_id: key_id.or_else(|| signer.key_id().map(str::to_owned)),
            scope: if with_applications {
                "okta.users.read okta.groups.read okta.apps.read"
            } else {
                "okta.users.read okta.groups.read"
            },
            signer,
        }
    }

    fn form(&self) -> TokenForm {
        let key = self
            .key_id
            .as_deref()
            .map(|id| ("kid".to_owned(), id.into()));
        let assertion = self
            .signer
            .sign(Map::from_iter(key), &self.assertion.claims());
        TokenForm::new("client_credentials")
            .pair("scope", self.scope)
            .pair("client_assertion_type", JWT_BEARER_ASSERTION)
            .secret("client_assertion", assertion)
    }
}

impl TokenSource for ServiceApp {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        // Okta takes an assertion once.
        Box::pin(self.endpoint.request_anew(|| self.form()))
    }
}
