//! Calls of the Directory API, and its lists read page by page to their proven end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::error::{Account, failure, incomplete, is_quota, is_unknown};
use super::federation::Federation;
use super::limit::{Quota, WholeReads};
use super::settings::{Credentials, GoogleWorkspaceSettings, InvalidSettings, Tenant};
use super::token::{AccessTokens, GROUPS_SCOPE, USERS_SCOPE};
use super::wire::{Page, User};
use crate::http::process_limits::ListLength;
use crate::http::{ApiClient, ApiError, Call, HttpError, RateLimiter, Redactor, TokenCache};

/// A page of 500 people with all their aliases stays far below; anything larger is no page.
const PAGE_MAX: u64 = 16 << 20;
/// How often a request goes again that a spent quota refused. With the usual delays together more
/// than the minute after which Google counts anew.
const QUOTA_TRIES: usize = 8;
/// Google compresses for those who say so here, too ("Performance tips" of its APIs).
const USER_AGENT: &str = concat!(
    "directory-sync-operator/",
    env!("CARGO_PKG_VERSION"),
    " (gzip)"
);
/// Shorter waits aren't reported as progress.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// The Directory API as one account sees it.
#[derive(Debug, Clone)]
pub(super) struct Api {
    remote: ApiClient,
    quota: Arc<Quota>,
    base: Url,
    pub account: Account,
    pub tokens: Arc<TokenCache>,
    pub federation: Option<Federation>,
}

/// A kind of list.
#[derive(Debug)]
pub(super) struct Resource {
    /// Method and template of the path.
    pub endpoint: &'static str,
    /// What is read, for people.
    pub what: &'static str,
    /// What Google calls a page of it.
    pub kind: &'static str,
    /// The least scope that lists it.
    pub scope: &'static str,
    /// What an administrator's role must allow.
    pub privilege: &'static str,
    /// The setting with a query, where there is one.
    pub query: &'static str,
}

pub(super) static USERS: Resource = Resource {
    endpoint: "GET /admin/directory/v1/users",
    what: "users",
    kind: "admin#directory#users",
    scope: USERS_SCOPE,
    privilege: "Users: Read",
    query: "users.query",
};
static USER: Resource = Resource {
    endpoint: "GET /admin/directory/v1/users/{key}",
    what: "one user",
    kind: "admin#directory#user",
    scope: USERS_SCOPE,
    privilege: "Users: Read",
    query: "",
};
pub(super) static GROUPS: Resource = Resource {
    endpoint: "GET /admin/directory/v1/groups",
    what: "groups",
    kind: "admin#directory#groups",
    scope: GROUPS_SCOPE,
    privilege: "Groups: Read",
    query: "groups.query",
};
pub(super) static MEMBERS: Resource = Resource {
    endpoint: "GET /admin/directory/v1/groups/{key}/members",
    what: "members of groups",
    kind: "admin#directory#members",
    scope: GROUPS_SCOPE,
    privilege: "Groups: Read",
    query: "",
};

/// A list to read.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub resource: &'static Resource,
    /// The URL of the first page; a token asks for the next ones.
    pub url: Url,
    /// Whether a query of the settings is in it.
    pub queried: bool,
}

impl List {
    /// Whether it is of a group's members.
    pub fn is_of_members(&self) -> bool {
        self.resource.kind == MEMBERS.kind
    }
}

impl Api {
    pub fn new(
        settings: &GoogleWorkspaceSettings,
        credentials: &Credentials,
    ) -> Result<Self, InvalidSettings> {
        let bare = ApiClient {
            client: crate::http::client(&settings.connection)?,
            // Tokens are asked for once an hour, and don't count.
            limit: Arc::new(RateLimiter::unlimited()),
            retry: settings.retry,
            observer: settings.observer.clone(),
            token: None,
            secrets: Arc::new(Redactor::new()),
        };
        let federation = match credentials {
            Credentials::Key(_) => None,
            Credentials::WorkloadIdentity(identity) => Some(Federation::new(identity, &bare)),
        };
        let tokens = AccessTokens::new(settings, credentials, federation.clone(), bare.clone())?;
        let tokens = Arc::new(TokenCache::new(tokens));
        let account = Account {
            service_account: credentials.service_account().to_owned(),
            admin: settings.admin_email.clone(),
        };
        let base = settings.addresses.directory.clone();
        let quota = Quota::shared(&base, account.acts_as(), settings.requests_per_minute);
        Ok(Self {
            remote: ApiClient {
                limit: quota.clone(),
                token: Some(tokens.clone()),
                ..bare
            },
            quota,
            base,
            account,
            tokens,
            federation,
        })
    }

    /// The same for whole reads, which leave some of the quota to other requests.
    pub fn for_whole_reads(&self) -> Self {
        Self {
            remote: ApiClient {
                limit: Arc::new(WholeReads(self.quota.clone())),
                ..self.remote.clone()
            },
            ..self.clone()
        }
    }

    /// A list at `path` below `/admin/directory/v1`.
    pub fn list(
        &self,
        resource: &'static Resource,
        path: &[&str],
        query: &[(&str, &str)],
        setting: Option<&str>,
    ) -> List {
        let mut url = below(&self.base, &[&["admin", "directory", "v1"], path].concat());
        url.query_pairs_mut()
            .extend_pairs(query)
            .extend_pairs(setting.map(|text| ("query", text)));
        List {
            resource,
            url,
            queried: setting.is_some(),
        }
    }

    /// Reads a list to its end and gives each page to `each`.
    ///
    /// # Errors
    /// When a page fails, or it isn't certain that the last page was the last.
    pub async fn read<T>(
        &self,
        list: &List,
        mut each: impl FnMut(Vec<T>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut seen = HashSet::new();
        let mut token = None;
        let mut length = ListLength::default();
        loop {
            let page = self.page(list, token.as_deref()).await?;
            let added = length.add(page.items.len());
            added.map_err(|why| incomplete(list, &why))?;
            each(page.items)?;
            let Some(next) = page.next_page_token.filter(|next| !next.is_empty()) else {
                return Ok(());
            };
            if !seen.insert(next.clone()) {
                return Err(incomplete(list, "its pages go round in a circle"));
            }
            token = Some(next);
        }
    }

    /// One page: the first, or the one that `token` stands for.
    ///
    /// # Errors
    /// When the call fails, or what comes isn't a page of this list.
    pub async fn page<T>(&self, list: &List, token: Option<&str>) -> Result<Page<T>, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut url = list.url.clone();
        if let Some(token) = token {
            url.query_pairs_mut().append_pair("pageToken", token);
        }
        let call =
            Call::new(Method::GET, url, list.resource.endpoint).header("user-agent", USER_AGENT);
        let page: Page<T> = self
            .get(&call)
            .await
            .map_err(|error| failure(error, list, token.is_some(), &self.account))?;
        if page.kind != list.resource.kind {
            let why = "the answer doesn't say that it is a list; check --vendor-urls, and proxies \
                       in between";
            return Err(incomplete(list, why));
        }
        Ok(page)
    }

    /// The account with this ID, address or alias, whoever's it is; `None` where there is none.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn user(&self, key: &str) -> Result<Option<User>, ApiError> {
        let list = self.list(&USER, &["users", key], &[], None);
        let url = list.url.clone();
        let call = Call::new(Method::GET, url, USER.endpoint).header("user-agent", USER_AGENT);
        match self.get(&call).await {
            Ok(user) => Ok(Some(user)),
            Err(error) => match is_unknown(&error) {
                true => Ok(None),
                false => Err(failure(error, &list, false, &self.account)),
            },
        }
    }

    /// Sends a call, again where the quota is spent: then all of this account wait.
    async fn get<T>(&self, call: &Call) -> Result<T, HttpError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let retry = &self.remote.retry;
        let mut delay = retry.first_delay;
        for _ in 0..QUOTA_TRIES {
            match self.remote.json(call, PAGE_MAX).await {
                Err(error) if is_quota(&error) => {
                    tracing::debug!(%error, ?delay, "Google's quota is spent; all requests wait");
                    self.quota.pause(delay);
                    delay = (delay * 2).min(retry.longest_delay);
                }
                result => return result,
            }
        }
        self.remote.json(call, PAGE_MAX).await
    }

    /// Until when a whole read waits for the quota, where it is long enough to report.
    pub fn waits_until(&self) -> Option<Timestamp> {
        let wait = self.quota.whole_read_waits_until()? - Instant::now();
        // Rounded up, so that no time that has passed is reported.
        (wait > WORTH_TELLING).then(|| Timestamp::now() + wait + Duration::from_millis(999))
    }
}

/// The queries that together name the tenant.
pub(super) fn tenant_queries(tenant: &Tenant) -> Vec<(&'static str, &str)> {
    match tenant {
        Tenant::Customer(id) => vec![("customer", id)],
        Tenant::Domains(domains) => domains.iter().map(|name| ("domain", &**name)).collect(),
    }
}

/// `path` below the address `base`.
pub(super) fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut()
        .expect("a web address has a path")
        .pop_if_empty()
        .extend(path);
    url
}
