//! What needs manual action, and what is retried automatically.

use std::time::Duration;

use directory_sync::api::annotations::{APPROVE_REMOVALS, SYNC_REQUESTED_AT};
use directory_sync::api::conditions::{ConditionType, find};
use directory_sync::controller::Timing;
use jiff::Timestamp;
use serde_json::json;

use directory_sync_testing::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named_and_noticed_when_it_comes() {
    let world = World::new("missing").await;
    let operator = world.operator();
    let mut spec = world.manifest("staff")["spec"].clone();
    spec["organization"]["credentialsSecretRef"]["name"] = "later".into();
    world.resource("staff", spec);
    let staff = world.until_ready("staff", "ReferenceNotFound").await;
    let message = message_of(&staff, ConditionType::Stalled);
    assert!(
        message.contains("\"later\"") && message.contains("clientId"),
        "{message}"
    );
    assert_eq!(world.requests(), [""; 0]);

    world.secret("later", &world.organization.client_secret());
    world.until_ready("staff", "Succeeded").await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_stalls_until_its_secret_is_changed() {
    let (world, operator) = World::synced("rotation").await;

    world.organization.rotate_secret("a new key");
    world.organization.revoke_all_tokens();
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    world.until_ready("staff", "OrganizationRefused").await;
    let runs = operator.runs("staff");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        operator.runs("staff"),
        runs,
        "nothing is tried while it is stalled"
    );

    world.secret("org", "a new key");
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(operator.runs("staff"), runs + 1);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_fixed_at_the_server_is_retried_automatically() {
    let world = World::new("refused").await;
    let timing = Timing {
        refused: Duration::from_secs(1),
        ..quick()
    };
    let operator = world.operator_with(timing, None);
    world.resource("staff", json!({"interval": null, "schedule": "* * * * *"}));
    world.until_ready("staff", "Succeeded").await;
    let key = world.organization.client_secret();
    world.organization.rotate_secret("a new key");
    world.organization.revoke_all_tokens();
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    let stalled = world.until_ready("staff", "OrganizationRefused").await;
    world.organization.rotate_secret(&key);
    let next = stalled.status.unwrap().next_sync_time.unwrap().0;
    let wait = next.duration_since(Timestamp::now());
    tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
    world.until_ready("staff", "Succeeded").await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_down_is_tried_again_until_it_is_back() {
    let mut world = World::new("down").await;
    let operator = world.operator();
    world.slapd.kill();
    world.resource("staff", json!({}));
    let failing = world
        .until("staff", "three failures", |staff| {
            let status = staff.status.clone().unwrap_or_default();
            status.consecutive_failures >= Some(3)
        })
        .await;
    assert_eq!(reason_of(&failing), "SourceUnavailable");
    let status = failing.status.unwrap();
    assert!(find(&status.conditions, ConditionType::Reconciling).is_some());
    assert!(status.next_sync_time.is_some());

    world.slapd.restart().unwrap();
    let staff = world.until_ready("staff", "Succeeded").await;
    assert_eq!(staff.status.unwrap().consecutive_failures, None);
    assert!(
        world
            .events("staff")
            .iter()
            .filter(|r| *r == "SourceUnavailable")
            .count()
            == 1
    );
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_past_the_limit_wait_for_the_approval_of_exactly_these() {
    let (world, operator) = World::synced("held").await;
    world.leave(0..5);
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    assert_eq!(world.organization.losses(), []);
    let held = staff.status.clone().unwrap().held_removals.unwrap();
    assert_eq!(held.members, 5);
    let message = message_of(&staff, ConditionType::RemovalsHeld);
    assert!(message.contains(&held.digest), "{message}");
    assert!(world.events("staff").contains(&"RemovalsHeld".into()));

    world
        .annotate(
            "staff",
            APPROVE_REMOVALS,
            "0123456789abcdef0123456789abcdef",
        )
        .await;
    world.annotate("staff", SYNC_REQUESTED_AT, "2").await;
    world
        .until("staff", "the answer to 2", |staff| {
            let status = staff.status.clone().unwrap_or_default();
            status.last_handled_sync_request.as_deref() == Some("2")
        })
        .await;
    assert_eq!(
        world.organization.losses(),
        [],
        "another digest approves nothing"
    );

    world
        .annotate("staff", APPROVE_REMOVALS, &held.digest)
        .await;
    let staff = world.until_ready("staff", "Succeeded").await;
    assert_eq!(world.revoked(), 5);
    assert_eq!(staff.status.unwrap().held_removals, None);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hold_has_an_event_of_its_own_and_the_same_one_is_told_once() {
    let (world, operator) = World::synced("two-holds").await;
    let ask = async |request: &str| {
        let status = world.sync_now("staff", request).await.status.unwrap();
        status.held_removals.unwrap().digest
    };
    let notes = || {
        let about = "--field-selector=regarding.name=staff,reason=RemovalsHeld";
        let note = "jsonpath={range .items[*]}{.note}{'\\n'}{end}";
        let listed = world.kubectl(&["get", "events.events.k8s.io", about, "-o", note]);
        listed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    world.leave(0..4);
    let first = ask("one").await;
    assert_eq!(ask("two").await, first);
    world.leave(4..8);
    let second = ask("three").await;
    assert_ne!(first, second);
    eventually("both events", || notes().len() == 2).await;
    for digest in [first, second] {
        let of_it = notes().iter().filter(|note| note.contains(&digest)).count();
        assert_eq!(of_it, 1, "{digest} in {:#?}", notes());
    }
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_resources_for_one_organization_the_older_one_works_until_it_is_gone() {
    let world = World::new("owner").await;
    world.resource("first", json!({}));
    // Ages differ by whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.resource("a-second", json!({}));
    let operator = world.operator();
    let second = world.until_ready("a-second", "AlreadyManaged").await;
    let message = message_of(&second, ConditionType::Stalled);
    assert!(
        message.contains(&format!("{}/first", world.namespace)),
        "{message}"
    );
    world.until_ready("first", "Succeeded").await;
    assert_eq!(operator.runs("a-second"), 0);

    world.kubectl(&["delete", "dsync", "first"]);
    world.until_ready("a-second", "Succeeded").await;
    // Whatever went, the organization stays as it was.
    assert_eq!(world.organization.losses(), []);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_whose_prefixes_differ_share_an_organization() {
    let world = World::new("prefixes").await;
    let operator = world.operator();
    for (name, prefix, users) in [
        ("berlin", "berlin:", "p0[!5]*"),
        ("paris", "paris:", "p05@*"),
    ] {
        let mut spec = world.manifest(name)["spec"].clone();
        spec["organization"]["externalIdPrefix"] = prefix.into();
        spec["users"] = match name {
            "paris" => json!({"include": [users]}),
            _ => json!({"exclude": ["p05@*"]}),
        };
        spec["groups"] = json!({"exclude": ["*"]});
        world.resource(name, spec);
    }
    world.until_ready("berlin", "Succeeded").await;
    world.until_ready("paris", "Succeeded").await;
    let members = world.organization.snapshot().members;
    let with = |prefix: &str| {
        let ids = members
            .values()
            .filter_map(|member| member.external_id.as_deref());
        ids.filter(|id| id.starts_with(prefix)).count()
    };
    assert_eq!((with("berlin:"), with("paris:")), (9, 1));
    operator.stop().await.unwrap();
}
