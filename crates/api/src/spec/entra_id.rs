//! A Microsoft Entra ID tenant.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::rules;
use super::{CertificateRef, SecretKeyRef};

/// A Microsoft Entra ID tenant, read through Microsoft Graph.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntraIdSource {
    /// The tenant, by its id or a verified domain.
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9.-]*$')").message("write the tenant's id (a GUID) or one of its domains: example.onmicrosoft.com"))]
    #[schemars(length(min = 1, max = 253))]
    pub tenant_id: String,

    /// The application (client) id of the app registration to read as.
    #[x_kube(validation = rules::guid("write the application (client) id of the app registration, a GUID"))]
    #[schemars(length(max = 36))]
    pub client_id: String,

    /// How the application proves who it is. Exactly one way.
    pub credentials: EntraIdCredentials,

    /// Which of Microsoft's clouds. Default: `Public`.
    pub cloud: Option<EntraIdCloud>,

    /// Which people are read, and how.
    pub users: Option<EntraIdUsers>,

    /// Which groups are read.
    pub groups: Option<EntraIdGroups>,
}

/// How the application proves who it is. Exactly one way.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::exactly_one(
    &["clientSecretRef", "certificateSecretRef", "workloadIdentity"],
    "write exactly one of clientSecretRef, certificateSecretRef and workloadIdentity: {}",
))]
pub struct EntraIdCredentials {
    /// A client secret: the Secret with it, key `clientSecret`.
    pub client_secret_ref: Option<SecretKeyRef>,

    /// A client certificate: the Secret with it, keys `tls.crt` and `tls.key`.
    pub certificate_secret_ref: Option<CertificateRef>,

    /// The token of a ServiceAccount, which a federated credential of the application trusts. No
    /// secret is needed.
    pub workload_identity: Option<EntraIdWorkloadIdentity>,
}

/// The token of a ServiceAccount as proof. Its audience is what the cloud expects:
/// `api://AzureADTokenExchange`, in the other clouds `api://AzureADTokenExchangeUSGov` and
/// `api://AzureADTokenExchangeChina`.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntraIdWorkloadIdentity {
    /// The ServiceAccount in the resource's namespace. The operator requests a token of it, for
    /// which it needs the right. Default: the operator's own identity, where its flags allow that.
    #[x_kube(validation = rules::object_name("write the name of a ServiceAccount in this namespace"))]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,
}

/// One of Microsoft's clouds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EntraIdCloud {
    /// login.microsoftonline.com and graph.microsoft.com
    #[default]
    Public,
    /// login.microsoftonline.us and graph.microsoft.us
    USGovernment,
    /// login.partner.microsoftonline.cn and microsoftgraph.chinacloudapi.cn
    China,
}

/// Which people are read, and how.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntraIdUsers {
    /// Only people whom this OData filter fits, for example `department eq 'Engineering'`.
    #[schemars(length(min = 1, max = 4096))]
    pub filter: Option<String>,

    /// Only these kinds of accounts. Default: `["Member"]`.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(min = 1, max = 3))]
    pub types: Option<Vec<EntraIdUserType>>,

    /// Only members, direct or nested, of one of these groups.
    pub member_of: Option<EntraIdGroupSelection>,

    /// No member, direct or nested, of any of these groups.
    pub not_member_of: Option<EntraIdGroupSelection>,

    /// Only people in one of these administrative units, by id.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 36)))]
    pub administrative_units: Option<Vec<String>>,

    /// Only people who may use this enterprise application, directly or through a group: its
    /// application (client) id.
    #[x_kube(validation = rules::guid("write the application (client) id of the enterprise application, a GUID"))]
    #[schemars(length(max = 36))]
    pub assigned_to_application: Option<String>,

    /// Only people with one of these licences, by the SKU's id.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 36)))]
    pub assigned_licenses: Option<Vec<String>>,

    /// Where the email is. Default: `MailOrUserPrincipalName`.
    pub email: Option<EntraIdEmail>,
}

/// A kind of account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EntraIdUserType {
    /// People of the tenant itself.
    Member,
    /// People invited from elsewhere.
    Guest,
    /// AI agents, which sign in with accounts of their own.
    Agent,
}

/// Where the email of a person is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EntraIdEmail {
    /// `mail`, or `userPrincipalName` where `mail` is empty or within `onmicrosoft.com`.
    // What then contains a `#`, as the principal names of guests do, is no email: the rule of
    // Bitwarden's own connector.
    #[default]
    MailOrUserPrincipalName,
    /// The attribute `mail`.
    Mail,
    /// The attribute `userPrincipalName`.
    UserPrincipalName,
}

/// Groups, by object id or by name.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.ids) || has(self.names)").message("name at least one group, in ids or names"))]
pub struct EntraIdGroupSelection {
    /// Groups by object id.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 36)))]
    pub ids: Option<Vec<String>>,

    /// Groups by display name, exactly.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 256)))]
    pub names: Option<Vec<String>>,
}

/// Which groups are read.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntraIdGroups {
    /// Only groups that this OData filter fits, for example `startswith(displayName,'BW-')`.
    #[schemars(length(min = 1, max = 4096))]
    pub filter: Option<String>,

    /// Only these groups, by object id.
    #[schemars(length(min = 1, max = 500), inner(length(min = 1, max = 36)))]
    pub ids: Option<Vec<String>>,

    /// Only these kinds of groups. Default: all kinds.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(min = 1, max = 2))]
    pub types: Option<Vec<EntraIdGroupType>>,

    /// Only groups in one of these administrative units, by id.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 36)))]
    pub administrative_units: Option<Vec<String>>,

    /// No group in any of these administrative units, by id.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 36)))]
    pub not_administrative_units: Option<Vec<String>>,
}

/// A kind of group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EntraIdGroupType {
    /// Security groups.
    Security,
    /// Microsoft 365 groups.
    Microsoft365,
}
