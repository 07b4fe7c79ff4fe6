//! `kubectl directorysync`: what a person does with the resources of a cluster, on the rights of
//! their own kubeconfig.
//!
//! The same binary under another name: called `kubectl-directorysync`, the program is the plugin,
//! and called `kubectl_complete-directorysync` what kubectl asks for completions.
//!
//! ```text
//! args       the command line as it is typed
//! cluster    the kubeconfig's cluster; resources by name, label or namespace
//! resource   one resource, and the state it is in
//! status     the table over resources       detail    one resource on a page
//! plan       shows what the operator planned          published  and left in the cluster
//! explain    asks about one person or group
//! history    shows what the operator changed
//! undo       takes back a run
//! sync       asks for a run                 approve   lets held changes go ahead
//! wait       until what was asked for is done
//! suspend    and resume
//! logs       the operator's log lines about a resource
//! ui         all of it as a web page on this machine
//! completion what fits at the end of the line
//! usage      what is wrong with a command line
//! ```

mod approve;
mod args;
mod asking;
mod cluster;
mod companion;
mod completion;
mod detail;
mod error;
mod explain;
mod history;
mod logs;
mod plan;
mod published;
mod resource;
mod status;
mod suspend;
mod sync;
mod table;
mod time;
mod ui;
mod undo;
mod usage;
mod wait;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

pub use error::PluginError;

use crate::cli::output;
use args::{Command, CommandLine};
use cluster::Cluster;

/// The file's name by which the program is the plugin.
const PLUGIN: &str = "kubectl-directorysync";
/// The file's name by which kubectl asks for completions.
const COMPLETER: &str = "kubectl_complete-directorysync";

/// As what the program is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// By kubectl, or under the name that kubectl would call.
    Plugin,
    /// By kubectl, for what fits at the end of the line.
    Completer,
}

impl Role {
    /// What the first word of a command line, the program's own name, makes of it; `None`: it is
    /// `directory-sync`.
    pub fn of(program: &OsStr) -> Option<Self> {
        let name = Path::new(program).file_name()?.to_str()?;
        // krew and hand-made links leave the suffix of other systems where it is.
        match name.strip_suffix(".exe").unwrap_or(name) {
            PLUGIN => Some(Self::Plugin),
            COMPLETER => Some(Self::Completer),
            _ => None,
        }
    }
}

/// Reads the command line and does what it asks for.
///
/// # Errors
/// What kept the command from its work; it is for the caller to print.
pub async fn run(role: Role) -> Result<ExitCode, PluginError> {
    if role == Role::Completer {
        completion::complete(std::env::args().skip(1).collect()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(help_or_error) => {
            let help_or_error = usage::with_tip(help_or_error);
            output::usage(&help_or_error)?;
            return Ok(ExitCode::from(u8::from(help_or_error.use_stderr())));
        }
    };
    let cluster = Cluster::connect(&line.connection).await?;
    match line.command {
        Command::Status(args) => status::status(&cluster, &args).await,
        Command::Plan(args) => plan::plan(&cluster, &args).await,
        Command::Explain(args) => explain::explain(&cluster, &args).await,
        Command::Undo(args) => undo::undo(&cluster, &args).await,
        Command::Sync(args) => sync::sync(&cluster, &args).await,
        Command::History(args) => history::history(&cluster, &args).await,
        Command::Approve(args) => approve::approve(&cluster, &args).await,
        Command::Suspend(args) => suspend::suspend(&cluster, &args.select, true).await,
        Command::Resume(args) => suspend::suspend(&cluster, &args.select, false).await,
        Command::Logs(args) => logs::logs(&cluster, &args).await,
        Command::Ui(args) => ui::ui(cluster, &args, &line.connection).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_alone_says_what_the_program_is() {
        let role = |program: &str| Role::of(OsStr::new(program));
        assert_eq!(role("kubectl-directorysync"), Some(Role::Plugin));
        let krew = "/home/ada/.krew/bin/kubectl-directorysync";
        assert_eq!(role(krew), Some(Role::Plugin));
        assert_eq!(role("kubectl-directorysync.exe"), Some(Role::Plugin));
        assert_eq!(
            role("kubectl_complete-directorysync"),
            Some(Role::Completer)
        );
        assert_eq!(role("directory-sync"), None);
        assert_eq!(role("/opt/kubectl-directorysync/directory-sync"), None);
        assert_eq!(role(""), None);
    }
}
