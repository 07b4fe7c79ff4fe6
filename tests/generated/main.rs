//! Files written from the code are what the code would write today.
//!
//! `UPDATE_GENERATED=1 cargo test --test generated` writes them anew.

#![allow(clippy::unwrap_used)]

mod pages;
mod reference;
mod safety;
mod troubleshooting;

use std::path::Path;

#[test]
fn the_definition_in_crds_in_the_chart_and_in_deploy_is_the_one_that_the_code_makes() {
    let crds = directory_sync::api::crd::crds();
    same("crds/directorysync.dev_directorysyncs.yaml", &crds);
    same("charts/directory-sync-operator/files/crds.yaml", &crds);
    same("deploy/crds/directorysync.dev_directorysyncs.yaml", &crds);
}

#[test]
fn the_reference_describes_every_field_and_reason_as_the_code_does() {
    let path = "docs/reference/directorysync.md";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let there = std::fs::read_to_string(file).unwrap();
    same(path, &reference::refreshed(&there));
}

#[test]
fn the_page_on_troubleshooting_says_of_each_word_what_the_code_does() {
    let page = troubleshooting::PAGE;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let there = std::fs::read_to_string(file).unwrap();
    same(page, &troubleshooting::refreshed(&there));
}

fn same(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, wanted).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == wanted,
        "{path} is stale: run UPDATE_GENERATED=1 cargo test --test generated"
    );
}
