//! An Active Directory domain: Samba as its only controller.

mod cache;
mod crowd;
mod options;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

pub use crowd::Crowd;
use options::Model;
pub use options::{Account, AccountStatus, SambaOptions};

use super::process::Process;
use super::{Authority, Identity, LabError, find, folder, free_port, run, skip, write};

const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The name of the folder that a domain is made in. Its configuration holds that folder's path, and
/// is known by it when it is changed for another.
const TEMPLATE: &str = "template";

/// A running controller of the domain [`Samba::REALM`], on an address of its own within 127/8 and
/// the usual ports there, which takes root.
///
/// Its database can be changed while it runs, and is the only thing it serves: LDAP, LDAPS, the
/// global catalog and DNS.
pub struct Samba {
    program: PathBuf,
    model: Model,
    address: Ipv4Addr,
    authority: Authority,
    /// What it was when it started.
    template: PathBuf,
    // Dropped in this order: the program before its folder.
    process: Process,
    folder: TempDir,
}

impl Samba {
    /// The domain's DNS name.
    pub const REALM: &str = "ad.example.test";
    /// The DN of the domain.
    pub const DOMAIN: &str = "DC=ad,DC=example,DC=test";
    /// The domain's short name, as in `ADEX\reader`.
    pub const SHORT: &str = "ADEX";
    /// The password of every account with one.
    pub const PASSWORD: &str = "Lab-passw0rd";
    /// The controller's DNS name; no name server but its own knows it.
    pub const HOST: &str = "dc1.ad.example.test";

    /// A domain yet to be described and started.
    pub fn options() -> SambaOptions {
        SambaOptions::default()
    }

    /// Whether a controller can be started here; where it can't, notes that `test` is skipped.
    pub fn can_start(test: &str) -> bool {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0);
        if !is_root {
            skip(
                test,
                "a Samba domain controller needs root for its ports (allowed in CI: not root)",
            );
            return false;
        }
        match find("samba") {
            Ok(_) => true,
            Err(missing) => {
                skip(test, &missing.to_string());
                false
            }
        }
    }

    fn start(options: &SambaOptions) -> Result<Self, LabError> {
        let program = find("samba")?;
        let folder = folder("samba")?;
        let template = match options.crowd {
            None => {
                let template = folder.path().join(TEMPLATE);
                provision(&template)?;
                database("ldbadd", &template, &options.ldif)?;
                template
            }
            Some(crowd) => cache::filled(crowd, &options.ldif)?,
        };
        Self::launch(
            (program, options.model),
            folder,
            template,
            options.strong_auth,
        )
    }

    /// Another controller with the content that this one started with, which knows nothing of it.
    ///
    /// # Errors
    /// As of the first start.
    pub fn another(&self, strong_auth: bool) -> Result<Self, LabError> {
        let folder = folder("samba")?;
        let template = match self.template.strip_prefix(self.folder.path()) {
            Err(_) => self.template.clone(),
            // It goes with this one.
            Ok(_) => {
                let template = folder.path().join(TEMPLATE);
                copy(&self.template, &template)?;
                template
            }
        };
        Self::launch(
            (self.program.clone(), self.model),
            folder,
            template,
            strong_auth,
        )
    }

    fn launch(
        (program, model): (PathBuf, Model),
        folder: TempDir,
        template: PathBuf,
        strong_auth: bool,
    ) -> Result<Self, LabError> {
        let address = free_address()?;
        let base = folder.path().join("dc");
        copy(&template, &base)?;
        configure(&base, address, strong_auth)?;
        let authority = Authority::new("directory-sync lab: domain")?;
        let identity = authority.server(&[&address.to_string(), Self::HOST])?;
        present(&base, &authority, &identity)?;
        let process = serve(&program, model, folder.path())?;
        let mut this = Self {
            program,
            model,
            address,
            authority,
            template,
            process,
            folder,
        };
        this.wait()?;
        Ok(this)
    }

    /// The controller's address; its ports are the usual ones.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Who signed the controller's certificate, which is for its address and [`Samba::HOST`].
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The controller's process id, for measuring it.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What the controller wrote so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Adds entries to the running domain.
    ///
    /// # Errors
    /// When one is refused; then none of them is there.
    pub fn add(&self, ldif: &str) -> Result<(), LabError> {
        database("ldbadd", &self.folder.path().join("dc"), ldif)
    }

    /// Changes the running domain; each record says how by its `changetype`.
    ///
    /// # Errors
    /// When a change is refused; then none of them is done.
    pub fn modify(&self, ldif: &str) -> Result<(), LabError> {
        database("ldbmodify", &self.folder.path().join("dc"), ldif)
    }

    /// Changes the running domain as its administrator does, by LDAP: the controller tells of it at once. It
    /// has to allow plaintext.
    ///
    /// # Errors
    /// When a change is refused; those before it are done.
    pub fn modify_by_ldap(&self, changes: &str) -> Result<(), LabError> {
        let mut command = Command::new("ldapmodify");
        command
            .args(["-x", "-H", &format!("ldap://{}", self.address)])
            .args(["-D", &format!("Administrator@{}", Self::REALM)])
            .args(["-w", Self::PASSWORD]);
        run("ldapmodify", &mut command, Some(changes)).map(drop)
    }

    /// Makes the account's password one of 2001. No attribute that Samba lets anybody write says so:
    /// it goes into the database itself.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn age_password(&self, dn: &str) -> Result<(), LabError> {
        // In the hundred nanoseconds since 1601 that Windows counts.
        crowd::Partition::of(&self.folder.path().join("dc")).modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 126227808000000000\n"
        ))
    }

    /// Gives the controller another invocation ID, as one has that was restored from a backup.
    ///
    /// # Errors
    /// When the database can't be changed.
    pub fn take_another_invocation(&self) -> Result<(), LabError> {
        let domain = Self::DOMAIN;
        crowd::Partition::configuration(&self.folder.path().join("dc")).modify(&format!(
            "dn: CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,{domain}\n\
             changetype: modify\nreplace: invocationId\ninvocationId: another, it was.\n"
        ))
    }

    /// `ldbsearch` of the running domain with a filter and attributes; its LDIF, identities as text.
    ///
    /// # Errors
    /// When the search fails.
    pub fn search(&self, arguments: &[&str]) -> Result<String, LabError> {
        let base = self.folder.path().join("dc");
        run("ldbsearch", tool("ldbsearch", &base).args(arguments), None)
    }

    /// Kills the controller without warning. Its address and database stay for
    /// [`restart`](Self::restart).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the controller again, having killed it if it runs.
    ///
    /// # Errors
    /// When it doesn't start, with the end of its log.
    pub fn restart(&mut self) -> Result<(), LabError> {
        self.kill();
        self.process = serve(&self.program, self.model, self.folder.path())?;
        self.wait()
    }

    /// Starts the controller again with another certificate.
    ///
    /// # Errors
    /// When it doesn't start, with the end of its log.
    pub fn present(&mut self, identity: &Identity) -> Result<(), LabError> {
        present(&self.folder.path().join("dc"), &self.authority, identity)?;
        self.restart()
    }

    fn wait(&mut self) -> Result<(), LabError> {
        let address = self.address;
        self.process.wait_until(WAIT_TIMEOUT, || {
            [389, 636, 3268, 3269]
                .iter()
                .all(|port| std::net::TcpStream::connect((address, *port)).is_ok())
        })
    }
}

/// An address of 127/8 that no other process using this function has.
fn free_address() -> Result<Ipv4Addr, LabError> {
    // A claimed port stands for an address. None ends in 0 or 255.
    let claim = free_port()?;
    let (third, fourth) = (claim / 200, claim % 200 + 1);
    Ok(Ipv4Addr::new(127, 77, third as u8, fourth as u8))
}

/// Makes the domain, which takes seconds.
fn provision(base: &Path) -> Result<(), LabError> {
    std::fs::create_dir_all(base.join("run")).map_err(LabError::io("make the domain's folder"))?;
    let mut command = Command::new("samba-tool");
    let shown = base.display();
    command
        .args(["domain", "provision"])
        .arg(format!("--targetdir={shown}"))
        .arg(format!("--realm={}", Samba::REALM.to_uppercase()))
        .arg(format!("--domain={}", Samba::SHORT))
        .arg(format!("--adminpass={}", Samba::PASSWORD))
        .args(["--host-name=dc1", "--host-ip=127.0.0.1"])
        .args(["--server-role=dc", "--dns-backend=SAMBA_INTERNAL"])
        .args(["--option=server services=ldap dns"])
        .args(["--option=interfaces=127.0.0.1/8"])
        .args(["--option=bind interfaces only=yes"])
        .arg(format!("--option=log file={shown}/log.%m"))
        .arg(format!("--option=pid directory={shown}/run"))
        .arg(format!("--option=ncalrpc dir={shown}/run/ncalrpc"));
    run("provision the domain", &mut command, None).map(drop)
}

/// Turns the configuration of a copied domain into one for its new folder and address.
fn configure(base: &Path, address: Ipv4Addr, strong_auth: bool) -> Result<(), LabError> {
    let path = base.join("etc/smb.conf");
    let text = std::fs::read_to_string(&path).map_err(LabError::io("read the configuration"))?;
    let mut made = String::new();
    for line in text.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        // Whatever names a folder named that of the provisioning, wherever that was.
        let line = match key {
            "interfaces" => format!("\tinterfaces = {address}/8"),
            _ => match line.split_once(" = ") {
                Some((name, value)) => match value.split_once("/template") {
                    Some((_, rest)) => format!("{name} = {}{rest}", base.display()),
                    None => line.to_owned(),
                },
                None => line.to_owned(),
            },
        };
        let _infallible = writeln!(made, "{line}");
        if line == "[global]" && !strong_auth {
            made.push_str("\tldap server require strong auth = no\n");
        }
    }
    debug_assert!(!made.contains("/template"));
    write(path, &made).map(drop)
}

/// Puts the certificate where the controller takes it from when it starts.
fn present(base: &Path, authority: &Authority, identity: &Identity) -> Result<(), LabError> {
    let tls = base.join("private/tls");
    std::fs::create_dir_all(&tls).map_err(LabError::io("make the folder of certificates"))?;
    write(tls.join("ca.pem"), &authority.pem())?;
    write(tls.join("cert.pem"), &identity.certificate)?;
    let key = write(tls.join("key.pem"), &identity.key)?;
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600))
        .map_err(LabError::io("protect the key"))
}

fn copy(from: &Path, to: &Path) -> Result<(), LabError> {
    let mut command = Command::new("cp");
    command.args(["-a", "--sparse=always"]).args([from, to]);
    run("copy the domain", &mut command, None).map(drop)
}

fn serve(program: &Path, model: Model, folder: &Path) -> Result<Process, LabError> {
    let configuration = folder.join("dc/etc/smb.conf").display().to_string();
    // Both stay in the foreground. With `-i` one process is all it is; others end when the first one is gone.
    let model: &[&str] = match model {
        Model::Single => &["-i", "-M", "single"],
        Model::Prefork => &["-F", "--no-process-group", "-M", "prefork"],
    };
    let arguments = model.iter().copied().chain(["-s", &configuration]);
    Process::start(program, arguments, folder)
}

/// Works on the domain's database itself, which the controller sees at once.
fn database(name: &str, base: &Path, ldif: &str) -> Result<(), LabError> {
    if ldif.is_empty() {
        return Ok(());
    }
    let output = run(name, tool(name, base).arg("--nosync"), Some(ldif))?;
    // The tools tell of a refused record and end as if nothing had been.
    let records = ldif.lines().filter(|line| line.starts_with("dn:")).count();
    if output.contains(&format!(" {records} records")) {
        return Ok(());
    }
    Err(LabError::Failed {
        what: format!("{name} of {records} records"),
        answer: super::tail(&output),
    })
}

fn tool(name: &str, base: &Path) -> Command {
    let mut command = Command::new(name);
    command
        .arg(format!(
            "--configfile={}",
            base.join("etc/smb.conf").display()
        ))
        .arg("-H")
        .arg(base.join("private/sam.ldb"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_domain_is_configured_for_its_own_folder_and_address() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("dc");
        std::fs::create_dir_all(base.join("etc")).unwrap();
        let text = "[global]\n\tinterfaces = 127.0.0.1/8\n\tprivate dir = /x/template/private\n";
        write(base.join("etc/smb.conf"), text).unwrap();
        configure(&base, Ipv4Addr::new(127, 77, 1, 2), false).unwrap();
        let made = std::fs::read_to_string(base.join("etc/smb.conf")).unwrap();
        assert_eq!(
            made,
            format!(
                "[global]\n\tldap server require strong auth = no\n\tinterfaces = 127.77.1.2/8\n\t\
                 private dir = {}/private\n",
                base.display()
            )
        );
    }
}
