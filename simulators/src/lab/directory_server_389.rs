//! A 389 Directory Server with one database.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::{LabError, find, folder, free_port, run, write};

/// The package's own configuration for a new instance, with places to fill in.
const TEMPLATE: &str = "/usr/share/dirsrv/data/template-dse.ldif";
const SCHEMA: &str = "/usr/share/dirsrv/schema";
/// What the server needs beside its configuration.
const COLLATIONS: &str = "/etc/dirsrv/config/slapd-collations.conf";

const SUFFIX: &str = "dc=example,dc=com";
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A running 389 Directory Server on loopback, with a database for `dc=example,dc=com`.
///
/// Its own installer would write to `/etc` and start a system service. This one fills the same
/// template in a folder of its own, which ends with it.
pub struct DirectoryServer389 {
    port: u16,
    // Dropped in this order: the program before its folder.
    process: Process,
    folder: TempDir,
}

impl DirectoryServer389 {
    /// The root DN, which no access rule limits.
    pub const ROOT_DN: &str = "cn=root,dc=example,dc=com";
    /// The root DN's password.
    pub const ROOT_PASSWORD: &str = "lab-root-password";

    /// Starts a server and adds these entries, the suffix's first. Without an `aci` nobody but the root
    /// DN may read them.
    ///
    /// # Errors
    /// [`LabError::Missing`] when the server isn't here; else with what it said.
    pub fn start(ldif: &str) -> Result<Self, LabError> {
        let program = find("389-ds")?;
        let folder = folder("389-ds")?;
        let port = free_port()?;
        let mut hash = Command::new("pwdhash");
        hash.args(["-s", "SSHA512", Self::ROOT_PASSWORD]);
        // Its default takes a second at each bind.
        let password = run("hash the root password", &mut hash, None)?;
        configure(folder.path(), port, password.trim())?;
        let path = folder.path().display().to_string();
        let pid = folder.path().join("run/pid").display().to_string();
        let arguments = ["-D", &path, "-i", &pid, "-d", "0"];
        let process = Process::start(&program, arguments, folder.path())?;
        let mut this = Self {
            port,
            process,
            folder,
        };
        this.process.wait_for_port(port)?;
        this.fill(ldif)?;
        Ok(this)
    }

    /// `ldap://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    fn fill(&mut self, ldif: &str) -> Result<(), LabError> {
        let content = write(self.folder.path().join("content.ldif"), ldif)?;
        let url = self.url();
        // The server listens before its databases are open.
        let mut ask = Command::new("ldapsearch");
        ask.args(["-LLL", "-x", "-H", &url, "-s", "base", "-b", "", "1.1"]);
        self.process
            .wait_until(WAIT_TIMEOUT, || run("ask", &mut ask, None).is_ok())?;
        let mut add = Command::new("ldapadd");
        add.args(["-x", "-H", &url, "-D", Self::ROOT_DN])
            .args(["-w", Self::ROOT_PASSWORD, "-f"])
            .arg(content);
        run("add the directory's content", &mut add, None).map(drop)
    }
}

/// Fills in the template, and adds a database to it.
fn configure(folder: &Path, port: u16, password: &str) -> Result<(), LabError> {
    for name in ["db", "ldif", "bak", "log", "lock", "run", "tmp", "schema"] {
        std::fs::create_dir(folder.join(name)).map_err(LabError::io("make a folder of 389-ds"))?;
    }
    let mut copy = Command::new("cp");
    copy.arg("-r")
        .arg(format!("{SCHEMA}/."))
        .arg(folder.join("schema"));
    run("copy the schema", &mut copy, None)?;
    std::fs::copy(COLLATIONS, folder.join("slapd-collations.conf"))
        .map_err(LabError::io("copy the collations of 389-ds"))?;
    let user = run("ask who runs this", Command::new("id").arg("-un"), None)?;

    let mut text =
        std::fs::read_to_string(TEMPLATE).map_err(LabError::io(format!("read {TEMPLATE}")))?;
    let shown = folder.display();
    let port = port.to_string();
    for (place, value) in [
        ("schema_dir", format!("{shown}/schema")),
        ("lock_dir", format!("{shown}/lock")),
        ("tmp_dir", format!("{shown}/tmp")),
        ("cert_dir", shown.to_string()),
        ("config_dir", shown.to_string()),
        ("inst_dir", shown.to_string()),
        ("ldif_dir", format!("{shown}/ldif")),
        ("bak_dir", format!("{shown}/bak")),
        ("run_dir", format!("{shown}/run")),
        ("log_dir", format!("{shown}/log")),
        ("db_dir", format!("{shown}/db")),
        ("db_home_dir", format!("{shown}/db")),
        ("db_lib", "bdb".to_owned()),
        ("fqdn", "localhost".to_owned()),
        ("ds_port", port),
        ("ds_user", user.trim().to_owned()),
        ("ds_passwd", password.to_owned()),
        ("ds_suffix", SUFFIX.to_owned()),
        ("rootdn", DirectoryServer389::ROOT_DN.to_owned()),
        ("ldapi_enabled", "off".to_owned()),
        ("ldapi_autobind", "off".to_owned()),
        ("ldapi", format!("{shown}/socket")),
    ] {
        text = text.replace(&format!("%{place}%"), &value);
    }
    let text = text.replacen(
        "nsslapd-localhost:",
        "nsslapd-listenhost: 127.0.0.1\nnsslapd-localhost:",
        1,
    );
    let text = format!(
        "{}

dn: cn=userroot,cn=ldbm database,cn=plugins,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userroot
nsslapd-suffix: {SUFFIX}

dn: cn=\"{SUFFIX}\",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: {SUFFIX}
nsslapd-state: backend
nsslapd-backend: userroot
",
        text.trim_end()
    );
    write(folder.join("dse.ldif"), &text).map(drop)
}
