//! Several processes, one after the other and side by side.

use std::time::Duration;

use directory_sync::api::DirectorySync;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use simulators::fault::{Fault, Way, Work};

use directory_sync_testing::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_runs_nothing_early() {
    let world = World::new("restart").await;
    let operator = world.operator();
    world.resource("staff", json!({}));
    let before = world.until_ready("staff", "Succeeded").await;
    assert!(before.status.unwrap().next_sync_time.is_some());
    operator.stop().await.unwrap();
    world.organization.clear_requests();
    let before = world.get("staff").await;

    let operator = world.operator();
    // Once it has looked at this one, it has looked at the other, which is older by a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.resource("probe", json!({}));
    world.until_ready("probe", "AlreadyManaged").await;
    assert_eq!(world.requests(), [""; 0]);
    assert_eq!(version(&world.get("staff").await), version(&before));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_makes_up_for_what_was_missed_and_knows_the_memberships_still() {
    let (world, operator) = World::synced("missed").await;
    operator.stop().await.unwrap();
    world.organization.clear_requests();
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    make_overdue(&world, "staff").await;

    let operator = world.operator();
    world
        .until("staff", "a run now", move |staff: &DirectorySync| {
            let status = staff.status.clone().unwrap_or_default();
            status.last_sync_time.is_some_and(|time| time.0 > hour_ago)
        })
        .await;
    let requests = world.requests();
    assert!(
        requests.iter().all(|request| request.starts_with("GET")),
        "{requests:?}"
    );
    assert!(
        !requests
            .iter()
            .any(|request| request.contains("member-ids")),
        "{requests:?}"
    );
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_changed_is_seen_by_the_next_though_the_directory_is_as_before() {
    let (world, operator) = World::synced("killed").await;
    operator.stop().await.unwrap();
    let everyone = || world.organization.snapshot().groups[0].members.clone();
    let before = everyone();
    let change = |what: &str| {
        let group = format!("dn: cn=everyone,ou=groups,{SUFFIX}\nchangetype: modify\n");
        let change = format!("{group}{what}: member\nmember: {}\n", dn(0));
        world.slapd.modify(&change).unwrap();
    };

    // The group is written, and the process gone before it hears of that.
    for method in ["PUT", "POST"] {
        let lost = Fault::new(Way::Hang).work(Work::Done).method(method);
        let lost = lost.path("/api/public/").from_then_on();
        world.organization.faults().inject(lost);
    }
    change("delete");
    make_overdue(&world, "staff").await;
    let operator = world.operator();
    eventually("a smaller group", || everyone().len() == before.len() - 1).await;
    operator.kill().await;
    world.organization.faults().clear();

    change("add");
    make_overdue(&world, "staff").await;
    let operator = world.operator();
    eventually("the group as before", || everyone() == before).await;
    operator.stop().await.unwrap();
}

/// As if no process had run for hours.
async fn make_overdue(world: &World, name: &str) {
    let ago = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    let times = json!({"status": {
        "lastAttemptTime": ago(3), "lastSyncTime": ago(3), "nextSyncTime": ago(2),
    }});
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(times));
    let patched = world.api().patch_status(name, &parameters, &patch).await;
    patched.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_over_at_once_and_one_that_dies_when_its_lease_ends() {
    let world = World::new("leaders").await;
    let lease = world.lease();
    let first = world.operator_with(quick(), Some(&lease));
    eventually("a leader", || !world.holder(&lease).is_empty()).await;
    let leader = world.holder(&lease);
    let second = world.operator_with(quick(), Some(&lease));
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    assert_eq!((first.runs("staff"), second.runs("staff")), (1, 0));

    first.stop().await.unwrap();
    eventually("another leader", || {
        let holder = world.holder(&lease);
        !holder.is_empty() && holder != leader
    })
    .await;
    world
        .patch("staff", json!({"spec": {"users": {"exclude": ["p00@*"]}}}))
        .await;
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(second.runs("staff"), 1);

    second.kill().await;
    let third = world.operator_with(quick(), Some(&lease));
    world.patch("staff", json!({"spec": {"users": null}})).await;
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(third.runs("staff"), 1);
    third.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_lease_is_taken_stops_working_and_ends() {
    let world = World::new("taken").await;
    let lease = world.lease();
    let operator = world.operator_with(quick(), Some(&lease));
    eventually("a leader", || !world.holder(&lease).is_empty()).await;
    let patch = r#"{"spec":{"holderIdentity":"somebody-else","leaseDurationSeconds":600}}"#;
    let arguments = [
        "-n",
        "directory-sync",
        "patch",
        "lease",
        &lease,
        "--type=merge",
        "-p",
        patch,
    ];
    world.server().run_kubectl(&arguments).unwrap();
    let error = operator.ended().await.unwrap_err();
    assert!(
        error.to_string().contains("another process may be leading"),
        "{error}"
    );
    assert_eq!(world.holder(&lease), "somebody-else");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_namespaces_are_one_view_and_labels_share_resources_out() {
    let (here, there) = (World::new("here").await, World::new("there").await);
    let operator = here.operator_for(&[&here.namespace, &there.namespace], "shard=a");
    let labelled = |world: &World, name: &str, shard: &str| {
        let mut manifest = world.manifest(name);
        manifest["metadata"]["labels"] = json!({ "shard": shard });
        world.apply(&manifest);
    };
    labelled(&here, "other-shard", "b");
    labelled(&there, "first", "a");
    there.until_ready("first", "Succeeded").await;
    // The same organization, named from another namespace; ages differ by whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    there.secret_in(&here.namespace, "theirs");
    let mut second = there.manifest("second");
    second["metadata"] = json!({
        "name": "second", "namespace": here.namespace, "labels": {"shard": "a"},
    });
    second["spec"]["organization"]["credentialsSecretRef"]["name"] = "theirs".into();
    here.apply(&second);
    here.until_ready("second", "AlreadyManaged").await;
    there.kubectl(&["delete", "dsync", "first"]);
    here.until_ready("second", "Succeeded").await;
    assert_eq!(here.get("other-shard").await.status, None);
    operator.stop().await.unwrap();
}
