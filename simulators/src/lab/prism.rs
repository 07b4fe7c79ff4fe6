//! Prism, a proxy that knows the description of an API and refuses what doesn't fit it.

use std::path::Path;

use super::process::Process;
use super::{LabError, find, folder, free_port, node_js};

/// A running Prism, ended when this is dropped.
#[derive(Debug)]
pub struct Prism {
    url: String,
    _process: Process,
}

impl Prism {
    /// Stands before the server at `address` (`http://127.0.0.1:8080`) and holds what both sides
    /// say against `description`, an OpenAPI or Swagger document: a request that doesn't fit gets
    /// 422, an answer that doesn't fit becomes a 500 that says `VIOLATIONS`.
    ///
    /// # Errors
    /// [`LabError::Missing`] when Prism or Node.js isn't here; else with the end of its log.
    pub fn before(address: &str, description: &Path) -> Result<Self, LabError> {
        let (node, prism, port) = (node_js()?, find("prism")?, free_port()?);
        let listens = format!("--port={port}");
        let arguments = [
            prism.as_os_str(),
            "proxy".as_ref(),
            "--errors".as_ref(),
            "--host=127.0.0.1".as_ref(),
            listens.as_ref(),
            description.as_os_str(),
            address.as_ref(),
        ];
        let folder = folder("prism")?.keep();
        let mut process = Process::start(&node, arguments, &folder)?;
        process.wait_for_port(port)?;
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            _process: process,
        })
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }
}
