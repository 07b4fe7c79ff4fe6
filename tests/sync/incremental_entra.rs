//! Runs that read what has changed of a tenant of Entra ID.

use std::sync::Arc;

use directory_sync::source::KeptDirectories;
use directory_sync::source::entra_id::{Addresses, Credentials, EntraIdSettings, EntraIdSource};
use directory_sync::sync::plan::Kind;
use directory_sync_testing::hurried;
use simulators::entra_id::{Config as TenantConfig, Id, SimulatedEntra, UserSeed};
use simulators::organization::{Config, SimulatedOrganization};

use crate::world::{NO_RETRY, Sync, client, email};

fn source(tenant: &SimulatedEntra) -> EntraIdSource {
    let config = tenant.config();
    let mut settings = EntraIdSettings::new(&config.tenant_id, &config.client_id);
    settings.addresses = Addresses {
        authority: tenant.url().parse().unwrap(),
        graph: tenant.url().parse().unwrap(),
    };
    settings.retry = hurried();
    let secret = config.secret.as_ref().unwrap().value.as_str();
    let source = EntraIdSource::new(settings, &Credentials::Secret(secret.into())).unwrap();
    source.keeping(&Arc::new(KeptDirectories::new(16 << 20)))
}

/// How often the tenant was read as a whole since this was asked the last time.
fn whole_reads(tenant: &SimulatedEntra) -> usize {
    let requests = tenant.requests();
    tenant.clear_requests();
    let lists = requests
        .iter()
        .filter(|request| request.path == "/v1.0/users");
    lists.count()
}

fn is_in_team(organization: &SimulatedOrganization, name: &str) -> bool {
    let now = organization.snapshot();
    let mut teams = now.groups.iter().filter(|group| group.name == "team");
    teams.any(|team| team.members.contains(&email(name)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_reads_what_has_changed_of_a_tenant_until_something_would_be_taken() {
    let tenant = SimulatedEntra::start(TenantConfig::default())
        .await
        .unwrap();
    let people: Vec<Id> = (0..12)
        .map(|n| tenant.add_user(UserSeed::new(&format!("p{n}"))))
        .collect();
    let team = tenant.add_group("team", [people[1]]);
    let organization = SimulatedOrganization::start(Config::cloud()).await.unwrap();
    let (source, client) = (source(&tenant), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.run().await.unwrap();
    assert_eq!(whole_reads(&tenant), 1);
    assert_eq!(sync.run().await.unwrap().applied.total(), 0);
    assert!(sync.run().await.unwrap().guarded.is_none(), "nothing moved");
    assert_eq!(whole_reads(&tenant), 0);

    let new = tenant.add_user(UserSeed::new("new"));
    tenant.add_member(team, new);
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Invite), 1, "{report:?}");
    assert!(is_in_team(&organization, "new"));
    assert_eq!(whole_reads(&tenant), 0);

    tenant.add_member(team, people[2]);
    sync.run().await.unwrap();
    assert!(is_in_team(&organization, "p2"));
    assert_eq!(whole_reads(&tenant), 0);
    // By a group within it: two groups say who is in it.
    let inner = tenant.add_group("inner", [people[3]]);
    tenant.add_member(team, inner);
    sync.run().await.unwrap();
    assert!(is_in_team(&organization, "p3"));
    assert_eq!(whole_reads(&tenant), 1);

    tenant.change(|hand| hand.disable(people[4]));
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Revoke), 1, "{report:?}");
    assert_eq!(whole_reads(&tenant), 1);
    sync.run().await.unwrap();
    tenant.change(|hand| hand.enable(people[4]));
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Restore), 1, "{report:?}");
    assert_eq!(whole_reads(&tenant), 0);

    tenant.remove_member(team, new);
    sync.run().await.unwrap();
    assert!(!is_in_team(&organization, "new"));
    assert_eq!(whole_reads(&tenant), 1);
    tenant.change(|hand| hand.delete(people[5]));
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Revoke), 1, "{report:?}");
    assert_eq!(whole_reads(&tenant), 1);
}
