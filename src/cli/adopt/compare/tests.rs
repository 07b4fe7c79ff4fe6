//! The comparison against a model of the connector's rules that knows nothing of the product: names and sets.

use std::collections::{BTreeMap, BTreeSet};

use directory_sync_core_testing::{directory, policy};

use super::rules::NameRule;
use super::*;
use crate::directory::{AccountState, Glob};

/// A company in words: by name, the email and the state; by group, the people and groups in it.
#[derive(Debug, Default)]
struct Company {
    people: BTreeMap<String, (String, AccountState)>,
    groups: BTreeMap<String, (Vec<String>, Vec<String>)>,
}

impl Company {
    fn random(random: &mut fastrand::Rng) -> Self {
        let mut company = Self::default();
        for at in 0..12 {
            let state = match random.u8(..10) {
                0..=6 => AccountState::Active,
                7 | 8 => AccountState::Disabled,
                _ => AccountState::Deleted,
            };
            let email = match random.u8(..10) {
                0 => String::new(),
                1 => "p0@example.com".to_owned(),
                _ => format!("p{at}@example.com"),
            };
            company.people.insert(format!("p{at}"), (email, state));
        }
        for at in 0..5 {
            let some = |random: &mut fastrand::Rng, letter, of: usize| -> Vec<String> {
                let count = random.usize(..4);
                let names = (0..count).map(|_| format!("{letter}{}", random.usize(..of)));
                names.collect::<BTreeSet<_>>().into_iter().collect()
            };
            let (people, groups) = (some(random, "p", 12), some(random, "g", 5));
            company.groups.insert(format!("g{at}"), (people, groups));
        }
        company
    }

    fn read(&self) -> Complete<Directory> {
        let mut all = directory();
        for (name, (email, state)) in &self.people {
            all = all.account(name, email, *state);
        }
        for (name, (people, groups)) in &self.groups {
            let groups = groups.iter().map(|group| format!("@{group}"));
            let members: Vec<String> = people.iter().cloned().chain(groups).collect();
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            all = all.group(name, name, &members);
        }
        all.read()
    }

    /// Everybody in a group, through nested groups of these.
    fn inside(&self, group: &str, through: &BTreeSet<String>) -> BTreeSet<String> {
        let mut seen: BTreeSet<String> = [group.to_owned()].into();
        loop {
            let nested = seen.iter().flat_map(|group| &self.groups[group].1);
            let more: BTreeSet<String> = nested
                .filter(|one| through.contains(*one))
                .cloned()
                .collect();
            let before = seen.len();
            seen.extend(more);
            if seen.len() == before {
                break;
            }
        }
        seen.iter()
            .flat_map(|group| self.groups[group].0.clone())
            .collect()
    }
}

#[test]
fn on_50_random_directories_it_tells_what_the_connectors_rules_say() {
    let mut random = fastrand::Rng::with_seed(18);
    let mut differences = 0;
    for round in 0..50 {
        let company = Company::random(&mut random);
        let remove_disabled = random.bool();
        let limits = random.bool();
        let kept: BTreeSet<String> = ["g0", "g1", "g3"].map(str::to_owned).into();
        let rules = Rules {
            users: true,
            groups: true,
            remove_disabled,
            of_users: vec![NameRule {
                include: false,
                names: ["p3@example.com".to_owned()].into(),
            }],
            of_groups: vec![NameRule {
                include: true,
                names: kept.clone(),
            }],
            groups_limit_people: limits,
        };
        let mut policy = policy();
        policy.users.exclude = vec![Glob::new("p3@example.com")];
        policy.groups.include = ["g0", "g1", "g3"].map(Glob::new).into();
        policy.groups.only_their_members = limits;
        let found = Comparison::of(&rules, company.read(), &policy).unwrap();

        // The model: first each person by their own entry …
        let everything: BTreeSet<String> = company.groups.keys().cloned().collect();
        let in_some = |through: &BTreeSet<String>| -> BTreeSet<String> {
            kept.iter()
                .flat_map(|group| company.inside(group, through))
                .collect()
        };
        let (there_scope, here_scope) = (in_some(&kept), in_some(&everything));
        let usable = |email: &str| !email.is_empty() && email != "p3@example.com";
        let people = |of: &dyn Fn(&String, &str, AccountState) -> bool| -> BTreeSet<String> {
            let all = company.people.iter();
            let fit = all.filter(|(name, (email, state))| usable(email) && of(name, email, *state));
            fit.map(|(name, _)| name.clone()).collect()
        };
        let there = people(&|name, _, state| {
            let by_state = state == AccountState::Active
                || state == AccountState::Disabled && !remove_disabled;
            by_state && (!limits || there_scope.contains(name))
        });
        let active = people(&|name, _, state| {
            state == AccountState::Active && (!limits || here_scope.contains(name))
        });
        // … and here nobody whose email another one in scope has.
        let same = |name: &String| {
            let email = &company.people[name].0;
            active
                .iter()
                .filter(|other| company.people[*other].0 == *email)
                .count()
        };
        let here: BTreeSet<String> = active
            .iter()
            .filter(|name| same(name) == 1)
            .cloned()
            .collect();

        let counts = |there: &BTreeSet<String>, here: &BTreeSet<String>| Counts {
            connector: there.len(),
            here: here.len(),
            both: there.intersection(here).count(),
        };
        assert_eq!(found.people, counts(&there, &here), "{round}: {company:?}");
        let email = |name: &String| company.people[name].0.clone();
        let emails = |all: &mut dyn Iterator<Item = &String>| -> BTreeSet<String> {
            all.map(email).collect()
        };
        let told = |all: &BTreeMap<String, BTreeSet<String>>| -> BTreeSet<String> {
            all.values().flatten().cloned().collect()
        };
        let only_there = emails(&mut there.difference(&here));
        let only_here = emails(&mut here.difference(&there));
        assert_eq!(told(&found.only_connector), only_there, "{round}");
        assert_eq!(told(&found.only_here), only_here, "{round}");
        for people in found.only_here.values().flatten() {
            assert!(
                found.only_here[NESTED].contains(people),
                "{round}: {people}"
            );
        }
        for (name, (address, state)) in &company.people {
            if *state == AccountState::Disabled && there.contains(name) {
                assert!(found.only_connector[DISABLED].contains(address), "{round}");
            }
        }

        // Groups: the same three on both sides, with who is a person on both.
        assert_eq!((found.groups.both, found.groups.connector), (3, 3));
        let mut members = BTreeMap::new();
        for group in &kept {
            let both: BTreeSet<String> = there.intersection(&here).cloned().collect();
            let inside = |through| -> BTreeSet<String> {
                company
                    .inside(group, through)
                    .intersection(&both)
                    .cloned()
                    .collect()
            };
            let (there, here) = (inside(&kept), inside(&everything));
            let more = emails(&mut here.difference(&there));
            let fewer = emails(&mut there.difference(&here));
            if !more.is_empty() || !fewer.is_empty() {
                members.insert(group.clone(), (more, fewer));
            }
        }
        assert_eq!(found.members, members, "{round}");
        differences += only_there.len() + only_here.len() + members.len();
    }
    assert!(
        differences > 50,
        "the directories leave something to tell: {differences}"
    );
}

#[test]
fn what_is_the_same_is_said_in_one_line() {
    let rules = Rules {
        users: true,
        groups: true,
        ..Rules::default()
    };
    let all = directory()
        .person("ann", "ann@example.com")
        .group("eng", "Engineering", &["ann"]);
    let found = Comparison::of(&rules, all.read(), &policy()).unwrap();
    assert_eq!(
        found.to_text(),
        "people: the connector 1, here 1, both 1\ngroups: the connector 1, here 1, both 1\n\n\
         everybody and every group is the same\n"
    );
}
