//! Spans over OTLP/HTTP, where the environment names a receiver.
//!
//! The standard variables are honoured: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`),
//! `…_HEADERS` and `…_TIMEOUT`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
//! `OTEL_TRACES_SAMPLER` with its `_ARG`, `OTEL_BSP_*`, `OTEL_SDK_DISABLED`. The protocol is
//! `http/protobuf`; gRPC is not spoken.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry};

use crate::telemetry::{SERVICE, VERSION};

/// How long the end of the process waits for what is still to be sent.
const FLUSH: Duration = Duration::from_secs(5);

/// Why traces can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// A variable says something that can't be done.
    #[error("the OTEL_* variables of the environment can't be used for traces: {0}")]
    Settings(#[source] opentelemetry_otlp::ExporterBuildError),
    /// The variables ask for a protocol that isn't spoken.
    #[error(
        "{variable}={value} isn't spoken; send traces to a receiver of http/protobuf (usually on port 4318) and set {variable}=http/protobuf"
    )]
    Protocol {
        /// Where it is asked for.
        variable: &'static str,
        /// What is asked for.
        value: String,
    },
    /// The HTTP client that sends the traces couldn't be built.
    #[error("no HTTP client for traces")]
    Client(#[source] reqwest::Error),
}

/// The spans of this process on their way to a receiver.
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Traces to the receiver that the environment names, if it does.
    pub(super) fn from_env() -> Result<Option<Self>, TracesError> {
        let wanted = [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ]
        .iter()
        .any(|variable| env(variable).is_some());
        let disabled = env("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
            || env("OTEL_TRACES_EXPORTER").is_some_and(|v| v == "none");
        if !wanted || disabled {
            return Ok(None);
        }
        for variable in [
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ] {
            match env(variable) {
                None => {}
                Some(value) if value == "http/protobuf" => break,
                Some(value) => return Err(TracesError::Protocol { variable, value }),
            }
        }
        let client = reqwest::Client::builder()
            .build()
            .map_err(TracesError::Client)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(OnRuntime {
                client,
                runtime: Handle::current(),
            })
            .build()
            .map_err(TracesError::Settings)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self { provider }))
    }

    /// What turns spans of this program into traces; those of libraries stay out. Requests
    /// are events of the span that they were made in.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_threads(false)
            .with_filter(Targets::new().with_target("directory_sync", LevelFilter::DEBUG))
            .boxed()
    }

    /// Sends what is left.
    pub(super) async fn shutdown(self) {
        // It blocks its thread until the receiver has answered.
        let flushed =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

fn resource() -> Resource {
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", VERSION.as_str()));
    let named = env("OTEL_SERVICE_NAME").is_some()
        || env("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|v| v.contains("service.name="));
    if !named {
        resource = resource.with_service_name(SERVICE);
    }
    resource.build()
}

/// A variable that is set to something.
fn env(variable: &str) -> Option<String> {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
}

/// An HTTP client for the exporter's own thread, which has no Tokio runtime.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime
            .spawn(async move { client.send_bytes(request).await })
            .await?
    }
}
