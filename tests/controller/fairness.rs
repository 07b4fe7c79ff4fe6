//! Whatever the servers of some namespaces do, a resource of another waits ten seconds at most.

use std::time::{Duration, Instant};

use directory_sync::controller::Timing;
use directory_sync_testing::hostile::{Harm, server};
use directory_sync_testing::world::*;
use serde_json::{Value, json};

/// How long anybody may be delayed by others.
const DELAY: Duration = Duration::from_secs(10);

/// The operator's own times, but for how often Secrets are looked at.
fn usual() -> Timing {
    Timing {
        reference_poll: Duration::from_millis(300),
        ..Timing::default()
    }
}

/// A resource in a namespace of its own or of others, whose directory and organization are at `url`.
fn write(world: &World, namespace: &str, number: u32, url: &str) {
    let name = format!("hostile-{number}");
    let object = |name: &str, data: Value| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace}, "stringData": data,
        })
    };
    // Organizations that nobody else has.
    let id = format!("00000000-0000-4000-8000-{:012x}", unique(number));
    world.apply(&object(
        &name,
        json!({"clientId": format!("organization.{id}"), "clientSecret": "made-up", "token": "made-up"}),
    ));
    let mut manifest = world.manifest(&name);
    manifest["metadata"]["namespace"] = namespace.into();
    manifest["spec"]["organization"] =
        json!({"serverUrl": url, "credentialsSecretRef": {"name": name}});
    manifest["spec"]["source"] = json!({"okta": {
        "orgUrl": url, "credentials": {"apiTokenSecretRef": {"name": name}},
    }});
    world.apply(&manifest);
}

/// A number of this process alone, and of this call.
fn unique(number: u32) -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) * 1_000 + u64::from(number)
}

/// Hostile resources take all permits in `namespaces` namespaces; then another namespace's is
/// written. How long it took until that was in sync.
async fn delay(harm: Harm, namespaces: u32, each: u32) -> Duration {
    let world = World::new("fair").await;
    let url = server(harm).await;
    let hostile: Vec<_> = (0..namespaces)
        .map(|_| world.server().namespace("hostile").unwrap())
        .collect();
    for namespace in &hostile {
        for number in 0..each {
            write(&world, namespace, number, &url);
        }
    }
    let all: Vec<_> = hostile.iter().map(String::as_str).collect();
    let operator = world.operator_in(&[&all[..], &[&world.namespace]].concat(), usual());
    let kinds = "jsonpath={.items[*].status.conditions[?(@.type=='Reconciling')].reason}";
    eventually(
        "all of them say where they are, and four of them run",
        || {
            let said = hostile.iter().map(|namespace| {
                let arguments = ["-n", namespace, "get", "dsync", "-o", kinds];
                world.server().run_kubectl(&arguments).unwrap()
            });
            let said: Vec<_> = said.collect();
            let reasons = said.iter().flat_map(|said| said.split_whitespace());
            let reasons: Vec<_> = reasons.collect();
            let running = reasons
                .iter()
                .filter(|&&reason| reason == "Syncing")
                .count();
            reasons.len() == (namespaces * each) as usize && running >= 4
        },
    )
    .await;
    world.resource("staff", json!({}));
    let written = Instant::now();
    world.until_ready("staff", "Succeeded").await;
    let delay = written.elapsed();
    println!("{harm:?} in {namespaces} namespaces: {delay:?}");
    operator.stop().await.unwrap();
    delay
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_new_namespaces_that_hang_delay_no_other_at_the_start() {
    let world = World::new("start").await;
    let url = server(Harm::Silence).await;
    let hostile: Vec<_> = (0..12)
        .map(|_| world.server().namespace("hostile").unwrap())
        .collect();
    for namespace in &hostile {
        write(&world, namespace, 0, &url);
    }
    // The healthy one comes last, and nothing is known of any.
    world.resource("staff", json!({}));
    let all: Vec<_> = hostile.iter().map(String::as_str).collect();
    let started = Instant::now();
    let operator = world.operator_in(&[&all[..], &[&world.namespace]].concat(), usual());
    world.until_ready("staff", "Succeeded").await;
    let delay = started.elapsed();
    println!("twelve namespaces that hang: {delay:?}");
    assert!(delay < DELAY, "{delay:?}");
    operator.stop().await.unwrap();
}

async fn delays_nobody(harm: Harm) {
    let (of_one, of_many) = tokio::join!(delay(harm, 1, 6), delay(harm, 4, 1));
    assert!(of_one < DELAY, "{harm:?} in one namespace: {of_one:?}");
    assert!(of_many < DELAY, "{harm:?} in four namespaces: {of_many:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drips_delays_no_other_namespace() {
    delays_nobody(Harm::Drip).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_delays_no_other_namespace() {
    delays_nobody(Harm::Silence).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_to_come_again_later_delays_no_other_namespace() {
    delays_nobody(Harm::ComeAgain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_pages_without_end_delays_no_other_namespace() {
    delays_nobody(Harm::EndlessPages(50, 200)).await;
}
