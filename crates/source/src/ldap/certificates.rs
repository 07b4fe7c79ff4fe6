//! Whom to trust and what to show on the way to a directory server.

use secrecy::SecretString;

use super::settings::{ClientIdentity, TlsSettings};
use super::tls;
use crate::api::spec::LdapTls;
use crate::references::{KeyOf, ReferencedData, UnresolvedReason};

/// Where the certificates are.
#[derive(Debug, Clone)]
pub struct Certificates {
    ca_bundle: Option<KeyOf>,
    /// The certificate and its private key.
    client_certificate: Option<(KeyOf, KeyOf)>,
}

impl From<&LdapTls> for Certificates {
    fn from(tls: &LdapTls) -> Self {
        let client = tls.client_certificate_secret_ref.as_ref();
        Self {
            ca_bundle: tls.ca_bundle_ref.as_ref().map(KeyOf::ca_bundle),
            client_certificate: client.map(|reference| {
                let (name, certificate) = (&reference.name, reference.certificate_key.as_deref());
                let key = reference.private_key_key.as_deref();
                (
                    KeyOf::secret(name, certificate, "tls.crt"),
                    KeyOf::secret(name, key, "tls.key"),
                )
            }),
        }
    }
}

impl Certificates {
    pub fn keys(&self) -> impl Iterator<Item = &KeyOf> {
        let client = self.client_certificate.iter();
        self.ca_bundle
            .iter()
            .chain(client.flat_map(|(certificate, key)| [certificate, key]))
    }

    /// Puts them into `settings`. What can't be used is reported by its object and key, never quoted.
    pub fn resolve(
        &self,
        data: &ReferencedData,
        settings: &mut TlsSettings,
        problems: &mut Vec<UnresolvedReason>,
    ) {
        let mut pem = |key: &KeyOf, fault: fn(&[u8]) -> Option<&'static str>| {
            let bytes = data.bytes(key).and_then(|bytes| match fault(bytes) {
                None => Ok(bytes.to_vec()),
                Some(why) => Err(UnresolvedReason::unusable(key, why)),
            });
            bytes.map_err(|problem| problems.push(problem)).ok()
        };
        let certificates = |bytes: &[u8]| tls::read_chain(bytes).err();
        let private_key = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(_) => tls::read_key(bytes).err(),
            Err(_) => Some("isn't text; store the private key as PEM"),
        };
        let bundle = self.ca_bundle.as_ref();
        settings.ca_bundle = bundle.and_then(|bundle| pem(bundle, certificates));
        if let Some((certificate, key)) = &self.client_certificate
            && let (Some(certificate), Some(key)) =
                (pem(certificate, certificates), pem(key, private_key))
            && let Ok(key) = String::from_utf8(key)
        {
            let key = SecretString::from(key);
            settings.client_identity = Some(ClientIdentity { certificate, key });
        }
    }
}
