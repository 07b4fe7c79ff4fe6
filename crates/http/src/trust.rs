//! Whom to trust: the system's CAs, those of a bundle, and certificates that the bundle names themselves.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::ClientError;
use crate::expiry::{Credential, Expiry, SeenChains};
use crate::pem::read_certificates;

static SYSTEM_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a CA certificate of the system can't be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Arc::new(roots)
});

/// The system's CA certificates, without those that can't be used.
///
/// They are read once in the life of the process, for all clients: they stand in some hundred files,
/// and to read and decode these takes longer than everything else about a new client. Which files,
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` may say.
pub fn system_roots() -> Arc<RootCertStore> {
    SYSTEM_ROOTS.clone()
}

/// Verifies servers by CAs. A certificate that is named in the bundle is trusted as it is, even one that
/// may sign others (what `openssl req -x509` makes), which the usual verification refuses for a server.
/// Its names and dates count all the same.
#[derive(Debug)]
pub struct ServerTrust {
    verifier: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
    seen: SeenChains,
}

impl ServerTrust {
    /// Trusts what `roots` signed, and the certificates in `named`.
    ///
    /// # Errors
    /// Where `roots` is empty.
    pub fn new(
        roots: Arc<RootCertStore>,
        named: Vec<CertificateDer<'static>>,
    ) -> Result<Self, VerifierBuilderError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build()?;
        Ok(Self {
            verifier,
            named,
            seen: SeenChains::default(),
        })
    }

    /// When the certificates end by which servers were believed: the first of servers, and the first of CAs.
    pub fn expiries(&self, server: Credential, ca: Credential) -> Vec<Expiry> {
        self.seen.expiries(server, ca, Timestamp::now())
    }
}

/// Checks names and dates of a certificate that is trusted as it is; `otherwise` is what was wrong with it.
fn trust_itself(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
    otherwise: CertificateError,
) -> Result<ServerCertVerified, rustls::Error> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Err(otherwise.into());
    };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if seconds < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if seconds > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    Ok(ServerCertVerified::assertion())
}

impl ServerCertVerifier for ServerTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let verified = match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
                if self.named.iter().any(|one| one[..] == end_entity[..]) =>
            {
                trust_itself(end_entity, server_name, now, CertificateError::Other(error))
            }
            verified => verified,
        };
        if verified.is_ok() {
            let host = server_name.to_str();
            self.seen
                .note(&host, end_entity, intermediates, &self.named);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// TLS that trusts the system's CAs and those of a bundle, and what knows whom it believed.
pub(super) fn client_config(
    bundle: Option<&[u8]>,
) -> Result<(ClientConfig, Arc<ServerTrust>), ClientError> {
    let (mut roots, mut named) = (system_roots(), vec![]);
    if let Some(pem) = bundle {
        named = read_certificates(pem).map_err(ClientError::CaBundle)?;
        let all = Arc::make_mut(&mut roots);
        for certificate in named.iter().cloned() {
            all.add(certificate)
                .map_err(|_| ClientError::CaBundle("holds a certificate that can't be read"))?;
        }
    }
    let trust = ServerTrust::new(roots, named).map_err(|_| {
        let why = "the system has no CA certificates; install them, or give a CA bundle";
        ClientError::Tls(why.to_owned())
    })?;
    let trust = Arc::new(trust);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(trust.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    Ok((config, trust))
}
