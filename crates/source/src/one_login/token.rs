//! Access tokens against API credentials.

use futures::future::BoxFuture;
use reqwest::{Method, Url};
use secrecy::SecretString;

use crate::http::{ApiClient, Call, HttpError, Token, TokenSource};

/// Gets tokens from one account. OneLogin gives the same token again until it ends, after ten
/// hours, so it may end sooner than it says; a token that is refused is replaced.
#[derive(Debug)]
pub(super) struct ApiCredentials {
    /// Without a token of its own.
    client: ApiClient,
    call: Call,
}

impl ApiCredentials {
    /// Gets tokens at `url` against a client's id and secret.
    pub fn new(client: ApiClient, url: Url, id: &str, secret: &SecretString) -> Self {
        let call = Call::new(Method::POST, url, "POST /auth/oauth2/v2/token")
            .basic(id, secret, &client.secrets)
            .body("application/json", r#"{"grant_type":"client_credentials"}"#);
        Self { client, call }
    }
}

impl TokenSource for ApiCredentials {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(self.client.token(&self.call))
    }
}
