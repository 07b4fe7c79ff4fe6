//! The connections: trust, proxies, time-outs.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity};
use secrecy::{ExposeSecret, SecretString};

use crate::egress::{CheckingResolver, proxies};
use crate::process_limits::process_limits;
use crate::trust::system_cas;

/// How connections to one server are made.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// PEM certificates of CAs to trust beside the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// PEM certificate chain and private key to show to the server.
    pub client_identity: Option<SecretString>,
    /// Longest time until a connection stands.
    pub connect_timeout: Duration,
    /// Longest silence of the other side.
    pub idle_timeout: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            client_identity: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// Why connections can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The authorities can't be read.
    #[error("the CA bundle {0}")]
    CaBundle(&'static str),
    /// Certificate and key can't be read.
    #[error("the client certificate can't be used: it must be PEM, the chain and its private key")]
    ClientIdentity,
    /// Something else of the TLS set-up.
    #[error("can't set up TLS: {0}")]
    Tls(String),
}

/// A client with these settings, within the limits of the process
/// ([`crate::process_limits::ProcessLimits`]). It follows no redirect: an API that redirects is a wrong address,
/// and a token must not follow to another host.
///
/// # Errors
/// When certificates or keys can't be read, or no authority is trusted.
pub fn client(settings: &ClientSettings) -> Result<Client, ClientError> {
    // Fails when another part of the process was first, with the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!(
            "directory-sync-operator/",
            env!("CARGO_PKG_VERSION")
        ))
        .redirect(Policy::none())
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.idle_timeout)
        .dns_resolver(CheckingResolver {
            policy: process_limits().egress.clone(),
            proxies: proxies(),
        })
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(60))
        // What is sent again, and when, is decided in one place: `ApiClient`.
        .retry(reqwest::retry::never());
    let system = system_cas().iter();
    let mut trusted: Vec<Certificate> = system
        .filter_map(|certificate| Certificate::from_der(certificate).ok())
        .collect();
    if let Some(pem) = &settings.ca_bundle {
        let certificates = Certificate::from_pem_bundle(pem)
            // The cause could quote what is there, which may be a key that was named by mistake.
            .map_err(|_| ClientError::CaBundle("holds a certificate that can't be read"))?;
        if certificates.is_empty() {
            return Err(ClientError::CaBundle("holds no certificate in PEM"));
        }
        trusted.extend(certificates);
    }
    if trusted.is_empty() {
        return Err(ClientError::Tls(
            "the system has no CA certificates; install them, or give a CA bundle".to_owned(),
        ));
    }
    builder = builder.tls_certs_only(trusted);
    if let Some(pem) = &settings.client_identity {
        // The cause could quote the key.
        let identity = Identity::from_pem(pem.expose_secret().as_bytes())
            .map_err(|_| ClientError::ClientIdentity)?;
        builder = builder.identity(identity);
    }
    builder
        .build()
        .map_err(|error| match &settings.client_identity {
            Some(_) => ClientError::ClientIdentity,
            None => ClientError::Tls(super::error::chain(&error)),
        })
}
