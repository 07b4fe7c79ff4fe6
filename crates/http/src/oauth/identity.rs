//! The cluster's token, by which a workload proves who it is (workload identity federation).

use std::path::{Path, PathBuf};
use std::{fmt, io};

use futures::future::BoxFuture;
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;

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
            let text = read(&self.0).await.map_err(|error| {
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

/// Longest token that is read, in bytes: a server takes no longer header.
const TOKEN_MAX: u64 = 64 * 1024;

async fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await?;
    let read = file.take(TOKEN_MAX + 1).read_to_string(&mut text).await?;
    if read as u64 > TOKEN_MAX {
        return Err(io::Error::other("more than 64 KiB: this is no token"));
    }
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_no_token_is_refused_and_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "a-token\n").unwrap();
        let token = ProjectedToken(path.clone()).get().await.unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&token), "a-token");

        // As sparse as it is, reading it would take all memory.
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = ProjectedToken(path).get().await.unwrap_err();
        assert!(error.to_string().contains("more than 64 KiB"), "{error}");
    }
}
