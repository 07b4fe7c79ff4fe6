//! Where an Okta organization is, what of it is read, and how to authenticate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use super::memberships::MembershipCacheSettings;
use crate::api::spec::{OktaGroupType, OktaStatuses};
use crate::http::{ClientError, ClientSettings, Observer, Retry, Unobserved};

/// An Okta organization and what of it is read.
#[derive(Debug, Clone)]
pub struct OktaSettings {
    /// The organization's address; only its origin counts.
    pub org_url: Url,
    /// Only people and groups assigned to this application.
    pub application_id: Option<String>,
    /// How much of the rate limits is used at most, in percent.
    pub rate_limit_share: u8,
    /// Which people are read.
    pub users: UserScope,
    /// What each status means.
    pub statuses: OktaStatuses,
    /// Which groups are read; `None`: none.
    pub groups: Option<GroupScope>,
    /// For how long members of groups are taken from earlier reads of the same source.
    pub membership_cache: MembershipCacheSettings,
    /// Between two questions for what has changed since: two lists each.
    pub poll_interval: Duration,
    /// Trust and time-outs of the connections.
    pub connection: ClientSettings,
    /// How failed requests are tried again.
    pub retry: Retry,
    /// Called for each request.
    pub observer: Arc<dyn Observer>,
}

impl OktaSettings {
    /// Everybody and every group but the built-in ones, with half of the limits.
    pub fn new(org_url: Url) -> Self {
        Self {
            org_url,
            application_id: None,
            rate_limit_share: 50,
            users: UserScope::Everyone,
            statuses: OktaStatuses::default(),
            groups: Some(GroupScope::default()),
            membership_cache: MembershipCacheSettings::default(),
            // Four requests a minute.
            poll_interval: Duration::from_secs(30),
            connection: ClientSettings::default(),
            retry: Retry::default(),
            observer: Arc::new(Unobserved),
        }
    }
}

/// How requests to Okta are authenticated.
#[derive(Clone)]
pub enum Credentials {
    /// An API token, which has the rights of the administrator who made it.
    ApiToken(SecretString),
    /// An OAuth 2.0 service app, which proves who it is with its own key.
    ServiceApp {
        /// The client id of the app, as Okta shows it.
        client_id: String,
        /// The private key, PEM or JWK.
        private_key: SecretString,
        /// The key's id, where the key doesn't hold it.
        key_id: Option<String>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiToken(_) => f.write_str("ApiToken"),
            Self::ServiceApp { client_id, .. } => write!(f, "ServiceApp({client_id})"),
        }
    }
}

/// Which people are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserScope {
    /// Everybody in the organization.
    Everyone,
    /// Those whom a `filter` expression fits.
    Filter(String),
    /// Those whom a `search` expression finds.
    Search(String),
}

/// Which groups are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupScope {
    /// Those that a `search` expression finds.
    pub search: Option<String>,
    /// Only groups of these types; empty: all.
    pub types: Vec<OktaGroupType>,
}

impl Default for GroupScope {
    fn default() -> Self {
        Self {
            search: None,
            types: vec![OktaGroupType::OktaGroup, OktaGroupType::AppGroup],
        }
    }
}

/// Why an organization's settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// Not an address of an organization.
    #[error("orgUrl {0}; write the organization's address, such as https://example.okta.com")]
    Address(&'static str),
    /// The key can't sign.
    #[error(
        "the service app's private key {0}; store the key that was made for the app, as PEM or JWK"
    )]
    Key(#[from] crate::http::InvalidKey),
    /// Trust can't be set up.
    #[error(transparent)]
    Connection(#[from] ClientError),
}

/// The organization's address without path, or why it can't be one.
pub(super) fn origin(url: &Url) -> Result<Url, InvalidSettings> {
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
        return Err(InvalidSettings::Address("must begin with https://"));
    }
    if !matches!(url.path(), "" | "/") {
        return Err(InvalidSettings::Address("must end with the host's name"));
    }
    let label = host.split('.').next().unwrap_or_default();
    let at_okta = [".okta.com", ".oktapreview.com", ".okta-emea.com"];
    if label.ends_with("-admin") && at_okta.iter().any(|domain| host.ends_with(domain)) {
        return Err(InvalidSettings::Address(
            "is the address of the admin console: leave out \"-admin\"",
        ));
    }
    Ok(url.clone())
}
