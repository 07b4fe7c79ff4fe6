//! Access tokens against API credentials.

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::Deserialize;

use crate::http::{ApiClient, Call, HttpError, Token, TokenSource};

/// No token's answer is larger.
const TOKEN_MAX: u64 = 64 << 10;

/// Gets tokens from one account.
#[derive(Debug)]
pub(super) struct ApiCredentials {
    /// Without a token of its own.
    remote: ApiClient,
    call: Call,
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    /// Ten hours. OneLogin gives the same token again until it ends, so it may end sooner; a token
    /// that is refused is replaced.
    expires_in: u64,
}

impl ApiCredentials {
    /// Gets tokens at `url` against a client's id and secret.
    pub fn new(remote: ApiClient, url: Url, id: &str, secret: &SecretString) -> Self {
        remote.secrets.add(secret.clone());
        let call = Call::new(Method::POST, url, "POST /auth/oauth2/v2/token")
            .basic(id, secret, &remote.secrets)
            .body("application/json", r#"{"grant_type":"client_credentials"}"#);
        Self { remote, call }
    }
}

impl TokenSource for ApiCredentials {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let issued: Issued = self.remote.json(&self.call, TOKEN_MAX).await?;
            self.remote.secrets.add(issued.access_token.clone());
            Ok(Token {
                secret: issued.access_token,
                lifetime: Duration::from_secs(issued.expires_in),
            })
        })
    }
}
