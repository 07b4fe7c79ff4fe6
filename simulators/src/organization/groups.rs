//! `/public/groups`: the calls on single groups, and the list.

use serde::{Deserialize, Serialize};

use super::answers::{Fields, Refusal, known, parse};
use super::config::Config;
use super::model::{CollectionAccess, Group, GroupId, MemberId};
use super::store::Store;

/// A group as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'s> {
    object: &'static str,
    id: GroupId,
    name: &'s str,
    external_id: Option<&'s str>,
    collections: &'s [CollectionAccess],
}

fn show(id: GroupId, group: &Group) -> Shown<'_> {
    Shown {
        object: "group",
        id,
        name: &group.name,
        external_id: group.external_id.as_deref(),
        collections: &group.collections,
    }
}

/// All groups, as the API lists them.
pub(super) fn list(store: &Store) -> Vec<Shown<'_>> {
    let shown = store.groups.iter();
    shown.map(|(id, group)| show(*id, group)).collect()
}

/// The id of a group of this organization, from a path.
pub(super) fn find(store: &Store, id: &str) -> Result<GroupId, Refusal> {
    let id = GroupId::parse(id).ok_or(Refusal::NotFound)?;
    if store.groups.contains_key(&id) {
        Ok(id)
    } else {
        Err(Refusal::NotFound)
    }
}

/// One of them, by an id from [`find`].
pub(super) fn get(store: &Store, id: GroupId) -> Result<Shown<'_>, Refusal> {
    let group = store.groups.get(&id).ok_or(Refusal::NotFound)?;
    Ok(show(id, group))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    name: Option<String>,
    external_id: Option<String>,
    collections: Option<Vec<CollectionAccess>>,
}

impl Body {
    fn read(store: &Store, config: &Config, body: &[u8]) -> Result<Self, Refusal> {
        let body: Self = parse(body)?;
        let mut fields = Fields::default();
        fields.required("Name", body.name.as_deref(), 100);
        fields.at_most("ExternalId", body.external_id.as_deref(), 300);
        fields.collections(body.collections.as_deref());
        fields.check()?;
        if !config.plan.groups {
            return Err(Refusal::Bad("This organization cannot use groups."));
        }
        known(store, config, body.collections.as_deref())?;
        Ok(body)
    }
}

/// Creates a group from the body of a request.
pub(super) fn create(store: &mut Store, config: &Config, body: &[u8]) -> Result<GroupId, Refusal> {
    let body = Body::read(store, config, body)?;
    let name = body.name.as_deref().unwrap_or_default();
    let id = store.create_group(name, body.external_id.as_deref());
    store.set_group_collections(id, body.collections.unwrap_or_default());
    Ok(id)
}

/// Replaces what is known of one; an external id that the request leaves out is reset, access to
/// collections isn't.
pub(super) fn update(
    store: &mut Store,
    config: &Config,
    id: GroupId,
    body: &[u8],
) -> Result<(), Refusal> {
    let body = Body::read(store, config, body)?;
    store.rename_group(id, body.name.as_deref().unwrap_or_default());
    store.set_group_external_id(id, body.external_id.as_deref());
    if let Some(collections) = body.collections {
        store.set_group_collections(id, collections);
    }
    Ok(())
}

/// The ids of its members.
pub(super) fn member_ids(store: &Store, id: GroupId) -> Vec<MemberId> {
    store.groups[&id].members.iter().copied().collect()
}

/// Gives one exactly these members.
pub(super) fn set_member_ids(store: &mut Store, id: GroupId, body: &[u8]) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        member_ids: Option<Vec<String>>,
    }
    let body: Body = parse(body)?;
    let Some(ids) = body.member_ids else {
        let mut fields = Fields::default();
        fields.breaks("MemberIds", "The MemberIds field is required.");
        return fields.check();
    };
    let ids = ids.iter().filter_map(|id| MemberId::parse(id)).collect();
    store.set_group_members(id, &ids);
    Ok(())
}
