//! How long the core alone takes: from a directory that was read to a guarded plan, without any I/O.
//!
//! `make bench`, or `BENCH_SIZES=10000 cargo bench --bench core`. The directory is the same company as
//! in the bench `scale`. Of several repeats the median is printed, with the fastest and the slowest.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use directory_sync::complete::Complete;
use directory_sync::directory::{Account, Directory, DirectoryBuilder, Lookup};
use directory_sync::organization::model::{
    Content, Group, Member, MemberRole, MemberStatus, Organization,
};
use directory_sync::sync::explain::{Decided, Found, Question, Sides};
use directory_sync::sync::guard::{GuardedPlan, guard};
use directory_sync::sync::ledger::Ledger;
use directory_sync::sync::memberships::{FailedChanges, MembershipCache};
use directory_sync::sync::plan::draft;
use directory_sync::sync::policy::{Policy, Restore};
use directory_sync::sync::resolve::resolve;
use directory_sync::sync::roster::Roster;
use directory_sync_core::organization::role::Permissions;
use simulators::lab::Company;
use uuid::Uuid;

const REPEATS: usize = 9;

fn main() -> Result<()> {
    let sizes = std::env::var("BENCH_SIZES").unwrap_or_else(|_| "10000,50000,100000".to_owned());
    println!(
        "\n| {:7} | {:26} | {:>9} | {:>21} |",
        "people", "", "median", "fastest – slowest"
    );
    println!(
        "|--------:|{:-<28}|----------:|----------------------:|",
        ""
    );
    for size in sizes.split(',') {
        let people = size.trim().parse();
        let people = people.with_context(|| format!("BENCH_SIZES: {size:?} is no number"))?;
        bench(people)?;
    }
    Ok(())
}

fn bench(people: u32) -> Result<()> {
    let mut policy = directory_sync_testing::policy();
    policy.onboarding.restore = Restore::All;
    let directory = directory(people);
    row(
        people,
        "resolve",
        || directory.clone(),
        |directory| resolve(directory, &policy).expect("it fits into memory"),
    );

    let read = directory.clone();
    let roster = resolve(directory, &policy).expect("it fits into memory");
    let empty = Organization::Read(Complete::after_last_page(Content::default()));
    let nothing = MembershipCache::default();
    let first = planned(&roster, &empty, &policy, &nothing);
    ensure!(
        first.approved.changes.len() == (people + people / 20) as usize,
        "the first plan has {} changes",
        first.approved.changes.len()
    );
    row(
        people,
        "plan, first sync",
        || (),
        |()| planned(&roster, &empty, &policy, &nothing),
    );

    let full = in_sync(&roster)?;
    let mut memberships = MembershipCache::default();
    memberships.record(&first, &FailedChanges::default());
    let second = planned(&roster, &full, &policy, &memberships);
    ensure!(
        second.approved.changes.is_empty(),
        "a plan for an organization in sync has {} changes",
        second.approved.changes.len()
    );
    row(
        people,
        "plan, nothing changed",
        || (),
        |()| planned(&roster, &full, &policy, &memberships),
    );
    let sides = Sides {
        directory: &read,
        organization: &full,
        sent: memberships.sent(),
        policy: &policy,
    };
    let ledger = Ledger::default();
    let decided = Decided {
        roster: &roster,
        organization: &full,
        policy: &policy,
        guarded: &second,
        ledger: &ledger,
        member_groups: &HashMap::new(),
        group_members: &HashMap::new(),
        read_for_this: &[],
    };
    let last = roster
        .people
        .last()
        .and_then(|person| person.email.as_ref());
    let last = last.context("everyone has an email")?.as_str();
    let largest = roster.groups.iter().max_by_key(|group| group.people.len());
    let largest = &largest.context("there are groups")?.name;
    for (what, asked) in [
        ("explain, a person", last),
        ("explain, a group", largest),
        ("explain, nobody", "nobody.at.all@example.com"),
    ] {
        let question = Question::new(asked).context("a question")?;
        let answer = || {
            let found = Found::new(&question, &sides, Lookup::Unsupported);
            found.explain(&decided, "a directory", "an organization")
        };
        ensure!(answer().not_found.is_some() == (what == "explain, nobody"));
        row(people, what, || (), |()| answer());
    }
    Ok(())
}

/// Times `run` without what `prepare` does, and without dropping what it returned.
fn row<T, U>(people: u32, what: &str, prepare: impl Fn() -> T, run: impl Fn(T) -> U) {
    let mut times: Vec<Duration> = (0..REPEATS)
        .map(|_| {
            let input = prepare();
            let started = Instant::now();
            let output = std::hint::black_box(run(input));
            let time = started.elapsed();
            drop(output);
            time
        })
        .collect();
    times.sort();
    let [fastest, median, slowest] =
        [0, REPEATS / 2, REPEATS - 1].map(|at| times[at].as_secs_f64() * 1000.0);
    let spread = format!("{fastest:.1} – {slowest:.1} ms");
    println!(
        "| {people:7} | {what:26} | {:>9} | {spread:>21} |",
        format!("{median:.1} ms")
    );
}

fn planned(
    roster: &Roster,
    organization: &Organization,
    policy: &Policy,
    memberships: &MembershipCache,
) -> GuardedPlan {
    let plan = draft(
        roster,
        organization,
        policy,
        &Ledger::default(),
        jiff::Timestamp::UNIX_EPOCH,
    )
    .complete(memberships, &HashMap::new());
    guard(
        plan,
        policy,
        &Ledger::default(),
        jiff::Timestamp::UNIX_EPOCH,
        None,
    )
}

fn directory(people: u32) -> Complete<Directory> {
    let company = Company::new(people, people / 20);
    let mut builder = DirectoryBuilder::new();
    for (number, employee) in company.employees().enumerate() {
        let key = builder.key(&format!("p{number}"));
        let person = employee.person;
        let (id, mail) = (
            person.entry_uuid.unwrap_or_default(),
            person.mail.unwrap_or_default(),
        );
        builder.user(&[key], &id, &mail, Account::ACTIVE, &person.uid);
    }
    for (number, team) in company.all_teams().into_iter().enumerate() {
        let people = team.people.iter().map(|person| format!("p{person}"));
        let teams = team.teams.iter().map(|team| format!("g{team}"));
        let members = people.chain(teams).map(|name| builder.key(&name)).collect();
        let key = builder.key(&format!("g{number}"));
        builder.group(&[key], &team.entry_uuid, &team.name, members);
    }
    builder.finish()
}

/// The organization that a first sync leaves behind.
fn in_sync(roster: &Roster) -> Result<Organization> {
    let ids = |kind: u128| (1..).map(move |number: u128| Uuid::from_u128(kind << 64 | number));
    let members = roster.people.iter().zip(ids(1)).map(|(person, id)| {
        let email = person.email.as_ref();
        Ok(Member {
            id,
            external_id: Some(person.id.clone()),
            email: email.context("everyone has an email")?.clone(),
            status: MemberStatus::Confirmed,
            role: MemberRole::Other(2),
            permissions: Permissions::NONE,
        })
    });
    let groups = roster.groups.iter().zip(ids(2)).map(|(group, id)| Group {
        id,
        external_id: Some(group.id.clone()),
        name: group.name.clone(),
        collections: Some(Box::default()),
    });
    let content = Content {
        members: members.collect::<Result<_>>()?,
        groups: groups.collect(),
        collections: None,
        problems: vec![],
    };
    Ok(Organization::Read(Complete::after_last_page(content)))
}
