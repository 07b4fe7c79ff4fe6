//! Notices changes between reads: the server sends them (RFC 4533, as OpenLDAP's `syncprov` does), or is
//! asked for the number of its last change (`contextCSN`).
//!
//! Where entries moved, only a hint comes of it. A deletion isn't told from an entry that left the filter
//! (RFC 4533, 1.3), so that even a notice of one is no evidence that somebody is gone.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use ldap3::controls::{RawControl, RefreshMode, SyncRequest};
use ldap3::{LdapError, ResultEntry};
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Connection, Connector};
use super::csn::csn_time;
use super::database::{Root, last_changes};
use super::digests::{EntryDigests, names};
use super::element::{constructed, primitive};
use super::entry::{AttributeName, Entry};
use super::error::{LdapFailure, Stage};
use super::framing;
use super::persistent::{self, Entries, Pace};
use super::read::{UserReader, group_search, user_search};
use super::search::Search;
use super::settings::LdapSettings;
use crate::directory::{AccountState, DirectoryBuilder, ExternalId};
use crate::text::sanitize;
use crate::{Hint, SourceError, WatchEnd, WatchMethod, WatchObserver};

/// What is said of each entry that is sent (RFC 4533, 2.3).
const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";

/// After so long without a message a connection is tried: a firewall may have forgotten it.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// By how much the server's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(10);
/// People's entries are small, and of groups nothing is asked for.
const MAX_MESSAGE: usize = 256 << 10;

/// Why there is no watch.
enum Failure {
    Unsupported(String),
    Ldap(LdapFailure),
}

impl From<LdapFailure> for Failure {
    fn from(failure: LdapFailure) -> Self {
        Self::Ldap(failure)
    }
}

/// Watches people and groups until that fails. A hint at the start where something changed `since` then.
pub async fn watch(
    settings: &LdapSettings,
    digests: &EntryDigests,
    since: Timestamp,
    observer: &dyn WatchObserver,
) -> WatchEnd {
    let watch = Watch {
        settings,
        digests,
        since,
        observer,
    };
    let is_watching = AtomicBool::new(false);
    match watch.execute(&is_watching).await {
        Ok(never) => match never {},
        Err(Failure::Unsupported(why)) => WatchEnd::Unsupported(why),
        // What the account may not ask for, or the server doesn't know, it won't know the next time.
        Err(Failure::Ldap(
            refused @ LdapFailure::Refused {
                stage: Stage::Search,
                ..
            },
        )) if !is_watching.into_inner() => WatchEnd::Unsupported(refused.to_string()),
        Err(Failure::Ldap(failure)) => WatchEnd::Lost(SourceError::from(failure)),
    }
}

struct Watch<'a> {
    settings: &'a LdapSettings,
    digests: &'a EntryDigests,
    since: Timestamp,
    observer: &'a dyn WatchObserver,
}

impl Watch<'_> {
    async fn execute(&self, watching: &AtomicBool) -> Result<Infallible, Failure> {
        let connector = Connector::new(self.settings)?.with_max_message(MAX_MESSAGE);
        let (mut connection, _) = connector.first().await?;
        let root = Root::read(&mut connection, self.settings).await?;
        let attributes = UserReader::new(self.settings).attributes();
        let nothing = ["1.1".to_owned()];
        let mut searches = vec![user_search(self.settings, &attributes)];
        if let Some(groups) = &self.settings.groups {
            searches.push(group_search(self.settings, groups, &nothing));
        }
        let mut contexts = vec![];
        for search in &searches {
            let context = root.context(search.base);
            let changes = last_changes(&mut connection, self.settings, context).await?;
            if changes.is_empty() {
                return Err(Failure::Unsupported(format!(
                    "the bind account can read no contextCSN at {:?}: changes are noticed between two \
                     runs where the server has the overlay syncprov and lets the account read it",
                    sanitize(context)
                )));
            }
            contexts.push(Context {
                dn: context.to_owned(),
                changes,
            });
        }
        self.digests.watch();
        let changed = contexts.iter().filter_map(Context::changed).max();
        if changed.is_none_or(|changed| {
            changed
                .saturating_add(SKEW)
                .is_ok_and(|at| at >= self.since)
        }) {
            self.observer.changed(Hint::of(changed));
        }
        match root.sends_changes {
            true => {
                self.stream(connection, &searches, &contexts, watching)
                    .await
            }
            false => {
                watching.store(true, Ordering::Relaxed);
                self.poll(connection, contexts).await
            }
        }
    }

    async fn poll(
        &self,
        mut connection: Connection,
        mut contexts: Vec<Context>,
    ) -> Result<Infallible, Failure> {
        contexts.dedup_by(|one, other| one.dn == other.dn);
        // However many databases there are, as many requests a minute.
        let between = self.settings.poll_interval.mul_f64(contexts.len() as f64);
        self.observer.watching(WatchMethod::Poll(between));
        loop {
            sleep(between).await;
            for context in &mut contexts {
                let changes = last_changes(&mut connection, self.settings, &context.dn).await?;
                if changes != context.changes {
                    context.changes = changes;
                    let changed = context.changed();
                    self.observer.changed(Hint::of(changed));
                }
            }
        }
    }

    async fn stream(
        &self,
        mut connection: Connection,
        searches: &[Search<'_>],
        contexts: &[Context],
        watching: &AtomicBool,
    ) -> Result<Infallible, Failure> {
        let mut streams = vec![];
        for (search, context) in searches.iter().zip(contexts) {
            streams.push(Changes::start(&mut connection, search, context).await?);
        }
        let refreshed_by = Instant::now() + self.settings.search_timeout;
        let mut pace = Pace::new(&connection);
        let mut is_watching = false;
        loop {
            let wait = async {
                match is_watching {
                    true => sleep(KEEP_ALIVE).await,
                    false => sleep_until(refreshed_by).await,
                }
            };
            let next = connection.stream.during(async {
                tokio::select! {
                    (at, message) = next(&mut streams) => Some((at, message)),
                    () = wait => None,
                }
            });
            let Some((at, message)) = next.await else {
                if !is_watching {
                    let tried = searches[0].tried(&connection.server);
                    let limit = self.settings.search_timeout;
                    return Err(LdapFailure::TooSlow { tried, limit }.into());
                }
                last_changes(&mut connection, self.settings, &contexts[0].dn).await?;
                continue;
            };
            let stream = &mut streams[at];
            match message {
                Ok(Some(message)) => self.take(stream, &message),
                Ok(None) => {
                    let result = stream.entries.finish().await;
                    let (search, tried) = (&searches[at], searches[at].tried(&connection.server));
                    return Err(match result.rc {
                        0 => LdapFailure::Lost { tried, cause: None },
                        _ => LdapFailure::refused(tried, Stage::Search, &result, search.base),
                    }
                    .into());
                }
                Err(error) => {
                    let tried = searches[at].tried(&connection.server);
                    let failure = connection.stream.failure(tried, error, KEEP_ALIVE);
                    return Err(failure.into());
                }
            }
            if !is_watching && streams.iter().all(|stream| stream.is_refreshed) {
                is_watching = true;
                watching.store(true, Ordering::Relaxed);
                self.observer.watching(WatchMethod::Stream);
            }
            pace.keep().await;
        }
    }

    fn take(&self, stream: &mut Changes, message: &ResultEntry) {
        match Notice::of(message) {
            Notice::Refreshed => stream.is_refreshed = true,
            Notice::Other => {}
            Notice::Moved(changed) => self.observer.changed(Hint::of(changed)),
            Notice::Entry(entry, changed) => {
                let matters = stream.attributes.is_empty()
                    || !self.digests.is_as_read(entry, &stream.attributes);
                if matters {
                    let is_person = !stream.attributes.is_empty();
                    let leaver = is_person.then(|| self.leaver(entry)).flatten();
                    self.observer.changed(Hint { changed, leaver });
                }
            }
        }
    }
}

impl Watch<'_> {
    /// Who has a disabled account by this entry.
    fn leaver(&self, entry: Entry<'_>) -> Option<ExternalId> {
        let mut builder = DirectoryBuilder::with_shareable_ids();
        UserReader::new(self.settings).add(entry, &mut builder);
        let read = builder.finish().into_inner();
        let user = read.users.into_iter().next()?;
        (user.state == AccountState::Disabled).then_some(user.id)
    }
}

/// A database, and where it stood.
struct Context {
    dn: String,
    /// The number of the last change on each of its servers, in order.
    changes: Vec<String>,
}

impl Context {
    /// When it changed last, by the clocks of its servers.
    fn changed(&self) -> Option<Timestamp> {
        self.changes.iter().filter_map(|csn| csn_time(csn)).max()
    }

    /// The cookie of a client that has seen all of that: only what comes after it is sent.
    fn cookie(&self) -> Vec<u8> {
        format!("rid=000,csn={}", self.changes.join(";")).into_bytes()
    }
}

/// One search whose changes the server sends.
struct Changes {
    entries: Entries,
    /// The attributes that decide whether a change matters; none: every change does.
    attributes: Vec<AttributeName>,
    /// What changed before the search began has been sent.
    is_refreshed: bool,
}

impl Changes {
    async fn start(
        connection: &mut Connection,
        search: &Search<'_>,
        context: &Context,
    ) -> Result<Self, LdapFailure> {
        let mut control = RawControl::from(SyncRequest {
            mode: RefreshMode::RefreshAndPersist,
            cookie: Some(context.cookie()),
            reload_hint: false,
        });
        // A server that doesn't know it would send everything, and then nothing more.
        control.crit = true;
        let entries = persistent::start(connection, search, vec![control]).await?;
        let is_asked = search.attributes.iter().all(|name| name != "1.1");
        Ok(Self {
            entries,
            attributes: match is_asked {
                true => names(search.attributes),
                false => vec![],
            },
            is_refreshed: false,
        })
    }
}

/// The next message of any of the searches, and of which.
async fn next(streams: &mut [Changes]) -> (usize, Result<Option<ResultEntry>, LdapError>) {
    let waiting = streams
        .iter_mut()
        .enumerate()
        .map(|(at, stream)| Box::pin(async move { (at, stream.entries.next().await) }));
    // Taking a message off the queue is one step: what isn't ready is dropped without a loss.
    futures::future::select_all(waiting).await.0
}

/// What a message says.
#[derive(Debug)]
enum Notice<'a> {
    /// Everything up to now was sent.
    Refreshed,
    /// This entry is new, or was changed.
    Entry(Entry<'a>, Option<Timestamp>),
    /// Something else happened to entries: they were deleted, or left the filter.
    Moved(Option<Timestamp>),
    /// Nothing.
    Other,
}

impl<'a> Notice<'a> {
    fn of(message: &'a ResultEntry) -> Self {
        if message.is_intermediate() {
            return Self::of_info(message).unwrap_or(Self::Moved(None));
        }
        let control = message
            .1
            .iter()
            .find(|control| control.1.ctype == SYNC_STATE);
        let value = control.and_then(|control| control.1.val.as_deref());
        let state = value.and_then(framing::decode);
        let parts = state.as_ref().and_then(constructed).unwrap_or_default();
        let cookie = parts.get(2).and_then(primitive);
        let changed = cookie.and_then(cookie_time);
        match (parts.first().and_then(primitive), Entry::of(&message.0)) {
            // Present: as it was.
            (Some([0]), _) => Self::Other,
            (Some([1 | 2]), Some(entry)) => Self::Entry(entry, changed),
            _ => Self::Moved(changed),
        }
    }

    /// A Sync Info Message (RFC 4533, 2.5); `None` where it isn't one.
    fn of_info(message: &ResultEntry) -> Option<Self> {
        let parts = constructed(&message.0)?;
        let value = parts.iter().find(|part| part.id == 1).and_then(primitive)?;
        let info = framing::decode(value)?;
        Some(match info.id {
            // A new cookie alone.
            0 => Self::Other,
            // The end of a phase, of the whole refresh unless it says otherwise.
            1 | 2 => match constructed(&info)?.iter().find(|part| part.id == 1) {
                Some(done) if primitive(done)? == [0] => Self::Other,
                _ => Self::Refreshed,
            },
            // Entries that are there still, or that aren't any more.
            _ => Self::Moved(None),
        })
    }
}

/// When the last of the changes was made that a cookie stands for.
fn cookie_time(cookie: &[u8]) -> Option<Timestamp> {
    let cookie = std::str::from_utf8(cookie).ok()?;
    let changes = cookie
        .split(',')
        .find_map(|part| part.strip_prefix("csn="))?;
    changes.split(';').filter_map(csn_time).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_cookie_is_that_of_the_last_change() {
        let at: Timestamp = "2026-11-30T02:41:15.123456Z".parse().unwrap();
        let cookie = b"rid=000,sid=001,csn=20261130024110.0Z#0#1#0;20261130024115.123456Z#0#2#0";
        assert_eq!(cookie_time(cookie), Some(at));
        assert_eq!(cookie_time(b"rid=000"), None);
    }
}
