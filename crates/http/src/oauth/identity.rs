//! The cluster's token, by which a workload proves who it is (workload identity federation).

use std::fmt;
use std::path::PathBuf;

use futures::future::BoxFuture;
use secrecy::SecretString;

/// Where a token of the cluster comes from. It is asked for each time, as such tokens are renewed.
pub trait IdentityToken: fmt::Debug + Send + Sync {
    /// The token.
    ///
    /// # Errors
    /// When there is none.
    fn get(&self) -> BoxFuture<'_, Result<SecretString, IdentityError>>;
}

/// Why there is no token of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Somebody has to change something; what.
    #[error("{0}")]
    Settings(String),
    /// It may be there at the next try.
    #[error("{0}")]
    Transient(String),
}

/// A token that the cluster wrote into a file for this process. The file is named by who runs the
/// process, never by a resource.
#[derive(Debug, Clone)]
pub struct ProjectedToken(
    /// The path of the file, which is read again for each use.
    pub PathBuf,
);

impl IdentityToken for ProjectedToken {
    fn get(&self) -> BoxFuture<'_, Result<SecretString, IdentityError>> {
        Box::pin(async move {
            let file = self.0.display();
            let text = tokio::fs::read_to_string(&self.0).await.map_err(|error| {
                IdentityError::Settings(format!("can't read the cluster's token {file}: {error}"))
            })?;
            match text.trim() {
                "" => Err(IdentityError::Settings(format!(
                    "the cluster's token {file} is empty"
                ))),
                token => Ok(token.into()),
            }
        })
    }
}

/// No token, and why.
#[derive(Debug, Clone)]
pub struct NoIdentity(
    /// What is missing, and what to do.
    pub String,
);

impl IdentityToken for NoIdentity {
    fn get(&self) -> BoxFuture<'_, Result<SecretString, IdentityError>> {
        Box::pin(async move { Err(IdentityError::Settings(self.0.clone())) })
    }
}
