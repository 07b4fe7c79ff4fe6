//! A run in progress ends within seconds when the resource is suspended.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use simulators::organization;

use directory_sync_testing::world::*;

const LEAVERS: usize = 40;

/// A run that revokes forty members one after the other and takes at least eight seconds, with
/// some of them revoked already.
async fn in_the_middle(world: &World) {
    world.resource(
        "staff",
        json!({"offboarding": {"absent": "Revoke", "limit": "100%"}}),
    );
    eventually("the first revocations", || world.revoked() >= 2).await;
}

async fn slow(purpose: &str) -> World {
    let config = organization::Config {
        latency: Duration::from_millis(200),
        ..organization::Config::cloud()
    };
    let world = World::with(purpose, config).await;
    world.seed_leavers(LEAVERS as u32);
    // A directory of strangers alone isn't believed.
    let stays = organization::MemberSeed::new("p00@example.com");
    world.organization.seed_member(stays);
    world
}

/// Nothing more is changed from now on.
async fn assert_stopped(world: &World) {
    let revoked = world.revoked();
    assert!(
        revoked < LEAVERS,
        "the run had ended before the resource was suspended"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.revoked(), revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_stops_the_run_and_resuming_finishes_the_work() {
    let world = slow("suspend").await;
    let operator = world.operator();
    in_the_middle(&world).await;
    let pulled = Instant::now();
    world
        .patch("staff", json!({"spec": {"suspend": true}}))
        .await;
    world.until_ready("staff", "Suspended").await;
    assert!(
        pulled.elapsed() < Duration::from_secs(5),
        "{:?}",
        pulled.elapsed()
    );
    assert_stopped(&world).await;

    world.organization.set_latency(Duration::ZERO);
    world
        .patch("staff", json!({"spec": {"suspend": false}}))
        .await;
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(world.revoked(), LEAVERS);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_spec_stops_the_run_and_the_next_one_follows_it() {
    let world = slow("changed").await;
    let operator = world.operator();
    in_the_middle(&world).await;
    world
        .patch("staff", json!({"spec": {"mode": "Preview"}}))
        .await;
    world.until_ready("staff", "Previewed").await;
    assert_stopped(&world).await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_resource_stops_the_run_and_leaves_the_organization_alone() {
    let world = slow("deleted").await;
    let operator = world.operator();
    in_the_middle(&world).await;
    world
        .until("staff", "progress in status", |staff| {
            staff
                .status
                .as_ref()
                .is_some_and(|status| status.progress.is_some())
        })
        .await;
    assert!(operator.exposition().contains("name=\"staff\""));
    world.kubectl(&["delete", "dsync", "staff"]);
    eventually("series gone", || operator.runs("staff") == 0).await;
    assert_stopped(&world).await;
    assert!(!operator.exposition().contains("name=\"staff\""));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_changed_in_the_middle_starts_the_run_anew() {
    let world = slow("secret").await;
    let operator = world.operator();
    in_the_middle(&world).await;
    // A typing error: the run can't go on with what it was told before.
    world.secret("org", "a typing error");
    world.until_ready("staff", "OrganizationRefused").await;
    assert_stopped(&world).await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_ends_the_process_cleanly_and_gives_back_the_lease() {
    let world = slow("sigterm").await;
    let lease = world.lease();
    let mut process = Command::new(env!("CARGO_BIN_EXE_directory-sync"))
        .args(["operator", "--leader-elect", "--listen", "none"])
        .args([
            "--lease-name",
            &lease,
            "--lease-namespace",
            "directory-sync",
        ])
        .args(["--watch-namespaces", &world.namespace])
        .env("KUBECONFIG", operator_kubeconfig())
        // The servers are on this machine.
        .env("DIRECTORY_SYNC_ALLOWED_NETWORKS", "127.0.0.0/8,::1")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    in_the_middle(&world).await;
    assert_ne!(world.holder(&lease), "");
    let pid = process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let asked = Instant::now();
    let status = tokio::task::spawn_blocking(move || process.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{status}");
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(world.holder(&lease), "");
    assert_stopped(&world).await;
}
