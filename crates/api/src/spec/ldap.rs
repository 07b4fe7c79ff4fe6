//! The fields of `source.ldap`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::rules;
use super::{CaBundleRef, CertificateRef};

/// An LDAP directory: OpenLDAP, 389 Directory Server, FreeIPA and the like.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::exactly_one(
        &["url", "urls"],
        "write exactly one of url (one server) and urls (several, tried in order)",
    ),
    validation = Rule::new("!has(self.startTls) || !self.startTls || (has(self.url) ? [self.url] : has(self.urls) ? self.urls : []).all(url, url.startsWith('ldap://'))")
        .message("startTls goes with ldap:// only: ldaps:// is encrypted from the start, so write ldap:// or leave startTls out"),
    validation = Rule::new(format!("has(self.startTls) && self.startTls || has(self.allowPlaintext) && self.allowPlaintext || (has(self.url) ? [self.url] : has(self.urls) ? self.urls : []).all(url, !url.startsWith('ldap://') || {})", rules::loopback("url")).as_str())
        .message("ldap:// would send the password and everybody's data unencrypted: write ldaps://, or startTls: true, or accept it with allowPlaintext: true"),
    validation = rules::at_most_one(
        &["bindSecretRef", "saslExternal"],
        "write bindSecretRef (a DN and its password) or saslExternal (the client certificate), not both",
    ),
    validation = Rule::new("!has(self.saslExternal) || !self.saslExternal || has(self.tls) && has(self.tls.clientCertificateSecretRef)")
        .message("saslExternal needs tls.clientCertificateSecretRef, the certificate to authenticate with"),
)]
pub struct LdapSource {
    /// The server, for example `ldaps://ldap.example.com` or `ldap://ldap.example.com:389`.
    /// Exactly one of `url` and `urls`.
    #[x_kube(validation = Rule::new("self.matches('^ldaps?://[^/?#@ ]+/?$')").message("write ldaps://host, ldaps://host:port, ldap://host or ldap://host:port"))]
    #[schemars(length(max = 512))]
    pub url: Option<String>,

    /// Several servers with the same content, tried in this order until one answers.
    #[x_kube(validation = rules::ldap_urls())]
    #[schemars(length(min = 1, max = 10), inner(length(max = 512)))]
    pub urls: Option<Vec<String>>,

    /// Encrypt an `ldap://` connection before anything else is sent. Default: `false`.
    pub start_tls: Option<bool>,

    /// Accept `ldap://` without `startTls` beyond the machine itself. Passwords and everybody's
    /// data then travel unencrypted. Default: `false`.
    pub allow_plaintext: Option<bool>,

    /// The CA to trust, and the client's own certificate.
    pub tls: Option<LdapTls>,

    /// The Secret with the account to read with: keys `bindDn` and `password`. Without it (and
    /// without `saslExternal`) the directory is read anonymously.
    pub bind_secret_ref: Option<BindSecretRef>,

    /// Authenticate by the client certificate (SASL EXTERNAL) instead of a password.
    /// Default: `false`.
    pub sasl_external: Option<bool>,

    /// Where to search, for example `dc=example,dc=com`.
    #[x_kube(validation = rules::distinguished_name())]
    #[schemars(length(min = 1, max = 1024))]
    pub base_dn: String,

    /// The defaults of `users`, `groups` and `pageSize` for one server. Fields that are written count
    /// more. Default: none, the defaults that each field names.
    pub preset: Option<LdapPreset>,

    /// How people are found and read.
    pub users: Option<LdapUsers>,

    /// How groups are found and read.
    pub groups: Option<LdapGroups>,

    /// How many entries to ask for at a time; `0` asks for all at once, for servers that don't know
    /// paged results. Default: `1000`.
    #[schemars(range(min = 0, max = 100_000))]
    pub page_size: Option<i32>,

    /// How long to wait for one server's name, connection and TLS handshake, as `5s`. Default: `10s`.
    #[x_kube(validation = rules::duration("1s", "write a time of at least 1s: 10s"))]
    #[schemars(length(max = 20))]
    pub connect_timeout: Option<String>,

    /// How long a server may be silent in the middle of a search before the read has failed.
    /// Default: `60s`.
    #[x_kube(validation = rules::duration("1s", "write a time of at least 1s: 60s"))]
    #[schemars(length(max = 20))]
    pub idle_timeout: Option<String>,

    /// How long reading all people, and reading all groups, may take. Default: `5m`.
    #[x_kube(validation = rules::duration("1s", "write a time of at least 1s: 5m"))]
    #[schemars(length(max = 20))]
    pub search_timeout: Option<String>,
}

/// The CA to trust, and the client's own certificate.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LdapTls {
    /// Certificates of the CAs to trust, instead of the public ones.
    pub ca_bundle_ref: Option<CaBundleRef>,

    /// The Secret with a certificate to show to the server, of type `kubernetes.io/tls`: keys
    /// `tls.crt` and `tls.key`.
    pub client_certificate_secret_ref: Option<CertificateRef>,

    /// Skip certificate verification. Allows man-in-the-middle attacks; for testing only.
    /// Default: `false`.
    pub insecure_skip_verify: Option<bool>,
}

/// The Secret with an account and its password.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindSecretRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key of the account's DN. Default: `bindDn`.
    #[schemars(length(min = 1, max = 253))]
    pub bind_dn_key: Option<String>,

    /// The key of the password. Default: `password`.
    #[schemars(length(min = 1, max = 253))]
    pub password_key: Option<String>,
}

/// How people are found and read.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::together(
        "emailPrefixAttribute",
        "emailSuffix",
        "write both emailPrefixAttribute (uid) and emailSuffix (@example.com), or neither",
    ),
)]
pub struct LdapUsers {
    /// Where to search for people. Default: `baseDn` of the source.
    #[x_kube(validation = rules::distinguished_name())]
    #[schemars(length(min = 1, max = 1024))]
    pub base_dn: Option<String>,

    /// How deep to search. Default: `Subtree`.
    pub scope: Option<LdapScope>,

    /// Which entries are people. Default: `(objectClass=inetOrgPerson)`.
    #[x_kube(validation = rules::ldap_filter())]
    #[schemars(length(max = 4096))]
    pub filter: Option<String>,

    /// The attribute that never changes, whatever a person is renamed to: their external id.
    /// FreeIPA has `ipaUniqueID`, 389 Directory Server `nsUniqueId`. `dn` takes the entry's name,
    /// as Bitwarden's Directory Connector does. Default: `entryUUID`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub id_attribute: Option<String>,

    /// The attribute with the email. Default: `mail`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub email_attribute: Option<String>,

    /// The attribute to make an email of, together with `emailSuffix`, for people without one.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub email_prefix_attribute: Option<String>,

    /// What follows `emailPrefixAttribute`, for example `@example.com`.
    #[x_kube(validation = rules::email_suffix())]
    #[schemars(length(max = 255))]
    pub email_suffix: Option<String>,

    /// How a disabled account is recognized. Default: none is; people are active as long as
    /// `filter` finds them.
    pub disabled: Option<LdapDisabled>,

    /// The attribute by which groups name people where they don't do it by DN
    /// (`groups.memberValue: Uid`). Default: `uid`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub uid_attribute: Option<String>,

    /// The attribute of a person that holds the DNs of their groups, usually `memberOf`, for
    /// directories whose groups don't list their members. The groups' own lists are then read only
    /// where `groups.memberAttribute` is set as well. Default: memberships are read from the groups.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub member_of_attribute: Option<String>,
}

/// How a disabled account is recognized.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LdapDisabled {
    /// The attribute that tells: `nsAccountLock` in FreeIPA and 389 Directory Server,
    /// `pwdAccountLockedTime` in OpenLDAP, `loginDisabled` in eDirectory.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub attribute: String,

    /// The values that mean disabled, in any case, for example `["TRUE"]`. Default: what the
    /// attribute is known to mean. `pwdAccountLockedTime`: only `000001010000Z`, since every other
    /// time is a lockout that passes; `accountUnlockTime`: only `0`, also
    /// written `19700101000000Z`; `nsAccountLock`
    /// and `loginDisabled`: `TRUE`; `shadowExpire`: a day that is over; `userAccountControl`: the
    /// bit 2. Any other attribute: every value but `FALSE`.
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 256)))]
    pub values: Option<Vec<String>>,
}

/// How groups are found and read.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::at_most_one(
        &["memberAttribute", "memberAttributes"],
        "write either memberAttribute (one) or memberAttributes (several), not both",
    ),
    validation = Rule::new("!has(self.memberValue) || has(self.memberAttribute)")
        .message("memberValue says what memberAttribute holds: add memberAttribute, or leave memberValue out"),
)]
pub struct LdapGroups {
    /// Where to search for groups. Default: `baseDn` of the source.
    #[x_kube(validation = rules::distinguished_name())]
    #[schemars(length(min = 1, max = 1024))]
    pub base_dn: Option<String>,

    /// How deep to search. Default: `Subtree`.
    pub scope: Option<LdapScope>,

    /// Which entries are groups. Default: `(objectClass=groupOfNames)`.
    #[x_kube(validation = rules::ldap_filter())]
    #[schemars(length(max = 4096))]
    pub filter: Option<String>,

    /// The attribute that never changes, whatever a group is renamed to: its external id.
    /// Default: `users.idAttribute`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub id_attribute: Option<String>,

    /// The attribute with the name. Default: `cn`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub name_attribute: Option<String>,

    /// The attribute with the members: `member`, `uniqueMember`, or `memberUid` of posix groups.
    /// Default: `member`.
    #[x_kube(validation = rules::ldap_attribute())]
    #[schemars(length(max = 128))]
    pub member_attribute: Option<String>,

    /// Several attributes with members, where groups of different kinds stand side by side, for
    /// example `["member", "uniqueMember"]`. Those that a group has are taken together.
    #[x_kube(validation = rules::ldap_attributes())]
    #[schemars(length(min = 1, max = 10), inner(length(max = 128)))]
    pub member_attributes: Option<Vec<String>>,

    /// What `memberAttribute` holds. Default: `Uid` where `memberAttribute` is `memberUid`, else
    /// `Dn`.
    pub member_value: Option<LdapMemberValue>,

    /// Take people into the group whose `gidNumber` is theirs, too: posix groups don't list those
    /// whose primary group they are. Default: `false`.
    pub include_primary: Option<bool>,
}

/// Servers whose directories need other settings than the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LdapPreset {
    /// 389 Directory Server without FreeIPA: IDs from `nsUniqueId`, groups of both classes, disabled by
    /// `nsAccountLock`.
    #[serde(rename = "389DirectoryServer")]
    DirectoryServer389,
    /// authentik: IDs from `uid`, disabled where `ak-active` is `FALSE`, without the virtual group of
    /// each user.
    Authentik,
    /// eDirectory: IDs from `GUID`, disabled by `loginDisabled`.
    EDirectory,
    /// FreeIPA: IDs from `ipaUniqueID`, groups of people only, disabled by `nsAccountLock`.
    #[serde(rename = "FreeIPA")]
    FreeIpa,
    /// Kanidm: people by class, memberships from `memberof`, no paged results.
    Kanidm,
    /// LLDAP: IDs from `entryUUID`, groups of unique names.
    #[serde(rename = "LLDAP")]
    Lldap,
}

/// What a group names its members by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LdapMemberValue {
    /// The DN of a person or of a nested group.
    Dn,
    /// The person's `users.uidAttribute`.
    Uid,
}

/// How deep a search goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LdapScope {
    /// The base and everything below.
    #[default]
    Subtree,
    /// The entries right below the base.
    OneLevel,
    /// Only the entry at the base.
    Base,
}
