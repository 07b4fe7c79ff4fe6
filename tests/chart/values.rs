//! The values: each explained, each in the schema, each of some effect.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{chart, file};

fn read(path: &std::path::Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The paths of all values that aren't made of others.
fn paths(values: &Value, at: &str) -> BTreeSet<String> {
    match values.as_object() {
        Some(fields) if !fields.is_empty() => fields
            .iter()
            .flat_map(|(name, value)| paths(value, &format!("{at}/{name}")))
            .collect(),
        _ => [at.to_owned()].into(),
    }
}

/// The paths that the schema knows, as far as the chart says what may stand there.
fn known(schema: &Value, at: &str) -> BTreeSet<String> {
    match schema["properties"].as_object() {
        Some(fields) => fields
            .iter()
            .flat_map(|(name, schema)| known(schema, &format!("{at}/{name}")))
            .collect(),
        None => [at.to_owned()].into(),
    }
}

#[test]
fn the_schema_knows_the_values_that_there_are_and_no_others() {
    let values = paths(&read(&chart().join("values.yaml")), "");
    let schema = known(&read(&chart().join("values.schema.json")), "");
    // Ours end where Kubernetes' begin: /resources/limits/memory is of /resources/limits.
    let covers = |schema: &str, value: &str| {
        let rest = value.strip_prefix(schema);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for value in &values {
        let known = schema.iter().any(|schema| covers(schema, value))
            // Passed on whole, where nothing is set.
            || schema.iter().any(|schema| covers(value, schema));
        assert!(known, "the schema doesn't know {value}");
    }
    for schema in &schema {
        let of_helm = ["/global", "/enabled", "/resources/claims"].contains(&schema.as_str());
        let there = values
            .iter()
            .any(|value| covers(schema, value) || covers(value, schema));
        assert!(of_helm || there, "there is no value {schema}");
    }
}

#[test]
fn nothing_of_ours_may_have_fields_that_the_schema_does_not_name() {
    fn check(schema: &Value, at: &str) {
        if let Some(fields) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], false, "{at} takes anything");
            for (name, schema) in fields {
                check(schema, &format!("{at}/{name}"));
            }
        }
        if schema["items"].is_object() {
            check(&schema["items"], &format!("{at}/*"));
        }
    }
    check(&read(&chart().join("values.schema.json")), "");
}

#[test]
fn every_value_is_explained() {
    let text = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let readme = std::fs::read_to_string(chart().join("README.md")).unwrap();
    for path in paths(&read(&chart().join("values.yaml")), "") {
        let name = path.trim_start_matches('/').replace('/', ".");
        // A value that is passed on is explained whole.
        let row = std::iter::successors(Some(name.as_str()), |name| {
            name.rsplit_once('.').map(|(parent, _)| parent)
        })
        .find_map(|name| {
            readme
                .lines()
                .find(|line| line.starts_with(&format!("| {name} |")))
        });
        let row = row.unwrap_or_else(|| panic!("the README doesn't know {name}"));
        assert!(!row.ends_with("|  |"), "{name} isn't explained");
    }
    assert!(!text.contains('\t'));
}

#[test]
fn the_set_everything_sets_every_value() {
    let defaults = read(&chart().join("values.yaml"));
    let everything = read(&file("tests/chart/values/everything.yaml"));
    for path in paths(&defaults, "") {
        let one = everything.pointer(&path);
        // Not both monitors at a time; and without the account's making there is no account.
        let contradicts = path.starts_with("/metrics/serviceMonitor")
            || ["/serviceAccount/create", "/metrics/dashboard/namespace"].contains(&path.as_str());
        assert!(
            one.is_some() || contradicts,
            "everything.yaml leaves out {path}"
        );
    }
}
