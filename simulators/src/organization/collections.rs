//! `/public/collections`: the calls on collections, without their names, which are encrypted. And
//! `/public/policies`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answers::{Fields, Refusal, parse};
use super::config::Config;
use super::model::{CollectionAccess, GroupId};
use super::store::Store;

/// A collection as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'s> {
    object: &'static str,
    id: String,
    external_id: Option<&'s str>,
    groups: Vec<GroupAccess>,
}

/// What a group may do in a collection: `id` is the group's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupAccess {
    id: GroupId,
    read_only: bool,
    hide_passwords: bool,
    manage: bool,
}

/// The ids of all collections: those that the server was told of, otherwise those to which a group or a
/// member has access.
fn ids(store: &Store, config: &Config) -> BTreeSet<String> {
    let mut ids: BTreeSet<String> = config.collections.iter().cloned().collect();
    if ids.is_empty() {
        let of_groups = store.groups.values().flat_map(|group| &group.collections);
        let of_members = store
            .members
            .values()
            .flat_map(|member| &member.collections);
        ids = of_groups
            .chain(of_members)
            .map(|access| access.id.clone())
            .collect();
    }
    ids.retain(|id| !store.deleted_collections.contains(id));
    ids
}

fn show(store: &Store, id: String) -> Shown<'_> {
    let groups = store.groups.iter().filter_map(|(group, held)| {
        let access = held.collections.iter().find(|access| access.id == id)?;
        Some(GroupAccess {
            id: *group,
            read_only: access.read_only,
            hide_passwords: access.hide_passwords,
            manage: access.manage,
        })
    });
    Shown {
        object: "collection",
        external_id: store.collection_external_ids.get(&id).map(String::as_str),
        groups: groups.collect(),
        id,
    }
}

/// All collections, as the API lists them.
pub(super) fn list<'s>(store: &'s Store, config: &Config) -> Vec<Shown<'s>> {
    let ids = ids(store, config).into_iter();
    ids.map(|id| show(store, id)).collect()
}

/// The id of a collection of this organization, from a path.
pub(super) fn find(store: &Store, config: &Config, id: &str) -> Result<String, Refusal> {
    let id = id.to_lowercase();
    match ids(store, config).contains(&id) {
        true => Ok(id),
        false => Err(Refusal::NotFound),
    }
}

/// One of them, by an id from [`find`].
pub(super) fn get(store: &Store, id: String) -> Shown<'_> {
    show(store, id)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    external_id: Option<String>,
    /// `id` is a group's.
    groups: Option<Vec<CollectionAccess>>,
}

/// Replaces the external id and the groups that have access. Like a member's collections, groups that
/// aren't sent lose it.
pub(super) fn update(store: &mut Store, id: &str, body: &[u8]) -> Result<(), Refusal> {
    let body: Body = parse(body)?;
    let mut fields = Fields::default();
    fields.at_most("ExternalId", body.external_id.as_deref(), 300);
    fields.collections(body.groups.as_deref());
    fields.check()?;
    let groups = body.groups.unwrap_or_default();
    let mut wanted = Vec::new();
    for access in groups {
        let group = GroupId::parse(&access.id).filter(|group| store.groups.contains_key(group));
        let group = group.ok_or(Refusal::NotFoundInBody)?;
        let id = id.to_owned();
        wanted.push((group, CollectionAccess { id, ..access }));
    }
    store.set_collection_external_id(id, body.external_id.as_deref());
    let all: Vec<GroupId> = store.groups.keys().copied().collect();
    for group in all {
        let before = &store.groups[&group].collections;
        let mut after = before.clone();
        after.retain(|access| access.id != id);
        let own = wanted.iter().filter(|(of, _)| *of == group);
        after.extend(own.map(|(_, access)| access.clone()));
        if after != *before {
            store.set_group_collections(group, after);
        }
    }
    Ok(())
}

/// Deletes one: nobody has access to it any more.
pub(super) fn delete(store: &mut Store, id: &str) {
    store.deleted_collections.insert(id.to_owned());
    let without = |access: &[CollectionAccess]| -> Option<Vec<CollectionAccess>> {
        let after: Vec<_> = access.iter().filter(|one| one.id != id).cloned().collect();
        (after.len() < access.len()).then_some(after)
    };
    let groups = store.groups.iter();
    let groups: Vec<_> = groups
        .filter_map(|(group, held)| Some((*group, without(&held.collections)?)))
        .collect();
    let members = store.members.iter();
    let members: Vec<_> = members
        .filter_map(|(member, held)| Some((*member, without(&held.collections)?)))
        .collect();
    for (group, after) in groups {
        store.set_group_collections(group, after);
    }
    for (member, after) in members {
        store.set_member_collections(member, after);
    }
}

/// The kinds of policies that the server knows, by number.
const POLICIES: std::ops::RangeInclusive<u8> = 0..=20;

/// The kind of a policy, from a path.
pub(super) fn policy(text: &str) -> Result<u8, Refusal> {
    let kind = text.parse().ok().filter(|kind| POLICIES.contains(kind));
    kind.ok_or(Refusal::NotFound)
}

/// A policy as the API shows it; one that was never set is off.
pub(super) fn show_policy(store: &Store, kind: u8) -> Value {
    let (enabled, data) = store.policies.get(&kind).cloned().unwrap_or_default();
    json!({
        "object": "policy",
        "id": format!("706f6c69-6379-4000-8000-{kind:012x}"),
        "type": kind,
        "enabled": enabled,
        "data": data,
    })
}

/// Sets a policy from the body of a request.
pub(super) fn set_policy(store: &mut Store, kind: u8, body: &[u8]) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    struct Body {
        enabled: Option<bool>,
        data: Option<Value>,
    }
    let body: Body = parse(body)?;
    let Some(enabled) = body.enabled else {
        let mut fields = Fields::default();
        fields.breaks("Enabled", "The Enabled field is required.");
        return fields.check();
    };
    store.policies.insert(kind, (enabled, body.data));
    Ok(())
}
