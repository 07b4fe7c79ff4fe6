//! LDAP directories: OpenLDAP, 389-ds, FreeIPA and their kin.
//!
//! `connection` reaches a server, `search` reads a list to its proven end, `entry` and `dn` make
//! sense of what comes, `read` turns it into a directory, `watch` notices changes between reads (`digests`:
//! which of them matter; `persistent`: searches that go on), `check` reports how far one gets.

// Active Directory speaks LDAP, too: what isn't pub here is shared with it alone.
pub(crate) mod binary_id;
pub(crate) mod catch_panic;
pub(crate) mod certificates;
pub(crate) mod check;
pub(crate) mod connection;
pub(crate) mod digests;
mod disabled;
pub(crate) mod dn;
pub(crate) mod entry;
mod error;
mod framing;
pub(crate) mod leaver;
mod look_up;
pub(crate) mod persistent;
mod preset;
mod read;
mod relay;
mod schema;
pub(crate) mod search;
mod settings;
mod spec;
mod start_tls;
mod tls;
mod watch;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::Expiry;
use crate::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version, WatchEnd, WatchObserver,
};

use catch_panic::catch_library_panic;
use connection::Connector;
use digests::EntryDigests;
pub use error::{Answer, LdapFailure, Stage};
pub use framing::ProtocolViolation;
pub use settings::{
    Bind, ClientIdentity, DerivedEmail, EmailRule, GroupSettings, IdAttribute, InvalidSettings,
    LdapSettings, MemberAttribute, MemberNaming, ServerUrl, TlsSettings, UserSettings,
};
pub(crate) use settings::{check_filter, is_attribute, tidy_filter};

/// Reads one LDAP directory.
#[derive(Debug)]
pub struct LdapSource {
    settings: LdapSettings,
    connector: Connector,
    digests: EntryDigests,
}

impl LdapSource {
    /// A source that reads as `settings` say.
    ///
    /// # Errors
    /// When the settings can't work, whatever the server says: a filter that can't be read, a
    /// certificate without its key.
    pub fn new(settings: LdapSettings) -> Result<Self, SourceError> {
        settings.validate().map_err(LdapFailure::from)?;
        let connector = Connector::new(&settings)?;
        Ok(Self {
            settings,
            connector,
            digests: EntryDigests::default(),
        })
    }
}

impl Source for LdapSource {
    fn read<'a>(
        &'a self,
        _known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        let read = async {
            let read = read::read(&self.connector, &self.settings, &self.digests, progress);
            let read = catch_library_panic(read).await;
            let directory = read.unwrap_or_else(|| {
                Err(LdapFailure::Malformed {
                    tried: format!("reading from {}", self.describe()),
                })
            })?;
            Ok(Reading::Full {
                directory,
                version: None,
            })
        };
        read.boxed()
    }

    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Lookup, SourceError>> {
        let look_up = async {
            let found = look_up::look_up(&self.connector, &self.settings, name);
            let found = catch_library_panic(found).await.unwrap_or_else(|| {
                Err(LdapFailure::Malformed {
                    tried: format!("looking up one entry at {}", self.describe()),
                })
            })?;
            Ok(Lookup::Found(found))
        };
        look_up.boxed()
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        let check = async {
            let checked = leaver::check(&self.connector, &self.settings, id);
            let checked = catch_library_panic(checked).await;
            checked
                .unwrap_or_else(|| {
                    Err(LdapFailure::Malformed {
                        tried: format!("reading one person from {}", self.describe()),
                    })
                })
                .map_err(SourceError::from)
        };
        check.boxed()
    }

    fn watch<'a>(
        &'a self,
        since: Timestamp,
        observer: &'a dyn WatchObserver,
    ) -> BoxFuture<'a, WatchEnd> {
        let watch = async move {
            let watch = watch::watch(&self.settings, &self.digests, since, observer);
            match catch_library_panic(watch).await {
                Some(end) => end,
                None => WatchEnd::Lost(SourceError::from(LdapFailure::Malformed {
                    tried: format!("watching {}", self.describe()),
                })),
            }
        };
        watch.boxed()
    }

    fn expiries(&self) -> Vec<Expiry> {
        self.connector.expiries()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        let check = async {
            let check = catch_library_panic(check::check(&self.connector, &self.settings)).await;
            check.unwrap_or_else(|| vec![not_understood(&self.describe())])
        };
        check.boxed()
    }

    fn describe(&self) -> String {
        let servers = self.connector.servers();
        let more = match servers.len() {
            0 | 1 => String::new(),
            count => format!(" (or {} more)", count - 1),
        };
        let first = servers.first().map(ToString::to_string).unwrap_or_default();
        format!("{first}{more}")
    }
}

/// The step of a check that ended at something that isn't LDAP.
pub(crate) fn not_understood(server: &str) -> Step {
    Step {
        name: format!("understand {server}"),
        result: Err("the answer can't be understood as LDAP".to_owned()),
    }
}
