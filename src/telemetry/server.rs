//! `/healthz`, `/readyz` and `/metrics`.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::telemetry::metrics::Exposition;
use crate::telemetry::{Health, Metrics};

/// Why health and metrics can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on.
    #[error(
        "can't listen on {address} for health and metrics; choose another address with --listen"
    )]
    Listen {
        /// The address and port to listen on.
        address: SocketAddr,
        /// The operating system's error.
        source: std::io::Error,
    },
}

/// Listens at once, so that an address in use is an error of the start; then serves until
/// `until` ends. Gives the address that it listens on.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
    until: impl Future<Output = ()> + Send + 'static,
) -> Result<SocketAddr, ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tokio::spawn(async move {
        let served = axum::serve(listener, router(health, metrics))
            .with_graceful_shutdown(until)
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "health and metrics are served no more");
        }
    });
    Ok(bound)
}

fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health)
        .route("/metrics", get(expose).with_state(metrics))
}

async fn healthz(State(health): State<Health>) -> (StatusCode, String) {
    let hung = health.hung();
    if hung.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let lines = hung
        .iter()
        .map(|(name, silence)| format!("{name} hasn't moved for {} s\n", silence.as_secs()))
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines)
}

async fn readyz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the API server wasn't reached yet\n",
        )
    }
}

async fn expose(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let exposition = Exposition::accepted_by(accept.unwrap_or_default());
    (
        [(CONTENT_TYPE, exposition.content_type())],
        metrics.expose(exposition),
    )
}
