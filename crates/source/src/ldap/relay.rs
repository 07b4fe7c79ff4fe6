//! Between the server and the LDAP library, which takes its bytes from a socket of its own kind only:
//! a pair of local sockets, of which the library has one. What the server sends goes through
//! [`Framing`] before it is passed on, after TLS was taken off.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::framing::{Framing, ProtocolViolation};

/// What is read from the server at once.
const PIECE: usize = 64 << 10;

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
    let relay = relay(stream, ours, most_bytes, received.clone());
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
    })
}

/// Passes on until either side ends.
async fn relay(
    server: Box<dyn Stream>,
    library: UnixStream,
    most_bytes: usize,
    received: Arc<AtomicU64>,
) -> io::Result<()> {
    let (from_server, to_server) = tokio::io::split(server);
    let (from_library, to_library) = library.into_split();
    let answers = answers(from_server, to_library, Framing::new(most_bytes), &received);
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

async fn answers(
    mut from_server: ReadHalf<Box<dyn Stream>>,
    mut to_library: OwnedWriteHalf,
    mut framing: Framing,
    received: &AtomicU64,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = from_server.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        let bytes = &piece[..count];
        framing.follow(bytes).map_err(io::Error::other)?;
        received.fetch_add(count as u64, Ordering::Relaxed);
        to_library.write_all(bytes).await?;
    }
}

/// What in the bytes of the server ended a connection, if that did.
pub fn violation(error: &LdapError) -> Option<ProtocolViolation> {
    match error {
        LdapError::Io { source } => source.get_ref()?.downcast_ref().copied(),
        _ => None,
    }
}
