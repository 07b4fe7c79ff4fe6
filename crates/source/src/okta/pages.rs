//! Calls of one organization, and its lists read page by page to their proven end.

use std::collections::HashSet;
use std::sync::Arc;

use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use super::credentials::{ApiToken, ServiceApp};
use super::error::{Purpose, failure};
use super::limit::{RULES, RateLimitBucket};
use super::settings::{Credentials, InvalidSettings, OktaSettings, origin};
use crate::http::oauth::TokenEndpoint;
use crate::http::process_limits::{BoundedList, ListLength};
use crate::http::{
    AccountLimits, ApiClient, ApiError, Call, HttpError, JwtSigner, RateLimiter, Redactor,
    TokenCache,
};
use crate::text::sanitize;

/// A page of a thousand people with large profiles stays below; anything larger is no page.
const PAGE_MAX: u64 = 32 << 20;

/// One organization, ready to be asked.
#[derive(Debug)]
pub(super) struct Organization {
    origin: Url,
    users: ApiClient,
    groups: ApiClient,
    apps: ApiClient,
    pub tokens: Arc<TokenCache>,
    /// Tokens are bought with a service app's key, not given.
    pub buys_tokens: bool,
    pub limits: AccountLimits,
}

/// A list to read.
#[derive(Debug, Clone)]
pub(super) struct List<'a> {
    /// The URL of the first page; a `Link` header names the next one.
    pub url: Url,
    /// Method and template of the path.
    pub endpoint: &'static str,
    /// What it counts as.
    pub bucket: RateLimitBucket,
    /// What a refusal means.
    pub purpose: Purpose<'a>,
}

/// Why a list wasn't read.
#[derive(Debug)]
pub(super) enum ListError {
    /// A call failed, or its answer couldn't be read.
    Http(HttpError),
    /// Its end is in doubt.
    Okta(ApiError),
}

impl ListError {
    pub fn into_failure(self, purpose: Purpose<'_>) -> ApiError {
        match self {
            Self::Http(error) => failure(error, purpose),
            Self::Okta(failure) => failure,
        }
    }
}

impl Organization {
    pub fn new(
        settings: &OktaSettings,
        credentials: &Credentials,
    ) -> Result<Self, InvalidSettings> {
        let origin = origin(&settings.org_url)?;
        let secrets = Arc::new(Redactor::new());
        let bare = ApiClient {
            client: crate::http::client(&settings.connection)?,
            // The token call counts on its own, and is asked once an hour.
            limit: Arc::new(RateLimiter::unlimited()),
            retry: settings.retry,
            observer: settings.observer.clone(),
            token: None,
            secrets: secrets.clone(),
        };
        let tokens = match credentials {
            Credentials::ApiToken(token) => {
                secrets.add(token.clone());
                TokenCache::with_scheme("SSWS", ApiToken(token.clone()))
            }
            Credentials::ServiceApp {
                client_id,
                private_key,
                key_id,
            } => {
                let signer = JwtSigner::parse(secrecy::ExposeSecret::expose_secret(private_key))?;
                let url = below(&origin, &["oauth2", "v1", "token"]);
                let with_applications = settings.application_id.is_some();
                secrets.add(private_key.clone());
                let endpoint = TokenEndpoint {
                    client: bare.clone(),
                    url,
                    endpoint: "POST /oauth2/v1/token",
                };
                TokenCache::new(ServiceApp::new(
                    endpoint,
                    client_id.clone(),
                    key_id.clone(),
                    signer,
                    with_applications,
                ))
            }
        };
        let tokens = Arc::new(tokens);
        let address = origin.origin().ascii_serialization();
        let limits = AccountLimits::of(&RULES, &address, settings.rate_limit_share);
        let of = |bucket: RateLimitBucket| ApiClient {
            limit: limits.bucket(bucket.name()),
            token: Some(tokens.clone()),
            ..bare.clone()
        };
        Ok(Self {
            origin,
            users: of(RateLimitBucket::Users),
            groups: of(RateLimitBucket::Groups),
            apps: of(RateLimitBucket::Apps),
            buys_tokens: matches!(credentials, Credentials::ServiceApp { .. }),
            tokens,
            limits,
        })
    }

    /// For whole reads, which leave some of the limits to requests about one person.
    pub fn for_whole_reads(&self) -> Self {
        let limits = self.limits.sparing();
        let of = |bucket: RateLimitBucket, client: &ApiClient| ApiClient {
            limit: limits.bucket(bucket.name()),
            ..client.clone()
        };
        Self {
            origin: self.origin.clone(),
            users: of(RateLimitBucket::Users, &self.users),
            groups: of(RateLimitBucket::Groups, &self.groups),
            apps: of(RateLimitBucket::Apps, &self.apps),
            tokens: self.tokens.clone(),
            buys_tokens: self.buys_tokens,
            limits,
        }
    }

    /// An address of the API.
    pub fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = below(&self.origin, &[&["api", "v1"], path].concat());
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    /// Reads a list to its end and gives each page to `each`.
    ///
    /// # Errors
    /// When a page fails, or it isn't certain that the last page was the last.
    pub async fn read<T>(
        &self,
        list: &List<'_>,
        mut each: impl FnMut(Vec<T>) -> Result<(), ApiError>,
    ) -> Result<(), ListError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut url = list.url.clone();
        let mut seen = HashSet::from([url.clone()]);
        let mut length = ListLength::default();
        loop {
            let (page, next) = self.page::<T>(list, &url).await?;
            let added = length.add(page.len());
            added.map_err(|why| self.incomplete(list, &why))?;
            each(page).map_err(ListError::Okta)?;
            let Some(next) = next else { return Ok(()) };
            if !seen.insert(next.clone()) {
                return Err(self.incomplete(list, "the pages are linked in a circle"));
            }
            url = next;
        }
    }

    /// One page, and where the next one is.
    ///
    /// # Errors
    /// When the call fails, or it isn't known whether there is another page.
    pub async fn page<T>(
        &self,
        list: &List<'_>,
        url: &Url,
    ) -> Result<(Vec<T>, Option<Url>), ListError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let remote = match list.bucket {
            RateLimitBucket::Users => &self.users,
            RateLimitBucket::Groups => &self.groups,
            RateLimitBucket::Apps => &self.apps,
        };
        let call = Call::new(Method::GET, url.clone(), list.endpoint);
        let answer = remote.json_with_headers(&call, PAGE_MAX).await;
        let (headers, BoundedList(page)) = answer.map_err(ListError::Http)?;
        let links = Links::of(&headers);
        let Some(next) = links.next else {
            // Each of Okta's lists links at least to itself. Without any link somebody took them
            // away, and a cut list would pass for a whole one.
            return match links.any {
                true => Ok((page, None)),
                false => Err(self.incomplete(
                    list,
                    "the answer has no Link header, which says whether there are more pages; a \
                     proxy between here and Okta must let it pass",
                )),
            };
        };
        // A token must not follow to another host.
        let parsed = Url::parse(&next).ok();
        let parsed = parsed.filter(|next| next.origin() == self.origin.origin());
        match parsed.filter(|next| next.path() == url.path()) {
            Some(next) => Ok((page, Some(next))),
            None => Err(self.incomplete(
                list,
                &format!(
                    "the next page is said to be at {}, which isn't below orgUrl; write the \
                     address that Okta itself uses (a custom domain has links of its own)",
                    sanitize(next.split('?').next().unwrap_or_default())
                ),
            )),
        }
    }

    fn incomplete(&self, list: &List<'_>, why: &str) -> ListError {
        let call = Call::new(Method::GET, list.url.clone(), list.endpoint);
        let tried = call.name();
        ListError::Okta(ApiError::incomplete(format!(
            "{tried}: the list may not be complete: {why}"
        )))
    }
}

fn below(origin: &Url, path: &[&str]) -> Url {
    let mut url = origin.clone();
    url.path_segments_mut()
        .expect("an http address has a path")
        .clear()
        .extend(path);
    url
}

/// The links of an answer (RFC 8288), in one header or in several.
#[derive(Debug, PartialEq, Eq)]
struct Links {
    next: Option<String>,
    any: bool,
}

impl Links {
    fn of(headers: &HeaderMap) -> Self {
        let mut links = Self {
            next: None,
            any: false,
        };
        let texts = headers.get_all(LINK).iter();
        for text in texts.filter_map(|value| value.to_str().ok()) {
            let mut rest = text;
            // Addresses may hold commas and semicolons, but no angle brackets.
            while let Some((_, after)) = rest.split_once('<') {
                let Some((address, after)) = after.split_once('>') else {
                    break;
                };
                let end = after.find('<').unwrap_or(after.len());
                let (parameters, after) = after.split_at(end);
                links.any = true;
                if is_next(parameters) {
                    links.next = Some(address.to_owned());
                }
                rest = after;
            }
        }
        links
    }
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        let mut kinds = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel")
            && kinds.any(|kind| kind.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(texts: &[&str]) -> (Option<String>, bool) {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(LINK, text.parse().unwrap());
        }
        let links = Links::of(&headers);
        (links.next, links.any)
    }

    #[test]
    fn the_next_page_is_found_in_one_header_or_in_several() {
        let own = r#"<https://a.example/users?limit=2>; rel="self""#;
        let next = r#"<https://a.example/users?after=1,2;3&limit=2>; rel="next""#;
        let address = Some("https://a.example/users?after=1,2;3&limit=2".to_owned());
        let both = (address, true);
        assert_eq!(links(&[own, next]), both);
        assert_eq!(links(&[next, own]), both);
        assert_eq!(links(&[&format!("{own}, {next}")]), both);
        assert_eq!(links(&[&format!("{next},{own}")]), both);
        assert_eq!(links(&[&next.replace("\"next\"", "next")]), both);
        assert_eq!(links(&[own]), (None, true));
        assert_eq!(links(&[]), (None, false));
    }
}
