//! Whoever leaves while an undo makes its changes.

use std::time::Duration;

use directory_sync_testing::world::*;
use serde_json::{Value, json};
use simulators::organization::Status;

use crate::kubectl::plugin;

/// A person beyond the ten of the company.
fn newcomer(number: u32) -> String {
    format!(
        "dn: {}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: n\nsn: n\nuid: p{number}\n\
         mail: p{number}@example.com\n\n",
        dn(number)
    )
}

/// Disables an account, in words that were or weren't read before.
fn disable(number: u32, words: &[&str]) -> String {
    let mut change = format!(
        "dn: {}\nchangetype: modify\nreplace: employeeType\n",
        dn(number)
    );
    for word in words {
        change += &format!("employeeType: {word}\n");
    }
    change + "\n"
}

/// A resource whose first run in a process has revoked these people, because their accounts were disabled: that run.
async fn revoked(world: &World, people: std::ops::Range<u32>) -> (Operator, String) {
    let operator = world.operator();
    let source = json!({"ldap": {
        "url": world.slapd.url(),
        "baseDn": SUFFIX,
        "users": {"disabled": {"attribute": "employeeType", "values": ["left"]}},
    }});
    let offboarding = json!({"disabledLimit": "100%"});
    world.resource(
        "staff",
        json!({"source": source, "offboarding": offboarding}),
    );
    world.until_ready("staff", "Succeeded").await;
    plugin(world, "sync staff --wait").await.ends_with(0);
    // Nobody is revoked ahead of a run.
    operator.stop().await.unwrap();
    let all = people.len();
    let many: String = people.map(|number| disable(number, &["left"])).collect();
    world.slapd.modify(&many).unwrap();
    let operator = world.operator();
    eventually("all of them", || world.revoked() == all).await;
    plugin(world, "sync staff --wait").await.ends_with(0);
    let history = plugin(world, "history staff -o json").await.ends_with(0);
    let records: Value = serde_json::from_str(&history.stdout).unwrap();
    let run = records[0]["run"].as_str().unwrap().to_owned();
    (operator, run)
}

fn status(world: &World, number: u32) -> Status {
    let members = world.organization.snapshot().members;
    members[&format!("p{number:02}@example.com")].status
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_of_before_the_first_change_of_an_undo_gets_nothing_back_by_it() {
    let world = World::with_signals("undo-told-before").await;
    let (operator, run) = revoked(&world, 3..4).await;
    world.organization.set_latency(Duration::from_millis(1500));
    let undo = format!("undo staff {run} --yes");
    let (undone, ()) = tokio::join!(plugin(&world, &undo), async {
        let is_shown = async || {
            world
                .get("staff")
                .await
                .status
                .unwrap()
                .shown_undo
                .is_some()
        };
        while !is_shown().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It is confirmed, and what is done now is planned.
        let before = world.requests().len();
        eventually("its plan", || world.requests().len() > before).await;
        world.slapd.modify(&disable(3, &["left", "gone"])).unwrap();
    });
    undone.prints("p03@example.com: got nothing back");
    assert_eq!(status(&world, 3), Status::Revoked);
    let restored = |event: &String| event.contains("/restore");
    assert!(
        !world.requests().iter().any(restored),
        "{:?}",
        world.requests()
    );
    world.organization.set_latency(Duration::ZERO);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_makes_way_for_leavers_and_gives_nothing_back_to_whoever_left_meanwhile() {
    let world = World::with_signals("undo-makes-way").await;
    let newcomers: String = (10..40).map(newcomer).collect();
    world.slapd.modify(&newcomers).unwrap();
    let (operator, run) = revoked(&world, 10..40).await;

    let status = |number| status(&world, number);
    world.organization.set_latency(Duration::from_millis(700));
    let undo = format!("undo staff {run} --yes");
    let restored = || world.revoked() < 29;
    let (last, others) = tokio::join!(plugin(&world, &undo), async {
        eventually("the first of many", restored).await;
        let is_restored = |number: &u32| status(*number) != Status::Revoked;
        let last = (10..40).rev().find(|number| !is_restored(number)).unwrap();
        // The directory tells of them once more.
        world
            .slapd
            .modify(&disable(last, &["left", "gone"]))
            .unwrap();
        world.slapd.modify(&disable(3, &["left"])).unwrap();
        eventually("a revocation", || status(3) == Status::Revoked).await;
        world.organization.set_latency(Duration::ZERO);
        (last, (10..40).filter(|number| !is_restored(number)).count())
    });
    let (undone, (last, waiting)) = (last, others);
    assert!(waiting > 8, "it makes way: {waiting} were still to come");
    let undone = undone.ends_with(0).prints("done: 29 Restore");
    undone.prints(&format!("p{last}@example.com: got nothing back"));
    assert_eq!(
        (status(3), status(last)),
        (Status::Revoked, Status::Revoked)
    );
    // The next run holds the others by name, and agrees.
    world.until_ready("staff", "RemovalsHeld").await;
    assert_eq!(world.revoked(), 2);
    operator.stop().await.unwrap();
}
