//! Access tokens for the Directory API: an assertion in the service account's name, signed by its
//! key or by Google for us, against a token (RFC 7523).

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::federation::Federation;
use super::settings::{Credentials, GoogleWorkspaceSettings, InvalidKeyFile, InvalidSettings};
use crate::http::{ApiClient, Call, HttpError, JwtSigner, Token, TokenSource};

/// Lists users.
pub(super) const USERS_SCOPE: &str =
    "https://www.googleapis.com/auth/admin.directory.user.readonly";
/// Lists groups, and the members of each.
pub(super) const GROUPS_SCOPE: &str =
    "https://www.googleapis.com/auth/admin.directory.group.readonly";
/// How long an assertion is good: as long as Google takes one.
const ASSERTION_SECONDS: i64 = 3600;
/// No answer with a token is larger.
pub(super) const TOKEN_MAX: u64 = 64 << 10;

/// Buys access tokens with assertions.
#[derive(Debug)]
pub(super) struct AccessTokens {
    remote: ApiClient,
    url: Url,
    service_account: String,
    /// The administrator to act for.
    subject: Option<String>,
    scopes: String,
    signer: Signer,
}

#[derive(Debug)]
enum Signer {
    Own { key: Box<JwtSigner>, id: String },
    Google(Federation),
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    expires_in: u64,
}

impl AccessTokens {
    /// Tokens as `settings` say; `remote` without a token of its own.
    pub fn new(
        settings: &GoogleWorkspaceSettings,
        credentials: &Credentials,
        federation: Option<Federation>,
        remote: ApiClient,
    ) -> Result<Self, InvalidSettings> {
        let signer = match (credentials, federation) {
            (_, Some(federation)) => Signer::Google(federation),
            (Credentials::Key(key), None) => Signer::Own {
                key: Box::new(key.signer().map_err(InvalidKeyFile::from)?),
                id: key.key_id.clone(),
            },
            (Credentials::WorkloadIdentity(identity), None) => {
                Signer::Google(Federation::new(identity, &remote))
            }
        };
        Ok(Self {
            remote,
            url: settings.addresses.token.clone(),
            service_account: credentials.service_account().to_owned(),
            subject: settings.admin_email.clone(),
            scopes: match settings.groups {
                Some(_) => format!("{USERS_SCOPE} {GROUPS_SCOPE}"),
                None => USERS_SCOPE.to_owned(),
            },
            signer,
        })
    }

    async fn assertion(&self) -> Result<SecretString, HttpError> {
        let now = Timestamp::now().as_second();
        let mut claims: Map<String, Value> = Map::new();
        claims.insert("iss".into(), self.service_account.as_str().into());
        if let Some(subject) = &self.subject {
            claims.insert("sub".into(), subject.as_str().into());
        }
        claims.insert("aud".into(), self.url.as_str().into());
        claims.insert("scope".into(), self.scopes.as_str().into());
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), (now + ASSERTION_SECONDS).into());
        match &self.signer {
            Signer::Own { key, id } => {
                let header = Map::from_iter([("kid".to_owned(), Value::from(id.as_str()))]);
                Ok(key.sign(header, &claims))
            }
            Signer::Google(federation) => federation.sign(&claims).await,
        }
    }
}

impl TokenSource for AccessTokens {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let assertion = self.assertion().await?;
            // A proxy may quote the request.
            self.remote.secrets.add(assertion.clone());
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", assertion.expose_secret())
                .finish();
            // An assertion may be used again until it runs out.
            let call = Call::new(Method::POST, self.url.clone(), "POST /token")
                .body("application/x-www-form-urlencoded", form);
            let issued: Issued = self.remote.json(&call, TOKEN_MAX).await?;
            self.remote.secrets.add(issued.access_token.clone());
            Ok(Token {
                secret: issued.access_token,
                lifetime: Duration::from_secs(issued.expires_in),
            })
        })
    }
}
