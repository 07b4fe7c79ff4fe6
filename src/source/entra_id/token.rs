//! Access tokens for Graph, by whichever proof the settings have (OAuth 2.0 client credentials).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::{Method, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::TOKEN;
use super::settings::{Credentials, EntraIdSettings, InvalidSettings};
use crate::http::{
    ApiClient, Call, Failure, HttpError, JwtAlgorithm, JwtSigner, Token, TokenSource,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good for: as long as a slow request takes.
const ASSERTION_LIFETIME: i64 = 300;
/// Clocks differ.
const ASSERTION_EARLY: i64 = 60;
/// The variable that Azure's workload identity webhook sets.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// No token is larger.
const TOKEN_MAX: u64 = 64 << 10;

/// Asks the tenant for tokens.
#[derive(Debug)]
pub(super) struct EntraTokens {
    remote: ApiClient,
    url: Url,
    client_id: String,
    scope: String,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Secret(SecretString),
    Certificate(Box<Certificate>),
    FederatedToken(Option<PathBuf>),
}

#[derive(Debug)]
struct Certificate {
    signer: JwtSigner,
    /// SHA-256 of the certificate, by which Entra ID finds it.
    thumbprint: String,
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    expires_in: u64,
}

impl EntraTokens {
    /// Tokens for the application that `settings` name; `remote` without a token of its own.
    pub fn new(
        settings: &EntraIdSettings,
        credentials: &Credentials,
        remote: ApiClient,
    ) -> Result<Self, InvalidSettings> {
        let authority = settings.addresses.authority.as_str().trim_end_matches('/');
        let graph = settings.addresses.graph.as_str().trim_end_matches('/');
        let proof = match credentials {
            Credentials::Secret(secret) => {
                let secret = SecretString::from(secret.expose_secret().trim());
                if secret.expose_secret().is_empty() {
                    return Err(InvalidSettings::EmptySecret);
                }
                remote.secrets.add(secret.clone());
                let encoded: String =
                    form_urlencoded::byte_serialize(secret.expose_secret().as_bytes()).collect();
                remote.secrets.add(encoded.into());
                Proof::Secret(secret)
            }
            Credentials::Certificate { certificate, key } => {
                Proof::Certificate(Box::new(Certificate::new(certificate, key)?))
            }
            Credentials::FederatedToken { file } => Proof::FederatedToken(file.clone()),
        };
        let url = format!("{authority}/{}/oauth2/v2.0/token", settings.tenant);
        let url = Url::parse(&url).map_err(|_| InvalidSettings::Tenant(settings.tenant.clone()))?;
        Ok(Self {
            remote,
            url,
            client_id: settings.client_id.clone(),
            scope: format!("{graph}/.default"),
            proof,
        })
    }

    /// The body of the request for a token.
    async fn form(&self) -> Result<String, String> {
        let assertion = match &self.proof {
            Proof::Secret(secret) => {
                return Ok(self.form_with(&[("client_secret", secret.expose_secret())]));
            }
            Proof::Certificate(certificate) => {
                certificate.assertion(&self.client_id, self.url.as_str())
            }
            Proof::FederatedToken(file) => read_token(file.clone()).await?,
        };
        self.remote.secrets.add(assertion.clone());
        Ok(self.form_with(&[
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion.expose_secret()),
        ]))
    }

    fn form_with(&self, proof: &[(&str, &str)]) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", &self.scope)
            .extend_pairs(proof)
            .finish()
    }
}

impl TokenSource for EntraTokens {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let call = Call::new(Method::POST, self.url.clone(), TOKEN.endpoint);
            let form = self.form().await.map_err(|why| HttpError {
                call: call.name(),
                failure: Failure::Request(why),
            })?;
            let call = call.body("application/x-www-form-urlencoded", form);
            let issued: Issued = self.remote.json(&call, TOKEN_MAX).await?;
            self.remote.secrets.add(issued.access_token.clone());
            Ok(Token {
                secret: issued.access_token,
                lifetime: Duration::from_secs(issued.expires_in),
            })
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
        let now = Timestamp::now().as_second();
        let object = |value| match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let header = object(json!({"x5t#S256": self.thumbprint}));
        let claims = object(json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": format!("{:032x}", fastrand::u128(..)),
            "iat": now,
            "nbf": now - ASSERTION_EARLY,
            "exp": now + ASSERTION_LIFETIME,
        }));
        self.signer.sign(header, &claims)
    }
}

/// The token that the cluster wrote for us.
async fn read_token(file: Option<PathBuf>) -> Result<SecretString, String> {
    let file = match file.or_else(|| std::env::var_os(TOKEN_FILE).map(PathBuf::from)) {
        Some(file) => file,
        None => {
            return Err(format!(
                "there is no federated token: neither workloadIdentity.tokenFile nor the environment variable {TOKEN_FILE} names its file"
            ));
        }
    };
    let text = tokio::fs::read_to_string(&file)
        .await
        .map_err(|error| format!("can't read the federated token {}: {error}", file.display()))?;
    match text.trim() {
        "" => Err(format!("the federated token {} is empty", file.display())),
        token => Ok(token.into()),
    }
}

/// Shared by calls that need a token.
pub(super) fn cache(tokens: EntraTokens) -> Arc<crate::http::TokenCache> {
    Arc::new(crate::http::TokenCache::new(tokens))
}
