//! Servers of somebody who wants to harm the operator, or the others who use it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with every request but the one for a token, which it grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Sends a byte every two seconds.
    Drip,
    /// Accepts the request and never answers.
    Silence,
    /// Asks to come again after as long as is just worth waiting for.
    ComeAgain,
    /// Has always another page with this many people, after this many milliseconds.
    EndlessPages(usize, u64),
    /// Has one group, whose members have always another page of this many.
    EndlessMembers(usize),
    /// Has one group, without members, whose name has so many letters.
    LongName(usize),
    /// Has one person and one group, and this text as their ids, names and addresses.
    Names(&'static str),
    /// Sends a body as compressed by gzip.
    Compressed(&'static [u8]),
    /// Sends this body.
    Body(&'static str),
    /// Sends everybody to this address, requests for a token included.
    Redirect(&'static str),
    /// Says that the list goes on at this address.
    NextPage(&'static str),
    /// Grants a token for 2^64 seconds, and has nothing else.
    LongToken,
}

/// Starts a server on loopback, for Okta and for an organization; its URL. It ends with the runtime.
pub async fn server(harm: Harm) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (address, count) = (url.clone(), Arc::new(AtomicU64::new(0)));
    let answer = move |uri: Uri, headers: HeaderMap| {
        // Whoever came through another address is sent back there.
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let address = host.map_or_else(|| address.clone(), |host| format!("http://{host}"));
        answer(harm, uri, address, count.clone())
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

async fn answer(harm: Harm, uri: Uri, address: String, count: Arc<AtomicU64>) -> Response {
    if let Harm::Redirect(to) = harm {
        return (StatusCode::FOUND, [(header::LOCATION, to)], "{}").into_response();
    }
    if uri.path().contains("token") {
        let seconds: u128 = if harm == Harm::LongToken {
            1 << 64
        } else {
            3600
        };
        let token = format!(
            "{{\"access_token\": \"a-token-of-this-test\", \"token_type\": \"Bearer\", \
             \"expires_in\": {seconds}, \"scope\": \"api.organization\"}}"
        );
        return ([(header::CONTENT_TYPE, "application/json")], token).into_response();
    }
    let is_json = [(header::CONTENT_TYPE, "application/json")];
    match harm {
        Harm::Drip => {
            let bytes = stream::repeat(Bytes::from_static(b" ")).then(|byte| async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok::<_, std::io::Error>(byte)
            });
            (is_json, Body::from_stream(bytes)).into_response()
        }
        Harm::Silence => std::future::pending().await,
        Harm::ComeAgain => {
            let wait = [(header::RETRY_AFTER, "60")];
            (StatusCode::TOO_MANY_REQUESTS, wait, "{}").into_response()
        }
        Harm::Compressed(bytes) => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (is_json, encoding, bytes).into_response()
        }
        Harm::Body(text) => (is_json, text).into_response(),
        Harm::EndlessPages(..)
        | Harm::EndlessMembers(_)
        | Harm::LongName(_)
        | Harm::Names(_)
        | Harm::NextPage(_)
        | Harm::LongToken
        | Harm::Redirect(_)
            if uri.path().contains("/public/") =>
        {
            axum::Json(json!({"object": "list", "data": []})).into_response()
        }
        Harm::NextPage(at) => {
            let links = format!("<{address}{uri}>; rel=\"self\", <{at}>; rel=\"next\"");
            ([(header::LINK, links)], axum::Json(json!([]))).into_response()
        }
        Harm::EndlessPages(size, pause) => {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            people(size, &uri, &address, &count)
        }
        Harm::EndlessMembers(_) | Harm::LongName(_) if uri.path().ends_with("/groups") => {
            let name = match harm {
                Harm::LongName(letters) => "a".repeat(letters),
                _ => "endless".to_owned(),
            };
            let group = json!([{"id": "00g1", "type": "OKTA_GROUP", "profile": {"name": name}}]);
            (links(&uri, &address, None), axum::Json(group)).into_response()
        }
        Harm::Names(text) => {
            let email = format!("{text}@example.com");
            let profile = json!({"login": email, "email": email, "name": text});
            let entry =
                json!([{"id": text, "status": "ACTIVE", "type": "OKTA_GROUP", "profile": profile}]);
            (links(&uri, &address, None), axum::Json(entry)).into_response()
        }
        Harm::EndlessMembers(size) if uri.path().contains("/groups/") => {
            people(size, &uri, &address, &count)
        }
        Harm::EndlessMembers(_) | Harm::LongName(_) | Harm::LongToken | Harm::Redirect(_) => {
            (links(&uri, &address, None), axum::Json(json!([]))).into_response()
        }
    }
}

/// A page of people who weren't there before.
fn people(size: usize, uri: &Uri, address: &str, count: &AtomicU64) -> Response {
    let page = count.fetch_add(1, Ordering::Relaxed);
    let people = (0..size).map(|number| {
        let id = format!("00u{page:012}{number:05}");
        let email = format!("p{page}.{number}@example.com");
        json!({"id": id, "status": "ACTIVE", "type": "OKTA_GROUP",
            "profile": {"login": email, "email": email, "name": email}})
    });
    let people: Vec<_> = people.collect();
    let next = format!("after=p{page}");
    (links(uri, address, Some(&next)), axum::Json(people)).into_response()
}

fn links(uri: &Uri, address: &str, next: Option<&str>) -> HeaderMap {
    let mut links = format!("<{address}{uri}>; rel=\"self\"");
    if let Some(next) = next {
        links = format!("{links}, <{address}{}?{next}>; rel=\"next\"", uri.path());
    }
    HeaderMap::from_iter([(header::LINK, links.parse().unwrap())])
}

/// What an LDAP server does.
#[derive(Debug, Clone)]
pub enum LdapHarm {
    /// Refuses each bind with this diagnostic message.
    Refuse(String),
    /// Accepts the connection and never answers.
    Silence,
    /// Answers with elements in each other, deeper than a stack.
    Nested,
    /// Announces a message of 2 GiB.
    Announce,
    /// Sends a byte of an answer every two seconds.
    Drip,
    /// Has one entry with a value of so many bytes, of which the last never comes.
    HugeValue(usize),
    /// Has always another entry for a search.
    Entries,
    /// Sends each search to this address.
    Referral(String),
}

/// Starts an LDAP server on loopback; its URL. It ends with the runtime.
///
/// # Panics
/// When no port is free.
pub async fn ldap_server(harm: LdapHarm) -> String {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener
        .local_addr()
        .expect("a bound listener has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_ldap(stream, harm.clone()));
        }
    });
    format!("ldap://{address}")
}

/// Serves one connection until the other side has enough of it.
async fn answer_ldap(mut stream: TcpStream, harm: LdapHarm) -> Option<()> {
    let mut request = [0; 4096];
    loop {
        let count = stream.read(&mut request).await.ok()?;
        let (id, operation) = request_of(request.get(..count)?)?;
        let done = |tag, code, message: &str| {
            let result = [&[10, 1, code, 4, 0][..], &element(4, message.as_bytes())].concat();
            ldap_message(id, &element(tag, &result))
        };
        let answer = match (&harm, operation) {
            (_, 0x42) => return None,
            (LdapHarm::Silence, _) => continue,
            (LdapHarm::Refuse(message), _) => done(0x61, 49, message),
            (LdapHarm::Nested, _) => ldap_message(id, &element(0x64, &nested(30_000))),
            (LdapHarm::Announce, _) => b"\x30\x84\x7f\xff\xff\xff\x02\x01".to_vec(),
            (LdapHarm::Drip, _) => {
                for byte in done(0x61, 0, &"slow ".repeat(100)) {
                    stream.write_all(&[byte]).await.ok()?;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                continue;
            }
            (LdapHarm::Entries | LdapHarm::HugeValue(_) | LdapHarm::Referral(_), 0x60) => {
                done(0x61, 0, "")
            }
            (LdapHarm::HugeValue(bytes), _) => {
                let values = element(0x31, &element(4, &vec![b'x'; *bytes]));
                let attribute = element(0x30, &[element(4, b"uid"), values].concat());
                let dn = element(4, b"uid=huge,dc=example,dc=com");
                let entry = [dn, element(0x30, &attribute)].concat();
                let message = ldap_message(id, &element(0x64, &entry));
                stream.write_all(&message[..message.len() - 1]).await.ok()?;
                std::future::pending().await
            }
            (LdapHarm::Entries, _) => {
                for number in 0_u64.. {
                    let dn = format!("uid=p{number},dc=example,dc=com");
                    let entry = [element(4, dn.as_bytes()), element(0x30, b"")].concat();
                    let entry = ldap_message(id, &element(0x64, &entry));
                    stream.write_all(&entry).await.ok()?;
                    if number % 100 == 0 {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                continue;
            }
            (LdapHarm::Referral(to), _) => {
                let reference = ldap_message(id, &element(0x73, &element(4, to.as_bytes())));
                let result = [
                    b"\x0a\x01\x0a\x04\x00\x04\x00",
                    &element(0xa3, &element(4, to.as_bytes()))[..],
                ];
                let last = ldap_message(id, &element(0x65, &result.concat()));
                [reference, last].concat()
            }
        };
        stream.write_all(&answer).await.ok()?;
    }
}

/// The id of a request of less than 64 KiB, and the tag of its operation.
fn request_of(request: &[u8]) -> Option<(u8, u8)> {
    let header = match *request.get(1)? {
        length if length < 0x80 => 2,
        length => 2 + usize::from(length & 0x7f),
    };
    Some((*request.get(header + 2)?, *request.get(header + 3)?))
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&[tag, 0x84][..], &length, content].concat()
}

fn ldap_message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id][..], operation].concat())
}

fn nested(levels: u32) -> Vec<u8> {
    let headers = (0..levels).rev().flat_map(|level| {
        let [a, b, c, d] = (level * 6).to_be_bytes();
        [0x30, 0x84, a, b, c, d]
    });
    headers.collect()
}

/// What clients sent to hostile servers.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Recorder {
    /// The address of a listener that passes everything on to the server at `url` (`http` or `ldap`),
    /// and keeps what clients send. It ends with the runtime.
    ///
    /// # Panics
    /// When `url` has no address, or no port is free.
    pub async fn before(&self, url: &str) -> String {
        let (scheme, target) = url.split_once("://").expect("an address with a scheme");
        let target = target.to_owned();
        self.listen(scheme, "127.0.0.1", move || {
            TcpStream::connect(target.clone())
        })
        .await
    }

    /// The address of a listener that keeps what clients send, and answers `answer`.
    ///
    /// # Panics
    /// When no port is free on `address`.
    pub async fn instead(&self, scheme: &str, address: &str, answer: &'static [u8]) -> String {
        let connect = move || async move {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while theirs.read(&mut request).await.is_ok_and(|count| count > 0) {
                    if theirs.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
            Ok(ours)
        };
        self.listen(scheme, address, connect).await
    }

    async fn listen<S, F>(
        &self,
        scheme: &str,
        address: &str,
        connect: impl Fn() -> F + Send + Sync + Clone + 'static,
    ) -> String
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = std::io::Result<S>> + Send,
    {
        let listener = TcpListener::bind((address, 0))
            .await
            .expect("a port is free");
        let own = listener
            .local_addr()
            .expect("a bound listener has an address");
        let received = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (received, connect) = (received.clone(), connect.clone());
                tokio::spawn(async move { received.pass(client, connect().await?).await });
            }
        });
        format!("{scheme}://{own}")
    }

    async fn pass<S>(&self, client: TcpStream, server: S) -> std::io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
    {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = tokio::io::split(server);
        // Also one that sends nothing was there.
        self.keep(b"\n");
        let forth = async {
            let mut bytes = [0; 4096];
            loop {
                let count = from_client.read(&mut bytes).await?;
                let bytes = bytes.get(..count).unwrap_or_default();
                if bytes.is_empty() {
                    return to_server.shutdown().await;
                }
                self.keep(bytes);
                to_server.write_all(bytes).await?;
            }
        };
        let back = async {
            tokio::io::copy(&mut from_server, &mut to_client).await?;
            to_client.shutdown().await
        };
        tokio::try_join!(forth, back).map(drop)
    }

    fn keep(&self, bytes: &[u8]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
    }

    /// All that clients sent so far; empty where nobody connected.
    pub fn received(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&all).into_owned()
    }
}
