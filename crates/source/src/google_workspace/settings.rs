//! What an administrator says about a Google Workspace customer: whom to read, and how to authenticate.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::limit::REQUESTS_PER_MINUTE;
use crate::directory::AccountState;
use crate::http::oauth::IdentityToken;
use crate::http::{
    ClientError, ClientSettings, InvalidKey, JwtAlgorithm, JwtSigner, Observer, Retry, Unobserved,
};

/// Everything about one customer. [`GoogleWorkspaceSettings::new`] fills the defaults.
#[derive(Debug, Clone)]
pub struct GoogleWorkspaceSettings {
    /// The customer or domain to read.
    pub tenant: Tenant,
    /// The administrator to act for; `None`: the service account has a role of its own.
    pub admin_email: Option<String>,
    /// Where tokens come from, and where the Directory API is.
    pub addresses: Addresses,
    /// How many requests are sent in any minute at most. All sources of this process that read as
    /// the same account with the same number share it.
    pub requests_per_minute: u32,
    /// Which people are read, and how.
    pub users: UserSettings,
    /// Which groups are read; `None`: people only.
    pub groups: Option<GroupSettings>,
    /// Between two looks at who was suspended or deleted, for each request that a look takes, but for three at
    /// least. Default 15 s.
    pub poll_interval: Duration,
    /// Trust and time-outs of the connections.
    pub connection: ClientSettings,
    /// How failed requests are tried again.
    pub retry: Retry,
    /// Called for each request.
    pub observer: Arc<dyn Observer>,
}

impl GoogleWorkspaceSettings {
    /// Everybody and every group of the account's own customer.
    pub fn new(admin_email: Option<String>) -> Self {
        Self {
            tenant: Tenant::Customer("my_customer".to_owned()),
            admin_email,
            addresses: Addresses::default(),
            requests_per_minute: REQUESTS_PER_MINUTE,
            users: UserSettings::default(),
            groups: Some(GroupSettings::default()),
            poll_interval: Duration::from_secs(15),
            connection: ClientSettings::default(),
            retry: Retry::default(),
            observer: Arc::new(Unobserved),
        }
    }
}

/// The customer or domain whose people and groups are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenant {
    /// A customer's, of all its domains: its id, or `my_customer`.
    Customer(String),
    /// Those of some domains.
    Domains(Vec<String>),
}

/// Where tokens come from, and where the Directory API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The whole address, which is also the audience of assertions.
    pub token: Url,
    /// `/admin/directory/v1` follows in the path.
    pub directory: Url,
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            token: known("https://oauth2.googleapis.com/token"),
            directory: known("https://admin.googleapis.com"),
        }
    }
}

/// How the service account authenticates.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// With a key of its own.
    Key(ServiceAccountKey),
    /// With a token of the cluster's, which Google exchanges for the right to have assertions
    /// signed.
    WorkloadIdentity(WorkloadIdentity),
}

impl Credentials {
    /// The email of the service account that asks.
    pub fn service_account(&self) -> &str {
        match self {
            Self::Key(key) => &key.email,
            Self::WorkloadIdentity(identity) => &identity.service_account,
        }
    }
}

/// The JSON file that Google gives for a service account's key, as far as it is used.
#[derive(Debug, Clone)]
pub struct ServiceAccountKey {
    /// The email of the service account (`client_email` in the key file).
    pub email: String,
    /// By which Google finds the public half; `None` in a file that was made of a key alone: Google then tries
    /// each key of the account.
    pub key_id: Option<String>,
    /// The private key in PEM (`private_key` in the key file).
    pub private_key: SecretString,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    client_email: String,
    private_key_id: Option<String>,
    private_key: Option<SecretString>,
}

impl ServiceAccountKey {
    /// Reads the file.
    ///
    /// # Errors
    /// When it isn't one, or its key can't sign; without anything of what is in it.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyFile> {
        // The error would quote the key.
        let file: KeyFile = serde_json::from_str(text).map_err(|_| InvalidKeyFile::NotJson)?;
        if file.kind != "service_account" {
            return Err(InvalidKeyFile::Kind);
        }
        let private_key = file
            .private_key
            .ok_or(InvalidKeyFile::Part("private_key"))?;
        let id = file.private_key_id.filter(|id| !id.is_empty());
        let parts = [
            Some(("client_email", &file.client_email)),
            id.as_ref().map(|id| ("private_key_id", id)),
        ];
        for (name, value) in parts.into_iter().flatten() {
            if value.is_empty() || value.chars().any(char::is_control) {
                return Err(InvalidKeyFile::Part(name));
            }
        }
        let key = Self {
            email: file.client_email,
            key_id: id,
            private_key,
        };
        key.signer()?;
        Ok(key)
    }

    pub(super) fn signer(&self) -> Result<JwtSigner, InvalidKey> {
        JwtSigner::from_pem(self.private_key.expose_secret(), JwtAlgorithm::Rs256)
    }
}

/// Why a file isn't a service account's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyFile {
    /// The key file isn't a JSON object.
    #[error("isn't JSON; store the file that Google gives for a service account's key, as it is")]
    NotJson,
    /// Of another kind: a client of OAuth, say.
    #[error(
        "isn't a service account's key: its \"type\" isn't \"service_account\"; store the file that \
         Google gives for a service account's key"
    )]
    Kind,
    /// Something isn't in it.
    #[error("has no {0} that can be used; store the file as Google gives it, whole")]
    Part(&'static str),
    /// The key can't sign.
    #[error("has a private_key that {0}; store the file as Google gives it, whole")]
    Key(#[from] InvalidKey),
}

/// Workload identity federation: the cluster's token is exchanged for Google's, without a key.
#[derive(Debug, Clone)]
pub struct WorkloadIdentity {
    /// The provider's full name.
    pub audience: String,
    /// The service account to act as.
    pub service_account: String,
    /// The cluster's token; asked for each time it is needed, for it is renewed within the hour.
    pub identity: Arc<dyn IdentityToken>,
    /// The Security Token Service; `/v1/token` follows in the path.
    pub sts: Url,
    /// The IAM Service Account Credentials API; `/v1/projects` follows in the path.
    pub iam: Url,
}

impl WorkloadIdentity {
    /// At Google's own addresses.
    pub fn new(
        audience: impl Into<String>,
        service_account: impl Into<String>,
        identity: Arc<dyn IdentityToken>,
    ) -> Self {
        Self {
            audience: audience.into(),
            service_account: service_account.into(),
            identity,
            sts: known("https://sts.googleapis.com"),
            iam: known("https://iamcredentials.googleapis.com"),
        }
    }
}

fn known(address: &str) -> Url {
    Url::parse(address).expect("Google's addresses are ones")
}

/// Which people are read, and how.
#[derive(Debug, Clone)]
pub struct UserSettings {
    /// A query in the Admin SDK's language for Google to apply.
    pub query: Option<String>,
    /// Only in these organizational units or below; empty: anywhere. Disabled accounts are read
    /// wherever they are: who leaves a company is commonly moved out of its units, and that must
    /// not turn the policy for disabled accounts into the one for absent ones.
    pub organizational_units: Vec<String>,
    /// What a suspended account is; `None`: as if there were no such account.
    pub suspended: Option<AccountState>,
    /// Likewise an archived one.
    pub archived: Option<AccountState>,
    /// The address within this domain is taken where there is one.
    pub email_domain: Option<String>,
}

impl UserSettings {
    /// What suspended and archived accounts are, in one text.
    pub(super) fn describe_states(&self) -> String {
        let (suspended, archived) = (self.suspended, self.archived);
        format!("suspended is {suspended:?}, archived is {archived:?}")
    }
}

impl Default for UserSettings {
    fn default() -> Self {
        Self {
            query: None,
            organizational_units: vec![],
            suspended: Some(AccountState::Disabled),
            archived: Some(AccountState::Disabled),
            email_domain: None,
        }
    }
}

/// Which groups are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// A query in the Admin SDK's language for Google to apply.
    pub query: Option<String>,
}

/// Why a customer's settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// The key can't sign.
    #[error("the service account's key {0}")]
    Key(#[from] InvalidKeyFile),
    /// Trust can't be set up.
    #[error(transparent)]
    Connection(#[from] ClientError),
}
