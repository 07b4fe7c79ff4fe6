//! `kubectl directorysync undo`

use std::path::Path;

use directory_sync::api::annotations::UNDO;
use directory_sync::history::{PACKED_MAX, pack, unpack};
use directory_sync::sync::undo::UndoDocument;
use directory_sync_testing::documentation::Page;
use directory_sync_testing::screens::whole_terminal;
use directory_sync_testing::world::*;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use simulators::organization::Status;

use crate::kubectl::{folder, kubectl, plugin};
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
    let history = history.prints(&format!("undo of run {run}"));
    assert!(history.stdout.contains("  asked for by "), "{history}");
    assert!(
        history
            .stdout
            .contains("(their own word), with kubectl-directorysync"),
        "{history}"
    );
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

/// A page of the documentation, in which the resource is in the namespace `identity`.
fn page(name: &str, world: &World) -> Page {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    Page::of(folder.join(name)).with(&world.namespace, "identity")
}

/// What stands on the terminal of somebody who gives this answer.
async fn on_a_terminal(world: &World, words: &str, answer: Option<&str>) -> String {
    let program = folder().join("kubectl-directorysync");
    let line = format!("{} {words} -n {}", program.display(), world.namespace);
    let kubeconfig = world.server().kubeconfig().to_owned();
    let variables = [("KUBECONFIG", kubeconfig.as_path())];
    whole_terminal(&line, folder(), &variables, answer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_on_undo_and_history_show_what_the_plugin_prints() {
    let world = World::new("undo-page").await;
    let operator = world.operator();
    let spec = json!({
        "offboarding": {"absent": "Revoke", "limit": 0}, "groups": {"limit": "100%"},
    });
    world.resource("staff", spec);
    world.until_ready("staff", "Succeeded").await;
    for number in 0..10 {
        let email = format!("p{number:02}@example.com");
        let _ = world.organization.accept_and_confirm(&email);
    }
    world.leave(0..2);
    plugin(&world, "sync staff --wait").await.ends_with(3);
    plugin(&world, "approve staff --yes --wait")
        .await
        .ends_with(0);
    let run = last_run(&world).await;

    let mut page_of_history = page("history.md", &world);
    let history = "history staff --person p00 --since 7d";
    let shown = plugin(&world, history).await.ends_with(0);
    page_of_history.shows(&format!("kubectl directorysync {history}"), &shown.stdout);
    let shown = on_a_terminal(&world, &format!("undo staff {run}"), Some("y")).await;
    let mut page_of_undo = page("undo.md", &world);
    page_of_undo.shows("kubectl directorysync undo staff 52dd86bade", &shown);
    let undone = last_run(&world).await;
    let shown = plugin(&world, &format!("history staff --run {undone}")).await;
    page_of_undo.shows(
        "kubectl directorysync history staff --run c76f",
        &shown.stdout,
    );
    page_of_history.finish();
    page_of_undo.finish();
    operator.stop().await.unwrap();
}

/// Confirmed members, of whom one run has revoked `p03` and the next `p04`.
async fn revoked_by_two_runs(purpose: &str) -> (World, Operator) {
    let world = World::new(purpose).await;
    let operator = world.operator();
    let spec = json!({"offboarding": {"absent": "Revoke", "limit": "100%"}});
    world.resource("staff", spec);
    world.until_ready("staff", "Succeeded").await;
    for number in 0..10 {
        let email = format!("p{number:02}@example.com");
        let _ = world.organization.accept_and_confirm(&email);
    }
    for leaver in [3..4, 4..5] {
        world.leave(leaver);
        plugin(&world, "sync staff --wait").await.ends_with(0);
    }
    (world, operator)
}

/// Changes the lines of the history, as somebody may who writes ConfigMaps.
async fn change_history(world: &World, change: impl FnOnce(Vec<String>) -> Vec<String>) {
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let kept = api.get("staff-history").await.unwrap();
    let text = unpack(&kept.binary_data.unwrap()["history.jsonl.gz"].0).unwrap();
    let lines = change(text.lines().map(str::to_owned).collect());
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let packed = ByteString(pack(&text, PACKED_MAX).0);
    let patch = Patch::Merge(json!({"binaryData": {"history.jsonl.gz": packed}}));
    let params = PatchParams::default();
    api.patch("staff-history", &params, &patch).await.unwrap();
}

fn is_of(line: &str, run: &str) -> bool {
    serde_json::from_str::<Value>(line).unwrap()["run"] == run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_somebody_made_up_or_changed_is_shown_as_such_and_never_undone() {
    let (world, operator) = revoked_by_two_runs("undo-forged").await;
    // Whom somebody else revoked, for a good reason.
    world.organization.revoke("p07@example.com");
    let history = plugin(&world, "history staff -o json").await.ends_with(0);
    assert!(!history.stdout.contains("\"sealed\""), "{history}");
    let records: Vec<Value> = serde_json::from_str(&history.stdout).unwrap();
    let newest = records[0]["run"].as_str().unwrap().to_owned();
    let mut runs = records.iter().map(|one| one["run"].as_str().unwrap());
    let earlier = runs.find(|run| *run != newest).unwrap().to_owned();
    let like = records[0].to_string();
    let forged = like
        .replace(&newest, "0badc0ffee")
        .replace("p04@example.com", "p07@example.com")
        .replace(
            records[0]["person"]["externalId"].as_str().unwrap(),
            &external_id(&world, "p07@example.com"),
        )
        .replace(
            records[0]["person"]["memberId"].as_str().unwrap(),
            &member_id(&world, "p07@example.com"),
        );
    change_history(&world, |lines| [vec![forged], lines].concat()).await;

    let refused = async |undo: &str, why: &str| {
        let line = format!("undo staff {undo} --yes");
        plugin(&world, &line).await.ends_with(1).complains(why);
        let members = world.organization.snapshot().members;
        for revoked in ["p03@example.com", "p04@example.com", "p07@example.com"] {
            assert_eq!(members[revoked].status, Status::Revoked, "{undo}");
        }
    };
    let shown = async |what: &str| {
        let shown = plugin(&world, "history staff").await.ends_with(0);
        shown.prints(what).complains("aren't sealed");
    };
    refused("0badc0ffee", "0badc0ffee aren't the operator's").await;
    refused("--last", "0badc0ffee aren't the operator's").await;
    shown("run 0badc0ffee  requested  NOT SEALED").await;
    let mut history_page = page("history.md", &world);
    let words = "history staff --run 0bad";
    let printed = on_a_terminal(&world, words, None).await;
    history_page.shows(&format!("kubectl directorysync {words}"), &printed);
    let json = plugin(&world, "history staff -o json --run 0bad").await;
    json.prints("[\n{\"sealed\":false,");
    let explained = plugin(&world, "explain staff p07@example.com")
        .await
        .ends_with(0);
    assert!(!explained.stdout.contains("0badc0ffee"), "{explained}");
    explained.prints("1 runs aren't the operator's");

    // Nor by another process, nor once the operator has written more.
    operator.stop().await.unwrap();
    let operator = world.operator();
    world.leave(5..6);
    plugin(&world, "sync staff --wait").await.ends_with(0);
    let told = || world.events("staff").contains(&"HistoryChanged".into());
    eventually("an event", told).await;
    let events = "get events --field-selector reason=HistoryChanged -o";
    let arguments: Vec<&str> = events.split(' ').chain(["jsonpath={..message}"]).collect();
    let folded = folded(&world.kubectl(&arguments));
    let command = format!("kubectl {events} jsonpath='{{..message}}' | fold -sw 80");
    history_page.shows(&command, &folded);
    history_page.finish();
    refused("0badc0ffee", "0badc0ffee aren't the operator's").await;
    shown("run 0badc0ffee  requested  NOT SEALED").await;

    // A record that is taken out of a later run, and one that is put into it.
    change_history(&world, |mut lines| {
        lines.retain(|line| !is_of(line, "0badc0ffee") && !is_of(line, &newest));
        lines
    })
    .await;
    refused(&earlier, &format!("runs after {earlier} were changed")).await;
    let run = last_run(&world).await;
    change_history(&world, |mut lines| {
        let more = lines[0].replace("\"number\":", "\"number\":9");
        lines.insert(1, more);
        lines
    })
    .await;
    refused(&run, &format!("records of run {run} aren't the operator's")).await;
    operator.stop().await.unwrap();
}

/// As `fold -sw 80` shows a text of one line; the shell's next line begins behind it.
fn folded(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.trim_end().split_inclusive(' ') {
        if line.chars().count() + word.chars().count() > 80 {
            lines += &(std::mem::take(&mut line) + "\n");
        }
        line += word;
    }
    lines + &line + "\n"
}

fn member_id(world: &World, email: &str) -> String {
    world.organization.member_id(email).unwrap().to_string()
}

fn external_id(world: &World, email: &str) -> String {
    let members = world.organization.snapshot().members;
    members[email].external_id.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_is_what_the_operator_showed_whatever_stood_in_its_place() {
    let (world, operator) = revoked_by_two_runs("undo-answer").await;
    let run = last_run(&world).await;
    let shown = plugin(&world, &format!("undo staff {run} --dry-run -o json"))
        .await
        .ends_with(0);
    let document: UndoDocument = serde_json::from_str(&shown.stdout).unwrap();
    // The person read another name than the operator wrote, under the same digest.
    let mut forged = document.clone();
    forged.changes[0].what = "intern@example.com".into();
    let confirm = async |id: &str, document: &UndoDocument| {
        let question = json!({"run": run, "digest": document.confirmation()});
        world
            .annotate("staff", UNDO, &format!("{id} {question}"))
            .await;
        let answered = || world.kubectl(&["get", "configmap", "staff-undo", "-o", "json"]);
        eventually("an answer", || {
            answered().contains(&format!("\"id\": \"{id}\""))
        })
        .await;
        world.organization.snapshot().members["p04@example.com"].status
    };
    assert_eq!(confirm("a1", &forged).await, Status::Revoked);
    assert_eq!(confirm("a2", &document).await, Status::Confirmed);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_undo_is_done_once_whatever_is_lost_and_only_what_was_shown_last() {
    let (world, operator) = World::synced("undo-once").await;
    let spec = json!({"groups": {"limit": "100%"}});
    world.resource("staff", spec);
    world.until_ready("staff", "Succeeded").await;
    let group = format!("dn: cn=everyone,ou=groups,{SUFFIX}\nchangetype: modify\n");
    let change = format!("{group}delete: member\nmember: {}\n", dn(3));
    world.slapd.modify(&change).unwrap();
    plugin(&world, "sync staff --wait").await.ends_with(0);
    let members = || {
        let snapshot = world.organization.snapshot();
        snapshot.group("everyone").unwrap().members.clone()
    };
    let p03 = "p03@example.com".to_owned();
    assert!(!members().contains(&p03));
    let run = last_run(&world).await;
    let shown = plugin(&world, &format!("undo staff {run} --dry-run -o json"))
        .await
        .ends_with(0);
    let document: UndoDocument = serde_json::from_str(&shown.stdout).unwrap();
    let question = json!({"run": run, "digest": document.confirmation()});
    let answer = || world.kubectl(&["get", "configmap", "staff-undo", "-o", "json"]);
    let confirm = async |id: &str| {
        let asked = format!("{id} {question}");
        world.annotate("staff", UNDO, &asked).await;
        let of_this = format!("\"id\": \"{id}\"");
        eventually("an answer", || answer().contains(&of_this)).await;
        answer()
    };
    let answered = confirm("a1").await;
    assert!(members().contains(&p03), "{answered}");
    let status = world.get("staff").await.status.unwrap();
    let handled = status.last_handled_undo_request.as_deref();
    assert_eq!((handled, status.shown_undo), (Some("a1"), None));
    plugin(&world, "sync staff --wait").await.ends_with(3);

    // Somebody takes them out by hand, and then an older object comes back.
    let others = members();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let others: Vec<&str> = others.into_iter().filter(|one| *one != p03).collect();
    world.organization.set_group_members("everyone", &others);
    let answered = confirm("a0").await;
    assert!(
        answered.contains("the undo that was shown last"),
        "{answered}"
    );
    assert!(!members().contains(&p03));

    // All that is kept beside the object is lost.
    operator.stop().await.unwrap();
    let requested = format!("a1 {question}");
    world.annotate("staff", UNDO, &requested).await;
    world.kubectl(&["delete", "configmap", "staff-undo"]);
    let operator = world.operator();
    let there = || world.kubectl(&["get", "configmaps", "-o", "name"]);
    eventually("an answer", || there().contains("staff-undo")).await;
    assert!(answer().contains("was begun before"), "{}", answer());
    assert!(!members().contains(&p03));
    operator.stop().await.unwrap();

    // The object comes back without its status.
    let status = json!({"status": {"lastHandledUndoRequest": null, "shownUndo": null}});
    let patch = Patch::Merge(status);
    let params = PatchParams::default();
    world
        .api()
        .patch_status("staff", &params, &patch)
        .await
        .unwrap();
    world.kubectl(&["delete", "configmap", "staff-undo"]);
    let operator = world.operator();
    eventually("an answer", || there().contains("staff-undo")).await;
    assert!(
        answer().contains("the undo that was shown last"),
        "{}",
        answer()
    );
    assert!(!members().contains(&p03));

    // Whoever looks at it again may confirm that, also where another process answers.
    plugin(&world, &format!("undo staff {run} --dry-run"))
        .await
        .ends_with(0);
    operator.stop().await.unwrap();
    let operator = world.operator();
    let answered = confirm("a2").await;
    assert!(members().contains(&p03), "{answered}");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_is_held_by_name_although_the_record_of_it_is_lost() {
    let (world, operator) = revoked_by_two_runs("undo-lost").await;
    let run = last_run(&world).await;
    plugin(&world, &format!("undo staff {run} --yes"))
        .await
        .ends_with(0)
        .prints("done: 1 Restore");
    let is_held = |staff: &directory_sync::api::DirectorySync| {
        let held = staff
            .status
            .as_ref()
            .and_then(|status| status.held_removals.as_ref());
        held.is_some_and(|held| held.why.contains("taken back by an undo"))
    };
    let staff = world.until("staff", "a hold", is_held).await;
    assert_eq!(staff.status.unwrap().undone_changes, Some(1));
    operator.stop().await.unwrap();

    // Without the record; then without the history as well, whoever leaves now is held with it.
    for (lost, leaver, held) in [
        ("staff-plan", 6, "1 change was"),
        ("staff-history", 7, "changes were"),
    ] {
        world.kubectl(&["delete", "configmap", lost]);
        if lost == "staff-history" {
            world.kubectl(&["delete", "configmap", "staff-plan"]);
        }
        world.leave(leaver..leaver + 1);
        let operator = world.operator();
        plugin(&world, "sync staff --wait").await.ends_with(3);
        let staff = world.until("staff", "a hold", is_held).await;
        let why = staff.status.unwrap().held_removals.unwrap().why;
        assert!(why.contains(held), "{why}");
        let members = world.organization.snapshot().members;
        assert_eq!(
            members["p04@example.com"].status,
            Status::Confirmed,
            "{lost}"
        );
        operator.stop().await.unwrap();
    }
}
