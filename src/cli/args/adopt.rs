use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::source::VendorUrl;

use super::{
    ManifestArgs, ProgressArgs, StateArgs, UndoArgs, UndoChoiceArgs, UndoOutput, VendorUrlArgs,
};

/// What is taken over from Bitwarden's Directory Connector, and where it is written.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// The connector's data.json, or its folder [default: its own]
    #[arg(long, value_name = "FILE|DIR")]
    pub from: Option<PathBuf>,
    /// The organization, by id, where the file has several
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
    /// The folder to write to; no file in it is replaced [default: ./NAME]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The name of the resource
    #[arg(long, default_value = "bitwarden", value_parser = object_name)]
    pub name: String,
    /// The namespace of what is written [default: none is written]
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// The form of Secrets: files, external-secrets, sops
    #[arg(
        long,
        value_enum,
        default_value_t = SecretsForm::Files,
        hide_possible_values = true,
        value_name = "FORM"
    )]
    pub secrets: SecretsForm,
    /// The SecretStore of external-secrets
    #[arg(long, value_name = "NAME")]
    pub secret_store: Option<String>,
    /// Take a secret of the keychain from a variable: organization=VARIABLE or directory=VARIABLE;
    /// BW_CLIENTSECRET is taken without
    #[arg(long, value_name = "OF=VARIABLE", value_parser = secret_env)]
    pub secret_env: Vec<(String, String)>,
    /// Keep DNs as external IDs (LDAP) instead of taking entryUUID
    #[arg(long)]
    pub keep_ids: bool,
    /// Sync people although the connector syncs groups only
    #[arg(long)]
    pub with_users: bool,
    /// Take over groups that were made by hand, by their names (groups.adopt)
    #[arg(long)]
    pub adopt_groups: bool,
    /// Write nothing; read the directory that these manifests name, and say whom and what the connector would
    /// make of it beside what they make
    #[arg(long, value_name = "FILE|DIR")]
    pub compare: Option<PathBuf>,
    /// With --compare: name everybody who differs, and not the first 20 alone
    #[arg(long, requires = "compare")]
    pub all: bool,
    /// The way back: write nothing; give members and groups the external IDs from before any sync of these
    /// manifests
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["compare", "from", "out"])]
    pub undo: Option<PathBuf>,
    /// With --undo: show it and change nothing
    #[arg(long, requires = "undo", conflicts_with = "yes")]
    pub dry_run: bool,
    /// With --undo: don't show it and ask first
    #[arg(short, long, requires = "undo")]
    pub yes: bool,
    /// Leave out a setting that can't be taken over, such as sync.groupFilter
    #[arg(long, value_name = "SETTING")]
    pub ignore: Vec<String>,
    /// As for plan
    #[arg(
        long,
        hide = true,
        value_name = "NAME=URL",
        value_delimiter = ',',
        env = "DIRECTORY_SYNC_VENDOR_URLS"
    )]
    pub vendor_urls: Vec<VendorUrl>,
    /// As for sync
    #[arg(
        long,
        hide = true,
        value_name = "DIR",
        env = "DIRECTORY_SYNC_STATE_DIR"
    )]
    pub state_dir: Option<PathBuf>,
}

impl AdoptArgs {
    /// The manifests whose syncs `--undo` takes back, and how.
    pub fn undo(&self) -> Option<UndoArgs> {
        let manifests = self.manifests(self.undo.as_deref()?);
        Some(UndoArgs {
            choice: UndoChoiceArgs {
                run: None,
                last: false,
                adoption: true,
                person: None,
                group: None,
            },
            manifests,
            approve: None,
            dry_run: self.dry_run,
            yes: self.yes,
            output: UndoOutput::Table,
            state: StateArgs {
                state_dir: self.state_dir.clone(),
            },
            progress: ProgressArgs { quiet: false },
        })
    }

    /// Manifests to be read, not written.
    pub fn manifests(&self, path: &Path) -> ManifestArgs {
        ManifestArgs {
            vendors: VendorUrlArgs {
                vendor_urls: self.vendor_urls.clone(),
            },
            ..ManifestArgs::of(path)
        }
    }
}

/// How Secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretsForm {
    Files,
    ExternalSecrets,
    Sops,
}

fn object_name(text: &str) -> Result<String, &'static str> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let (first, last) = (text.bytes().next(), text.bytes().last());
    // With what is appended for Secrets it is still a name.
    match text.len() <= 200 && text.bytes().all(fits) && ends(first) && ends(last) {
        true => Ok(text.to_owned()),
        false => Err("write a name of small letters, digits and - such as staff"),
    }
}

fn secret_env(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((of @ ("organization" | "directory"), variable)) if !variable.is_empty() => {
            Ok((of.to_owned(), variable.to_owned()))
        }
        _ => Err("write organization=VARIABLE or directory=VARIABLE"),
    }
}
