//! The operator's settings, from its flags and environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::AuditSettings;
use crate::http::egress::HostPattern;
use crate::source::{KeptDirectories, VendorUrls};
use crate::telemetry::{Health, Metrics};

/// The operator's settings, from its flags and environment, checked.
#[derive(Clone)]
pub struct OperatorSettings {
    /// Only resources in these namespaces; empty: in all.
    pub namespaces: Vec<String>,
    /// Only resources with these labels, in the API server's syntax (`shard=a,team!=x`).
    pub label_selector: Option<String>,
    /// How many resources are synced at a time.
    pub concurrency: NonZeroUsize,
    /// Who syncs where there are several processes; `None`: this one, always.
    pub leader_election: Option<LeaderElection>,
    /// Where `/healthz`, `/readyz` and `/metrics` are served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// How long the first retry of a failed resource waits; each further one waits twice as long.
    pub min_backoff: Duration,
    /// How long a retry waits at most. Never less than `min_backoff`.
    pub max_backoff: Duration,
    /// How much memory the process may use, in bytes; `None`: as much as there is.
    pub memory_limit: Option<u64>,
    /// What resources may do.
    pub resources: ResourcePolicy,
    /// Where records of changes are sent, besides the log; `None`: nowhere.
    pub audit: Option<AuditSettings>,
    /// What to count into.
    pub metrics: Metrics,
    /// What to tell about readiness and the sign of life of the loops. Not served yet: with
    /// `listen` the operator gives both to [`crate::telemetry::serve`].
    pub health: Health,
}

/// The Lease that is held by the process that syncs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderElection {
    /// The Lease's name. Processes that share out resources by label selector each need one of
    /// their own.
    pub lease_name: String,
    /// The Lease's namespace; `None`: the one the process runs in.
    pub lease_namespace: Option<String>,
}

/// What resources may do, whatever they say.
#[derive(Debug, Clone, Default)]
pub struct ResourcePolicy {
    /// Addresses in place of the vendors' own.
    pub vendor_urls: VendorUrls,
    /// Which servers the resources of some namespaces may name.
    pub hosts: NamespaceHosts,
    /// Where resources may use the operator's own identity for workload identity federation.
    pub own_identity: Namespaces,
    /// The memory for directories that are kept between two runs.
    pub kept: Arc<KeptDirectories>,
}

/// A choice of namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// All namespaces.
    All,
    /// These, which may be none.
    Named(Vec<String>),
}

impl Default for Namespaces {
    /// No namespace, until some are named.
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl Namespaces {
    /// Whether this namespace is one of them.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == namespace),
        }
    }
}

/// A host that the resources of a namespace may name, as a flag has it: `team-a=*.okta.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceHost {
    /// The namespace that the rule applies to.
    pub namespace: String,
    /// The host, or all below a domain.
    pub host: HostPattern,
}

impl FromStr for NamespaceHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, host) = text
            .trim()
            .split_once('=')
            .filter(|(namespace, _)| !namespace.is_empty() && is_namespace(namespace))
            .ok_or("write NAMESPACE=HOST, such as team-a=*.okta.com")?;
        Ok(Self {
            namespace: namespace.to_owned(),
            host: host.parse()?,
        })
    }
}

/// Whether a text is a DNS label, which is what a namespace's name has to be.
pub fn is_namespace(name: &str) -> bool {
    name.len() <= 63
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Which servers the resources of some namespaces may name. Those of others may name any that the
/// process connects to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceHosts(BTreeMap<String, Vec<HostPattern>>);

impl FromIterator<NamespaceHost> for NamespaceHosts {
    fn from_iter<I: IntoIterator<Item = NamespaceHost>>(hosts: I) -> Self {
        let mut all = Self::default();
        for NamespaceHost { namespace, host } in hosts {
            all.0.entry(namespace).or_default().push(host);
        }
        all
    }
}

impl NamespaceHosts {
    /// The namespaces that have hosts of their own.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The first of `hosts` that resources of `namespace` may not name.
    pub fn denied<'h>(&self, namespace: &str, hosts: &'h [String]) -> Option<&'h str> {
        let allowed = self.0.get(namespace)?;
        let denied = hosts.iter().find(|host| {
            !allowed
                .iter()
                .any(|pattern| pattern.matches(&host.trim_end_matches('.').to_ascii_lowercase()))
        });
        denied.map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_with_hosts_of_its_own_may_name_no_others() {
        let hosts: NamespaceHosts = [
            "team-a=*.okta.com",
            "team-a=vault.example.com",
            "b=192.0.2.7",
        ]
        .iter()
        .map(|text| text.parse::<NamespaceHost>().unwrap())
        .collect();
        let denied = |namespace: &str, named: &[&str]| {
            let named: Vec<_> = named.iter().map(|&host| host.to_owned()).collect();
            hosts.denied(namespace, &named).map(str::to_owned)
        };
        assert_eq!(
            denied("team-a", &["ACME.okta.com.", "vault.example.com"]),
            None
        );
        for host in ["okta.com", "vault.example.com.evil.example", "192.0.2.7"] {
            assert_eq!(
                denied("team-a", &["vault.example.com", host]).as_deref(),
                Some(host)
            );
        }
        assert_eq!(denied("another", &["anything.example"]), None);
        assert!("team-a".parse::<NamespaceHost>().is_err());
        assert!("team-a=https://x".parse::<NamespaceHost>().is_err());
        assert!("=x.example".parse::<NamespaceHost>().is_err());
    }
}
