//! Calls of Microsoft Graph: lists read page by page to their proven end.

use std::collections::HashSet;
use std::sync::Arc;

use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::error::{Resource, failure, incomplete};
use super::limit;
use super::settings::{Credentials, EntraIdSettings, InvalidSettings};
use super::token::{self, EntraTokens};
use super::wire::{ErrorBody, Page};
use crate::http::process_limits::ListLength;
use crate::http::{ApiClient, ApiError, Call, HttpError, RateLimiter, Redactor};

/// No page is larger: 999 objects, or a thousand memberships and more, at some hundred bytes each.
pub(super) const PAGE_MAX: u64 = 16 << 20;

/// One object with the few properties that are asked for is never larger.
const OBJECT_MAX: u64 = 1 << 20;

/// The most objects that Graph gives in a page.
pub(super) const TOP: &str = "999";

/// Graph v1.0 of one tenant.
#[derive(Debug)]
pub(super) struct Graph {
    pub remote: ApiClient,
    base: Url,
}

/// A list and how it is asked for.
#[derive(Debug, Clone)]
pub(super) struct List<'s> {
    pub resource: &'static Resource,
    /// The path below `/v1.0`, without the query.
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    /// What of the settings it stands for: where it isn't there, they are wrong.
    pub names: Option<&'s str>,
}

impl<'s> List<'s> {
    pub fn new(resource: &'static Resource, path: impl Into<String>) -> Self {
        Self {
            resource,
            path: path.into(),
            query: vec![],
            names: None,
        }
    }

    pub fn select(self, properties: &str) -> Self {
        self.with("$select", properties)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub fn names(mut self, name: &'s str) -> Self {
        self.names = Some(name);
        self
    }
}

impl Graph {
    pub fn new(
        settings: &EntraIdSettings,
        credentials: &Credentials,
    ) -> Result<Self, InvalidSettings> {
        let client = crate::http::client(&settings.connection)
            .map_err(|error| InvalidSettings::Connection(error.to_string()))?;
        let bare = ApiClient {
            client,
            limit: Arc::new(RateLimiter::unlimited()),
            retry: settings.retry,
            observer: settings.observer.clone(),
            token: None,
            secrets: Arc::new(Redactor::new()),
        };
        let tokens = EntraTokens::new(settings, credentials, bare.clone())?;
        let remote = ApiClient {
            limit: Arc::new(limit::of_application()),
            token: Some(token::cache(tokens)),
            ..bare
        };
        Ok(Self {
            remote,
            base: settings.addresses.graph.clone(),
        })
    }

    /// The address of `path` below `/v1.0`.
    pub fn url(&self, path: &str, query: &[(&'static str, String)]) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/v1.0{path}"));
        if !query.is_empty() {
            let pairs = query.iter().map(|(name, value)| {
                let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
                // A space as OData writes it.
                format!("{name}={}", value.replace('+', "%20"))
            });
            url.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
        }
        url
    }

    /// A link that Graph gave: it must lead to Graph, for our token goes with it.
    pub fn link(&self, resource: &Resource, link: &str) -> Result<Url, ApiError> {
        match Url::parse(link) {
            Ok(url) if url.origin() == self.base.origin() => Ok(url),
            _ => Err(incomplete(
                resource.what,
                "the link to the next page leads away from Microsoft Graph",
            )),
        }
    }

    /// Reads an answer that is one object instead of a list.
    pub async fn object<T>(&self, list: &List<'_>) -> Result<T, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let url = self.url(&list.path, &list.query);
        let call = Call::new(Method::GET, url, list.resource.endpoint);
        let answer = self.remote.json(&call, PAGE_MAX).await;
        answer.map_err(|error| failure(list.resource, list.names, error))
    }

    /// Reads an object on which no read depends.
    pub async fn object_beside_reads<T>(&self, list: &List<'_>) -> Result<T, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let url = self.url(&list.path, &list.query);
        let call = Call::new(Method::GET, url, list.resource.endpoint);
        let answer = self.remote.beside().json(&call, OBJECT_MAX).await;
        answer.map_err(|error| failure(list.resource, list.names, error))
    }

    /// Every page of a list. A list whose last page isn't reached is an error.
    pub async fn each<T>(
        &self,
        list: &List<'_>,
        page: impl FnMut(Vec<T>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let first = self.url(&list.path, &list.query);
        self.follow(list, first, page).await.map(|_| ())
    }

    /// All of a list.
    pub async fn all<T>(&self, list: &List<'_>) -> Result<Vec<T>, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut all = vec![];
        self.each(list, |page: Vec<T>| {
            all.extend(page);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// A delta from `first` to the link for what changes from then on.
    pub async fn delta<T>(
        &self,
        list: &List<'_>,
        first: Url,
        page: impl FnMut(Vec<T>) -> Result<(), ApiError>,
    ) -> Result<Url, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let what = list.resource.what;
        match self.follow(list, first, page).await? {
            Some(link) => self.link(list.resource, &link),
            None => Err(incomplete(
                what,
                "the last page has no delta link, so it may not be the last",
            )),
        }
    }

    /// Follows next links from `first` on; the delta link of the last page, if it has one.
    async fn follow<T>(
        &self,
        list: &List<'_>,
        first: Url,
        mut page: impl FnMut(Vec<T>) -> Result<(), ApiError>,
    ) -> Result<Option<String>, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let what = list.resource.what;
        let mut seen = HashSet::new();
        let mut url = first;
        let mut advanced = false;
        let mut length = ListLength::default();
        loop {
            let read: Page<T> = match self.page(list.resource, &url, advanced).await {
                // Some filters are answered from an index only, and only to those who say that
                // they know it may lag behind (Graph: "Advanced query capabilities").
                Err(error) if !advanced && seen.is_empty() && needs_index(&error) => {
                    advanced = true;
                    let query = url.query().unwrap_or_default();
                    let query = format!("{query}&$count=true");
                    url.set_query(Some(&query));
                    continue;
                }
                read => read.map_err(|error| failure(list.resource, list.names, error))?,
            };
            let added = length.add(read.value.len());
            added.map_err(|why| incomplete(what, why))?;
            page(read.value)?;
            let Some(next) = read.next_link else {
                return Ok(read.delta_link);
            };
            let next = self.link(list.resource, &next)?;
            if !seen.insert(url) || seen.contains(&next) {
                return Err(incomplete(what, "its pages go round in a circle"));
            }
            url = next;
        }
    }

    async fn page<T>(
        &self,
        resource: &'static Resource,
        url: &Url,
        advanced: bool,
    ) -> Result<Page<T>, HttpError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut call = Call::new(Method::GET, url.clone(), resource.endpoint);
        if advanced {
            call = call.header("consistencylevel", "eventual");
        }
        self.remote.json(&call, PAGE_MAX).await
    }
}

fn needs_index(error: &HttpError) -> bool {
    let Some(answer) = error.failure.answer() else {
        return false;
    };
    let body: ErrorBody = answer.fields();
    answer.status == StatusCode::BAD_REQUEST && body.error.code.raw() == "Request_UnsupportedQuery"
}

macro_rules! resources {
    ($($name:ident = $endpoint:literal, $what:literal, $permission:literal, $field:literal;)*) => {
        $(pub(super) static $name: Resource = Resource {
            endpoint: $endpoint,
            what: $what,
            permission: $permission,
            field: $field,
        };)*
    };
}

resources! {
    USERS = "GET /users", "users", "User.Read.All (or Directory.Read.All)", "users.filter";
    USER = "GET /users/{id}", "users that changed", "User.Read.All (or Directory.Read.All)", "";
    USERS_DELTA = "GET /users/delta", "what changed about users",
        "User.Read.All (or Directory.Read.All)", "";
    AGENTS = "GET /users/microsoft.graph.agentUser", "AI agents",
        "User.Read.All (or Directory.Read.All)", "";
    DELETED_USERS = "GET /directory/deletedItems/microsoft.graph.user", "deleted users",
        "User.Read.All (or Directory.Read.All)", "";
    GROUPS = "GET /groups", "groups", "GroupMember.Read.All (or Directory.Read.All)",
        "groups.filter";
    GROUP = "GET /groups/{id}", "groups", "GroupMember.Read.All (or Directory.Read.All)",
        "groups.ids";
    GROUPS_DELTA = "GET /groups/delta", "groups and their members",
        "GroupMember.Read.All (or Directory.Read.All)", "";
    MEMBERS = "GET /groups/{id}/members", "members of groups",
        "GroupMember.Read.All (or Directory.Read.All)", "";
    MEMBER_OF = "GET /groups/{id}/transitiveMembers", "members of the groups in users.memberOf",
        "GroupMember.Read.All (or Directory.Read.All)", "users.memberOf";
    NOT_MEMBER_OF = "GET /groups/{id}/transitiveMembers",
        "members of the groups in users.notMemberOf",
        "GroupMember.Read.All (or Directory.Read.All)", "users.notMemberOf";
    UNIT = "GET /directory/administrativeUnits/{id}/members",
        "members of administrative units",
        "AdministrativeUnit.Read.All (or Directory.Read.All)",
        "administrativeUnits and notAdministrativeUnits";
    APPLICATION = "GET /servicePrincipals(appId='{id}')", "the enterprise application",
        "Application.Read.All (or Directory.Read.All)", "users.assignedToApplication";
    ASSIGNED = "GET /servicePrincipals/{id}/appRoleAssignedTo",
        "who the enterprise application is assigned to",
        "Application.Read.All (or Directory.Read.All)", "users.assignedToApplication";
    OWN_APPLICATION = "GET /applications(appId='{id}')", "when the client secret expires",
        "Application.Read.All", "clientId";
    BATCH = "POST /$batch", "members of groups",
        "GroupMember.Read.All (or Directory.Read.All)", "";
}
