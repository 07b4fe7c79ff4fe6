//! Launchers of the real parts: an API server, an OpenLDAP server, and what fills them.
//!
//! Everything listens on loopback, lives in a temporary folder of its own and ends with the value
//! that started it, or with the process if that dies first (see [`process`]). Starting blocks for
//! a second or two; the calls are plain blocking ones, which a test may make from async code.
//!
//! - [`ApiServer`]: etcd and kube-apiserver with RBAC, kubeconfigs for further users
//! - [`Node`]: a node that runs pods, in a [`Sandbox`]
//! - [`Images`]: container images, built from a Dockerfile
//! - [`GitServer`]: a Git repository, served over HTTP
//! - [`Slapd`]: OpenLDAP with one `mdb` database, LDAP and LDAPS
//! - [`Samba`]: an Active Directory domain with one controller
//! - [`Ldif`], [`Company`]: entries by hand, or a whole company of any size
//! - [`Authority`]: certificates for both
//! - [`Prism`]: a proxy that refuses what the description of an API doesn't allow
//! - [`WebDriver`]: Chromium, driven by programs
//! - [`skip`], [`or_skip`]: how a test says that it could not run

mod api_server;
mod certificates;
pub mod clock;
mod company;
mod directory_server_389;
mod git;
mod images;
mod ldif;
mod node;
mod parts;
mod port;
mod prism;
pub mod process;
mod samba;
mod sandbox;
mod skip;
mod slapd;
mod web_driver;

pub use api_server::ApiServer;
pub use certificates::{Authority, Identity};
pub use company::{Company, Employee, Team};
pub use directory_server_389::DirectoryServer389;
pub use git::GitServer;
pub use images::Images;
pub use ldif::{Ldif, Person, escape_rdn};
pub use node::Node;
pub use parts::{find, node_js};
pub use port::free_port;
pub use prism::Prism;
pub use samba::{Account, AccountStatus, Crowd, Samba, SambaOptions};
pub use sandbox::Sandbox;
pub use skip::{or_skip, skip};
pub use slapd::{ClientCertificates, Slapd, SlapdOptions};
pub use web_driver::WebDriver;

use std::path::PathBuf;

/// Why a part could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The program isn't on this machine, or bringing it was never tried.
    #[error("{part} is not here: {answer}")]
    Missing {
        /// The part's name as `hack/bring-tools` knows it.
        part: String,
        /// What `hack/bring-tools` said, ending with how to bring it.
        answer: String,
    },
    /// The operating system refused something.
    #[error("could not {what}")]
    Io {
        /// What was tried, after "could not": `start slapd`.
        what: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A program ended or answered otherwise than it should.
    #[error("{what}: {answer}")]
    Failed {
        /// The program, and what it should have done.
        what: String,
        /// The end of what the program wrote.
        answer: String,
    },
    /// A certificate could not be made.
    #[error("could not make a certificate for {subject}")]
    Certificate {
        /// The name in the certificate.
        subject: String,
        /// The error of the certificate library.
        source: rcgen::Error,
    },
    /// No port could be claimed.
    #[error("no free port between {first} and {last} on 127.0.0.1", first = .0.start(), last = .0.end())]
    NoPort(std::ops::RangeInclusive<u16>),
}

impl LabError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A fresh temporary folder whose name says what it is for.
fn folder(purpose: &str) -> Result<tempfile::TempDir, LabError> {
    tempfile::Builder::new()
        .prefix(&format!("directory-sync-{purpose}-"))
        .tempdir()
        .map_err(LabError::io("make a temporary folder"))
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf, LabError> {
    std::fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))?;
    Ok(path)
}

/// Runs a command to its end with `input` on its standard input; its standard output, or an error
/// that carries the end of both outputs.
fn run(
    what: &str,
    command: &mut std::process::Command,
    input: Option<&str>,
) -> Result<String, LabError> {
    use std::io::Write as _;
    use std::process::Stdio;

    let mut child = command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(LabError::io(format!(
            "run {}",
            command.get_program().display()
        )))?;
    let pipe = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let (Some(mut pipe), Some(input)) = (pipe, input) {
            // A program that ends early says why itself; the broken pipe would only hide it.
            scope.spawn(move || pipe.write_all(input.as_bytes()).ok());
        }
        child.wait_with_output()
    })
    .map_err(LabError::io(what))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let answer = format!("{}{}", text, String::from_utf8_lossy(&output.stderr));
    Err(LabError::Failed {
        what: what.to_owned(),
        answer: tail(&answer),
    })
}

/// The last lines of what a program wrote, which is where it says why it ended.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
