//! Maps and sets by what directories and organizations name people and groups with.
//!
//! Where a hundred thousand people go through, hashing is a tenth of the time. The standard library's
//! hasher costs a multiple of this one. Both are keyed at random in each process, so nobody who writes
//! names into a directory can choose such that collide: they would have to see hashes, and none is
//! shown.

use std::collections;

/// How entries are hashed, keyed at random.
pub use foldhash::fast::RandomState;

/// A map in no order, for many entries.
pub type FastMap<K, V> = collections::HashMap<K, V, RandomState>;

/// A set in no order, for many entries.
pub type FastSet<T> = collections::HashSet<T, RandomState>;
