//! JSON Web Tokens that we sign (RFC 7515, 7519): how an application proves with its own key who it
//! is (RFC 7523).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

/// How a token is signed (RFC 7518, 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3).
    Rs256,
    /// `PS256`: RSASSA-PSS with SHA-256 (RFC 7518, 3.5).
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
}

/// Why a private key can't sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// No PEM, or none of a private key.
    #[error("holds no private key in PEM")]
    NotPem,
    /// JSON, but no private key.
    #[error("holds JSON that isn't a private key (JWK of type RSA, or EC on P-256 or P-384)")]
    NotJwk,
    /// A key of another type, such as one on an elliptic curve.
    #[error("isn't an RSA key")]
    NotRsa,
    /// No kind of key that is known.
    #[error("isn't an RSA key, nor an EC key on P-256 or P-384")]
    UnknownKind,
    /// Damaged, too short or too long.
    #[error("isn't a key that can be used (RSA: 2048 to 4096 bits; EC: P-256 or P-384): {0}")]
    Refused(String),
}

impl From<KeyRejected> for InvalidKey {
    fn from(rejected: KeyRejected) -> Self {
        Self::Refused(rejected.to_string())
    }
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// A key that signs tokens. `Debug` shows nothing of it.
pub struct JwtSigner {
    key: Key,
    algorithm: JwtAlgorithm,
    key_id: Option<String>,
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
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }
}

impl JwtSigner {
    /// A signer with the RSA key in `pem` (PKCS #8 or PKCS #1).
    ///
    /// # Errors
    /// When there is no RSA key in it that may sign today.
    pub fn from_pem(pem: &str, algorithm: JwtAlgorithm) -> Result<Self, InvalidKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| InvalidKey::NotPem)?;
        let key = match rsa_of_der(&der) {
            Some(key) => key?,
            None => return Err(InvalidKey::NotRsa),
        };
        Ok(Self {
            key: Key::Rsa(key),
            algorithm,
            key_id: None,
        })
    }

    /// A signer with the private key in `text`, PEM (PKCS #8, PKCS #1 or SEC 1) or a JSON Web Key
    /// (RFC 7517), which signs as its kind does commonly: RS256, ES256, ES384.
    ///
    /// # Errors
    /// When there is no such key in it.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        if text.trim_start().starts_with('{') {
            return Self::from_jwk(text);
        }
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| InvalidKey::NotPem)?;
        if let Some(key) = rsa_of_der(&der) {
            return Ok(Self {
                key: Key::Rsa(key?),
                algorithm: JwtAlgorithm::Rs256,
                key_id: None,
            });
        }
        let curves = [
            (JwtAlgorithm::Es256, &ECDSA_P256_SHA256_FIXED_SIGNING, &P256),
            (JwtAlgorithm::Es384, &ECDSA_P384_SHA384_FIXED_SIGNING, &P384),
        ];
        for (algorithm, signing, curve) in curves {
            let pkcs8 = match &der {
                PrivateKeyDer::Pkcs8(der) => der.secret_pkcs8_der().to_vec(),
                PrivateKeyDer::Sec1(der) => curve.pkcs8(der.secret_sec1_der()),
                _ => return Err(InvalidKey::UnknownKind),
            };
            if let Ok(key) = EcdsaKeyPair::from_pkcs8(signing, &pkcs8, &SystemRandom::new()) {
                return Ok(Self {
                    key: Key::Ec(key),
                    algorithm,
                    key_id: None,
                });
            }
        }
        Err(InvalidKey::UnknownKind)
    }

    fn from_jwk(text: &str) -> Result<Self, InvalidKey> {
        // The error would quote the key.
        let jwk: Jwk = serde_json::from_str(text).map_err(|_| InvalidKey::NotJwk)?;
        let (key, algorithm, key_id) = match jwk {
            Jwk::Rsa(jwk) => {
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents {
                        n: bytes(&jwk.n)?,
                        e: bytes(&jwk.e)?,
                    },
                    d: bytes(&jwk.d)?,
                    p: bytes(&jwk.p)?,
                    q: bytes(&jwk.q)?,
                    dP: bytes(&jwk.dp)?,
                    dQ: bytes(&jwk.dq)?,
                    qInv: bytes(&jwk.qi)?,
                };
                let key = RsaKeyPair::from_components(&components)?;
                (Key::Rsa(key), JwtAlgorithm::Rs256, jwk.kid)
            }
            Jwk::Ec(jwk) => {
                let (signing, algorithm): (&'static EcdsaSigningAlgorithm, _) = match &*jwk.crv {
                    "P-256" => (&ECDSA_P256_SHA256_FIXED_SIGNING, JwtAlgorithm::Es256),
                    "P-384" => (&ECDSA_P384_SHA384_FIXED_SIGNING, JwtAlgorithm::Es384),
                    _ => return Err(InvalidKey::UnknownKind),
                };
                let point = [vec![4], bytes(&jwk.x)?, bytes(&jwk.y)?].concat();
                let random = SystemRandom::new();
                let private = bytes(&jwk.d)?;
                let key = EcdsaKeyPair::from_private_key_and_public_key(
                    signing, &private, &point, &random,
                )?;
                (Key::Ec(key), algorithm, jwk.kid)
            }
        };
        Ok(Self {
            key,
            algorithm,
            key_id,
        })
    }

    /// The key's own id (`kid`), where it came with one.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The public key as it stands in a certificate: RSAPublicKey of RFC 8017 in DER, or the
    /// uncompressed point.
    pub fn public_key(&self) -> &[u8] {
        match &self.key {
            Key::Rsa(key) => key.public().as_ref(),
            Key::Ec(key) => key.public_key().as_ref(),
        }
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
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into()
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let encoding: &dyn ring::signature::RsaEncoding = match self.algorithm {
                    JwtAlgorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(encoding, &random, message, &mut signature).expect(
                    "the buffer is as long as the modulus and the system has random numbers",
                );
                signature
            }
            Key::Ec(key) => key
                .sign(&random, message)
                .expect("the system has random numbers")
                .as_ref()
                .to_vec(),
        }
    }
}

/// An RSA key; `None` where it is a key of another kind.
fn rsa_of_der(der: &PrivateKeyDer<'_>) -> Option<Result<RsaKeyPair, InvalidKey>> {
    let key = match der {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return None,
    };
    match key {
        Err(rejected) if rejected.to_string() == "WrongAlgorithm" => None,
        key => Some(key.map_err(InvalidKey::from)),
    }
}

/// What goes before a SEC 1 key to make PKCS #8 of it: the algorithm's identifier (RFC 5480).
struct Curve(&'static [u8]);

/// `SEQUENCE { id-ecPublicKey, prime256v1 }`
const P256: Curve = Curve(&[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
]);
/// `SEQUENCE { id-ecPublicKey, secp384r1 }`
const P384: Curve = Curve(&[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x22,
]);

impl Curve {
    /// `SEQUENCE { INTEGER 0, algorithm, OCTET STRING { sec1 } }`
    fn pkcs8(&self, sec1: &[u8]) -> Vec<u8> {
        let key = tagged(0x04, sec1);
        tagged(0x30, &[&[0x02, 0x01, 0x00], self.0, &key].concat())
    }
}

/// A DER value; keys on curves stay far below 65,536 bytes.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    let mut value = vec![tag];
    match content.len() {
        0..=127 => value.push(low),
        128..=255 => value.extend([0x81, low]),
        _ => value.extend([0x82, high, low]),
    }
    value.extend_from_slice(content);
    value
}

#[derive(Deserialize)]
#[serde(tag = "kty")]
enum Jwk {
    #[serde(rename = "RSA")]
    Rsa(RsaJwk),
    #[serde(rename = "EC")]
    Ec(EcJwk),
}

#[derive(Deserialize)]
struct RsaJwk {
    kid: Option<String>,
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qi: String,
}

#[derive(Deserialize)]
struct EcJwk {
    kid: Option<String>,
    crv: String,
    x: String,
    y: String,
    d: String,
}

fn bytes(text: &str) -> Result<Vec<u8>, InvalidKey> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| InvalidKey::NotJwk)
}
