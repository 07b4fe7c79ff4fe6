//! How long the API server is waited for.

use std::future::Future;
use std::time::Duration;

/// The client itself tries a server in trouble for a quarter of an hour; meanwhile an object would
/// not even notice that it was suspended.
const PATIENCE: Duration = Duration::from_secs(20);

/// No answer that is of use.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The API server refused, or couldn't be reached.
    #[error("the API server: {0}")]
    Failed(#[from] kube::Error),
    /// It took too long.
    #[error("the API server didn't answer within {} s", PATIENCE.as_secs())]
    TooLate,
}

impl NoAnswer {
    /// The operator's rights don't suffice.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Failed(kube::Error::Api(status)) if status.code == 403)
    }

    /// The object isn't there any more, or another one has taken its name.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Failed(kube::Error::Api(status)) if matches!(status.code, 404 | 409))
    }
}

/// Waits for an answer of the API server, but not for ever.
///
/// # Errors
/// [`NoAnswer`], whichever way.
pub async fn patiently<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, NoAnswer> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(NoAnswer::TooLate),
    }
}
