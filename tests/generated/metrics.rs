//! docs/reference/metrics.md: the metrics as an operator exposes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use directory_sync_testing::metrics::exposition;

pub const PAGE: &str = "docs/reference/metrics.md";

/// A metric without a value isn't exposed, and would be missing.
#[test]
fn every_metric_that_is_registered_is_in_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/metrics/mod.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let (table, mut count) = (table(), 0);
    for call in source.split("registry.register").skip(1) {
        let (_, arguments) = call.split_once('(').unwrap();
        if let Some(rest) = arguments.trim_start().strip_prefix('"') {
            let name = rest.split('"').next().unwrap();
            assert!(
                table.contains(&format!("| `directory_sync_{name}")),
                "{name}"
            );
            count += 1;
        }
    }
    assert!(count >= 15, "{count}");
}

/// The table of all metrics.
pub fn table() -> String {
    let exposition = exposition();
    let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for series in exposition.lines().filter(|line| !line.starts_with('#')) {
        let name = series.split(['{', ' ']).next().unwrap();
        let inside = series
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        let names = inside.map_or("", |(inside, _)| inside).split("\",");
        let names = names
            .filter_map(|label| label.split_once('='))
            .map(|(label, _)| label);
        let known = labels.entry(name).or_default();
        for label in names.filter(|&label| label != "le") {
            if !known.contains(&label) {
                known.push(label);
            }
        }
    }
    let mut table = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    let mut help = BTreeMap::new();
    for line in exposition.lines() {
        if let Some((name, text)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            help.insert(name, text);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        {
            // A counter's series have a suffix, a histogram's three.
            let found = labels.iter().find(|(series, _)| {
                let suffix = series.strip_prefix(name);
                suffix.is_some_and(|suffix| ["", "_total", "_bucket"].contains(&suffix))
            });
            let (series, labels) = found.unwrap_or_else(|| panic!("{name} has no series"));
            let series = series.strip_suffix("_bucket").unwrap_or(series);
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let text = help[name].trim_end_matches('.');
            writeln!(
                table,
                "| `{series}` | {kind} | {} | {text} |",
                labels.join(", ")
            )
            .unwrap();
        }
    }
    table
}
