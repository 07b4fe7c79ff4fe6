//! Roles and collections by groups, in a cluster: what the event, status, explain, the history, the page and an
//! undo say of them.

use directory_sync::api::conditions::ConditionType;
use serde_json::{Value, json};
use simulators::organization::{Config, Role};

use crate::kubectl::plugin;
use crate::page::Page;
use directory_sync_testing::world::*;

const INFRA: &str = "11111111-1111-4111-8111-111111111111";

fn messages(world: &World, reason: &str) -> Vec<String> {
    let about = "--field-selector=regarding.name=staff";
    let listed = world.kubectl(&["get", "events.events.k8s.io", about, "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let events = listed["items"].as_array().unwrap().iter();
    let events = events.filter(|event| event["reason"] == reason);
    events
        .map(|event| event["note"].as_str().unwrap().to_owned())
        .collect()
}

/// What the page says of whom it is asked about.
async fn explained_on_the_page(page: &Page, staff: &str, about: &str) -> String {
    let explain = format!("{staff}/explain");
    let ask = page.get(&explain).await;
    let token = ask.attributes("form input[name=token]", "value").remove(0);
    let form = [("token", token.as_str()), ("about", about)];
    let answer = page.request("POST", &explain).form(&form).send().await;
    let next = answer.unwrap().headers()["location"]
        .to_str()
        .unwrap()
        .to_owned();
    let shown = page.get(next.strip_prefix(&page.base).unwrap()).await;
    shown.is(200).texts("pre").remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gained_rights_through_which_group_is_said_everywhere_and_undone() {
    let config = Config {
        collections: vec![INFRA.to_owned()],
        ..Config::cloud()
    };
    let world = World::with("access", config).await;
    let admins = format!("dn: cn=bw-admins,ou=groups,{SUFFIX}\nchangetype: add\n");
    let admins = format!(
        "{admins}objectClass: groupOfNames\ncn: bw-admins\nmember: {}\n",
        dn(3)
    );
    world.slapd.modify(&admins).unwrap();
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    for number in 0..4 {
        let email = format!("p{number:02}@example.com");
        assert!(world.organization.accept_and_confirm(&email));
    }
    let before = world.organization.snapshot();

    let collections = json!([{"id": INFRA, "access": "View"}]);
    let managed = json!([{"id": INFRA, "access": "Manage"}]);
    world.resource(
        "staff",
        json!({"access": {
            "roles": [{"group": "bw-admins", "role": "Admin"}],
            "collections": [
                {"group": "everyone", "collections": collections},
                {"group": "bw-admins", "collections": managed},
            ],
        }}),
    );
    let staff = world
        .until("staff", "a run by the rules", |staff| {
            let status = staff.status.as_ref();
            status.is_some_and(|status| {
                status
                    .changes
                    .as_ref()
                    .is_some_and(|made| made.roles_changed > 0)
            })
        })
        .await;
    let changes = staff.status.unwrap().changes.unwrap();
    assert_eq!((changes.roles_changed, changes.access_changed), (1, 2));
    let role = |world: &World| world.organization.snapshot().members["p03@example.com"].role;
    assert_eq!(role(&world), Role::Admin);
    eventually("an event", || !messages(&world, "RightsGained").is_empty()).await;
    assert_eq!(
        messages(&world, "RightsGained"),
        [
            "1 member gained rights by access.roles: 1 Admin; 1 group with 1 member gained Manage by \
             access.collections; the history says who, and through which group"
        ]
    );

    let said = plugin(&world, "explain staff p03@example.com")
        .await
        .ends_with(0);
    said.prints("Admin through bw-admins")
        .prints("given the role Admin through bw-admins in");
    let group = plugin(&world, "explain staff everyone").await.ends_with(0);
    group.prints(&format!("collections   View on {INFRA}\n"));
    let history = plugin(&world, "history staff").await.ends_with(0);
    let history = history.prints("Admin through bw-admins, was User");
    history.prints("View on 11111111");
    let detail = plugin(&world, "status staff").await.ends_with(0);
    detail
        .prints("1 given another role")
        .prints("2 groups given other access");

    let page = Page::open(&world).await;
    let staff = format!("/{}/staff", world.namespace);
    page.get(&staff)
        .await
        .says("1 given another role")
        .says("2 groups given other access");
    page.get(&format!("{staff}/history"))
        .await
        .says("Admin through bw-admins, was User")
        .says("View on 11111111");
    let said = explained_on_the_page(&page, &staff, "p03@example.com").await;
    assert!(said.contains("Admin through bw-admins"), "{said}");
    let said = explained_on_the_page(&page, &staff, "everyone").await;
    assert!(said.contains(&format!("View on {INFRA}")), "{said}");

    // All of it is one run, and is taken back as one.
    let records = plugin(&world, "history staff -o json").await.ends_with(0);
    let records: Value = serde_json::from_str(&records.stdout).unwrap();
    let run = records[0]["run"].as_str().unwrap().to_owned();
    let undo = plugin(&world, &format!("undo staff {run} --yes"))
        .await
        .ends_with(0);
    undo.prints("1 SetRole").prints("2 SetCollections");
    assert_eq!(world.organization.snapshot(), before);
    // And held, as long as the rules ask for it.
    world.until_ready("staff", "RemovalsHeld").await;
    plugin(&world, "status staff")
        .await
        .ends_with(0)
        .prints("taken back by an undo");
    assert_eq!(world.organization.snapshot(), before);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_too_many_people_is_held_by_name_and_goes_ahead_once_it_is_approved() {
    let config = Config {
        collections: vec![INFRA.to_owned()],
        ..Config::cloud()
    };
    let world = World::with("access-held", config).await;
    let operator = world.operator();
    world.resource("staff", json!({}));
    world.until_ready("staff", "Succeeded").await;
    for number in 0..10 {
        let email = format!("p{number:02}@example.com");
        assert!(world.organization.accept_and_confirm(&email));
    }
    let access = json!([{"group": "*", "collections": [{"id": INFRA, "access": "Edit"}]}]);
    world.resource("staff", json!({"access": {"collections": access}}));
    world.until_ready("staff", "RemovalsHeld").await;
    let said = plugin(&world, "status staff").await.ends_with(0);
    said.prints("10 people would gain access by access.collections")
        .prints(&format!(
            "SetCollections everyone: Edit on {INFRA} (by access.collections)"
        ));
    plugin(&world, "explain staff everyone")
        .await
        .ends_with(0)
        .prints("held by access.collectionsLimit");
    let access = |world: &World| {
        world
            .organization
            .snapshot()
            .group("everyone")
            .unwrap()
            .collections
            .len()
    };
    assert_eq!(access(&world), 0);
    plugin(&world, "approve staff --yes --wait")
        .await
        .ends_with(0);
    assert_eq!(access(&world), 1);
    assert!(
        messages(&world, "RightsGained").is_empty(),
        "nobody manages it"
    );
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_calls_refuses_the_fields_with_the_reason_and_the_rest_works() {
    let world = World::with("access-refused", Config::vaultwarden()).await;
    let operator = world.operator();
    let url = world.organization.url();
    world.resource(
        "staff",
        json!({
            "organization": {
                "serverUrl": url,
                "credentialsSecretRef": {"name": "org"},
                "vaultwarden": {"neverSend": ["owner@example.com"]},
            },
            "onboarding": {"reinvite": {"after": "72h", "times": 3}, "withdrawAfter": "30d"},
            "offboarding": {"absent": "Retain", "removeAfter": "30d"},
            "access": {
                "roles": [{"group": "everyone", "role": "Admin"}],
                "collections": [
                    {"group": "everyone", "collections": [{"id": INFRA, "access": "View"}]},
                ],
            },
        }),
    );
    let staff = world.until_ready("staff", "SucceededWithProblems").await;
    assert_eq!(world.organization.snapshot().members.len(), 11);
    let status = staff.status.as_ref().unwrap();
    let problems: Vec<&String> = status
        .problems
        .iter()
        .filter(|problem| problem.reason == "Unsupported")
        .flat_map(|problem| &problem.sample)
        .collect();
    let ready = message_of(&staff, ConditionType::Ready);
    for field in [
        "access.roles",
        "access.collections",
        "onboarding.reinvite",
        "onboarding.withdrawAfter",
        "offboarding.removeAfter",
    ] {
        assert!(
            problems.iter().any(|message| message.contains(field)),
            "{field}: {problems:?}"
        );
    }
    assert!(ready.contains("Unsupported"), "{ready}");
    operator.stop().await.unwrap();
}
