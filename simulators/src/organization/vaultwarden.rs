//! `POST /public/organization/import` as Vaultwarden does it: row by row, by email, nothing
//! refused.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;

use super::model::{Member, MemberId, Role, Status};
use super::store::Store;

/// The request's body. Every field is required; anything else in it is ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Import {
    groups: Vec<GroupRow>,
    members: Vec<MemberRow>,
    overwrite_existing: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupRow {
    name: String,
    external_id: String,
    member_external_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberRow {
    email: String,
    external_id: String,
    deleted: bool,
}

impl Import {
    /// What the request log says of it.
    pub fn summary(&self) -> String {
        format!(
            "import of {} groups and {} members ({} of them deleted), overwriteExisting {}",
            self.groups.len(),
            self.members.len(),
            self.members.iter().filter(|member| member.deleted).count(),
            self.overwrite_existing,
        )
    }

    /// Does it. `groups_enabled` is `ORG_GROUPS_ENABLED`.
    pub fn run(&self, store: &mut Store, groups_enabled: bool) {
        for row in &self.members {
            let email = row.email.to_lowercase();
            let existing = store.by_email.get(&email).copied();
            match existing {
                Some(id) => {
                    if !row.deleted {
                        store.restore(id);
                    } else if !store.is_last_confirmed_owner(id) {
                        store.revoke(id);
                    }
                    store.set_external_id(id, Some(&row.external_id));
                }
                None if row.deleted => {}
                None => {
                    let external_id = Some(row.external_id.as_str());
                    store.invite(Member::new(
                        &email,
                        external_id,
                        Status::Invited,
                        Role::User,
                    ));
                }
            }
        }
        if groups_enabled {
            self.run_groups(store);
        }
        if self.overwrite_existing {
            self.remove_unlisted(store);
        }
    }

    fn run_groups(&self, store: &mut Store) {
        for row in &self.groups {
            let known = store.groups_by_external_id.get(&row.external_id);
            let group =
                known.unwrap_or_else(|| store.create_group(&row.name, Some(&row.external_id)));
            let members: BTreeSet<MemberId> = row
                .member_external_ids
                .iter()
                .filter_map(|external_id| store.by_external_id.get(external_id))
                .collect();
            store.set_group_members(group, &members);
        }
    }

    /// Rows marked deleted count as listed: their members were revoked above, and stay.
    fn remove_unlisted(&self, store: &mut Store) {
        let listed: HashSet<&str> = self
            .members
            .iter()
            .map(|m| m.external_id.as_str())
            .collect();
        let unlisted = store.members.iter().filter(|(_, member)| {
            let external_id = member.external_id.as_deref();
            external_id.is_some_and(|id| !listed.contains(id))
        });
        for id in unlisted.map(|(id, _)| *id).collect::<Vec<_>>() {
            if !store.is_last_confirmed_owner(id) {
                store.remove(id);
            }
        }
    }
}
