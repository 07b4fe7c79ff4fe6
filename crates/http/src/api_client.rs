//! Calls to one side: paced, authorized, observed, tried again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::Retryable;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use crate::body::{self, Decode, Decoded};
use crate::process_limits::process_limits;
use crate::retry::is_retryable;
use crate::{
    CallName, CallOutcome, Failure, HttpError, Idempotency, Observer, RateLimit, RateLimiter,
    Redactor, Retry, TokenCache,
};

/// One side that is called.
#[derive(Debug, Clone)]
pub struct ApiClient {
    /// The HTTP client with its pool of connections.
    pub client: Client,
    /// How fast requests may follow each other.
    pub limit: Arc<dyn RateLimit>,
    /// How failed requests are sent again.
    pub retry: Retry,
    /// Called for each request.
    pub observer: Arc<dyn Observer>,
    /// Where the token comes from, for calls that need one.
    pub token: Option<Arc<TokenCache>>,
    /// What must not show in errors.
    pub secrets: Arc<Redactor>,
}

/// One request, as often as it takes.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    url: Url,
    endpoint: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<RequestBody>,
    idempotency: Idempotency,
}

#[derive(Clone)]
struct RequestBody {
    content_type: &'static str,
    // Cheap to clone: each try sends the same.
    bytes: bytes::Bytes,
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {}", self.bytes.len(), self.content_type)
    }
}

impl Call {
    /// Method and template of the path.
    pub fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// A call without a body. `endpoint` is method and template of the path, for the observer.
    pub fn new(method: Method, url: Url, endpoint: &'static str) -> Self {
        Self {
            method,
            url,
            endpoint,
            headers: Vec::new(),
            body: None,
            idempotency: Idempotency::Always,
        }
    }

    /// With a JSON body.
    ///
    /// # Errors
    /// When `value` can't be written as JSON.
    pub fn json(self, value: &impl serde::Serialize) -> Result<Self, HttpError> {
        match serde_json::to_vec(value) {
            Ok(bytes) => Ok(self.body("application/json", bytes)),
            Err(error) => Err(HttpError {
                call: self.name(),
                failure: Failure::Request(error.to_string()),
            }),
        }
    }

    /// With a header that isn't secret; its name in lower case.
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        let header = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        self.headers.push(header);
        self
    }

    /// With a user's name and password (RFC 7617), for a call that has no token. Both go into
    /// `secrets` as they are sent.
    pub fn basic(mut self, user: &str, password: &SecretString, secrets: &Redactor) -> Self {
        let pair = BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret()));
        secrets.add(password.clone());
        secrets.add(pair.as_str().into());
        let mut value = HeaderValue::try_from(format!("Basic {pair}"))
            .expect("Base64 has only characters that a header may have");
        value.set_sensitive(true);
        self.headers.push((AUTHORIZATION, value));
        self
    }

    /// With a body as it is.
    pub fn body(mut self, content_type: &'static str, bytes: impl Into<bytes::Bytes>) -> Self {
        self.body = Some(RequestBody {
            content_type,
            bytes: bytes.into(),
        });
        self
    }

    /// After which failures it may be sent again; [`Idempotency::Always`] where nothing is said.
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// Method and address for a person.
    pub fn name(&self) -> CallName {
        CallName::new(&self.method, &self.url)
    }
}

/// A body of an answer that tells nothing is never larger.
const NOTHING_MAX: u64 = 1 << 20;

/// What the body of a success is read as.
#[derive(Clone, Copy)]
enum Expected {
    /// Nothing that matters.
    Nothing,
    /// JSON of at most `cap` bytes.
    Json { cap: u64, decode: Decode },
}

/// What came back: headers, and what the body was decoded to.
type Answered = (HeaderMap, Decoded);

impl ApiClient {
    /// The same for requests on which nothing depends: each is sent once, and neither waits for the others nor, whatever
    /// the answer says of limits, makes them wait.
    pub fn beside(&self) -> Self {
        Self {
            limit: Arc::new(RateLimiter::unlimited()),
            retry: Retry {
                times: 0,
                ..self.retry
            },
            ..self.clone()
        }
    }

    /// Sends `call` and decodes the JSON that comes back, at most `cap` bytes of it.
    ///
    /// # Errors
    /// When no complete answer of this form comes, after the tries that [`Retry`] grants.
    pub async fn json<T>(&self, call: &Call, cap: u64) -> Result<T, HttpError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let (_, value) = self.json_with_headers(call, cap).await?;
        Ok(value)
    }

    /// The same with the headers of the answer, for those who page or count by them.
    ///
    /// # Errors
    /// As for [`ApiClient::json`].
    pub async fn json_with_headers<T>(
        &self,
        call: &Call,
        cap: u64,
    ) -> Result<(HeaderMap, T), HttpError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let decode = body::decode::<T>;
        let (headers, value) = self.tried(call, Expected::Json { cap, decode }).await?;
        let value = value.downcast().expect("it was decoded as this type");
        Ok((headers, *value))
    }

    /// Sends `call`, of which only the success matters.
    ///
    /// # Errors
    /// When no success comes, after the tries that [`Retry`] grants.
    pub async fn done(&self, call: &Call) -> Result<(), HttpError> {
        self.tried(call, Expected::Nothing).await.map(|_| ())
    }

    async fn tried(&self, call: &Call, expected: Expected) -> Result<Answered, HttpError> {
        let mut waited = Duration::ZERO;
        (|| self.authorized(call, expected))
            .retry(self.retry.delays())
            .when(|error: &HttpError| is_retryable(&error.failure, call.idempotency))
            .adjust(|error, delay| {
                let asked = error.failure.answer().and_then(|answer| answer.retry_after);
                let delay = delay.map(|own| own.max(asked.unwrap_or_default()))?;
                waited += delay;
                (waited <= self.retry.longest_wait).then_some(delay)
            })
            .notify(|error, delay| {
                let (endpoint, error) = (call.endpoint, &error.failure);
                tracing::debug!(endpoint, %error, ?delay, "a request failed and is sent again");
            })
            .await
    }

    /// One try, and another with a new token where the old one ran out.
    async fn authorized(&self, call: &Call, expected: Expected) -> Result<Answered, HttpError> {
        let Some(tokens) = &self.token else {
            return self.sent(call, None, expected).await;
        };
        let no_token = |error| HttpError {
            call: call.name(),
            failure: Failure::Token(Box::new(error)),
        };
        let (token, generation) = tokens.get().await.map_err(no_token)?;
        let result = self.sent(call, Some(token.expose_secret()), expected).await;
        if !result.as_ref().is_err_and(is_unauthorized) {
            return result;
        }
        tokens.refused(generation).await;
        let (token, generation) = tokens.get().await.map_err(no_token)?;
        let result = self.sent(call, Some(token.expose_secret()), expected).await;
        if result.as_ref().is_err_and(is_unauthorized) {
            tokens.refused(generation).await;
        }
        result
    }

    async fn sent(
        &self,
        call: &Call,
        token: Option<&str>,
        expected: Expected,
    ) -> Result<Answered, HttpError> {
        self.limit.permit(&call.method, call.url.path()).await;
        let started = Instant::now();
        let (status, result) = self.answered(call, token, expected).await;
        let elapsed = started.elapsed();
        let failed = result.as_ref().err().and_then(Failure::outcome);
        let outcome = failed.or(status.map(|status| CallOutcome::Status(status.as_u16())));
        if let Some(outcome) = outcome {
            self.observer.request(call.endpoint, outcome, elapsed);
        }
        // Not the path: a server that names a group by what it was sent would have it in the log.
        tracing::debug!(endpoint = call.endpoint, ?outcome, ?elapsed, "request");
        result.map_err(|failure| HttpError {
            call: call.name(),
            failure,
        })
    }

    /// The status, where there was one, and what came of it.
    async fn answered(
        &self,
        call: &Call,
        token: Option<&str>,
        expected: Expected,
    ) -> (Option<StatusCode>, Result<Answered, Failure>) {
        // A host that is an address never comes to the resolver, which checks all others.
        if let Err(denied) = process_limits().egress.check_url(&call.url) {
            return (None, Err(Failure::Denied(denied)));
        }
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        if let Some(token) = token {
            let scheme = self.token.as_ref().map_or("Bearer", |cache| cache.scheme());
            let Ok(mut value) = HeaderValue::try_from(format!("{scheme} {token}")) else {
                let why = "the token holds characters that no header may have".to_owned();
                return (None, Err(Failure::Request(why)));
            };
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static(body.content_type))
                .body(Body::from(body.bytes.clone()));
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return (None, Err(Failure::of_sending(&error, &self.secrets))),
        };
        let status = response.status();
        let path = call.url.path();
        self.limit
            .answered(&call.method, path, status, response.headers());
        let result = if status.is_success() {
            let headers = response.headers().clone();
            let read = match expected {
                Expected::Json { cap, decode } => body::json(response, cap, decode).await,
                Expected::Nothing => body::nothing(response, NOTHING_MAX)
                    .await
                    .map(|()| Box::new(()) as Decoded),
            };
            read.map(|decoded| (headers, decoded))
        } else {
            let answer = body::answer(response, call.url.query(), &self.secrets).await;
            Err(Failure::Status(Box::new(answer)))
        };
        (Some(status), result)
    }
}

fn is_unauthorized(error: &HttpError) -> bool {
    error
        .failure
        .answer()
        .is_some_and(|answer| answer.status == StatusCode::UNAUTHORIZED)
}
