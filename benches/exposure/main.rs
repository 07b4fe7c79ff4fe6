//! For how long somebody who left keeps access: from the change in the directory to the organization's
//! journal of the revocation, for each kind of directory, among other changes.
//!
//! `cargo bench --bench exposure`. All directories are watched at once, each by an operator of its own with its
//! usual times. The directories by LDAP are real servers, the others simulators; these and the organizations take 100 ms a
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
//! paths          by which way they lost access: by the fast lane or by a run
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
mod paths;

use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use simulators::organization::{Config, MemberSeed, RateLimits, SimulatedOrganization};

use directory::{Directory, Kind};
use leavers::Figures;
use operator::{Cluster, Operator};
use paths::Log;

/// The program that is measured.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    std::env::var("BENCH_PROGRAM")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_directory-sync").to_owned())
});

/// How long a request to a simulator takes.
const LATENCY: Duration = Duration::from_millis(100);
const SOURCES: &str = "ldap:10000,ldap:100000,activeDirectory:10000,entraId:10000,okta:10000,\
                       oneLogin:10000,googleWorkspace:10000";
/// Signals and the steps of the fast lane, besides what is logged anyway.
const LOG: &str = "warn,audit=info,directory_sync=info,directory_sync::controller::signals=debug";
/// Until everything is synced and watched.
const WAIT_TIMEOUT: Duration = Duration::from_secs(90 * 60);
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

/// The same with its operator.
struct Watched<'a> {
    pair: Pair,
    operator: Operator<'a>,
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
    let mut watched = vec![];
    for pair in pairs {
        let urls = pair.directory.vendor_urls().into_iter();
        let mut arguments: Vec<String> = urls
            .flat_map(|url| ["--vendor-urls".to_owned(), url])
            .collect();
        // The paths of leavers are read in it.
        arguments.extend(["--log-level", LOG].map(str::to_owned));
        let operator = cluster.operator(&pair.name, &arguments)?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("manifest.yaml");
        std::fs::write(&path, manifest(&pair))?;
        operator.kubectl(&["apply", "-f", &path.display().to_string()])?;
        watched.push(Watched { pair, operator });
    }
    watched.iter().try_for_each(wait_until_watched)?;
    std::thread::sleep(SETTLING);
    measure_idle(&watched, idle)?;

    let figures = std::thread::scope(|scope| {
        let measured: Vec<_> = watched
            .iter()
            .map(|one| scope.spawn(move || leavers::measure(&one.pair, disables, gap)))
            .collect();
        let measured = measured.into_iter().map(|one| {
            let ended = one.join();
            ended.unwrap_or_else(|_| anyhow::bail!("a directory's part panicked"))
        });
        measured.collect::<Result<Vec<_>>>()
    })?;
    print_figures(&watched, &figures)?;
    if std::env::var_os("BENCH_LOG").is_some() {
        for one in &watched {
            eprintln!("{}", one.operator.log());
        }
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

/// Waits until a directory is watched, which is so after its first run.
fn wait_until_watched(Watched { pair, operator }: &Watched<'_>) -> Result<()> {
    let started = Instant::now();
    let field = |path: &str| {
        let path = format!("jsonpath={path}");
        operator.kubectl(&["get", "dsync", &pair.name, "-o", &path])
    };
    let until = |what: &str, holds: &dyn Fn() -> Result<bool>| {
        while !holds()? {
            let message = field(r#"{.status.conditions[?(@.type=="Ready")].message}"#)?;
            ensure!(
                started.elapsed() < WAIT_TIMEOUT && !message.contains("couldn't"),
                "{}: not {what}: {message}; the operator's log:\n{}",
                pair.name,
                operator.log()
            );
            std::thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    };
    until("watched", &|| {
        Ok(!field("{.status.signals.method}")?.is_empty())
    })?;
    let method = field("{.status.signals.method}")?;
    let took = started.elapsed();
    eprintln!("{}: watched ({method}) after {took:.1?}", pair.name);
    Ok(())
}

/// How many runs have ended.
fn runs(operator: &Operator<'_>) -> Result<u64> {
    let metrics = operator.metrics()?;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("directory_sync_runs_total{"));
    Ok(lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum())
}

/// The requests so far: to the directory, and to the organization.
fn requests(operator: &Operator<'_>) -> Result<[u64; 2]> {
    let metrics = operator.metrics()?;
    let of = |side: &str| {
        let side = format!("side=\"{side}\"");
        let lines = metrics.lines().filter(|line| {
            line.starts_with("directory_sync_requests_total{") && line.contains(&side)
        });
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    };
    Ok(["directory", "organization"].map(of))
}

fn measure_idle(watched: &[Watched<'_>], idle: Duration) -> Result<()> {
    let all = || {
        let all = watched.iter().map(|one| {
            let cpu = machine::cpu_of(&[one.operator.pid()])?;
            Ok((requests(&one.operator)?, cpu))
        });
        all.collect::<Result<Vec<_>>>()
    };
    let before = all()?;
    std::thread::sleep(idle);
    let after = all()?;
    let minutes = idle.as_secs_f64() / 60.0;
    println!("\nWhile nothing changes, in a minute:\n");
    println!("| directory                | requests to it | to the organization |     CPU |");
    println!("|--------------------------|---------------:|--------------------:|--------:|");
    for (one, (before, after)) in watched.iter().zip(before.into_iter().zip(after)) {
        let more = |at: usize| (after.0[at] - before.0[at]) as f64 / minutes;
        let cpu = after.1.saturating_sub(before.1).as_secs_f64() / minutes * 1000.0;
        println!(
            "| {:<24} | {:>14.1} | {:>19.1} | {cpu:>4.0} ms |",
            one.pair.name,
            more(0),
            more(1)
        );
    }
    Ok(())
}

fn print_figures(watched: &[Watched<'_>], figures: &[Figures]) -> Result<()> {
    println!("\nFrom just before the change in the directory to the revocation:\n");
    println!(
        "| directory                | leavers |      p50 |      p99 |  longest | never | others | runs |"
    );
    println!(
        "|--------------------------|--------:|---------:|---------:|---------:|------:|-------:|-----:|"
    );
    for (Watched { pair, operator }, figures) in watched.iter().zip(figures) {
        let runs = runs(operator)?;
        println!(
            "| {:<24} | {:>7} | {:>6.2} s | {:>6.2} s | {:>6.2} s | {:>5} | {:>6} | {runs:>4} |",
            pair.name,
            figures.revoked.len(),
            figures.at(0.5).as_secs_f64(),
            figures.at(0.99).as_secs_f64(),
            figures.at(1.0).as_secs_f64(),
            figures.missed,
            figures.others,
        );
    }
    println!();
    for (Watched { pair, operator }, figures) in watched.iter().zip(figures) {
        let log = Log::parse(&operator.log());
        println!("{}: {}", pair.name, log.ways(&figures.revoked));
        log.print_slowest(&pair.name, &figures.revoked);
    }
    Ok(())
}
