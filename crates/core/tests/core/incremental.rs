//! Whatever a directory says that wasn't read whole, it takes nothing from anybody.

use std::collections::BTreeSet;

use directory_sync_core::directory::{ExternalId, ReadNow};
use directory_sync_core::sync::guard::{Approval, GuardedPlan};
use directory_sync_core::sync::incremental::NeedsCompleteRead;
use directory_sync_core::sync::plan::{Action, GroupAction, Kind, MemberAction};
use directory_sync_core::sync::policy::{Limit, OffboardingAction, Policy};
use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization, policy,
};
use proptest::prelude::*;

use crate::world::worlds;

fn plan(
    directory: &TestDirectory,
    read_now: ReadNow,
    organization: &ModelOrganization,
) -> GuardedPlan {
    Run::default().plan_incremental(directory, read_now, organization, &generous())
}

fn generous() -> Policy {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Percent(100.0);
    policy.offboarding.disabled_limit = Limit::Percent(100.0);
    policy
}

fn people(ids: &[&str]) -> ReadNow {
    ReadNow {
        users: ids.iter().map(|text| id(text)).collect(),
        ..ReadNow::default()
    }
}

fn groups(ids: &[&str]) -> ReadNow {
    ReadNow {
        groups: ids.iter().map(|text| id(text)).collect(),
        ..people(&["ann", "ben"])
    }
}

fn kinds(guarded: &GuardedPlan) -> Vec<Kind> {
    let changes = guarded.approved.changes.iter();
    changes.map(|change| change.kind()).collect()
}

#[test]
fn who_was_read_now_is_invited_and_nobody_else_is() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("ben", "ben@example.com");
    let before = organization().member("ann", "ann@example.com");
    let read = plan(&directory, people(&["ben"]), &before);
    assert_eq!(kinds(&read), [Kind::Invite]);
    assert_eq!(read.needs_complete_read, None);

    let unread = plan(&directory, people(&["ann"]), &before);
    assert_eq!(kinds(&unread), []);
    assert_eq!(
        unread.needs_complete_read,
        Some(NeedsCompleteRead::NotReadNow(Kind::Invite, id("ben")))
    );
}

#[test]
fn who_is_gone_or_disabled_loses_nothing_before_everything_was_read() {
    let before = organization()
        .member("ann", "ann@example.com")
        .member("ben", "ben@example.com");
    let gone = directory().person("ann", "ann@example.com");
    let disabled = gone.clone().disabled("ben", "ben@example.com");
    for directory in [gone, disabled] {
        let guarded = plan(&directory, people(&["ann", "ben"]), &before);
        assert_eq!(kinds(&guarded), []);
        assert!(guarded.needs_complete_read.is_some());
    }
}

#[test]
fn the_fast_lane_hears_of_disabled_people_alone_and_of_nobody_where_a_limit_would_hold_anything() {
    let before = organization()
        .member("ann", "ann@example.com")
        .member("ben", "ben@example.com")
        .member("cid", "cid@example.com")
        .member("dot", "dot@example.com");
    let others = directory()
        .person("ann", "ann@example.com")
        .person("dot", "dot@example.com");
    // Ben is disabled, and Cid gone.
    let directory = others.disabled("ben", "ben@example.com");
    let heard = |policy: &Policy| {
        let read_now = people(&["ben"]);
        let guarded = Run::default().plan_incremental(&directory, read_now, &before, policy);
        assert_eq!(kinds(&guarded), []);
        guarded.leavers
    };
    assert_eq!(heard(&generous()), [id("ben")]);
    let limits: [fn(&mut Policy); 2] = [
        |policy| policy.offboarding.disabled_limit = Limit::Count(0),
        |policy| policy.offboarding.limit = Limit::Count(0),
    ];
    for limit in limits {
        let mut policy = generous();
        limit(&mut policy);
        assert_eq!(heard(&policy), []);
    }
}

#[test]
fn who_is_in_a_group_is_said_by_the_group() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("ben", "ben@example.com")
        .group("law", "Law", &["ann", "ben"])
        .group("all", "All", &["@law"]);
    let before = organization()
        .member("ann", "ann@example.com")
        .member("ben", "ben@example.com");
    let unread = plan(&directory, groups(&[]), &before);
    assert!(unread.needs_complete_read.is_some());
    // Who is in a group by way of another one is said by more than one entry.
    let nested = plan(&directory, groups(&["law", "all"]), &before);
    assert_eq!(
        nested.needs_complete_read,
        Some(NeedsCompleteRead::NotReadNow(Kind::CreateGroup, id("all")))
    );
}

/// The directory may hide Ben's entry by now, and a group go on naming him.
#[test]
fn whose_own_entry_was_not_read_now_comes_into_no_group() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("ben", "ben@example.com")
        .group("law", "Law", &["ann", "ben"]);
    let before = organization()
        .member("ann", "ann@example.com")
        .member("ben", "ben@example.com");
    let read = |users: &[&str]| ReadNow {
        groups: groups(&["law"]).groups,
        ..people(users)
    };
    let there = before.clone().group("law", "Law", &["ann@example.com"]);
    for (organization, kind) in [(before, Kind::CreateGroup), (there, Kind::UpdateGroup)] {
        let without = plan(&directory, read(&["ann"]), &organization);
        assert_eq!(kinds(&without), []);
        assert_eq!(
            without.needs_complete_read,
            Some(NeedsCompleteRead::NotReadNow(kind, id("law")))
        );
        let with = plan(&directory, read(&["ann", "ben"]), &organization);
        assert_eq!(kinds(&with), [kind]);
    }
    // Only those who come in matter.
    let named = organization()
        .member("ann", "ann@example.com")
        .member("ben", "ben@example.com")
        .group("law", "Legal", &["ann@example.com", "ben@example.com"]);
    let renamed = plan(&directory, read(&[]), &named);
    assert_eq!(kinds(&renamed), [Kind::RenameGroup]);
}

/// The group may be hidden by now: a whole read would leave Ben out.
#[test]
fn who_is_in_scope_by_a_group_is_invited_only_if_that_was_read_now() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("ben", "ben@example.com")
        .group("law", "Law", &["ann", "ben"])
        .group("other", "Other", &["ann"]);
    let before = organization()
        .member("ann", "ann@example.com")
        .group("law", "Law", &["ann@example.com"])
        .group("other", "Other", &["ann@example.com"]);
    let mut policy = generous();
    policy.groups.only_their_members = true;
    let plan = |read_groups: &[&str]| {
        let read_now = groups(read_groups);
        Run::default().plan_incremental(&directory, read_now, &before, &policy)
    };
    for unread in [&[][..], &["other"]] {
        let guarded = plan(unread);
        assert_eq!(kinds(&guarded), [], "{unread:?}");
        assert!(guarded.needs_complete_read.is_some());
    }
    let read = plan(&["law"]);
    assert_eq!(kinds(&read), [Kind::Invite, Kind::UpdateGroup]);
}

#[test]
fn a_limit_that_would_hold_something_asks_for_everything() {
    let mut crowd = directory().person("ann", "ann@example.com");
    let mut before = organization().member("ann", "ann@example.com");
    for n in 0..100 {
        crowd = crowd.person(&format!("n{n}"), &format!("n{n}@example.com"));
        before = before.member(&format!("m{n}"), &format!("m{n}@example.com"));
    }
    let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let guarded = plan(&crowd, people(&names), &before);
    assert_eq!(kinds(&guarded), []);
    assert!(guarded.held.is_none() && guarded.needs_complete_read.is_some());
}

#[test]
fn nobody_gets_access_back_by_what_entries_show_that_were_not_read_now() {
    let policy = generous();
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com")
        .member("cfo", "cfo@example.com");
    let everybody = || directory().person("eve", "eve@example.com");
    let disabled = everybody()
        .disabled("ann", "ann@example.com")
        .disabled("cfo", "cfo@example.com");
    let mut run = Run::default();
    run.sync(&disabled, &mut organization, &policy);
    // Ann's entry doesn't show the attribute, and the one beside it did when it was read.
    let back = everybody()
        .person("ann", "ann@example.com")
        .disabled("cfo", "cfo@example.com")
        .shows_attribute("cfo", "staff")
        .lacks_attribute("ann", "staff")
        .lacks_attribute("eve", "staff");
    let whole = run.clone().plan(&back, &organization, &policy);
    assert_eq!(kinds(&whole), [Kind::Restore]);
    let known = whole.approved.problems.count();
    let guarded = run.plan_incremental(&back, people(&["ann"]), &organization, &policy);
    assert_eq!(kinds(&guarded), []);
    // Either has everything read.
    let problems = guarded.approved.problems.count();
    assert!(guarded.needs_complete_read.is_some() || problems > known);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The directory is any directory: as wrong as an earlier read with changes that nobody told.
    #[test]
    fn whatever_is_out_of_date_takes_nothing(
        (directory, before, policy) in worlds(),
        read in prop::collection::btree_set(0usize..8, 0..8),
        read_groups in prop::collection::btree_set(0usize..8, 0..8),
        is_approved in any::<bool>(),
    ) {
        let ids = |prefix: &str, numbers: &BTreeSet<usize>| -> Vec<ExternalId> {
            numbers.iter().map(|n| id(&format!("{prefix}{n}"))).collect()
        };
        let read_now = ReadNow {
            users: ids("p", &read).into_iter().collect(),
            groups: ids("g", &read_groups).into_iter().collect(),
        };
        let digest = Run::default().plan(&directory, &before, &policy).digest;
        let mut run = Run {
            approval: is_approved.then_some(Approval { digest }),
            ..Run::default()
        };
        let guarded = run.plan_incremental(&directory, read_now.clone(), &before, &policy);
        prop_assert!(guarded.held.is_none() && guarded.used.is_none());
        let prefixed = |id: &ExternalId| id.as_str().strip_prefix(&*policy.external_id_prefix).map(|id| {
            ExternalId::parse(id).unwrap()
        });
        for change in &guarded.approved.changes {
            prop_assert!(!change.takes_away(), "{change:?}");
            let own = prefixed(change.external_id()).unwrap();
            match &change.action {
                Action::Member(MemberAction::Invite { from: None, .. } | MemberAction::Restore) => {
                    prop_assert!(read_now.users.contains(&own), "{change:?}");
                }
                Action::Group(
                    action @ (GroupAction::Create { .. } | GroupAction::Rename { .. } | GroupAction::Update(_))
                ) => {
                    prop_assert!(read_now.groups.contains(&own), "{change:?}");
                    for member in action.added().unwrap_or_default() {
                        prop_assert!(read_now.users.contains(&prefixed(member).unwrap()), "{change:?}");
                    }
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        if guarded.needs_complete_read.is_none() {
            let whole = Run::default().plan(&directory, &before, &policy);
            for change in &guarded.approved.changes {
                prop_assert!(whole.approved.changes.contains(change), "{change:?}");
            }
        } else {
            prop_assert!(guarded.approved.changes.is_empty());
        }
    }
}
