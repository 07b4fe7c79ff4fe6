//! Members on their way in: how many there are, who waits for too long, whose invitation is sent again or
//! withdrawn.

use std::collections::HashSet;

use directory_sync_core::directory::ReadNow;
use directory_sync_core::organization::model::{MemberRole, MemberStatus};
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::change_set::ChangeSet;
use directory_sync_core::sync::guard::GuardedPlan;
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::memberships::FailedChanges;
use directory_sync_core::sync::plan::{Kind, OnboardingCounts};
use directory_sync_core::sync::policy::{Limit, OffboardingAction, Policy, Reinvite, Restore};
use directory_sync_core::sync::render::{self, Order, PlanDocument, Sides, TableOptions};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use crate::render::PIPE;
use crate::{changes, problems, unlimited};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// So many hours after the first run.
fn hour(number: i32) -> Timestamp {
    Timestamp::UNIX_EPOCH + HOUR * (24 * 20_000 + number)
}

/// Ann and Bob are to be invited.
fn company() -> (TestDirectory, ModelOrganization) {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("old", "old@example.com");
    let organization = organization()
        .owner("owner@example.com")
        .member("old", "old@example.com");
    (directory, organization)
}

fn begin() -> Run {
    Run {
        now: hour(0),
        ..Run::default()
    }
}

/// Runs every other day until this hour: so the clock hasn't jumped.
fn pass_until(run: &mut Run, number: i32) {
    while run.now < hour(number) {
        run.now = hour(number).min(run.now + HOUR * 48);
        run.ledger.keep_for("organization", run.now);
    }
}

/// What a run at this hour counts.
fn counts(
    run: &mut Run,
    number: i32,
    (directory, organization): (&TestDirectory, &mut ModelOrganization),
) -> OnboardingCounts {
    pass_until(run, number);
    let guarded = run.sync(directory, organization, &unlimited());
    guarded.approved.counts.onboarding
}

fn overdue(
    run: &mut Run,
    directory: &TestDirectory,
    organization: &ModelOrganization,
) -> Vec<String> {
    let guarded = run.plan(directory, organization, &unlimited());
    let problems = guarded.approved.problems.by_reason();
    problems
        .filter(|(reason, ..)| *reason == ProblemReason::AwaitingConfirmation)
        .flat_map(|(_, _, kept)| kept.iter().map(|problem| problem.message.clone()))
        .collect()
}

#[test]
fn an_invitation_that_a_run_sent_expires_five_days_later_and_not_before() {
    let (directory, mut organization) = company();
    let mut run = begin();
    let first = run.sync(&directory, &mut organization, &unlimited());
    assert_eq!(changes(&first), ["Invite ann", "Invite bob"]);

    let invited = OnboardingCounts {
        invited: 2,
        confirmed: 1,
        ..OnboardingCounts::default()
    };
    for number in [1, 119] {
        let seen = counts(&mut run, number, (&directory, &mut organization));
        assert_eq!(seen, invited, "{number}");
    }
    let expired = OnboardingCounts {
        expired: 2,
        ..invited
    };
    let seen = counts(&mut run, 120, (&directory, &mut organization));
    assert_eq!(seen, expired);

    organization.set_status("ann@example.com", MemberStatus::Accepted);
    let seen = counts(&mut run, 121, (&directory, &mut organization));
    let accepted = OnboardingCounts {
        invited: 1,
        expired: 1,
        accepted: 1,
        ..invited
    };
    assert_eq!(seen, accepted);
}

#[test]
fn of_an_invitation_that_somebody_else_sent_the_age_is_unknown_until_it_was_seen_for_five_days() {
    let (directory, mut organization) = company();
    let status = MemberStatus::Invited;
    organization.add(Some(id("ann")), "ann@example.com", status, MemberRole::USER);
    let mut run = begin();
    let unknown = OnboardingCounts {
        invited: 1,
        age_unknown: 1,
        confirmed: 1,
        ..OnboardingCounts::default()
    };
    let seen = counts(&mut run, 0, (&directory, &mut organization));
    assert_eq!(seen, unknown);
    let seen = counts(&mut run, 119, (&directory, &mut organization));
    assert_eq!((seen.invited, seen.age_unknown, seen.expired), (2, 1, 0));
    let seen = counts(&mut run, 120, (&directory, &mut organization));
    assert_eq!((seen.invited, seen.age_unknown, seen.expired), (2, 0, 2));
}

#[test]
fn a_record_that_is_lost_or_from_a_backup_leaves_the_age_unknown() {
    let (directory, mut organization) = company();
    let mut run = begin();
    run.sync(&directory, &mut organization, &unlimited());
    counts(&mut run, 1, (&directory, &mut organization));
    pass_until(&mut run, 100);

    let kept = run.ledger.to_bytes();
    run.ledger = Ledger::load(None, Some("another"), run.now);
    let lost = counts(&mut run, 100, (&directory, &mut organization));
    assert_eq!((lost.age_unknown, lost.expired), (2, 0));

    run.ledger = Ledger::load(Some(&kept), Some("another"), run.now);
    let seen = counts(&mut run, 219, (&directory, &mut organization));
    assert_eq!((seen.age_unknown, seen.expired), (2, 0));
    let seen = counts(&mut run, 339, (&directory, &mut organization));
    assert_eq!((seen.age_unknown, seen.expired), (0, 2));
}

#[test]
fn whoever_waits_for_a_confirmation_for_too_long_is_named() {
    let (directory, mut organization) = company();
    let mut run = begin();
    run.sync(&directory, &mut organization, &unlimited());
    counts(&mut run, 10, (&directory, &mut organization));
    organization.set_status("ann@example.com", MemberStatus::Accepted);
    counts(&mut run, 20, (&directory, &mut organization));

    pass_until(&mut run, 139);
    assert_eq!(overdue(&mut run, &directory, &organization), [""; 0]);
    pass_until(&mut run, 140);
    let told = overdue(&mut run, &directory, &organization);
    assert!(
        told[0].starts_with("ann@example.com has accepted the invitation and waits for 5 days"),
        "{told:?}"
    );
    let seen = counts(&mut run, 140, (&directory, &mut organization));
    assert_eq!((seen.accepted, seen.overdue), (1, 1));

    // Nobody is to confirm somebody who has left.
    let left = TestDirectory::default()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("old", "old@example.com");
    assert_eq!(overdue(&mut run, &left, &organization), [""; 0]);

    organization.set_status("ann@example.com", MemberStatus::Confirmed);
    assert_eq!(overdue(&mut run, &directory, &organization), [""; 0]);
}

#[test]
fn a_plan_says_until_when_time_alone_changes_nothing() {
    let (directory, mut organization) = company();
    let mut run = begin();
    run.sync(&directory, &mut organization, &unlimited());
    run.now = hour(1);
    let seen = run.sync(&directory, &mut organization, &unlimited());
    assert_eq!(seen.approved.until, Some(hour(120)));
    organization.accept_all();
    let seen = run.sync(&directory, &mut organization, &unlimited());
    assert_eq!(seen.approved.until, None);
}

fn inviting_again() -> Policy {
    let mut policy = unlimited();
    policy.onboarding.reinvite = Some(Reinvite {
        after: HOUR * 72,
        times: 3,
    });
    policy
}

fn withdrawing() -> Policy {
    let mut policy = inviting_again();
    policy.onboarding.withdraw_after = Some(HOUR * 24 * 30);
    policy
}

/// How many mails beside the first somebody was sent.
fn mails(organization: &ModelOrganization, email: &str) -> usize {
    let id = organization.by_email(email).id;
    organization.reinvited.get(&id).copied().unwrap_or_default()
}

/// The changes of a run at this hour.
fn at(
    run: &mut Run,
    number: i32,
    (directory, organization): (&TestDirectory, &mut ModelOrganization),
    policy: &Policy,
) -> Vec<String> {
    pass_until(run, number);
    changes(&run.sync(directory, organization, policy))
}

const NOTHING: [&str; 0] = [];

#[test]
fn an_invitation_is_sent_again_after_the_time_and_only_so_often() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), inviting_again());
    run.sync(&directory, &mut organization, &policy);
    let mut sent = vec![];
    for number in 1..1_000 {
        let made = at(&mut run, number, (&directory, &mut organization), &policy);
        if !made.is_empty() {
            sent.push((number, made));
        }
        if number == 100 {
            organization.set_status("bob@example.com", MemberStatus::Accepted);
        }
    }
    let both = ["Reinvite ann".to_owned(), "Reinvite bob".to_owned()].to_vec();
    let ann = ["Reinvite ann".to_owned()].to_vec();
    assert_eq!(sent, [(72, both), (144, ann.clone()), (216, ann)]);
    assert_eq!(mails(&organization, "ann@example.com"), 3);
    assert_eq!(mails(&organization, "bob@example.com"), 1);
}

#[test]
fn an_invitation_that_somebody_else_sent_is_not_sent_again_and_that_is_told() {
    let (directory, mut organization) = company();
    let invited = MemberStatus::Invited;
    let user = MemberRole::USER;
    organization.add(Some(id("ann")), "ann@example.com", invited, user);
    // Is linked by the first run.
    organization.add(None, "bob@example.com", invited, user);
    let (mut run, policy) = (begin(), inviting_again());
    for number in [0, 1, 100, 200, 300] {
        pass_until(&mut run, number);
        let guarded = run.sync(&directory, &mut organization, &policy);
        let again = |change: &String| change.starts_with("Reinvite");
        assert!(!changes(&guarded).iter().any(again), "{number}");
        let told = (ProblemReason::NotReinvited, vec!["ann"]);
        assert!(problems(&guarded).contains(&told), "{number}");
    }
    assert!(organization.reinvited.is_empty());
}

#[test]
fn after_a_lost_record_and_one_from_a_backup_nothing_is_sent_again() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), inviting_again());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    let backup = run.ledger.to_bytes();
    at(&mut run, 80, (&directory, &mut organization), &policy);
    assert_eq!(mails(&organization, "ann@example.com"), 1);

    let expected = run.ledger.digest();
    for kept in [Some(&*backup), None] {
        pass_until(&mut run, 90);
        run.ledger = Ledger::load(kept, Some(&*expected), run.now);
        for number in [90, 200, 300, 400] {
            let made = at(&mut run, number, (&directory, &mut organization), &policy);
            assert_eq!(made, NOTHING, "{number}");
        }
        run.now = hour(90);
    }
    assert_eq!(mails(&organization, "ann@example.com"), 1);
}

#[test]
fn nobody_who_is_gone_disabled_revoked_or_at_another_address_is_sent_an_invitation_again() {
    let (directory, organization) = company();
    let (mut run, mut policy) = (begin(), inviting_again());
    policy.offboarding.disabled = OffboardingAction::Retain;
    let mut organization = organization;
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    pass_until(&mut run, 100);
    let with = |ann: TestDirectory| {
        ann.person("bob", "bob@example.com")
            .person("old", "old@example.com")
    };
    let again = |directory: &TestDirectory, organization: &ModelOrganization| {
        let made = changes(&run.clone().plan(directory, organization, &policy));
        made.contains(&"Reinvite ann".to_owned())
    };
    assert!(again(&directory, &organization));
    let plain = TestDirectory::default;
    assert!(!again(&with(plain()), &organization));
    assert!(!again(
        &with(plain().disabled("ann", "ann@example.com")),
        &organization
    ));
    assert!(!again(
        &with(plain().person("ann", "new@example.com")),
        &organization
    ));
    for status in [
        MemberStatus::Revoked,
        MemberStatus::Staged,
        MemberStatus::Accepted,
        MemberStatus::Confirmed,
        MemberStatus::Other(9),
    ] {
        let mut organization = organization.clone();
        organization.set_status("ann@example.com", status);
        assert!(!again(&directory, &organization), "{status:?}");
    }
}

#[test]
fn whoever_was_revoked_and_restored_by_hand_gets_no_more_mails_than_before() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), inviting_again());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    at(&mut run, 80, (&directory, &mut organization), &policy);
    organization.set_status("ann@example.com", MemberStatus::Revoked);
    at(&mut run, 81, (&directory, &mut organization), &policy);
    organization.set_status("ann@example.com", MemberStatus::Invited);
    for number in 82..800 {
        at(&mut run, number, (&directory, &mut organization), &policy);
    }
    assert_eq!(mails(&organization, "ann@example.com"), 3);
}

#[test]
fn a_killed_run_sends_one_too_few_and_a_stopped_one_none_too_few() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), inviting_again());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    pass_until(&mut run, 72);
    let guarded = run.plan(&directory, &organization, &policy);
    assert_eq!(changes(&guarded), ["Reinvite ann", "Reinvite bob"]);
    run.ledger.before(&guarded, run.now);

    let mut killed = run.clone();
    let made = at(&mut killed, 73, (&directory, &mut organization), &policy);
    assert_eq!(made, NOTHING);
    let made = at(
        &mut killed,
        144,
        (&directory, &mut organization.clone()),
        &policy,
    );
    assert_eq!(made, ["Reinvite ann", "Reinvite bob"]);

    // Ann's was requested.
    run.ledger
        .interrupted(&guarded, &Default::default(), &Default::default());
    run.ledger.reinvited(&guarded, &[id("ann")].into());
    let made = at(&mut run, 73, (&directory, &mut organization), &policy);
    assert_eq!(made, ["Reinvite bob"]);
}

#[test]
fn an_invitation_that_is_not_accepted_is_withdrawn_and_the_person_not_invited_again() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), withdrawing());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    organization.set_status("bob@example.com", MemberStatus::Accepted);
    at(
        &mut run,
        30 * 24 - 1,
        (&directory, &mut organization),
        &policy,
    );
    pass_until(&mut run, 30 * 24);
    let guarded = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&guarded), ["Remove ann"]);
    let evidence = guarded.approved.changes[0].evidence().unwrap().to_string();
    assert_eq!(
        evidence,
        "30 days without acceptance, since 2024-10-04 or before"
    );
    for number in [30 * 24 + 1, 100 * 24] {
        pass_until(&mut run, number);
        let guarded = run.sync(&directory, &mut organization, &policy);
        assert_eq!(changes(&guarded), NOTHING, "{number}");
        let told = (ProblemReason::InvitationWithdrawn, vec!["ann"]);
        assert!(problems(&guarded).contains(&told), "{number}");
        let [accepted, withdrawn] = ["bob@example.com", "ann@example.com"].map(|email| {
            organization
                .content
                .members
                .iter()
                .any(|one| one.email.as_str() == email)
        });
        assert!(accepted && !withdrawn);
    }
}

#[test]
fn whoever_s_invitation_was_withdrawn_is_invited_again_once_the_directory_or_a_person_says_so() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), withdrawing());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    organization.set_status("bob@example.com", MemberStatus::Confirmed);
    let made = at(&mut run, 30 * 24, (&directory, &mut organization), &policy);
    assert_eq!(made, ["Remove ann"]);
    let made = at(&mut run, 31 * 24, (&directory, &mut organization), &policy);
    assert_eq!(made, NOTHING);
    let with = |ann: TestDirectory| {
        ann.person("bob", "bob@example.com")
            .person("old", "old@example.com")
    };
    let again = |run: &Run, between: &TestDirectory, then: &TestDirectory| {
        let (mut run, mut organization) = (run.clone(), organization.clone());
        at(&mut run, 32 * 24, (between, &mut organization), &policy);
        at(&mut run, 33 * 24, (then, &mut organization), &policy)
    };
    let plain = TestDirectory::default;
    let other = with(plain().person("ann", "ann@example.org"));
    assert_eq!(again(&run, &directory, &other), ["Invite ann"]);
    let disabled = with(plain().disabled("ann", "ann@example.com"));
    assert_eq!(again(&run, &disabled, &directory), ["Invite ann"]);
    let gone = with(plain());
    assert_eq!(again(&run, &gone, &directory), ["Invite ann"]);

    // In a directory that wasn't read whole nobody is known to be gone.
    let (mut other, mut there) = (run.clone(), organization.clone());
    pass_until(&mut other, 32 * 24);
    let incremental = other.plan_incremental(&gone, ReadNow::default(), &there, &policy);
    assert_eq!(incremental.needs_complete_read, None);
    other.ledger.observe(&incremental);
    let made = at(&mut other, 33 * 24, (&directory, &mut there), &policy);
    assert_eq!(made, NOTHING);

    // Without the setting nobody asked for that.
    let (mut other, mut there) = (run.clone(), organization.clone());
    let made = at(
        &mut other,
        32 * 24,
        (&directory, &mut there),
        &inviting_again(),
    );
    assert_eq!(made, ["Invite ann"]);

    // An administrator invites her.
    let invited = MemberStatus::Invited;
    organization.add(None, "ann@example.com", invited, MemberRole::USER);
    let made = at(&mut run, 32 * 24, (&directory, &mut organization), &policy);
    assert_eq!(made, ["Link ann"]);
    for number in [33 * 24, 63 * 24 - 1] {
        let made = at(&mut run, number, (&directory, &mut organization), &policy);
        assert_eq!(made, NOTHING);
    }
    let made = at(&mut run, 63 * 24, (&directory, &mut organization), &policy);
    assert_eq!(made, ["Remove ann"]);
}

#[test]
fn a_record_that_is_not_believed_keeps_nobody_whose_invitation_it_says_was_withdrawn_from_being_invited()
 {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), withdrawing());
    run.sync(&directory, &mut organization, &policy);
    organization.set_status("bob@example.com", MemberStatus::Accepted);
    let made = at(&mut run, 30 * 24, (&directory, &mut organization), &policy);
    assert_eq!(made, ["Remove ann"]);
    let kept = run.ledger.to_bytes();
    for record in [Some(&kept[..]), None] {
        let mut run = run.clone();
        run.ledger = Ledger::load(record, Some("another"), run.now);
        let made = at(
            &mut run,
            31 * 24,
            (&directory, &mut organization.clone()),
            &policy,
        );
        assert_eq!(made, ["Invite ann"]);
    }
}

#[test]
fn a_record_that_is_not_believed_puts_off_no_withdrawal_by_the_clock_that_it_says() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), withdrawing());
    run.sync(&directory, &mut organization, &policy);
    organization.set_status("bob@example.com", MemberStatus::Accepted);
    let mut forged = serde_json::json!(run.ledger);
    let last = run.now.as_second();
    forged["clock"] = serde_json::json!({"last": last, "before": 1, "jumped": i64::MAX / 4});
    let forged: Ledger = serde_json::from_value(forged).unwrap();
    run.ledger = Ledger::load(Some(&forged.to_bytes()), Some("another"), run.now);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    let made = at(
        &mut run,
        31 * 24 + 1,
        (&directory, &mut organization),
        &policy,
    );
    assert_eq!(made, ["Remove ann"]);
}

#[test]
fn withdrawn_invitations_count_against_the_limit_and_a_role_that_somebody_gave_is_left_alone() {
    let directory = (0..20).fold(TestDirectory::default(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let mut organization = organization().owner("owner@example.com");
    let (mut run, mut policy) = (begin(), withdrawing());
    policy.onboarding.reinvite = None;
    policy.offboarding.limit = Limit::Percent(10.0);
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    let mut members = organization.content.members.iter_mut();
    members.by_ref().take(18).for_each(|member| {
        if member.role != MemberRole::Owner {
            member.status = MemberStatus::Confirmed;
        }
    });
    pass_until(&mut run, 31 * 24);
    let guarded = run.clone().plan(&directory, &organization, &policy);
    assert!(guarded.approved.changes.is_empty());
    assert_eq!(guarded.held.unwrap().changes.len(), 3);

    let last = organization.content.members.last_mut().unwrap();
    last.role = MemberRole::Other(1);
    let guarded = run.plan(&directory, &organization, &policy);
    assert_eq!(guarded.approved.changes.len(), 2);
}

#[test]
fn after_a_clock_that_is_far_ahead_nobody_gets_a_mail_and_no_invitation_is_withdrawn() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), withdrawing());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    run.now = hour(24 * 365);
    let made = changes(&run.sync(&directory, &mut organization, &policy));
    assert_eq!(made, NOTHING);
    run.now = hour(2);
    let made = changes(&run.sync(&directory, &mut organization, &policy));
    assert_eq!(made, NOTHING);
    let made = at(&mut run, 75, (&directory, &mut organization), &policy);
    assert_eq!(made, ["Reinvite ann", "Reinvite bob"]);
}

#[test]
fn one_run_sends_no_more_than_500_again_and_the_next_ones_the_others() {
    let directory = (0..1_200).fold(TestDirectory::default(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let mut organization = organization().owner("owner@example.com");
    let (mut run, policy) = (begin(), inviting_again());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    let made = [80, 81, 82, 83]
        .map(|number| at(&mut run, number, (&directory, &mut organization), &policy).len());
    assert_eq!(made, [500, 500, 200, 0]);
    assert!(organization.reinvited.values().all(|mails| *mails == 1));
}

/// What happens between two runs, and how a run ends.
#[derive(Debug, Clone)]
enum Step {
    /// So many hours go by.
    Wait(i32),
    /// A run that ends.
    Run,
    /// A run that is killed after so many changes; whether what it noted before is all that is kept.
    Killed(usize),
    /// A run that is asked to stop after so many changes.
    Stopped(usize),
    /// Somebody sets the status of a member by hand, or accepts.
    Status(usize, MemberStatus),
    /// Somebody accepts while a run is made.
    AcceptsDuringRun(usize),
    /// Somebody removes a member by hand.
    Drops(usize),
    /// An administrator invites somebody by hand.
    Invites(usize),
    /// The directory says something else of somebody.
    Directory(usize, Entry),
    /// Every request about somebody is refused from now on.
    Refuses(usize),
    /// The record is gone.
    LosesRecord,
    /// An older copy of the record is there.
    RestoresRecord,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    Active,
    Disabled,
    Gone,
    OtherEmail,
}

const PEOPLE: usize = 4;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let person = || 0..PEOPLE;
    let statuses = prop_oneof![
        3 => Just(MemberStatus::Accepted),
        1 => Just(MemberStatus::Confirmed),
        2 => Just(MemberStatus::Revoked),
        2 => Just(MemberStatus::Invited),
    ];
    let entries = prop_oneof![
        3 => Just(Entry::Active),
        1 => Just(Entry::Disabled),
        1 => Just(Entry::Gone),
        1 => Just(Entry::OtherEmail),
    ];
    let step = prop_oneof![
        8 => (1..100i32).prop_map(Step::Wait),
        8 => Just(Step::Run),
        2 => (0..6usize).prop_map(Step::Killed),
        2 => (0..6usize).prop_map(Step::Stopped),
        2 => (person(), statuses).prop_map(|(n, status)| Step::Status(n, status)),
        1 => person().prop_map(Step::AcceptsDuringRun),
        1 => person().prop_map(Step::Drops),
        1 => person().prop_map(Step::Invites),
        2 => (person(), entries).prop_map(|(n, entry)| Step::Directory(n, entry)),
        1 => person().prop_map(Step::Refuses),
        1 => Just(Step::LosesRecord),
        1 => Just(Step::RestoresRecord),
    ];
    prop::collection::vec(step, 1..80)
}

fn address(n: usize) -> String {
    format!("p{n}@example.com")
}

fn directory_of(entries: &[Entry]) -> TestDirectory {
    let entries = entries.iter().enumerate();
    entries.fold(TestDirectory::default(), |directory, (n, entry)| {
        let id = format!("p{n}");
        match entry {
            Entry::Active => directory.person(&id, &address(n)),
            Entry::OtherEmail => directory.person(&id, &format!("other{n}@example.com")),
            Entry::Disabled => directory.disabled(&id, &address(n)),
            Entry::Gone => directory,
        }
    })
}

/// Everything that happens, and what must hold at each change.
struct Life {
    run: Run,
    organization: ModelOrganization,
    entries: Vec<Entry>,
    backup: Ledger,
    policy: Policy,
    by_hand: HashSet<Uuid>,
    /// Whose invitation was withdrawn, as long as nothing changed since.
    withdrawn: HashSet<usize>,
}

impl Life {
    /// Makes these changes as the server and the client do: each is about the member as it is now.
    fn make(&mut self, guarded: &GuardedPlan, count: usize) -> ChangeSet {
        let mut failed = ChangeSet::default();
        for change in guarded.approved.changes.iter().take(count) {
            let id = change.external_id();
            let number: usize = id.as_str()[1..].parse().unwrap();
            let member = self.organization.content.members.iter();
            let member = member.clone().find(|one| Some(one.id) == change.subject.id);
            let status = member.map(|member| member.status);
            let is_open = status == Some(MemberStatus::Invited);
            let about_invitation = change.kind() == Kind::Reinvite
                || change.withdraws_invitation()
                || change.replaces_invitation();
            if about_invitation && !is_open {
                failed.insert(change);
                continue;
            }
            if change.kind() == Kind::Reinvite {
                let entry = self.entries[number];
                let is_active = matches!(entry, Entry::Active | Entry::OtherEmail);
                assert!(is_active, "{number} is {entry:?}");
                assert!(!self.by_hand.contains(&change.subject.id.unwrap()));
            }
            if change.kind() == Kind::Invite {
                assert!(
                    !self.withdrawn.contains(&number),
                    "{number} is invited at once"
                );
            }
            let is_refused = self.organization.refused.contains(id);
            let mut plan = (*guarded.approved).clone();
            plan.changes = vec![change.clone()];
            self.organization.apply(&plan);
            if is_refused {
                failed.insert(change);
            } else if change.replaces_invitation() {
                // In Bitwarden it is another member from then on.
                self.by_hand.remove(&change.subject.id.unwrap());
            } else if change.withdraws_invitation() {
                self.withdrawn.insert(number);
            }
        }
        for (member, mails) in &self.organization.reinvited {
            assert!(*mails <= 3, "{member} got {mails} mails");
        }
        failed
    }

    fn plan(&mut self) -> GuardedPlan {
        let directory = directory_of(&self.entries);
        self.run.plan(&directory, &self.organization, &self.policy)
    }

    fn step(&mut self, step: &Step) {
        let find = |organization: &ModelOrganization, n: usize| {
            let members = organization.content.members.iter();
            let found = members.clone().find(|one| one.email.as_str() == address(n));
            found.map(|member| member.status)
        };
        match step {
            Step::Wait(hours) => {
                let to = self.run.now + HOUR * *hours;
                while self.run.now < to {
                    self.run.now = to.min(self.run.now + HOUR * 48);
                    self.run.ledger.keep_for("organization", self.run.now);
                }
            }
            Step::Run | Step::AcceptsDuringRun(_) => {
                let guarded = self.plan();
                if let Step::AcceptsDuringRun(n) = step
                    && find(&self.organization, *n) == Some(MemberStatus::Invited)
                {
                    let email = address(*n);
                    self.organization.set_status(&email, MemberStatus::Accepted);
                }
                if guarded.approved.changes.is_empty() {
                    self.run.ledger.observe(&guarded);
                    return;
                }
                self.run.ledger.before(&guarded, self.run.now);
                let failed = FailedChanges {
                    changes: self.make(&guarded, usize::MAX),
                    refused: true,
                    ..FailedChanges::default()
                };
                self.run.memory.record(&guarded, &failed);
                self.run.ledger.after(&guarded, &failed);
            }
            Step::Killed(count) => {
                let guarded = self.plan();
                if !guarded.approved.changes.is_empty() {
                    self.run.ledger.before(&guarded, self.run.now);
                    self.make(&guarded, *count);
                }
            }
            Step::Stopped(count) => {
                let guarded = self.plan();
                if !guarded.approved.changes.is_empty() {
                    self.run.ledger.before(&guarded, self.run.now);
                    self.make(&guarded, *count);
                    let changes = guarded.approved.changes.iter().take(*count);
                    let done = changes.clone().filter(|change| change.takes_away());
                    let done = done.collect();
                    let sent = changes.filter(|change| change.kind() == Kind::Reinvite);
                    let sent = sent.map(|change| change.external_id().clone()).collect();
                    self.run
                        .ledger
                        .interrupted(&guarded, &done, &Default::default());
                    self.run.ledger.reinvited(&guarded, &sent);
                }
            }
            Step::Status(n, status) => {
                let before = find(&self.organization, *n);
                // Nobody goes back to being invited but by being restored.
                let possible = match status {
                    MemberStatus::Accepted => before == Some(MemberStatus::Invited),
                    MemberStatus::Invited => before == Some(MemberStatus::Revoked),
                    _ => before.is_some(),
                };
                if possible {
                    self.organization.set_status(&address(*n), *status);
                }
            }
            Step::Drops(n) => {
                if find(&self.organization, *n).is_some() {
                    self.organization.drop_member(&address(*n));
                }
            }
            Step::Invites(n) => {
                if find(&self.organization, *n).is_none() {
                    let (email, role) = (address(*n), MemberRole::USER);
                    let invited = MemberStatus::Invited;
                    self.organization.add(None, &email, invited, role);
                    let id = self.organization.by_email(&email).id;
                    self.by_hand.insert(id);
                    self.withdrawn.remove(n);
                }
            }
            Step::Directory(n, entry) => {
                if self.entries[*n] != *entry {
                    self.entries[*n] = *entry;
                    self.withdrawn.remove(n);
                }
            }
            Step::Refuses(n) => {
                let id = id(&format!("p{n}"));
                if !self.organization.refused.remove(&id) {
                    self.organization.refused.insert(id);
                }
            }
            Step::LosesRecord => {
                self.run.ledger = Ledger::load(None, Some("another"), self.run.now);
                // Nobody knows any more whose invitation was withdrawn.
                self.withdrawn.clear();
            }
            Step::RestoresRecord => {
                let kept = self.backup.to_bytes();
                self.backup = self.run.ledger.clone();
                self.run.ledger = Ledger::load(Some(&kept), Some("another"), self.run.now);
                self.withdrawn.clear();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_nobody_gets_more_mails_and_whoever_accepted_stays(steps in steps()) {
        let mut policy = withdrawing();
        policy.offboarding.absent = OffboardingAction::Revoke;
        policy.onboarding.restore = Restore::RevokedByUs;
        let mut life = Life {
            run: begin(),
            organization: organization().owner("owner@example.com"),
            entries: vec![Entry::Active; PEOPLE],
            backup: Ledger::begin(hour(0)),
            policy,
            by_hand: HashSet::new(),
            withdrawn: HashSet::new(),
        };
        life.step(&Step::Run);
        for step in &steps {
            life.step(step);
        }
    }
}

#[test]
fn a_plan_says_which_invitation_it_is_and_how_long_one_was_not_accepted() {
    let (directory, mut organization) = company();
    let (mut run, policy) = (begin(), withdrawing());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    at(&mut run, 72, (&directory, &mut organization), &policy);
    let shown = |run: &mut Run, organization: &ModelOrganization, number| {
        pass_until(run, number);
        let guarded = run.plan(&directory, organization, &policy);
        let sides = Sides {
            source: "ldaps://ldap",
            organization: "Example",
        };
        let document = PlanDocument::of(&guarded, &sides);
        let options = TableOptions {
            width: None,
            rows: usize::MAX,
            order: Order::Action,
            all_by: "--all",
        };
        let json: serde_json::Value = serde_json::from_str(&render::json(&document)).unwrap();
        (render::table(&document, &options), json)
    };
    let (table, json) = shown(&mut run, &organization, 144);
    assert!(table.contains("not in yet: 2 invited"), "{table}");
    assert!(table.contains("ann@example.com"), "{table}");
    assert!(table.contains("not accepted yet; 2 of 3"), "{table}");
    let nth = serde_json::json!({"number": 2, "of": 3});
    assert_eq!(json["changes"][0]["nth"], nth);

    let explained = run.explain(&directory, &organization, &policy, "ann@example.com");
    let text = explained.to_text();
    assert!(
        text.contains("send the invitation again (2 of 3)"),
        "{text}"
    );

    let (table, json) = shown(&mut run, &organization, 31 * 24);
    let days = "31 days without acceptance, since 2024-10-04 or before";
    assert!(
        table.contains(&format!("invitation withdrawn; {days}")),
        "{table}"
    );
    let evidence = serde_json::json!({"kind": "NotAccepted", "detail": days});
    assert_eq!(json["changes"][0]["evidence"], evidence);
    let explained = run.explain(&directory, &organization, &policy, "ann@example.com");
    let text = explained.to_text();
    assert!(text.contains("withdraw the invitation"), "{text}");

    // Once it is withdrawn.
    run.sync(&directory, &mut organization, &policy);
    let explained = run.explain(&directory, &organization, &policy, "ann@example.com");
    let text = explained.to_text();
    assert!(text.contains("nobody accepted it"), "{text}");
}

#[test]
fn a_withdrawn_invitation_stands_apart_from_removals_and_what_holds_it_says_so() {
    let (directory, mut organization) = company();
    let (mut run, mut policy) = (begin(), withdrawing());
    run.sync(&directory, &mut organization, &policy);
    at(&mut run, 1, (&directory, &mut organization), &policy);
    pass_until(&mut run, 30 * 24);
    policy.offboarding.limit = Limit::Count(0);
    let guarded = run.sync(&directory, &mut organization, &policy);
    let why = guarded.held.as_ref().unwrap().describe();
    assert_eq!(
        why,
        "2 members would lose something, not having accepted an invitation; offboarding.limit allows 0 in 24 hours \
         (of 3 managed members)"
    );
    let sides = Sides {
        source: "a directory",
        organization: "an organization",
    };
    let shown = render::table(&PlanDocument::of(&guarded, &sides), &PIPE);
    assert!(
        shown.contains("held: Withdraw invitation (2)\n  ann@example.com"),
        "{shown}"
    );
    assert!(!shown.contains("master password"), "{shown}");
}
