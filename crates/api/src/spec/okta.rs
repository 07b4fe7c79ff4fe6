//! The fields of `source.okta`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::rules;
use super::{AccountMeaning, SecretKeyRef};

/// An Okta organization.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::web_address("orgUrl"),
    validation = rules::encrypted("orgUrl"),
)]
pub struct OktaSource {
    /// The organization's address, for example `https://example.okta.com`.
    #[schemars(length(min = 1, max = 1024))]
    pub org_url: String,

    /// How the operator proves who it is. Exactly one way.
    pub credentials: OktaCredentials,

    /// Only people and groups assigned to this application, by its id: how Okta's administrators
    /// say who may use Bitwarden. Disabled and deactivated accounts are read whether they are
    /// assigned or not: Okta ends the assignments of whoever it deactivates. Default: everyone in
    /// the organization.
    #[schemars(length(min = 1, max = 64))]
    pub application_id: Option<String>,

    /// How much of Okta's rate limits to use at most, in percent, so that other clients of the
    /// organization aren't starved. Default: `50`.
    #[schemars(range(min = 1, max = 100))]
    pub rate_limit_share: Option<i32>,

    /// Which people are read, and how.
    pub users: Option<OktaUsers>,

    /// Which groups are read.
    pub groups: Option<OktaGroups>,
}

/// How the operator proves who it is. Exactly one way.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::exactly_one(
    &["apiTokenSecretRef", "oauth"],
    "write exactly one of apiTokenSecretRef and oauth",
))]
pub struct OktaCredentials {
    /// An API token: the Secret with it, key `token`.
    pub api_token_secret_ref: Option<SecretKeyRef>,

    /// An OAuth 2.0 service app with the scopes `okta.users.read` and `okta.groups.read` (and
    /// `okta.apps.read` with `applicationId`).
    pub oauth: Option<OktaOauth>,
}

/// An OAuth 2.0 service app. Its tokens aren't bound to a key: "Require Demonstrating Proof of
/// Possession (DPoP)" must be off in its settings.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OktaOauth {
    /// The app's client id.
    #[schemars(length(min = 1, max = 128))]
    pub client_id: String,

    /// The Secret with the app's private key (RSA or EC, as PEM or JWK), key `privateKey`.
    pub private_key_secret_ref: SecretKeyRef,

    /// The key's id at Okta, where the key is PEM and the app has several.
    #[schemars(length(min = 1, max = 256))]
    pub key_id: Option<String>,
}

/// Which people are read, and how.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::at_most_one(
    &["filter", "search"],
    "write either filter or search, not both",
))]
pub struct OktaUsers {
    /// Only people whom this `filter` expression of Okta's fits.
    #[schemars(length(min = 1, max = 4096))]
    pub filter: Option<String>,

    /// Only people whom this `search` expression of Okta's finds, for example
    /// `profile.department eq "Engineering"`.
    #[schemars(length(min = 1, max = 4096))]
    pub search: Option<String>,

    /// What each status of an account means.
    pub statuses: Option<OktaStatuses>,
}

/// What each status of an account means.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OktaStatuses {
    /// STAGED: created, not activated yet. Default: `Active`.
    pub staged: Option<AccountMeaning>,
    /// PROVISIONED: activated, hasn't signed in yet. Default: `Active`.
    pub provisioned: Option<AccountMeaning>,
    /// ACTIVE. Default: `Active`.
    pub active: Option<AccountMeaning>,
    /// RECOVERY: in the middle of a password reset. Default: `Active`.
    pub recovery: Option<AccountMeaning>,
    /// PASSWORD_EXPIRED. Default: `Active`.
    pub password_expired: Option<AccountMeaning>,
    /// LOCKED_OUT: too many wrong passwords. Default: `Active`.
    pub locked_out: Option<AccountMeaning>,
    /// SUSPENDED. Default: `Disabled`.
    pub suspended: Option<AccountMeaning>,
    /// DEPROVISIONED: deactivated; with `Absent` they aren't even listed. Default: `Deleted`.
    pub deprovisioned: Option<AccountMeaning>,
}

/// Which groups are read.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OktaGroups {
    /// Only groups that this `search` expression of Okta's finds, for example
    /// `profile.name sw "eng-"`.
    #[schemars(length(min = 1, max = 4096))]
    pub search: Option<String>,

    /// Only these kinds of groups. Default: `["OktaGroup", "AppGroup"]`.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(min = 1, max = 3))]
    pub types: Option<Vec<OktaGroupType>>,
}

/// A kind of group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OktaGroupType {
    /// OKTA_GROUP: managed in Okta.
    OktaGroup,
    /// APP_GROUP: imported from an application, such as Active Directory.
    AppGroup,
    /// BUILT_IN: `Everyone` and the like.
    BuiltIn,
}
