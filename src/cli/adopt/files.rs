//! Writes the manifests. No file is replaced, and Secrets are readable by their owner alone.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::AdoptError;
use super::translate::{Data, Translation};
use crate::api::DirectorySync;
use crate::cli::args::SecretsForm;

/// How often External Secrets reads a value again.
const REFRESH: &str = "1h";

/// A file to write.
#[derive(Debug)]
pub struct File {
    pub name: &'static str,
    pub text: String,
    /// What is in it, for the person who runs the command.
    pub what: &'static str,
    secret: bool,
}

impl File {
    pub fn open(name: &'static str, text: String, what: &'static str) -> Self {
        Self {
            name,
            text,
            what,
            secret: false,
        }
    }
}

/// The resource as a manifest.
///
/// # Errors
/// When it can't be written as YAML.
pub fn resource(resource: &DirectorySync) -> Result<File, AdoptError> {
    let text = serde_saphyr::to_string(resource).map_err(yaml)?;
    Ok(File::open(
        "directorysync.yaml",
        text,
        "the resource, in Preview: it changes nothing",
    ))
}

/// The Secrets in this form, and the ConfigMaps.
///
/// # Errors
/// When they can't be written as YAML.
pub fn data(
    translation: &Translation,
    namespace: Option<&str>,
    form: SecretsForm,
    store: &str,
) -> Result<Vec<File>, AdoptError> {
    let mut files = vec![];
    let secrets: Result<Vec<String>, AdoptError> = translation
        .secrets
        .iter()
        .map(|secret| match form {
            SecretsForm::Files | SecretsForm::Sops => plain(secret, "Secret", namespace),
            SecretsForm::ExternalSecrets => external(secret, namespace, store),
        })
        .collect();
    let text = secrets?.join("---\n");
    files.push(match form {
        SecretsForm::Files => File {
            name: "secrets.yaml",
            text,
            what: "its Secrets; readable by you alone, and not for Git",
            secret: true,
        },
        SecretsForm::Sops => File {
            name: "secrets.sops.yaml",
            text,
            what: "its Secrets, not encrypted yet: sops --encrypt --in-place",
            secret: true,
        },
        SecretsForm::ExternalSecrets => File::open(
            "external-secrets.yaml",
            text,
            "where External Secrets finds the values: put them into the store",
        ),
    });
    if !translation.config_maps.is_empty() {
        let maps = translation.config_maps.iter();
        let maps: Result<Vec<String>, AdoptError> =
            maps.map(|map| plain(map, "ConfigMap", namespace)).collect();
        let text = maps?.join("---\n");
        files.push(File::open("configmaps.yaml", text, "the CA's certificates"));
    }
    Ok(files)
}

fn yaml(error: serde_saphyr::ser::Error) -> AdoptError {
    AdoptError::Yaml(error.to_string())
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    }
}

fn plain(data: &Data, kind: &str, namespace: Option<&str>) -> Result<String, AdoptError> {
    let there = data.entries.iter();
    let there = there.filter_map(|(key, value)| Some(((*key).to_owned(), json!(value.as_ref()?))));
    let values: serde_json::Map<String, Value> = there.collect();
    let field = if kind == "Secret" {
        "stringData"
    } else {
        "data"
    };
    let mut manifest = json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": metadata(&data.name, namespace),
        field: values,
    });
    if let Some(kind) = data.kind {
        manifest["type"] = json!(kind);
    }
    let mut text = String::new();
    for (key, _) in data.entries.iter().filter(|(_, value)| value.is_none()) {
        text.push_str(&format!("# missing: {field}.{key}\n"));
    }
    text.push_str(&serde_saphyr::to_string(&manifest).map_err(yaml)?);
    Ok(text)
}

fn external(secret: &Data, namespace: Option<&str>, store: &str) -> Result<String, AdoptError> {
    let entries = secret.entries.iter().map(
        |(key, _)| json!({"secretKey": key, "remoteRef": {"key": secret.name, "property": key}}),
    );
    let mut target = json!({"name": secret.name, "creationPolicy": "Owner"});
    if let Some(kind) = secret.kind {
        target["template"] = json!({"type": kind});
    }
    let manifest = json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": metadata(&secret.name, namespace),
        "spec": {
            "refreshInterval": REFRESH,
            "secretStoreRef": {"kind": "SecretStore", "name": store},
            "target": target,
            "data": entries.collect::<Vec<_>>(),
        },
    });
    serde_saphyr::to_string(&manifest).map_err(yaml)
}

/// Writes all files into the folder, or none where one of them is there already.
///
/// # Errors
/// When one is there, or can't be written.
pub fn write(folder: &Path, files: &[File]) -> Result<(), AdoptError> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |error| AdoptError::Io { doing, path, error }
    };
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file.name)).collect();
    if let Some(there) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(AdoptError::Exists(there.clone()));
    }
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io("create", folder))?;
    for (file, path) in files.iter().zip(&paths) {
        let mode = if file.secret { 0o600 } else { 0o644 };
        let mut opened = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .map_err(io("create", path))?;
        opened
            .write_all(file.text.as_bytes())
            .map_err(io("write", path))?;
    }
    Ok(())
}
