//! Reads one person alone, to tell whether they certainly left.

use super::graph::{Graph, List, USERS};
use super::settings::EntraIdSettings;
use super::users::{self, properties};
use super::wire::User;
use crate::LeaverCheck;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId};
use crate::http::ApiError;

/// Whether the person with this id has left: an account within the source's own filter has the id and is
/// disabled, and no other account has its address.
///
/// # Errors
/// When Graph can't be asked.
pub(super) async fn check(
    graph: &Graph,
    settings: &EntraIdSettings,
    id: &ExternalId,
) -> Result<LeaverCheck, ApiError> {
    let uncertain = |why: &str| Ok(LeaverCheck::Uncertain(why.to_owned()));
    if id.as_str().parse::<uuid::Uuid>().is_err() {
        return uncertain("the id is none of Entra ID's");
    }
    if settings.users.not_member_of.is_some() {
        return uncertain("who is in users.notMemberOf has to be read");
    }
    let by_id = format!("id eq '{id}'");
    let by_id = match &settings.users.filter {
        Some(filter) => format!("({filter}) and {by_id}"),
        None => by_id,
    };
    let [found] = &*read(graph, settings, &by_id).await? else {
        return uncertain("not one account within the filter has this id");
    };
    let mut builder = DirectoryBuilder::new();
    users::add_disabled(&mut builder, &settings.users, found);
    let directory = builder.finish().into_inner();
    let [user] = &*directory.users else {
        return uncertain("the account isn't one of a person that is disabled");
    };
    let Some(email) = user.email.as_ref().ok() else {
        return uncertain("the account has no address");
    };
    if user.id != *id || user.state == AccountState::Active {
        return uncertain("the account may be used");
    }
    let text = email.as_str().replace('\'', "''");
    // In another case: the account itself is found by it only where Graph compares without.
    let text = text.to_uppercase();
    let by_email = format!("mail eq '{text}' or userPrincipalName eq '{text}'");
    match &*read(graph, settings, &by_email).await? {
        [only] if only.id == found.id => Ok(LeaverCheck::Left(Box::new(user.clone()))),
        [] => uncertain("the address can't be searched for"),
        _ => uncertain("another account has the same address"),
    }
}

/// The accounts that fit a filter.
async fn read(
    graph: &Graph,
    settings: &EntraIdSettings,
    filter: &str,
) -> Result<Vec<User>, ApiError> {
    let list = List::new(&USERS, "/users").select(properties(&settings.users));
    graph.all(&list.with("$filter", filter)).await
}
