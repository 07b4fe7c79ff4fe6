//! Lists in pages, with tokens that mean nothing to whoever holds them, and may be forgotten.

use std::collections::HashMap;
use std::ops::Bound;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::answers::Refusal;
use super::mask::{Mask, MaskFields};

/// How pages go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Every list comes whole, page by page.
    Good,
    /// The next page is always the same one.
    Loop,
    /// No token is good when it comes back.
    Forgotten,
    /// What is listed is said by a number.
    Misshapen,
    /// Nothing says what is listed: a proxy made the answer up.
    Nameless,
}

/// What of a list is asked for.
#[derive(Debug)]
pub(super) struct PageRequest {
    max: usize,
    after: Option<String>,
    mask: Mask,
    /// The list, and how often tokens were forgotten before.
    seal: String,
    kind: &'static str,
    items: &'static str,
}

/// What a list of this kind is like.
pub(super) struct Kind {
    pub kind: &'static str,
    pub known: &'static MaskFields,
    /// Entries on a page when nothing is asked, and at most.
    pub usual: usize,
    pub most: usize,
    /// Whether more than the most is refused, or cut.
    pub strict: bool,
}

impl PageRequest {
    /// Reads `maxResults`, `pageToken` and `fields`. A token is good for the list that it came
    /// from, until `generation` changes.
    pub fn of(
        query: &HashMap<String, String>,
        path: &str,
        kind: &Kind,
        page_max: usize,
        generation: u64,
    ) -> Result<Self, Refusal> {
        let max = match query.get("maxResults") {
            None => kind.usual,
            Some(text) => match text.parse::<usize>() {
                Ok(max) if max >= 1 && max <= kind.most => max,
                Ok(max) if max >= 1 && !kind.strict => kind.most,
                _ => return Err(Refusal::Invalid("maxResults".to_owned())),
            },
        };
        let part = |name: &str| query.get(name).map_or("", String::as_str);
        let seal = [
            path,
            part("customer"),
            part("domain"),
            part("query"),
            part("showDeleted"),
            &generation.to_string(),
        ]
        .join("\n");
        let after = match query.get("pageToken") {
            None => None,
            Some(token) => {
                Some(open(token, &seal).ok_or_else(|| Refusal::Invalid("pageToken".to_owned()))?)
            }
        };
        let mask = match query.get("fields") {
            None => Mask::default(),
            Some(text) => Mask::parse(text, kind.known)?,
        };
        Ok(Self {
            max: max.min(page_max),
            after,
            mask,
            seal,
            kind: kind.kind,
            items: kind.known.items,
        })
    }

    /// What of a list comes after the last page.
    pub fn rest(&self) -> (Bound<String>, Bound<String>) {
        let from = self.after.clone();
        (
            from.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        )
    }

    /// How many entries of a list by number come before this page.
    pub fn skipped(&self) -> usize {
        let after = self.after.as_deref();
        after.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The page that begins with the first of `rest`.
    pub fn page(&self, rest: impl Iterator<Item = (String, Value)>, pages: Pages) -> Value {
        let mut rest = rest;
        let mut last = None;
        let mut items = vec![];
        for (id, item) in rest.by_ref().take(self.max) {
            items.push(item);
            last = Some(id);
        }
        let next = last.filter(|_| rest.next().is_some());
        let mut page = json!({"kind": self.kind, "etag": "\"simulated\""});
        if pages == Pages::Nameless {
            page = json!({});
        }
        if pages == Pages::Misshapen {
            page["kind"] = 7.into();
        }
        // As Google does: no list rather than an empty one.
        if !items.is_empty() {
            page[self.items] = items.into();
        }
        if let Some(last) = next {
            page["nextPageToken"] = match pages {
                Pages::Loop => seal(self.after.as_deref().unwrap_or_default(), &self.seal),
                _ => seal(&last, &self.seal),
            }
            .into();
        }
        self.mask.apply(page)
    }
}

fn seal(last: &str, list: &str) -> String {
    let sealed: Vec<u8> = format!("{list}\0{last}").bytes().rev().collect();
    BASE64_URL_SAFE_NO_PAD.encode(sealed)
}

fn open(token: &str, list: &str) -> Option<String> {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    bytes.reverse();
    let text = String::from_utf8(bytes).ok()?;
    let (of, last) = text.split_once('\0')?;
    (of == list).then(|| last.to_owned())
}
