//! Whom to trust and what to show on the way to a directory server.

use secrecy::SecretString;

use super::settings::{ClientIdentity, TlsSettings};
use crate::api::spec::LdapTls;
use crate::http::{read_certificates, read_private_key};
use crate::references::{KeyOf, ReferencedData, Unresolved, UnresolvedReason, both};

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

    /// These settings with them.
    ///
    /// # Errors
    /// What is missing or can't be used, by its object and key, never quoted.
    pub fn resolve(
        &self,
        data: &ReferencedData,
        settings: &TlsSettings,
    ) -> Result<TlsSettings, Unresolved> {
        let pem = |key: &KeyOf, fault: fn(&[u8]) -> Option<&'static str>| {
            data.bytes(key).and_then(|bytes| match fault(bytes) {
                None => Ok(bytes.to_vec()),
                Some(why) => Err(UnresolvedReason::unusable(key, why)),
            })
        };
        let certificates = |bytes: &[u8]| read_certificates(bytes).err();
        let private_key = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(_) => read_private_key(bytes).err(),
            Err(_) => Some("isn't text; store the private key as PEM"),
        };
        let bundle = self.ca_bundle.as_ref();
        let bundle = bundle.map(|bundle| pem(bundle, certificates)).transpose();
        let client = self
            .client_certificate
            .as_ref()
            .map(|(certificate, key)| both(pem(certificate, certificates), pem(key, private_key)));
        let (ca_bundle, client) = both(bundle, client.transpose())?;
        let client_identity = client.and_then(|(certificate, key)| {
            let key = SecretString::from(String::from_utf8(key).ok()?);
            Some(ClientIdentity { certificate, key })
        });
        Ok(TlsSettings {
            ca_bundle,
            client_identity,
            ..settings.clone()
        })
    }
}
