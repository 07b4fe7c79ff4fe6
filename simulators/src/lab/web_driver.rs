//! Chromium, driven by programs over WebDriver.

use std::process::Command;

use super::process::Process;
use super::{LabError, find, folder, free_port};

/// A running chromedriver, ended when this is dropped.
#[derive(Debug)]
pub struct WebDriver {
    url: String,
    _process: Process,
}

impl WebDriver {
    /// Starts chromedriver. It starts a browser for each session.
    ///
    /// # Errors
    /// [`LabError::Missing`] when Chromium isn't here; else with the end of its log.
    pub fn start() -> Result<Self, LabError> {
        find("chromium")?;
        let (port, folder) = (free_port()?, folder("chromium")?.keep());
        let log = folder.join("chromedriver.log");
        let mut command = Command::new("chromedriver");
        command
            .arg(format!("--port={port}"))
            // Profiles go where they are removed with the driver.
            .env("TMPDIR", &folder);
        let mut process = Process::spawn(&command, &folder, &log)?;
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

    /// Arguments for a browser without a screen, that ends with its driver.
    pub fn arguments() -> Vec<&'static str> {
        vec![
            "--headless=new",
            // Root has no sandbox; what these tests load is their own.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            // When the driver is gone, the pipe is closed and the browser ends.
            "--remote-debugging-pipe",
        ]
    }
}
