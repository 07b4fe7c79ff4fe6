//! `kubectl directorysync suspend` and `resume`

use serde_json::json;

use crate::kubectl::plugin;
use directory_sync_testing::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn suspended_work_stops_and_goes_on_when_resumed() {
    let (world, operator) = World::synced("suspend").await;

    plugin(&world, "suspend staff")
        .await
        .ends_with(0)
        .prints("directorysyncs.directorysync.dev/staff suspended\n");
    world.until_ready("staff", "Suspended").await;
    plugin(&world, "status staff")
        .await
        .prints("suspended")
        .prints("when resumed");
    plugin(&world, "suspend staff")
        .await
        .ends_with(0)
        .prints("staff suspended already\n");

    plugin(&world, "resume staff")
        .await
        .ends_with(0)
        .prints("directorysyncs.directorysync.dev/staff resumed\n");
    world.until_ready("staff", "Succeeded").await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_stopped_at_once_and_those_of_git_with_a_warning() {
    let world = World::new("suspend-all").await;
    world.resource("one", json!({}));
    let mut owned = world.manifest("two");
    owned["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "identity"});
    world.apply(&owned);

    plugin(&world, "suspend --all")
        .await
        .ends_with(0)
        .prints("/one suspended\n")
        .prints("/two suspended\n")
        .complains("/two is managed by Flux, which may turn this back");
    for name in ["one", "two"] {
        assert_eq!(world.get(name).await.spec.suspend, Some(true), "{name}");
    }
    plugin(&world, "resume one two").await.ends_with(0);
    assert_eq!(world.get("two").await.spec.suspend, Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stopped_unless_it_is_said_what() {
    let world = World::new("suspend-none").await;
    world.resource("staff", json!({}));

    plugin(&world, "suspend")
        .await
        .ends_with(1)
        .complains("--all");
    plugin(&world, "suspend -l team=nobody")
        .await
        .ends_with(1)
        .complains("No resources found");
    assert_eq!(world.get("staff").await.spec.suspend, None);
}
