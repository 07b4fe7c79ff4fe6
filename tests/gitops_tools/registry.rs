//! An OCI registry with charts in it, as far as those who only fetch see one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The only repository.
const REPOSITORY: &str = "charts/directory-sync-operator";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Type and bytes of everything that can be fetched, by the end of its path.
type Contents = Arc<Mutex<BTreeMap<String, (&'static str, Vec<u8>)>>>;

/// A registry on loopback, as long as the runtime lives.
pub struct Registry {
    address: SocketAddr,
    contents: Contents,
    tags: Vec<String>,
}

impl Registry {
    pub async fn start() -> Self {
        let contents = Contents::default();
        let router = Router::new().fallback(answer).with_state(contents.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            contents,
            tags: vec![],
        }
    }

    /// What an OCIRepository names.
    pub fn url(&self) -> String {
        format!("oci://{}/{REPOSITORY}", self.address)
    }

    /// Adds a packaged chart, as `helm push` does.
    pub fn push(&mut self, version: &str, package: &Path) {
        let config = json!({"name": "directory-sync-operator", "version": version}).to_string();
        let chart = std::fs::read(package).unwrap();
        let part = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": part("application/vnd.cncf.helm.config.v1+json", config.as_bytes()),
            "layers": [part("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &chart)],
        })
        .to_string()
        .into_bytes();
        self.tags.push(version.to_owned());
        let tags = json!({"name": REPOSITORY, "tags": self.tags}).to_string();
        let mut contents = self.contents.lock().unwrap();
        for blob in [config.into_bytes(), chart] {
            let path = format!("blobs/{}", digest(&blob));
            contents.insert(path, ("application/octet-stream", blob));
        }
        for name in [version.to_owned(), digest(&manifest)] {
            contents.insert(format!("manifests/{name}"), (MANIFEST, manifest.clone()));
        }
        let tags = ("application/json", tags.into_bytes());
        contents.insert("tags/list".to_owned(), tags);
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

async fn answer(State(contents): State<Contents>, uri: Uri) -> Response {
    if uri.path() == "/v2/" {
        return StatusCode::OK.into_response();
    }
    let name = uri.path().strip_prefix(&format!("/v2/{REPOSITORY}/"));
    let found = name.and_then(|name| contents.lock().unwrap().get(name).cloned());
    match found {
        Some((kind, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE.as_str(), kind.to_owned()),
                ("docker-content-digest", digest(&bytes)),
            ];
            (headers, bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
