//! Files written from the code are what the code would write today.
//!
//! `UPDATE_GENERATED=1 cargo test --test generated` writes them anew.

#![allow(clippy::unwrap_used)]

mod metrics;
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
fn the_reference_has_every_annotation() {
    let source = read("crates/api/src/annotations.rs");
    let quoted: Vec<_> = source
        .lines()
        .filter(|line| line.starts_with("pub const"))
        .collect();
    let page = read("docs/reference/directorysync.md");
    assert!(quoted.len() >= 6, "{quoted:?}");
    for line in quoted {
        let name = line.split('"').nth(1).unwrap();
        assert!(page.contains(&format!("\n| `{name}` |")), "{name}");
    }
}

#[test]
fn the_page_on_troubleshooting_says_of_each_word_what_the_code_does() {
    let page = troubleshooting::PAGE;
    let there = read(page);
    same(page, &troubleshooting::refreshed(&there));
}

#[test]
fn the_page_on_metrics_has_each_with_its_labels() {
    let there = read(metrics::PAGE);
    let wanted = reference::replaced(&there, "metrics", &metrics::table());
    same(metrics::PAGE, &wanted);
}

/// `tests/cli/help` and `tests/plugin/help` are what the programs print.
#[test]
fn the_page_on_commands_has_the_help_of_each() {
    let page = "docs/reference/commands.md";
    let mut sections = String::new();
    for (program, folder) in [
        ("directory-sync", "cli"),
        ("kubectl directorysync", "plugin"),
    ] {
        let folder = format!("tests/{folder}/help");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder);
        let mut files: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let is_program =
            |file: &String| file.replace('-', " ") == format!("{}.txt", program.replace('-', " "));
        files.sort_by_key(|file| (!is_program(file), file.clone()));
        assert!(is_program(&files[0]), "{files:?}");
        for file in files {
            let name = match is_program(&file) {
                true => program.to_owned(),
                false => format!("{program} {}", file.trim_end_matches(".txt")),
            };
            let text = read(&format!("{folder}/{file}"));
            sections.push_str(&format!(
                "## {name}\n\n```text\n{}\n```\n\n",
                text.trim_end()
            ));
        }
    }
    same(
        page,
        &reference::replaced(&read(page), "commands", &sections),
    );
}

fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
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
