//! Lists and texts that are shorter or longer than the resource allows.
//!
//! The API server refuses them. Here nobody would, and an empty list often means the opposite of a missing one:
//! `collections: []` of an exclusive rule would take all access of a group.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;

use super::node::{Node, NodeValue};
use super::schema_walk::{self, Place};

/// A value that the schema doesn't allow.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// The way to it: `spec.users.include`.
    pub path: String,
    /// Its line in the document, from 1.
    pub line: u64,
    /// How long it is, and how long it may be.
    pub message: String,
}

/// The first value of `object` that is shorter or longer than `schema` allows. Values of another type than
/// the schema's are left to whoever reads them.
pub fn out_of_bounds(schema: &JSONSchemaProps, object: &Node) -> Option<OutOfBounds> {
    schema_walk::find(schema, object, &mut |place, node, line, path| {
        let Place::Known(schema) = place else {
            return None;
        };
        let (count, least, most, what) = match &node.content {
            NodeValue::List(items) => (items.len(), schema.min_items, schema.max_items, "entries"),
            NodeValue::Scalar(Value::String(text)) => {
                let count = text.chars().count();
                (count, schema.min_length, schema.max_length, "characters")
            }
            _ => return None,
        };
        Some(OutOfBounds {
            path: path.to_owned(),
            line,
            message: message(count, least, most, what)?,
        })
    })
}

fn message(count: usize, least: Option<i64>, most: Option<i64>, what: &str) -> Option<String> {
    let exceeds = |limit: i64| usize::try_from(limit).is_ok_and(|limit| count > limit);
    let falls_short = |limit: i64| usize::try_from(limit).is_ok_and(|limit| count < limit);
    if let Some(least) = least.filter(|&least| falls_short(least)) {
        return Some(match count {
            0 => format!("is empty; give at least {least}, or take the field out"),
            _ => format!("has {count} {what}, and needs at least {least}"),
        });
    }
    let most = most.filter(|&most| exceeds(most))?;
    Some(format!("has {count} {what}, and can have at most {most}"))
}
