use serde_json::{Value, json};
use simulators::organization::{CollectionAccess, Config, Event, GroupSeed, MemberSeed};

use crate::client::{cloud, signed};

#[tokio::test]
async fn groups_are_listed_created_shown_replaced_and_deleted() {
    let signed = cloud().await;
    let body = json!({"name": "Staff", "externalId": "staff", "collections": [{"id": "vault"}]});
    let created = signed.post("/groups", body).await;
    assert_eq!(created.status, 200);
    assert_eq!(created.body["object"], "group");
    assert_eq!(created.body["collections"][0]["id"], "vault");
    let path = format!("/groups/{}", created.body["id"].as_str().unwrap());
    assert_eq!(signed.get(&path).await.body, created.body);
    let list = signed.get("/groups").await.body;
    let expected = json!({"object": "list", "data": [created.body], "continuationToken": null});
    assert_eq!(list, expected);

    let body = json!({"name": "Everyone", "externalId": "all", "collections": [{"id": "vault"}]});
    assert_eq!(signed.put(&path, body).await.status, 200);
    let shown = signed.get(&path).await.body;
    assert_eq!(shown["name"], "Everyone");
    assert_eq!(shown["externalId"], "all");
    assert_eq!(signed.get("/groups").await.body["data"][0], shown);
    assert!(signed.organization.losses().is_empty());

    assert_eq!(signed.delete(&path).await.status, 200);
    assert_eq!(signed.get(&path).await.status, 404);
    assert_eq!(signed.get("/groups").await.body["data"], json!([]));
}

#[tokio::test]
async fn a_group_replaced_without_collections_keeps_them_and_loses_its_external_id() {
    let signed = cloud().await;
    let staff = GroupSeed::new("Staff").external_id("staff");
    let id = signed
        .organization
        .seed_group(staff.collection(CollectionAccess::to("vault")));
    let path = format!("/groups/{id}");
    let answer = signed.put(&path, json!({"name": "Staff"})).await;
    assert_eq!(answer.body["collections"][0]["id"], "vault");
    assert_eq!(answer.body["externalId"], Value::Null);
    assert!(signed.organization.losses().is_empty());
    let none = json!({"name": "Staff", "collections": []});
    assert_eq!(signed.put(&path, none).await.body["collections"], json!([]));
    let lost = Event::CollectionsLost {
        of: "Staff".to_owned(),
        collections: vec!["vault".to_owned()],
    };
    assert_eq!(signed.organization.losses(), [lost]);
}

#[tokio::test]
async fn an_import_keeps_a_groups_collections() {
    let signed = cloud().await;
    let staff = GroupSeed::new("Staff").external_id("staff");
    signed
        .organization
        .seed_group(staff.collection(CollectionAccess::to("vault")));
    let row = json!({"name": "People", "externalId": "staff", "memberExternalIds": []});
    signed.import_groups(json!([row])).await;
    let snapshot = signed.organization.snapshot();
    let people = snapshot.group("People").unwrap();
    assert_eq!(people.collections, [CollectionAccess::to("vault")]);
}

#[tokio::test]
async fn member_ids_are_read_and_replaced_and_strangers_ignored() {
    let signed = cloud().await;
    let a = signed
        .organization
        .seed_member(MemberSeed::new("a@example.com"));
    let b = signed
        .organization
        .seed_member(MemberSeed::new("b@example.com"));
    let staff = GroupSeed::new("Staff").members(["a@example.com"]);
    let id = signed.organization.seed_group(staff);
    let path = format!("/groups/{id}/member-ids");
    assert_eq!(signed.get(&path).await.body, json!([a]));
    let stranger = "6d656d62-6572-4000-8000-0000000fffff";
    let body = json!({"memberIds": [b, stranger]});
    assert_eq!(signed.put(&path, body).await.status, 200);
    assert_eq!(signed.get(&path).await.body, json!([b]));
    let groups_of_b = signed.get(&format!("/members/{b}/group-ids")).await.body;
    assert_eq!(groups_of_b, json!([id]));
    let withdrawn = Event::Withdrawn {
        group: "Staff".to_owned(),
        member: "a@example.com".to_owned(),
    };
    assert_eq!(signed.organization.losses(), [withdrawn]);
    assert_eq!(signed.put(&path, json!({})).await.status, 400);
}

#[tokio::test]
async fn a_deleted_group_is_remembered_with_the_members_it_had() {
    let signed = cloud().await;
    signed
        .organization
        .seed_member(MemberSeed::new("a@example.com"));
    let staff = GroupSeed::new("Staff").external_id("staff");
    let id = signed
        .organization
        .seed_group(staff.members(["a@example.com"]));
    signed.delete(&format!("/groups/{id}")).await;
    let deleted = Event::GroupDeleted {
        name: "Staff".to_owned(),
        external_id: Some("staff".to_owned()),
        members: vec!["a@example.com".to_owned()],
    };
    assert_eq!(signed.organization.losses(), [deleted]);
    let a = signed.organization.member_id("a@example.com").unwrap();
    let groups = signed.get(&format!("/members/{a}/group-ids")).await.body;
    assert_eq!(groups, json!([]));
}

#[tokio::test]
async fn names_and_external_ids_have_their_limits_and_strangers_are_not_found() {
    let signed = cloud().await;
    for body in [
        json!({"name": "x".repeat(101)}),
        json!({"externalId": "1"}),
        json!({"name": "g", "externalId": "x".repeat(301)}),
    ] {
        assert_eq!(signed.post("/groups", body).await.status, 400);
    }
    let stranger = "/groups/67726f75-7000-4000-8000-0000000fffff";
    assert_eq!(signed.get(stranger).await.status, 404);
    assert_eq!(signed.delete(stranger).await.status, 404);
    let body = json!({"name": "g"});
    assert_eq!(signed.put(stranger, body).await.status, 404);
    let members = format!("{stranger}/member-ids");
    assert_eq!(signed.get(&members).await.status, 404);
}

#[tokio::test]
async fn a_plan_without_groups_creates_none() {
    let mut config = Config::cloud();
    config.plan.groups = false;
    let signed = signed(config).await;
    let answer = signed.post("/groups", json!({"name": "g"})).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("groups"));
    let members = json!([{"email": "a@example.com", "externalId": "a"}]);
    assert_eq!(signed.import_members(members).await.status, 200);
}
