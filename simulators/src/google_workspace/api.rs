//! The lists of the Directory API.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::answers::Refusal;
use super::mask;
use super::model::{User, show_deleted, show_group, show_member, show_user};
use super::paging::{Kind, PageRequest, Pages};
use super::query;
use super::server::Shared;

type Answer = Result<Json<Value>, Refusal>;
type Parameters = Query<HashMap<String, String>>;

const USERS: Kind = Kind {
    kind: "admin#directory#users",
    known: &mask::USERS,
    usual: 100,
    most: 500,
    strict: true,
};
const GROUPS: Kind = Kind {
    kind: "admin#directory#groups",
    known: &mask::GROUPS,
    usual: 200,
    most: 200,
    strict: false,
};
const MEMBERS: Kind = Kind {
    kind: "admin#directory#members",
    known: &mask::MEMBERS,
    usual: 200,
    most: 200,
    strict: false,
};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/admin/directory/v1/users", get(users))
        .route("/admin/directory/v1/users/{key}", get(user))
        .route("/admin/directory/v1/groups", get(groups))
        .route("/admin/directory/v1/groups/{key}/members", get(members))
}

fn page_request(
    shared: &Shared,
    query: &Parameters,
    uri: &Uri,
    kind: &Kind,
) -> Result<PageRequest, Refusal> {
    let (generation, pages) = {
        let dials = shared.dials.lock();
        (dials.token_generation, dials.pages)
    };
    if pages == Pages::Forgotten && query.contains_key("pageToken") {
        return Err(Refusal::Invalid("pageToken".to_owned()));
    }
    PageRequest::of(query, uri.path(), kind, shared.config.page_max, generation)
}

/// Which addresses a list is about: those of a domain, or all.
fn whose(shared: &Shared, query: &Parameters) -> Result<Option<String>, Refusal> {
    let config = &shared.config;
    match (query.get("customer"), query.get("domain")) {
        (Some(id), None) if id == "my_customer" || *id == config.customer_id => Ok(None),
        (Some(_), None) => Err(Refusal::Forbidden),
        (None, Some(domain)) if config.domains.contains(domain) => Ok(Some(format!("@{domain}"))),
        (None, Some(_)) => Err(Refusal::NotFound("domain")),
        (None, None) | (Some(_), Some(_)) => Err(Refusal::BadRequest),
    }
}

fn is_of(email: &str, whose: Option<&String>) -> bool {
    whose.is_none_or(|domain| email.to_lowercase().ends_with(domain.as_str()))
}

async fn users(State(shared): State<Shared>, uri: Uri, query: Parameters) -> Answer {
    let whose = whose(&shared, &query)?;
    let condition = query.get("query");
    let condition = condition
        .map(|text| query::Query::of_users(text))
        .transpose()?;
    let request = page_request(&shared, &query, &uri, &USERS)?;
    let (pages, as_colleague) = {
        let dials = shared.dials.lock();
        (dials.pages, dials.shown_as_to_colleagues)
    };
    let customer = shared.config.customer_id.as_str();
    let store = shared.store.lock();
    if query.get("showDeleted").is_some_and(|text| text == "true") {
        let rest = store.deleted.range(request.rest());
        let rest = rest.filter(|(_, email)| is_of(email, whose.as_ref()));
        let rest = rest.map(|(id, email)| (id.clone(), show_deleted(id, email, customer)));
        return Ok(Json(request.page(rest, pages)));
    }
    let lag = condition
        .as_ref()
        .map_or(Duration::ZERO, |_| shared.config.search_lag);
    let users = store.searched(lag);
    let rest = users.range(request.rest()).filter(|(_, user)| {
        is_of(&user.email, whose.as_ref())
            && condition.as_ref().is_none_or(|query| query.fits_user(user))
    });
    let rest = rest.map(|(id, user)| (id.clone(), show_user(id, user, customer, as_colleague)));
    Ok(Json(request.page(rest, pages)))
}

/// One, by ID, address or alias.
async fn user(State(shared): State<Shared>, Path(key): Path<String>) -> Answer {
    let as_colleague = shared.dials.lock().shown_as_to_colleagues;
    let store = shared.store.lock();
    let is_named = |(id, user): &(&String, &User)| {
        let mut emails = [&user.email].into_iter().chain(&user.aliases);
        **id == key || emails.any(|email| email.eq_ignore_ascii_case(&key))
    };
    let Some((id, user)) = store.users.iter().find(is_named) else {
        return Err(Refusal::NotFound("userKey"));
    };
    let customer = shared.config.customer_id.as_str();
    Ok(Json(show_user(id, user, customer, as_colleague)))
}

async fn groups(State(shared): State<Shared>, uri: Uri, query: Parameters) -> Answer {
    let whose = whose(&shared, &query)?;
    let condition = query.get("query");
    let condition = condition
        .map(|text| query::Query::of_groups(text))
        .transpose()?;
    let request = page_request(&shared, &query, &uri, &GROUPS)?;
    let pages = shared.dials.lock().pages;
    let store = shared.store.lock();
    let rest = store.groups.range(request.rest()).filter(|(_, group)| {
        let fits = |query: &query::Query| query.fits_group(group, &store);
        is_of(&group.email, whose.as_ref()) && condition.as_ref().is_none_or(fits)
    });
    let rest = rest.map(|(id, group)| (id.clone(), show_group(id, group)));
    Ok(Json(request.page(rest, pages)))
}

async fn members(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    uri: Uri,
    query: Parameters,
) -> Answer {
    let request = page_request(&shared, &query, &uri, &MEMBERS)?;
    let pages = shared.dials.lock().pages;
    let customer = shared.config.customer_id.as_str();
    let store = shared.store.lock();
    let by_email = || {
        let mut groups = store.groups.values();
        groups.find(|group| group.email.eq_ignore_ascii_case(&key))
    };
    let Some(group) = store.groups.get(&key).or_else(by_email) else {
        return Err(match store.is_outside(&key) {
            true => Refusal::Forbidden,
            false => Refusal::NotFound("groupKey"),
        });
    };
    // The token counts members, for some have no id.
    let rest = group.members.iter().enumerate().skip(request.skipped());
    let rest = rest.filter_map(|(number, member)| {
        let shown = show_member(member, &store, customer)?;
        Some(((number + 1).to_string(), shown))
    });
    Ok(Json(request.page(rest, pages)))
}
