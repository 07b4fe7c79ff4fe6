use clap::{Args, ValueEnum};

use super::{ManifestArgs, OPTIONS, ProgressArgs, StateArgs, digest, some_text};
use crate::sync::guard::Digest;
use crate::sync::run_undo::UndoRequest;
use crate::sync::undo::{RunChoice, Scope};

#[derive(Debug, Args)]
pub struct UndoArgs {
    #[command(flatten)]
    pub choice: UndoChoiceArgs,
    #[command(flatten)]
    pub manifests: ManifestArgs,
    /// Let what is held under this digest go ahead, too
    #[arg(help_heading = OPTIONS, long, value_name = "DIGEST", value_parser = digest)]
    pub approve: Option<Digest>,
    /// Show it and change nothing
    #[arg(help_heading = OPTIONS, long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Don't show it and ask first
    #[arg(help_heading = OPTIONS, short, long)]
    pub yes: bool,
    /// table or json; json needs --dry-run or --yes
    #[arg(help_heading = OPTIONS, short, long, value_enum, default_value_t = UndoOutput::Table, value_name = "FORM", hide_possible_values = true)]
    pub output: UndoOutput,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// What is taken back.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options")]
#[command(group = clap::ArgGroup::new("which_run").args(["run", "last", "adoption"]).required(true).multiple(false))]
pub struct UndoChoiceArgs {
    /// The run, as history shows it; the first digits of its ID are enough
    #[arg(help_heading = None::<&str>, value_name = "RUN", value_parser = some_text)]
    pub run: Option<String>,
    /// The newest run that changed something
    #[arg(long)]
    pub last: bool,
    /// Give back the external IDs from before any sync
    #[arg(long = "former")]
    pub adoption: bool,
    /// Only what it did to this person: an email, an external id, or a member's id
    #[arg(long, value_name = "PERSON", value_parser = some_text)]
    pub person: Option<String>,
    /// Only what it did to this group: a name, an external id, or a group's id
    #[arg(long, value_name = "GROUP", value_parser = some_text, conflicts_with = "person")]
    pub group: Option<String>,
}

/// The form of an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UndoOutput {
    Table,
    Json,
}

impl UndoChoiceArgs {
    /// What is asked for.
    pub fn request(&self) -> UndoRequest {
        UndoRequest {
            run: match &self.run {
                _ if self.adoption => RunChoice::Adoption,
                Some(run) => RunChoice::Id(run.clone()),
                None => RunChoice::Last,
            },
            scope: Scope {
                person: self.person.clone(),
                group: self.group.clone(),
            },
        }
    }
}
