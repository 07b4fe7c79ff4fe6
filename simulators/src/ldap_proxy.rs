//! A proxy in front of an LDAP server that spoils one request in a chosen way, or answers as a Windows
//! domain controller does where Samba doesn't.
//!
//! It knows the framing of LDAP messages (RFC 4511, section 5.1) and which answers end a request,
//! nothing else. Plain LDAP only: it can't look into TLS.

mod authentik;
mod ber;
mod forest;
mod windows;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use windows::Limited;

/// What becomes of the request that is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LdapFault {
    /// It never reaches the server; the connection is closed.
    CutBefore,
    /// The server answers; the client doesn't hear of it, the connection is closed.
    CutAfter,
    /// The client gets the first half of the answer's bytes, then the connection is closed.
    HalfAnswer,
    /// It never reaches the server; the connection stays open and silent.
    Hang,
    /// The client gets half of the answer's messages, then this result code (51 busy, 4 size
    /// limit exceeded, 11 administrative limit exceeded, 52 unavailable, …).
    Code(u8),
    /// It never reaches the server; the client gets this result code with this message.
    Says(u8, &'static str),
    /// It never reaches the server; the client gets these bytes, then the connection is closed.
    Bytes(&'static [u8]),
}

/// What becomes of a message of the server that is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFault {
    /// The client doesn't get it.
    Lose,
    /// The client gets it twice.
    Double,
}

/// A running proxy; stops when dropped.
pub struct LdapProxy {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    upstream: Mutex<SocketAddr>,
    requests: AtomicUsize,
    /// What each of them was.
    operations: Mutex<Vec<String>>,
    /// The request to spoil, counted from 0 over all connections, and how.
    fault: Mutex<Option<(usize, LdapFault)>>,
    /// How many messages the server sent.
    messages: AtomicUsize,
    /// The one of them to spoil, counted from 0 over all connections, and how.
    message_fault: Mutex<Option<(usize, MessageFault)>>,
    disguise: Disguise,
    /// What to do before the first request that holds these bytes is passed on.
    surprise: Mutex<Option<(&'static str, Surprise)>>,
}

/// What the server is made to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disguise {
    AsItIs,
    WithWindowsLimits,
    AsForest,
    AsAuthentik,
}

type Surprise = Box<dyn FnOnce() + Send>;

/// Requests of the LDAP protocol that get an answer, by their application tag.
const BIND: u8 = 0x60;
const SEARCH: u8 = 0x63;
const EXTENDED: u8 = 0x77;
/// Answers that end a request.
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_DONE: u8 = 0x65;
/// An answer that more follow.
const SEARCH_ENTRY: u8 = 0x64;
const EXTENDED_RESPONSE: u8 = 0x78;

impl LdapProxy {
    /// Listens on a free loopback port and passes everything on to `upstream`.
    pub async fn start(upstream: SocketAddr) -> std::io::Result<Self> {
        Self::begin(upstream, Disguise::AsItIs).await
    }

    /// As [`start`](Self::start), with the limits of a Windows domain controller: 1,000 entries an
    /// answer, whatever page size was asked for, and `sizeLimitExceeded` without pages; 1,500
    /// values of `member`, the rest in ranges.
    pub async fn with_windows_limits(upstream: SocketAddr) -> std::io::Result<Self> {
        Self::begin(upstream, Disguise::WithWindowsLimits).await
    }

    /// As [`start`](Self::start), with the OU `emea` right below the domain shown as a domain of its
    /// own, in the way of a global catalog: only of its universal groups the members are known.
    pub async fn as_forest(upstream: SocketAddr) -> std::io::Result<Self> {
        Self::begin(upstream, Disguise::AsForest).await
    }

    /// As [`start`](Self::start), with a slapd that holds authentik's entries shown as authentik's outpost. It
    /// has the class of virtual groups as `goauthentik-io-ldap-virtual-group`.
    pub async fn as_authentik(upstream: SocketAddr) -> std::io::Result<Self> {
        Self::begin(upstream, Disguise::AsAuthentik).await
    }

    async fn begin(upstream: SocketAddr, disguise: Disguise) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream: Mutex::new(upstream),
            requests: AtomicUsize::new(0),
            operations: Mutex::default(),
            fault: Mutex::new(None),
            messages: AtomicUsize::new(0),
            message_fault: Mutex::new(None),
            disguise,
            surprise: Mutex::new(None),
        });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let state = shared.clone();
                connections.spawn(async move {
                    // A connection that ends, however it does, is the test's business.
                    let _ = serve(client, state).await;
                });
            }
        });
        Ok(Self {
            address,
            state,
            task,
        })
    }

    /// The address and port that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `ldap://` and the address.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// From now on connections are passed on to this server.
    pub fn lead_to(&self, upstream: SocketAddr) {
        *self.state.upstream() = upstream;
    }

    /// How many requests have come since the start or the last [`LdapProxy::arm`].
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// What these requests were: `bind`, `search` with its base in quotes, `extended`.
    pub fn operations(&self) -> Vec<String> {
        self.state.operations().clone()
    }

    /// Counts from 0 again and spoils the `k`-th request that comes.
    pub fn arm(&self, k: usize, fault: LdapFault) {
        *self.lock() = Some((k, fault));
        self.state.count_anew();
    }

    /// Counts from 0 again and spoils nothing.
    pub fn disarm(&self) {
        *self.lock() = None;
        self.state.count_anew();
    }

    /// How many messages the server has sent since the start or the last [`LdapProxy::arm_message`], of a server
    /// that is shown as it is.
    pub fn messages(&self) -> usize {
        self.state.messages.load(Ordering::SeqCst)
    }

    /// Counts messages from 0 again and spoils the `k`-th one that the server sends.
    pub fn arm_message(&self, k: usize, fault: MessageFault) {
        *self.state.message_fault() = Some((k, fault));
        self.state.messages.store(0, Ordering::SeqCst);
    }

    /// Counts messages from 0 again and spoils none.
    pub fn disarm_messages(&self) {
        *self.state.message_fault() = None;
        self.state.messages.store(0, Ordering::SeqCst);
    }

    /// Calls `surprise` before the first request that holds `part` is passed on: what changes at the
    /// server in the middle of a read.
    pub fn surprise(&self, part: &'static str, surprise: impl FnOnce() + Send + 'static) {
        *self
            .state
            .surprise
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some((part, Box::new(surprise)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(usize, LdapFault)>> {
        self.state
            .fault
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for LdapProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn upstream(&self) -> std::sync::MutexGuard<'_, SocketAddr> {
        self.upstream
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn surprised_by(&self, request: &[u8]) -> Option<Surprise> {
        let mut surprise = self
            .surprise
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (part, _) = surprise.as_ref()?;
        let holds = request
            .windows(part.len())
            .any(|bytes| bytes == part.as_bytes());
        holds.then(|| surprise.take().map(|(_, surprise)| surprise))?
    }

    fn message_fault(&self) -> std::sync::MutexGuard<'_, Option<(usize, MessageFault)>> {
        self.message_fault
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What the client gets of a message.
    fn spoil(&self, message: Vec<u8>) -> Option<Vec<u8>> {
        let number = self.messages.fetch_add(1, Ordering::SeqCst);
        match self.message_fault().filter(|(k, _)| *k == number) {
            Some((_, MessageFault::Lose)) => None,
            Some((_, MessageFault::Double)) => Some(message.repeat(2)),
            None => Some(message),
        }
    }

    fn operations(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.operations
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn count_anew(&self) {
        self.operations().clear();
        self.requests.store(0, Ordering::SeqCst);
    }

    /// Counts a request and tells whether it is the one to spoil.
    fn next(&self, request: &[u8]) -> Option<LdapFault> {
        self.operations().push(describe(request));
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let fault = *self
            .fault
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        fault.filter(|(k, _)| *k == number).map(|(_, fault)| fault)
    }
}

async fn serve(client: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let upstream = *state.upstream();
    let server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    let (client_read, mut client_write) = client.into_split();
    let (server_read, mut server_write) = server.into_split();
    let mut requests = BufReader::new(client_read);
    let mut answers = BufReader::new(server_read);
    // One request at a time per connection: that is how a paged search goes, and what makes "the
    // k-th request" mean something.
    while let Some(request) = read_message(&mut requests).await? {
        let operation = operation(&request);
        if !matches!(operation, BIND | SEARCH | EXTENDED) {
            server_write.write_all(&request).await?;
            continue;
        }
        if let Some(surprise) = state.surprised_by(&request) {
            tokio::task::spawn_blocking(surprise).await.ok();
        }
        match state.next(&request) {
            None => match state.disguise {
                Disguise::AsItIs => {
                    server_write.write_all(&request).await?;
                    pass_answer(&mut answers, &mut client_write, |m| state.spoil(m)).await?;
                }
                Disguise::WithWindowsLimits => {
                    let mut limited = Limited::request(request);
                    server_write.write_all(limited.bytes()).await?;
                    pass_answer(&mut answers, &mut client_write, |m| limited.answer(m)).await?;
                }
                Disguise::AsForest => {
                    server_write.write_all(&forest::request(request)).await?;
                    let shown = |message| Some(forest::answer(message));
                    pass_answer(&mut answers, &mut client_write, shown).await?;
                }
                Disguise::AsAuthentik => {
                    server_write.write_all(&authentik::request(request)).await?;
                    let shown = |message| Some(authentik::answer(message));
                    pass_answer(&mut answers, &mut client_write, shown).await?;
                }
            },
            Some(LdapFault::CutBefore) => return Ok(()),
            Some(LdapFault::Says(code, text)) => {
                client_write
                    .write_all(&result(&request, code, text))
                    .await?;
            }
            Some(LdapFault::Bytes(bytes)) => return client_write.write_all(bytes).await,
            Some(LdapFault::Hang) => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                return Ok(());
            }
            Some(fault) => {
                server_write.write_all(&request).await?;
                let answer = collect_answer(&mut answers).await?;
                match fault {
                    LdapFault::HalfAnswer => {
                        let bytes = answer.concat();
                        client_write.write_all(&bytes[..bytes.len() / 2]).await?;
                        return Ok(());
                    }
                    LdapFault::Code(code) => {
                        let entries = answer.len().saturating_sub(1) / 2;
                        client_write.write_all(&answer[..entries].concat()).await?;
                        client_write.write_all(&result(&request, code, "")).await?;
                    }
                    _ => return Ok(()),
                }
            }
        }
    }
    Ok(())
}

async fn pass_answer(
    answers: &mut BufReader<OwnedReadHalf>,
    client: &mut OwnedWriteHalf,
    mut change: impl FnMut(Vec<u8>) -> Option<Vec<u8>>,
) -> std::io::Result<()> {
    while let Some(message) = read_message(answers).await? {
        let last = ends_request(&message);
        if let Some(message) = change(message) {
            client.write_all(&message).await?;
        }
        if last {
            return Ok(());
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

async fn collect_answer(answers: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Vec<Vec<u8>>> {
    let mut messages = vec![];
    while let Some(message) = read_message(answers).await? {
        let last = ends_request(&message);
        messages.push(message);
        if last {
            return Ok(messages);
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// One whole message with its tag and length; `None` at the end of the stream.
async fn read_message(from: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = [0; 2];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut message = head.to_vec();
    let length = if head[1] < 0x80 {
        usize::from(head[1])
    } else {
        let mut bytes = vec![0; usize::from(head[1] & 0x7f)];
        from.read_exact(&mut bytes).await?;
        message.extend_from_slice(&bytes);
        bytes
            .iter()
            .fold(0, |length, byte| (length << 8) | usize::from(*byte))
    };
    let start = message.len();
    message.resize(start + length, 0);
    from.read_exact(&mut message[start..]).await?;
    Ok(Some(message))
}

/// Where the message id begins, and where the operation does.
fn offsets(message: &[u8]) -> (usize, usize) {
    let id = if message[1] < 0x80 {
        2
    } else {
        2 + usize::from(message[1] & 0x7f)
    };
    (id, id + 2 + usize::from(message[id + 1]))
}

fn operation(message: &[u8]) -> u8 {
    message.get(offsets(message).1).copied().unwrap_or_default()
}

/// A request for a person.
fn describe(request: &[u8]) -> String {
    let operation_at = offsets(request).1;
    match request[operation_at] {
        BIND => "bind".to_owned(),
        SEARCH => {
            let search = ber::parts(&request[operation_at..])[0].1;
            let base = ber::parts(search).first().map_or(&[][..], |part| part.1);
            format!("search {:?}", String::from_utf8_lossy(base))
        }
        _ => "extended".to_owned(),
    }
}

fn ends_request(message: &[u8]) -> bool {
    matches!(
        operation(message),
        BIND_RESPONSE | SEARCH_DONE | EXTENDED_RESPONSE
    )
}

/// An answer to `request` that holds nothing but `code` and `text`.
fn result(request: &[u8], code: u8, text: &str) -> Vec<u8> {
    let (id, operation_at) = offsets(request);
    let answer = match request[operation_at] {
        BIND => BIND_RESPONSE,
        SEARCH => SEARCH_DONE,
        _ => EXTENDED_RESPONSE,
    };
    // resultCode ENUMERATED, matchedDN and diagnosticMessage.
    let mut body = vec![0x0a, 1, code, 0x04, 0];
    body.extend(ber::encoded(0x04, text.as_bytes()));
    let mut message = request[id..operation_at].to_vec();
    message.extend(ber::encoded(answer, &body));
    ber::encoded(0x30, &message)
}
