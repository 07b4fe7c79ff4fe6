//! OneLogin accounts.
//!
//! `spec` checks what a manifest says, `pages` sends requests and follows pages, `limit` reads the
//! rate limit from headers, `token` authenticates, `people` turns an account into a person, `read`
//! turns lists into a directory, `watch` notices changes between two reads, `leaver` reads one person alone, `check`
//! tries each step that a read needs.

mod check;
mod error;
mod leaver;
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

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::ApiError;
use crate::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version, WatchEnd,
    WatchObserver, with_wait_reporting,
};

use pages::Account;
pub use settings::{Credentials, InvalidSettings, OneLoginSettings};

/// Reads one OneLogin account.
#[derive(Debug)]
pub struct OneLoginSource {
    settings: OneLoginSettings,
    account: Account,
    /// The same for whole reads.
    whole: Account,
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
            let read = read::read(&self.whole, &self.settings, progress);
            Ok(Reading::Full {
                directory: with_wait_reporting(progress, &self.whole.limits, read).await?,
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
        watch::watch(&self.account, &self.settings, since, observer).boxed()
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        async move { Ok(leaver::check(&self.account, &self.settings, id).await?) }.boxed()
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
