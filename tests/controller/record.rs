//! The record of removals beside a resource: lost, older, another resource's; and approvals.

use std::time::Duration;

use axum::http::StatusCode;
use data_encoding::HEXLOWER;
use directory_sync::api::DirectorySync;
use directory_sync::api::annotations::{APPROVE_REMOVALS, SYNC_REQUESTED_AT};
use directory_sync::api::conditions::ConditionType;
use directory_sync::sync::ledger::Ledger;
use directory_sync_testing::faults::{FailingRequests, Fault};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use simulators::lab::{Ldif, Person};
use simulators::{fault, organization};

use directory_sync_testing::world::*;

fn plans(world: &World) -> Api<ConfigMap> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

async fn plan(world: &World) -> ConfigMap {
    plans(world).get("staff-plan").await.unwrap()
}

/// Puts what was there before in the place of what is there.
async fn put_back(world: &World, mut before: ConfigMap) {
    before.metadata.managed_fields = None;
    before.metadata.resource_version = None;
    before.metadata.uid = None;
    let parameters = PatchParams::apply("backup").force();
    let patch = Patch::Apply(&before);
    plans(world)
        .patch("staff-plan", &parameters, &patch)
        .await
        .unwrap();
}

fn three_may_go() -> serde_json::Value {
    json!({"offboarding": {"absent": "Revoke", "limit": "30%"}})
}

/// A resource that was synced, and from which one of three has gone within the limit.
async fn one_gone(purpose: &str) -> (World, ConfigMap) {
    let world = World::new(purpose).await;
    let operator = world.operator();
    world.resource("staff", three_may_go());
    world.until_ready("staff", "Succeeded").await;
    let before = plan(&world).await;
    world.leave(0..1);
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    answered(&world, "1").await;
    assert_eq!(world.revoked(), 1);
    operator.stop().await.unwrap();
    (world, before)
}

async fn answered(world: &World, request: &'static str) -> DirectorySync {
    world
        .until("staff", request, move |staff| {
            let status = staff.status.clone().unwrap_or_default();
            status.last_handled_sync_request.as_deref() == Some(request) && is_current(staff)
        })
        .await
}

/// One more has left, and a new process finds things as they are.
async fn held_after(world: &World, why: &str) {
    world.leave(1..2);
    world.annotate("staff", SYNC_REQUESTED_AT, "2").await;
    let operator = world.operator();
    let staff = answered(world, "2").await;
    let message = message_of(&staff, ConditionType::RemovalsHeld);
    assert!(message.contains(why), "{message}");
    assert_eq!(world.revoked(), 1);
    operator.stop().await.unwrap();
}

const OTHER_RECORD: &str =
    "the record of earlier removals is missing or isn't the one written last";

#[tokio::test(flavor = "multi_thread")]
async fn with_its_record_a_new_process_goes_on_within_the_limit() {
    let (world, _) = one_gone("record-kept").await;
    world.leave(1..2);
    world.annotate("staff", SYNC_REQUESTED_AT, "2").await;
    let operator = world.operator();
    answered(&world, "2").await;
    assert_eq!(world.revoked(), 2);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_deleted_holds_what_rests_on_absence() {
    let (world, _) = one_gone("record-lost").await;
    world.kubectl(&["delete", "configmap", "staff-plan"]);
    assert!(!world.events("staff").contains(&"RecordChanged".into()));
    held_after(&world, OTHER_RECORD).await;
    assert!(world.events("staff").contains(&"RecordChanged".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_from_a_backup_holds_what_rests_on_absence() {
    let (world, before) = one_gone("record-older").await;
    put_back(&world, before).await;
    held_after(&world, OTHER_RECORD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_comes_back_without_its_status_is_not_believed_to_own_the_record() {
    let (world, _) = one_gone("record-recreated").await;
    world.kubectl(&["delete", "dsync", "staff"]);
    plan(&world).await;
    world.resource("staff", three_may_go());
    held_after(&world, OTHER_RECORD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_comes_back_with_status_and_record_of_before_is_careful() {
    let (world, before) = one_gone("record-both").await;
    let status = world.get("staff").await.status.unwrap();
    world.kubectl(&["delete", "dsync", "staff"]);
    put_back(&world, before.clone()).await;
    world.resource("staff", three_may_go());
    let ledger = Ledger::load_unchecked(&ledger_of(&before), Timestamp::now());
    let mut status = json!(status);
    status["ledgerDigest"] = ledger.digest().into();
    set_status(&world, status).await;
    held_after(&world, OTHER_RECORD).await;
}

/// Somebody who may write ConfigMaps, and knows the format: nothing was lost, and it says that it was written over
/// the record that status names.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_made_up_holds_what_rests_on_absence() {
    let (world, _) = one_gone("record-forged").await;
    let mut plan = plan(&world).await;
    let status = world.get("staff").await.status.unwrap();
    let mut ledger = json!(Ledger::load_unchecked(&ledger_of(&plan), Timestamp::now()));
    assert_eq!(ledger["losses"].as_array().unwrap().len(), 1);
    ledger["losses"] = json!([]);
    ledger["previous"] = json!(
        HEXLOWER
            .decode(status.ledger_digest.unwrap().as_bytes())
            .unwrap()
    );
    put_ledger(&mut plan, &serde_json::from_value(ledger).unwrap());
    put_back(&world, plan).await;
    held_after(&world, OTHER_RECORD).await;
}

/// What a process leaves that ended between writing the digest of a record to status and writing the record.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_process_that_ended_between_status_and_record_either_record_is_believed() {
    let (world, before) = one_gone("record-between").await;
    let latest = plan(&world).await;
    let status = world.get("staff").await.status.unwrap();
    let [old, new] = [&before, &latest].map(|plan| Ledger::digest_of(&ledger_of(plan)));
    assert_eq!(status.ledger_digest.as_ref(), Some(&new));
    assert_eq!(
        status.next_ledger_digest, None,
        "once it is written, no other"
    );
    // It was killed before it wrote another record, or after; and then somebody puts an old one there.
    world.leave(1..2);
    let other = "0123456789abcdef0123456789abcdef";
    for (number, digests, goes) in [
        ("2", [&new, other], true),
        ("3", [other, &new], true),
        ("4", [&new, other], false),
    ] {
        if !goes {
            world.leave(2..3);
        }
        let [present, next] = digests;
        set_status(
            &world,
            json!({"ledgerDigest": present, "nextLedgerDigest": next}),
        )
        .await;
        let there = if goes { latest.clone() } else { before.clone() };
        put_back(&world, there).await;
        world.annotate("staff", SYNC_REQUESTED_AT, number).await;
        let operator = world.operator();
        let staff = answered(&world, number).await;
        let message = message_of(&staff, ConditionType::RemovalsHeld);
        assert_eq!(message.contains(OTHER_RECORD), !goes, "{number}: {message}");
        operator.stop().await.unwrap();
    }
    assert_eq!(world.revoked(), 2);
    assert_ne!(old, new);
    assert!(world.events("staff").contains(&"RecordChanged".into()));
}

/// Nothing that status doesn't name is believed later, so nothing is changed without.
#[tokio::test(flavor = "multi_thread")]
async fn while_status_cannot_name_the_record_nothing_is_changed() {
    let (world, _) = one_gone("record-unsealed").await;
    let faults = FailingRequests::of_status();
    world.leave(1..2);
    faults.set(Some(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    world.annotate("staff", SYNC_REQUESTED_AT, "2").await;
    let operator = world.operator_with_faults(&faults).await;
    eventually("writes that failed", || faults.failed() >= 4).await;
    assert_eq!(world.revoked(), 1);
    faults.set(None);
    eventually("the second one", || world.revoked() == 2).await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_made_anew_gives_no_fresh_limit() {
    let (world, _) = one_gone("record-anew").await;
    world.kubectl(&["delete", "dsync", "staff"]);
    world.kubectl(&["delete", "configmap", "staff-plan", "--ignore-not-found"]);
    world.resource("staff", three_may_go());
    held_after(&world, "there is no record of earlier syncs").await;
}

/// One process after another: each makes a change, does what is asked for, ends, and its record is deleted.
async fn without_records(world: &World, spec: serde_json::Value, changes: [String; 3]) {
    let mut operator = world.operator();
    world.resource("staff", spec);
    world.until_ready("staff", "Succeeded").await;
    for (change, request) in changes.iter().zip(["1", "2", "3"]) {
        world.slapd.modify(change).unwrap();
        world.annotate("staff", SYNC_REQUESTED_AT, request).await;
        answered(world, request).await;
        operator.stop().await.unwrap();
        world.kubectl(&["delete", "configmap", "staff-plan"]);
        operator = world.operator();
    }
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_deleted_before_each_restart_gives_no_fresh_limit_of_dismissals() {
    let world = World::new("record-again").await;
    let source = json!({"ldap": {
        "url": world.slapd.url(), "baseDn": SUFFIX,
        "users": {"disabled": {"attribute": "employeeType", "values": ["left"]}},
    }});
    let disabled = |number: u32| {
        let dn = dn(number);
        format!("dn: {dn}\nchangetype: modify\nreplace: employeeType\nemployeeType: left\n\n")
    };
    // Two of ten may be dismissed in a day.
    let two = |number: u32| disabled(number) + &disabled(number + 1);
    let changes = [two(0), two(2), two(4)];
    without_records(&world, json!({"source": source}), changes).await;
    assert_eq!(world.revoked(), 2);
    let status = world.get("staff").await.status.unwrap();
    let used: i64 = status
        .limits_used
        .iter()
        .filter_map(|one| one.disabled)
        .sum();
    assert_eq!(used, 2, "{:?}", status.limits_used);
    let message = message_of(&world.get("staff").await, ConditionType::RemovalsHeld);
    assert!(
        message.contains("2 more did in the last 24 hours"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_deleted_before_each_restart_gives_no_fresh_limit_of_invitations() {
    let world = World::new("record-invited").await;
    // Five of ten more may come in a day.
    let five = |from: u32| {
        let mut ldif = Ldif::empty(SUFFIX);
        for number in from..from + 5 {
            ldif.person("ou=people", &Person::new(&format!("p{number:02}")));
        }
        ldif.take_text()
    };
    without_records(&world, json!({}), [five(10), five(15), five(20)]).await;
    assert_eq!(world.organization.snapshot().members.len(), 1 + 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_made_anew_is_not_filled_as_in_a_first_sync() {
    let (world, operator) = World::synced("record-refill").await;
    operator.stop().await.unwrap();
    world.kubectl(&["delete", "dsync", "staff"]);
    world.kubectl(&["delete", "configmap", "staff-plan", "--ignore-not-found"]);
    let mut ldif = Ldif::empty(SUFFIX);
    for number in 10..30 {
        ldif.person("ou=people", &Person::new(&format!("p{number:02}")));
    }
    world.slapd.modify(ldif.text()).unwrap();
    world.resource("staff", json!({}));
    let operator = world.operator();
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    let message = message_of(&staff, ConditionType::RemovalsHeld);
    assert!(message.contains("20 people would be invited"), "{message}");
    assert_eq!(world.organization.snapshot().members.len(), 1 + 10);
    operator.stop().await.unwrap();
}

fn ledger_of(plan: &ConfigMap) -> Vec<u8> {
    let binary = plan.binary_data.clone().unwrap_or_default();
    binary["ledger"].0.clone()
}

fn put_ledger(plan: &mut ConfigMap, ledger: &Ledger) {
    let binary = plan.binary_data.get_or_insert_default();
    binary.insert("ledger".into(), ByteString(ledger.to_bytes()));
}

async fn set_status(world: &World, status: serde_json::Value) {
    let (parameters, patch) = (
        PatchParams::default(),
        Patch::Merge(json!({"status": status})),
    );
    let patched = world.api().patch_status("staff", &parameters, &patch).await;
    patched.unwrap();
}

/// A resource of which five have left, more than may; and the digest of the hold.
async fn held(purpose: &str) -> (World, Operator, String) {
    let (world, operator) = World::synced(purpose).await;
    world.leave(0..5);
    world.annotate("staff", SYNC_REQUESTED_AT, "1").await;
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    let held = staff.status.unwrap().held_removals.unwrap();
    (world, operator, held.digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_record_cannot_be_read_nothing_is_changed_and_then_it_counts() {
    let (world, _) = one_gone("record-unread").await;
    let faults = FailingRequests::reads_of("staff-plan");
    world.leave(1..2);
    for (number, fault, answer) in [
        (
            "2",
            Fault::Status(StatusCode::FORBIDDEN),
            "refused by a test",
        ),
        (
            "3",
            Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
            "the API server",
        ),
        ("4", Fault::Silence, "didn't answer within"),
    ] {
        faults.set(Some(fault));
        world.annotate("staff", SYNC_REQUESTED_AT, number).await;
        let operator = world.operator_with_faults(&faults).await;
        let says = move |staff: &DirectorySync| {
            let message = message_of(staff, ConditionType::Ready);
            message.contains("the record of removals can't be read") && message.contains(answer)
        };
        world.until("staff", answer, says).await;
        assert_eq!(world.revoked(), 1, "{fault:?}");
        operator.stop().await.unwrap();
    }
    // The one that went before counts still: a second one may go, and no third.
    faults.set(None);
    let operator = world.operator_with_faults(&faults).await;
    eventually("the second one", || world.revoked() == 2).await;
    world.leave(2..4);
    world.annotate("staff", SYNC_REQUESTED_AT, "5").await;
    let staff = answered(&world, "5").await;
    let message = message_of(&staff, ConditionType::RemovalsHeld);
    assert!(
        message.contains("2 more did in the last 24 hours"),
        "{message}"
    );
    assert_eq!(world.revoked(), 2);
    operator.stop().await.unwrap();
}

/// How the process that makes approved removals ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    PowerCut,
    Sigterm,
    AnotherLeads,
}

async fn approved_removals_are_finished_after(purpose: &str, ending: Ending) {
    const LEAVERS: usize = 40;
    let config = organization::Config {
        latency: Duration::from_millis(200),
        ..organization::Config::cloud()
    };
    let world = World::with(purpose, config).await;
    world.seed_leavers(LEAVERS as u32);
    let lease = world.lease();
    let start = || world.operator_with(quick(), Some(&lease));
    let operator = start();
    world.resource("staff", json!({}));
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    assert_eq!(world.revoked(), 0);
    let second = (ending == Ending::AnotherLeads).then(start);
    let held = staff.status.unwrap().held_removals.unwrap();
    world
        .annotate("staff", APPROVE_REMOVALS, &held.digest)
        .await;
    eventually("the first revocations", || world.revoked() >= 2).await;
    match ending {
        Ending::PowerCut => operator.kill().await,
        Ending::Sigterm => operator.stop().await.unwrap(),
        Ending::AnotherLeads => {
            // Its time is over before it notices.
            let patch = r#"{"spec":{"holderIdentity":"nobody","leaseDurationSeconds":1}}"#;
            let server = world.server();
            let arguments = [
                "-n",
                "directory-sync",
                "patch",
                "lease",
                &lease,
                "--type=merge",
                "-p",
                patch,
            ];
            server.run_kubectl(&arguments).unwrap();
            operator.ended().await.unwrap_err();
        }
    }
    let done = world.revoked();
    assert!(done < LEAVERS, "it ended too late");

    world.organization.set_latency(Duration::ZERO);
    let operator = second.unwrap_or_else(start);
    eventually("the others", || world.revoked() == LEAVERS).await;
    let staff = world.until_ready("staff", "Succeeded").await;
    assert_eq!(staff.status.unwrap().held_removals, None);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_removals_are_finished_after_a_restart() {
    approved_removals_are_finished_after("approved-restart", Ending::PowerCut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_removals_are_finished_after_sigterm() {
    approved_removals_are_finished_after("approved-sigterm", Ending::Sigterm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_removals_are_finished_by_another_leader() {
    approved_removals_are_finished_after("approved-leader", Ending::AnotherLeads).await;
}

/// More than the record itself has room for.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_thousands_is_finished_after_a_restart() {
    let world = World::new("approved-thousands").await;
    world.seed_leavers(3_005);
    let operator = world.operator();
    world.resource("staff", json!({"offboarding": {"absent": "Remove"}}));
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    let held = staff.status.unwrap().held_removals.unwrap();
    assert_eq!(held.total, 3_005);
    let members = || world.organization.snapshot().members.len();
    let all = members();
    let second = fault::Fault::new(fault::Way::Hang).path("/api/public/organization/import");
    let second = second.method("POST").on_request(2).from_then_on();
    world
        .organization
        .faults()
        .inject(second.work(fault::Work::Undone));
    world
        .annotate("staff", APPROVE_REMOVALS, &held.digest)
        .await;
    eventually("some removals", || members() < all).await;
    operator.kill().await;
    let left = members();
    assert!(left > all - 3_005, "it ended too late");
    let kept = plans(&world).get("staff-plan-91").await.unwrap();
    assert!(kept.binary_data.unwrap().contains_key("approved"));

    world.organization.faults().clear();
    let operator = world.operator();
    let staff = world.until_ready("staff", "Succeeded").await;
    assert_eq!(members(), all - 3_005);
    assert_eq!(staff.status.unwrap().held_removals, None);
    let kept = plans(&world).get("staff-plan-91").await.unwrap();
    assert_eq!(kept.binary_data, None, "nothing is left of it");
    operator.stop().await.unwrap();
}

/// Somebody gives access back to whom a process revoked that ended in the middle of approved removals: the
/// approval is used up, with what is left of it.
async fn what_was_done_of_an_approval_is_used_up(purpose: &str, ending: Ending) {
    const LEAVERS: usize = 20;
    const LATENCY: Duration = Duration::from_millis(200);
    let config = organization::Config {
        latency: LATENCY,
        ..organization::Config::cloud()
    };
    let world = World::with(purpose, config).await;
    world.seed_leavers(LEAVERS as u32);
    let operator = world.operator();
    world.resource("staff", json!({}));
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    let held = staff.status.unwrap().held_removals.unwrap();
    world
        .annotate("staff", APPROVE_REMOVALS, &held.digest)
        .await;
    eventually("some revocations", || world.revoked() >= 4).await;
    match ending {
        Ending::PowerCut => operator.kill().await,
        _ => operator.stop().await.unwrap(),
    }
    // The server still does what was under way.
    tokio::time::sleep(LATENCY * 3).await;
    let done = revoked(&world);
    assert!(done.len() < LEAVERS - 2, "it ended too late");
    for email in &done {
        world.organization.restore(email);
    }

    world.organization.set_latency(Duration::ZERO);
    let operator = world.operator();
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    let held = staff.status.unwrap().held_removals.unwrap();
    assert_eq!(usize::try_from(held.total).unwrap(), LEAVERS);
    assert_eq!(world.revoked(), 0);
    operator.stop().await.unwrap();
}

fn revoked(world: &World) -> Vec<String> {
    let members = world.organization.snapshot().members.into_iter();
    let revoked = members.filter(|(_, member)| member.status == organization::Status::Revoked);
    revoked.map(|(email, _)| email).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_process_has_done_of_an_approval_is_used_up() {
    let (purpose, ending) = ("used-sigterm", Ending::Sigterm);
    what_was_done_of_an_approval_is_used_up(purpose, ending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_has_done_of_an_approval_is_used_up() {
    let (purpose, ending) = ("used-power-cut", Ending::PowerCut);
    what_was_done_of_an_approval_is_used_up(purpose, ending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_stays_in_git_does_nothing_after_it_was_used() {
    let (world, operator, digest) = held("approved-used").await;
    world.annotate("staff", APPROVE_REMOVALS, &digest).await;
    eventually("the revocations", || world.revoked() == 5).await;
    world.until_ready("staff", "Succeeded").await;

    // Somebody gives them their access back, and they are still gone from the directory.
    for number in 0..5 {
        let email = format!("p{number:02}@example.com");
        world.organization.restore(&email);
    }
    assert_eq!(world.revoked(), 0);
    world.annotate("staff", SYNC_REQUESTED_AT, "2").await;
    answered(&world, "2").await;
    assert_eq!(reason_of(&world.get("staff").await), "RemovalsHeld");
    assert_eq!(world.revoked(), 0);
    operator.stop().await.unwrap();
    // Nor for another process, nor where the tool that applies what is in Git puts it back.
    let operator = world.operator();
    let without = json!({"metadata": {"annotations": {APPROVE_REMOVALS: null}}});
    world.patch("staff", without).await;
    let mut manifest = world.manifest("staff");
    manifest["metadata"]["annotations"][APPROVE_REMOVALS] = digest.as_str().into();
    world.apply(&manifest);
    world.annotate("staff", SYNC_REQUESTED_AT, "3").await;
    let staff = answered(&world, "3").await;
    let again = staff.status.unwrap().held_removals.unwrap();
    assert_ne!(again.digest, digest);
    assert_eq!(world.revoked(), 0);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_other_changes_or_of_last_week_does_nothing_and_is_told() {
    let (world, operator, digest) = held("approved-stale").await;
    let other = "0123456789abcdef0123456789abcdef";
    world.annotate("staff", APPROVE_REMOVALS, other).await;
    world.annotate("staff", SYNC_REQUESTED_AT, "2").await;
    let problems = answered(&world, "2").await.status.unwrap().problems;
    let void = |reason: &str| reason == "ApprovalVoid";
    assert!(problems.iter().any(|problem| void(&problem.reason)));
    operator.stop().await.unwrap();

    // The hold is eight days old.
    let mut plan = plan(&world).await;
    let now = Timestamp::now();
    let mut ledger = json!(Ledger::load_unchecked(&ledger_of(&plan), now));
    let since = ledger["holds"]["open"]["since"].as_i64().unwrap();
    ledger["holds"]["open"]["since"] = (since - 8 * 24 * 3600).into();
    let ledger: Ledger = serde_json::from_value(ledger).unwrap();
    put_ledger(&mut plan, &ledger);
    put_back(&world, plan).await;
    set_status(&world, json!({"ledgerDigest": ledger.digest()})).await;
    world.annotate("staff", APPROVE_REMOVALS, &digest).await;
    world.annotate("staff", SYNC_REQUESTED_AT, "3").await;
    let operator = world.operator();
    let status = answered(&world, "3").await.status.unwrap();
    assert_eq!(world.revoked(), 0);
    let renewed = status.held_removals.unwrap().digest;
    assert_ne!(renewed, digest);
    assert!(status.problems.iter().any(|problem| void(&problem.reason)));

    world.annotate("staff", APPROVE_REMOVALS, &renewed).await;
    eventually("the revocations", || world.revoked() == 5).await;
    operator.stop().await.unwrap();
}
