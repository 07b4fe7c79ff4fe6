//! `kubectl directorysync explain`

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use serde_json::{Value, json};

use crate::kubectl::{kubectl, plugin};
use crate::refusals::user;
use directory_sync_testing::world::*;

/// The answer's ConfigMap, as it is kept.
async fn kept(world: &World) -> Value {
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    json!(api.get("staff-explain").await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_patch_and_read_configmaps_gets_an_answer_without_any_secret() {
    let (world, operator) = World::synced("explain").await;
    let before = world.organization.snapshot().to_string();
    let asker = user(&world, "asker", "get,list,patch");
    let name = format!("asker-{}", world.namespace);
    world.kubectl(&[
        "create",
        "role",
        "maps",
        "--verb=get",
        "--resource=configmaps",
    ]);
    let of = format!("--user={name}");
    world.kubectl(&["create", "rolebinding", "maps", "--role=maps", &of]);
    let ask = async |words: &str| {
        let line = format!("directorysync explain staff {words} -n {}", world.namespace);
        kubectl(&world, &line, &asker).await
    };
    kubectl(
        &world,
        &format!("get secret org -n {}", world.namespace),
        &asker,
    )
    .await
    .ends_with(1);

    let ran = ask("p03@example.com").await.ends_with(0);
    let ran = ran
        .prints("active in the directory and in scope; a member (invited")
        .prints("linked by the external ID")
        .prints("changes nothing")
        .prints("\n  last changes  20")
        .prints("invited (new in the directory)");
    assert!(
        ran.stdout.lines().all(|line| line.chars().count() <= 80),
        "{ran}"
    );
    assert_eq!(ran.stderr, "");

    // The next run, before there is one; and a person who is gone from the directory.
    world.leave(3..4);
    ask("p03@example.com")
        .await
        .ends_with(0)
        .prints("not in the directory's list")
        .prints("revoke the access (gone from the directory)");
    let json = ask("p04@example.com -o json").await.ends_with(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["people"][0]["scope"]["verdict"], "InScope");
    ask("nobody@example.com")
        .await
        .ends_with(4)
        .prints("not found");

    assert_eq!(world.organization.snapshot().to_string(), before);
    let kept = kept(&world).await;
    let owner = &kept["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], json!(world.get("staff").await.metadata.uid));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_resource_is_explained_and_two_who_ask_at_once_both_get_their_answer() {
    let world = World::new("explain-suspended").await;
    // As the chart does with rbac.planSecrets.
    let named = "--resource-name=staff-explain";
    world.kubectl(&[
        "create",
        "role",
        "answers",
        "--verb=create,patch",
        "--resource=secrets",
        named,
    ]);
    let of = "--serviceaccount=directory-sync:directory-sync";
    world.kubectl(&["create", "rolebinding", "answers", "--role=answers", of]);
    let account = "--as=system:serviceaccount:directory-sync:directory-sync";
    let may = [
        "auth",
        "can-i",
        "patch",
        "secrets/staff-explain",
        account,
        "-n",
        &world.namespace,
    ];
    while world.server().run_kubectl(&may).is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let operator = world.operator();
    world.resource("staff", json!({"suspend": true, "planStorage": "Secret"}));
    world.until_ready("staff", "Suspended").await;

    let (one, other) = tokio::join!(
        plugin(&world, "explain staff p01@example.com --timeout 60s"),
        plugin(&world, "explain staff p02@example.com --timeout 60s")
    );
    for (ran, email) in [(one, "p01@example.com"), (other, "p02@example.com")] {
        ran.ends_with(0)
            .prints(email)
            .prints("invite (new in the directory)")
            .prints("spec.suspend is true");
    }
    assert_eq!(world.organization.snapshot().members.len(), 1, "the owner");
    let api: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let secret = api.get("staff-explain").await.unwrap();
    assert_eq!(secret.type_.as_deref(), Some("directorysync.dev/plan"));

    // Whoever takes the question back takes the answer with it.
    world
        .annotate("staff", "directorysync.dev/explain", "")
        .await;
    let mut looks = 0;
    while api
        .get("staff-explain")
        .await
        .unwrap()
        .data
        .is_some_and(|data| data.contains_key("answer.json"))
    {
        looks += 1;
        assert!(looks < 100, "the answer is never emptied");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_resource_from_running_is_the_answer() {
    let world = World::new("explain-stalled").await;
    let operator = world.operator();
    world.resource(
        "staff",
        json!({"organization": {
            "serverUrl": world.organization.url(), "credentialsSecretRef": {"name": "missing"},
        }}),
    );
    world.until_ready("staff", "ReferenceNotFound").await;

    plugin(&world, "explain staff p01@example.com")
        .await
        .ends_with(1)
        .complains("no answer: ")
        .complains("missing");

    // Nobody answers: the state says why.
    operator.stop().await.unwrap();
    plugin(&world, "explain staff p02@example.com --timeout 1s")
        .await
        .ends_with(1)
        .complains("no answer after 1s")
        .complains("stalled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_was_answered_is_not_answered_again_by_the_next_process() {
    let (world, operator) = World::synced("explain-restart").await;
    plugin(&world, "explain staff p01@example.com")
        .await
        .ends_with(0);
    let before = kept(&world).await;
    operator.stop().await.unwrap();

    let operator = world.operator();
    plugin(&world, "sync staff --wait").await.ends_with(0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(kept(&world).await, before);
    operator.stop().await.unwrap();
}
