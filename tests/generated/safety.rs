//! What docs/safety.md, docs/security.md and docs/attacks.md promise has the tests that they name.

use std::collections::BTreeMap;
use std::path::Path;

use directory_sync::sync::policy::{Limit, Policy};
use directory_sync::validation::ValidatedSpec;

/// How many of so many a limit allows.
type Allowed = Box<dyn Fn(Limit, usize) -> Option<usize>>;

#[test]
fn every_test_that_the_page_on_safety_names_exists() {
    let count = named_tests_exist("docs/safety.md");
    assert!(count > 80, "{count}");
}

#[test]
fn every_attack_on_the_page_of_attacks_has_a_test_that_exists() {
    named_tests_exist("docs/security.md");
    named_tests_exist("docs/attacks.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let attacks = std::fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let rows = attacks.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<_> = rows.skip(1).collect();
    assert!(rows.len() >= 50, "{}", rows.len());
    for row in rows {
        let test = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        assert!(test.starts_with('`') && test.contains("::"), "{row}");
    }
}

/// Each of the thirteen has tests, and those that went wrong at a server have one there.
#[test]
fn every_attack_on_the_page_on_safety_has_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/safety.md")).unwrap();
    let (_, found) = page
        .split_once("## What an attack on this program found")
        .unwrap();
    let (found, _) = found.split_once("\n## ").unwrap();
    let rows = found.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut number = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [is, _, _, tests] = cells[..] else {
            panic!("{row}");
        };
        if !is.is_empty() {
            number += 1;
            assert_eq!(is, number.to_string());
        }
        assert!(tests.starts_with('`') && tests.contains("::"), "{row}");
        // A real server or the simulated organization, and the operator itself.
        let there = ["cases::", "story::", "controller::"];
        let went_wrong_there = [2, 5, 8, 11, 13].contains(&number);
        let has_one_there = there.iter().any(|place| tests.contains(place));
        assert!(has_one_there || !went_wrong_there, "{row}");
    }
    assert_eq!(number, 13);
}

/// How many tests the page names, each of which exists: a test by the name that the document gives it,
/// `module::name`, is in a file or folder `module`.
fn named_tests_exist(page: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join(page)).unwrap();
    let mut tests = BTreeMap::new();
    for folder in ["tests", "crates", "src"] {
        collect(root, &root.join(folder), &mut tests);
    }
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let named = named.into_iter().filter_map(|code| code.rsplit_once("::"));
    let mut count = 0;
    for (module, name) in named {
        let places = tests.get(name).map(Vec::as_slice).unwrap_or_default();
        let module = module.rsplit("::").next().unwrap_or(module);
        let parts = |place: &String| place.split('/').any(|part| part == module);
        assert!(
            places.iter().any(parts),
            "{module}::{name} isn't a test; there is one of that name in {places:?}"
        );
        count += 1;
    }
    count
}

/// Each row of the table is worked out by the program's own limits, with the defaults of a spec that
/// names none.
#[test]
fn the_table_of_limits_is_what_the_program_does() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/safety.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| field | about |"));
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let sizes = cells(rows.next().unwrap());
    let sizes: Vec<usize> = sizes[3..]
        .iter()
        .map(|size| number(size).unwrap())
        .collect();
    assert_eq!(sizes, [3, 10, 50, 5_000]);
    let policy = default_policy();
    let mut fields = vec![];
    for row in rows.skip(1).take_while(|line| line.starts_with('|')) {
        let row = cells(row);
        let field = row[0].trim_matches('`');
        let (default, allowed): (Limit, Allowed) = match field {
            "offboarding.limit" => (policy.offboarding.limit, Box::new(|l, n| Some(l.losses(n)))),
            "offboarding.disabledLimit" => (
                policy.offboarding.disabled_limit,
                Box::new(|l, n| Some(l.disabled(n))),
            ),
            "groups.limit" => (policy.groups.limit, Box::new(Limit::of_group)),
            "onboarding.limit" => (policy.onboarding.limit, Box::new(|l, n| Some(l.growth(n)))),
            "access.collectionsLimit" => (
                policy.access.collections_limit,
                Box::new(|l, n| Some(l.growth(n))),
            ),
            "offboarding.limit: 25" => (Limit::Count(25), Box::new(|l, n| Some(l.losses(n)))),
            other => panic!("{other} is no limit"),
        };
        if let Limit::Percent(percent) = default {
            assert!(row[2].starts_with(&format!("`{percent}%`")), "{row:?}");
        }
        let told: Vec<Option<usize>> = row[3..].iter().map(|cell| number(cell)).collect();
        let done: Vec<Option<usize>> = sizes.iter().map(|&size| allowed(default, size)).collect();
        assert_eq!(told, done, "{field}");
        fields.push(field.to_owned());
    }
    assert_eq!(fields.len(), 6, "{fields:?}");
}

/// A number with commas; `–` is none.
fn number(cell: &str) -> Option<usize> {
    (cell != "–").then(|| cell.replace(',', "").parse().unwrap())
}

/// What a spec without any limit asks for.
fn default_policy() -> Policy {
    let spec = serde_json::json!({
        "organization": {
            "serverUrl": "https://vault.example.com",
            "credentialsSecretRef": {"name": "organization"},
        },
        "source": {"ldap": {"url": "ldaps://ldap.example.com", "baseDn": "dc=example,dc=com"}},
    });
    let spec = serde_json::from_value(spec).unwrap();
    ValidatedSpec::from_spec(&spec).unwrap().policy
}

/// The functions of tests, each with the files that have one of that name.
fn collect(root: &Path, folder: &Path, tests: &mut BTreeMap<String, Vec<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let place = path.strip_prefix(root).unwrap().with_extension("");
            let mut attributed = false;
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let line = line.trim_start();
                let line = line.strip_prefix("async ").unwrap_or(line);
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    attributed = true;
                } else if let Some(name) = line.strip_prefix("fn ")
                    && std::mem::take(&mut attributed)
                {
                    let name = name.split('(').next().unwrap_or_default();
                    let places = tests.entry(name.to_owned()).or_default();
                    places.push(place.to_string_lossy().into_owned());
                }
            }
        }
    }
}
