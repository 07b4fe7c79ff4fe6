//! `kubectl directorysync history`

use directory_sync_testing::world::*;
use serde_json::{Value, json};

use crate::kubectl::plugin;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_told_by_person_group_and_time_in_eighty_columns() {
    let world = World::new("history").await;
    let operator = world.operator();
    world.resource("staff", json!({"mode": "Preview"}));
    world.until_ready("staff", "Previewed").await;
    plugin(&world, "history staff")
        .await
        .ends_with(0)
        .prints("no record of a change");
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;

    let all = plugin(&world, "history staff").await.ends_with(0);
    let all = all.prints("  run ").prints("the spec was changed");
    assert!(
        all.stdout.lines().all(|line| line.chars().count() <= 80),
        "{all}"
    );
    assert!(!all.stdout.contains('\u{1b}'), "no colour in a pipe");
    for number in 0..10 {
        let invited = format!("  invited       p{number:02}@example.com: new in the directory\n");
        assert!(all.stdout.contains(&invited), "{all}");
    }
    let one = plugin(&world, "history staff --person p03 --since 1h").await;
    let one = one.ends_with(0).prints("p03@example.com");
    assert!(!one.stdout.contains("p04"), "{one}");
    let group = plugin(&world, "history staff --group everyone -o json").await;
    let group: Value = serde_json::from_str(&group.ends_with(0).stdout).unwrap();
    assert_eq!(group.as_array().unwrap().len(), 1);
    assert_eq!(group[0]["action"], "CreateGroup");
    assert_eq!(group[0]["added"].as_array().unwrap().len(), 10);
    let run = group[0]["run"].as_str().unwrap();
    plugin(&world, &format!("history staff --run {}", &run[..4]))
        .await
        .ends_with(0)
        .prints(run);
    plugin(&world, "history staff --since 2199-01-01")
        .await
        .ends_with(0)
        .prints("no record of a change");
    plugin(&world, "history staff --since yesterday")
        .await
        .complains("a date such as");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_config_map_is_not_taken_for_a_history() {
    let world = World::new("no-history").await;
    world.resource("staff", json!({}));
    world.kubectl(&["create", "configmap", "staff-history", "--from-literal=a=b"]);
    plugin(&world, "history staff")
        .await
        .ends_with(1)
        .complains("isn't the history of")
        .complains("delete or rename it");
}
