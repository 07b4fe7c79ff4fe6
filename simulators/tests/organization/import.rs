use serde_json::{Value, json};
use simulators::organization::{
    CollectionAccess, Config, Event, GroupSeed, MemberSeed, Plan, Role, Status,
};

use crate::client::{Answer, cloud, signed};

fn rows(count: usize, deleted: bool) -> Vec<Value> {
    let row = |n: usize| json!({"email": format!("{n}@example.com"), "externalId": n.to_string(), "deleted": deleted});
    (0..count).map(row).collect()
}

fn broken_fields(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["object"], "error");
    assert!(!answer.message().is_empty());
    let errors = answer.body["errors"].as_object().unwrap();
    errors.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn new_people_are_invited_with_lower_cased_emails_and_one_mail_each() {
    let signed = cloud().await;
    let row = json!({"email": "Ada@Example.com", "externalId": "CaseStays", "deleted": false});
    let answer = signed.import_members(json!([row])).await;
    assert_eq!((answer.status, answer.body), (200, Value::Null));

    let snapshot = signed.organization.snapshot();
    let ada = snapshot.member("ada@example.com").unwrap();
    assert_eq!(ada.external_id.as_deref(), Some("CaseStays"));
    assert_eq!((ada.status, ada.role), (Status::Invited, Role::User));

    signed.import_members(json!([row])).await;
    assert_eq!(signed.organization.invitations()["ada@example.com"], 1);
}

#[tokio::test]
async fn without_invitations_new_people_are_staged() {
    let signed = cloud().await;
    let body = json!({
        "groups": [], "overwriteExisting": false, "inviteUsersAfterProvisioning": false,
        "members": [{"email": "ada@example.com", "externalId": "1"}],
    });
    signed.import(body).await;
    let snapshot = signed.organization.snapshot();
    assert_eq!(
        snapshot.member("ada@example.com").unwrap().status,
        Status::Staged
    );
    assert!(signed.organization.invitations().is_empty());
}

#[tokio::test]
async fn an_older_server_invites_whatever_it_is_told_about_staging() {
    let mut config = Config::self_hosted();
    config.can_stage = false;
    let signed = signed(config).await;
    let body = json!({
        "groups": [], "overwriteExisting": false, "inviteUsersAfterProvisioning": false,
        "members": [{"email": "ada@example.com", "externalId": "1"}],
    });
    signed.import(body).await;
    assert_eq!(signed.organization.invitations()["ada@example.com"], 1);
}

#[tokio::test]
async fn a_plan_without_directory_syncing_refuses_before_anything_else() {
    let mut config = Config::cloud();
    config.plan = Plan {
        directory: false,
        groups: false,
        ..Config::cloud().plan
    };
    let signed = signed(config).await;
    let answer = signed.import_members(json!(rows(2_001, false))).await;
    assert_eq!(answer.status, 400);
    let message = "Organization cannot use directory syncing.";
    assert_eq!(answer.message(), message);
}

#[tokio::test]
async fn the_cloud_takes_2000_rows_that_are_not_deleted_and_more_only_as_a_large_import() {
    let signed = cloud().await;
    let mut at_the_limit = rows(2_000, false);
    at_the_limit.push(json!({"externalId": "gone", "deleted": true}));
    assert_eq!(signed.import_members(json!(at_the_limit)).await.status, 200);

    let over = rows(2_001, false);
    let answer = signed.import_members(json!(over)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.message(),
        "You cannot import this much data at once."
    );
    assert_eq!(signed.emails().len(), 2_001);

    let group = |n| json!({"name": "g", "externalId": format!("{n}"), "memberExternalIds": []});
    let groups: Vec<Value> = (0..2_001).map(group).collect();
    assert_eq!(signed.import_groups(json!(groups)).await.status, 400);

    let large =
        json!({"groups": groups, "members": over, "overwriteExisting": false, "largeImport": true});
    assert_eq!(signed.import(large).await.status, 200);
    assert_eq!(signed.emails().len(), 2_002);
}

#[tokio::test]
async fn a_self_hosted_server_takes_any_number_of_rows() {
    let signed = signed(Config::self_hosted()).await;
    let answer = signed.import_members(json!(rows(2_001, false))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn rows_marked_deleted_are_removed_without_an_email_but_not_owners_nor_the_also_wanted() {
    let signed = cloud().await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("leaver@example.com").external_id("leaver"));
    organization.seed_member(MemberSeed::new("both@example.com").external_id("both"));
    organization.seed_member(
        MemberSeed::new("boss@example.com")
            .external_id("boss")
            .owner(),
    );
    let group = GroupSeed::new("Staff").members(["leaver@example.com", "both@example.com"]);
    organization.seed_group(group);

    let rows = json!([
        {"externalId": "leaver", "deleted": true},
        {"externalId": "both", "deleted": true},
        {"externalId": "both", "email": "both@example.com", "deleted": false},
        {"externalId": "boss", "deleted": true},
        {"externalId": "nobody", "deleted": true},
    ]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    let left = ["boss@example.com", "both@example.com", "owner@example.com"];
    assert_eq!(signed.emails(), left);
    assert_eq!(
        organization.losses(),
        [Event::Removed {
            email: "leaver@example.com".to_owned(),
            external_id: Some("leaver".to_owned()),
            groups: vec!["Staff".to_owned()],
        }]
    );
}

#[tokio::test]
async fn overwriting_removes_everyone_with_an_unlisted_external_id_but_owners() {
    let signed = cloud().await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("listed@example.com").external_id("listed"));
    organization.seed_member(MemberSeed::new("unlisted@example.com").external_id("unlisted"));
    organization.seed_member(MemberSeed::new("manual@example.com"));
    organization.seed_member(MemberSeed::new("boss@example.com").external_id("b").owner());

    let members = json!([{"email": "listed@example.com", "externalId": "listed"}]);
    let body = json!({"groups": [], "members": members, "overwriteExisting": true});
    assert_eq!(signed.import(body).await.status, 200);
    let left = [
        "boss@example.com",
        "listed@example.com",
        "manual@example.com",
        "owner@example.com",
    ];
    assert_eq!(signed.emails(), left);
}

#[tokio::test]
async fn overwriting_is_refused_whole_where_it_would_remove_someone_without_a_master_password() {
    let signed = cloud().await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("with@example.com").external_id("with"));
    let without = MemberSeed::new("without@example.com").external_id("without");
    organization.seed_member(without.without_master_password());

    let members = json!([{"email": "new@example.com", "externalId": "new"}]);
    let body = json!({"groups": [], "members": members, "overwriteExisting": true});
    assert_eq!(signed.import(body).await.status, 400);
    let left = [
        "owner@example.com",
        "with@example.com",
        "without@example.com",
    ];
    assert_eq!(signed.emails(), left);
    assert!(organization.history().is_empty());

    // A leaver without a master password can be removed by name.
    let answer = signed.import_members(json!([{"externalId": "without", "deleted": true}]));
    assert_eq!(answer.await.status, 200);
    assert_eq!(signed.emails(), ["owner@example.com", "with@example.com"]);
}

#[tokio::test]
async fn a_refusal_leaves_what_the_steps_before_it_did() {
    let mut config = Config::cloud();
    config.plan.groups = false;
    let signed = signed(config).await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("leaver@example.com").external_id("leaver"));
    organization.seed_member(MemberSeed::new("by-hand@example.com"));
    let body = json!({
        "overwriteExisting": false,
        "members": [
            {"externalId": "leaver", "deleted": true},
            {"email": "by-hand@example.com", "externalId": "linked"},
            {"email": "new@example.com", "externalId": "new"},
        ],
        "groups": [{"name": "g", "externalId": "g", "memberExternalIds": []}],
    });
    let answer = signed.import(body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.message(), "Organization cannot use groups.");
    let snapshot = organization.snapshot();
    assert!(snapshot.member("leaver@example.com").is_none());
    assert!(snapshot.member("new@example.com").is_some());
    let linked = snapshot.member("by-hand@example.com").unwrap();
    assert_eq!(linked.external_id.as_deref(), Some("linked"));
    assert!(snapshot.groups.is_empty());
}

#[tokio::test]
async fn a_member_without_external_id_takes_that_of_the_row_with_its_email() {
    let signed = cloud().await;
    let seed = MemberSeed::new("ada@example.com").collection(CollectionAccess::to("vault"));
    signed.organization.seed_member(seed);
    let rows = json!([
        {"email": "ADA@example.com", "externalId": "1"},
        {"email": "owner@example.com", "externalId": "2"},
    ]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    let snapshot = signed.organization.snapshot();
    let ada = snapshot.member("ada@example.com").unwrap();
    assert_eq!(ada.external_id.as_deref(), Some("1"));
    assert_eq!(ada.status, Status::Confirmed);
    assert_eq!(ada.collections, [CollectionAccess::to("vault")]);
    let owner = snapshot.member("owner@example.com").unwrap();
    assert_eq!(owner.external_id.as_deref(), Some("2"));
    assert!(signed.organization.invitations().is_empty());
}

#[tokio::test]
async fn two_rows_with_one_email_crash_the_request() {
    let signed = cloud().await;
    let seed = MemberSeed::new("leaver@example.com").external_id("leaver");
    signed.organization.seed_member(seed);
    let twice = json!([
        {"externalId": "leaver", "deleted": true},
        {"email": "ada@example.com", "externalId": "1"},
        {"email": "Ada@example.com", "externalId": "2"},
    ]);
    let answer = signed.import_members(twice).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.body["object"], "error");
    // Removals come before the step that crashes, invitations after it.
    assert_eq!(signed.emails(), ["owner@example.com"]);
    assert!(signed.organization.invitations().is_empty());

    let deleted_twice = json!([
        {"externalId": "leaver", "deleted": true},
        {"externalId": "leaver", "deleted": true},
    ]);
    assert_eq!(signed.import_members(deleted_twice).await.status, 200);
}

#[tokio::test]
async fn linking_to_an_external_id_that_another_member_has_crashes_the_request() {
    let signed = cloud().await;
    let organization = &signed.organization;
    organization.seed_member(MemberSeed::new("ada@example.com"));
    organization.seed_member(MemberSeed::new("old.ada@example.com").external_id("1"));
    let rows = json!([{"email": "ada@example.com", "externalId": "1"}]);
    assert_eq!(signed.import_members(rows).await.status, 500);
    assert!(organization.history().is_empty());
}

#[tokio::test]
async fn an_email_that_is_a_member_under_another_external_id_is_skipped_and_its_memberships_dropped()
 {
    let signed = cloud().await;
    let seed = MemberSeed::new("ada@example.com").external_id("old");
    signed.organization.seed_member(seed);
    let body = json!({
        "overwriteExisting": false,
        "members": [
            {"email": "ada@example.com", "externalId": "new"},
            {"email": "bob@example.com", "externalId": "bob"},
        ],
        "groups": [{"name": "Staff", "externalId": "g", "memberExternalIds": ["new", "bob"]}],
    });
    assert_eq!(signed.import(body).await.status, 200);
    let snapshot = signed.organization.snapshot();
    let ada = snapshot.member("ada@example.com").unwrap();
    assert_eq!(ada.external_id.as_deref(), Some("old"));
    assert_eq!(signed.in_group("Staff"), ["bob@example.com"]);
    let invited: Vec<String> = signed.organization.invitations().into_keys().collect();
    assert_eq!(invited, ["bob@example.com"]);
}

#[tokio::test]
async fn a_changed_email_of_a_known_external_id_changes_nothing() {
    let signed = cloud().await;
    let seed = MemberSeed::new("maiden@example.com").external_id("1");
    signed.organization.seed_member(seed);
    let rows = json!([{"email": "married@example.com", "externalId": "1"}]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    assert_eq!(signed.emails(), ["maiden@example.com", "owner@example.com"]);
    assert!(signed.organization.history().is_empty());
}

#[tokio::test]
async fn groups_are_created_renamed_and_filled_with_exactly_the_listed_members() {
    let signed = cloud().await;
    let organization = &signed.organization;
    for id in ["a", "b", "c"] {
        organization.seed_member(MemberSeed::new(&format!("{id}@example.com")).external_id(id));
    }
    organization.seed_member(MemberSeed::new("manual@example.com"));
    let known = GroupSeed::new("Engineers").external_id("eng");
    organization.seed_group(known.members([
        "a@example.com",
        "b@example.com",
        "manual@example.com",
    ]));
    let unlisted = GroupSeed::new("Unlisted").external_id("unlisted");
    organization.seed_group(unlisted.members(["a@example.com"]));

    // None of the members is in `members`, and two ids are nobody's.
    let answer = signed.import_groups(json!([
        {"name": "Engineering", "externalId": "eng", "memberExternalIds": ["b", "c", "nobody"]},
        {"name": "Sales", "externalId": "sales", "memberExternalIds": ["a", "a", "unknown"]},
    ]));
    assert_eq!(answer.await.status, 200);
    let engineering = ["b@example.com", "c@example.com"];
    assert_eq!(signed.in_group("Engineering"), engineering);
    assert_eq!(signed.in_group("Sales"), ["a@example.com"]);
    assert_eq!(signed.in_group("Unlisted"), ["a@example.com"]);
    let withdrawn = |member: &str| Event::Withdrawn {
        group: "Engineering".to_owned(),
        member: member.to_owned(),
    };
    let losses = [withdrawn("a@example.com"), withdrawn("manual@example.com")];
    assert_eq!(organization.losses(), losses);
}

#[tokio::test]
async fn a_group_listed_twice_crashes_the_request() {
    let signed = cloud().await;
    let row = json!({"name": "Sales", "externalId": "sales", "memberExternalIds": []});
    assert_eq!(signed.import_groups(json!([row, row])).await.status, 500);
}

#[tokio::test]
async fn one_field_too_long_or_missing_refuses_the_whole_request_and_names_it() {
    let signed = cloud().await;
    let fine = json!({"email": "fine@example.com", "externalId": "fine"});
    let long_id = "x".repeat(301);
    let long_email = format!("{}@example.com", "x".repeat(245));
    for (row, field) in [
        (
            json!({"email": "a@example.com", "externalId": long_id}),
            "Members[1].ExternalId",
        ),
        (json!({"email": "a@example.com"}), "Members[1].ExternalId"),
        (
            json!({"email": long_email, "externalId": "1"}),
            "Members[1].Email",
        ),
        (
            json!({"email": "no address", "externalId": "1"}),
            "Members[1].Email",
        ),
        (
            json!({"email": "two@at@signs", "externalId": "1"}),
            "Members[1].Email",
        ),
        (json!({"externalId": "1"}), "Members[1].Email"),
        (
            json!({"email": "", "externalId": "1", "deleted": true}),
            "Members[1].Email",
        ),
    ] {
        let answer = signed.import_members(json!([fine, row])).await;
        assert_eq!(broken_fields(&answer), [field], "{row}");
    }
    for (row, field) in [
        (
            json!({"name": "x".repeat(101), "externalId": "g"}),
            "Groups[0].Name",
        ),
        (
            json!({"name": "g", "externalId": long_id}),
            "Groups[0].ExternalId",
        ),
    ] {
        let answer = signed.import_groups(json!([row])).await;
        assert_eq!(broken_fields(&answer), [field], "{row}");
    }
    let answer = signed
        .import(json!({"groups": [], "members": [fine]}))
        .await;
    assert_eq!(broken_fields(&answer), ["OverwriteExisting"]);
    assert_eq!(signed.emails(), ["owner@example.com"]);
}

#[tokio::test]
async fn fields_of_exactly_the_longest_length_pass_counted_in_utf_16() {
    let signed = cloud().await;
    let email = format!("{}@example.com", "x".repeat(244));
    let rows = json!([{"email": email, "externalId": "x".repeat(300)}]);
    assert_eq!(signed.import_members(rows).await.status, 200);
    let group = |name: String| json!([{"name": name, "externalId": "g", "memberExternalIds": []}]);
    assert_eq!(
        signed.import_groups(group("😀".repeat(50))).await.status,
        200
    );
    assert_eq!(
        signed.import_groups(group("😀".repeat(51))).await.status,
        400
    );
}

#[tokio::test]
async fn what_is_not_the_expected_json_is_a_400() {
    let signed = cloud().await;
    let answer =
        signed.import(json!({"groups": "none", "members": [], "overwriteExisting": false}));
    assert_eq!(broken_fields(&answer.await), ["$"]);
}

#[tokio::test]
async fn the_log_tells_what_an_import_was_about() {
    let signed = cloud().await;
    let rows = json!([{"externalId": "gone", "deleted": true}]);
    signed.import_members(rows.clone()).await;
    let requests = signed.organization.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].status, Some(200));
    assert!(requests[0].is_write());
    assert_eq!(requests[0].json()["members"], rows);
    let summary = requests[0].summary.as_deref().unwrap();
    assert_eq!(
        summary,
        "import of 0 groups and 1 members (1 of them deleted), overwriteExisting false"
    );
}
