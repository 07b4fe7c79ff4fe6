//! What reads of an Okta organization cost at 100 ms a request and Okta's default limits, of which half
//! are used: the first, one that finds nothing changed, and one that finds a group changed. Beside it one
//! request and half a second a group, one after another.
//!
//! `cargo bench --bench okta [USERS GROUPS]`; 50,000 users and 2,000 groups by default. It takes as
//! long as the limits make it: minutes.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

mod shared;

use std::time::{Duration, Instant};

use directory_sync::source::okta::{Credentials, OktaSettings, OktaSource};
use directory_sync::source::{ReadProgress, Reading, Source};
use simulators::lab::Company;
use simulators::okta::{Config, GroupSeed, RateLimits, SimulatedOkta, UserSeed};

const LATENCY: Duration = Duration::from_millis(100);
/// What the old client sleeps after each group.
const OLD_PAUSE: Duration = Duration::from_millis(500);
/// Requests of the old way that are made in earnest; the rest is multiplied.
const SAMPLE: u32 = 20;

#[tokio::main]
async fn main() {
    let (people, teams) = shared::sizes((50_000, 2_000));
    let config = Config {
        latency: LATENCY,
        ..Config::default()
    };
    let limits = RateLimits::DEFAULT;
    println!(
        "{people} users, {teams} groups, {LATENCY:?} a request; a minute: {} for users, {} for \
         groups and members",
        limits.users, limits.groups
    );
    let token = config.api_token.clone();
    let okta = SimulatedOkta::start(config).await.unwrap();
    let changing = fill(&okta, people, teams);
    measured(&okta, &token, &changing).await;
    okta.set_rate_limits(Some(limits));
    one_by_one(&okta, &token, teams).await;
}

/// Adds everybody; the id of a group.
fn fill(okta: &SimulatedOkta, people: u32, teams: u32) -> String {
    let company = Company::new(people, teams);
    let ids: Vec<String> = company
        .employees()
        .map(|employee| okta.user(UserSeed::new(&employee.person.mail.unwrap())))
        .collect();
    let mut last = None;
    for team in company.all_teams() {
        let members = team.people.iter().map(|person| &ids[*person as usize]);
        last = Some(okta.group(GroupSeed::new(&team.name).members(members)));
    }
    last.unwrap()
}

async fn measured(okta: &SimulatedOkta, token: &str, changing: &str) {
    let url = okta.url().parse().unwrap();
    let mut settings = OktaSettings::new(url);
    // The times of groups are trusted at once; a process does that after ten minutes.
    settings.membership_cache.settled = Duration::ZERO;
    let share = settings.rate_limit_share;
    let source = OktaSource::new(settings, &Credentials::ApiToken(token.into())).unwrap();
    println!("{share} % of the limits:");
    read(okta, &source, "the first read").await;
    read(okta, &source, "unchanged").await;
    assert!(okta.set_members(changing, &[]));
    read(okta, &source, "one group changed").await;
}

async fn read(okta: &SimulatedOkta, source: &OktaSource, what: &str) {
    okta.clear_requests();
    let refused =
        |okta: &SimulatedOkta| okta.spent().iter().map(|spent| spent.refused).sum::<u32>();
    let refused_before = refused(okta);
    let started = Instant::now();
    let reading = source.read(None, &ReadProgress::default()).await.unwrap();
    let took = started.elapsed();
    let Reading::Full { directory, .. } = reading else {
        panic!("nothing was known before");
    };
    println!(
        "{what}: {} requests ({} refused), {took:.1?}: {}",
        okta.requests().len(),
        refused(okta) - refused_before,
        shared::summary(&directory),
    );
}

/// As the old client: a request and a pause a group, one after another.
async fn one_by_one(okta: &SimulatedOkta, token: &str, groups: u32) {
    let client = reqwest::Client::new();
    let get = async |path: &str| -> serde_json::Value {
        let request = client.get(format!("{}{path}", okta.url()));
        let request = request.header("Authorization", format!("SSWS {token}"));
        request.send().await.unwrap().json().await.unwrap()
    };
    let list = get("/api/v1/groups?limit=1000").await;
    let list = list.as_array().unwrap();
    let ids: Vec<&str> = list.iter().filter_map(|g| g["id"].as_str()).collect();
    let started = Instant::now();
    for id in ids.iter().take(SAMPLE as usize) {
        get(&format!("/api/v1/groups/{id}/users?limit=1000")).await;
        tokio::time::sleep(OLD_PAUSE).await;
    }
    let each = started.elapsed() / SAMPLE;
    println!(
        "one group after another with {OLD_PAUSE:?} between: {:.0?} for groups alone ({each:.0?} \
         each, of {SAMPLE})",
        each * groups
    );
}
