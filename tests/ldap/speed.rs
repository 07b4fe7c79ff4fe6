//! What a read costs, beside `ldapsearch` reading the same entries. Run it in release:
//! `cargo test --release --test ldap -- --ignored --nocapture`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use simulators::lab::{Company, Slapd};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and wants a quiet machine"]
async fn a_hundred_thousand_people_cost_a_small_multiple_of_ldapsearch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("company.ldif");
    Company::new(100_000, 5_000).save(&file).unwrap();
    let slapd = start(Slapd::options().ldif_file(&file));
    for _ in 0..3 {
        let (wall, cpu) = ldapsearch(&slapd);
        println!("ldapsearch: {wall:.2?} wall, {cpu:.2?} CPU");
        let before = memory("VmRSS");
        // Forgets the peak so far (proc(5)).
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (started, used) = (Instant::now(), cpu_of("/proc/self/stat"));
        let directory = read(settings(&slapd.url())).await;
        let (wall, cpu) = (started.elapsed(), cpu_of("/proc/self/stat") - used);
        println!(
            "read: {wall:.2?} wall, {cpu:.2?} CPU, {} MiB before, {} MiB at most, {} people, {} memberships",
            before / 1024,
            memory("VmHWM") / 1024,
            directory.users.len(),
            directory
                .groups
                .iter()
                .map(|group| group.users.len())
                .sum::<usize>(),
        );
    }
}

/// Both searches of `ldapsearch`, side by side as ours.
fn ldapsearch(slapd: &Slapd) -> (Duration, Duration) {
    let started = Instant::now();
    let used = children_cpu();
    let search = |filter: &str, attributes: &[&str]| {
        Command::new("ldapsearch")
            .args(["-x", "-LLL", "-o", "ldif-wrap=no", "-E", "pr=1000/noprompt"])
            .args(["-H", &slapd.url(), "-b", slapd.suffix(), filter])
            .args(attributes)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut users = search("(objectClass=inetOrgPerson)", &["entryUUID", "mail"]);
    let mut groups = search("(objectClass=groupOfNames)", &["entryUUID", "cn", "member"]);
    assert!(users.wait().unwrap().success() && groups.wait().unwrap().success());
    (started.elapsed(), children_cpu() - used)
}

/// CPU time of this process, in and out of the kernel (proc(5), fields 14 and 15).
fn cpu_of(stat: &str) -> Duration {
    ticks(stat, 13..15)
}

/// CPU time of children that ended (fields 16 and 17).
fn children_cpu() -> Duration {
    ticks("/proc/self/stat", 15..17)
}

fn ticks(stat: &str, fields: std::ops::Range<usize>) -> Duration {
    let text = std::fs::read_to_string(stat).unwrap();
    // The program's name, field 2, may hold spaces.
    let rest = text.rsplit_once(") ").unwrap().1;
    let fields: Vec<u64> = rest
        .split(' ')
        .skip(fields.start - 2)
        .take(fields.len())
        .map(|field| field.parse().unwrap())
        .collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

/// In KiB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
