//! `kubectl directorysync status`

use serde_json::{Value, json};

use crate::kubectl::{kubectl, plugin};
use directory_sync_testing::world::*;

/// `staff` in sync, and `broken` without its Secret.
async fn two(purpose: &str) -> (World, Operator) {
    let world = World::new(purpose).await;
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.resource(
        "broken",
        json!({"organization": {
            "serverUrl": world.organization.url(),
            "credentialsSecretRef": {"name": "nowhere"},
        }}),
    );
    world.until_ready("staff", "Succeeded").await;
    world.until_ready("broken", "ReferenceNotFound").await;
    (world, operator)
}

/// The fields of the table's row for a resource.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let lines = table.lines().map(|line| line.split("   ").map(str::trim));
    let mut rows = lines.map(|fields| fields.filter(|field| !field.is_empty()));
    rows.find_map(|fields| {
        let fields: Vec<_> = fields.collect();
        fields.contains(&name).then_some(fields)
    })
    .unwrap_or_else(|| panic!("no {name} in\n{table}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_shows_how_each_resource_stands() {
    let (world, operator) = two("table").await;

    let shown = plugin(&world, "status").await.ends_with(0);
    let head = shown.stdout.lines().next().unwrap();
    assert!(head.starts_with("NAME "), "{shown}");
    let staff = row(&shown.stdout, "staff");
    assert_eq!(staff[..4], ["staff", "in sync", "10", "-"]);
    assert!(staff[4].ends_with("s ago"), "{shown}");
    assert!(
        staff[5].starts_with("in ") || staff[5] == "every 1h",
        "{shown}"
    );
    let broken = row(&shown.stdout, "broken");
    assert_eq!(broken[1], "stalled");
    assert!(
        shown.stdout.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    assert_eq!(*broken.last().unwrap(), "when fixed");

    let wide = plugin(&world, "status -o wide").await;
    assert_eq!(
        row(&wide.stdout, "staff")[6..10],
        ["Succeeded", "LDAP", "1", "-"]
    );
    wide.prints("in sync with ldap://").prints("\"nowhere\"");
    let all = format!(
        "directorysync status -A --no-headers -l kubernetes.io/none!={}",
        "x"
    );
    let all = kubectl(&world, &all, world.server().kubeconfig())
        .await
        .ends_with(0);
    assert_eq!(row(&all.stdout, &world.namespace)[0], world.namespace);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_one_says_all_that_status_says_and_what_to_do() {
    let (world, operator) = two("page").await;

    plugin(&world, "status staff")
        .await
        .ends_with(0)
        .prints(&format!("{}/staff\n", world.namespace))
        .prints("LDAP: 10 people, 1 groups")
        .prints("11 members (10 managed), 1 groups (1 managed)")
        .prints("Ready is True (Succeeded), since")
        .prints("10 invited, 1 group created");
    plugin(&world, "status broken")
        .await
        .ends_with(0)
        .prints("stalled")
        .prints("Stalled is True (ReferenceNotFound), since")
        .prints("\"nowhere\"")
        .prints("when fixed");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_operator_has_seen_says_so() {
    let world = World::new("unseen").await;
    world.resource("staff", json!({}));

    plugin(&world, "status staff")
        .await
        .ends_with(0)
        .prints("not seen yet")
        .prints("is it running, and does it watch");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_printed_into_a_pipe_has_colours_and_where_asked_for_the_state_has_one() {
    let (world, operator) = two("colours").await;

    for line in ["status", "status staff", "status broken"] {
        let shown = plugin(&world, line).await.ends_with(0);
        assert!(!shown.stdout.contains('\u{1b}'), "{shown}");
    }
    let mut forced =
        tokio::process::Command::new(crate::kubectl::folder().join("kubectl-directorysync"));
    let forced = forced
        .args(["status", "-n", &world.namespace])
        .env("KUBECONFIG", world.server().kubeconfig())
        .env("CLICOLOR_FORCE", "1")
        .output();
    let forced = String::from_utf8(forced.await.unwrap().stdout).unwrap();
    assert!(forced.contains("\u{1b}[32min sync\u{1b}[0m"), "{forced:?}");
    assert!(forced.contains("\u{1b}[31mstalled\u{1b}[0m"), "{forced:?}");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_what_kubectl_would_give_them() {
    let (world, operator) = two("forms").await;

    let names = plugin(&world, "status -o name").await.ends_with(0).stdout;
    assert_eq!(
        names,
        "directorysyncs.directorysync.dev/broken\ndirectorysyncs.directorysync.dev/staff\n"
    );
    // … and takes them back.
    let first = names.lines().next().unwrap();
    plugin(&world, &format!("status {first}"))
        .await
        .ends_with(0)
        .prints("ReferenceNotFound");

    let theirs = world.kubectl(&["get", "dsync", "staff", "-o", "json"]);
    let theirs: Value = serde_json::from_str(&theirs).unwrap();
    let ours = plugin(&world, "status staff -o json").await.ends_with(0);
    assert_eq!(serde_json::from_str::<Value>(&ours.stdout).unwrap(), theirs);
    let yaml = plugin(&world, "status staff -o yaml").await.ends_with(0);
    assert_eq!(
        serde_saphyr::from_str::<Value>(&yaml.stdout).unwrap(),
        theirs
    );

    let list = plugin(&world, "status -o json").await.ends_with(0);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(
        (&list["kind"], &list["items"][1]),
        (&json!("List"), &theirs)
    );
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_namespace_is_no_error_and_labels_choose() {
    let world = World::new("empty").await;
    plugin(&world, "status")
        .await
        .ends_with(0)
        .complains(&format!(
            "No resources found in {} namespace.",
            world.namespace
        ));

    let mut labelled = world.manifest("labelled");
    labelled["metadata"]["labels"] = json!({"team": "identity"});
    world.apply(&labelled);
    world.resource("other", json!({}));
    let chosen = plugin(&world, "status -l team=identity -o name")
        .await
        .ends_with(0);
    assert_eq!(chosen.stdout, "directorysyncs.directorysync.dev/labelled\n");
}
