//! For the tests of validation: specs, and what they refer to.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::ValidatedSpec;
use crate::api::spec::DirectorySyncSpec;
use crate::checks::InvalidSpec;
use crate::connect::{ConnectError, Observers, connect};
use crate::references::{ReferencedData, Unresolved};
use crate::source::SourceEnvironment;

/// A spec with nothing in it that has a default.
pub fn least() -> Value {
    json!({
        "organization": {"region": "EU", "credentialsSecretRef": {"name": "bitwarden-org"}},
        "source": {"ldap": {
            "url": "ldaps://ldap.example.com",
            "baseDn": "dc=example,dc=com",
            "bindSecretRef": {"name": "ldap-bind"},
        }},
    })
}

/// `spec` as the operator takes it.
pub fn validated(spec: &Value) -> Result<ValidatedSpec, InvalidSpec> {
    let spec: DirectorySyncSpec = serde_json::from_value(spec.clone()).unwrap();
    ValidatedSpec::from_spec(&spec)
}

/// What the Secrets and ConfigMaps hold that the least spec refers to.
pub fn data() -> ReferencedData {
    let mut data = ReferencedData::of_namespace("identity");
    let secrets = [
        json!({"metadata": {"name": "bitwarden-org"}, "stringData": {
            "clientId": "organization.b0c5ce2c-0000-4000-8000-000000000001\n",
            "clientSecret": "the-organizations-secret\n",
        }}),
        json!({"metadata": {"name": "ldap-bind"}, "data": {
            "bindDn": "Y249cmVhZGVyLGRjPWV4YW1wbGUsZGM9Y29t",
            "password": "dGhlLXBhc3N3b3Jk",
        }}),
    ];
    for secret in secrets {
        data.add_secret(serde_json::from_value::<Secret>(secret).unwrap());
    }
    data
}

/// The same with a Secret more.
pub fn data_with(name: &str, values: &Value) -> ReferencedData {
    let mut data = data();
    let secret = json!({"metadata": {"name": name}, "stringData": values});
    data.add_secret(serde_json::from_value::<Secret>(secret).unwrap());
    data
}

/// What doesn't let a valid spec be followed, with what `data` holds.
pub fn unresolved(spec: &Value, data: &ReferencedData) -> Unresolved {
    match connect(
        &validated(spec).unwrap(),
        data,
        Observers::default(),
        &SourceEnvironment::default(),
    ) {
        Err(ConnectError::Unresolved(unresolved)) => unresolved,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nothing is missing"),
    }
}
