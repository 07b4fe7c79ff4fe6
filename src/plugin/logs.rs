//! `logs`: the operator's log lines about a resource.

use std::process::ExitCode;

use futures::{AsyncBufReadExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, ListParams, LogParams, NotUsed, Object};
use kube::{Api, ResourceExt};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::args::{LogsArgs, LogsOutput};
use super::cluster::Cluster;
use super::error::PluginError;
use super::resource::Resource;
use crate::cli::output::{complain, print};
use crate::text::one_line;

/// Fields of a line that are shown otherwise, or are the same in every line.
const KNOWN: [&str; 7] = [
    "timestamp",
    "level",
    "message",
    "target",
    "name",
    "namespace",
    "directorysync",
];

/// What of a pod is read here. [`Pod`] has a hundred types below it, which would all be in the program.
type OperatorPod = Object<PodSpec, NotUsed>;

#[derive(Debug, Clone, Deserialize)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Debug, Clone, Deserialize)]
struct Container {
    name: String,
}

/// Prints what the operator's pods logged about a resource, and with `follow` what they log.
pub async fn logs(cluster: &Cluster, args: &LogsArgs) -> Result<ExitCode, PluginError> {
    let resource = cluster.get(&args.name).await?;
    let pods = pods(cluster, args).await?;
    let mut streams = Vec::new();
    for pod in &pods {
        streams.push(Box::pin(lines(cluster, pod, args).await?));
    }
    let mut lines = stream::select_all(streams)
        .try_filter_map(|line| futures::future::ready(Ok(Line::about(line, &resource))));
    if args.follow {
        while let Some(line) = lines.try_next().await? {
            print(&line.render(args.output))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut all: Vec<Line> = lines.try_collect().await?;
    // Of several pods one led after the other.
    all.sort_by(|a, b| a.time().cmp(b.time()));
    let first = all.len().saturating_sub(args.tail.unwrap_or(usize::MAX));
    let text: String = all[first..]
        .iter()
        .map(|line| line.render(args.output))
        .collect();
    print(&text)?;
    if all.is_empty() {
        complain(&format!(
            "the operator's {} pods logged nothing about {}",
            pods.len(),
            resource.full_name()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn pods(cluster: &Cluster, args: &LogsArgs) -> Result<Vec<OperatorPod>, PluginError> {
    let namespace = args.operator_namespace.as_deref();
    let resource = ApiResource::erase::<Pod>(&());
    let api: Api<OperatorPod> = match namespace {
        Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
        None => Api::all_with(cluster.client.clone(), &resource),
    };
    let these = ListParams::default().labels(&args.operator_selector);
    let found =
        api.list(&these).await.map_err(|error| {
            match (cluster.asked("list", "pods", namespace).failed(error), namespace) {
            (PluginError::Forbidden { .. }, None) => PluginError::NotNow(
                "may not look for the operator's pods in all namespaces: name its namespace by \
                 --operator-namespace"
                    .into(),
            ),
            (error, _) => error,
        }
        })?;
    if found.items.is_empty() {
        return Err(PluginError::NotNow(format!(
            "there are no pods with the labels {} in {}: name where the operator runs by \
             --operator-namespace and --operator-selector",
            args.operator_selector,
            namespace.unwrap_or("any namespace")
        )));
    }
    Ok(found.items)
}

async fn lines<'a>(
    cluster: &'a Cluster,
    pod: &'a OperatorPod,
    args: &LogsArgs,
) -> Result<impl futures::Stream<Item = Result<String, PluginError>> + use<'a>, PluginError> {
    let namespace = pod.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
    let parameters = LogParams {
        container: container(pod),
        follow: args.follow,
        since_seconds: args.since.map(|since| since.as_secs().max(1)),
        ..LogParams::default()
    };
    let asked = cluster.asked("get", "pods/log", pod.metadata.namespace.as_deref());
    let reader = api
        .log_stream(&pod.name_any(), &parameters)
        .await
        .map_err(|error| asked.failed(error))?;
    Ok(reader
        .lines()
        .map_err(move |error| asked.failed(kube::Error::ReadEvents(error))))
}

/// The one that runs the operator where somebody has put others beside it.
fn container(pod: &OperatorPod) -> Option<String> {
    let annotated = pod
        .annotations()
        .get("kubectl.kubernetes.io/default-container");
    let first = || Some(pod.spec.containers.first()?.name.clone());
    annotated.cloned().or_else(first)
}

/// A line about the resource.
enum Line {
    Json {
        raw: String,
        fields: Map<String, Value>,
    },
    Text(String),
}

impl Line {
    /// `None` where it is about another, or about none.
    fn about(raw: String, resource: &Resource) -> Option<Self> {
        let (namespace, name) = (resource.namespace(), resource.name());
        if let Ok(Value::Object(fields)) = serde_json::from_str(&raw) {
            let is = |field: &str, value: &str| fields.get(field).is_some_and(|v| v == value);
            let ours = is("namespace", namespace) && is("directorysync", name);
            return ours.then_some(Self::Json { raw, fields });
        }
        let span = format!("{{namespace={namespace} directorysync={name}}}");
        raw.contains(&span).then_some(Self::Text(raw))
    }

    fn time(&self) -> &str {
        match self {
            Self::Json { fields, .. } => text(fields, "timestamp"),
            Self::Text(raw) => raw.split_whitespace().next().unwrap_or_default(),
        }
    }

    fn render(&self, output: LogsOutput) -> String {
        match (self, output) {
            (Self::Json { raw, .. }, LogsOutput::Json) => format!("{raw}\n"),
            (Self::Json { fields, .. }, LogsOutput::Text) => {
                let mut line = format!(
                    "{} {:>5} {}",
                    self.time(),
                    text(fields, "level"),
                    text(fields, "message")
                );
                for (name, value) in fields {
                    if KNOWN.contains(&name.as_str()) {
                        continue;
                    }
                    match value {
                        Value::String(value) => line.push_str(&format!(" {name}={value:?}")),
                        value => line.push_str(&format!(" {name}={value}")),
                    }
                }
                // What stands in a log may come from anywhere.
                one_line(&line) + "\n"
            }
            (Self::Text(raw), _) => one_line(raw) + "\n",
        }
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}
