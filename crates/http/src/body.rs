//! Bodies, read to their end or not at all.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use memchr::{memchr, memchr2};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_util::io::{StreamReader, SyncIoBridge};
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::process_limits::{TOO_MANY, TOO_MANY_VALUES, process_limits};
use crate::redactor::WITHHELD;
use crate::{Answer, Failure, Redactor, received, retry_after};
use directory_sync_directory::text::sanitize;

/// As much of an answer that isn't a success as is kept.
const ANSWER_MAX: u64 = 1 << 20;
/// How much text of such an answer is looked at for secrets; what is beyond is withheld.
const TEXTS_MAX: usize = 64 << 10;
/// What a text counts at least.
const TEXT_COST: usize = 64;
/// The longest text in an answer. No name, address, token or cursor of any vendor comes near it.
const TEXT_MAX: usize = 1 << 20;
/// What is read at once from the network's side of a decoder.
const READ_AHEAD: usize = 64 << 10;

/// What a body was decoded to. Its type is known where the call is made ([`decode`]): what sends calls
/// and reads bodies is compiled once, not once for each type of answer.
pub(super) type Decoded = Box<dyn Any + Send>;

/// Decodes a body while it is read.
pub(super) type Decode = fn(BodyReader) -> serde_json::Result<Decoded>;

/// A body on its way from the network.
pub(super) type BodyReader = io::BufReader<Box<dyn io::Read + Send>>;

/// Decodes a `T`, and reads on to the end of the body, so that a lost end is noticed.
pub(super) fn decode<T>(body: BodyReader) -> serde_json::Result<Decoded>
where
    T: DeserializeOwned + Send + 'static,
{
    Ok(Box::new(serde_json::from_reader::<_, T>(body)?))
}

/// Decodes a JSON body as it arrives: at no time is all of it in memory.
pub(super) async fn json(response: Response, cap: u64, decode: Decode) -> Result<Decoded, Failure> {
    if media_type(&response).contains("html") {
        return Err(Failure::Html);
    }
    let cap = cap.min(process_limits().max_response_bytes);
    // The decoder's thread isn't ended with this future, so its input is.
    let abandoned = CancellationToken::new();
    let _abandoned_when_dropped = abandoned.clone().drop_guard();
    let chunks = capped(response, cap).take_until(abandoned.cancelled_owned());
    let reader = Box::pin(StreamReader::new(chunks));
    let decoded = tokio::task::spawn_blocking(move || {
        let checked: Box<dyn io::Read + Send> =
            Box::new(ShortTexts::new(SyncIoBridge::new(reader)));
        decode(io::BufReader::with_capacity(READ_AHEAD, checked))
    });
    match decoded.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(undecodable(&error, cap)),
        Err(stopped) => Err(Failure::Interrupted(stopped.to_string())),
    }
}

/// JSON without texts of more than [`TEXT_MAX`] bytes. Whatever is kept of an answer is made of its
/// texts, so this bounds each field of each type, also those of types yet to be written.
struct ShortTexts<R> {
    inner: R,
    /// Bytes of the text that was read last; `None` outside of texts.
    text: Option<usize>,
    after_backslash: bool,
}

impl<R> ShortTexts<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            text: None,
            after_backslash: false,
        }
    }

    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(length) = &mut self.text else {
                let Some(quote) = memchr(b'"', bytes) else {
                    break;
                };
                self.text = Some(0);
                bytes = &bytes[quote + 1..];
                continue;
            };
            let is_escaped = std::mem::take(&mut self.after_backslash);
            let end = match is_escaped {
                true => Some(0),
                false => memchr2(b'"', b'\\', bytes),
            };
            let (passed, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
            *length += passed.len();
            if *length > TEXT_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match end.map(|at| bytes[at]) {
                _ if is_escaped => {}
                Some(b'\\') => self.after_backslash = true,
                Some(_) => self.text = None,
                None => {}
            }
            bytes = rest;
        }
        Ok(())
    }
}

impl<R: io::Read> io::Read for ShortTexts<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.follow(&buffer[..count])?;
        Ok(count)
    }
}

/// Reads a body to its end that tells nothing: empty, or JSON.
pub(super) async fn nothing(response: Response, cap: u64) -> Result<(), Failure> {
    if media_type(&response).contains("html") {
        return Err(Failure::Html);
    }
    let mut body = Vec::new();
    let mut chunks = std::pin::pin!(capped(response, cap));
    while let Some(chunk) = chunks.try_next().await.map_err(|error| lost(&error, cap))? {
        body.extend_from_slice(&chunk);
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&body)
        .map(|_| ())
        .map_err(|error| undecodable(&error, cap))
}

/// What a refusal says; a body that breaks off is as good as none. `query` of the request is a
/// cursor or a key, and nobody's business.
pub(super) async fn answer(response: Response, query: Option<&str>, secrets: &Redactor) -> Answer {
    let status = response.status();
    let headers = response.headers();
    let location = headers
        .get(LOCATION)
        .and_then(|to| to.to_str().ok())
        .and_then(|to| response.url().join(to).ok())
        .map(|to| match to.host_str() == response.url().host_str() {
            true => to.origin().ascii_serialization(),
            // Its name can be made of what was sent.
            false => "another host".to_owned(),
        });
    let retry_after = retry_after(headers);
    let content_type = media_type(&response);
    let mut body = Vec::new();
    let mut chunks = std::pin::pin!(capped(response, ANSWER_MAX));
    while let Some(Ok(chunk)) = chunks.next().await {
        body.extend_from_slice(&chunk);
    }
    let html = content_type.contains("html") || body.trim_ascii_start().starts_with(b"<");
    let mut body = serde_json::from_slice::<Value>(&body).ok();
    if let Some(body) = &mut body {
        let left = Cell::new(TEXTS_MAX);
        each_text(body, &|text| {
            match left.get().checked_sub(text.len().max(TEXT_COST)) {
                Some(rest) => left.set(rest),
                None => return WITHHELD.to_owned(),
            }
            match query {
                Some(query) if !query.is_empty() => secrets.redact(&text.replace(query, "***")),
                _ => secrets.redact(text),
            }
        });
    }
    Answer {
        status,
        retry_after,
        html,
        location,
        body,
    }
}

/// Changes each text in `value`, names of fields included.
fn each_text(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(fields) => {
            *fields = std::mem::take(fields)
                .into_iter()
                .map(|(name, mut value)| {
                    each_text(&mut value, change);
                    (change(&name), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The chunks of a body. More than `cap` bytes, after decompression, are an error, and so is a
/// body that comes too slowly to ever be worth the wait ([`MinimumSpeed`]).
fn capped(
    response: Response,
    cap: u64,
) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> + Send {
    let chunks = response
        .bytes_stream()
        .map_err(|error| io::Error::other(error.without_url()));
    let mut left = cap;
    let received = received::counter();
    paced(chunks, MinimumSpeed::default()).map(move |chunk| {
        let chunk = chunk?;
        if let Some(received) = &received {
            received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        left = left
            .checked_sub(chunk.len() as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(chunk)
    })
}

/// How slowly a body may come. A server that sends a byte now and then would hold a run forever.
/// Only time in which we wait for the server counts.
#[derive(Debug, Clone, Copy)]
struct MinimumSpeed {
    /// In each stretch of this length …
    window: Duration,
    /// … at least so many bytes have to come, unless the body ends in it.
    bytes: usize,
    /// All waiting for one body.
    total: Duration,
}

impl Default for MinimumSpeed {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            bytes: 16 << 10,
            total: Duration::from_secs(600),
        }
    }
}

fn paced<S>(
    chunks: S,
    minimum: MinimumSpeed,
) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> + Send
where
    S: futures::Stream<Item = io::Result<bytes::Bytes>> + Send,
{
    struct Progress<S> {
        chunks: std::pin::Pin<Box<S>>,
        waited: Duration,
        came: usize,
        total: Duration,
    }
    let progress = Progress {
        chunks: Box::pin(chunks),
        waited: Duration::ZERO,
        came: 0,
        total: Duration::ZERO,
    };
    futures::stream::try_unfold(progress, move |mut progress| async move {
        loop {
            let remaining = minimum.window.saturating_sub(progress.waited);
            let started = Instant::now();
            let next = timeout(remaining, progress.chunks.next()).await;
            let waited = started.elapsed();
            progress.waited += waited;
            progress.total += waited;
            if progress.waited >= minimum.window || progress.total >= minimum.total {
                let too_slow = progress.came < minimum.bytes || progress.total >= minimum.total;
                if too_slow && !matches!(next, Ok(None)) {
                    let error = format!(
                        "the body comes too slowly: {} bytes in {} s",
                        progress.came,
                        progress.waited.as_secs()
                    );
                    return Err(io::Error::new(io::ErrorKind::TimedOut, error));
                }
                progress.waited = Duration::ZERO;
                progress.came = 0;
            }
            match next {
                Err(_) => {}
                Ok(None) => return Ok(None),
                Ok(Some(chunk)) => {
                    let chunk = chunk?;
                    progress.came += chunk.len();
                    return Ok(Some((chunk, progress)));
                }
            }
        }
    })
}

fn undecodable(error: &serde_json::Error, cap: u64) -> Failure {
    if let Some(kind) = error.io_error_kind() {
        if kind == io::ErrorKind::FileTooLarge {
            return Failure::TooLarge(cap);
        }
        if kind == io::ErrorKind::InvalidData {
            return Failure::Undecodable(format!("a text in it is longer than {TEXT_MAX} bytes"));
        }
        return Failure::Interrupted(sanitize(&error.to_string()));
    }
    let place = format!("at line {}, column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => {
            Failure::Interrupted(format!("the body breaks off {place}"))
        }
        serde_json::error::Category::Data => {
            let what = data_error(&error.to_string());
            Failure::Undecodable(format!("{what} {place}"))
        }
        _ => Failure::Undecodable(format!("it isn't JSON {place}")),
    }
}

/// What doesn't fit, without the value, which these errors quote: `invalid type: string "…",
/// expected u64` becomes `a string instead of u64`.
fn data_error(text: &str) -> String {
    // What is expected stands at the end, in words of this program.
    let expected = text
        .rsplit_once(", expected ")
        .map(|(_, rest)| rest.split(" at line ").next().unwrap_or_default());
    if let Some(rest) = text.strip_prefix("missing field ") {
        let field = rest.split(" at line ").next().unwrap_or_default();
        return format!("the field {} is missing", sanitize(field));
    }
    let found = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "))
        .and_then(|rest| rest.split([' ', ',']).next())
        .filter(|kind| {
            [
                "string", "integer", "floating", "boolean", "null", "map", "sequence",
            ]
            .contains(kind)
        });
    match (found, expected) {
        (Some(found), Some(expected)) => {
            format!(
                "a value of the kind {found} instead of {}",
                sanitize(expected)
            )
        }
        (None, _)
            if [TOO_MANY, TOO_MANY_VALUES]
                .iter()
                .any(|start| text.starts_with(start)) =>
        {
            text.split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
        _ => "a value doesn't fit".to_owned(),
    }
}

fn lost(error: &io::Error, cap: u64) -> Failure {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Failure::TooLarge(cap);
    }
    let text = match error.get_ref() {
        Some(inner) => chain(inner),
        None => chain(error),
    };
    Failure::Interrupted(text)
}

fn media_type(response: &Response) -> String {
    let header = response.headers().get(CONTENT_TYPE);
    let text = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    sanitize(text.split(';').next().unwrap_or_default().trim()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const MINIMUM_SPEED: MinimumSpeed = MinimumSpeed {
        window: Duration::from_secs(30),
        bytes: 100,
        total: Duration::from_secs(300),
    };

    /// Chunks of `size` bytes, each `every` seconds after the last; how many come before an error.
    async fn read(count: usize, size: usize, every: u64) -> Result<usize, String> {
        let chunks = stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(every)).await;
            Ok(bytes::Bytes::from(vec![b'x'; size]))
        });
        let read: Vec<_> = paced(chunks, MINIMUM_SPEED)
            .try_collect()
            .await
            .map_err(|error| error.to_string())?;
        Ok(read.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up() {
        let error = read(1000, 1, 2).await.unwrap_err();
        assert!(error.contains("too slowly"), "{error}");
        let error = read(1, 1000, 31).await.unwrap_err();
        assert!(error.contains("0 bytes in 30 s"), "{error}");
        let error = read(1000, 1000, 2).await.unwrap_err();
        assert!(error.contains("too slowly"), "after five minutes: {error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_gets_on_is_read_to_its_end() {
        assert_eq!(read(100, 50, 2).await, Ok(100));
        assert_eq!(read(3, 1, 9).await, Ok(3), "it ends before the first look");
        assert_eq!(read(0, 0, 0).await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_we_take_ourselves_is_not_the_servers() {
        let chunks = stream::iter(0..10).map(|_| Ok(bytes::Bytes::from_static(b"x")));
        let mut read = std::pin::pin!(paced(chunks, MINIMUM_SPEED));
        while let Some(chunk) = read.next().await {
            chunk.unwrap();
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
    }

    #[test]
    fn a_text_without_end_is_given_up_before_it_is_kept() {
        let read = |text: &str, at_once| {
            let reader = ShortTexts::new(text.as_bytes());
            let reader = io::BufReader::with_capacity(at_once, reader);
            serde_json::from_reader::<_, Value>(reader).map_err(|error| undecodable(&error, 1))
        };
        // Quotes that don't end the text don't begin to count anew, wherever it is cut on its way.
        let parts = ["x", "\\\"", "\\\\", "x\\\\\\\"", "\\u0022"];
        for (part, at_once) in parts
            .into_iter()
            .flat_map(|part| [1, 5, READ_AHEAD].map(|at_once| (part, at_once)))
        {
            let most = part.repeat(TEXT_MAX / part.len() - 1);
            assert!(read(&format!("[\"{most}\", \"{most}\"]"), at_once).is_ok());
            let more = part.repeat(TEXT_MAX / part.len() + 1);
            let failure = read(&format!("{{\"a\": \"{more}\"}}"), at_once).unwrap_err();
            assert!(
                matches!(&failure, Failure::Undecodable(why) if why.contains("longer than 1048576")),
                "{failure}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_reported_without_the_value() {
        #[derive(Debug, serde::Deserialize)]
        struct Person {
            #[expect(dead_code, reason = "only its form matters")]
            number: u32,
        }
        let message = |text: &str| {
            let error = serde_json::from_str::<Person>(text).unwrap_err();
            undecodable(&error, 1).to_string()
        };
        let quoted = message(r#"{"number": "hunter2, expected hunter3"}"#);
        assert!(quoted.contains("kind string instead of u32"), "{quoted}");
        assert!(!quoted.contains("hunter"), "{quoted}");
        let missing = message("{}");
        assert!(missing.contains("`number` is missing"), "{missing}");
        assert!(message("{\"number\": -1}").contains("integer instead of u32"));
        assert!(message("hunter2").contains("isn't JSON"));
    }
}
