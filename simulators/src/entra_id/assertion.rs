//! Client assertions (RFC 7523), checked in earnest: signature, key, times, issuer, subject,
//! audience.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is wrong with an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Malformed,
    UnknownKey,
    Signature,
    Expired,
    Issuer,
    Subject,
    Audience,
}

/// What it must say.
pub(super) struct Expected<'e> {
    pub issuer: &'e str,
    pub subject: &'e str,
    pub audience: &'e str,
}

/// What it says, unchecked.
pub(super) fn claims(token: &str) -> Result<Value, Flaw> {
    let part = token.split('.').nth(1).ok_or(Flaw::Malformed)?;
    json(part)
}

/// Signed with the key of one of these certificates, which `x5t#S256` names.
pub(super) fn check_certificate(
    token: &str,
    certificates: &[String],
    expected: &Expected<'_>,
) -> Result<(), Flaw> {
    let parts = Parts::of(token)?;
    let named = parts.header["x5t#S256"].as_str().ok_or(Flaw::UnknownKey)?;
    let key = certificates
        .iter()
        .filter_map(|pem| x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok())
        .map(|(_, pem)| pem.contents)
        .find(|der| base64(ring::digest::digest(&ring::digest::SHA256, der).as_ref()) == named)
        .ok_or(Flaw::UnknownKey)?;
    let (_, certificate) = X509Certificate::from_der(&key).map_err(|_| Flaw::UnknownKey)?;
    let key = certificate.public_key().subject_public_key.data.as_ref();
    let verified = match parts.header["alg"].as_str() {
        Some("PS256") => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key)
            .verify(parts.signed.as_bytes(), &parts.signature),
        Some("RS256") => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(parts.signed.as_bytes(), &parts.signature),
        _ => return Err(Flaw::Malformed),
    };
    verified.map_err(|_| Flaw::Signature)?;
    parts.check(expected)
}

/// Signed with one of these keys (RFC 7517), which `kid` names, and says what it must.
pub(super) fn check_keys(token: &str, keys: &Value, expected: &Expected<'_>) -> Result<(), Flaw> {
    let parts = Parts::of(token)?;
    check_signature(&parts, keys)?;
    parts.check(expected)
}

/// Whether a token is signed with one of these keys (RFC 7517), which `kid` names.
pub(crate) fn is_signed_by(token: &str, keys: &Value) -> bool {
    Parts::of(token).is_ok_and(|parts| check_signature(&parts, keys).is_ok())
}

fn check_signature(parts: &Parts<'_>, keys: &Value) -> Result<(), Flaw> {
    let mut all = keys["keys"].as_array().ok_or(Flaw::UnknownKey)?.iter();
    let key = all
        .find(|key| key["kid"] == parts.header["kid"])
        .ok_or(Flaw::UnknownKey)?;
    let part = |name: &str| bytes(key[name].as_str().unwrap_or_default());
    let message = parts.signed.as_bytes();
    let verified = match (parts.header["alg"].as_str(), key["kty"].as_str()) {
        (Some("RS256"), Some("RSA")) => RsaPublicKeyComponents {
            n: part("n")?,
            e: part("e")?,
        }
        .verify(&RSA_PKCS1_2048_8192_SHA256, message, &parts.signature),
        // Entra itself takes RS256 alone; the API servers of tests sign with a curve.
        (Some("ES256"), Some("EC")) => {
            let point = [vec![4], part("x")?, part("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, &parts.signature)
        }
        _ => return Err(Flaw::Malformed),
    };
    verified.map_err(|_| Flaw::Signature)
}

struct Parts<'t> {
    signed: &'t str,
    header: Value,
    claims: Value,
    signature: Vec<u8>,
}

impl<'t> Parts<'t> {
    fn of(token: &'t str) -> Result<Self, Flaw> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Flaw::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Flaw::Malformed)?;
        Ok(Self {
            signed,
            header: json(header)?,
            claims: json(claims)?,
            signature: bytes(signature)?,
        })
    }

    fn check(&self, expected: &Expected<'_>) -> Result<(), Flaw> {
        let claim = |name: &str| &self.claims[name];
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.expect("after 1970").as_secs();
        let ends = claim("exp").as_u64().ok_or(Flaw::Malformed)?;
        let begins = claim("nbf").as_u64().or(claim("iat").as_u64());
        // An assertion that is good for days is as bad as a secret.
        if ends <= now || begins.is_some_and(|from| from > now || ends - from > 86_400) {
            return Err(Flaw::Expired);
        }
        if claim("iss") != expected.issuer {
            return Err(Flaw::Issuer);
        }
        if claim("sub") != expected.subject {
            return Err(Flaw::Subject);
        }
        let audiences = claim("aud");
        let fits = match audiences.as_array() {
            Some(list) => list.iter().any(|one| one == expected.audience),
            None => audiences == expected.audience,
        };
        fits.then_some(()).ok_or(Flaw::Audience)
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, Flaw> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Flaw::Malformed)
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn json(part: &str) -> Result<Value, Flaw> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| Flaw::Malformed)
}
