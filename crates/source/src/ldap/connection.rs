//! One connection to one server, from its name to the bind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use ldap3::{Ldap, LdapError};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::{LdapFailure, Stage};
use super::relay::{self, PastLibrary, Stream};
use super::settings::{Bind, LdapSettings, ServerUrl};
use super::start_tls::{self, StartTlsError};
use super::tls::{Certificate, SeenCertificate, Tls};
use crate::http::process_limits::process_limits;
use crate::http::{CallOutcome, Expiry, Observer};

/// How a connection to any of the servers is made.
#[derive(Debug)]
pub struct Connector {
    tls: Tls,
    start_tls: bool,
    bind: Bind,
    time_limit: Duration,
    /// A larger message ends the connection; in bytes.
    max_message: usize,
    servers: Vec<ServerUrl>,
    /// Whose servers they are, where DNS lists them.
    domain: Option<String>,
    observer: Arc<dyn Observer>,
}

/// A server that let us in, and the very address: a second connection must reach the same replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    server: ServerUrl,
    address: SocketAddr,
}

/// A connection. Closed when dropped.
pub struct Connection {
    /// The library's handle; every operation on it goes through [`LdapStream::during`].
    pub(super) ldap: Ldap,
    /// Reads from the socket and decodes, while an operation waits.
    pub(super) stream: LdapStream,
    /// Entries of searches of many.
    pub(super) past_library: PastLibrary,
    /// The server's URL, for messages.
    pub server: String,
    /// Called for each request.
    pub(super) observer: Arc<dyn Observer>,
}

/// The socket's side of a connection: what reads and decodes, and whatever ended it.
///
/// It runs in the task of whoever waits for an answer, not in one of its own: entries needn't wake
/// another thread one by one, and no more of them pile up than one turn decodes.
pub(super) struct LdapStream {
    /// `None` when it ended.
    driver: Option<BoxFuture<'static, Result<(), LdapError>>>,
    ended_by: Option<LdapError>,
    received: Arc<AtomicU64>,
}

impl LdapStream {
    /// Works on the socket while `operation` waits for it.
    pub async fn during<T>(&mut self, operation: impl Future<Output = T>) -> T {
        tokio::pin!(operation);
        if let Some(driver) = &mut self.driver {
            let ended = tokio::select! {
                // The end of the connection is known before the operation notices it.
                biased;
                ended = driver => ended,
                value = &mut operation => return value,
            };
            self.driver = None;
            self.ended_by = ended.err();
        }
        // What was decoded before the end is still to be taken.
        operation.await
    }

    /// Counts the bytes of messages that came.
    pub fn received(&self) -> Arc<AtomicU64> {
        self.received.clone()
    }

    /// What a failed operation means.
    pub fn failure(&mut self, tried: String, error: LdapError, waited: Duration) -> LdapFailure {
        if let Some(violation) = self.ended_by.as_ref().and_then(relay::violation) {
            return LdapFailure::Unacceptable { tried, violation };
        }
        match error {
            LdapError::Timeout { .. } => LdapFailure::Silent { tried, waited },
            error => LdapFailure::Lost {
                tried,
                cause: match (self.ended_by.take(), &self.driver) {
                    (Some(cause), _) => Some(Box::new(cause)),
                    // It ended without an error: that the channel to it is closed tells nothing.
                    (None, None) => None,
                    (None, Some(_)) => Some(Box::new(error)),
                },
            },
        }
    }
}

impl Connector {
    /// # Errors
    /// When certificates or keys can't be used.
    pub fn new(settings: &LdapSettings) -> Result<Self, LdapFailure> {
        Ok(Self {
            tls: Tls::new(&settings.tls)?,
            start_tls: settings.tls.start_tls,
            bind: settings.bind.clone(),
            time_limit: settings.connect_timeout,
            max_message: process_limits().max_ldap_message_bytes,
            servers: settings.servers.clone(),
            domain: None,
            observer: settings.observer.clone(),
        })
    }

    /// When the certificates of both sides end, as far as connections have shown them.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.tls.expiries()
    }

    /// For connections on which no message is larger than this many bytes.
    pub fn with_max_message(self, bytes: usize) -> Self {
        let max_message = self.max_message.min(bytes);
        Self {
            max_message,
            ..self
        }
    }

    /// For servers that DNS lists for a domain: where the domain may be connected to, so may they.
    #[must_use]
    pub fn of_domain(self, domain: Option<String>) -> Self {
        Self { domain, ..self }
    }

    /// The servers in their order.
    pub fn servers(&self) -> &[ServerUrl] {
        &self.servers
    }

    /// A bound connection to the first server that will have us.
    ///
    /// # Errors
    /// A refusal that every server would repeat, or what each of them said.
    pub async fn first(&self) -> Result<(Connection, Endpoint), LdapFailure> {
        let mut failures = vec![];
        for server in &self.servers {
            match self.to_server(server).await {
                Ok(found) => return Ok(found),
                Err(failure) if failure.concerns_one_server() => {
                    tracing::debug!(%server, "server can't be used; trying the next");
                    failures.push(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        match failures.pop() {
            Some(only) if failures.is_empty() => Err(only),
            Some(last) => {
                failures.push(last);
                Err(LdapFailure::NoServer(failures))
            }
            None => Err(super::settings::InvalidSettings::NoServer.into()),
        }
    }

    /// A bound connection to this server, and its very address.
    ///
    /// # Errors
    /// When there is no way to it, or it refuses us.
    pub async fn to_server(
        &self,
        server: &ServerUrl,
    ) -> Result<(Connection, Endpoint), LdapFailure> {
        let addresses = self.resolve(server).await?;
        let (stream, address) = self.reach(server, &addresses).await?;
        let (mut connection, _) = self.secure(server, stream).await?;
        self.bind(&mut connection).await?;
        let server = server.clone();
        Ok((connection, Endpoint { server, address }))
    }

    /// Another bound connection to the same server.
    ///
    /// # Errors
    /// As [`Connector::first`], for this server alone.
    pub async fn reconnect(&self, endpoint: &Endpoint) -> Result<Connection, LdapFailure> {
        let (stream, _) = self.reach(&endpoint.server, &[endpoint.address]).await?;
        let (mut connection, _) = self.secure(&endpoint.server, stream).await?;
        self.bind(&mut connection).await?;
        Ok(connection)
    }

    /// The addresses of the server's host.
    pub async fn resolve(&self, server: &ServerUrl) -> Result<Vec<SocketAddr>, LdapFailure> {
        let failed = |source| LdapFailure::Resolve {
            server: server.to_string(),
            source,
        };
        let policy = &process_limits().egress;
        match &self.domain {
            Some(domain) => policy.check_host_of_domain(&server.host, domain)?,
            None => policy.check_host(&server.host)?,
        }
        let lookup = tokio::net::lookup_host((server.host.as_str(), server.port));
        let addresses: Vec<_> = timeout(self.time_limit, lookup)
            .await
            .map_err(|_| failed(timed_out(self.time_limit)))?
            .map_err(failed)?
            .collect();
        if addresses.is_empty() {
            return Err(failed(std::io::Error::other("the name has no address")));
        }
        Ok(policy.allowed(&server.host, addresses)?)
    }

    /// A TCP connection to the first address that answers.
    pub async fn reach(
        &self,
        server: &ServerUrl,
        addresses: &[SocketAddr],
    ) -> Result<(TcpStream, SocketAddr), LdapFailure> {
        let mut last = std::io::Error::other("the name has no address");
        let attempts = async {
            for &address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Some((stream, address)),
                    Err(error) => last = error,
                }
            }
            None
        };
        let source = match timeout(self.time_limit, attempts).await {
            Ok(Some((stream, address))) => {
                // Requests are small and each is waited for.
                stream.set_nodelay(true).ok();
                return Ok((stream, address));
            }
            Ok(None) => last,
            Err(_) => timed_out(self.time_limit),
        };
        Err(LdapFailure::Connect {
            server: server.to_string(),
            source,
        })
    }

    /// LDAP on `stream`, with TLS where the settings want it; and the server's certificate.
    pub async fn secure(
        &self,
        server: &ServerUrl,
        stream: TcpStream,
    ) -> Result<(Connection, Option<Certificate>), LdapFailure> {
        let name = server.to_string();
        let (stream, certificate): (Box<dyn Stream>, _) = match server.ldaps || self.start_tls {
            true => {
                let (config, seen) = self.tls.for_host(&server.host);
                let secured = timeout(self.time_limit, self.handshake(server, stream, config));
                let stream = match secured.await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(StartTlsError::Refused(result))) => {
                        let tried = format!("StartTLS with {name}");
                        return Err(LdapFailure::refused(tried, Stage::StartTls, &result, ""));
                    }
                    Ok(Err(StartTlsError::ProtocolViolation(violation))) => {
                        let tried = format!("StartTLS with {name}");
                        return Err(LdapFailure::Unacceptable { tried, violation });
                    }
                    Ok(Err(StartTlsError::Io(error))) => {
                        return Err(self.tls_failure(server, &seen, error.into()));
                    }
                    Err(elapsed) => return Err(self.tls_failure(server, &seen, elapsed.into())),
                };
                (Box::new(stream), seen.get())
            }
            false => (Box::new(stream), None),
        };
        let begun = Connection::on(stream, self.max_message, &name, &self.observer).await;
        let connection = begun.map_err(|cause| LdapFailure::Lost {
            tried: format!("connecting to {name}"),
            cause: Some(Box::new(cause)),
        })?;
        Ok((connection, certificate))
    }

    /// TLS on `stream`, after the server agreed to it where it is asked first.
    async fn handshake(
        &self,
        server: &ServerUrl,
        mut stream: TcpStream,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, StartTlsError> {
        if !server.ldaps {
            start_tls::ask(&mut stream, process_limits().max_ldap_message_bytes).await?;
        }
        // The verifier of the configuration has the name that counts, and refuses where that can't
        // be one.
        let name = ServerName::try_from(server.host.clone()).unwrap_or(ServerName::IpAddress(
            std::net::Ipv6Addr::UNSPECIFIED.into(),
        ));
        Ok(TlsConnector::from(config).connect(name, stream).await?)
    }

    fn tls_failure(
        &self,
        server: &ServerUrl,
        seen: &SeenCertificate,
        error: LdapError,
    ) -> LdapFailure {
        let (why, transient, source) = match error {
            LdapError::Timeout { .. } => (
                format!(
                    "no answer within {} s; check that the port speaks TLS (ldaps://) or StartTLS \
                     (ldap:// with tls.startTls)",
                    self.time_limit.as_secs_f32()
                ),
                true,
                None,
            ),
            error => match rustls_cause(&error) {
                Some(cause) => {
                    let (why, transient) = self.tls.explain(&server.host, seen, cause);
                    (why, transient, Some(Box::new(cause.clone())))
                }
                None => (
                    format!(
                        "the connection ended in the handshake ({error}); check that the port \
                         speaks TLS (ldaps://) or StartTLS (ldap:// with tls.startTls)"
                    ),
                    true,
                    None,
                ),
            },
        };
        LdapFailure::Tls {
            server: server.to_string(),
            why,
            transient,
            source,
        }
    }

    /// Makes us known as the settings say.
    pub async fn bind(&self, connection: &mut Connection) -> Result<(), LdapFailure> {
        let server = &connection.server;
        let tried = match &self.bind {
            // Whoever doesn't bind is anonymous (RFC 4513, 4).
            Bind::Anonymous => return Ok(()),
            // The DN came out of a Secret, and whoever wrote the spec may have named another key.
            Bind::Simple { .. } => format!("binding to {server}"),
            Bind::SaslExternal => format!("binding to {server} with the client certificate"),
        };
        let ldap = connection.ldap.with_timeout(self.time_limit);
        let asked = async {
            match &self.bind {
                Bind::Simple { dn, password } => {
                    ldap.simple_bind(dn, password.expose_secret()).await
                }
                _ => ldap.sasl_external_bind().await,
            }
        };
        let started = Instant::now();
        let answer = connection.stream.during(asked).await;
        let outcome = match &answer {
            Ok(result) => CallOutcome::Status(u16::try_from(result.rc).unwrap_or(u16::MAX)),
            Err(_) => CallOutcome::Interrupted,
        };
        self.observer.request("bind", outcome, started.elapsed());
        match answer {
            Ok(result) if result.rc == 0 => Ok(()),
            Ok(result) => Err(LdapFailure::refused(tried, Stage::Bind, &result, "")),
            Err(error) => Err(self.bind_lost(connection, tried, error)),
        }
    }

    /// With TLS 1.3 a server judges our certificate after the handshake, so that its refusal comes
    /// where the bind's answer should: as an alert, or as a connection that just ends.
    fn bind_lost(
        &self,
        connection: &mut Connection,
        tried: String,
        error: LdapError,
    ) -> LdapFailure {
        let failure = connection.stream.failure(tried, error, self.time_limit);
        let LdapFailure::Lost { cause, .. } = &failure else {
            return failure;
        };
        let server = connection.server.clone();
        match cause.as_deref().and_then(rustls_cause) {
            Some(tls) => {
                let (why, transient) = self.tls.explain("", &Default::default(), tls);
                LdapFailure::Tls {
                    server,
                    why,
                    transient,
                    source: Some(Box::new(tls.clone())),
                }
            }
            None if matches!(self.bind, Bind::SaslExternal) => LdapFailure::Tls {
                server,
                why: "the server ended the connection when it had seen our client certificate; \
                      check that a CA it trusts signed it"
                    .to_owned(),
                transient: true,
                source: None,
            },
            None => failure,
        }
    }
}

impl Connection {
    /// LDAP on a stream, in messages of at most `max_message` bytes; `server` is its name, for messages.
    pub(super) async fn on(
        stream: Box<dyn Stream>,
        max_message: usize,
        server: &str,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, LdapError> {
        let relayed = relay::begin(stream, max_message).await?;
        Ok(Self {
            ldap: relayed.ldap,
            stream: LdapStream {
                driver: Some(relayed.driver),
                ended_by: None,
                received: relayed.received,
            },
            past_library: relayed.past_library,
            server: server.to_owned(),
            observer: observer.clone(),
        })
    }

    /// Unbinds, so that the server doesn't log a lost connection.
    pub async fn close(&mut self) {
        let limit = Duration::from_secs(1);
        let unbound = timeout(limit, self.ldap.unbind());
        self.stream.during(unbound).await.ok();
        // The request is on its way when the driver has ended.
        if let Some(driver) = self.stream.driver.take() {
            timeout(limit, driver).await.ok();
        }
    }
}

fn rustls_cause(error: &LdapError) -> Option<&rustls::Error> {
    match error {
        LdapError::Io { source } => source.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn timed_out(waited: Duration) -> std::io::Error {
    std::io::Error::other(format!("no answer within {} s", waited.as_secs_f32()))
}
