//! Published accidents of directory syncs, as directory, organization and what happened then. Each
//! ends in a hold or in nothing: nobody loses anything without a person's approval.
//!
//! The table in `docs/safety.md` lists them. Facts are from the linked threads; the words are ours.

#![allow(clippy::unwrap_used, reason = "tests")]

mod company;
mod identity;
mod incomplete;
mod scope;

use std::collections::BTreeSet;

/// Every story is in the documentation's table, with the name of its test.
#[test]
fn the_table_in_the_documentation_lists_exactly_these_incidents() {
    let table = include_str!("../../docs/safety.md");
    let listed: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit_once("| `"))
        .map(|(_, test)| test)
        .filter_map(|test| test.strip_prefix("incidents::"))
        .collect();
    let stories = [
        include_str!("identity.rs"),
        include_str!("incomplete.rs"),
        include_str!("scope.rs"),
    ];
    let tested: BTreeSet<&str> = stories
        .iter()
        .flat_map(|file| file.lines())
        .filter_map(|line| line.strip_prefix("fn ")?.strip_suffix("() {"))
        .collect();
    assert_eq!(listed, tested);
}
