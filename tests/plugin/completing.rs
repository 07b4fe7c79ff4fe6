//! Completions, as kubectl asks for them.

use serde_json::json;

use crate::kubectl::kubectl;
use directory_sync_testing::world::*;

/// What kubectl would suggest at the end of a line; `.` stands for an empty last word.
async fn suggested(world: &World, line: &str) -> Vec<String> {
    let mut words: Vec<&str> = vec!["__complete", "directorysync"];
    words.extend(line.split_whitespace());
    let kubeconfig = world.server().kubeconfig();
    let ran = if words.last() == Some(&".") {
        words.pop();
        crate::kubectl::kubectl_words(world, &[&words[..], &[""]].concat(), kubeconfig).await
    } else {
        kubectl(world, &words.join(" "), kubeconfig).await
    };
    let ran = ran.ends_with(0);
    let lines = ran.stdout.lines().filter(|line| !line.starts_with(':'));
    lines
        .map(|line| line.split('\t').next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_flags_names_and_values_are_suggested_where_they_fit() {
    let world = World::new("complete").await;
    world.resource("staff", json!({}));
    world.resource("students", json!({}));
    let here = format!("-n {}", world.namespace);

    assert_eq!(suggested(&world, "s").await, ["status", "sync", "suspend"]);
    assert_eq!(
        suggested(&world, &format!("sync {here} .")).await,
        ["staff", "students"]
    );
    assert_eq!(
        suggested(&world, &format!("sync {here} staff .")).await,
        ["students"]
    );
    assert_eq!(
        suggested(&world, &format!("plan {here} staff .")).await,
        [] as [&str; 0]
    );
    assert_eq!(
        suggested(&world, "status -o .").await,
        ["wide", "json", "yaml", "name"]
    );
    assert_eq!(suggested(&world, "status --context .").await, ["lab"]);
    let flags = suggested(&world, "sync --w").await;
    assert_eq!(flags, ["--wait"]);
    let namespaces = suggested(&world, "status -n complete").await;
    assert!(namespaces.contains(&world.namespace), "{namespaces:?}");
}
