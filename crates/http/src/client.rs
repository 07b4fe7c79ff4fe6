//! The connections: trust, proxies, time-outs.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

use crate::egress::{CheckingResolver, proxies};
use crate::process_limits::process_limits;
use crate::trust::{ServerTrust, client_config};

/// How connections to one server are made.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// PEM certificates of CAs to trust beside the system's; a server that shows one of them itself is trusted, too.
    pub ca_bundle: Option<Vec<u8>>,
    /// Longest time until a connection stands.
    pub connect_timeout: Duration,
    /// Longest silence of the other side.
    pub idle_timeout: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            ca_bundle: None,
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
    /// Something else of the TLS set-up.
    #[error("can't set up TLS: {0}")]
    Tls(String),
}

/// A client with these settings, within the limits of the process
/// ([`crate::process_limits::ProcessLimits`]). It follows no redirect: an API that redirects is a wrong address,
/// and a token must not follow to another host.
///
/// # Errors
/// When certificates can't be read, or no authority is trusted.
pub fn client(settings: &ClientSettings) -> Result<Client, ClientError> {
    Ok(client_with_trust(settings)?.0)
}

/// The same, and what knows by which certificates servers were believed.
///
/// # Errors
/// As [`client`].
pub fn client_with_trust(
    settings: &ClientSettings,
) -> Result<(Client, Arc<ServerTrust>), ClientError> {
    let (builder, trust) = builder(settings)?;
    let client = build(builder.dns_resolver(CheckingResolver::new(
        process_limits().egress.clone(),
        proxies(),
    )))?;
    Ok((client, trust))
}

/// The same for a server that the operator's own settings name: the restrictions of servers are for those
/// that resources name.
///
/// # Errors
/// As [`client`].
pub fn unrestricted_client(settings: &ClientSettings) -> Result<Client, ClientError> {
    build(builder(settings)?.0)
}

fn build(builder: ClientBuilder) -> Result<Client, ClientError> {
    let client = builder.build();
    client.map_err(|error| ClientError::Tls(super::error::chain(&error)))
}

fn builder(settings: &ClientSettings) -> Result<(ClientBuilder, Arc<ServerTrust>), ClientError> {
    // Fails when another part of the process was first, with the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (config, trust) = client_config(settings.ca_bundle.as_deref())?;
    let builder = Client::builder()
        .tls_backend_preconfigured(config)
        .user_agent(concat!(
            "directory-sync-operator/",
            env!("CARGO_PKG_VERSION")
        ))
        .redirect(Policy::none())
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.idle_timeout)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(60))
        // What is sent again, and when, is decided in one place: `ApiClient`.
        .retry(reqwest::retry::never());
    Ok((builder, trust))
}
