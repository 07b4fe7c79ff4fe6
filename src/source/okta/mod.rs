//! Okta organizations.
//!
//! `pages` asks the organization and follows its pages, `limit` keeps to a share of its rate
//! limits, `credentials` gets in, `read` turns lists into a directory, `check` tells how far one
//! gets.

mod check;
mod credentials;
mod error;
mod limit;
mod pages;
mod read;
mod settings;
mod wire;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::source::{ReadProgress, Reading, Source, SourceError, Step, Version};

pub use error::OktaFailure;
use pages::Organization;
pub use settings::{
    Credentials, GroupScope, GroupType, InvalidSettings, OktaSettings, StatusTable, UserScope,
};

/// How often a read tells whether it waits.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// One Okta organization.
#[derive(Debug)]
pub struct OktaSource {
    settings: OktaSettings,
    organization: Organization,
}

impl OktaSource {
    /// A source that reads as `settings` say. Connects to nothing yet.
    ///
    /// # Errors
    /// When the settings can't work, whatever Okta says: an address that isn't an organization's, a
    /// key that can't sign.
    pub fn new(settings: OktaSettings) -> Result<Self, SourceError> {
        let organization = Organization::new(&settings).map_err(OktaFailure::from)?;
        Ok(Self {
            settings,
            organization,
        })
    }

    async fn tell_waits(&self, progress: &ReadProgress) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        loop {
            ticks.tick().await;
            if let Some(until) = self.organization.limits.waits_until() {
                progress.wait_until(until);
            }
        }
    }
}

impl Source for OktaSource {
    fn read<'a>(
        &'a self,
        _known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        let read = async move {
            let read = read::read(&self.organization, &self.settings, progress);
            tokio::select! {
                directory = read => Ok(Reading::Full {
                    directory: directory?,
                    version: None,
                }),
                () = self.tell_waits(progress) => unreachable!("it goes on until the read ends"),
            }
        };
        read.boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        check::check(&self.organization, &self.settings).boxed()
    }

    fn describe(&self) -> String {
        self.settings.org_url.origin().ascii_serialization()
    }
}
