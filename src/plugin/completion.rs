//! What fits at the end of the line, as kubectl asks a plugin's `kubectl_complete-…` for it.
//!
//! kubectl passes the words of the line, the last of them unfinished or empty, and reads one
//! suggestion a line, a tab before what it means, and at the end `:` with cobra's directive.

use clap::{ArgAction, Command, CommandFactory};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};

use super::args::{CommandLine, ConnectionArgs};
use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use crate::cli::output::print;

/// cobra's `ShellCompDirectiveNoFileComp`: names of files fit nowhere here.
const NO_FILES: &str = ":4";
/// cobra's `ShellCompDirectiveDefault`: here they do.
const FILES: &str = ":0";

/// Prints what fits. What can't be found out is left out: nobody wants an error in the middle of
/// a line.
pub async fn complete(mut words: Vec<String>) -> Result<(), PluginError> {
    let unfinished = words.pop().unwrap_or_default();
    let program = CommandLine::command();
    let line = Line::read(&program, &words);
    let (candidates, directive) = match &line.waiting {
        Some(flag) if flag == "kubeconfig" => (Vec::new(), FILES),
        Some(flag) => (line.values(flag).await, NO_FILES),
        None if unfinished.starts_with('-') => (line.flags(), NO_FILES),
        None => (line.words().await, NO_FILES),
    };
    let mut text: String = candidates
        .iter()
        .filter(|(word, _)| word.starts_with(&unfinished))
        .map(|(word, about)| match about.is_empty() {
            true => format!("{word}\n"),
            false => format!("{word}\t{about}\n"),
        })
        .collect();
    text.push_str(directive);
    text.push('\n');
    Ok(print(&text)?)
}

type Candidates = Vec<(String, String)>;

/// A line as far as it is typed.
struct Line<'a> {
    program: &'a Command,
    command: Option<&'a Command>,
    names: Vec<&'a str>,
    connection: ConnectionArgs,
    /// The flag whose value is being typed.
    waiting: Option<String>,
}

impl<'a> Line<'a> {
    fn read(program: &'a Command, words: &'a [String]) -> Self {
        let mut line = Self {
            program,
            command: None,
            names: Vec::new(),
            connection: ConnectionArgs {
                namespace: None,
                context: None,
                kubeconfig: None,
                cluster: None,
                user: None,
                act_as: None,
                act_as_groups: Vec::new(),
            },
            waiting: None,
        };
        for word in words {
            if let Some(flag) = line.waiting.take() {
                line.set(&flag, word);
            } else if let Some(flag) = word.strip_prefix('-') {
                line.flag(flag);
            } else if line.command.is_none() {
                line.command = program.find_subcommand(word);
            } else {
                line.names.push(word);
            }
        }
        line
    }

    fn flag(&mut self, flag: &str) {
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (flag, None),
        };
        let arguments = self.program.get_arguments();
        let mut arguments =
            arguments.chain(self.command.into_iter().flat_map(Command::get_arguments));
        let found = arguments.find(|argument| match flag.strip_prefix('-') {
            Some(long) => argument.get_long() == Some(long),
            None => argument
                .get_short()
                .is_some_and(|short| flag == short.to_string()),
        });
        let Some(found) = found.filter(|found| takes_value(found)) else {
            return;
        };
        let name = found.get_id().to_string();
        match value {
            Some(value) => self.set(&name, value),
            None => self.waiting = Some(name),
        }
    }

    fn set(&mut self, flag: &str, value: &str) {
        let value = Some(value.to_owned());
        match flag {
            "namespace" => self.connection.namespace = value,
            "context" => self.connection.context = value,
            "kubeconfig" => self.connection.kubeconfig = value.map(Into::into),
            "cluster" => self.connection.cluster = value,
            "user" => self.connection.user = value,
            _ => {}
        }
    }

    fn flags(&self) -> Candidates {
        let own = self.command.into_iter().flat_map(Command::get_arguments);
        own.chain(self.program.get_arguments())
            .filter_map(|argument| {
                let about = argument.get_help().map(ToString::to_string);
                Some((
                    format!("--{}", argument.get_long()?),
                    about.unwrap_or_default(),
                ))
            })
            .collect()
    }

    /// Commands, then names of resources that aren't there yet.
    async fn words(&self) -> Candidates {
        let Some(command) = self.command else {
            let commands = self.program.get_subcommands();
            let candidates = commands.map(|command| {
                let about = command.get_about().map(ToString::to_string);
                (command.get_name().to_owned(), about.unwrap_or_default())
            });
            return candidates.collect();
        };
        let one = command
            .get_positionals()
            .all(|argument| !matches!(argument.get_action(), ArgAction::Append));
        if one && !self.names.is_empty() {
            return Vec::new();
        }
        let resources = match Cluster::connect(&self.connection).await {
            Ok(cluster) => cluster.list(Some(&cluster.namespace), None).await,
            Err(_) => return Vec::new(),
        };
        let resources = resources.unwrap_or_default();
        let named = |resource: &&Resource| !self.names.contains(&resource.name());
        let left = resources.iter().filter(named);
        left.map(|resource| (resource.name().to_owned(), resource.state_in_words()))
            .collect()
    }

    async fn values(&self, flag: &str) -> Candidates {
        let bare = |name: String| (name, String::new());
        match flag {
            "namespace" | "operator_namespace" => {
                let Ok(cluster) = Cluster::connect(&self.connection).await else {
                    return Vec::new();
                };
                let api: Api<Namespace> = Api::all(cluster.client.clone());
                let all = api.list_metadata(&ListParams::default()).await;
                let names = all
                    .into_iter()
                    .flatten()
                    .map(|namespace| namespace.name_any());
                names.map(bare).collect()
            }
            "context" | "cluster" | "user" => {
                let kubeconfig = match &self.connection.kubeconfig {
                    Some(path) => Kubeconfig::read_from(path),
                    None => Kubeconfig::read(),
                };
                let Ok(kubeconfig) = kubeconfig else {
                    return Vec::new();
                };
                let names: Vec<String> = match flag {
                    "context" => kubeconfig.contexts.into_iter().map(|it| it.name).collect(),
                    "cluster" => kubeconfig.clusters.into_iter().map(|it| it.name).collect(),
                    _ => kubeconfig
                        .auth_infos
                        .into_iter()
                        .map(|it| it.name)
                        .collect(),
                };
                names.into_iter().map(bare).collect()
            }
            _ => {
                let arguments = self.command.into_iter().flat_map(Command::get_arguments);
                let mut named = arguments.filter(|argument| argument.get_id() == flag);
                let values = named.next().map(clap::Arg::get_possible_values);
                let values = values.unwrap_or_default().into_iter();
                values
                    .map(|value| bare(value.get_name().to_owned()))
                    .collect()
            }
        }
    }
}

fn takes_value(argument: &clap::Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Set | ArgAction::Append)
}
