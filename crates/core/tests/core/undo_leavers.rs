//! Whom the directory names while an undo is made: they get nothing back, under whichever of their ids.

use std::collections::{HashMap, HashSet};

use directory_sync_core::directory::{Email, ExternalId};
use directory_sync_core::organization::model::{Content, Group, Member, MemberStatus};
use directory_sync_core::sync::history::Record;
use directory_sync_core::sync::identities::People;
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::plan::{GroupAction, Kind, Plan};
use directory_sync_core::sync::undo::{RunChoice, Scope, Sides, draft, select};
use directory_sync_core_testing::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::undoing::{ann, record};

/// Members by their numbers: Ann is the first.
fn member(number: u128, external_id: Option<&str>, status: MemberStatus) -> Member {
    let email = match number {
        1 => "ann@example.com".to_owned(),
        number => format!("p{number}@example.com"),
    };
    Member {
        id: Uuid::from_u128(number),
        external_id: external_id.and_then(ExternalId::of_member),
        email: Email::of_member(&email),
        status,
        ..ann()
    }
}

fn person(external_id: &str, number: Option<u128>, email: &str) -> Value {
    let member = number.map(|number| Uuid::from_u128(number).to_string());
    let external_id = Some(external_id).filter(|id| !id.is_empty());
    json!({"email": email, "externalId": external_id, "memberId": member})
}

fn group(name: &str, number: u128) -> Value {
    json!({"name": name, "externalId": name, "groupId": Uuid::from_u128(number).to_string()})
}

/// The plan that takes back the run `first`. In the group `Team` is whoever `memberships` has.
fn undo(records: &[Record], content: &Content, in_team: &[u128]) -> Plan {
    let choice = RunChoice::Id("first".to_owned());
    let selected = select(records, &choice, &Scope::default(), None).unwrap();
    let inside = in_team.iter().map(|number| Uuid::from_u128(*number));
    let undo = draft(
        &selected,
        &Sides {
            content,
            memberships: &HashMap::from([(Uuid::from_u128(100), inside.collect())]),
            collections: &HashMap::new(),
            ledger: &Ledger::begin(jiff::Timestamp::UNIX_EPOCH),
            policy: &policy(),
        },
    );
    undo.plan
}

/// Who seems to have left, by the id in the directory.
fn told(external_id: &str) -> People {
    People::of(&HashSet::new(), &HashSet::from([id(external_id)]))
}

fn kinds(plan: &Plan) -> Vec<Kind> {
    plan.changes.iter().map(|change| change.kind()).collect()
}

fn team() -> Group {
    Group {
        id: Uuid::from_u128(100),
        external_id: ExternalId::of_member("Team"),
        name: "Team".into(),
        collections: None,
    }
}

/// A run that gave Ann another id than her DN and revoked her. `Team` lost these people, and `Old` was deleted, in
/// which she was with others whom nobody manages.
fn records(left_team: &[Value]) -> Vec<Record> {
    let ann = person("uuid", Some(1), "ann@example.com");
    vec![
        record(
            1,
            "first",
            json!({"action": "Relink", "person": ann, "from": "dn"}),
        ),
        record(2, "first", json!({"action": "Revoke", "person": ann})),
        record(
            3,
            "first",
            json!({"action": "UpdateGroup", "group": group("Team", 100), "removed": left_team}),
        ),
        record(
            4,
            "first",
            json!({
                "action": "DeleteGroup", "group": group("Old", 101), "collections": [],
                "removed": [ann, person("", Some(8), ""), person("", Some(9), "")],
            }),
        ),
    ]
}

/// Ann was revoked under `external_id`; two members have none.
fn content(external_id: &str) -> Content {
    Content {
        members: vec![
            member(1, Some(external_id), MemberStatus::Revoked),
            member(2, Some("p2"), MemberStatus::Confirmed),
            member(8, None, MemberStatus::Confirmed),
            member(9, None, MemberStatus::Confirmed),
        ],
        groups: vec![team()],
        ..Content::default()
    }
}

#[test]
fn whoever_left_gets_nothing_back_under_a_former_id_either() {
    let content = content("uuid");
    let (ann, other) = (
        person("uuid", Some(1), "ann@example.com"),
        person("p2", Some(2), "p2@example.com"),
    );
    let records = records(&[ann, other]);
    let all = [
        Kind::Relink,
        Kind::Restore,
        Kind::CreateGroup,
        Kind::UpdateGroup,
    ];
    // The directory tells of either id, while the undo gives the former one back.
    for whom in ["uuid", "dn"] {
        let mut plan = undo(&records, &content, &[]);
        assert_eq!(kinds(&plan), all);
        let people = told(whom).known_to(&content, &plan, &[]);
        assert_eq!(
            plan.give_nothing_to(&people),
            ["ann@example.com".into()],
            "{whom}"
        );
        assert_eq!(
            kinds(&plan),
            [Kind::CreateGroup, Kind::UpdateGroup],
            "{whom}"
        );
        let added = plan.changes.iter().map(|one| one.group().unwrap().added());
        assert_eq!(
            added.collect::<Vec<_>>(),
            [Some(&[][..]), Some(&[id("p2")][..])],
            "{whom}"
        );
    }
    let mut plan = undo(&records, &content, &[]);
    let people = told("p3").known_to(&content, &plan, &records);
    assert!(plan.give_nothing_to(&people).is_empty());
    assert_eq!(kinds(&plan), all, "somebody else");
}

#[test]
fn whoever_keeps_an_id_by_that_stays_in_their_groups_under_it() {
    let content = content("uuid");
    let records = records(&[person("p2", Some(2), "p2@example.com")]);
    let mut plan = undo(&records, &content, &[1]);
    let people = told("uuid").known_to(&content, &plan, &[]);
    plan.give_nothing_to(&people);
    let Some(GroupAction::Update(update)) = plan.changes.last().unwrap().group() else {
        panic!("{:?}", plan.changes);
    };
    assert_eq!(update.keep, [id("uuid")]);
}

#[test]
fn whoever_was_only_to_come_into_a_group_is_named_too_and_the_rest_goes_ahead() {
    // Ann has the id of her entry again, and is in no change of her own.
    let content = content("uuid");
    let ann = person("uuid", Some(1), "ann@example.com");
    let records = records(&[ann]).split_off(2);
    let mut plan = undo(&records, &content, &[]);
    assert_eq!(kinds(&plan), [Kind::CreateGroup, Kind::UpdateGroup]);
    let people = told("uuid").known_to(&content, &plan, &[]);
    assert_eq!(plan.give_nothing_to(&people), ["ann@example.com".into()]);
    assert_eq!(kinds(&plan), [Kind::CreateGroup], "Team would get nobody");
    // A member whom nobody manages, of whom the history says who they were.
    let former = person("p8", Some(8), "");
    let earlier = record(0, "earlier", json!({"action": "Unlink", "person": former}));
    let people = told("p8").known_to(&content, &plan, &[earlier]);
    plan.give_nothing_to(&people);
    let again = &plan.undoes.unwrap().made_again[&id("Old")];
    assert_eq!(again.members, [Uuid::from_u128(9)]);
}

#[test]
fn the_history_tells_whose_former_id_somebody_has() {
    let content = content("dn");
    let restore = || {
        let revoke =
            json!({"action": "Revoke", "person": person("dn", Some(1), "ann@example.com")});
        undo(&[record(1, "first", revoke)], &content, &[])
    };
    assert_eq!(kinds(&restore()), [Kind::Restore]);
    let elsewhere = "ann@example.net";
    let relinked =
        json!({"action": "Relink", "from": "dn", "person": person("uuid", None, elsewhere)});
    // Removed, and invited under another id at the same address; or at another one after this.
    let invited = json!({"action": "Invite", "person": person("uuid", None, "Ann@example.com")});
    let moved = json!({
        "action": "Invite", "from": "Ann@example.com", "person": person("uuid", None, elsewhere),
    });
    let joined = json!({
        "action": "UpdateGroup", "group": group("Team", 100), "added": [person("uuid", Some(1), elsewhere)],
    });
    let left = json!({
        "action": "UpdateGroup", "group": group("Team", 100),
        "removed": [person("uuid", Some(1), elsewhere)],
    });
    for known in [relinked, invited, moved, joined, left] {
        let records = [record(2, "later", known.clone())];
        for (whom, is_ann) in [("uuid", true), ("dn", true), ("other", false)] {
            let mut plan = restore();
            let people = told(whom).known_to(&content, &plan, &records);
            let left = plan.give_nothing_to(&people);
            assert_eq!(left.len(), usize::from(is_ann), "{whom}: {known}");
            assert_eq!(plan.changes.is_empty(), is_ann, "{whom}: {known}");
        }
    }
    let mut plan = restore();
    let people = told("uuid").known_to(&content, &plan, &[]);
    assert!(plan.give_nothing_to(&people).is_empty(), "nothing tells");
}

#[test]
fn several_steps_lead_from_one_id_to_another() {
    let content = content("first-id");
    let step = |second, from: &str, to: &str| {
        let ann = person(to, None, "ann@example.net");
        record(
            second,
            "later",
            json!({"action": "Relink", "from": from, "person": ann}),
        )
    };
    let mut one = step(3, "third-id", "fourth-id");
    let whom = one.person.as_mut().unwrap();
    whom.email = None;
    let records = [
        one,
        step(2, "second-id", "third-id"),
        step(1, "first-id", "second-id"),
    ];
    let people = told("fourth-id").known_to(&content, &Plan::default(), &records);
    assert!(people.has_member(Uuid::from_u128(1)));
    assert!(!people.has_member(Uuid::from_u128(2)));
}

#[test]
fn addresses_that_are_not_shown_make_nobody_one_person() {
    let mut content = content("uuid");
    for member in &mut content.members {
        member.email = Email::withheld();
    }
    let people = told("uuid").known_to(&content, &Plan::default(), &[]);
    assert!(people.has_member(Uuid::from_u128(1)));
    assert!(!people.has_id(&id("p2")));
}

#[test]
fn what_a_later_run_did_to_somebody_under_another_id_stands() {
    let content = Content {
        members: vec![member(1, Some("uuid"), MemberStatus::Confirmed)],
        ..Content::default()
    };
    let one = |second, run: &str, action: &str, id: &str| {
        let ann = person(id, Some(1), "ann@example.com");
        record(second, run, json!({"action": action, "person": ann}))
    };
    let records = [
        one(1, "first", "Restore", "dn"),
        one(3, "third", "Restore", "uuid"),
        one(2, "second", "Revoke", "uuid"),
    ];
    let left = |records: &[Record]| kinds(&undo(records, &content, &[]));
    assert_eq!(left(&records), [], "undo the third run first");
    assert_eq!(left(&records[..1]), [Kind::Revoke]);
}
