//! The process itself, under the names that every Prometheus client library gives.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::source::kept_bytes;

/// Looks at the process when metrics are asked for.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let process = metrics_process::collector::collect();
        if let Some(seconds) = process.cpu_seconds_total {
            encode(
                &mut encoder,
                "process_cpu",
                "User and system CPU time spent",
                Some(Unit::Seconds),
                &ConstCounter::new(seconds),
            )?;
        }
        let gauges = [
            (
                "process_resident_memory",
                "Resident memory",
                Some(Unit::Bytes),
                process.resident_memory_bytes,
            ),
            (
                "process_virtual_memory",
                "Virtual memory",
                Some(Unit::Bytes),
                process.virtual_memory_bytes,
            ),
            (
                "process_start_time",
                "When the process started, in seconds since 1970",
                Some(Unit::Seconds),
                process.start_time_seconds,
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                None,
                process.open_fds,
            ),
            (
                "process_max_fds",
                "How many file descriptors may be open",
                None,
                process.max_fds,
            ),
        ];
        for (name, help, unit, value) in gauges {
            if let Some(value) = value {
                encode(&mut encoder, name, help, unit, &ConstGauge::new(value))?;
            }
        }
        encode(
            &mut encoder,
            "directory_sync_kept_directories",
            "Memory of the directories that are kept between two runs (--keep-directories)",
            Some(Unit::Bytes),
            &ConstGauge::new(kept_bytes()),
        )
    }
}

fn encode(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    metric: &impl EncodeMetric,
) -> std::fmt::Result {
    // The library ends the help of registered metrics with a full stop, but not a collector's.
    let help = format!("{help}.");
    metric.encode(encoder.encode_descriptor(name, &help, unit.as_ref(), metric.metric_type())?)
}
