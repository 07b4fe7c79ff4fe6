//! What a complete read of a OneLogin account costs at 100 ms a request, by roles and by groups, within
//! half of the account's limit; beside it one request after another.
//!
//! `cargo bench --bench one_login [USERS ROLES]`; 20,000 users and 500 roles by default.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

mod shared;

use std::time::{Duration, Instant};

use directory_sync::api::spec::OneLoginGroupsFrom;
use directory_sync::source::one_login::{Credentials, OneLoginSettings, OneLoginSource};
use directory_sync::source::{ReadProgress, Reading, Source};
use simulators::lab::Company;
use simulators::one_login::{Config, PageMax, RateLimit, RoleSeed, SimulatedOneLogin, UserSeed};

const LATENCY: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() {
    let (people, teams) = shared::sizes((20_000, 500));
    for pages in [PageMax::DEFAULT, PageMax::all(1_000)] {
        println!(
            "{people} users, {teams} roles, {LATENCY:?} a request, {} an hour; at most {} people a page",
            RateLimit::DEFAULT.requests,
            pages.users,
        );
        let config = Config {
            latency: LATENCY,
            page_max: pages,
            ..Config::default()
        };
        for from in [OneLoginGroupsFrom::Roles, OneLoginGroupsFrom::Groups] {
            let one_login = SimulatedOneLogin::start(config.clone()).await.unwrap();
            fill(&one_login, people, teams);
            measured(&one_login, &config, from).await;
        }
    }
}

/// Each team is a role, and a group of those who are in no other yet.
fn fill(one_login: &SimulatedOneLogin, people: u32, teams: u32) {
    let company = Company::new(people, teams);
    let mails: Vec<String> = company
        .employees()
        .map(|employee| employee.person.mail.unwrap())
        .collect();
    let mut groups = vec![None; mails.len()];
    let teams = company.all_teams();
    for team in &teams {
        let group = one_login.group(&team.name);
        for person in &team.people {
            groups[*person as usize].get_or_insert(group);
        }
    }
    let seeds = mails.iter().zip(groups);
    let ids: Vec<u64> = seeds
        .map(|(mail, group)| one_login.user(UserSeed::new(mail).with("group_id", group)))
        .collect();
    for team in teams {
        let members = team.people.iter().map(|person| ids[*person as usize]);
        one_login.role(RoleSeed::new(&team.name).members(members));
    }
}

async fn measured(one_login: &SimulatedOneLogin, config: &Config, from: OneLoginGroupsFrom) {
    let mut settings = OneLoginSettings::new(one_login.url().parse().unwrap());
    let credentials = Credentials {
        client_id: config.client_id.clone(),
        client_secret: config.client_secret.as_str().into(),
    };
    settings.groups = Some(from);
    let share = settings.rate_limit_share;
    let source = OneLoginSource::new(settings, &credentials).unwrap();
    let started = Instant::now();
    let reading = source.read(None, &ReadProgress::default()).await.unwrap();
    let took = started.elapsed();
    let Reading::Full { directory, .. } = reading else {
        panic!("nothing was known before");
    };
    let requests = one_login.requests().len();
    let refused: u32 = one_login.spent().iter().map(|spent| spent.refused).sum();
    let in_a_row = LATENCY * u32::try_from(requests).unwrap();
    println!(
        "by {from:?}, {share} % of the limit: {requests} requests ({refused} refused), {took:.1?} \
         ({in_a_row:.0?} in a row): {}",
        shared::summary(&directory),
    );
}
