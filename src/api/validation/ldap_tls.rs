//! Whom to trust and what to show on the way to a directory server.

use secrecy::SecretString;

use super::references::{KeyOf, ReferencedData};
use super::unresolved::UnresolvedReason;
use crate::api::spec::LdapTls;
use crate::source::ldap::{ClientIdentity, TlsSettings};

/// Where the certificates are.
#[derive(Debug, Clone)]
pub(super) struct Certificates {
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
    pub(super) fn keys(&self) -> impl Iterator<Item = &KeyOf> {
        let client = self.client_certificate.iter();
        self.ca_bundle
            .iter()
            .chain(client.flat_map(|(certificate, key)| [certificate, key]))
    }

    /// Puts them into `tls`.
    pub(super) fn resolve(
        &self,
        data: &ReferencedData,
        tls: &mut TlsSettings,
        problems: &mut Vec<UnresolvedReason>,
    ) {
        let mut pem = |key: &KeyOf| match data.bytes(key) {
            Ok(bytes) => Some(bytes.to_vec()),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        tls.ca_bundle = self.ca_bundle.as_ref().and_then(&mut pem);
        if let Some((certificate, key_name)) = &self.client_certificate
            && let (Some(certificate), Some(key)) = (pem(certificate), pem(key_name))
        {
            match String::from_utf8(key) {
                Ok(key) => {
                    let key = SecretString::from(key);
                    tls.client_identity = Some(ClientIdentity { certificate, key });
                }
                Err(_) => {
                    let why = "isn't text; store the private key as PEM";
                    problems.push(UnresolvedReason::unusable(key_name, why));
                }
            }
        }
    }
}
