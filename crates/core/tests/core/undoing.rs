//! What takes a run back, from its records and the organization as it is now.

use std::collections::HashMap;

use directory_sync_core::directory::{Email, ExternalId};
use directory_sync_core::organization::model::{Content, Member, MemberRole, MemberStatus};
use directory_sync_core::organization::role::Permissions;
use directory_sync_core::sync::history::Record;
use directory_sync_core::sync::ledger::Ledger;
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
