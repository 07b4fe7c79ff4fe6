use serde_json::{Value, json};
use simulators::organization::{
    CollectionAccess, Config, Event, GroupSeed, MemberSeed, Role, Status,
};

use crate::client::{cloud, signed};

fn vault() -> Value {
    json!({"id": "vault", "readOnly": false, "hidePasswords": false, "manage": false})
}

#[tokio::test]
async fn the_list_holds_every_member_whole() {
    let signed = cloud().await;
    let ada = MemberSeed::new("ada@example.com").external_id("1");
    let id = signed
        .organization
        .seed_member(ada.collection(CollectionAccess::to("vault")));
    let away = MemberSeed::new("away@example.com").status(Status::Revoked);
    signed.organization.seed_member(away.role(Role::Custom));
    let invited = MemberSeed::new("invited@example.com").status(Status::Invited);
    signed.organization.seed_member(invited.role(Role::Admin));

    let answer = signed.get("/members").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["object"], "list");
    assert_eq!(answer.body["continuationToken"], Value::Null);
    let members = answer.body["data"].as_array().unwrap();
    let numbers: Vec<(&Value, &Value)> =
        members.iter().map(|m| (&m["status"], &m["type"])).collect();
    let expected = [(2, 0), (2, 2), (-1, 4), (0, 1)].map(|(s, t)| (json!(s), json!(t)));
    let expected: Vec<(&Value, &Value)> = expected.iter().map(|(s, t)| (s, t)).collect();
    assert_eq!(numbers, expected);

    let ada = &members[1];
    assert_eq!(ada["object"], "member");
    assert_eq!(ada["id"], id.to_string());
    assert_eq!(ada["email"], "ada@example.com");
    assert_eq!(ada["externalId"], "1");
    assert_eq!(ada["collections"], json!([vault()]));
    assert!(ada["userId"].is_string());
    assert!(members[3]["userId"].is_null(), "no account yet");
    assert_eq!(members[0]["externalId"], Value::Null);

    let one = signed.get(&format!("/members/{id}")).await;
    assert_eq!(&one.body, ada);
}

#[tokio::test]
async fn an_older_servers_list_has_no_collections_but_the_single_call_has_them() {
    let mut config = Config::self_hosted();
    config.lists_collections = false;
    let signed = signed(config).await;
    let ada = MemberSeed::new("ada@example.com").collection(CollectionAccess::to("vault"));
    let id = signed.organization.seed_member(ada);
    let list = signed.get("/members").await;
    assert_eq!(list.body["data"][1]["collections"], Value::Null);
    let one = signed.get(&format!("/members/{id}")).await;
    assert_eq!(one.body["collections"], json!([vault()]));
}

#[tokio::test]
async fn the_list_shows_every_change_at_once() {
    let signed = cloud().await;
    let id = signed
        .organization
        .seed_member(MemberSeed::new("a@example.com"));
    let path = format!("/members/{id}");
    let listed = async || signed.get("/members").await.body["data"][1].clone();
    assert_eq!(listed().await["type"], 2);
    signed.put(&path, json!({"type": 1})).await;
    assert_eq!(listed().await["type"], 1);
    signed.post(&format!("{path}/revoke"), json!(null)).await;
    assert_eq!(listed().await["status"], -1);
    signed.delete(&path).await;
    assert_eq!(listed().await, Value::Null);
}

#[tokio::test]
async fn one_is_invited_once_and_refused_the_second_time() {
    let signed = cloud().await;
    let group = signed.organization.seed_group(GroupSeed::new("Staff"));
    let body = json!({
        "email": "Ada@example.com", "type": 2, "externalId": "1",
        "collections": [{"id": "vault"}], "groups": [group, "not-a-group"],
    });
    let answer = signed.post("/members", body.clone()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["status"], 0);
    assert_eq!(answer.body["collections"], json!([vault()]));
    assert_eq!(signed.in_group("Staff"), ["ada@example.com"]);

    let again = signed.post("/members", body).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.message(), "This user has already been invited.");
    assert_eq!(signed.organization.invitations()["ada@example.com"], 1);

    let without_type = signed.post("/members", json!({"email": "b@example.com"}));
    assert_eq!(without_type.await.status, 400);
}

#[tokio::test]
async fn an_update_without_collections_takes_them_all_and_leaves_groups_alone() {
    let signed = cloud().await;
    let ada = MemberSeed::new("ada@example.com").external_id("1");
    let ada = ada.collection(CollectionAccess::to("vault"));
    let id = signed.organization.seed_member(ada);
    let staff = GroupSeed::new("Staff").members(["ada@example.com"]);
    signed.organization.seed_group(staff);
    let path = format!("/members/{id}");

    let kept = json!({"type": 2, "externalId": "2", "collections": [vault()]});
    let answer = signed.put(&path, kept).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["externalId"], "2");
    assert!(signed.organization.losses().is_empty());

    signed
        .put(&path, json!({"type": 2, "externalId": "2"}))
        .await;
    let snapshot = signed.organization.snapshot();
    let ada = snapshot.member("ada@example.com").unwrap();
    assert!(ada.collections.is_empty());
    assert_eq!(
        signed.organization.losses(),
        [Event::CollectionsLost {
            of: "ada@example.com".to_owned(),
            collections: vec!["vault".to_owned()],
        }]
    );
    assert_eq!(signed.in_group("Staff"), ["ada@example.com"]);

    let nowhere = json!({"type": 2, "groups": []});
    signed.put(&path, nowhere).await;
    assert!(signed.in_group("Staff").is_empty());
    let snapshot = signed.organization.snapshot();
    let ada = snapshot.member("ada@example.com").unwrap();
    assert_eq!(ada.external_id, None, "what is left out is reset");
}

#[tokio::test]
async fn a_new_external_id_is_what_imports_know_the_member_by() {
    let signed = cloud().await;
    let ada = MemberSeed::new("ada@example.com").external_id("old");
    let id = signed.organization.seed_member(ada);
    let body = json!({"type": 2, "externalId": "new", "collections": []});
    signed.put(&format!("/members/{id}"), body).await;
    let groups = json!([{"name": "g", "externalId": "g", "memberExternalIds": ["new", "old"]}]);
    signed.import_groups(groups).await;
    assert_eq!(signed.in_group("g"), ["ada@example.com"]);
}

#[tokio::test]
async fn an_external_id_given_to_two_members_crashes_every_import_from_then_on() {
    let signed = cloud().await;
    let ada = MemberSeed::new("ada@example.com").external_id("1");
    signed.organization.seed_member(ada);
    let bob = signed
        .organization
        .seed_member(MemberSeed::new("bob@example.com"));
    let path = format!("/members/{bob}");
    let body = json!({"type": 2, "externalId": "1"});
    assert_eq!(signed.put(&path, body).await.status, 200);
    assert_eq!(signed.import_members(json!([])).await.status, 500);
    signed
        .put(&path, json!({"type": 2, "externalId": "2"}))
        .await;
    assert_eq!(signed.import_members(json!([])).await.status, 200);
}

#[tokio::test]
async fn group_ids_are_read_and_replaced() {
    let signed = cloud().await;
    let id = signed
        .organization
        .seed_member(MemberSeed::new("a@example.com"));
    let one = GroupSeed::new("One").members(["a@example.com"]);
    let one = signed.organization.seed_group(one);
    let two = signed.organization.seed_group(GroupSeed::new("Two"));
    let path = format!("/members/{id}/group-ids");
    assert_eq!(signed.get(&path).await.body, json!([one]));
    let answer = signed.put(&path, json!({"groupIds": [two]})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(signed.get(&path).await.body, json!([two]));
    assert!(signed.in_group("One").is_empty());
    assert_eq!(signed.put(&path, json!({})).await.status, 400);
}

#[tokio::test]
async fn revoking_frees_the_seat_and_restoring_returns_to_the_earlier_status() {
    let signed = cloud().await;
    for status in [Status::Confirmed, Status::Invited, Status::Staged] {
        let email = format!("{status:?}@example.com").to_lowercase();
        let seed = MemberSeed::new(&email).external_id(&email).status(status);
        let id = signed
            .organization
            .seed_member(seed.collection(CollectionAccess::to("v")));
        let in_use = signed.organization.seats_in_use();
        let now = || {
            signed
                .organization
                .snapshot()
                .member(&email)
                .unwrap()
                .clone()
        };
        let before = now();

        let revoke = format!("/members/{id}/revoke");
        assert_eq!(signed.post(&revoke, json!(null)).await.status, 200);
        assert_eq!(now().status, Status::Revoked);
        // A staged member has none.
        let freed = u32::from(status != Status::Staged);
        assert_eq!(signed.organization.seats_in_use(), in_use - freed);
        assert_eq!(signed.post(&revoke, json!(null)).await.status, 400);

        let restore = format!("/members/{id}/restore");
        assert_eq!(signed.post(&restore, json!(null)).await.status, 200);
        assert_eq!(now(), before);
        assert_eq!(signed.organization.seats_in_use(), in_use);
        assert_eq!(signed.post(&restore, json!(null)).await.status, 400);
    }
    let revoked = signed.organization.losses();
    assert_eq!(revoked.len(), 3, "history remembers what was undone");
    assert!(matches!(revoked[0], Event::Revoked { .. }));
}

#[tokio::test]
async fn an_owner_is_not_revoked_and_the_last_one_neither_removed_nor_demoted() {
    let signed = cloud().await;
    let owner = signed.organization.member_id("owner@example.com").unwrap();
    let path = format!("/members/{owner}");
    let revoke = format!("{path}/revoke");
    let revoke = signed.post(&revoke, json!(null)).await;
    assert_eq!(revoke.status, 400);
    assert!(!revoke.message().is_empty());
    assert_eq!(signed.delete(&path).await.status, 400);
    assert_eq!(signed.put(&path, json!({"type": 2})).await.status, 400);

    let second = MemberSeed::new("second@example.com").owner();
    signed.organization.seed_member(second);
    assert_eq!(signed.delete(&path).await.status, 200);
    assert_eq!(signed.emails(), ["second@example.com"]);
}

#[tokio::test]
async fn an_invited_owner_does_not_count_as_a_confirmed_one() {
    let signed = cloud().await;
    let second = MemberSeed::new("second@example.com").owner();
    signed
        .organization
        .seed_member(second.status(Status::Invited));
    let owner = signed.organization.member_id("owner@example.com").unwrap();
    assert_eq!(
        signed.delete(&format!("/members/{owner}")).await.status,
        400
    );
}

#[tokio::test]
async fn the_two_step_policy_stands_in_the_way_of_restoring() {
    let mut config = Config::cloud();
    config.requires_two_step = true;
    let signed = signed(config).await;
    let away = MemberSeed::new("away@example.com").status(Status::Revoked);
    let id = signed.organization.seed_member(away.without_two_step());
    let restore = format!("/members/{id}/restore");
    let answer = signed.post(&restore, json!(null)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("two-step"));
}

#[tokio::test]
async fn only_the_invited_are_invited_again_and_each_mail_counts() {
    let signed = cloud().await;
    let ada = MemberSeed::new("ada@example.com").status(Status::Invited);
    let id = signed.organization.seed_member(ada);
    let path = format!("/members/{id}/reinvite");
    assert_eq!(signed.post(&path, json!(null)).await.status, 200);
    assert_eq!(signed.organization.invitations()["ada@example.com"], 1);
    assert!(signed.organization.accept_and_confirm("ada@example.com"));
    assert_eq!(signed.post(&path, json!(null)).await.status, 400);
}

#[tokio::test]
async fn a_removed_member_is_gone_from_groups_and_can_be_invited_anew() {
    let signed = cloud().await;
    let ada = MemberSeed::new("ada@example.com").external_id("1");
    let id = signed.organization.seed_member(ada);
    signed
        .organization
        .seed_group(GroupSeed::new("Staff").members(["ada@example.com"]));
    let path = format!("/members/{id}");
    assert_eq!(signed.delete(&path).await.status, 200);
    assert!(signed.in_group("Staff").is_empty());
    assert_eq!(signed.get(&path).await.status, 404);
    let rows = json!([{"email": "ada@example.com", "externalId": "1"}]);
    signed.import_members(rows).await;
    assert_ne!(signed.organization.member_id("ada@example.com"), Some(id));
}

#[tokio::test]
async fn what_is_not_in_the_organization_is_not_found() {
    let signed = cloud().await;
    let stranger = "/members/6d656d62-6572-4000-8000-0000000fffff";
    for path in [stranger, "/members/not-an-id"] {
        assert_eq!(signed.get(path).await.status, 404);
        assert_eq!(signed.put(path, json!({"type": 2})).await.status, 404);
        assert_eq!(signed.delete(path).await.status, 404);
        for action in ["revoke", "restore", "reinvite"] {
            let path = format!("{path}/{action}");
            assert_eq!(signed.post(&path, json!(null)).await.status, 404);
        }
        assert_eq!(signed.get(&format!("{path}/group-ids")).await.status, 404);
    }
}
