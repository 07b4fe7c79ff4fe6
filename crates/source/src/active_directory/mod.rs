//! Microsoft Active Directory, and Samba's: LDAP with its own names, limits and identities.
//!
//! `discovery` names the controllers, `domain_controller` picks one, `version` knows it again, `read` reads
//! `users` and `groups` from it, `members` the groups that come in parts, `scope` keeps what was
//! asked for, `watch` notices changes between reads, `leaver` reads one person alone, `check` reports how far
//! one gets.

mod change_cursor;
mod check;
mod discovery;
mod domain_controller;
mod error;
mod groups;
mod identity;
mod leaver;
mod look_up;
mod members;
mod read;
mod scope;
mod settings;
mod spec;
mod users;
mod watch;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::Expiry;
use crate::ldap::catch_panic::catch_library_panic;
use crate::ldap::digests::EntryDigests;
use crate::ldap::{LdapFailure, not_understood};
use crate::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version, WatchEnd, WatchObserver,
};

use domain_controller::Controllers;
pub use error::{ActiveDirectoryFailure, BindRefusal};
pub use settings::{
    ActiveDirectorySettings, Controller, Domain, DomainControllerLocation, EmailFrom, Groups, Users,
};
use watch::{LastRead, NoticesWork};

/// One Active Directory domain, or a forest by its global catalog.
#[derive(Debug)]
pub struct ActiveDirectorySource {
    settings: ActiveDirectorySettings,
    controllers: Controllers,
    digests: EntryDigests,
    last_read: Mutex<Option<LastRead>>,
    notices: NoticesWork,
}

impl ActiveDirectorySource {
    /// A source that reads as `settings` say.
    ///
    /// # Errors
    /// When the settings can't work, whatever a controller says.
    pub fn new(settings: ActiveDirectorySettings) -> Result<Self, SourceError> {
        let valid = settings.validate().and(settings.validate_account());
        valid.map_err(LdapFailure::from)?;
        let controllers = Controllers::new(&settings).map_err(SourceError::from)?;
        Ok(Self {
            settings,
            controllers,
            digests: EntryDigests::default(),
            last_read: Mutex::default(),
            notices: NoticesWork::default(),
        })
    }

    async fn read_or_recognize(
        &self,
        known: Option<&Version>,
        progress: &ReadProgress,
    ) -> Result<Reading, ActiveDirectoryFailure> {
        let mut session = self.controllers.first().await?;
        let version = self.controllers.version(&mut session, known).await?;
        let last_read = session.root.usn().map(|usn| LastRead {
            service: session.root.service.clone(),
            usn,
        });
        if known.is_some() && known == version.as_ref() {
            session.connection.close().await;
            return Ok(Reading::Unchanged);
        }
        let (controllers, settings) = (&self.controllers, &self.settings);
        let directory = read::read(controllers, session, settings, &self.digests, progress).await?;
        *self.last_read() = last_read;
        Ok(Reading::Full { directory, version })
    }
}

impl ActiveDirectorySource {
    fn last_read(&self) -> MutexGuard<'_, Option<LastRead>> {
        self.last_read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for ActiveDirectorySource {
    fn read<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        let read = async move {
            let read = catch_library_panic(self.read_or_recognize(known, progress)).await;
            let reading = read.unwrap_or_else(|| {
                let tried = format!("reading from {}", self.describe());
                Err(LdapFailure::Malformed { tried }.into())
            });
            if reading.is_err() {
                self.controllers.seen.forget();
            }
            Ok(reading?)
        };
        read.boxed()
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        let check = async move {
            let checked = leaver::check(&self.controllers, &self.settings, id);
            let checked = catch_library_panic(checked).await;
            checked
                .unwrap_or_else(|| {
                    let tried = format!("reading one person from {}", self.describe());
                    Err(LdapFailure::Malformed { tried }.into())
                })
                .map_err(SourceError::from)
        };
        check.boxed()
    }

    fn watch<'a>(
        &'a self,
        _since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        let watch = async move {
            let last_read = self.last_read().clone();
            let (controllers, settings) = (&self.controllers, &self.settings);
            let (digests, notices) = (&self.digests, &self.notices);
            let watch = watch::watch(controllers, settings, digests, notices, last_read, observer);
            catch_library_panic(watch).await.unwrap_or_else(|| {
                let tried = format!("watching {}", self.describe());
                let failure = ActiveDirectoryFailure::from(LdapFailure::Malformed { tried });
                WatchEnd::Lost(SourceError::from(failure))
            })
        };
        watch.boxed()
    }

    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        let look_up = async {
            let found = look_up::look_up(&self.controllers, &self.settings, name);
            let found = catch_library_panic(found).await.unwrap_or_else(|| {
                let tried = format!("looking for one entry in {}", self.describe());
                Err(LdapFailure::Malformed { tried }.into())
            });
            Ok(Lookup::Found(found?))
        };
        look_up.boxed()
    }

    fn expiries(&self) -> Vec<Expiry> {
        self.controllers.connector.expiries()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        let check = async {
            let check = catch_library_panic(check::check(&self.controllers, &self.settings)).await;
            check.unwrap_or_else(|| vec![not_understood(&self.describe())])
        };
        check.boxed()
    }

    fn describe(&self) -> String {
        self.settings.location.to_string()
    }
}
