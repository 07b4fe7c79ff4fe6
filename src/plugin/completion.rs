//! What fits at the end of the line, as kubectl asks a plugin's `kubectl_complete-…` for it.
//!
//! kubectl passes the words of the line, the last of them unfinished or empty, and reads one
//! suggestion a line, a tab before what it means, and at the end `:` with cobra's directive.

use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};

use super::args::{CommandLine, ConnectionArgs};
use super::cluster::Cluster;
use super::error::PluginError;
use crate::cli::output::print;

/// cobra's `ShellCompDirectiveNoFileComp`: names of files fit nowhere here.
const NO_FILES: &str = ":4";
/// cobra's `ShellCompDirectiveDefault`: here they do.
const FILES: &str = ":0";

/// Words, each with what it means.
type Candidates = Vec<(String, String)>;

/// Prints what fits. What can't be found out is left out: nobody wants an error in the middle of
/// a line.
pub async fn complete(mut words: Vec<String>) -> Result<(), PluginError> {
    let unfinished = words.pop().unwrap_or_default();
    let mut program = CommandLine::command()
        .ignore_errors(true)
        .no_binary_name(true);
    // Gives each command the flags that all have.
    program.build();
    // Where the line asks for help, nothing else fits.
    let Ok(typed) = program.try_get_matches_from_mut(&words) else {
        return Ok(print(&format!("{NO_FILES}\n"))?);
    };
    let (command, typed) = match typed.subcommand() {
        Some((name, typed)) => (program.find_subcommand(name), typed),
        None => (None, &typed),
    };
    let arguments = || command.unwrap_or(&program).get_arguments();
    let waiting = words.last().and_then(|last| {
        let mut with_value = arguments().filter(|flag| flag.get_action().takes_values());
        with_value.find(|flag| is_named(flag, last))
    });
    let (candidates, directive) = match waiting {
        Some(flag) if flag.get_id() == "kubeconfig" => (vec![], FILES),
        Some(flag) => (values(flag, typed).await, NO_FILES),
        None if unfinished.starts_with('-') => {
            let long =
                |flag: &Arg| Some((format!("--{}", flag.get_long()?), about(flag.get_help())));
            (arguments().filter_map(long).collect(), NO_FILES)
        }
        None => match command {
            Some(command) => (names(command, typed).await, NO_FILES),
            None => {
                let commands = program.get_subcommands();
                let all = commands.map(|one| (one.get_name().to_owned(), about(one.get_about())));
                (all.collect(), NO_FILES)
            }
        },
    };
    let fitting = candidates
        .iter()
        .filter(|(word, _)| word.starts_with(&unfinished));
    let mut text: String = fitting
        .map(|(word, about)| format!("{}\n", format!("{word}\t{about}").trim_end()))
        .collect();
    text.push_str(directive);
    text.push('\n');
    Ok(print(&text)?)
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn is_named(flag: &Arg, word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(long) => flag.get_long() == Some(long),
        None => flag
            .get_short()
            .is_some_and(|short| word == format!("-{short}")),
    }
}

async fn connect(typed: &ArgMatches) -> Option<Cluster> {
    let connection = ConnectionArgs::from_arg_matches(typed).ok()?;
    Cluster::connect(&connection).await.ok()
}

/// The names of resources that the line doesn't have yet.
async fn names(command: &Command, typed: &ArgMatches) -> Candidates {
    let Some(argument) = command.get_positionals().next() else {
        return vec![];
    };
    let names = typed.get_many::<String>(argument.get_id().as_str());
    let names: Vec<&String> = names.into_iter().flatten().collect();
    let full = !matches!(argument.get_action(), ArgAction::Append) && !names.is_empty();
    let Some(cluster) = connect(typed).await.filter(|_| !full) else {
        return vec![];
    };
    let resources = cluster.list(Some(&cluster.namespace), None).await;
    let resources = resources.unwrap_or_default().into_iter();
    resources
        .map(|resource| (resource.name().to_owned(), resource.state_in_words()))
        .filter(|(name, _)| !names.contains(&name))
        .collect()
}

/// What a flag can be.
async fn values(flag: &Arg, typed: &ArgMatches) -> Candidates {
    let kubeconfig = || match typed.get_one("kubeconfig") {
        Some(path) => Kubeconfig::read_from::<&std::path::PathBuf>(path).unwrap_or_default(),
        None => Kubeconfig::read().unwrap_or_default(),
    };
    let names: Vec<String> = match flag.get_id().as_str() {
        "namespace" | "operator_namespace" => {
            let Some(cluster) = connect(typed).await else {
                return vec![];
            };
            let api: Api<Namespace> = Api::all(cluster.client);
            let all = api.list_metadata(&ListParams::default()).await;
            all.into_iter().flatten().map(|it| it.name_any()).collect()
        }
        "context" => kubeconfig()
            .contexts
            .into_iter()
            .map(|it| it.name)
            .collect(),
        "cluster" => kubeconfig()
            .clusters
            .into_iter()
            .map(|it| it.name)
            .collect(),
        "user" => kubeconfig()
            .auth_infos
            .into_iter()
            .map(|it| it.name)
            .collect(),
        _ => {
            let values = flag.get_possible_values().into_iter();
            values.map(|value| value.get_name().to_owned()).collect()
        }
    };
    names
        .into_iter()
        .map(|name| (name, String::new()))
        .collect()
}
