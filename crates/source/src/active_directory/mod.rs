//! Microsoft Active Directory, and Samba's: LDAP with its own names, limits and identities.
//!
//! `discovery` names the controllers, `domain_controller` picks one, `version` knows it again, `read` reads
//! `users` and `groups` from it, `members` the groups that come in parts, `scope` keeps what was
//! asked for, `check` reports how far one gets.

mod change_cursor;
mod check;
mod discovery;
mod domain_controller;
mod error;
mod groups;
mod identity;
mod members;
mod read;
mod scope;
mod settings;
mod spec;
mod users;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::ldap::catch_panic::catch_library_panic;
use crate::ldap::{LdapFailure, not_understood};
use crate::{ReadProgress, Reading, Source, SourceError, Step, Version};

use domain_controller::Controllers;
pub use error::{ActiveDirectoryFailure, BindRefusal};
pub use settings::{
    ActiveDirectorySettings, Controller, Domain, DomainControllerLocation, EmailFrom, Groups, Users,
};

/// One Active Directory domain, or a forest by its global catalog.
#[derive(Debug)]
pub struct ActiveDirectorySource {
    settings: ActiveDirectorySettings,
    controllers: Controllers,
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
        })
    }

    async fn read_or_recognize(
        &self,
        known: Option<&Version>,
        progress: &ReadProgress,
    ) -> Result<Reading, ActiveDirectoryFailure> {
        let mut session = self.controllers.first().await?;
        let version = self.controllers.version(&mut session, known).await?;
        if known.is_some() && known == version.as_ref() {
            session.connection.close().await;
            return Ok(Reading::Unchanged);
        }
        let directory = read::read(&self.controllers, session, &self.settings, progress).await?;
        Ok(Reading::Full { directory, version })
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
