//! Bodies, read to their end or not at all.

use std::io;

use futures::{StreamExt, TryStreamExt};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde::de::DeserializeOwned;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::error::chain;
use crate::{Answer, Failure, Redactor, retry_after};
use directory_sync_core::text::shorten;

/// As much of an answer that isn't a success as is kept.
const ANSWER_MAX: usize = 1 << 20;
/// What is read at once from the network's side of a decoder.
const READ_AHEAD: usize = 64 << 10;

/// Decodes a JSON body as it arrives: at no time is all of it in memory.
pub(super) async fn json<T>(response: Response, cap: u64, secrets: &Redactor) -> Result<T, Failure>
where
    T: DeserializeOwned + Send + 'static,
{
    if media_type(&response).contains("html") {
        return Err(Failure::Html);
    }
    let reader = StreamReader::new(capped(response, cap));
    let mut reader = Box::pin(reader);
    let decoded = tokio::task::spawn_blocking(move || {
        let bridge = SyncIoBridge::new(reader.as_mut());
        let buffered = io::BufReader::with_capacity(READ_AHEAD, bridge);
        // Reads on to the end of the body, so that a lost end is noticed.
        serde_json::from_reader::<_, T>(buffered)
    });
    match decoded.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(undecodable(error, cap, secrets)),
        Err(stopped) => Err(Failure::Interrupted(stopped.to_string())),
    }
}

/// Reads a body to its end that tells nothing: empty, or JSON.
pub(super) async fn nothing(
    response: Response,
    cap: u64,
    secrets: &Redactor,
) -> Result<(), Failure> {
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
        .map_err(|error| undecodable(error, cap, secrets))
}

/// What a refusal says; a body that breaks off is as good as its beginning.
pub(super) async fn answer(response: Response, secrets: &Redactor) -> Answer {
    let status = response.status();
    let headers = response.headers();
    let location = headers
        .get(LOCATION)
        .and_then(|to| to.to_str().ok())
        .map(|to| shorten(to.split(['?', '#']).next().unwrap_or_default()));
    let retry_after = retry_after(headers);
    let content_type = media_type(&response);
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let room = ANSWER_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_MAX {
            break;
        }
    }
    Answer {
        status,
        retry_after,
        content_type,
        location: location.map(|to| secrets.scrub(&to)),
        body: secrets.scrub(&String::from_utf8_lossy(&body)),
    }
}

/// The chunks of a body; more than `cap` bytes are an error.
fn capped(
    response: Response,
    cap: u64,
) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> + Send {
    let mut left = cap;
    response.bytes_stream().map(move |chunk| {
        let chunk = chunk.map_err(|error| io::Error::other(error.without_url()))?;
        left = left
            .checked_sub(chunk.len() as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(chunk)
    })
}

fn undecodable(error: serde_json::Error, cap: u64, secrets: &Redactor) -> Failure {
    if error.is_io() {
        return lost(&io::Error::from(error), cap);
    }
    // The text of these errors quotes the value that didn't fit.
    let text = shorten(&secrets.scrub(&error.to_string()));
    if error.is_eof() {
        Failure::Interrupted(format!("the body breaks off: {text}"))
    } else {
        Failure::Undecodable(text)
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
    shorten(text.split(';').next().unwrap_or_default().trim()).to_ascii_lowercase()
}
