use std::num::NonZeroUsize;

use clap::Args;
use jiff::SignedDuration;
use url::Url;

use super::VendorUrlArgs;
use crate::controller::NamespaceHost;
use crate::http::egress::{HostPattern, Network};

/// How the operator runs.
#[derive(Debug, Args)]
pub struct OperatorArgs {
    /// Only resources in these namespaces, separated by commas [default: all]
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        env = "DIRECTORY_SYNC_WATCH_NAMESPACES",
        hide_env_values = true
    )]
    pub watch_namespaces: Vec<String>,
    /// Only resources with these labels, such as shard=a; shares resources out among operators
    #[arg(
        long,
        value_name = "SELECTOR",
        env = "DIRECTORY_SYNC_LABEL_SELECTOR",
        hide_env_values = true
    )]
    pub label_selector: Option<String>,
    /// How many resources are synced at a time
    #[arg(
        long,
        value_name = "N",
        default_value = "4",
        env = "DIRECTORY_SYNC_CONCURRENCY",
        hide_env_values = true
    )]
    pub concurrency: NonZeroUsize,
    /// Let one of several processes sync, and the others stand by
    #[arg(long, env = "DIRECTORY_SYNC_LEADER_ELECT", hide_env_values = true)]
    pub leader_elect: bool,
    /// The Lease that the leader holds [default: directory-sync, with a suffix that stands for the
    /// label selector]
    #[arg(
        long,
        value_name = "NAME",
        env = "DIRECTORY_SYNC_LEASE_NAME",
        hide_env_values = true
    )]
    pub lease_name: Option<String>,
    /// The Lease's namespace [default: the operator's own]
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "DIRECTORY_SYNC_LEASE_NAMESPACE",
        hide_env_values = true
    )]
    pub lease_namespace: Option<String>,
    /// Where to serve /healthz, /readyz and /metrics; none: nowhere
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        env = "DIRECTORY_SYNC_LISTEN",
        hide_env_values = true
    )]
    pub listen: String,
    /// How long the first retry of a failed resource waits; each further one waits twice as long
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        env = "DIRECTORY_SYNC_MIN_BACKOFF",
        hide_env_values = true
    )]
    pub min_backoff: SignedDuration,
    /// How long a retry waits at most
    #[arg(
        long,
        value_name = "TIME",
        default_value = "15m",
        env = "DIRECTORY_SYNC_MAX_BACKOFF",
        hide_env_values = true
    )]
    pub max_backoff: SignedDuration,
    /// Only servers at these hosts, such as *.okta.com [default: all]
    #[arg(
        long,
        value_name = "HOSTS",
        value_delimiter = ',',
        env = "DIRECTORY_SYNC_ALLOWED_HOSTS",
        hide_env_values = true
    )]
    pub allowed_hosts: Vec<HostPattern>,
    /// Only these hosts for a namespace, as team-a=*.okta.com
    #[arg(long, value_name = "NS=HOST", value_delimiter = ',')]
    pub namespace_hosts: Vec<NamespaceHost>,
    /// No servers in these networks, nor on loopback
    #[arg(
        long,
        value_name = "NETWORKS",
        value_delimiter = ',',
        env = "DIRECTORY_SYNC_DENIED_NETWORKS",
        hide_env_values = true
    )]
    pub denied_networks: Vec<Network>,
    /// Exceptions to the denied networks
    #[arg(
        long,
        value_name = "NETWORKS",
        value_delimiter = ',',
        env = "DIRECTORY_SYNC_ALLOWED_NETWORKS",
        hide_env_values = true
    )]
    pub allowed_networks: Vec<Network>,
    /// The largest answer of a server, in MiB after decompression; of LDAP, of one search
    #[arg(
        long,
        value_name = "MIB",
        default_value = "128",
        env = "DIRECTORY_SYNC_MAX_RESPONSE_SIZE",
        hide_env = true
    )]
    pub max_response_size: NonZeroUsize,
    /// The longest list in one answer; of LDAP, of one search
    #[arg(
        long,
        value_name = "N",
        default_value = "500000",
        env = "DIRECTORY_SYNC_MAX_LIST_ITEMS",
        hide_env = true
    )]
    pub max_list_items: NonZeroUsize,
    /// The largest LDAP message, in MiB; a group with all its members is one message
    #[arg(
        long,
        value_name = "MIB",
        default_value = "16",
        env = "DIRECTORY_SYNC_MAX_LDAP_MESSAGE_SIZE",
        hide_env = true
    )]
    pub max_ldap_message_size: NonZeroUsize,
    /// Memory of the process, in MiB: before it is used up, the run that was sent the most is ended
    /// [default: the limit of the container]
    #[arg(
        long,
        value_name = "MIB",
        env = "DIRECTORY_SYNC_MEMORY_LIMIT",
        hide_env = true
    )]
    pub memory_limit: Option<NonZeroUsize>,
    /// Memory for directories that are kept, in MiB; of these, runs read what has changed
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(..=1_048_576),
        env = "DIRECTORY_SYNC_KEEP_DIRECTORIES",
        hide_env = true
    )]
    pub keep_directories: u64,
    /// Send a record of each change to this address, as CloudEvents over HTTP; the value of
    /// DIRECTORY_SYNC_AUDIT_AUTHORIZATION is the header Authorization
    #[arg(
        long,
        value_name = "URL",
        env = "DIRECTORY_SYNC_AUDIT_URL",
        hide_env = true,
        hide_env_values = true
    )]
    pub audit_url: Option<Url>,
    /// Namespaces that may use the operator's own identity, or *
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub own_identity_for: Vec<String>,
    #[command(flatten)]
    pub vendors: VendorUrlArgs,
}
