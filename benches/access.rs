//! What access to collections costs within the limits of Bitwarden's cloud, at 100 ms a request: the first run
//! with a rule for all groups, the next one, and one after the rule has changed for a tenth of them.
//!
//! `cargo bench --bench access [PEOPLE GROUPS]`; 20,000 people and 5,000 groups by default. It takes as long as
//! the limits make it: minutes.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

#[expect(dead_code, reason = "nothing is read from a vendor here")]
mod shared;

use std::sync::Arc;
use std::time::{Duration, Instant};

use directory_sync::organization::{
    ClientId, OrganizationClient, Region, Settings, cloud_rate_limiter,
};
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::Policy;
use directory_sync::sync::progress::Progress;
use directory_sync::sync::run::{RunOptions, State, plan};
use directory_sync::validation::ValidatedSpec;
use directory_sync_testing::company::Company;
use serde_json::{Value, json};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, RateLimits, SimulatedOrganization,
};
use tokio_util::sync::CancellationToken;

const LATENCY: Duration = Duration::from_millis(100);
const INFRA: &str = "11111111-1111-4111-8111-111111111111";
const WIKI: &str = "22222222-2222-4222-8222-222222222222";
/// Groups that everybody is in.
const EACH: u32 = 4;

#[tokio::main]
async fn main() {
    let (people, groups) = shared::sizes((20_000, 5_000));
    let organization = filled(people, groups).await;
    println!(
        "{people} people in {EACH} of {groups} groups each, {LATENCY:?} a request, the cloud's limits"
    );
    let mut settings = Settings::new(
        Region::server(&organization.url()).unwrap(),
        ClientId::parse(&organization.client_id()).unwrap(),
        organization.client_secret().into(),
    );
    settings.limit = Some(Arc::new(cloud_rate_limiter()));
    let client = OrganizationClient::new(settings).unwrap();
    let company = company(people, groups);
    let mut state = State::default();

    let mut run = Measured {
        organization: &organization,
        company: &company,
        client: &client,
    };
    run.measure(
        "without rules, a new process",
        &mut state,
        &policy(json!([])),
    )
    .await;
    let everybody = json!({"group": "*", "collections": [{"id": INFRA, "access": "View"}]});
    let rules = policy(json!([everybody]));
    run.measure("first application", &mut state, &rules).await;
    assert!(organization.losses().is_empty());
    run.measure("unchanged", &mut state, &rules).await;
    let tenth = json!({"group": "*7", "collections": [{"id": INFRA, "access": "Edit"}]});
    let rules = policy(json!([everybody, tenth]));
    run.measure("changed for a tenth", &mut state, &rules).await;
}

/// Everybody is in the groups already, which have access to another collection by hand.
async fn filled(people: u32, groups: u32) -> SimulatedOrganization {
    let config = Config {
        collections: vec![INFRA.to_owned(), WIKI.to_owned()],
        rate_limits: Some(RateLimits::cloud()),
        latency: LATENCY,
        keeps_bodies: false,
        ..Config::cloud()
    };
    let organization = SimulatedOrganization::start(config).await.unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    for number in 0..people {
        let id = format!("p{number}");
        organization.seed_member(MemberSeed::new(&email(number)).external_id(&id));
    }
    for group in 0..groups {
        let members: Vec<String> = members(group, people, groups).map(email).collect();
        let seed = GroupSeed::new(&format!("team-{group}"));
        let seed = seed.external_id(&format!("g{group}"));
        let seed = seed.collection(CollectionAccess::to(WIKI));
        organization.seed_group(seed.members(members.iter().map(String::as_str)));
    }
    organization
}

fn email(number: u32) -> String {
    format!("p{number}@example.com")
}

/// Person `p` is in the groups `p`, `p + groups / EACH` and so on, counted round.
fn members(group: u32, people: u32, groups: u32) -> impl Iterator<Item = u32> {
    (0..EACH).flat_map(move |nth| {
        let first = (group + groups - nth * (groups / EACH)) % groups;
        (first..people).step_by(groups as usize)
    })
}

fn company(people: u32, groups: u32) -> Company {
    let person = |number| (format!("p{number}"), email(number), false);
    let group = |group| {
        let members = members(group, people, groups).map(|number| format!("p{number}"));
        (
            format!("g{group}"),
            format!("team-{group}"),
            members.collect(),
        )
    };
    Company {
        people: (0..people).map(person).collect(),
        groups: (0..groups).map(group).collect(),
    }
}

fn policy(collections: Value) -> Policy {
    let spec = json!({
        "organization": {
            "serverUrl": "https://vault.example.com",
            "credentialsSecretRef": {"name": "organization"},
        },
        "source": {"ldap": {"url": "ldaps://ldap.example.com", "baseDn": "dc=example,dc=com"}},
        "access": {"collections": collections, "collectionsLimit": "100%"},
    });
    let spec = serde_json::from_value(spec).unwrap();
    ValidatedSpec::from_spec(&spec).unwrap().policy
}

struct Measured<'a> {
    organization: &'a SimulatedOrganization,
    company: &'a Company,
    client: &'a OrganizationClient,
}

impl Measured<'_> {
    async fn measure(&mut self, what: &str, state: &mut State, policy: &Policy) {
        self.organization.clear_requests();
        let started = Instant::now();
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions::new(&progress, &stop);
        let mut planned = plan(self.company, self.client, policy, state, &options)
            .await
            .unwrap();
        planned.invalidate(state);
        let report = planned.apply(state, &options).await.unwrap();
        let took = started.elapsed();
        assert!(report.held().is_none(), "{:?}", report.held());
        let requests = self.organization.requests();
        let count = |method: &str| requests.iter().filter(|one| one.method == method).count();
        let refused = requests.iter().filter(|one| one.status == Some(429));
        println!(
            "{what}: {} groups changed, {} requests ({} GET, {} PUT; {} refused), {took:.1?}",
            report.applied.get(Kind::SetCollections),
            requests.len(),
            count("GET"),
            count("PUT"),
            refused.count(),
        );
    }
}
