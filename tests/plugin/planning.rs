//! `kubectl directorysync plan`

use serde_json::{Value, json};
use sha2::Digest as _;
use simulators::organization::MemberSeed;

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
        .prints("p03@example.com  new in the directory")
        .prints("Create group (1)")
        .prints("10 members\n    + p00@example.com, p01@example.com");

    world.leave(0..4);
    let fresh = plugin(&world, "plan staff --refresh").await.ends_with(0);
    let fresh = fresh.prints("Invite (6)");
    assert!(!fresh.stdout.contains("p03@"), "{fresh}");

    let json = plugin(&world, "plan staff -o json").await.ends_with(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["changes"].as_array().unwrap().len(), 7);
    let html = plugin(&world, "plan staff -o html").await.ends_with(0);
    html.prints("<bdi>p05@example.com</bdi>");
    let part = plugin(
        &world,
        "plan staff --action CreateGroup --person p05@example.com",
    );
    let part = part.await.ends_with(0).prints("    + p05@example.com\n");
    assert!(!part.stdout.contains("p06@"), "{part}");
    let markdown = plugin(&world, "plan staff -o markdown").await.ends_with(0);
    assert_eq!(markdown.stdout, world.plan("staff"));
    assert_eq!(world.organization.snapshot().members.len(), 1, "the owner");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_made_says_so_and_isnt_made_anew_by_looking() {
    let (world, operator) = World::synced("plan-made").await;

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
        "--from-literal=plan.md=mine",
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

    let literal = "--from-literal=plan.md=mine";
    let kind = "--type=directorysync.dev/plan";
    let create = ["create", "secret", "generic", "staff-plan", literal, kind];
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
    // Ours by its owner, and no plan in it.
    plugin(&world, "plan staff -o json")
        .await
        .ends_with(0)
        .prints("p03@example.com");
}

/// So many members who left the directory, with texts that compress badly.
fn seed(world: &World, leavers: u32) {
    for number in 0..leavers {
        let digest = sha2::Sha256::digest(number.to_be_bytes());
        let text = data_encoding::HEXLOWER.encode(&digest);
        let leaver = MemberSeed::new(&format!("{}@example.com", &text[..32]));
        world
            .organization
            .seed_member(leaver.external_id(&text[32..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_thousands_is_published_whole_and_nothing_unseen_is_approved() {
    const LEAVERS: u32 = 8_000;
    let world = World::new("thousands").await;
    seed(&world, LEAVERS);
    let operator = world.operator();
    world.resource("staff", json!({}));
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    let digest = staff.status.unwrap().held_removals.unwrap().digest;

    let owner = r"jsonpath={.metadata.ownerReferences[0].name}";
    let part = ["get", "configmap", "staff-plan-2", "-o", owner];
    assert_eq!(world.kubectl(&part), "staff");
    let json = plugin(&world, "plan staff -o json").await.ends_with(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["held"].as_array().unwrap().len(), LEAVERS as usize);
    assert_eq!(json["digest"], digest);
    let shown = plugin(&world, "approve staff").await.ends_with(1);
    let shown = shown.complains("no terminal to confirm");
    let rows = shown.stdout.matches("@example.com  gone from").count();
    assert_eq!(rows, LEAVERS as usize);

    // The plan of this run is that of the next one.
    plugin(&world, "sync staff --wait").await.ends_with(3);
    world.kubectl(&["delete", "configmap", "staff-plan-2"]);
    plugin(&world, "plan staff")
        .await
        .ends_with(1)
        .complains("the parts of the plan don't fit together");
    plugin(&world, "approve staff --yes")
        .await
        .ends_with(1)
        .prints("and 7990 more; the plan can't be read here")
        .complains("nothing is approved that wasn't seen")
        .complains(&format!("--digest {digest}"));
    let annotations = world.get("staff").await.metadata.annotations;
    assert!(
        !annotations
            .unwrap_or_default()
            .contains_key("directorysync.dev/approve-removals")
    );

    // The next run publishes what is missing.
    plugin(&world, "sync staff --wait").await.ends_with(3);
    plugin(&world, "plan staff").await.ends_with(0);

    // A smaller plan takes what it doesn't need out of the cluster.
    world
        .patch(
            "staff",
            json!({"spec": {"offboarding": {"absent": "Retain", "disabled": "Retain"}}}),
        )
        .await;
    world.until_ready("staff", "Succeeded").await;
    let names = ["get", "configmap", "-o", "name"];
    eventually("one part", || {
        let data =
            |name: &str| world.kubectl(&["get", "configmap", name, "-o", "jsonpath={.binaryData}"]);
        !world.kubectl(&names).contains("staff-plan-2") || data("staff-plan-2").is_empty()
    })
    .await;
    plugin(&world, "plan staff").await.ends_with(0);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_before_the_latest_stays_readable_and_events_say_what_was_done() {
    let (world, operator) = World::synced("previous").await;
    plugin(&world, "plan staff --previous")
        .await
        .ends_with(1)
        .complains("no plan of");
    world.leave(0..7);
    plugin(&world, "sync staff --wait").await.ends_with(3);
    plugin(&world, "plan staff --previous")
        .await
        .ends_with(0)
        .prints("an earlier plan, ")
        .prints("11 changes made, 0 held")
        .prints("Invite (10)");
    plugin(&world, "plan staff")
        .await
        .ends_with(0)
        .prints("held: Revoke (7)");
    plugin(&world, "approve staff --yes --wait")
        .await
        .ends_with(0);
    let notes = "jsonpath={.items[*].note}";
    let about = "--field-selector=regarding.name=staff,reason=Changed";
    let notes = || world.kubectl(&["get", "events.events.k8s.io", about, "-o", notes]);
    eventually("an event", || {
        notes()
            .contains("Revoked 7 members; the held changes among them were approved by the digest")
    })
    .await;
    // One that fits nothing is told.
    let wrong = "0123456789abcdef0123456789abcdef";
    let annotation = "directorysync.dev/approve-removals";
    world.annotate("staff", annotation, wrong).await;
    let about = "--field-selector=regarding.name=staff,reason=ApprovalVoid";
    let notes = || {
        world.kubectl(&[
            "get",
            "events.events.k8s.io",
            about,
            "-o",
            "jsonpath={.items[*].note}",
        ])
    };
    let told = format!("the approval {wrong} fits nothing: no changes are held");
    eventually("an event", || notes().contains(&told)).await;
    operator.stop().await.unwrap();
}
