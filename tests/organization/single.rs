//! Single members and groups: what a call leaves alone, and that it may be repeated.

use std::collections::HashSet;

use axum::routing::{get, post};
use directory_sync::directory::Email;
use directory_sync::organization::{
    ClientId, OrganizationClient, OrganizationError, Region, Settings,
};
use serde_json::json;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, Role, Seats, SimulatedOrganization, Status,
};

use super::{client, group, id, member, start};

const ANN: &str = "ann@example.com";

fn collection(id: &str) -> CollectionAccess {
    serde_json::from_value(json!({
        "id": id, "readOnly": true, "hidePasswords": true, "manage": false,
    }))
    .unwrap()
}

async fn with_ann(config: Config) -> SimulatedOrganization {
    let server = start(config).await;
    server.seed_member(MemberSeed::new("owner@example.com").owner());
    server.seed_member(
        MemberSeed::new(ANN)
            .external_id("old")
            .role(Role::Custom)
            .collection(collection("c1"))
            .collection(collection("c2")),
    );
    let staff = GroupSeed::new("Staff").external_id("old-staff");
    server.seed_group(staff.members([ANN]).collection(collection("c3")));
    server
}

#[tokio::test]
async fn a_relinked_member_keeps_role_collections_permissions_and_groups() {
    // Older servers tell collections only of single members.
    for lists_collections in [true, false] {
        let config = Config {
            lists_collections,
            ..Config::cloud()
        };
        let server = with_ann(config).await;
        let ann = member(&server, ANN);
        let before = server.snapshot();

        client(&server).relink(ann, &id("new")).await.unwrap();

        let mut expected = before.clone();
        expected.members.get_mut(ANN).unwrap().external_id = Some("new".into());
        assert_eq!(server.snapshot(), expected);
        assert!(server.losses().is_empty());
    }
}

#[tokio::test]
async fn an_external_id_is_taken_out_and_everything_else_stays() {
    for lists_collections in [true, false] {
        let config = Config {
            lists_collections,
            ..Config::cloud()
        };
        let server = with_ann(config).await;
        let (ann, staff) = (member(&server, ANN), group(&server, "old-staff"));
        let before = server.snapshot();
        let client = client(&server);

        // Somebody has given them another one meanwhile.
        let other = id("another");
        for error in [
            client.unlink(ann, &other).await.unwrap_err(),
            client.unlink_group(staff, &other).await.unwrap_err(),
        ] {
            let refused = matches!(error, OrganizationError::Refused { .. });
            assert!(refused && error.to_string().contains("old"), "{error}");
        }
        assert_eq!(server.snapshot(), before);

        // Twice: done as well where it is done already.
        for _ in 0..2 {
            client.unlink(ann, &id("old")).await.unwrap();
            client.unlink_group(staff, &id("old-staff")).await.unwrap();
        }
        let mut expected = before;
        expected.members.get_mut(ANN).unwrap().external_id = None;
        expected.groups[0].external_id = None;
        assert_eq!(server.snapshot(), expected);
        assert!(server.losses().is_empty());
    }
}

#[tokio::test]
async fn an_owner_keeps_their_external_id() {
    let server = with_ann(Config::cloud()).await;
    let owner = MemberSeed::new("boss@example.com").owner();
    server.seed_member(owner.external_id("boss"));
    let before = server.snapshot();
    let boss = member(&server, "boss@example.com");
    let error = client(&server).unlink(boss, &id("boss")).await.unwrap_err();
    assert!(
        error.to_string().contains("owners are never changed"),
        "{error}"
    );
    assert_eq!(server.snapshot(), before);
}

#[tokio::test]
async fn permissions_of_a_custom_role_are_sent_back_as_they_came() {
    let server = with_ann(Config::cloud()).await;
    let ann = member(&server, ANN);
    let permissions = json!({"manageUsers": true, "somethingNew": {"deep": [1, 2]}});
    let api = format!("{}/public/members/{ann}", server.api_url());
    let token = token(&server).await;
    let http = http();
    let custom = json!({
        "type": 4, "externalId": "old", "permissions": permissions,
        "collections": [{"id": "c1", "readOnly": false, "hidePasswords": false, "manage": true}],
    });
    let put = http
        .put(&api)
        .bearer_auth(&token)
        .header("Content-Type", "application/json")
        .body(custom.to_string());
    assert!(put.send().await.unwrap().status().is_success());

    client(&server).relink(ann, &id("new")).await.unwrap();

    let now = http.get(&api).bearer_auth(&token).send().await.unwrap();
    let now: serde_json::Value = serde_json::from_str(&now.text().await.unwrap()).unwrap();
    assert_eq!(now["externalId"], "new");
    assert_eq!(now["type"], 4);
    assert_eq!(now["permissions"], permissions);
    assert_eq!(now["collections"], custom["collections"]);
    let sent = server.requests();
    let sent = sent.iter().rev().find(|r| r.method == "PUT").unwrap();
    assert_eq!(sent.json()["groups"], json!(null), "groups are left alone");
}

const NEW: &str = "ann.new@example.com";

/// Ann's open invitation is replaced by one to her new address.
async fn replace(
    server: &SimulatedOrganization,
    managed: &[uuid::Uuid],
) -> Result<(), OrganizationError> {
    let [old, new] = [ANN, NEW].map(|text| Email::parse(text).unwrap());
    let managed: HashSet<_> = managed.iter().copied().collect();
    let (ann, id) = (member(server, ANN), id("ann"));
    let client = client(server);
    client
        .replace_invitation(ann, &id, [&old, &new], &managed)
        .await
}

#[tokio::test]
async fn a_replaced_invitation_keeps_role_and_managed_groups() {
    let server = start(Config::self_hosted()).await;
    let invited = MemberSeed::new(ANN)
        .external_id("ann")
        .status(Status::Invited);
    server.seed_member(invited);
    server.seed_group(GroupSeed::new("Staff").external_id("staff").members([ANN]));
    let before = server.snapshot();

    let staff = group(&server, "staff");
    replace(&server, &[staff]).await.unwrap();

    let now = server.snapshot();
    assert_eq!(now.members[NEW], before.members[ANN]);
    assert!(now.member(ANN).is_none(), "{now}");
    assert_eq!(now.group("Staff").unwrap().members, [NEW]);
}

/// Whoever is stopped between the two calls would lose it.
#[tokio::test]
async fn an_invitation_with_access_that_was_given_by_hand_is_not_replaced() {
    let invited = || {
        MemberSeed::new(ANN)
            .external_id("ann")
            .status(Status::Invited)
    };
    let with_collection = invited().collection(collection("c1"));
    for (seed, inside, says) in [
        (with_collection, &[][..], "1 collections, 0 groups"),
        (invited(), &[ANN], "0 collections, 1 groups"),
    ] {
        let server = start(Config::self_hosted()).await;
        server.seed_member(seed);
        server.seed_group(GroupSeed::new("by hand").members(inside.iter().copied()));
        let before = server.snapshot();

        let refused = replace(&server, &[]).await.unwrap_err().to_string();

        assert!(refused.contains(says), "{refused}");
        assert!(refused.contains("withdraw it in Bitwarden"), "{refused}");
        assert_eq!(server.snapshot(), before);
    }
}

#[tokio::test]
async fn a_replaced_invitation_whose_answer_was_lost_is_sent_once() {
    let server = start(Config::self_hosted()).await;
    server.seed_member(
        MemberSeed::new(ANN)
            .external_id("ann")
            .status(Status::Invited),
    );
    let lost = Fault::new(Way::CutConnection).work(Work::Done);
    server
        .faults()
        .inject(lost.method("POST").path("/api/public/members"));

    replace(&server, &[]).await.unwrap();

    assert_eq!(server.invitations()[NEW], 1);
}

#[tokio::test]
async fn an_invitation_that_was_accepted_in_the_meantime_is_not_replaced() {
    let server = start(Config::self_hosted()).await;
    server.seed_member(
        MemberSeed::new(ANN)
            .external_id("ann")
            .status(Status::Accepted),
    );
    let before = server.snapshot();

    let refused = replace(&server, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("isn't as it was"), "{refused}");
    assert_eq!(server.snapshot(), before);
}

#[tokio::test]
async fn a_relinked_group_keeps_name_collections_and_members() {
    let server = with_ann(Config::cloud()).await;
    let staff = group(&server, "old-staff");
    let before = server.snapshot();

    client(&server)
        .relink_group(staff, Some(&id("old-staff")), &id("new-staff"))
        .await
        .unwrap();

    let mut expected = before;
    expected.groups[0].external_id = Some("new-staff".into());
    assert_eq!(server.snapshot(), expected);
    assert!(server.losses().is_empty());
}

#[tokio::test]
async fn a_group_that_somebody_else_has_taken_meanwhile_is_left_to_them() {
    let server = with_ann(Config::cloud()).await;
    let staff = group(&server, "old-staff");
    let before = server.snapshot();

    for from in [None, Some(&id("another"))] {
        let (client, new) = (client(&server), id("new-staff"));
        let error = client.relink_group(staff, from, &new).await.unwrap_err();
        assert!(
            matches!(error, OrganizationError::Refused { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("old-staff"), "{error}");
    }

    assert_eq!(server.snapshot(), before);
}

#[tokio::test]
async fn a_renamed_group_keeps_external_id_collections_and_members() {
    let server = with_ann(Config::cloud()).await;
    let staff = group(&server, "old-staff");
    let mut expected = server.snapshot();
    let client = client(&server);

    for _ in 0..2 {
        client.rename_group(staff, "Everyone").await.unwrap();
    }

    expected.groups[0].name = "Everyone".into();
    assert_eq!(server.snapshot(), expected);
    assert!(server.losses().is_empty());
    let puts = server.requests();
    let puts = puts.iter().filter(|request| request.method == "PUT");
    assert_eq!(puts.count(), 1, "a name that is there already is not sent");
}

#[tokio::test]
async fn who_would_lose_collections_unseen_is_left_alone() {
    let without_collections = r#"{"id": "6d656d62-6572-4000-8000-000000000001", "name": "Staff", "type": 2,
        "status": 2, "email": "ann@example.com", "externalId": "old", "collections": null}"#;
    let token = async || r#"{"access_token": "abcdefgh", "expires_in": 3600}"#;
    // A change would be answered with 405.
    let object = get(async move || without_collections);
    let router = axum::Router::new()
        .route("/identity/connect/token", post(token))
        .route("/api/public/{kind}/{id}", object);
    let url = super::errors::serve(router).await;
    let key = ClientId::parse("organization.0d9f3c1e-6a52-4a3c-9d0b-b0c7a5e41f27").unwrap();
    let settings = Settings::new(Region::server(&url).unwrap(), key, "a-secret-key".into());
    let client = OrganizationClient::new(settings).unwrap();
    let some = uuid::Uuid::from_u128(1);
    for result in [
        client.relink(some, &id("new")).await,
        client
            .relink_group(some, Some(&id("old")), &id("new"))
            .await,
    ] {
        let error = result.unwrap_err();
        assert!(
            matches!(error, OrganizationError::Refused { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("collections"), "{error}");
    }
}

#[tokio::test]
async fn an_owner_is_never_relinked() {
    let server = with_ann(Config::cloud()).await;
    let owner = member(&server, "owner@example.com");
    let error = client(&server).relink(owner, &id("new")).await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::Refused { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("owner@example.com"), "{error}");
    assert!(!server.requests().iter().any(|request| request.is_write()));
}

#[tokio::test]
async fn each_change_may_be_asked_for_twice() {
    let server = with_ann(Config::cloud()).await;
    let client = client(&server);
    let (ann, staff) = (member(&server, ANN), group(&server, "old-staff"));
    let status = || server.snapshot().member(ANN).map(|member| member.status);
    for _ in 0..2 {
        client.revoke(ann).await.unwrap();
        assert_eq!(status(), Some(Status::Revoked));
    }
    for _ in 0..2 {
        client.restore(ann).await.unwrap();
        assert_eq!(status(), Some(Status::Confirmed));
    }
    for _ in 0..2 {
        client.set_members(staff, &[]).await.unwrap();
        client.relink(ann, &id("new")).await.unwrap();
        let (old, new) = (id("old-staff"), id("new-staff"));
        client.relink_group(staff, Some(&old), &new).await.unwrap();
    }
    assert!(server.snapshot().group("Staff").unwrap().members.is_empty());
    for _ in 0..2 {
        client.delete_group(staff).await.unwrap();
        client.remove(ann).await.unwrap();
    }
    assert_eq!(status(), None);
    assert!(server.snapshot().groups.is_empty());
    client
        .revoke(ann)
        .await
        .expect("who isn't there has no access");
    let error = client.restore(ann).await.unwrap_err();
    assert!(matches!(error, OrganizationError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_done_once_and_known_as_done() {
    let ways = [Way::CutConnection, Way::InternalError, Way::Unavailable];
    for way in ways {
        for work in Work::BOTH {
            let server = with_ann(Config::cloud()).await;
            let client = client(&server);
            let (ann, staff) = (member(&server, ANN), group(&server, "old-staff"));
            let spoil = |method: &str| {
                let fault = Fault::new(way).work(work).method(method);
                server.faults().inject(fault.path("/api/public/"));
            };
            spoil("POST");
            client.revoke(ann).await.unwrap();
            spoil("POST");
            client.restore(ann).await.unwrap();
            spoil("PUT");
            client.relink(ann, &id("new")).await.unwrap();
            spoil("PUT");
            client.set_members(staff, &[]).await.unwrap();
            spoil("DELETE");
            client.delete_group(staff).await.unwrap();
            assert_eq!(server.faults().fired(), 5);
            let snapshot = server.snapshot();
            let ann = snapshot.member(ANN).unwrap();
            assert_eq!(ann.external_id.as_deref(), Some("new"));
            assert_eq!(ann.status, Status::Confirmed);
            assert_eq!(ann.collections.len(), 2, "{way:?} {work:?}");
            assert!(snapshot.groups.is_empty());
        }
    }
}

#[tokio::test]
async fn a_refusal_brings_the_servers_reason() {
    let config = Config {
        requires_two_step: true,
        seats: Seats::fixed(2),
        ..Config::cloud()
    };
    let server = start(config).await;
    let revoked = |email| MemberSeed::new(email).status(Status::Revoked);
    server.seed_member(MemberSeed::new("owner@example.com").owner());
    server.seed_member(revoked(ANN).without_two_step());
    server.seed_member(revoked("bob@example.com"));
    server.seed_member(revoked("cid@example.com"));
    let client = client(&server);

    let error = client.restore(member(&server, ANN)).await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::Refused { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("two-step"), "{error}");

    client
        .restore(member(&server, "bob@example.com"))
        .await
        .unwrap();
    let cid = member(&server, "cid@example.com");
    let error = client.restore(cid).await.unwrap_err();
    assert!(
        matches!(error, OrganizationError::NoSeats { .. }),
        "{error}"
    );

    let owner = member(&server, "owner@example.com");
    for error in [client.revoke(owner).await, client.remove(owner).await] {
        let error = error.unwrap_err();
        assert!(
            matches!(error, OrganizationError::Refused { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("owner"), "{error}");
    }
}

/// A client beside the one under test: a person at work.
fn http() -> reqwest::Client {
    directory_sync::http::client(&directory_sync::http::ClientSettings::default()).unwrap()
}

async fn token(server: &SimulatedOrganization) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=api.organization",
        server.client_id(),
        server.client_secret(),
    );
    let request = http()
        .post(format!("{}/connect/token", server.identity_url()))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    let answer = request.send().await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
