//! The command line as it is typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

use crate::cli::args::{HistorySelectArgs, UndoChoiceArgs, UndoOutput, ViewArgs, digest, length};
use crate::sync::explain::Question;
use crate::sync::guard::Digest;
use crate::telemetry::VERSION;

/// Inspect and operate DirectorySync resources.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-directorysync",
    bin_name = "kubectl directorysync",
    version = VERSION.as_str(),
    after_help = PROGRAM,
    max_term_width = 80,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// How resources stand: a table, or with one name all about it
    #[command(after_help = STATUS, visible_alias = "get")]
    Status(StatusArgs),
    /// The plan that the operator published: what its last run changed, would change, or holds
    #[command(after_help = PLAN)]
    Plan(PlanArgs),
    /// Ask why one person or group is, or isn't, in the organization
    #[command(after_help = EXPLAIN)]
    Explain(ExplainArgs),
    /// What the operator changed, why, on whose word, and what came of it
    #[command(after_help = HISTORY)]
    History(HistoryArgs),
    /// Take back what a run did, as far as nobody has changed it since, once it has been shown
    #[command(
        after_help = UNDO,
        override_usage = "kubectl directorysync undo [OPTIONS] <NAME> <RUN|--last|--former>"
    )]
    Undo(UndoArgs),
    /// Ask for a run now
    #[command(after_help = SYNC)]
    Sync(SyncArgs),
    /// Let held changes go ahead, once they have been shown
    #[command(after_help = APPROVE)]
    Approve(ApproveArgs),
    /// Stop all work, also a run under way
    #[command(after_help = SUSPEND)]
    Suspend(SuspendArgs),
    /// Go on after suspend
    Resume(SuspendArgs),
    /// What the operator logged about a resource
    #[command(after_help = LOGS)]
    Logs(LogsArgs),
    /// Serve a web page on this machine: resources, plans, and what can be done with them
    #[command(after_help = UI)]
    Ui(UiArgs),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ConnectionArgs {
    /// The resources' namespace [default: the context's]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The kubeconfig's context [default: its current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig [default: $KUBECONFIG, ~/.kube/config, or in a pod its service account]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Another cluster of the kubeconfig than the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,
    /// Another user of the kubeconfig than the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,
    /// Act as this user
    #[arg(
        long = "as",
        global = true,
        value_name = "USER",
        hide_short_help = true
    )]
    pub act_as: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        requires = "act_as",
        hide_short_help = true
    )]
    pub act_as_groups: Vec<String>,
}

/// Which resources.
#[derive(Debug, Clone, Args)]
pub struct SelectArgs {
    /// The resources' names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Resources with these labels, such as team=identity
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "names")]
    pub selector: Option<String>,
    /// In every namespace
    #[arg(short = 'A', long, conflicts_with_all = ["names", "namespace"])]
    pub all_namespaces: bool,
}

/// Which resources are to be changed.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("which").args(["names", "selector", "all"]).required(true).multiple(false))]
pub struct ChangeArgs {
    #[command(flatten)]
    pub these: SelectArgs,
    /// Every resource of the namespace, or with -A of the cluster
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub select: SelectArgs,
    /// wide (with reason, groups, problems and message), json, yaml or name
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORM",
        hide_possible_values = true
    )]
    pub output: Option<StatusOutput>,
    /// Leave the table's head out
    #[arg(long)]
    pub no_headers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusOutput {
    Wide,
    Json,
    Yaml,
    Name,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The resource's name
    pub name: String,
    #[command(flatten)]
    pub view: ViewArgs,
    /// Not the latest plan, but the last one before it of which something was made
    #[arg(long, conflicts_with = "refresh")]
    pub previous: bool,
    /// Have the operator plan anew first; only with `mode: Preview`, where a run changes nothing
    #[arg(long)]
    pub refresh: bool,
    /// How long to wait for that
    #[arg(long, value_name = "TIME", value_parser = length, allow_hyphen_values = true, default_value = "10m")]
    pub timeout: SignedDuration,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The resource's name
    pub name: String,
    /// An address, an ID, a DN or the name of a group
    #[arg(value_name = "WHOM", value_parser = crate::cli::question)]
    pub question: Question,
    /// text or json
    #[arg(short, long, value_enum, default_value_t = ExplainOutput::Text, value_name = "FORM", hide_possible_values = true)]
    pub output: ExplainOutput,
    /// How long to wait for the answer
    #[arg(long, value_name = "TIME", value_parser = length, allow_hyphen_values = true, default_value = "10m")]
    pub timeout: SignedDuration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainOutput {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The resource's name
    pub name: String,
    #[command(flatten)]
    pub select: HistorySelectArgs,
}

#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The resource's name
    pub name: String,
    #[command(flatten)]
    pub choice: UndoChoiceArgs,
    /// Let what is held under this digest go ahead, too; undo prints the digest
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub approve: Option<Digest>,
    /// Show it and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
    /// table or json; json needs --dry-run or --yes
    #[arg(short, long, value_enum, default_value_t = UndoOutput::Table, value_name = "FORM", hide_possible_values = true)]
    pub output: UndoOutput,
    /// How long to wait for the operator, each time
    #[arg(long, value_name = "TIME", value_parser = length, allow_hyphen_values = true, default_value = "10m")]
    pub timeout: SignedDuration,
}

#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    pub select: ChangeArgs,
    #[command(flatten)]
    pub wait: WaitArgs,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Wait until it is done, and show how far it is
    #[arg(short, long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = length, allow_hyphen_values = true, default_value = "10m", requires = "wait")]
    pub timeout: SignedDuration,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The resource's name
    pub name: String,
    /// Only if this digest identifies what is held
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub wait: WaitArgs,
}

#[derive(Debug, Args)]
pub struct SuspendArgs {
    #[command(flatten)]
    pub select: ChangeArgs,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The resource's name
    pub name: String,
    /// Go on with what is logged from now on
    #[arg(short, long)]
    pub follow: bool,
    /// Only what is at most so old, such as 30m
    #[arg(long, value_name = "TIME", value_parser = length, allow_hyphen_values = true)]
    pub since: Option<SignedDuration>,
    /// Only the last N lines about the resource
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    pub tail: Option<usize>,
    /// text, or json as it was logged
    #[arg(short, long, value_enum, default_value_t = LogsOutput::Text, value_name = "FORM", hide_possible_values = true)]
    pub output: LogsOutput,
    /// The operator's namespace [default: wherever its pods are]
    #[arg(long, value_name = "NAME")]
    pub operator_namespace: Option<String>,
    /// The labels of the operator's pods
    #[arg(
        long,
        value_name = "LABELS",
        default_value = "app.kubernetes.io/name=directory-sync-operator",
        hide_default_value = true
    )]
    pub operator_selector: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogsOutput {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct UiArgs {
    /// The port on 127.0.0.1 [default: a free one]
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub port: u16,
    /// Print the link, and open no browser
    #[arg(long)]
    pub no_browser: bool,
}

const PROGRAM: &str = "\
Examples:
  kubectl directorysync status -A           how do all resources stand?
  kubectl directorysync status staff        and this one?
  kubectl directorysync sync staff --wait   sync now, and tell how it went
  kubectl directorysync explain staff ann@example.com
                                            why is she a member, or not?
  kubectl directorysync approve staff       let held changes go ahead

Needs the right to get and list directorysyncs; patch, to change them; get on
configmaps, for plans and histories; list on pods and get on pods/log in the
operator's namespace, for logs.";

const STATUS: &str = "\
Examples:
  kubectl directorysync status
  kubectl directorysync status -A -l team=identity -o wide
  kubectl directorysync status staff
  kubectl directorysync status -A -o name";

const PLAN: &str = "\
The plan is that of the last run that had anything to do, as the operator left
it in the ConfigMap or Secret <name>-plan (spec.planStorage). What a run would
change now, without any being made, is shown
- with mode: Preview by plan --refresh
- else by kubectl get dsync,secret,configmap -n NAMESPACE -o yaml |
            directory-sync plan -f -

Examples:
  kubectl directorysync plan staff
  kubectl directorysync plan staff --person ada@example.com
  kubectl directorysync plan staff --action Revoke,Remove --all
  kubectl directorysync plan staff -o html > plan.html
  kubectl directorysync plan staff -o json | jq '.held[].email'";

const EXPLAIN: &str = "\
The operator reads both sides, plans as a run does, and changes nothing; so it
also answers while the resource is suspended or changes are held. It takes as
long as reading both sides does.

Examples:
  kubectl directorysync explain staff ann@example.com
  kubectl directorysync explain staff Engineering -o json

Exit codes:
  0  explained
  1  there is no answer; the reason is on stderr
  4  neither side has it";

const HISTORY: &str = "\
The records are those that the operator keeps in the ConfigMap or Secret
<name>-history (spec.planStorage), the newest first; the oldest go when it is
full. Its log has all of them.

Examples:
  kubectl directorysync history staff --since 7d
  kubectl directorysync history staff --person ann@example.com
  kubectl directorysync history staff -o json |
    jq '.[] | select(.action == \"Revoke\")'";

const UNDO: &str = "\
The operator works out what takes the run back and shows it; done is exactly
what was shown and confirmed. Only what is still as the run left it is taken
back; the rest is named. Whoever is invited again has to accept. Limits hold
what an undo takes away, as they do for a sync.

Examples:
  kubectl directorysync undo staff 52dd86bade
  kubectl directorysync undo staff --last --dry-run
  kubectl directorysync undo staff 52dd86 --person ann@example.com

Exit codes:
  0  done, or nothing was left to take back
  1  something failed, or it wasn't confirmed; the reason is on stderr
  3  done, except for changes that are held until they are approved";

const SYNC: &str = "\
Examples:
  kubectl directorysync sync staff
  kubectl directorysync sync staff --wait --timeout 30m
  kubectl directorysync sync --all -A

Exit codes:
  0  asked for; with --wait: done, the organization is in sync
  1  something failed; the reason is on stderr
  3  with --wait: done, except for changes that wait for approval";

const APPROVE: &str = "\
Approved is exactly what is shown: what changes in the meantime is held again.
Where not all of it can be shown (the plan can't be read), --digest says that it
was looked at elsewhere.

Examples:
  kubectl directorysync approve staff
  kubectl directorysync approve staff --yes --wait \\
    --digest 3f1c9a0b62d47e5588a1f0c4d9e27b16

Exit codes: as of sync";

const SUSPEND: &str = "\
Where Git or Helm owns the resource, it may turn this back: change spec.suspend
there, too.

Examples:
  kubectl directorysync suspend staff
  kubectl directorysync suspend --all -A          stop everything";

const LOGS: &str = "\
Examples:
  kubectl directorysync logs staff --since 1h
  kubectl directorysync logs staff -f --operator-namespace directory-sync";

const UI: &str = "\
The page has the rights of your kubeconfig. It is served to this machine alone,
and the link lets in one browser, once. It shows all namespaces, with -n NAME
one.

On a machine with other users, add --no-browser: they could read the link where
it is handed to the browser.

Examples:
  kubectl directorysync ui
  kubectl directorysync ui -n identity --no-browser";
