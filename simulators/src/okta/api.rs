//! The lists of the management API.

use std::collections::HashMap;
use std::ops::Bound;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use super::answers::Refusal;
use super::expression::Expression;
use super::model::{
    Status, Store, User, show_assigned_group, show_assigned_user, show_group, show_user,
};
use super::paging::PageRequest;
use super::server::Shared;

/// What a page holds at most.
const USERS_MAX: usize = 200;
const GROUPS_MAX: usize = 10_000;
const MEMBERS_MAX: usize = 1_000;
const ASSIGNED_USERS_MAX: usize = 500;
const ASSIGNED_GROUPS_MAX: usize = 200;

type Answer = Result<Response, Refusal>;
type Parameters = Query<HashMap<String, String>>;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/v1/users", get(users))
        .route("/api/v1/groups", get(groups))
        .route("/api/v1/groups/{id}/users", get(members))
        .route("/api/v1/apps/{id}/users", get(assigned_users))
        .route("/api/v1/apps/{id}/groups", get(assigned_groups))
        .fallback(async |uri: Uri| {
            let (kind, id) = ("Endpoint", uri.path().to_owned());
            Refusal::NotFound { kind, id }
        })
}

/// What of a list comes after the last page.
fn after(request: &PageRequest) -> (Bound<String>, Bound<String>) {
    let from = request.after.clone();
    (
        from.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

fn page(
    shared: &Shared,
    request: &PageRequest,
    uri: &Uri,
    rest: impl Iterator<Item = (String, Value)>,
) -> Response {
    let (base, links) = {
        let dials = shared.dials.lock();
        (dials.public_url.clone(), dials.links)
    };
    request.page(rest, uri, &base, links)
}

fn page_request(
    shared: &Shared,
    query: &Parameters,
    uri: &Uri,
    most: usize,
) -> Result<PageRequest, Refusal> {
    PageRequest::of(query, uri, most.min(shared.page_max))
}

fn all_but_deactivated(user: &User) -> bool {
    user.status != Status::Deprovisioned
}

async fn users(State(shared): State<Shared>, uri: Uri, query: Parameters) -> Answer {
    let condition = match (query.get("filter"), query.get("search")) {
        (None, None) => None,
        (Some(filter), None) => Some(Expression::filter_of_users(filter)?),
        (None, Some(search)) => Some(Expression::parse(search)?),
        (Some(_), Some(_)) => return Err(Refusal::Validation("filter and search")),
    };
    let request = page_request(&shared, &query, &uri, USERS_MAX)?;
    let store = shared.store.lock();
    let rest = store.users.range(after(&request)).filter_map(|(id, user)| {
        let shown = || show_user(id, user);
        let shown = match &condition {
            None => all_but_deactivated(user).then(shown)?,
            Some(condition) => Some(shown()).filter(|shown| condition.fits(shown))?,
        };
        Some((id.clone(), shown))
    });
    Ok(page(&shared, &request, &uri, rest))
}

async fn groups(State(shared): State<Shared>, uri: Uri, query: Parameters) -> Answer {
    let condition = match (query.get("filter"), query.get("search")) {
        (None, None) => None,
        (Some(text), None) | (None, Some(text)) => Some(Expression::parse(text)?),
        (Some(_), Some(_)) => return Err(Refusal::Validation("filter and search")),
    };
    let request = page_request(&shared, &query, &uri, GROUPS_MAX)?;
    let store = shared.store.lock();
    let rest = store
        .groups
        .range(after(&request))
        .filter_map(|(id, group)| {
            let shown = show_group(id, group);
            let fits = condition
                .as_ref()
                .is_none_or(|condition| condition.fits(&shown));
            fits.then(|| (id.clone(), shown))
        });
    Ok(page(&shared, &request, &uri, rest))
}

async fn members(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
    query: Parameters,
) -> Answer {
    let request = page_request(&shared, &query, &uri, MEMBERS_MAX)?;
    let store = shared.store.lock();
    let Some(group) = store.groups.get(&id) else {
        let kind = "UserGroup";
        return Err(Refusal::NotFound { kind, id });
    };
    let rest = group.members.range(after(&request)).filter_map(|id| {
        let user = store
            .users
            .get(id)
            .filter(|user| all_but_deactivated(user))?;
        Some((id.clone(), show_user(id, user)))
    });
    Ok(page(&shared, &request, &uri, rest))
}

fn application<'s>(store: &'s Store, id: &str) -> Result<&'s super::model::Application, Refusal> {
    let found = store.applications.get(id);
    found.ok_or_else(|| Refusal::NotFound {
        kind: "AppInstance",
        id: id.to_owned(),
    })
}

async fn assigned_users(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
    query: Parameters,
) -> Answer {
    let request = page_request(&shared, &query, &uri, ASSIGNED_USERS_MAX)?;
    let store = shared.store.lock();
    let application = application(&store, &id)?;
    let rest = application.users.range(after(&request)).filter_map(|id| {
        // Deactivating somebody ends their assignments; suspending doesn't.
        let user = store
            .users
            .get(id)
            .filter(|user| all_but_deactivated(user))?;
        Some((id.clone(), show_assigned_user(id, user)))
    });
    Ok(page(&shared, &request, &uri, rest))
}

async fn assigned_groups(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
    query: Parameters,
) -> Answer {
    let request = page_request(&shared, &query, &uri, ASSIGNED_GROUPS_MAX)?;
    let store = shared.store.lock();
    let application = application(&store, &id)?;
    let rest = application
        .groups
        .range(after(&request))
        .map(|id| (id.clone(), show_assigned_group(id)));
    Ok(page(&shared, &request, &uri, rest))
}
