//! `/public/members`: the calls on single members, and the list.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::answers::{Fields, Refusal, is_strict_address, known, parse};
use super::config::Config;
use super::history::Event;
use super::model::{CollectionAccess, GroupId, Member, MemberId, Role, Status};
use super::seats;
use super::store::Store;

const NO_CUSTOM: &str =
    "To enable custom permissions the organization must be on an Enterprise plan.";
const LAST_OWNER: &str = "Organization must have at least one confirmed owner.";

/// A member as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'s> {
    object: &'static str,
    id: MemberId,
    /// None until there is an account.
    user_id: Option<String>,
    name: Option<&'s str>,
    email: &'s str,
    two_factor_enabled: bool,
    status: i8,
    r#type: u8,
    external_id: Option<&'s str>,
    collections: Option<&'s [CollectionAccess]>,
    reset_password_enrolled: bool,
    permissions: Option<&'s serde_json::Value>,
    sso_external_id: Option<&'s str>,
}

fn show(id: MemberId, member: &Member) -> Shown<'_> {
    Shown {
        object: "member",
        id,
        user_id: member
            .has_account
            .then(|| format!("75736572-0000-4000-8000-{:012x}", id.0)),
        name: member
            .has_account
            .then(|| member.email.split('@').next().unwrap_or_default()),
        email: &member.email,
        two_factor_enabled: member.has_account && member.two_step,
        status: member.status.number(),
        r#type: member.role.number(),
        external_id: member.external_id.as_deref(),
        collections: Some(&member.collections),
        reset_password_enrolled: false,
        permissions: member.permissions.as_ref(),
        sso_external_id: None,
    }
}

/// All members, as the API lists them.
pub(super) fn list<'s>(store: &'s Store, config: &Config) -> Vec<Shown<'s>> {
    let shown = store.members.iter().map(|(id, member)| {
        let mut shown = show(*id, member);
        if !config.lists_collections {
            shown.collections = None;
        }
        shown
    });
    shown.collect()
}

/// The id of a member of this organization, from a path.
pub(super) fn find(store: &Store, id: &str) -> Result<MemberId, Refusal> {
    let id = MemberId::parse(id).ok_or(Refusal::NotFound)?;
    if store.members.contains_key(&id) {
        Ok(id)
    } else {
        Err(Refusal::NotFound)
    }
}

/// One of them, by an id from [`find`].
pub(super) fn get(store: &Store, id: MemberId) -> Result<Shown<'_>, Refusal> {
    let member = store.members.get(&id).ok_or(Refusal::NotFound)?;
    Ok(show(id, member))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    email: Option<String>,
    r#type: Option<i64>,
    external_id: Option<String>,
    permissions: Option<serde_json::Value>,
    collections: Option<Vec<CollectionAccess>>,
    groups: Option<Vec<String>>,
}

impl Body {
    fn role(&self, fields: &mut Fields) -> Role {
        let role = self.r#type.and_then(Role::from_number);
        if role.is_none() {
            fields.breaks("Type", "The Type field is required.");
        }
        fields.at_most("ExternalId", self.external_id.as_deref(), 300);
        fields.collections(self.collections.as_deref());
        role.unwrap_or_default()
    }

    fn groups(&self) -> Option<BTreeSet<GroupId>> {
        let groups = self.groups.as_ref()?.iter();
        Some(groups.filter_map(|id| GroupId::parse(id)).collect())
    }
}

/// Invites a member from the body of a request.
pub(super) fn create(store: &mut Store, config: &Config, body: &[u8]) -> Result<MemberId, Refusal> {
    let body: Body = parse(body)?;
    let mut fields = Fields::default();
    let role = body.role(&mut fields);
    let email = body.email.as_deref();
    fields.required("Email", email, 256);
    // More strictly than an import.
    if !email.is_some_and(is_strict_address) {
        fields.breaks(
            "Email",
            "The Email field is not a supported e-mail address format.",
        );
    }
    fields.check()?;
    if role == Role::Custom && !config.plan.custom_permissions {
        return Err(Refusal::Bad(NO_CUSTOM));
    }
    let email = email.unwrap_or_default().to_lowercase();
    if store.by_email.get(&email).is_some() {
        return Err(Refusal::Bad("This user has already been invited."));
    }
    seats::take(store, config, 1)?;
    let groups = body.groups().unwrap_or_default();
    let external_id = body.external_id.as_deref();
    let mut member = Member::new(&email, external_id, Status::Invited, role);
    member.permissions = body.permissions.filter(|_| role == Role::Custom);
    member.collections = body.collections.unwrap_or_default();
    let id = store.invite(member);
    store.set_member_groups(id, &groups);
    Ok(id)
}

/// Replaces what is known of one; what the request leaves out is reset, but for the groups.
pub(super) fn update(
    store: &mut Store,
    config: &Config,
    id: MemberId,
    body: &[u8],
) -> Result<(), Refusal> {
    let body: Body = parse(body)?;
    let mut fields = Fields::default();
    let role = body.role(&mut fields);
    fields.check()?;
    if role != Role::Owner && store.is_last_confirmed_owner(id) {
        return Err(Refusal::Bad(LAST_OWNER));
    }
    if role == Role::Custom && !config.plan.custom_permissions {
        return Err(Refusal::Bad(NO_CUSTOM));
    }
    known(store, config, body.collections.as_deref())?;
    let groups = body.groups();
    let named = body.groups.as_ref().map_or(0, Vec::len);
    let there = groups
        .iter()
        .flatten()
        .filter(|id| store.groups.contains_key(id));
    if there.count() < named {
        return Err(Refusal::NotFoundInBody);
    }
    store.set_external_id(id, body.external_id.as_deref());
    store.set_member_collections(id, body.collections.unwrap_or_default());
    store.version += 1;
    if let Some(member) = store.members.get_mut(&id) {
        let (from, to) = (member.role.number(), role.number());
        if from != to {
            let email = member.email.clone();
            store.history.push(Event::RoleChanged { email, from, to });
        }
        member.role = role;
        match role {
            Role::Custom if body.permissions.is_none() => {}
            Role::Custom => member.permissions = body.permissions,
            _ => member.permissions = None,
        }
    }
    if let Some(groups) = groups {
        store.set_member_groups(id, &groups);
    }
    Ok(())
}

/// The ids of its groups.
pub(super) fn group_ids(store: &Store, id: MemberId) -> Vec<GroupId> {
    store.members[&id].groups.iter().copied().collect()
}

/// Puts one in exactly these groups.
pub(super) fn set_group_ids(store: &mut Store, id: MemberId, body: &[u8]) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        group_ids: Option<Vec<String>>,
    }
    let body: Body = parse(body)?;
    let Some(ids) = body.group_ids else {
        let mut fields = Fields::default();
        fields.breaks("GroupIds", "The GroupIds field is required.");
        return fields.check();
    };
    let ids = ids.iter().filter_map(|id| GroupId::parse(id)).collect();
    store.set_member_groups(id, &ids);
    Ok(())
}

/// Removes a member, with the memberships in groups.
pub(super) fn remove(store: &mut Store, id: MemberId) -> Result<(), Refusal> {
    if store.is_last_confirmed_owner(id) {
        return Err(Refusal::Bad(LAST_OWNER));
    }
    store.remove(id);
    Ok(())
}

/// Sends the invitation again.
pub(super) fn reinvite(store: &mut Store, id: MemberId) -> Result<(), Refusal> {
    if store.members[&id].status != Status::Invited {
        return Err(Refusal::Bad("User invalid."));
    }
    store.reinvite(id);
    Ok(())
}

/// Takes one's access and frees the seat.
pub(super) fn revoke(store: &mut Store, id: MemberId) -> Result<(), Refusal> {
    let member = &store.members[&id];
    if member.status == Status::Revoked {
        return Err(Refusal::Bad("Already revoked."));
    }
    if member.role == Role::Owner {
        return Err(Refusal::Bad("Only owners can revoke other owners."));
    }
    store.revoke(id);
    Ok(())
}

/// Gives one's access back, as it was.
pub(super) fn restore(store: &mut Store, config: &Config, id: MemberId) -> Result<(), Refusal> {
    let member = &store.members[&id];
    if member.status != Status::Revoked {
        return Err(Refusal::Bad("Already active."));
    }
    if member.role == Role::Owner {
        return Err(Refusal::Bad("Only owners can restore other owners."));
    }
    let two_step_missing = config.requires_two_step && !member.two_step;
    seats::take(store, config, 1)?;
    if two_step_missing {
        return Err(Refusal::Bad(
            "User is not compliant with the two-step login policy",
        ));
    }
    store.restore(id);
    Ok(())
}
