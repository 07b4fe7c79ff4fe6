//! Objects as JSON, with the properties that were asked for and no other.

use serde_json::{Map, Value, json};

use super::model::{Group, Id, Kind, User};
use super::store::Store;

/// What comes of a user where nothing is asked for: not whether it is enabled.
const USER_USUALLY: [&str; 4] = ["id", "displayName", "mail", "userPrincipalName"];
const GROUP_USUALLY: [&str; 5] = [
    "id",
    "displayName",
    "groupTypes",
    "securityEnabled",
    "visibility",
];

/// An object with the properties in `select`; its id where it isn't one of those kept in detail.
pub(super) fn object(
    store: &Store,
    id: Id,
    select: Option<&[String]>,
) -> Option<Map<String, Value>> {
    let whole = match id.kind {
        Kind::User => match store.users.get(&id) {
            Some(found) => user(id, found),
            None => deleted(id, store.deleted.get(&id)?),
        },
        Kind::Group => group(id, store.groups.get(&id)?),
        Kind::Device | Kind::ServicePrincipal | Kind::AdministrativeUnit => {
            vec![("id", json!(id.to_string()))]
        }
    };
    let usually: &[&str] = match id.kind {
        Kind::User => &USER_USUALLY,
        _ => &GROUP_USUALLY,
    };
    let wanted = |name: &str| match select {
        Some(names) => names.iter().any(|selected| selected == name),
        None => usually.contains(&name),
    };
    let kept = whole.into_iter().filter(|(name, _)| wanted(name));
    Some(kept.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Of an object that isn't kept in detail, the properties in `select`.
pub(super) fn selected(object: Value, select: Option<&[String]>) -> Value {
    match (object, select) {
        (Value::Object(fields), Some(names)) => {
            let kept = fields.into_iter().filter(|(name, _)| names.contains(name));
            Value::Object(kept.collect())
        }
        (object, _) => object,
    }
}

/// Everything that can be filtered on.
pub(super) fn whole(store: &Store, id: Id) -> Map<String, Value> {
    let fields = match id.kind {
        Kind::User => store.users.get(&id).map(|found| user(id, found)),
        _ => store.groups.get(&id).map(|found| group(id, found)),
    };
    let fields = fields.unwrap_or_default().into_iter();
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn user(id: Id, user: &User) -> Vec<(&'static str, Value)> {
    let licenses: Vec<Value> = user
        .licenses
        .iter()
        .map(|sku| json!({"skuId": sku, "disabledPlans": []}))
        .collect();
    vec![
        ("id", json!(id.to_string())),
        ("displayName", json!(user.name)),
        ("mail", json!(user.mail)),
        ("userPrincipalName", json!(user.principal_name)),
        ("accountEnabled", json!(user.enabled)),
        ("userType", json!(user.user_type)),
        ("department", json!(user.department)),
        ("assignedLicenses", Value::Array(licenses)),
    ]
}

/// The name of whoever was deleted has the id, without dashes, in front: it is free for others.
fn deleted(id: Id, user: &User) -> Vec<(&'static str, Value)> {
    let prefix = id.to_string().replace('-', "");
    vec![
        ("id", json!(id.to_string())),
        ("displayName", json!(user.name)),
        ("mail", json!(user.mail)),
        (
            "userPrincipalName",
            json!(format!("{prefix}{}", user.principal_name)),
        ),
        ("userType", json!(user.user_type)),
        ("deletedDateTime", json!("2026-11-02T08:30:00Z")),
    ]
}

fn group(id: Id, group: &Group) -> Vec<(&'static str, Value)> {
    let mut types = vec![];
    if group.unified {
        types.push("Unified");
    }
    if group.dynamic {
        types.push("DynamicMembership");
    }
    let visibility = match (group.hidden, group.unified) {
        (true, _) => json!("HiddenMembership"),
        (false, true) => json!("Private"),
        (false, false) => Value::Null,
    };
    vec![
        ("id", json!(id.to_string())),
        ("displayName", json!(group.name)),
        ("groupTypes", json!(types)),
        ("securityEnabled", json!(group.security)),
        ("mailEnabled", json!(!group.security)),
        ("visibility", visibility),
    ]
}
