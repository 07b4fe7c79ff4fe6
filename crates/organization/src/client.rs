//! The client of one organization: the two services of its server, and what is known of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::{NO_SUCH_CALL, OrganizationError, Refusal};
use crate::http::{
    Answer, ApiClient, Call, CallName, Credential, Expiry, Failure, HttpError, RemoteText,
    ServerTrust, Token, TokenCache, TokenSource,
};
use crate::seats::KnownSeats;
use crate::{InvalidSettings, Region, Settings, wire};

/// One organization on one server.
///
/// Keeps its token, its pace and what it found out about the server; cheap to clone, and to be kept
/// from one run to the next. Every change may be asked for twice: the second time does nothing.
#[derive(Debug, Clone)]
pub struct OrganizationClient {
    pub(super) settings: Settings,
    pub(super) identity: String,
    pub(super) api: String,
    pub(super) remote: ApiClient,
    /// Whether members could ever be read here: then it isn't Vaultwarden, whatever a proxy
    /// answers in its place.
    pub(super) readable: Arc<AtomicBool>,
    /// Whether it was recognised as Vaultwarden.
    pub(super) write_only: Arc<AtomicBool>,
    pub(super) seats: KnownSeats,
    /// Knows by which certificates the server was believed.
    trust: Arc<ServerTrust>,
}

impl OrganizationClient {
    /// Checks the settings; sends nothing yet.
    ///
    /// # Errors
    /// [`OrganizationError::Settings`] when they can't be used.
    pub fn new(settings: Settings) -> Result<Self, OrganizationError> {
        Ok(Self::with(settings)?)
    }

    /// The organization that the client id belongs to.
    pub fn organization_id(&self) -> Uuid {
        self.settings.client_id.organization()
    }

    /// The address of its server's API, in one spelling.
    pub fn address(&self) -> &str {
        &self.api
    }

    /// Whether members and groups can be read; `None` before that was tried. Where they can't it was
    /// recognised as one that only takes imports (Vaultwarden).
    pub fn can_be_read(&self) -> Option<bool> {
        let is = |known: &AtomicBool| known.load(Ordering::Relaxed);
        match (is(&self.readable), is(&self.write_only)) {
            (_, true) => Some(false),
            (true, false) => Some(true),
            (false, false) => None,
        }
    }

    /// The organization in a few words for a person.
    pub fn describe(&self) -> String {
        format!("{} at {}", self.organization_id(), self.api)
    }

    /// When the certificates of a server of one's own end, as far as connections have shown them. Those of
    /// Bitwarden's cloud are Bitwarden's to renew.
    pub fn expiries(&self) -> Vec<Expiry> {
        use Credential::{OrganizationCa, OrganizationServer};
        match self.settings.region {
            Region::Us | Region::Eu | Region::UsGov => vec![],
            Region::Server { .. } | Region::Split { .. } => {
                self.trust.expiries(OrganizationServer, OrganizationCa)
            }
        }
    }

    /// Gets a token with the organization's key, or uses the one that is there still.
    ///
    /// # Errors
    /// When the server refuses the key or can't be asked.
    pub async fn authenticate(&self) -> Result<(), OrganizationError> {
        let token = self.token().await;
        token.map_err(|error| self.token_error(error))
    }

    fn with(settings: Settings) -> Result<Self, InvalidSettings> {
        if settings.client_secret.expose_secret().trim().is_empty() {
            return Err(InvalidSettings::EmptySecret);
        }
        settings.secrets.add(settings.client_secret.clone());
        let identity = settings.region.identity();
        let (bare, trust) = for_tokens(&settings)?;
        let key = Key {
            remote: bare.clone(),
            url: address(&format!("{identity}/connect/token"))?,
            form: key_form(&settings),
            refill: settings.retry.longest_delay * 3,
        };
        let limit = settings.limit.clone();
        let remote = ApiClient {
            limit: limit.unwrap_or_else(|| settings.region.limit()),
            token: Some(Arc::new(TokenCache::new(key))),
            ..bare
        };
        let api = settings.region.api();
        address(&format!("{api}/public"))?;
        Ok(Self {
            identity,
            api,
            settings,
            remote,
            readable: Arc::new(AtomicBool::new(false)),
            write_only: Arc::new(AtomicBool::new(false)),
            seats: KnownSeats::default(),
            trust,
        })
    }

    /// A call of the public API: `path` below its address, `endpoint` its template.
    pub(super) fn call(&self, method: Method, path: &str, endpoint: &'static str) -> Call {
        let url = address(&format!("{}{path}", self.api))
            .expect("the address was checked and a path of ids and words keeps it valid");
        Call::new(method, url, endpoint)
    }

    /// Refuses what only a server with the whole public API can do.
    pub(super) fn can(&self, what: &'static str) -> Result<(), OrganizationError> {
        if self.write_only.load(Ordering::Relaxed) {
            return Err(OrganizationError::Unsupported { what });
        }
        Ok(())
    }

    pub(super) async fn json<T>(&self, call: &Call, cap: u64) -> Result<T, OrganizationError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let answer = self.remote.json(call, cap).await;
        answer.map_err(|error| self.error_of(call, error))
    }

    pub(super) async fn done(&self, call: &Call) -> Result<(), OrganizationError> {
        let answer = self.remote.done(call).await;
        answer.map_err(|error| self.error_of(call, error))
    }

    /// What a failed call of one member, group or collection means: of those a server may not have all.
    fn error_of(&self, call: &Call, error: HttpError) -> OrganizationError {
        let is_of_one = call.endpoint().contains("{id}");
        match error.failure.answer() {
            Some(answer) if is_of_one && is_no_call(answer) => OrganizationError::Refused {
                what: error.call.to_string(),
                answer: NO_SUCH_CALL.into(),
            },
            _ => self.error(error),
        }
    }

    /// What a failed call means.
    pub(super) fn error(&self, error: HttpError) -> OrganizationError {
        let (error, for_token) = error.into_token_failure();
        if for_token {
            return self.token_error(error);
        }
        let worked_before = self.readable.load(Ordering::Relaxed);
        let what = error.to_string();
        match &error.failure {
            Failure::Token(_) | Failure::Unreachable(_) | Failure::Interrupted(_) => {
                OrganizationError::Unreachable(error)
            }
            Failure::Tls(_) => OrganizationError::Tls {
                cause: error,
                worked_before,
            },
            Failure::Html | Failure::Scheme(_) => OrganizationError::WrongAddress {
                what,
                worked_before,
            },
            Failure::Status(answer) => match answer.status {
                StatusCode::UNAUTHORIZED if !answer.is_html() => OrganizationError::KeyRevoked {
                    answer: said(answer).to_string(),
                },
                StatusCode::FORBIDDEN if !answer.is_html() => OrganizationError::NotPermitted {
                    answer: said(answer).to_string(),
                },
                StatusCode::TOO_MANY_REQUESTS => throttled(answer, &error.call),
                StatusCode::BAD_REQUEST if !answer.is_html() => {
                    refused(error.call.to_string(), &said(answer))
                }
                StatusCode::NOT_FOUND if !answer.is_html() => OrganizationError::Gone {
                    what: error.call.to_string(),
                },
                // An error page of a gateway isn't a wrong address.
                status if status.is_server_error() || status == StatusCode::PAYLOAD_TOO_LARGE => {
                    OrganizationError::Unexpected(error)
                }
                _ => OrganizationError::WrongAddress {
                    what,
                    worked_before,
                },
            },
            Failure::Denied(_) | Failure::TooLarge(_) => OrganizationError::NotAllowed(error),
            Failure::Undecodable(_) | Failure::Identity(_) | Failure::Request(_) => {
                OrganizationError::Unexpected(error)
            }
        }
    }

    /// What a failed request for a token means.
    pub(super) fn token_error(&self, error: HttpError) -> OrganizationError {
        let worked_before = self.readable.load(Ordering::Relaxed);
        let what = error.to_string();
        match &error.failure {
            Failure::Status(answer) => match answer.status {
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED if !answer.is_html() => {
                    OrganizationError::WrongCredentials {
                        answer: said(answer).to_string(),
                    }
                }
                StatusCode::TOO_MANY_REQUESTS => throttled(answer, &error.call),
                status if status.is_server_error() => OrganizationError::Unexpected(error),
                _ => OrganizationError::WrongAddress {
                    what,
                    worked_before,
                },
            },
            Failure::Undecodable(_) => OrganizationError::WrongAddress {
                what,
                worked_before,
            },
            _ => self.error(error),
        }
    }
}

/// Whether a server says that it has the address and not the call.
pub(super) fn is_no_call(answer: &Answer) -> bool {
    let status = answer.status;
    (status == StatusCode::METHOD_NOT_ALLOWED || status == StatusCode::NOT_IMPLEMENTED)
        && !answer.is_html()
}

fn throttled(answer: &Answer, call: &CallName) -> OrganizationError {
    OrganizationError::Throttled {
        retry_after: answer.retry_after,
        what: format!("{call}: {}", said(answer)),
    }
}

fn refused(what: String, said: &RemoteText) -> OrganizationError {
    let answer = said.to_string();
    match Refusal::of(said.raw()) {
        Refusal::Seats => OrganizationError::NoSeats { answer },
        Refusal::Groups | Refusal::DirectorySync => OrganizationError::NotPermitted { answer },
        // Of a single member these words are about that one: the last owner, say.
        Refusal::Organization | Refusal::Other => OrganizationError::Refused { what, answer },
    }
}

/// What the server said, from the forms its errors take.
pub(super) fn said(answer: &Answer) -> RemoteText {
    wire::ErrorBody::of(answer).text(answer)
}

fn address(text: &str) -> Result<Url, InvalidSettings> {
    Url::parse(text).map_err(|_| InvalidSettings::ServerUrl("isn't a URL"))
}

/// What asks for tokens.
fn for_tokens(settings: &Settings) -> Result<(ApiClient, Arc<ServerTrust>), InvalidSettings> {
    let (client, trust) = crate::http::client_with_trust(&settings.connection)?;
    let remote = ApiClient {
        client,
        limit: settings.region.token_limit(),
        retry: settings.retry,
        observer: settings.observer.clone(),
        token: None,
        secrets: settings.secrets.clone(),
    };
    Ok((remote, trust))
}

/// The organization's API key, which buys tokens.
struct Key {
    remote: ApiClient,
    url: Url,
    form: SecretString,
    /// How long Vaultwarden's login limiter takes to let one more request in: a minute.
    refill: Duration,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.url)
    }
}

fn key_form(settings: &Settings) -> SecretString {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &settings.client_id.to_string())
        .append_pair(
            "client_secret",
            settings.client_secret.expose_secret().trim(),
        )
        .append_pair("scope", "api.organization")
        // Vaultwarden refuses a key without a device; the official server doesn't look. 14: an SDK.
        .append_pair("device_identifier", "directory-sync-operator")
        .append_pair("device_name", "directory-sync-operator")
        .append_pair("device_type", "14");
    form.finish().into()
}

/// The release of Bitwarden that this client was written by. Vaultwarden logs an error for each
/// token request without one; the official server doesn't look at it here.
const CLIENT_VERSION: &str = "2026.8.0";

/// Vaultwarden lets ten logins through at once and then one a minute, without a `Retry-After`.
fn is_limited_without_a_time(error: &HttpError) -> bool {
    error.failure.answer().is_some_and(|answer| {
        answer.status == StatusCode::TOO_MANY_REQUESTS && answer.retry_after.is_none()
    })
}

impl TokenSource for Key {
    fn issue(&self) -> BoxFuture<'_, Result<Token, HttpError>> {
        Box::pin(async move {
            let form = self.form.expose_secret().to_owned();
            let call = Call::new(Method::POST, self.url.clone(), "POST /connect/token")
                .header("bitwarden-client-version", CLIENT_VERSION)
                .body("application/x-www-form-urlencoded", form);
            match self.remote.token(&call).await {
                Err(error) if is_limited_without_a_time(&error) => {
                    tokio::time::sleep(self.refill).await;
                    self.remote.token(&call).await
                }
                result => result,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, Region};

    #[test]
    fn organizations_of_a_cloud_region_share_the_limits_of_calls_and_of_tokens() {
        let of = |organization: u32| {
            let id = format!("organization.00000000-0000-4000-8000-{organization:012}");
            Settings::new(
                Region::UsGov,
                ClientId::parse(&id).unwrap(),
                "secret".into(),
            )
        };
        let limit = |n| OrganizationClient::new(of(n)).unwrap().remote.limit;
        assert!(Arc::ptr_eq(&limit(1), &limit(2)));
        let token_limit = |n| for_tokens(&of(n)).unwrap().0.limit;
        assert!(Arc::ptr_eq(&token_limit(1), &token_limit(2)));
        assert!(!Arc::ptr_eq(&token_limit(1), &limit(1)));
    }
}
