//! Every state in which the operator leaves a resource, as the test data have it, and as Flux's
//! kstatus and `kubectl wait` judge it.

use std::time::Duration;

use serde_json::{Value, json};
use simulators::organization;

use crate::examples::health_check_exprs;
use crate::testdata::{assert_is, folder, kstatus, kstatus_with, read};
use directory_sync_testing::world::*;

/// A resource as `kubectl get -o json` gives it.
fn live(world: &World, name: &str) -> Value {
    let object = world.kubectl(&["get", "dsync", name, "-o", "json"]);
    serde_json::from_str(&object).unwrap()
}

/// Whether `kubectl wait` would be content at once.
fn is_ready(world: &World, name: &str) -> bool {
    let mut kubectl = world.server().kubectl();
    let waited = kubectl
        .args(["-n", &world.namespace, "wait", "--for=condition=Ready"])
        .args(["--timeout=1s", &format!("dsync/{name}")])
        .output();
    waited.unwrap().status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_from_its_first_run_to_its_suspension() {
    let world = World::new("standing").await;
    world.resource("staff", json!({}));
    let new = live(&world, "staff");
    assert_is("new", &world, &new);
    assert!(!is_ready(&world, "staff"));
    // kstatus believes an object without any status, which is why the example for Flux has
    // expressions of its own.
    assert_eq!(kstatus(&new), "Current");

    let operator = world.operator();
    world.until_ready("staff", "Succeeded").await;
    let in_sync = live(&world, "staff");
    assert_is("in-step", &world, &in_sync);
    assert_eq!(kstatus(&in_sync), "Current");
    assert!(is_ready(&world, "staff"));

    world.leave(0..7);
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "now")
        .await;
    world.until_ready("staff", "RemovalsHeld").await;
    let held = live(&world, "staff");
    assert_is("held", &world, &held);
    assert_eq!(kstatus(&held), "Current");

    world
        .patch("staff", json!({"spec": {"suspend": true}}))
        .await;
    world.until_ready("staff", "Suspended").await;
    let suspended = live(&world, "staff");
    assert_is("suspended", &world, &suspended);
    assert_eq!(kstatus(&suspended), "Current");

    operator.stop().await.unwrap();
    world
        .patch("staff", json!({"spec": {"suspend": false}}))
        .await;
    let changed = live(&world, "staff");
    assert_is("changed", &world, &changed);
    assert_eq!(kstatus(&changed), "InProgress");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_and_what_waits_for_a_person() {
    let world = World::new("preview").await;
    let operator = world.operator();
    world.resource("staff", json!({"mode": "Preview"}));
    world.until_ready("staff", "Previewed").await;
    let preview = live(&world, "staff");
    assert_is("preview", &world, &preview);
    assert_eq!(kstatus(&preview), "Current");

    world.resource(
        "broken",
        json!({"organization": {
            "serverUrl": world.organization.url(),
            "credentialsSecretRef": {"name": "nowhere"},
        }}),
    );
    world.until_ready("broken", "ReferenceNotFound").await;
    let stalled = live(&world, "broken");
    assert_is("stalled", &world, &stalled);
    assert_eq!(kstatus(&stalled), "Failed");
    assert!(!is_ready(&world, "broken"));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_under_way_and_one_that_fails() {
    let config = organization::Config {
        latency: Duration::from_millis(200),
        ..organization::Config::cloud()
    };
    let mut world = World::with("under-way", config).await;
    world.seed_leavers(40);
    // A directory of strangers alone isn't believed.
    let stays = organization::MemberSeed::new("p00@example.com");
    world.organization.seed_member(stays);
    let operator = world.operator();
    world.resource(
        "staff",
        json!({"offboarding": {"absent": "Revoke", "limit": "100%"}}),
    );
    let syncing = world
        .until("staff", "a run under way", |staff| {
            staff
                .status
                .as_ref()
                .is_some_and(|status| status.progress.is_some())
        })
        .await;
    let syncing = json!(syncing);
    assert_is("syncing", &world, &syncing);
    assert_eq!(kstatus(&syncing), "InProgress");
    assert!(!is_ready(&world, "staff"));

    world.organization.set_latency(Duration::ZERO);
    world.until_ready("staff", "Succeeded").await;
    world.slapd.kill();
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "now")
        .await;
    let failing = world
        .until("staff", "a failure", |staff| {
            reason_of(staff) == "SourceUnavailable"
        })
        .await;
    let failing = json!(failing);
    assert_is("failing", &world, &failing);
    // Another try follows.
    assert_eq!(kstatus(&failing), "InProgress");
    operator.stop().await.unwrap();
}

#[test]
fn the_examples_health_check_waits_for_the_operator_and_fails_where_manual_action_is_needed() {
    for (state, judged) in [
        // No field `status` at all: Flux looks again.
        ("new", "Unknown"),
        ("changed", "InProgress"),
        ("syncing", "InProgress"),
        ("failing", "InProgress"),
        ("stalled", "Failed"),
        ("in-step", "Current"),
        ("held", "Current"),
        ("preview", "Current"),
        ("suspended", "Current"),
    ] {
        let object = read(&folder().join(format!("testdata/{state}.yaml")));
        assert_eq!(
            kstatus_with(&health_check_exprs(), &object),
            judged,
            "{state}"
        );
    }
}
