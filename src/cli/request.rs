//! What is asked for: the command line, checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use super::args::{Command, CommandLine, LogArgs, LogFormatArg, OperatorArgs};
use crate::controller::{
    AuditSettings, LeaderElection, Namespaces, OperatorSettings, ResourcePolicy, is_namespace,
    limit_of_cgroup,
};
use crate::source::KeptDirectories;
use crate::telemetry::{Health, InvalidLogFilter, LogFilter, LogFormat, LogSettings, Metrics};

/// Flags that can't be meant.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
    /// RUST_LOG isn't a log filter.
    #[error("the environment variable RUST_LOG: {0}")]
    RustLog(#[source] InvalidLogFilter),
    /// The value of `--listen` isn't an address with a port.
    #[error("--listen {0}: write an address and a port such as 0.0.0.0:8080 or [::]:8080, or none")]
    Listen(String),
    /// A backoff of nothing.
    #[error("--min-backoff must be longer than nothing, such as 5s")]
    NoBackoff,
    /// Backoffs the wrong way round.
    #[error("--max-backoff ({max:#}) must be at least --min-backoff ({min:#})")]
    Backoff {
        /// The value of `--min-backoff`.
        min: SignedDuration,
        /// The value of `--max-backoff`.
        max: SignedDuration,
    },
    /// A name that no namespace can have.
    #[error("{flag}: {name:?} is no namespace's name")]
    Namespace {
        /// The flag, such as `--namespace`.
        flag: &'static str,
        /// The value as given.
        name: String,
    },
    /// The address of the receiver of records isn't one.
    #[error("--audit-url: write an address that begins with https:// (or http://)")]
    AuditScheme,
    /// A credential that anybody on the way could read.
    #[error(
        "--audit-url: DIRECTORY_SYNC_AUDIT_AUTHORIZATION is sent only over https (or http to this machine)"
    )]
    AuditPlaintext,
    /// A lease that nobody holds.
    #[error("--lease-name and --lease-namespace mean something only with --leader-elect")]
    LeaseWithoutElection,
}

/// How this command logs.
pub fn logs(line: &CommandLine) -> Result<LogSettings, InvalidRequest> {
    let LogArgs {
        log_level,
        log_format,
    } = &line.logs;
    let operator = matches!(line.command, Command::Operator(_));
    let (level, format) = if operator {
        ("info", LogFormat::Json)
    } else {
        ("warn", LogFormat::Text)
    };
    let filter = match log_level {
        Some(filter) => filter.clone(),
        None => from_rust_log()?.unwrap_or_else(|| level.parse().expect("a level is a filter")),
    };
    let format = match log_format {
        Some(LogFormatArg::Text) => LogFormat::Text,
        Some(LogFormatArg::Json) => LogFormat::Json,
        None => format,
    };
    Ok(LogSettings { format, filter })
}

fn from_rust_log() -> Result<Option<LogFilter>, InvalidRequest> {
    match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => {
            filter.parse().map(Some).map_err(InvalidRequest::RustLog)
        }
        _ => Ok(None),
    }
}

impl TryFrom<OperatorArgs> for OperatorSettings {
    type Error = InvalidRequest;

    fn try_from(args: OperatorArgs) -> Result<Self, InvalidRequest> {
        let namespaces: Vec<_> = trimmed(args.watch_namespaces);
        named("--watch-namespaces", &namespaces)?;
        let label_selector = trimmed(args.label_selector).pop();
        let leader_election = if args.leader_elect {
            Some(LeaderElection {
                lease_name: args
                    .lease_name
                    .unwrap_or_else(|| lease_name(label_selector.as_deref())),
                lease_namespace: args.lease_namespace,
            })
        } else if args.lease_name.is_some() || args.lease_namespace.is_some() {
            return Err(InvalidRequest::LeaseWithoutElection);
        } else {
            None
        };
        let (min_backoff, max_backoff) = backoff(args.min_backoff, args.max_backoff)?;
        Ok(Self {
            namespaces,
            label_selector,
            concurrency: args.concurrency,
            leader_election,
            listen: listen(&args.listen)?,
            min_backoff,
            max_backoff,
            memory_limit: args
                .memory_limit
                .map(|mib| (mib.get() as u64) << 20)
                .or_else(limit_of_cgroup),
            resources: ResourcePolicy {
                hosts: args.namespace_hosts.into_iter().collect(),
                vendor_urls: args.vendors.vendor_urls.into_iter().collect(),
                own_identity: namespaces_of("--own-identity-for", args.own_identity_for)?,
                kept: Arc::new(KeptDirectories::new(args.keep_directories << 20)),
            },
            audit: audit(args.audit_url, std::env::var(AUDIT_AUTHORIZATION).ok())?,
            metrics: Metrics::new(),
            health: Health::new(),
        })
    }
}

/// The environment variable with the header `Authorization` for the receiver of records. Not a flag: flags
/// are seen by everybody on a machine.
const AUDIT_AUTHORIZATION: &str = "DIRECTORY_SYNC_AUDIT_AUTHORIZATION";

fn audit(
    url: Option<Url>,
    authorization: Option<String>,
) -> Result<Option<AuditSettings>, InvalidRequest> {
    let Some(url) = url else { return Ok(None) };
    let authorization = authorization.map(|value| value.trim().to_owned());
    let authorization = authorization.filter(|value| !value.is_empty());
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if authorization.is_some() && !is_local => {
            return Err(InvalidRequest::AuditPlaintext);
        }
        "http" => {}
        _ => return Err(InvalidRequest::AuditScheme),
    }
    Ok(Some(AuditSettings {
        url,
        authorization: authorization.map(Into::into),
        retry: Duration::from_secs(1),
    }))
}

fn trimmed(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let texts = texts.into_iter().map(|text| text.trim().to_owned());
    texts.filter(|text| !text.is_empty()).collect()
}

/// # Errors
/// When one is no namespace's name.
fn named(flag: &'static str, names: &[String]) -> Result<(), InvalidRequest> {
    match names.iter().find(|name| !is_namespace(name)) {
        Some(name) => Err(InvalidRequest::Namespace {
            flag,
            name: name.clone(),
        }),
        None => Ok(()),
    }
}

/// Namespaces by name, or all by `*`.
fn namespaces_of(flag: &'static str, names: Vec<String>) -> Result<Namespaces, InvalidRequest> {
    let names = trimmed(names);
    if names == ["*"] {
        return Ok(Namespaces::All);
    }
    named(flag, &names)?;
    Ok(Namespaces::Named(names))
}

/// Operators that share out resources by label must not share a Lease.
fn lease_name(label_selector: Option<&str>) -> String {
    match label_selector {
        None => "directory-sync".to_owned(),
        Some(selector) => {
            let digest = Sha256::digest(selector);
            format!("directory-sync-{}", HEXLOWER.encode(&digest[..4]))
        }
    }
}

fn listen(text: &str) -> Result<Option<SocketAddr>, InvalidRequest> {
    match text.trim() {
        "none" => Ok(None),
        address => address
            .parse()
            .map(Some)
            .map_err(|_| InvalidRequest::Listen(address.to_owned())),
    }
}

fn backoff(
    min: SignedDuration,
    max: SignedDuration,
) -> Result<(Duration, Duration), InvalidRequest> {
    let wrong_way = || InvalidRequest::Backoff { min, max };
    let shortest = min.try_into().map_err(|_| InvalidRequest::NoBackoff)?;
    let longest: Duration = max.try_into().map_err(|_| wrong_way())?;
    if shortest == Duration::ZERO {
        Err(InvalidRequest::NoBackoff)
    } else if longest < shortest {
        Err(wrong_way())
    } else {
        Ok((shortest, longest))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn the_operator_starts_with_sensible_settings_without_any_flag() {
        let settings = settings("").unwrap();

        assert_eq!(settings.namespaces, [] as [String; 0]);
        assert_eq!(settings.label_selector, None);
        assert_eq!(settings.leader_election, None);
        assert_eq!(settings.listen, Some("0.0.0.0:8080".parse().unwrap()));
        assert_eq!(settings.min_backoff, Duration::from_secs(5));
        assert_eq!(settings.max_backoff, Duration::from_secs(900));
    }

    #[test]
    fn operators_that_share_out_resources_hold_a_lease_each() {
        let lease = |flags: &str| settings(flags).unwrap().leader_election.unwrap().lease_name;

        assert_eq!(lease("--leader-elect"), "directory-sync");
        let a = lease("--leader-elect --label-selector shard=a");
        let b = lease("--leader-elect --label-selector shard=b");
        assert_ne!(a, b);
        assert_eq!(a, lease("--leader-elect --label-selector=shard=a"));
        let named = lease("--leader-elect --label-selector shard=a --lease-name mine");
        assert_eq!(named, "mine");
    }

    #[test]
    fn flags_that_cant_be_meant_are_refused_with_what_to_write() {
        let refused = |flags: &str| match settings(flags) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{flags} was accepted"),
        };

        assert!(refused("--listen here").contains("0.0.0.0:8080"));
        assert!(refused("--min-backoff 0s").contains("longer than nothing"));
        assert!(refused("--min-backoff 1h").contains("--max-backoff (15m)"));
        assert!(refused("--watch-namespaces identity,Not_One").contains("Not_One"));
        assert!(refused("--lease-name mine").contains("--leader-elect"));
    }

    #[test]
    fn namespaces_are_separated_by_commas_and_nothing_can_be_listened_on() {
        let settings = settings("--watch-namespaces identity,hr --listen none").unwrap();

        assert_eq!(settings.namespaces, ["identity", "hr"]);
        assert_eq!(settings.listen, None);
    }

    #[test]
    fn records_are_sent_with_a_credential_only_where_nobody_reads_it_on_the_way() {
        let audit = |url: &str, authorization: Option<&str>| {
            audit(Some(url.parse().unwrap()), authorization.map(str::to_owned))
        };
        let token = Some("Bearer abc");
        assert!(
            audit("https://audit.example.com/in", token)
                .unwrap()
                .unwrap()
                .authorization
                .is_some()
        );
        assert!(audit("http://127.0.0.1:9/in", token).is_ok());
        assert!(audit("http://collector.logs/in", None).is_ok());
        let refused = |url, token| audit(url, token).unwrap_err().to_string();
        assert!(refused("http://collector.logs/in", token).contains("https"));
        assert!(refused("ftp://collector.logs/in", None).contains("https://"));
        assert!(settings("").unwrap().audit.is_none());
    }

    #[test]
    fn the_operators_own_identity_is_for_the_namespaces_that_are_named() {
        let allowed = |flags: &str| settings(flags).unwrap().resources.own_identity;

        assert!(!allowed("").contains("identity"));
        let named = allowed("--own-identity-for identity,hr");
        assert!(named.contains("hr") && !named.contains("team"));
        assert!(allowed("--own-identity-for *").contains("team"));
        assert!(settings("--own-identity-for team*").is_err());
    }

    #[test]
    fn the_operator_logs_json_and_the_other_commands_text() {
        let logs = |line: &str| logs(&parse(line)).unwrap().format;

        assert_eq!(logs("operator"), LogFormat::Json);
        assert_eq!(logs("crds"), LogFormat::Text);
        assert_eq!(logs("crds --log-format json"), LogFormat::Json);
    }

    fn settings(flags: &str) -> Result<OperatorSettings, InvalidRequest> {
        match parse(&format!("operator {flags}")).command {
            Command::Operator(args) => args.try_into(),
            other => panic!("not the operator: {other:?}"),
        }
    }

    fn parse(line: &str) -> CommandLine {
        let words = std::iter::once("directory-sync").chain(line.split_whitespace());
        CommandLine::try_parse_from(words).unwrap()
    }
}
