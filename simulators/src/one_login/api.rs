//! The lists of both versions.

use std::collections::HashMap;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::answers::{Refusal, Version};
use super::config::RateLimit;
use super::model::{show_group, show_member, show_role, show_user};
use super::paging::{List, PageRequest};
use super::query::Conditions;
use super::server::Shared;

type Parameters = Query<HashMap<String, String>>;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/2/users", get(users))
        .route("/api/2/roles", get(roles))
        .route("/api/2/roles/{id}/users", get(members))
        .route("/api/1/groups", get(groups))
        .route("/auth/rate_limit", get(rate_limit))
        .fallback(async |uri: Uri| Refusal::NotFound.answer(Version::of(uri.path())))
}

fn answered(answer: Result<Response, Refusal>, version: Version) -> Response {
    answer.unwrap_or_else(|refusal| refusal.answer(version))
}

async fn users(State(shared): State<Shared>, query: Parameters) -> Response {
    let list = || {
        let most = shared.page_max.users;
        let request = PageRequest::of(&query, "cursor", most, shared.refuses_large_pages)?;
        let conditions = Conditions::of(&query, &shared.dials.lock().search)?;
        let fields = query.get("fields").map(String::as_str);
        let store = shared.store.lock();
        let list = List {
            all: store
                .users
                .iter()
                .filter(|(id, user)| conditions.fit(**id, user)),
            show: &|(id, user)| show_user(*id, user, fields),
        };
        Ok(request.in_headers(list, shared.dials.lock().paging))
    };
    answered(list(), Version::Two)
}

async fn roles(State(shared): State<Shared>, query: Parameters) -> Response {
    let list = || {
        let most = shared.page_max.roles;
        let request = PageRequest::of(&query, "cursor", most, shared.refuses_large_pages)?;
        let name = query.get("name");
        let store = shared.store.lock();
        let list = List {
            all: store
                .roles
                .iter()
                .filter(|(_, role)| name.is_none_or(|name| role.name == *name)),
            show: &|(id, role)| show_role(*id, role),
        };
        Ok(request.in_headers(list, shared.dials.lock().paging))
    };
    answered(list(), Version::Two)
}

async fn members(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    query: Parameters,
) -> Response {
    let list = || {
        let most = shared.page_max.members;
        let request = PageRequest::of(&query, "cursor", most, shared.refuses_large_pages)?;
        let all = query
            .get("include_unassigned")
            .is_some_and(|all| all == "true");
        let store = shared.store.lock();
        let role = id.parse().ok().and_then(|id: u64| store.roles.get(&id));
        let role = role.ok_or(Refusal::NotFound)?;
        let ids: Vec<u64> = match all {
            true => store.users.keys().copied().collect(),
            false => role.members.iter().copied().collect(),
        };
        let list = List {
            all: ids
                .into_iter()
                .filter_map(|id| Some((id, store.users.get(&id)?))),
            show: &|(id, user)| show_member(id, user, role.members.contains(&id)),
        };
        Ok(request.in_headers(list, shared.dials.lock().paging))
    };
    answered(list(), Version::Two)
}

async fn groups(State(shared): State<Shared>, query: Parameters) -> Response {
    let list = || {
        let most = shared.page_max.groups;
        let request = PageRequest::of(&query, "after_cursor", most, shared.refuses_large_pages)?;
        let store = shared.store.lock();
        let list = List {
            all: store.groups.iter(),
            show: &|(id, name)| show_group(*id, name),
        };
        Ok(request.in_body(list, "/api/1/groups", shared.dials.lock().paging))
    };
    answered(list(), Version::One)
}

async fn rate_limit(State(shared): State<Shared>) -> Response {
    let limit = shared.dials.lock().rate_limit.unwrap_or(RateLimit::DEFAULT);
    let left = shared.limiter.lock().left(&limit);
    let body = json!({
        "status": {"error": false, "code": 200, "type": "success", "message": "Success"},
        "data": {
            "X-RateLimit-Limit": left.limit,
            "X-RateLimit-Remaining": left.remaining,
            "X-RateLimit-Reset": left.reset,
        },
    });
    axum::Json(body).into_response()
}
