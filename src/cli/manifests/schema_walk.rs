//! A manifest beside the schema of what it may hold.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};

use super::node::{Node, NodeValue};

/// What every object has beside its own fields.
const OF_EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What the schema says of a value.
pub enum Place<'a> {
    /// It has this schema.
    Known(&'a JSONSchemaProps),
    /// There is no field of its name, which is the last of these, among the fields.
    Unknown(&'a BTreeMap<String, JSONSchemaProps>, &'a str),
}

/// The first answer of `look` to a value of `object`, in the order of the file, each before what is in it: what the
/// schema says of it, the value, its line in the document, and the way to it (`spec.users.include`). What is of a
/// wrong type isn't entered: reading it tells.
pub fn find<T>(
    schema: &JSONSchemaProps,
    object: &Node,
    look: &mut impl FnMut(Place<'_>, &Node, u64, &str) -> Option<T>,
) -> Option<T> {
    below(schema, object, object.line, "", look)
}

fn below<T>(
    schema: &JSONSchemaProps,
    node: &Node,
    line: u64,
    path: &str,
    look: &mut impl FnMut(Place<'_>, &Node, u64, &str) -> Option<T>,
) -> Option<T> {
    if let Some(found) = look(Place::Known(schema), node, line, path) {
        return Some(found);
    }
    match (&node.content, &schema.properties, &schema.items) {
        (NodeValue::Object(entries), Some(fields), _) => entries.iter().find_map(|entry| {
            let key = entry.key.as_str();
            if path.is_empty() && OF_EVERY_OBJECT.contains(&key) {
                return None;
            }
            let path = match path.is_empty() {
                true => key.to_owned(),
                false => format!("{path}.{key}"),
            };
            match fields.get(key) {
                Some(field) => below(field, &entry.value, entry.line, &path, look),
                None => look(Place::Unknown(fields, key), &entry.value, entry.line, &path),
            }
        }),
        (NodeValue::List(items), _, Some(JSONSchemaPropsOrArray::Schema(schema))) => items
            .iter()
            .enumerate()
            .find_map(|(at, item)| below(schema, item, item.line, &format!("{path}[{at}]"), look)),
        _ => None,
    }
}
