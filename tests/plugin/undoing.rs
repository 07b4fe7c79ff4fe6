//! `kubectl directorysync undo`

use directory_sync_testing::world::*;
use serde_json::{Value, json};
use simulators::organization::Status;

use crate::kubectl::{kubectl, plugin};
use crate::refusals::user;

async fn last_run(world: &World) -> String {
    let history = plugin(world, "history staff -o json").await.ends_with(0);
    let records: Value = serde_json::from_str(&history.stdout).unwrap();
    records[0]["run"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_taken_back_and_held_on_the_rights_of_an_editor() {
    let (world, operator) = World::synced("undo").await;
    let spec =
        json!({"offboarding": {"absent": "Revoke", "limit": "100%"}, "groups": {"limit": "100%"}});
    world.resource("staff", spec);
    world.until_ready("staff", "Succeeded").await;
    for number in 0..10 {
        let email = format!("p{number:02}@example.com");
        let _ = world.organization.accept_and_confirm(&email);
    }
    world.leave(3..5);
    plugin(&world, "sync staff --wait").await.ends_with(0);
    let status = |number: u32| {
        let members = world.organization.snapshot().members;
        members[&format!("p{number:02}@example.com")].status
    };
    assert_eq!((status(3), status(4)), (Status::Revoked, Status::Revoked));
    let run = last_run(&world).await;

    let undo = format!("undo staff {}", &run[..6]);
    let shown = plugin(&world, &format!("{undo} --dry-run"))
        .await
        .ends_with(0);
    let shown = shown
        .prints(&format!("undo of run {run} ("))
        .prints("  restore       p03@example.com\n  restore       p04@example.com\n");
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    assert_eq!(status(3), Status::Revoked, "nothing was changed");
    plugin(&world, &undo)
        .await
        .ends_with(1)
        .complains("then add --yes");

    // Who may only look can't ask; whoever may change resources and read ConfigMaps can.
    let viewer = user(&world, "viewer", "get,list");
    let line = format!("directorysync {undo} --yes -n {}", world.namespace);
    kubectl(&world, &line, &viewer)
        .await
        .ends_with(1)
        .complains("may not patch");
    let person = format!("{undo} --person p03@example.com --yes");
    plugin(&world, &person)
        .await
        .ends_with(0)
        .prints("done: 1 Restore");
    assert_eq!((status(3), status(4)), (Status::Confirmed, Status::Revoked));
    let done = plugin(&world, &format!("{undo} --yes")).await.ends_with(0);
    done.prints("was taken back by run")
        .prints("done: 1 Restore");
    assert_eq!(status(4), Status::Confirmed);

    // The next run comes by itself, and holds both by name.
    world.until_ready("staff", "RemovalsHeld").await;
    let held = plugin(&world, "status staff").await.ends_with(0);
    held.prints("taken back by an undo");
    let history = plugin(&world, "history staff").await.ends_with(0);
    let undone = last_run(&world).await;
    history.prints(&format!("undo of run {run}"));
    plugin(&world, "approve staff --yes --wait")
        .await
        .ends_with(0);
    assert_eq!((status(3), status(4)), (Status::Revoked, Status::Revoked));

    // What was confirmed is done, or nothing: it is another undo by now.
    plugin(&world, &format!("undo staff {undone} --yes"))
        .await
        .ends_with(0)
        .prints("nothing is left to take back");
    plugin(&world, "undo staff ffffffffff --yes")
        .await
        .ends_with(1)
        .complains("the history has no run ffffffffff");
    operator.stop().await.unwrap();
}
