//! Serves a router on loopback over connections that can be cut without an answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A router being served on loopback, until dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
}

impl Served {
    /// Serves `router` on 127.0.0.1; port 0 takes any free one. `stopping` is the switch whose
    /// receivers (a hanging request, say) want to know when the server ends.
    ///
    /// # Errors
    /// The port can't be bound.
    pub async fn start(
        router: Router,
        port: u16,
        stopping: watch::Sender<bool>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let mut stopped = stopping.subscribe();
        let service = router.into_make_service_with_connect_info::<CuttableConnection>();
        tokio::spawn(async move {
            let until = async move {
                let _ = stopped.wait_for(|stopping| *stopping).await;
            };
            let _ = axum::serve(CuttableListener(listener), service)
                .with_graceful_shutdown(until)
                .await;
        });
        Ok(Self { address, stopping })
    }

    /// The address and port at which the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
    }
}

/// The connection a request came in on, as a request extension
/// (`ConnectInfo<CuttableConnection>`).
#[derive(Clone, Debug)]
pub struct CuttableConnection {
    peer: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl CuttableConnection {
    /// The address and port of the client.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// From now on no byte leaves on this connection: the next write fails, upon which hyper
    /// closes it. The client sees the end of the connection where the answer should be.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for CuttableConnection {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().wire.clone()
    }
}

/// Accepts connections that their [`CuttableConnection`] can cut.
#[derive(Debug)]
pub struct CuttableListener(TcpListener);

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (CuttableStream, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // Answers are small; waiting to fill a packet would show as latency in measurements.
        let _ = stream.set_nodelay(true);
        let wire = CuttableConnection {
            peer,
            cut: Arc::new(AtomicBool::new(false)),
        };
        (CuttableStream { stream, wire }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection whose writing side fails once it has been cut.
#[derive(Debug)]
pub struct CuttableStream {
    stream: TcpStream,
    wire: CuttableConnection,
}

impl CuttableStream {
    fn refuse_if_cut(&self) -> io::Result<()> {
        if self.wire.cut.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut"));
        }
        Ok(())
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.refuse_if_cut()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.refuse_if_cut()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.refuse_if_cut()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
