//! Where tokens are asked for.

use std::time::Duration;

use form_urlencoded::Serializer;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{IdentityError, Token};
use crate::{ApiClient, Call, Failure, HttpError, Idempotency, Retry};

/// No answer with a token is larger.
const TOKEN_MAX: u64 = 64 << 10;
/// How long a token is good whose answer doesn't say.
const DEFAULT_LIFETIME: u64 = 300;

/// A server that issues tokens.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    /// Sends the requests; without a token of its own.
    pub client: ApiClient,
    /// The URL of the token endpoint.
    pub url: Url,
    /// The same for the observer: `POST /oauth2/v1/token`.
    pub endpoint: &'static str,
}

/// The form of a request for a token. What is secret in it is kept out of every error.
#[derive(Debug, Default)]
pub struct TokenForm {
    pairs: Vec<(&'static str, String)>,
    secrets: Vec<(&'static str, SecretString)>,
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    expires_in: Option<u64>,
}

impl TokenForm {
    /// A form for this grant.
    pub fn new(grant_type: &str) -> Self {
        Self::default().pair("grant_type", grant_type)
    }

    /// With this field as well.
    pub fn pair(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.pairs.push((name, value.into()));
        self
    }

    /// With this secret field as well.
    pub fn secret(mut self, name: &'static str, value: SecretString) -> Self {
        self.secrets.push((name, value));
        self
    }

    fn encode(&self) -> String {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(&self.pairs);
        for (name, value) in &self.secrets {
            form.append_pair(name, value.expose_secret());
        }
        form.finish()
    }
}

impl TokenEndpoint {
    /// Asks for a token with a form that may be sent again as it is.
    ///
    /// # Errors
    /// When none is issued.
    pub async fn request(&self, form: TokenForm) -> Result<Token, HttpError> {
        self.send(&self.client, &form, Idempotency::Always).await
    }

    /// Asks for a token with a form that is good for one request, such as one with an assertion
    /// that the server takes only once: it is made anew for each try.
    ///
    /// # Errors
    /// When none is issued.
    pub async fn request_anew(
        &self,
        form: impl Fn() -> TokenForm + Send + Sync,
    ) -> Result<Token, HttpError> {
        let retry = self.client.retry;
        let once = ApiClient {
            retry: Retry { times: 0, ..retry },
            ..self.client.clone()
        };
        let mut delay = retry.first_delay;
        for _ in 0..retry.times {
            match self.send(&once, &form(), Idempotency::NonIdempotent).await {
                Err(error) if another_may_do(&error.failure) => {
                    tracing::debug!(%error, ?delay, "asking for a token again");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(retry.longest_delay);
                }
                result => return result,
            }
        }
        self.send(&once, &form(), Idempotency::NonIdempotent).await
    }

    /// The call as it fails before it is sent, because there is no token of the cluster to send.
    pub fn not_sent(&self, why: IdentityError) -> HttpError {
        HttpError {
            call: Call::new(Method::POST, self.url.clone(), self.endpoint).name(),
            failure: match why {
                IdentityError::Settings(why) => Failure::Request(why),
                IdentityError::Transient(why) => Failure::Identity(why),
            },
        }
    }

    async fn send(
        &self,
        client: &ApiClient,
        form: &TokenForm,
        idempotency: Idempotency,
    ) -> Result<Token, HttpError> {
        for (_, secret) in &form.secrets {
            client.secrets.add_token(secret.clone());
        }
        let call = Call::new(Method::POST, self.url.clone(), self.endpoint)
            .body("application/x-www-form-urlencoded", form.encode())
            .idempotency(idempotency);
        issue(client, &call).await
    }
}

impl ApiClient {
    /// Sends a request for a token that isn't a form.
    ///
    /// # Errors
    /// When none is issued.
    pub async fn token(&self, call: &Call) -> Result<Token, HttpError> {
        issue(self, call).await
    }
}

async fn issue(client: &ApiClient, call: &Call) -> Result<Token, HttpError> {
    let issued: Issued = client.json(call, TOKEN_MAX).await?;
    client.secrets.add_token(issued.access_token.clone());
    Ok(Token {
        secret: issued.access_token,
        lifetime: Duration::from_secs(issued.expires_in.unwrap_or(DEFAULT_LIFETIME)),
    })
}

/// Whether another form may do better.
fn another_may_do(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) | Failure::Interrupted(_) => true,
        Failure::Status(answer) => answer.status.is_server_error() || answer.status.as_u16() == 429,
        _ => false,
    }
}
