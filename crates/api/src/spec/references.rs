//! Secrets and ConfigMaps that a resource names. All of them live in the resource's own namespace.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::rules;

/// A CA's certificates, as PEM, in a ConfigMap or Secret.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaBundleRef {
    /// Where the certificates are. Default: `ConfigMap`.
    pub kind: Option<CaBundleKind>,

    /// The name of the ConfigMap or Secret.
    #[x_kube(validation = rules::object_name("write the name of a ConfigMap or Secret in this namespace"))]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key within it. Default: `ca.crt`.
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// The kind of object that holds the certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaBundleKind {
    /// In a ConfigMap.
    #[default]
    ConfigMap,
    /// In a Secret.
    Secret,
}

/// CAs to trust besides the public ones.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Certificates of CAs to trust as well as the public ones.
    pub ca_bundle_ref: Option<CaBundleRef>,
}

/// A Secret with one value.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[x_kube(validation = rules::object_name("write the name of a Secret in this namespace"))]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key within it, where it isn't the one that the field's description names.
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// A Secret with a client's id and its secret.
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentialsRef {
    /// The name of the Secret.
    #[x_kube(validation = rules::object_name("write the name of a Secret in this namespace"))]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key of the client's id. Default: `clientId`.
    #[schemars(length(min = 1, max = 253))]
    pub client_id_key: Option<String>,

    /// The key of the client's secret. Default: `clientSecret`.
    #[schemars(length(min = 1, max = 253))]
    pub client_secret_key: Option<String>,
}

/// A Secret with a certificate and its private key, both PEM (as of type `kubernetes.io/tls`).
#[skip_serializing_none]
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRef {
    /// The name of the Secret.
    #[x_kube(validation = rules::object_name("write the name of a Secret in this namespace"))]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key of the certificate (with its chain). Default: `tls.crt`.
    #[schemars(length(min = 1, max = 253))]
    pub certificate_key: Option<String>,

    /// The key of the private key. Default: `tls.key`.
    #[schemars(length(min = 1, max = 253))]
    pub private_key_key: Option<String>,
}
