use serde_json::json;
use simulators::organization::{Config, MemberSeed, Seats, Status};

use crate::client::{Signed, cloud, signed};

async fn with(seats: Seats) -> Signed {
    let mut config = Config::cloud();
    config.seats = seats;
    signed(config).await
}

#[tokio::test]
async fn an_import_that_does_not_fit_is_refused_before_anyone_is_invited_or_any_group_touched() {
    let signed = with(Seats::fixed(2)).await;
    let body = json!({
        "overwriteExisting": false,
        "members": [
            {"email": "a@example.com", "externalId": "a"},
            {"email": "b@example.com", "externalId": "b"},
        ],
        "groups": [{"name": "g", "externalId": "g", "memberExternalIds": ["a"]}],
    });
    let answer = signed.import(body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().to_lowercase().contains("seat"));
    assert_eq!(signed.emails(), ["owner@example.com"]);
    assert!(signed.organization.snapshot().groups.is_empty());

    let one = json!([{"email": "a@example.com", "externalId": "a"}]);
    assert_eq!(signed.import_members(one).await.status, 200);
}

#[tokio::test]
async fn those_removed_by_the_same_import_and_the_revoked_make_room() {
    let signed = with(Seats::fixed(2)).await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("leaver@example.com").external_id("leaver"));
    organization.seed_member(MemberSeed::new("away@example.com").status(Status::Revoked));
    assert_eq!(organization.seats_in_use(), 2);
    let rows = json!([
        {"externalId": "leaver", "deleted": true},
        {"email": "new@example.com", "externalId": "new"},
    ]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    assert_eq!(organization.seats_in_use(), 2);
}

#[tokio::test]
async fn an_email_that_is_a_member_already_needs_no_seat() {
    let signed = with(Seats::fixed(2)).await;
    let ada = MemberSeed::new("ada@example.com").external_id("old");
    signed.organization.seed_member(ada);
    let rows = json!([
        {"email": "owner@example.com", "externalId": "1"},
        {"email": "ada@example.com", "externalId": "new"},
    ]);
    assert_eq!(signed.import_members(rows).await.status, 200);
}

#[tokio::test]
async fn with_more_members_than_seats_even_an_import_that_invites_no_one_is_refused() {
    let signed = with(Seats::fixed(1)).await;
    let ada = MemberSeed::new("ada@example.com").external_id("ada");
    signed.organization.seed_member(ada);
    let rows = json!([{"email": "ada@example.com", "externalId": "ada"}]);
    assert_eq!(signed.import_members(rows).await.status, 400);
}

#[tokio::test]
async fn the_cloud_buys_seats_up_to_the_limit_and_a_self_hosted_server_none() {
    let rows = json!([
        {"email": "a@example.com", "externalId": "a"},
        {"email": "b@example.com", "externalId": "b"},
    ]);
    let signed_in = with(Seats::autoscaling(1, Some(3))).await;
    assert_eq!(signed_in.import_members(rows.clone()).await.status, 200);
    assert_eq!(signed_in.organization.seats().seats, Some(3));
    let subscription = signed_in.get("/organization/subscription").await;
    assert_eq!(subscription.status, 200);
    assert_eq!(subscription.body["passwordManager"]["seats"], 3);
    assert_eq!(subscription.body["passwordManager"]["maxAutoScaleSeats"], 3);
    let one_more = json!([{"email": "c@example.com", "externalId": "c"}]);
    assert_eq!(signed_in.import_members(one_more).await.status, 400);

    let unlimited = with(Seats::autoscaling(1, None)).await;
    assert_eq!(unlimited.import_members(rows.clone()).await.status, 200);

    let mut config = Config::self_hosted();
    config.seats = Seats::autoscaling(1, None);
    let self_hosted = signed(config).await;
    assert_eq!(self_hosted.import_members(rows).await.status, 400);
}

#[tokio::test]
async fn no_limit_is_null_and_only_the_cloud_has_a_subscription() {
    let signed_in = cloud().await;
    let subscription = signed_in.get("/organization/subscription").await;
    assert!(subscription.body["passwordManager"]["seats"].is_null());
    let self_hosted = signed(Config::self_hosted()).await;
    let answer = self_hosted.get("/organization/subscription").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.message(), "Only allowed when not self hosted.");
}

#[tokio::test]
async fn inviting_one_and_restoring_one_need_a_seat_too() {
    let signed = with(Seats::fixed(1)).await;
    let away = MemberSeed::new("away@example.com").status(Status::Revoked);
    let id = signed.organization.seed_member(away);
    let body = json!({"email": "a@example.com", "type": 2});
    assert_eq!(signed.post("/members", body).await.status, 400);
    let restore = format!("/members/{id}/restore");
    assert_eq!(signed.post(&restore, json!(null)).await.status, 400);

    signed.organization.set_seats(Seats::fixed(2));
    assert_eq!(signed.post(&restore, json!(null)).await.status, 200);
}
