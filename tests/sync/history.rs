//! Sequences of runs with failures and kills: afterwards the records say exactly what the organization's
//! own journal says.

use std::collections::BTreeSet;

use directory_sync::history::{merge, parse};
use directory_sync::organization::OrganizationClient;
use directory_sync::organization::role::{AccessRole, Permissions};
use directory_sync::sync::history::{History, Outcome, Record, RunId, RunInfo, RunTrigger, table};
use directory_sync::sync::ledger::Ledger;
use directory_sync::sync::memberships::MembershipCache;
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::{Glob, Policy, RoleRule};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::run::{RunOptions, State, plan};
use jiff::Timestamp;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{
    Config, Event, GroupSeed, MemberSeed, SimulatedOrganization, Status,
};
use tokio_util::sync::CancellationToken;

pub use directory_sync_testing::company::{Company, Random, chance};

use crate::world::{NO_RETRY, client, policy};

/// What a process leaves to the next.
pub struct Kept {
    pub ledger: Vec<u8>,
    pub memberships: MembershipCache,
    pub history: String,
}

impl Kept {
    pub fn keep(&mut self, state: &mut State) {
        self.ledger = state.ledger.to_bytes();
        self.memberships = MembershipCache::from_bytes(&state.memberships.to_bytes()).unwrap();
        self.history = merge(&self.history, &state.history.take_unsaved());
    }

    /// A new process.
    pub fn restore(&self) -> State {
        let memberships = MembershipCache::from_bytes(&self.memberships.to_bytes()).unwrap();
        let ledger = Ledger::load_unchecked(&self.ledger, Timestamp::now());
        let mut state = State::restored(memberships, ledger);
        state.history = History::restored(parse(&self.history).records);
        state
    }
}

/// How a run ends.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Well,
    /// An error, in a process that goes on.
    Error,
    /// The process is killed, and keeps nothing of what it knew.
    Killed,
}

pub async fn run(
    company: &Company,
    client: &OrganizationClient,
    state: &mut State,
    kept: &mut Kept,
    end: End,
) {
    state.history.start(RunInfo {
        id: RunId::at(Timestamp::now()),
        trigger: RunTrigger::Command,
        approved_by: None,
        undoes: None,
        directory_sync: None,
    });
    let progress = Progress::default();
    let stop = CancellationToken::new();
    let options = RunOptions::new(&progress, &stop);
    let mut policy: Policy = policy();
    policy.access.limit = 100;
    policy.access.roles.push(RoleRule {
        group: Glob::new("team *"),
        role: AccessRole::Custom(Permissions::of(["manageUsers"])),
    });
    for _ in 0..3 {
        let planned = plan(company, client, &policy, state, &options).await;
        let Ok(mut planned) = planned else { break };
        planned.invalidate(state);
        kept.keep(state);
        match planned.apply(state, &options).await {
            Ok(report) if report.changed_meanwhile => {}
            _ => break,
        }
    }
    match end {
        End::Killed => *state = kept.restore(),
        End::Well | End::Error => kept.keep(state),
    }
}

/// What a record says happened, in the journal's words.
pub fn told(record: &Record) -> Vec<String> {
    let mut events = vec![];
    let person = record.person.as_ref().map(|one| one.label().to_owned());
    let email = person.unwrap_or_default();
    let group = record.group.as_ref();
    let name = group
        .map(|group| group.name.to_string())
        .unwrap_or_default();
    let from = record.from.as_deref().unwrap_or_default();
    if record.result == Outcome::Partly {
        return vec![format!("removed {from}")];
    }
    if record.result != Outcome::Done {
        return vec![];
    }
    match record.action {
        Kind::Invite => {
            if record.from.is_some() {
                events.push(format!("removed {from}"));
            }
            events.push(format!("invited {email}"));
        }
        Kind::Link | Kind::Relink => {
            let id = record
                .person
                .as_ref()
                .and_then(|one| one.external_id.as_deref());
            events.push(format!("{email} has id {}", id.unwrap()));
        }
        Kind::Unlink => events.push(format!("{email} has id ")),
        Kind::UnlinkGroup => events.push("group has id ".to_owned()),
        Kind::SetRole => {
            let role = record.role.as_ref().and_then(|role| role.to.known());
            events.push(format!("{email} has role {}", role.unwrap().number()));
        }
        Kind::Restore => events.push(format!("restored {email}")),
        Kind::Reinvite => events.push(format!("reinvited {email}")),
        Kind::Revoke => events.push(format!("revoked {email}")),
        Kind::Remove => events.push(format!("removed {email}")),
        Kind::CreateGroup => events.push(format!("group {name} created")),
        Kind::RelinkGroup => {
            let id = group.map(|group| group.external_id.to_string());
            events.push(format!("group has id {}", id.unwrap()));
        }
        Kind::RenameGroup => events.push(format!("group {from} is {name}")),
        Kind::UpdateGroup | Kind::SetCollections => {}
        Kind::DeleteGroup => {
            let mut members: Vec<&str> = record
                .removed
                .iter()
                .map(|one| one.person.label())
                .collect();
            members.sort_unstable();
            events.push(format!("group {name} deleted with {}", members.join(" ")));
        }
    }
    if record.action != Kind::DeleteGroup {
        let added = record.added.iter();
        events.extend(added.map(|one| format!("{} joins a group", one.label())));
        let removed = record.removed.iter();
        events.extend(removed.map(|one| format!("{} leaves a group", one.person.label())));
    }
    events
}

/// The same of the journal.
fn happened(event: &Event) -> String {
    match event {
        Event::Invited { email } | Event::Staged { email } => format!("invited {email}"),
        Event::Reinvited { email } => format!("reinvited {email}"),
        Event::ExternalIdChanged { email, to, .. } => {
            format!("{email} has id {}", to.as_deref().unwrap_or_default())
        }
        Event::RoleChanged { email, to, .. } => format!("{email} has role {to}"),
        Event::Removed { email, .. } => format!("removed {email}"),
        Event::Revoked { email, .. } => format!("revoked {email}"),
        Event::Restored { email, .. } => format!("restored {email}"),
        Event::Withdrawn { member, .. } => format!("{member} leaves a group"),
        Event::Joined { member, .. } => format!("{member} joins a group"),
        Event::CollectionsLost { of, .. } => format!("{of} lost collections"),
        Event::GroupCreated { name } => format!("group {name} created"),
        Event::GroupRenamed { from, to } => format!("group {from} is {to}"),
        Event::GroupExternalIdChanged { to, .. } => {
            format!("group has id {}", to.as_deref().unwrap_or_default())
        }
        Event::GroupDeleted { name, members, .. } => {
            format!("group {name} deleted with {}", members.join(" "))
        }
    }
}

/// All of the journal. The groups that somebody keeps whose open invitation goes to another address, by the
/// records, belong to that invitation.
pub fn all_that_happened(journal: &[Event], records: &[Record]) -> Vec<String> {
    let is_replaced = |before: &str, email: &str| {
        let mut invitations = records.iter().filter(|one| one.action == Kind::Invite);
        invitations.any(|one| {
            let to = one.person.as_ref().map(|person| person.label());
            one.from.as_deref() == Some(before) && to == Some(email)
        })
    };
    let mut told = vec![];
    let mut kept = 0;
    for (at, event) in journal.iter().enumerate() {
        match event {
            Event::Joined { .. } if kept > 0 => {
                kept -= 1;
                continue;
            }
            Event::Invited { email } if at > 0 => {
                if let Event::Removed {
                    groups,
                    email: before,
                    ..
                } = &journal[at - 1]
                    && is_replaced(before, email)
                {
                    let own = |next: &&Event| matches!(next, Event::Joined { member, .. } if member == email);
                    let joins = journal[at + 1..].iter().take_while(own);
                    kept = groups.len().min(joins.count());
                }
            }
            _ => kept = 0,
        }
        told.push(happened(event));
    }
    told
}

pub fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

async fn sequence(seed: u64) -> usize {
    let mut random = Random::with_seed(seed);
    let organization = SimulatedOrganization::start(Config::cloud()).await.unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    organization.seed_member(MemberSeed::new("p1@example.com"));
    organization.seed_member(MemberSeed::new("by.hand@example.com"));
    let revoked = MemberSeed::new("p2@example.com").external_id("p2");
    organization.seed_member(revoked.status(Status::Revoked));
    organization.seed_group(GroupSeed::new("By hand").members(["by.hand@example.com"]));
    let group = GroupSeed::new("old name").external_id("g1");
    organization.seed_group(group.members(["by.hand@example.com", "p2@example.com"]));
    let client = client(&organization, NO_RETRY);
    let mut company = Company {
        people: (1..=8)
            .map(|n| (format!("p{n}"), format!("p{n}@example.com"), false))
            .collect(),
        groups: vec![("g1".into(), "team 1".into(), BTreeSet::new())],
    };
    let mut next = 100;
    let mut state = State::default();
    let mut kept = Kept {
        ledger: state.ledger.to_bytes(),
        memberships: MembershipCache::default(),
        history: String::new(),
    };
    for _ in 0..random.usize(2..=5) {
        company.change(&mut random, &mut next);
        let members = organization.snapshot().members;
        let invited: Vec<String> = members.keys().cloned().collect();
        for email in invited {
            if chance(&mut random, 50) {
                let _ = organization.accept_and_confirm(&email);
            }
        }
        let end = match random.u32(0..100) {
            0..30 => End::Well,
            30..60 => End::Error,
            _ => End::Killed,
        };
        if end != End::Well {
            let ways = [
                Way::CutConnection,
                Way::InternalError,
                Way::Refused,
                Way::Garbage,
            ];
            let way = ways[random.usize(..ways.len())];
            let work = Work::BOTH[random.usize(..2)];
            // A refusal is an answer: what was refused wasn't done.
            let work = if way == Way::Refused {
                Work::Undone
            } else {
                work
            };
            let fault = Fault::new(way).work(work).on_request(random.u64(3..40));
            organization.faults().inject(fault);
        }
        run(&company, &client, &mut state, &mut kept, end).await;
        organization.faults().clear();
    }
    // Whatever was left open is found out by runs without a failure.
    for _ in 0..2 {
        run(&company, &client, &mut state, &mut kept, End::Well).await;
    }
    let parsed = parse(&kept.history);
    assert_eq!(parsed.unreadable, 0);
    let open = parsed.records.iter().filter(|one| one.result.is_open());
    let open: Vec<&Record> = open.collect();
    assert!(open.is_empty(), "seed {seed}: {open:#?}");
    let told = sorted(parsed.records.iter().flat_map(told).collect());
    let happened = sorted(all_that_happened(&organization.history(), &parsed.records));
    assert!(
        told == happened,
        "seed {seed}\nonly in the records: {:?}\nonly in the journal: {:?}\n{}",
        only(&told, &happened),
        only(&happened, &told),
        table(&parsed.records, &[].into(), false)
    );
    told.len()
}

pub fn only(these: &[String], those: &[String]) -> Vec<String> {
    let mut left = those.to_vec();
    let mut only = vec![];
    for one in these {
        match left.iter().position(|other| other == one) {
            Some(at) => drop(left.remove(at)),
            None => only.push(one.clone()),
        }
    }
    only
}

/// The first so many, with those that once failed. `DIRECTORY_SYNC_HISTORY_SEQUENCES` asks for so many others,
/// `DIRECTORY_SYNC_HISTORY_SEED` for the first of them.
pub fn seeds(usual: u64, failed_once: &[u64]) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("DIRECTORY_SYNC_HISTORY_SEED");
    match number("DIRECTORY_SYNC_HISTORY_SEQUENCES").or(first.map(|_| 1)) {
        Some(count) => {
            let first = first.unwrap_or_else(|| fastrand::u32(..).into());
            (first..first + count).collect()
        }
        None => (1..=usual).chain(failed_once.iter().copied()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_agree_with_the_journal_after_any_sequence_of_runs_failures_and_kills() {
    let seeds = seeds(25, &[]);
    let mut changes = 0;
    for seed in &seeds {
        changes += sequence(*seed).await;
    }
    let (count, first) = (seeds.len(), seeds[0]);
    eprintln!("{count} sequences from seed {first}: {changes} changes");
    assert!(changes > count * 10, "something happened");
}
