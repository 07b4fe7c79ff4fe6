//! The two text forms of metrics that scrapers ask for.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A text form of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::telemetry) enum Exposition {
    /// OpenMetrics 1.0, what Prometheus asks for.
    OpenMetrics,
    /// The older Prometheus text, for everyone who doesn't ask for the other.
    Prometheus,
}

impl Exposition {
    /// What fits an `Accept` header.
    pub(in crate::telemetry) fn accepted_by(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The `Content-Type` of an answer in this format.
    pub(in crate::telemetry) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All metrics of `registry` as text.
pub(super) fn expose(registry: &Registry, exposition: Exposition) -> String {
    let mut text = String::new();
    encode(&mut text, registry).expect("writing into a string can't fail");
    match exposition {
        Exposition::OpenMetrics => text,
        Exposition::Prometheus => older(&text),
    }
}

/// OpenMetrics as Prometheus text 0.0.4: a counter's and an info's name carry their suffix in the
/// comments too, an info is a gauge, and there are neither units nor an end mark.
fn older(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            out.push_str(&format!("# HELP {name}{suffix} {help}\n"));
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
