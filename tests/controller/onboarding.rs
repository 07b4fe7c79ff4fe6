//! Invitations that aren't accepted, as days pass: the operator as a process whose clock is moved.

use std::time::Duration;

use directory_sync_testing::world::*;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use simulators::lab::{clock, or_skip};
use simulators::organization::{Seats, Status};
use tempfile::NamedTempFile;
use tokio::process::Command;

/// What an operator logs, shown where a test fails.
struct Log(NamedTempFile);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.0.path());
            eprintln!("the operator's log:\n{}", log.unwrap_or_default());
        }
    }
}

/// Has an operator whose clock is so many hours ahead make the run that is due then; `None` where clocks can't
/// be moved on this machine.
async fn run_ahead(world: &World, test: &str, hours: u32) -> Option<()> {
    let variables = or_skip(test, clock::ahead(hours))?;
    let began = Timestamp::now() + SignedDuration::from_hours(hours.into());
    let log = Log(NamedTempFile::new().unwrap());
    let mut operator = Command::new(env!("CARGO_BIN_EXE_directory-sync"))
        .args(["operator", "--listen", "none"])
        .args(["--watch-namespaces", &world.namespace])
        .envs(variables)
        .env("KUBECONFIG", operator_kubeconfig())
        // The servers are on this machine.
        .env("DIRECTORY_SYNC_ALLOWED_NETWORKS", "127.0.0.0/8,::1")
        .stderr(log.0.reopen().unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    world
        .until("staff", "a run at that time", move |staff| {
            let status = staff.status.clone().unwrap_or_default();
            let last = status.last_sync_time.map(|time| time.0);
            // Times are kept in seconds, and clocks are moved by whole ones; runs are many hours apart.
            last.is_some_and(|last| last + SignedDuration::from_mins(1) >= began)
        })
        .await;
    operator.kill().await.unwrap();
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_are_sent_again_and_withdrawn_as_days_pass() {
    let test = "invitations_are_sent_again_and_withdrawn_as_days_pass";
    let world = World::new("days").await;
    world.resource(
        "staff",
        json!({
            "onboarding": {"reinvite": {"after": "72h", "times": 1}, "withdrawAfter": "6d"},
            "offboarding": {"limit": "100%"},
            "groups": {"limit": "100%"},
        }),
    );
    let mails = || {
        let mails = world.organization.invitations().into_values();
        mails.collect::<Vec<u32>>()
    };
    let mut hour = 0;
    for (until, expected) in [(0, 1), (60, 1), (80, 2), (119, 2)] {
        world
            .organization
            .pass(Duration::from_secs(3600 * (until - hour)));
        hour = until;
        if run_ahead(&world, test, u32::try_from(hour).unwrap())
            .await
            .is_none()
        {
            return;
        }
        assert_eq!(mails(), [expected; 10], "at {hour} h");
    }
    // By the second link: the first one has expired.
    world.organization.pass(Duration::from_secs(3600 * 11));
    assert!(world.organization.accept_and_confirm("p00@example.com"));
    run_ahead(&world, test, 150).await;
    let members = world.organization.snapshot().members;
    assert_eq!(members.len(), 2, "the owner, and whoever accepted");
    assert_eq!(members["p00@example.com"].status, Status::Confirmed);
    let status = world.get("staff").await.status.unwrap();
    assert_eq!(status.changes.unwrap().removed, 9);
    assert_eq!(mails(), [2; 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_seats_are_left_is_a_metric_once_the_server_has_told() {
    let world = World::new("seats").await;
    world.organization.set_seats(Seats::fixed(15));
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    let left = 15 - world.organization.seats_in_use();
    let series = format!(
        r#"directory_sync_seats_left{{namespace="{}",name="staff"}} {left}"#,
        world.namespace
    );
    eventually(&series, || {
        operator.metrics.text().lines().any(|line| line == series)
    })
    .await;
    operator.stop().await.unwrap();
}
