//! What the outside can see of the process: logs, metrics, traces and health.
//!
//! ```text
//! logs::init      lines on stderr, text or JSON, each with the object that it is about
//! traces          the same spans over OTLP, where OTEL_EXPORTER_OTLP_ENDPOINT is set
//! Metrics         counted by meaning; what Prometheus makes of it stays in here
//! Health, serve   /healthz, /readyz, /metrics
//! ```

use std::sync::LazyLock;

mod health;
mod logs;
mod metrics;
mod object;
mod server;
mod traces;

pub use health::{Health, Heartbeat};
pub use logs::{AUDIT, InvalidLogFilter, LogFilter, LogFormat, LogSettings};
pub use metrics::{ConditionStatus, Metrics, RequestOutcome, RequestSide, RunResult, SizeOf};
pub use object::Object;
pub use server::{ServeError, serve};
pub use traces::TracesError;

/// The program's name, as it stands in traces, metrics and user agents.
pub const SERVICE: &str = "directory-sync";

/// The version, with the commit it was built from where the build knew it.
pub static VERSION: LazyLock<String> =
    LazyLock::new(|| match option_env!("DIRECTORY_SYNC_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        _ => env!("CARGO_PKG_VERSION").to_owned(),
    });

/// Logs and traces of this process; kept until its end.
#[must_use = "what was traced is sent when this is shut down"]
pub struct Telemetry {
    traces: Option<traces::Traces>,
}

/// Why telemetry couldn't be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The settings of the traces.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// Somebody else has set up the logs of this process.
    #[error("logs are set up already")]
    AlreadyStarted,
}

impl Telemetry {
    /// Starts logs, and traces where the environment names a receiver. Once a process; needs a
    /// Tokio runtime for traces.
    pub fn start(settings: &LogSettings) -> Result<Self, TelemetryError> {
        let traces = traces::Traces::from_env()?;
        logs::init(settings, traces.as_ref()).map_err(|_| TelemetryError::AlreadyStarted)?;
        Ok(Self { traces })
    }

    /// Sends what is still waiting to be sent, for a few seconds at most.
    pub async fn shutdown(self) {
        if let Some(traces) = self.traces {
            traces.shutdown().await;
        }
    }
}
