//! Tells whether anything happened on a controller.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::domain_controller::{Controllers, RootDse, Session, base_search};
use super::error::ActiveDirectoryFailure;
use super::identity;
use super::read::read_entries;
use super::settings::ActiveDirectorySettings;
use crate::Version;
use crate::http::Unobserved;
use crate::ldap::LdapFailure;
use crate::ldap::connection::Connection;
use crate::ldap::entry::AttributeName;
use crate::ldap::search::Next;

/// How long a controller is taken for the one it was without looking at its invocation id again.
const SAME: Duration = Duration::from_secs(60 * 60);

/// Where a controller stands, and in which of its lives it is.
#[derive(Debug, Clone)]
pub struct Stand {
    /// What to give to the next read.
    pub version: Version,
    /// The controller's invocation id.
    pub invocation: String,
}

impl Controllers {
    /// Where the controller stands: taken before a read, it tells at the next one whether anything
    /// happened since. `None` where the controller doesn't say all that it takes.
    ///
    /// A USN counts the changes on one controller, and goes back when that is restored from a backup;
    /// it then takes another invocation id (MS-ADTS 3.1.1.1.9). So both stand in the version, with the
    /// controller's name and everything of the settings that decides what is read.
    ///
    /// The root entry has the USN but not the id. Where the USN moved, the id doesn't matter: a read
    /// follows either way. Where it didn't, a restored controller must have come to the very number it
    /// had before, and that between two of our looks; so for [`SAME`] the id is taken to be what it
    /// was, and that the domain is unchanged takes the root entry alone.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn version(
        &self,
        session: &mut Session,
        known: Option<&Version>,
    ) -> Result<Option<Stand>, ActiveDirectoryFailure> {
        let RootDse {
            service,
            highest_usn,
            ..
        } = &session.root;
        if service.is_empty() || highest_usn.is_empty() {
            return Ok(None);
        }
        let stand = |root: &RootDse, invocation: String| Stand {
            version: cursor(root, &invocation, &self.settings),
            invocation,
        };
        if let Some(seen) = self.seen.of(service) {
            let stand = stand(&session.root, seen);
            if known == Some(&stand.version) {
                return Ok(Some(stand));
            }
        }
        let id = self.invocation(session).await?;
        Ok(id.map(|id| stand(&session.root, id)))
    }

    /// The invocation id that the controller had when it was last asked for, if that isn't long ago; else as
    /// [`invocation`](Self::invocation).
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn invocation_lately(
        &self,
        session: &mut Session,
    ) -> Result<Option<String>, ActiveDirectoryFailure> {
        match self.seen.of(&session.root.service) {
            Some(id) => Ok(Some(id)),
            None => self.invocation(session).await,
        }
    }

    /// The controller's invocation id; `None` where that can't be seen.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn invocation(
        &self,
        session: &mut Session,
    ) -> Result<Option<String>, ActiveDirectoryFailure> {
        let service = session.root.service.clone();
        let id = self
            .ask_invocation(&mut session.connection, &service)
            .await?;
        let seen = id.clone().map(|id| Invocation {
            service,
            id,
            asked: Instant::now(),
        });
        self.seen.put(seen);
        Ok(id)
    }

    async fn ask_invocation(
        &self,
        connection: &mut Connection,
        service: &str,
    ) -> Result<Option<String>, ActiveDirectoryFailure> {
        let invocation = AttributeName::new("invocationId");
        let attributes = ["invocationId".to_owned()];
        let what = "the controller's own entry";
        let search = base_search(&self.settings, what, service, &attributes);
        let mut id = None;
        let read = read_entries(connection, &search, |entry| {
            id = entry.bytes(&invocation).and_then(identity::guid);
            Ok(Next::Continue)
        });
        match read.await {
            Ok(()) => Ok(id),
            // It may be hidden from the account. Then every read is a full one.
            Err(ActiveDirectoryFailure::Ldap(LdapFailure::Refused { .. })) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// The controller whose invocation id was seen last.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Option<Invocation>>);

/// Which of its lives a controller is in: it takes another id when it is restored.
#[derive(Debug, Clone)]
struct Invocation {
    /// The DN of the controller's NTDS settings (`dsServiceName`).
    service: String,
    id: String,
    asked: Instant,
}

impl Invocation {
    /// Whether the controller is taken for the one whose id this is.
    fn holds_for(&self, service: &str, now: Instant) -> bool {
        self.service == service && now.duration_since(self.asked) < SAME
    }
}

impl Seen {
    /// The id that this controller had lately.
    fn of(&self, service: &str) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref()?;
        seen.holds_for(service, Instant::now())
            .then(|| seen.id.clone())
    }

    fn put(&self, seen: Option<Invocation>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Forgets who was there: who can't be reached may be another one when they are back.
    pub fn forget(&self) {
        self.put(None);
    }
}

fn cursor(root: &RootDse, invocation: &str, settings: &ActiveDirectorySettings) -> Version {
    let RootDse {
        service,
        highest_usn,
        ..
    } = root;
    // Who observes requests doesn't matter, and passwords print as nothing; what is left
    // decides what is read.
    let settings = ActiveDirectorySettings {
        observer: Arc::new(Unobserved),
        ..settings.clone()
    };
    let settings = Sha256::digest(format!("{settings:?}"));
    let settings = HEXLOWER.encode(&settings[..8]);
    Version(format!(
        "usn {highest_usn} of {invocation} at {service}, {settings}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::active_directory::{Domain, DomainControllerLocation};
    use crate::ldap::Bind;

    #[test]
    fn an_invocation_id_is_one_controllers_and_is_looked_at_again_within_the_hour() {
        let seen = Invocation {
            service: "CN=NTDS Settings,CN=DC1".into(),
            id: "one".into(),
            asked: Instant::now(),
        };
        let later = |minutes: u64| seen.asked + Duration::from_secs(60 * minutes);
        assert!(seen.holds_for(&seen.service, later(59)));
        assert!(!seen.holds_for(&seen.service, later(60)));
        assert!(!seen.holds_for("CN=NTDS Settings,CN=DC2", later(0)));
    }

    #[test]
    fn another_controller_a_restored_one_or_another_spec_never_looks_unchanged() {
        let settings = |password: &str| {
            let location = DomainControllerLocation::Domain(Domain {
                name: "corp.example.com".into(),
                name_server: None,
            });
            let mut settings = ActiveDirectorySettings::new(location);
            settings.bind = Bind::Simple {
                dn: "reader".into(),
                password: password.into(),
            };
            settings
        };
        let root = RootDse {
            service: "CN=NTDS Settings,CN=DC1".into(),
            highest_usn: "1000".into(),
            ..RootDse::default()
        };
        let known = cursor(&root, "one", &settings("old"));
        assert_eq!(cursor(&root, "one", &settings("new")), known);

        let other_controller = RootDse {
            service: "CN=NTDS Settings,CN=DC2".into(),
            ..root.clone()
        };
        let later = RootDse {
            highest_usn: "1001".into(),
            ..root.clone()
        };
        let mut forest = settings("old");
        forest.global_catalog = true;
        for other in [
            cursor(&other_controller, "one", &settings("old")),
            cursor(&later, "one", &settings("old")),
            cursor(&root, "another", &settings("old")),
            cursor(&root, "one", &forest),
        ] {
            assert_ne!(other, known);
        }
    }
}
