//! Losses that another copy of the ledger, another tool or a person caused.

use std::collections::HashMap;

use directory_sync_core::sync::guard::{GuardedPlan, HeldBecause, guard};
use directory_sync_core::sync::history::Record;
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::memberships::FailedChanges;
use directory_sync_core::sync::plan::Kind;
use directory_sync_core::sync::policy::{Limit, OffboardingAction, Policy};
use directory_sync_core::sync::undo::{RunChoice, Scope, Sides, draft, select};
use directory_sync_core_testing::{ModelOrganization, Run, TestDirectory};
use jiff::Timestamp;
use serde_json::json;

use crate::guard::{hours, limited, members, people};
use crate::unlimited;

const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A run that found everything in sync, and with an attached copy of its ledger.
fn in_sync(organization: &mut ModelOrganization) -> (Run, Ledger) {
    let mut run = Run {
        ledger: Ledger::begin(NOON - hours(48)),
        now: NOON - hours(47),
        ..Run::default()
    };
    let all = people(0..organization.content.members.len());
    run.sync(&all, organization, &limited(Limit::Percent(10.0)));
    run.now = NOON;
    run.sync(&all, organization, &limited(Limit::Percent(10.0)));
    let copy = run.ledger.clone();
    (run, copy)
}

fn left(organization: &ModelOrganization) -> usize {
    organization.content.members.len()
}

#[test]
fn copies_of_a_ledger_have_one_budget() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let (mut run, copy) = in_sync(&mut organization);
    run.now += hours(1);
    run.sync(&people(6..60), &mut organization, &policy);
    assert_eq!(left(&organization), 54);

    // Another machine, and whoever restores a backup of everything.
    let bytes = copy.to_bytes();
    for _ in 0..3 {
        let now = run.now + hours(1);
        let mut other = Run {
            ledger: Ledger::load(Some(&bytes), Some(&*copy.digest()), now),
            now,
            ..Run::default()
        };
        assert!(!other.ledger.is_careful());
        let held = other.sync(&people(7..60), &mut organization, &policy).held;
        let why = held.unwrap().why;
        assert!(
            matches!(
                why[0],
                HeldBecause::Absent {
                    members: 1,
                    earlier: 6,
                    limit: 5
                }
            ),
            "{why:?}"
        );
        assert_eq!(left(&organization), 54);
        // It is remembered, and forgotten a day later.
        other.now += hours(23);
        let again = other.plan(&people(7..60), &organization, &policy);
        assert!(again.held.is_some());
        other.now += hours(2);
        let again = other.plan(&people(7..60), &organization, &policy);
        assert!(again.held.is_none());
    }
}

#[test]
fn newcomers_of_one_copy_hide_no_losses_from_another() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let (mut run, copy) = in_sync(&mut organization);
    run.now += hours(1);
    run.sync(&people(6..66), &mut organization, &policy);
    assert_eq!(left(&organization), 60, "six left and six came");
    let mut other = Run {
        ledger: copy,
        now: run.now,
        ..Run::default()
    };
    other.sync(&people(12..66), &mut organization, &policy);
    assert_eq!(left(&organization), 60);
}

#[test]
fn whoever_comes_in_by_one_copy_hides_no_losses_from_another() {
    let policy = limited(Limit::Percent(10.0));
    let hand = |n: usize| format!("h{n}@example.com");
    let company = || (0..10).fold(members(60), |all, n| all.stranger(&hand(n)));
    let with_them = |from: usize| {
        (0..10).fold(people(from..60), |all, n| {
            all.person(&format!("h{n}"), &hand(n))
        })
    };
    // One copy links ten who were there before, or invites ten, who accept.
    let linked = |run: &mut Run| {
        let mut organization = company();
        run.sync(&with_them(6), &mut organization, &policy);
        (organization, with_them(7))
    };
    let invited = |run: &mut Run| {
        let mut organization = members(60);
        run.sync(&people(6..70), &mut organization, &policy);
        organization.accept_all();
        (organization, people(7..70))
    };
    type Comes<'a> = &'a dyn Fn(&mut Run) -> (ModelOrganization, TestDirectory);
    for comes in [&linked as Comes<'_>, &invited] {
        let mut before = members(60);
        let (mut run, copy) = in_sync(&mut before);
        run.now += hours(1);
        let (mut organization, next) = comes(&mut run);
        let were = left(&organization);
        let mut other = Run {
            ledger: copy,
            now: run.now + hours(1),
            ..Run::default()
        };
        let why = other.sync(&next, &mut organization, &policy).held;
        let why = why.expect("six are gone, and five may go").why;
        assert!(
            matches!(why[..], [HeldBecause::Absent { earlier: 6, .. }]),
            "{why:?}"
        );
        assert_eq!(left(&organization), were);
    }
}

#[test]
fn what_is_taken_away_by_hand_counts_and_delays_no_dismissal() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let (mut run, _) = in_sync(&mut organization);
    for number in 0..6 {
        organization.drop_member(&format!("p{number}@example.com"));
    }
    let next = people(8..60).disabled("p6", "p6@example.com");
    let guarded = run.sync(&next, &mut organization, &policy);
    assert!(guarded.held.is_some(), "p7 is absent");
    assert!(crate::changes(&guarded).contains(&"Revoke p6".to_owned()));
    assert_eq!(left(&organization), 54);
}

#[test]
fn what_its_own_runs_did_counts_once() {
    let policy = limited(Limit::Percent(10.0));
    let mut organization = members(60);
    let (mut run, _) = in_sync(&mut organization);
    // Three leave, and two come in the same run; then the other three.
    let next = people((3..60).chain([70, 71]));
    assert!(run.sync(&next, &mut organization, &policy).held.is_none());
    let ledger = run.ledger.to_bytes();
    assert!(run.sync(&next, &mut organization, &policy).held.is_none());
    assert_eq!(run.ledger.to_bytes(), ledger, "nothing new is to be kept");
    let next = people((5..60).chain([70, 71]));
    assert!(run.sync(&next, &mut organization, &policy).held.is_none());
    // One that was stopped before it did anything: what it planned isn't counted twice.
    let last = people((6..60).chain([70, 71]));
    let planned = run.plan(&last, &organization, &policy);
    assert!(planned.held.is_none());
    run.ledger.before(&planned, run.now);
    assert!(run.sync(&last, &mut organization, &policy).held.is_none());
    assert_eq!(left(&organization), 56);
}

#[test]
fn removals_of_whom_was_revoked_before_hide_no_losses() {
    let mut organization = (0..5).fold(members(60), |organization, n| {
        organization.revoked(&format!("r{n}"), &format!("r{n}@example.com"))
    });
    let disabled = (0..5).fold(people(0..60), |all, n| {
        all.disabled(&format!("r{n}"), &format!("r{n}@example.com"))
    });
    let mut run = Run {
        ledger: Ledger::begin(NOON - hours(48)),
        now: NOON - hours(47),
        ..Run::default()
    };
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    run.sync(&disabled, &mut organization, &policy);
    run.now = NOON;
    let removed = run.sync(&people(0..60), &mut organization, &policy);
    assert_eq!(crate::changes(&removed).len(), 5);
    for number in 0..5 {
        organization.drop_member(&format!("p{number}@example.com"));
    }
    let plan = run.plan(&people(6..60), &organization, &limited(Limit::Count(1)));
    let why = plan.held.expect("more than one").why;
    assert!(
        matches!(why[..], [HeldBecause::Absent { earlier: 10, .. }]),
        "{why:?}"
    );
}

/// An organization with five members who aren't ours, and a run two days ago, which knows nothing yet.
fn with_five_strangers() -> (Run, ModelOrganization) {
    let organization = (0..5).fold(members(60), |organization, n| {
        organization.stranger(&format!("s{n}@example.com"))
    });
    let run = Run {
        ledger: Ledger::begin(NOON - hours(48)),
        now: NOON - hours(47),
        ..Run::default()
    };
    (run, organization)
}

/// These people, and the five.
fn and_the_five(people: TestDirectory) -> TestDirectory {
    (0..5).fold(people, |all, n| {
        all.person(&format!("s{n}"), &format!("s{n}@example.com"))
    })
}

#[test]
fn whom_a_run_links_hide_no_losses() {
    let (mut run, mut organization) = with_five_strangers();
    let all = and_the_five(people(0..60));
    run.sync(&people(0..60), &mut organization, &unlimited());
    run.now = NOON;
    let linked = run.sync(&all, &mut organization, &unlimited());
    assert_eq!(crate::changes(&linked).len(), 5);
    for number in 0..5 {
        organization.drop_member(&format!("p{number}@example.com"));
    }
    let next = and_the_five(people(6..60));
    let plan = run.plan(&next, &organization, &limited(Limit::Count(1)));
    let why = plan.held.expect("more than one").why;
    assert!(
        matches!(why[..], [HeldBecause::Absent { earlier: 5, .. }]),
        "{why:?}"
    );
}

/// Takes back the run `first`, of which these are the records, as far as limits let it.
pub fn take_back(
    run: &mut Run,
    organization: &mut ModelOrganization,
    records: &[Record],
    policy: &Policy,
) -> GuardedPlan {
    let choice = RunChoice::Id("first".to_owned());
    let selected = select(records, &choice, &Scope::default(), None).unwrap();
    let sides = Sides {
        content: &organization.content,
        memberships: &HashMap::new(),
        collections: &HashMap::new(),
        ledger: &run.ledger,
        policy,
    };
    let undo = draft(&selected, &sides);
    let undo = guard(undo.plan, policy, &run.ledger, run.now, None);
    run.ledger.before(&undo, run.now);
    organization.apply(&undo.approved);
    run.ledger.after(&undo, &FailedChanges::default());
    undo
}

#[test]
fn whose_id_an_undo_took_out_isnt_lost() {
    let (mut run, mut organization) = with_five_strangers();
    run.sync(
        &and_the_five(people(0..60)),
        &mut organization,
        &unlimited(),
    );
    run.now = NOON;
    let policy = limited(Limit::Count(1));
    let records: Vec<Record> = (0..5)
        .map(|number| {
            let email = format!("s{number}@example.com");
            let member = organization.by_email(&email).id.to_string();
            let person =
                json!({"email": email, "externalId": format!("s{number}"), "memberId": member});
            let json = json!({
                "time": "2026-11-29T12:00:00Z", "run": "first", "number": number, "trigger": "Command",
                "action": "Link", "reason": "SameEmail", "person": person, "result": "Done",
            });
            serde_json::from_value(json).unwrap()
        })
        .collect();
    let undo = take_back(&mut run, &mut organization, &records, &policy);
    assert_eq!(undo.approved.counts_by_kind(), [(Kind::Unlink, 5)]);

    // The one who leaves goes at once: nobody else has lost anything within the day.
    run.now += hours(1);
    let next = and_the_five(people(1..60));
    let next = run.sync(&next, &mut organization, &policy);
    assert_eq!(next.approved.changes.len(), 1);
    let why = next.held.expect("the five links").why;
    assert!(
        matches!(why[..], [HeldBecause::Undone { changes: 5 }]),
        "{why:?}"
    );
}

#[test]
fn what_another_copy_took_out_of_groups_is_not_seen() {
    let mut policy = limited(Limit::Percent(10.0));
    policy.groups.limit = Limit::Count(3);
    let mut organization = members(60);
    let (mut run, copy) = in_sync(&mut organization);
    let all = |from: usize| {
        let everybody = (0..60).map(|n| format!("p{n}"));
        let directory = everybody.fold(directory_sync_core_testing::directory(), |all, own| {
            all.person(&own, &format!("{own}@example.com"))
        });
        let ids: Vec<String> = (from..60).map(|n| format!("p{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        directory.group("g", "Group", &ids)
    };
    run.now += hours(1);
    assert!(run.sync(&all(3), &mut organization, &policy).held.is_none());
    let mut other = Run {
        ledger: copy,
        now: run.now + hours(1),
        ..Run::default()
    };
    let more = other.sync(&all(6), &mut organization, &policy);
    assert!(more.held.is_none(), "so give both one state folder");
    let known = run.plan(&all(7), &organization, &policy);
    assert!(known.held.is_some(), "its own runs count");
}
