//! Explanations: stories, and a comparison with a computation of their own that uses nothing of the core.

use std::collections::{BTreeMap, BTreeSet};

use directory_sync_core::directory::{AccountState, ExternalId, LookedUp, Lookup};
use directory_sync_core::organization::collection::CollectionRight;
use directory_sync_core::organization::model::{Member, MemberRole, MemberStatus};
use directory_sync_core::organization::role::AccessRole;
use directory_sync_core::sync::explain::{Explanation, Linked, Person, Question, Verdict};
use directory_sync_core::sync::memberships::MembershipCache;
use directory_sync_core::sync::plan::{Action, GroupAction};
use directory_sync_core::sync::policy::{
    CollectionName, CollectionRule, Glob, Limit, OffboardingAction, Policy, RoleRule,
};
use jiff::SignedDuration;

use directory_sync_core_testing::{
    ModelOrganization, Run, TestDirectory, directory, id, organization, policy,
};

use crate::unlimited;

fn explain(
    directory: &TestDirectory,
    organization: &ModelOrganization,
    asked: &str,
) -> Explanation {
    Run::default().explain(directory, organization, &unlimited(), asked)
}

fn only(explanation: &Explanation) -> &Person {
    assert!(explanation.groups.is_empty(), "{explanation:?}");
    let [person] = explanation.people.as_slice() else {
        panic!("not one person: {explanation:?}");
    };
    person
}

fn planned(person: &Person) -> Vec<&str> {
    person
        .next_run
        .changes
        .named
        .iter()
        .map(|change| &*change.what)
        .collect()
}

#[test]
fn a_person_is_found_by_address_id_external_id_and_the_members_id() {
    let directory = directory().person("ann", "ann@example.com");
    let organization = organization().member("x:ann", "ann@example.com");
    let member = organization.by_email("ann@example.com").id.to_string();
    let mut policy = policy();
    policy.external_id_prefix = "x:".into();
    for asked in [
        "ann@example.com",
        " ANN@example.com ",
        "ann",
        "x:ann",
        &*member,
    ] {
        let explanation = Run::default().explain(&directory, &organization, &policy, asked);
        let person = only(&explanation);
        assert_eq!(person.entry.as_ref().unwrap().id, "ann", "{asked}");
        assert_eq!(person.scope.verdict, Verdict::InScope);
        let [found] = person.members.as_slice() else {
            panic!("{person:?}");
        };
        assert_eq!(
            (found.linked, found.id.as_deref()),
            (Linked::ExternalId, Some(&*member))
        );
        assert_eq!(planned(person), [""; 0]);
    }
}

#[test]
fn a_member_and_a_group_that_another_program_kept_by_their_dns_are_found_with_their_entries() {
    let dn = "uid=ann,ou=people,dc=example";
    let of_group = "cn=staff,ou=groups,dc=example";
    let directory =
        directory()
            .entry(dn, "a1", "ann@example.com")
            .group_entry(of_group, "s1", "Staff", &[dn]);
    let organization = organization()
        .member("UID=Ann,OU=People,DC=example", "ann.old@example.com")
        .group(of_group, "All staff", &["ann.old@example.com"]);
    for asked in ["ann.old@example.com", "ann@example.com", "a1"] {
        let explanation = explain(&directory, &organization, asked);
        let person = only(&explanation);
        assert_eq!(person.scope.verdict, Verdict::InScope, "{asked}");
        assert_eq!(person.members[0].linked, Linked::FormerId, "{asked}");
        let [planned] = planned(person)[..] else {
            panic!("{asked}: {person:?}");
        };
        assert!(!planned.contains("another person"), "{asked}: {planned}");
        let text = explanation.to_text();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = text.contains("is the name (DN) of the entry");
        assert!(told && !text.contains("not in the directory"), "{text}");
    }
    for asked in ["Staff", "All staff"] {
        let explanation = explain(&directory, &organization, asked);
        let [group] = explanation.groups.as_slice() else {
            panic!("{asked}: {explanation:?}");
        };
        assert!(group.organization.is_some(), "{asked}: {group:?}");
    }
}

#[test]
fn the_rule_and_the_pattern_that_leave_somebody_out_are_named() {
    let mut policy = unlimited();
    policy.users.exclude = vec![Glob::new("guest-*"), Glob::new("SVC-*")];
    policy.groups.include = vec![Glob::new("eng*")];
    policy.groups.exclude = vec![Glob::new("*-old")];
    policy.groups.only_their_members = true;
    let directory = directory()
        .person("svc", "svc-backup@example.com")
        .person("bob", "bob@example.com")
        .person("ann", "ann@example.com")
        .group("g1", "eng", &["ann", "svc"])
        .group("g2", "eng-old", &["ann"])
        .group("g3", "sales", &["ann", "bob"]);
    let why = |asked: &str| {
        let explanation = Run::default().explain(&directory, &organization(), &policy, asked);
        let scope = &only(&explanation).scope;
        (scope.verdict, scope.why.clone().unwrap_or_default())
    };
    let (verdict, text) = why("svc");
    assert_eq!(
        (verdict, &*text),
        (Verdict::OutOfScope, "users.exclude has SVC-*")
    );
    let (verdict, text) = why("bob");
    assert_eq!(verdict, Verdict::OutOfScope);
    assert!(text.contains("groups.onlyTheirMembers"), "{text}");
    let explanation = Run::default().explain(&directory, &organization(), &policy, "ann");
    let person = only(&explanation);
    let groups = person.groups.named.iter();
    let groups: Vec<_> = groups.map(|g| (&*g.name, g.scope.why.as_deref())).collect();
    assert_eq!(
        groups,
        [
            ("eng", None),
            ("eng-old", Some("groups.exclude has *-old")),
            ("sales", Some("no pattern of groups.include matches sales")),
        ]
    );
    assert_eq!(
        planned(person),
        ["invite", "add to group eng, which is created"]
    );
}

#[test]
fn somebody_whose_entry_needs_a_hand_is_told_which() {
    let directory = directory()
        .person("ann", "shared@example.com")
        .person("bob", "shared@example.com")
        .person("cid", "");
    let explanation = explain(&directory, &organization(), "shared@example.com");
    let [ann, bob] = explanation.people.as_slice() else {
        panic!("{explanation:?}");
    };
    for person in [ann, bob] {
        assert_eq!(person.scope.verdict, Verdict::Unusable);
        let why = person.scope.why.as_deref().unwrap();
        assert!(why.contains("2 active people have the email"), "{why}");
        assert_eq!(person.problems[0].reason, "DuplicateEmail");
    }
    let explanation = explain(&directory, &organization(), "cid");
    assert_eq!(only(&explanation).problems[0].reason, "NoEmail");
}

#[test]
fn what_holds_a_change_is_told_with_the_digest_that_lets_it_go() {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.offboarding.limit = Limit::Count(0);
    let directory = directory().person("ann", "ann@example.com");
    let organization = organization()
        .member("ann", "ann@example.com")
        .member("gone", "gone@example.com");
    let mut run = Run::default();
    let explanation = run.explain(&directory, &organization, &policy, "gone@example.com");
    let person = only(&explanation);
    assert_eq!(person.scope.verdict, Verdict::Absent);
    let change = &person.next_run.changes.named[0];
    assert_eq!(change.what, "remove from the organization");
    let held = change.held_by.as_deref().unwrap();
    assert!(
        held.starts_with("offboarding.limit: 1 member would lose"),
        "{held}"
    );
    let guarded = run.plan(&directory, &organization, &policy);
    assert_eq!(
        person.next_run.digest.as_deref(),
        Some(&*guarded.digest.to_string())
    );
    assert!(
        person
            .summary
            .ends_with("held until approved: remove from the organization")
    );
}

#[test]
fn whoever_waits_for_a_seat_is_told_so() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com");
    let organization = organization().owner("root@example.com").seats(2);
    let explanation = explain(&directory, &organization, "bob");
    let person = only(&explanation);
    assert_eq!(planned(person), [""; 0]);
    assert_eq!(person.problems[0].reason, "NoSeats");
}

#[test]
fn how_many_wait_for_a_seat_rests_on_what_others_lose() {
    let mut policy = unlimited();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.offboarding.limit = Limit::Count(1);
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("xia", "xia@example.com")
        .person("yul", "yul@example.com")
        .group("eng", "eng", &[]);
    // Cid's seat would be free; but with those who leave the group, too many would lose something.
    let organization = organization()
        .owner("root@example.com")
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .member("cid", "cid@example.com")
        .group("eng", "eng", &["ann@example.com", "bob@example.com"])
        .seats(4);
    for asked in ["xia", "yul"] {
        let explanation = Run::default().explain(&directory, &organization, &policy, asked);
        let person = only(&explanation);
        assert_eq!(planned(person), [""; 0]);
        let told = &person.problems[0].message;
        assert!(told.starts_with("2 more seats are needed"), "{told}");
    }
}

#[test]
fn whoever_is_kept_out_of_a_group_while_its_name_is_held_is_told_so() {
    let mut policy = unlimited();
    policy.groups.protected = vec![Glob::new("Admins")];
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g1", "Former admins", &["ann"])
        .group("g2", "Admins", &["ann", "bob"]);
    let organization = organization()
        .owner("root@example.com")
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .group("g1", "Admins", &["ann@example.com"])
        .group("g2", "Guests", &["ann@example.com"]);
    let explained = |asked| Run::default().explain(&directory, &organization, &policy, asked);
    let bob = explained("bob");
    let bob = only(&bob);
    assert_eq!(planned(bob), [""; 0]);
    let told = "nobody comes into group Admins until it is approved that it gets that name, which is held \
                (groups.protected: ";
    assert!(bob.next_run.notes[0].starts_with(told), "{bob:#?}");
    assert!(only(&explained("ann")).next_run.notes.is_empty());
    let admins = explained("g2");
    assert!(
        admins.groups[0].next_run.notes[0].starts_with(told),
        "{admins:#?}"
    );
}

#[test]
fn what_earlier_runs_took_away_is_told() {
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .group("g", "eng", &["ann@example.com", "bob@example.com"]);
    let before = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com");
    let mut run = Run::default();
    let policy = unlimited();
    let first = before.clone().group("g", "eng", &["ann", "bob"]);
    run.sync(&first, &mut organization, &policy);
    let disabled = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "eng", &["ann"]);
    run.sync(&disabled, &mut organization, &policy);
    let record = |asked: &str| {
        let explanation = run.explain(&disabled, &organization, &policy, asked);
        let record = only(&explanation).record.iter();
        record.map(|one| one.what.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        record("ann"),
        [
            "an earlier run revoked the access",
            "lost access or membership (the account was disabled)"
        ]
    );
    assert_eq!(
        record("bob"),
        ["left group eng (absent, out of scope or out of a group)"]
    );
}

#[test]
fn a_manual_change_that_the_next_run_may_not_see_is_said_to_be_one() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("g", "eng", &["ann"]);
    let mut organization = organization();
    let mut run = Run::default();
    // Twice: a new group is remembered once it was seen.
    run.sync(&directory, &mut organization, &unlimited());
    run.sync(&directory, &mut organization, &unlimited());
    let group = organization.content.groups[0].id;
    organization.inside.get_mut(&group).unwrap().clear();
    let explanation = run.explain(&directory, &organization, &unlimited(), "ann");
    let person = only(&explanation);
    assert_eq!(person.groups.named[0].is_member, Some(false));
    assert_eq!(planned(person), ["add to group eng"]);
    assert!(person.next_run.notes[0].contains("driftCheckInterval"));
}

#[test]
fn a_group_is_explained_with_who_is_in_it_on_which_side_and_why() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .disabled("cid", "cid@example.com")
        .group("g", "Everybody", &["@inner", "cid"])
        .group("inner", "Inner", &["@core", "@g"])
        .group("core", "Core", &["ann", "bob"]);
    let organization = organization()
        .member("ann", "ann@example.com")
        .member("old", "old@example.com")
        .stranger("hand@example.com")
        .group(
            "g",
            "Everybody",
            &["ann@example.com", "old@example.com", "hand@example.com"],
        );
    let explanation = explain(&directory, &organization, "everybody");
    let [group] = explanation.groups.as_slice() else {
        panic!("{explanation:?}");
    };
    let members = group.members.named.iter();
    let members: Vec<_> = members
        .map(|one| {
            (
                &*one.person,
                one.in_directory,
                one.in_organization,
                one.through.join(" > "),
            )
        })
        .collect();
    assert_eq!(
        members,
        [
            (
                "bob@example.com",
                true,
                Some(false),
                "Inner > Core".to_owned()
            ),
            ("cid@example.com", true, Some(false), String::new()),
            ("hand@example.com", false, Some(true), String::new()),
            ("old@example.com", false, Some(true), String::new()),
            (
                "ann@example.com",
                true,
                Some(true),
                "Inner > Core".to_owned()
            ),
        ]
    );
    let there = group.organization.as_ref().unwrap();
    assert_eq!((there.managed, there.unmanaged), (Some(2), Some(1)));
    let why = |at: usize| group.members.named[at].why.as_deref().unwrap();
    assert_eq!(why(1), "disabled in the directory");
    assert!(why(2).contains("unmanaged"));
    assert_eq!(group.contains.named, ["Inner", "Core"]);
    assert_eq!(
        group.next_run.changes.named[0].what,
        "add 1 member, remove 1 member"
    );
}

#[test]
fn who_is_nowhere_gets_the_nearest_names_and_what_the_source_says() {
    let directory = directory()
        .person("ann", "anne@example.com")
        .group("g", "Engineering", &[]);
    let ask = |asked: &str, lookup: Lookup| {
        let run = Run::default();
        let explanation =
            run.explain_with(&directory, &organization(), &unlimited(), (asked, lookup));
        explanation.not_found.unwrap()
    };
    let answer = ask("ann@example.com", Lookup::Unsupported);
    assert_eq!(answer.nearest, ["anne@example.com"]);
    assert!(
        answer
            .meaning
            .contains("filters leave it out, or it doesn't exist"),
        "{answer:?}"
    );
    for (asked, nearest) in [
        ("enginering", "Engineering"),
        ("gine", "Engineering"),
        ("anne", "anne@example.com"),
    ] {
        assert_eq!(ask(asked, Lookup::Unsupported).nearest, [nearest]);
    }
    // So short a part is in too many names.
    assert!(ask("an", Lookup::Unsupported).nearest.is_empty());
    let none = ask("bob@example.com", Lookup::Found(vec![]));
    assert!(none.meaning.contains("no such entry"), "{none:?}");
    let left_out = LookedUp {
        entry: "cn=bob,ou=guests".into(),
        id: Some(id("bob")),
        email: "bob@example.com".into(),
        state: Some(AccountState::Active),
    };
    let filtered = ask("bob@example.com", Lookup::Found(vec![left_out]));
    assert!(
        filtered.meaning.contains("cn=bob,ou=guests"),
        "{filtered:?}"
    );
}

#[test]
fn an_entry_that_the_source_found_by_its_dn_is_explained() {
    let directory = directory().person("ann", "ann@example.com");
    let found = LookedUp {
        entry: "cn=Ann,ou=people".into(),
        id: Some(id("ann")),
        email: "ann@example.com".into(),
        state: Some(AccountState::Active),
    };
    let asked = ("CN=Ann, OU=People", Lookup::Found(vec![found]));
    let explanation = Run::default().explain_with(&directory, &organization(), &unlimited(), asked);
    let entry = only(&explanation).entry.as_ref().unwrap();
    assert_eq!(entry.name.as_deref(), Some("cn=Ann,ou=people"));
}

#[test]
fn a_text_has_no_line_over_80_columns_and_commands_no_terminal() {
    let long = "n".repeat(300);
    let hostile = format!("\u{1b}[2J\u{202e}{long}");
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("g", &hostile, &["ann"])
        .group("h", "Outer", &["@g"]);
    let explanation = explain(&directory, &organization(), "ann");
    let text = explanation.to_text();
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(80), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let small = explanation.clone().within(900);
    assert!(small.to_json().len() < explanation.to_json().len());
    assert_eq!(small.people[0].groups.total, 2);
}

#[test]
fn a_question_is_one_short_line() {
    assert!(Question::new(" ").is_none());
    assert!(Question::new("a\nb").is_none());
    assert!(Question::new(&"a".repeat(1025)).is_none());
    assert_eq!(Question::new(" ann ").unwrap().as_str(), "ann");
}

/// Numbers that look random, the same on each machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// A company as a list of facts, from which expectations are worked out without the core.
struct Company {
    people: Vec<(String, String, AccountState)>,
    /// The id, the name, indexes of people, indexes of groups.
    groups: Vec<(String, String, Vec<usize>, Vec<usize>)>,
    only_their_members: bool,
}

const GROUPS: usize = 24;

impl Company {
    fn random(numbers: &mut Numbers, only_their_members: bool) -> Self {
        let people = (0..60).map(|n| {
            let domain = ["example.com", "partner.com", "elsewhere.org"][numbers.below(3)];
            let email = match numbers.below(12) {
                0 => String::new(),
                1 => "no address".to_owned(),
                2 => format!("svc-{n}@{domain}"),
                // Somebody else's.
                3 => format!("p{}@example.com", numbers.below(60)),
                _ => format!("p{n}@{domain}"),
            };
            let state = match numbers.below(8) {
                0 => AccountState::Disabled,
                1 => AccountState::Deleted,
                _ => AccountState::Active,
            };
            (format!("id-{n}"), email, state)
        });
        let people = people.collect();
        let groups = (0..GROUPS).map(|n| {
            let name = match numbers.below(6) {
                0 => format!("sales-{n}"),
                1 => format!("eng-{n}-old"),
                2 if n == 7 => format!("eng-{}", "x".repeat(120)),
                _ => format!("eng-{n}"),
            };
            let inside = (0..numbers.below(5)).map(|_| numbers.below(60)).collect();
            let groups = (0..numbers.below(3))
                .map(|_| numbers.below(GROUPS))
                .collect();
            (format!("group-{n}"), name, inside, groups)
        });
        Self {
            people,
            groups: groups.collect(),
            only_their_members,
        }
    }

    fn policy(&self, held: bool) -> Policy {
        let mut policy = unlimited();
        policy.users.include = vec![Glob::new("*@example.com"), Glob::new("*@partner.com")];
        policy.users.exclude = vec![Glob::new("svc-*")];
        policy.groups.include = vec![Glob::new("eng-*")];
        policy.groups.exclude = vec![Glob::new("*-old")];
        policy.groups.only_their_members = self.only_their_members;
        policy.offboarding.absent = OffboardingAction::Remove;
        if held {
            policy.offboarding.limit = Limit::Count(0);
            policy.onboarding.limit = Limit::Count(0);
        }
        policy
    }

    fn directory(&self) -> TestDirectory {
        let mut made = directory();
        for (id, email, state) in &self.people {
            made = made.account(id, email, *state);
        }
        for (id, name, people, groups) in &self.groups {
            let people = people.iter().map(|&at| self.people[at].0.clone());
            let groups = groups.iter().map(|&at| format!("@{}", self.groups[at].0));
            let members: Vec<String> = people.chain(groups).collect();
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            made = made.group(id, name, &members);
        }
        made
    }

    /// Some of the people already, under their own ID, an old one or none, and in some groups.
    fn organization(&self, numbers: &mut Numbers) -> ModelOrganization {
        let mut made = organization().owner("root@example.com");
        let mut there: Vec<String> = vec![];
        for (n, (own, email, _)) in self.people.iter().enumerate() {
            let taken = there.contains(email);
            if taken || !email.contains('@') || numbers.one_in(3) {
                continue;
            }
            let external_id = match numbers.below(6) {
                0 => None,
                1 => Some(id(&format!("old-{n}"))),
                _ => Some(id(own)),
            };
            let status = [
                MemberStatus::Confirmed,
                MemberStatus::Invited,
                MemberStatus::Revoked,
            ];
            made.add(
                external_id,
                email,
                status[numbers.below(3)],
                MemberRole::Other(2),
            );
            there.push(email.clone());
        }
        for (id_of, name, ..) in &self.groups {
            if numbers.one_in(2) {
                let inside: BTreeSet<usize> = (0..numbers.below(6))
                    .map(|_| numbers.below(there.len()))
                    .collect();
                let inside: Vec<&str> = inside.iter().map(|&at| &*there[at]).collect();
                made.add_group(Some(id(id_of)), name, &inside);
            }
        }
        made
    }

    /// For each group the length of the shortest way to a person: 0 where it has the person itself. By
    /// going over all groups until nothing changes.
    fn distances(&self, person: usize) -> BTreeMap<usize, usize> {
        let mut known = BTreeMap::new();
        loop {
            let mut changed = false;
            for (at, (_, _, people, groups)) in self.groups.iter().enumerate() {
                let direct = people.contains(&person).then_some(0);
                let nested = groups.iter().filter_map(|inner| known.get(inner)).min();
                let Some(shortest) = direct.or(nested.map(|steps| steps + 1)) else {
                    continue;
                };
                if known.get(&at).is_none_or(|steps| *steps > shortest) {
                    known.insert(at, shortest);
                    changed = true;
                }
            }
            if !changed {
                return known;
            }
        }
    }

    fn group_verdict(&self, group: usize) -> Verdict {
        let name = &self.groups[group].1;
        if !name.starts_with("eng-") || name.ends_with("-old") {
            Verdict::OutOfScope
        } else if name.chars().count() > 100 {
            Verdict::Unusable
        } else {
            Verdict::InScope
        }
    }

    /// Without a look at others who have the address.
    fn alone(&self, person: usize) -> Verdict {
        let (_, email, state) = &self.people[person];
        let is_address = email.contains('@');
        if *state == AccountState::Deleted {
            Verdict::Deleted
        } else if is_address
            && (email.starts_with("svc-")
                || !email.ends_with("@example.com") && !email.ends_with("@partner.com"))
        {
            Verdict::OutOfScope
        } else if *state == AccountState::Disabled {
            Verdict::Disabled
        } else {
            let mut groups = self.distances(person).into_keys();
            let in_one = groups.any(|group| self.group_verdict(group) != Verdict::OutOfScope);
            match (self.only_their_members && !in_one, is_address) {
                (true, _) => Verdict::OutOfScope,
                (false, true) => Verdict::InScope,
                (false, false) => Verdict::Unusable,
            }
        }
    }

    fn verdict(&self, person: usize) -> Verdict {
        let email = &self.people[person].1;
        let shares = |other: usize| {
            other != person
                && self.people[other].1 == *email
                && self.alone(other) == Verdict::InScope
        };
        match self.alone(person) {
            Verdict::InScope if (0..self.people.len()).any(shares) => Verdict::Unusable,
            verdict => verdict,
        }
    }
}

/// What somebody has in the organization: the status, and the groups. By the member's ID, which stays.
fn has(
    organization: &ModelOrganization,
    member: uuid::Uuid,
) -> (Option<MemberStatus>, BTreeSet<String>) {
    let mut members = organization.content.members.iter();
    let status = members.find(|one| one.id == member).map(|one| one.status);
    let groups = organization.content.groups.iter();
    let groups = groups.filter(|group| organization.inside[&group.id].contains(&member));
    (status, groups.map(|group| group.name.to_string()).collect())
}

/// `Run::explain` compares the answer with the one by all groups, wherever it is said to be enough.
#[test]
fn whoever_loses_nothing_is_explained_by_their_own_groups_as_by_all() {
    let mut numbers = Numbers(31);
    let (mut enough, mut changing, mut rest) = (0, 0, 0);
    for _ in 0..80 {
        let mut policy = unlimited();
        policy.offboarding.absent =
            [OffboardingAction::Revoke, OffboardingAction::Remove][numbers.below(2)];
        let people: Vec<String> = (0..16).map(|n| format!("p{n}")).collect();
        let groups: Vec<Vec<usize>> = (0..7)
            .map(|_| (0..16).filter(|_| numbers.one_in(3)).collect())
            .collect();
        let directory_of = |gone: &[usize], moved: &[(usize, usize)], dropped: Option<usize>| {
            let mut made = directory();
            for (n, own) in people.iter().enumerate().filter(|(n, _)| !gone.contains(n)) {
                made = match n == 15 && !gone.is_empty() {
                    true => made.disabled(own, &format!("{own}@example.com")),
                    false => made.person(own, &format!("{own}@example.com")),
                };
            }
            for (n, inside) in groups
                .iter()
                .enumerate()
                .filter(|(n, _)| dropped != Some(*n))
            {
                let inside = inside.iter().filter(|at| !gone.contains(at));
                let mut inside: BTreeSet<usize> = inside.copied().collect();
                for (_, at) in moved
                    .iter()
                    .filter(|(group, at)| *group == n && !gone.contains(at))
                {
                    let _is_new = inside.remove(at) || inside.insert(*at);
                }
                let inside: Vec<&str> = inside.iter().map(|at| &*people[*at]).collect();
                made = made.group(&format!("g{n}"), &format!("eng-{n}"), &inside);
            }
            made
        };
        // Newcomers aren't in the first sync; whoever left isn't in the second.
        let newcomers: Vec<usize> = (0..numbers.below(3)).collect();
        let leavers: Vec<usize> = (0..numbers.below(3)).map(|n| 4 + n).collect();
        let moved: Vec<(usize, usize)> = (0..numbers.below(5))
            .map(|_| (numbers.below(7), 7 + numbers.below(9)))
            .collect();
        let mut organization = organization().owner("root@example.com");
        let mut run = Run::default();
        run.sync(
            &directory_of(&newcomers, &[], None),
            &mut organization,
            &policy,
        );
        organization.accept_all();
        let dropped = numbers.one_in(3).then_some(6);
        let directory = directory_of(&leavers, &moved, dropped);
        policy.offboarding.limit = Limit::Count(numbers.below(5));
        policy.onboarding.limit = Limit::Count(numbers.below(4));
        policy.groups.prune = true;
        if !numbers.one_in(3) {
            organization = organization.seats(17 + numbers.below(2) - newcomers.len());
        }
        // A day later a command that remembers no members of groups, or an operator that does.
        run.now = run
            .now
            .saturating_add(SignedDuration::from_hours(48))
            .unwrap();
        if numbers.one_in(2) {
            run.memory = MembershipCache::default();
        }
        let names = (0..7).map(|n| format!("eng-{n}"));
        for asked in people.iter().cloned().chain(names) {
            let rests = run.rests_on_all_groups(&directory, &organization, &policy, &asked);
            let found = run.explain(&directory, &organization, &policy, &asked);
            let people = found.people.iter().map(|one| &one.next_run);
            let groups = found.groups.iter().map(|one| &one.next_run);
            let changes = people.chain(groups).any(|run| run.changes.total > 0);
            enough += usize::from(!rests);
            changing += usize::from(!rests && changes);
            rest += usize::from(rests);
        }
    }
    assert!(
        enough > 700 && changing > 80 && rest > 300,
        "{enough} {changing} {rest}"
    );
}

#[test]
fn two_hundred_people_are_explained_as_a_computation_without_the_core_says() {
    let mut numbers = Numbers(16);
    let (mut verdicts, mut with_changes, mut held, mut nested) = (BTreeSet::new(), 0, 0, 0);
    for company in 0..8 {
        let made = Company::random(&mut numbers, company % 2 == 0);
        let policy = made.policy(company % 4 > 1);
        let (directory, organization) = (made.directory(), made.organization(&mut numbers));
        let mut run = Run::default();
        let (mut after, before) = (organization.clone(), run.clone());
        let guarded = run.sync(&directory, &mut after, &policy);
        for person in (0..made.people.len()).step_by(2).take(25) {
            let (own, email, state) = &made.people[person];
            let explanation = before.explain(&directory, &organization, &policy, own);
            let found = only(&explanation);
            let context = format!("company {company}, {own} <{email}>: {found:#?}");

            assert_eq!(
                found.entry.as_ref().unwrap().state,
                format!("{state:?}"),
                "{context}"
            );
            assert_eq!(found.scope.verdict, made.verdict(person), "{context}");
            assert_eq!(
                found.scope.why.is_some(),
                found.scope.verdict != Verdict::InScope,
                "{context}"
            );
            verdicts.insert(format!("{:?}", found.scope.verdict));

            // Groups, each by a way that is there and as short as can be.
            let expected = made.distances(person);
            let by_id = |external_id: &str| {
                made.groups
                    .iter()
                    .position(|group| group.0 == external_id)
                    .unwrap()
            };
            let by_name = |name: &str| {
                made.groups
                    .iter()
                    .position(|group| group.1 == *name)
                    .unwrap()
            };
            let ways = found.groups.named.iter();
            let ways: BTreeMap<usize, usize> = ways
                .map(|group| (by_id(&group.external_id), group.through.len()))
                .collect();
            assert_eq!(ways, expected, "{context}");
            for group in &found.groups.named {
                let mut at = by_id(&group.external_id);
                assert_eq!(group.scope.verdict, made.group_verdict(at), "{context}");
                for inner in &group.through {
                    let next = by_name(inner);
                    assert!(made.groups[at].3.contains(&next), "no such way: {context}");
                    at = next;
                }
                assert!(
                    made.groups[at].2.contains(&person),
                    "no such way: {context}"
                );
                nested += usize::from(group.through.len() > 1);
            }

            // The member, by the ID or else the address.
            let members = organization.content.members.iter();
            let of_them = members.filter(|member| {
                member
                    .external_id
                    .as_ref()
                    .is_some_and(|id| id.as_str() == own)
                    || email.contains('@') && member.email.as_str() == email
            });
            let expected: BTreeSet<String> = of_them.map(|member| member.id.to_string()).collect();
            let told = found
                .members
                .iter()
                .map(|member| member.id.clone().unwrap());
            assert_eq!(told.collect::<BTreeSet<_>>(), expected, "{context}");
            for member in &found.members {
                let mut members = organization.content.members.iter();
                let real = members
                    .find(|one| Some(one.id.to_string()) == member.id)
                    .unwrap();
                let (_, groups) = has(&organization, real.id);
                let told = member.groups.as_ref().unwrap().named.iter().cloned();
                assert_eq!(told.collect::<BTreeSet<_>>(), groups, "{context}");
                let is_linked = real
                    .external_id
                    .as_ref()
                    .is_some_and(|id| id.as_str() == own);
                assert_eq!(member.linked == Linked::ExternalId, is_linked, "{context}");
            }

            // What the run did is what was said.
            let ahead = found.next_run.changes.named.iter();
            let ahead: Vec<&str> = ahead
                .filter(|one| one.held_by.is_none())
                .map(|one| &*one.what)
                .collect();
            with_changes += usize::from(!ahead.is_empty());
            let is_others = |member: &Member| {
                let other = member.external_id.as_ref();
                other.is_some_and(|id| {
                    id.as_str() != own && made.people.iter().any(|one| one.0 == id.as_str())
                })
            };
            let theirs = organization.content.members.iter().filter(|member| {
                let now = after.content.members.iter().find(|one| one.id == member.id);
                expected.contains(&member.id.to_string())
                    && !is_others(member)
                    && !now.is_some_and(is_others)
            });
            let now_theirs = after.content.members.iter().filter(|member| {
                member
                    .external_id
                    .as_ref()
                    .is_some_and(|id| id.as_str() == own)
            });
            let ids: BTreeSet<uuid::Uuid> =
                theirs.chain(now_theirs).map(|member| member.id).collect();
            let (mut gained, mut lost) = (BTreeSet::new(), BTreeSet::new());
            // Whoever leaves the organization leaves its groups by that, said or not.
            let mut with_it: BTreeSet<String> = BTreeSet::new();
            let mut expected: BTreeSet<&str> = BTreeSet::new();
            for id in ids {
                let ((status, groups), (next_status, next_groups)) =
                    (has(&organization, id), has(&after, id));
                match (status, next_status) {
                    (None, Some(_)) => {
                        expected.insert("invite");
                    }
                    (Some(_), None) => {
                        expected.insert("remove from the organization");
                        with_it.extend(groups);
                        continue;
                    }
                    (Some(MemberStatus::Revoked), Some(next)) if next != MemberStatus::Revoked => {
                        expected.insert("restore the access");
                    }
                    (Some(status), Some(MemberStatus::Revoked))
                        if status != MemberStatus::Revoked =>
                    {
                        expected.insert("revoke the access");
                    }
                    _ => {}
                }
                gained.extend(next_groups.difference(&groups).cloned());
                lost.extend(groups.difference(&next_groups).cloned());
            }
            let said = |before: &str| -> BTreeSet<String> {
                let named = ahead.iter().filter_map(|what| what.strip_prefix(before));
                named
                    .map(|name| name.trim_end_matches(", which is created").to_owned())
                    .collect()
            };
            assert_eq!(said("add to group "), gained, "{context}");
            let said_to_lose = said("remove from group ");
            assert_eq!(&said_to_lose - &with_it, &lost - &with_it, "{context}");
            let of_member: BTreeSet<&str> = ahead
                .iter()
                .copied()
                .filter(|what| !what.contains("group ") && !what.starts_with("link"))
                .collect();
            assert_eq!(of_member, expected, "{context}");

            // And what it held is said to be held.
            let waits = found
                .next_run
                .changes
                .named
                .iter()
                .filter(|one| one.held_by.is_some());
            let waits = waits.count();
            let is_own = |id: &ExternalId| id.as_str() == own;
            let of_them = guarded.held.iter().flat_map(|held| &held.changes);
            let of_them = of_them.filter(|change| match &change.action {
                Action::Group(GroupAction::Update(update)) => {
                    let mut leaving = update.remove.iter();
                    update.add.iter().any(is_own) || leaving.any(|one| is_own(&one.external_id))
                }
                Action::Group(_) => false,
                Action::Member(_) => is_own(change.external_id()),
            });
            let mut of_members = found.members.iter();
            // Of members under another ID more may be held than can be seen by this one.
            match of_members.all(|member| member.linked == Linked::ExternalId) {
                true => assert_eq!(waits, of_them.count(), "{context}"),
                false => assert!(waits >= of_them.count(), "{context}"),
            }
            held += waits;
        }
    }
    // The company has what the comparison is about.
    let seen: Vec<&str> = verdicts.iter().map(String::as_str).collect();
    assert_eq!(
        seen,
        ["Deleted", "Disabled", "InScope", "OutOfScope", "Unusable"]
    );
    assert!(
        with_changes > 30 && held > 10 && nested > 30,
        "{with_changes} {held} {nested}"
    );
}

#[test]
fn what_rules_give_a_group_is_told_once_for_each_collection_by_the_name_that_the_plan_has() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("eng-a", "eng-a", &["ann"]);
    let organization = organization()
        .member("ann", "ann@example.com")
        .collection("infra");
    let infra = CollectionName::Id(organization.collection_id("infra"));
    let rule = |group: &str, name: &CollectionName, right: CollectionRight| CollectionRule {
        group: Glob::new(group),
        collections: vec![(name.clone(), right)],
        exclusive: false,
    };
    let mut policy = unlimited();
    policy.access.collections = vec![
        rule(
            "eng-*",
            &CollectionName::ExternalId("infra".into()),
            CollectionRight::View,
        ),
        rule("eng-a", &infra, CollectionRight::EditExceptPasswords),
    ];
    let explained = Run::default().explain(&directory, &organization, &policy, "eng-a");
    let group = &explained.groups[0];
    assert_eq!(group.access, ["Edit on infra"]);
    // It is made first.
    let notes = &group.next_run.notes;
    assert_eq!(
        *notes,
        ["access follows in the run after it is there: Edit on infra"]
    );
}

#[test]
fn who_has_not_accepted_gets_the_role_of_a_rule_later_and_is_told_so() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("staff", "staff", &["ann"]);
    let mut policy = unlimited();
    policy.access.roles = vec![RoleRule {
        group: Glob::new("staff"),
        role: AccessRole::Admin,
    }];
    let role = |status: Option<MemberStatus>| {
        let mut members = organization();
        if let Some(status) = status {
            members = members.member("ann", "ann@example.com");
            members.set_status("ann@example.com", status);
        }
        let asked = "ann@example.com";
        let explained = Run::default().explain(&directory, &members, &policy, asked);
        only(&explained).role.clone().unwrap()
    };
    let later = "Admin through staff, once they have accepted an invitation";
    assert_eq!(role(None), later);
    assert_eq!(role(Some(MemberStatus::Invited)), later);
    assert_eq!(role(Some(MemberStatus::Staged)), later);
    let again = "Admin through staff, once they have access again";
    assert_eq!(role(Some(MemberStatus::Revoked)), again);
    for status in [MemberStatus::Accepted, MemberStatus::Confirmed] {
        assert_eq!(role(Some(status)), "Admin through staff");
    }
}
