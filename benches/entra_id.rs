//! What a complete read of an Entra ID tenant costs at 100 ms a request: requests, resource units,
//! time; by the delta with memberships inline, by batches, and as one request a group would.
//!
//! `cargo bench --bench entra_id [USERS GROUPS]`; 50,000 users and 5,000 groups by default.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

mod shared;

use std::time::{Duration, Instant};

use directory_sync::source::entra_id::{
    Addresses, Credentials, EntraIdSettings, EntraIdSource, GroupSettings,
};
use directory_sync::source::{ReadProgress, Reading, Source, Version};
use simulators::entra_id::{Config, Limits, PageSizes, SimulatedEntra};
use simulators::lab::Company;

const LATENCY: Duration = Duration::from_millis(100);
/// Requests of the old way that are made in earnest; the rest is multiplied.
const SAMPLE: u32 = 30;

#[tokio::main]
async fn main() {
    let (people, teams) = shared::sizes((50_000, 5_000));
    let company = Company::new(people, teams);
    println!("{people} users, {teams} groups, {LATENCY:?} a request, 8,000 units in 10 s");
    // How much Graph puts on a page of a delta isn't documented: a generous and a mean guess.
    for (guess, delta, delta_members) in [("100 groups", 100, 1_000), ("20 groups", 20, 200)] {
        let tenant = tenant(
            &company,
            PageSizes {
                delta,
                delta_members,
                ..PageSizes::default()
            },
        );
        let tenant = tenant.await;
        let source = EntraIdSource::new(settings(&tenant), &credentials(&tenant)).unwrap();
        let what = format!("delta, pages of {guess} and {delta_members} memberships");
        let version = measured(&what, &tenant, &source, None).await;
        measured(
            "the same, nothing moved",
            &tenant,
            &source,
            version.as_ref(),
        )
        .await;
    }
    let tenant = tenant(&company, PageSizes::default()).await;
    let filter = Some("securityEnabled eq true".to_owned());
    let in_batches = EntraIdSettings {
        groups: Some(GroupSettings {
            filter,
            ..GroupSettings::default()
        }),
        batched_groups: usize::MAX,
        ..settings(&tenant)
    };
    let source = EntraIdSource::new(in_batches, &credentials(&tenant)).unwrap();
    measured("batches of 20, four at once", &tenant, &source, None).await;
    one_by_one(&tenant, teams).await;
}

async fn tenant(company: &Company, pages: PageSizes) -> SimulatedEntra {
    let config = Config {
        latency: LATENCY,
        limits: Some(Limits::large_tenant()),
        pages,
        ..Config::default()
    };
    let tenant = SimulatedEntra::start(config).await.unwrap();
    tenant.add_company(company);
    tenant
}

fn credentials(tenant: &SimulatedEntra) -> Credentials {
    let secret = tenant.config().secret.as_ref().unwrap();
    Credentials::Secret(secret.value.as_str().into())
}

fn settings(tenant: &SimulatedEntra) -> EntraIdSettings {
    let config = tenant.config();
    let url: reqwest::Url = tenant.url().parse().unwrap();
    EntraIdSettings {
        addresses: Addresses {
            authority: url.clone(),
            graph: url,
        },
        ..EntraIdSettings::new(&config.tenant_id, &config.client_id)
    }
}

async fn measured(
    what: &str,
    tenant: &SimulatedEntra,
    source: &EntraIdSource,
    known: Option<&Version>,
) -> Option<Version> {
    tenant.clear_requests();
    let units = tenant.units();
    let started = Instant::now();
    let reading = source.read(known, &ReadProgress::default()).await.unwrap();
    let took = started.elapsed();
    let requests = tenant.requests();
    let throttled = requests.iter().filter(|r| r.status == Some(429)).count();
    let (found, version) = match reading {
        Reading::Full { directory, version } => (shared::summary(&directory), version),
        Reading::Unchanged => ("unchanged".to_owned(), None),
    };
    println!(
        "{what}: {} requests ({throttled} refused), {} units, {took:.1?}: {found}",
        requests.len(),
        tenant.units() - units,
    );
    version
}

/// As the old client: one request a group, one after another.
async fn one_by_one(tenant: &SimulatedEntra, groups: u32) {
    tokio::time::sleep(Duration::from_secs(10)).await;
    let client = reqwest::Client::new();
    let config = tenant.config();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &config.client_id),
        ("client_secret", &config.secret.as_ref().unwrap().value),
        ("scope", &format!("{}/.default", tenant.url())),
    ];
    let url = format!("{}/{}/oauth2/v2.0/token", tenant.url(), config.tenant_id);
    let token = client.post(url).form(&form).send().await.unwrap();
    let token: serde_json::Value = token.json().await.unwrap();
    let get = async |path: &str| -> serde_json::Value {
        let request = client.get(format!("{}{path}", tenant.url()));
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        request.send().await.unwrap().json().await.unwrap()
    };
    let list = get("/v1.0/groups").await;
    let ids: Vec<&str> = list["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|g| g["id"].as_str())
        .collect();
    let started = Instant::now();
    for id in ids.iter().take(SAMPLE as usize) {
        get(&format!("/v1.0/groups/{id}/members")).await;
    }
    let each = started.elapsed() / SAMPLE;
    println!(
        "one request a group, one after another: {groups} requests for groups alone, {:.0?} ({each:.0?} each, of {SAMPLE})",
        each * groups
    );
}
