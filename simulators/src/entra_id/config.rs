//! The settings of a simulated tenant.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

/// Everything that can be chosen at the start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port on loopback; 0 takes a free one.
    pub port: u16,
    /// The object id of the tenant.
    pub tenant_id: String,
    /// The application's (client) id.
    pub client_id: String,
    /// Its client secret, if it has one.
    pub secret: Option<Secret>,
    /// The certificates registered with it, PEM.
    pub certificates: Vec<String>,
    /// The issuers and subjects whose tokens it trusts.
    pub federated: Vec<FederatedCredential>,
    /// What an administrator granted to it: see [`permission`].
    pub permissions: BTreeSet<&'static str>,
    /// Tokens are for the Graph of another cloud, whatever was asked for.
    pub other_audience: bool,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// The limits on requests; `None`: unlimited.
    pub limits: Option<Limits>,
    /// How long each request takes on top.
    pub latency: Duration,
    /// How much comes in one answer.
    pub pages: PageSizes,
}

/// A client secret of the application.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The text of the secret.
    pub value: String,
    /// Whether its time is over.
    pub expired: bool,
    /// The end that Graph lists for it (RFC 3339).
    pub ends: String,
}

/// A federated credential: tokens of this issuer, for this subject and audience, are as good as a
/// secret.
#[derive(Clone, Debug)]
pub struct FederatedCredential {
    /// The claim `iss` that a token must have.
    pub issuer: String,
    /// The claim `sub` that a token must have.
    pub subject: String,
    /// The claim `aud` that a token must have.
    pub audience: String,
    /// The issuer's keys, as its `jwks_uri` serves them.
    pub keys: Value,
}

/// How many resource units the application may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many units …
    pub units: u32,
    /// … in a stretch of this length.
    pub per: Duration,
}

impl Limits {
    /// Those of a tenant with more than 500 users.
    #[must_use]
    pub fn large_tenant() -> Self {
        Self {
            units: 8_000,
            per: Duration::from_secs(10),
        }
    }
}

/// How much comes in one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    /// Objects of a list where no `$top` asks for another number.
    pub usual: usize,
    /// Objects of a list at most.
    pub most: usize,
    /// Objects of a page of `delta`, which takes no `$top`.
    pub delta: usize,
    /// Memberships of a page of `groups/delta`; a group that isn't through appears again on the
    /// next.
    pub delta_members: usize,
}

impl Default for PageSizes {
    fn default() -> Self {
        Self {
            usual: 100,
            most: 999,
            delta: 100,
            delta_members: 1_000,
        }
    }
}

/// The names of permissions.
pub mod permission {
    /// Everything in the directory.
    pub const DIRECTORY: &str = "Directory.Read.All";
    /// All properties of users.
    pub const USERS: &str = "User.Read.All";
    /// Groups and who is in them.
    pub const GROUP_MEMBERS: &str = "GroupMember.Read.All";
    /// Administrative units and who is in them.
    pub const ADMINISTRATIVE_UNITS: &str = "AdministrativeUnit.Read.All";
    /// Applications and who may use them.
    pub const APPLICATIONS: &str = "Application.Read.All";
    /// Members of groups that hide them.
    pub const HIDDEN_MEMBERS: &str = "Member.Read.Hidden";
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            tenant_id: "7f0c2a44-5b0e-4b7c-9c0f-3a3f6a1d9e55".to_owned(),
            client_id: "c4b1a2f6-3d2e-4e0a-8a55-0f6f7f1b2c3d".to_owned(),
            secret: Some(Secret {
                value: "simulated~entra~secret".to_owned(),
                expired: false,
                ends: "2099-12-31T23:59:59.9999999Z".to_owned(),
            }),
            certificates: vec![],
            federated: vec![],
            permissions: BTreeSet::from([permission::DIRECTORY]),
            other_audience: false,
            token_lifetime: Duration::from_secs(3599),
            limits: None,
            latency: Duration::ZERO,
            pages: PageSizes::default(),
        }
    }
}
