//! Notices changes between reads, by the number of a controller's last change.
//!
//! A USN counts the changes on one controller. While it stays, nothing happened there; where it moved, the
//! people and groups are asked for whose own number (`uSNChanged`) is higher. Whoever was deleted has no
//! such number any more: that is noticed by the scheduled run.

use std::convert::Infallible;
use std::sync::Mutex;

use tokio::time::sleep;

use super::domain_controller::{Controllers, Session};
use super::error::ActiveDirectoryFailure;
use super::read::{Reader, read_entries};
use super::settings::ActiveDirectorySettings;
use super::users::PEOPLE;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId};
use crate::ldap::digests::{EntryDigests, names};
use crate::ldap::entry::{Entry, generalized_time};
use crate::ldap::search::Next;
use crate::{Hint, ReadProgress, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// More changed people than this are read whole.
const MOST_CHANGED: usize = 100;

/// Where the controller of the last read stood when that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRead {
    /// Which controller it was (`dsServiceName`).
    pub service: String,
    /// The number of its last change.
    pub usn: u64,
}

/// Watches until that fails. `last_read` is where the last read began.
pub async fn watch(
    controllers: &Controllers,
    settings: &ActiveDirectorySettings,
    digests: &EntryDigests,
    last_read: Option<LastRead>,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    let watch = Watch {
        controllers,
        settings,
        digests,
        observer,
    };
    match watch.execute(last_read).await {
        Ok(never) => match never {},
        Err(None) => WatchEnd::Unsupported(
            "the controller doesn't tell the number of its last change".into(),
        ),
        Err(Some(failure)) => WatchEnd::Lost(SourceError::from(failure)),
    }
}

struct Watch<'a> {
    controllers: &'a Controllers,
    settings: &'a ActiveDirectorySettings,
    digests: &'a EntryDigests,
    observer: &'a dyn WatchObserver,
}

impl Watch<'_> {
    async fn execute(
        &self,
        last_read: Option<LastRead>,
    ) -> Result<Infallible, Option<ActiveDirectoryFailure>> {
        let mut session = self.controllers.first().await?;
        let service = session.root.service.clone();
        let now = session
            .root
            .usn()
            .filter(|_| !service.is_empty())
            .ok_or(None)?;
        self.digests.watch();
        let mut known = match last_read {
            Some(read) if read.service == service && read.usn <= now => read.usn,
            // The numbers of another controller, or of a restored one, say nothing here.
            _ => {
                self.observer.changed(Hint::default());
                now
            }
        };
        self.observer
            .watching(WatchMethod::Poll(self.settings.poll_interval));
        loop {
            let now = session.root.usn().ok_or(None)?;
            if now < known || session.root.service != service {
                self.observer.changed(Hint::default());
            } else if now > known {
                self.tell_of_changes(&mut session, known + 1).await?;
            }
            known = now;
            sleep(self.settings.poll_interval).await;
            session.root = self.controllers.root(&mut session.connection).await?;
        }
    }

    /// Tells of what has changed from this number on.
    async fn tell_of_changes(
        &self,
        session: &mut Session,
        first: u64,
    ) -> Result<(), ActiveDirectoryFailure> {
        let (builder, progress) = (Mutex::new(DirectoryBuilder::new()), ReadProgress::default());
        let reader = Reader::new(self.settings, &session.root.domain, &builder, &progress);
        let groups = reader.reads_groups();
        let filter = format!("(&(objectCategory=group)(uSNChanged>={first}))");
        let nothing = ["1.1".to_owned()];
        let mut search = reader.search("changed groups", reader.root(), &filter, &nothing);
        search.page_size = 1;
        let mut has_changed = false;
        if groups {
            read_entries(&mut session.connection, &search, |_| {
                has_changed = true;
                Ok(Next::Stop)
            })
            .await?;
        }
        if has_changed {
            self.observer.changed(Hint::default());
        }
        let attributes = reader.user_attributes();
        let compared = names(&reader.compared_attributes());
        let filter = format!("(&{PEOPLE}(uSNChanged>={first}))");
        let mut changed: Vec<Hint> = vec![];
        for base in reader.bases(&self.settings.users.search_bases) {
            let search = reader.search("changed people", base, &filter, &attributes);
            read_entries(&mut session.connection, &search, |entry| {
                if !self.digests.is_as_read(entry, &compared) {
                    changed.push(hint(&reader, entry));
                }
                Ok(match changed.len() < MOST_CHANGED {
                    true => Next::Continue,
                    false => Next::Stop,
                })
            })
            .await?;
        }
        if changed.len() >= MOST_CHANGED {
            self.observer.changed(Hint::default());
            return Ok(());
        }
        changed
            .into_iter()
            .for_each(|hint| self.observer.changed(hint));
        Ok(())
    }
}

/// What a changed entry says: when, and whether somebody seems to have left.
fn hint(reader: &Reader<'_>, entry: Entry<'_>) -> Hint {
    Hint {
        changed: entry
            .values(&reader.names.changed)
            .find_map(generalized_time),
        leaver: leaver(reader, entry),
    }
}

fn leaver(reader: &Reader<'_>, entry: Entry<'_>) -> Option<ExternalId> {
    let user = reader.one_user(entry).ok()??;
    (user.state == AccountState::Disabled).then_some(user.id)
}
