//! Between the server and the LDAP library, which takes its bytes from a socket of its own kind only:
//! a pair of local sockets, of which the library has one. What the server sends goes through
//! [`Framing`] before it is passed on, after TLS was taken off.
//!
//! The entries of a search of many can go past the library ([`PastLibrary`]): it would copy each of their elements
//! three times, and the sockets all of it twice.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::element;
use super::framing::{Framing, ProtocolViolation};

/// What is read from the server at once.
const PIECE: usize = 64 << 10;
/// `SearchResultEntry` and `SearchResultDone` (RFC 4511, 4.5.2).
const SEARCH_RESULT_ENTRY: u8 = 0x64;
const SEARCH_RESULT_DONE: u8 = 0x65;
/// `INTEGER`.
const INTEGER: u8 = 2;
/// The number of no request.
const NONE: i32 = 0;

/// A connection to a server, with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The library on one side of a relay.
pub struct Relayed {
    /// The LDAP library's handle of the connection.
    pub ldap: ldap3::Ldap,
    /// What does all the work; ends with the connection.
    pub driver: futures::future::BoxFuture<'static, Result<(), LdapError>>,
    /// Bytes of messages that came so far.
    pub received: Arc<AtomicU64>,
    /// Entries that the library shall not see.
    pub past_library: PastLibrary,
}

/// Entries go past the library while somebody asks for those of a request.
pub struct PastLibrary {
    /// The number of the request.
    wanted: Arc<AtomicI32>,
    entries: mpsc::UnboundedReceiver<Bytes>,
}

/// Has entries go past the library until it is dropped.
pub struct EntriesPast<'a> {
    wanted: &'a AtomicI32,
    /// Whole messages of entries of the request, several in each, in the order in which they came: before its result is
    /// given to the library.
    pub entries: &'a mut mpsc::UnboundedReceiver<Bytes>,
}

impl PastLibrary {
    /// Nothing goes past the library yet.
    pub fn begin(&mut self) -> EntriesPast<'_> {
        EntriesPast {
            wanted: &self.wanted,
            entries: &mut self.entries,
        }
    }
}

impl EntriesPast<'_> {
    /// From now on those of this request, to its result. What came of it before was given to the library.
    pub fn want(&mut self, request: i32) {
        // Of one that was given up.
        while self.entries.try_recv().is_ok() {}
        self.wanted.store(request, Ordering::Relaxed);
    }
}

impl Drop for EntriesPast<'_> {
    fn drop(&mut self) {
        self.wanted.store(NONE, Ordering::Relaxed);
    }
}

/// The relay's end of it.
struct Sorting {
    wanted: Arc<AtomicI32>,
    entries: mpsc::UnboundedSender<Bytes>,
}

/// LDAP on `stream`, in messages of at most `most_bytes` bytes.
///
/// # Errors
/// When there are no more sockets.
pub async fn begin(stream: Box<dyn Stream>, most_bytes: usize) -> Result<Relayed, LdapError> {
    let (ours, theirs) = UnixStream::pair()?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs.into_std()?));
    // The path of the URL isn't used where there is a socket already.
    let url = url::Url::parse("ldapi:///").expect("it is a URL");
    let (connection, ldap) = LdapConnAsync::from_url_with_settings(settings, &url).await?;
    let received = Arc::new(AtomicU64::new(0));
    let wanted = Arc::new(AtomicI32::new(NONE));
    let (sender, entries) = mpsc::unbounded_channel();
    let past_library = PastLibrary {
        wanted: wanted.clone(),
        entries,
    };
    let sorting = Sorting {
        wanted,
        entries: sender,
    };
    let relay = relay(stream, ours, most_bytes, received.clone(), sorting);
    let driver = Box::pin(async move {
        let mut relay = std::pin::pin!(relay);
        let mut library = std::pin::pin!(connection.drive());
        tokio::select! {
            ended = &mut relay => {
                // The library takes what was passed on before the end.
                let library = library.await;
                ended?;
                library
            }
            ended = &mut library => {
                // Its last request is still on the way to the server.
                if ended.is_ok() {
                    relay.await.ok();
                }
                ended
            }
        }
    });
    Ok(Relayed {
        ldap,
        driver,
        received,
        past_library,
    })
}

/// Passes on until either side ends.
async fn relay(
    server: Box<dyn Stream>,
    library: UnixStream,
    most_bytes: usize,
    received: Arc<AtomicU64>,
    sorting: Sorting,
) -> io::Result<()> {
    let (from_server, to_server) = tokio::io::split(server);
    let (from_library, to_library) = library.into_split();
    let answers = answers(
        from_server,
        to_library,
        Framing::new(most_bytes),
        &received,
        &sorting,
    );
    let mut answers = std::pin::pin!(answers);
    tokio::select! {
        biased;
        ended = requests(from_library, to_server) => match ended {
            Ok(()) => Ok(()),
            // A server that doesn't read any more may have said why.
            Err(error) => answers.await.and(Err(error)),
        },
        ended = &mut answers => ended,
    }
}

async fn requests(
    mut from_library: OwnedReadHalf,
    mut to_server: WriteHalf<Box<dyn Stream>>,
) -> io::Result<()> {
    tokio::io::copy(&mut from_library, &mut to_server).await?;
    to_server.shutdown().await
}

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Library,
    Past,
    /// What it is hasn't come yet.
    Unknown,
}

async fn answers(
    mut from_server: ReadHalf<Box<dyn Stream>>,
    mut to_library: OwnedWriteHalf,
    mut framing: Framing,
    received: &AtomicU64,
    sorting: &Sorting,
) -> io::Result<()> {
    // What isn't passed on yet: first what goes the way `last` says, then a message that isn't whole or not known.
    let mut came = BytesMut::new();
    let mut to = To::Unknown;
    // Where that message begins.
    let mut begins = 0;
    loop {
        came.reserve(PIECE);
        let count = from_server.read_buf(&mut came).await?;
        if count == 0 {
            return Ok(());
        }
        received.fetch_add(count as u64, Ordering::Relaxed);
        // So many bytes at the beginning are for the library, or whole messages of entries.
        let (mut sorted, mut last) = (0, To::Library);
        let mut followed = came.len() - count;
        while followed < came.len() {
            let passed = framing.follow_message(&came[followed..]);
            followed += passed.map_err(io::Error::other)?;
            let is_whole = framing.is_between_messages();
            if to == To::Unknown {
                to = match framing.operation() {
                    None if !is_whole => To::Unknown,
                    operation => sorting.of(operation, &came[begins..]),
                };
            } else if to == To::Past && is_whole {
                // Its search may have been given up since it began.
                to = sorting.of(framing.operation(), &came[begins..followed]);
            }
            if to == To::Library || to == To::Past && is_whole {
                if to != last && sorted > 0 {
                    pass_on(&mut came, sorted, last, &mut to_library, sorting).await?;
                    followed -= sorted;
                    begins -= sorted;
                }
                (sorted, last) = (followed, to);
            }
            if is_whole {
                to = To::Unknown;
                begins = followed;
            }
        }
        if sorted > 0 {
            pass_on(&mut came, sorted, last, &mut to_library, sorting).await?;
            // Of a message for the library the beginning has gone.
            begins = begins.saturating_sub(sorted);
            if last == To::Past {
                // Who takes the entries has their turn before more of them are read.
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Sorting {
    /// Where a message with this operation goes, of which these bytes have come.
    fn of(&self, operation: Option<u8>, message: &[u8]) -> To {
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted == NONE || request_of(message) != Some(wanted) {
            return To::Library;
        }
        match operation {
            Some(SEARCH_RESULT_ENTRY) => To::Past,
            Some(SEARCH_RESULT_DONE) => {
                // What comes after it is no part of the answer.
                self.wanted.store(NONE, Ordering::Relaxed);
                To::Library
            }
            _ => To::Library,
        }
    }
}

/// The number of the request that a message answers; its end needn't have come yet. `None` for numbers that no
/// request has (RFC 4511, 4.1.1).
fn request_of(message: &[u8]) -> Option<i32> {
    let header = match message.get(1)? {
        length @ 0x80.. => 2 + usize::from(length & 0x7f),
        _ => 2,
    };
    let (tag, number) = element::take(&mut message.get(header..)?)?;
    let is_number = tag == INTEGER && matches!(number, [0..=0x7f, ..]) && number.len() <= 4;
    is_number.then(|| {
        let bytes = number.iter();
        bytes.fold(0, |number, byte| (number << 8) | i32::from(*byte))
    })
}

/// Passes on so many bytes from the beginning.
async fn pass_on(
    came: &mut BytesMut,
    count: usize,
    to: To,
    to_library: &mut OwnedWriteHalf,
    sorting: &Sorting,
) -> io::Result<()> {
    let bytes = came.split_to(count);
    match to {
        // Nobody takes them when the connection is being dropped.
        To::Past => sorting
            .entries
            .send(bytes.freeze())
            .map_err(io::Error::other),
        To::Library | To::Unknown => to_library.write_all(&bytes).await,
    }
}

/// What in the bytes of the server ended a connection, if that did.
pub fn violation(error: &LdapError) -> Option<ProtocolViolation> {
    match error {
        LdapError::Io { source } => source.get_ref()?.downcast_ref().copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_requests_are_read_as_soon_as_they_have_come_and_no_others_are() {
        for (message, number) in [
            (&[0x30, 9, 2, 1, 7, 0x64][..], Some(7)),
            (&[0x30, 0x84, 0, 0, 1, 0, 2, 4, 0, 0, 1, 2, 0x64], Some(258)),
            (&[0x30, 9, 2, 4, 0x7f, 0xff, 0xff, 0xff], Some(i32::MAX)),
            (&[0x30, 9, 2, 0x81, 1, 7], Some(7)),
            // Longer than any, negative, empty, no number, and not whole.
            (&[0x30, 9, 2, 5, 1, 0, 0, 0, 7], None),
            (&[0x30, 9, 2, 1, 0x80], None),
            (&[0x30, 9, 2, 0], None),
            (&[0x30, 9, 4, 1, 7], None),
            (&[0x30, 9, 2, 2, 7], None),
            (&[0x30, 0x84, 0, 0], None),
            (&[0x30], None),
            (&[], None),
        ] {
            assert_eq!(request_of(message), number, "{message:x?}");
        }
    }
}
