//! The cluster's token, by which a workload proves who it is (workload identity federation).

use std::fmt;
use std::path::PathBuf;

use futures::future::BoxFuture;
use secrecy::SecretString;

use crate::limits::process_limits;

/// Where a token of the cluster comes from. It is asked for each time, as such tokens are renewed.
pub trait IdentityToken: fmt::Debug + Send + Sync {
    /// The token, or why there is none.
    fn get(&self) -> BoxFuture<'_, Result<SecretString, String>>;
}

/// A token that the cluster wrote into a file for this process. The file is named by who runs the
/// process, never by a resource.
#[derive(Debug, Clone)]
pub struct ProjectedToken(
    /// The file.
    pub PathBuf,
);

impl IdentityToken for ProjectedToken {
    fn get(&self) -> BoxFuture<'_, Result<SecretString, String>> {
        Box::pin(async move {
            process_limits().identity.check_file(&self.0)?;
            let file = self.0.display();
            let text = tokio::fs::read_to_string(&self.0)
                .await
                .map_err(|error| format!("can't read the cluster's token {file}: {error}"))?;
            match text.trim() {
                "" => Err(format!("the cluster's token {file} is empty")),
                token => Ok(token.into()),
            }
        })
    }
}
