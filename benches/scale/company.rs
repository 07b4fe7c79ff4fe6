//! The directory of one size, and the manifests for it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
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
    company: Company,
    slapd: Slapd,
    folder: TempDir,
    /// How often people joined groups.
    joined: usize,
}

/// So many groups change at once.
const JOINED: usize = 1_000;

impl Directory {
    pub fn start(people: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ldif = folder.path().join("company.ldif");
        let company = Company::new(people, people / 20);
        company.save(&ldif)?;
        // As its own documentation advises for servers that tell what has changed.
        let options = Slapd::options().ldif_file(&ldif).tells_changes();
        let options = options.database_line("index entryCSN eq");
        let slapd = options.database_line("syncprov-sessionlog 10000").start()?;
        std::fs::remove_file(ldif)?;
        Ok(Self {
            people,
            company,
            slapd,
            folder,
            joined: 0,
        })
    }

    pub fn pid(&self) -> u32 {
        self.slapd.pid()
    }

    /// The address of somebody in the middle of the directory.
    pub fn somebody(&self) -> String {
        let employee = self.company.employee(self.people / 2);
        employee.person.mail.unwrap_or_default()
    }

    /// Somebody leaves the directory; their address.
    pub fn dismiss(&self) -> Result<String> {
        let leaver = self.people / 2 + 1;
        let dn = self.company.person_dn(leaver);
        self.slapd
            .modify(&format!("dn: {dn}\nchangetype: delete\n\n"))?;
        let employee = self.company.employee(leaver);
        Ok(employee.person.mail.unwrap_or_default())
    }

    /// Something changes of somebody that nobody reads.
    pub fn describe_somebody(&self, text: &str) -> Result<()> {
        let dn = self.company.person_dn(self.people / 3);
        let change = "changetype: modify\nreplace: description\ndescription:";
        Ok(self
            .slapd
            .modify(&format!("dn: {dn}\n{change} {text}\n\n"))?)
    }

    /// Somebody is new.
    pub fn hire(&self, uid: &str) -> Result<()> {
        let above = self.company.person_dn(0);
        let (_, parent) = above
            .split_once(',')
            .context("a person's DN has a parent")?;
        Ok(self.slapd.modify(&format!(
            "dn: uid={uid},{parent}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: {uid}\nsn: {uid}\n\
             mail: {uid}@example.com\n\n"
        ))?)
    }

    /// They are gone again.
    pub fn let_leave(&self, uid: &str) -> Result<()> {
        let above = self.company.person_dn(0);
        let (_, parent) = above
            .split_once(',')
            .context("a person's DN has a parent")?;
        Ok(self.slapd.delete(&[format!("uid={uid},{parent}")])?)
    }

    /// Somebody else comes into each of many groups.
    pub fn join_groups(&mut self) -> Result<()> {
        let mut changes = String::new();
        let teams = (0..).zip(self.company.all_teams());
        for (number, team) in teams.take(JOINED) {
            let mut outside = (0..self.people).filter(|person| !team.people.contains(person));
            let Some(person) = outside.nth(self.joined) else {
                continue;
            };
            let (team, person) = (self.company.team_dn(number), self.company.person_dn(person));
            changes +=
                &format!("dn: {team}\nchangetype: modify\nadd: member\nmember: {person}\n\n");
        }
        self.joined += 1;
        Ok(self.slapd.modify(&changes)?)
    }

    /// Where the command line keeps its state.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Repeats the records of the history in the state folder until it is as long as it gets, each time as
    /// those of other runs. How many there are.
    pub fn fill_history(&self) -> Result<usize> {
        const BYTES: usize = 8 << 20;
        let mut files = std::fs::read_dir(self.state())?;
        let history = files.find_map(|file| {
            let path = file.ok()?.path();
            path.extension()
                .is_some_and(|one| one == "history")
                .then_some(path)
        });
        let history = history.context("the state folder has no history")?;
        let own = std::fs::read_to_string(&history)?;
        let mut all = own.clone();
        for number in 0..100 {
            let run = format!("\"run\":\"{number:02}");
            for line in own.lines() {
                let Some((before, after)) = line.split_once("\"run\":\"") else {
                    continue;
                };
                let line = format!("{before}{run}{}\n", &after[2..]);
                if all.len() + line.len() > BYTES {
                    std::fs::write(&history, &all)?;
                    return Ok(all.lines().count());
                }
                all += &line;
            }
        }
        anyhow::bail!("{} bytes of records aren't enough", own.len())
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
  offboarding: {{absent: Revoke}}
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
