//! Service records of DNS that lead to servers that are denied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use directory_sync::source::active_directory::{
    ActiveDirectorySettings, ActiveDirectorySource, Domain, DomainControllerLocation,
};
use directory_sync::source::ldap::Bind;
use directory_sync::source::{ReadProgress, Source};
use tokio::net::{TcpListener, UdpSocket};

use crate::set_limits;

/// The port of global catalogs with TLS.
const CATALOG: u16 = 3269;

/// A name server that answers each question with one service record, for a host of these labels.
async fn name_server(labels: Vec<String>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((_, asker)) = socket.recv_from(&mut query).await {
            let answer = answer(&query, &labels);
            socket.send_to(&answer, asker).await.ok();
        }
    });
    address
}

/// RFC 1035, section 4, and RFC 2782.
fn answer(query: &[u8], labels: &[String]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let question = &query[12..end + 5];
    let mut target = vec![];
    for label in labels {
        target.push(u8::try_from(label.len()).unwrap());
        target.extend(label.as_bytes());
    }
    target.push(0);
    let length = u16::try_from(6 + target.len()).unwrap().to_be_bytes();
    let port = CATALOG.to_be_bytes();
    [
        &query[..2],
        // An answer without an error: one question, one record.
        &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0],
        question,
        // Of the name that was asked for: SRV, IN, for a minute.
        &[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60],
        &length,
        &[0, 0, 0, 0],
        &port,
        &target,
    ]
    .concat()
}

/// Counts who connects to a catalog at this address.
async fn catalog(address: &str) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((address, CATALOG)).await.unwrap();
    let connections = Arc::<AtomicUsize>::default();
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    connections
}

/// Why a domain can't be read whose name server lists a host of these labels.
async fn refused(domain: &str, labels: &[&str]) -> String {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let location = DomainControllerLocation::Domain(Domain {
        name: domain.to_owned(),
        name_server: Some(name_server(labels).await),
    });
    let mut settings = ActiveDirectorySettings::new(location);
    settings.global_catalog = true;
    settings.bind = Bind::Simple {
        dn: "reader@corp.example.com".to_owned(),
        password: "made-up".into(),
    };
    settings.connect_timeout = Duration::from_secs(5);
    let source = ActiveDirectorySource::new(settings).unwrap();
    let read = source.read(None, &ReadProgress::default()).await;
    read.err().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_record_leads_to_no_denied_address_however_it_is_written() {
    set_limits();
    // Of tests that run at the same time each has servers of its own.
    let last = fastrand::u8(1..=250);
    let [denied, allowed] = [1, 2].map(|network| format!("127.0.{network}.{last}"));
    let (at_denied, at_allowed) = (catalog(&denied).await, catalog(&allowed).await);
    let (number, text) = ((127 << 24) + (1 << 8) + u32::from(last), last.to_string());
    let [number, hex] = [number.to_string(), format!("0x{number:x}")];
    let below = format!("0.1.{last}");
    for (domain, labels) in [
        ("corp.example.com", &["127", "0", "1", &*text][..]),
        // Allowed as a host below the domain.
        (&*below, &["127", "0", "1", &*text]),
        ("corp.example.com", &[&*number]),
        ("corp.example.com", &[&*hex]),
    ] {
        let error = refused(domain, labels).await;
        let is_denied = error.contains("may not connect") && error.contains("127.0.0.0/8");
        assert!(is_denied, "{labels:?}: {error}");
    }
    for labels in [&["169", "254", "169", "254"][..], &["2852039166"]] {
        let error = refused("corp.example.com", labels).await;
        assert!(error.contains("never connects"), "{labels:?}: {error}");
    }
    // No host: IPv6 addresses, mapped or translated ones among them, and what would change an address.
    for label in [
        "::1",
        "::ffff:127.0.1.9",
        "64:ff9b::7f00:109",
        "a@127.0.1.9",
        "[::1]",
        "a/b",
    ] {
        let error = refused("corp.example.com", &[label]).await;
        assert!(
            error.contains("no controller in the answer"),
            "{label}: {error}"
        );
    }
    assert_eq!(at_denied.load(Ordering::Relaxed), 0);

    refused("corp.example.com", &["127", "0", "2", &text]).await;
    assert!(at_allowed.load(Ordering::Relaxed) > 0, "the way is right");
}
