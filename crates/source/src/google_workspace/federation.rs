//! Without a key: the cluster's token is exchanged for one of Google's (RFC 8693), with which
//! Google signs what the service account would have signed itself.

use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::settings::WorkloadIdentity;
use crate::http::oauth::{IdentityToken, TOKEN_EXCHANGE_GRANT, TokenEndpoint, TokenForm};
use crate::http::{ApiClient, Call, HttpError, Token, TokenCache, TokenSource};

/// What the exchanged token may do; the service account's policy narrows it to signing.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// No answer with a signed assertion is larger.
const SIGNED_MAX: u64 = 64 << 10;

/// How calls to sign are distinguished from others in errors.
pub(super) const SIGN: &str = ":signJwt";

/// A service account whose assertions Google signs.
#[derive(Debug, Clone)]
pub(super) struct Federation {
    /// With tokens of the exchange.
    iam: ApiClient,
    pub tokens: Arc<TokenCache>,
    url: Url,
}

#[derive(Debug)]
struct Exchange {
    endpoint: TokenEndpoint,
    audience: String,
    identity: Arc<dyn IdentityToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    signed_jwt: SecretString,
}

impl Federation {
    /// `remote` without a token of its own.
    pub fn new(identity: &WorkloadIdentity, remote: &ApiClient) -> Self {
        let tokens = Arc::new(TokenCache::new(Exchange {
            endpoint: TokenEndpoint {
                client: remote.clone(),
                url: super::api::below(&identity.sts, &["v1", "token"]),
                endpoint: "POST /v1/token",
            },
            audience: identity.audience.clone(),
            identity: identity.identity.clone(),
        }));
        let account = format!("{}{SIGN}", identity.service_account);
        let path = ["v1", "projects", "-", "serviceAccounts", &account];
        Self {
            iam: ApiClient {
                token: Some(tokens.clone()),
                ..remote.clone()
            },
            tokens,
            url: super::api::below(&identity.iam, &path),
        }
    }

    /// A token with these claims, signed by Google in the service account's name.
    pub async fn sign(&self, claims: &Map<String, Value>) -> Result<SecretString, HttpError> {
        let payload = Value::Object(claims.clone()).to_string();
        let endpoint = "POST /v1/projects/-/serviceAccounts/{email}:signJwt";
        let call = Call::new(Method::POST, self.url.clone(), endpoint)
            .json(&json!({"payload": payload}))?;
        let signed: Signed = self.iam.json(&call, SIGNED_MAX).await?;
        Ok(signed.signed_jwt)
    }
}

impl TokenSource for Exchange {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let subject = self.identity.get().await;
            let subject = subject.map_err(|why| self.endpoint.not_sent(why))?;
            let form = TokenForm::new(TOKEN_EXCHANGE_GRANT)
                .pair("audience", &self.audience)
                .pair("scope", CLOUD_PLATFORM)
                .pair(
                    "requested_token_type",
                    "urn:ietf:params:oauth:token-type:access_token",
                )
                .pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
                .secret("subject_token", subject);
            self.endpoint.request(form).await
        })
    }
}
