//! Random directories, organizations and policies, small enough to collide.

use directory_sync_core::directory::AccountState;
use directory_sync_core::organization::model::{MemberRole, MemberStatus};
use directory_sync_core::sync::policy::{
    Access, Glob, GroupFilter, Limit, Offboarding, OffboardingAction, Onboarding, Policy, Restore,
    UserFilter,
};
use directory_sync_core_testing::{ModelOrganization, TestDirectory, directory, id, organization};
use proptest::prelude::*;

const PEOPLE: usize = 8;
const GROUPS: usize = 5;

pub fn email(n: usize) -> String {
    // A few are of another domain, for the filters.
    format!(
        "e{n}@{}.com",
        if n.is_multiple_of(3) {
            "partner"
        } else {
            "example"
        }
    )
}

fn group_name(n: usize) -> String {
    format!(
        "{}-{}",
        if n.is_multiple_of(2) { "eng" } else { "ops" },
        n / 2
    )
}

fn states() -> impl Strategy<Value = AccountState> {
    prop_oneof![
        6 => Just(AccountState::Active),
        2 => Just(AccountState::Disabled),
        1 => Just(AccountState::Deleted),
    ]
}

/// Mostly their own email, sometimes somebody else's, none, or a broken one.
fn emails(own: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        7 => Just(email(own)),
        2 => (0..PEOPLE).prop_map(email),
        1 => Just(String::new()),
        1 => Just("broken".to_owned()),
    ]
}

pub fn directories() -> impl Strategy<Value = TestDirectory> {
    let person = |n: usize| {
        prop::option::weighted(0.8, (emails(n), states()))
            .prop_map(move |person| person.map(|(email, state)| (format!("p{n}"), email, state)))
    };
    let people: Vec<_> = (0..PEOPLE).map(person).collect();
    let members = || {
        prop::collection::vec(
            prop_oneof![
                4 => (0..PEOPLE).prop_map(|n| format!("p{n}")),
                1 => (0..GROUPS).prop_map(|n| format!("@g{n}")),
            ],
            0..6,
        )
    };
    let names = (0..GROUPS + 1).prop_map(|n| {
        if n == GROUPS {
            String::new()
        } else {
            group_name(n)
        }
    });
    let groups = prop::collection::vec(prop::option::weighted(0.7, (names, members())), GROUPS);
    (people, groups).prop_map(|(people, groups)| {
        let mut directory = directory();
        for (id, email, state) in people.into_iter().flatten() {
            directory = directory.account(&id, &email, state);
        }
        for (n, group) in groups.into_iter().enumerate() {
            if let Some((name, members)) = group {
                let members: Vec<&str> = members.iter().map(String::as_str).collect();
                directory = directory.group(&format!("g{n}"), &name, &members);
            }
        }
        directory
    })
}

/// Ids as in the directory, of an earlier directory, of somebody else's, or none.
fn external_ids(
    prefix: &'static str,
    letter: char,
    own: usize,
) -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        6 => Just(Some(format!("{prefix}{letter}{own}"))),
        2 => (0..PEOPLE).prop_map(move |n| Some(format!("{prefix}{letter}{n}"))),
        2 => Just(Some(format!("{prefix}old{own}"))),
        1 => Just(Some(format!("other:{letter}{own}"))),
        2 => Just(None),
    ]
}

pub fn organizations(prefix: &'static str) -> impl Strategy<Value = ModelOrganization> {
    let statuses = prop_oneof![
        Just(MemberStatus::Confirmed),
        Just(MemberStatus::Invited),
        Just(MemberStatus::Staged),
        Just(MemberStatus::Revoked),
    ];
    let roles = prop_oneof![5 => Just(MemberRole::Other(2)), 1 => Just(MemberRole::Owner)];
    let members: Vec<_> = (0..PEOPLE)
        .map(|n| {
            let member = (
                external_ids(prefix, 'p', n),
                statuses.clone(),
                roles.clone(),
            );
            prop::option::weighted(0.7, member)
        })
        .collect();
    let groups: Vec<_> = (0..GROUPS)
        .map(|n| {
            let inside = prop::collection::vec(0..PEOPLE, 0..5);
            let group = (external_ids(prefix, 'g', n), (0..GROUPS), inside);
            prop::option::weighted(0.7, group)
        })
        .collect();
    (members, groups).prop_map(|(members, groups)| {
        let mut made = organization();
        let mut there = vec![];
        for (n, member) in members.into_iter().enumerate() {
            if let Some((external_id, status, role)) = member {
                made.add(external_id.as_deref().map(id), &email(n), status, role);
                there.push(n);
            }
        }
        for (external_id, name, inside) in groups.into_iter().flatten() {
            let inside: Vec<String> = inside
                .into_iter()
                .filter(|n| there.contains(n))
                .map(email)
                .collect();
            let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
            made.add_group(external_id.as_deref().map(id), &group_name(name), &inside);
        }
        made
    })
}

fn departures() -> impl Strategy<Value = OffboardingAction> {
    prop_oneof![
        Just(OffboardingAction::Retain),
        Just(OffboardingAction::Revoke),
        Just(OffboardingAction::Remove)
    ]
}

pub fn limits() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (0usize..5).prop_map(Limit::Count),
        (0.0..=100.0).prop_map(Limit::Percent)
    ]
}

pub fn policies(prefix: &'static str) -> impl Strategy<Value = Policy> {
    let globs = |patterns: &'static [&'static str]| {
        prop_oneof![
            3 => Just(vec![]),
            1 => prop::sample::subsequence(patterns, 1)
                .prop_map(|patterns| patterns.into_iter().map(Glob::new).collect::<Vec<_>>()),
        ]
    };
    let users = (
        globs(&["*@example.com", "e*"]),
        globs(&["*@partner.com", "e1@*"]),
    )
        .prop_map(|(include, exclude)| UserFilter { include, exclude });
    let groups = (
        globs(&["eng-1", "ops-*"]),
        globs(&["eng-*", "*-0"]),
        globs(&["ops-*", "*-1"]),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(protected, include, exclude, only_their_members, prune, adopt)| GroupFilter {
                protected,
                include,
                exclude,
                only_their_members,
                prune,
                adopt,
                ..GroupFilter::default()
            },
        );
    let restore = prop_oneof![
        Just(Restore::Nobody),
        Just(Restore::RevokedByUs),
        Just(Restore::All),
    ];
    let onboarding = (any::<bool>(), restore).prop_map(|(invite, restore)| Onboarding {
        invite,
        restore,
        limit: Limit::Percent(100.0),
        confirm_within: Onboarding::CONFIRM_WITHIN,
        reinvite: None,
        withdraw_after: None,
    });
    let offboarding = (departures(), departures(), departures(), limits(), limits()).prop_map(
        |(disabled, deleted, absent, limit, disabled_limit)| Offboarding {
            remove_after: None,
            approvals_expire_after: Offboarding::APPROVALS_EXPIRE_AFTER,
            disabled,
            deleted,
            absent,
            limit,
            disabled_limit,
        },
    );
    (users, groups, onboarding, offboarding).prop_map(
        move |(users, groups, onboarding, offboarding)| Policy {
            never_send: Some(Default::default()),
            doubts: vec![],
            access: Access::default(),
            external_id_prefix: prefix.into(),
            users,
            groups,
            onboarding,
            offboarding,
        },
    )
}

/// A directory, an organization and a policy that belong together.
pub fn worlds() -> impl Strategy<Value = (TestDirectory, ModelOrganization, Policy)> {
    let world = |prefix| (directories(), organizations(prefix), policies(prefix));
    prop_oneof![world(""), world("d:")]
}

/// Another directory for the same organization.
pub fn histories() -> impl Strategy<Value = (Vec<TestDirectory>, ModelOrganization, Policy)> {
    let world = |prefix| {
        (
            prop::collection::vec(directories(), 2..4),
            organizations(prefix),
            policies(prefix),
        )
    };
    prop_oneof![world(""), world("d:")]
}
