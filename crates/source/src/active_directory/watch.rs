//! Notices changes between reads: the controller tells of them (MS-ADTS 3.1.1.3.4.1.9), and is asked for the
//! number of its last change.
//!
//! A notice has the whole entry. Who was there at the last read is told by it alone. Of anybody else it isn't
//! known whether they are read at all: the controller is asked, as it is for what no notice told.
//!
//! A USN counts the changes on one controller. While it stays, nothing happened there; where it moved, the
//! people and groups are asked for whose own number (`uSNChanged`) is higher. Whoever was deleted has no
//! such number any more: a notice tells, where the account may see deleted entries, else the scheduled run.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ldap3::ResultEntry;
use ldap3::controls::RawControl;
use tokio::time::{Instant, sleep_until};

use super::domain_controller::{Controllers, Session};
use super::error::ActiveDirectoryFailure;
use super::read::{Reader, read_entries};
use super::settings::ActiveDirectorySettings;
use super::users::PEOPLE;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId};
use crate::ldap::digests::{EntryDigests, names};
use crate::ldap::entry::{AttributeName, Entry, generalized_time};
use crate::ldap::persistent::{Heard, Pace, PersistentSearch};
use crate::ldap::search::{Next, Search};
use crate::text::sanitize;
use crate::{Hint, ReadProgress, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// More changed people than this are read whole.
const MOST_CHANGED: usize = 100;
/// LDAP_SERVER_NOTIFICATION_OID: every entry below the base is sent when it changes. The base must be the
/// domain and the filter this one, and there are five on a connection at most.
const NOTIFICATION: &str = "1.2.840.113556.1.4.528";
const ANY_ENTRY: &str = "(objectClass=*)";
/// LDAP_SERVER_SHOW_DELETED_OID: deleted entries are sent, too, to accounts that may see them.
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// Between two questions because of notices: a domain in which others change all the time isn't asked all
/// the time.
const BETWEEN: Duration = Duration::from_secs(5);
/// Where a question tells first that somebody seems to have left, because no notice does or because it is late (those
/// of Samba are, by up to five seconds), the next ones come so quickly, for so long: more may be leaving.
const EAGER: Duration = Duration::from_secs(1);
const WHILE_LEAVING: Duration = Duration::from_secs(60);
/// So long after a question told of a change, or longer, a notice of it is known as one.
const LATE: Duration = Duration::from_secs(10);

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
    notices: &NoticesWork,
    last_read: Option<LastRead>,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    let watch = Watch {
        controllers,
        settings,
        digests,
        notices,
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
    notices: &'a NoticesWork,
    observer: &'a dyn WatchObserver,
}

/// Whether the next watch asks for notices: not where the last one was lost by that. Something between that
/// waits for the end of an answer before it passes on another request can't have notices through.
#[derive(Debug)]
pub struct NoticesWork(AtomicBool);

impl Default for NoticesWork {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
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
        let mut notices = Notices::default();
        // A notice is about one domain: a global catalog isn't asked for any.
        if self.notices.0.swap(false, Ordering::Relaxed) && !self.settings.global_catalog {
            notices.search = Some(self.begin_notices(&mut session).await?);
        }
        // What happened before the notices began, and whether others are answered beside them.
        session.root = self.controllers.root(&mut session.connection).await?;
        self.notices.0.store(true, Ordering::Relaxed);
        let mut pace = Pace::new(&session.connection);
        if notices.search.is_none() {
            self.poll();
        } else {
            self.observer.watching(WatchMethod::Stream);
        }
        let mut eager_until = Instant::now();
        loop {
            let now = session.root.usn().ok_or(None)?;
            if now < known || session.root.service != service {
                self.observer.changed(Hint::default());
            } else if now > known
                && self
                    .tell_of_changes(&mut session, known + 1, &mut notices.told)
                    .await?
            {
                eager_until = Instant::now() + WHILE_LEAVING;
            }
            known = now;
            let asked = Instant::now();
            notices.told.turn(asked);
            let mut next = asked
                + match asked < eager_until {
                    true => self.settings.poll_interval.min(EAGER),
                    false => self.settings.poll_interval,
                };
            while let Some(search) = &mut notices.search {
                match search.listen(&mut session.connection, next).await {
                    Ok(Heard::Nothing) => break,
                    Ok(Heard::Message(message)) => {
                        if self.take(&session.root.domain, &message, &mut notices.told)
                            == Taken::Unknown
                        {
                            next = next.min(Instant::now().max(asked + BETWEEN));
                        }
                        pace.keep().await;
                        // However many notices there are.
                        if Instant::now() >= next {
                            break;
                        }
                    }
                    Ok(Heard::Ended(code, text)) => {
                        let text = sanitize(&text);
                        tracing::info!(
                            code,
                            text,
                            "the controller tells of no changes; it is asked"
                        );
                        notices.search = None;
                        self.poll();
                    }
                    Err(failure) => return Err(Some(failure.into())),
                }
            }
            sleep_until(next).await;
            session.root = self.controllers.root(&mut session.connection).await?;
        }
    }

    fn poll(&self) {
        let every = self.settings.poll_interval;
        self.observer.watching(WatchMethod::Poll(every));
    }

    /// Asks the controller to tell of changes.
    async fn begin_notices(
        &self,
        session: &mut Session,
    ) -> Result<PersistentSearch, ActiveDirectoryFailure> {
        let (builder, progress) = (Mutex::default(), ReadProgress::default());
        let reader = Reader::new(self.settings, &session.root.domain, &builder, &progress);
        let mut attributes = reader.user_attributes();
        attributes.extend(["objectClass", "isDeleted", "uSNChanged"].map(str::to_owned));
        let search = Search {
            page_size: 0,
            ..reader.search("changes", reader.root(), ANY_ENTRY, &attributes)
        };
        let control = |oid: &str, crit| RawControl {
            ctype: oid.to_owned(),
            crit,
            val: None,
        };
        let mut controls = search.controls.to_vec();
        // A controller that doesn't know it would send everything there is, once.
        controls.push(control(NOTIFICATION, true));
        controls.push(control(SHOW_DELETED, false));
        Ok(PersistentSearch::start(&mut session.connection, &search, controls).await?)
    }

    /// Tells of the change in a notice, if that is known by itself to matter.
    fn take(&self, domain: &str, message: &ResultEntry, told: &mut ToldChanges) -> Taken {
        let (builder, progress) = (Mutex::default(), ReadProgress::default());
        let reader = Reader::new(self.settings, domain, &builder, &progress);
        let Some(entry) = Entry::of(&message.0).filter(|_| !message.is_intermediate()) else {
            return Taken::Unknown;
        };
        let [classes, deleted] = ["objectClass", "isDeleted"].map(AttributeName::new);
        let is = |class: &str| {
            entry
                .values(&classes)
                .any(|one| one.eq_ignore_ascii_case(class))
        };
        let (is_person, is_group) = (is("user") && !is("computer"), is("group"));
        let number = usn(&reader, entry);
        if number.is_some_and(|usn| told.contains(usn)) {
            return Taken::Told;
        }
        let hint = if is_group && reader.reads_groups() {
            Some(Hint::default())
        } else if !is_person && entry.has(&classes) {
            None
        } else if is_person && entry.values(&deleted).any(|value| value == "TRUE") {
            Some(Hint::default())
        } else if self
            .digests
            .is_as_read(entry, &names(&reader.compared_attributes()))
        {
            None
        } else if self.digests.is_known(entry) {
            Some(hint(&reader, entry))
        } else {
            return Taken::Unknown;
        };
        told.add(number);
        if let Some(hint) = hint {
            self.observer.changed(hint);
        }
        Taken::Told
    }

    /// Tells of what has changed from this number on, but for what was told by notices. Whether somebody seems to have
    /// left by that.
    async fn tell_of_changes(
        &self,
        session: &mut Session,
        first: u64,
        told: &mut ToldChanges,
    ) -> Result<bool, ActiveDirectoryFailure> {
        let (builder, progress) = (Mutex::new(DirectoryBuilder::new()), ReadProgress::default());
        let reader = Reader::new(self.settings, &session.root.domain, &builder, &progress);
        let filter = format!("(&(objectCategory=group)(uSNChanged>={first}))");
        let number = [reader.names.usn.as_str().to_owned()];
        let search = reader.search("changed groups", reader.root(), &filter, &number);
        let mut has_changed = false;
        if reader.reads_groups() {
            read_entries(&mut session.connection, &search, |entry| {
                let number = usn(&reader, entry);
                has_changed |= number.is_none_or(|usn| !told.contains(usn));
                told.add(number);
                Ok(Next::Continue)
            })
            .await?;
        }
        if has_changed {
            self.observer.changed(Hint::default());
        }
        let mut attributes = reader.user_attributes();
        attributes.extend(number.clone());
        let compared = names(&reader.compared_attributes());
        let filter = format!("(&{PEOPLE}(uSNChanged>={first}))");
        let mut changed: Vec<Hint> = vec![];
        for base in reader.bases(&self.settings.users.search_bases) {
            let search = reader.search("changed people", base, &filter, &attributes);
            read_entries(&mut session.connection, &search, |entry| {
                let number = usn(&reader, entry);
                let is_told = number.is_some_and(|usn| told.contains(usn));
                if !is_told && !self.digests.is_as_read(entry, &compared) {
                    changed.push(hint(&reader, entry));
                    told.add(number);
                }
                Ok(match changed.len() < MOST_CHANGED {
                    true => Next::Continue,
                    false => Next::Stop,
                })
            })
            .await?;
        }
        let is_leaving = changed.iter().any(|hint| hint.leaver.is_some());
        if changed.len() >= MOST_CHANGED {
            self.observer.changed(Hint::default());
        } else {
            changed
                .into_iter()
                .for_each(|hint| self.observer.changed(hint));
        }
        Ok(is_leaving)
    }
}

/// What the controller tells by itself.
#[derive(Default)]
struct Notices {
    /// `None` where it doesn't.
    search: Option<PersistentSearch>,
    told: ToldChanges,
}

/// The numbers of the changes that were told of, by notices or because they were asked for: whatever comes in
/// both ways is told once. Each is kept for [`LATE`] and as long again at most.
#[derive(Default)]
struct ToldChanges {
    since: HashSet<u64>,
    before: HashSet<u64>,
    turned: Option<Instant>,
}

impl ToldChanges {
    fn contains(&self, usn: u64) -> bool {
        self.since.contains(&usn) || self.before.contains(&usn)
    }

    fn add(&mut self, usn: Option<u64>) {
        self.since.extend(usn);
    }

    /// It is now so late.
    fn turn(&mut self, now: Instant) {
        let turned = *self.turned.get_or_insert(now);
        if now.duration_since(turned) >= LATE {
            self.before = std::mem::take(&mut self.since);
            self.turned = Some(now);
        }
    }
}

/// What came of a notice.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    /// It was told, or doesn't matter.
    Told,
    /// The controller has to be asked.
    Unknown,
}

fn usn(reader: &Reader<'_>, entry: Entry<'_>) -> Option<u64> {
    let mut values = entry.values(&reader.names.usn);
    values.next().and_then(|value| value.parse().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_that_is_late_tells_nothing_new_however_often_the_controller_is_asked() {
        let (mut told, began) = (ToldChanges::default(), Instant::now());
        let turn = |told: &mut ToldChanges, seconds: u64| {
            told.turn(began + Duration::from_secs(seconds));
        };
        turn(&mut told, 0);
        told.add(Some(1));
        for seconds in 1..=9 {
            turn(&mut told, seconds);
            assert!(told.contains(1), "after {seconds} seconds");
        }
        told.add(Some(2));
        turn(&mut told, 10);
        assert!(told.contains(1) && told.contains(2));
        turn(&mut told, 19);
        assert!(told.contains(2));
        turn(&mut told, 20);
        assert!(
            !told.contains(1) && !told.contains(2),
            "they aren't kept for ever"
        );
    }
}
