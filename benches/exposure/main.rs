//! For how long somebody who left keeps access: from the change in the directory to the organization's
//! journal of the revocation, for each kind of directory, among other changes.
//!
//! `cargo bench --bench exposure`. All directories are watched by one operator at once, with its usual times.
//! The directories by LDAP are real servers, the others simulators; these and the organizations take 100 ms a
//! request, and the organizations have the rate limits of Bitwarden's cloud. Disabled accounts come at random
//! times, before each another attribute of somebody changes, and with every fifth somebody joins.
//!
//! - `BENCH_SOURCES`: what is watched, by kind and number of people (`ldap:100000,okta:10000`).
//! - `BENCH_DISABLES`: how many accounts are disabled in each; 1,000.
//! - `BENCH_GAP`: the mean of seconds between two of them; 5.
//! - `BENCH_IDLE`: for how many seconds the operator is measured before, while nothing changes; 120.
//! - `BENCH_PROGRAM`: another build of the program, the one in an image say.
//!
//! ```text
//! directory      the directories: how they are filled and changed
//! leavers        who was disabled when, and when they were revoked
//! ../scale       the machine and the operator, as the bench of whole runs has them
//! ```

#[path = "../scale/machine.rs"]
#[allow(dead_code, reason = "the other bench needs more of it")]
mod machine;
#[path = "../scale/operator.rs"]
#[allow(dead_code, reason = "the other bench needs more of it")]
mod operator;

mod directory;
mod leavers;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use simulators::organization::{Config, MemberSeed, RateLimits, SimulatedOrganization};

use directory::{Directory, Kind};
use leavers::Figures;
use operator::{Cluster, Operator};

/// The program that is measured.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    std::env::var("BENCH_PROGRAM")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_directory-sync").to_owned())
});

/// How long a request to a simulator takes.
const LATENCY: Duration = Duration::from_millis(100);
const SOURCES: &str = "ldap:10000,ldap:100000,activeDirectory:10000,entraId:10000,okta:10000,\
                       oneLogin:10000";
/// Until everything is synced and watched.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// After the first syncs, until nothing of them goes on any more.
const SETTLING: Duration = Duration::from_secs(45);

/// A directory with the organization that it is synced to.
pub struct Pair {
    /// Of the resource, and of this row.
    pub name: String,
    /// Where people are disabled.
    pub directory: Directory,
    /// Where they are revoked.
    pub organization: SimulatedOrganization,
}

/// What the environment says, or else this.
fn setting<T: FromStr>(name: &str, default: T) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}: {text:?}")),
        Err(_) => Ok(default),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let sources = setting("BENCH_SOURCES", SOURCES.to_owned())?;
    let disables: usize = setting("BENCH_DISABLES", 1_000)?;
    let gap = Duration::from_secs_f64(setting("BENCH_GAP", 5.0)?);
    let idle = Duration::from_secs(setting("BENCH_IDLE", 120)?);

    let mut pairs = vec![];
    for source in sources.split(',') {
        let (kind, people) = source.trim().split_once(':').context("write KIND:PEOPLE")?;
        let (kind, people): (Kind, u32) = (kind.parse()?, people.parse()?);
        if kind == Kind::ActiveDirectory
            && !simulators::lab::Samba::can_start("the exposure of Active Directory")
        {
            continue;
        }
        eprintln!("filling {source}");
        let config = Config {
            organization_id: format!("0d9f3c1e-6a52-4a3c-9d0b-{:012x}", pairs.len()),
            rate_limits: Some(RateLimits::cloud()),
            latency: LATENCY,
            keeps_bodies: false,
            ..Config::cloud()
        };
        let organization = SimulatedOrganization::start(config).await?;
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        pairs.push(Pair {
            name: format!("{}-{people}", kind.to_string().to_lowercase()),
            directory: Directory::start(kind, people).await?,
            organization,
        });
    }

    let cluster = Cluster::start()?;
    let urls = pairs.iter().flat_map(|pair| pair.directory.vendor_urls());
    let urls: Vec<String> = urls
        .flat_map(|url| ["--vendor-urls".to_owned(), url])
        .collect();
    let operator = cluster.operator("exposure", &urls)?;
    for pair in &pairs {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("manifest.yaml");
        std::fs::write(&path, manifest(pair))?;
        operator.kubectl(&["apply", "-f", &path.display().to_string()])?;
    }
    wait_until_watched(&operator, &pairs)?;
    std::thread::sleep(SETTLING);
    measure_idle(&operator, &pairs, idle)?;

    let figures = std::thread::scope(|scope| {
        let measured: Vec<_> = pairs
            .iter()
            .map(|pair| scope.spawn(move || leavers::measure(pair, disables, gap)))
            .collect();
        let measured = measured.into_iter().map(|one| {
            let ended = one.join();
            ended.unwrap_or_else(|_| anyhow::bail!("a directory's part panicked"))
        });
        measured.collect::<Result<Vec<_>>>()
    })?;
    print_figures(&operator, &pairs, &figures)?;
    if std::env::var_os("BENCH_LOG").is_some() {
        eprintln!("{}", operator.log());
    }
    Ok(())
}

fn manifest(pair: &Pair) -> String {
    let Pair {
        name,
        directory,
        organization,
    } = pair;
    let (source, secret) = directory.manifest(name);
    format!(
        r#"apiVersion: v1
kind: Secret
metadata: {{name: org-{name}}}
stringData: {{clientId: "{client_id}", clientSecret: "{client_secret}"}}
---
{secret}
---
apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: {name}}}
spec:
  organization:
    serverUrl: {url}
    credentialsSecretRef: {{name: org-{name}}}
  offboarding: {{absent: Revoke, disabledLimit: "100%"}}
  source: {source}
"#,
        client_id = organization.client_id(),
        client_secret = organization.client_secret(),
        url = organization.url(),
    )
}

fn wait_until_watched(operator: &Operator<'_>, pairs: &[Pair]) -> Result<()> {
    let started = Instant::now();
    for pair in pairs {
        loop {
            let method = "jsonpath={.status.signals.method}";
            let method = operator.kubectl(&["get", "dsync", &pair.name, "-o", method])?;
            if !method.is_empty() {
                let took = started.elapsed();
                eprintln!("{}: watched ({method}) after {took:.1?}", pair.name);
                break;
            }
            let failed = r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}"#;
            let message = operator.kubectl(&["get", "dsync", &pair.name, "-o", failed])?;
            ensure!(
                started.elapsed() < WAIT_TIMEOUT && !message.contains("couldn't"),
                "{} isn't watched: {message}; the operator's log:\n{}",
                pair.name,
                operator.log()
            );
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    Ok(())
}

/// The requests of each resource so far: to the directory, and to the organization.
fn requests(operator: &Operator<'_>) -> Result<BTreeMap<String, (u64, u64)>> {
    let mut counted: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in operator.metrics()?.lines() {
        let Some(series) = line.strip_prefix("directory_sync_requests_total{") else {
            continue;
        };
        let label = |name: &str| {
            let begin = format!("{name}=\"");
            let value = series.split(&*begin).nth(1)?.split('"').next()?;
            Some(value.to_owned())
        };
        let value = line
            .rsplit(' ')
            .next()
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        // `namespace="…",name="…"`: the name follows a comma.
        let name = series
            .split(",name=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let (Some(name), Some(side)) = (name, label("side")) else {
            continue;
        };
        let of = counted.entry(name.to_owned()).or_default();
        match &*side.to_lowercase() {
            "directory" | "source" => of.0 += value,
            "organization" => of.1 += value,
            _ => {}
        }
    }
    Ok(counted)
}

fn measure_idle(operator: &Operator<'_>, pairs: &[Pair], idle: Duration) -> Result<()> {
    let (before, cpu) = (requests(operator)?, machine::cpu_of(&[operator.pid()])?);
    std::thread::sleep(idle);
    let (after, cpu_after) = (requests(operator)?, machine::cpu_of(&[operator.pid()])?);
    let minutes = idle.as_secs_f64() / 60.0;
    let cpu = cpu_after.saturating_sub(cpu).as_secs_f64() / minutes * 1000.0;
    println!(
        "\nIdle, for {} s: {cpu:.0} ms of CPU a minute for all {} resources together\n",
        idle.as_secs(),
        pairs.len()
    );
    println!("| directory                | requests a minute | to the organization |");
    println!("|--------------------------|------------------:|--------------------:|");
    for pair in pairs {
        let of = |counted: &BTreeMap<String, (u64, u64)>| {
            counted.get(&pair.name).copied().unwrap_or_default()
        };
        let (before, after) = (of(&before), of(&after));
        let a_minute = |before: u64, after: u64| (after - before) as f64 / minutes;
        println!(
            "| {:<24} | {:>17.1} | {:>19.1} |",
            pair.name,
            a_minute(before.0, after.0),
            a_minute(before.1, after.1)
        );
    }
    Ok(())
}

fn print_figures(operator: &Operator<'_>, pairs: &[Pair], figures: &[Figures]) -> Result<()> {
    let metrics = operator.metrics()?;
    println!("\nFrom just before the change in the directory to the revocation:\n");
    println!(
        "| directory                | leavers |      p50 |      p99 |  longest | never | others | runs |"
    );
    println!(
        "|--------------------------|--------:|---------:|---------:|---------:|------:|-------:|-----:|"
    );
    for (pair, figures) in pairs.iter().zip(figures) {
        let of_it = format!("name=\"{}\"", pair.name);
        let runs = metrics
            .lines()
            .filter(|line| line.starts_with("directory_sync_runs_total") && line.contains(&of_it))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum::<u64>();
        println!(
            "| {:<24} | {:>7} | {:>6.2} s | {:>6.2} s | {:>6.2} s | {:>5} | {:>6} | {runs:>4} |",
            pair.name,
            figures.took.len(),
            figures.at(0.5).as_secs_f64(),
            figures.at(0.99).as_secs_f64(),
            figures.at(1.0).as_secs_f64(),
            figures.missed,
            figures.others,
        );
    }
    Ok(())
}
