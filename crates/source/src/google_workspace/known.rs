//! Who the last read saw, by which a watch tells a person whose leaving matters from one who was never synced.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::directory::{AccountState, Directory};

/// The hashes of IDs: 8 bytes a person.
#[derive(Debug, Default)]
pub(super) struct KnownPeople {
    last: Mutex<Option<People>>,
    /// With keys of this process, so that nobody can choose two IDs with one hash.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct People {
    /// Everybody within the settings, but for those who were deleted; in order.
    present: Vec<u64>,
    gone: Gone,
}

/// Who is disabled, and who was deleted.
#[derive(Debug, Default, Clone)]
pub(super) struct Gone {
    pub disabled: HashSet<u64>,
    pub deleted: HashSet<u64>,
}

impl KnownPeople {
    /// The hash of an ID.
    pub fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    /// A read has come to its end.
    pub fn note(&self, directory: &Directory) {
        let mut people = People::default();
        for user in &directory.users {
            let hash = self.hash(user.id.as_str());
            match user.state {
                AccountState::Deleted => {
                    people.gone.deleted.insert(hash);
                    continue;
                }
                AccountState::Disabled => {
                    people.gone.disabled.insert(hash);
                }
                AccountState::Active => {}
            }
            people.present.push(hash);
        }
        people.present.sort_unstable();
        *self.lock() = Some(people);
    }

    /// Whether the last read saw this person. Anybody may be one where there was none.
    pub fn matters(&self, hash: u64) -> bool {
        let last = self.lock();
        let saw = last
            .as_ref()
            .map(|people| people.present.binary_search(&hash));
        saw.is_none_or(|found| found.is_ok())
    }

    /// Who was gone at the last read; `None` before the first.
    pub fn gone(&self) -> Option<Gone> {
        self.lock().as_ref().map(|people| people.gone.clone())
    }

    /// Whether the last read saw a disabled account.
    pub fn was_disabled(&self, hash: u64) -> bool {
        let last = self.lock();
        let gone = last.as_ref().map(|people| &people.gone);
        gone.is_some_and(|gone| gone.disabled.contains(&hash))
    }

    /// Whether the last read saw the account among the deleted ones.
    pub fn was_deleted(&self, hash: u64) -> bool {
        let last = self.lock();
        let gone = last.as_ref().map(|people| &people.gone);
        gone.is_some_and(|gone| gone.deleted.contains(&hash))
    }

    fn lock(&self) -> MutexGuard<'_, Option<People>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
