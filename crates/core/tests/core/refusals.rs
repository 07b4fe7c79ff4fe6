//! Somebody whose change the server refuses, at one run or at every run.

use directory_sync_core::organization::model::MemberStatus;
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::memberships::FailedChanges;
use directory_sync_core::sync::plan::Kind;
use directory_sync_core::sync::policy::{Limit, OffboardingAction, Policy, Restore};
use directory_sync_core_testing::{
    ModelOrganization, TestDirectory, directory, id, organization, policy,
};
use jiff::SignedDuration;

use crate::guard::{NOON, approve, hours, limited, members, people, since};
use crate::{changes, problems, unlimited};

/// `p0` is disabled, and so many of the others from the end are gone.
fn one_disabled(gone: usize, of: usize) -> TestDirectory {
    people(1..of - gone).disabled("p0", "p0@example.com")
}

/// Those with access are 60, of whom six may go in a day.
fn six_a_day() -> Policy {
    limited(Limit::Percent(10.0))
}

#[test]
fn one_whose_revocation_is_refused_at_every_run_uses_up_no_limit_and_holds_nobody_up() {
    let mut organization = members(60).refusing("p0");
    let policy = six_a_day();
    let mut run = since(NOON);
    let mut sizes = vec![];
    for day in 1..=6 {
        // Two leave, and a run every hour tries to revoke the one again.
        for _ in 0..24 {
            let directory = one_disabled(2 * day, 60);
            let plan = run.sync(&directory, &mut organization, &policy);
            assert!(plan.held.is_none(), "day {day}");
            let of_p0 = |kind| {
                plan.approved
                    .changes
                    .iter()
                    .filter(|one| one.kind() == kind)
                    .count()
            };
            assert_eq!(of_p0(Kind::Revoke), 1, "tried once a run");
            run.now += hours(1);
        }
        assert_eq!(organization.content.members.len(), 60 - 2 * day);
        run.now += hours(1);
        sizes.push(run.ledger.to_bytes().len());
    }
    // Nothing is forgotten within a week of losses; what is refused adds nothing.
    let grown = sizes.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let of_two_leavers = sizes[0];
    assert!(grown.max() <= Some(of_two_leavers), "{sizes:?}");
    assert_eq!(run.ledger.revoked(), 0, "it isn't taken to be revoked");
}

#[test]
fn one_whose_revocation_is_refused_keeps_the_record_as_large_as_it_is() {
    let mut organization = members(60).refusing("p0");
    let mut run = since(NOON);
    let mut sizes = vec![];
    for _ in 0..300 {
        run.sync(&one_disabled(0, 60), &mut organization, &six_a_day());
        run.now += SignedDuration::from_mins(15);
        sizes.push(run.ledger.to_bytes().len());
    }
    assert_eq!(sizes[1], sizes[299]);
}

#[test]
fn one_whose_invitation_is_refused_at_every_run_uses_up_no_limit() {
    let mut organization = members(20).refusing("new");
    let policy = policy();
    let mut run = since(NOON);
    run.sync(&people(0..20), &mut organization, &policy);
    // After the day of the first sync.
    run.now += hours(25);
    let with_new = |last: usize| people(0..last).person("new", "new@example.com");
    let mut sizes = vec![];
    for _ in 0..100 {
        run.now += SignedDuration::from_mins(10);
        let plan = run.sync(&with_new(20), &mut organization, &policy);
        assert_eq!(changes(&plan), ["Invite new"]);
        assert_eq!(organization.content.members.len(), 20);
        sizes.push(run.ledger.to_bytes().len());
    }
    assert_eq!(sizes[1], sizes[99]);
    // Ten may come in a day.
    run.now += SignedDuration::from_mins(10);
    let plan = run.plan(&with_new(30), &organization, &policy);
    assert!(
        plan.held.is_some(),
        "the one counts in the run that tries it"
    );
    let plan = run.sync(&with_new(29), &mut organization, &policy);
    assert!(plan.held.is_none());
    assert_eq!(organization.content.members.len(), 29);
}

#[test]
fn a_group_that_is_refused_at_every_run_loses_nobody_and_uses_up_no_limit() {
    let mut organization = members(60).refusing("g");
    let mut policy = six_a_day();
    policy.offboarding.absent = OffboardingAction::Retain;
    let mut run = since(NOON);
    let before = organization.show();
    let mut sizes = vec![];
    for _ in 0..50 {
        run.sync(&left_the_group(4), &mut organization, &policy);
        run.now += SignedDuration::from_mins(15);
        sizes.push(run.ledger.to_bytes().len());
    }
    assert_eq!(organization.show(), before);
    assert_eq!(sizes[1], sizes[49]);
    organization.refused.clear();
    // As many others as on any other day.
    run.now += SignedDuration::from_mins(15);
    let others = |to: usize| without_in_group(4..to);
    let plan = run.plan(&others(11), &organization, &policy);
    assert!(plan.held.is_some());
    let plan = run.sync(&others(10), &mut organization, &policy);
    assert!(plan.held.is_none());
}

/// Everybody is there, and so many aren't in the group any more.
fn left_the_group(many: usize) -> TestDirectory {
    without_in_group(0..many)
}

/// Everybody is there, and these aren't in the group any more.
fn without_in_group(these: std::ops::Range<usize>) -> TestDirectory {
    let all = (0..60).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let in_group = (0..60).filter(|n| !these.contains(n));
    let ids: Vec<String> = in_group.map(|n| format!("p{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    all.group("g", "Group", &ids)
}

#[test]
fn an_approval_whose_change_is_refused_is_used_up() {
    let mut organization = members(10).refusing("p0");
    let policy = limited(Limit::Count(0));
    let mut run = since(NOON);
    let gone = people(2..10);
    let held = run.sync(&gone, &mut organization, &policy);
    run.approval = approve(&held.digest);
    run.now += hours(1);
    run.sync(&gone, &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 9, "the other one");
    for _ in 0..3 {
        run.now += hours(1);
        let again = run.sync(&gone, &mut organization, &policy);
        assert_eq!(changes(&again), [""; 0]);
        assert_ne!(again.digest, held.digest);
    }
    assert_eq!(organization.content.members.len(), 9);
}

#[test]
fn a_refusal_forgets_nothing_that_was_taken_away_before() {
    let mut organization = (0..60).fold(organization(), |organization, n| {
        organization.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let mut policy = six_a_day();
    policy.offboarding.absent = OffboardingAction::Revoke;
    let people = |numbers: Vec<usize>| {
        numbers.into_iter().fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        })
    };
    let mut run = since(NOON);
    // One is revoked, is given access back by hand, and cannot be revoked again.
    run.sync(&people((1..60).collect()), &mut organization, &policy);
    organization.set_status("p0@example.com", MemberStatus::Confirmed);
    run.now += hours(1);
    organization.refused.insert(id("p0"));
    run.sync(&people((1..60).collect()), &mut organization, &policy);
    run.now += hours(1);
    assert_eq!(run.ledger.revoked(), 0);
    // With the one that makes seven in a day.
    organization.refused.clear();
    let plan = run.plan(&people((0..54).collect()), &organization, &policy);
    assert!(plan.held.is_some(), "{:?}", changes(&plan));
    let plan = run.plan(&people((0..55).collect()), &organization, &policy);
    assert!(plan.held.is_none());
}

#[test]
fn a_refused_removal_forgets_nothing_of_whose_account_was_disabled() {
    let mut policy = unlimited();
    policy.onboarding.restore = Restore::All;
    let mut organization = organization()
        .revoked("ann", "ann@example.com")
        .member("eve", "eve@example.com");
    let eve = || directory().person("eve", "eve@example.com");
    let disabled = eve().disabled("ann", "ann@example.com");
    let mut run = since(NOON);
    // Somebody revoked Ann by hand, and her account was read as disabled meanwhile.
    run.sync(&disabled, &mut organization, &policy);
    policy.offboarding.disabled = OffboardingAction::Remove;
    organization.refused.insert(id("ann"));
    run.now += hours(1);
    let removal = run.sync(&disabled, &mut organization, &policy);
    assert_eq!(changes(&removal), ["Remove ann"]);
    organization.refused.clear();
    // The spec doesn't read disabled accounts any more.
    run.now += hours(1);
    let everybody = eve().person("ann", "ann@example.com");
    let everybody = everybody.without_account_rule();
    let after = run.sync(&everybody, &mut organization, &policy);
    assert_eq!(changes(&after), [""; 0]);
    let told = (ProblemReason::NotRestored, vec!["ann"]);
    assert_eq!(problems(&after), [told]);
}

/// A group for each of twenty people, with the person's ID, as where both are numbers; these have other names by
/// now, and these people are disabled.
fn numbers(renamed: std::ops::Range<usize>, disabled: std::ops::Range<usize>) -> TestDirectory {
    (0..20).fold(directory(), |directory, n| {
        let (own, email) = (format!("p{n}"), format!("p{n}@example.com"));
        let directory = match disabled.contains(&n) {
            true => directory.disabled(&own, &email),
            false => directory.person(&own, &email),
        };
        let name = match renamed.contains(&n) {
            true => format!("former {n}"),
            false => format!("group {n}"),
        };
        directory.group(&own, &name, &[&own])
    })
}

#[test]
fn a_group_that_is_refused_takes_nobody_with_the_same_id_off_a_limit_or_the_record() {
    let mut policy = unlimited();
    policy.offboarding.disabled_limit = Limit::Count(2);
    let mut organization = organization();
    let mut run = since(NOON);
    run.sync(&numbers(0..0, 0..0), &mut organization, &policy);
    organization.accept_all();
    run.now += hours(25);
    organization.refused_changes = (0..20)
        .map(|n| (Kind::RenameGroup, id(&format!("p{n}"))))
        .collect();
    let first = run.sync(&numbers(0..4, 0..2), &mut organization, &policy);
    let revoked = |organization: &ModelOrganization| {
        let members = organization.content.members.iter();
        let revoked = members.filter(|member| member.status == MemberStatus::Revoked);
        revoked.count()
    };
    assert!(first.held.is_none());
    assert_eq!(revoked(&organization), 2);
    run.now += SignedDuration::from_mins(1);
    let held = run.sync(&numbers(0..4, 0..3), &mut organization, &policy);
    assert!(held.held.is_some(), "a third within a minute");
    assert_eq!(revoked(&organization), 2);
    // It was a run who revoked them.
    run.now += SignedDuration::from_mins(1);
    let back = run.sync(&numbers(0..4, 0..0), &mut organization, &policy);
    assert_eq!(problems(&back), []);
    assert_eq!(revoked(&organization), 0);
}

#[test]
fn a_person_who_is_refused_takes_nobody_who_left_the_group_with_the_same_id_off_its_limit() {
    let company = |inside: std::ops::Range<usize>, email: &str| {
        let all = (0..60).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        let ids: Vec<String> = inside.map(|n| format!("p{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        all.person("g", email).group("g", "Group", &ids)
    };
    let mut policy = unlimited();
    policy.groups.limit = Limit::Count(3);
    let mut organization = organization();
    let mut run = since(NOON);
    run.sync(&company(0..40, "g@example.com"), &mut organization, &policy);
    run.now += hours(25);
    // The new address of an invitation that is open is refused.
    let people = [Kind::Invite, Kind::Relink, Kind::Revoke, Kind::Remove];
    organization.refused_changes = people.map(|kind| (kind, id("g"))).into_iter().collect();
    let first = company(3..40, "other@example.com");
    let first = run.sync(&first, &mut organization, &policy);
    assert!(first.held.is_none());
    assert!(changes(&first).contains(&"Invite g".to_owned()));
    run.now += SignedDuration::from_mins(1);
    let held = company(4..40, "other@example.com");
    let held = run.sync(&held, &mut organization, &policy);
    assert!(held.held.is_some(), "{:?}", changes(&held));
}

#[test]
fn who_left_a_group_counts_where_its_new_name_is_refused_and_where_somebody_changed_it_meanwhile() {
    for outdated in [false, true] {
        let mut organization = members(60);
        let mut policy = unlimited();
        policy.groups.limit = Limit::Count(3);
        let mut run = since(NOON);
        run.sync(&left_the_group(0), &mut organization, &policy);
        run.now += hours(25);
        let guarded = run.plan(&left_the_group(3), &organization, &policy);
        run.ledger.before(&guarded, run.now);
        organization.apply(&guarded.approved);
        let failed = match outdated {
            true => FailedChanges {
                outdated: [id("g")].into(),
                refused: true,
                ..FailedChanges::default()
            },
            false => FailedChanges {
                changes: [(Kind::RenameGroup, id("g"))].into_iter().collect(),
                refused: true,
                ..FailedChanges::default()
            },
        };
        run.memory.record(&guarded, &failed);
        run.ledger.after(&guarded, &failed);
        run.now += SignedDuration::from_mins(1);
        let held = run.sync(&left_the_group(4), &mut organization, &policy);
        assert_eq!(run.read.len(), 1, "its members are read again");
        assert!(held.held.is_some(), "a fourth within a minute: {outdated}");
    }
}

#[test]
fn who_is_removed_leaves_a_group_whose_update_is_refused_and_counts_there() {
    let company = |without: std::ops::Range<usize>| {
        (0..60).filter(|n| !without.contains(n)).fold(
            (directory(), vec![]),
            |(directory, mut ids), n| {
                let own = format!("p{n}");
                let directory = directory.person(&own, &format!("{own}@example.com"));
                ids.push(own);
                (directory, ids)
            },
        )
    };
    let in_group = |without: std::ops::Range<usize>, from: usize| {
        let (directory, ids) = company(without);
        let ids: Vec<&str> = ids.iter().skip(from).map(String::as_str).collect();
        directory.group("g", "Group", &ids)
    };
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.groups.limit = Limit::Count(4);
    let mut organization = organization();
    let mut run = since(NOON);
    run.sync(&in_group(0..0, 0), &mut organization, &policy);
    organization.accept_all();
    run.now += hours(25);
    // Two are gone, one more left the group, and what remains of the group is refused.
    organization.refused_changes = [(Kind::UpdateGroup, id("g"))].into_iter().collect();
    let first = run.sync(&in_group(0..2, 1), &mut organization, &policy);
    assert!(first.held.is_none());
    assert_eq!(organization.content.members.len(), 58);
    organization.refused_changes = Default::default();
    run.now += SignedDuration::from_mins(1);
    let next = run.clone().plan(&in_group(0..2, 2), &organization, &policy);
    assert!(next.held.is_none(), "two more may leave it");
    let held = run.plan(&in_group(0..2, 3), &organization, &policy);
    assert!(held.held.is_some(), "{:?}", changes(&held));
}

#[test]
fn what_is_held_of_a_group_stays_held_where_the_invitation_of_a_person_with_the_same_id_is_held_too()
 {
    let company = |inside: std::ops::Range<usize>, people: usize| {
        let all = (0..people).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        let ids: Vec<String> = inside.map(|n| format!("p{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        all.group("p20", "Group", &ids)
    };
    let mut policy = unlimited();
    policy.groups.limit = Limit::Count(0);
    policy.onboarding.limit = Limit::Count(1);
    let mut organization = organization();
    let mut run = since(NOON);
    run.sync(&company(0..20, 20), &mut organization, &policy);
    organization.accept_all();
    run.now += hours(25);
    let before = organization.show();
    let held = run.sync(&company(4..20, 23), &mut organization, &policy);
    assert_eq!(changes(&held), [""; 0]);
    assert_eq!(organization.show(), before);
    assert_eq!(held.held.unwrap().why.len(), 2);
}
