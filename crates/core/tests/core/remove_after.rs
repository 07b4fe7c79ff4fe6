//! `offboarding.removeAfter`: whom an earlier run revoked long enough ago is removed.

use directory_sync_core::organization::model::{Member, MemberRole, MemberStatus};
use directory_sync_core::sync::policy::{Limit, OffboardingAction, Policy, Restore};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization,
};
use jiff::{SignedDuration, Timestamp};

use crate::{changes, problems, unlimited};
use directory_sync_core::problem::ProblemReason;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn after_thirty_days() -> Policy {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.remove_after = Some(DAY * 30);
    policy
}

fn day(number: i32) -> Timestamp {
    Timestamp::UNIX_EPOCH + DAY * (20_000 + number)
}

fn company() -> (TestDirectory, ModelOrganization) {
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("eng", "eng", &["ann", "bob"]);
    let organization = organization()
        .owner("owner@example.com")
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .member("cid", "cid@example.com")
        .group("eng", "eng", &["ann@example.com", "bob@example.com"]);
    (directory, organization)
}

/// Runs every other day until a day before this one: so the clock hasn't jumped.
fn pass_until(run: &mut Run, number: i32) {
    while run.now < day(number - 1) {
        run.now = day(number - 1).min(run.now + DAY * 2);
        run.ledger.keep_for("organization", run.now);
    }
}

/// Ann, who is disabled, and Cid, who is gone, are revoked on day 0.
fn revoked_on_day_0(policy: &Policy) -> (Run, TestDirectory, ModelOrganization) {
    let (directory, mut organization) = company();
    let mut run = Run {
        now: day(0),
        ..Run::default()
    };
    let first = run.sync(&directory, &mut organization, policy);
    assert_eq!(changes(&first), ["Revoke ann", "Revoke cid"]);
    (run, directory, organization)
}

#[test]
fn whom_a_run_revoked_is_removed_after_that_time_and_not_before() {
    let policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);

    pass_until(&mut run, 30);
    run.now = day(30) - SignedDuration::from_secs(1);
    let before = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&before), [""; 0]);

    run.now = day(30);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann", "Remove cid"]);

    run.now = day(31);
    let later = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&later), [""; 0]);
}

#[test]
fn without_the_setting_whoever_was_revoked_stays() {
    let mut policy = after_thirty_days();
    policy.offboarding.remove_after = None;
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);

    run.now = day(3_000);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), [""; 0]);
}

#[test]
fn whoever_was_revoked_by_hand_is_not_removed() {
    let policy = after_thirty_days();
    let (directory, _) = company();
    let mut organization = organization()
        .owner("owner@example.com")
        .revoked("ann", "ann@example.com")
        .member("bob", "bob@example.com");
    let mut run = Run {
        now: day(0),
        ..Run::default()
    };
    for number in [0, 1, 40, 400] {
        run.now = day(number);
        let then = run.sync(&directory, &mut organization, &policy);
        assert!(!changes(&then).contains(&"Remove ann".to_owned()));
    }
}

#[test]
fn whoever_got_access_back_by_hand_and_was_revoked_by_hand_then_is_not_removed() {
    let policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);
    let ann = |organization: &mut ModelOrganization, status| {
        let members = organization.content.members.iter_mut();
        let ann = members.filter(|member| member.email.as_str() == "ann@example.com");
        ann.for_each(|member| member.status = status);
    };

    // An administrator restores her, a preview sees it, and revokes her again.
    ann(&mut organization, MemberStatus::Confirmed);
    run.now = day(1);
    let seen = run.plan(&directory, &organization, &policy);
    run.ledger.observe(&seen);
    ann(&mut organization, MemberStatus::Revoked);

    pass_until(&mut run, 60);
    run.now = day(60);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove cid"]);
}

#[test]
fn whoever_is_active_again_by_then_is_restored() {
    let policy = after_thirty_days();
    let (mut run, _, mut organization) = revoked_on_day_0(&policy);
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("eng", "eng", &["ann", "bob"]);

    pass_until(&mut run, 60);
    run.now = day(60);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove cid", "Restore ann"]);
}

#[test]
fn an_entry_that_can_not_be_identified_keeps_the_revoked_member_it_may_be() {
    let policy = after_thirty_days();
    let (mut run, _, mut organization) = revoked_on_day_0(&policy);
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .unidentified("uid=cid", "cid@example.com")
        .group("eng", "eng", &["ann", "bob"]);

    pass_until(&mut run, 60);
    run.now = day(60);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann"]);
    let invalid =
        |(reason, _): &(ProblemReason, Vec<&str>)| *reason == ProblemReason::InvalidExternalId;
    assert!(problems(&then).iter().any(invalid));
}

#[test]
fn removals_of_revoked_members_count_against_the_limit() {
    let mut policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);
    policy.offboarding.limit = Limit::Count(0);

    pass_until(&mut run, 60);
    run.now = day(60);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann"]);
    let held = then.held.unwrap();
    assert_eq!(held.changes.len(), 1);
    assert_eq!(held.changes[0].external_id().as_str(), "cid");
}

#[test]
fn without_its_record_a_run_removes_nobody() {
    let policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);

    run.ledger = directory_sync_core::sync::ledger::Ledger::begin_careful(day(60));
    for number in [60, 61, 300] {
        run.now = day(number);
        let then = run.sync(&directory, &mut organization, &policy);
        assert_eq!(changes(&then), [""; 0]);
    }
}

#[test]
fn the_time_counts_anew_for_whoever_was_active_in_between() {
    let mut policy = after_thirty_days();
    policy.onboarding.restore = Restore::Nobody;
    let (mut run, disabled, mut organization) = revoked_on_day_0(&policy);
    let active = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("eng", "eng", &["ann", "bob"]);
    pass_until(&mut run, 20);
    run.now = day(20);
    let seen = run.sync(&active, &mut organization, &policy);
    assert_eq!(changes(&seen), [""; 0]);

    pass_until(&mut run, 31);
    run.now = day(31);
    let then = run.sync(&disabled, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove cid"], "who wasn't active");
    pass_until(&mut run, 49);
    run.now = day(49);
    let then = run.sync(&disabled, &mut organization, &policy);
    assert_eq!(changes(&then), [""; 0]);
    run.now = day(51);
    let then = run.sync(&disabled, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann"]);
}

#[test]
fn a_clock_that_is_far_ahead_removes_nobody() {
    let policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);
    for hours in [0, 1, 23] {
        run.now = day(400) + SignedDuration::from_hours(hours);
        let ahead = run.sync(&directory, &mut organization, &policy);
        assert_eq!(changes(&ahead), [""; 0]);
    }
    // It is set right, and nothing is different from before.
    run.now = day(1);
    run.ledger.keep_for("organization", run.now);
    pass_until(&mut run, 30);
    let before = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&before), [""; 0]);
    run.now = day(30);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann", "Remove cid"]);
}

#[test]
fn of_runs_that_are_far_apart_each_removes_who_was_due_at_the_one_before() {
    let policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);
    for number in [7, 14, 21, 28, 35] {
        run.now = day(number);
        let before = run.sync(&directory, &mut organization, &policy);
        assert_eq!(changes(&before), [""; 0], "day {number}");
    }
    run.now = day(42);
    let then = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann", "Remove cid"]);
}

#[test]
fn of_runs_that_the_schedule_has_far_apart_each_removes_who_is_due_by_then() {
    let policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);
    let mut at = |run: &mut Run, number| {
        run.now = day(number);
        let weekly = |last| last + DAY * 7;
        run.ledger.keep_for_due("organization", run.now, weekly);
        changes(&run.sync(&directory, &mut organization, &policy))
    };
    for number in [7, 14, 21, 28] {
        assert_eq!(at(&mut run, number), [""; 0], "day {number}");
    }
    assert_eq!(at(&mut run, 35), ["Remove ann", "Remove cid"]);
}

#[test]
fn a_clock_that_is_ahead_by_more_than_the_schedule_explains_removes_nobody() {
    let policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);
    run.now = day(31);
    let weekly = |last| last + DAY * 7;
    run.ledger.keep_for_due("organization", run.now, weekly);
    let ahead = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&ahead), [""; 0]);
}

fn member<'a>(organization: &'a mut ModelOrganization, id: &str) -> &'a mut Member {
    let mut members = organization.content.members.iter_mut();
    let found = members.find(|member| {
        member
            .external_id
            .as_ref()
            .is_some_and(|one| one.as_str() == id)
    });
    found.expect("they are a member")
}

/// What is done on day 60, after this has happened to the organization.
fn on_day_60(happens: impl FnOnce(&mut ModelOrganization, &mut Policy)) -> Vec<String> {
    let mut policy = after_thirty_days();
    let (mut run, directory, mut organization) = revoked_on_day_0(&policy);
    pass_until(&mut run, 60);
    happens(&mut organization, &mut policy);
    run.now = day(60);
    changes(&run.sync(&directory, &mut organization, &policy))
}

#[test]
fn who_is_an_owner_or_not_ours_by_then_is_not_removed() {
    let owner = on_day_60(|organization, _| member(organization, "ann").role = MemberRole::Owner);
    assert_eq!(owner, ["Remove cid"]);
    let without_an_id = on_day_60(|organization, _| member(organization, "cid").external_id = None);
    assert_eq!(without_an_id, ["Remove ann"]);
    let other_prefix = on_day_60(|_, policy| policy.external_id_prefix = "b:".into());
    assert!(
        !other_prefix
            .iter()
            .any(|change| change.starts_with("Remove")),
        "{other_prefix:?}"
    );
}

#[test]
fn what_the_spec_says_by_then_counts() {
    let none = on_day_60(|_, policy| {
        policy.offboarding.disabled = OffboardingAction::Retain;
        policy.offboarding.absent = OffboardingAction::Retain;
    });
    assert_eq!(none, [""; 0]);
    let disabled = on_day_60(|_, policy| policy.offboarding.absent = OffboardingAction::Retain);
    assert_eq!(disabled, ["Remove ann"]);
    let later = on_day_60(|_, policy| policy.offboarding.remove_after = Some(DAY * 61));
    assert_eq!(later, [""; 0]);
}

#[test]
fn whoever_was_given_access_back_by_a_run_and_revoked_again_waits_anew() {
    let policy = after_thirty_days();
    let (mut run, disabled, mut organization) = revoked_on_day_0(&policy);
    let active = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("cid", "cid@example.com")
        .group("eng", "eng", &["ann", "bob"]);
    pass_until(&mut run, 20);
    run.now = day(20);
    let restored = run.sync(&active, &mut organization, &policy);
    assert_eq!(changes(&restored), ["Restore ann", "Restore cid"]);
    run.now = day(21);
    let revoked = run.sync(&disabled, &mut organization, &policy);
    assert_eq!(changes(&revoked), ["Revoke ann", "Revoke cid"]);
    for (number, expected) in [
        (31, &[][..]),
        (50, &[]),
        (51, &["Remove ann", "Remove cid"]),
    ] {
        pass_until(&mut run, number);
        run.now = day(number);
        let then = run.sync(&disabled, &mut organization, &policy);
        assert_eq!(changes(&then), expected, "day {number}");
    }
}

#[test]
fn a_removal_that_is_refused_at_every_run_is_tried_in_each_and_uses_up_no_limit() {
    let mut policy = after_thirty_days();
    let ids: Vec<String> = (0..10).map(|number| format!("x{number}")).collect();
    let address = |id: &String| format!("{id}@example.com");
    let (directory, mut organization) = company();
    let directory = ids
        .iter()
        .fold(directory, |all, id| all.person(id, &address(id)));
    organization = ids
        .iter()
        .fold(organization, |all, id| all.member(id, &address(id)));
    let mut run = Run {
        now: day(0),
        ..Run::default()
    };
    let first = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&first), ["Revoke ann", "Revoke cid"]);

    policy.offboarding.limit = Limit::Count(1);
    policy.offboarding.disabled_limit = Limit::Count(1);
    organization.refused.insert(id("cid"));
    pass_until(&mut run, 60);
    for (hour, expected) in [
        (0, &["Remove ann", "Remove cid"][..]),
        (1, &["Remove cid"]),
        (2, &["Remove cid"]),
    ] {
        run.now = day(60) + SignedDuration::from_hours(hour);
        let then = run.sync(&directory, &mut organization, &policy);
        assert_eq!(changes(&then), expected, "hour {hour}");
        assert!(then.held.is_none(), "hour {hour}");
    }
}

#[test]
fn an_empty_directory_and_one_that_knows_too_little_remove_nobody_who_is_absent() {
    let policy = after_thirty_days();
    let (mut run, _, mut organization) = revoked_on_day_0(&policy);
    pass_until(&mut run, 60);
    run.now = day(60);
    let empty = run.sync(&directory(), &mut organization, &policy);
    assert!(
        !changes(&empty)
            .iter()
            .any(|change| change.starts_with("Remove"))
    );
    let unknown = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .unidentified("uid=somebody", "")
        .group("eng", "eng", &["ann", "bob"]);
    let then = run.sync(&unknown, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann"], "who may be Cid isn't known");
}

#[test]
fn whoever_came_back_under_a_new_id_is_not_removed() {
    let policy = after_thirty_days();
    let (mut run, _, mut organization) = revoked_on_day_0(&policy);
    let back = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("cid-2", "cid@example.com")
        .group("eng", "eng", &["ann", "bob"]);
    pass_until(&mut run, 60);
    run.now = day(60);
    let then = run.sync(&back, &mut organization, &policy);
    assert_eq!(changes(&then), ["Remove ann", "Relink cid-2"]);
    let emails = organization.content.members.iter();
    assert!(
        emails
            .map(|one| one.email.as_str())
            .any(|email| email == "cid@example.com")
    );
}

#[test]
fn a_member_whose_id_may_be_another_persons_is_not_removed() {
    let policy = after_thirty_days();
    let (mut run, _, mut organization) = revoked_on_day_0(&policy);
    let reused = directory()
        .disabled("ann", "newcomer@example.com")
        .person("bob", "bob@example.com");
    pass_until(&mut run, 60);
    run.now = day(60);
    let then = run.sync(&reused, &mut organization, &policy);
    assert!(!changes(&then).contains(&"Remove ann".to_owned()));
    assert!(changes(&then).contains(&"Remove cid".to_owned()));
}

#[test]
fn whoever_was_revoked_as_disabled_and_is_gone_since_is_kept_where_those_who_are_gone_are() {
    for absent in [OffboardingAction::Retain, OffboardingAction::Revoke] {
        let policy = after_thirty_days();
        let (mut run, _, mut organization) = revoked_on_day_0(&policy);
        // The account is deleted, and only then the time is over.
        let mut policy = policy;
        policy.offboarding.absent = absent;
        let gone = directory()
            .person("bob", "bob@example.com")
            .group("eng", "eng", &["bob"]);
        pass_until(&mut run, 31);
        run.now = day(31);
        let then = run.sync(&gone, &mut organization, &policy);
        let removed: Vec<String> = changes(&then)
            .into_iter()
            .filter(|one| one.starts_with("Remove"))
            .collect();
        match absent {
            OffboardingAction::Retain => assert_eq!(removed, [""; 0]),
            _ => assert_eq!(removed, ["Remove ann", "Remove cid"]),
        }
    }
}
