//! The operator within its memory, whatever servers send.

use std::process::Command;
use std::time::Duration;

use directory_sync::api::conditions::ConditionType;
use directory_sync_testing::hostile::{Harm, server};
use directory_sync_testing::world::{World, message_of, reason_of};
use serde_json::{Value, json};
use simulators::lab::{Company, Slapd};

use crate::operator::Operator;

/// Half of what the chart gives, in MiB: what holds within it holds there.
const LIMIT: u64 = 256;

/// The chart's memory limit, in MiB.
fn chart_limit() -> u64 {
    let values = include_str!("../../charts/directory-sync-operator/values.yaml");
    let (_, limits) = values.split_once("\n  limits:").unwrap();
    let (_, limit) = limits.split_once("memory: ").unwrap();
    let (limit, _) = limit.split_once("Mi\n").unwrap();
    limit.parse().unwrap()
}

/// Starts an operator that knows its limit, as it does in a container from its cgroup.
fn operator(namespaces: &[&str], limit: u64, flags: &[&str]) -> Operator {
    Operator::start(namespaces, |command| {
        command
            .args(["--listen", "none", "--concurrency", "4"])
            .args(flags)
            .env("DIRECTORY_SYNC_MEMORY_LIMIT", limit.to_string());
    })
}

/// Some two mebibytes of gzip that become two gibibytes: `before`, then lines with `part` without end.
fn bomb(before: &str, part: &str) -> &'static [u8] {
    let script = r#"{ printf '%s' "$0"; yes "$1" | head -c 2147483648; } | gzip -c"#;
    let gzip = Command::new("sh")
        .args(["-c", script, before, part])
        .output();
    let all = gzip.unwrap().stdout;
    assert!((1 << 20..16 << 20).contains(&all.len()), "{}", all.len());
    all.leak()
}

/// A resource of an organization at `url` with this directory.
fn write(world: &World, name: &str, url: &str, directory: &str) {
    let id = format!("00000000-0000-4000-8000-{:012x}", fastrand::u64(..1 << 48));
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": world.namespace},
        "stringData": {
            "clientId": format!("organization.{id}"), "clientSecret": "made-up", "token": "made-up",
        },
    });
    world.apply(&secret);
    world.resource(name, at(url, directory, name));
}

fn at(url: &str, directory: &str, secret: &str) -> Value {
    json!({
        "organization": {"serverUrl": url, "credentialsSecretRef": {"name": secret}},
        "source": {"okta": {
            "orgUrl": directory, "credentials": {"apiTokenSecretRef": {"name": secret}},
        }},
    })
}

/// Four resources whose servers do this harm, and one that nobody harms: what the four say. The operator
/// goes on and stays within its limit.
async fn four_of(
    harm: Harm,
    of_directory: bool,
    flags: &[&str],
    until: impl Fn(&str) -> bool,
) -> Vec<String> {
    let world = World::new("memory").await;
    let url = server(harm).await;
    let directory = match of_directory {
        true => url.clone(),
        false => server(Harm::Silence).await,
    };
    let operator = operator(&[&world.namespace], LIMIT, flags);
    let names = ["one", "two", "three", "four"];
    for name in names {
        write(&world, name, &url, &directory);
    }
    let mut said = vec![];
    for _ in 0..1_200 {
        assert!(operator.runs(), "{}", operator.log());
        said.clear();
        for name in names {
            let object = world.get(name).await;
            said.push(message_of(&object, ConditionType::Ready));
        }
        if said.iter().any(|said| until(said)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{} MiB at most: {said:?}", operator.peak());
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    assert!(operator.runs(), "{}", operator.log());
    assert!(operator.peak() < LIMIT, "{} MiB: {said:?}", operator.peak());
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_of_spaces_is_refused_by_its_size() {
    let bomb = bomb("[", &" ".repeat(99));
    let said = four_of(Harm::Compressed(bomb), true, &[], |said| {
        said.contains("larger than")
    })
    .await;
    assert!(
        said.iter().any(|said| said.contains("larger than")),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_of_members_is_given_up_before_memory_is_used_up() {
    let member = r#"{"id":"7d1f5b0e-0000-4000-8000-000000000000","email":"a@example.com","status":2,"type":2},"#;
    let bomb = bomb("{\"data\":[", member);
    let refused = |said: &str| said.contains("--max-list-items") || said.contains("memory");
    let said = four_of(Harm::Compressed(bomb), false, &[], refused).await;
    assert!(said.iter().any(|said| refused(said)), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_without_end_of_one_group_are_given_up_at_the_longest_list() {
    let refused = |said: &str| said.contains("over all its pages; raise --max-list-items");
    let flags = ["--max-list-items", "5000"];
    let said = four_of(Harm::EndlessMembers(200), true, &flags, refused).await;
    assert!(said.iter().any(|said| refused(said)), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_end_are_given_up_at_the_longest_list() {
    let refused = |said: &str| said.contains("raise --max-list-items");
    let flags = ["--max-list-items", "5000"];
    let said = four_of(Harm::EndlessPages(200, 10), true, &flags, refused).await;
    assert!(said.iter().any(|said| refused(said)), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_directories_of_a_hundred_thousand_people_stay_within_the_limit_of_the_chart() {
    let company = Company::new(100_000, 5_000);
    let folder = tempfile::tempdir().unwrap();
    let ldif = folder.path().join("company.ldif");
    company.save(&ldif).unwrap();
    let slapd = Slapd::options().ldif_file(&ldif).start().unwrap();
    let mut worlds = vec![];
    for _ in 0..4 {
        worlds.push(World::new("large").await);
    }
    let namespaces: Vec<_> = worlds
        .iter()
        .map(|world| world.namespace.as_str())
        .collect();
    let operator = operator(&namespaces, chart_limit(), &[]);
    for world in &worlds {
        let bind = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "bind", "namespace": world.namespace},
            "stringData": {"bindDn": slapd.root_dn(), "password": Slapd::ROOT_PASSWORD},
        });
        world.apply(&bind);
        world.resource(
            "staff",
            json!({"mode": "Preview", "source": {"ldap": {
                "url": slapd.url(), "baseDn": slapd.suffix(), "bindSecretRef": {"name": "bind"},
            }}}),
        );
    }
    for _ in 0..1800 {
        assert!(operator.runs(), "{}", operator.log());
        let mut done = 0;
        for world in &worlds {
            done += usize::from(reason_of(&world.get("staff").await) == "Previewed");
        }
        if done == worlds.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for world in &worlds {
        let staff = world.get("staff").await;
        assert_eq!(reason_of(&staff), "Previewed", "{}", operator.log());
        assert_eq!(staff.status.unwrap().source.unwrap().users, Some(100_000));
    }
    println!("four directories: {} MiB at most", operator.peak());
    assert!(operator.peak() < chart_limit(), "{} MiB", operator.peak());
}
