//! Without a key: the cluster's token is exchanged for one of Google's (RFC 8693), with which
//! Google signs what the service account would have signed itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::settings::WorkloadIdentity;
use super::token::TOKEN_MAX;
use crate::http::{ApiClient, Call, Failure, HttpError, Token, TokenCache, TokenSource};

/// What the exchanged token may do; the service account's policy narrows it to signing.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where the answer doesn't say how long its token is good.
const UNTOLD_LIFETIME: u64 = 300;

/// How calls to sign are told from others in errors.
pub(super) const SIGN: &str = ":signJwt";

/// A service account whose assertions Google signs.
#[derive(Debug, Clone)]
pub(super) struct Federation {
    /// With tokens of the exchange.
    iam: ApiClient,
    /// The exchange.
    pub tokens: Arc<TokenCache>,
    url: Url,
}

#[derive(Debug)]
struct Exchange {
    remote: ApiClient,
    url: Url,
    audience: String,
    file: PathBuf,
}

#[derive(Deserialize)]
struct Exchanged {
    access_token: SecretString,
    expires_in: Option<u64>,
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
            remote: remote.clone(),
            url: super::api::below(&identity.sts, &["v1", "token"]),
            audience: identity.audience.clone(),
            file: identity.token_file.clone(),
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
        let signed: Signed = self.iam.json(&call, TOKEN_MAX).await?;
        Ok(signed.signed_jwt)
    }
}

impl TokenSource for Exchange {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let call = Call::new(Method::POST, self.url.clone(), "POST /v1/token");
            let subject = self.read_token().await.map_err(|why| HttpError {
                call: call.name(),
                failure: Failure::Request(why),
            })?;
            self.remote.secrets.add(subject.clone());
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair(
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                )
                .append_pair("audience", &self.audience)
                .append_pair("scope", CLOUD_PLATFORM)
                .append_pair(
                    "requested_token_type",
                    "urn:ietf:params:oauth:token-type:access_token",
                )
                .append_pair("subject_token", subject.expose_secret())
                .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
                .finish();
            let call = call.body("application/x-www-form-urlencoded", form);
            let exchanged: Exchanged = self.remote.json(&call, TOKEN_MAX).await?;
            self.remote.secrets.add(exchanged.access_token.clone());
            Ok(Token {
                secret: exchanged.access_token,
                lifetime: Duration::from_secs(exchanged.expires_in.unwrap_or(UNTOLD_LIFETIME)),
            })
        })
    }
}

impl Exchange {
    /// The token that the cluster wrote for us.
    async fn read_token(&self) -> Result<SecretString, String> {
        let file = self.file.display();
        let text = tokio::fs::read_to_string(&self.file)
            .await
            .map_err(|error| format!("can't read the cluster's token {file}: {error}"))?;
        match text.trim() {
            "" => Err(format!("the cluster's token {file} is empty")),
            token => Ok(token.into()),
        }
    }
}
