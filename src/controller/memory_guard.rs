//! Ends the run that was sent the most before the process is killed for want of memory, and with it the
//! runs of all others.
//!
//! Limits of single answers don't bound what several runs keep of many answers. Of a run it is known how
//! much it was sent; what it keeps of that is in some proportion to it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often memory is looked at while there are runs. A server nearby sends some ten MiB meanwhile.
const EVERY: Duration = Duration::from_millis(50);
/// How long memory may take to become free after a run was ended.
const FREED_AFTER: Duration = Duration::from_millis(500);

/// Watches the memory of the process.
#[derive(Debug)]
pub struct MemoryGuard {
    limit: Option<u64>,
    runs: Mutex<Vec<Arc<Usage>>>,
    begun: Notify,
}

/// A run that was sent less isn't ended before fifteen sixteenths of the memory are used.
const RECEIVED_MIN: u64 = 8 << 20;

#[derive(Debug)]
struct Usage {
    received: Arc<AtomicU64>,
    stop: CancellationToken,
    was_ended: AtomicBool,
}

/// A run whose share is known. Dropping it takes it out of the watch.
#[derive(Debug)]
pub struct WatchedRun<'a> {
    guard: &'a MemoryGuard,
    usage: Arc<Usage>,
}

impl MemoryGuard {
    /// With so many bytes for the process; `None`: without limit, so nothing is ended.
    pub fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            runs: Mutex::default(),
            begun: Notify::new(),
        }
    }

    /// The limit, in MiB.
    pub fn limit_mib(&self) -> u64 {
        self.limit.unwrap_or_default() >> 20
    }

    /// Watches a run, which `stop` ends.
    pub fn begin(&self, stop: CancellationToken) -> WatchedRun<'_> {
        let usage = Arc::new(Usage {
            received: Arc::default(),
            stop,
            was_ended: AtomicBool::new(false),
        });
        self.runs().push(usage.clone());
        self.begun.notify_one();
        WatchedRun { guard: self, usage }
    }

    /// Looks at memory as long as there are runs. Never ends.
    pub async fn watch(&self, used: impl Fn() -> Option<u64>) {
        let Some(limit) = self.limit else {
            return std::future::pending().await;
        };
        // What isn't given back to the system after a run was ended is no reason to end another.
        let mut unreturned = 0;
        loop {
            if self.runs().is_empty() {
                unreturned = 0;
                self.begun.notified().await;
            }
            sleep(EVERY).await;
            let used = used().unwrap_or_default();
            unreturned = unreturned.min(used);
            if used < limit / 8 * 7 || used < unreturned + limit / 50 {
                continue;
            }
            // At the very end many small runs are what uses the memory.
            let least = match used < limit / 16 * 15 {
                true => RECEIVED_MIN,
                false => 1,
            };
            if self.end_largest(least) {
                tracing::warn!(
                    used_mib = used >> 20,
                    limit_mib = limit >> 20,
                    "memory is nearly used up; the run that was sent the most is ended"
                );
                unreturned = used;
                sleep(FREED_AFTER).await;
            }
        }
    }

    fn end_largest(&self, least: u64) -> bool {
        let runs = self.runs();
        let alive = runs
            .iter()
            .filter(|usage| !usage.was_ended.load(Ordering::Relaxed));
        // What a run that has just begun would free is nothing.
        let alive = alive.filter(|usage| usage.received.load(Ordering::Relaxed) >= least);
        let Some(largest) = alive.max_by_key(|usage| usage.received.load(Ordering::Relaxed)) else {
            return false;
        };
        largest.was_ended.store(true, Ordering::Relaxed);
        largest.stop.cancel();
        true
    }

    fn runs(&self) -> MutexGuard<'_, Vec<Arc<Usage>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedRun<'_> {
    /// Where to count what the run receives.
    pub fn counter(&self) -> Arc<AtomicU64> {
        self.usage.received.clone()
    }

    /// How much it was sent, in MiB, if it was ended for that.
    pub fn was_ended(&self) -> Option<u64> {
        let ended = self.usage.was_ended.load(Ordering::Relaxed);
        ended.then(|| self.usage.received.load(Ordering::Relaxed) >> 20)
    }
}

impl Drop for WatchedRun<'_> {
    fn drop(&mut self) {
        let mut runs = self.guard.runs();
        runs.retain(|usage| !Arc::ptr_eq(usage, &self.usage));
    }
}

/// The memory of this process that the system can't take back, in bytes; `None` where `/proc` doesn't
/// tell.
pub fn used() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The memory limit of this process's cgroup, in bytes; `None` without one.
pub fn limit_of_cgroup() -> Option<u64> {
    // In a container each is its own: version 2, then version 1.
    let files = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let text = files
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok())?;
    parse_limit(&text)
}

/// Version 2 writes `max` for none, version 1 the largest number of pages.
fn parse_limit(text: &str) -> Option<u64> {
    let limit = text.trim().parse().ok()?;
    (limit < 1 << 60).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_both_versions_of_cgroups_write_it() {
        assert_eq!(parse_limit("268435456\n"), Some(256 << 20));
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("9223372036854771712\n"), None);
    }

    #[test]
    fn the_system_says_how_much_this_process_uses() {
        assert!(used().unwrap() > 100 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn of_all_runs_the_one_that_was_sent_the_most_is_ended_and_no_other_for_the_same_memory()
    {
        let guard = MemoryGuard::new(Some(100 << 20));
        let stops = [0, 1, 2, 3].map(|_| CancellationToken::new());
        let runs = stops.each_ref().map(|stop| guard.begin(stop.clone()));
        for (run, mib) in runs.iter().zip([9, 50, 20, 1]) {
            run.counter().store(mib << 20, Ordering::Relaxed);
        }
        let used = AtomicU64::new(79 << 20);
        let read = || Some(used.load(Ordering::Relaxed));
        let cancelled = || stops.each_ref().map(CancellationToken::is_cancelled);
        let story = async {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(cancelled(), [false; 4]);
            used.store(90 << 20, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
            assert_eq!(cancelled(), [false, true, false, false]);
            used.store(20 << 20, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
            used.store(90 << 20, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
            assert_eq!(
                cancelled(),
                [false, true, true, false],
                "the same memory was free in between"
            );
            used.store(91 << 20, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
            assert_eq!(cancelled(), [false, true, true, false]);
            used.store(93 << 20, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
            assert_eq!(
                cancelled(),
                [true, true, true, false],
                "it was sent too little"
            );
            used.store(95 << 20, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
            assert_eq!(cancelled(), [true; 4]);
        };
        tokio::select! {
            () = guard.watch(read) => {}
            () = story => {}
        }
        assert_eq!(runs[1].was_ended(), Some(50));
    }
}
