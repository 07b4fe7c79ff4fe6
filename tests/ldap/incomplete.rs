//! Lists that end early: never a shorter directory, always an error, in bounded time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use directory_sync::source::ReadProgress;
use directory_sync::source::ldap::LdapSettings;
use simulators::lab::{Person, Slapd};
use simulators::ldap_proxy::{LdapFault, LdapProxy};

use crate::harness::*;

fn people_and_groups(count: usize) -> simulators::lab::Ldif {
    let mut ldif = company();
    let people: Vec<_> = (0..count)
        .map(|n| ldif.person("ou=people", &Person::new(&format!("user{n:04}"))))
        .collect();
    for (n, chunk) in people.chunks(100).enumerate() {
        ldif.group_of_names("ou=groups", &format!("team{n:02}"), None, chunk);
    }
    ldif
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_limit_is_an_error_with_and_without_pages() {
    let mut ldif = people_and_groups(120);
    let reader = ldif.account("reader", "reader-password");
    let slapd = start(Slapd::options().ldif(ldif.text()).size_limit(100));
    let mut settings = settings(&slapd.url());
    settings.bind = simple(&reader, "reader-password");
    for page_size in [0, 50, 1_000] {
        settings.page_size = page_size;
        refused(settings.clone())
            .await
            .ended_early()
            .says("reading users")
            .says("4 (sizeLimitExceeded)")
            .says("limit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_end_early_at_every_request_is_an_error() {
    let slapd = slapd(&people_and_groups(120));
    // A proxy for each read: requests of one that failed may still be on their way.
    let spoilt = async |k, fault| {
        let proxy = LdapProxy::start(([127, 0, 0, 1], slapd.port()).into())
            .await
            .unwrap();
        proxy.arm(k, fault);
        let mut settings = settings(&proxy.url());
        settings.page_size = 50;
        settings.idle_timeout = Duration::from_millis(500);
        (settings, proxy)
    };
    // Three pages of people, one of groups.
    let requests = 4;
    let (untouched, proxy) = spoilt(requests, LdapFault::CutBefore).await;
    assert_eq!(read(untouched).await.users.len(), 120);
    assert_eq!(proxy.requests(), requests);

    let started = Instant::now();
    for k in 0..requests {
        for fault in [
            LdapFault::CutBefore,
            LdapFault::CutAfter,
            LdapFault::HalfAnswer,
            LdapFault::Hang,
            LdapFault::Code(3),
            LdapFault::Code(4),
            LdapFault::Code(10),
            LdapFault::Code(11),
            LdapFault::Code(53),
        ] {
            let (settings, _proxy) = spoilt(k, fault).await;
            refused(settings).await.ended_early();
        }
        for code in [51, 52, 80] {
            let (settings, _proxy) = spoilt(k, LdapFault::Code(code)).await;
            refused(settings).await.is_transient();
        }
        let (settings, _proxy) = spoilt(k, LdapFault::Code(50)).await;
        refused(settings)
            .await
            .is_configuration()
            .says("right to read");
    }
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn success_without_the_paging_control_in_the_middle_of_a_list_is_no_end() {
    let slapd = slapd(&people_and_groups(120));
    let proxy = LdapProxy::start(([127, 0, 0, 1], slapd.port()).into())
        .await
        .unwrap();
    let mut settings = settings(&proxy.url());
    settings.page_size = 50;
    settings.groups = None;
    proxy.arm(1, LdapFault::Code(0));
    refused(settings).await.ended_early().says("stopped paging");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_after_any_number_of_bytes_is_an_error() {
    let slapd = slapd(&people_and_groups(120));
    let all = bytes_of_a_read(&settings(&slapd.url()), slapd.port()).await;
    for percent in [0, 1, 10, 50, 90, 99] {
        let limit = all * percent / 100;
        let port = cut_after(slapd.port(), limit).await;
        let mut settings = settings(&format!("ldap://127.0.0.1:{port}"));
        settings.groups = None;
        refused(settings)
            .await
            .ended_early()
            .says("connection was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slapd_killed_in_the_middle_of_a_read_is_an_error_in_bounded_time() {
    let mut slapd = slapd(&people_and_groups(1_200));
    let mut settings = settings(&slapd.url());
    // A request for each person, so that there is a middle to be killed in.
    settings.page_size = 1;
    settings.idle_timeout = Duration::from_secs(5);
    let progress = Arc::new(ReadProgress::default());
    let reading = tokio::spawn(refused_after(settings, progress.clone()));
    while progress.users.load(Ordering::Relaxed) < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    slapd.kill();
    let started = Instant::now();
    reading.await.unwrap().ended_early();
    assert!(progress.users.load(Ordering::Relaxed) < 1_200);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_to_another_server_is_an_error_that_says_so() {
    let mut ldif = people_and_groups(3);
    ldif.entry(
        &format!("ou=branch,{SUFFIX}"),
        &[
            ("objectClass", "referral"),
            ("objectClass", "extensibleObject"),
            ("ou", "branch"),
            (
                "ref",
                "ldap://branch.example.com/ou=branch,dc=example,dc=com",
            ),
        ],
    );
    let slapd = slapd(&ldif);
    refused(settings(&slapd.url()))
        .await
        .ended_early()
        .says("held elsewhere (another server)")
        .says("narrow the base DN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_ldap_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut client, _)) = listener.accept().await {
            client
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n0\x030\x020\0")
                .await
                .ok();
            client.shutdown().await.ok();
        }
    });
    let started = Instant::now();
    refused(settings(&url)).await;
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_in_ranges_are_an_error_and_not_a_small_group() {
    let url = fake(|id| {
        let text = |tag, text: &str| ber(tag, &[text.as_bytes()]);
        let attribute = |name: &str, values: &[&str]| {
            let values: Vec<_> = values.iter().map(|value| text(0x04, value)).collect();
            ber(0x30, &[text(0x04, name), ber(0x31, &values)])
        };
        let attributes = [
            attribute("entryUUID", &["g1"]),
            attribute("cn", &["big"]),
            attribute("member", &[]),
            attribute("member;range=0-1499", &["cn=a,dc=example,dc=com"]),
        ];
        let group = [
            text(0x04, "cn=big,dc=example,dc=com"),
            ber(0x30, &attributes),
        ];
        let success = [ber(0x0a, &[[0]]), text(0x04, ""), text(0x04, "")];
        [
            ber(0x30, &[ber(0x02, &[[id]]), ber(0x64, &group)]),
            ber(0x30, &[ber(0x02, &[[id]]), ber(0x65, &success)]),
        ]
        .concat()
    })
    .await;
    refused(settings(&url))
        .await
        .is_configuration()
        .says("cn=big")
        .says("member;range=0-1499")
        .says("source.activeDirectory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_takes_too_long_is_an_error() {
    let slapd = slapd(&people_and_groups(1_200));
    let port = trickle(slapd.port()).await;
    let mut settings = settings(&format!("ldap://127.0.0.1:{port}"));
    settings.search_timeout = Duration::from_millis(500);
    refused(settings).await.ended_early().says("searchTimeout");
}

/// A server that answers every request, told its message id, with `answer`; its URL.
async fn fake(answer: impl Fn(u8) -> Vec<u8> + Send + Sync + 'static) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 2_048];
                while let Ok(size @ 1..) = client.read(&mut request).await {
                    // SEQUENCE { INTEGER id, …: the id's bytes follow the sequence's length.
                    let long = usize::from(request[1].saturating_sub(0x80).min(4));
                    assert!(size > 4 + long, "a whole request at once");
                    client.write_all(&answer(request[4 + long])).await.ok();
                }
            });
        }
    });
    url
}

/// One BER value with these parts as its content.
fn ber(tag: u8, parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let content: Vec<u8> = parts
        .iter()
        .flat_map(|part| part.as_ref().to_vec())
        .collect();
    let length = u8::try_from(content.len()).expect("a short value");
    [vec![tag, 0x81, length], content].concat()
}

/// How many bytes a read of the people brings.
async fn bytes_of_a_read(settings: &LdapSettings, upstream: u16) -> usize {
    let (counted, mut count) = tokio::sync::mpsc::unbounded_channel();
    let port = forward(upstream, move |passed| {
        counted.send(passed).ok();
        Some(Duration::ZERO)
    })
    .await;
    let mut settings = settings.clone();
    settings.servers = vec![format!("ldap://127.0.0.1:{port}").parse().unwrap()];
    settings.groups = None;
    read(settings).await;
    let mut all = 0;
    while let Ok(passed) = count.try_recv() {
        all = all.max(passed);
    }
    all
}

/// Passes `limit` bytes of answers on each connection, then cuts it.
async fn cut_after(upstream: u16, limit: usize) -> u16 {
    forward(upstream, move |passed| {
        (passed < limit).then_some(Duration::ZERO)
    })
    .await
}

/// A proxy that passes answers on slowly.
async fn trickle(upstream: u16) -> u16 {
    forward(upstream, |_| Some(Duration::from_millis(20))).await
}

/// A proxy that asks `pace`, for every small piece of an answer, how long to wait, told how many
/// bytes have passed on this connection; `None` cuts it there. The port it listens on.
async fn forward(
    upstream: u16,
    pace: impl Fn(usize) -> Option<Duration> + Send + Sync + 'static,
) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pace = Arc::new(pace);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let pace = pace.clone();
            tokio::spawn(async move {
                let server = tokio::net::TcpStream::connect(("127.0.0.1", upstream))
                    .await
                    .unwrap();
                let (mut client_read, mut client_write) = client.into_split();
                let (mut server_read, mut server_write) = server.into_split();
                let requests = tokio::spawn(async move {
                    tokio::io::copy(&mut client_read, &mut server_write)
                        .await
                        .ok();
                });
                let (mut passed, mut piece) = (0, [0; 512]);
                while let Ok(size @ 1..) = server_read.read(&mut piece).await {
                    for byte in piece[..size].chunks(64) {
                        let Some(wait) = pace(passed) else {
                            requests.abort();
                            return;
                        };
                        if !wait.is_zero() {
                            tokio::time::sleep(wait).await;
                        }
                        if client_write.write_all(byte).await.is_err() {
                            return;
                        }
                        passed += byte.len();
                        pace(passed);
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_of_a_name_or_a_password_is_not_repeated() {
    let slapd = slapd(&people_and_groups(3));
    let proxy = LdapProxy::start(([127, 0, 0, 1], slapd.port()).into())
        .await
        .unwrap();
    // Whichever way it quotes them: a short password, in hexadecimal digits, or cut.
    for text in ["invalid DN \"pin7\"", "70696e37", "pin"] {
        let mut settings = settings(&proxy.url());
        settings.bind = simple("pin7", "pin7");
        proxy.arm(0, LdapFault::Says(34, text));
        refused(settings)
            .await
            .says("34 (invalidDNSyntax)")
            .says("bind Secret")
            .never_says("pin")
            .never_says("70696e37");
    }
}
