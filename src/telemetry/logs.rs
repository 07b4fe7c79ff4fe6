//! Log lines on stderr: all that goes through `tracing`. What libraries write through `log` (ldap3,
//! rustls) stays out: their errors come back as values, and nobody has read all they might say.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::telemetry::traces::Traces;

/// The target of the lines that are records of changes, from `info` on.
pub const AUDIT: &str = "audit";

/// How logs look and how much of them there is.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// Which events are logged, by module and level.
    pub filter: LogFilter,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people to read, in colour on a terminal.
    Text,
    /// One JSON object a line, with the fields of the spans at its top.
    Json,
}

/// Which lines are logged: a level (`info`), or `tracing` directives (`info,kube=debug`).
///
/// A level alone is about this program and the records of what it changed ([`AUDIT`]); the libraries below it are shown from `warn` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// A text that is no filter.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a log filter: write a level (error, warn, info, debug, trace, off) or directives such as info,kube=debug"
)]
pub struct InvalidLogFilter(#[source] ParseError);

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let directives = match text.parse::<LevelFilter>() {
            Ok(level) => format!(
                "{},directory_sync={level},{AUDIT}={level}",
                level.min(LevelFilter::WARN)
            ),
            Err(_) => text.to_owned(),
        };
        EnvFilter::try_new(&directives).map_err(InvalidLogFilter)?;
        Ok(Self(directives))
    }
}

impl LogFilter {
    fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

/// Sends everything that is logged from now on to stderr, and to `traces` what is to be traced.
pub(super) fn init(settings: &LogSettings, traces: Option<&Traces>) -> Result<(), TryInitError> {
    tracing_subscriber::registry()
        .with(traces.map(Traces::layer))
        .with(lines(settings, io::stderr, colored()))
        .try_init()
}

type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

fn lines<W>(settings: &LogSettings, writer: W, ansi: bool) -> Lines<WithTraces>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = settings.filter.to_env_filter();
    match settings.format {
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_ansi(ansi)
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => json_subscriber::fmt::layer()
            .with_writer(writer)
            .flatten_event(true)
            .flatten_span_list_on_top_level(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
    }
}

type WithTraces = tracing_subscriber::layer::Layered<Option<Lines<Registry>>, Registry>;

fn colored() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::telemetry::Object;

    #[test]
    fn every_json_line_of_a_run_names_its_object_whatever_the_level() {
        let lines = logged("error", LogFormat::Json, || {
            Object::new("identity", "staff").span().in_scope(|| {
                tracing::info!("not shown");
                tracing::error!(members = 3, "a limit was passed");
            });
        });

        let [line] = lines.as_slice() else {
            panic!("one line was expected: {lines:?}");
        };
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["namespace"], "identity");
        assert_eq!(line["directorysync"], "staff");
        assert_eq!(line["message"], "a limit was passed");
        assert_eq!(line["members"], 3);
        assert_eq!(line["level"], "ERROR");
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn text_lines_name_the_object_too() {
        let lines = logged("info", LogFormat::Text, || {
            Object::new("identity", "staff")
                .span()
                .in_scope(|| tracing::info!("synced"));
        });

        assert!(
            lines[0].contains("namespace=identity directorysync=staff"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_record_of_a_change_is_a_line_of_its_own_target_with_what_applies_to_it() {
        let record = |people: usize| {
            let person = |n| serde_json::json!({"email": format!("p{n}@example.com")});
            serde_json::from_value(serde_json::json!({
                "time": "2026-11-29T12:00:00Z", "run": "3f1c9a0b62", "number": 7,
                "trigger": "Scheduled", "action": "UpdateGroup", "reason": "MembersChanged",
                "group": {"name": "Engineering", "externalId": "eng"},
                "added": (0..people).map(person).collect::<Vec<_>>(),
                "removed": [{"email": "bob@example.com",
                    "evidence": {"kind": "Absent", "detail": "not in the list"}}],
                "approval": {"hold": "3f1c9a0b62d47e5588a1f0c4d9e27b16"},
                "result": "Refused", "answer": "no",
            }))
            .unwrap()
        };
        let audit = crate::sync::audit::Audit::default();
        let lines = logged("info", LogFormat::Json, || {
            Object::new("identity", "staff")
                .span()
                .in_scope(|| audit.tell(&record(2)));
        });
        let [line] = lines.as_slice() else {
            panic!("one line was expected: {lines:?}");
        };
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for (field, value) in [
            ("target", "audit"),
            ("namespace", "identity"),
            ("directorysync", "staff"),
            ("run", "3f1c9a0b62"),
            ("trigger", "Scheduled"),
            ("action", "UpdateGroup"),
            ("group", "Engineering"),
            ("added", "p0@example.com, p1@example.com"),
            ("removed", "bob@example.com (not in the list)"),
            ("approval", "3f1c9a0b62d47e5588a1f0c4d9e27b16"),
            ("result", "Refused"),
            ("answer", "no"),
        ] {
            assert_eq!(line[field], value, "{field} of {line}");
        }
        assert!(line.get("email").is_none() && line.get("evidence").is_none());
        let many = logged("info", LogFormat::Json, || audit.tell(&record(250)));
        assert_eq!(many.len(), 4, "a long record is several lines");
        assert!(logged("warn", LogFormat::Json, || audit.tell(&record(2))).is_empty());
        let only = logged("warn,audit=info", LogFormat::Json, || {
            audit.tell(&record(2))
        });
        assert_eq!(only.len(), 1);
    }

    #[test]
    fn a_level_alone_leaves_the_libraries_quiet() {
        let lines = logged("debug", LogFormat::Text, || {
            tracing::debug!("ours");
            tracing::info!(target: "kube_client", "theirs");
            tracing::warn!(target: "kube_client", "their warning");
        });

        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("ours") && lines[1].contains("their warning"));
    }

    #[test]
    fn directives_are_taken_as_they_are_and_nonsense_is_refused() {
        let lines = logged("warn,kube_client=info", LogFormat::Text, || {
            tracing::info!("ours");
            tracing::info!(target: "kube_client", "theirs");
        });

        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!("info,kube=loud".parse::<LogFilter>().is_err());
    }

    fn logged(filter: &str, format: LogFormat, what: impl FnOnce()) -> Vec<String> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let settings = LogSettings {
            format,
            filter: filter.parse().unwrap(),
        };
        let writer = Writer(written.clone());
        let subscriber = tracing_subscriber::registry().with(None).with(lines(
            &settings,
            move || writer.clone(),
            false,
        ));
        tracing::subscriber::with_default(subscriber, what);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        written.lines().map(str::to_owned).collect()
    }

    #[derive(Clone)]
    struct Writer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
