//! A Git repository over HTTP, as a platform team's host serves it: `git http-backend` behind a listener on
//! loopback.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use super::{LabError, folder, run};
use crate::wire::Served;

/// The only branch.
const BRANCH: &str = "main";
/// So much of a request is taken, in bytes; a fetch sends the commits that it has.
const REQUEST_MAX: usize = 1 << 20;

/// A repository that clients fetch from; gone when dropped.
#[derive(Debug)]
pub struct GitServer {
    folder: TempDir,
    served: Served,
}

impl GitServer {
    /// Serves an empty repository.
    ///
    /// # Errors
    /// [`LabError::Failed`] with Git's answer; [`LabError::Io`] when no port can be bound.
    pub async fn start() -> Result<Self, LabError> {
        let folder = folder("git")?;
        let root: Arc<PathBuf> = Arc::new(folder.path().to_owned());
        let router = Router::new().fallback(answer).with_state(root);
        let (stopping, _) = watch::channel(false);
        let served = Served::start(router, 0, stopping)
            .await
            .map_err(LabError::io("serve a Git repository"))?;
        let server = Self { folder, served };
        server.git(&["init", "--quiet", "--initial-branch", BRANCH, "work"])?;
        Ok(server)
    }

    /// What clients fetch from.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/work/.git", self.served.address())
    }

    /// Commits these files, by their paths; `None` takes one out. The commit's ID.
    ///
    /// # Errors
    /// [`LabError::Failed`] when nothing changes; [`LabError::Io`] when a file can't be written.
    pub fn commit(&self, files: &[(&str, Option<&str>)]) -> Result<String, LabError> {
        let work = self.folder.path().join("work");
        for (path, text) in files {
            let file = work.join(path);
            let written = match text {
                Some(text) => {
                    let parent = file.parent().unwrap_or(&work);
                    fs::create_dir_all(parent).and_then(|()| fs::write(&file, text))
                }
                None => fs::remove_file(&file),
            };
            written.map_err(LabError::io(format!("write {path}")))?;
        }
        self.git(&["-C", "work", "add", "--all"])?;
        self.git(&["-C", "work", "commit", "--quiet", "--message", "A change"])?;
        let id = self.git(&["-C", "work", "rev-parse", "HEAD"])?;
        Ok(id.trim().to_owned())
    }

    /// Copies a folder of this machine to `path` in the work tree, to be committed with the next commit.
    ///
    /// # Errors
    /// [`LabError::Failed`] when it can't be copied.
    pub fn copy(&self, from: &std::path::Path, path: &str) -> Result<(), LabError> {
        let to = self.folder.path().join("work").join(path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(LabError::io(format!("make {path}")))?;
        }
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(from).arg(to);
        run("copy a folder", &mut copy, None).map(drop)
    }

    fn git(&self, arguments: &[&str]) -> Result<String, LabError> {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.folder.path());
        // Nothing of whoever runs the tests.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null");
        git.env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Platform");
            git.env(format!("GIT_{who}_EMAIL"), "platform@example.com");
        }
        run("git", &mut git, None)
    }
}

async fn answer(State(root): State<Arc<PathBuf>>, request: Request) -> Response {
    match backend(&root, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What `git http-backend` answers, by CGI (RFC 3875).
async fn backend(root: &PathBuf, request: Request) -> io::Result<Response> {
    let (head, body) = request.into_parts();
    let header = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let body = to_bytes(body, REQUEST_MAX)
        .await
        .map_err(io::Error::other)?;
    let mut program = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = program.stdin.take() {
        input.write_all(&body).await?;
    }
    let output = program.wait_with_output().await?.stdout;
    let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("git http-backend wrote no headers"))?;
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code.parse().map_err(io::Error::other)?;
        } else {
            let name: axum::http::HeaderName = name.parse().map_err(io::Error::other)?;
            headers.insert(name, value.parse().map_err(io::Error::other)?);
        }
    }
    let body = Body::from(output[end + 4..].to_vec());
    Ok((status, headers, body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_committed_is_fetched() {
        let server = GitServer::start().await.unwrap();
        let first = server
            .commit(&[("a/file.txt", Some("one\n")), ("other.txt", Some("two\n"))])
            .unwrap();
        let clone = folder("clone").unwrap();
        let mut git = Command::new("git");
        git.args(["clone", "--quiet", "--depth", "1", &server.url()]);
        git.arg(clone.path().join("it"));
        run("git clone", &mut git, None).unwrap();
        let file = clone.path().join("it/a/file.txt");
        assert_eq!(fs::read_to_string(file).unwrap(), "one\n");
        let second = server.commit(&[("other.txt", None)]).unwrap();
        assert_ne!(first, second);
        assert!(server.commit(&[]).is_err(), "nothing changed");
    }
}
