//! `POST /oauth2/v1/token`: an assertion against an access token, and which tokens are good.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::config::ServiceApp;

/// How long a token is good.
const LIFETIME: Duration = Duration::from_secs(3600);
/// The longest that an assertion may be good, in seconds.
const ASSERTION_MAX: i64 = 3600;

/// A public key that is registered for an app.
#[derive(Debug, Clone)]
pub enum PublicKey {
    /// An RSA key that signs with RS256.
    Rsa {
        /// The modulus, big-endian.
        n: Vec<u8>,
        /// The public exponent, big-endian.
        e: Vec<u8>,
    },
    /// NIST P-256, signing ES256: the point, uncompressed.
    P256(Vec<u8>),
    /// NIST P-384, signing ES384: the point, uncompressed.
    P384(Vec<u8>),
}

impl PublicKey {
    /// Of a JSON Web Key (RFC 7517), private or public.
    #[must_use]
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        let part = |name: &str| decode(jwk[name].as_str()?);
        let point = || Some([vec![4], part("x")?, part("y")?].concat());
        match (jwk["kty"].as_str()?, jwk["crv"].as_str()) {
            ("RSA", None) => Some(Self::Rsa {
                n: part("n")?,
                e: part("e")?,
            }),
            ("EC", Some("P-256")) => Some(Self::P256(point()?)),
            ("EC", Some("P-384")) => Some(Self::P384(point()?)),
            _ => None,
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let result =
            match self {
                Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                    &RSA_PKCS1_2048_8192_SHA256,
                    message,
                    signature,
                ),
                Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature),
                Self::P384(point) => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
                    .verify(message, signature),
            };
        result.is_ok()
    }
}

/// Why no token is given: the `error` of the answer and what it says.
#[derive(Debug)]
pub(super) struct Denied(StatusCode, &'static str, String);

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let body = json!({"error": self.1, "error_description": self.2});
        (self.0, Json(body)).into_response()
    }
}

fn invalid_client(why: &str) -> Denied {
    Denied(StatusCode::UNAUTHORIZED, "invalid_client", why.to_owned())
}

/// The access tokens that were given out and are still good, and the assertions that were used.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    good: HashMap<String, (Instant, Vec<String>)>,
    used: HashSet<String>,
    issued: u64,
}

impl Tokens {
    /// The scopes of a good token.
    pub fn scopes(&self, token: &str) -> Option<&[String]> {
        let (until, scopes) = self.good.get(token)?;
        (*until > Instant::now()).then_some(scopes)
    }

    pub fn revoke_all(&mut self) {
        self.good.clear();
    }

    /// Answers a request for a token; `url` is this call's own address.
    pub fn answer(
        &mut self,
        app: Option<&ServiceApp>,
        form: &HashMap<String, String>,
        url: &str,
    ) -> Result<Value, Denied> {
        let bad = |error, why: &str| Denied(StatusCode::BAD_REQUEST, error, why.to_owned());
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if field("grant_type") != "client_credentials" {
            let why = "The authorization grant type is not supported.";
            return Err(bad("unsupported_grant_type", why));
        }
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        if field("client_assertion_type") != kind {
            return Err(invalid_client("The client_assertion_type is invalid."));
        }
        let app = app.ok_or_else(|| invalid_client("Invalid value for 'client_id' parameter."))?;
        self.check(app, field("client_assertion"), url)?;
        if app.requires_dpop {
            let why = "The DPoP proof JWT header is missing.";
            return Err(bad("invalid_dpop_proof", why));
        }
        let wanted: Vec<String> = field("scope").split(' ').map(str::to_owned).collect();
        if wanted.iter().any(|scope| !app.scopes.contains(scope)) {
            let why =
                "One or more scopes are not configured for the authorization server resource.";
            return Err(bad("invalid_scope", why));
        }
        self.issued += 1;
        let token = format!("simulated-okta-access-token-{}", self.issued);
        let until = Instant::now() + LIFETIME;
        self.good.insert(token.clone(), (until, wanted.clone()));
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": LIFETIME.as_secs(),
            "access_token": token,
            "scope": wanted.join(" "),
        }))
    }

    fn check(&mut self, app: &ServiceApp, assertion: &str, url: &str) -> Result<(), Denied> {
        let malformed = || invalid_client("The client_assertion is not a valid JWT.");
        let (message, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = message.split_once('.').ok_or_else(malformed)?;
        let json = |part: &str| -> Option<Value> { serde_json::from_slice(&decode(part)?).ok() };
        let header = json(header).ok_or_else(malformed)?;
        let claims = json(claims).ok_or_else(malformed)?;
        let signature = decode(signature).ok_or_else(malformed)?;

        let named = header["kid"].as_str();
        let mut keys = app
            .keys
            .iter()
            .filter(|(id, _)| named.is_none_or(|named| named == id));
        let (Some((_, key)), None) = (keys.next(), keys.next()) else {
            let why = "The client_assertion must carry a 'kid' that names one of the app's keys.";
            return Err(invalid_client(why));
        };
        let good = header["alg"] == key.algorithm() && key.verifies(message.as_bytes(), &signature);
        if !good {
            return Err(invalid_client("The client_assertion signature is invalid."));
        }
        if claims["iss"] != *app.client_id || claims["sub"] != *app.client_id {
            let why = "The client_assertion's 'iss' and 'sub' must be the client_id.";
            return Err(invalid_client(why));
        }
        if claims["aud"] != url {
            return Err(invalid_client(
                "The audience claim for client_assertion must be the endpoint invoked for the request.",
            ));
        }
        let now = Timestamp::now().as_second();
        let ends = claims["exp"].as_i64().unwrap_or_default();
        if ends <= now || ends > now + ASSERTION_MAX {
            let why = "The client_assertion token is expired or has too long an expiration.";
            return Err(invalid_client(why));
        }
        let id = claims["jti"].as_str().unwrap_or_default();
        if id.is_empty() || !self.used.insert(id.to_owned()) {
            let why = "The client_assertion token has been used already.";
            return Err(invalid_client(why));
        }
        Ok(())
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
