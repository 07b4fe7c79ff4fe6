//! What holds for every connection of this process.

use super::args::OperatorArgs;
use crate::http::egress::EgressPolicy;
use crate::http::process_limits::{ProcessLimits, set_process_limits};

/// As the operator's flags say. Only the first call has an effect.
pub fn set_for_operator(args: &OperatorArgs) {
    let limits = ProcessLimits {
        egress: EgressPolicy::restricted(
            args.allowed_hosts.clone(),
            args.allowed_networks.clone(),
            args.denied_networks.clone(),
        ),
        max_response_bytes: (args.max_response_size.get() as u64) << 20,
        max_list_items: args.max_list_items.get(),
        max_ldap_message_bytes: args.max_ldap_message_size.get() << 20,
    };
    set(limits);
}

fn set(limits: ProcessLimits) {
    if let Err(error) = set_process_limits(limits) {
        tracing::warn!(%error, "the limits of the first command stay");
    }
}
