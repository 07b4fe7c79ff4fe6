//! The operator's own times.

use std::time::Duration;

use crate::http::process_limits::process_limits;

/// The operator's own times. The usual ones suit everyone; tests have others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How often each object's Secrets and ConfigMaps are asked for their versions.
    pub reference_poll: Duration,
    /// The least time between two tries of what needs manual action. Accounts are locked after so
    /// many wrong passwords within so many minutes, usually 30 at most.
    pub refused: Duration,
    /// How old the times in a status may get while runs find and change nothing.
    pub status_heartbeat: Duration,
    /// How often a run that takes longer than this reports in status how far it is.
    pub progress: Duration,
    /// How often a run that takes something away notes in its record how far it is, about: a process
    /// that takes over knows what was done before.
    pub record: Duration,
    /// A run without progress for this long makes room for others, and goes on. With progress, it makes
    /// room for namespaces without a run.
    pub idle_after: Duration,
    /// A run without progress for this long is ended, and retried later. Waiting for a rate limit of
    /// the directory counts as progress.
    pub no_progress: Duration,
    /// How long a run may take at all. What it did stays; the next one goes on from there.
    pub run: Duration,
    /// A watch that was lost for longer than this is told in status.
    pub watch_lost: Duration,
    /// A resource that waits for its turn for longer than this says so in status.
    pub queued: Duration,
    /// The most people and groups that a directory may hold: a list without end is given up here.
    pub max_entries: u64,
    /// How long runs may take to come to a safe end when the process is asked to stop.
    pub shutdown: Duration,
    /// How long a Lease that isn't renewed keeps others waiting; at least a second.
    pub lease: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            reference_poll: Duration::from_secs(30),
            refused: Duration::from_secs(30 * 60),
            // Shorter than the shortest hour: an interval of 1h is at least 54 minutes.
            status_heartbeat: Duration::from_secs(10 * 60),
            progress: Duration::from_secs(10),
            record: Duration::from_secs(2),
            idle_after: Duration::from_secs(5),
            no_progress: Duration::from_secs(10 * 60),
            run: Duration::from_secs(12 * 60 * 60),
            watch_lost: Duration::from_secs(2 * 60),
            queued: Duration::from_secs(1),
            max_entries: process_limits().max_list_items as u64,
            shutdown: Duration::from_secs(20),
            lease: Duration::from_secs(15),
        }
    }
}
