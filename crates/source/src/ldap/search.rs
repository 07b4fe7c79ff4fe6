//! A search read to its proven end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ldap3::controls::{PagedResults, RawControl};
use ldap3::{Ldap, LdapError, LdapResult, ResultEntry, Scope, SearchOptions};

use super::connection::Connection;
use super::element::{self, Element, constructed, primitive};
use super::entry::Entry;
use super::error::{LdapFailure, Stage, known_server};
use super::framing;
use super::relay::EntriesPast;
use crate::api::spec::LdapScope;
use crate::http::process_limits::{ProcessLimits, process_limits};
use crate::http::{CallOutcome, Observer, add_received};
use crate::text::sanitize;

/// The control for results in pages (RFC 2696).
pub const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// How often the bytes of a message are counted that isn't whole yet.
const COUNTED_EVERY: Duration = Duration::from_millis(50);

pub(super) type Entries<'a> = ldap3::SearchStream<'a, String, &'a [String]>;

/// A search with its limits; pages are asked for as it goes.
#[derive(Debug)]
pub struct Search<'a> {
    /// What the entries are, for messages: `users`.
    pub what: &'static str,
    /// The DN at which the search starts.
    pub base: &'a str,
    pub scope: LdapScope,
    pub filter: &'a str,
    /// The attributes to read of each entry.
    pub attributes: &'a [String],
    /// What else is said with the request, besides the paging.
    pub controls: &'a [RawControl],
    /// Entries a page; 0 for all at once.
    pub page_size: u32,
    /// Longest wait for the next message.
    pub idle: Duration,
    /// Longest time for all pages together.
    pub limit: Duration,
}

impl Search<'_> {
    /// What is tried, for messages.
    pub fn tried(&self, server: &str) -> String {
        format!(
            "reading {} below {:?} with the filter {} from {}",
            self.what,
            sanitize(self.base),
            sanitize(self.filter),
            server
        )
    }

    /// The scope, as the LDAP library calls it.
    pub(super) fn ldap_scope(&self) -> Scope {
        match self.scope {
            LdapScope::Subtree => Scope::Subtree,
            LdapScope::OneLevel => Scope::OneLevel,
            LdapScope::Base => Scope::Base,
        }
    }
}

/// Whether to go on after an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To the next entry.
    Continue,
    /// Enough was seen: nothing is claimed about the rest.
    Stop,
}

impl Connection {
    /// Gives every entry to `each`, page after page. Returns only when the server said that there
    /// is no more, or `each` had enough.
    ///
    /// # Errors
    /// Whatever leaves the list incomplete: any result but success, references to other servers, a
    /// lost or silent connection, a paging that stops in the middle; and what `each` objects to.
    pub async fn search(
        &mut self,
        search: &Search<'_>,
        mut each: impl FnMut(Entry<'_>) -> Result<Next, LdapFailure>,
    ) -> Result<(), LdapFailure> {
        let received = self.stream.received();
        let mut budget = Budget::new(&received, process_limits());
        let observer = &*self.observer;
        let pages = pages(
            &mut self.ldap,
            self.past_library.begin(),
            &self.server,
            observer,
            search,
            &mut budget,
            &mut each,
        );
        let limited = tokio::time::timeout(search.limit, pages);
        match self.stream.during(limited).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SearchError::Failed(failure))) => Err(failure),
            Ok(Err(SearchError::Library(error))) => {
                let tried = search.tried(&self.server);
                Err(self.stream.failure(tried, error, search.idle))
            }
            Err(_) => Err(LdapFailure::TooSlow {
                tried: search.tried(&self.server),
                limit: search.limit,
            }),
        }
    }
}

/// What one search may bring in all its pages: what is kept of it is a part of that. Intermediate
/// responses (RFC 4511, 4.13) count as entries do: a server can send them without end.
pub(super) struct Budget<'a> {
    received: &'a AtomicU64,
    before: u64,
    messages: usize,
    counted: u64,
    limits: &'a ProcessLimits,
}

impl<'a> Budget<'a> {
    pub(super) fn new(received: &'a AtomicU64, limits: &'a ProcessLimits) -> Self {
        Self {
            received,
            before: received.load(Ordering::Relaxed),
            messages: 0,
            counted: 0,
            limits,
        }
    }

    /// One more message came.
    pub(super) fn spend(&mut self, search: &Search<'_>, server: &str) -> Result<(), LdapFailure> {
        self.messages += 1;
        if self.messages > self.limits.max_list_items {
            return Err(LdapFailure::TooMuch {
                tried: search.tried(server),
                most: format!("{} entries", self.limits.max_list_items),
                flag: "--max-list-items",
            });
        }
        self.count(search, server)
    }

    /// Counts the bytes that came, of a message that isn't whole, too.
    fn count(&mut self, search: &Search<'_>, server: &str) -> Result<(), LdapFailure> {
        let bytes = self.received.load(Ordering::Relaxed) - self.before;
        add_received(bytes - self.counted);
        self.counted = bytes;
        if bytes > self.limits.max_response_bytes {
            return Err(LdapFailure::TooMuch {
                tried: search.tried(server),
                most: format!("{} bytes", self.limits.max_response_bytes),
                flag: "--max-response-size",
            });
        }
        Ok(())
    }
}

/// Why a search ended early.
pub(super) enum SearchError {
    Failed(LdapFailure),
    /// To be judged by whoever knows what happened to the connection.
    Library(LdapError),
}

impl From<LdapFailure> for SearchError {
    fn from(failure: LdapFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<LdapError> for SearchError {
    fn from(error: LdapError) -> Self {
        Self::Library(error)
    }
}

async fn pages(
    ldap: &mut Ldap,
    mut past: EntriesPast<'_>,
    server: &str,
    observer: &dyn Observer,
    search: &Search<'_>,
    budget: &mut Budget<'_>,
    each: &mut impl FnMut(Entry<'_>) -> Result<Next, LdapFailure>,
) -> Result<(), SearchError> {
    let page_size = i32::try_from(search.page_size).unwrap_or(i32::MAX);
    let mut cookie = vec![];
    loop {
        let asked_on = !cookie.is_empty();
        let mut controls = search.controls.to_vec();
        if page_size > 0 {
            // Not critical: a server that can't page may give everything at once.
            let size = page_size;
            controls.push(PagedResults { size, cookie }.into());
        }
        if !controls.is_empty() {
            ldap.with_controls(controls);
        }
        let started = Instant::now();
        let before = budget.messages;
        let answer = page(ldap, &mut past, server, search, budget, each).await;
        observer.request("search", outcome(&answer), started.elapsed());
        let Some(result) = answer? else {
            return Ok(());
        };
        if budget.messages == before {
            // A server can say without end that there is another page.
            budget.spend(search, server)?;
        }
        cookie = match next_cookie(&result) {
            Cookie::More(next) if page_size > 0 => next,
            Cookie::End | Cookie::More(_) => return Ok(()),
            Cookie::None if !asked_on => return Ok(()),
            Cookie::None | Cookie::Malformed => {
                let tried = search.tried(server);
                return Err(LdapFailure::PagingStopped { tried }.into());
            }
        };
    }
}

pub(super) fn outcome<T>(answer: &Result<T, SearchError>) -> CallOutcome {
    match answer {
        Ok(_) => CallOutcome::Status(0),
        Err(SearchError::Failed(LdapFailure::Refused { answer, .. })) => {
            CallOutcome::Status(u16::try_from(answer.code).unwrap_or(u16::MAX))
        }
        Err(_) => CallOutcome::Interrupted,
    }
}

/// Begins one request, with the controls that `ldap` was given.
pub(super) async fn begin<'s>(
    ldap: &mut Ldap,
    search: &Search<'s>,
) -> Result<Entries<'s>, LdapError> {
    let seconds = i32::try_from(search.limit.as_secs()).unwrap_or(i32::MAX);
    ldap.with_timeout(search.idle)
        .with_search_options(SearchOptions::new().timelimit(seconds.max(1)))
        .streaming_search(
            search.base,
            search.ldap_scope(),
            search.filter,
            search.attributes,
        )
        .await
}

/// One request; its result where that was success, `None` where `each` had enough.
async fn page(
    ldap: &mut Ldap,
    past: &mut EntriesPast<'_>,
    server: &str,
    search: &Search<'_>,
    budget: &mut Budget<'_>,
    each: &mut impl FnMut(Entry<'_>) -> Result<Next, LdapFailure>,
) -> Result<Option<LdapResult>, SearchError> {
    let mut messages = Messages {
        library: begin(ldap, search).await?,
        past,
        has_ended: false,
    };
    let request = messages.library.ldap_handle().last_id();
    messages.past.want(request);
    let mut take = |budget: &mut Budget<'_>, entry: Option<Entry<'_>>| {
        budget.spend(search, server)?;
        let entry = entry.ok_or_else(|| LdapFailure::Malformed {
            tried: search.tried(server),
        })?;
        each(entry)
    };
    while let Some(came) = messages.next(budget, search, server).await? {
        let next = match &came {
            Came::ByLibrary(message) => take(budget, Entry::of(&message.0))?,
            Came::Past(entries) => {
                let (mut left, mut next) = (&entries[..], Next::Continue);
                while next == Next::Continue && !left.is_empty() {
                    next = take(budget, entry_of_message(&mut left))?;
                }
                next
            }
        };
        if next == Next::Stop {
            drop(messages);
            ldap.abandon(request).await.ok();
            return Ok(None);
        }
    }
    let result = messages.library.finish().await;
    if result.rc == 0 {
        Ok(Some(result))
    } else {
        Err(LdapFailure::refused(search.tried(server), Stage::Search, &result, search.base).into())
    }
}

/// The entry in the message with which `messages` begin, and which is taken off them. `None` where that isn't a number,
/// an entry and perhaps controls, of which this client asks for none.
fn entry_of_message<'a>(messages: &mut &'a [u8]) -> Option<Entry<'a>> {
    const CONTROLS: u8 = 0xa0;
    let (_, mut message) = element::take(messages)?;
    element::take(&mut message)?;
    let (tag, content) = element::take(&mut message)?;
    if !message.is_empty() {
        let (tag, _) = element::take(&mut message)?;
        (tag == CONTROLS && message.is_empty()).then_some(())?;
    }
    Entry::of_element(Element::Raw { tag, content })
}

/// What comes before a result.
enum Came {
    /// Messages of entries, in bytes.
    Past(Bytes),
    /// An entry that came before the library had told the request's number.
    ByLibrary(Box<ResultEntry>),
}

/// What comes of one request.
struct Messages<'a, 's, 'p> {
    /// All but most of the entries.
    library: Entries<'s>,
    past: &'a mut EntriesPast<'p>,
    /// The library has given the result, and may not be asked again.
    has_ended: bool,
}

impl Messages<'_, '_, '_> {
    /// The next entries, or `None` where the result has come.
    async fn next(
        &mut self,
        budget: &mut Budget<'_>,
        search: &Search<'_>,
        server: &str,
    ) -> Result<Option<Came>, SearchError> {
        loop {
            if let Ok(entries) = self.past.entries.try_recv() {
                return Ok(Some(Came::Past(entries)));
            }
            if self.has_ended {
                return Ok(None);
            }
            let message = tokio::select! {
                biased;
                Some(entries) = self.past.entries.recv() => return Ok(Some(Came::Past(entries))),
                message = next_counting(&mut self.library, budget, search, server) => message?,
            };
            let Some(message) = message else {
                // Entries were passed on before the result.
                self.has_ended = true;
                continue;
            };
            if message.is_ref() {
                budget.spend(search, server)?;
                return Err(LdapFailure::Reference {
                    tried: search.tried(server),
                    elsewhere: known_server(&first_url(&message.0), search.base),
                }
                .into());
            }
            if !message.is_intermediate() {
                return Ok(Some(Came::ByLibrary(Box::new(message))));
            }
            budget.spend(search, server)?;
        }
    }
}

/// The next message. What came of it so far is counted meanwhile: it may be one value of many megabytes.
pub(super) async fn next_counting(
    entries: &mut Entries<'_>,
    budget: &mut Budget<'_>,
    search: &Search<'_>,
    server: &str,
) -> Result<Option<ResultEntry>, SearchError> {
    let mut next = std::pin::pin!(entries.next());
    loop {
        match tokio::time::timeout(COUNTED_EVERY, &mut next).await {
            Ok(message) => return Ok(message?),
            Err(_) => budget.count(search, server)?,
        }
    }
}

enum Cookie {
    /// The server doesn't page.
    None,
    /// That was the last page.
    End,
    More(Vec<u8>),
    Malformed,
}

/// What the response control says. Decoded here because the library's decoder panics at what it
/// doesn't expect.
fn next_cookie(result: &LdapResult) -> Cookie {
    let Some(control) = result.ctrls.iter().find(|c| c.1.ctype == PAGED_RESULTS) else {
        return Cookie::None;
    };
    let value = control.1.val.as_deref().unwrap_or_default();
    let Some(tag) = framing::decode(value) else {
        return Cookie::Malformed;
    };
    match constructed(&tag) {
        Some([_, cookie]) => match primitive(cookie) {
            Some([]) => Cookie::End,
            Some(cookie) => Cookie::More(cookie.to_vec()),
            None => Cookie::Malformed,
        },
        _ => Cookie::Malformed,
    }
}

fn first_url(reference: &ldap3::asn1::StructureTag) -> String {
    constructed(reference)
        .and_then(<[_]>::first)
        .and_then(primitive)
        .map_or_else(String::new, |url| sanitize(&String::from_utf8_lossy(url)))
}

#[cfg(test)]
mod tests {
    use ldap3::SearchStream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::super::settings::LdapSettings;
    use super::*;

    /// The messages that answer the request with this number.
    type Answer = fn(u8) -> Vec<Vec<u8>>;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[tag, length][..], content].concat()
    }

    fn message(id: u8, operation: &[u8]) -> Vec<u8> {
        element(0x30, &[&[2, 1, id][..], operation].concat())
    }

    fn entry(id: u8, dn: &str) -> Vec<u8> {
        let content = [element(4, dn.as_bytes()), element(0x30, &[])].concat();
        message(id, &element(0x64, &content))
    }

    /// An entry with a control, of which this client knows nothing.
    fn entry_with_control(id: u8, dn: &str) -> Vec<u8> {
        let content = [element(4, dn.as_bytes()), element(0x30, &[])].concat();
        let controls = element(0xa0, &element(0x30, &element(4, b"1.2.3")));
        message(id, &[element(0x64, &content), controls].concat())
    }

    fn result(id: u8) -> Vec<u8> {
        message(id, &element(0x65, &[0x0a, 1, 0, 4, 0, 4, 0]))
    }

    /// The numbers of the searches in these requests.
    fn searches(mut requests: &[u8]) -> Vec<u8> {
        let mut found = vec![];
        while let Some((_, mut content)) = element::take(&mut requests) {
            let (_, number) = element::take(&mut content).unwrap();
            if content.first() == Some(&0x63) {
                found.push(number[0]);
            }
        }
        found
    }

    /// Answers one search after another, in pieces of so many bytes.
    async fn serve(mut stream: DuplexStream, answers: Vec<Answer>, piece: usize) {
        for answer in answers {
            let mut request = [0; 1_024];
            let id = loop {
                // Abandoning has no answer, and a search may come together with it.
                let count = stream.read(&mut request).await.unwrap();
                assert!(count > 0, "the connection ended");
                if let [id] = *searches(&request[..count]) {
                    break id;
                }
            };
            for piece in answer(id).concat().chunks(piece) {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
        stream.read_u8().await.ok();
    }

    const SEARCH: Search<'_> = Search {
        what: "users",
        base: "dc=example,dc=com",
        scope: LdapScope::Subtree,
        filter: "(objectClass=*)",
        attributes: &[],
        controls: &[],
        page_size: 0,
        idle: Duration::from_secs(5),
        limit: Duration::from_secs(10),
    };

    async fn names(connection: &mut Connection, most: usize) -> Result<Vec<String>, LdapFailure> {
        let mut names = vec![];
        let each = |entry: Entry<'_>| {
            names.push(entry.dn().to_owned());
            Ok(match names.len() == most {
                true => Next::Stop,
                false => Next::Continue,
            })
        };
        connection.search(&SEARCH, each).await.map(|()| names)
    }

    async fn connection(answers: Vec<Answer>, piece: usize) -> Connection {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(serve(theirs, answers, piece));
        connection_on(ours).await
    }

    async fn connection_on(stream: DuplexStream) -> Connection {
        let url = "ldap://127.0.0.1:1";
        let settings = LdapSettings::new(vec![url.parse().unwrap()], SEARCH.base);
        let begun = Connection::on(Box::new(stream), 1 << 20, url, &settings.observer);
        begun.await.unwrap()
    }

    const PIECES: [usize; 5] = [1, 2, 7, 40, 1_000];

    #[tokio::test]
    async fn entries_of_a_search_that_was_given_up_are_no_part_of_the_next() {
        for piece in PIECES {
            let answers: Vec<Answer> = vec![
                |id| vec![entry(id, "cn=a"), entry(id, "cn=b"), entry(id, "cn=c")],
                |id| {
                    vec![
                        entry(1, "cn=late"),
                        result(1),
                        entry(id, "cn=d"),
                        entry(1, "cn=later"),
                        entry_with_control(id, "cn=e"),
                        result(id),
                        entry(id, "cn=after"),
                    ]
                },
                |id| vec![result(id)],
            ];
            let mut connection = connection(answers, piece).await;
            assert_eq!(names(&mut connection, 2).await.unwrap(), ["cn=a", "cn=b"]);
            let next = names(&mut connection, usize::MAX).await.unwrap();
            assert_eq!(next, ["cn=d", "cn=e"], "in pieces of {piece}");
            let none: [&str; 0] = [];
            assert_eq!(names(&mut connection, usize::MAX).await.unwrap(), none);
        }
    }

    /// In the middle of a message of the first search, the second begins.
    #[tokio::test]
    async fn the_rest_of_an_entry_of_a_search_that_was_given_up_is_none_of_the_next() {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let mut connection = connection_on(ours).await;
        let late = entry(2, "cn=late");
        let (begin, rest) = late.split_at(12);
        let (begin, rest) = (begin.to_vec(), rest.to_vec());
        let server = tokio::spawn(async move {
            let mut request = [0; 1_024];
            for (id, answer) in [
                (1, result(1)),
                (2, [entry(2, "cn=a"), begin].concat()),
                (4, [rest, entry(4, "cn=b"), result(4)].concat()),
            ] {
                loop {
                    let count = theirs.read(&mut request).await.unwrap();
                    if searches(&request[..count]) == [id] {
                        break;
                    }
                }
                theirs.write_all(&answer).await.unwrap();
            }
            theirs
        });
        names(&mut connection, usize::MAX).await.unwrap();
        let search = Search {
            idle: Duration::from_millis(200),
            ..SEARCH
        };
        let given_up = connection.search(&search, |_| Ok(Next::Continue)).await;
        assert!(
            matches!(given_up, Err(LdapFailure::Silent { .. })),
            "{given_up:?}"
        );
        let abandoned = connection.ldap.abandon(2);
        connection.stream.during(abandoned).await.unwrap();
        assert_eq!(names(&mut connection, usize::MAX).await.unwrap(), ["cn=b"]);
        drop(server.await.unwrap());
    }

    /// A search that goes on tells of changes; other searches are made meanwhile on its connection.
    #[tokio::test]
    async fn what_another_search_tells_meanwhile_is_heard() {
        for piece in PIECES {
            let answers: Vec<Answer> = vec![|id| vec![entry(id, "cn=first")], |id| {
                vec![
                    entry(id, "cn=a"),
                    entry(1, "cn=changed"),
                    entry(id, "cn=b"),
                    result(id),
                ]
            }];
            let mut connection = connection(answers, piece).await;
            let mut goes_on: SearchStream<'_, _, _> = {
                let begun = begin(&mut connection.ldap, &SEARCH);
                connection.stream.during(begun).await.unwrap()
            };
            let mut heard = async |connection: &mut Connection| {
                let next = connection.stream.during(goes_on.next()).await;
                let message = next.unwrap().unwrap();
                Entry::of(&message.0).unwrap().dn().to_owned()
            };
            assert_eq!(heard(&mut connection).await, "cn=first");
            let names = names(&mut connection, usize::MAX).await.unwrap();
            assert_eq!(names, ["cn=a", "cn=b"], "in pieces of {piece}");
            assert_eq!(heard(&mut connection).await, "cn=changed");
        }
    }

    #[tokio::test]
    async fn a_message_that_is_more_or_less_than_an_entry_ends_the_search() {
        let two: Answer = |id| {
            let [one, other] = ["cn=a", "cn=b"].map(|dn| entry(id, dn)[5..].to_vec());
            vec![message(id, &[one, other].concat()), result(id)]
        };
        let none: Answer = |id| {
            vec![
                message(id, &element(0x64, &element(4, b"cn=a"))),
                result(id),
            ]
        };
        let part: Answer = |id| {
            let operation = &entry(id, "cn=a")[5..];
            vec![
                message(id, &[operation, &element(4, &[])].concat()),
                result(id),
            ]
        };
        for answer in [two, none, part] {
            // The first entry makes sure that what follows goes past the library.
            let answers: Vec<Answer> = vec![|id| vec![result(id)], answer];
            let mut connection = connection(answers, 1).await;
            names(&mut connection, usize::MAX).await.unwrap();
            let failure = names(&mut connection, usize::MAX).await.unwrap_err();
            assert!(
                matches!(failure, LdapFailure::Malformed { .. }),
                "{failure}"
            );
        }
    }
}
