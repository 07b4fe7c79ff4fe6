//! A time limit for requests to the API server.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Semaphore;

/// The client itself retries a failing server for a quarter of an hour. Meanwhile an object would
/// not even notice that it was suspended.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Requests at once. What all objects ask for at the same moment, as when a Secret changes that they
/// share, is asked for in turn: the API server and the watches of everybody else go on.
static IN_FLIGHT: Semaphore = Semaphore::const_new(32);

/// Why a request to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiServerError {
    /// The API server refused, or couldn't be reached.
    #[error("the API server: {}", said(.0))]
    Failed(#[from] kube::Error),
    /// It took too long.
    #[error("the API server didn't answer within {} s", REQUEST_TIMEOUT.as_secs())]
    TimedOut,
}

impl ApiServerError {
    /// The operator's rights don't suffice.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Failed(kube::Error::Api(status)) if status.code == 403)
    }

    /// The object isn't there any more, or another one has taken its name.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Failed(kube::Error::Api(status)) if matches!(status.code, 404 | 409))
    }
}

/// Its own sentence, where it has one: as text, a status is written twice, once as fields.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// Waits for an answer of the API server, for [`REQUEST_TIMEOUT`] at most once the request is sent.
///
/// # Errors
/// [`ApiServerError`], whichever way.
pub async fn with_timeout<T>(
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiServerError> {
    // It is never closed.
    let _turn = IN_FLIGHT.acquire().await.ok();
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ApiServerError::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn hundreds_of_requests_at_once_are_sent_a_few_at_a_time() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let requests = (0..500).map(|_| {
            with_timeout(async {
                let under_way = now.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(under_way, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(5)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            })
        });
        // None of them runs into the time limit while it waits.
        for answer in futures::future::join_all(requests).await {
            answer.unwrap();
        }
        assert_eq!(most.into_inner(), 32);
    }
}
