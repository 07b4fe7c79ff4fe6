//! All that a hostile tenant can try, at once, on a real API server with the roles, policies and flags
//! that the chart renders: no value that isn't theirs leaves, nothing of another namespace is read, and
//! a team that works is never delayed by more than ten seconds.
//!
//! The attacks are rows of a table, in [`rows`]. Each has a namespace of its own.

mod place;
mod rows;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use directory_sync::api::conditions::{ConditionType, find};
use kube::Client;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use self::place::{
    OPERATORS_TOKEN, Place, RELEASE, THEIR_KEY, THEIR_PASSWORD, VICTIM, create, resources,
};
use self::rows::{Author, Result, Row};
use self::servers::{INTERNAL, Servers};
use crate::canary::{ACCOUNT, KEY, PASSWORD, find as find_value};

/// How long anybody may be delayed by others.
const DELAY: Duration = Duration::from_secs(10);
/// Longer than all attacks take on a busy machine.
const WAIT_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the team that works is watched at least.
const WATCHED: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn hostile_tenants_get_nothing_and_delay_nobody() {
    let place = Place::new().await;
    let servers = Servers::start(&place).await;
    let rows = rows::all(&servers);
    let names: BTreeSet<_> = rows.iter().map(|row| row.attack).collect();
    assert_eq!(names.len(), rows.len(), "each attack is there once");
    assert!(rows.len() >= 50, "{}", rows.len());
    let namespaces: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| row.namespace(number))
        .collect();
    let open: Vec<_> = namespaces
        .iter()
        .cloned()
        .zip(rows.iter().map(|row| row.insecure))
        .collect();
    place.open(&open);
    policies_hold(&place, &namespaces).await;

    let operator = place.operator();
    let first = handled(&place.admin, 0).await;
    assert!(
        first.is_some(),
        "the team can work: {}",
        operator.process.log()
    );
    let stop = Arc::new(AtomicBool::new(false));
    let team = tokio::spawn(delays(place.admin.clone(), stop.clone()));
    let started = Instant::now();

    let mut named = BTreeMap::from([(
        VICTIM.to_owned(),
        ["org", "staff-plan", "staff-history"]
            .map(str::to_owned)
            .into(),
    )]);
    let mut wrong = vec![];
    let mut applied = vec![];
    for (row, namespace) in rows.iter().zip(&namespaces) {
        let said = apply(&place, row, namespace, &mut named).await;
        match (&row.result, said) {
            (Result::Refused(part), Some(said)) if said.contains(part) => {}
            (Result::Refused(part), said) => wrong.push(format!(
                "{}: not refused with {part:?}, but {said:?}",
                row.attack
            )),
            (_, Some(said)) => wrong.push(format!("{}: refused: {said}", row.attack)),
            (_, None) => applied.push((row, namespace)),
        }
    }
    let late = until_as_expected(&place, &applied).await;
    wrong.extend(late);
    tokio::time::sleep(WATCHED.saturating_sub(started.elapsed())).await;
    stop.store(true, Ordering::Relaxed);
    let delays = team.await.unwrap();
    println!(
        "{} attacks in {:?}; the team had {} runs and waited {:?} at most",
        rows.len(),
        started.elapsed(),
        delays.len(),
        delays.iter().max()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    nothing_leaves(&place, &servers, &operator).await;
    nothing_of_others_is_read(&place.server.audit_log(), &named);
    assert!(delays.len() >= 5, "{delays:?}");
    for delay in delays {
        assert!(delay.is_some_and(|delay| delay < DELAY), "{delay:?}");
    }
    // The team's organization is as the team's directory says, and no hostile one ever had it.
    let members = place.organization.snapshot().members;
    assert_eq!(members.len(), 4, "{members:?}");
    assert_eq!(place.organization.losses(), []);
    let claimed: Vec<_> = resources(&place.admin, VICTIM)
        .get("staff")
        .await
        .unwrap()
        .status
        .unwrap()
        .claim
        .into_iter()
        .collect();
    assert_eq!(claimed.len(), 1);
}

/// Waits until the API server goes by the policy and the roles.
async fn policies_hold(place: &Place, namespaces: &[String]) {
    let resource = json!({
        "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
        "metadata": {"name": "probe", "namespace": namespaces.last().unwrap()},
        "spec": {
            "organization": {"region": "EU", "credentialsSecretRef": {"name": "org"}},
            "source": {"ldap": {"url": "ldaps://192.0.2.1", "baseDn": "dc=example"}},
        },
    });
    let mut said = Ok(());
    for _ in 0..300 {
        said = create(&place.writer, &resource).await;
        if said
            .as_ref()
            .is_err_and(|said| said.contains("you may not get secrets/org"))
        {
            return;
        }
        if said.is_ok() {
            let api = resources(&place.admin, namespaces.last().unwrap());
            api.delete("probe", &Default::default()).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{said:?}");
}

/// Applies a row as its author, and notes which objects its resources name. The first refusal.
async fn apply(
    place: &Place,
    row: &Row,
    namespace: &str,
    named: &mut BTreeMap<String, BTreeSet<String>>,
) -> Option<String> {
    let author = match row.author {
        Author::Editor => &place.editor,
        Author::Writer => &place.writer,
    };
    let text = row
        .manifests
        .replace("namespace: identity", &format!("namespace: {namespace}"));
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    // What a resource names is there before it.
    let (resources, others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .filter(|object| !object.is_null())
        .partition(|object| object["kind"] == "DirectorySync");
    for object in others.into_iter().chain(resources) {
        let of_admin = row.author == Author::Writer && object["apiVersion"] == "v1";
        let client = if of_admin { &place.admin } else { author };
        if object["kind"] == "DirectorySync" {
            let all = named.entry(namespace.to_owned()).or_default();
            let name = object["metadata"]["name"].as_str().unwrap();
            all.extend(["plan", "history"].map(|kept| format!("{name}-{kept}")));
            references(&object["spec"], all);
        }
        if let Err(said) = create(client, &object).await {
            return Some(said);
        }
    }
    None
}

/// The names of Secrets, ConfigMaps and ServiceAccounts in a spec.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    for (field, value) in value.as_object().into_iter().flatten() {
        if field.ends_with("Ref") {
            found.extend(value["name"].as_str().map(str::to_owned));
        } else if field == "serviceAccountName" {
            found.extend(value.as_str().map(str::to_owned));
        }
        references(value, found);
    }
}

/// Waits until each resource is as its row says; those that never are.
async fn until_as_expected(place: &Place, rows: &[(&Row, &String)]) -> Vec<String> {
    let started = Instant::now();
    loop {
        let mut wrong = vec![];
        for (row, namespace) in rows {
            let all = resources(&place.admin, namespace)
                .list(&ListParams::default())
                .await
                .unwrap();
            for object in all {
                let status = object.status.unwrap_or_default();
                let ready = find(&status.conditions, ConditionType::Ready);
                let said = ready.map(|ready| (ready.reason.as_str(), ready.message.as_str()));
                let is_expected = said.is_some_and(|said| match &row.result {
                    Result::Says(reason, part) => said.0 == *reason && said.1.contains(part),
                    Result::GoesOn | Result::Refused(_) => true,
                });
                if !is_expected {
                    wrong.push(format!(
                        "{}: not {:?}, but {said:?}",
                        row.attack, row.result
                    ));
                }
            }
        }
        if wrong.is_empty() || started.elapsed() > WAIT_TIMEOUT {
            return wrong;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Asks for a run of the team's resource; how long it took, if it took place.
async fn handled(admin: &Client, number: usize) -> Option<Duration> {
    let api = resources(admin, VICTIM);
    let asked = format!("request-{number}");
    let annotation =
        json!({"metadata": {"annotations": {"directorysync.dev/sync-requested-at": asked}}});
    let started = Instant::now();
    api.patch("staff", &PatchParams::default(), &Patch::Merge(annotation))
        .await
        .unwrap();
    while started.elapsed() < WAIT_TIMEOUT {
        let status = api.get("staff").await.unwrap().status.unwrap_or_default();
        let ready = find(&status.conditions, ConditionType::Ready);
        if status.last_handled_sync_request.as_ref() == Some(&asked)
            && ready.is_some_and(|ready| ready.reason == "Succeeded")
        {
            return Some(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// How long the team waits for each run that it asks for, until told to stop.
async fn delays(admin: Client, stop: Arc<AtomicBool>) -> Vec<Option<Duration>> {
    let mut all = vec![];
    while !stop.load(Ordering::Relaxed) {
        all.push(handled(&admin, all.len() + 1).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    all
}

/// No canary is in anything that a tenant can read or that a server was sent.
async fn nothing_leaves(place: &Place, servers: &Servers, operator: &place::Operator) {
    let metrics = reqwest::get(&operator.metrics)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("directory_sync_runs_total"), "{metrics}");
    let kinds = "dsync,events.events.k8s.io,configmaps,leases,serviceaccounts";
    let objects = place
        .server
        .run_kubectl(&["get", kinds, "-A", "-o", "json"])
        .unwrap();
    let mut objects: Value = serde_json::from_str(&objects).unwrap();
    // Those of the tests themselves hold what is looked for.
    let items = objects["items"].as_array_mut().unwrap();
    items.retain(|object| {
        let name = object["metadata"]["name"].as_str().unwrap();
        object["kind"] != "ConfigMap" || name.ends_with("-plan") || name.ends_with("-history")
    });
    for object in items {
        if let Some(packed) = object["binaryData"]["history.jsonl.gz"].as_str() {
            object["history"] = unpacked(packed).into();
        }
    }
    let log = operator.process.log();
    assert!(log.contains("sync failed"), "{log}");
    // Nobody had a resource in it when the operator started.
    assert!(
        log.contains("--namespace-hosts limits a namespace"),
        "{log}"
    );
    let (objects, sent) = (objects.to_string(), servers.hostile.received());
    assert!(sent.contains("/public/"), "the servers were asked");
    let own = find_value(&sent.to_lowercase(), PASSWORD);
    assert!(own.is_some(), "what is sent would be found");
    let token = operator.token.rsplit('.').next().unwrap();
    // Those that the authors have may go to the servers that they name, and be shown nowhere.
    for (name, said, own) in [
        (
            "status, events and plans",
            &objects,
            &[PASSWORD, KEY, ACCOUNT][..],
        ),
        ("the log", &log, &[PASSWORD, KEY, ACCOUNT]),
        ("metrics", &metrics, &[PASSWORD, KEY, ACCOUNT]),
        ("what servers were sent", &sent, &[]),
    ] {
        let said = said.to_lowercase();
        for value in [&[THEIR_KEY, THEIR_PASSWORD, OPERATORS_TOKEN, token], own].concat() {
            let lines = said
                .lines()
                .filter(|line| find_value(line, value).is_some());
            let lines: Vec<&str> = lines.take(3).collect();
            assert_eq!(
                find_value(&said, value),
                None,
                "{value} in {name}: {lines:#?}"
            );
        }
    }
    // Nobody reaches servers inside of the cluster; nothing of their answers shows.
    assert_eq!(servers.internal.received(), "");
    assert!(!objects.contains(INTERNAL));
}

/// The lines of a history as it stands in an object.
pub fn unpacked(base64: &str) -> String {
    let bytes = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
    directory_sync::history::unpack(&bytes).unwrap()
}

/// Of Secrets, ConfigMaps and ServiceAccounts the operator asks only for those that a resource of that
/// very namespace names.
fn nothing_of_others_is_read(audit: &str, named: &BTreeMap<String, BTreeSet<String>>) {
    let account = format!("system:serviceaccount:{RELEASE}:directory-sync");
    let (mut reads, mut seen) = (0, BTreeSet::new());
    for line in audit.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if event["user"]["username"] != account.as_str() {
            continue;
        }
        let text = |field: &str| event["objectRef"][field].as_str().unwrap_or_default();
        let (resource, namespace, name) = (text("resource"), text("namespace"), text("name"));
        let (verb, uri) = (event["verb"].as_str().unwrap(), &event["requestURI"]);
        let of_a_resource = named
            .get(namespace)
            .is_some_and(|names| names.contains(name));
        seen.insert((verb.to_owned(), resource.to_owned()));
        let allowed = match (resource, verb) {
            ("directorysyncs", "list" | "watch") => true,
            ("directorysyncs", "patch") => text("subresource") == "status",
            ("secrets", "get") | ("configmaps", "get" | "patch") => {
                reads += 1;
                of_a_resource
            }
            ("configmaps" | "events", "create") => named.contains_key(namespace),
            ("events", "patch") => named.contains_key(namespace),
            ("serviceaccounts", "create") => of_a_resource && text("subresource") == "token",
            ("leases", "get" | "create" | "update") => namespace == RELEASE,
            _ => false,
        };
        assert!(allowed, "{verb} {uri}: {event}");
    }
    assert!(reads > 50, "{reads} of {seen:?}");
}
