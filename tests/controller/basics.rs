//! What everyone sees: a resource comes to `Ready`, says what happened, and is quiet when nothing
//! does.

use std::time::Duration;

use directory_sync::api::annotations::{FLUX_REQUESTED_AT, SYNC_REQUESTED_AT};
use directory_sync::api::conditions::{ConditionType, find};
use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher;
use serde_json::json;
use simulators::lab::{Ldif, Person};

use directory_sync_testing::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_resource_becomes_ready_and_the_organization_is_as_the_directory() {
    let world = World::new("ready").await;
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "dsync/staff",
    ]);

    let organization = world.organization.snapshot();
    assert_eq!(organization.members.len(), 11);
    assert_eq!(organization.group("everyone").unwrap().members.len(), 10);

    let staff = world.until_ready("staff", "Succeeded").await;
    let status = staff.status.unwrap();
    assert_eq!(status.organization.unwrap().managed_members, Some(10));
    assert_eq!(status.changes.unwrap().invited, 10);
    assert!(status.last_sync_time.is_some() && status.progress.is_none());
    let columns = world.kubectl(&["get", "dsync", "staff"]);
    assert!(columns.contains("True"), "{columns}");
    let widest = columns.lines().map(str::len).max();
    assert!(widest <= Some(80), "{columns}");
    let wide = world.kubectl(&["get", "dsync", "staff", "-o", "wide"]);
    for title in ["SOURCE", "GROUPS", "HELD", "PROBLEMS", "MESSAGE"] {
        assert!(wide.contains(title), "{wide}");
    }
    assert!(wide.contains("LDAP"), "{wide}");
    let plan = world.plan("staff");
    assert!(plan.contains("p00@example.com"), "{plan}");
    eventually("two events", || {
        let mut events = world.events("staff");
        events.sort_unstable();
        events == ["Changed", "Succeeded"]
    })
    .await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_step_status_says_what_kstatus_has_to_know() {
    let world = World::new("kstatus").await;
    let config = watcher::Config::default();
    let mut seen = watcher(world.api(), config).applied_objects().boxed();
    world.resource("staff", json!({}));
    // The first step is nobody's but ours.
    let untouched = seen.next().await.unwrap();
    let mut seen = futures::stream::iter([untouched]).chain(seen).boxed();
    let operator = world.operator();
    let watching = tokio::spawn(async move {
        let mut steps = Vec::new();
        while let Some(Ok(object)) = seen.next().await {
            let status = object.status.clone().unwrap_or_default();
            let is = |kind| find(&status.conditions, kind).map(|c| c.status.clone());
            let step = (
                object.metadata.generation == status.observed_generation,
                is(ConditionType::Ready),
                is(ConditionType::Reconciling),
                is(ConditionType::Stalled),
            );
            // Absent while they aren't true.
            assert!(step.2.as_deref().is_none_or(|status| status == "True"));
            assert!(step.3.as_deref().is_none_or(|status| status == "True"));
            assert!(
                step.2.is_none() || step.3.is_none(),
                "in progress and stuck at once"
            );
            steps.push(step);
            if object.metadata.generation == Some(3) && is_current(&object) {
                return steps;
            }
        }
        steps
    });
    world.until_ready("staff", "Succeeded").await;
    world
        .patch("staff", json!({"spec": {"users": {"exclude": ["p00@*"]}}}))
        .await;
    world.until_ready("staff", "Succeeded").await;
    // There is no such place in the directory: only a person can fix that.
    world
        .patch(
            "staff",
            json!({"spec": {"source": {"ldap": {"baseDn": "dc=nowhere"}}}}),
        )
        .await;
    let mut steps = tokio::time::timeout(WAIT_TIMEOUT, watching)
        .await
        .unwrap()
        .unwrap();
    // How often a step is written again, with its progress, depends on how long it takes.
    steps.dedup();

    let text = |status: &str| Some(status.to_owned());
    // Not looked at, in progress, done.
    assert_eq!(steps[0], (false, None, None, None));
    assert_eq!(steps[1], (true, text("Unknown"), text("True"), None));
    assert_eq!(steps[2], (true, text("True"), None, None));
    // A new spec: status is of the old one, then in progress, then done.
    assert_eq!(steps[3], (false, text("True"), None, None));
    assert_eq!(steps[4], (true, text("Unknown"), text("True"), None));
    assert_eq!(steps[5], (true, text("True"), None, None));
    let last = steps.last().unwrap();
    assert_eq!(*last, (true, text("False"), None, text("True")));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_means_no_status_write_and_no_request_but_the_reads() {
    let world = World::new("quiet").await;
    let operator = world.operator();
    world.resource("staff", json!({"interval": null, "schedule": "* * * * *"}));
    let before = world.until_ready("staff", "Succeeded").await;
    let plan = world.plan_version("staff");
    world.organization.clear_requests();

    eventually("a second run", || world.requests().len() >= 2).await;
    let runs = operator.runs("staff");
    eventually("its end", || operator.runs("staff") > runs || runs >= 2).await;

    let mut requests = world.requests();
    requests.sort();
    assert_eq!(
        requests,
        ["GET /api/public/groups", "GET /api/public/members"]
    );
    assert_eq!(version(&world.get("staff").await), version(&before));
    assert_eq!(world.plan_version("staff"), plan);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_request_runs_once_and_any_other_annotation_not_at_all() {
    let (world, operator) = World::synced("request").await;
    add_person(&world, 10);

    world.annotate("staff", "example.com/note", "look").await;
    world.annotate("staff", SYNC_REQUESTED_AT, "first").await;
    let answered = |token: &'static str| {
        world.until("staff", token, move |staff| {
            let status = staff.status.clone().unwrap_or_default();
            status.last_handled_sync_request.as_deref() == Some(token)
        })
    };
    answered("first").await;
    assert!(
        world
            .organization
            .snapshot()
            .member("p10@example.com")
            .is_some()
    );
    assert_eq!(operator.runs("staff"), 2);

    world.annotate("staff", FLUX_REQUESTED_AT, "second").await;
    answered("first second").await;
    assert_eq!(operator.runs("staff"), 3);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_reports_what_it_would_do_and_does_nothing() {
    let world = World::new("preview").await;
    let operator = world.operator();
    world.resource("staff", json!({"mode": "Preview"}));
    let staff = world.until_ready("staff", "Previewed").await;
    assert_eq!(staff.status.unwrap().changes.unwrap().invited, 10);
    assert_eq!(world.organization.history(), []);
    assert!(world.plan("staff").contains("p00@example.com"));
    world
        .patch("staff", json!({"spec": {"mode": "Apply"}}))
        .await;
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(world.organization.snapshot().members.len(), 11);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_config_map_is_left_alone_and_named_in_an_event() {
    let world = World::new("foreign").await;
    world.kubectl(&[
        "create",
        "configmap",
        "staff-plan",
        "--from-literal=mine=yes",
    ]);
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    eventually("the event", || {
        world.events("staff").contains(&"PlanNotWritten".into())
    })
    .await;
    let data = world.kubectl(&["get", "configmap", "staff-plan", "-o", "jsonpath={.data}"]);
    assert_eq!(data, r#"{"mine":"yes"}"#);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_of_a_later_version_gets_a_condition_and_holds_up_no_other() {
    let world = World::new("later").await;
    world.resource("future", json!({"mode": "Rehearse"}));
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    let status = world.kubectl(&[
        "get",
        "dsync",
        "future",
        "-o",
        "jsonpath={.status.conditions}",
    ]);
    assert!(
        status.contains("Stalled") && status.contains("InvalidSpec"),
        "{status}"
    );
    operator.stop().await.unwrap();
}

fn add_person(world: &World, number: u32) {
    let mut ldif = Ldif::empty("dc=example,dc=com");
    ldif.person("ou=people", &Person::new(&format!("p{number:02}")));
    world.slapd.modify(ldif.text()).unwrap();
}

/// Somebody is new in the group; while they are invited, another is taken out of it by hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_somebody_changes_while_a_sync_runs_is_planned_again_in_that_run() {
    let (world, operator) = World::synced("meanwhile").await;
    let mut ldif = Ldif::empty(SUFFIX);
    let new = ldif.person("ou=people", &Person::new("p10"));
    world.slapd.modify(ldif.text()).unwrap();
    let group = format!("dn: cn=everyone,ou=groups,{SUFFIX}\nchangetype: modify\n");
    let change = format!("{group}add: member\nmember: {new}\n");
    world.slapd.modify(&change).unwrap();
    let runs = operator.runs("staff");
    world.organization.clear_requests();
    world.organization.set_latency(Duration::from_millis(200));
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    let imports = |world: &World| {
        let requests = world.requests();
        requests.iter().any(|request| request.contains("import"))
    };
    eventually("the invitation", || imports(&world)).await;
    let emails: Vec<String> = (1..10).map(|n| format!("p{n:02}@example.com")).collect();
    let mut emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    emails.push("owner@example.com");
    world.organization.set_group_members("everyone", &emails);
    let staff = world
        .until("staff", "the answer", |staff| {
            let status = staff.status.clone().unwrap_or_default();
            status.last_handled_sync_request.as_deref() == Some("1") && is_current(staff)
        })
        .await;

    let after = world.organization.snapshot();
    assert_eq!(after.group("everyone").unwrap().members.len(), 12);
    assert_eq!(operator.runs("staff"), runs + 1);
    let status = staff.status.unwrap();
    assert_eq!(status.changes.unwrap().invited, 1);
    assert!(status.problems.is_empty(), "{:?}", status.problems);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_too_large_says_so_and_works_once_it_is_smaller() {
    let world = World::new("large-spec").await;
    let operator = world.operator();
    let patterns: Vec<String> = (0..1000)
        .map(|n| format!("{n}{}", "x".repeat(90)))
        .collect();
    world.resource(
        "staff",
        json!({"groups": {"include": patterns, "exclude": patterns}}),
    );
    let staff = world.until_ready("staff", "InvalidSpec").await;
    let message = message_of(&staff, ConditionType::Ready);
    assert!(message.contains("larger than 128 KiB"), "{message}");
    assert!(!message.contains("CRD"), "{message}");
    world.resource("staff", json!({"groups": {"exclude": ["none"]}}));
    world.until_ready("staff", "Succeeded").await;
    operator.stop().await.unwrap();
}
