//! Access tokens for Graph, by whichever proof the settings have (OAuth 2.0 client credentials).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use reqwest::Url;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Map;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::TOKEN;
use super::settings::{Credentials, EntraIdSettings, InvalidSettings};
use crate::http::oauth::{
    Assertion, IdentityToken, JWT_BEARER_ASSERTION, TokenEndpoint, TokenForm,
};
use crate::http::{ApiClient, HttpError, JwtAlgorithm, JwtSigner, Token, TokenCache, TokenSource};

/// How long an assertion is good for: as long as a slow request takes.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);
/// How long before now an assertion becomes valid, because clocks differ.
const ASSERTION_EARLY: Duration = Duration::from_secs(60);

/// Asks the tenant for tokens.
#[derive(Debug)]
pub(super) struct EntraTokens {
    endpoint: TokenEndpoint,
    client_id: String,
    scope: String,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Secret(SecretString),
    Certificate(Box<Certificate>),
    FederatedToken(Arc<dyn IdentityToken>),
}

#[derive(Debug)]
struct Certificate {
    signer: JwtSigner,
    /// SHA-256 of the certificate, by which Entra ID finds it.
    thumbprint: String,
}

impl EntraTokens {
    /// Tokens for the application that `settings` name; `client` without a token of its own.
    pub fn new(
        settings: &EntraIdSettings,
        credentials: &Credentials,
        client: ApiClient,
    ) -> Result<Self, InvalidSettings> {
        let authority = settings.addresses.authority.as_str().trim_end_matches('/');
        let graph = settings.addresses.graph.as_str().trim_end_matches('/');
        let proof = match credentials {
            Credentials::Secret(secret) => {
                let secret = SecretString::from(secret.expose_secret().trim());
                if secret.expose_secret().is_empty() {
                    return Err(InvalidSettings::EmptySecret);
                }
                client.secrets.add(secret.clone());
                Proof::Secret(secret)
            }
            Credentials::Certificate { certificate, key } => {
                client.secrets.add(key.clone());
                Proof::Certificate(Box::new(Certificate::new(certificate, key)?))
            }
            Credentials::FederatedToken(identity) => Proof::FederatedToken(identity.clone()),
        };
        let url = format!("{authority}/{}/oauth2/v2.0/token", settings.tenant);
        let url = Url::parse(&url).map_err(|_| InvalidSettings::Tenant(settings.tenant.clone()))?;
        Ok(Self {
            endpoint: TokenEndpoint {
                client,
                url,
                endpoint: TOKEN.endpoint,
            },
            client_id: settings.client_id.clone(),
            scope: format!("{graph}/.default"),
            proof,
        })
    }

    fn form(&self) -> TokenForm {
        TokenForm::new("client_credentials")
            .pair("client_id", &self.client_id)
            .pair("scope", &self.scope)
    }

    async fn assertion(&self) -> Result<SecretString, HttpError> {
        match &self.proof {
            Proof::FederatedToken(identity) => {
                let token = identity.get().await;
                token.map_err(|why| self.endpoint.not_sent(why))
            }
            Proof::Certificate(certificate) => {
                Ok(certificate.assertion(&self.client_id, self.endpoint.url.as_str()))
            }
            Proof::Secret(secret) => Ok(secret.clone()),
        }
    }
}

impl TokenSource for EntraTokens {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let proof = self.assertion().await?;
            let form = match &self.proof {
                Proof::Secret(_) => self.form().secret("client_secret", proof),
                _ => self
                    .form()
                    .pair("client_assertion_type", JWT_BEARER_ASSERTION)
                    .secret("client_assertion", proof),
            };
            self.endpoint.request(form).await
        })
    }
}

impl Certificate {
    fn new(pem: &[u8], key: &SecretString) -> Result<Self, InvalidSettings> {
        let invalid = |why: &str| InvalidSettings::Certificate(why.to_owned());
        let der = CertificateDer::from_pem_slice(pem)
            .map_err(|_| invalid("tls.crt holds no certificate in PEM"))?;
        let (_, certificate) = X509Certificate::from_der(&der)
            .map_err(|_| invalid("tls.crt holds a certificate that can't be read"))?;
        // Entra ID takes RSA alone; PS256 is what Microsoft recommends.
        let signer = JwtSigner::from_pem(key.expose_secret(), JwtAlgorithm::Ps256)
            .map_err(|why| InvalidSettings::Certificate(format!("tls.key {why}")))?;
        if certificate.public_key().subject_public_key.data.as_ref() != signer.public_key() {
            return Err(invalid(
                "tls.key isn't the key of the certificate in tls.crt",
            ));
        }
        Ok(Self {
            signer,
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&der)),
        })
    }

    /// A token of our own that says who we are (Microsoft: "Certificate credentials").
    fn assertion(&self, client_id: &str, audience: &str) -> SecretString {
        let header = Map::from_iter([("x5t#S256".to_owned(), self.thumbprint.as_str().into())]);
        let claims = Assertion {
            issuer: client_id.to_owned(),
            subject: Some(client_id.to_owned()),
            audience: audience.to_owned(),
            scope: None,
            lifetime: ASSERTION_LIFETIME,
            valid_since: Some(ASSERTION_EARLY),
        };
        self.signer.sign(header, &claims.claims())
    }
}

/// Shared by calls that need a token.
pub(super) fn cache(tokens: EntraTokens) -> Arc<TokenCache> {
    Arc::new(TokenCache::new(tokens))
}
