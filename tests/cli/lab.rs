//! A small company in a real directory, its organization, and manifests for both.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use simulators::lab::{Ldif, Person, Slapd, clock, or_skip};
use simulators::organization::{MemberSeed, SimulatedOrganization};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use directory_sync_testing::command::program;
pub use directory_sync_testing::command::run;
use directory_sync_testing::manifests::{api_key, bitwarden, resource, secret};
pub use directory_sync_testing::ran::Ran;

pub const BIND_PASSWORD: &str = "correct-horse-battery";

/// Ada, Bob and Chidi work here, Ada and Bob in engineering; the organization has its owner.
pub struct Lab {
    pub organization: SimulatedOrganization,
    pub slapd: Slapd,
    folder: TempDir,
}

impl Lab {
    pub async fn new() -> Self {
        Self::of(bitwarden().await).await
    }

    /// The same company with this organization.
    pub async fn of(organization: SimulatedOrganization) -> Self {
        Self::with(organization, &["ada", "bob", "chidi"])
    }

    /// A company of so many: p0, p1 and so on.
    pub async fn with_people(people: usize) -> Self {
        Self::of_people(bitwarden().await, people)
    }

    /// The same with this organization.
    pub fn of_people(organization: SimulatedOrganization, people: usize) -> Self {
        let uids: Vec<String> = (0..people).map(|number| format!("p{number}")).collect();
        let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
        Self::with(organization, &uids)
    }

    /// The first two are in engineering.
    fn with(organization: SimulatedOrganization, uids: &[&str]) -> Self {
        let mut ldif = Ldif::new("dc=example,dc=com");
        ldif.unit("", "people");
        let mut dns = vec![];
        for &uid in uids {
            let mut person = Person::new(uid);
            person.mail = Some(format!("{uid}@example.com"));
            person.entry_uuid = Some(entry_uuid(uid));
            dns.push(ldif.person("ou=people", &person));
        }
        ldif.unit("", "groups");
        ldif.group_of_names("ou=groups", "engineering", None, &dns[..2]);
        let reader = ldif.account("reader", BIND_PASSWORD);

        let slapd = Slapd::options().ldif(ldif.text()).start().unwrap();
        let lab = Self {
            organization,
            slapd,
            folder: tempfile::tempdir().unwrap(),
        };
        lab.write("staff.yaml", &lab.resource());
        let credentials = api_key(&lab.organization);
        let bind = secret(
            "ldap-bind",
            &[("bindDn", &reader), ("password", BIND_PASSWORD)],
        );
        lab.write("secrets.yaml", &format!("{credentials}---\n{bind}"));
        lab
    }

    /// The DirectorySync: leavers are removed, none of them without approval.
    pub fn resource(&self) -> String {
        let spec = format!(
            "  source:
    ldap:
      url: {}
      bindSecretRef: {{name: ldap-bind}}
      baseDn: dc=example,dc=com
  offboarding: {{absent: Remove, limit: 0}}
",
            self.slapd.url()
        );
        resource(&self.organization, &spec)
    }

    /// A member whom the directory no longer knows.
    pub fn with_leaver(self) -> Self {
        let leaver = MemberSeed::new("leaver@example.com").external_id(&entry_uuid("leaver"));
        self.organization.seed_member(leaver);
        self
    }

    /// The record of removals, and the lock file beside it.
    pub fn record(&self) -> [PathBuf; 2] {
        let id = self.organization.organization_id();
        let state = self.path(".state/directory-sync");
        ["ledger", "lock"].map(|kind| state.join(format!("{id}.{kind}")))
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `directory-sync` with these words and a terminal. Once it asks, `meanwhile` happens, and then
    /// these answers are typed. What was on the terminal, and the exit code.
    pub async fn run_on_a_terminal(
        &self,
        words: &str,
        meanwhile: impl AsyncFnOnce(),
        answers: &str,
    ) -> Ran {
        let line = format!("{} {words}", program().display());
        std::fs::remove_file(self.path("terminal")).ok();
        let mut script = Command::new("script")
            // `script` gives it a terminal, and writes at once what is on it.
            .args(["-qefc", &line, "terminal"])
            .current_dir(self.folder.path())
            .env("XDG_STATE_HOME", self.path(".state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = async {
            let shown = self.path("terminal");
            while !std::fs::read_to_string(&shown).is_ok_and(|text| text.contains("[y/N]")) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asks)
            .await
            .expect("it asks for confirmation");
        meanwhile().await;
        let mut typing = script.stdin.take().unwrap();
        typing.write_all(answers.as_bytes()).await.unwrap();
        Ran::of(script.wait_with_output().await.unwrap())
    }

    /// Runs `directory-sync` with these words in the folder of the manifests.
    pub async fn run(&self, words: &str) -> Ran {
        self.run_with(words, &[]).await
    }

    /// Begins `directory-sync` with these words, and kills it (SIGKILL) once `is_time`.
    pub async fn run_until_killed(&self, words: &str, is_time: impl Fn() -> bool) {
        self.run_with_until_killed(words, &[], is_time).await;
    }

    /// The same with a clock that is so many hours ahead; `None` where that can't be done on this machine.
    pub async fn run_ahead_until_killed(
        &self,
        (test, hours): (&str, u32),
        words: &str,
        is_time: impl Fn() -> bool,
    ) -> Option<()> {
        let variables = or_skip(test, clock::ahead(hours))?;
        let variables = variables.iter().map(|(name, value)| (&**name, &**value));
        let variables: Vec<(&str, &str)> = variables.collect();
        self.run_with_until_killed(words, &variables, is_time).await;
        Some(())
    }

    async fn run_with_until_killed(
        &self,
        words: &str,
        variables: &[(&str, &str)],
        is_time: impl Fn() -> bool,
    ) {
        let mut child = Command::new(program())
            .args(words.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .env("XDG_STATE_HOME", self.path(".state"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let waiting = async {
            while !is_time() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), waiting)
            .await
            .expect("it comes that far");
        child.kill().await.unwrap();
    }

    /// Runs it with a clock that is so many hours ahead; `None` where
    /// that can't be done on this machine.
    pub async fn run_ahead(&self, test: &str, words: &str, hours: u32) -> Option<Ran> {
        let variables = or_skip(test, clock::ahead(hours))?;
        let variables = variables.iter().map(|(name, value)| (&**name, &**value));
        let variables: Vec<(&str, &str)> = variables.collect();
        Some(self.run_with(words, &variables).await)
    }

    /// Runs it with variables in its environment.
    pub async fn run_with(&self, words: &str, variables: &[(&str, &str)]) -> Ran {
        run(self.folder.path(), words, variables).await
    }
}

/// The same person has the same id each time.
pub fn entry_uuid(uid: &str) -> String {
    let number: u64 = uid.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)) % (1 << 40);
    format!("00000000-0000-4000-8000-{number:012x}")
}
