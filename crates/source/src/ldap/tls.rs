//! TLS to a directory: whom to trust, what to show, and what to say when it doesn't fit.

use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use secrecy::ExposeSecret;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::settings::{InvalidSettings, TlsSettings};
use crate::http::{
    Credential, Expiry, ServerTrust, Validity, read_certificates, read_private_key, system_roots,
};
use crate::text::sanitize;

/// How many names of a certificate are shown.
const SHOWN_NAMES: usize = 5;

/// TLS as the settings want it, ready for any number of connections.
#[derive(Debug, Clone)]
pub struct Tls {
    config: ClientConfig,
    verifier: Option<Arc<ServerTrust>>,
    /// The trusted CAs, for messages.
    trusted: String,
    /// Our own certificate, where there is one.
    client: Option<Validity>,
}

impl Tls {
    /// Reads certificates and keys.
    ///
    /// # Errors
    /// When a PEM text holds nothing usable, or certificate and key don't belong together.
    pub fn new(settings: &TlsSettings) -> Result<Self, InvalidSettings> {
        let provider = Arc::new(ring::default_provider());
        let mut named = vec![];
        let (verifier, trusted) = if settings.insecure_skip_verify {
            (None, "anybody".to_owned())
        } else {
            let (roots, trusted) = match &settings.ca_bundle {
                Some(pem) => {
                    let certificates = read_chain("tls.caBundle", pem)?;
                    named = certificates.clone();
                    read_cas(certificates)?
                }
                None => (system_roots(), "the system's CAs".to_owned()),
            };
            let verifier = ServerTrust::new(roots, named).map_err(|_| InvalidSettings::Pem {
                field: "tls.caBundle",
                why: "this system has no CAs of its own; give a bundle",
            })?;
            (Some(Arc::new(verifier)), trusted)
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring has the protocol versions that rustls considers safe")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Witness {
                verifier: verifier.clone(),
                provider,
                name: None,
                seen: Arc::default(),
            }));
        let mut config = match &settings.client_identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = read_chain("tls.clientCertificate", &identity.certificate)?;
                let key = read_private_key(identity.key.expose_secret().as_bytes())
                    .map_err(|why| wrong("tls.clientKey", why))?;
                // The library's words could quote the key.
                builder.with_client_auth_cert(chain, key).map_err(|_| {
                    wrong(
                        "tls.clientCertificate",
                        "certificate and private key don't belong together, or the key is of a \
                         kind that can't be used (RSA, ECDSA P-256 or P-384 and Ed25519 can)",
                    )
                })?
            }
        };
        // A resumed session shows no certificate, so one that expired meanwhile would pass.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config,
            verifier,
            trusted,
            client: (settings.client_identity.as_ref())
                .and_then(|identity| Validity::of_pem(&identity.certificate)),
        })
    }

    /// When our certificate ends, and those by which servers were believed.
    pub fn expiries(&self) -> Vec<Expiry> {
        let ours = self.client.map(|validity| Expiry {
            credential: Credential::DirectoryClient,
            validity,
        });
        let seen = self.verifier.iter().flat_map(|verifier| {
            verifier.expiries(Credential::DirectoryServer, Credential::DirectoryCa)
        });
        seen.chain(ours).collect()
    }

    /// The configuration for one connection to `host`, and where the certificate it showed will be.
    pub fn for_host(&self, host: &str) -> (Arc<ClientConfig>, SeenCertificate) {
        let seen = SeenCertificate::default();
        let mut config = self.config.clone();
        let name = ServerName::try_from(host.to_owned()).ok();
        config.enable_sni = matches!(name, Some(ServerName::DnsName(_)));
        let witness = Witness {
            verifier: self.verifier.clone(),
            provider: config.crypto_provider().clone(),
            name,
            seen: seen.0.clone(),
        };
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(witness));
        (Arc::new(config), seen)
    }

    /// What is wrong, with the names on both sides, and what to do; and whether it may pass without
    /// a change on our side.
    pub fn explain(
        &self,
        host: &str,
        seen: &SeenCertificate,
        error: &rustls::Error,
    ) -> (String, bool) {
        let certificate = seen.get();
        let theirs =
            |part: fn(&Certificate) -> String| certificate.as_ref().map(part).unwrap_or_default();
        match error {
            rustls::Error::InvalidCertificate(wrong) => match wrong {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => (
                    format!(
                        "its certificate{} isn't signed by {}; put the certificate of the CA \
                         that signed it into tls.caBundle",
                        theirs(|c| format!(" for {}, signed by {},", c.subject, c.issuer)),
                        self.trusted
                    ),
                    false,
                ),
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => (
                    format!(
                        "its certificate is for {}, not for {host}; write one of these names in \
                         the url, or give the server a certificate for {host}",
                        certificate
                            .as_ref()
                            .map_or("other names".to_owned(), Certificate::shown_names)
                    ),
                    false,
                ),
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                    format!(
                        "its certificate{}; renew it on the server",
                        theirs(|c| format!(" for {} expired on {}", c.subject, c.not_after))
                    ),
                    true,
                ),
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                    format!(
                        "its certificate isn't valid yet{}; check the clocks on both sides",
                        theirs(|c| format!(" (only from {})", c.not_before))
                    ),
                    true,
                ),
                CertificateError::Other(_) if certificate.as_ref().is_some_and(|c| c.is_ca) => (
                    format!(
                        "its certificate{} is that of a CA (CA:TRUE), used for a server; give the \
                         server one with CA:FALSE (openssl req … -addext \
                         basicConstraints=CA:FALSE), or put exactly this certificate into \
                         tls.caBundle",
                        theirs(|c| format!(" for {}", c.subject))
                    ),
                    false,
                ),
                other => (format!("its certificate can't be accepted: {other}"), false),
            },
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                | AlertDescription::AccessDenied,
            ) => (
                format!(
                    "the server doesn't accept our client certificate ({error}); give one (tls.\
                     clientCertificate) that a CA it trusts signed"
                ),
                false,
            ),
            rustls::Error::InvalidMessage(_) => (
                format!(
                    "the server doesn't speak TLS on this port ({error}); for port 389 write \
                     ldap:// with tls.startTls"
                ),
                false,
            ),
            other => (sanitize(&other.to_string()), true),
        }
    }
}

/// The certificate that a server showed.
#[derive(Debug, Clone, Default)]
pub struct SeenCertificate(Arc<Mutex<Option<CertificateDer<'static>>>>);

impl SeenCertificate {
    /// What is written in it; `None` where there was no handshake or it can't be read.
    pub fn get(&self) -> Option<Certificate> {
        let der = self.0.lock().ok()?.clone()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let mut names = vec![];
        if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
            for name in &alternatives.value.general_names {
                match name {
                    GeneralName::DNSName(name) => names.push(sanitize(name)),
                    GeneralName::IPAddress(bytes) => {
                        let address = match bytes.len() {
                            4 => <[u8; 4]>::try_from(*bytes).ok().map(std::net::IpAddr::from),
                            16 => <[u8; 16]>::try_from(*bytes)
                                .ok()
                                .map(std::net::IpAddr::from),
                            _ => None,
                        };
                        names.extend(address.map(|address| address.to_string()));
                    }
                    _ => {}
                }
            }
        }
        Some(Certificate {
            subject: sanitize(&parsed.subject().to_string()),
            issuer: sanitize(&parsed.issuer().to_string()),
            not_before: day(parsed.validity().not_before.timestamp()),
            not_after: day(parsed.validity().not_after.timestamp()),
            is_ca: parsed.is_ca(),
            names,
        })
    }
}

/// What a person wants to know of a certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The name in the certificate.
    pub subject: String,
    /// The name of the CA that signed the certificate.
    pub issuer: String,
    /// The day from which it is valid.
    pub not_before: String,
    /// The day on which it expires.
    pub not_after: String,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// The host names and addresses it is for.
    pub names: Vec<String>,
}

impl Certificate {
    fn shown_names(&self) -> String {
        match self.names.len() {
            0 => format!(
                "no host name at all ({} has no subject alternative name)",
                self.subject
            ),
            count if count <= SHOWN_NAMES => self.names.join(", "),
            count => format!(
                "{} and {} more",
                self.names[..SHOWN_NAMES].join(", "),
                count - SHOWN_NAMES
            ),
        }
    }
}

fn day(timestamp: i64) -> String {
    jiff::Timestamp::from_second(timestamp).map_or_else(
        |_| "a day beyond the calendar".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

fn wrong(field: &'static str, why: &'static str) -> InvalidSettings {
    InvalidSettings::Pem { field, why }
}

fn read_chain(
    field: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, InvalidSettings> {
    read_certificates(pem).map_err(|why| wrong(field, why))
}

fn read_cas(
    certificates: Vec<CertificateDer<'static>>,
) -> Result<(Arc<RootCertStore>, String), InvalidSettings> {
    let mut roots = RootCertStore::empty();
    let mut names = vec![];
    for certificate in certificates {
        if let Ok((_, parsed)) = X509Certificate::from_der(&certificate) {
            names.push(sanitize(&parsed.subject().to_string()));
        }
        roots
            .add(certificate)
            .map_err(|_| wrong("tls.caBundle", "holds a certificate that can't be read"))?;
    }
    let more = names.len().saturating_sub(SHOWN_NAMES);
    names.truncate(SHOWN_NAMES);
    let mut trusted = format!("a CA in tls.caBundle ({})", names.join("; "));
    if more > 0 {
        trusted.push_str(&format!(" and {more} more"));
    }
    Ok((Arc::new(roots), trusted))
}

/// Verifies as usual (or not at all), and remembers the certificate to tell about it.
#[derive(Debug)]
struct Witness {
    /// Checks the server's certificate; `None`: every certificate is accepted.
    verifier: Option<Arc<ServerTrust>>,
    provider: Arc<CryptoProvider>,
    /// The name that counts: that of the settings, whatever the LDAP library made of it.
    name: Option<ServerName<'static>>,
    seen: Arc<Mutex<Option<CertificateDer<'static>>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(end_entity.clone().into_owned());
        }
        let Some(verifier) = &self.verifier else {
            return Ok(ServerCertVerified::assertion());
        };
        let name = self
            .name
            .as_ref()
            .ok_or(CertificateError::NotValidForName)?;
        verifier.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
