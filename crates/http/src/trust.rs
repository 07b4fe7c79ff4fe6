//! The CAs that the system trusts.

use std::sync::LazyLock;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

static SYSTEM_CAS: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a CA certificate of the system can't be read");
    }
    let usable = |certificate: &CertificateDer<'static>| {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).is_ok()
    };
    found.certs.into_iter().filter(usable).collect()
});

/// The system's CA certificates, without those that can't be used.
///
/// They are read once in the life of the process, for all clients: they stand in some hundred files,
/// and to read and decode these takes longer than everything else about a new client. Which files,
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` may say.
pub fn system_cas() -> &'static [CertificateDer<'static>] {
    &SYSTEM_CAS
}
