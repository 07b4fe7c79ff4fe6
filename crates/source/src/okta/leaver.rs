//! Reads one person alone, to tell whether they certainly left.

use super::limit::RateLimitBucket;
use super::pages::{List, Organization};
use super::read::{add_user, user_purpose};
use super::settings::{OktaSettings, UserScope};
use super::wire::User;
use crate::LeaverCheck;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId};
use crate::http::ApiError;

/// Whether the person with this id has left: an account within the source's own filter has the id, and no
/// other account has its address. Both lists hold deactivated accounts, because they have a condition.
///
/// # Errors
/// When Okta can't be asked.
pub(super) async fn check(
    organization: &Organization,
    settings: &OktaSettings,
    id: &ExternalId,
) -> Result<LeaverCheck, ApiError> {
    let uncertain = |why: &str| Ok(LeaverCheck::Uncertain(why.to_owned()));
    let is_plain = |text: &str| !text.contains(['"', '\\']);
    if !is_plain(id.as_str()) {
        return uncertain("the id can't be asked for");
    }
    let by_id = format!("id eq \"{id}\"");
    let (name, condition, field) = match &settings.users {
        UserScope::Everyone => ("filter", by_id, None),
        UserScope::Filter(text) => (
            "filter",
            format!("({text}) and {by_id}"),
            Some("users.filter"),
        ),
        UserScope::Search(text) => (
            "search",
            format!("({text}) and {by_id}"),
            Some("users.search"),
        ),
    };
    let [found] = &*users(organization, name, &condition, field).await? else {
        return uncertain("not one account within the filter has this id");
    };
    let mut builder = DirectoryBuilder::new();
    add_user(&mut builder, settings, found, None);
    let read = builder.finish().into_inner();
    let [user] = &*read.users else {
        return uncertain("it isn't known whether the account may be used");
    };
    let Some(email) = user.email.as_ref().ok() else {
        return uncertain("the account has no address");
    };
    if user.id != *id || user.state == AccountState::Active {
        return uncertain("the account may be used");
    }
    if !is_plain(email.as_str()) {
        return uncertain("the address can't be searched for");
    }
    // In another case: the account itself is found by it only where Okta compares without.
    let by_email = format!("profile.email eq \"{}\"", email.as_str().to_uppercase());
    match &*users(organization, "filter", &by_email, None).await? {
        [only] if only.id == id.as_str() => Ok(LeaverCheck::Left(Box::new(user.clone()))),
        [] => uncertain("the address can't be searched for"),
        _ => uncertain("another account has the same address"),
    }
}

/// The first page of the accounts that fit a condition.
async fn users(
    organization: &Organization,
    name: &str,
    condition: &str,
    field: Option<&'static str>,
) -> Result<Vec<User>, ApiError> {
    let list = List {
        url: organization.url(&["users"], &[("limit", "3"), (name, condition)]),
        endpoint: "GET /api/v1/users",
        bucket: RateLimitBucket::Users,
        purpose: user_purpose(field),
    };
    let page = organization.page(&list, &list.url).await;
    Ok(page.map_err(|error| error.into_failure(list.purpose))?.0)
}
