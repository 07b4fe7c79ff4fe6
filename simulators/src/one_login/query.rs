//! Which people a query of version 2 finds.

use std::collections::HashMap;

use serde_json::{Map, Value};
use wildmatch::WildMatchPattern;

use super::answers::Refusal;

/// Attributes that queries know. Other parameters are passed over, as if they weren't there.
const KNOWN: [&str; 7] = [
    "firstname",
    "lastname",
    "email",
    "username",
    "samaccountname",
    "directory_id",
    "external_id",
];
const CUSTOM: &str = "custom_attributes.";

/// How an account searches.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Parameters that it doesn't know, and passes over.
    pub unknown: Vec<String>,
    /// Parameters by which it tells capital letters apart.
    pub exact: Vec<String>,
}

/// The conditions in a query.
pub(super) struct Conditions<'q> {
    all: Vec<(&'q str, &'q str)>,
    exact: Vec<String>,
}

impl<'q> Conditions<'q> {
    pub fn of(query: &'q HashMap<String, String>, search: &Search) -> Result<Self, Refusal> {
        let mut conditions = vec![];
        for (name, value) in query {
            let known = KNOWN.contains(&name.as_str())
                || matches!(name.as_str(), "user_ids" | "updated_since")
                || name.starts_with(CUSTOM);
            if name == "directory_id" && value.parse::<u64>().is_err() {
                return Err(Refusal::Parameter(name.clone()));
            }
            if known && !search.unknown.contains(name) {
                conditions.push((name.as_str(), value.as_str()));
            }
        }
        Ok(Self {
            all: conditions,
            exact: search.exact.clone(),
        })
    }

    pub fn fit(&self, id: u64, user: &Map<String, Value>) -> bool {
        self.all.iter().all(|(name, value)| {
            let is_exact = self.exact.iter().any(|exact| exact == name);
            let like = |pattern: &str, text: &str| match is_exact {
                true => WildMatchPattern::<'*', '\0'>::new(pattern).matches(text),
                false => like(pattern, text),
            };
            if *name == "updated_since" {
                let updated = user.get("updated_at").and_then(Value::as_str);
                return updated.unwrap_or(super::model::CREATED) > *value;
            }
            if *name == "user_ids" {
                return value
                    .split(',')
                    .any(|wanted| wanted.trim() == id.to_string());
            }
            let found = match name.strip_prefix(CUSTOM) {
                Some(custom) => user
                    .get("custom_attributes")
                    .and_then(|all| all.get(custom)),
                None => user.get(*name),
            };
            match found {
                Some(Value::String(text)) => like(value, text),
                Some(Value::Null) | None => false,
                Some(other) => like(value, &other.to_string()),
            }
        })
    }
}

/// Whether `text` is as `pattern` says, in which `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    WildMatchPattern::<'*', '\0'>::new_case_insensitive(pattern).matches(text)
}
