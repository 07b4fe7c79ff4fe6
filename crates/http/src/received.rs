//! How many bytes a run was sent, whoever sent them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static RECEIVED: Arc<AtomicU64>;
}

/// Counts what `work` receives, in bytes after decompression, into `counter`. Tasks that it spawns
/// aren't counted.
pub async fn counting<T>(counter: Arc<AtomicU64>, work: impl Future<Output = T>) -> T {
    RECEIVED.scope(counter, work).await
}

/// Adds to what the run of this task received; nothing outside of [`counting`].
pub fn add_received(bytes: u64) {
    RECEIVED
        .try_with(|counter| counter.fetch_add(bytes, Ordering::Relaxed))
        .ok();
}

/// The counter of this task, for what is received on another thread.
pub(crate) fn counter() -> Option<Arc<AtomicU64>> {
    RECEIVED.try_with(Arc::clone).ok()
}
