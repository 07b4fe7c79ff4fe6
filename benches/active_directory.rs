//! What a complete read of an Active Directory domain costs, and what one costs that finds it
//! unchanged, against Samba; through the limits of a Windows controller, too.
//!
//! `cargo bench --bench active_directory [PEOPLE]`; 20,000 people by default, in groups of fifty
//! and one of all. Filling Samba takes longer than in proportion to them; then the domain is kept for
//! the next time. Needs root.

#[path = "scale/machine.rs"]
#[allow(dead_code, reason = "the other bench needs more of it")]
mod machine;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::http::{CallOutcome, Observer};
use directory_sync::source::active_directory::{
    ActiveDirectorySettings, ActiveDirectorySource, Controller, DomainControllerLocation,
};
use directory_sync::source::ldap::Bind;
use directory_sync::source::{ReadProgress, Reading, Source, Version};
use machine::{measure, measure_and_print, mib};
use simulators::lab::{self, Crowd, Ldif, Samba};
use simulators::ldap_proxy::LdapProxy;

const TEAM: usize = 50;
/// Runs, of which the median by wall time is shown.
const RUNS: usize = 3;
/// The argument that makes this program one read.
const READ: &str = "read";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(machine::PART) => return measure_and_print(arguments),
        Some(READ) => {
            let [address, folder] = [(); 2].map(|()| arguments.next().unwrap_or_default());
            return read(address.parse()?, Path::new(&folder)).await;
        }
        _ => {}
    }
    if !Samba::can_start("the bench of Active Directory") {
        return Ok(());
    }
    let people = std::env::args().find_map(|arg| arg.parse().ok());
    let people: usize = people.unwrap_or(20_000);
    let mut ldif = Ldif::empty(Samba::DOMAIN);
    let reader = lab::Account::new("reader").with_password();
    reader.add_to(&mut ldif, &format!("CN=Users,{}", Samba::DOMAIN));
    let started = Instant::now();
    let samba = Samba::options()
        .allow_plaintext()
        .ldif(ldif.text())
        .crowd(Crowd { people, team: TEAM })
        .start()?;
    println!("{people} people in Samba after {:.1?}\n", started.elapsed());

    let folder = tempfile::tempdir()?;
    let address = SocketAddr::from((samba.address(), 389));
    println!("|                    |     wall |      CPU | Samba's |     peak | requests |");
    println!("|--------------------|---------:|---------:|--------:|---------:|---------:|");
    // The account's first logon is itself a change of the domain.
    row("", &samba, address, folder.path(), 1, false)?;
    row("full read", &samba, address, folder.path(), RUNS, false)?;
    row(
        "unchanged, twice",
        &samba,
        address,
        folder.path(),
        RUNS,
        true,
    )?;
    let proxy = LdapProxy::with_windows_limits(address).await?;
    let windows = "Windows' limits";
    row(windows, &samba, proxy.address(), folder.path(), 1, false)?;
    let summary = std::fs::read_to_string(folder.path().join("summary"))?;
    let summary = summary.split_once('\n').map_or("", |(_, summary)| summary);
    println!("\n{summary}");
    Ok(())
}

/// Measures reads, each by a process of its own, and prints a row; none without a name.
fn row(
    name: &str,
    samba: &Samba,
    address: SocketAddr,
    folder: &Path,
    runs: usize,
    unchanged: bool,
) -> Result<()> {
    let this = std::env::current_exe()?;
    let this = this.to_str().context("a path that isn't text")?;
    let shown = folder.to_str().context("a path that isn't text")?;
    let version = folder.join("version");
    let mut measured = vec![];
    for _ in 0..runs {
        if !unchanged && version.exists() {
            std::fs::remove_file(&version)?;
        }
        let arguments = [READ, &address.to_string(), shown];
        measured.push(measure(this, &arguments, &[samba.pid()])?);
    }
    measured.sort_by_key(|one| one.wall);
    let median = measured[runs / 2];
    let summary = std::fs::read_to_string(folder.join("summary"))?;
    let requests = summary.lines().next().unwrap_or_default();
    if !name.is_empty() {
        println!(
            "| {name:<18} | {:>6.2} s | {:>6.2} s | {:>5.2} s | {:>4.1} MiB | {requests:>8} |",
            median.wall.as_secs_f64(),
            median.cpu.as_secs_f64(),
            median.others.as_secs_f64(),
            mib(median.peak),
        );
    }
    Ok(())
}

/// One read; or two of what is at the version in `folder`, if there is one, of which the first makes
/// the controller known. Leaves there the version, how many requests the last took, what was read.
async fn read(address: SocketAddr, folder: &Path) -> Result<()> {
    let version = folder.join("version");
    let known = std::fs::read_to_string(&version).ok().map(Version);
    let requests = Arc::new(Requests::default());
    let source = source(address, requests.clone())?;
    let progress = ReadProgress::default();
    if known.is_some() {
        source.read(known.as_ref(), &progress).await?;
        requests.0.store(0, Ordering::Relaxed);
    }
    let reading = source.read(known.as_ref(), &progress).await?;
    let summary = match (reading, known) {
        (Reading::Unchanged, _) => "unchanged".to_owned(),
        (Reading::Full { .. }, Some(known)) => bail!("the domain isn't at {known:?} any more"),
        (
            Reading::Full {
                directory,
                version: now,
            },
            None,
        ) => {
            let now = now.context("the controller doesn't tell where it stands")?;
            std::fs::write(version, now.0)?;
            let memberships: usize = directory.groups.iter().map(|g| g.users.len()).sum();
            format!(
                "{} people, {} groups, {memberships} memberships",
                directory.users.len(),
                directory.groups.len()
            )
        }
    };
    let requests = requests.0.load(Ordering::Relaxed);
    std::fs::write(folder.join("summary"), format!("{requests}\n{summary}"))?;
    Ok(())
}

fn source(address: SocketAddr, observer: Arc<dyn Observer>) -> Result<ActiveDirectorySource> {
    let controller = Controller {
        host: address.ip().to_string(),
        port: Some(address.port()),
    };
    let mut settings =
        ActiveDirectorySettings::new(DomainControllerLocation::Controllers(vec![controller]));
    settings.bind = Bind::Simple {
        dn: format!("reader@{}", Samba::REALM),
        password: Samba::PASSWORD.into(),
    };
    settings.security = ActiveDirectorySecurity::Plaintext;
    settings.observer = observer;
    Ok(ActiveDirectorySource::new(settings)?)
}

/// Counts binds and searches.
#[derive(Debug, Default)]
struct Requests(AtomicUsize);

impl Observer for Requests {
    fn request(&self, _: &str, _: CallOutcome, _: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
