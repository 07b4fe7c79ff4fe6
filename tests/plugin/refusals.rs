//! What goes wrong, and what the message says.

use std::path::PathBuf;

use serde_json::json;

use crate::kubectl::{kubectl, plugin};
use directory_sync_testing::world::*;

/// A kubeconfig for somebody with these verbs on directorysyncs in the world's namespace.
pub fn user(world: &World, name: &str, verbs: &str) -> PathBuf {
    let (role, name) = (
        format!("role-{name}"),
        format!("{name}-{}", world.namespace),
    );
    let verbs = format!("--verb={verbs}");
    let resource = "--resource=directorysyncs.directorysync.dev";
    world.kubectl(&["create", "role", &role, &verbs, resource]);
    let (role_of, of) = (format!("--role={role}"), format!("--user={name}"));
    world.kubectl(&["create", "rolebinding", &role, &role_of, &of]);
    world.server().kubeconfig_for(&name, None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_isnt_there_is_reported_with_those_that_are() {
    let world = World::new("missing").await;
    plugin(&world, "status nobody")
        .await
        .ends_with(1)
        .complains("there is no DirectorySync \"nobody\" in namespace")
        .complains("choose another namespace with -n");
    world.resource("staff", json!({}));
    for command in ["sync", "approve --yes", "suspend", "resume", "plan", "logs"] {
        plugin(&world, &format!("{command} nobody"))
            .await
            .ends_with(1)
            .complains("\"nobody\"")
            .complains("there are: staff");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_isnt_there_is_reported_with_those_that_are() {
    let world = World::new("context").await;
    plugin(&world, "status --context nowhere")
        .await
        .ends_with(1)
        .complains("no context \"nowhere\"; it has: lab");
    plugin(&world, "status --context lab").await.ends_with(0);
    plugin(&world, "status --kubeconfig /nowhere/config")
        .await
        .ends_with(1)
        .complains("/nowhere/config");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_is_told_which_right_a_change_needs() {
    let world = World::new("viewer").await;
    world.resource("staff", json!({}));
    let viewer = user(&world, "viewer", "get,list");
    let run = async |words: &str| {
        let line = format!("directorysync {words} -n {}", world.namespace);
        kubectl(&world, &line, &viewer).await
    };

    run("status").await.ends_with(0).prints("staff");
    run("status staff").await.ends_with(0);
    for change in ["sync staff", "suspend staff"] {
        run(change)
            .await
            .ends_with(1)
            .complains("may not patch directorysyncs.directorysync.dev in namespace")
            .complains("changing them to edit");
    }
    run("plan staff")
        .await
        .ends_with(1)
        .complains("may not get configmaps");
    run("logs staff")
        .await
        .ends_with(1)
        .complains("--operator-namespace");
    run("logs staff --operator-namespace directory-sync")
        .await
        .ends_with(1)
        .complains("may not list pods in namespace directory-sync");
    let all = kubectl(&world, "directorysync status -A", &viewer).await;
    all.ends_with(1)
        .complains("may not list directorysyncs.directorysync.dev in all namespaces");
    assert_eq!(world.get("staff").await.spec.suspend, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_acts_as_another_with_no_more_rights_than_they_have() {
    let world = World::new("as").await;
    world.resource("staff", json!({}));
    user(&world, "viewer", "get,list");
    let who = format!("--as viewer-{}", world.namespace);

    plugin(&world, &format!("status staff {who}"))
        .await
        .ends_with(0);
    plugin(&world, &format!("sync staff {who}"))
        .await
        .ends_with(1)
        .complains("may not patch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_doesnt_answer_is_reported_with_its_address() {
    let world = World::new("gone").await;
    let kubeconfig = std::fs::read_to_string(world.server().kubeconfig()).unwrap();
    let port = simulators::lab::free_port().unwrap();
    let nobody = format!("https://127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, kubeconfig.replace(world.server().url(), &nobody)).unwrap();

    kubectl(&world, "directorysync status", &file)
        .await
        .ends_with(1)
        .complains("can't reach the cluster's API server at")
        .complains(&nobody);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_command_is_refused_with_the_one_that_was_meant() {
    let world = World::new("misspelt").await;
    plugin(&world, "statsu")
        .await
        .ends_with(1)
        .complains("status");
}
