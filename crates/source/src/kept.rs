//! How much memory directories may take that are kept between two reads, all resources together.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Whoever hasn't used a directory for so long gives its memory to others. Longer than between two runs, so that
/// resources that don't all have room don't drive out one another in turn.
const UNUSED_FOR: Duration = Duration::from_secs(60 * 60);

/// What the memory of one text or list takes beyond its own bytes.
pub(crate) const ALLOCATION: usize = 16;

/// The memory of a map or set with room for so many of `T`, in bytes: it has a place more than it promises for each seven,
/// and a byte for each place.
pub(crate) fn table_size<T>(capacity: usize) -> usize {
    capacity.div_ceil(7) * 8 * (size_of::<T>() + 1)
}

/// What all directories take that are kept in this process, in bytes.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// What all directories take that are kept in this process, in bytes.
pub fn kept_bytes() -> u64 {
    KEPT.load(Ordering::Relaxed)
}

/// The memory for directories that are kept between two reads.
#[derive(Default)]
pub struct KeptDirectories {
    limit: u64,
    used: AtomicU64,
    slots: Mutex<Vec<Weak<dyn Evict>>>,
}

impl fmt::Debug for KeptDirectories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.used.load(Ordering::Relaxed);
        write!(f, "{used} of {} bytes", self.limit)
    }
}

impl KeptDirectories {
    /// With so many bytes for all; 0: nothing is kept.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Whether anything is kept at all.
    pub fn is_enabled(&self) -> bool {
        self.limit > 0
    }

    /// A place for one directory.
    pub(crate) fn slot<T: Send + 'static>(self: &Arc<Self>) -> Arc<Slot<T>> {
        let slot = Arc::new(Slot {
            kept: Mutex::new(None),
        });
        let evict: Arc<dyn Evict> = slot.clone();
        let mut slots = self.slots();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Arc::downgrade(&evict));
        slot
    }

    /// Memory to be, of which there is none yet.
    pub(crate) fn reservation(self: &Arc<Self>) -> Reservation {
        Reservation {
            all: Arc::clone(self),
            bytes: 0,
        }
    }

    fn reserve(&self, more: u64) -> bool {
        loop {
            let reserved = self
                .used
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                    used.checked_add(more).filter(|used| *used <= self.limit)
                });
            if reserved.is_ok() {
                return true;
            }
            if more > self.limit || !self.evict() {
                return false;
            }
        }
    }

    /// Takes out the directory that was used the longest time ago, if nobody has used it lately.
    fn evict(&self) -> bool {
        let slots: Vec<Arc<dyn Evict>> = self.slots().iter().filter_map(Weak::upgrade).collect();
        let unused = slots
            .iter()
            .filter_map(|slot| Some((slot.unused_for()?, slot)));
        let longest = unused.max_by_key(|(unused_for, _)| *unused_for);
        let Some((unused_for, slot)) = longest.filter(|(long, _)| *long >= UNUSED_FOR) else {
            return false;
        };
        slot.evict();
        tracing::info!(
            unused_for_minutes = unused_for.as_secs() / 60,
            "a directory that was kept makes room for another: its next run reads everything \
             (--keep-directories)"
        );
        true
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Weak<dyn Evict>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

trait Evict: Send + Sync {
    /// How long nobody has used it; `None` where there is nothing.
    fn unused_for(&self) -> Option<Duration>;
    fn evict(&self);
}

/// A place for one directory. Whoever uses it takes it out meanwhile.
pub(crate) struct Slot<T> {
    kept: Mutex<Option<(T, Instant)>>,
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a directory that is kept")
    }
}

impl<T> Slot<T> {
    /// Takes out what is there.
    pub fn take(&self) -> Option<T> {
        self.kept().take().map(|(kept, _)| kept)
    }

    /// Keeps this until the next read.
    pub fn put(&self, kept: T) {
        *self.kept() = Some((kept, Instant::now()));
    }

    fn kept(&self) -> MutexGuard<'_, Option<(T, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Evict for Slot<T> {
    fn unused_for(&self) -> Option<Duration> {
        self.kept().as_ref().map(|(_, used)| used.elapsed())
    }

    fn evict(&self) {
        self.take();
    }
}

/// Memory that is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    all: Arc<KeptDirectories>,
    bytes: u64,
}

impl Reservation {
    /// Makes it at least so many bytes; `false` where there is no room for that.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = (bytes as u64).saturating_sub(self.bytes);
        if more > 0 && !self.all.reserve(more) {
            return false;
        }
        self.bytes += more;
        KEPT.fetch_add(more, Ordering::Relaxed);
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.all.used.fetch_sub(self.bytes, Ordering::Relaxed);
        KEPT.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(all: &Arc<KeptDirectories>, bytes: usize) -> Option<Reservation> {
        let mut reservation = all.reservation();
        reservation.grow_to(bytes).then_some(reservation)
    }

    #[test]
    fn what_is_kept_stays_within_the_limit_and_is_given_back() {
        let all = Arc::new(KeptDirectories::new(100));
        let mut first = kept(&all, 60).unwrap();
        assert!(kept(&all, 41).is_none());
        assert!(first.grow_to(100) && !first.grow_to(101));
        drop(first);
        assert!(kept(&all, 100).is_some());
        assert!(
            kept(&Arc::default(), 1).is_none(),
            "nothing is kept without a limit"
        );
    }

    #[test]
    fn a_directory_makes_room_once_nobody_has_used_it_for_an_hour() {
        let all = Arc::new(KeptDirectories::new(100));
        let (old, new) = (all.slot(), all.slot());
        old.put(kept(&all, 40));
        new.put(kept(&all, 40));
        assert!(kept(&all, 60).is_none(), "both are in use");
        let ago = |slot: &Slot<_>, minutes: u64| {
            let long = Duration::from_secs(60 * minutes);
            slot.kept().as_mut().unwrap().1 = Instant::now().checked_sub(long).unwrap();
        };
        ago(&old, 61);
        ago(&new, 60);
        assert!(kept(&all, 60).is_some());
        assert!(old.take().is_none(), "the one that was used longest ago");
        assert!(new.take().is_some());
    }
}
