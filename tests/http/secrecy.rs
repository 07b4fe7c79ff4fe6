//! No secret shows, whatever the other side does with it.

use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use directory_sync::http::{
    Call, ClientSettings, HttpError, Token, TokenCache, TokenSource, client,
};
use futures::future::BoxFuture;
use reqwest::{Method, Url};
use tracing_subscriber::filter::LevelFilter;

use super::remote;
use super::server::{Canned, Server};

const KEY: &str = "s3cr3t-of-the-organization";
const TOKEN: &str = "bearer-of-the-hour";
const QUERY: &str = "key-in-the-query";

#[derive(Debug)]
struct Fixed;

impl TokenSource for Fixed {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async {
            Ok(Token {
                secret: TOKEN.into(),
                lifetime: Duration::from_secs(3600),
            })
        })
    }
}

/// Everything that was logged, at any level, by anyone.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn all_output_of(error: &HttpError) -> String {
    let mut shown = format!("{error}\n{error:?}\n{error:#?}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        shown += &format!("{error}\n{error:?}\n");
        cause = error.source();
    }
    shown
}

#[tokio::test]
async fn a_server_that_quotes_our_requests_reveals_nothing() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let hostile = [
        Canned::status(400),
        Canned::status(401),
        Canned::status(429),
        Canned::status(500),
        Canned::status(302),
        Canned::json(""),
        Canned::html(""),
    ];
    for canned in hostile {
        let server = Server::start([canned.echoing()]).await;
        let mut remote = remote();
        remote.token = Some(Arc::new(TokenCache::new(Fixed)));
        remote.secrets.add(KEY.into());
        remote.secrets.add(TOKEN.into());
        let url = format!("{}/path?code={QUERY}", server.url());
        let call = Call::new(Method::POST, Url::parse(&url).unwrap(), "/path")
            .body("application/json", format!("{{\"password\": \"{KEY}\"}}"));
        let result: Result<Vec<u32>, _> = remote.json(&call, 1 << 20).await;
        let error = result.unwrap_err();
        assert!(server.requests()[0].contains(KEY), "it was sent");
        assert!(server.requests()[0].contains(TOKEN), "it was sent");

        let shown = all_output_of(&error) + &format!("{call:?} {remote:?}");
        for secret in [KEY, TOKEN] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!error.to_string().contains(QUERY), "{error}");
    }

    drop(guard);
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("request"), "the log holds something");
    for secret in [KEY, TOKEN, QUERY] {
        assert!(!logged.contains(secret), "{secret} was logged");
    }
}

#[tokio::test]
async fn a_password_that_is_sent_with_a_name_does_not_show_in_the_form_it_is_sent_in_either() {
    let server = Server::start([Canned::status(401).echoing()]).await;
    let remote = remote();
    let url = Url::parse(&server.url()).unwrap();
    let call = Call::new(Method::POST, url, "/").basic("us:er", &KEY.into(), &remote.secrets);
    let error = remote.done(&call).await.unwrap_err();
    let encoded = "dXM6ZXI6czNjcjN0LW9mLXRoZS1vcmdhbml6YXRpb24=";
    let sent = server.requests()[0].clone();
    assert!(sent.contains(&format!("Basic {encoded}")), "{sent}");
    let shown = all_output_of(&error) + &format!("{call:?} {remote:?}");
    assert!(shown.contains("401"), "{shown}");
    assert!(!shown.contains(encoded), "{shown}");
}

#[test]
fn certificates_that_cannot_be_read_are_refused_without_quoting_them() {
    // A key that was named by mistake, also on one line.
    let key = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n";
    for bundle in ["", "not PEM at all", key, &key.replace('\n', " ")] {
        let settings = ClientSettings {
            ca_bundle: Some(bundle.into()),
            ..ClientSettings::default()
        };
        let error = client(&settings).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("CA bundle"), "{shown}");
        assert!(!shown.contains("bm90IGEga2V5"), "{shown}");
    }
}
