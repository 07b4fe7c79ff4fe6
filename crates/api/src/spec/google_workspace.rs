//! A Google Workspace or Cloud Identity customer.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::SecretKeyRef;
use super::rules;

/// A Google Workspace or Cloud Identity customer, read through the Admin SDK Directory API.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::at_most_one(
        &["customer", "domains"],
        "write either customer (all its domains) or domains (some of them), not both",
    ),
)]
pub struct GoogleWorkspaceSource {
    /// The customer, by id, with all its domains. Not together with `domains`. Default:
    /// `my_customer`, the one that the account belongs to.
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_]+$')").message("write the customer's id (C0123abcd) or my_customer"))]
    #[schemars(length(min = 1, max = 64))]
    pub customer: Option<String>,

    /// Only these domains, for example `["example.com"]`. Not together with `customer`.
    #[x_kube(validation = Rule::new("self.all(name, name.matches('^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+$'))").message("write domains by name: example.com"))]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 253)))]
    pub domains: Option<Vec<String>>,

    /// The administrator to act for, by email, through domain-wide delegation. Default: none; the
    /// service account has an administrator role of its own.
    #[x_kube(validation = Rule::new("self.matches('^[^@ ]+@[^@ ]+$')").message("write the administrator's email: admin@example.com"))]
    #[schemars(length(max = 320))]
    pub admin_email: Option<String>,

    /// How the operator proves who it is. Exactly one way.
    pub credentials: GoogleWorkspaceCredentials,

    /// How many requests are sent in any minute at most. Google allows 2,400 a minute for each
    /// administrator or service account of a project unless its quota was raised. Default: 2,300.
    #[schemars(range(min = 60, max = 1_000_000))]
    pub requests_per_minute: Option<i32>,

    /// Which people are read, and how.
    pub users: Option<GoogleWorkspaceUsers>,

    /// Which groups are read.
    pub groups: Option<GoogleWorkspaceGroups>,
}

/// How the operator proves who it is. Exactly one way.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::exactly_one(
    &["serviceAccountKeySecretRef", "workloadIdentity"],
    "write exactly one of serviceAccountKeySecretRef and workloadIdentity",
))]
pub struct GoogleWorkspaceCredentials {
    /// A service account's key: the Secret with the JSON file as Google gives it, key `key.json`.
    pub service_account_key_secret_ref: Option<SecretKeyRef>,

    /// The token of a Kubernetes ServiceAccount, exchanged through workload identity federation. No
    /// secret is needed.
    pub workload_identity: Option<GoogleWorkloadIdentity>,
}

/// The token of a Kubernetes ServiceAccount, exchanged through workload identity federation.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoogleWorkloadIdentity {
    /// The workload identity provider's full name, for example
    /// `//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/k8s/providers/k8s`.
    /// The audience of the ServiceAccount's token is this with `https:` in front, as the provider
    /// expects unless it was given other audiences.
    #[x_kube(validation = Rule::new("self.startsWith('//iam.googleapis.com/')").message("write the provider's full name, which starts with //iam.googleapis.com/projects/"))]
    #[schemars(length(max = 1024))]
    pub audience: String,

    /// The Google service account to act as, by email.
    #[x_kube(validation = Rule::new("self.matches('^[^@ ]+@[^@ ]+$')").message("write the service account's email: sync@project.iam.gserviceaccount.com"))]
    #[schemars(length(max = 320))]
    pub service_account_email: String,

    /// The Kubernetes ServiceAccount in the resource's namespace. The operator requests a token of
    /// it, for which it needs the right. Default: the operator's own identity, where its flags allow
    /// that.
    #[x_kube(validation = rules::object_name("write the name of a ServiceAccount in this namespace"))]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,
}

/// Which people are read, and how.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoogleWorkspaceUsers {
    /// Only people whom this query in the Admin SDK's language finds, for example
    /// `orgDepartment=Engineering`.
    #[schemars(length(min = 1, max = 2048))]
    pub query: Option<String>,

    /// Only people in one of these organizational units or below, for example `/Staff`. Accounts
    /// that count as disabled are read wherever they are, for those who leave are commonly moved.
    #[x_kube(validation = Rule::new("self.all(path, path.startsWith('/'))").message("write organizational units by their path: /Staff/Berlin"))]
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 1024)))]
    pub organizational_units: Option<Vec<String>>,

    /// What a suspended account means. Of one that is archived, too, `Disabled` comes before
    /// `Absent`, and that before `Active`. Default: `Disabled`.
    pub suspended: Option<AccountMeaning>,

    /// What an archived account means. Default: `Disabled`.
    pub archived: Option<AccountMeaning>,

    /// Take the address within this domain (an alias) where a person has one, else the primary
    /// address. Default: the primary address.
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+$')").message("write the domain by name: example.com"))]
    #[schemars(length(min = 1, max = 253))]
    pub email_domain: Option<String>,
}

/// What a state of an account at the source means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccountMeaning {
    /// The person may use Bitwarden.
    Active,
    /// The account is disabled: `offboarding.disabled` applies.
    Disabled,
    /// The account is deleted: `offboarding.deleted` applies.
    Deleted,
    /// As if the directory didn't have the person: `offboarding.absent` applies.
    Absent,
}

/// Which groups are read.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoogleWorkspaceGroups {
    /// Only groups that this query in the Admin SDK's language finds, for example `email:eng-*`.
    #[schemars(length(min = 1, max = 2048))]
    pub query: Option<String>,
}
