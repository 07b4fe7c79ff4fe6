//! A Microsoft Active Directory domain.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::LdapTls;
use super::rules;

/// A Microsoft Active Directory domain (or Samba's). Base DN and naming contexts come from the
/// domain controller itself.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::exactly_one(
    &["domain", "controllers"],
    "write exactly one of domain (its controllers are found by DNS) and controllers (a list, tried in order)",
))]
pub struct ActiveDirectorySource {
    /// The domain's DNS name, for example `corp.example.com`. Its controllers are found by DNS: the
    /// name servers of the operator's Pod must know the domain.
    /// Exactly one of `domain` and `controllers`.
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$')").message("write the domain's DNS name: corp.example.com"))]
    #[schemars(length(max = 253))]
    pub domain: Option<String>,

    /// Domain controllers, tried in this order until one answers: `dc1.corp.example.com` or
    /// `dc1.corp.example.com:3269`.
    #[x_kube(validation = Rule::new("self.all(host, host.matches('^([A-Za-z0-9.-]+|\\\\[[0-9A-Fa-f:]+\\\\])(:[0-9]{1,5})?$'))").message("write host names with an optional port, without a scheme: dc1.corp.example.com"))]
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 262)))]
    pub controllers: Option<Vec<String>>,

    /// How the connection is encrypted. Default: `Ldaps`.
    pub security: Option<ActiveDirectorySecurity>,

    /// Read from the global catalog (ports 3269 and 3268) to reach all domains of the forest. Only
    /// memberships of universal groups are complete there. Default: `false`.
    pub global_catalog: Option<bool>,

    /// The CA to trust, for controllers with certificates of a private CA.
    pub tls: Option<LdapTls>,

    /// The Secret with the account to read with: keys `username` (`reader@corp.example.com`,
    /// `CORP\reader` or a DN) and `password`.
    pub bind_secret_ref: UsernamePasswordRef,

    /// Where to search. Default: the domain's root, as its controller tells it.
    #[x_kube(validation = rules::distinguished_name())]
    #[schemars(length(min = 1, max = 1024))]
    pub base_dn: Option<String>,

    /// How people are found and read.
    pub users: Option<ActiveDirectoryUsers>,

    /// How groups are found and read.
    pub groups: Option<ActiveDirectoryGroups>,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActiveDirectorySecurity {
    /// TLS from the start, port 636 (or 3269).
    #[default]
    Ldaps,
    /// TLS before anything else is sent, port 389 (or 3268).
    StartTls,
    /// None. Passwords and everybody's data travel unencrypted, and controllers refuse it unless
    /// told otherwise.
    Plaintext,
}

/// The Secret with an account and its password.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsernamePasswordRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key of the account's name. Default: `username`.
    #[schemars(length(min = 1, max = 253))]
    pub username_key: Option<String>,

    /// The key of the password. Default: `password`.
    #[schemars(length(min = 1, max = 253))]
    pub password_key: Option<String>,
}

/// How people are found and read. Computers, managed service accounts and the accounts that come
/// with every domain (Administrator, Guest, krbtgt) are never people.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.emailSuffix) == (has(self.email) && self.email in ['PrefixAndSuffix', 'MailOrPrefixAndSuffix'])")
        .message("email: PrefixAndSuffix (or MailOrPrefixAndSuffix) goes with emailSuffix (@example.com): write both, or neither"),
    validation = Rule::new("!has(self.emailAttribute) || !has(self.email) || self.email in ['Mail', 'MailOrUserPrincipalName', 'MailOrPrefixAndSuffix']")
        .message("emailAttribute stands in for mail: write it with email: Mail, MailOrUserPrincipalName or MailOrPrefixAndSuffix, or leave it out"),
)]
pub struct ActiveDirectoryUsers {
    /// Only people below these DNs (usually OUs). Default: everyone below `baseDn`.
    #[x_kube(validation = rules::distinguished_names("write distinguished names: OU=Staff,DC=corp,DC=example,DC=com"))]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 1024)))]
    pub search_bases: Option<Vec<String>>,

    /// Only people whom this LDAP filter fits as well. Default: every person.
    #[x_kube(validation = rules::ldap_filter())]
    #[schemars(length(max = 4096))]
    pub filter: Option<String>,

    /// Only members, direct or nested, of these groups, by DN. People whose primary group one of
    /// them is count with `groups.includePrimary` only. Default: no such limit.
    #[x_kube(validation = rules::distinguished_names("write groups by their distinguished names, not by name: CN=Bitwarden,OU=Groups,DC=corp,DC=example,DC=com"))]
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 1024)))]
    pub member_of: Option<Vec<String>>,

    /// Where the email is. Default: `Mail`.
    pub email: Option<ActiveDirectoryEmail>,

    /// The attribute that is read in place of `mail`, for example `extensionAttribute1`. Default: `mail`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub email_attribute: Option<String>,

    /// The attribute before the `@` with `email: PrefixAndSuffix` or `MailOrPrefixAndSuffix`. Default:
    /// `sAMAccountName`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub email_prefix_attribute: Option<String>,

    /// What follows the prefix, for example `@example.com`. Only with `email: PrefixAndSuffix` or
    /// `MailOrPrefixAndSuffix`.
    #[x_kube(validation = rules::email_suffix())]
    #[schemars(length(max = 255))]
    pub email_suffix: Option<String>,
}

/// Where the email of a person is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActiveDirectoryEmail {
    /// The attribute `mail`.
    #[default]
    Mail,
    /// `mail`, or `userPrincipalName` where `mail` is empty.
    MailOrUserPrincipalName,
    /// The attribute `userPrincipalName`.
    UserPrincipalName,
    /// The primary address (`SMTP:`) of `proxyAddresses`.
    ProxyAddresses,
    /// `emailPrefixAttribute` and `emailSuffix` put together.
    PrefixAndSuffix,
    /// `mail`, or `emailPrefixAttribute` and `emailSuffix` put together where `mail` is empty.
    MailOrPrefixAndSuffix,
}

/// How groups are found and read. Groups that aren't wanted still count where a wanted one contains
/// them: their people are in that one.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveDirectoryGroups {
    /// Only groups below these DNs (usually OUs). Default: every group below `baseDn`.
    #[x_kube(validation = rules::distinguished_names("write distinguished names: OU=Staff,DC=corp,DC=example,DC=com"))]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 1024)))]
    pub search_bases: Option<Vec<String>>,

    /// Only groups that this LDAP filter fits as well. Default: every group.
    #[x_kube(validation = rules::ldap_filter())]
    #[schemars(length(max = 4096))]
    pub filter: Option<String>,

    /// Only these groups, by DN. Default: no such limit.
    #[x_kube(validation = rules::distinguished_names("write groups by their distinguished names, not by name: CN=Bitwarden,OU=Groups,DC=corp,DC=example,DC=com"))]
    #[schemars(length(min = 1, max = 500), inner(length(min = 1, max = 1024)))]
    pub dns: Option<Vec<String>>,

    /// Count people as members of their primary group (`Domain Users`, usually), which doesn't list
    /// them itself. Default: `false`.
    pub include_primary: Option<bool>,

    /// The attribute with the name. Default: `name`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub name_attribute: Option<String>,
}
