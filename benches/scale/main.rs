//! How long whole runs take, and what they use, against OpenLDAP and a simulated organization.
//!
//! `make bench`, or for other sizes `BENCH_SIZES=10000,50000 cargo bench --bench scale`. A size is a
//! number of people (BENCH_CHANGES_ALONE=1: runs after small changes alone); there are a twentieth as many groups, everyone is in four of them, and one
//! group in ten contains others. BENCH_PROGRAM names another build of the program, the one in an
//! image say. `docs/performance.md` explains the rows and has a run's figures.
//!
//! Each row is one program: `ldapsearch` reading the same entries and attributes, page by page, as
//! the floor; then `directory-sync` as the command line and as the operator. Directory, organization
//! and API server are processes of their own, and what they use isn't counted; the column "others"
//! tells how much of the machine they took.
//!
//! ```text
//! machine   what processes use, as the kernel counts it
//! company   the directory of one size, and the manifests for it
//! bitwarden the simulated organization in a process of its own
//! operator  the operator on an API server
//! report    rows, and how they stand to the aims
//! ```

mod bitwarden;
mod company;
mod machine;
#[allow(dead_code, reason = "the bench of exposure needs more of it")]
mod operator;
mod report;

use std::sync::LazyLock;

use anyhow::{Context as _, Result, ensure};

use bitwarden::{Bitwarden, Requests};
use company::Directory;
use machine::Measured;
use operator::Cluster;
use report::{Report, Row};

/// So many runs with changes fill a history, or it stays as large as it is.
const ROUNDS_MAX: usize = 12;
/// A history in the cluster that is about as large as it gets; compressed.
const HISTORY_BYTES: usize = 480 << 10;

/// Runs of what can be repeated; the one with the median CPU time counts.
const REPEATS: usize = 3;

/// The program that is measured.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    std::env::var("BENCH_PROGRAM")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_directory-sync").to_owned())
});

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        // This program a second time, in another part.
        Some(machine::PART) => machine::measure_and_print(arguments),
        Some(bitwarden::PART) => bitwarden::serve(),
        _ => bench(),
    }
}

fn bench() -> Result<()> {
    let sizes = std::env::var("BENCH_SIZES").unwrap_or_else(|_| "10000,50000,100000".to_owned());
    let cluster = Cluster::start()?;
    let mut report = Report::default();
    for size in sizes.split(',') {
        let people = size.trim().parse();
        let people = people.with_context(|| format!("BENCH_SIZES: {size:?} is no number"))?;
        measure(people, &cluster, &mut report)?;
        report.print_size(people);
    }
    report.print_aims(std::fs::metadata(PROGRAM.as_str())?.len());
    Ok(())
}

fn measure(people: u32, cluster: &Cluster, report: &mut Report) -> Result<()> {
    eprintln!("{people} people: filling the directory");
    let mut directory = Directory::start(people)?;
    let mut add = |name, measured, requests| {
        eprintln!("{people} people: {name}: {measured}");
        report.add(
            people,
            Row {
                name,
                measured,
                requests,
            },
        );
    };

    directory.read_once()?;
    add("ldapsearch (floor)", median(|| directory.floor())?, None);
    if std::env::var_os("BENCH_CHANGES_ALONE").is_some() {
        return measure_changes(people, cluster, &directory, &mut add);
    }

    let bitwarden = Bitwarden::start()?;
    let manifest = directory.manifest(&bitwarden, None)?;
    let state = directory.state().display().to_string();
    let run = |arguments: &[&str]| {
        let others = [directory.pid(), bitwarden.pid()];
        let options = ["--quiet", "-f", &manifest, "--state-dir", &state];
        let arguments = [arguments, &options].concat();
        machine::measure(&PROGRAM, &arguments, &others)
    };
    let planned = median(|| run(&["plan"]))?;
    bitwarden.take_requests()?;
    run(&["plan"])?;
    add("plan", planned, Some(bitwarden.take_requests()?));
    let first = run(&["sync", "--yes"])?;
    add("sync, first", first, Some(bitwarden.take_requests()?));
    let members = bitwarden.members()?;
    ensure!(
        members == people as usize + 1,
        "after the first sync there are {members} members, not {people} and an owner"
    );
    let again = run(&["sync", "--yes"])?;
    let requests = bitwarden.take_requests()?;
    ensure!(
        requests.writes == 0,
        "a sync without changes wrote {} times",
        requests.writes
    );
    add("sync, unchanged, new process", again, Some(requests));
    let records = directory.fill_history()?;
    eprintln!("{people} people: a history of {records} records");
    let somebody = directory.somebody();
    let explained = median(|| run(&["explain", &somebody]))?;
    bitwarden.take_requests()?;
    run(&["explain", &somebody])?;
    add("explain", explained, Some(bitwarden.take_requests()?));
    let leaver = directory.dismiss()?;
    let explained = median(|| run(&["explain", &leaver]))?;
    bitwarden.take_requests()?;
    run(&["explain", &leaver])?;
    let requests = bitwarden.take_requests()?;
    add("explain, a leaver", explained, Some(requests));
    drop(bitwarden);

    let bitwarden = Bitwarden::start()?;
    let operator = cluster.operator(&format!("people-{people}"), &[])?;
    add("operator, idle", operator.idle()?, None);
    let others = [directory.pid(), bitwarden.pid()];
    let manifest = directory.manifest(&bitwarden, Some(operator.namespace()))?;
    let first = operator.first_run(&manifest, &others)?;
    add(
        "operator, first sync",
        first,
        Some(bitwarden.take_requests()?),
    );
    let again = operator.next_run(&others)?;
    let requests = bitwarden.take_requests()?;
    ensure!(
        requests.writes == 0,
        "the operator wrote {} times without a change",
        requests.writes
    );
    add("operator, unchanged sync", again, Some(requests));
    add("operator, idle after both", operator.idle()?, None);
    for _ in 0..ROUNDS_MAX {
        if operator.history_bytes()? >= HISTORY_BYTES {
            break;
        }
        directory.join_groups()?;
        operator.requested_run(&others)?;
    }
    let records = operator.history_bytes()?;
    eprintln!("{people} people: a history of {records} bytes");
    let explained = median(|| operator.explain(&directory.somebody(), &others))?;
    bitwarden.take_requests()?;
    operator.explain(&directory.somebody(), &others)?;
    let requests = bitwarden.take_requests()?;
    add("operator, explain", explained, Some(requests));
    drop(operator);
    measure_changes(people, cluster, &directory, &mut add)
}

/// Runs after small changes, with and without a directory that is kept between them.
fn measure_changes(
    people: u32,
    cluster: &Cluster,
    directory: &Directory,
    add: &mut impl FnMut(&'static str, Measured, Option<Requests>),
) -> Result<()> {
    const NAMES: [[&str; 4]; 2] = [
        [
            "nothing kept, no change",
            "nothing kept, one login",
            "nothing kept, one joins",
            "nothing kept, one leaves",
        ],
        [
            "kept, no change",
            "kept, one login",
            "kept, one joins",
            "kept, one leaves",
        ],
    ];
    for (keep, names) in [0, 64].into_iter().zip(NAMES) {
        let bitwarden = Bitwarden::start()?;
        let argument = format!("--keep-directories={keep}");
        let operator = cluster.operator(&format!("changes-{people}-{keep}"), &[argument])?;
        let others = [directory.pid(), bitwarden.pid()];
        let manifest = directory.manifest(&bitwarden, Some(operator.namespace()))?;
        operator.first_run(&manifest, &others)?;
        operator.next_run(&others)?;
        let newcomer = format!("newcomer{keep}");
        let changes: [&dyn Fn() -> Result<()>; 4] = [
            &|| Ok(()),
            &|| directory.describe_somebody(&keep.to_string()),
            &|| directory.hire(&newcomer),
            &|| directory.let_leave(&newcomer),
        ];
        for (name, change) in names.into_iter().zip(changes) {
            bitwarden.take_requests()?;
            let (before, _) = operator.directory_requests()?;
            let measured = operator.run_after(&others, change)?;
            let (now, kept) = operator.directory_requests()?;
            eprintln!(
                "{people} people: {name}: {} requests to the directory, {kept} bytes are kept",
                now - before
            );
            add(name, measured, Some(bitwarden.take_requests()?));
        }
    }
    Ok(())
}

fn median(mut run: impl FnMut() -> Result<Measured>) -> Result<Measured> {
    let mut runs = (0..REPEATS).map(|_| run()).collect::<Result<Vec<_>>>()?;
    runs.sort_by_key(|run| run.cpu);
    Ok(runs.swap_remove(REPEATS / 2))
}
