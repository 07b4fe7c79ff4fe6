//! What is sent with each call: an API token as it is, or an access token that a service app buys
//! with an assertion.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::{
    ApiClient, Call, Failure, HttpError, JwtSigner, Repeat, Retry, Token, TokenSource,
};

/// An API token never runs out by itself while it is used.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long an assertion is good; Okta takes an hour at most.
const ASSERTION_SECONDS: i64 = 300;

/// An API token.
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

/// A service app.
#[derive(Debug)]
pub(super) struct ServiceApp {
    /// Tries nothing again: an assertion is good for one request.
    remote: ApiClient,
    retry: Retry,
    url: Url,
    client_id: String,
    key_id: Option<String>,
    scope: &'static str,
    signer: JwtSigner,
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    expires_in: u64,
}

impl ServiceApp {
    /// Buys tokens at `url`. `key_id` comes before the key's own.
    pub fn new(
        remote: ApiClient,
        url: Url,
        client_id: String,
        key_id: Option<String>,
        signer: JwtSigner,
        with_applications: bool,
    ) -> Self {
        let key_id = key_id.or_else(|| signer.key_id().map(str::to_owned));
        Self {
            retry: remote.retry,
            remote: ApiClient {
                retry: Retry {
                    times: 0,
                    ..remote.retry
                },
                ..remote
            },
            url,
            client_id,
            key_id,
            scope: if with_applications {
                "okta.users.read okta.groups.read okta.apps.read"
            } else {
                "okta.users.read okta.groups.read"
            },
            signer,
        }
    }

    async fn ask(&self) -> Result<Token, HttpError> {
        let assertion = self.assertion();
        // A proxy may quote the request.
        self.remote.secrets.add(assertion.clone());
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", self.scope)
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", assertion.expose_secret())
            .finish();
        let call = Call::new(Method::POST, self.url.clone(), "POST /oauth2/v1/token")
            .body("application/x-www-form-urlencoded", form)
            .repeat(Repeat::NonIdempotent);
        let issued: Issued = self.remote.json(&call, 1 << 16).await?;
        self.remote.secrets.add(issued.access_token.clone());
        Ok(Token {
            secret: issued.access_token,
            lifetime: Duration::from_secs(issued.expires_in),
        })
    }

    fn assertion(&self) -> SecretString {
        let now = Timestamp::now().as_second();
        let mut header = Map::new();
        if let Some(key_id) = &self.key_id {
            header.insert("kid".into(), key_id.as_str().into());
        }
        let mut claims: Map<String, Value> = Map::new();
        claims.insert("iss".into(), self.client_id.as_str().into());
        claims.insert("sub".into(), self.client_id.as_str().into());
        claims.insert("aud".into(), self.url.as_str().into());
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), (now + ASSERTION_SECONDS).into());
        claims.insert("jti".into(), unique_id().into());
        self.signer.sign(header, &claims)
    }
}

fn unique_id() -> String {
    let mut bytes = [0; 16];
    fastrand::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

impl TokenSource for ServiceApp {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let mut delay = self.retry.first_delay;
            for _ in 0..self.retry.times {
                match self.ask().await {
                    Err(error) if passes(&error.failure) => {
                        tracing::debug!(%error, ?delay, "asking for a token again");
                        tokio::time::sleep(delay).await;
                        delay = (delay * 2).min(self.retry.longest_delay);
                    }
                    result => return result,
                }
            }
            self.ask().await
        })
    }
}

/// Whether another assertion may do better.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) | Failure::Interrupted(_) => true,
        Failure::Status(answer) => answer.status.is_server_error() || answer.status.as_u16() == 429,
        _ => false,
    }
}
