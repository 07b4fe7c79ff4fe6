//! A run that computes keeps neither others from their turn nor the process from its end.

use std::process::Command;
use std::time::{Duration, Instant};

use directory_sync_testing::world::{World, eventually};
use serde_json::json;
use simulators::lab::{Ldif, Person, Slapd};

use crate::operator::Operator;

/// So many groups whose names each pattern nearly fits: comparing them takes half a minute.
const GROUPS: u32 = 18_000;
const PATTERNS: u32 = 1_000;

/// The time that the chart gives a pod to end.
fn grace_period() -> Duration {
    let values = include_str!("../../charts/directory-sync-operator/values.yaml");
    let (_, after) = values
        .split_once("\nterminationGracePeriodSeconds: ")
        .unwrap();
    Duration::from_secs(after.lines().next().unwrap().parse().unwrap())
}

fn company() -> Slapd {
    let mut ldif = Ldif::new("dc=example,dc=com");
    ldif.unit("", "people");
    ldif.person("ou=people", &Person::new("ann"));
    ldif.unit("", "groups");
    for number in 0..GROUPS {
        let name = format!("{}{number:05}", "a".repeat(90));
        ldif.group_of_names(
            "ou=groups",
            &name,
            None,
            &["uid=ann,ou=people,dc=example,dc=com"],
        );
    }
    Slapd::options().ldif(ldif.text()).start().unwrap()
}

/// How many connections of this machine to this port are open.
fn connections_to(port: u16) -> usize {
    let established = format!(":{port:04X} 01");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table
        .lines()
        .filter(|line| line.contains(&established))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_computes_delays_no_other_and_not_the_end_of_the_process() {
    let (world, other) = (
        World::new("stopping").await,
        World::new("stopping-other").await,
    );
    let slapd = company();
    let port: u16 = slapd.url().rsplit(':').next().unwrap().parse().unwrap();
    let operator = Operator::start(&[&world.namespace, &other.namespace], |command| {
        command.args(["--listen", "none", "--concurrency", "1"]);
    });
    let patterns: Vec<String> = (0..PATTERNS)
        .map(|number| format!("*{}b{number:03}", "a".repeat(85)))
        .collect();
    let source = json!({"ldap": {
        "url": slapd.url(), "baseDn": "dc=example,dc=com", "allowPlaintext": true,
    }});
    world.resource(
        "staff",
        json!({"source": source, "groups": {"exclude": patterns}}),
    );
    eventually("the directory is being read", || connections_to(port) > 0).await;
    eventually("the directory was read", || connections_to(port) == 0).await;
    // From here on the process has nothing else to do.
    let before = operator.processor_time();
    let computes = || operator.processor_time() - before > Duration::from_secs(1);
    eventually("the run computes", computes).await;

    // The only permit is the other's meanwhile.
    other.resource("staff", json!({}));
    other.until_ready("staff", "Succeeded").await;
    let of_world = |line: &&str| line.contains(&world.namespace) && line.contains("sync ended");
    let log = operator.log();
    assert_eq!(log.lines().find(of_world), None, "it computes still");

    let told = Instant::now();
    let pid = operator.pid().to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(kill.unwrap().success());
    while operator.runs() && told.elapsed() < grace_period() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = operator.log();
    assert!(
        !operator.runs(),
        "it still runs after {:?}: {log}",
        told.elapsed()
    );
    assert_eq!(
        log.lines().find(of_world),
        None,
        "it computed to the end: {log}"
    );
    let changes = world.organization.history();
    assert!(changes.is_empty(), "{changes:?}");
}
