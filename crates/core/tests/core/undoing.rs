//! What takes a run back, from its records and the organization as it is now.

use std::collections::HashMap;

use directory_sync_core::directory::{Email, ExternalId};
use directory_sync_core::organization::model::{Content, Group, Member, MemberRole, MemberStatus};
use directory_sync_core::organization::role::Permissions;
use directory_sync_core::sync::history::Record;
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::plan::Kind;
use directory_sync_core::sync::undo::{RunChoice, Scope, Sides, draft, select};
use directory_sync_core_testing::policy;
use uuid::Uuid;

#[test]
fn whoever_became_an_owner_keeps_the_external_id_that_a_run_gave_them() {
    let record: Record = serde_json::from_value(serde_json::json!({
        "time": "2026-11-29T12:00:00Z", "run": "3f1c9a0b62", "number": 0,
        "trigger": "Scheduled", "action": "Relink", "reason": "NewExternalId", "from": "dn",
        "person": {
            "email": "ann@example.com", "externalId": "uuid1", "memberId": Uuid::from_u128(1).to_string(),
        },
        "result": "Done",
    }))
    .unwrap();
    let taken_back = |role, choice| {
        let selected = select(
            std::slice::from_ref(&record),
            &choice,
            &Scope::default(),
            None,
        )
        .unwrap();
        let member = Member {
            id: Uuid::from_u128(1),
            external_id: ExternalId::of_member("uuid1"),
            email: Email::of_member("ann@example.com"),
            status: MemberStatus::Confirmed,
            role,
            permissions: Permissions::default(),
        };
        let content = Content {
            members: vec![member],
            ..Content::default()
        };
        let sides = Sides {
            content: &content,
            memberships: &HashMap::new(),
            collections: &HashMap::new(),
            ledger: &Ledger::begin(jiff::Timestamp::UNIX_EPOCH),
            policy: &policy(),
        };
        let undo = draft(&selected, &sides);
        let left: Vec<String> = undo.left.into_iter().map(|one| one.why).collect();
        (undo.plan.changes.len(), left)
    };
    for choice in [RunChoice::Last, RunChoice::Adoption] {
        assert_eq!(taken_back(MemberRole::USER, choice.clone()), (1, vec![]));
        let why = "is an owner, who is never changed".to_owned();
        assert_eq!(taken_back(MemberRole::Owner, choice), (0, vec![why]));
    }
}

/// A record of run `run` at this second.
pub fn record(second: u32, run: &str, more: serde_json::Value) -> Record {
    let mut json = serde_json::json!({
        "time": format!("2026-11-29T12:00:{second:02}Z"), "run": run, "number": second,
        "trigger": "Scheduled", "reason": "SameEmail", "result": "Done",
    });
    let more = more.as_object().unwrap().clone();
    json.as_object_mut().unwrap().extend(more);
    serde_json::from_value(json).unwrap()
}

pub fn ann() -> Member {
    Member {
        id: Uuid::from_u128(1),
        external_id: ExternalId::of_member("a"),
        email: Email::of_member("ann@example.com"),
        status: MemberStatus::Confirmed,
        role: MemberRole::USER,
        permissions: Permissions::default(),
    }
}

/// What takes back the run `first`, and what stays.
fn take_back(
    records: &[Record],
    content: &Content,
    memberships: &HashMap<Uuid, Vec<Uuid>>,
) -> (Vec<Kind>, Vec<String>) {
    let choice = RunChoice::Id("first".to_owned());
    let selected = select(records, &choice, &Scope::default(), None).unwrap();
    let sides = Sides {
        content,
        memberships,
        collections: &HashMap::new(),
        ledger: &Ledger::begin(jiff::Timestamp::UNIX_EPOCH),
        policy: &policy(),
    };
    let undo = draft(&selected, &sides);
    let kinds = undo.plan.changes.iter().map(|change| change.kind());
    (
        kinds.collect(),
        undo.left.into_iter().map(|one| one.why).collect(),
    )
}

#[test]
fn whoever_was_linked_and_revoked_since_keeps_the_id_by_which_they_are_revoked() {
    let person = serde_json::json!({
        "email": "ann@example.com", "externalId": "a", "memberId": Uuid::from_u128(1).to_string(),
    });
    let link = record(
        1,
        "first",
        serde_json::json!({"action": "Link", "person": person}),
    );
    let revoke = record(
        2,
        "later",
        serde_json::json!({"action": "Revoke", "person": person}),
    );
    let content = Content {
        members: vec![ann()],
        ..Content::default()
    };
    let alone = take_back(std::slice::from_ref(&link), &content, &HashMap::new());
    assert_eq!(alone, (vec![Kind::Unlink], vec![]));
    let (changes, left) = take_back(&[link, revoke], &content, &HashMap::new());
    assert_eq!(changes, []);
    assert!(left[0].contains("later has revoked them since"), "{left:?}");
}

#[test]
fn a_group_without_an_id_is_named_where_somebody_is_to_leave_it() {
    let staff = |id: Option<&str>| Group {
        id: Uuid::from_u128(2),
        external_id: id.and_then(ExternalId::of_member),
        name: "Staff".into(),
        collections: None,
    };
    let update = record(
        1,
        "first",
        serde_json::json!({
            "action": "UpdateGroup",
            "group": {"name": "Staff", "externalId": "g", "groupId": Uuid::from_u128(2).to_string()},
            "added": [{
                "email": "ann@example.com", "externalId": "a", "memberId": Uuid::from_u128(1).to_string(),
            }],
        }),
    );
    let inside = HashMap::from([(Uuid::from_u128(2), vec![Uuid::from_u128(1)])]);
    let of = |id| {
        let content = Content {
            members: vec![ann()],
            groups: vec![staff(id)],
            ..Content::default()
        };
        take_back(std::slice::from_ref(&update), &content, &inside)
    };
    assert_eq!(of(Some("g")), (vec![Kind::UpdateGroup], vec![]));
    // An undo of which a part was held took it out.
    let (changes, left) = of(None);
    assert_eq!(changes, []);
    assert!(left[0].contains("has no external id any more"), "{left:?}");
}

/// What the way back does, and whom or what it leaves.
fn way_back(records: &[Record], content: &Content) -> (Vec<Kind>, Vec<String>) {
    let selected = select(records, &RunChoice::Adoption, &Scope::default(), None).unwrap();
    let sides = Sides {
        content,
        memberships: &HashMap::new(),
        collections: &HashMap::new(),
        ledger: &Ledger::begin(jiff::Timestamp::UNIX_EPOCH),
        policy: &policy(),
    };
    let undo = draft(&selected, &sides);
    let kinds = undo.plan.changes.iter().map(|change| change.kind());
    (
        kinds.collect(),
        undo.left.into_iter().map(|one| one.what).collect(),
    )
}

fn link() -> Record {
    let person = serde_json::json!({
        "email": "bob@example.com", "externalId": "b", "memberId": Uuid::from_u128(7).to_string(),
    });
    record(
        1,
        "first",
        serde_json::json!({"action": "Link", "person": person}),
    )
}

#[test]
fn whoever_was_invited_twice_under_one_id_is_unlinked_and_named_once() {
    let invite = |second: u32, run: &str, email: &str| {
        let person = serde_json::json!({"email": email, "externalId": "a"});
        record(
            second,
            run,
            serde_json::json!({"action": "Invite", "person": person}),
        )
    };
    let records = [
        link(),
        invite(2, "first", "ann.old@example.com"),
        invite(3, "later", "ann@example.com"),
    ];
    let mut content = Content {
        members: vec![ann()],
        ..Content::default()
    };
    assert_eq!(way_back(&records, &content), (vec![Kind::Unlink], vec![]));
    content.members[0].role = MemberRole::Owner;
    let (changes, left) = way_back(&records, &content);
    assert_eq!((changes, left.len()), (vec![], 1), "{left:?}");
}

#[test]
fn a_complete_way_back_does_nothing_more_and_names_the_group_that_a_sync_made() {
    let mut unlink = link();
    unlink.time = "2026-11-29T12:00:05Z".parse().unwrap();
    unlink.action = Kind::Unlink;
    unlink.undoes = Some(unlink.run.clone());
    let made = record(
        2,
        "first",
        serde_json::json!({
            "action": "CreateGroup",
            "group": {"name": "Staff", "externalId": "g", "groupId": Uuid::from_u128(2).to_string()},
        }),
    );
    let staff = Group {
        id: Uuid::from_u128(2),
        external_id: ExternalId::of_member("g"),
        name: "Staff".into(),
        collections: None,
    };
    let bob = Member {
        id: Uuid::from_u128(7),
        external_id: None,
        email: Email::of_member("bob@example.com"),
        ..ann()
    };
    let content = Content {
        members: vec![bob],
        groups: vec![staff],
        ..Content::default()
    };
    let (changes, left) = way_back(&[link(), made, unlink], &content);
    assert_eq!((changes, left), (vec![], vec!["Staff".to_owned()]));
}
