//! Keys, and the tokens that are signed with them (RS256).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};

/// An RSA key, both halves.
#[derive(Clone)]
pub struct KeyPair {
    key: Arc<RsaKeyPair>,
    pem: Arc<str>,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair")
    }
}

impl KeyPair {
    /// Of PKCS #8 in PEM.
    ///
    /// # Panics
    /// When that isn't one: the keys are a test's own.
    #[must_use]
    pub fn from_pem(pem: &str) -> Self {
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let der = BASE64_STANDARD
            .decode(lines.collect::<String>())
            .expect("base64 between the lines of PEM");
        Self {
            key: Arc::new(RsaKeyPair::from_pkcs8(&der).expect("an RSA key in PKCS #8")),
            pem: pem.into(),
        }
    }

    /// As it was given.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A token with these claims.
    ///
    /// # Panics
    /// Never: the buffer is as long as the modulus.
    #[must_use]
    pub fn sign(&self, key_id: &str, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": key_id, "typ": "JWT"});
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .expect("the buffer is as long as the modulus");
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn verifies(&self, message: &str, signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public());
        public.verify(message.as_bytes(), signature).is_ok()
    }
}

/// A token that was taken apart.
pub(super) struct Token {
    message: String,
    signature: Vec<u8>,
    algorithm: String,
    pub key_id: String,
    pub claims: Value,
}

impl Token {
    pub fn parse(text: &str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let json = |part: &str| -> Option<Value> { serde_json::from_slice(&decode(part)?).ok() };
        let header = json(header)?;
        let text = |name: &str| header[name].as_str().unwrap_or_default().to_owned();
        Some(Self {
            message: message.to_owned(),
            signature: decode(signature)?,
            algorithm: text("alg"),
            key_id: text("kid"),
            claims: json(claims)?,
        })
    }

    pub fn is_signed_by(&self, key: &KeyPair) -> bool {
        self.algorithm == "RS256" && key.verifies(&self.message, &self.signature)
    }

    pub fn text(&self, claim: &str) -> &str {
        self.claims[claim].as_str().unwrap_or_default()
    }

    pub fn number(&self, claim: &str) -> i64 {
        self.claims[claim].as_i64().unwrap_or_default()
    }
}
