//! LDAP directories: OpenLDAP, 389-ds, FreeIPA and their kin.
//!
//! `connection` reaches a server, `search` reads a list to its proven end (`relay` and `framing`: which bytes the LDAP
//! library sees), `element`, `entry` and `dn` make sense of what comes, `read` turns it into a directory, `changes` brings that up to date later (`kept` and `packed`:
//! what is kept of a read; `refresh`: the protocol; `database` and `csn`: where a database stands), `watch` notices
//! changes between reads (`digests`: which of them matter; `persistent`: searches that go on), `check` reports how
//! far one gets.

// Active Directory speaks LDAP, too: what isn't pub here is shared with it alone.
pub(crate) mod binary_id;
pub(crate) mod catch_panic;
pub(crate) mod certificates;
mod changes;
pub(crate) mod check;
pub(crate) mod connection;
mod csn;
mod database;
pub(crate) mod digests;
mod disabled;
pub(crate) mod dn;
mod element;
pub(crate) mod entry;
mod error;
mod framing;
pub(crate) mod kept;
pub(crate) mod kept_entries;
pub(crate) mod leaver;
mod look_up;
pub(crate) mod packed;
pub(crate) mod persistent;
mod preset;
mod read;
mod refresh;
mod relay;
mod schema;
pub(crate) mod search;
mod settings;
mod spec;
mod start_tls;
mod tls;
mod watch;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::{ExternalId, Lookup};
use crate::http::Expiry;
use crate::kept::Slot;
use crate::{
    KeptDirectories, LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Update,
    Version, WatchEnd, WatchObserver,
};

use catch_panic::catch_library_panic;
use connection::Connector;
use digests::EntryDigests;
pub use error::{Answer, LdapFailure, Stage};
pub use framing::ProtocolViolation;
use kept::KeptDirectory;
use refresh::Doubt;
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
    memory: Arc<KeptDirectories>,
    /// What the last read saw.
    kept: Arc<Slot<KeptDirectory>>,
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
        let memory = Arc::<KeptDirectories>::default();
        Ok(Self {
            settings,
            connector,
            digests: EntryDigests::default(),
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

    /// Where the directory stands that is kept, by the day on which it was read. What a day makes of an account
    /// (`shadowExpire`) counts as a change, too.
    fn version(kept: &KeptDirectory, day: i64) -> Version {
        Version(format!("{} on day {day}", kept.revision))
    }

    async fn update(
        &self,
        known: Option<&Version>,
        progress: &ReadProgress,
    ) -> Result<Option<Update>, Doubt> {
        // Whatever comes in between, nothing is left then that isn't known to be right.
        let Some(mut kept) = self.kept.take() else {
            return Ok(None);
        };
        if kept.is_old() {
            return Ok(None);
        }
        let (connector, settings) = (&self.connector, &self.settings);
        let read_now = changes::update(connector, settings, &self.digests, &mut kept).await?;
        let version = Self::version(&kept, today());
        let update = if known == Some(&version) {
            Update::Unchanged
        } else {
            let directory = changes::directory(settings, &kept, read_now, progress).await?;
            Update::Changed { directory, version }
        };
        self.kept.put(kept);
        Ok(Some(update))
    }
}

/// The day, counted from 1970.
fn today() -> i64 {
    Timestamp::now().as_second().div_euclid(24 * 60 * 60)
}

impl Source for LdapSource {
    fn read<'a>(
        &'a self,
        _known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        let read = async {
            // Before the read: who is disabled is judged by the day on which it begins.
            let day = today();
            // Two of them at once would take twice the memory.
            self.forget();
            let (connector, settings, digests) = (&self.connector, &self.settings, &self.digests);
            let memory = self.memory.is_enabled().then(|| self.memory.reservation());
            let read = read::read(connector, settings, digests, memory, progress);
            let read = catch_library_panic(read).await;
            let (directory, kept) = read.unwrap_or_else(|| {
                Err(LdapFailure::Malformed {
                    tried: format!("reading from {}", self.describe()),
                })
            })?;
            let version = kept.as_ref().map(|kept| Self::version(kept, day));
            if let Some(kept) = kept {
                self.kept.put(kept);
            }
            Ok(Reading::Full { directory, version })
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
            let update = update.unwrap_or(Err(Doubt::Unexpected("a message isn't LDAP")));
            update.unwrap_or_else(|why| {
                let why = why.reason();
                tracing::info!(
                    why,
                    "everything is read, because it is in doubt what has changed"
                );
                None
            })
        };
        read.boxed()
    }

    fn forget(&self) {
        self.kept.take();
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
