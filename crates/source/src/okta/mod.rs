//! Okta organizations.
//!
//! `spec` checks what a manifest says, `pages` asks the organization and follows its pages, `limit` keeps to a
//! share of its rate limits, `credentials` authenticates, `memberships` remembers who is in a group that hasn't
//! changed, `read` turns lists into a directory, `watch` notices changes between reads, `leaver` reads one person
//! alone, `check` reports how far one gets.

mod check;
mod credentials;
mod error;
mod leaver;
mod limit;
mod look_up;
mod memberships;
mod pages;
mod read;
mod settings;
mod spec;
mod watch;
mod wire;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::ApiError;
use crate::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version, WatchEnd,
    WatchObserver, check_side_by_side, with_wait_reporting,
};

pub use memberships::MembershipCacheSettings;
use pages::Organization;
pub use settings::{Credentials, GroupScope, InvalidSettings, OktaSettings, UserScope};

/// Reads one Okta organization.
#[derive(Debug)]
pub struct OktaSource {
    settings: OktaSettings,
    organization: Organization,
    /// The same for whole reads.
    whole: Organization,
    cache: memberships::MembershipCache,
}

impl OktaSource {
    /// A source that reads as `settings` say. Connects to nothing yet.
    ///
    /// # Errors
    /// When the settings can't work, whatever Okta says: an address that isn't an organization's, a
    /// key that can't sign.
    pub fn new(settings: OktaSettings, credentials: &Credentials) -> Result<Self, SourceError> {
        let organization = Organization::new(&settings, credentials).map_err(ApiError::from)?;
        Ok(Self {
            settings,
            whole: organization.for_whole_reads(),
            organization,
            cache: memberships::MembershipCache::default(),
        })
    }
}

impl Source for OktaSource {
    fn read<'a>(
        &'a self,
        _known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        let read = async move {
            let read = read::read(&self.whole, &self.settings, &self.cache, progress);
            Ok(Reading::Full {
                directory: with_wait_reporting(progress, &self.whole.limits, read).await?,
                version: None,
            })
        };
        read.boxed()
    }

    fn forget(&self) {
        self.cache.forget();
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        let check = leaver::check(&self.organization, &self.settings, id);
        check
            .map(|checked| checked.map_err(SourceError::from))
            .boxed()
    }

    fn check_leavers<'a>(
        &'a self,
        ids: &'a [ExternalId],
    ) -> BoxFuture<'a, Result<Vec<LeaverCheck>, SourceError>> {
        check_side_by_side(self, ids)
    }

    fn watch<'a>(
        &'a self,
        since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        watch::watch(&self.organization, &self.settings, since, observer).boxed()
    }

    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        async move { Ok(look_up::look_up(&self.organization, &self.settings, name).await?) }.boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        check::check(&self.organization, &self.settings).boxed()
    }

    fn describe(&self) -> String {
        self.settings.org_url.origin().ascii_serialization()
    }
}
