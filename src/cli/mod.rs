//! The commands.
//!
//! ```text
//! args        the command line as it is typed
//! adopt       from the settings of Bitwarden's Directory Connector to manifests
//! request     what it means, checked
//! manifests   what the commands without a cluster work on
//! session     one resource with both its sides, ready to run
//! run         a run of it, with progress and Ctrl-C
//! collections which there are, and which groups have access
//! history     what earlier runs changed
//! undo        takes one of them back
//! healthy     whether such an operator is up
//! limits      what holds for every connection
//! operator    the operator until it is stopped by a signal
//! output      what is printed where
//! files       those that commands keep for themselves
//! confirm     a question that wants a clear yes
//! ```

mod adopt;
pub(crate) mod args;
mod check;
mod collections;
pub(crate) mod confirm;
mod explain;
mod files;
mod healthy;
pub(crate) mod history;
mod limits;
mod manifests;
mod operator;
pub(crate) mod output;
mod plan;
mod progress;
mod records;
mod request;
mod run;
mod session;
mod state;
mod sync;
mod undo;
pub(crate) mod view;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

pub use adopt::AdoptError;
pub use manifests::ManifestError;
pub use output::{complain, explain};
pub use request::InvalidRequest;

use crate::telemetry::{Telemetry, TelemetryError};
pub(crate) use args::question;
use args::{Command, CommandLine};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The flags or environment variables can't be used.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// Logs or traces couldn't be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The manifests couldn't be read.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// The connector's settings couldn't be taken over.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// Nobody can be asked.
    #[error(
        "there is no terminal to confirm the changes on: look at them with plan, then add --yes"
    )]
    Unconfirmed,
    /// A form for programs, and a question for people.
    #[error("with -o json nobody is asked: add --dry-run to look at it, or --yes to have it done")]
    JsonUnconfirmed,
    /// The way to the cluster.
    #[error(
        "no cluster to work in: run in a pod, or name one by KUBECONFIG (without a cluster there are \
         plan and sync)"
    )]
    NoCluster(#[source] kube::Error),
    /// The operator ended by itself.
    #[error(transparent)]
    Operator(#[from] crate::controller::OperatorError),
    /// The system gives no thread or no way to wait for sockets.
    #[error("can't wait for input and output")]
    Runtime(#[source] std::io::Error),
    /// Standard output couldn't be written.
    #[error("can't write to standard output")]
    Output(#[from] std::io::Error),
}

/// Reads the command line and does what it asks for.
///
/// # Errors
/// What kept the command from its work; it is for the caller to print.
pub fn run() -> Result<ExitCode, CliError> {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(help_or_error) => {
            output::usage(&help_or_error)?;
            // 2, which clap would end with, means that changes are pending.
            return Ok(ExitCode::from(u8::from(help_or_error.use_stderr())));
        }
    };
    let mut runtime = match line.command {
        Command::Operator(_) => Builder::new_multi_thread(),
        // It does one thing after the other. Beside a thread that waits for sockets it would be woken for each
        // piece that comes.
        _ => Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build().map_err(CliError::Runtime)?;
    let ended = runtime.block_on(execute(line));
    // What still computes has no say in when the process ends.
    runtime.shutdown_background();
    ended
}

async fn execute(line: CommandLine) -> Result<ExitCode, CliError> {
    let telemetry = Telemetry::start(&request::logs(&line)?)?;
    let result = dispatch(line.command).await;
    telemetry.shutdown().await;
    result
}

async fn dispatch(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Crds => {
            output::print(&crate::api::crd::crds())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Adopt(args) => adopt::adopt(&args).await,
        Command::Check(args) => check::check(&args).await,
        Command::Collections(args) => collections::collections(&args).await,
        Command::Plan(args) => plan::plan(&args).await,
        Command::Explain(args) => explain::explain(&args).await,
        Command::Sync(args) => sync::sync(&args).await,
        Command::History(args) => history::history(&args).await,
        Command::Undo(args) => undo::undo(&args).await,
        Command::Healthy(args) => healthy::healthy(args).await,
        Command::Operator(args) => operator::operator(args).await,
    }
}
