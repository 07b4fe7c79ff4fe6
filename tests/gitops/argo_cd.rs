//! Argo CD's health check and actions, in its Lua.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::testdata::{ask, assert_file, folder, lua, read};
use directory_sync_testing::world::*;

const ACTIONS: [&str; 4] = ["approve-removals", "resume", "suspend", "sync-now"];

fn files_below(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn every_state_of_the_test_data_has_the_health_that_is_written_beside_it() {
    let tests = read(&folder().join("health_test.yaml"));
    let mut tested = Vec::new();
    for test in tests["tests"].as_array().unwrap() {
        let path = test["inputPath"].as_str().unwrap();
        let health = lua("health.lua", &read(&folder().join(path)));
        assert_eq!(health, test["healthStatus"], "{path}");
        tested.push(path.trim_start_matches("testdata/").to_owned());
    }
    tested.sort();
    assert_eq!(tested, files_below(&folder().join("testdata")));
}

#[test]
fn actions_are_offered_where_they_make_sense() {
    let tests = read(&folder().join("actions/action_test.yaml"));
    for test in tests["discoveryTests"].as_array().unwrap() {
        let path = test["inputPath"].as_str().unwrap();
        let offered = lua(
            "actions/discovery.lua",
            &read(&folder().join("actions").join(path)),
        );
        let expected: serde_json::Map<String, Value> = test["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| {
                let mut action = action.clone();
                let name = action.as_object_mut().unwrap().remove("name").unwrap();
                (name.as_str().unwrap().to_owned(), action)
            })
            .collect();
        assert_eq!(offered, Value::Object(expected), "{path}");
    }
}

#[test]
fn an_action_changes_what_it_is_for_and_nothing_else() {
    let tests = read(&folder().join("actions/action_test.yaml"));
    let mut tested = Vec::new();
    for test in tests["actionTests"].as_array().unwrap() {
        let file = |field: &str| {
            let path = test[field].as_str().unwrap();
            folder().join("actions").join(path)
        };
        let action = test["action"].as_str().unwrap();
        let mut done = lua(
            &format!("actions/{action}/action.lua"),
            &read(&file("inputPath")),
        );
        let requested = "/metadata/annotations/directorysync.dev~1sync-requested-at";
        if action == "sync-now" {
            let time = done.pointer_mut(requested).unwrap();
            time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            *time = "2026-05-04T12:00:00Z".into();
        }
        assert_file(&file("expectedOutputPath"), &done);
        tested.push(action.to_owned());
    }
    tested.sort();
    assert_eq!(tested, ACTIONS);
}

#[test]
fn what_isnt_held_cant_be_approved() {
    let script = folder().join("actions/approve-removals/action.lua");
    let in_sync = read(&folder().join("testdata/in-step.yaml"));
    let refused = ask("argo-lua", &[&script], &in_sync).unwrap_err();
    assert!(
        refused.contains("no removals wait for approval"),
        "{refused}"
    );
}

#[test]
fn the_config_map_holds_the_same_scripts() {
    let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/argocd/argocd-cm.yaml");
    let data = &read(&map)["data"];
    let of_file = |path: &str| std::fs::read_to_string(folder().join(path)).unwrap();
    let key =
        |what: &str| format!("resource.customizations.{what}.directorysync.dev_DirectorySync");
    assert_eq!(data[key("health")], of_file("health.lua"));

    let actions: Value = serde_saphyr::from_str(data[key("actions")].as_str().unwrap()).unwrap();
    assert_eq!(actions["discovery.lua"], of_file("actions/discovery.lua"));
    let definitions = actions["definitions"].as_array().unwrap();
    let definitions: BTreeMap<&str, &str> = definitions
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["action.lua"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(definitions.keys().copied().collect::<Vec<_>>(), ACTIONS);
    for (name, script) in definitions {
        assert_eq!(
            script,
            of_file(&format!("actions/{name}/action.lua")),
            "{name}"
        );
    }
}

/// Runs an action on the resource as it is, and writes what comes out, as Argo CD does.
fn act(world: &World, action: &str) {
    let object = world.kubectl(&["get", "dsync", "staff", "-o", "json"]);
    let object: Value = serde_json::from_str(&object).unwrap();
    let offered = lua("actions/discovery.lua", &object);
    assert_eq!(offered[action]["disabled"], false, "{action} isn't offered");
    let done = lua(&format!("actions/{action}/action.lua"), &object);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("done.json");
    std::fs::write(&file, done.to_string()).unwrap();
    // With validation: a field that isn't one would be refused.
    world.kubectl(&["replace", "--validate=strict", "-f", file.to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_what_each_action_asks_for() {
    let (world, operator) = World::synced("actions").await;

    world.leave(0..7);
    act(&world, "sync-now");
    world.until_ready("staff", "RemovalsHeld").await;

    act(&world, "approve-removals");
    world.until_ready("staff", "Succeeded").await;
    assert_eq!(world.revoked(), 7);

    act(&world, "suspend");
    world.until_ready("staff", "Suspended").await;
    act(&world, "resume");
    world.until_ready("staff", "Succeeded").await;
    operator.stop().await.unwrap();
}
