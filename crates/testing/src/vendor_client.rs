//! Clients that vendors publish, started by a script of `tools/`.

use std::ffi::OsStr;
use std::path::Path;

use serde::de::DeserializeOwned;
use simulators::lab::{LabError, node_js};
use tokio::process::Command;

/// A script that reads a simulator with the vendor's own client, and prints JSON.
#[derive(Debug)]
pub struct VendorClient(Command);

impl VendorClient {
    /// A script below `tools/` for Node.js.
    ///
    /// # Errors
    /// [`LabError::Missing`] when there is no Node.js.
    pub fn node(script: &str) -> Result<Self, LabError> {
        Ok(Self::of(&node_js()?, script))
    }

    /// A script below `tools/` for Python, with the folder that holds the client's packages.
    pub fn python(script: &str, packages: &Path) -> Self {
        let Self(mut command) = Self::of(Path::new("python3"), script);
        command
            .env("PYTHONPATH", packages)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Self(command)
    }

    fn of(program: &Path, script: &str) -> Self {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools");
        let mut command = Command::new(program);
        command
            .arg(tools.join(script))
            // A simulator is never reached by the proxy of whoever runs the tests.
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .env_remove("https_proxy")
            .env_remove("HTTPS_PROXY");
        Self(command)
    }

    /// With more arguments.
    pub fn with<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs it to its end; what it printed.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub async fn printed(mut self) -> Vec<u8> {
        let output = self.0.output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        output.stdout
    }

    /// The same, decoded.
    ///
    /// # Panics
    /// When it fails, and when it prints something else.
    pub async fn read<T: DeserializeOwned>(self) -> T {
        serde_json::from_slice(&self.printed().await).unwrap()
    }
}
