//! The command line as it is typed. What it means is checked by [`super::request`].

mod adopt;
mod collections;
mod examples;
mod healthy;
mod history;
mod manifests;
mod operator;
mod state;
mod undo;
mod vendor_urls;
mod view;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

pub use adopt::{AdoptArgs, SecretsForm};
pub use collections::{CollectionsArgs, CollectionsOutput, ExternalIdArg};
pub use healthy::HealthyArgs;
pub use history::{HistoryArgs, HistoryOutput, HistorySelectArgs};
pub use manifests::ManifestArgs;
pub use operator::OperatorArgs;
pub use state::StateArgs;
pub use undo::{UndoArgs, UndoChoiceArgs, UndoOutput};
pub use vendor_urls::VendorUrlArgs;
pub use view::{OrderArg, OutputArg, ViewArgs};

use crate::sync::explain::{QUESTION_MAX, Question};
use crate::sync::guard::Digest;
use crate::sync::render::NamePattern;
use crate::telemetry::{LogFilter, VERSION};

/// Where a command's own flags stand, after those it shares with others.
const OPTIONS: &str = "Options";

/// Keeps a Bitwarden organization's members and groups in sync with a company directory.
#[derive(Debug, Parser)]
#[command(
    name = "directory-sync",
    version = VERSION.as_str(),
    after_help = examples::PROGRAM,
    max_term_width = 80,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub logs: LogArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a sync would change, and change nothing
    #[command(after_help = examples::PLAN)]
    Plan(PlanArgs),
    /// Say why one person or group is, or isn't, in the organization, and change nothing
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Bring the organization in sync with the directory, once
    #[command(after_help = examples::SYNC)]
    Sync(SyncArgs),
    /// What earlier syncs changed, why, and what came of it
    #[command(after_help = examples::HISTORY)]
    History(HistoryArgs),
    /// Take back what an earlier sync did, as far as nobody has changed it since
    #[command(after_help = examples::UNDO)]
    Undo(UndoArgs),
    /// Try both sides step by step and say what could be seen and done
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// List collections, what they are called by, and which groups have access
    #[command(after_help = examples::COLLECTIONS)]
    Collections(CollectionsArgs),
    /// Take over the settings of Bitwarden's Directory Connector
    #[command(after_help = examples::ADOPT)]
    Adopt(AdoptArgs),
    /// Run in a cluster: keep every DirectorySync resource in sync
    #[command(after_help = examples::OPERATOR)]
    Operator(OperatorArgs),
    /// Ask whether an operator is up and the cluster serves its resource
    #[command(after_help = examples::HEALTHY)]
    Healthy(HealthyArgs),
    /// Print the CustomResourceDefinition
    #[command(after_help = examples::CRDS)]
    Crds,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub manifests: ManifestArgs,
    #[command(flatten)]
    pub view: ViewArgs,
    /// End with 2 where changes are pending, and with 0 only where there is nothing to do
    #[arg(help_heading = OPTIONS, long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// An address, an ID, a DN or the name of a group
    #[arg(value_name = "WHOM", value_parser = question)]
    pub question: Question,
    #[command(flatten)]
    pub manifests: ManifestArgs,
    /// The form of the answer
    #[arg(
        help_heading = OPTIONS,
        short,
        long, value_enum, default_value_t = ExplainOutput::Text, hide_possible_values = true, value_name = "text|json")]
    pub output: ExplainOutput,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// The form of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainOutput {
    Text,
    Json,
}

/// Whom a person asks about.
pub(crate) fn question(text: &str) -> Result<Question, String> {
    Question::new(text).ok_or_else(|| {
        format!(
            "write an address, an ID, a DN or the name of a group, in at most {QUESTION_MAX} bytes"
        )
    })
}

#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    pub manifests: ManifestArgs,
    /// Let what is held under this digest go ahead, once; `plan` and `sync` print the digest
    #[arg(help_heading = OPTIONS, long, value_name = "DIGEST", value_parser = digest)]
    pub approve: Option<Digest>,
    /// Don't show the changes and ask first
    #[arg(help_heading = OPTIONS, short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// A length of time such as `10m`. What is before now, or no time at all, is never meant.
pub(crate) fn length(text: &str) -> Result<SignedDuration, String> {
    let length = text.trim().parse::<SignedDuration>();
    length
        .ok()
        .filter(|length| !length.is_negative())
        .ok_or_else(|| "write a length of time such as 90s, 10m or 2h".into())
}

/// Some text: an empty one is a variable of a script that isn't set, and would choose everything.
pub(crate) fn some_text(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("is empty: name something, or leave the flag out".into()),
        text => Ok(text.to_owned()),
    }
}

/// As [`some_text`], with `*` for any characters.
pub(crate) fn some_pattern(text: &str) -> Result<NamePattern, String> {
    some_text(text)?
        .parse()
        .map_err(|error: std::convert::Infallible| match error {})
}

/// A digest as it is printed: anything else could never approve what is held.
pub(crate) fn digest(text: &str) -> Result<Digest, &'static str> {
    let text = text.trim().to_lowercase();
    if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(Digest(text))
    } else {
        Err("a digest has 32 hexadecimal digits; copy it from the output of plan")
    }
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub manifests: ManifestArgs,
}

#[derive(Debug, Args)]
pub struct ProgressArgs {
    /// Print no progress
    #[arg(help_heading = OPTIONS, short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// error, warn, info, debug, trace, off, or directives such as info,kube=debug; RUST_LOG is
    /// heeded, too [default: info for the operator, else warn]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "DIRECTORY_SYNC_LOG_LEVEL",
        hide_env_values = true
    )]
    pub log_level: Option<LogFilter>,
    /// The form of log lines on stderr [default: json for the operator, else text]
    #[arg(
        long,
        global = true,
        value_enum,
        hide_possible_values = true,
        value_name = "json|text",
        env = "DIRECTORY_SYNC_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: Option<LogFormatArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    Text,
    Json,
}
