//! Flux and Argo CD themselves, with a Git repository and an API server: whether they install, order, judge, correct and
//! remove as docs/flux.md and docs/argo-cd.md say.
//!
//! Not part of `cargo test`, since building both takes long: `make test-gitops`. Some of their programs listen on every
//! address of a machine, so each test runs in a sandbox, which has a network of its own. There are no nodes: pods
//! don't run, and the test says in their place that a Deployment is available.

#![allow(clippy::unwrap_used, missing_docs)]

mod argo_cd;
mod chat;
mod flux;
mod flux_alerts;
mod flux_controllers;
mod flux_helm;
mod registry;

use std::path::Path;
use std::time::{Duration, Instant};

use directory_sync_testing::world::World;
use serde_json::{Value, json};
use simulators::lab::ApiServer;
use simulators::organization;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The namespace that the examples put their resources into.
const NAMESPACE: &str = "identity";

async fn world() -> World {
    World::in_namespace(NAMESPACE, organization::Config::cloud()).await
}

/// The example of a file in `examples/gitops`, as one value for each document.
fn example(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/gitops")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let documents = text.split("\n---\n");
    documents
        .map(|one| serde_saphyr::from_str(one).unwrap())
        .collect()
}

/// The resource as Git has it, with these fields of its spec.
fn staff(world: &World, spec: &Value) -> String {
    let mut manifest = world.manifest("staff");
    let all = manifest["spec"].as_object_mut().unwrap();
    all.extend(spec.as_object().unwrap().clone());
    manifest.to_string()
}

/// An object as it is now; null: there is none.
fn get(world: &World, kind: &str, namespace: &str, name: &str) -> Value {
    get_from(world.server(), kind, namespace, name)
}

/// The same from this API server.
fn get_from(server: &ApiServer, kind: &str, namespace: &str, name: &str) -> Value {
    let arguments = [
        "-n",
        namespace,
        "get",
        kind,
        name,
        "-o",
        "json",
        "--ignore-not-found",
    ];
    let text = server.run_kubectl(&arguments).unwrap();
    match text.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap(),
    }
}

/// Waits until an object is as it should be; `what` and `log` are told where it never comes to that.
#[track_caller]
fn until(
    what: &str,
    look: impl Fn() -> Value,
    holds: impl Fn(&Value) -> bool,
    log: impl Fn() -> String,
) -> Value {
    let started = Instant::now();
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "it never came to: {what}; it is {:#}\n{}",
            seen.get("status").unwrap_or(&seen),
            log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the API server serves what the applied CRDs define.
fn until_established(server: &ApiServer) {
    let look = || {
        let text = server.run_kubectl(&["get", "crd", "-o", "json"]).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let all = |found: &Value| {
        let items = found["items"].as_array().unwrap();
        items
            .iter()
            .all(|one| true_condition(one, "Established").is_some())
    };
    until("the CRDs are established", look, all, String::new);
}

/// The message of a condition that is true; empty without one.
fn true_condition(object: &Value, kind: &str) -> Option<String> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let is_it = |one: &&Value| one["type"] == kind && one["status"] == "True";
    let found = conditions.iter().find(is_it)?;
    Some(found["message"].as_str().unwrap_or_default().to_owned())
}

/// The last lines of a program's log.
fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// Has a Deployment of the chart say what its controller would say once the pods run.
fn say_available(server: &ApiServer, deployment: &str) {
    let found = get_from(server, "deployment", "directory-sync", deployment);
    let replicas = &found["spec"]["replicas"];
    let status = json!({"status": {
        "observedGeneration": found["metadata"]["generation"],
        "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": replicas, "availableReplicas": replicas,
        "conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    }})
    .to_string();
    let patch = [
        "-n",
        "directory-sync",
        "patch",
        "deployment",
        deployment,
        "--subresource=status",
        "--type=merge",
        "-p",
    ];
    let patch = [&patch[..], &[status.as_str()]].concat();
    server.run_kubectl(&patch).unwrap();
}
