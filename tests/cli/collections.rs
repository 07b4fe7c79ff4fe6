use directory_sync::organization::{ClientId, OrganizationClient, Region, Settings};
use directory_sync_testing::manifests::api_key;
use simulators::organization::{CollectionAccess, Config, GroupSeed, SimulatedOrganization};

use crate::lab::Lab;

const INFRA: &str = "11111111-1111-4111-8111-111111111111";
const WIKI: &str = "22222222-2222-4222-8222-222222222222";
const LIST: &str = "collections -f staff.yaml -f secrets.yaml";

pub async fn lab() -> Lab {
    let organization = SimulatedOrganization::start(Config {
        collections: [INFRA, WIKI].map(str::to_owned).to_vec(),
        ..Config::cloud()
    })
    .await
    .unwrap();
    let ops = GroupSeed::new("ops").collection(CollectionAccess::to(INFRA));
    organization.seed_group(ops);
    Lab::of(organization).await
}

#[tokio::test]
async fn collections_are_listed_with_their_groups_and_get_external_ids() {
    let lab = lab().await;
    let before = lab.organization.snapshot();
    let ran = lab.run(LIST).await.ends_with(0);
    let ran = ran.prints("identity/staff: 2 collections").prints(INFRA);
    ran.prints("Edit  ops").prints(WIKI).prints("no group");

    let set = format!("{LIST} --set-external-id {INFRA}=infra");
    let ran = lab.run(&set).await.ends_with(0);
    ran.prints(&format!("{INFRA}  infra"));
    assert_eq!(
        lab.organization.snapshot(),
        before,
        "the groups have their access"
    );

    let ran = lab.run(&format!("{LIST} -o json")).await.ends_with(0);
    ran.prints("\"externalId\": \"infra\"")
        .prints("\"access\": \"Edit\"");
}

#[tokio::test]
async fn an_unknown_collection_and_vaultwarden_are_refused_with_the_reason() {
    let lab = lab().await;
    let unknown = "33333333-3333-4333-8333-333333333333";
    let set = format!("{LIST} --set-external-id {unknown}=x");
    lab.run(&set)
        .await
        .ends_with(1)
        .complains("has no collection 33333333");
    let wrong = lab.run(&format!("{LIST} --set-external-id infra")).await;
    wrong.ends_with(1).complains("write the collection's id");

    let vaultwarden = SimulatedOrganization::start(Config::vaultwarden()).await;
    let lab = Lab::of(vaultwarden.unwrap()).await;
    lab.run(LIST)
        .await
        .ends_with(1)
        .complains("no call for collections");
}

/// Clears the screen, sets its title, and reads from right to left.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}in\u{202e}arf\r\nops: Manage, \u{200b}eng";

#[tokio::test]
async fn hostile_names_reach_no_terminal_and_whoever_needs_them_whole_gets_them() {
    let organization = SimulatedOrganization::start(Config {
        collections: [INFRA, WIKI].map(str::to_owned).to_vec(),
        ..Config::cloud()
    });
    let organization = organization.await.unwrap();
    let group = GroupSeed::new(HOSTILE).external_id(HOSTILE);
    organization.seed_group(group.collection(CollectionAccess::to(INFRA)));
    let settings = Settings::new(
        Region::server(&organization.url()).unwrap(),
        ClientId::parse(&organization.client_id()).unwrap(),
        organization.client_secret().into(),
    );
    let client = OrganizationClient::new(settings).unwrap();
    let long = format!("{}ü", "a".repeat(299));
    for (id, external_id) in [(INFRA, HOSTILE), (WIKI, long.as_str())] {
        let id = id.parse().unwrap();
        let set = client.set_collection_external_id(id, Some(external_id));
        set.await.unwrap();
    }
    let lab = Lab::of(organization).await;
    let harmless = |text: &str| {
        let bad = |c: char| matches!(c, '\u{1b}' | '\u{7}' | '\r' | '\u{202e}' | '\u{200b}');
        assert!(!text.contains(bad), "{text:?}");
    };
    let table = lab.run(LIST).await.ends_with(0);
    harmless(&table.stdout);
    // A name can't pass for another group's access.
    let groups = table.stdout.lines().filter(|line| line.starts_with("  "));
    let groups: Vec<&str> = groups.collect();
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert!(
        groups.iter().any(|line| line.starts_with("  Edit  ")),
        "{groups:?}"
    );
    assert!(groups.contains(&"  no group"), "{groups:?}");
    table.prints("…").prints("-o json");
    let json = lab.run(&format!("{LIST} -o json")).await.ends_with(0);
    harmless(&json.stdout);
    let rows: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap();
    assert_eq!(row(WIKI)["externalId"], *long);
    assert_eq!(row(INFRA)["externalId"], *HOSTILE);
    assert_eq!(row(INFRA)["groups"][0]["name"], *HOSTILE);

    // What was found that way can be named by a rule; in a plan it is as harmless.
    let resource = lab.resource();
    let rules = format!(
        "  access:\n    collections:\n      - group: engineering\n        collections:\n          - {{externalId: \
         {long}, access: View}}\n          - {{id: {INFRA}, access: View}}\n"
    );
    lab.run(&format!("sync {FILES} -q --yes"))
        .await
        .ends_with(0);
    lab.write("staff.yaml", &format!("{resource}{rules}"));
    let plan = lab.run(&format!("plan {FILES} -q")).await.ends_with(0);
    harmless(&plan.stdout);
    plan.prints("Change access to collections (1)");
    let explained = lab.run(&format!("explain {FILES} -q engineering")).await;
    harmless(&explained.ends_with(0).stdout);
    for invisible in ["in\u{202e}fra", "in\u{200b}fra"] {
        let set = format!("{LIST} --set-external-id {INFRA}={invisible}");
        let set = lab.run(&set).await.ends_with(1);
        set.complains("none that don't show");
    }
}

const FILES: &str = "-f staff.yaml -f secrets.yaml";

#[tokio::test]
async fn who_gets_which_role_and_access_through_what_is_planned_explained_kept_and_undone() {
    let lab = lab().await;
    let rules = "  access:
    roles:
      - {group: engineering, role: Admin}
    collections:
      - group: engineering
        collections: [{externalId: infra, access: View}]
";
    let sync = format!("sync {FILES} -q --yes");
    lab.run(&sync).await.ends_with(0);
    for who in ["ada", "bob", "chidi"] {
        assert!(
            lab.organization
                .accept_and_confirm(&format!("{who}@example.com"))
        );
    }
    let set = format!("{LIST} --set-external-id {INFRA}=infra");
    lab.run(&set).await.ends_with(0);
    let before = lab.organization.snapshot();
    let resource = lab.resource().replace("limit: 0", "limit: 100%");
    lab.write("staff.yaml", &format!("{resource}{rules}"));

    let plan = lab.run(&format!("plan {FILES} -q")).await.ends_with(0);
    plan.prints("Change role (2)")
        .prints("Admin through engineering, was User")
        .prints("Change access to collections (1)")
        .prints("View on infra");
    let explain = async |whom: &str| {
        let ran = lab.run(&format!("explain {FILES} -q {whom}")).await;
        let ran = ran.ends_with(0);
        assert!(
            ran.stdout.lines().all(|line| line.chars().count() <= 80),
            "{ran}"
        );
        ran
    };
    explain("ada@example.com")
        .await
        .prints("role          Admin through engineering (access.roles)")
        .prints("give the role Admin through engineering in place of User")
        .prints("change what group engineering, which they are in, has access");
    explain("engineering")
        .await
        .prints("collections   View on infra (access.collections)")
        .prints("access to collections: View on infra (by access.collections)");
    assert_eq!(lab.organization.snapshot(), before);

    lab.run(&sync)
        .await
        .ends_with(0)
        .prints("2 SetRole")
        .prints("1 SetCollections");
    explain("ada@example.com").await.prints("changes nothing");
    let history = lab.run(&format!("history {FILES}")).await.ends_with(0);
    history
        .prints("  role          ada@example.com: Admin through engineering, was User;")
        .prints("  access        engineering: View on infra;");
    let listed = lab.run(LIST).await.ends_with(0);
    listed.prints("View  engineering");

    let records = lab
        .run(&format!("history {FILES} -o json"))
        .await
        .ends_with(0);
    let records: serde_json::Value = serde_json::from_str(&records.stdout).unwrap();
    let run = records[0]["run"].as_str().unwrap().to_owned();
    let undo = lab.run(&format!("undo {FILES} {run} --yes")).await;
    undo.ends_with(0)
        .prints("2 SetRole")
        .prints("1 SetCollections");
    assert_eq!(lab.organization.snapshot(), before);
    // As long as the rules ask for it, it waits for a person.
    lab.run(&sync).await.ends_with(3);
    assert_eq!(lab.organization.snapshot(), before);
}

#[tokio::test]
async fn external_ids_that_would_be_ambiguous_or_replaced_by_accident_are_refused_and_nothing_is_set()
 {
    let lab = lab().await;
    let set = async |args: &str| lab.run(&format!("{LIST} {args}")).await;
    let listed = async || lab.run(LIST).await.ends_with(0).stdout;
    set(&format!("--set-external-id {INFRA}=infra"))
        .await
        .ends_with(0);
    let before = listed().await;

    let taken = set(&format!("--set-external-id {WIKI}=infra")).await;
    taken
        .ends_with(1)
        .complains("nothing was set")
        .complains("would be the external id of");
    let same = format!("--set-external-id {WIKI}=a --set-external-id {INFRA}=a --replace");
    set(&same)
        .await
        .ends_with(1)
        .complains("would be the external id of");
    let twice = format!("--set-external-id {WIKI}=a --set-external-id {WIKI}=b");
    set(&twice)
        .await
        .ends_with(1)
        .complains("is given an external id twice");
    let other = set(&format!("--set-external-id {INFRA}=other")).await;
    other
        .ends_with(1)
        .complains("has the external id \"infra\"")
        .complains("add --replace");
    // One that can't be set keeps the others from being set, too.
    let unknown = "33333333-3333-4333-8333-333333333333";
    let both = format!("--set-external-id {WIKI}=wiki --set-external-id {unknown}=x");
    set(&both).await.ends_with(1);
    assert_eq!(listed().await, before);

    // The same once more is no change, and two may change their names with one another.
    set(&format!("--set-external-id {INFRA}=infra"))
        .await
        .ends_with(0);
    let moved = format!("--set-external-id {INFRA}=old --set-external-id {WIKI}=infra --replace");
    let moved = set(&moved).await.ends_with(0);
    moved
        .complains("had the external id \"infra\"")
        .prints(&format!("{INFRA}  old"))
        .prints(&format!("{WIKI}  infra"));
    let taken = set(&format!("--set-external-id {INFRA}=")).await;
    taken
        .ends_with(0)
        .complains("had the external id \"old\"")
        .prints(&format!("{INFRA}  –"));
}

#[tokio::test]
async fn collections_need_nothing_of_the_directory() {
    let lab = lab().await;
    lab.write("organization.yaml", &api_key(&lab.organization));
    lab.run("collections -f staff.yaml -f organization.yaml")
        .await
        .ends_with(0)
        .prints("identity/staff: 2 collections");
    lab.run("collections -f staff.yaml")
        .await
        .ends_with(1)
        .complains("Secret \"bitwarden\" isn't in namespace");
}
