//! A directory that is brought up to date is the one that a whole read gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use directory_sync::api::spec::LdapDisabled;
use directory_sync::directory::{Directory, ExternalId, ReadNow};
use directory_sync::source::ldap::{LdapSettings, LdapSource, MemberAttribute, MemberNaming};
use directory_sync::source::{KeptDirectories, ReadProgress, Reading, Source, Update, Version};
use directory_sync_testing::{content, number};
use simulators::lab::{Person, Slapd, SlapdOptions};
use simulators::ldap_proxy::{LdapFault, LdapProxy};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::*;

/// Room for what these tests keep.
fn memory() -> Arc<KeptDirectories> {
    Arc::new(KeptDirectories::new(64 << 20))
}

fn keeping(settings: &LdapSettings) -> LdapSource {
    LdapSource::new(settings.clone())
        .unwrap()
        .keeping(&memory())
}

async fn read_all(source: &LdapSource) -> (Directory, Option<Version>) {
    match source.read(None, &ReadProgress::default()).await.unwrap() {
        Reading::Full { directory, version } => (directory.into_inner(), version),
        Reading::Unchanged => panic!("nothing was known"),
    }
}

/// What came of reading changes, and what of it was itself read.
async fn read_changes(source: &LdapSource) -> Option<(Directory, ReadNow)> {
    match source.read_changes(None, &ReadProgress::default()).await? {
        Update::Changed { directory, .. } => Some(directory.into_parts()),
        Update::Unchanged => panic!("no version was given"),
    }
}

/// A directory whose entries come, go and change at random, and what an administrator knows of it.
struct Model {
    random: fastrand::Rng,
    /// The DNs of people by their numbers.
    people: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
    next: u32,
    changes: String,
    /// Whether a branch got another name.
    renamed: bool,
    branch: u32,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            next: 0,
            changes: String::new(),
            renamed: false,
            branch: 0,
        }
    }

    fn unit(&mut self) -> String {
        match self.random.u8(..3) {
            0 => format!("ou=branch{},{SUFFIX}", self.branch),
            1 => format!("ou=people,{SUFFIX}"),
            _ => format!("ou=groups,{SUFFIX}"),
        }
    }

    fn any(random: &mut fastrand::Rng, of: &BTreeMap<u32, String>) -> Option<(u32, String)> {
        let count = of.len();
        let (number, dn) = of.iter().nth(random.usize(..count.max(1)))?;
        Some((*number, dn.clone()))
    }

    fn person(&mut self) -> Option<(u32, String)> {
        Self::any(&mut self.random, &self.people)
    }

    fn group(&mut self) -> Option<(u32, String)> {
        Self::any(&mut self.random, &self.groups)
    }

    /// Somebody or something that groups name.
    fn member(&mut self) -> String {
        let found = match self.random.u8(..6) {
            0 => self.group(),
            1 => None,
            _ => self.person(),
        };
        found.map_or_else(|| format!("uid=nobody,ou=people,{SUFFIX}"), |(_, dn)| dn)
    }

    fn record(&mut self, dn: &str, kind: &str, lines: &[String]) {
        let _infallible = writeln!(self.changes, "dn: {dn}\nchangetype: {kind}");
        for line in lines {
            let _infallible = writeln!(self.changes, "{line}");
        }
        self.changes.push('\n');
    }

    fn replace(&mut self, dn: &str, attribute: &str, values: &[String]) {
        let mut lines = vec![format!("replace: {attribute}")];
        lines.extend(values.iter().map(|value| format!("{attribute}: {value}")));
        self.record(dn, "modify", &lines);
    }

    /// One change that succeeds.
    fn step(&mut self) {
        match self.random.u8(..20) {
            0..4 => self.add_person(),
            4 | 5 => self.add_group(),
            6 | 7 => {
                if let Some((number, dn)) = self.person() {
                    self.people.remove(&number);
                    self.record(&dn, "delete", &[]);
                }
            }
            8 => {
                if let Some((number, dn)) = self.group() {
                    self.groups.remove(&number);
                    self.record(&dn, "delete", &[]);
                }
            }
            9 | 10 => {
                if let Some((_, dn)) = self.person() {
                    let mail = format!("m{}@example.com", self.random.u8(..20));
                    let mails = if self.random.bool() {
                        vec![mail]
                    } else {
                        vec![]
                    };
                    self.replace(&dn, "mail", &mails);
                }
            }
            11 | 12 => {
                if let Some((_, dn)) = self.person() {
                    let kind = ["left", "hidden", "staff"][self.random.usize(..3)];
                    self.replace(&dn, "employeeType", &[kind.to_owned()]);
                }
            }
            13 => {
                if let Some((_, dn)) = self.person() {
                    let text = self.random.u32(..).to_string();
                    self.replace(&dn, "description", &[text]);
                }
            }
            14 | 15 => self.rename_person(),
            16..19 => {
                if let Some((_, dn)) = self.group() {
                    let count = self.random.usize(1..6);
                    let members: BTreeSet<String> = (0..count).map(|_| self.member()).collect();
                    let members: Vec<String> = members.into_iter().collect();
                    self.replace(&dn, "member", &members);
                }
            }
            _ => {
                if let Some((_, dn)) = self.group() {
                    let text = format!("also {}", self.random.u8(..));
                    self.replace(&dn, "description", &[text]);
                }
            }
        }
    }

    fn add_person(&mut self) {
        self.next += 1;
        let (number, unit) = (self.next, self.unit());
        let dn = format!("uid=u{number},{unit}");
        let mut lines: Vec<String> = ["objectClass: inetOrgPerson", "cn: x", "sn: x"]
            .map(str::to_owned)
            .into();
        // Some have the address of another one.
        lines.push(format!("mail: m{}@example.com", self.random.u8(..40)));
        if self.random.u8(..5) == 0 {
            lines.push("employeeType: left".to_owned());
        }
        self.record(&dn, "add", &lines);
        self.people.insert(number, dn);
    }

    fn add_group(&mut self) {
        self.next += 1;
        let (number, unit, member) = (self.next, self.unit(), self.member());
        let dn = format!("cn=g{number},{unit}");
        let lines = [
            "objectClass: groupOfNames".to_owned(),
            format!("member: {member}"),
        ];
        self.record(&dn, "add", &lines);
        self.groups.insert(number, dn);
    }

    fn rename_person(&mut self) {
        let Some((number, dn)) = self.person() else {
            return;
        };
        self.next += 1;
        let (rdn, unit) = (format!("uid=r{}", self.next), self.unit());
        let lines = [
            format!("newrdn: {rdn}"),
            "deleteoldrdn: 1".to_owned(),
            format!("newsuperior: {unit}"),
        ];
        self.record(&dn, "modrdn", &lines);
        self.people.insert(number, format!("{rdn},{unit}"));
    }

    /// Gives a branch another name, and with it everything below.
    fn rename_branch(&mut self) {
        let (old, new) = (self.branch, self.branch + 1);
        let dn = format!("ou=branch{old},{SUFFIX}");
        let lines = [
            format!("newrdn: ou=branch{new}"),
            "deleteoldrdn: 1".to_owned(),
        ];
        self.record(&dn, "modrdn", &lines);
        self.branch = new;
        let (from, to) = (format!(",{dn}"), format!(",ou=branch{new},{SUFFIX}"));
        for dn in self.people.values_mut().chain(self.groups.values_mut()) {
            *dn = dn.replace(&from, &to);
        }
        self.renamed = true;
    }

    /// A random sequence of changes, as LDIF.
    fn sequence(&mut self) -> String {
        self.renamed = false;
        for _ in 0..self.random.usize(1..7) {
            self.step();
        }
        if self.random.u8(..25) == 0 && self.people.values().any(|dn| dn.contains("branch")) {
            self.rename_branch();
        }
        std::mem::take(&mut self.changes)
    }
}

fn directory(options: SlapdOptions) -> Slapd {
    let mut ldif = company();
    ldif.unit("", "branch0");
    ldif.person("ou=branch0", &Person::new("somebody"));
    start(options.ldif(ldif.text()).tells_changes())
}

fn all_settings(url: &str) -> LdapSettings {
    let mut settings = settings(url);
    settings.users.filter = "(&(objectClass=inetOrgPerson)(!(employeeType=hidden)))".to_owned();
    settings.users.disabled = Some(LdapDisabled {
        attribute: "employeeType".into(),
        values: Some(vec!["left".into()]),
    });
    let groups = settings.groups.as_mut().unwrap();
    groups.members.push(MemberAttribute {
        name: "memberUid".into(),
        naming: MemberNaming::UserAttribute("uid".into()),
    });
    settings
}

/// Others with `STORIES=2000 SEED=7`.
async fn equals_a_whole_read(slapd: &Slapd, seed: u64, stories: u64) {
    let settings = all_settings(&slapd.url());
    let source = keeping(&settings);
    read_all(&source).await;
    let mut model = Model::new(seed);
    let (mut whole, mut changed, mut renamed) = (0, 0, 0);
    for story in 0..stories {
        let changes = model.sequence();
        if !changes.is_empty() {
            slapd.modify(&changes).unwrap();
        }
        let expected = content(&read(settings.clone()).await);
        match read_changes(&source).await {
            Some((directory, _)) => {
                assert!(!model.renamed, "seed {seed}, sequence {story}: {changes}");
                assert_eq!(
                    content(&directory),
                    expected,
                    "seed {seed}, sequence {story}: {changes}"
                );
                changed += 1;
            }
            None => {
                renamed += usize::from(model.renamed);
                whole += usize::from(!model.renamed);
                assert_eq!(content(&read_all(&source).await.0), expected);
            }
        }
    }
    println!("{changed} incremental reads, {renamed} whole ones after a rename, {whole} others");
    assert_eq!(whole, 0, "nothing else is a reason to read everything");
    assert!(renamed > 0 || stories < 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_random_changes_it_equals_a_whole_read() {
    let slapd = directory(Slapd::options());
    equals_a_whole_read(&slapd, number("SEED", 1), number("STORIES", 250)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_random_changes_that_the_server_remembers_it_equals_a_whole_read() {
    let slapd = directory(Slapd::options().database_line("syncprov-sessionlog 10000"));
    equals_a_whole_read(&slapd, number("SEED", 2), number("STORIES", 250)).await;
}

fn add(uid: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,{SUFFIX}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: x\nsn: x\n\
         mail: {uid}@example.com\n\n"
    )
}

fn describe(uid: &str, text: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,{SUFFIX}\nchangetype: modify\nreplace: description\ndescription: {text}\n\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_told_and_what_does_not_matter_is_no_change() {
    let slapd = directory(Slapd::options());
    slapd.modify(&(add("ann") + &add("bob"))).unwrap();
    let settings = settings(&slapd.url());
    let source = keeping(&settings);
    let (directory, version) = read_all(&source).await;
    let progress = ReadProgress::default();
    let update =
        async |known: &Option<Version>| source.read_changes(known.as_ref(), &progress).await;
    assert!(matches!(update(&version).await, Some(Update::Unchanged)));
    slapd.modify(&describe("ann", "one")).unwrap();
    assert!(matches!(update(&version).await, Some(Update::Unchanged)));

    slapd
        .modify(&(add("cid") + &describe("bob", "two")))
        .unwrap();
    let Some(Update::Changed {
        directory: now,
        version: later,
    }) = update(&version).await
    else {
        panic!("somebody is new");
    };
    let (now, read_now) = now.into_parts();
    assert_eq!(now.users.len(), directory.users.len() + 1);
    let id = |email: &str| -> ExternalId {
        let mut users = now.users.iter();
        users
            .find(|user| user.email.as_ref().unwrap().as_str() == email)
            .unwrap()
            .id
            .clone()
    };
    let sent = [id("bob@example.com"), id("cid@example.com")];
    assert_eq!(read_now.users, sent.into_iter().collect());
    assert!(matches!(
        update(&Some(later)).await,
        Some(Update::Unchanged)
    ));
    assert!(matches!(
        update(&version).await,
        Some(Update::Changed { .. })
    ));
    // Another whole read in between, for an explanation say: what was known before isn't what it saw.
    read_all(&source).await;
    assert!(matches!(
        update(&version).await,
        Some(Update::Changed { .. })
    ));
    source.forget();
    assert!(update(&version).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_during_a_whole_read_is_in_the_next_one() {
    let slapd = Arc::new(directory(Slapd::options()));
    slapd.modify(&(add("ann") + &add("bob"))).unwrap();
    let proxy = LdapProxy::start(([127, 0, 0, 1], slapd.port()).into())
        .await
        .unwrap();
    for (uid, gone) in [("cid", "ann"), ("dan", "bob")] {
        let settings = settings(&proxy.url());
        let source = keeping(&settings);
        let change = Arc::clone(&slapd);
        let changes = format!(
            "{}dn: uid={gone},ou=people,{SUFFIX}\nchangetype: delete\n\n",
            add(uid)
        );
        // Once the first search for groups is asked for, people may have been read already, or not.
        proxy.surprise("groupOfNames", move || change.modify(&changes).unwrap());
        read_all(&source).await;
        let (directory, _) = read_changes(&source).await.unwrap();
        assert_eq!(content(&directory), content(&read(settings).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_every_request_has_everything_read() {
    let slapd = directory(Slapd::options());
    slapd.modify(&(add("ann") + &add("bob"))).unwrap();
    let mut requests = usize::MAX;
    for k in 0.. {
        if k > requests {
            break;
        }
        for fault in [
            LdapFault::CutBefore,
            LdapFault::CutAfter,
            LdapFault::HalfAnswer,
            LdapFault::Code(4),
            LdapFault::Code(11),
            LdapFault::Code(51),
            LdapFault::Says(53, "consumer state is newer than provider"),
            LdapFault::Says(12, "not supported"),
            LdapFault::Bytes(b"0\x05\x02\x01\x02\x65\x00"),
        ] {
            let proxy = LdapProxy::start(([127, 0, 0, 1], slapd.port()).into())
                .await
                .unwrap();
            let settings = settings(&proxy.url());
            let source = keeping(&settings);
            read_all(&source).await;
            slapd
                .modify(&describe("ann", &format!("{k} {fault:?}")))
                .unwrap();
            proxy.arm(k, fault);
            match read_changes(&source).await {
                Some((directory, _)) if k < requests && requests != usize::MAX => {
                    panic!("{fault:?} of request {k}: {directory:?}")
                }
                Some((directory, _)) => {
                    let whole = read(crate::harness::settings(&slapd.url())).await;
                    assert_eq!(
                        content(&directory),
                        content(&whole),
                        "{fault:?} of request {k}"
                    );
                    requests = requests.min(proxy.requests());
                }
                None => {
                    assert!(k <= requests);
                    let again = read_changes(&source).await;
                    assert!(
                        again.is_none(),
                        "{fault:?} of request {k}: nothing is left of it"
                    );
                }
            }
        }
    }
    println!("{requests} requests of an incremental read, each failed in nine ways");
    assert!(requests >= 5);
}

/// An address behind which another server can be put.
struct Address {
    port: Arc<AtomicU16>,
    url: String,
}

impl Address {
    async fn of(slapd: &Slapd) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), slapd)
    }

    fn on(listener: TcpListener, slapd: &Slapd) -> Self {
        let port = Arc::new(AtomicU16::new(slapd.port()));
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let now = Arc::clone(&port);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = now.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::io::copy_bidirectional(&mut client, &mut server)
                        .await
                        .ok();
                });
            }
        });
        Self { port, url }
    }

    fn put(&self, slapd: &Slapd) {
        self.port.store(slapd.port(), Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_put_back_is_read_as_a_whole() {
    let older = directory(Slapd::options());
    older.modify(&add("ann")).unwrap();
    let newer = directory(Slapd::options());
    newer.modify(&(add("bob") + &add("cid"))).unwrap();
    let address = Address::of(&newer).await;
    let source = keeping(&settings(&address.url));
    read_all(&source).await;
    address.put(&older);
    assert!(read_changes(&source).await.is_none());
}

/// The server that was read stood in for the first one, to which the watch and the fast lane connect again.
#[tokio::test(flavor = "multi_thread")]
async fn where_another_server_would_be_read_everything_is() {
    let slapd = directory(Slapd::options());
    slapd.modify(&add("ann")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = listener.local_addr().unwrap();
    drop(listener);
    let mut both = settings(&format!("ldap://{first}"));
    both.servers.push(slapd.url().parse().unwrap());
    let source = keeping(&both);
    read_all(&source).await;
    assert!(read_changes(&source).await.is_some(), "the first is away");
    let back = Address::on(TcpListener::bind(first).await.unwrap(), &slapd);
    assert!(read_changes(&source).await.is_none());
    read_all(&source).await;
    assert!(read_changes(&source).await.is_some());
    drop(back);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_that_stands_ahead_is_never_mistaken_for_what_was_read() {
    for log in ["syncprov-sessionlog 1000", "syncprov-checkpoint 100 10"] {
        let first = directory(Slapd::options().database_line(log));
        first.modify(&(add("ann") + &add("bob"))).unwrap();
        let address = Address::of(&first).await;
        let source = keeping(&settings(&address.url));
        read_all(&source).await;
        let other = directory(Slapd::options().database_line(log));
        other
            .modify(&(add("bob") + &add("cid") + &add("dan")))
            .unwrap();
        address.put(&other);
        if let Some((directory, _)) = read_changes(&source).await {
            let whole = read(settings(&other.url())).await;
            assert_eq!(content(&directory), content(&whole), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_a_server_that_cannot_tell_or_of_what_it_does_not_tell() {
    let is_kept = async |settings: &LdapSettings, memory: u64| {
        let memory = Arc::new(KeptDirectories::new(memory));
        let source = LdapSource::new(settings.clone()).unwrap().keeping(&memory);
        let (_, version) = read_all(&source).await;
        let changes = read_changes(&source).await;
        assert_eq!(version.is_some(), changes.is_some());
        changes.is_some()
    };
    let slapd = directory(Slapd::options());
    let told = settings(&slapd.url());
    assert!(is_kept(&told, 64 << 20).await);
    assert!(!is_kept(&told, 0).await, "nothing may be kept");
    assert!(!is_kept(&told, 100).await, "there is no room");

    let mut computed = told.clone();
    computed.users.member_of = Some("memberOf".into());
    assert!(!is_kept(&computed, 64 << 20).await);
    let mut computed = told.clone();
    computed.users.filter = "(&(objectClass=inetOrgPerson)(!(pwdAccountLockedTime=*)))".into();
    assert!(!is_kept(&computed, 64 << 20).await);

    let dynamic = format!(
        "dn: cn=all,ou=groups,{SUFFIX}\nchangetype: add\nobjectClass: groupOfURLs\ncn: all\n\
         memberURL: ldap:///ou=people,{SUFFIX}??sub?(objectClass=*)\n\n"
    );
    let mut with_urls = told.clone();
    with_urls.groups.as_mut().unwrap().filter = "(objectClass=*)".into();
    with_urls.groups.as_mut().unwrap().base_dn = Some(format!("ou=groups,{SUFFIX}"));
    assert!(is_kept(&with_urls, 64 << 20).await);
    slapd.modify(&dynamic).unwrap();
    assert!(!is_kept(&with_urls, 64 << 20).await);

    let silent = start(Slapd::options().ldif(company().text()));
    assert!(!is_kept(&settings(&silent.url()), 64 << 20).await);
    let hidden = Slapd::options()
        .database_line("access to dn.base=\"dc=example,dc=com\" attrs=contextCSN by * none");
    assert!(!is_kept(&settings(&directory(hidden).url()), 64 << 20).await);
}
