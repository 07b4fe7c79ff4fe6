//! `adopt`: from Bitwarden's Directory Connector to a DirectorySync.
//!
//! ```text
//! read        the connector's file, in each form that its versions gave it
//! settings    settings by name; none is passed over silently
//! filter      the language of its filters
//! translate   what each setting is here
//! compare     whom the connector would have made members, beside whom the resource makes
//! page        what is different in meaning, for people
//! files       the manifests
//! ```

mod compare;
mod files;
mod filter;
mod page;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod translate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::CliError;
use super::args::{AdoptArgs, SecretsForm};
use super::output::{note, print};
use crate::api::DirectorySync;
use crate::api::spec::DirectorySyncSpec;
use crate::checks::InvalidSpec;
use crate::validation::ValidatedSpec;
use files::File;
use translate::{Choices, Translation, translate};

/// Why the connector's settings can't be taken over. No error holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// No file is named, and the connector's folder isn't known.
    #[error(
        "the connector's settings weren't found: name its file with --from. It is data.json in the folder \
         Bitwarden Directory Connector: below ~/.config (Linux), ~/Library/Application Support (macOS) or \
         %AppData% (Windows), or where BITWARDENCLI_CONNECTOR_APPDATA_DIR says"
    )]
    NotFound,
    /// A file or folder.
    #[error("can't {doing} {path}: {error}")]
    Io {
        /// What was tried, such as "read".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file isn't JSON.
    #[error(
        "{path} is damaged: it isn't JSON from line {line}, column {column} on; open and save the settings in \
         the connector, or take a copy of the file from a backup"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it stops being JSON.
        line: usize,
        /// The character in the line.
        column: usize,
    },
    /// The file's bytes are no text.
    #[error("{0} is no text (UTF-8 or UTF-16): copy the file anew from the connector's machine")]
    NoText(PathBuf),
    /// Another JSON file.
    #[error(
        "{0} isn't the connector's data.json, or of a version that keeps its settings in another way: it has \
         neither directoryType nor settings of a directory"
    )]
    NotSettings(PathBuf),
    /// No directory was chosen.
    #[error(
        "{0} doesn't say which kind of directory is synced (directoryType): choose one in the connector"
    )]
    NoKind(PathBuf),
    /// A kind of a newer version, say.
    #[error(
        "{path} syncs a kind of directory that this version doesn't know (directoryType {number}): write the \
         resource by hand, or update directory-sync"
    )]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What it says.
        number: u64,
    },
    /// A directory without settings.
    #[error(
        "{path} says that {kind} is synced, and has no settings for it: enter them in the connector"
    )]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// The kind of directory.
        kind: &'static str,
    },
    /// It isn't clear which organization is meant.
    #[error("the file has several organizations: choose one with --organization: {}", .0.join(", "))]
    SeveralOrganizations(Vec<String>),
    /// There is no such organization.
    #[error("the file has no organization {wanted}: there is {}", .there.join(", "))]
    NoSuchOrganization {
        /// What was asked for.
        wanted: String,
        /// What is there.
        there: Vec<String>,
    },
    /// Settings that have no exact counterpart.
    #[error("these settings can't be taken over as they are:\n  - {}", .0.join("\n  - "))]
    Refused(Vec<String>),
    /// What was translated isn't valid.
    #[error("the connector's settings make no valid resource: {0}; correct them in the connector")]
    Invalid(#[from] InvalidSpec),
    /// What was translated doesn't fit.
    #[error("the connector's settings make no resource: {0}")]
    Unfit(#[source] serde_json::Error),
    /// YAML can't be written.
    #[error("can't write YAML: {0}")]
    Yaml(String),
    /// Nothing is replaced.
    #[error(
        "{0} is there already, and nothing was written: choose another folder with --out, or remove it"
    )]
    Exists(PathBuf),
    /// The manifests are about another kind of directory.
    #[error(
        "{path} syncs {kind}, and {object} reads another kind of directory: name the file that the resource was \
         made of"
    )]
    OtherDirectory {
        /// The connector's file.
        path: PathBuf,
        /// The kind of directory that the connector syncs.
        kind: &'static str,
        /// The resource.
        object: String,
    },
    /// The directory couldn't be read, or compared.
    #[error("nothing can be compared: {0}")]
    Compare(String),
    /// `--secret-env` names no variable that is set.
    #[error("--secret-env {0}: the environment has no such variable")]
    NoVariable(String),
    /// External Secrets without a store.
    #[error("--secrets external-secrets needs the name of the store: add --secret-store NAME")]
    NoStore,
}

/// Reads the connector's settings and writes manifests and a page.
///
/// With `--compare` and `--undo` nothing is written.
pub async fn adopt(args: &AdoptArgs) -> Result<ExitCode, CliError> {
    if let Some(undo) = args.undo() {
        return super::undo::undo(&undo).await;
    }
    if args.secrets == SecretsForm::ExternalSecrets && args.secret_store.is_none() {
        return Err(AdoptError::NoStore.into());
    }
    let path = read::locate(args.from.as_deref())?;
    let connector = read::read(&path, args.organization.as_deref())?;
    if let Some(manifests) = &args.compare {
        let manifests = args.manifests(manifests);
        print(&compare::compare(&connector, &manifests, args.all).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let made = make(&connector, &choices(args)?, args)?;
    let folder = folder(args);
    files::write(&folder, &made.files)?;
    print(&summary(&connector, &made.files, &folder))?;
    let mut notes: Vec<String> = made
        .gaps
        .iter()
        .map(|gap| format!("missing: {gap}"))
        .collect();
    if !notes.is_empty() {
        notes.push(fill_in(args.secrets, &folder));
    }
    note(&notes);
    Ok(ExitCode::SUCCESS)
}

/// Where what is missing goes.
fn fill_in(form: SecretsForm, folder: &Path) -> String {
    let folder = folder.display();
    match form {
        SecretsForm::Files => format!("write what is missing into {folder}"),
        SecretsForm::Sops => format!("write what is missing into {folder} before you encrypt it"),
        SecretsForm::ExternalSecrets => "put what is missing into the store".to_owned(),
    }
}

/// What is written.
struct Made {
    files: Vec<File>,
    /// What has to be filled in.
    gaps: Vec<String>,
}

fn make(
    connector: &read::Connector,
    choices: &Choices,
    args: &AdoptArgs,
) -> Result<Made, AdoptError> {
    let translation = translate(connector, choices).map_err(AdoptError::Refused)?;
    let resource = resource(&translation, args)?;
    let mut all = vec![files::resource(&resource)?];
    let store = args.secret_store.as_deref().unwrap_or_default();
    let namespace = args.namespace.as_deref();
    all.extend(files::data(&translation, namespace, args.secrets, store)?);
    let shown = folder(args).display().to_string();
    all.push(File::open(
        "adopt.md",
        page::page(connector, &translation, &args.name, &shown),
        "what is different, setting by setting",
    ));
    Ok(Made {
        files: all,
        gaps: translation.gaps,
    })
}

fn folder(args: &AdoptArgs) -> PathBuf {
    match &args.out {
        Some(folder) => folder.clone(),
        None => PathBuf::from(&args.name),
    }
}

fn choices(args: &AdoptArgs) -> Result<Choices, AdoptError> {
    let mut secrets = BTreeMap::new();
    // The names that the connector has for them.
    for (of, variable) in [
        ("organization-id", "BW_CLIENTID"),
        ("organization", "BW_CLIENTSECRET"),
    ] {
        if let Ok(value) = std::env::var(variable)
            && !value.is_empty()
        {
            secrets.insert(of.to_owned(), value);
        }
    }
    for (of, variable) in &args.secret_env {
        let value = std::env::var(variable);
        let value = value.map_err(|_| AdoptError::NoVariable(format!("{of}={variable}")))?;
        secrets.insert(of.clone(), value);
    }
    Ok(Choices {
        name: args.name.clone(),
        keep_ids: args.keep_ids,
        with_users: args.with_users,
        adopt_groups: args.adopt_groups,
        ignored: args.ignore.clone(),
        secrets,
    })
}

/// The resource, checked as it will be when it is applied.
fn resource(translation: &Translation, args: &AdoptArgs) -> Result<DirectorySync, AdoptError> {
    let spec: DirectorySyncSpec =
        serde_json::from_value(translation.spec.clone()).map_err(AdoptError::Unfit)?;
    ValidatedSpec::from_spec(&spec)?;
    let mut resource = DirectorySync::new(&args.name, spec);
    resource.metadata.namespace.clone_from(&args.namespace);
    Ok(resource)
}

fn summary(connector: &read::Connector, files: &[File], folder: &Path) -> String {
    let paths: Vec<String> = files
        .iter()
        .map(|file| folder.join(file.name).display().to_string())
        .collect();
    let widest = paths.iter().map(String::len).max().unwrap_or_default();
    let mut text = format!(
        "{} from {}\n\n",
        connector.kind.describe(),
        connector.path.display()
    );
    for (file, path) in files.iter().zip(&paths) {
        text.push_str(&format!("{path:widest$}  {}\n", file.what));
    }
    let folder = folder.display();
    text.push_str(&format!(
        "\nnext: directory-sync plan -f {folder}   and kubectl apply -f {folder}\n"
    ));
    text
}
