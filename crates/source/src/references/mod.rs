//! The Secrets and ConfigMaps that a spec names, and what they hold.

mod unresolved;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use base64::Engine as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::api::spec::{CaBundleKind, CaBundleRef};
use crate::http::Redactor;

pub use unresolved::{Unresolved, UnresolvedReason, both};

/// A kind of object that a spec refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A Secret, whose values are never shown.
    Secret,
    /// A ConfigMap: certificates of CAs, which are public.
    ConfigMap,
}

/// An object that a spec refers to, in the resource's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Referent {
    /// Whether it is a Secret or a ConfigMap.
    pub kind: Kind,
    /// The object's name, in the resource's own namespace.
    pub name: String,
}

/// An object that a spec refers to, with the keys it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The object to fetch.
    pub to: Referent,
    /// The keys that the object must have.
    pub keys: BTreeSet<String>,
}

/// A key of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOf {
    /// The object that has the key.
    pub referent: Referent,
    /// The key within it.
    pub key: String,
}

/// What the objects hold that a spec refers to. Never shown: `Debug` shows names and keys only.
#[derive(Debug)]
pub struct ReferencedData {
    namespace: String,
    objects: HashMap<Referent, BTreeMap<String, SecretSlice<u8>>>,
}

impl ReferencedData {
    /// Takes everything that came out of Secrets out of messages. A value is a credential unless it
    /// is used as one of `names` only, and looks like a name: whoever writes a spec may have named
    /// another key. A name is taken out only where all of it stands.
    pub fn redactor(&self, names: &[KeyOf]) -> Redactor {
        let redactor = Redactor::new();
        for (referent, keys) in &self.objects {
            for (key, value) in keys {
                let value = value.expose_secret();
                let Ok(text) = std::str::from_utf8(value) else {
                    redactor.add_bytes(value);
                    continue;
                };
                // Certificates are no secrets, but a key may be named in their place.
                let certificates = text.contains("-----BEGIN CERTIFICATE");
                if certificates && referent.kind == Kind::ConfigMap {
                    continue;
                }
                let is_of_a_name = names
                    .iter()
                    .any(|name| name.referent == *referent && name.key == *key);
                for line in text.lines().filter(|line| !is_armour(line)) {
                    let line = line.trim();
                    match is_of_a_name && looks_like_a_name(line) {
                        true => redactor.add_identifier(line.into()),
                        false => redactor.add(line.into()),
                    }
                }
            }
        }
        redactor
    }
}

/// A DN, an account's name in a domain, or the id of a Bitwarden API key.
fn looks_like_a_name(text: &str) -> bool {
    let parts = text.replace("\\,", "");
    parts.split(',').all(|part| part.contains('='))
        || text.contains('@')
        || text.contains('\\')
        || text.starts_with("organization.")
        || text.starts_with("user.")
}

/// Whether a line is nothing but the first or last line of a PEM block. A whole block on one line
/// isn't: it holds the key.
fn is_armour(line: &str) -> bool {
    let inner = line.trim().strip_prefix("-----");
    let inner = inner.and_then(|rest| rest.strip_suffix("-----"));
    inner.is_some_and(|label| !label.contains('-'))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Referent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind, self.name)
    }
}

impl KeyOf {
    /// A key of a Secret; `default` where the spec names none.
    pub fn secret(name: &str, key: Option<&str>, default: &str) -> Self {
        Self {
            referent: Referent {
                kind: Kind::Secret,
                name: name.to_owned(),
            },
            key: key.unwrap_or(default).to_owned(),
        }
    }

    /// Where the certificates of CAs are.
    pub fn ca_bundle(bundle: &CaBundleRef) -> Self {
        Self {
            referent: Referent {
                kind: match bundle.kind.unwrap_or_default() {
                    CaBundleKind::ConfigMap => Kind::ConfigMap,
                    CaBundleKind::Secret => Kind::Secret,
                },
                name: bundle.name.clone(),
            },
            key: bundle.key.clone().unwrap_or_else(|| "ca.crt".to_owned()),
        }
    }
}

impl From<&KeyOf> for Reference {
    fn from(key: &KeyOf) -> Self {
        Self {
            to: key.referent.clone(),
            keys: BTreeSet::from([key.key.clone()]),
        }
    }
}

/// Whether this can be the name of an object: a DNS subdomain (RFC 1123). Names become part of a path
/// at the API server, so anything else could lead to another object, and another namespace.
pub fn is_object_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= 253
        && bytes.first().copied().is_some_and(inner)
        && bytes.last().copied().is_some_and(inner)
        && bytes
            .iter()
            .all(|&byte| inner(byte) || matches!(byte, b'-' | b'.'))
}

/// Each object once, with all its keys.
pub fn merged(references: Vec<Reference>) -> Vec<Reference> {
    let mut by_referent: BTreeMap<Referent, BTreeSet<String>> = BTreeMap::new();
    for reference in references {
        by_referent
            .entry(reference.to)
            .or_default()
            .extend(reference.keys);
    }
    by_referent
        .into_iter()
        .map(|(to, keys)| Reference { to, keys })
        .collect()
}

/// Whether `text` isn't what `fits` asks for and its base64 decoding is: what became of a value that
/// was encoded by hand and then again by the tool.
pub fn is_encoded_twice(text: &str, fits: impl Fn(&str) -> bool) -> bool {
    let decoded = base64::engine::general_purpose::STANDARD.decode(text.trim());
    let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    !fits(text) && decoded.is_some_and(|decoded| fits(decoded.trim()))
}

impl ReferencedData {
    /// Nothing yet, of a namespace.
    pub fn of_namespace(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            objects: HashMap::new(),
        }
    }

    /// Adds an object with its values by key.
    pub fn add(&mut self, object: Referent, values: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let values = values
            .into_iter()
            .map(|(key, value)| (key, SecretSlice::from(value)));
        self.objects.entry(object).or_default().extend(values);
    }

    /// Adds a Secret; `stringData` of a manifest counts as the API server would have it.
    pub fn add_secret(&mut self, secret: Secret) {
        let name = secret.metadata.name.unwrap_or_default();
        let data = secret.data.unwrap_or_default();
        let text = secret.string_data.unwrap_or_default();
        let values = data.into_iter().map(|(key, value)| (key, value.0)).chain(
            text.into_iter()
                .map(|(key, value)| (key, value.into_bytes())),
        );
        let kind = Kind::Secret;
        self.add(Referent { kind, name }, values);
    }

    /// Adds a ConfigMap that the spec may name; one of the same name is replaced.
    pub fn add_config_map(&mut self, map: ConfigMap) {
        let name = map.metadata.name.unwrap_or_default();
        let text = map.data.unwrap_or_default();
        let binary = map.binary_data.unwrap_or_default();
        let values = text
            .into_iter()
            .map(|(key, value)| (key, value.into_bytes()))
            .chain(binary.into_iter().map(|(key, value)| (key, value.0)));
        let kind = Kind::ConfigMap;
        self.add(Referent { kind, name }, values);
    }

    /// A value as it is.
    pub fn bytes(&self, key: &KeyOf) -> Result<&[u8], UnresolvedReason> {
        let missing = |object_is_there| UnresolvedReason::Missing {
            referent: key.referent.clone(),
            namespace: self.namespace.clone(),
            keys: vec![key.key.clone()],
            object_is_there,
        };
        let object = self
            .objects
            .get(&key.referent)
            .ok_or_else(|| missing(false))?;
        let value = object.get(&key.key).ok_or_else(|| missing(true))?;
        Ok(value.expose_secret())
    }

    /// A value as one line of text. Line breaks at its end, which `echo` and editors leave, are
    /// taken off, and so is the byte order mark at its start that Notepad and PowerShell write.
    pub fn text(&self, key: &KeyOf) -> Result<SecretString, UnresolvedReason> {
        let unusable = |why: &str| UnresolvedReason::unusable(key, why);
        let text = std::str::from_utf8(self.bytes(key)?)
            .map_err(|_| unusable("isn't text; store it as UTF-8"))?
            .trim_start_matches('\u{feff}')
            .trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(unusable("is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(unusable(
                "has several lines or control characters; store one line of text",
            ));
        }
        Ok(SecretString::from(text))
    }
}
