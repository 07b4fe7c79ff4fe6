//! The figures of onboarding and of access by rules, as Prometheus scrapes them.

use directory_sync_testing::world::*;
use serde_json::json;
use simulators::organization::{Config, MemberSeed, Role, Status};

const INFRA: &str = "11111111-1111-4111-8111-111111111111";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_the_way_in_and_what_rules_gave_and_hold_back_is_scraped_after_a_run() {
    let world = World::with(
        "figures",
        Config {
            collections: vec![INFRA.to_owned()],
            ..Config::cloud()
        },
    )
    .await;
    let accepted = MemberSeed::new("p09@example.com").status(Status::Accepted);
    world.organization.seed_member(accepted);
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    let of = format!(r#"{{namespace="{}",name="staff","#, world.namespace);
    let figure = |series: &str| {
        let (name, labels) = series.split_once(' ').unwrap();
        let series = format!("directory_sync_{name}{of}{labels}}} ");
        let scraped = operator.exposition();
        let value = scraped.lines().find_map(|line| line.strip_prefix(&series));
        value.map(|value| value.parse::<u64>().unwrap())
    };
    let waiting = |states: [(&str, u64); 4]| {
        for (state, count) in states {
            let series = format!(r#"onboarding_members state="{state}""#);
            assert_eq!(figure(&series), Some(count), "{state}");
        }
    };
    waiting([
        ("invited", 9),
        ("accepted", 1),
        ("confirmed", 0),
        ("confirmation_overdue", 0),
    ]);
    // Without rules nothing is told of them.
    assert_eq!(figure(r#"access_held kind="SetRole""#), None);

    for person in ["p00", "p01", "p02"] {
        assert!(
            world
                .organization
                .accept_and_confirm(&format!("{person}@example.com"))
        );
    }
    // Four people would be admins, and may see a collection.
    let access = |limit: u32| {
        json!({"access": {
            "limit": limit,
            "roles": [{"group": "everyone", "role": "Admin"}],
            "collections": [
                {"group": "everyone", "collections": [{"id": INFRA, "access": "View"}]},
            ],
        }})
    };
    world.resource("staff", access(3));
    world.sync_now("staff", "held").await;
    waiting([
        ("invited", 6),
        ("accepted", 1),
        ("confirmed", 3),
        ("invitation_expired", 0),
    ]);
    assert_eq!(figure(r#"access_held kind="SetRole""#), Some(4));
    assert_eq!(figure(r#"access_held kind="SetCollections""#), Some(0));
    let changes = |kind: &str, result: &str| {
        figure(&format!(
            r#"access_changes_total kind="{kind}",result="{result}""#
        ))
    };
    assert_eq!(changes("SetRole", "given"), Some(0));
    assert_eq!(changes("SetCollections", "given"), Some(1));

    world.resource("staff", access(4));
    world.sync_now("staff", "given").await;
    assert_eq!(figure(r#"access_held kind="SetRole""#), Some(0));
    assert_eq!(changes("SetRole", "given"), Some(4));
    assert_eq!(changes("SetRole", "refused"), Some(0));
    let members = world.organization.snapshot().members;
    let admins = members.values().filter(|one| one.role == Role::Admin);
    assert_eq!(admins.count(), 4);

    let everybody = json!({"absent": "Revoke", "limit": "100%"});
    let without_rules = json!({"access": {"limit": 4}, "offboarding": everybody});
    world.resource("staff", without_rules);
    world.sync_now("staff", "taken").await;
    assert_eq!(changes("SetRole", "taken"), Some(4));
    assert_eq!(changes("SetCollections", "taken"), Some(1));
    operator.stop().await.unwrap();
}
