//! Microsoft Active Directory, and Samba's: LDAP with its own names, limits and identities.
//!
//! `discovery` names the controllers, `domain_controller` picks one, `change_cursor` knows it again, `read` reads
//! `users` and `groups` from it, `members` the groups that come in parts, `scope` keeps what was
//! asked for, `changes` brings that up to date later (`kept`: what is kept of a read), `watch` notices changes between reads, `leaver` reads one person alone, `check` reports how far
//! one gets.

mod change_cursor;
mod changes;
mod check;
mod discovery;
mod domain_controller;
mod error;
mod groups;
mod identity;
mod kept;
mod leaver;
mod look_up;
mod members;
mod read;
mod scope;
mod settings;
mod spec;
mod users;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::Expiry;
use crate::kept::Slot;
use crate::ldap::catch_panic::catch_library_panic;
use crate::ldap::digests::EntryDigests;
use crate::ldap::{LdapFailure, not_understood};
use crate::{
    KeptDirectories, LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Update,
    Version, WatchEnd, WatchObserver,
};

use changes::Doubt;
use domain_controller::Controllers;
pub use error::{ActiveDirectoryFailure, BindRefusal};
use kept::KeptDomain;
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
    memory: Arc<KeptDirectories>,
    /// What the last read saw.
    kept: Arc<Slot<KeptDomain>>,
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
        let memory = Arc::<KeptDirectories>::default();
        Ok(Self {
            settings,
            controllers,
            digests: EntryDigests::default(),
            last_read: Mutex::default(),
            notices: NoticesWork::default(),
            kept: memory.slot(),
            memory,
        })
    }

    /// Keeps what a read saw in this memory, so that the next one can bring it up to date.
    #[must_use]
    pub fn keeping(self, memory: &Arc<KeptDirectories>) -> Self {
        Self {
            kept: memory.slot(),
            memory: Arc::clone(memory),
            ..self
        }
    }

    async fn read_or_recognize(
        &self,
        known: Option<&Version>,
        progress: &ReadProgress,
    ) -> Result<Reading, ActiveDirectoryFailure> {
        let mut session = self.controllers.first().await?;
        let stand = self.controllers.version(&mut session, known).await?;
        let version = stand.as_ref().map(|stand| stand.version.clone());
        let last_read = session.root.usn().map(|usn| LastRead {
            service: session.root.service.clone(),
            usn,
        });
        if known.is_some() && known == version.as_ref() {
            session.connection.close().await;
            return Ok(Reading::Unchanged);
        }
        let (controllers, settings, digests) = (&self.controllers, &self.settings, &self.digests);
        // Two of them at once would take twice the memory.
        self.forget();
        // Before the first entry: whatever changes from here on is told as a change later, also where the read saw it.
        let kept = match stand.filter(|_| self.memory.is_enabled()) {
            Some(stand) => {
                let memory = self.memory.reservation();
                changes::begin(&mut session, settings, &stand, memory).await
            }
            None => None,
        };
        let read = read::read(controllers, session, settings, digests, kept, progress);
        let (directory, kept) = read.await?;
        if let Some(kept) = kept {
            self.kept.put(kept);
        }
        *self.last_read() = last_read;
        Ok(Reading::Full { directory, version })
    }
}

impl ActiveDirectorySource {
    async fn update(
        &self,
        known: Option<&Version>,
        progress: &ReadProgress,
    ) -> Result<Option<Update>, Doubt> {
        // Whatever comes in between, nothing is left then that isn't known to be right.
        let Some(kept) = self.kept.take() else {
            return Ok(None);
        };
        let (controllers, settings) = (&self.controllers, &self.settings);
        let updated = changes::update(controllers, settings, &self.digests, kept).await?;
        let Some((kept, read_now)) = updated else {
            return Ok(None);
        };
        let version = kept.version.clone();
        let update = if known == Some(&version) {
            Update::Unchanged
        } else {
            let directory = changes::directory(settings, &kept, read_now, progress).await?;
            Update::Changed { directory, version }
        };
        *self.last_read() = Some(LastRead {
            service: kept.controller.service.clone(),
            usn: kept.usn,
        });
        self.kept.put(kept);
        Ok(Some(update))
    }

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

    fn read_changes<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Option<Update>> {
        let read = async move {
            let update = catch_library_panic(self.update(known, progress)).await;
            update
                .unwrap_or(Err(Doubt("a message isn't LDAP")))
                .unwrap_or_else(|Doubt(why)| {
                    tracing::info!(
                        why,
                        "everything is read, because it is in doubt what has changed"
                    );
                    // Who couldn't be asked may be another one when they are back.
                    self.controllers.seen.forget();
                    None
                })
        };
        read.boxed()
    }

    fn forget(&self) {
        self.kept.take();
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
