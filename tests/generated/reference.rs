//! The tables in the reference, from the schema and the reasons' own words.
//!
//! A person writes the text; between `<!-- begin NAME -->` and `<!-- end NAME -->` stands what is
//! made here.

use std::fmt::{Display, Write as _};

use directory_sync::api::conditions::{Blocker, Failure, HeldReason, Success};
use directory_sync::api::crd::crd;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// `page` with every table as the code would have it today.
pub fn refreshed(page: &str) -> String {
    let schema = crd().spec.versions[0].schema.clone().unwrap();
    let properties = schema.open_api_v3_schema.unwrap().properties.unwrap();
    let mut page = page.to_owned();
    for (name, table) in [
        ("spec", fields("spec", &properties["spec"])),
        ("status", fields("status", &properties["status"])),
        ("success", reasons(Success::ALL)),
        ("failure", reasons(Failure::ALL)),
        ("blocker", reasons(Blocker::ALL)),
        ("hold", reasons(HeldReason::ALL)),
    ] {
        page = replaced(&page, name, &table);
    }
    page
}

pub fn replaced(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- begin {name} -->"),
        format!("<!-- end {name} -->"),
    );
    let (before, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("the page has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap();
    format!("{before}{begin}\n{}\n{end}{after}", table.trim_end())
}

fn reasons<T: Display>(all: &[(T, &str)]) -> String {
    let mut table = "| reason | meaning |\n|---|---|\n".to_owned();
    for (reason, meaning) in all {
        writeln!(table, "| `{reason}` | {} |", cell(meaning)).unwrap();
    }
    table
}

/// A table for an object, then one for each object in it.
fn fields(path: &str, object: &JSONSchemaProps) -> String {
    let mut page = format!("\n### `{path}`\n\n");
    let about = object.description.as_deref().unwrap_or_default();
    writeln!(page, "{}\n", about.replace('\n', " ")).unwrap();
    let rules = object.x_kubernetes_validations.iter().flatten();
    for rule in rules {
        writeln!(
            page,
            "- Rule: {}.",
            cell(rule.message.as_deref().unwrap_or_default())
        )
        .unwrap();
    }
    if object.x_kubernetes_validations.is_some() {
        page.push('\n');
    }
    page.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    let mut below = String::new();
    let required = object.required.clone().unwrap_or_default();
    let properties = object.properties.iter().flatten();
    let mut properties: Vec<_> = properties.collect();
    properties.sort_by_key(|(name, _)| !required.contains(name));
    for (name, field) in properties {
        let text = field.description.as_deref().unwrap_or_default();
        let (text, values) = text.split_once("\n\n- ").unwrap_or((text, ""));
        let (meaning, default) = meaning_and_default(text);
        let default = if required.contains(name) {
            "required"
        } else {
            default
        };
        writeln!(
            page,
            "| `{name}` | {} | {} | {} |",
            type_of(field),
            cell(default),
            cell(&format!(
                "{meaning}{} {}",
                bounds(field),
                values.replace("\n- ", " ")
            ))
        )
        .unwrap();
        if field.properties.is_some() {
            below.push_str(&fields(&format!("{path}.{name}"), field));
        } else if let Some(item) = item(field).filter(|item| item.properties.is_some()) {
            below.push_str(&fields(&format!("{path}.{name}[]"), item));
        }
    }
    page + &below
}

/// `Sends it. Default: `true`.` is a meaning, and a default that ends without its full stop.
fn meaning_and_default(text: &str) -> (&str, &str) {
    let at = text.find("Default: ");
    at.map_or((text, ""), |at| {
        let default = text[at + "Default: ".len()..].trim();
        (
            text[..at].trim_end(),
            default.strip_suffix('.').unwrap_or(default),
        )
    })
}

fn type_of(field: &JSONSchemaProps) -> String {
    if let Some(values) = &field.enum_ {
        let values = values
            .iter()
            .map(|value| format!("`{}`", value.0.as_str().unwrap()));
        return values.collect::<Vec<_>>().join(" · ");
    }
    if let Some(item) = item(field) {
        return format!("list of {}", type_of(item));
    }
    if field.x_kubernetes_int_or_string == Some(true) {
        return "integer or string".to_owned();
    }
    let time = field.format.as_deref() == Some("date-time");
    let kind = if time {
        Some("time")
    } else {
        field.type_.as_deref()
    };
    kind.unwrap_or_default().to_owned()
}

fn item(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match field.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

/// What the API server checks beside the type, in words.
fn bounds(field: &JSONSchemaProps) -> String {
    let mut words = vec![];
    let range = |least: Option<i64>, most: Option<i64>, what: &str| match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{what}")),
        (None, Some(most)) => Some(format!("at most {most}{what}")),
        (Some(least), None) if least > 0 => Some(format!("at least {least}{what}")),
        _ => None,
    };
    words.extend(range(field.min_length, field.max_length, " characters"));
    words.extend(range(field.min_items, field.max_items, " entries"));
    let whole = |bound: Option<f64>| bound.map(|bound| bound as i64);
    words.extend(range(whole(field.minimum), whole(field.maximum), ""));
    if let Some(item) = item(field) {
        words.extend(range(item.min_length, item.max_length, " characters each"));
    }
    if words.is_empty() {
        String::new()
    } else {
        format!(" ({})", words.join("; "))
    }
}

fn cell(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.replace('|', "\\|")
}
