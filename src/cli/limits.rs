//! What holds for every connection of this process.

use std::path::PathBuf;

use super::args::OperatorArgs;
use crate::http::egress::{EgressPolicy, HostPattern};
use crate::http::limits::{IdentityPolicy, ProcessLimits, set_process_limits};
use crate::source::google_workspace;

/// As the operator's flags say. Only the first call has an effect.
pub fn set_for_operator(args: &OperatorArgs) {
    let limits = ProcessLimits {
        egress: EgressPolicy::restricted(
            args.allowed_hosts.clone(),
            args.allowed_networks.clone(),
            args.denied_networks.clone(),
        ),
        identity: identity(
            args.identity_token_files.clone(),
            args.identity_hosts.clone(),
        ),
        max_response_bytes: (args.max_response_size.get() as u64) << 20,
        max_list_items: args.max_list_items.get(),
        max_ldap_message_bytes: args.max_ldap_message_size.get() << 20,
    };
    set(limits);
}

/// For the commands on manifest files: whoever runs them may connect anywhere, but a manifest may be
/// somebody else's, and names neither files to read nor hosts for this machine's identity.
pub fn set_for_command_line() {
    let list = |name| std::env::var(name).unwrap_or_default();
    let files = list("DIRECTORY_SYNC_IDENTITY_TOKEN_FILES");
    let hosts = list("DIRECTORY_SYNC_IDENTITY_HOSTS");
    let hosts: Vec<HostPattern> = hosts
        .split(',')
        .filter_map(|host| host.parse().ok())
        .collect();
    let files = files.split(',').filter(|file| !file.is_empty());
    set(ProcessLimits {
        identity: identity(files.map(PathBuf::from).collect(), hosts),
        ..ProcessLimits::default()
    });
}

/// The files that are the process's own by convention, and `more`.
fn identity(more: Vec<PathBuf>, hosts: Vec<HostPattern>) -> IdentityPolicy {
    let azure = std::env::var_os("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from);
    let google = PathBuf::from(google_workspace::TOKEN_FILE);
    let files = more.into_iter().chain(azure).chain([google]).collect();
    IdentityPolicy::restricted(files, hosts)
}

fn set(limits: ProcessLimits) {
    if let Err(error) = set_process_limits(limits) {
        tracing::warn!(%error, "the limits of the first command stay");
    }
}
