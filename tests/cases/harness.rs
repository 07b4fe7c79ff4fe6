//! One reported case: a folder with a directory, an organization, and the manifest of somebody who
//! wants both in sync.

use std::fs;
use std::path::{Path, PathBuf};

use directory_sync_testing::command::run;
use directory_sync_testing::ran::Ran;
use simulators::lab::{Identity, Slapd, SlapdOptions};
use simulators::organization::{Config, Seed, SimulatedOrganization, Snapshot, Status};
use tempfile::TempDir;

/// The case's directory and organization, running, and a folder with its manifest and Secrets.
pub struct Case {
    pub organization: SimulatedOrganization,
    // Runs as long as the case.
    slapd: Slapd,
    options: SlapdOptions,
    folder: TempDir,
}

impl Case {
    /// Starts the case of this folder.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, |ldif| ldif, None).await
    }

    /// The same with other content of the directory.
    pub async fn start_changed(name: &str, change: impl Fn(String) -> String) -> Self {
        Self::start_with(name, change, None).await
    }

    /// The same with a directory that is reached by TLS alone and shows this certificate.
    pub async fn start_with_tls(name: &str, identity: Identity) -> Self {
        Self::start_with(name, |ldif| ldif, Some(identity)).await
    }

    async fn start_with(
        name: &str,
        change: impl Fn(String) -> String,
        identity: Option<Identity>,
    ) -> Self {
        let input = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cases")
            .join(name);
        let read = |file: &str| fs::read_to_string(input.join(file)).unwrap();

        let mut options = Slapd::options().ldif(&change(read("directory.ldif")));
        let part = fs::read_to_string(input.join("slapd.conf.part")).unwrap_or_default();
        let (global, database) = part
            .split_once("# part of the database")
            .unwrap_or_default();
        for line in global.lines() {
            options = options.global_line(line);
        }
        for line in database.lines() {
            options = options.database_line(line);
        }
        let tls = identity.is_some();
        if let Some(identity) = identity {
            options = options.identity(identity);
        }
        let slapd = options.clone().start().unwrap();

        let organization = SimulatedOrganization::start(Config::self_hosted())
            .await
            .unwrap();
        let seed: Seed = serde_json::from_str(&read("organization.json")).unwrap();
        organization.seed(seed).unwrap();

        let url = if tls { slapd.ldaps_url() } else { slapd.url() };
        let case = Self {
            organization,
            slapd,
            options,
            folder: tempfile::tempdir().unwrap(),
        };
        let manifest = read("staff.yaml")
            .replace("ORG_URL", &case.organization.url())
            .replace("LDAP_URL", &url);
        case.write("staff.yaml", &manifest);
        let (id, key) = (
            case.organization.client_id(),
            case.organization.client_secret(),
        );
        case.write("secrets/bitwarden-org/clientId", &id);
        case.write("secrets/bitwarden-org/clientSecret", &key);
        case.write("secrets/ldap-bind/bindDn", "cn=reader,dc=example,dc=com");
        case.write("secrets/ldap-bind/password", "reader-password");
        case.copy_secrets(&input.join("secrets"));
        case
    }

    fn copy_secrets(&self, from: &Path) {
        let Ok(secrets) = fs::read_dir(from) else {
            return;
        };
        for secret in secrets.map(Result::unwrap) {
            for key in fs::read_dir(secret.path()).unwrap().map(Result::unwrap) {
                let (secret, name) = (secret.file_name(), key.file_name());
                let (secret, name) = (secret.to_str().unwrap(), name.to_str().unwrap());
                let text = fs::read_to_string(key.path()).unwrap();
                self.write(&format!("secrets/{secret}/{name}"), &text);
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file beside the manifest.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Changes the manifest.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("staff.yaml")).unwrap();
        assert!(text.contains(from), "{from:?} isn't in {text}");
        self.write("staff.yaml", &text.replace(from, to));
    }

    /// From now on the directory answers as this access rule has it: another server with the same
    /// entries takes its place.
    pub fn add_access_rule(&mut self, rule: &str) {
        let before = self.slapd.url();
        let options = self.options.clone().database_line(rule);
        self.slapd = options.start().unwrap();
        self.edit(&before, &self.slapd.url());
    }

    pub async fn plan(&self) -> Ran {
        self.run("plan -f staff.yaml --secret-dir secrets -q").await
    }

    pub async fn sync(&self) -> Ran {
        self.run("sync -f staff.yaml --secret-dir secrets --yes -q")
            .await
    }

    pub async fn check(&self) -> Ran {
        self.run("check -f staff.yaml --secret-dir secrets").await
    }

    async fn run(&self, words: &str) -> Ran {
        run(self.folder.path(), words, &[]).await
    }

    /// The organization as it is.
    pub fn now(&self) -> Snapshot {
        self.organization.snapshot()
    }

    /// Who is in the organization, without the owner.
    pub fn emails(&self) -> Vec<String> {
        let mut emails: Vec<String> = self.now().members.into_keys().collect();
        emails.retain(|email| email != "owner@example.com");
        emails
    }

    /// The status of a member.
    #[track_caller]
    pub fn status(&self, email: &str) -> Status {
        let now = self.now();
        now.member(email)
            .unwrap_or_else(|| panic!("{email} isn't in {now}"))
            .status
    }

    /// The members of a group, by email.
    #[track_caller]
    pub fn group(&self, name: &str) -> Vec<String> {
        let now = self.now();
        now.group(name)
            .unwrap_or_else(|| panic!("{name} isn't in {now}"))
            .members
            .clone()
    }
}
