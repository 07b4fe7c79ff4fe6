use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{ManifestArgs, StateArgs};
use crate::history::since;
use crate::sync::history::Selection;

#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub manifests: ManifestArgs,
    #[command(flatten)]
    pub select: HistorySelectArgs,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Which records are shown, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct HistorySelectArgs {
    /// Only about this person: an external id, a member's id, or an email or a part of it
    #[arg(long, value_name = "PERSON", value_parser = super::some_text)]
    pub person: Option<String>,
    /// Only about this group: an external id, a group's id, or a name or a part of it
    #[arg(long, value_name = "GROUP", value_parser = super::some_text)]
    pub group: Option<String>,
    /// Only this run; the first digits of its id are enough
    #[arg(long, value_name = "RUN", value_parser = super::some_text)]
    pub run: Option<String>,
    /// Nothing older: a time such as 7d or 12h, or a date such as 2026-11-29
    #[arg(long, value_name = "TIME", value_parser = not_older, allow_hyphen_values = true)]
    pub since: Option<Timestamp>,
    /// Don't shorten lists of people on a terminal
    #[arg(long)]
    pub all: bool,
    /// table or json
    #[arg(short, long, value_enum, default_value_t = HistoryOutput::Table, value_name = "FORM", hide_possible_values = true)]
    pub output: HistoryOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryOutput {
    Table,
    Json,
}

fn not_older(text: &str) -> Result<Timestamp, String> {
    since(text, Timestamp::now())
}

impl HistorySelectArgs {
    /// The records that are asked for.
    pub fn selection(&self, directory_sync: Option<String>) -> Selection {
        Selection {
            person: self.person.clone(),
            group: self.group.clone(),
            run: self.run.clone(),
            since: self.since,
            directory_sync,
        }
    }
}
