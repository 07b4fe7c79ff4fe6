//! `kubectl directorysync approve`

use std::io::{Read as _, Write as _};

use data_encoding::HEXLOWER;
use directory_sync::api::DirectorySync;
use directory_sync_testing::ran::Ran;
use directory_sync_testing::world::*;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::kubectl::plugin;
use crate::page::Page;

/// Ten members came from the directory; seven left it, and may not be revoked without approval.
async fn held(purpose: &str) -> (World, Operator, DirectorySync) {
    let (world, operator) = World::synced(purpose).await;
    world.leave(0..7);
    plugin(&world, "sync staff --wait").await.ends_with(3);
    let staff = world.until_ready("staff", "RemovalsHeld").await;
    (world, operator, staff)
}

fn digest(staff: &DirectorySync) -> String {
    let held = staff.status.clone().unwrap().held_removals;
    held.unwrap().digest
}

#[tokio::test(flavor = "multi_thread")]
async fn held_removals_are_shown_in_full_and_go_ahead_once_approved() {
    let (world, operator, staff) = held("approve").await;
    let digest = digest(&staff);

    plugin(&world, "status").await.prints("changes held");
    plugin(&world, "status staff")
        .await
        .prints("Held, waiting for approval: 7")
        .prints(&format!(
            "approve staff -n {} --digest {digest}",
            world.namespace
        ));

    let done = plugin(&world, "approve staff --yes --wait")
        .await
        .ends_with(0);
    for number in 0..7 {
        assert!(
            done.stdout.contains(&format!("p{number:02}@example.com")),
            "{done}"
        );
    }
    // Who it was, by their own word, and with what.
    let history = plugin(&world, "history staff -o json").await.ends_with(0);
    let records: Vec<Value> = serde_json::from_str(&history.stdout).unwrap();
    let by = records[0]["approval"]["by"].as_str().unwrap();
    let whoami = world.kubectl(&[
        "auth",
        "whoami",
        "-o",
        "jsonpath={.status.userInfo.username}",
    ]);
    assert_eq!(
        by,
        format!("{whoami} (their own word), with kubectl-directorysync")
    );
    done.prints("gone from the directory")
        .prints(&format!("approve with digest {digest}"))
        .prints("directorysyncs.directorysync.dev/staff held changes approved")
        .prints("/staff: in sync: in sync with");
    assert_eq!(world.revoked(), 7);
    // Members are those who have access.
    let staff = world.until_ready("staff", "Succeeded").await;
    let sizes = staff.status.unwrap().organization.unwrap();
    assert_eq!(
        (sizes.managed_members, sizes.active_members),
        (Some(10), Some(3))
    );
    plugin(&world, "status staff")
        .await
        .prints("11 members (10 managed), 7 of them revoked")
        .prints("Groups compared:");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_clear_yes_or_with_another_digest_nothing_is_approved() {
    let (world, operator, staff) = held("unapproved").await;

    plugin(&world, "approve staff")
        .await
        .ends_with(1)
        .prints("held, waiting for approval")
        .complains("no terminal to confirm")
        .complains("--yes");
    plugin(
        &world,
        "approve staff --yes --digest 0123456789abcdef0123456789abcdef",
    )
    .await
    .ends_with(1)
    .complains("0123456789abcdef0123456789abcdef isn't the digest of what is held")
    .complains(&digest(&staff));
    let annotations = world.get("staff").await.metadata.annotations;
    assert!(
        !annotations
            .unwrap_or_default()
            .contains_key("directorysync.dev/approve-removals")
    );
    assert_eq!(world.revoked(), 0);

    let right = format!("approve staff --yes --wait --digest {}", digest(&staff));
    plugin(&world, &right).await.ends_with(0);
    assert_eq!(world.revoked(), 7);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_is_asked_and_only_a_yes_approves() {
    let (world, operator, _) = held("asked").await;
    let program = crate::kubectl::folder().join("kubectl-directorysync");
    let line = format!("{} approve staff -n {}", program.display(), world.namespace);
    let answer = async |answer: &str| {
        // `script` gives it a terminal.
        let typed = format!("printf '{answer}\\n' | script -qec '{line}' /dev/null");
        let output = tokio::process::Command::new("sh")
            .args(["-c", &typed])
            .env("KUBECONFIG", world.server().kubeconfig())
            .output();
        Ran::of(output.await.unwrap())
    };

    answer("n")
        .await
        .ends_with(1)
        .prints("Let these 7 held changes go ahead? [y/N]")
        .prints("nothing was approved");
    answer("yes")
        .await
        .ends_with(0)
        .prints("held changes approved");
    eventually("the revocations", || world.revoked() == 7).await;
    operator.stop().await.unwrap();
}

/// Changes the published plan as whoever may write ConfigMaps can, with all its sums.
async fn forge(world: &World, change: impl FnOnce(String) -> String) {
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let map = maps.get("staff-plan").await.unwrap();
    let packed = &map.binary_data.unwrap()["plan.jsonl.gz"].0;
    let mut text = String::new();
    GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    let changed = change(text.clone());
    assert_ne!(changed, text);
    let mut gzip = GzEncoder::new(vec![], Compression::fast());
    gzip.write_all(changed.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let index = &map.data.unwrap()["plan.index.json"];
    let mut index: Value = serde_json::from_str(index).unwrap();
    index["sha256"] = HEXLOWER.encode(&sha2::Sha256::digest(&packed)).into();
    let patch = Patch::Merge(json!({
        "data": {"plan.index.json": index.to_string()},
        "binaryData": {"plan.jsonl.gz": ByteString(packed)},
    }));
    let parameters = PatchParams::default();
    maps.patch("staff-plan", &parameters, &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_somebody_changed_is_not_approved_until_the_operator_has_written_it_anew() {
    let (world, operator, staff) = held("forged").await;
    let page = Page::open(&world).await;
    let ask = format!("/{}/staff/do/approve", world.namespace);
    let refused = |ran: Ran| {
        ran.ends_with(1)
            .complains("staff-plan lists other held changes")
            .complains("sync staff -n")
            .complains("--show-managed-fields")
    };
    let forgeries: [fn(String) -> String; 2] = [
        |plan| plan.replace("p03@example.com", "contractor@example.com"),
        |plan| {
            let is_shown = |line: &&str| !line.starts_with(r#"{"held""#) || line.contains("p03@");
            plan.split_inclusive('\n').filter(is_shown).collect()
        },
    ];
    for forgery in forgeries {
        forge(&world, forgery).await;
        refused(plugin(&world, "approve staff --yes").await);
        let line = format!("approve staff --yes --digest {}", digest(&staff));
        refused(plugin(&world, &line).await);
        plugin(&world, "plan staff")
            .await
            .ends_with(0)
            .complains("warning: ConfigMap staff-plan lists other held changes");
        let shown = page.get(&ask).await;
        shown.is(409).says("lists other held changes");
        assert!(shown.texts("form").is_empty());
        page.get(&format!("/{}/staff/plan", world.namespace))
            .await
            .is(200)
            .says("lists other held changes");

        plugin(&world, "sync staff --wait").await.ends_with(3);
        page.get(&ask).await.is(200).says("p03@example.com");
    }
    let done = plugin(&world, "approve staff --yes --wait").await;
    done.ends_with(0).prints("p03@example.com");
    assert_eq!(world.revoked(), 7);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_held_there_is_nothing_to_approve() {
    let (world, operator) = World::synced("nothing-held").await;

    plugin(&world, "approve staff --yes")
        .await
        .ends_with(1)
        .complains("no changes of")
        .complains("it is in sync");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_the_plan_sees_the_sample_of_status() {
    let (world, operator, _) = held("sample").await;
    let viewer = crate::refusals::user(&world, "approver", "get,patch");

    let line = format!("directorysync approve staff --yes -n {}", world.namespace);
    crate::kubectl::kubectl(&world, &line, &viewer)
        .await
        .ends_with(0)
        .prints("held, waiting for approval")
        .prints("p00@example.com");
    eventually("the revocations", || world.revoked() == 7).await;
    operator.stop().await.unwrap();
}
