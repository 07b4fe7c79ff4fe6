//! An OpenLDAP server with one database.

mod options;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

pub use options::{ClientCertificates, SlapdOptions};
use options::{LdifSource, configuration};

use super::process::Process;
use super::{Authority, Identity, LabError, Ldif, find, folder, free_port, run, write};

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A running slapd on loopback, with an `mdb` database filled before it started.
pub struct Slapd {
    program: PathBuf,
    suffix: String,
    port: u16,
    tls_port: u16,
    debug: &'static str,
    authority: Authority,
    // Dropped in this order: the program before its folder.
    process: Process,
    folder: TempDir,
}

impl Slapd {
    /// The root DN's password. The root DN is subject to no limit and no access rule.
    pub const ROOT_PASSWORD: &str = "lab-root-password";

    /// A server yet to be described and started.
    pub fn options() -> SlapdOptions {
        SlapdOptions::default()
    }

    fn start(options: SlapdOptions) -> Result<Self, LabError> {
        let program = find("slapd")?;
        let folder = folder("slapd")?;
        let authority = Authority::new("directory-sync lab: directory")?;
        let lab = authority.client("lab", None)?;
        let names: Vec<_> = options.names.iter().map(String::as_str).collect();
        let (server, other) = match &options.identity {
            None => (authority.server(&names)?, ""),
            Some(identity) => (identity.clone(), identity.certificate.as_str()),
        };
        save_identity(folder.path(), "server", &server)?;
        save_identity(folder.path(), "client", &lab)?;
        write(folder.path().join("ca.pem"), &(authority.pem() + other))?;
        let text = configuration(folder.path(), &options)?;
        let configuration = write(folder.path().join("slapd.conf"), &text)?;
        std::fs::create_dir(folder.path().join("data"))
            .map_err(LabError::io("make the database's folder"))?;
        let content = match &options.content {
            LdifSource::Text(text) => write(folder.path().join("content.ldif"), text)?,
            LdifSource::File(path) => path.clone(),
        };
        load(&program, &configuration, &content)?;

        let (port, tls_port) = (free_port()?, free_port()?);
        let debug = if options.log_requests {
            "stats"
        } else {
            "none"
        };
        let process = launch(&program, folder.path(), port, tls_port, debug)?;
        let suffix = options.suffix;
        let mut this = Self {
            program,
            suffix,
            port,
            tls_port,
            debug,
            authority,
            process,
            folder,
        };
        this.wait()?;
        Ok(this)
    }

    /// Starts it again with another certificate.
    ///
    /// # Errors
    /// When it doesn't come back.
    pub fn renew(&mut self, identity: &Identity) -> Result<(), LabError> {
        save_identity(self.folder.path(), "server", identity)?;
        let trusted = self.authority.pem() + &identity.certificate;
        write(self.folder.path().join("ca.pem"), &trusted)?;
        self.restart()
    }

    /// `ldap://127.0.0.1:PORT`; StartTLS is offered there.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// `ldaps://127.0.0.1:PORT`, with a certificate for `127.0.0.1` and `localhost`.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// The port of [`url`](Self::url).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of [`ldaps_url`](Self::ldaps_url).
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Who signed the server's certificate, and whose client certificates it believes. For a test
    /// with the wrong one, make another [`Authority`].
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The DN at the root of the database.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// The DN that may do everything, with [`ROOT_PASSWORD`](Self::ROOT_PASSWORD).
    pub fn root_dn(&self) -> String {
        format!("cn=root,{}", self.suffix)
    }

    /// The server's process id, for measuring it.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What the server wrote so far; with [`SlapdOptions::log_requests`], a line a request.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// `ldapmodify` as the root DN. The LDIF's records say what to do by `changetype`; one
    /// without is an entry to add.
    ///
    /// # Errors
    /// When a change is refused; those before it are done.
    pub fn modify(&self, changes: &str) -> Result<(), LabError> {
        run(
            "ldapmodify",
            self.client("ldapmodify").arg("-a"),
            Some(changes),
        )
        .map(drop)
    }

    /// Deletes these entries as the root DN.
    ///
    /// # Errors
    /// When one isn't there or has entries below it; those before it are gone.
    pub fn delete(&self, dns: &[impl AsRef<str>]) -> Result<(), LabError> {
        let mut changes = Ldif::empty(&self.suffix);
        for dn in dns {
            changes.entry(dn.as_ref(), &[("changetype", "delete")]);
        }
        self.modify(changes.text())
    }

    /// `ldapsearch` over LDAPS as the root DN below the suffix, with further arguments (filter,
    /// attributes, options); its LDIF.
    ///
    /// # Errors
    /// When the search fails.
    pub fn search(&self, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = self.client("ldapsearch");
        command
            .args(["-LLL", "-o", "ldif-wrap=no", "-b", &self.suffix])
            .args(arguments);
        run("ldapsearch", &mut command, None)
    }

    /// Kills the server without warning. Its ports and database stay for
    /// [`restart`](Self::restart).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the server again, on the same ports and database, having killed it if it runs.
    ///
    /// # Errors
    /// When it doesn't start, with the end of its log.
    pub fn restart(&mut self) -> Result<(), LabError> {
        self.kill();
        self.process = launch(
            &self.program,
            self.folder.path(),
            self.port,
            self.tls_port,
            self.debug,
        )?;
        self.wait()
    }

    fn wait(&mut self) -> Result<(), LabError> {
        let mut ask = self.client("ldapsearch");
        ask.args(["-LLL", "-s", "base", "-b", "", "1.1"]);
        self.process
            .wait_until(WAIT_TIMEOUT, || run("ask", &mut ask, None).is_ok())
    }

    /// One of OpenLDAP's own clients, as the root DN over LDAPS and with a client certificate, so
    /// that it works however strict the server is.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let file = |name: &str| self.folder.path().join(name);
        command
            .args(["-x", "-H", &self.ldaps_url(), "-D", &self.root_dn()])
            .args(["-w", Self::ROOT_PASSWORD])
            .env("LDAPTLS_CACERT", file("ca.pem"))
            .env("LDAPTLS_CERT", file("client.pem"))
            .env("LDAPTLS_KEY", file("client.key"));
        command
    }
}

fn save_identity(folder: &Path, name: &str, identity: &Identity) -> Result<(), LabError> {
    write(folder.join(format!("{name}.pem")), &identity.certificate)?;
    write(folder.join(format!("{name}.key")), &identity.key)?;
    Ok(())
}

/// Loads the content offline, without slapd's consistency checks: 100,000 entries in seconds.
fn load(slapd: &Path, configuration: &Path, content: &Path) -> Result<(), LabError> {
    let mut command = Command::new(slapd.with_file_name("slapadd"));
    command
        .arg("-q")
        .arg("-f")
        .arg(configuration)
        .arg("-l")
        .arg(content);
    run("load the directory's content", &mut command, None).map(drop)
}

fn launch(
    program: &Path,
    folder: &Path,
    port: u16,
    tls_port: u16,
    debug: &str,
) -> Result<Process, LabError> {
    let urls = format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}");
    let configuration = folder.join("slapd.conf").display().to_string();
    // A debug level, even none, keeps slapd in the foreground.
    Process::start(
        program,
        ["-f", &configuration, "-h", &urls, "-d", debug],
        folder,
    )
}
