//! Searches that go on: the server sends entries as they change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ldap3::controls::RawControl;
use ldap3::{ResultEntry, SearchOptions, SearchStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::Connection;
use super::error::LdapFailure;
use super::search::Search;

/// What the server sends.
pub(super) type Entries = SearchStream<'static, String, Vec<String>>;

/// Begins a search that a control makes go on. A refusal comes as its first message.
pub(super) async fn start(
    connection: &mut Connection,
    search: &Search<'_>,
    controls: Vec<RawControl>,
) -> Result<Entries, LdapFailure> {
    let mut ldap = connection.ldap.clone();
    let starting = ldap
        .with_controls(controls)
        .with_search_options(SearchOptions::new())
        .streaming_search(
            search.base,
            search.ldap_scope(),
            search.filter,
            search.attributes.to_vec(),
        );
    let starting = timeout(search.idle, starting);
    match connection.stream.during(starting).await {
        Ok(Ok(entries)) => Ok(entries),
        Ok(Err(error)) => {
            let tried = search.tried(&connection.server);
            Err(connection.stream.failure(tried, error, search.idle))
        }
        Err(_) => {
            let (tried, waited) = (search.tried(&connection.server), search.idle);
            Err(LdapFailure::Silent { tried, waited })
        }
    }
}

/// One search that goes on, beside others on its connection.
pub struct PersistentSearch {
    entries: Entries,
    /// What is tried, for messages.
    tried: String,
}

/// What was heard of a search.
pub enum Heard {
    /// An entry, or something else that the server sent.
    Message(Box<ResultEntry>),
    /// The server ended the search, with this code (RFC 4511, 4.1.9) and text.
    Ended(u32, String),
    /// Nothing, until the time was up.
    Nothing,
}

impl PersistentSearch {
    /// Begins it. A refusal is heard as its end.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn start(
        connection: &mut Connection,
        search: &Search<'_>,
        controls: Vec<RawControl>,
    ) -> Result<Self, LdapFailure> {
        Ok(Self {
            entries: start(connection, search, controls).await?,
            tried: search.tried(&connection.server),
        })
    }

    /// Listens until something is heard, or the time is up.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn listen(
        &mut self,
        connection: &mut Connection,
        until: Instant,
    ) -> Result<Heard, LdapFailure> {
        let entries = &mut self.entries;
        let began = Instant::now();
        let heard = connection.stream.during(async {
            tokio::select! {
                // What was sent is taken, be the time up.
                biased;
                message = entries.next() => Some(message),
                () = sleep_until(until) => None,
            }
        });
        match heard.await {
            None => Ok(Heard::Nothing),
            Some(Ok(Some(message))) => Ok(Heard::Message(Box::new(message))),
            Some(Ok(None)) => {
                let result = self.entries.finish().await;
                Ok(Heard::Ended(result.rc, result.text))
            }
            Some(Err(error)) => {
                let waited = began.elapsed();
                Err(connection.stream.failure(self.tried.clone(), error, waited))
            }
        }
    }
}

/// Keeps a server that sends without end from keeping us busy: what comes faster isn't taken from the
/// connection meanwhile.
pub struct Pace {
    received: Arc<AtomicU64>,
    counted: u64,
    /// What may be taken at once now, in units of a message and of a KiB.
    left: f64,
    at: Instant,
}

impl Pace {
    /// Units a second.
    const RATE: f64 = 200.0;
    /// Units at once, after a pause.
    const BURST: f64 = 2_000.0;

    /// The pace of what this connection brings.
    pub fn new(connection: &Connection) -> Self {
        let received = connection.stream.received();
        Self {
            counted: received.load(Ordering::Relaxed),
            received,
            left: Self::BURST,
            at: Instant::now(),
        }
    }

    /// A message was taken: waits where that is too much.
    pub async fn keep(&mut self) {
        let (bytes, now) = (self.received.load(Ordering::Relaxed), Instant::now());
        let spent = 1.0 + bytes.saturating_sub(self.counted) as f64 / 1_024.0;
        let refilled = self.left + now.duration_since(self.at).as_secs_f64() * Self::RATE;
        (self.counted, self.at) = (bytes, now);
        self.left = refilled.min(Self::BURST) - spent;
        if self.left < 0.0 {
            sleep(Duration::from_secs_f64(-self.left / Self::RATE)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_sends_without_end_is_listened_to_slowly() {
        let received = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        let mut pace = Pace {
            received: received.clone(),
            counted: 0,
            left: Pace::BURST,
            at: begun,
        };
        for _ in 0..1_000 {
            pace.keep().await;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "a change of many people"
        );
        for _ in 0..3_000 {
            received.fetch_add(10 << 10, Ordering::Relaxed);
            pace.keep().await;
        }
        let took = begun.elapsed().as_secs();
        assert!((150..170).contains(&took), "33,000 units took {took} s");
    }
}
