//! Google Workspace and Cloud Identity, read through the Admin SDK Directory API.
//!
//! `spec` checks what a manifest says, `api` sends requests and follows pages, `limit` keeps the
//! quota, `token` and `federation` authenticate, `token_error` and `error` say why a request failed, `users` and `groups` are what is read, `read` puts them together,
//! `watch` notices who leaves between two reads, whom `leaver` reads alone, `check` reports how far one gets.

mod api;
mod check;
mod error;
mod federation;
mod groups;
mod known;
mod leaver;
mod limit;
mod look_up;
mod read;
mod settings;
mod spec;
mod token;
mod token_error;
mod users;
mod watch;
mod wire;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::ApiError;
use crate::text::sanitize;
use crate::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version, WatchEnd,
    WatchObserver, check_side_by_side,
};

use api::Api;
pub use error::Account;
use known::KnownPeople;
pub use limit::REQUESTS_PER_MINUTE;
pub use settings::{
    Addresses, Credentials, GoogleWorkspaceSettings, GroupSettings, InvalidKeyFile,
    InvalidSettings, ServiceAccountKey, Tenant, UserSettings, WorkloadIdentity,
};

/// How often a read reports whether it waits.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// One customer, or some of its domains.
#[derive(Debug)]
pub struct GoogleWorkspaceSource {
    settings: GoogleWorkspaceSettings,
    api: Api,
    /// The same for whole reads.
    whole: Api,
    /// Who the last read saw.
    known: KnownPeople,
}

impl GoogleWorkspaceSource {
    /// A source that reads as `settings` say. Connects to nothing yet.
    ///
    /// # Errors
    /// When the settings can't work, whatever Google says: a key that can't sign.
    pub fn new(
        settings: GoogleWorkspaceSettings,
        credentials: &Credentials,
    ) -> Result<Self, SourceError> {
        let api = Api::new(&settings, credentials).map_err(ApiError::from)?;
        Ok(Self {
            settings,
            whole: api.for_whole_reads(),
            api,
            known: KnownPeople::default(),
        })
    }

    async fn report_waits(&self, progress: &ReadProgress) {
        let mut ticks = tokio::time::interval(REPORT_INTERVAL);
        loop {
            ticks.tick().await;
            if let Some(until) = self.api.waits_until() {
                progress.wait_until(until);
            }
        }
    }
}

impl Source for GoogleWorkspaceSource {
    fn read<'a>(
        &'a self,
        _known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        let read = async move {
            let read = read::read(&self.whole, &self.settings, progress);
            tokio::select! {
                directory = read => {
                    let directory = directory?;
                    self.known.note(&directory);
                    Ok(Reading::Full {
                        directory,
                        version: None,
                    })
                }
                () = self.report_waits(progress) => unreachable!("it goes on until the read ends"),
            }
        };
        read.boxed()
    }

    fn check_leavers<'a>(
        &'a self,
        ids: &'a [ExternalId],
    ) -> BoxFuture<'a, Result<Vec<LeaverCheck>, SourceError>> {
        check_side_by_side(self, ids)
    }

    fn watch<'a>(
        &'a self,
        _since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        watch::watch(&self.api, &self.settings, &self.known, observer).boxed()
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        async move { Ok(leaver::check(&self.api, &self.settings, id).await?) }.boxed()
    }

    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        async move {
            let found = look_up::look_up(&self.api, &self.settings.users, name).await?;
            Ok(Lookup::Found(found))
        }
        .boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        check::check(&self.api, &self.settings).boxed()
    }

    fn describe(&self) -> String {
        match &self.settings.tenant {
            Tenant::Customer(id) if id == "my_customer" => {
                format!("Google Workspace, as {}", self.api.account.acts_as())
            }
            Tenant::Customer(id) => format!("Google Workspace customer {id}"),
            Tenant::Domains(domains) => {
                format!("Google Workspace {}", sanitize(&domains.join(", ")))
            }
        }
    }
}
