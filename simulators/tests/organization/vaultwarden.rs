use serde_json::{Value, json};
use simulators::organization::{Config, Event, GroupSeed, MemberSeed, Profile, Seats, Status};

use crate::client::{Signed, signed};

async fn vaultwarden() -> Signed {
    signed(Config::vaultwarden()).await
}

fn row(email: &str, external_id: &str, deleted: bool) -> Value {
    json!({"email": email, "externalId": external_id, "deleted": deleted})
}

#[tokio::test]
async fn every_public_path_but_import_is_404_with_or_without_a_token() {
    let mut signed = vaultwarden().await;
    for _ in ["with", "without"] {
        for path in ["/members", "/groups", "/organization/subscription"] {
            assert_eq!(signed.get(path).await.status, 404);
        }
        signed.token.clear();
    }
    assert_eq!(signed.import_members(json!([])).await.status, 401);
}

#[tokio::test]
async fn new_people_are_invited_once_and_no_batch_or_seat_limits_them() {
    let mut config = Config::vaultwarden();
    config.seats = Seats::fixed(1);
    let signed = signed(config).await;
    let rows: Vec<Value> = (0..2_500)
        .map(|n| row(&format!("{n}@example.com"), &n.to_string(), false))
        .collect();
    assert_eq!(signed.import_members(json!(rows)).await.status, 200);
    assert_eq!(signed.import_members(json!(rows)).await.status, 200);
    assert_eq!(signed.emails().len(), 2_501);
    let mut mails = signed.organization.invitations().into_values();
    assert!(mails.all(|count| count == 1));
}

#[tokio::test]
async fn deleted_revokes_by_email_and_a_listed_revoked_member_is_restored() {
    let signed = vaultwarden().await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("ada@example.com").external_id("ada"));
    organization.seed_member(MemberSeed::new("away@example.com").status(Status::Revoked));
    let rows = json!([
        row("ada@example.com", "another", true),
        row("away@example.com", "away", false),
        row("stranger@example.com", "s", true),
    ]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    let snapshot = organization.snapshot();
    assert_eq!(snapshot.members.len(), 3);
    let ada = snapshot.member("ada@example.com").unwrap();
    assert_eq!(ada.status, Status::Revoked);
    let away = snapshot.member("away@example.com").unwrap();
    assert_eq!(away.status, Status::Confirmed);
    assert!(organization.invitations().is_empty());
}

#[tokio::test]
async fn an_email_found_takes_the_rows_external_id_whatever_it_had() {
    let signed = vaultwarden().await;
    let ada = MemberSeed::new("ada@example.com").external_id("old");
    signed.organization.seed_member(ada);
    signed
        .import_members(json!([row("Ada@example.com", "new", false)]))
        .await;
    assert_eq!(
        signed.organization.history(),
        [Event::ExternalIdChanged {
            email: "ada@example.com".to_owned(),
            from: Some("old".to_owned()),
            to: Some("new".to_owned()),
        }]
    );
}

#[tokio::test]
async fn overwriting_removes_the_unlisted_but_the_last_confirmed_owner() {
    let signed = vaultwarden().await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("unlisted@example.com").external_id("u"));
    organization.seed_member(MemberSeed::new("disabled@example.com").external_id("d"));
    organization.seed_member(MemberSeed::new("manual@example.com"));
    let owner = json!([row("owner@example.com", "boss", false)]);
    signed.import_members(owner).await;

    let members = json!([row("disabled@example.com", "d", true)]);
    let body = json!({"groups": [], "members": members, "overwriteExisting": true});
    assert_eq!(signed.import(body).await.status, 200);
    let left = [
        "disabled@example.com",
        "manual@example.com",
        "owner@example.com",
    ];
    assert_eq!(signed.emails(), left);
}

#[tokio::test]
async fn the_last_confirmed_owner_is_not_revoked() {
    let signed = vaultwarden().await;
    let rows = json!([row("owner@example.com", "boss", true)]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    let snapshot = signed.organization.snapshot();
    let owner = snapshot.member("owner@example.com").unwrap();
    assert_eq!(owner.status, Status::Confirmed);
}

#[tokio::test]
async fn whom_a_policy_refuses_stays_revoked_and_the_answer_is_the_same() {
    let config = Config {
        requires_two_step: true,
        ..Config::vaultwarden()
    };
    let signed = signed(config).await;
    let seed = MemberSeed::new("ann@example.com").without_two_step();
    signed
        .organization
        .seed_member(seed.status(Status::Revoked));
    let rows = json!([row("ann@example.com", "ann", false)]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    let snapshot = signed.organization.snapshot();
    let ann = snapshot.member("ann@example.com").unwrap();
    assert_eq!(ann.status, Status::Revoked);
}

#[tokio::test]
async fn a_row_or_request_with_a_field_missing_is_refused() {
    let signed = vaultwarden().await;
    for members in [
        json!([{"externalId": "1", "deleted": true}]),
        json!([{"email": "a@example.com", "deleted": false}]),
        json!([{"email": "a@example.com", "externalId": "1"}]),
    ] {
        let answer = signed.import_members(members.clone()).await;
        assert_eq!(answer.status, 422, "{members}");
    }
    let without_groups = json!({"members": [], "overwriteExisting": false});
    assert_eq!(signed.import(without_groups).await.status, 422);
}

#[tokio::test]
async fn groups_are_filled_with_exactly_the_listed_and_never_renamed() {
    let signed = vaultwarden().await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("a@example.com").external_id("a"));
    organization.seed_member(MemberSeed::new("b@example.com").external_id("b"));
    let staff = GroupSeed::new("Staff").external_id("staff");
    organization.seed_group(staff.members(["a@example.com"]));
    let answer = signed.import_groups(json!([
        {"name": "Renamed", "externalId": "staff", "memberExternalIds": ["b", "nobody"]},
        {"name": "New", "externalId": "new", "memberExternalIds": ["a"]},
    ]));
    assert_eq!(answer.await.status, 200);
    assert_eq!(signed.in_group("Staff"), ["b@example.com"]);
    assert_eq!(signed.in_group("New"), ["a@example.com"]);
}

#[tokio::test]
async fn where_groups_are_not_enabled_they_are_ignored_silently() {
    let mut config = Config::vaultwarden();
    config.profile = Profile::Vaultwarden { groups: false };
    let signed = signed(config).await;
    let row = json!({"name": "New", "externalId": "new", "memberExternalIds": []});
    assert_eq!(signed.import_groups(json!([row])).await.status, 200);
    assert!(signed.organization.snapshot().groups.is_empty());
}
