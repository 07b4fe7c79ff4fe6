//! Fields that the resource doesn't have.
//!
//! The API server drops them with a warning; here nobody would see one, and a misspelt `exclude`
//! would let in whom it should keep out.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

use super::node::Node;
use super::schema_walk::{self, Place};

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
    schema_walk::find(schema, object, &mut |place, _, line, path| match place {
        Place::Known(_) => None,
        Place::Unknown(fields, key) => Some(UnknownField {
            path: path.to_owned(),
            line,
            hint: hint(fields.keys(), key),
        }),
    })
}

fn hint<'a>(names: impl Iterator<Item = &'a String> + Clone, key: &str) -> String {
    if let Some((_, hint)) = REMOVED.iter().find(|(name, _)| *name == key) {
        return (*hint).to_owned();
    }
    let distance =
        |name: &str| strsim::damerau_levenshtein(&key.to_lowercase(), &name.to_lowercase());
    let nearest = names.clone().map(|name| (distance(name), name)).min();
    // Two in five letters wrong is a guess no longer.
    match nearest.filter(|(distance, _)| distance * 5 <= key.chars().count().max(3) * 2) {
        Some((_, name)) => format!("did you mean {name}?"),
        None => format!(
            "it can be {}",
            names.map(String::as_str).collect::<Vec<_>>().join(", ")
        ),
    }
}
