//! The fields of `source.oneLogin`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::rules;
use super::{AccountMeaning, ClientCredentialsRef};

/// A OneLogin account.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::exactly_one(
        &["region", "subdomain", "apiUrl"],
        "write exactly one of region (EU or US), subdomain and apiUrl",
    ),
    validation = rules::web_address("apiUrl"),
    validation = rules::encrypted("apiUrl"),
)]
pub struct OneLoginSource {
    /// The region of the account. Exactly one of `region`, `subdomain` and `apiUrl`.
    pub region: Option<OneLoginRegion>,

    /// The account's subdomain: `example` for `https://example.onelogin.com`.
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$')").message("write the part before .onelogin.com: example"))]
    #[schemars(length(max = 63))]
    pub subdomain: Option<String>,

    /// The address of the API, where it is another (behind a proxy).
    #[schemars(length(max = 1024))]
    pub api_url: Option<String>,

    /// The Secret with the API credentials (scope Read Users): keys `clientId` and `clientSecret`.
    pub credentials_secret_ref: ClientCredentialsRef,

    /// How much of OneLogin's 5,000 requests an hour to use at most, in percent. Default: `50`.
    #[schemars(range(min = 1, max = 100))]
    pub rate_limit_share: Option<i32>,

    /// Which people are read, and how.
    pub users: Option<OneLoginUsers>,

    /// Which groups are read.
    pub groups: Option<OneLoginGroups>,
}

/// A region of OneLogin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OneLoginRegion {
    /// api.eu.onelogin.com
    EU,
    /// api.us.onelogin.com
    US,
}

/// Which people are read, and how.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneLoginUsers {
    /// Only people whose attributes have these values, as the API's queries take them. All must
    /// fit; `*` stands for any text.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["attribute".into()]))]
    #[schemars(length(min = 1, max = 20))]
    pub attributes: Option<Vec<OneLoginAttribute>>,

    /// Makes an email of a username that isn't one, for people without an email: `@example.com`.
    #[x_kube(validation = rules::email_suffix())]
    #[schemars(length(max = 255))]
    pub email_suffix: Option<String>,

    /// What each status of an account means.
    pub statuses: Option<OneLoginStatuses>,

    /// What each state of an account's approval means. The more restrictive of status and state
    /// counts.
    pub states: Option<OneLoginStates>,
}

/// A value that an attribute must have.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneLoginAttribute {
    /// The attribute, as the API's queries know it: `department`, `directory_id`, or
    /// `custom_attributes.team`.
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z_][A-Za-z0-9_.]*$')").message("write the attribute's name as in the API: department, custom_attributes.team"))]
    #[schemars(length(max = 128))]
    pub attribute: String,

    /// The value that the attribute must have.
    #[schemars(length(min = 1, max = 256))]
    pub value: String,
}

/// What each status of an account means.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneLoginStatuses {
    /// 0, unactivated. Default: `Active`.
    pub unactivated: Option<AccountMeaning>,
    /// 1, active. Default: `Active`.
    pub active: Option<AccountMeaning>,
    /// 2, suspended. Default: `Disabled`.
    pub suspended: Option<AccountMeaning>,
    /// 3, locked. Default: `Active`.
    pub locked: Option<AccountMeaning>,
    /// 4, password expired. Default: `Active`.
    pub password_expired: Option<AccountMeaning>,
    /// 5, awaiting a password reset. Default: `Active`.
    pub awaiting_password_reset: Option<AccountMeaning>,
    /// 7, pending: the password has never been set. Default: `Active`.
    pub pending: Option<AccountMeaning>,
    /// 8, security questions required. Default: `Active`.
    pub security_questions_required: Option<AccountMeaning>,
}

/// What each state of an account's approval means.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneLoginStates {
    /// 0, unapproved. Default: `Active`.
    pub unapproved: Option<AccountMeaning>,
    /// 1, approved. Default: `Active`.
    pub approved: Option<AccountMeaning>,
    /// 2, rejected. Default: `Active`.
    pub rejected: Option<AccountMeaning>,
    /// 3, unlicensed. Default: `Active`.
    pub unlicensed: Option<AccountMeaning>,
}

/// Which groups are read.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneLoginGroups {
    /// What becomes a group. Default: `Roles`.
    pub from: Option<OneLoginGroupsFrom>,
}

/// What becomes a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OneLoginGroupsFrom {
    /// OneLogin's roles, of which a person can have several.
    #[default]
    Roles,
    /// OneLogin's groups, of which a person has at most one.
    Groups,
}
