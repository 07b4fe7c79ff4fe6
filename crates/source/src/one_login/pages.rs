//! Calls of one account, and its lists read page by page to their proven end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use super::clock::Behind;
use super::error::{Purpose, failure, is_malformed};
use super::limit::{REQUESTS, RULES};
use super::settings::{Credentials, InvalidSettings, OneLoginSettings};
use super::token::ApiCredentials;
use super::wire::{Entry, Envelope};
use crate::account_watches::AccountWatch;
use crate::http::process_limits::{BoundedList, ListLength};
use crate::http::{
    AccountLimits, ApiClient, ApiError, Call, HttpError, RateLimiter, Redactor, TokenCache,
    written_at,
};

/// A page of a thousand people with large profiles stays below; anything larger is no page.
const PAGE_BYTES: u64 = 32 << 20;
/// How many entries a page is asked to have. OneLogin gives as many as it likes: its own documents
/// speak of 50, 100, 650 and 1,000.
const LARGE: u32 = 1_000;
/// As many as each of those documents allows.
const MODEST: u32 = 50;
/// How often a list that changes while it is read is read.
const ATTEMPTS: usize = 3;
/// The headers with which version 2 says that an answer is a page of a list.
const PAGE_HEADERS: [&str; 4] = ["total-count", "total-pages", "current-page", "page-items"];

/// One account, ready to be asked.
#[derive(Debug)]
pub(super) struct Account {
    url: Url,
    remote: ApiClient,
    pub tokens: Arc<TokenCache>,
    pub limits: AccountLimits,
    /// Its address, and the credentials.
    address: String,
    /// Large pages were refused.
    modest: AtomicBool,
    behind: Behind,
}

/// A list to read.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub version: Version,
    /// The segments of the path below the API's version.
    pub path: Vec<String>,
    /// Apart from size and place of the page.
    pub query: Vec<(String, String)>,
    /// Method and template of the path.
    pub endpoint: &'static str,
    /// What a refusal means.
    pub purpose: Purpose,
}

/// A version of the API, each with paging of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `/api/1`: the next page's cursor is in the body.
    One,
    /// `/api/2`: it is in the headers, with the number of entries in all pages.
    Two,
}

/// Some of a list.
pub(super) struct Page<T> {
    pub entries: Vec<T>,
    /// Where the next one begins.
    pub next: Option<String>,
    /// Entries on all pages together, where the answer says so.
    pub total: Option<usize>,
}

/// The first pages of a list.
pub(super) struct FirstPages<T> {
    pub entries: Vec<T>,
    pub extent: Extent,
    /// Not after the list was begun, by OneLogin's clock and by ours.
    pub began: Timestamp,
    pub pages: u32,
}

/// How much of a list the first pages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// It has more pages.
    Longer,
    /// It changed meanwhile: somebody may be missing.
    Moved,
    /// It has what wasn't asked for: OneLogin passed over a parameter.
    PassedOver,
}

/// Why a list wasn't read.
#[derive(Debug)]
pub(super) enum ListError {
    /// A call failed, or its answer couldn't be read.
    Http(HttpError),
    /// Its end is in doubt, or what it holds.
    OneLogin(ApiError),
}

impl ListError {
    pub fn into_failure(self, purpose: Purpose) -> ApiError {
        match self {
            Self::Http(error) => failure(error, purpose),
            Self::OneLogin(failure) => failure,
        }
    }
}

impl Account {
    pub fn new(
        settings: &OneLoginSettings,
        credentials: &Credentials,
    ) -> Result<Self, InvalidSettings> {
        if !matches!(settings.url.scheme(), "http" | "https") || !settings.url.has_host() {
            return Err(InvalidSettings::Address);
        }
        let bare = ApiClient {
            client: crate::http::client(&settings.connection)?,
            // Tokens don't count, and are asked for every ten hours.
            limit: Arc::new(RateLimiter::unlimited()),
            retry: settings.retry,
            observer: settings.observer.clone(),
            token: None,
            secrets: Arc::new(Redactor::new()),
        };
        let tokens = Arc::new(TokenCache::new(ApiCredentials::new(
            bare.clone(),
            below(&settings.url, &["auth", "oauth2", "v2", "token"]),
            &credentials.client_id,
            &credentials.client_secret,
        )));
        // The limit is the account's. At a region's address only the credentials tell which account
        // it is; several credentials of one account see each other in what remains.
        let address = format!("{} {}", settings.url, credentials.client_id);
        let limits = AccountLimits::of(&RULES, &address, settings.rate_limit_share);
        Ok(Self {
            url: settings.url.clone(),
            remote: ApiClient {
                limit: limits.bucket(REQUESTS),
                token: Some(tokens.clone()),
                ..bare
            },
            tokens,
            limits,
            address,
            modest: AtomicBool::new(false),
            behind: Behind::default(),
        })
    }

    /// The same moment by OneLogin's clock, or an earlier one.
    pub fn by_its_clock(&self, time: Timestamp) -> Timestamp {
        time.saturating_sub(self.behind.most()).unwrap_or(time)
    }

    /// Joins the watches of this account.
    pub fn join_watches(&self) -> AccountWatch {
        AccountWatch::join(RULES.vendor, self.address.clone())
    }

    /// For whole reads, which leave some of the limit to requests about one person.
    pub fn for_whole_reads(&self) -> Self {
        let limits = self.limits.sparing();
        Self {
            url: self.url.clone(),
            remote: ApiClient {
                limit: limits.bucket(REQUESTS),
                ..self.remote.clone()
            },
            tokens: self.tokens.clone(),
            limits,
            address: self.address.clone(),
            modest: AtomicBool::new(false),
            behind: Behind::default(),
        }
    }

    /// Reads a list to its end; `keep` says what of each entry is kept, and `progress` is called with how many
    /// entries came.
    ///
    /// Version 2 pages by position: an entry that goes while the list is read moves all later ones
    /// up, and one of them is missed. So a list whose number of entries changes meanwhile, or isn't
    /// the number that came, is read again.
    ///
    /// # Errors
    /// When a page fails, or it isn't certain that everything was read.
    pub async fn read<T, K>(
        &self,
        list: &List,
        mut keep: impl FnMut(T) -> Result<Option<K>, ApiError>,
        progress: impl Fn(usize),
    ) -> Result<Vec<K>, ListError>
    where
        T: Entry + DeserializeOwned + Send + 'static,
    {
        for _ in 0..ATTEMPTS {
            if let Some(whole) = self.read_once(list, &mut keep, &progress).await? {
                return Ok(whole);
            }
            tracing::debug!(
                list = list.endpoint,
                "the list changed while it was read, and is read again"
            );
        }
        Err(self.incomplete(
            list,
            "it was read three times, and each time the number of its entries changed or wasn't \
             the number that came; try again when fewer changes are made",
        ))
    }

    /// Reads up to `most` pages of a list, once, as long as they hold what `is_asked` for.
    ///
    /// # Errors
    /// When a page fails.
    pub async fn read_first<T>(
        &self,
        list: &List,
        most: u32,
        is_asked: impl Fn(&T) -> bool,
    ) -> Result<FirstPages<T>, ListError>
    where
        T: Entry + DeserializeOwned + Send + 'static,
    {
        let asked = Timestamp::now();
        let (size, mut page) = self.first::<T>(list).await?;
        let mut read = FirstPages {
            entries: vec![],
            extent: Extent::Whole,
            began: self.by_its_clock(asked),
            pages: 1,
        };
        let total = page.total;
        loop {
            let fits = page.entries.iter().all(&is_asked);
            read.entries.append(&mut page.entries);
            read.extent = match page.next {
                _ if !fits => Extent::PassedOver,
                _ if page.total != total => Extent::Moved,
                Some(_) if read.pages == most => Extent::Longer,
                Some(cursor) => {
                    page = self.page(list, Some(&cursor), size).await?;
                    read.pages += 1;
                    continue;
                }
                None => {
                    let ids: HashSet<u64> = read.entries.iter().map(Entry::id).collect();
                    let came = read.entries.len();
                    match ids.len() == came && total.is_none_or(|total| total == came) {
                        true => Extent::Whole,
                        false => Extent::Moved,
                    }
                }
            };
            return Ok(read);
        }
    }

    /// One attempt; `None` where the list isn't one and the same from the first page to the last.
    async fn read_once<T, K>(
        &self,
        list: &List,
        keep: &mut impl FnMut(T) -> Result<Option<K>, ApiError>,
        progress: &impl Fn(usize),
    ) -> Result<Option<Vec<K>>, ListError>
    where
        T: Entry + DeserializeOwned + Send + 'static,
    {
        let mut kept = vec![];
        let mut ids = vec![];
        let (size, mut page) = self.first::<T>(list).await?;
        let total = page.total;
        let mut cursors = HashSet::new();
        let mut length = ListLength::default();
        loop {
            if page.total != total {
                return Ok(None);
            }
            let added = length.add(page.entries.len());
            added.map_err(|why| self.incomplete(list, &why))?;
            progress(page.entries.len());
            for entry in page.entries {
                ids.push(entry.id());
                kept.extend(keep(entry).map_err(ListError::OneLogin)?);
            }
            let Some(cursor) = page.next else { break };
            if !cursors.insert(cursor.clone()) {
                return Err(self.incomplete(list, "the pages are linked in a circle"));
            }
            page = self.page(list, Some(&cursor), size).await?;
        }
        let came = ids.len();
        ids.sort_unstable();
        ids.dedup();
        let moved = ids.len() < came || total.is_some_and(|total| ids.len() < total);
        Ok((!moved).then_some(kept))
    }

    /// The first page, and the size that the others are asked for with.
    ///
    /// # Errors
    /// When the call fails, or it isn't known whether there is another page.
    pub async fn first<T>(&self, list: &List) -> Result<(u32, Page<T>), ListError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        if !self.modest.load(Ordering::Relaxed) {
            match self.page(list, None, LARGE).await {
                Err(ListError::Http(error)) if is_malformed(&error) => {}
                result => return result.map(|page| (LARGE, page)),
            }
        }
        let page = self.page(list, None, MODEST).await?;
        self.modest.store(true, Ordering::Relaxed);
        Ok((MODEST, page))
    }

    async fn page<T>(
        &self,
        list: &List,
        cursor: Option<&str>,
        size: u32,
    ) -> Result<Page<T>, ListError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let call = Call::new(Method::GET, self.url(list, cursor, size), list.endpoint);
        let no_pagination = "the answer doesn't say whether there are more pages; a proxy between here \
                        and OneLogin must let it pass whole, with its headers";
        match list.version {
            Version::Two => {
                let answer = self.remote.json_with_headers(&call, PAGE_BYTES).await;
                let (headers, BoundedList(entries)) = answer.map_err(ListError::Http)?;
                let behind = Timestamp::now().duration_since(written_at(&headers));
                self.behind.note(behind);
                let next = text(&headers, "after-cursor").filter(|cursor| !cursor.is_empty());
                if next.is_none() && PAGE_HEADERS.iter().all(|name| !headers.contains_key(*name)) {
                    return Err(self.incomplete(list, no_pagination));
                }
                let total = text(&headers, "total-count").and_then(|count| count.parse().ok());
                Ok(Page {
                    entries,
                    next: next.map(str::to_owned),
                    total,
                })
            }
            Version::One => {
                let answer = self.remote.json(&call, PAGE_BYTES).await;
                let envelope: Envelope<T> = answer.map_err(ListError::Http)?;
                let Some(pagination) = envelope.pagination else {
                    return Err(self.incomplete(list, no_pagination));
                };
                Ok(Page {
                    entries: envelope.data,
                    next: pagination.after_cursor.filter(|cursor| !cursor.is_empty()),
                    total: None,
                })
            }
        }
    }

    fn url(&self, list: &List, cursor: Option<&str>, size: u32) -> Url {
        let (version, name) = match list.version {
            Version::One => ("1", "after_cursor"),
            Version::Two => ("2", "cursor"),
        };
        let mut url = below(&self.url, &["api", version]);
        url.path_segments_mut()
            .expect("an http address has a path")
            .extend(&list.path);
        let mut query = url.query_pairs_mut();
        // A cursor doesn't carry the query, so each page is asked for with all of it.
        query.append_pair("limit", &size.to_string());
        query.extend_pairs(&list.query);
        query.extend_pairs(cursor.map(|cursor| (name, cursor)));
        drop(query);
        url
    }

    /// The address in a few words.
    pub fn list_address(&self, list: &List) -> String {
        self.name(list).to_string()
    }

    fn name(&self, list: &List) -> crate::http::CallName {
        crate::http::CallName::new(&Method::GET, &self.url(list, None, LARGE))
    }

    fn incomplete(&self, list: &List, why: &str) -> ListError {
        let tried = self.name(list);
        ListError::OneLogin(ApiError::incomplete(format!(
            "{tried}: the list may not be complete: {why}"
        )))
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// `url` with further parts of a path; a proxy may have OneLogin below a path of its own.
fn below(url: &Url, path: &[&str]) -> Url {
    let mut url = url.clone();
    url.path_segments_mut()
        .expect("an http address has a path")
        .pop_if_empty()
        .extend(path);
    url
}
