//! Secrets and ConfigMaps, from manifests and from a directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use secrecy::SecretSlice;

use super::ManifestError;
use super::node::{Node, NodeValue};
use super::read::Document;

/// Longest file that is read for a key, in bytes: the API server takes no larger Secret.
const VALUE_MAX: u64 = 1024 * 1024;

/// Values by key, wiped when dropped, never printed.
pub type Values = BTreeMap<String, SecretSlice<u8>>;

/// The values of a Secret or ConfigMap manifest. No value gets into an error.
pub fn values(document: &Document) -> Result<Values, ManifestError> {
    let secret = document.node.text(&["kind"]) == Some("Secret");
    let mut values = Values::new();
    // Plain text wins over encoded, as on the API server.
    for (field, encoded) in [
        ("binaryData", true),
        ("data", secret),
        ("stringData", false),
    ] {
        let Some(entries) = document.node.get(field).map(Node::entries) else {
            continue;
        };
        for entry in entries {
            let refused = |why| ManifestError::Value {
                place: document.at(entry.line),
                field: format!("{field}.{}", entry.key),
                why,
            };
            let text = match &entry.value.content {
                NodeValue::Scalar(serde_json::Value::String(text)) => text,
                NodeValue::Scalar(serde_json::Value::Null) => "",
                _ => return Err(refused("must be text: put it in quotes")),
            };
            let value = if encoded {
                let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                BASE64
                    .decode(packed.as_bytes())
                    .map_err(|_| refused("isn't base64; plain text goes into stringData"))?
            } else {
                text.as_bytes().to_vec()
            };
            values.insert(entry.key.clone(), value.into());
        }
    }
    Ok(values)
}

/// A directory with one directory for each Secret, and one file in it for each key: what mounted
/// Secrets look like.
#[derive(Debug, Clone)]
pub struct SecretDirectory(PathBuf);

impl SecretDirectory {
    /// The directory, if it is one.
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        let failed = |source| ManifestError::Read {
            path: path.display().to_string(),
            source,
        };
        std::fs::read_dir(path).map_err(failed)?;
        Ok(Self(path.to_owned()))
    }

    /// The values of a Secret; `None` where it has no directory here.
    pub fn values(&self, secret: &str) -> Result<Option<Values>, ManifestError> {
        if !is_plain_name(secret) {
            return Ok(None);
        }
        let directory = self.0.join(secret);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(&directory)(source)),
        };
        let mut values = Values::new();
        for entry in entries {
            let path = entry.map_err(failed(&directory))?.path();
            let Some(key) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // Kubernetes keeps versions of mounted Secrets in `..data` and the like.
            if key.starts_with('.') || !path.is_file() {
                continue;
            }
            let value = read(&path).map_err(failed(&path))?;
            values.insert(key.to_owned(), value.into());
        }
        Ok(Some(values))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut value = vec![];
    let read = File::open(path)?
        .take(VALUE_MAX + 1)
        .read_to_end(&mut value)?;
    if read as u64 > VALUE_MAX {
        return Err(io::Error::other(
            "more than 1 MiB, which no Secret may hold: put only the Secret's values into this directory",
        ));
    }
    Ok(value)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ManifestError {
    let path = path.display().to_string();
    move |source| ManifestError::Read { path, source }
}

/// Whether a name stays within the directory.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}
