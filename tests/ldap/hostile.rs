//! Servers that answer with what would end the process, or fill its memory, if it were decoded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use directory_sync::http::counting;

use directory_sync::source::active_directory::{
    ActiveDirectorySettings, ActiveDirectorySource, Controller, DomainControllerLocation,
};
use directory_sync::source::ldap::{LdapSettings, LdapSource};
use directory_sync::source::{ReadProgress, Source, SourceErrorKind};
use directory_sync_testing::hostile::{LdapHarm, ldap_server};
use simulators::lab::Authority;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::harness::*;

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Plain,
    StartTls,
    Ldaps,
}

/// How its answer comes.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    size: usize,
    pause: Duration,
}

const AT_ONCE: Pieces = Pieces {
    size: 1 << 20,
    pause: Duration::ZERO,
};

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, content].concat()
}

/// Elements in each other. Thirty thousand levels overflow the stack of a decoder that recurses.
fn nested(levels: usize) -> Vec<u8> {
    let mut lengths = vec![];
    let mut length = 0;
    for _ in 0..levels {
        lengths.push(length);
        length += 6;
    }
    let headers = lengths.iter().rev().flat_map(|length: &u32| {
        let [a, b, c, d] = length.to_be_bytes();
        [0x30, 0x84, a, b, c, d]
    });
    headers.collect()
}

/// A message with this operation, as the answer to a request with this id.
fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id][..], operation].concat())
}

async fn read_request(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut request = vec![0; 4096];
    let count = from.read(&mut request).await.ok()?;
    request.truncate(count);
    (count > 0).then_some(request)
}

/// Where the id is in a message of less than 64 KiB, as the clients here send them.
fn id(request: &[u8]) -> u8 {
    let header = match request[1] {
        length if length < 0x80 => 2,
        length => 2 + usize::from(length & 0x7f),
    };
    request[header + 2]
}

/// Answers the first request with `answer` made for its id, then stays silent.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, pieces: Pieces) {
    if let Some(request) = read_request(&mut stream).await {
        for piece in answer(id(&request)).chunks(pieces.size) {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            stream.flush().await.ok();
            tokio::time::sleep(pieces.pause).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
}

type Answer = fn(u8) -> Vec<u8>;

/// Settings for a server that answers so.
async fn server(transport: Transport, answer: Answer, pieces: Pieces) -> LdapSettings {
    let authority = Authority::new("Hostile CA").unwrap();
    let identity = authority.server(&[]).unwrap();
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain: Vec<_> = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if transport == Transport::Plain {
                    return serve(stream, answer, pieces).await;
                }
                if transport == Transport::StartTls {
                    let request = read_request(&mut stream).await.unwrap();
                    let yes = message(id(&request), b"\x78\x07\x0a\x01\x00\x04\x00\x04\x00");
                    stream.write_all(&yes).await.unwrap();
                }
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, answer, pieces).await;
                }
            });
        }
    });
    let scheme = match transport {
        Transport::Ldaps => "ldaps",
        Transport::Plain | Transport::StartTls => "ldap",
    };
    let mut settings = settings(&format!("{scheme}://{address}"));
    settings.idle_timeout = Duration::from_secs(5);
    settings.connect_timeout = Duration::from_secs(5);
    settings.tls.start_tls = transport == Transport::StartTls;
    settings.tls.ca_bundle = Some(authority.pem().into_bytes());
    settings
}

const TRANSPORTS: [Transport; 3] = [Transport::Plain, Transport::StartTls, Transport::Ldaps];

/// A search entry of nested elements.
fn nested_entry(id: u8) -> Vec<u8> {
    message(id, &element(0x64, &nested(30_000)))
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_elements_end_the_connection_and_not_the_process() {
    for transport in TRANSPORTS {
        refused(server(transport, nested_entry, AT_ONCE).await)
            .await
            .is_configuration()
            .says("reading ")
            .says("nested in more than 32 levels");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_elements_that_drip_are_found_as_soon_as_they_are_too_deep() {
    let drip = Pieces {
        size: 1,
        pause: Duration::from_millis(1),
    };
    refused(server(Transport::Plain, nested_entry, drip).await)
        .await
        .says("nested in more than 32 levels");
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_elements_in_the_answer_to_a_bind_end_the_connection() {
    let answer = |id| message(id, &element(0x61, &nested(30_000)));
    let mut settings = server(Transport::Ldaps, answer, AT_ONCE).await;
    settings.bind = simple("cn=reader", "reader-password");
    refused(settings)
        .await
        .says("binding to")
        .says("nested in more than 32 levels");
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_elements_in_the_answer_to_start_tls_end_the_connection() {
    let answer = |id| message(id, &element(0x78, &nested(5_000)));
    let mut settings = server(Transport::Plain, answer, AT_ONCE).await;
    settings.tls.start_tls = true;
    refused(settings)
        .await
        .says("StartTLS with")
        .says("nested in more than 32 levels");
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_elements_in_the_control_for_pages_end_the_search() {
    // The control is in the answer's last message; its value is a string for the outer framing.
    let answer = |id| {
        let done = element(0x65, b"\x0a\x01\x00\x04\x00\x04\x00");
        let value = element(4, &nested(30_000));
        let control = [element(4, b"1.2.840.113556.1.4.319"), value].concat();
        let controls = element(0xa0, &element(0x30, &control));
        message(id, &[done, controls].concat())
    };
    refused(server(Transport::Plain, answer, AT_ONCE).await)
        .await
        .ended_early()
        .says("stopped paging");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_two_gibibytes_is_refused_by_its_length() {
    for transport in TRANSPORTS {
        // Nothing follows: whoever believed the length would wait.
        let answer = |_| b"\x30\x84\x7f\xff\xff\xff".to_vec();
        refused(server(transport, answer, AT_ONCE).await)
            .await
            .is_configuration()
            .says("larger than 268435456 bytes")
            .says("--max-ldap-message-size");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_message_count_before_it_is_whole() {
    const HUGE: usize = 8 << 20;
    let url = ldap_server(LdapHarm::HugeValue(HUGE)).await;
    let source = LdapSource::new(settings(&url)).unwrap();
    let counter = Arc::<AtomicU64>::default();
    let progress = ReadProgress::default();
    let reading = counting(counter.clone(), source.read(None, &progress));
    let ended = tokio::time::timeout(Duration::from_secs(4), reading).await;
    assert!(ended.is_err(), "its last byte never comes");
    let counted = counter.load(Ordering::Relaxed);
    assert!(
        counted >= HUGE as u64,
        "{counted} bytes, by which the memory guard chooses"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_longer_than_its_message_is_no_ldap() {
    // The decoder would take it for a message whose end is still to come, and keep all that comes.
    let answer = |id| element(0x30, &[2, 1, id, 0x64, 0x84, 0, 0xff, 0xff, 0xff]);
    refused(server(Transport::Plain, answer, AT_ONCE).await)
        .await
        .is_transient()
        .says("can't be understood as LDAP");
}

#[tokio::test(flavor = "multi_thread")]
async fn active_directory_is_read_behind_the_same_guard() {
    let settings = server(Transport::Ldaps, nested_entry, AT_ONCE).await;
    let server = &settings.servers[0];
    let controller = Controller {
        host: server.host.clone(),
        port: Some(server.port),
    };
    let mut domain =
        ActiveDirectorySettings::new(DomainControllerLocation::Controllers(vec![controller]));
    domain.bind = simple("reader@corp.example.com", "reader-password");
    domain.tls = settings.tls;
    let source = ActiveDirectorySource::new(domain).unwrap();
    let error = source
        .read(None, &ReadProgress::default())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, SourceErrorKind::Configuration, "{error}");
    assert!(error.message.contains("nested in more than"), "{error}");
}
