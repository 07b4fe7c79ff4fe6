//! LDAP servers whose answer to a search has no end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use directory_sync::source::ldap::{LdapSettings, LdapSource};
use directory_sync::source::{ReadProgress, Source, SourceError, SourceErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{MOST_BYTES, set_limits};

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, content].concat()
}

/// A message with this operation, and the id of the request as the client wrote it.
fn message(id: &[u8], operation: &[u8]) -> Vec<u8> {
    element(0x30, &[id, operation].concat())
}

/// An entry of the search with one attribute, which has this value.
fn entry(id: &[u8], number: u64, value: &[u8]) -> Vec<u8> {
    let dn = element(4, format!("uid=p{number},dc=example,dc=com").as_bytes());
    let values = element(0x31, &element(4, value));
    let attribute = element(0x30, &[element(4, b"entryUUID"), values].concat());
    let content = [dn, element(0x30, &attribute)].concat();
    message(id, &element(0x64, &content))
}

/// A result of this kind without an error.
fn success(id: &[u8], tag: u8, controls: &[u8]) -> Vec<u8> {
    let done = element(tag, b"\x0a\x01\x00\x04\x00\x04\x00");
    message(id, &[&done, controls].concat())
}

/// What follows the request with this id, for each number in turn.
type Answers = fn(id: &[u8], number: u64) -> Vec<u8>;

/// A server that says nothing but `answers`, after each request again or for ever, and how many bytes
/// it got rid of.
async fn server(answers: Answers, for_ever: bool) -> (LdapSettings, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sent = counted.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let mut number = 0;
                while let Ok(count) = stream.read(&mut request).await {
                    if count < 5 {
                        return;
                    }
                    let header = 2 + usize::from(request[1].saturating_sub(0x80));
                    let id = header..header + 2 + usize::from(request[header + 1]);
                    let id = request[id].to_vec();
                    loop {
                        number += 1;
                        let answer = answers(&id, number);
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                        sent.fetch_add(answer.len() as u64, Ordering::Relaxed);
                        // The reader has to keep up: its library queues entries, which count as bytes until
                        // they are taken from there.
                        if number % 256 == 0 {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        if !for_ever {
                            break;
                        }
                    }
                }
            });
        }
    });
    let url = format!("ldap://{address}");
    let mut settings = LdapSettings::new(vec![url.parse().unwrap()], "dc=example,dc=com");
    settings.idle_timeout = Duration::from_secs(20);
    (settings, sent)
}

async fn refused(settings: LdapSettings) -> SourceError {
    set_limits();
    let source = LdapSource::new(settings).unwrap();
    let started = Instant::now();
    let read = source.read(None, &ReadProgress::default()).await;
    assert!(started.elapsed() < Duration::from_secs(30));
    read.err().unwrap()
}

/// More than the limit may be on its way, in the buffers of both sides.
fn assert_bounded(sent: &AtomicU64) {
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < MOST_BYTES + (32 << 20), "{sent} bytes were taken");
}

#[track_caller]
fn assert_told(error: &SourceError, flag: &str) {
    assert_eq!(error.kind, SourceErrorKind::Configuration, "{error}");
    assert!(error.message.contains(flag), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_without_end_are_given_up_by_their_number() {
    let (settings, sent) = server(|id: &[u8], number| entry(id, number, b"x"), true).await;
    assert_told(&refused(settings).await, "--max-list-items");
    assert_bounded(&sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_with_huge_values_are_given_up_by_their_size() {
    let huge = |id: &[u8], number| entry(id, number, &vec![b'x'; 256 << 10]);
    let (settings, sent) = server(huge, true).await;
    assert_told(&refused(settings).await, "--max-response-size");
    assert_bounded(&sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn intermediate_responses_without_end_are_given_up_by_their_number() {
    let intermediate = |id: &[u8], _| message(id, &element(0x79, b""));
    let (settings, sent) = server(intermediate, true).await;
    assert_told(&refused(settings).await, "--max-list-items");
    assert_bounded(&sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_endless_referrals_ends_the_search() {
    let referral = |id: &[u8], _| message(id, &element(0x73, &element(4, b"ldap://elsewhere/")));
    let (settings, sent) = server(referral, true).await;
    let error = refused(settings).await;
    assert!(error.message.contains("held elsewhere"), "{error}");
    assert_bounded(&sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_entries_and_without_end_are_given_up() {
    let empty = |id: &[u8], _| {
        let cookie = [element(2, &[0]), element(4, b"more")].concat();
        let value = element(4, &element(0x30, &cookie));
        let control = [element(4, b"1.2.840.113556.1.4.319"), value].concat();
        success(id, 0x65, &element(0xa0, &element(0x30, &control)))
    };
    let (settings, sent) = server(empty, false).await;
    assert_told(&refused(settings).await, "--max-list-items");
    assert_bounded(&sent);
}
