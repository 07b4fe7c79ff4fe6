//! How spec and status are decoded: from a JSON value, whatever that came from.
//!
//! The resource comes as an answer of the API server, as an event of a watch, and from a manifest. Each of
//! these formats would have the code for all the types of a spec once more, half a megabyte of it. A JSON
//! value in between costs next to nothing at the size of a resource.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_path_to_error::Track;

use super::{DirectorySyncSpec, DirectorySyncStatus};

/// What doesn't fit, and where below the decoded value.
pub type DecodeError = serde_path_to_error::Error<serde_json::Error>;

type Tracked<'t> = serde_path_to_error::Deserializer<'t, 't, Value>;

fn tracked<T>(
    value: Value,
    decode: impl FnOnce(Tracked<'_>) -> Result<T, serde_json::Error>,
) -> Result<T, DecodeError> {
    let mut track = Track::new();
    let decoded = decode(Tracked::new(value, &mut track));
    decoded.map_err(|error| DecodeError::new(track.path(), error))
}

/// The error with the whole path of the field, which begins at `root`.
fn describe(root: &str, error: &DecodeError) -> String {
    match error.path().iter().next() {
        None => format!("{root}: {}", error.inner()),
        Some(_) => format!("{root}.{}: {}", error.path(), error.inner()),
    }
}

impl DirectorySyncSpec {
    /// Decodes a spec.
    ///
    /// # Errors
    /// With the first field that doesn't fit.
    pub fn decode(value: Value) -> Result<Self, DecodeError> {
        tracked(value, |value| Self::deserialize(value))
    }
}

// The derived functions have the names of the traits' functions, and come first.

impl<'de> Deserialize<'de> for DirectorySyncSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::decode(value).map_err(|error| D::Error::custom(describe("spec", &error)))
    }
}

impl Serialize for DirectorySyncSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for DirectorySyncStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        tracked(value, |value| Self::deserialize(value))
            .map_err(|error| D::Error::custom(describe("status", &error)))
    }
}

impl Serialize for DirectorySyncStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::DirectorySync;

    #[test]
    fn what_does_not_fit_is_named_by_its_whole_path() {
        let error = |spec: serde_json::Value, status: serde_json::Value| {
            let object = json!({
                "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
                "metadata": {"name": "staff"}, "spec": spec, "status": status,
            });
            let text = object.to_string();
            let error = serde_json::from_str::<DirectorySync>(&text).unwrap_err();
            error.to_string()
        };
        let spec = json!({"organization": {"credentialsSecretRef": {"name": "bitwarden"}},
            "source": {"ldap": {"url": "ldaps://dc", "baseDn": ["dc=example"]}}});
        let wrong = error(spec, json!({}));
        assert!(
            wrong.contains("spec.source.ldap.baseDn: invalid type: sequence"),
            "{wrong}"
        );
        let missing = error(json!({"source": {}}), json!({}));
        assert!(
            missing.contains("spec: missing field `organization`"),
            "{missing}"
        );
        let spec =
            json!({"organization": {"credentialsSecretRef": {"name": "bitwarden"}}, "source": {}});
        let wrong = error(spec, json!({"lastHandledSyncRequest": 3}));
        assert!(
            wrong.contains("status.lastHandledSyncRequest: invalid type: integer"),
            "{wrong}"
        );
    }
}
