//! The CustomResourceDefinition, as installed into clusters.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::CustomResourceExt;
use kube::core::schema::StructuralSchemaRewriter;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Value, json};

use super::DirectorySync;

/// The definition as an object.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = DirectorySync::crd();
    for version in &mut crd.spec.versions {
        if let Some(validation) = &mut version.schema {
            validation.open_api_v3_schema = Some(schema());
        }
    }
    crd
}

/// The definitions of all resources as YAML, ready for `kubectl apply -f -`.
pub fn crds() -> String {
    let yaml = serde_saphyr::to_string(&crd()).expect("a definition has string keys only");
    format!("# Written by `directory-sync crds`.\n---\n{yaml}")
}

/// What a `DirectorySync` may hold: as kube derives it, except that what is absent is left out rather
/// than null, and that nothing has a default: the API server then never writes anything into a
/// manifest that a GitOps tool would take for somebody's change.
pub fn schema() -> JSONSchemaProps {
    let generator = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(ValuesExplained)
        .with_transform(AbsentNotNull)
        .with_transform(ValuesDescribed)
        .with_transform(StructuralSchemaRewriter)
        .into_generator();
    serde_json::to_value(generator.into_root_schema_for::<DirectorySync>())
        .and_then(serde_json::from_value)
        .expect("what schemars writes is a JSON schema")
}

/// Takes `null` and `default` out of schemas.
#[derive(Debug, Clone)]
struct AbsentNotNull;

impl Transform for AbsentNotNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        object.remove("default");
        object.remove("nullable");
        // An optional object: `anyOf: [the object, enum: [null]]`, with the field's own description beside.
        if let Some(Value::Array(either)) = object.get("anyOf")
            && let [Value::Object(there), null] = either.as_slice()
            && null.get("enum") == Some(&json!([null]))
        {
            let there = there.clone();
            object.remove("anyOf");
            for (key, value) in there {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// Where the meanings of an enum's values stand until the field that holds it is known.
const VALUES: &str = "x-values";

/// Collects what an enum's values mean: the API server's schema has no place for it.
#[derive(Debug, Clone)]
struct ValuesExplained;

impl Transform for ValuesExplained {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        let Some(Value::Array(variants)) = object.get("oneOf") else {
            return;
        };
        let lines: Option<Vec<_>> = variants
            .iter()
            .map(|variant| {
                let value = variant
                    .get("const")
                    .or_else(|| variant.get("enum")?.get(0))?;
                let meaning = variant.get("description")?.as_str()?.replace('\n', " ");
                Some(format!("- `{}`: {meaning}", value.as_str()?))
            })
            .collect();
        if let Some(lines) = lines {
            object.insert(VALUES.into(), lines.join("\n").into());
        }
    }
}

/// Adds the meanings of the values to the description of the field.
#[derive(Debug, Clone)]
struct ValuesDescribed;

impl Transform for ValuesDescribed {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        if let Some(Value::String(values)) = object.remove(VALUES) {
            let about = object
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let whole = format!("{about}\n\n{values}");
            object.insert("description".into(), whole.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_schema_is_null_or_has_a_default() {
        let schema = serde_json::to_string(&crd()).unwrap();
        for word in [
            "\"nullable\"",
            "\"default\":",
            "\"anyOf\"",
            "\"oneOf\"",
            "\"$ref\"",
        ] {
            assert!(!schema.contains(word), "{word} in {schema}");
        }
    }

    #[test]
    fn kubectl_explain_says_what_each_value_of_a_field_means() {
        let schema = serde_json::to_value(schema()).unwrap();
        let absent = "/properties/spec/properties/offboarding/properties/absent/description";
        assert_eq!(
            schema.pointer(absent).and_then(Value::as_str).unwrap(),
            "What happens to members who are gone from the directory, or filtered out. \
             Default: `Retain`.\n\n\
             - `Retain`: Nothing: they keep their access.\n\
             - `Revoke`: Their access ends and their seat is free; account, data and group \
             memberships stay.\n\
             - `Remove`: They are removed from the organization. Somebody who has no master password \
             (who signs in with SSO and a trusted device) can lose their account for good by this. \
             `Revoke` is the safe choice."
        );
    }
}
