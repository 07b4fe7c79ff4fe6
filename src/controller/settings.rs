//! What the operator is told when it starts.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::telemetry::{Health, Metrics};

/// What the operator is told when it starts, checked.
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
