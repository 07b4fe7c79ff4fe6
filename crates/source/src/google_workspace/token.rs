//! Access tokens for the Directory API: an assertion in the service account's name, signed by its
//! key or by Google for us, against a token (RFC 7523).

use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::federation::Federation;
use super::settings::{Credentials, GoogleWorkspaceSettings, InvalidKeyFile, InvalidSettings};
use crate::http::oauth::{Assertion, JWT_BEARER_GRANT, TokenEndpoint, TokenForm};
use crate::http::{ApiClient, HttpError, JwtSigner, Token, TokenSource};

/// The OAuth scope for listing users.
pub(super) const USERS_SCOPE: &str =
    "https://www.googleapis.com/auth/admin.directory.user.readonly";
/// Lists groups, and the members of each.
pub(super) const GROUPS_SCOPE: &str =
    "https://www.googleapis.com/auth/admin.directory.group.readonly";
/// How long an assertion is good: as long as Google takes one.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(3600);

/// Gets access tokens for assertions.
#[derive(Debug)]
pub(super) struct AccessTokens {
    endpoint: TokenEndpoint,
    assertion: Assertion,
    signer: Signer,
}

#[derive(Debug)]
enum Signer {
    Own {
        key: Box<JwtSigner>,
        id: Option<String>,
    },
    Google(Federation),
}

impl AccessTokens {
    /// Tokens as `settings` say; `client` without a token of its own.
    pub fn new(
        settings: &GoogleWorkspaceSettings,
        credentials: &Credentials,
        federation: Option<Federation>,
        client: ApiClient,
    ) -> Result<Self, InvalidSettings> {
        let signer = match (credentials, federation) {
            (_, Some(federation)) => Signer::Google(federation),
            (Credentials::Key(key), None) => Signer::Own {
                key: Box::new(key.signer().map_err(InvalidKeyFile::from)?),
                id: key.key_id.clone(),
            },
            (Credentials::WorkloadIdentity(identity), None) => {
                Signer::Google(Federation::new(identity, &client))
            }
        };
        let url = settings.addresses.token.clone();
        Ok(Self {
            assertion: Assertion {
                issuer: credentials.service_account().to_owned(),
                // The administrator to act for.
                subject: settings.admin_email.clone(),
                audience: url.to_string(),
                scope: Some(match settings.groups {
                    Some(_) => format!("{USERS_SCOPE} {GROUPS_SCOPE}"),
                    None => USERS_SCOPE.to_owned(),
                }),
                lifetime: ASSERTION_LIFETIME,
                valid_since: None,
            },
            endpoint: TokenEndpoint {
                client,
                url,
                endpoint: "POST /token",
            },
            signer,
        })
    }

    async fn signed(&self) -> Result<SecretString, HttpError> {
        let claims = self.assertion.claims();
        match &self.signer {
            Signer::Own { key, id } => {
                let id = id
                    .iter()
                    .map(|id| ("kid".to_owned(), Value::from(id.as_str())));
                let header = Map::from_iter(id);
                Ok(key.sign(header, &claims))
            }
            Signer::Google(federation) => federation.sign(&claims).await,
        }
    }
}

impl TokenSource for AccessTokens {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let assertion = self.signed().await?;
            // An assertion may be used again until it runs out.
            let form = TokenForm::new(JWT_BEARER_GRANT).secret("assertion", assertion);
            self.endpoint.request(form).await
        })
    }
}
