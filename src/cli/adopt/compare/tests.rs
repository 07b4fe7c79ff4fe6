//! The comparison against a model of the connector's rules that knows nothing of the product: names and sets. What
//! is compared is made of the connector's own file, on both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use directory_sync_core_testing::{directory, policy};

use super::rules::{LeftOut, NameRule};
use super::*;
use crate::api::spec::DirectorySyncSpec;
use crate::cli::adopt::read::read;
use crate::cli::adopt::translate::{Choices, translate};
use crate::directory::{AccountState, Glob};
use crate::validation::ValidatedSpec;

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

/// A filter of the connector's as the model knows it: whether it keeps or leaves out, and whom.
type Names = Option<(bool, BTreeSet<String>)>;

/// Settings of the connector in words.
#[derive(Debug)]
struct Settings {
    fixture: &'static str,
    remove_disabled: bool,
    groups: bool,
    people: Names,
    of_groups: Names,
}

impl Settings {
    fn random(random: &mut fastrand::Rng) -> Self {
        let some = |random: &mut fastrand::Rng, names: Vec<String>| -> Names {
            let mut names = names;
            random.shuffle(&mut names);
            let count = random.usize(1..4);
            let names = names.into_iter().take(count).collect();
            match random.u8(..3) {
                0 => None,
                1 => Some((true, names)),
                _ => Some((false, names)),
            }
        };
        Self {
            fixture: ["06-entra-id", "10-okta-scim"][random.usize(..2)],
            remove_disabled: random.bool(),
            groups: random.u8(..8) > 0,
            // Only some are kept: a list of all but three would be long.
            people: match random.u8(..3) {
                0 => Some((
                    true,
                    (0..8).map(|at| format!("p{at}@example.com")).collect(),
                )),
                _ => some(
                    random,
                    (0..12).map(|at| format!("p{at}@example.com")).collect(),
                ),
            },
            of_groups: some(random, (0..5).map(|at| format!("g{at}")).collect()),
        }
    }

    /// As somebody writes it: in capitals, with spaces, and with more behind it.
    fn text(names: &Names, random: &mut fastrand::Rng) -> String {
        let Some((include, names)) = names else {
            return String::new();
        };
        let written = names.iter().map(|name| match random.u8(..3) {
            0 => name.to_uppercase(),
            1 => format!(" {name} "),
            _ => name.clone(),
        });
        let written: Vec<String> = written.collect();
        let keyword = match (include, random.bool()) {
            (true, true) => "include",
            (true, false) => " Include ",
            (false, true) => "exclude",
            (false, false) => "EXCLUDE",
        };
        format!("{keyword}:{}", written.join(","))
    }

    /// The rules that are read from the connector's file, and what the resource made of the same file does.
    fn read(&self, random: &mut fastrand::Rng) -> (Rules, Policy) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/adopt/fixtures");
        let text = std::fs::read_to_string(path.join(self.fixture).join("data.json")).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let id = value["activeUserId"].as_str().unwrap().to_owned();
        let sync = &mut value[id]["directorySettings"]["sync"];
        sync["removeDisabled"] = self.remove_disabled.into();
        sync["groups"] = self.groups.into();
        sync["userFilter"] = Self::text(&self.people, random).into();
        sync["groupFilter"] = Self::text(&self.of_groups, random).into();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), value.to_string()).unwrap();
        let connector = read(file.path(), None).unwrap();
        let choices = Choices {
            name: "staff".to_owned(),
            ..Choices::default()
        };
        let spec = translate(&connector, &choices).unwrap().spec;
        let spec: DirectorySyncSpec = serde_json::from_value(spec).unwrap();
        let policy = ValidatedSpec::from_spec(&spec).unwrap().policy;
        (Rules::of(&connector), policy)
    }
}

fn keeps(filter: &Names, name: &str) -> bool {
    filter
        .as_ref()
        .is_none_or(|(include, names)| names.contains(name) == *include)
}

#[test]
fn on_50_random_directories_it_tells_what_the_connectors_rules_say() {
    let mut random = fastrand::Rng::with_seed(18);
    let (mut differences, mut by_nesting, mut disabled) = (0, 0, 0);
    for round in 0..50 {
        let company = Company::random(&mut random);
        let settings = Settings::random(&mut random);
        let (rules, policy) = settings.read(&mut random);
        let found = Comparison::of(&rules, company.read(), &policy).unwrap();
        let about = format!("{round}: {settings:?}, {company:?}");

        // The model: first each person by their own entry …
        let everything: BTreeSet<String> = company.groups.keys().cloned().collect();
        let is_kept = |group: &&String| settings.groups && keeps(&settings.of_groups, group);
        let kept: BTreeSet<String> = everything.iter().filter(is_kept).cloned().collect();
        let limits = settings.groups && settings.of_groups.is_some();
        let in_some = |through: &BTreeSet<String>| -> BTreeSet<String> {
            kept.iter()
                .flat_map(|group| company.inside(group, through))
                .collect()
        };
        let (there_scope, here_scope) = (in_some(&kept), in_some(&everything));
        let usable = |email: &str| !email.is_empty() && keeps(&settings.people, email);
        let people = |of: &dyn Fn(&String, AccountState) -> bool| -> BTreeSet<String> {
            let all = company.people.iter();
            let fit = all.filter(|(name, (email, state))| usable(email) && of(name, *state));
            fit.map(|(name, _)| name.clone()).collect()
        };
        let there = people(&|name, state| {
            let by_state = state == AccountState::Active
                || state == AccountState::Disabled && !settings.remove_disabled;
            by_state && (!limits || there_scope.contains(name))
        });
        let active = people(&|name, state| {
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
        assert_eq!(found.people, counts(&there, &here), "{about}");
        let email = |name: &String| company.people[name].0.clone();
        let emails = |all: &mut dyn Iterator<Item = &String>| -> BTreeSet<String> {
            all.map(email).collect()
        };
        let told = |all: &BTreeMap<String, BTreeSet<String>>| -> BTreeSet<String> {
            all.values().flatten().cloned().collect()
        };
        let only_there = emails(&mut there.difference(&here));
        let only_here = emails(&mut here.difference(&there));
        assert_eq!(told(&found.only_connector), only_there, "{about}");
        // Whoever is here alone is so by a nested group, and by nothing else.
        let mut expected = BTreeMap::new();
        if !only_here.is_empty() {
            expected.insert(LeftOut::Nesting.describe().to_owned(), only_here.clone());
        }
        assert_eq!(found.only_here, expected, "{about}");
        by_nesting += only_here.len();
        for (name, (address, state)) in &company.people {
            if *state == AccountState::Disabled && there.contains(name) {
                assert!(found.only_connector[DISABLED].contains(address), "{about}");
                disabled += 1;
            }
        }
        let shared: BTreeSet<String> = there
            .iter()
            .filter(|name| {
                there
                    .iter()
                    .any(|other| other != *name && email(other) == email(name))
            })
            .map(email)
            .collect();
        assert_eq!(found.shared_emails, shared, "{about}");

        // Groups: the same on both sides, with who is a person on both.
        let groups = &found.groups;
        assert_eq!(
            (groups.both, groups.connector, groups.here),
            (kept.len(), kept.len(), kept.len()),
            "{about}"
        );
        let none = found.groups_only_connector.is_empty() && found.groups_only_here.is_empty();
        assert!(none, "{about}");
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
        assert_eq!(found.members, members, "{about}");
        differences += only_there.len() + only_here.len() + members.len();
    }
    assert!(
        differences > 50 && by_nesting > 5 && disabled > 5,
        "the directories leave something to tell: {differences}, {by_nesting}, {disabled}"
    );
}

#[test]
fn who_is_on_one_side_alone_is_told_by_the_reason() {
    let all = || {
        directory()
            .person("ann", "ann@example.com")
            .person("bob", "bob@example.com")
            .disabled("cid", "cid@example.com")
            .group("eng", "Engineering", &["ann"])
            .group("ops", "Ops", &["bob"])
    };
    let names = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    };
    let one = |why: &str, who: &str| BTreeMap::from([(why.to_owned(), names(&[who]))]);
    let both =
        |rules: &Rules, policy: &Policy| Comparison::of(rules, all().read(), policy).unwrap();
    let every = || Rules {
        users: true,
        groups: true,
        ..Rules::default()
    };
    let only = |name: &str, include| {
        vec![NameRule {
            include,
            names: names(&[name]),
        }]
    };

    // The resource takes more than the connector.
    let found = both(
        &Rules {
            groups: true,
            ..Rules::default()
        },
        &policy(),
    );
    let everybody = names(&["ann@example.com", "bob@example.com"]);
    assert_eq!(
        found.only_here,
        BTreeMap::from([("the connector syncs groups only".to_owned(), everybody)])
    );
    let found = both(
        &Rules {
            of_users: only("bob@example.com", false),
            ..every()
        },
        &policy(),
    );
    let why = "the connector's userFilter leaves them out";
    assert_eq!(found.only_here, one(why, "bob@example.com"));
    let of_groups = only("ops", false);
    let found = both(
        &Rules {
            of_groups,
            groups_limit_people: true,
            ..every()
        },
        &policy(),
    );
    let why = "in no group that the connector's groupFilter leaves";
    assert_eq!(found.only_here, one(why, "bob@example.com"));
    assert_eq!(
        found.groups_only_here,
        one("the connector's groupFilter leaves them out", "Ops")
    );
    let found = both(
        &Rules {
            groups: false,
            ..every()
        },
        &policy(),
    );
    let why = "the connector syncs no groups";
    assert_eq!(
        found.groups_only_here,
        BTreeMap::from([(why.to_owned(), names(&["Engineering", "Ops"]))])
    );

    // The connector takes more.
    let mut narrow = policy();
    narrow.groups.exclude = vec![Glob::new("ops")];
    narrow.users.exclude = vec![Glob::new("bob@*")];
    let found = both(
        &Rules {
            remove_disabled: true,
            ..every()
        },
        &narrow,
    );
    let why = "left out here by groups.include or groups.exclude";
    assert_eq!(found.groups_only_connector, one(why, "Ops"));
    let told: Vec<_> = found.only_connector.iter().collect();
    assert!(
        matches!(told.as_slice(), [(why, who)] if why.contains("users.exclude") && who.contains("bob@example.com")),
        "{told:?}"
    );
}

#[test]
fn of_each_reason_the_first_are_named_and_everybody_where_that_is_asked_for() {
    let mut all = directory();
    for at in 0..25 {
        all = all.disabled(&format!("p{at}"), &format!("p{at:02}@example.com"));
    }
    let rules = Rules {
        users: true,
        ..Rules::default()
    };
    let found = Comparison::of(&rules, all.read(), &policy()).unwrap();
    let text = found.to_text(false);
    assert!(text.contains("takes it for active (25)\n"), "{text}");
    assert!(
        text.contains("  p19@example.com\n  … and 5 more: add --all\n"),
        "{text}"
    );
    assert!(!text.contains("p20@example.com"), "{text}");
    let text = found.to_text(true);
    assert!(
        text.contains("  p24@example.com\n") && !text.contains('…'),
        "{text}"
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
        found.to_text(false),
        "people: the connector 1, here 1, both 1\ngroups: the connector 1, here 1, both 1\n\n\
         everybody and every group is the same\n"
    );
}
