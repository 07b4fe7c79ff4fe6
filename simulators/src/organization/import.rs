//! `POST /public/organization/import` as the official server does it: six steps in order, and a
//! refusal in one leaves what the earlier ones did.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;

use super::answers::{Fields, Refusal, parse};
use super::config::{Config, Profile};
use super::model::{Member, MemberId, Role, Status};
use super::seats;
use super::store::Store;

const ROWS_WITHOUT_LARGE_IMPORT: usize = 2_000;

/// The body of a request to import members and groups.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Import {
    groups: Option<Vec<GroupRow>>,
    members: Option<Vec<MemberRow>>,
    overwrite_existing: Option<bool>,
    #[serde(default)]
    large_import: bool,
    invite_users_after_provisioning: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupRow {
    name: Option<String>,
    external_id: Option<String>,
    member_external_ids: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberRow {
    email: Option<String>,
    external_id: Option<String>,
    #[serde(default)]
    deleted: bool,
}

/// Members of the request that aren't deleted: lower-cased email and external id.
struct Wanted<'r> {
    email: String,
    external_id: &'r str,
}

impl Import {
    /// Reads a request and checks its fields.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let import: Self = parse(body)?;
        let mut fields = Fields::default();
        if import.overwrite_existing.is_none() {
            let why = "The OverwriteExisting field is required.";
            fields.breaks("OverwriteExisting", why);
        }
        for (row, group) in import.groups.iter().flatten().enumerate() {
            fields.required(&format!("Groups[{row}].Name"), group.name.as_deref(), 100);
            let external_id = group.external_id.as_deref();
            fields.required(&format!("Groups[{row}].ExternalId"), external_id, 300);
        }
        for (row, member) in import.members.iter().flatten().enumerate() {
            let email = member.email.as_deref();
            let field = format!("Members[{row}].Email");
            fields.address(&field, email);
            fields.at_most(&field, email, 256);
            if !member.deleted && email.is_none_or(|email| email.trim().is_empty()) {
                fields.breaks(&field, "Email is required for enabled members.");
            }
            let external_id = member.external_id.as_deref();
            fields.required(&format!("Members[{row}].ExternalId"), external_id, 300);
        }
        fields.check()?;
        Ok(import)
    }

    /// What the request log says of it.
    pub fn summary(&self) -> String {
        let members = self.members.as_deref().unwrap_or_default();
        format!(
            "import of {} groups and {} members ({} of them deleted), overwriteExisting {}",
            self.groups.as_ref().map_or(0, Vec::len),
            members.len(),
            members.iter().filter(|member| member.deleted).count(),
            self.overwrite_existing.unwrap_or_default(),
        )
    }

    /// Applies the import in the order in which the server does.
    pub fn run(&self, store: &mut Store, config: &Config) -> Result<(), Refusal> {
        // The official server dereferences both without a look.
        let (Some(groups), Some(members)) = (&self.groups, &self.members) else {
            return Err(Refusal::Crash);
        };
        let deleted = members.iter().filter(|member| member.deleted);
        let deleted: HashSet<&str> = deleted.filter_map(|m| m.external_id.as_deref()).collect();
        let wanted = members.iter().filter(|member| !member.deleted);
        let wanted: Vec<Wanted> = wanted
            .map(|member| Wanted {
                email: member.email.as_deref().unwrap_or_default().to_lowercase(),
                external_id: member.external_id.as_deref().unwrap_or_default(),
            })
            .collect();
        let wanted_ids: HashSet<&str> = wanted.iter().map(|member| member.external_id).collect();

        self.refuse_by_plan(config, groups.len(), wanted.len())?;
        if store.by_external_id.ambiguous() {
            return Err(Refusal::Crash);
        }
        remove_deleted(store, &deleted, &wanted_ids);
        if self.overwrite_existing == Some(true) {
            remove_unlisted(store, &wanted_ids)?;
        }
        link(store, &wanted)?;
        let status = match self.invite_users_after_provisioning {
            Some(false) if config.can_stage => Status::Staged,
            _ => Status::Invited,
        };
        invite(store, config, &wanted, status)?;
        import_groups(store, config, groups)
    }

    fn refuse_by_plan(
        &self,
        config: &Config,
        groups: usize,
        members: usize,
    ) -> Result<(), Refusal> {
        if !config.plan.directory {
            return Err(Refusal::Bad("Organization cannot use directory syncing."));
        }
        let cloud = config.profile == Profile::Official { cloud: true };
        let many = groups > ROWS_WITHOUT_LARGE_IMPORT || members > ROWS_WITHOUT_LARGE_IMPORT;
        if cloud && !self.large_import && many {
            return Err(Refusal::Bad("You cannot import this much data at once."));
        }
        Ok(())
    }
}

fn remove_deleted(store: &mut Store, deleted: &HashSet<&str>, wanted: &HashSet<&str>) {
    for external_id in deleted.difference(wanted) {
        if let Some(id) = store.by_external_id.get(external_id)
            && store.members[&id].role != Role::Owner
        {
            store.remove(id);
        }
    }
}

fn remove_unlisted(store: &mut Store, wanted: &HashSet<&str>) -> Result<(), Refusal> {
    let unlisted = store.members.iter().filter(|(_, member)| {
        let external_id = member.external_id.as_deref();
        member.role != Role::Owner && external_id.is_some_and(|id| !wanted.contains(id))
    });
    let unlisted: Vec<MemberId> = unlisted.map(|(id, _)| *id).collect();
    if unlisted
        .iter()
        .any(|id| !store.members[id].has_master_password)
    {
        return Err(Refusal::Bad(
            "Sync failed: members without a master password would be removed.",
        ));
    }
    for id in unlisted {
        store.remove(id);
    }
    Ok(())
}

/// Emails and members' external ids are keys of look-ups here, which a second row with the same
/// email, or a link to an external id that another member has or gets, makes fall over before
/// anything is linked. Two rows with one external id that is new aren't noticed: both are invited.
fn link(store: &mut Store, wanted: &[Wanted<'_>]) -> Result<(), Refusal> {
    let emails: HashSet<&str> = wanted.iter().map(|member| member.email.as_str()).collect();
    if emails.len() < wanted.len() {
        return Err(Refusal::Crash);
    }
    let mut links = Vec::new();
    let mut taken = HashSet::new();
    for member in wanted {
        if let Some(id) = store.by_email.get(&member.email)
            && store.members[&id].external_id.is_none()
        {
            let another = store.by_external_id.get(member.external_id).is_some();
            if another || !taken.insert(member.external_id) {
                return Err(Refusal::Crash);
            }
            links.push((id, member.external_id));
        }
    }
    for (id, external_id) in links {
        store.set_external_id(id, Some(external_id));
    }
    Ok(())
}

fn invite(
    store: &mut Store,
    config: &Config,
    wanted: &[Wanted<'_>],
    status: Status,
) -> Result<(), Refusal> {
    let known = |email: &str| {
        let mut members = store.by_email.all(email).iter();
        members.any(|id| !config.misses_invited || store.members[id].has_account)
    };
    let new = wanted.iter().filter(|member| {
        store.by_external_id.get(member.external_id).is_none() && !known(&member.email)
    });
    let new: Vec<Member> = new
        .map(|new| Member::new(&new.email, Some(new.external_id), status, Role::User))
        .collect();
    // Staged members need no seat.
    let needed = new.iter().filter(|member| member.status.takes_seat());
    seats::take(store, config, needed.count())?;
    if let Some(why) = config.fails_invites.clone().filter(|_| !new.is_empty()) {
        return Err(Refusal::Invite(why));
    }
    for member in new {
        store.invite(member);
    }
    Ok(())
}

fn import_groups(store: &mut Store, config: &Config, groups: &[GroupRow]) -> Result<(), Refusal> {
    if groups.is_empty() {
        return Ok(());
    }
    if !config.plan.groups {
        return Err(Refusal::Bad("Organization cannot use groups."));
    }
    let listed: HashSet<&Option<String>> = groups.iter().map(|group| &group.external_id).collect();
    let incomplete = groups
        .iter()
        .any(|group| group.member_external_ids.is_none());
    if listed.len() < groups.len() || incomplete || store.groups_by_external_id.ambiguous() {
        return Err(Refusal::Crash);
    }
    for row in groups {
        let name = row.name.as_deref().unwrap_or_default();
        let external_id = row.external_id.as_deref().unwrap_or_default();
        let group = match store.groups_by_external_id.get(external_id) {
            Some(group) => group,
            None => store.create_group(name, Some(external_id)),
        };
        store.rename_group(group, name);
        let listed = row.member_external_ids.iter().flatten();
        let members: BTreeSet<MemberId> = listed
            .filter_map(|external_id| store.by_external_id.get(external_id))
            .collect();
        store.set_group_members(group, &members);
    }
    Ok(())
}
