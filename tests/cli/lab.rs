//! A small company in a real directory, its organization, and manifests for both.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use simulators::lab::{Ldif, Person, Slapd};
use simulators::organization::{Config, MemberSeed, SimulatedOrganization};
use tempfile::TempDir;
use tokio::process::Command;

pub use crate::ran::Ran;

pub const BIND_PASSWORD: &str = "correct-horse-battery";

/// Ada, Bob and Chidi work here, Ada and Bob in engineering; the organization has its owner.
pub struct Lab {
    pub organization: SimulatedOrganization,
    pub slapd: Slapd,
    folder: TempDir,
}

impl Lab {
    pub async fn new() -> Self {
        let mut ldif = Ldif::new("dc=example,dc=com");
        ldif.unit("", "people");
        let mut dns = vec![];
        for uid in ["ada", "bob", "chidi"] {
            let mut person = Person::new(uid);
            person.mail = Some(format!("{uid}@example.com"));
            person.entry_uuid = Some(entry_uuid(uid));
            dns.push(ldif.person("ou=people", &person));
        }
        ldif.unit("", "groups");
        ldif.group_of_names("ou=groups", "engineering", None, &dns[..2]);
        let reader = ldif.account("reader", BIND_PASSWORD);

        let slapd = Slapd::options().ldif(ldif.text()).start().unwrap();
        let organization = SimulatedOrganization::start(Config::self_hosted())
            .await
            .unwrap();
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        let lab = Self {
            organization,
            slapd,
            folder: tempfile::tempdir().unwrap(),
        };
        lab.write("staff.yaml", &lab.resource());
        let credentials = lab.secret(
            "bitwarden",
            &[
                ("clientId", &lab.organization.client_id()),
                ("clientSecret", &lab.organization.client_secret()),
            ],
        );
        let bind = lab.secret(
            "ldap-bind",
            &[("bindDn", &reader), ("password", BIND_PASSWORD)],
        );
        lab.write("secrets.yaml", &format!("{credentials}---\n{bind}"));
        lab
    }

    /// The DirectorySync: leavers are removed, none of them without approval.
    pub fn resource(&self) -> String {
        format!(
            "apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {{name: staff, namespace: identity}}
spec:
  organization:
    serverUrl: {}
    credentialsSecretRef: {{name: bitwarden}}
  source:
    ldap:
      url: {}
      bindSecretRef: {{name: ldap-bind}}
      baseDn: dc=example,dc=com
  offboarding: {{absent: Remove, limit: 0}}
",
            self.organization.url(),
            self.slapd.url()
        )
    }

    pub fn secret(&self, name: &str, values: &[(&str, &str)]) -> String {
        let values = values
            .iter()
            .map(|(key, value)| format!("  {key}: \"{value}\"\n"));
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: identity}}\nstringData:\n{}",
            values.collect::<String>()
        )
    }

    /// A member whom the directory no longer knows.
    pub fn with_leaver(self) -> Self {
        let leaver = MemberSeed::new("leaver@example.com").external_id(&entry_uuid("leaver"));
        self.organization.seed_member(leaver);
        self
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `directory-sync` with these words in the folder of the manifests.
    pub async fn run(&self, words: &str) -> Ran {
        self.run_with(words, &[]).await
    }

    /// The same with variables in its environment.
    pub async fn run_with(&self, words: &str, variables: &[(&str, &str)]) -> Ran {
        run(self.folder.path(), words, variables).await
    }
}

/// Runs `directory-sync` with these words in a folder.
pub async fn run(folder: &Path, words: &str, variables: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_directory-sync"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    Ran::of(output)
}

/// The same person has the same id each time.
pub fn entry_uuid(uid: &str) -> String {
    let number: u64 = uid.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)) % (1 << 40);
    format!("00000000-0000-4000-8000-{number:012x}")
}
