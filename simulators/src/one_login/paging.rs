//! Lists in pages: by position, with a cursor in the headers or in the body.

use std::collections::HashMap;

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::answers::Refusal;

/// How a page names the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// As OneLogin does: in headers, or in the body of version 1.
    Complete,
    /// Not at all: a proxy took headers, and the part of the body, away.
    Stripped,
    /// Of the next page nothing, though of how many entries there are.
    WithoutCursor,
    /// The next page is always this one.
    Loop,
}

/// What of a list is asked for.
#[derive(Debug)]
pub(super) struct PageRequest {
    limit: usize,
    /// The number of the page, from 1.
    page: usize,
}

impl PageRequest {
    /// Reads `limit`, `page` and the cursor; a page of this list holds `most` at most.
    pub fn of(
        query: &HashMap<String, String>,
        cursor: &str,
        most: usize,
        refuse: bool,
    ) -> Result<Self, Refusal> {
        let number = |name: &str, usual: usize| match query.get(name) {
            None => Ok(usual),
            Some(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(Refusal::Parameter(name.to_owned())),
            },
        };
        let limit = number("limit", most)?;
        if limit > most && refuse {
            return Err(Refusal::PageSize);
        }
        let asked = Self {
            limit: limit.min(most),
            page: number("page", 1)?,
        };
        match query.get(cursor) {
            None => Ok(asked),
            Some(cursor) => Self::open(cursor).ok_or(Refusal::Cursor),
        }
    }

    /// A cursor is a size and a number of a page; it knows nothing of the query.
    fn seal(&self, page: usize) -> String {
        let text = format!(
            "limit={}&sort=id&page={page}&sort_direction=asc",
            self.limit
        );
        BASE64_STANDARD.encode(text)
    }

    fn open(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(cursor).ok()?).ok()?;
        let part = |name: &str| {
            let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(of, _)| *of == name)?.1.parse().ok()
        };
        Some(Self {
            limit: part("limit")?,
            page: part("page")?,
        })
    }

    /// The page of `all`, and what it is among all.
    fn cut<T>(
        &self,
        list: List<'_, T, impl Iterator<Item = T>>,
        paging: Paging,
    ) -> (Vec<Value>, Place) {
        let before = (self.page - 1) * self.limit;
        let mut entries = vec![];
        let mut total = 0;
        for entry in list.all {
            if total >= before && entries.len() < self.limit {
                entries.push((list.show)(entry));
            }
            total += 1;
        }
        let more = total > before + entries.len();
        let place = Place {
            total,
            after: match paging {
                Paging::Complete if more => Some(self.seal(self.page + 1)),
                Paging::Loop if more => Some(self.seal(self.page)),
                _ => None,
            },
            before: (self.page > 1).then(|| self.seal(self.page - 1)),
        };
        (entries, place)
    }

    /// As version 2 answers.
    pub fn in_headers<T>(
        &self,
        list: List<'_, T, impl Iterator<Item = T>>,
        paging: Paging,
    ) -> Response {
        let (entries, place) = self.cut(list, paging);
        let pairs = [
            ("current-page", Some(self.page.to_string())),
            ("page-items", Some(entries.len().to_string())),
            ("total-count", Some(place.total.to_string())),
            (
                "total-pages",
                Some(place.total.div_ceil(self.limit).to_string()),
            ),
            ("cursor", Some(self.seal(self.page))),
            ("after-cursor", place.after),
            ("before-cursor", place.before),
        ];
        let mut answer = Json(entries).into_response();
        if paging != Paging::Stripped {
            for (name, value) in pairs {
                let value = value.and_then(|value| HeaderValue::try_from(value).ok());
                if let Some(value) = value {
                    answer
                        .headers_mut()
                        .insert(HeaderName::from_static(name), value);
                }
            }
        }
        answer
    }

    /// As version 1 answers; `link` is the list's address.
    pub fn in_body<T>(
        &self,
        list: List<'_, T, impl Iterator<Item = T>>,
        link: &str,
        paging: Paging,
    ) -> Response {
        let (entries, place) = self.cut(list, paging);
        let linked = |name: &str, cursor: &Option<String>| {
            let cursor = cursor.as_ref()?;
            Some(format!("{link}?{name}={cursor}"))
        };
        let mut body = json!({
            "status": {"error": false, "code": 200, "type": "success", "message": "Success"},
            "data": entries,
        });
        if paging != Paging::Stripped {
            body["pagination"] = json!({
                "before_cursor": place.before,
                "after_cursor": place.after,
                "previous_link": linked("before_cursor", &place.before),
                "next_link": linked("after_cursor", &place.after),
            });
        }
        Json(body).into_response()
    }
}

/// What is listed, and how each is shown.
pub(super) struct List<'s, T, I: Iterator<Item = T>> {
    pub all: I,
    pub show: &'s dyn Fn(T) -> Value,
}

struct Place {
    total: usize,
    after: Option<String>,
    before: Option<String>,
}
