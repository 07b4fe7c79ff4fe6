//! Many lists in few requests: `$batch` takes 20, each with a status and pages of its own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{Resource, failure, incomplete, said};
use super::graph::{BATCH, Graph, PAGE_MAX};
use super::wire::GraphError;
use crate::http::process_limits::ListLength;
use crate::http::{ApiError, Call, Idempotency, is_retryable_status};

/// As many requests as Graph takes in one.
const PARTS: usize = 20;
/// As many batches as are under way at once. Past four, what is won in time is lost to limits.
const SIDE_BY_SIDE: usize = 4;

/// A list to be read in a batch.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Below `/v1.0`, with its query.
    pub path: String,
    /// What it reads, for errors.
    pub resource: &'static Resource,
    /// What of the settings it stands for.
    pub names: Option<String>,
}

struct Open {
    index: usize,
    path: String,
    tries: usize,
}

#[derive(Serialize)]
struct Request<'a> {
    requests: Vec<Asked<'a>>,
}

#[derive(Serialize)]
struct Asked<'a> {
    id: String,
    method: &'static str,
    url: &'a str,
}

#[derive(Deserialize)]
struct Answer<B> {
    responses: Vec<Answered<B>>,
}

#[derive(Deserialize)]
struct Answered<B> {
    id: String,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    /// Parts that failed may have none.
    body: Option<B>,
}

/// What a part answers: what was asked for, or an error.
trait Body: DeserializeOwned + Send + 'static {
    fn error(&self) -> &GraphError;
}

#[derive(Deserialize)]
struct PageBody<T> {
    value: Option<Vec<T>>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
    #[serde(default)]
    error: GraphError,
}

#[derive(Deserialize)]
struct ObjectBody<T> {
    #[serde(default)]
    error: GraphError,
    #[serde(flatten)]
    object: Option<T>,
}

impl<T: DeserializeOwned + Send + 'static> Body for PageBody<T> {
    fn error(&self) -> &GraphError {
        &self.error
    }
}

impl<T: DeserializeOwned + Send + 'static> Body for ObjectBody<T> {
    fn error(&self) -> &GraphError {
        &self.error
    }
}

/// What comes of a part whose object isn't there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Fails,
    /// The part is answered by `None`.
    IsTold,
}

impl<B: Body> Answered<B> {
    /// Whether Graph itself says that there is no such object, and not somebody on the way to it.
    fn says_not_there(&self) -> bool {
        let body = self.body.as_ref();
        body.is_some_and(|body| body.error().code.raw() == "Request_ResourceNotFound")
    }
}

impl<B> Answered<B> {
    fn retry_after(&self) -> Option<Duration> {
        let mut headers = self.headers.iter();
        let header = headers.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
        header.1.trim().parse().ok().map(Duration::from_secs)
    }
}

impl Graph {
    /// Every page of every part. `page` gets the part's place in `parts`.
    ///
    /// # Errors
    /// When any part isn't read to its end.
    pub async fn each_of<T>(
        &self,
        parts: &[Part],
        mut page: impl FnMut(usize, Vec<T>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut lengths: Vec<ListLength> = parts.iter().map(|_| ListLength::default()).collect();
        self.each_part(parts, Missing::Fails, |index, body: Option<PageBody<T>>| {
            let what = parts[index].resource.what;
            let (value, next) = body.map_or((None, None), |body| (body.value, body.next_link));
            let value = value.ok_or_else(|| incomplete(what, "a page has no value"))?;
            let added = lengths[index].add(value.len());
            added.map_err(|why| incomplete(what, why))?;
            page(index, value)?;
            Ok(next)
        })
        .await
    }

    /// The object of every part.
    ///
    /// # Errors
    /// When any of them isn't there.
    pub async fn each_object<T>(
        &self,
        parts: &[Part],
        mut found: impl FnMut(T),
    ) -> Result<(), ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let missing = Missing::Fails;
        self.each_part(parts, missing, |index, body: Option<ObjectBody<T>>| {
            let what = parts[index].resource.what;
            let object = body
                .and_then(|body| body.object)
                .ok_or_else(|| incomplete(what, "an object has no id"))?;
            found(object);
            Ok(None)
        })
        .await
    }

    /// The object of every part, in the order of `parts`; `None` of those of which Graph says that they aren't there.
    ///
    /// # Errors
    /// When any part is answered in another way.
    pub async fn objects_if_there<T>(&self, parts: &[Part]) -> Result<Vec<Option<T>>, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut found: Vec<Option<T>> = parts.iter().map(|_| None).collect();
        let missing = Missing::IsTold;
        self.each_part(parts, missing, |index, body: Option<ObjectBody<T>>| {
            if let Some(body) = body {
                let what = parts[index].resource.what;
                let object = body.object;
                found[index] = Some(object.ok_or_else(|| incomplete(what, "an object has no id"))?);
            }
            Ok(None)
        })
        .await?;
        Ok(found)
    }

    /// Asks every part until it is answered; `take` says where a part goes on.
    async fn each_part<B: Body>(
        &self,
        parts: &[Part],
        missing: Missing,
        mut take: impl FnMut(usize, Option<B>) -> Result<Option<String>, ApiError>,
    ) -> Result<(), ApiError> {
        let indexed = parts.iter().enumerate();
        let mut open: VecDeque<Open> = indexed
            .map(|(index, part)| Open {
                index,
                path: part.path.clone(),
                tries: 0,
            })
            .collect();
        let mut running = FuturesUnordered::new();
        let mut waited = Duration::ZERO;
        loop {
            while running.len() < SIDE_BY_SIDE && !open.is_empty() {
                let chunk: Vec<Open> = open.drain(..open.len().min(PARTS)).collect();
                running.push(self.batch::<B>(chunk));
            }
            let Some(done) = running.next().await else {
                return Ok(());
            };
            let mut pause = None;
            for (mut part, answer) in done? {
                let resource = parts[part.index].resource;
                match answer.status {
                    200 => {
                        let body = answer.body.ok_or_else(|| {
                            incomplete(resource.what, "a part of a batch has no body")
                        })?;
                        if let Some(next) = take(part.index, Some(body))? {
                            part.path = self.relative(resource, &next)?;
                            part.tries = 0;
                            open.push_back(part);
                        }
                    }
                    404 if missing == Missing::IsTold && answer.says_not_there() => {
                        take(part.index, None)?;
                    }
                    // 509: Graph's word for a bandwidth that is used up.
                    status
                        if (status == 509 || is_retryable_status(status, Idempotency::Always))
                            && part.tries < self.remote.retry.times =>
                    {
                        let asked = answer.retry_after();
                        let own = self.remote.retry.first_delay * (1 << part.tries.min(10));
                        let own = own.min(self.remote.retry.longest_delay);
                        pause = pause.max(Some(asked.unwrap_or_default().max(own)));
                        part.tries += 1;
                        open.push_back(part);
                    }
                    _ => return Err(refused(&parts[part.index], &answer)),
                }
            }
            if let Some(pause) = pause {
                waited += pause;
                if waited > self.remote.retry.longest_wait {
                    let answer = "429 in parts of a batch";
                    return Err(super::error::part(&BATCH, answer, Some(pause)));
                }
                // Graph counts all requests together: everybody waits.
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One batch; each part with its answer. A part without an answer is an error.
    async fn batch<B: Body>(&self, parts: Vec<Open>) -> Result<Vec<(Open, Answered<B>)>, ApiError> {
        let failed = |error| failure(&BATCH, None, error);
        let requests = parts
            .iter()
            .enumerate()
            .map(|(id, part)| Asked {
                id: id.to_string(),
                method: "GET",
                url: &part.path,
            })
            .collect();
        let call = Call::new(Method::POST, self.url("/$batch", &[]), BATCH.endpoint)
            .json(&Request { requests })
            .map_err(failed)?;
        let answer: Answer<B> = self.remote.json(&call, PAGE_MAX).await.map_err(failed)?;
        let mut answers: HashMap<String, Answered<B>> = HashMap::new();
        for answered in answer.responses {
            answers.insert(answered.id.clone(), answered);
        }
        parts
            .into_iter()
            .enumerate()
            .map(|(id, part)| {
                let answered = answers.remove(&id.to_string());
                answered
                    .map(|answered| (part, answered))
                    .ok_or_else(|| incomplete(BATCH.what, "a part of a batch was not answered"))
            })
            .collect()
    }

    /// A next link as a part's path: below `/v1.0`.
    fn relative(&self, resource: &Resource, link: &str) -> Result<String, ApiError> {
        let url = self.link(resource, link)?;
        let root = self.url("", &[]);
        let path = url.path().strip_prefix(root.path()).unwrap_or(url.path());
        Ok(match url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }
}

fn refused<B: Body>(part: &Part, answer: &Answered<B>) -> ApiError {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let none = GraphError::default();
    let error = answer.body.as_ref().map_or(&none, Body::error);
    super::error::refused(part.resource, part.names.as_deref(), status, error).unwrap_or_else(
        || super::error::part(part.resource, &said(status, error), answer.retry_after()),
    )
}
