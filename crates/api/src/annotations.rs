//! What a person says to a resource without changing its spec.

/// Asks for a run now. Any text; only a text other than
/// `status.lastHandledSyncRequest` counts, so that an unrelated change asks for nothing.
pub const SYNC_REQUESTED_AT: &str = "directorysync.dev/sync-requested-at";

/// Flux's name for the same, set by `flux reconcile` and understood by its tools.
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Lets what is held go ahead. The value is `status.heldRemovals.digest`, which names this hold of
/// exactly these changes: it is used once, and does nothing where it stays.
pub const APPROVE_REMOVALS: &str = "directorysync.dev/approve-removals";

/// Who approves, as they say themselves: the digest of [`APPROVE_REMOVALS`], a space, and a name. Nobody checks
/// it, but an admission policy can. With another digest it is of another approval, and says nothing.
pub const APPROVED_BY: &str = "directorysync.dev/approved-by";

/// Asks why one person or group is, or isn't, in the organization: an ID of the asker's own (letters, digits,
/// hyphens), a space, and an address, an ID, a DN or the name of a group. The answer stands in the ConfigMap
/// (or Secret, by `spec.planStorage`) `<name>-explain` for ten minutes, under the same ID.
pub const EXPLAIN: &str = "directorysync.dev/explain";

/// Asks to take back what an earlier run did: an ID of the asker's own (letters, digits, hyphens), a space,
/// and `{"run": …, "person"?: …, "group"?: …, "digest"?: …, "approve"?: …, "by"?: …}`. `by` is who asks, as they
/// say themselves. Without `digest` it only says what would be done. With the digest of that answer exactly that is done, or nothing. The answer stands in
/// the ConfigMap (or Secret, by `spec.planStorage`) `<name>-undo` for ten minutes, under the same ID.
pub const UNDO: &str = "directorysync.dev/undo";
