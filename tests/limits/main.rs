//! Limits of the process that are set once, here to little.

#![allow(clippy::unwrap_used, missing_docs)]

mod http;
mod ldap;
mod service_records;

use directory_sync::http::egress::EgressPolicy;
use directory_sync::http::process_limits::{ProcessLimits, set_process_limits};

const MOST_ITEMS: usize = 2_000;
const MOST_BYTES: u64 = 4 << 20;

/// Sets the limits of all these tests. A network that no other test uses is denied.
fn set_limits() {
    let allowed = ["127.0.0.0/24", "127.0.2.0/24"].map(|network| network.parse().unwrap());
    let limits = ProcessLimits {
        egress: EgressPolicy::restricted(vec![], allowed.to_vec(), vec![]),
        max_list_items: MOST_ITEMS,
        max_response_bytes: MOST_BYTES,
        ..ProcessLimits::default()
    };
    set_process_limits(limits).ok();
}
