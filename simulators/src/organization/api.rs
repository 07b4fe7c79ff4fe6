//! The routes of identity and API, for either server.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::answers::Refusal;
use super::config::{Config, Profile};
use super::identity::{Denied, Expected};
use super::import::Import;
use super::journal::Summary;
use super::server::{Shared, authorize, is_authorized};
use super::{collections, groups, members, vaultwarden};

type Answer = Result<Response, Refusal>;

pub(super) fn router(shared: &Shared) -> Router {
    let api = match shared.config.profile {
        Profile::Official { .. } => official(&shared.config),
        Profile::Vaultwarden { .. } => {
            let path = "/organization/import";
            Router::new().route(path, post(import_into_vaultwarden))
        }
    };
    let not_found = match shared.config.profile {
        Profile::Official { .. } => || Refusal::NotFound.into_response(),
        Profile::Vaultwarden { .. } => vaultwarden::not_found,
    };
    let api = api.route_layer(from_fn_with_state(shared.clone(), authorize));
    Router::new()
        .route("/identity/connect/token", post(token))
        .route("/api/config", get(server_config))
        .nest("/api/public", api)
        .fallback(async move || not_found())
        .layer(DefaultBodyLimit::disable())
        .with_state(shared.clone())
}

fn official(config: &Config) -> Router<Shared> {
    let mut router = Router::new()
        .route("/organization/import", post(import))
        .route("/members", get(list_members).post(create_member))
        .route(
            "/members/{id}",
            get(show_member).put(update_member).delete(remove_member),
        )
        .route(
            "/members/{id}/group-ids",
            get(member_groups).put(set_member_groups),
        )
        .route("/members/{id}/reinvite", post(reinvite))
        .route("/groups", get(list_groups).post(create_group))
        .route(
            "/groups/{id}",
            get(show_group).put(update_group).delete(delete_group),
        )
        .route(
            "/groups/{id}/member-ids",
            get(group_members).put(set_group_members),
        )
        .route("/collections", get(list_collections))
        .route(
            "/collections/{id}",
            get(show_collection)
                .put(update_collection)
                .delete(delete_collection),
        )
        .route("/policies/{kind}", get(show_policy).put(set_policy));
    if !config.is_of_2025_10 {
        router = router
            .route("/organization/subscription", get(subscription))
            .route("/members/{id}/revoke", post(revoke))
            .route("/members/{id}/restore", post(restore));
    }
    router
}

async fn token(
    State(shared): State<Shared>,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Response {
    match issue(&shared, form) {
        Ok(token) => Json(token).into_response(),
        Err(denied) => denied.answer(shared.config.profile),
    }
}

fn issue(
    shared: &Shared,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Result<Value, Denied> {
    let Form(form) = form.map_err(|_| Denied::Request)?;
    let dials = shared.dials.lock();
    let expected = Expected {
        organization_id: &shared.config.organization_id,
        client_secret: &dials.client_secret,
        device_needed: matches!(shared.config.profile, Profile::Vaultwarden { .. }),
    };
    expected.check(&form)?;
    let token = shared.tokens.lock().issue(dials.token_lifetime);
    Ok(json!({
        "access_token": token,
        "expires_in": dials.token_lifetime.as_secs(),
        "token_type": "Bearer",
        "scope": "api.organization",
    }))
}

/// What anyone may ask: among other things, who wrote the server. Only who brings a token is told what
/// is on for its organization.
async fn server_config(State(shared): State<Shared>, headers: HeaderMap) -> Json<Value> {
    let (version, server) = match shared.config.profile {
        Profile::Official { .. } if shared.config.is_of_2025_10 => ("2025.10.0", Value::Null),
        Profile::Official { .. } => ("2026.8.0", Value::Null),
        Profile::Vaultwarden { .. } => {
            let server = json!({"name": "Vaultwarden", "url": "https://example.org"});
            ("2026.6.0", server)
        }
    };
    let mut states = json!({});
    if matches!(shared.config.profile, Profile::Official { .. }) && !shared.config.is_of_2025_10 {
        let can_stage = shared.config.can_stage && is_authorized(&shared, &headers);
        states["pm-34423-staged-status"] = can_stage.into();
    }
    Json(json!({
        "object": "config",
        "version": version,
        "server": server,
        "featureStates": states,
    }))
}

async fn import(State(shared): State<Shared>, body: Bytes) -> Answer {
    if body.len() > 30_000_000 {
        return Err(Refusal::TooLarge);
    }
    let import = Import::parse(&body)?;
    let summary = Extension(Summary(import.summary()));
    let done = import.run(&mut shared.store.lock(), &shared.config);
    Ok((summary, done.map(|()| StatusCode::OK)).into_response())
}

async fn import_into_vaultwarden(State(shared): State<Shared>, body: Bytes) -> Response {
    if body.len() > 20_000_000 {
        return vaultwarden::page(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let Ok(import) = serde_json::from_slice::<vaultwarden::Import>(&body) else {
        return vaultwarden::page(StatusCode::UNPROCESSABLE_ENTITY);
    };
    let summary = Extension(Summary(import.summary()));
    let done = import.run(&mut shared.store.lock(), &shared.config);
    let refusal = |why: String| vaultwarden::refusal(StatusCode::BAD_REQUEST, &why);
    (summary, done.map_err(refusal)).into_response()
}

async fn subscription(State(shared): State<Shared>) -> Answer {
    if shared.config.profile == (Profile::Official { cloud: false }) {
        return Err(Refusal::Bad("Only allowed when not self hosted."));
    }
    let seats = shared.store.lock().seats;
    let body = Json(json!({
        "passwordManager": {
            "seats": seats.seats,
            "maxAutoScaleSeats": seats.max_autoscale,
            "storage": 1,
        },
        "secretsManager": null,
    }));
    Ok(body.into_response())
}

/// A list's body as it goes out, made anew only when the state has changed.
fn listing(
    kept: &mut Option<(u64, Bytes)>,
    version: u64,
    data: impl FnOnce() -> Result<Vec<u8>, serde_json::Error>,
) -> Answer {
    let bytes = match kept {
        Some((kept_at, bytes)) if *kept_at == version => bytes.clone(),
        _ => {
            let bytes = Bytes::from(data().map_err(|_| Refusal::Crash)?);
            *kept = Some((version, bytes.clone()));
            bytes
        }
    };
    Ok(([(CONTENT_TYPE, "application/json; charset=utf-8")], bytes).into_response())
}

fn list<T: Serialize>(data: &[T]) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'d, T> {
        object: &'static str,
        data: &'d [T],
        continuation_token: Option<&'static str>,
    }
    serde_json::to_vec(&List {
        object: "list",
        data,
        continuation_token: None,
    })
}

async fn list_members(State(shared): State<Shared>) -> Answer {
    let store = shared.store.lock();
    let kept = &mut shared.listings.lock().members;
    listing(kept, store.version, || {
        list(&members::list(&store, &shared.config))
    })
}

async fn create_member(State(shared): State<Shared>, body: Bytes) -> Answer {
    let mut store = shared.store.lock();
    let id = members::create(&mut store, &shared.config, &body)?;
    Ok(Json(members::get(&store, id)?).into_response())
}

async fn show_member(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let store = shared.store.lock();
    let id = members::find(&store, &id)?;
    Ok(Json(members::get(&store, id)?).into_response())
}

async fn update_member(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let mut store = shared.store.lock();
    let id = members::find(&store, &id)?;
    members::update(&mut store, &shared.config, id, &body)?;
    Ok(Json(members::get(&store, id)?).into_response())
}

async fn remove_member(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut store = shared.store.lock();
    let id = members::find(&store, &id)?;
    members::remove(&mut store, id)?;
    Ok(StatusCode::OK.into_response())
}

async fn member_groups(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let store = shared.store.lock();
    let id = members::find(&store, &id)?;
    Ok(Json(members::group_ids(&store, id)).into_response())
}

async fn set_member_groups(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let mut store = shared.store.lock();
    let id = members::find(&store, &id)?;
    members::set_group_ids(&mut store, id, &body)?;
    Ok(StatusCode::OK.into_response())
}

async fn reinvite(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut store = shared.store.lock();
    let id = members::find(&store, &id)?;
    members::reinvite(&mut store, id)?;
    Ok(StatusCode::OK.into_response())
}

async fn revoke(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut store = shared.store.lock();
    let id = members::find(&store, &id)?;
    members::revoke(&mut store, id)?;
    Ok(StatusCode::OK.into_response())
}

async fn restore(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut store = shared.store.lock();
    let id = members::find(&store, &id)?;
    members::restore(&mut store, &shared.config, id)?;
    Ok(StatusCode::OK.into_response())
}

async fn list_groups(State(shared): State<Shared>) -> Answer {
    let store = shared.store.lock();
    let kept = &mut shared.listings.lock().groups;
    listing(kept, store.version, || list(&groups::list(&store)))
}

async fn create_group(State(shared): State<Shared>, body: Bytes) -> Answer {
    let mut store = shared.store.lock();
    let id = groups::create(&mut store, &shared.config, &body)?;
    Ok(Json(groups::get(&store, id)?).into_response())
}

async fn show_group(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let store = shared.store.lock();
    let id = groups::find(&store, &id)?;
    Ok(Json(groups::get(&store, id)?).into_response())
}

async fn update_group(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answer {
    let mut store = shared.store.lock();
    let id = groups::find(&store, &id)?;
    groups::update(&mut store, &shared.config, id, &body)?;
    Ok(Json(groups::get(&store, id)?).into_response())
}

async fn delete_group(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut store = shared.store.lock();
    let id = groups::find(&store, &id)?;
    store.delete_group(id);
    Ok(StatusCode::OK.into_response())
}

async fn group_members(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let store = shared.store.lock();
    let id = groups::find(&store, &id)?;
    Ok(Json(groups::member_ids(&store, id)).into_response())
}

async fn set_group_members(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let mut store = shared.store.lock();
    let id = groups::find(&store, &id)?;
    groups::set_member_ids(&mut store, id, &body)?;
    Ok(StatusCode::OK.into_response())
}

async fn list_collections(State(shared): State<Shared>) -> Answer {
    let store = shared.store.lock();
    let bytes = list(&collections::list(&store, &shared.config)).map_err(|_| Refusal::Crash)?;
    Ok(([(CONTENT_TYPE, "application/json; charset=utf-8")], bytes).into_response())
}

async fn show_collection(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let store = shared.store.lock();
    let id = collections::find(&store, &shared.config, &id)?;
    Ok(Json(collections::get(&store, id)).into_response())
}

async fn update_collection(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let mut store = shared.store.lock();
    let id = collections::find(&store, &shared.config, &id)?;
    collections::update(&mut store, &id, &body)?;
    Ok(Json(collections::get(&store, id)).into_response())
}

async fn delete_collection(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut store = shared.store.lock();
    let id = collections::find(&store, &shared.config, &id)?;
    collections::delete(&mut store, &id);
    Ok(StatusCode::OK.into_response())
}

async fn show_policy(State(shared): State<Shared>, Path(kind): Path<String>) -> Answer {
    let kind = collections::policy(&kind)?;
    Ok(Json(collections::show_policy(&shared.store.lock(), kind)).into_response())
}

async fn set_policy(State(shared): State<Shared>, Path(kind): Path<String>, body: Bytes) -> Answer {
    let kind = collections::policy(&kind)?;
    let mut store = shared.store.lock();
    collections::set_policy(&mut store, kind, &body)?;
    Ok(Json(collections::show_policy(&store, kind)).into_response())
}
