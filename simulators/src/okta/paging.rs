//! Lists in pages: opaque cursors, and links to this page and the next.

use std::collections::HashMap;

use axum::Json;
use axum::http::header::LINK;
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::answers::Refusal;
use super::config::LinkStyle;

/// What of a list is asked for.
#[derive(Debug)]
pub(super) struct PageRequest {
    limit: usize,
    /// The last id of the page before.
    pub after: Option<String>,
}

impl PageRequest {
    /// Reads `limit` and `after`; `most` is what a page of this list holds at most.
    pub fn of(query: &HashMap<String, String>, uri: &Uri, most: usize) -> Result<Self, Refusal> {
        let limit = match query.get("limit") {
            None => most,
            Some(text) => match text.parse::<usize>() {
                Ok(limit) if limit > 0 => limit.min(most),
                _ => return Err(Refusal::Validation("limit")),
            },
        };
        let after = match query.get("after") {
            None => None,
            Some(cursor) => {
                Some(open(cursor, uri.path()).ok_or(Refusal::Validation("The cursor is invalid"))?)
            }
        };
        Ok(Self { limit, after })
    }

    /// The page that begins with the first of `rest` (ids and what is shown), which begins after
    /// the last page's end.
    pub fn page(
        &self,
        rest: impl Iterator<Item = (String, Value)>,
        uri: &Uri,
        base: &str,
        links: LinkStyle,
    ) -> Response {
        let mut rest = rest;
        let mut last = None;
        let mut items = vec![];
        for (id, item) in rest.by_ref().take(self.limit) {
            items.push(item);
            last = Some(id);
        }
        let next = last.filter(|_| rest.next().is_some());
        let mut answer = Json(items).into_response();
        let own = format!(
            "{base}{}",
            uri.path_and_query().map_or("", |uri| uri.as_str())
        );
        let mut all = vec![(own.clone(), "self")];
        if let Some(last) = next {
            let next = match links {
                LinkStyle::Loop => own,
                LinkStyle::Elsewhere => {
                    with_cursor(uri, &seal(&last, uri.path()), "https://other.example.com")
                }
                _ => with_cursor(uri, &seal(&last, uri.path()), base),
            };
            all.push((next, "next"));
        }
        let mut texts: Vec<String> = all
            .iter()
            .map(|(url, rel)| format!("<{url}>; rel=\"{rel}\""))
            .collect();
        match links {
            LinkStyle::Stripped => texts.clear(),
            LinkStyle::One => texts = vec![texts.join(", ")],
            LinkStyle::Several | LinkStyle::Elsewhere | LinkStyle::Loop => {}
        }
        for text in texts {
            if let Ok(value) = HeaderValue::try_from(text) {
                answer.headers_mut().append(LINK, value);
            }
        }
        answer
    }
}

/// This address with another cursor.
fn with_cursor(uri: &Uri, cursor: &str, base: &str) -> String {
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let mut query: Vec<&str> = kept.collect();
    let after = format!("after={cursor}");
    query.insert(0, &after);
    format!("{base}{}?{}", uri.path(), query.join("&"))
}

/// A cursor is good for its own list alone, and means nothing to whoever holds it.
fn seal(last: &str, path: &str) -> String {
    let sealed: Vec<u8> = format!("{path}\0{last}").bytes().rev().collect();
    BASE64_URL_SAFE_NO_PAD.encode(sealed)
}

fn open(cursor: &str, path: &str) -> Option<String> {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    bytes.reverse();
    let text = String::from_utf8(bytes).ok()?;
    let (of, last) = text.split_once('\0')?;
    (of == path).then(|| last.to_owned())
}
