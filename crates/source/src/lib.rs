//! The directories that can be read: a folder each, with settings, credentials, client and errors.

#![deny(missing_docs)]

mod account_watches;
pub mod active_directory;
pub mod checks;
pub mod entra_id;
mod environment;
#[cfg(test)]
mod fixtures;
pub mod google_workspace;
mod kept;
mod kinds;
pub mod ldap;
pub mod okta;
pub mod one_login;
pub mod references;
mod settings;
mod watch;

use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

// The crates below, by the names of their rooms.
use directory_sync_api as api;
use directory_sync_directory::{self as directory, complete, problem, text};
use directory_sync_http::{self as http, fault};

use crate::complete::Complete;
use crate::directory::{Directory, ExternalId, Incremental, Lookup};
use crate::http::{AccountLimits, ApiError, Expiry};

pub use crate::directory::ReadProgress;

pub use environment::{
    Identities, IdentityRequest, OwnIdentity, OwnTokenFile, SourceEnvironment, VendorAddress,
    VendorUrl, VendorUrls,
};
pub use kept::{KeptDirectories, kept_bytes};
pub use kinds::{name, validate};
pub use settings::{ConnectError, SourceSettings, Validate};
pub use watch::{Hint, LeaverCheck, WatchEnd, WatchMethod, WatchObserver};

pub use crate::fault::{FaultKind as SourceErrorKind, Step};

/// How often a read says whether it waits.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// A directory that can be read.
///
/// A source reads people and groups completely or fails. It holds what makes the next read cheaper
/// (connections, tokens, cursors), never what makes it right.
pub trait Source: Send + Sync {
    /// Reads everything in the source's scope, or finds out more cheaply that nothing moved since
    /// the read that gave `known`.
    ///
    /// # Errors
    /// Any doubt that everything was read is an error.
    fn read<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>>;

    /// Brings up to date what the last read saw, where the source kept that and the directory tells what has
    /// changed since. `None` where everything has to be read, which any doubt is a reason for. `known` is what an
    /// earlier read gave.
    ///
    /// The next whole read begins from nothing, whatever came of this.
    fn read_changes<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Option<Update>> {
        let _ = (known, progress);
        Box::pin(async { None })
    }

    /// Has the next read take nothing from what earlier ones saw.
    fn forget(&self) {}

    /// Looks for entries by what people call them (an ID, an address, a DN), whatever the source's filters
    /// leave out. For explanations alone; a source that isn't asked says so.
    ///
    /// # Errors
    /// When the directory can't be asked.
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        let _ = name;
        Box::pin(async { Ok(Lookup::Unsupported) })
    }

    /// Reads the entry of one person alone, by the id without a prefix, and tells whether they certainly left:
    /// one entry has this id, it says that the account is disabled or deleted, and no other entry, within the
    /// filters or not, has its address.
    ///
    /// # Errors
    /// When the directory can't be asked.
    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        let _ = id;
        let why = "this kind of directory isn't asked for one person alone";
        Box::pin(async { Ok(LeaverCheck::Uncertain(why.to_owned())) })
    }

    /// The same of several people, in their order.
    ///
    /// # Errors
    /// When the directory can't be asked about one of them.
    fn check_leavers<'a>(
        &'a self,
        ids: &'a [ExternalId],
    ) -> BoxFuture<'a, Result<Vec<LeaverCheck>, SourceError>> {
        Box::pin(async move {
            let mut checked = vec![];
            for id in ids {
                checked.push(self.check_leaver(id).await?);
            }
            Ok(checked)
        })
    }

    /// From when on a whole read may begin that isn't due yet, where the vendor's limit is so small that the reads that
    /// are due need what is left of it; `None` where it may begin now.
    fn early_read_from(&self) -> Option<Timestamp> {
        None
    }

    /// Notices changes between reads and tells `observer` of them, until the watch is lost: then somebody
    /// begins another. `since` is when the last read began: where the directory can't say that nothing
    /// changed since then, the watch begins with a hint. Sends at most four requests a minute.
    fn watch<'a>(
        &'a self,
        since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        let _ = (since, observer);
        let why = "changes in this kind of directory aren't noticed between two runs";
        Box::pin(async { WatchEnd::Unsupported(why.to_owned()) })
    }

    /// When the credentials end that the source was given, and the certificates that servers have shown, as far as it
    /// knows.
    fn expiries(&self) -> Vec<Expiry> {
        vec![]
    }

    /// Asks the directory for what [`expiries`](Self::expiries) can't know otherwise, at most once a day, by a request
    /// that no read waits for. Where the directory doesn't tell, nothing comes of it.
    fn ask_expiries(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Tries each step that a read needs (reach, trust, authenticate, find) and reports what was
    /// seen, for `check`.
    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>>;

    /// The directory in a few words for a person, without credentials: `ldaps://ldap.example.com`.
    fn describe(&self) -> String;
}

/// People of whom a vendor's API is asked at once.
const LEAVERS_AT_ONCE: usize = 4;

/// Has `source` check each of these people alone, some of them at once. For APIs that take requests side by side.
pub(crate) fn check_side_by_side<'a>(
    source: &'a dyn Source,
    ids: &'a [ExternalId],
) -> BoxFuture<'a, Result<Vec<LeaverCheck>, SourceError>> {
    let checks = stream::iter(ids).map(|id| source.check_leaver(id));
    Box::pin(checks.buffered(LEAVERS_AT_ONCE).try_collect())
}

/// What a read found.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one a run, and the directory behind it has megabytes"
)]
pub enum Reading {
    /// Every person and group, after a complete read.
    Full {
        /// Everything in the source's scope.
        directory: Complete<Directory>,
        /// What to give to the next read; `None` where the source can't tell that nothing moved.
        version: Option<Version>,
    },
    /// Provably the same as at the version that was given.
    Unchanged,
}

/// What came of reading what has changed.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one a run, and the directory behind it has megabytes"
)]
pub enum Update {
    /// Nothing of what is read is other than at the version that was given.
    Unchanged,
    /// An earlier read, brought up to date. What is planned of it takes nothing from anybody.
    Changed {
        /// Everything in the source's scope, as far as the directory told of changes.
        directory: Incremental<Directory>,
        /// What to give to the next read.
        version: Version,
    },
}

/// Where a directory stood when it was read: a source's own text, meaningless to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// Does `work` and says meanwhile in `progress` until when its requests wait for our share of `limits`.
pub async fn with_wait_reporting<T>(
    progress: &ReadProgress,
    limits: &AccountLimits,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(REPORT_INTERVAL);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => {
                if let Some(until) = limits.waits_until() {
                    progress.wait_until(until);
                }
            }
        }
    }
}

impl From<ApiError> for SourceError {
    fn from(error: ApiError) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            cause: Some(Box::new(error)),
        }
    }
}

/// Why a directory couldn't be read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// Who can fix it.
    pub kind: SourceErrorKind,
    /// What was tried, what the directory answered, what to do. Without secrets, bounded.
    pub message: String,
    /// The cause, where a library gave one.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}
