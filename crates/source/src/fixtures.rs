//! For the tests of the sources' settings: specs, and what they refer to.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};

use crate::checks::{Checks, InvalidSpec};
use crate::http::Unobserved;
use crate::references::{ReferencedData, Unresolved};
use crate::{ConnectError, Source, SourceEnvironment, SourceSettings};

/// PEM whose content nobody looks at here.
pub const CA_BUNDLE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

/// An LDAP source with nothing in it that has a default.
pub fn least() -> Value {
    with_source(
        "ldap",
        &json!({
            "url": "ldaps://ldap.example.com",
            "baseDn": "dc=example,dc=com",
            "bindSecretRef": {"name": "ldap-bind"},
        }),
    )
}

/// A spec with this source, and without the rest, which no source looks at.
pub fn with_source(field: &str, source: &Value) -> Value {
    json!({"source": {field: source}})
}

/// The source of `spec` as the operator takes it.
pub fn validated(spec: &Value) -> Result<Arc<dyn SourceSettings>, InvalidSpec> {
    let source = serde_json::from_value(spec["source"].clone()).unwrap();
    let mut checks = Checks::default();
    let settings = crate::validate(&mut checks, &source, true);
    checks.finish()?;
    Ok(settings.unwrap())
}

/// What the Secrets and ConfigMaps hold that the least source refers to.
pub fn data() -> ReferencedData {
    let mut data = ReferencedData::of_namespace("identity");
    data.add_secret(secret(
        "ldap-bind",
        &json!({"bindDn": "cn=reader,dc=example,dc=com", "password": "the-password"}),
    ));
    let map = json!({"metadata": {"name": "corp-ca"}, "data": {"ca.crt": CA_BUNDLE}});
    data.add_config_map(serde_json::from_value::<ConfigMap>(map).unwrap());
    data
}

/// The same with a Secret more.
pub fn data_with(name: &str, values: &Value) -> ReferencedData {
    let mut data = data();
    data.add_secret(secret(name, values));
    data
}

fn secret(name: &str, values: &Value) -> Secret {
    let secret = json!({"metadata": {"name": name}, "stringData": values});
    serde_json::from_value(secret).unwrap()
}

/// The source of a valid spec, with what `data` holds.
pub fn connected(spec: &Value, data: &ReferencedData) -> Result<Box<dyn Source>, ConnectError> {
    let settings = validated(spec).unwrap();
    settings.connect(data, Arc::new(Unobserved), &SourceEnvironment::default())
}

/// What doesn't let a valid spec be followed, with what `data` holds.
pub fn unresolved(spec: &Value, data: &ReferencedData) -> Unresolved {
    match connected(spec, data) {
        Err(ConnectError::References(unresolved)) => unresolved,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nothing is missing"),
    }
}
