//! `kubectl directorysync plan`

use serde_json::{Value, json};

use crate::kubectl::plugin;
use directory_sync_testing::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_shown_and_planned_anew_when_asked_for() {
    let world = World::new("plan").await;
    let operator = world.operator();
    world.resource("staff", json!({"mode": "Preview"}));
    world.until_ready("staff", "Previewed").await;

    plugin(&world, "plan staff")
        .await
        .ends_with(0)
        .prints("mode is Preview: nothing of it is made")
        .prints("Invite (10)")
        .prints("p03@example.com   new in the directory")
        .prints("Create group (1)")
        .prints("10 members");

    world.leave(0..4);
    let fresh = plugin(&world, "plan staff --refresh").await.ends_with(0);
    let fresh = fresh.prints("Invite (6)");
    assert!(!fresh.stdout.contains("p03@"), "{fresh}");

    let json = plugin(&world, "plan staff -o json").await.ends_with(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["changes"].as_array().unwrap().len(), 7);
    let markdown = plugin(&world, "plan staff -o markdown").await.ends_with(0);
    assert_eq!(markdown.stdout, world.plan("staff"));
    assert_eq!(world.organization.snapshot().members.len(), 1, "the owner");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_made_says_so_and_isnt_made_anew_by_looking() {
    let world = World::new("plan-made").await;
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;

    plugin(&world, "plan staff")
        .await
        .ends_with(0)
        .prints("s ago; made\n")
        .prints("Invite (10)");
    let runs = operator.runs("staff");
    plugin(&world, "plan staff --refresh")
        .await
        .ends_with(1)
        .complains("mode of")
        .complains("directory-sync plan -f -");
    assert_eq!(operator.runs("staff"), runs);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_plan_says_why_and_somebody_elses_configmap_isnt_taken_for_one() {
    let world = World::new("no-plan").await;
    world.resource("staff", json!({}));

    plugin(&world, "plan staff")
        .await
        .ends_with(1)
        .complains("there is no plan of")
        .complains("it is not seen yet");

    world.kubectl(&[
        "create",
        "configmap",
        "staff-plan",
        "--from-literal=plan.json={}",
    ]);
    plugin(&world, "plan staff")
        .await
        .ends_with(1)
        .complains("\"staff-plan\" isn't the plan of");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_read_from_the_secret_and_while_it_moves_from_where_it_still_is() {
    let world = World::new("plan-storage").await;
    let operator = world.operator();
    world.resource("staff", json!({"mode": "Preview"}));
    world.until_ready("staff", "Previewed").await;
    operator.stop().await.unwrap();
    // No operator has moved it yet.
    world
        .patch("staff", json!({"spec": {"planStorage": "Secret"}}))
        .await;
    plugin(&world, "plan staff")
        .await
        .ends_with(0)
        .prints("p03@example.com");

    let literal = "--from-literal=plan.json={}";
    let create = ["create", "secret", "generic", "staff-plan", literal];
    world.kubectl(&create);
    plugin(&world, "plan staff")
        .await
        .ends_with(1)
        .complains("Secret \"staff-plan\" isn't the plan of");

    let owned = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync", "name": "staff",
        "uid": world.get("staff").await.metadata.uid,
    }]}});
    world.kubectl(&["patch", "secret", "staff-plan", "-p", &owned.to_string()]);
    plugin(&world, "plan staff -o json")
        .await
        .ends_with(0)
        .prints("{}");
}
