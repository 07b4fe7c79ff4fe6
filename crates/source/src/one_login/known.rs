//! What the last read saw of each account, and what lists of changes have shown since. By that a watch tells a change
//! that matters from one that doesn't, and it is known which addresses several accounts have.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::people::{self, Person};
use super::settings::OneLoginSettings;
use super::wire::User;
use crate::api::spec::OneLoginGroupsFrom;
use crate::directory::{AccountState, Email};
use crate::http::ApiError;

/// A change shows in lists so long after its time at most. Lists of changes begin so much earlier than the last one
/// ended; OneLogin publishes no lag.
pub(super) const OVERLAP: SignedDuration = SignedDuration::from_secs(90);

/// An account, as far as it matters whether it changes: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub id: u64,
    /// The hash of its address, where it has one.
    pub address: Option<u64>,
    pub standing: Standing,
    /// The hash of what else is read of it.
    others: u32,
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may be used.
    Active,
    /// It is disabled or deleted.
    Gone,
    /// As if it weren't there.
    Absent,
    /// OneLogin says what this version doesn't know.
    Unknown,
}

/// By what is known of accounts.
#[derive(Debug, Default)]
pub(super) struct KnownPeople {
    state: Mutex<State>,
    /// With keys of this process, so that nobody can choose two addresses with one hash.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct State {
    /// How many reads there were.
    reads: u64,
    /// All accounts of the last one, in the order of their ids; `None` before the first.
    read: Option<Vec<Listed>>,
    /// What has changed since, where nothing of it was missed.
    changes: Option<Changes>,
}

#[derive(Debug)]
struct Changes {
    accounts: HashMap<u64, Listed>,
    /// Until then, by OneLogin's clock.
    until: Timestamp,
}

impl KnownPeople {
    /// What of an account is kept, and what it is by comparison with others.
    ///
    /// # Errors
    /// As [`people::keep`].
    pub fn keep(
        &self,
        settings: &OneLoginSettings,
        user: User,
    ) -> (Listed, Result<Option<Person>, ApiError>) {
        let text = people::email(settings, &user);
        let address = Email::parse(&text).ok();
        let of_groups = settings.groups == Some(OneLoginGroupsFrom::Groups);
        let group = user.group_id.filter(|_| of_groups);
        let others = (group, address.is_none().then_some(text));
        let id = user.id;
        let kept = people::keep(settings, user);
        let listed = Listed {
            id,
            address: address.map(|address| self.hash(&address)),
            standing: match &kept {
                Ok(None) => Standing::Absent,
                Err(_) => Standing::Unknown,
                Ok(Some(person)) => match person.account.as_ref().map(|state| state.state) {
                    Ok(AccountState::Active) => Standing::Active,
                    Ok(AccountState::Disabled | AccountState::Deleted) => Standing::Gone,
                    Err(_) => Standing::Unknown,
                },
            },
            others: self.hasher.hash_one(others) as u32,
        };
        (listed, kept)
    }

    /// The hash of an address.
    pub fn hash(&self, address: &Email) -> u64 {
        self.hasher.hash_one(address)
    }

    /// A read has come to its end, which began at `began` by OneLogin's clock.
    pub fn note(&self, mut accounts: Vec<Listed>, began: Timestamp) {
        accounts.sort_unstable_by_key(|account| account.id);
        accounts.shrink_to_fit();
        let mut state = self.lock();
        state.reads += 1;
        state.read = Some(accounts);
        state.changes = Some(Changes {
            accounts: HashMap::new(),
            until: began,
        });
    }

    /// A complete list of what has changed since `from` was begun at `began`.
    pub fn add(&self, from: Timestamp, accounts: impl Iterator<Item = Listed>, began: Timestamp) {
        let mut state = self.lock();
        let Some(changes) = &mut state.changes else {
            return;
        };
        // Nothing between this list and what is known.
        if from.saturating_add(OVERLAP).unwrap_or(Timestamp::MAX) > changes.until {
            return;
        }
        changes.until = changes.until.max(began);
        let accounts = accounts.map(|account| (account.id, account));
        changes.accounts.extend(accounts);
    }

    /// Some of what has changed was missed, until the next read.
    pub fn lose_track(&self) {
        self.lock().changes = None;
    }

    /// Until when all is known that has changed since the last read.
    pub fn until(&self) -> Option<Timestamp> {
        Some(self.lock().changes.as_ref()?.until)
    }

    /// How many reads there were.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// The account with this id as the last read saw it, if it did; `None` before the first read.
    pub fn last(&self, id: u64) -> Option<Option<Listed>> {
        let state = self.lock();
        let read = state.read.as_ref()?;
        let at = read.binary_search_by_key(&id, |account| account.id);
        Some(at.ok().map(|at| read[at]))
    }

    /// Whether no other account has or had the address, in the last read or by what has changed since; `None` where
    /// that isn't known.
    pub fn is_alone(&self, id: u64, address: u64) -> Option<bool> {
        let state = self.lock();
        let (read, changes) = (state.read.as_ref()?, state.changes.as_ref()?);
        let mut all = read.iter().chain(changes.accounts.values());
        Some(!all.any(|other| other.id != id && other.address == Some(address)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
