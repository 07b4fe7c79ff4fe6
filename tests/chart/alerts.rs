//! The alerts, judged by promtool.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use simulators::lab;
use tempfile::TempDir;

use crate::dashboard::{metrics, metrics_in};
use crate::helm::*;

const EVERY_ALERT: &str = "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true";

fn groups(arguments: &[&str]) -> Value {
    let arguments = [&["--set", EVERY_ALERT], arguments].concat();
    let rule = the(&objects(&template(&arguments).unwrap()), "PrometheusRule");
    rule["spec"].clone()
}

fn alerts(groups: &Value) -> Vec<Value> {
    groups["groups"][0]["rules"].as_array().unwrap().clone()
}

fn names(groups: &Value) -> BTreeSet<String> {
    let name = |alert: &Value| alert["alert"].as_str().unwrap().to_owned();
    alerts(groups).iter().map(name).collect()
}

/// `promtool`, in a folder with these rules.
pub fn promtool(rules: &Value) -> (Command, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), rules.to_string()).unwrap();
    let mut command = Command::new(lab::find("promtool").unwrap());
    command.current_dir(folder.path());
    (command, folder)
}

fn cases() -> String {
    let cases = std::fs::read_to_string(file("tests/chart/alerts.yaml")).unwrap();
    // The pages of the release that the chart is of.
    cases.replace(
        "/blob/main/",
        concat!("/blob/v", env!("CARGO_PKG_VERSION"), "/"),
    )
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let (mut promtool, folder) = promtool(&groups(&[]));
    std::fs::write(folder.path().join("cases.yaml"), cases()).unwrap();
    run(promtool.args(["test", "rules", "cases.yaml"])).unwrap();
}

#[test]
fn each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let cases: Value = serde_saphyr::from_str(&cases()).unwrap();
    let cases = cases["tests"].as_array().unwrap().iter();
    let cases: Vec<_> = cases
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap().clone())
        .collect();
    for alert in names(&groups(&[])) {
        let fires = |fires: bool| {
            cases.iter().any(|case| {
                let expected = case["exp_alerts"].as_array().map_or(0, Vec::len);
                case["alertname"] == alert.as_str() && (expected > 0) == fires
            })
        };
        assert!(
            fires(true) && fires(false),
            "{alert} isn't tested both ways"
        );
    }
}

#[test]
fn promtool_finds_nothing_to_criticize_and_every_metric_is_one_of_ours() {
    let groups = groups(&[]);
    let (mut promtool, _folder) = promtool(&groups);
    run(promtool.args(["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"])).unwrap();

    let ours = metrics();
    for alert in alerts(&groups) {
        for metric in metrics_in(alert["expr"].as_str().unwrap()) {
            assert!(ours.contains(&metric), "{metric} isn't a metric");
        }
    }
}

#[test]
fn each_alert_has_a_page_that_says_what_to_do() {
    let page = std::fs::read_to_string(file("docs/alerts.md")).unwrap();
    for alert in alerts(&groups(&[])) {
        let name = alert["alert"].as_str().unwrap();
        let anchor = format!("docs/alerts.md#{}", name.to_lowercase());
        let link = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert!(link.ends_with(&anchor), "{link}");
        assert!(
            page.contains(&format!("\n## {name}\n")),
            "{name} has no section"
        );
    }
}

#[test]
fn an_alert_can_be_left_out_and_the_values_know_all_their_names() {
    let all = names(&groups(&[]));
    let text = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_saphyr::from_str(&text).unwrap();
    let disabled = "/properties/metrics/properties/prometheusRule/properties/disabled/items/enum";
    let known = schema.pointer(disabled).unwrap().as_array().unwrap().iter();
    let known: BTreeSet<_> = known
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(known, all);

    for alert in &all {
        let without = format!("metrics.prometheusRule.disabled={{{alert}}}");
        let mut wanted = all.clone();
        wanted.remove(alert);
        assert_eq!(names(&groups(&["--set", &without])), wanted);
    }
}

#[test]
fn an_absent_operator_is_only_missed_where_the_chart_had_it_scraped() {
    let unscraped = groups(&["--set", "metrics.serviceMonitor.enabled=false"]);
    assert!(!names(&unscraped).contains("DirectorySyncOperatorAbsent"));
}

#[test]
fn labels_of_ones_own_stand_beside_the_severity_and_can_replace_it() {
    let labels = "metrics.prometheusRule.alertLabels";
    let set = format!("{labels}.team=identity,{labels}.severity=page");
    for alert in alerts(&groups(&["--set", &set])) {
        assert_eq!(alert["labels"]["team"], "identity");
        assert_eq!(alert["labels"]["severity"], "page");
    }
}
