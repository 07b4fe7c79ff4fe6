//! Where an organization is and with which key it is changed, checked.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use uuid::Uuid;

use crate::http::egress::host_of;
use crate::http::{ClientError, ClientSettings, Observer, RateLimit, Redactor, Retry, Unobserved};

/// Where an organization is and with which key it is changed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server that holds the organization.
    pub region: Region,
    /// The organization's API key: its id.
    pub client_id: ClientId,
    /// The organization's API key: its secret.
    pub client_secret: SecretString,
    /// Trust and time-outs of the connections.
    pub connection: ClientSettings,
    /// The server's limits; `None`: those of Bitwarden's cloud in its regions, none elsewhere until
    /// the server answers 429.
    pub limit: Option<Arc<dyn RateLimit>>,
    /// How failed requests are tried again.
    pub retry: Retry,
    /// Called for each request.
    pub observer: Arc<dyn Observer>,
    /// What must not show in anything that the server says, besides the key: whatever else came out
    /// of Secrets.
    pub secrets: Arc<Redactor>,
}

impl Settings {
    /// The settings that fit most: default trust, the server's known limits, nobody told.
    pub fn new(region: Region, client_id: ClientId, client_secret: SecretString) -> Self {
        Self {
            region,
            client_id,
            client_secret,
            connection: ClientSettings {
                // The official server answers an import only when all its rows are done.
                idle_timeout: Duration::from_secs(180),
                ..ClientSettings::default()
            },
            limit: None,
            retry: Retry::default(),
            observer: Arc::new(Unobserved),
            secrets: Arc::default(),
        }
    }
}

/// Which server an organization lives on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Region {
    /// Bitwarden's cloud in the United States, `bitwarden.com`.
    Us,
    /// Bitwarden's cloud in the European Union, `bitwarden.eu`.
    Eu,
    /// `bitwarden-gov.com`, for the government of the United States.
    UsGov,
    /// A server of one's own: identity and API are found below this address, which may have a path.
    Server {
        /// The address a browser opens, such as `https://vault.example.com`.
        url: Url,
    },
    /// A server of one's own whose two parts don't share an address.
    Split {
        /// Address of the identity service: the token is asked for at `connect/token` below it.
        identity: Url,
        /// Address of the API service: its calls are `public/…` below it.
        api: Url,
    },
}

impl Region {
    /// A server of one's own, from the address that people open in a browser.
    ///
    /// # Errors
    /// When `url` isn't an `http` or `https` address, or carries a user, a query or a fragment.
    pub fn server(url: &str) -> Result<Self, InvalidSettings> {
        Ok(Self::Server {
            url: server_url(url)?,
        })
    }

    /// Address of the identity service, without a slash at its end.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Us => "https://identity.bitwarden.com".into(),
            Self::Eu => "https://identity.bitwarden.eu".into(),
            Self::UsGov => "https://identity.bitwarden-gov.com".into(),
            Self::Server { url } => format!("{}/identity", base(url)),
            Self::Split { identity, .. } => base(identity).into(),
        }
    }

    /// Address of the API service, without a slash at its end.
    pub(super) fn api(&self) -> String {
        match self {
            Self::Us => "https://api.bitwarden.com".into(),
            Self::Eu => "https://api.bitwarden.eu".into(),
            Self::UsGov => "https://api.bitwarden-gov.com".into(),
            Self::Server { url } => format!("{}/api", base(url)),
            Self::Split { api, .. } => base(api).into(),
        }
    }

    /// The hosts of both, without brackets.
    pub fn hosts(&self) -> Vec<String> {
        let addresses = [self.identity(), self.api()];
        let urls = addresses
            .iter()
            .filter_map(|address| Url::parse(address).ok());
        urls.map(|url| host_of(&url)).collect()
    }

    /// Whether Bitwarden runs it.
    pub(super) fn is_cloud(&self) -> bool {
        matches!(self, Self::Us | Self::Eu | Self::UsGov)
    }
}

/// The id of an organization's API key: `organization.` and the organization's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientId(Uuid);

impl ClientId {
    /// Checks `text`.
    ///
    /// # Errors
    /// When it is the id of a person's API key, or none at all.
    pub fn parse(text: &str) -> Result<Self, InvalidSettings> {
        let text = text.trim();
        if text.starts_with("user.") {
            return Err(InvalidSettings::UserKey);
        }
        text.strip_prefix("organization.")
            .and_then(|id| id.parse().ok())
            .map(Self)
            .ok_or(InvalidSettings::ClientId)
    }

    /// The organization that the client id names: `organization.GUID`.
    pub fn organization(self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "organization.{}", self.0)
    }
}

/// Why an organization's settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// `user.…` instead of `organization.…`.
    #[error(
        "clientId is a person's API key (user.…); an organization has one of its own \
         (organization.…): {}",
        super::error::WHERE_THE_KEY_IS
    )]
    UserKey,
    /// Not an id of an API key.
    #[error(
        "clientId must be \"organization.\" and the organization's id: {}",
        super::error::WHERE_THE_KEY_IS
    )]
    ClientId,
    /// The client secret is empty.
    #[error("clientSecret is empty: {}", super::error::WHERE_THE_KEY_IS)]
    EmptySecret,
    /// Not an address of a server.
    #[error(
        "serverUrl {0}; write the address you open in a browser, such as https://vault.example.com"
    )]
    ServerUrl(&'static str),
    /// The address of one of the server's services.
    #[error("serverUrl ends in {0}, which is added to it: leave {0} off")]
    ServicePath(&'static str),
    /// Trust can't be set up.
    #[error(transparent)]
    Connection(#[from] ClientError),
}

fn server_url(text: &str) -> Result<Url, InvalidSettings> {
    let url = Url::parse(text.trim()).map_err(|_| InvalidSettings::ServerUrl("isn't a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(InvalidSettings::ServerUrl(
            "must begin with https:// (or http://)",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidSettings::ServerUrl(
            "must not carry a user or password",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidSettings::ServerUrl(
            "must end with its path, without ? and #",
        ));
    }
    if let Some(part) = ["/api", "/identity"]
        .into_iter()
        .find(|part| base(&url).ends_with(part))
    {
        return Err(InvalidSettings::ServicePath(part));
    }
    Ok(url)
}

fn base(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_below_the_servers_address() {
        let addresses = |region: Region| (region.identity(), region.api());
        let of = |url: &str| addresses(Region::server(url).unwrap());
        let below = |url: &str| (format!("{url}/identity"), format!("{url}/api"));

        let plain = below("https://vault.example.com");
        assert_eq!(of("https://vault.example.com"), plain);
        assert_eq!(of(" https://Vault.example.com/ "), plain);
        let in_path = below("https://example.com/vault");
        assert_eq!(of("https://example.com/vault"), in_path);
        assert_eq!(of("https://example.com/vault//"), in_path);
        assert_eq!(of("http://[::1]:8080/a/b"), below("http://[::1]:8080/a/b"));

        let eu = (
            "https://identity.bitwarden.eu".to_owned(),
            "https://api.bitwarden.eu".to_owned(),
        );
        assert_eq!(addresses(Region::Eu), eu);
        let gov = (
            "https://identity.bitwarden-gov.com".to_owned(),
            "https://api.bitwarden-gov.com".to_owned(),
        );
        assert_eq!(addresses(Region::UsGov), gov);
        assert!(Region::UsGov.is_cloud());
    }
}
