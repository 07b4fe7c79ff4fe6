//! One organization has one owner, and a slow neighbour holds nobody up.

use std::time::Duration;

use directory_sync::api::conditions::ConditionType;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use directory_sync_testing::world::*;

/// How long a resource that must not run is watched: several polls of the operator.
const A_WHILE: Duration = Duration::from_millis(1_500);

/// An organization at this address, whose key is in this Secret.
fn organization(url: &str, secret: &str) -> Value {
    json!({"organization": {"serverUrl": url, "credentialsSecretRef": {"name": secret}}})
}

/// The same server, spelled another way.
fn respelled(world: &World) -> Value {
    let url = world.organization.url();
    assert!(url.contains("127.0.0.1"), "{url}");
    organization(&url.replace("127.0.0.1", "localhost"), "org")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_the_servers_address_is_the_same_organization() {
    let world = World::new("spelling").await;
    let operator = world.operator();
    world.resource("first", json!({}));
    let first = world.until_ready("first", "Succeeded").await;
    let claim = first.status.unwrap().claim.unwrap();
    let id = world.organization.client_id().replace("organization.", "");
    assert_eq!(claim.organization_id, id);

    world.resource("second", respelled(&world));
    let second = world.until_ready("second", "AlreadyManaged").await;
    let message = message_of(&second, ConditionType::Stalled);
    assert!(
        message.contains(&format!("{}/first", world.namespace)),
        "{message}"
    );
    assert_eq!(operator.runs("second"), 0);
    assert_eq!(second.status.unwrap().claim, None);

    // Bitwarden's cloud by its region, and by one of its addresses: the id counts, whoever has it.
    let region = json!({"organization": {"region": "EU", "credentialsSecretRef": {"name": "org"}}});
    let address = organization("https://vault.bitwarden.eu", "org");
    for (name, spec) in [("region", region), ("address", address)] {
        world.resource(name, spec);
        let other = world.until_ready(name, "AlreadyManaged").await;
        let message = message_of(&other, ConditionType::Stalled);
        let owner = format!("{}/first", world.namespace);
        assert!(message.contains(&owner), "{name}: {message}");
        assert_eq!(operator.runs(name), 0, "{name}");
    }
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_with_two_spellings_one_works_and_the_other_says_who() {
    let world = World::new("shards").await;
    let (a, b) = (world.shard("a"), world.shard("b"));
    let labelled = |name: &str, shard: &str, spec: Value| {
        world.resource(name, spec);
        let label = format!("shard={shard}");
        world.kubectl(&["label", "dsync", name, &label]);
    };
    labelled("first", "a", json!({}));
    world.until_ready("first", "Succeeded").await;
    labelled("second", "b", respelled(&world));
    let second = world.until_ready("second", "AlreadyManaged").await;
    let message = message_of(&second, ConditionType::Stalled);
    assert!(
        message.contains(&format!("{}/first", world.namespace)),
        "{message}"
    );
    assert_eq!((a.runs("first"), b.runs("second")), (1, 0));

    // After a restart too, and though the one that says who starts first, with the Secret of the one
    // that works gone for a moment.
    a.stop().await.unwrap();
    b.stop().await.unwrap();
    world.secret("theirs", &world.organization.client_secret());
    world.resource("second", organization(&world.organization.url(), "theirs"));
    world.kubectl(&["delete", "secret", "org"]);
    let b = world.shard("b");
    tokio::time::sleep(A_WHILE).await;
    let a = world.shard("a");
    world.until_ready("first", "ReferenceNotFound").await;
    world.until_ready("second", "AlreadyManaged").await;
    world.secret("org", &world.organization.client_secret());
    world.until_ready("first", "Succeeded").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(reason_of(&world.get("second").await), "AlreadyManaged");
    assert_eq!(b.runs("second"), 0);

    // Its claim ends with it, for the other operator too.
    world.kubectl(&["delete", "dsync", "first"]);
    world.until_ready("second", "Succeeded").await;
    assert_eq!(world.organization.losses(), []);
    a.stop().await.unwrap();
    b.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_operator_missed_the_deletion_is_taken_over() {
    let world = World::new("missed-deletion").await;
    let first = world.shard("a");
    let labelled = |name: &str, shard: &str| {
        world.resource(name, json!({}));
        let label = format!("shard={shard}");
        world.kubectl(&["label", "dsync", name, &label]);
    };
    labelled("first", "a");
    world.until_ready("first", "Succeeded").await;
    first.kill().await;
    world.kubectl(&["delete", "dsync", "first"]);

    let second = world.shard("b");
    labelled("second", "b");
    world.until_ready("second", "Succeeded").await;
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_secret_keeps_the_real_resource_out_of_nothing() {
    let world = World::new("made-up").await;
    world.secret("made-up", "a-guess-of-somebody-else");
    let made_up = organization(&world.organization.url(), "made-up");
    world.resource("intruder", made_up);
    let operator = world.operator();
    world.until_ready("intruder", "OrganizationRefused").await;
    // Ages differ by whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    world.until_ready("intruder", "AlreadyManaged").await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_outlasts_its_secret_and_a_restart() {
    let world = World::new("kept").await;
    world.secret("theirs", &world.organization.client_secret());
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    let theirs = organization(&world.organization.url(), "theirs");
    world.resource("dormant", theirs);
    world.until_ready("dormant", "AlreadyManaged").await;

    world.kubectl(&["delete", "secret", "org"]);
    world.until_ready("staff", "ReferenceNotFound").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(operator.runs("dormant"), 0);
    operator.stop().await.unwrap();

    let operator = world.operator();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(operator.runs("dormant"), 0);
    assert_eq!(reason_of(&world.get("dormant").await), "AlreadyManaged");

    world.kubectl(&["delete", "dsync", "staff"]);
    world.until_ready("dormant", "Succeeded").await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_never_answer_hold_no_other_namespace_up() {
    let (slow, fine) = (World::new("slow").await, World::new("fine").await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.extend(listener.accept().await.ok());
        }
    });
    // As many as may run at a time, and more.
    for number in 1..=6_u32 {
        let name = format!("hung-{number}");
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": slow.namespace},
            "stringData": {
                "clientId": format!("organization.00000000-0000-4000-8000-{number:012}"),
                "clientSecret": "never-asked-for",
            },
        });
        slow.apply(&secret);
        slow.resource(&name, organization(&format!("http://{address}"), &name));
    }
    for world in [&slow, &fine] {
        world.kubectl(&["label", "dsync", "--all", "fleet=one"]);
    }
    let operator = fine.operator_for(&[&slow.namespace, &fine.namespace], "fleet=one");
    // Which of them begin is nobody's business.
    let hung: Vec<String> = (1..=6).map(|number| format!("hung-{number}")).collect();
    let begun = hung.iter().map(|hung| {
        let run = slow.until(hung, "a run", |hung| reason_of(hung) == "Syncing");
        Box::pin(run)
    });
    futures::future::select_all(begun).await;
    let mut staff = fine.manifest("staff");
    staff["metadata"]["labels"] = json!({"fleet": "one"});
    fine.apply(&staff);
    let asked = std::time::Instant::now();
    fine.until_ready("staff", "Succeeded").await;
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    for hung in &hung {
        assert_eq!(operator.runs(hung), 0, "{hung}");
    }
    operator.stop().await.unwrap();
    silent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_read_has_one_resource_whatever_the_prefixes() {
    let world = World::with(
        "write-only",
        simulators::organization::Config::vaultwarden(),
    )
    .await;
    let operator = world.operator();
    let prefixed = |name: &str| {
        let mut spec = organization(&world.organization.url(), "org");
        spec["organization"]["externalIdPrefix"] = format!("{name}:").into();
        spec["organization"]["vaultwarden"] = json!({"neverSend": ["owner@example.com"]});
        spec["offboarding"] = json!({"absent": "Retain", "disabled": "Retain"});
        world.resource(name, spec);
    };
    prefixed("berlin");
    world.until_ready("berlin", "Succeeded").await;
    let sent = world.organization.snapshot();
    assert_eq!(sent.members.len(), 11);

    prefixed("paris");
    let paris = world.until_ready("paris", "AlreadyManaged").await;
    let message = message_of(&paris, ConditionType::Stalled);
    assert!(
        message.contains(&format!("{}/berlin", world.namespace)),
        "{message}"
    );
    assert_eq!(world.organization.snapshot(), sent);
    operator.stop().await.unwrap();

    // Nor after a restart, in whichever order they come.
    let operator = world.operator();
    world.kubectl(&[
        "annotate",
        "dsync",
        "--all",
        "directorysync.dev/sync-requested-at=1",
    ]);
    world.until_ready("paris", "AlreadyManaged").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.organization.snapshot(), sent);
    world.kubectl(&["delete", "dsync", "berlin"]);
    world
        .until("paris", "its turn", |paris| {
            reason_of(paris) != "AlreadyManaged"
        })
        .await;
    operator.stop().await.unwrap();
}
