//! JSON Web Tokens that we sign (RFC 7515, 7519): how an application proves with its own key who it
//! is (RFC 7523).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;
use serde_json::{Map, Value};

/// How a token is signed (RFC 7518, 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

/// Why a private key can't sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// No PEM, or none of a private key.
    #[error("holds no private key in PEM")]
    NotPem,
    /// A curve, say.
    #[error("isn't an RSA key")]
    NotRsa,
    /// Damaged, too short or too long.
    #[error("isn't an RSA key of 2048 to 4096 bits that can be used: {0}")]
    Refused(String),
}

/// An RSA key that signs tokens. `Debug` tells nothing of it.
pub struct JwtSigner {
    key: RsaKeyPair,
    algorithm: JwtAlgorithm,
}

impl fmt::Debug for JwtSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtSigner({:?})", self.algorithm)
    }
}

impl JwtAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

impl JwtSigner {
    /// A signer with the private key in `pem` (PKCS #8 or PKCS #1).
    ///
    /// # Errors
    /// When there is no RSA key in it that may sign today.
    pub fn from_pem(pem: &str, algorithm: JwtAlgorithm) -> Result<Self, InvalidKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| InvalidKey::NotPem)?;
        let refused = |rejected: ring::error::KeyRejected| match rejected.to_string() {
            why if why == "WrongAlgorithm" => InvalidKey::NotRsa,
            why => InvalidKey::Refused(why),
        };
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(InvalidKey::NotRsa),
        };
        let key = key.map_err(refused)?;
        Ok(Self { key, algorithm })
    }

    /// The public key, as it stands in a certificate (RSAPublicKey of RFC 8017, DER).
    pub fn public_key(&self) -> &[u8] {
        self.key.public().as_ref()
    }

    /// A signed token with these claims. `header` holds what names the key (`kid`, `x5t#S256`);
    /// algorithm and type are added.
    pub fn sign(
        &self,
        mut header: Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> SecretString {
        header.insert("alg".into(), self.algorithm.name().into());
        header.insert("typ".into(), "JWT".into());
        let part = |map: &Map<String, Value>| {
            let json = serde_json::to_vec(map).expect("a map of JSON values is JSON");
            BASE64_URL_SAFE_NO_PAD.encode(json)
        };
        let signed = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                self.algorithm.encoding(),
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .expect("the buffer is as long as the modulus and the system has random numbers");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into()
    }
}
