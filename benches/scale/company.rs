//! The directory of one size, and the manifests for it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use simulators::lab::{Company, Slapd};
use tempfile::TempDir;

use crate::bitwarden::Bitwarden;
use crate::machine::{self, Measured};

const PAGES: [&str; 2] = ["-E", "pr=1000/noprompt"];
/// What `directory-sync` asks for, too.
const USERS: [&str; 3] = ["(objectClass=inetOrgPerson)", "entryUUID", "mail"];
const GROUPS: [&str; 4] = ["(objectClass=groupOfNames)", "entryUUID", "cn", "member"];

/// An OpenLDAP server with a company.
pub struct Directory {
    people: u32,
    slapd: Slapd,
    folder: TempDir,
}

impl Directory {
    pub fn start(people: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ldif = folder.path().join("company.ldif");
        Company::new(people, people / 20).save(&ldif)?;
        let slapd = Slapd::options().ldif_file(&ldif).start()?;
        std::fs::remove_file(ldif)?;
        Ok(Self {
            people,
            slapd,
            folder,
        })
    }

    pub fn pid(&self) -> u32 {
        self.slapd.pid()
    }

    /// Reads everything once, so that no later reader is the first; and sees that it is there.
    pub fn read_once(&self) -> Result<()> {
        for (what, expected) in [(&USERS[..], self.people), (&GROUPS[..], self.people / 20)] {
            let output = Command::new("ldapsearch")
                .args(self.search(what))
                .stderr(Stdio::inherit())
                .output()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let entries = text.lines().filter(|line| line.starts_with("dn:")).count();
            ensure!(
                output.status.success() && entries == expected as usize,
                "the directory gave {entries} entries, not {expected}, of {}",
                what[0]
            );
        }
        Ok(())
    }

    /// `ldapsearch` of people, then of groups.
    pub fn floor(&self) -> Result<Measured> {
        let mut sum = Measured::default();
        for what in [&USERS[..], &GROUPS[..]] {
            let arguments = self.search(what);
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let one = machine::measure("ldapsearch", &arguments, &[self.pid()])?;
            sum.wall += one.wall;
            sum.cpu += one.cpu;
            sum.others += one.others;
            sum.peak = sum.peak.max(one.peak);
        }
        Ok(sum)
    }

    /// The resource and its Secrets as one file.
    pub fn manifest(&self, bitwarden: &Bitwarden, namespace: Option<&str>) -> Result<String> {
        let namespace = namespace.unwrap_or("default");
        let text = format!(
            r#"apiVersion: v1
kind: Secret
metadata: {{name: bitwarden-org, namespace: {namespace}}}
stringData: {{clientId: "{client_id}", clientSecret: "{client_secret}"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: ldap-bind, namespace: {namespace}}}
stringData: {{bindDn: "{bind_dn}", password: "{password}"}}
---
apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: {namespace}}}
spec:
  interval: 1m
  organization:
    serverUrl: {url}
    credentialsSecretRef: {{name: bitwarden-org}}
  source:
    ldap:
      url: {ldap}
      bindSecretRef: {{name: ldap-bind}}
      baseDn: {base}
"#,
            client_id = bitwarden.client_id,
            client_secret = bitwarden.client_secret,
            url = bitwarden.url,
            bind_dn = self.slapd.root_dn(),
            password = Slapd::ROOT_PASSWORD,
            ldap = self.slapd.url(),
            base = self.slapd.suffix(),
        );
        let path: PathBuf = self.folder.path().join(format!("{namespace}.yaml"));
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    fn search(&self, what: &[&str]) -> Vec<String> {
        let (url, root) = (self.slapd.url(), self.slapd.root_dn());
        let server = ["-x", "-LLL", "-H", &url, "-b", self.slapd.suffix()];
        let account = ["-D", &root, "-w", Slapd::ROOT_PASSWORD];
        let all = [&server[..], &account, &PAGES, what].concat();
        all.into_iter().map(str::to_owned).collect()
    }
}
