//! `kubectl directorysync sync`

use serde_json::json;

use crate::kubectl::plugin;
use directory_sync_testing::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_waited_for_ends_when_the_organization_is_in_sync() {
    let (world, operator) = World::synced("sync").await;
    world.slapd.modify(&newcomer("ada")).unwrap();

    let done = plugin(&world, "sync staff --wait").await.ends_with(0);

    done.prints("directorysyncs.directorysync.dev/staff sync requested\n")
        .prints("/staff: in sync: in sync with")
        .prints("11 members");
    let members = world.organization.snapshot().members;
    assert!(members.contains_key("ada@example.com"));
    // Each time anew, for only another request than the last one counts.
    let runs = operator.runs("staff");
    plugin(&world, "sync staff --wait").await.ends_with(0);
    assert!(operator.runs("staff") > runs);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_ends_with_what_the_directory_answered() {
    let mut world = World::new("sync-fails").await;
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    world.slapd.kill();

    plugin(&world, "sync staff --wait")
        .await
        .ends_with(1)
        .complains("/staff: failing: ")
        .complains("ldap://");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operator_the_wait_ends_in_its_time_and_says_how_things_stand() {
    let world = World::new("no-operator").await;
    world.resource("staff", json!({}));

    plugin(&world, "sync staff").await.ends_with(0);
    plugin(&world, "sync staff --wait --timeout 1s")
        .await
        .ends_with(1)
        .complains("not done after 1s; it is not seen yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_cant_begin_is_reported_with_what_is_missing() {
    let world = World::new("sync-stalled").await;
    let operator = world.operator();
    world.kubectl(&["delete", "secret", "org"]);
    world.resource("staff", json!({}));
    world.until_ready("staff", "ReferenceNotFound").await;

    plugin(&world, "sync staff --wait")
        .await
        .ends_with(1)
        .complains("/staff: stalled: ")
        .complains("\"org\"");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_namespace_are_asked_and_one_that_cant_be_keeps_no_other_from_it() {
    let world = World::new("sync-all").await;
    world.resource("asleep", json!({"suspend": true}));
    world.resource("staff", json!({}));

    plugin(&world, "sync --all")
        .await
        .ends_with(1)
        .prints("directorysyncs.directorysync.dev/staff sync requested\n")
        .complains("/asleep: it is suspended")
        .complains("kubectl directorysync resume asleep");
    let requested = async |name: &str| {
        let annotations = world.get(name).await.metadata.annotations;
        annotations
            .unwrap_or_default()
            .contains_key("directorysync.dev/sync-requested-at")
    };
    assert!(requested("staff").await);
    assert!(!requested("asleep").await);
}

fn newcomer(uid: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,dc=example,dc=com\nchangetype: add\nobjectClass: inetOrgPerson\n\
         cn: {uid}\nsn: {uid}\nuid: {uid}\nmail: {uid}@example.com\n"
    )
}
