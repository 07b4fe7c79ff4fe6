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
    ran.prints("ops: Edit").prints(WIKI).prints("no group");

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
