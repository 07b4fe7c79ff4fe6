//! The manifests that the commands without a cluster work on.
//!
//! ```text
//! read      files, directories, standard input → documents with their places
//! node      a document as a tree that knows its lines
//! fields    fields that the resource doesn't have
//! secrets   values of Secrets and ConfigMaps, from manifests or a directory
//! ```

mod bounds;
mod fields;
mod node;
mod read;
mod schema_walk;
mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{self, DirectorySync, DirectorySyncSpec, crd::schema, decode::DecodeError};
use crate::cli::args::ManifestArgs;
use crate::source::SourceEnvironment;
use crate::telemetry::Object;
use crate::text::sanitize;

use bounds::out_of_bounds;
use fields::unknown_field;
use node::Node;
pub use read::Place;
use read::{Document, documents};
use secrets::SecretDirectory;
pub use secrets::Values;

/// The namespace of manifests that name none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

/// What a DirectorySync may hold.
static SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(schema);

/// What was found in the manifests.
#[derive(Debug)]
pub struct Manifests {
    resources: Vec<DirectorySync>,
    secrets: BTreeMap<Object, Values>,
    config_maps: BTreeMap<Object, Values>,
    secret_directory: Option<SecretDirectory>,
    environment: SourceEnvironment,
    /// What was left aside, for the person who runs the command.
    pub notes: Vec<String>,
}

/// Why manifests can't be used. No error holds a Secret's value.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file or directory.
    #[error("can't read {path}")]
    Read {
        /// The path of the file or folder.
        path: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A directory without manifests.
    #[error("{path} has no .yaml, .yml or .json file{below}")]
    EmptyDirectory {
        /// The path of the file or folder.
        path: String,
        /// Where else could be looked.
        below: &'static str,
    },
    /// The document isn't YAML.
    #[error("{place}: this is no valid YAML: {message}")]
    Syntax {
        /// The file and line.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// YAML, but no manifest.
    #[error("{place}: a manifest needs {missing}")]
    NotAnObject {
        /// The file and line.
        place: Place,
        /// What it lacks, for the message.
        missing: &'static str,
    },
    /// Another version of the resource.
    #[error(
        "{place}: DirectorySync of {found} isn't known here; write apiVersion: {}/{}",
        api::GROUP,
        api::VERSION
    )]
    Version {
        /// The file and line.
        place: Place,
        /// What is written there instead.
        found: String,
    },
    /// A field that doesn't exist.
    #[error("{place}: DirectorySync has no field {field}: {hint}")]
    UnknownField {
        /// The file and line.
        place: Place,
        /// The way to it.
        field: String,
        /// What may have been meant.
        hint: String,
    },
    /// A field with something in it that doesn't fit.
    #[error("{place}: {field}: {message}")]
    Field {
        /// The file and line.
        place: Place,
        /// The way to it.
        field: String,
        /// The error message of the parser or the schema.
        message: String,
    },
    /// A value of a Secret or ConfigMap.
    #[error("{place}: the value of {field} {why}")]
    Value {
        /// The file and line.
        place: Place,
        /// The way to it.
        field: String,
        /// Why the value isn't accepted.
        why: &'static str,
    },
    /// Two manifests have the same kind, namespace and name.
    #[error("{second}: {kind} {object} is in {first} already")]
    Twice {
        /// The kind of both, such as `Secret`.
        kind: &'static str,
        /// Their namespace and name.
        object: Object,
        /// Where it was first.
        first: Box<Place>,
        /// Where it is again.
        second: Place,
    },
    /// No manifest is a DirectorySync.
    #[error("there is no DirectorySync in the manifests")]
    NoResource,
    /// Nothing of what is there was chosen.
    #[error("no DirectorySync fits --namespace and --name; there are {}", list(.there))]
    NoneChosen {
        /// The DirectorySyncs that the manifests do hold.
        there: Vec<Object>,
    },
}

impl ManifestError {
    fn syntax(file: &str, text: &str, error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let line = error.location().map_or(1, |location| location.line());
        let before = text
            .lines()
            .take(usize::try_from(line).unwrap_or(usize::MAX));
        Self::Syntax {
            place: Place {
                file: file.to_owned(),
                document: document_at_end_of(before),
                line,
            },
            message: sanitize(&error.to_string()),
        }
    }
}

/// The number of the document in which these lines end; those without content don't count.
fn document_at_end_of<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let (mut document, mut has_content) = (1, false);
    for line in lines {
        if line.starts_with("---") {
            document += usize::from(has_content);
            has_content = false;
        } else if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            has_content = true;
        }
    }
    document
}

fn list(objects: &[Object]) -> String {
    let names: Vec<_> = objects.iter().map(Object::to_string).collect();
    names.join(", ")
}

impl Manifests {
    /// Reads what the command line names, and keeps the resources that it chooses.
    pub fn load(args: &ManifestArgs) -> Result<Self, ManifestError> {
        let secret_directory = args
            .secret_dir
            .as_deref()
            .map(SecretDirectory::open)
            .transpose()?;
        let namespace = args.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let mut loading = Loading::new(namespace);
        for document in documents(&args.filenames, args.recursive)? {
            loading.take(&document)?;
        }
        let mut manifests = loading.manifests;
        manifests.secret_directory = secret_directory;
        manifests.environment.urls = args.vendors.vendor_urls.iter().cloned().collect();
        manifests.choose(args.namespace.as_deref(), args.name.as_deref())?;
        Ok(manifests)
    }

    /// What whoever runs the command decides about sources.
    pub fn environment(&self) -> &SourceEnvironment {
        &self.environment
    }

    /// The resources that were chosen, in the order of the manifests.
    pub fn resources(&self) -> &[DirectorySync] {
        &self.resources
    }

    /// The values of a Secret: those of the secret directory before those of the manifests. `None`
    /// where it is in neither.
    pub fn secret(&self, namespace: &str, name: &str) -> Result<Option<Values>, ManifestError> {
        let in_manifests = self.secrets.get(&Object::new(namespace, name)).cloned();
        let in_directory = match &self.secret_directory {
            Some(directory) => directory.values(name)?,
            None => None,
        };
        Ok(match (in_manifests, in_directory) {
            (Some(mut values), Some(over)) => {
                values.extend(over);
                Some(values)
            }
            (manifest, directory) => directory.or(manifest),
        })
    }

    /// The values of a ConfigMap.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&Values> {
        self.config_maps.get(&Object::new(namespace, name))
    }

    fn choose(&mut self, namespace: Option<&str>, name: Option<&str>) -> Result<(), ManifestError> {
        if self.resources.is_empty() {
            return Err(ManifestError::NoResource);
        }
        let there: Vec<_> = self.resources.iter().map(object_of).collect();
        self.resources.retain(|resource| {
            let object = object_of(resource);
            namespace.is_none_or(|wanted| *object.namespace == *wanted)
                && name.is_none_or(|wanted| *object.name == *wanted)
        });
        if self.resources.is_empty() {
            return Err(ManifestError::NoneChosen { there });
        }
        Ok(())
    }
}

/// The namespace and name of a resource that was loaded.
pub fn object_of(resource: &DirectorySync) -> Object {
    let metadata = &resource.metadata;
    Object::new(
        metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

struct Loading<'a> {
    namespace: &'a str,
    manifests: Manifests,
    seen: BTreeMap<(&'static str, Object), Place>,
}

impl<'a> Loading<'a> {
    fn new(namespace: &'a str) -> Self {
        Self {
            namespace,
            manifests: Manifests {
                resources: Vec::new(),
                secrets: BTreeMap::new(),
                config_maps: BTreeMap::new(),
                secret_directory: None,
                environment: SourceEnvironment::default(),
                notes: Vec::new(),
            },
            seen: BTreeMap::new(),
        }
    }

    fn take(&mut self, document: &Document) -> Result<(), ManifestError> {
        let needs = |missing| ManifestError::NotAnObject {
            place: document.place.clone(),
            missing,
        };
        let node = &document.node;
        let kind = node.text(&["kind"]).ok_or_else(|| needs("a kind"))?;
        let version = node
            .text(&["apiVersion"])
            .ok_or_else(|| needs("an apiVersion"))?;
        let group = version.split_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            (api::GROUP, "DirectorySync") => {
                let object = self.once("DirectorySync", document)?;
                let resource = resource(document, version, &object)?;
                self.manifests.resources.push(resource);
            }
            ("", "Secret") => {
                let object = self.once("Secret", document)?;
                let values = secrets::values(document)?;
                self.manifests.secrets.insert(object, values);
            }
            ("", "ConfigMap") => {
                let object = self.once("ConfigMap", document)?;
                let values = secrets::values(document)?;
                self.manifests.config_maps.insert(object, values);
            }
            _ => self.manifests.notes.push(format!(
                "{}: {} {} is none of DirectorySync, Secret and ConfigMap, and left aside",
                document.place,
                sanitize(kind),
                sanitize(node.text(&["metadata", "name"]).unwrap_or("without a name")),
            )),
        }
        Ok(())
    }

    /// The document's object, which no document before may have been.
    fn once(&mut self, kind: &'static str, document: &Document) -> Result<Object, ManifestError> {
        let name = document.node.text(&["metadata", "name"]);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(ManifestError::NotAnObject {
                place: document.place.clone(),
                missing: "a metadata.name",
            });
        };
        let namespace = document.node.text(&["metadata", "namespace"]);
        let object = Object::new(namespace.unwrap_or(self.namespace), name);
        let second = document.place.clone();
        match self.seen.insert((kind, object.clone()), second.clone()) {
            None => Ok(object),
            Some(first) => Err(ManifestError::Twice {
                kind,
                object,
                first: first.into(),
                second,
            }),
        }
    }
}

fn resource(
    document: &Document,
    version: &str,
    object: &Object,
) -> Result<DirectorySync, ManifestError> {
    if version.rsplit('/').next() != Some(api::VERSION) {
        return Err(ManifestError::Version {
            place: document.place.clone(),
            found: sanitize(version),
        });
    }
    if let Some(unknown) = unknown_field(&SCHEMA, &document.node) {
        return Err(ManifestError::UnknownField {
            place: document.at(unknown.line),
            field: unknown.path,
            hint: unknown.hint,
        });
    }
    let part = |key| document.node.get(key).map(Node::to_json);
    let invalid = |key: &str, error: DecodeError| ManifestError::Field {
        place: document.at(document.node.line_at(key, error.path())),
        field: match error.path().iter().next() {
            None => key.to_owned(),
            Some(_) => format!("{key}.{}", error.path()),
        },
        message: sanitize(&error.inner().to_string()),
    };
    let spec = part("spec").ok_or_else(|| ManifestError::NotAnObject {
        place: document.place.clone(),
        missing: "a spec",
    })?;
    let metadata = serde_path_to_error::deserialize(part("metadata").unwrap_or_default())
        .map_err(|error| invalid("metadata", error))?;
    let spec = DirectorySyncSpec::decode(spec).map_err(|error| invalid("spec", error))?;
    if let Some(found) = out_of_bounds(&SCHEMA, &document.node) {
        return Err(ManifestError::Field {
            place: document.at(found.line),
            field: found.path,
            message: found.message,
        });
    }
    // What a cluster says about the resource (`status`) has no meaning here.
    Ok(DirectorySync {
        metadata: ObjectMeta {
            namespace: Some(object.namespace.to_string()),
            ..metadata
        },
        spec,
        status: None,
    })
}
