//! Certificates and private keys in PEM, as people paste them into Secrets.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The first private key in a PEM text.
///
/// # Errors
/// What is wrong, without a byte of it: the library would quote the line it can't read, which may be the
/// whole key.
pub fn read_private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(&tidy(pem)).map_err(|_| {
        if is_on_one_line(pem) {
            "holds no private key in PEM: its line breaks are missing"
        } else {
            "holds no private key in PEM (PKCS #8, PKCS #1 or SEC 1, not encrypted)"
        }
    })
}

/// All certificates in a PEM text.
///
/// # Errors
/// What is wrong, without a byte of it: it may be a key that stands in the wrong place.
pub fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let tidy = tidy(pem);
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&tidy).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ if is_on_one_line(pem) => Err("holds no PEM certificate: its line breaks are missing"),
        _ => Err("holds no PEM certificate that can be read"),
    }
}

/// Without the byte order mark that some editors put before it, and without indentation.
fn tidy(pem: &[u8]) -> Vec<u8> {
    let text = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// Whether a PEM text lost its line breaks on the way.
fn is_on_one_line(pem: &[u8]) -> bool {
    let holds = |part: &[u8]| pem.windows(part.len()).any(|window| window == part);
    holds(b"-----BEGIN ") && !pem.trim_ascii().contains(&b'\n')
}
