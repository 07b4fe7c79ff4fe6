//! The directory that is read: exactly one of the sources.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::rules;
use super::{
    ActiveDirectorySource, EntraIdSource, GoogleWorkspaceSource, LdapSource, OktaSource,
    OneLoginSource,
};

/// The directory. Exactly one kind.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::exactly_one(
    &["ldap", "activeDirectory", "entraId", "googleWorkspace", "okta", "oneLogin"],
    "write exactly one source: ldap, activeDirectory, entraId, googleWorkspace, okta or oneLogin",
))]
pub struct SourceSpec {
    /// An LDAP directory: OpenLDAP, 389 Directory Server, FreeIPA and the like.
    pub ldap: Option<LdapSource>,

    /// A Microsoft Active Directory domain (or Samba's).
    pub active_directory: Option<ActiveDirectorySource>,

    /// A Microsoft Entra ID tenant, read through Microsoft Graph.
    pub entra_id: Option<EntraIdSource>,

    /// A Google Workspace or Cloud Identity customer.
    pub google_workspace: Option<GoogleWorkspaceSource>,

    /// An Okta organization.
    pub okta: Option<OktaSource>,

    /// A OneLogin account.
    pub one_login: Option<OneLoginSource>,
}
