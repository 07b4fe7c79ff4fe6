//! What a person says to a resource without changing its spec.

/// Asks for a run now. Any text; only a text other than
/// `status.lastHandledSyncRequest` counts, so that an unrelated change asks for nothing.
pub const SYNC_REQUESTED_AT: &str = "directorysync.dev/sync-requested-at";

/// Flux's name for the same, set by `flux reconcile` and understood by its tools.
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Lets held removals go ahead. The value is `status.heldRemovals.digest`; any other set of
/// removals than the one that digest stands for is held again.
pub const APPROVE_REMOVALS: &str = "directorysync.dev/approve-removals";
