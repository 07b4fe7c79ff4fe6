//! Where the organization is, and how to get in.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::rules;
use super::{ClientCredentialsRef, TlsSpec};

/// The Bitwarden organization, on Bitwarden's cloud or a server of one's own (Vaultwarden too).
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::exactly_one(
        &["region", "serverUrl", "apiUrl"],
        "write exactly one of region (EU, US or USGov, for Bitwarden's cloud), serverUrl (for a server of your own) and apiUrl with identityUrl",
    ),
    validation = rules::together(
        "identityUrl",
        "apiUrl",
        "write both identityUrl and apiUrl, or neither",
    ),
    validation = rules::web_address("serverUrl"),
    validation = rules::web_address("identityUrl"),
    validation = rules::web_address("apiUrl"),
    validation = rules::whole_server("serverUrl"),
    validation = rules::encrypted_unless_allowed("serverUrl"),
    validation = rules::encrypted_unless_allowed("identityUrl"),
    validation = rules::encrypted_unless_allowed("apiUrl"),
)]
pub struct OrganizationSpec {
    /// The region of Bitwarden's cloud. Exactly one of `region`, `serverUrl` and `apiUrl`.
    pub region: Option<Region>,

    /// The address of a Bitwarden or Vaultwarden server of one's own, for example
    /// `https://vault.example.com`. Its identity service is expected at `/identity`, its API at
    /// `/api`. Exactly one of `region`, `serverUrl` and `apiUrl`.
    #[schemars(length(max = 1024))]
    pub server_url: Option<String>,

    /// The address of the identity service of a server whose two parts don't share an address (or of
    /// a proxy before it). Only together with `apiUrl`.
    #[schemars(length(max = 1024))]
    pub identity_url: Option<String>,

    /// The address of the API of a server whose two parts don't share an address (or of a proxy
    /// before it). Only together with `identityUrl`. Exactly one of `region`, `serverUrl` and
    /// `apiUrl`.
    #[schemars(length(max = 1024))]
    pub api_url: Option<String>,

    /// Accept `http://` addresses beyond the machine itself, for example of a Service in the
    /// cluster. The organization's key and everybody's email then travel unencrypted.
    /// Default: `false`.
    pub allow_plaintext: Option<bool>,

    /// The Secret with the organization's API key, as the admin console shows it: keys `clientId`
    /// (`organization.…`) and `clientSecret`.
    pub credentials_secret_ref: ClientCredentialsRef,

    /// The CA to trust, for a server with a private CA.
    pub tls: Option<TlsSpec>,

    /// What has to be said about a Vaultwarden server, which can't be read. Other servers need none
    /// of it.
    pub vaultwarden: Option<VaultwardenSpec>,

    /// Put before the external id of every member and group, for example `berlin:`. Only those that
    /// start with it are managed, so that several DirectorySyncs can fill one organization; none of
    /// their prefixes may begin another's. Default: none, and every member and group with an
    /// external id is managed.
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._:/-]*$')").message("a prefix starts with a letter or digit and has letters, digits and . _ : / - only: berlin:"))]
    #[schemars(length(min = 1, max = 50))]
    pub external_id_prefix: Option<String>,
}

/// What has to be said about a Vaultwarden server, which doesn't tell who its members are.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultwardenSpec {
    /// Emails that are never sent: the organization's owners, and everybody who was invited by hand.
    /// They are never revoked, and get no external id. Write an empty list if there are none.
    /// Default: not known, and nobody's access is ever revoked.
    #[x_kube(validation = Rule::new("self.all(email, email.matches('^[^@ ]+@[^@ ]+$'))").message("write email addresses: owner@example.com"))]
    #[schemars(length(max = 500), inner(length(min = 3, max = 256)))]
    pub never_send: Option<Vec<String>>,
}

/// A region of Bitwarden's cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Region {
    /// vault.bitwarden.eu
    EU,
    /// vault.bitwarden.com
    US,
    /// vault.bitwarden-gov.com, for the government of the United States
    USGov,
}
