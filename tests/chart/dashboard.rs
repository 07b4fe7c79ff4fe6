//! The dashboard: queries that Prometheus understands, of metrics and labels that there are.

use std::collections::{BTreeMap, BTreeSet};

use directory_sync_testing::metrics::exposition;
use serde_json::{Value, json};

use crate::alerts::promtool;
use crate::helm::*;

/// The names of all metrics, each with the names of its labels.
fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in exposition().lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(label, _)| label.to_owned());
        all.entry(name.to_owned()).or_default().extend(labels);
    }
    all
}

/// The names of all metrics.
pub fn metrics() -> BTreeSet<String> {
    labels().into_keys().collect()
}

/// The metrics that an expression is about.
pub fn metrics_in(expression: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = expression.split(|character| !is_name(character));
    let ours =
        words.filter(|word| word.starts_with("directory_sync_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

fn dashboard() -> Value {
    let wanted = ["--set", "metrics.dashboard.enabled=true"];
    let map = of_kind(&objects(&template(&wanted).unwrap()), "ConfigMap");
    let text = map[0]["data"]["directory-sync.json"].as_str().unwrap();
    serde_json::from_str(text).unwrap()
}

fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    targets
        .chain(annotations)
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn prometheus_understands_every_query_of_the_dashboard() {
    let rules = expressions()
        .into_iter()
        .enumerate()
        .map(|(number, expression)| {
            let filled = expression
                .replace("$__rate_interval", "5m")
                .replace("$namespace", "identity")
                .replace("$name", "staff");
            assert!(
                !filled.contains('$'),
                "a variable that nobody fills: {filled}"
            );
            json!({"record": format!("panel:{number}"), "expr": filled})
        });
    let rules: Vec<_> = rules.collect();
    assert!(rules.len() > 20, "{}", rules.len());
    let (mut promtool, _folder) =
        promtool(&json!({"groups": [{"name": "dashboard", "rules": rules}]}));
    run(promtool.args(["check", "rules", "rules.yaml"])).unwrap();
}

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_there_are() {
    let there = labels();
    for expression in expressions() {
        for metric in metrics_in(&expression) {
            assert!(there.contains_key(&metric), "{metric} isn't a metric");
        }
        // metric{label=…,label=~…}
        for (before, after) in expression
            .match_indices('{')
            .map(|(at, _)| expression.split_at(at))
        {
            let metric = before
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            let selectors = after[1..].split('}').next().unwrap().split(',');
            for selector in selectors {
                let label = selector.split(['=', '!']).next().unwrap();
                assert!(
                    there[metric].contains(label),
                    "{metric} has no label {label}"
                );
            }
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard_or_is_known_not_to_be_worth_a_panel() {
    let shown: BTreeSet<_> = expressions()
        .iter()
        .flat_map(|expression| metrics_in(expression))
        .collect();
    let family = |metric: &str| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let without = suffixes
            .iter()
            .find_map(|suffix| metric.strip_suffix(suffix));
        without.unwrap_or(metric).to_owned()
    };
    let shown: BTreeSet<_> = shown.iter().map(|metric| family(metric)).collect();
    for metric in metrics()
        .iter()
        .filter(|metric| metric.starts_with("directory_sync_"))
    {
        assert!(shown.contains(&family(metric)), "{metric} is nowhere");
    }
}

#[test]
fn panels_have_titles_and_explanations_of_their_own_and_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut cells = BTreeSet::new();
    for panel in panels {
        let place = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(
                    x < 24 && cells.insert((x, y)),
                    "{} overlaps",
                    panel["title"]
                );
            }
        }
        let described = panel["type"] == "row" || panel["description"].is_string();
        assert!(described, "{} isn't explained", panel["title"]);
    }
    let unique = |field: &str| {
        let all: BTreeSet<_> = panels
            .iter()
            .map(|panel| panel[field].to_string())
            .collect();
        assert_eq!(all.len(), panels.len(), "{field}");
    };
    unique("id");
    unique("title");
}
