//! OneLogin accounts.
//!
//! `spec` checks what a manifest says, `pages` sends requests and follows pages, `limit` reads the
//! rate limit from headers, `token` authenticates, `people` turns an account into a person, `read`
//! turns lists into a directory, `known` is what the last one saw, `changes` lists what has changed since, by which
//! `watch` notices changes between two reads, `leaver` reads one person alone and `leavers` many, `check` tries each
//! step that a read needs.

mod changes;
mod check;
mod clock;
mod error;
mod known;
mod leaver;
mod leavers;
mod limit;
mod look_up;
mod pages;
mod people;
mod read;
mod settings;
mod spec;
mod token;
mod watch;
mod wire;

use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::ApiError;
use crate::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version, WatchEnd,
    WatchObserver, with_wait_reporting,
};

use known::KnownPeople;
use limit::REQUESTS;
use pages::Account;
pub use settings::{Credentials, InvalidSettings, OneLoginSettings};

/// Reads one OneLogin account.
#[derive(Debug)]
pub struct OneLoginSource {
    settings: OneLoginSettings,
    account: Account,
    /// The same for whole reads.
    whole: Account,
    /// Who the last read saw.
    known: KnownPeople,
    /// Requests that it took.
    cost: AtomicU32,
}

impl OneLoginSource {
    /// A source that reads as `settings` say. Connects to nothing yet.
    ///
    /// # Errors
    /// When the settings can't work, whatever OneLogin says.
    pub fn new(settings: OneLoginSettings, credentials: &Credentials) -> Result<Self, SourceError> {
        let account = Account::new(&settings, credentials).map_err(ApiError::from)?;
        Ok(Self {
            settings,
            whole: account.for_whole_reads(),
            account,
            known: KnownPeople::default(),
            cost: AtomicU32::new(0),
        })
    }
}

impl Source for OneLoginSource {
    fn read<'a>(
        &'a self,
        _known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        let read = async move {
            let before = self.whole.limits.sent();
            let read = read::read(&self.whole, &self.settings, &self.known, progress);
            let directory = with_wait_reporting(progress, &self.whole.limits, read).await?;
            let cost = self.whole.limits.sent().wrapping_sub(before);
            self.cost.store(cost, Ordering::Relaxed);
            Ok(Reading::Full {
                directory,
                version: None,
            })
        };
        read.boxed()
    }

    fn watch<'a>(
        &'a self,
        since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        watch::watch(&self.account, &self.settings, &self.known, since, observer).boxed()
    }

    fn early_read_from(&self) -> Option<Timestamp> {
        let cost = self.cost.load(Ordering::Relaxed);
        self.whole.limits.room_for(REQUESTS, cost)
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        async move { Ok(leaver::check(&self.account, &self.settings, id).await?) }.boxed()
    }

    fn check_leavers<'a>(
        &'a self,
        ids: &'a [ExternalId],
    ) -> BoxFuture<'a, Result<Vec<LeaverCheck>, SourceError>> {
        async move {
            let check = leavers::check(&self.account, &self.settings, &self.known, ids);
            Ok(check.await?)
        }
        .boxed()
    }

    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        async move { Ok(look_up::look_up(&self.account, &self.settings, name).await?) }.boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        check::check(&self.account, &self.settings).boxed()
    }

    fn describe(&self) -> String {
        self.settings.url.origin().ascii_serialization()
    }
}
