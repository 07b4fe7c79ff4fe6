//! The plan in a Secret: who can read it, and that a change of `planStorage` leaves no copy.

use directory_sync::api::annotations::SYNC_REQUESTED_AT;
use directory_sync::api::conditions::ConditionType;
use directory_sync::history::{PACKED_MAX, pack, unpack};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use serde_json::{Value, json};

use directory_sync_testing::world::*;

/// Lets the operator write one Secret of the world, as the chart does with `rbac.planSecrets`.
fn let_operator_write(world: &World, secret: &str) {
    let metadata = json!({"name": "plans", "namespace": world.namespace});
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata,
        "rules": [{
            "apiGroups": [""], "resources": ["secrets"],
            "resourceNames": [secret, secret.replace("-plan", "-history")],
            "verbs": ["create", "patch"],
        }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "plans"},
        "subjects": [{
            "kind": "ServiceAccount", "name": "directory-sync", "namespace": "directory-sync",
        }],
    });
    world.apply(&role);
    world.apply(&binding);
    let account = "--as=system:serviceaccount:directory-sync:directory-sync";
    let may = [
        "auth",
        "can-i",
        "patch",
        &format!("secrets/{secret}"),
        account,
    ];
    let arguments = [&["-n", &world.namespace], &may[..]].concat();
    let noticed = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        world.server().run_kubectl(&arguments).is_ok()
    });
    assert!(noticed, "the right is noticed");
}

async fn secret(world: &World, name: &str) -> Option<Secret> {
    let api: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    api.get_opt(name).await.unwrap()
}

async fn config_map(world: &World, name: &str) -> Option<ConfigMap> {
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    api.get_opt(name).await.unwrap()
}

/// The plan in the Secret `staff-plan`.
async fn plan_in_secret(world: &World) -> String {
    let data = secret(world, "staff-plan")
        .await
        .and_then(|secret| secret.data);
    let plan = data.unwrap_or_default().remove("plan.md");
    plan.map(|plan| String::from_utf8(plan.0).unwrap())
        .unwrap_or_default()
}

/// Whether the ConfigMap holds anything at all.
async fn is_config_map_empty(world: &World) -> bool {
    let map = config_map(world, "staff-plan").await.unwrap_or_default();
    map.data.unwrap_or_default().is_empty() && map.binary_data.unwrap_or_default().is_empty()
}

async fn is_secret_empty(world: &World) -> bool {
    let secret = secret(world, "staff-plan").await.unwrap_or_default();
    secret.data.unwrap_or_default().is_empty()
}

async fn answered(world: &World, request: &'static str) {
    world
        .until("staff", request, move |staff| {
            let status = staff.status.clone().unwrap_or_default();
            status.last_handled_sync_request.as_deref() == Some(request) && is_current(staff)
        })
        .await;
}

fn one_may_go(storage: &str) -> Value {
    json!({
        "offboarding": {"absent": "Revoke", "limit": "30%"}, "planStorage": storage,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_in_a_secret_is_in_no_config_map() {
    let world = World::new("plan-secret").await;
    let_operator_write(&world, "staff-plan");
    let operator = world.operator();
    world.resource("staff", json!({"planStorage": "Secret", "mode": "Preview"}));
    let staff = world.until_ready("staff", "Previewed").await;

    let message = message_of(&staff, ConditionType::Ready);
    assert!(message.contains("see Secret staff-plan"), "{message}");
    let plan = plan_in_secret(&world).await;
    assert!(plan.contains("p00@example.com"), "{plan}");
    let written = secret(&world, "staff-plan").await.unwrap();
    assert_eq!(written.type_.as_deref(), Some("directorysync.dev/plan"));
    assert_eq!(config_map(&world, "staff-plan").await, None);
    assert_eq!(
        secret(&world, "staff-history").await,
        None,
        "nothing was changed"
    );
    let owners = written.metadata.owner_references.unwrap();
    assert_eq!(owners[0].uid, staff.metadata.uid.unwrap());
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_the_plan_is_nowhere_and_an_event_says_how_to_allow_it() {
    let world = World::new("plan-refused").await;
    let operator = world.operator();
    world.resource("staff", json!({"planStorage": "Secret", "mode": "Preview"}));
    world.until_ready("staff", "Previewed").await;
    let about = "--field-selector=regarding.name=staff,reason=PlanNotWritten";
    let notes = "jsonpath={.items[*].note}";
    let told = || world.kubectl(&["get", "events.events.k8s.io", about, "-o", notes]);
    eventually("an event", || told().contains("rbac.planSecrets")).await;
    assert_eq!(config_map(&world, "staff-plan").await, None);
    assert_eq!(secret(&world, "staff-plan").await, None);

    // A plan in a ConfigMap stays until it has another place.
    world
        .patch("staff", json!({"spec": {"planStorage": "ConfigMap"}}))
        .await;
    world.sync_now("staff", "1").await;
    assert!(world.plan("staff").contains("p00@example.com"));
    world
        .patch("staff", json!({"spec": {"planStorage": "Secret"}}))
        .await;
    let staff = world
        .until("staff", "a failure", |staff| {
            reason_of(staff) == "ApplyFailed"
        })
        .await;
    let message = message_of(&staff, ConditionType::Ready);
    assert!(message.contains("rbac.planSecrets"), "{message}");
    assert!(world.plan("staff").contains("p00@example.com"));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_storage_moves_plan_and_record_and_leaves_no_copy() {
    let world = World::new("plan-moved").await;
    let_operator_write(&world, "staff-plan");
    let operator = world.operator();
    world.resource("staff", one_may_go("ConfigMap"));
    world.until_ready("staff", "Succeeded").await;
    world.leave(0..1);
    world.sync_now("staff", "1").await;
    assert_eq!(world.revoked(), 1);
    // Somebody has restored it from a backup: the values belong to two field managers.
    let mut map = config_map(&world, "staff-plan").await.unwrap();
    map.metadata.managed_fields = None;
    map.metadata.resource_version = None;
    let parameters = kube::api::PatchParams::apply("backup").force();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let patch = kube::api::Patch::Apply(&map);
    maps.patch("staff-plan", &parameters, &patch).await.unwrap();

    // In the same process.
    world
        .patch("staff", json!({"spec": {"planStorage": "Secret"}}))
        .await;
    world.sync_now("staff", "2").await;
    assert!(plan_in_secret(&world).await.contains("p00@example.com"));
    assert!(is_config_map_empty(&world).await);
    operator.stop().await.unwrap();

    // In another process, which believes the record: one more is within the limit.
    world
        .patch("staff", json!({"spec": {"planStorage": "ConfigMap"}}))
        .await;
    world.leave(1..2);
    world.annotate("staff", SYNC_REQUESTED_AT, "3").await;
    let operator = world.operator();
    answered(&world, "3").await;
    assert_eq!(reason_of(&world.get("staff").await), "Succeeded");
    assert_eq!(world.revoked(), 2);
    assert!(world.plan("staff").contains("p01@example.com"));
    assert!(is_secret_empty(&world).await);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ended_between_the_copies_leaves_none() {
    let world = World::new("plan-half-moved").await;
    let_operator_write(&world, "staff-plan");
    let operator = world.operator();
    world.resource("staff", one_may_go("ConfigMap"));
    world.until_ready("staff", "Succeeded").await;
    let copy = config_map(&world, "staff-plan").await.unwrap();
    world
        .patch("staff", json!({"spec": {"planStorage": "Secret"}}))
        .await;
    world.sync_now("staff", "1").await;
    operator.stop().await.unwrap();

    let data = json!({"data": copy.data, "binaryData": copy.binary_data});
    world.kubectl(&[
        "patch",
        "configmap",
        "staff-plan",
        "--type=merge",
        "-p",
        &data.to_string(),
    ]);
    assert!(!is_config_map_empty(&world).await);
    world.leave(0..1);
    world.annotate("staff", SYNC_REQUESTED_AT, "2").await;
    let operator = world.operator();
    answered(&world, "2").await;
    assert_eq!(world.revoked(), 1);
    assert!(is_config_map_empty(&world).await);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_secret_is_neither_read_nor_written() {
    let world = World::new("plan-foreign").await;
    let_operator_write(&world, "staff-plan");
    let literal = "--from-literal=password=correct-horse";
    world.kubectl(&["create", "secret", "generic", "staff-plan", literal]);
    let before = secret(&world, "staff-plan").await;
    let operator = world.operator();
    world.resource("staff", json!({"planStorage": "Secret", "mode": "Preview"}));
    world.until_ready("staff", "Previewed").await;
    eventually("an event", || {
        let events = world.events("staff");
        events.iter().any(|reason| reason == "PlanNotWritten")
    })
    .await;
    assert_eq!(secret(&world, "staff-plan").await, before);
    assert_eq!(config_map(&world, "staff-plan").await, None);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_another_type_is_neither_copied_nor_emptied() {
    let world = World::new("plan-opaque").await;
    let operator = world.operator();
    world.resource("staff", json!({"suspend": true, "mode": "Preview"}));
    let staff = world.until_ready("staff", "Suspended").await;
    world.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": "staff-plan", "namespace": world.namespace,
            "ownerReferences": [{
                "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
                "name": "staff", "uid": staff.metadata.uid.unwrap(),
            }],
        },
        "stringData": {"payroll": "canary", "plan.md": "canary"},
    }));
    world.resource("staff", json!({"suspend": false, "mode": "Preview"}));
    world.until_ready("staff", "Previewed").await;

    let map = serde_json::to_string(&config_map(&world, "staff-plan").await).unwrap();
    assert!(map.contains("p00@example.com"), "{map}");
    assert!(!map.contains("canary") && !map.contains("payroll"), "{map}");
    let kept = secret(&world, "staff-plan").await.unwrap().data.unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_puts_into_the_other_kind_of_history_changes_no_run_of_the_operator() {
    let world = World::new("history-other").await;
    let_operator_write(&world, "staff-plan");
    let operator = world.operator();
    world.resource("staff", one_may_go("Secret"));
    world.until_ready("staff", "Succeeded").await;
    world.leave(0..1);
    world.sync_now("staff", "1").await;
    operator.stop().await.unwrap();
    let kept = async || {
        let history = secret(&world, "staff-history").await.unwrap();
        let data = history.data.clone().unwrap();
        let text = unpack(&data["history.jsonl.gz"].0).unwrap();
        let digest = world.get("staff").await.status.unwrap().history_digest;
        (history, text, data["runs"].0.len() / 16, digest)
    };
    let (history, before, runs, digest) = kept().await;
    let newest = before.lines().next().unwrap();
    let record: Value = serde_json::from_str(newest).unwrap();
    let forged = |run: &str| {
        let mut forged = record.clone();
        forged["run"] = run.into();
        forged["number"] = 9.into();
        forged["person"]["email"] = "p05@example.com".into();
        forged.to_string() + "\n"
    };
    let forged = [record["run"].as_str().unwrap(), "aaaaaaaaaa"].map(forged);
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some("staff-history".into()),
            owner_references: history.metadata.owner_references,
            ..ObjectMeta::default()
        },
        binary_data: Some(
            [(
                "history.jsonl.gz".to_owned(),
                ByteString(pack(&forged.concat(), PACKED_MAX).0),
            )]
            .into(),
        ),
        ..ConfigMap::default()
    };
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    maps.create(&kube::api::PostParams::default(), &map)
        .await
        .unwrap();

    let operator = world.operator();
    world.sync_now("staff", "2").await;
    let told = || world.events("staff").contains(&"HistoryChanged".into());
    eventually("an event", told).await;
    let (_, after, sealed, named) = kept().await;
    assert_eq!(after, before + &forged[1], "shown as not sealed");
    assert_eq!((sealed, named), (runs, digest));
    let emptied = config_map(&world, "staff-history").await.unwrap();
    assert_eq!(emptied.binary_data.unwrap_or_default().len(), 0);
    operator.stop().await.unwrap();
}
