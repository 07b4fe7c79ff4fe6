//! The records of what runs did, in `<name>-history`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};

use data_encoding::HEXLOWER;
use directory_sync::api::DirectorySync;
use directory_sync::api::annotations::{APPROVE_REMOVALS, SYNC_REQUESTED_AT};
use directory_sync::history::{PACKED_MAX, parse, unpack};
use directory_sync::sync::history::{Outcome, Record, RunTrigger};
use directory_sync::sync::plan::Kind;
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Resource as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use simulators::organization;
use tokio::net::TcpListener;

use directory_sync_testing::faults::{FailingRequests, Fault};
use directory_sync_testing::world::*;

pub async fn records(world: &World) -> Vec<Record> {
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let map = api.get_opt("staff-history").await.unwrap();
    let data = map.and_then(|map| map.binary_data).unwrap_or_default();
    let Some(packed) = data.get("history.jsonl.gz") else {
        return vec![];
    };
    let parsed = parse(&unpack(&packed.0).unwrap());
    assert_eq!(parsed.unreadable, 0);
    parsed.records
}

/// Status names the seal of every run that is kept.
async fn ensure_all_are_sealed(world: &World) {
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let sealed = async || {
        let map = api.get("staff-history").await.unwrap();
        let seal = map
            .binary_data
            .unwrap()
            .remove("runs")
            .unwrap_or_default()
            .0;
        let status = world.get("staff").await.status.unwrap_or_default();
        let digest = HEXLOWER.encode(&Sha256::digest(&seal)[..16]);
        (seal.len() / 16, status.history_digest == Some(digest))
    };
    let mut runs: Vec<_> = records(world)
        .await
        .into_iter()
        .map(|one| one.run)
        .collect();
    runs.sort();
    runs.dedup();
    assert_eq!(sealed().await, (runs.len(), true));
}

/// How many changes of each kind have this result.
fn count(records: &[Record], kind: Kind, result: Outcome) -> usize {
    let of_kind = records.iter().filter(|one| one.action == kind);
    of_kind.filter(|one| one.result == result).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_has_a_record_with_its_run_and_who_approved_it() {
    let world = World::new("history").await;
    let operator = world.operator();
    world.resource("staff", json!({}));
    let staff = world.until_ready("staff", "Succeeded").await;
    let first = records(&world).await;
    assert_eq!(count(&first, Kind::Invite, Outcome::Done), 10);
    assert_eq!(first.len(), 11, "{first:#?}");
    assert!(first.iter().all(|one| one.trigger == RunTrigger::First));
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let map = api.get("staff-history").await.unwrap();
    let owners = map.metadata.owner_references.unwrap();
    assert_eq!(owners[0].uid, staff.metadata.uid.unwrap());

    for number in 0..10 {
        let email = format!("p{number:02}@example.com");
        assert!(world.organization.accept_and_confirm(&email));
    }
    world.leave(0..5);
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    assert_eq!(records(&world).await, first, "what is held isn't made");
    let digest = staff.status.unwrap().held_removals.unwrap().digest;
    world.annotate("staff", APPROVE_REMOVALS, &digest).await;
    world.until_ready("staff", "Succeeded").await;
    let all = records(&world).await;
    let revoked: Vec<&Record> = all
        .iter()
        .filter(|one| one.action == Kind::Revoke)
        .collect();
    assert_eq!(revoked.len(), 5);
    for record in revoked {
        assert_eq!(record.result, Outcome::Done);
        assert_eq!(record.trigger, RunTrigger::Approved);
        assert!(record.evidence.is_some());
        let approval = record.approval.as_ref().unwrap();
        assert_eq!(approval.hold.as_ref().unwrap().0, digest);
        assert!(
            approval.by.is_some(),
            "the API server knows which program it was"
        );
    }
    assert_ne!(all[0].run, first[0].run, "the newest run comes first");
    assert!(all.ends_with(&first));
    ensure_all_are_sealed(&world).await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_the_records_say_what_the_organization_says() {
    const LEAVERS: usize = 30;
    let config = organization::Config {
        latency: Duration::from_millis(150),
        ..organization::Config::cloud()
    };
    let world = World::with("history-kill", config).await;
    world.seed_leavers(LEAVERS as u32);
    let operator = world.operator();
    let generous = json!({"absent": "Revoke", "limit": "100%"});
    world.resource("staff", json!({"offboarding": generous}));
    // There was no record before: that has to be approved.
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    let digest = staff.status.unwrap().held_removals.unwrap().digest;
    world.annotate("staff", APPROVE_REMOVALS, &digest).await;
    eventually("the first revocations", || world.revoked() >= 3).await;
    operator.kill().await;
    let begun = records(&world).await;
    assert!(
        count(&begun, Kind::Revoke, Outcome::Pending) == LEAVERS,
        "written before"
    );
    assert!(world.revoked() < LEAVERS);

    world.organization.set_latency(Duration::ZERO);
    let operator = world.operator();
    eventually("the others", || world.revoked() == LEAVERS).await;
    world.until_ready("staff", "Succeeded").await;
    let all = records(&world).await;
    assert!(all.iter().all(|one| !one.result.is_open()), "{all:#?}");
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for record in all.iter().filter(|one| one.action == Kind::Revoke) {
        *told.entry(record.label()).or_default() += 1;
    }
    let history = world.organization.history();
    let mut happened: BTreeMap<String, usize> = BTreeMap::new();
    for event in history {
        if let organization::Event::Revoked { email, .. } = event {
            *happened.entry(email).or_default() += 1;
        }
    }
    assert_eq!(told, happened);
    assert_eq!(told.len(), LEAVERS);
    let mut runs: Vec<_> = all.iter().map(|one| one.run.clone()).collect();
    runs.sort();
    runs.dedup();
    assert!(runs.len() >= 2, "the first part is the killed run's");
    ensure_all_are_sealed(&world).await;
    operator.stop().await.unwrap();
}

/// Killed when the history is to be written, or was, before the changes of a run and after them: nobody is told that
/// somebody else wrote there, and every run stays one of the operator's.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_at_a_write_of_the_history_leaves_every_run_sealed() {
    let world = World::new("history-between").await;
    let faults = FailingRequests::writes_of("staff-history");
    let mut operator = world.operator_with_faults(&faults).await;
    let generous = json!({"absent": "Revoke", "limit": "100%"});
    world.resource("staff", json!({"offboarding": generous}));
    world.until_ready("staff", "Succeeded").await;
    let killed = [
        (Fault::Silence, false),
        (Fault::Unanswered, false),
        (Fault::Silence, true),
        (Fault::Unanswered, true),
    ];
    for (number, (fault, after_changes)) in (0..).zip(killed) {
        world.leave(number..number + 1);
        let failed = faults.failed();
        if after_changes {
            world.organization.set_latency(Duration::from_millis(300));
        } else {
            faults.set(Some(fault));
        }
        let request = number.to_string();
        world.annotate("staff", SYNC_REQUESTED_AT, &request).await;
        if after_changes {
            eventually("a revocation", || world.revoked() == number as usize + 1).await;
            faults.set(Some(fault));
        }
        eventually("a write", || faults.failed() > failed).await;
        operator.kill().await;
        faults.set(None);
        world.organization.set_latency(Duration::ZERO);
        assert_eq!(
            world.revoked(),
            number as usize + usize::from(after_changes)
        );

        operator = world.operator_with_faults(&faults).await;
        let answered = move |staff: &DirectorySync| {
            let status = staff.status.clone().unwrap_or_default();
            status.last_handled_sync_request.as_ref() == Some(&request) && is_current(staff)
        };
        world.until("staff", "the next run", answered).await;
        assert_eq!(world.revoked(), number as usize + 1);
        ensure_all_are_sealed(&world).await;
        let all = records(&world).await;
        assert!(all.iter().all(|one| !one.result.is_open()), "{all:#?}");
        let changed = world.events("staff").contains(&"HistoryChanged".into());
        assert!(!changed, "{fault:?}, after the changes: {after_changes}");
    }
    let status = world.get("staff").await.status.unwrap();
    assert_eq!(status.next_history_digest, None);
    operator.stop().await.unwrap();
}

/// A receiver of CloudEvents that fails at first.
async fn receiver(failures: usize) -> (String, Arc<Mutex<Vec<Value>>>, Arc<AtomicUsize>) {
    let received: Arc<Mutex<Vec<Value>>> = Arc::default();
    let requests = Arc::new(AtomicUsize::new(0));
    let (kept, count) = (received.clone(), requests.clone());
    let take = move |headers: HeaderMap, Json(batch): Json<Vec<Value>>| async move {
        assert_eq!(headers["authorization"], "Bearer of-the-receiver");
        if count.fetch_add(1, Ordering::SeqCst) < failures {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        kept.lock().unwrap().extend(batch);
        StatusCode::ACCEPTED
    };
    // axum's own extractor takes any type that ends in +json.
    let router = Router::new().route("/events", post(take));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_each_record_once_although_it_was_down_at_first() {
    let world = World::new("history-events").await;
    let (url, received, requests) = receiver(2).await;
    let operator = world.operator_that_tells(&url);
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    eventually("all records", || received.lock().unwrap().len() == 11).await;
    assert!(
        requests.load(Ordering::SeqCst) >= 3,
        "it failed, and was asked again"
    );
    let kept = records(&world).await;
    let events = received.lock().unwrap().clone();
    let source = format!("/namespaces/{}/directorysyncs/staff", world.namespace);
    let mut told = vec![];
    for event in &events {
        assert_eq!(event["source"], source.as_str());
        told.push(serde_json::from_value::<Record>(event["data"].clone()).unwrap());
    }
    told.sort_by_key(|one| one.number);
    assert_eq!(told, kept);
    let sent = "directory_sync_audit_records_sent_total 11";
    eventually("the count", || operator.exposition().contains(sent)).await;
    // What the last run did is sent although the operator ends.
    world.leave(0..1);
    for number in 0..10 {
        let _ = world
            .organization
            .accept_and_confirm(&format!("p{number:02}@example.com"));
    }
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    eventually("the revocation", || world.revoked() == 1).await;
    operator.stop().await.unwrap();
    let revoked = received
        .lock()
        .unwrap()
        .iter()
        .any(|event| event["data"]["action"] == "Revoke");
    assert!(revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_holds_up_no_run() {
    let world = World::new("history-silence").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let operator = world.operator_that_tells(&url);
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(records(&world).await.len(), 11);
    let ending = std::time::Instant::now();
    operator.stop().await.unwrap();
    assert!(
        ending.elapsed() < Duration::from_secs(20),
        "nor the end of the process"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_of_somebody_else_is_left_alone_and_the_sync_goes_on() {
    let world = World::new("history-foreign").await;
    world.kubectl(&["create", "configmap", "staff-history", "--from-literal=a=b"]);
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(world.organization.snapshot().members.len(), 11);
    let told = || world.events("staff").contains(&"HistoryNotWritten".into());
    eventually("an event", told).await;
    let theirs = world.kubectl(&[
        "get",
        "configmap",
        "staff-history",
        "-o",
        "jsonpath={.data}",
    ]);
    assert_eq!(theirs, r#"{"a":"b"}"#);
    // Once it is gone, what couldn't be written is.
    world.kubectl(&["delete", "configmap", "staff-history"]);
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    let answered = |staff: &DirectorySync| {
        let status = staff.status.clone().unwrap_or_default();
        status.last_handled_sync_request.as_deref() == Some("1")
    };
    world.until("staff", "another run", answered).await;
    assert_eq!(records(&world).await.len(), 11);
    operator.stop().await.unwrap();
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(vec![], Compression::best());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

/// Makes a history of `staff`, as somebody may who writes ConfigMaps.
async fn forge(world: &World, packed: &[u8]) {
    let staff = world.get("staff").await;
    let forged = ConfigMap {
        metadata: ObjectMeta {
            name: Some("staff-history".into()),
            owner_references: staff.owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        binary_data: Some([("history.jsonl.gz".into(), ByteString(packed.to_vec()))].into()),
        ..ConfigMap::default()
    };
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    api.create(&PostParams::default(), &forged).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_puts_into_a_history_is_told_to_nobody_as_found() {
    let world = World::new("history-forged").await;
    world.resource("staff", json!({}));
    // Nobody of that name is a member, so the removal would count as made.
    let forged = json!({
        "time": "2026-11-29T12:00:00Z", "run": "0a1b2c3d4e", "number": 0, "trigger": "Approved",
        "action": "Remove", "reason": "GoneFromDirectory", "result": "Pending",
        "person": {"email": "chief@example.com", "externalId": "nobody"},
        "approval": {"by": "kubectl-directorysync"},
    });
    forge(&world, &compressed(forged.to_string().as_bytes())).await;
    let (url, received, _) = receiver(0).await;
    let operator = world.operator_that_tells(&url);
    world.until_ready("staff", "Succeeded").await;
    eventually("all records", || received.lock().unwrap().len() >= 11).await;
    operator.stop().await.unwrap();
    let received = received.lock().unwrap().clone();
    let of_chief = |event: &&Value| event.to_string().contains("chief");
    assert_eq!(received.iter().find(of_chief), None);
    assert_eq!(received.len(), 11);
    let told = || world.events("staff").contains(&"HistoryChanged".into());
    eventually("an event", told).await;
    let kept = records(&world).await;
    let open: Vec<&Record> = kept.iter().filter(|one| one.result.is_open()).collect();
    assert_eq!(open.len(), 1, "what they wrote stays as it was: {open:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_history_that_unpacks_to_millions_of_lines_is_begun_anew() {
    let world = World::new("history-bomb").await;
    world.resource("staff", json!({}));
    let bomb = compressed(&b"x\n".repeat(16 << 20));
    assert!(bomb.len() < PACKED_MAX);
    forge(&world, &bomb).await;
    let operator = world.operator();
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(records(&world).await.len(), 11, "and no other line");
    operator.stop().await.unwrap();
}
