//! `POST /public/organization/import` as Vaultwarden does it: row by row, by email. What fails leaves
//! what the rows before did. And what Vaultwarden answers where it refuses.

use std::collections::{BTreeSet, HashSet};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::answers::is_strict_address;
use super::config::{Config, Profile};
use super::model::{Member, MemberId, Role, Status};
use super::store::Store;

/// A page of the web framework's, which answers where no call of Vaultwarden's own does.
pub(super) fn page(status: StatusCode) -> Response {
    let text = format!("<!DOCTYPE html><html><body><h1>{status}</h1></body></html>");
    (status, Html(text)).into_response()
}

/// 404 to a path that isn't there.
pub(super) fn not_found() -> Response {
    let error = json!({"code": 404, "reason": "Not Found",
        "description": "The requested resource could not be found."});
    (StatusCode::NOT_FOUND, Json(json!({"error": error}))).into_response()
}

/// 400, or another status, with a message in each of the places in which clients look.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "error": "",
        "error_description": "",
        "validationErrors": {"": [message]},
        "errorModel": {"message": message, "object": "error"},
        "exceptionMessage": null,
        "object": "error",
    });
    (status, Json(body)).into_response()
}

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

    /// Does it, or does a part and says why not more.
    pub fn run(&self, store: &mut Store, config: &Config) -> Result<(), String> {
        for row in &self.members {
            let email = row.email.to_lowercase();
            let existing = store.by_email.get(&email);
            match existing {
                Some(id) => {
                    if !row.deleted {
                        // A policy that forbids it leaves the member revoked, without a word.
                        if !config.requires_two_step || store.members[&id].two_step {
                            store.restore(id);
                        }
                    } else if !store.is_last_confirmed_owner(id) {
                        store.revoke(id);
                    }
                    store.set_external_id(id, Some(&row.external_id));
                }
                None if row.deleted => {}
                None => invite(store, config, &email, &row.external_id)?,
            }
        }
        if config.profile == (Profile::Vaultwarden { groups: true }) {
            self.run_groups(store);
        }
        if self.overwrite_existing {
            self.remove_unlisted(store);
        }
        Ok(())
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

/// Without mail, who has an account with a password is accepted at once.
fn invite(
    store: &mut Store,
    config: &Config,
    email: &str,
    external_id: &str,
) -> Result<(), String> {
    if !is_strict_address(email) {
        return Err(format!("Invalid email address: {email}"));
    }
    if let Some(why) = &config.fails_invites {
        return Err(why.clone());
    }
    let external_id = Some(external_id);
    if config
        .accepted_without_mail
        .iter()
        .any(|known| known == email)
    {
        store.add_member(Member::new(
            email,
            external_id,
            Status::Accepted,
            Role::User,
        ));
    } else {
        store.invite(Member::new(email, external_id, Status::Invited, Role::User));
    }
    Ok(())
}
