//! docs/troubleshooting.md explains every word that the operator says: none is missing, none is made up.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use directory_sync::api::conditions::{
    Blocker, EXPIRES_SOON, Failure, HeldReason, REMOVALS_HELD, RETRYING, SYNCING, Success, WAITING,
    WATCH_FAILED,
};

pub const PAGE: &str = "docs/troubleshooting.md";

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Reasons of conditions and problems with the meaning that the code gives them.
fn meanings() -> BTreeMap<String, String> {
    fn of<T: Display>(all: &[(T, &str)]) -> Vec<(String, String)> {
        let all = all.iter().map(|(reason, meaning)| {
            let words: Vec<_> = meaning.split_whitespace().collect();
            (reason.to_string(), words.join(" "))
        });
        all.collect()
    }
    let mut meanings = BTreeMap::new();
    meanings.extend(of(Success::ALL));
    meanings.extend(of(Failure::ALL));
    meanings.extend(of(Blocker::ALL));
    meanings.extend(of(HeldReason::ALL));
    meanings.extend(problems());
    meanings
}

/// The variants of `ProblemReason` with their documentation, from the source.
fn problems() -> Vec<(String, String)> {
    let source = read("crates/directory/src/problem.rs");
    let (_, variants) = source.split_once("pub enum ProblemReason {\n").unwrap();
    let (variants, _) = variants.split_once("\n}").unwrap();
    let mut found = vec![];
    let mut about = vec![];
    for line in variants.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            about.push(text.trim());
        } else if let Some(name) = line.strip_suffix(',') {
            found.push((name.to_owned(), std::mem::take(&mut about).join(" ")));
        }
    }
    assert!(found.len() >= 29, "{found:?}");
    found
}

/// The reasons of events that aren't those of conditions, from the source of the controller.
fn events() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/controller");
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let calls = [".warn(about, \"", ".tell(about, \""];
        let calls = calls.iter().flat_map(|call| source.split(call).skip(1));
        found.extend(calls.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    assert!(found.len() >= 7, "{found:?}");
    found
}

/// The page with the code's own meaning of each word.
pub fn refreshed(page: &str) -> String {
    let mut page = page.to_owned();
    for (reason, meaning) in meanings() {
        page = crate::reference::replaced(&page, &reason, &meaning);
    }
    page
}

/// The sections about a word, each with its text.
fn sections(page: &str) -> BTreeMap<&str, &str> {
    let sections = page.split("\n### ").skip(1);
    sections
        .map(|section| {
            let (word, text) = section.split_once('\n').unwrap();
            (word, text.split("\n## ").next().unwrap())
        })
        .collect()
}

#[test]
fn every_reason_problem_and_event_is_explained_and_says_what_to_do() {
    let page = read(PAGE);
    let sections = sections(&page);
    let mut words: Vec<String> = meanings().into_keys().collect();
    words.extend(
        [
            SYNCING,
            WAITING,
            RETRYING,
            REMOVALS_HELD,
            WATCH_FAILED,
            EXPIRES_SOON,
        ]
        .map(str::to_owned),
    );
    words.extend(events());
    let missing: Vec<_> = words
        .iter()
        .filter(|word| !sections.contains_key(word.as_str()))
        .collect();
    assert!(missing.is_empty(), "{PAGE} has no section for {missing:?}");
    let unknown: Vec<_> = sections
        .keys()
        .filter(|word| !words.iter().any(|known| known == *word))
        .collect();
    assert!(unknown.is_empty(), "the program says none of {unknown:?}");
    for word in meanings().keys() {
        let text = sections[word.as_str()];
        assert!(
            text.contains("**Do:**") || text.contains("Nothing to do"),
            "{word}: what is to be done?"
        );
    }
}
