//! Fields that the resource doesn't have.
//!
//! The API server drops them with a warning; here nobody would see one, and a misspelt `exclude`
//! would let in whom it should keep out.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};

use super::node::{Node, NodeValue};

/// What every object has beside its own fields.
const OF_EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Fields that were taken away before the first release, and what to write now.
const REMOVED: [(&str, &str); 7] = [
    (
        "tokenFile",
        "no manifest names a file: write serviceAccountName, or set AZURE_FEDERATED_TOKEN_FILE or \
         DIRECTORY_SYNC_GOOGLE_TOKEN_FILE",
    ),
    ("authorityUrl", VENDOR_URLS),
    ("graphUrl", VENDOR_URLS),
    ("tokenUrl", VENDOR_URLS),
    ("directoryUrl", VENDOR_URLS),
    ("stsUrl", VENDOR_URLS),
    ("iamUrl", VENDOR_URLS),
];
const VENDOR_URLS: &str = "no manifest names a vendor's address: use the flag --vendor-urls";

/// A field that isn't in the schema.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// The way to it: `spec.users.exlude`.
    pub path: String,
    /// Its line in the document, from 1.
    pub line: u64,
    /// What may have been meant, or the names that would be right.
    pub hint: String,
}

/// The first field of `object` that `schema` doesn't have.
pub fn unknown_field(schema: &JSONSchemaProps, object: &Node) -> Option<UnknownField> {
    object
        .entries()
        .iter()
        .filter(|entry| !OF_EVERY_OBJECT.contains(&entry.key.as_str()))
        .find_map(|entry| match schema.properties.as_ref()?.get(&entry.key) {
            Some(field) => below(field, &entry.value, &entry.key),
            None => Some(unknown(schema, "", &entry.key, entry.line)),
        })
}

fn below(schema: &JSONSchemaProps, node: &Node, path: &str) -> Option<UnknownField> {
    match (&node.content, &schema.properties, &schema.items) {
        (NodeValue::Object(entries), Some(fields), _) => {
            entries
                .iter()
                .find_map(|entry| match fields.get(&entry.key) {
                    Some(field) => below(field, &entry.value, &format!("{path}.{}", entry.key)),
                    None => Some(unknown(schema, path, &entry.key, entry.line)),
                })
        }
        (NodeValue::List(items), _, Some(JSONSchemaPropsOrArray::Schema(schema))) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| below(schema, item, &format!("{path}[{index}]"))),
        // Free-form, or of a wrong type: reading it tells.
        _ => None,
    }
}

fn unknown(schema: &JSONSchemaProps, parent: &str, key: &str, line: u64) -> UnknownField {
    let names = schema.properties.iter().flat_map(|fields| fields.keys());
    let names: Vec<&str> = names.map(String::as_str).collect();
    let removed = REMOVED.iter().find(|(name, _)| *name == key);
    let nearest = names
        .iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&key.to_lowercase(), &name.to_lowercase()),
                name,
            )
        })
        .min()
        // Two in five letters wrong is a guess no longer.
        .filter(|(distance, _)| distance * 5 <= key.chars().count().max(3) * 2);
    UnknownField {
        path: if parent.is_empty() {
            key.to_owned()
        } else {
            format!("{parent}.{key}")
        },
        line,
        hint: match (removed, nearest) {
            (Some((_, hint)), _) => (*hint).to_owned(),
            (None, Some((_, name))) => format!("did you mean {name}?"),
            (None, None) => format!("it can be {}", names.join(", ")),
        },
    }
}
