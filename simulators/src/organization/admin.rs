//! `/simulator/…`: a look at the state, and the dials, for people and scripts that hold no Rust
//! handle. These calls need no token, aren't logged, limited or made to fail.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::config::Seats;
use super::seed::Seed;
use super::server::Shared;
use super::snapshot::Snapshot;
use crate::fault::Fault;

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/state", get(state))
        .route("/state.txt", get(table))
        .route("/history", get(history))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/seed", post(seed))
        .route("/seats", post(seats))
        .route("/secret", post(rotate_secret))
        .route("/clock", post(clock))
        .route("/tokens/revoke", post(revoke_tokens))
        .route("/faults", post(inject).delete(clear_faults))
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

fn pretty(value: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(value) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn state(State(shared): State<Shared>) -> Response {
    let store = shared.store.lock();
    pretty(&json!({
        "seats": {
            "inUse": store.seats_in_use(),
            "bought": store.seats.seats,
            "maxAutoScale": store.seats.max_autoscale,
        },
        "invitations": store.invitations,
        "organization": Snapshot::of(&store),
    }))
}

async fn table(State(shared): State<Shared>) -> String {
    Snapshot::of(&shared.store.lock()).to_string()
}

async fn history(State(shared): State<Shared>) -> Response {
    pretty(&shared.store.lock().history)
}

async fn requests(State(shared): State<Shared>) -> Response {
    pretty(&shared.front.log.requests())
}

async fn clear_requests(State(shared): State<Shared>) {
    shared.front.log.clear();
}

async fn seed(State(shared): State<Shared>, Json(seed): Json<Seed>) -> Response {
    match seed.plant(&mut shared.store.lock()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn seats(State(shared): State<Shared>, Json(seats): Json<Seats>) {
    shared.store.lock().seats = seats;
}

async fn rotate_secret(State(shared): State<Shared>, Json(secret): Json<Secret>) {
    shared.dials.lock().client_secret = secret.client_secret;
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Secret {
    client_secret: String,
}

async fn clock(State(shared): State<Shared>, Json(time): Json<Time>) {
    let passed = Duration::from_secs(time.hours * 3600);
    shared.store.lock().pass(passed);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Time {
    /// That pass at once.
    hours: u64,
}

async fn revoke_tokens(State(shared): State<Shared>) {
    shared.tokens.lock().revoke_all();
}

async fn inject(State(shared): State<Shared>, Json(fault): Json<Fault>) {
    shared.front.faults.inject(fault);
}

async fn clear_faults(State(shared): State<Shared>) {
    shared.front.faults.clear();
}
