//! A server that takes imports and can't be read.

use std::collections::HashMap;

use directory_sync::organization::model::Organization;
use directory_sync::problem::ProblemReason;
use directory_sync::sync::guard::{Approval, Guarded, HeldBecause, guard};
use directory_sync::sync::memberships::{Failed, Memory};
use directory_sync::sync::plan::{GroupAction, draft};
use directory_sync::sync::policy::{Departure, Limit, Policy};
use directory_sync::sync::resolve::resolve;
use directory_sync::testing::{TestDirectory, directory, id, policy};

use crate::{changes, problems};

fn plan(memory: &Memory, directory: &TestDirectory, policy: &Policy) -> Guarded {
    let roster = resolve(directory.read(), policy);
    let draft = draft(&roster, &Organization::WriteOnly, policy);
    assert!(memory.to_read(&draft, true).is_empty());
    guard(draft.complete(memory, &HashMap::new()), policy, None)
}

fn sync(memory: &mut Memory, directory: &TestDirectory, policy: &Policy) -> Guarded {
    let guarded = plan(memory, directory, policy);
    memory.record(&guarded, &Failed::default());
    guarded
}

fn company() -> TestDirectory {
    (0..8).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    })
}

#[test]
fn everything_is_sent_when_anything_changed_and_nothing_when_nothing_did() {
    let mut memory = Memory::default();
    let small = directory()
        .person("ann", "ann@example.com")
        .disabled("bob", "bob@example.com")
        .group("g", "Group", &["ann", "bob"]);
    let first = sync(&mut memory, &small, &policy());
    assert_eq!(
        changes(&first),
        ["Revoke bob", "Invite ann", "CreateGroup g"]
    );
    assert_eq!(changes(&sync(&mut memory, &small, &policy())), [""; 0]);
    assert_eq!(
        changes(&sync(&mut memory, &small.clone().reversed(), &policy())),
        [""; 0]
    );

    let renamed = small.clone().person("cid", "cid@example.com");
    assert_eq!(
        changes(&sync(&mut memory, &renamed, &policy())),
        ["Revoke bob", "Invite ann", "Invite cid", "CreateGroup g"]
    );
    memory.invalidate();
    assert_eq!(changes(&sync(&mut memory, &renamed, &policy())).len(), 4);
}

#[test]
fn nobody_is_revoked_whose_email_somebody_else_may_still_use() {
    let mut policy = policy();
    policy.users.exclude = vec![directory_sync::sync::policy::Glob::new("out@*")];
    let directory = directory()
        .disabled("a0", "ann@example.com")
        .person("a1", "ann@example.com")
        .disabled("t0", "twin@example.com")
        .person("t1", "twin@example.com")
        .person("t2", "twin@example.com")
        .disabled("b0", "bob@example.com")
        .disabled("b1", "bob@example.com")
        .disabled("c0", "");
    let run = sync(&mut Memory::default(), &directory, &policy);
    assert_eq!(changes(&run), ["Revoke b0", "Invite a1"]);
}

#[test]
fn only_new_revocations_count_and_wait() {
    let mut policy = policy();
    policy.offboarding.limit = Limit::Count(1);
    let mut memory = Memory::default();
    let one = company().disabled("x", "x@example.com");
    assert!(sync(&mut memory, &one, &policy).held.is_none());
    let two = one.disabled("y", "y@example.com");
    let run = sync(&mut memory, &two, &policy);
    assert!(run.held.is_none(), "one is new");
    assert_eq!(
        changes(&run),
        ["Revoke y"],
        "the people and groups are the same"
    );

    let four = two
        .disabled("v", "v@example.com")
        .disabled("w", "w@example.com");
    let four = four.person("new", "new@example.com");
    let run = sync(&mut memory, &four, &policy);
    assert_eq!(run.held.as_ref().unwrap().changes.len(), 2);
    assert_eq!(changes(&run)[..3], ["Revoke x", "Revoke y", "Invite new"]);
    let again = sync(&mut memory, &four, &policy);
    assert_eq!(
        again.held.as_ref().unwrap().changes.len(),
        2,
        "held until approved"
    );
    assert_eq!(changes(&again), [""; 0]);
    assert_eq!(again.digest, run.digest);
}

#[test]
fn what_failed_is_sent_again() {
    let mut memory = Memory::default();
    let directory = company().disabled("x", "x@example.com");
    let guarded = plan(&memory, &directory, &policy());
    memory.record(
        &guarded,
        &Failed {
            people: [id("x")].into(),
            ..Failed::default()
        },
    );
    assert_eq!(
        sync(&mut memory, &directory, &policy())
            .approved
            .changes
            .len(),
        9
    );
}

#[test]
fn a_repeated_revocation_that_failed_is_not_a_new_one() {
    let mut policy = policy();
    policy.offboarding.limit = Limit::Count(1);
    let mut memory = Memory::default();
    let mut directory = company();
    for id in ["x", "y"] {
        directory = directory.disabled(id, &format!("{id}@example.com"));
        sync(&mut memory, &directory, &policy);
    }
    directory = directory.person("new", "new@example.com");
    let guarded = plan(&memory, &directory, &policy);
    let people = [id("x"), id("y")].into();
    memory.record(
        &guarded,
        &Failed {
            people,
            ..Failed::default()
        },
    );
    let again = sync(&mut memory, &directory, &policy);
    assert!(again.held.is_none());
    assert_eq!(changes(&again)[..2], ["Revoke x", "Revoke y"]);
}

#[test]
fn what_was_sent_survives_a_restart() {
    let mut memory = Memory::default();
    let directory = company().disabled("x", "x@example.com");
    sync(&mut memory, &directory, &policy());
    let mut memory = Memory::from_bytes(&memory.to_bytes()).unwrap();
    assert_eq!(changes(&sync(&mut memory, &directory, &policy())), [""; 0]);
}

#[test]
fn what_the_server_cannot_do_is_told_and_left() {
    let mut policy = policy();
    policy.offboarding.absent = Departure::Remove;
    policy.offboarding.disabled = Departure::Remove;
    policy.groups.prune = true;
    policy.onboarding.invite = false;
    let directory = company()
        .deleted("gone", "gone@example.com")
        .group("g", "Group", &["p1"]);
    let run = sync(&mut Memory::default(), &directory, &policy);
    assert_eq!(changes(&run), ["CreateGroup g"]);
    assert_eq!(
        problems(&run),
        vec![(ProblemReason::Unsupported, vec![]); 4]
    );
}

#[test]
fn a_directory_that_names_no_one_empties_no_group() {
    let directory = directory().group("g", "Group", &[]);
    let run = sync(&mut Memory::default(), &directory, &policy());
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(problems(&run), [(ProblemReason::EmptyDirectory, vec![])]);
}

/// Whom `group` is sent with, where it is.
fn row(guarded: &Guarded, group: &str) -> Option<Vec<String>> {
    let mut rows = guarded.approved.changes.iter();
    rows.find(|change| change.external_id().as_str() == group)
        .and_then(|change| match change.group()? {
            GroupAction::Create { add } => Some(add.clone()),
            GroupAction::Update(update) => Some([&update.keep[..], &update.add[..]].concat()),
            _ => None,
        })
        .map(|ids| {
            let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            ids.sort();
            ids
        })
}

#[test]
fn a_group_list_that_shrinks_past_the_limit_waits_although_nobody_can_look_into_the_group() {
    let mut policy = policy();
    policy.offboarding.limit = Limit::Count(2);
    let everyone = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
    let mut memory = Memory::default();
    sync(
        &mut memory,
        &company().group("g", "Group", &everyone),
        &policy,
    );

    // A process that starts anew knows it still.
    let mut memory = Memory::from_bytes(&memory.to_bytes()).unwrap();
    let shrunken =
        company()
            .person("p8", "p8@example.com")
            .group("g", "Group", &["p0", "p1", "p8"]);
    let held = sync(&mut memory, &shrunken, &policy);
    let why = held
        .held
        .as_ref()
        .expect("five people would leave the group")
        .why;
    assert!(
        matches!(why, HeldBecause::OverLimit { members: 6, .. }),
        "{why:?}"
    );
    let all = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"];
    assert_eq!(
        row(&held, "g").unwrap(),
        all,
        "who is new comes in, nobody goes"
    );

    // It goes on waiting, without being sent again, until exactly this is approved.
    let again = sync(&mut memory, &shrunken, &policy);
    assert_eq!(
        (changes(&again), again.digest.clone()),
        (vec![], held.digest)
    );
    let roster = resolve(shrunken.read(), &policy);
    let plan = draft(&roster, &Organization::WriteOnly, &policy);
    let approval = Approval {
        digest: again.digest,
        earlier: None,
    };
    let approved = guard(
        plan.complete(&memory, &HashMap::new()),
        &policy,
        Some(&approval),
    );
    assert_eq!(row(&approved, "g").unwrap(), ["p0", "p1", "p8"]);
    memory.record(&approved, &Failed::default());
    let last = sync(&mut memory, &shrunken, &policy);
    assert!(last.held.is_none() && last.approved.changes.is_empty());
}

#[test]
fn a_few_who_leave_a_group_leave_it_and_a_row_that_may_not_have_come_through_is_doubted() {
    let mut policy = policy();
    policy.offboarding.limit = Limit::Count(2);
    let mut memory = Memory::default();
    sync(
        &mut memory,
        &company().group("g", "Group", &["p0", "p1", "p2", "p3"]),
        &policy,
    );
    let smaller = company().group("g", "Group", &["p0", "p1"]);
    let two = plan(&memory, &smaller, &policy);
    assert!(two.held.is_none());
    assert_eq!(row(&two, "g").unwrap(), ["p0", "p1"]);

    let failed = Failed {
        groups: [id("g")].into(),
        ..Failed::default()
    };
    memory.record(&two, &failed);
    let next = plan(&memory, &company().group("g", "Group", &["p0"]), &policy);
    assert!(next.held.is_some(), "p1, p2 and p3 may still be in it");
}
