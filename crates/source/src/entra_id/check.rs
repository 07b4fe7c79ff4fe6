//! Each step of a read, tried by itself.

use super::error::token_failure;
use super::graph::{GROUPS, Graph, List, MEMBERS, USERS};
use super::scope::Scope;
use super::secret_expiry::SecretExpiry;
use super::settings::EntraIdSettings;
use super::wire::{Page, Reference};
use crate::Step;
use crate::http::ApiError;

/// Gets a token, reads a user, a group and who is in it, and what the filters name, and asks when the `secret` expires.
pub(super) async fn check(
    graph: &Graph,
    settings: &EntraIdSettings,
    secret: Option<&SecretExpiry>,
) -> Vec<Step> {
    let mut steps = vec![];
    let mut note = |name: &str, result: Result<String, ApiError>| {
        let result = result.map_err(|error| error.to_string());
        let went_well = result.is_ok();
        steps.push(Step {
            name: name.to_owned(),
            result,
        });
        went_well
    };
    let host = settings.addresses.authority.host_str().unwrap_or_default();
    let token = match &graph.remote.token {
        Some(tokens) => tokens.get().await.map(|_| ()),
        None => Ok(()),
    };
    let token = token.map_err(token_failure).map(|()| {
        format!(
            "application {} of tenant {}",
            settings.client_id, settings.tenant
        )
    });
    if !note(&format!("get a token from {host}"), token) {
        return steps;
    }
    let one = |list: List<'static>| async move {
        let page: Page<Reference> = graph.object(&list.select("id").with("$top", "1")).await?;
        Ok::<_, ApiError>(page.value.into_iter().next().map(|found| found.id))
    };
    let users = one(List::new(&USERS, "/users")).await;
    let seen = |found: &Option<_>, what: &str| match found {
        Some(_) => format!("{what} can be read"),
        None => format!("there are no {what}"),
    };
    note("read users", users.map(|found| seen(&found, "users")));
    if settings.groups.is_some() {
        let group = one(List::new(&GROUPS, "/groups")).await;
        let id = group.as_ref().ok().copied().flatten();
        note("read groups", group.map(|found| seen(&found, "groups")));
        if let Some(id) = id {
            let members = one(List::new(&MEMBERS, format!("/groups/{id}/members"))).await;
            let members = members.map(|_| "members of groups can be read".to_owned());
            note("read who is in a group", members);
        }
    }
    let users = &settings.users;
    let groups = settings.groups.iter();
    let names_lists = users.member_of.is_some()
        || users.not_member_of.is_some()
        || users.assigned_to_application.is_some()
        || !users.administrative_units.is_empty()
        || groups.into_iter().any(|groups| {
            !groups.administrative_units.is_empty() || !groups.not_administrative_units.is_empty()
        });
    if names_lists {
        let scope = Scope::read(graph, settings).await;
        let scope = scope.map(|_| "everything that the filters name is there".to_owned());
        note("find what the filters name", scope);
    }
    if let Some(secret) = secret {
        // A sync does without: it fails nothing.
        let told = match secret.ask(graph, &settings.client_id).await {
            Ok(Some(validity)) => validity.ends.strftime("on %Y-%m-%d %H:%M UTC").to_string(),
            Ok(None) => {
                "not known: Microsoft Graph lists no secret that is certainly this one".into()
            }
            Err(error) => format!("not known: {error}"),
        };
        note("see when the client secret expires", Ok(told));
    }
    steps
}
