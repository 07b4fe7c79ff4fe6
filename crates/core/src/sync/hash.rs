//! A digest of a set of people that doesn't depend on their order and is cheap to make.

use sha2::{Digest, Sha256};

use crate::directory::ExternalId;

/// The sum of the hashes of a set's members, and how many they are.
///
/// Adding makes the order irrelevant without sorting. Unlike the digest of removals, which a person
/// approves, this one only answers "are they the same as last time?".
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MemberSum {
    count: u64,
    sum: u128,
}

impl MemberSum {
    /// Adds a person by [`person_hash`]; each one only once.
    pub fn add(&mut self, hash: u128) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// The union with a set that has nobody in common with this one.
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum.wrapping_add(other.sum),
        }
    }

    /// Whether nobody was added.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// A digest of the set, the same in any order.
    pub fn digest(self) -> [u8; 16] {
        let mut text = [0; 24];
        text[..8].copy_from_slice(&self.count.to_be_bytes());
        text[8..].copy_from_slice(&self.sum.to_be_bytes());
        truncated(&text)
    }
}

/// A person's part of a [`MemberSum`].
pub(crate) fn person_hash(id: &ExternalId) -> u128 {
    hash(id.as_str().as_bytes())
}

/// A part of a [`MemberSum`].
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    u128::from_be_bytes(truncated(bytes))
}

/// The first half of a SHA-256.
pub(crate) fn truncated(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(bytes)[..16]);
    half
}
