//! A domain that is brought up to date is the one that a whole read gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::directory::{Directory, ReadNow};
use directory_sync::source::active_directory::{ActiveDirectorySettings, ActiveDirectorySource};
use directory_sync::source::{KeptDirectories, ReadProgress, Source, Update, Version};
use directory_sync_testing::{content, number};
use simulators::lab::{Ldif, Samba};
use simulators::ldap_proxy::LdapProxy;
use tokio::sync::{Mutex, MutexGuard};

use crate::domain::*;

/// A domain that nobody else changes: `OU=Inc` with what is read, in `OU=A` and `OU=B`, and `OU=Out`, which isn't.
async fn own() -> (&'static Samba, MutexGuard<'static, ()>) {
    static OWN: OnceLock<Samba> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let own = OWN.get_or_init(|| {
        let mut ldif = Ldif::empty(DOMAIN);
        User::new(READER)
            .with_password()
            .add_to(&mut ldif, &container("CN=Users"));
        ldif.unit("", "Inc");
        for name in ["A", "B", "Out", "Old0"] {
            ldif.unit("OU=Inc", name);
        }
        User::new("somebody").add_to(&mut ldif, &within("A"));
        let options = Samba::options().allow_plaintext().ldif(ldif.text());
        options.start().expect("Samba starts")
    });
    (own, turn)
}

fn within(unit: &str) -> String {
    container(&format!("OU={unit},OU=Inc"))
}

fn settings_at(proxy: &LdapProxy, account: &str) -> ActiveDirectorySettings {
    let at = at("127.0.0.1", Some(proxy.address().port()));
    let mut settings = ActiveDirectorySettings::new(at);
    settings.security = ActiveDirectorySecurity::Plaintext;
    settings.bind = simple(&format!("{account}@{}", Samba::REALM), Samba::PASSWORD);
    settings.users.search_bases = vec![within("A"), within("B")];
    settings.users.filter = Some("(!(department=hidden))".into());
    let groups = settings.groups.as_mut().unwrap();
    groups.search_bases = vec![container("OU=Inc")];
    groups.filter = Some("(!(description=unwanted))".into());
    groups.include_primary = true;
    settings
}

async fn proxy(samba: &Samba) -> LdapProxy {
    let upstream = SocketAddr::from((samba.address(), 389));
    LdapProxy::start(upstream).await.unwrap()
}

fn keeping(settings: &ActiveDirectorySettings) -> ActiveDirectorySource {
    source(settings.clone()).keeping(&Arc::new(KeptDirectories::new(64 << 20)))
}

/// What came of reading changes, and what of it was itself read.
async fn read_changes(source: &ActiveDirectorySource) -> Option<(Directory, ReadNow)> {
    match source.read_changes(None, &ReadProgress::default()).await? {
        Update::Changed { directory, .. } => Some(directory.into_parts()),
        Update::Unchanged => panic!("no version was given"),
    }
}

/// All but the members who aren't read: who of these is renamed or deleted is told by nobody.
fn all(mut directory: Directory) -> Vec<String> {
    directory.unknown_members.count = 0;
    for group in &mut directory.groups {
        group.unknown = None;
    }
    content(&directory)
}

/// A source that keeps what it read, after a whole read.
async fn begun(settings: &ActiveDirectorySettings) -> (ActiveDirectorySource, Option<Version>) {
    let source = keeping(settings);
    // The first bind of an account in two weeks is itself a change.
    full(&source).await.unwrap();
    let (_, version) = full(&source).await.unwrap();
    (source, version)
}

/// Entries that come, go and change at random, and what an administrator knows of them.
struct Model {
    random: fastrand::Rng,
    /// The DNs of people, contacts among them, and of groups, by their numbers.
    people: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
    next: u32,
    old: u32,
    changes: String,
    /// Whether something happened that has everything read.
    in_doubt: bool,
    /// Groups that were made in this sequence: their RIDs aren't known yet.
    fresh: BTreeSet<u32>,
    /// People with one of the groups as their primary one, which can't list them, and these groups, which stay.
    primary: BTreeSet<u32>,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            next: u32::try_from(seed % 1_000).unwrap() * 1_000_000,
            old: 0,
            changes: String::new(),
            in_doubt: false,
            fresh: BTreeSet::new(),
            primary: BTreeSet::new(),
        }
    }

    fn unit(&mut self) -> String {
        let old = format!("Old{}", self.old);
        let units = ["A", "A", "B", "B", "Out", &old];
        within(units[self.random.usize(..units.len())])
    }

    fn any(random: &mut fastrand::Rng, of: &BTreeMap<u32, String>) -> Option<(u32, String)> {
        let (number, dn) = of.iter().nth(random.usize(..of.len().max(1)))?;
        Some((*number, dn.clone()))
    }

    fn person(&mut self) -> Option<(u32, String)> {
        Self::any(&mut self.random, &self.people)
    }

    fn group(&mut self) -> Option<(u32, String)> {
        Self::any(&mut self.random, &self.groups)
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
        match self.random.u8(..34) {
            0..5 => self.add_person(),
            5..8 => self.add_group(),
            8..12 => {
                if let Some((_, dn)) = self.person() {
                    let mail = format!("m{}@example.com", self.random.u8(..40));
                    let mails = self.random.bool().then_some(mail);
                    self.replace(&dn, "mail", mails.as_slice());
                }
            }
            12..15 => {
                if let Some((number, dn)) = self.person()
                    && !is_contact(number)
                {
                    let flags = ["544", "546"][self.random.usize(..2)];
                    self.replace(&dn, "userAccountControl", &[flags.to_owned()]);
                }
            }
            15 => {
                if let Some((_, dn)) = self.person() {
                    let department = ["hidden", "law"][self.random.usize(..2)];
                    self.in_doubt = true;
                    self.replace(&dn, "department", &[department.to_owned()]);
                }
            }
            16..18 => {
                if let Some((_, dn)) = self.person() {
                    let text = self.random.u32(..).to_string();
                    self.replace(&dn, "info", &[text]);
                }
            }
            18..28 => {
                if let Some((_, dn)) = self.group() {
                    let members = self.members(6);
                    self.replace(&dn, "member", &members);
                }
            }
            28..30 => {
                if let Some((_, dn)) = self.group() {
                    let text = ["unwanted", "wanted"][self.random.usize(..2)];
                    self.replace(&dn, "description", &[text.to_owned()]);
                }
            }
            _ => self.step_in_doubt(),
        }
    }

    fn step_in_doubt(&mut self) {
        self.in_doubt = true;
        match self.random.u8(..6) {
            0 => {
                if let Some((number, dn)) = self.person() {
                    self.people.remove(&number);
                    self.record(&dn, "delete", &[]);
                }
            }
            1 => {
                if let Some((number, dn)) = self.group()
                    && !self.primary.contains(&number)
                {
                    self.groups.remove(&number);
                    self.record(&dn, "delete", &[]);
                }
            }
            2 | 3 => {
                if let Some((number, dn)) = self.person() {
                    let now = self.rename(&dn, "p");
                    self.people.insert(number, now);
                }
            }
            4 => {
                if let Some((number, dn)) = self.group() {
                    let now = self.rename(&dn, "g");
                    self.groups.insert(number, now);
                }
            }
            _ => self.rename_unit(),
        }
    }

    fn rename(&mut self, dn: &str, kind: &str) -> String {
        self.next += 1;
        let (rdn, unit) = (format!("CN={kind}r{}", self.next), self.unit());
        let lines = [
            format!("newrdn: {rdn}"),
            "deleteoldrdn: 1".to_owned(),
            format!("newsuperior: {unit}"),
        ];
        self.record(dn, "modrdn", &lines);
        format!("{rdn},{unit}")
    }

    fn rename_unit(&mut self) {
        let (from, to) = (
            within(&format!("Old{}", self.old)),
            within(&format!("Old{}", self.old + 1)),
        );
        self.old += 1;
        let lines = [
            format!("newrdn: OU=Old{}", self.old),
            "deleteoldrdn: 1".to_owned(),
        ];
        self.record(&from, "modrdn", &lines);
        for dn in self.people.values_mut().chain(self.groups.values_mut()) {
            *dn = dn.replace(&from, &to);
        }
    }

    fn members(&mut self, most: usize) -> Vec<String> {
        let count = self.random.usize(..most);
        let members: BTreeSet<String> = (0..count)
            .filter_map(|_| match self.random.u8(..5) {
                0 => self.group(),
                _ => {
                    let found = self.person();
                    found.filter(|(number, _)| !self.primary.contains(number))
                }
            })
            .map(|(_, dn)| dn)
            .collect();
        members.into_iter().collect()
    }

    fn add_person(&mut self) {
        self.next += 1;
        let (number, unit) = (self.next, self.unit());
        let dn = format!("CN=p{number},{unit}");
        let mail = format!("mail: m{}@example.com", self.random.u8(..60));
        let lines = match is_contact(number) {
            true => vec!["objectClass: contact".to_owned(), mail],
            false => vec![
                "objectClass: user".to_owned(),
                format!("sAMAccountName: p{number}"),
                format!(
                    "userAccountControl: {}",
                    ["544", "544", "546"][self.random.usize(..3)]
                ),
                mail,
            ],
        };
        self.record(&dn, "add", &lines);
        self.people.insert(number, dn);
    }

    fn add_group(&mut self) {
        self.next += 1;
        let (number, unit) = (self.next, self.unit());
        let dn = format!("CN=g{number},{unit}");
        let mut lines = vec![
            "objectClass: group".to_owned(),
            format!("sAMAccountName: g{number}"),
            // Universal: any may be in any.
            "groupType: -2147483640".to_owned(),
        ];
        let members = self.members(4);
        lines.extend(members.iter().map(|member| format!("member: {member}")));
        self.record(&dn, "add", &lines);
        self.groups.insert(number, dn);
        self.fresh.insert(number);
    }

    /// Makes a group somebody's primary one, if the group was there before.
    fn change_primary_group(&mut self, samba: &Samba) {
        let (Some((number, person)), Some((group_number, group))) = (self.person(), self.group())
        else {
            return;
        };
        let has_one = self.primary.contains(&number);
        if is_contact(number) || has_one || self.fresh.contains(&group_number) {
            return;
        }
        let sid = samba
            .search(&["-b", &group, "-s", "base", "objectSid"])
            .unwrap();
        let sid = sid
            .lines()
            .find_map(|line| line.strip_prefix("objectSid: "));
        let (_, rid) = sid.unwrap().rsplit_once('-').unwrap();
        // One must be a member before.
        let members = format!(
            "dn: {group}\nchangetype: modify\nreplace: member\nmember: {person}\n\n\
             dn: {person}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {rid}\n\n"
        );
        samba.modify(&members).unwrap();
        self.primary.extend([number, group_number]);
    }

    /// A random sequence of changes, as LDIF.
    fn sequence(&mut self) -> String {
        self.in_doubt = false;
        self.fresh.clear();
        for _ in 0..self.random.usize(1..6) {
            self.step();
        }
        std::mem::take(&mut self.changes)
    }
}

/// Every seventh one isn't read, and can be in groups.
fn is_contact(number: u32) -> bool {
    number.is_multiple_of(7)
}

/// Others with `STORIES=500 SEED=7`. By an account that may see deleted entries, of which any other isn't told.
#[tokio::test(flavor = "multi_thread")]
async fn after_random_changes_it_equals_a_whole_read() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let proxy = proxy(samba).await;
    let settings = settings_at(&proxy, "Administrator");
    let (seed, stories) = (number("SEED", 1), number("STORIES", 25));
    let mut model = Model::new(seed);
    let (source, _) = begun(&settings).await;
    let (mut changed, mut in_doubt, mut others) = (0, 0, 0);
    for story in 0..stories {
        let changes = model.sequence();
        let applied = samba.modify_by_ldap(&changes);
        if model.random.u8(..4) == 0 {
            model.change_primary_group(samba);
        }
        applied.unwrap_or_else(|error| panic!("seed {seed}, sequence {story}: {error}\n{changes}"));
        let expected = all(read(settings.clone()).await);
        match read_changes(&source).await {
            Some((directory, _)) => {
                let found = all(directory);
                assert_eq!(found, expected, "seed {seed}, sequence {story}:\n{changes}");
                changed += 1;
            }
            None => {
                in_doubt += usize::from(model.in_doubt);
                others += usize::from(!model.in_doubt);
                assert!(model.in_doubt, "seed {seed}, sequence {story}:\n{changes}");
                assert_eq!(all(full(&source).await.unwrap().0), expected);
            }
        }
    }
    println!("{changed} incremental reads, {in_doubt} whole ones in doubt, {others} others");
    assert!(changed > in_doubt && (in_doubt > 0 || stories < 25));
}

fn modify(dn: &str, what: &str, attribute: &str, value: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\n{what}: {attribute}\n{attribute}: {value}\n\n")
}

fn add(ldif: &mut Ldif, name: &str) -> String {
    User::new(name).add_to(ldif, &within("A"))
}

/// Adds people and a group with the first of them to `OU=A`; the DNs of all.
fn add_all(samba: &Samba, people: &[&str], name: &str) -> Vec<String> {
    let mut ldif = Ldif::empty(DOMAIN);
    let mut dns: Vec<String> = people.iter().map(|one| add(&mut ldif, one)).collect();
    dns.push(group(&mut ldif, &within("A"), name, &dns[..1]));
    samba.add(ldif.text()).unwrap();
    dns
}

fn searches(proxy: &LdapProxy) -> Vec<String> {
    let operations = proxy.operations();
    let searches = operations.into_iter();
    searches.filter(|one| one.starts_with("search")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_takes_a_few_requests_and_what_does_not_matter_is_no_change() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let dns = add_all(samba, &["few-ann", "few-bob"], "few");
    let proxy = proxy(samba).await;
    let settings = settings_at(&proxy, READER);
    let (source, version) = begun(&settings).await;
    let progress = ReadProgress::default();
    let update = async |known: &Option<Version>| {
        proxy.disarm();
        let update = source.read_changes(known.as_ref(), &progress).await;
        (update, searches(&proxy).len())
    };
    let (now, requests) = update(&version).await;
    assert!(matches!(now, Some(Update::Unchanged)));
    assert_eq!(requests, 1, "the root entry");

    // Root entry, invocation ID, what has changed.
    let printer = format!("CN=few-printer,{}", within("Out"));
    let mut ldif = Ldif::empty(DOMAIN);
    let computer = [
        ("objectClass", "computer"),
        ("sAMAccountName", "few-printer$"),
    ];
    ldif.entry(&printer, &computer);
    samba.add(ldif.text()).unwrap();
    let (now, requests) = update(&version).await;
    assert!(matches!(now, Some(Update::Unchanged)));
    assert_eq!(requests, 3);
    let (now, requests) = update(&version).await;
    assert!(matches!(now, Some(Update::Unchanged)));
    assert_eq!(requests, 1, "what was seen isn't asked for again");
    // And the people in two bases.
    samba
        .modify(&modify(&dns[0], "replace", "info", "one"))
        .unwrap();
    let (now, requests) = update(&version).await;
    assert!(matches!(now, Some(Update::Unchanged)));
    assert_eq!(requests, 5);

    // Somebody known joins a group: the groups, the wanted ones, and that person in two bases.
    samba
        .modify(&modify(&dns[2], "add", "member", &dns[1]))
        .unwrap();
    let (now, requests) = update(&version).await;
    let Some(Update::Changed {
        directory,
        version: later,
    }) = now
    else {
        panic!("{now:?}");
    };
    assert_eq!(requests, 7);
    let (directory, read_now) = directory.into_parts();
    assert_eq!(members(&directory, "few"), ["few-ann", "few-bob"]);
    let bob = directory.users.iter().find(|user| {
        user.email
            .as_ref()
            .is_ok_and(|email| email.as_str() == "few-bob@example.com")
    });
    assert_eq!(
        read_now.users,
        [bob.unwrap().id.clone()].into_iter().collect()
    );
    assert_eq!(read_now.groups.len(), 1);
    assert_eq!(all(directory), all(read(settings.clone()).await));
    assert!(matches!(
        update(&Some(later.clone())).await.0,
        Some(Update::Unchanged)
    ));
    assert!(matches!(
        update(&version).await.0,
        Some(Update::Changed { .. })
    ));

    // No whole read is taken for one of what changed, nor the other way round.
    let reading = source.read(Some(&later), &progress).await.unwrap();
    assert!(matches!(
        reading,
        directory_sync::source::Reading::Full { .. }
    ));
    source.forget();
    assert!(update(&version).await.0.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_number_of_its_own_has_everything_read() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let mut ldif = Ldif::empty(DOMAIN);
    ldif.unit("OU=A,OU=Inc", "Unit");
    let unit = format!("OU=Unit,{}", within("A"));
    let [ann, bob, cid] = ["doubt-ann", "doubt-bob", "doubt-cid"]
        .map(|name| User::new(name).add_to(&mut ldif, &unit));
    let out = User::new("doubt-out").add_to(&mut ldif, &within("Out"));
    let doubted = group(&mut ldif, &within("A"), "doubt", &[&ann, &bob, &cid, &out]);
    samba.add(ldif.text()).unwrap();
    let proxy = proxy(samba).await;
    let settings = settings_at(&proxy, "Administrator");
    let (source, _) = begun(&settings).await;
    let whole = async |changes: &str| {
        samba.modify_by_ldap(changes).unwrap();
        assert!(read_changes(&source).await.is_none(), "{changes}");
        full(&source).await.unwrap();
        assert!(
            read_changes(&source).await.is_some(),
            "told after a whole read"
        );
    };
    whole(&format!(
        "dn: {unit}\nchangetype: modrdn\nnewrdn: OU=Unit2\ndeleteoldrdn: 1\n"
    ))
    .await;
    let unit = format!("OU=Unit2,{}", within("A"));
    whole(&modify(&unit, "replace", "description", "other rights")).await;
    whole(&format!(
        "dn: CN=doubt-ann,{unit}\nchangetype: modrdn\nnewrdn: CN=doubt-anna\ndeleteoldrdn: 1\n"
    ))
    .await;
    whole(&format!("dn: CN=doubt-bob,{unit}\nchangetype: delete\n")).await;
    // Groups may name them as they were called before.
    whole(&format!(
        "dn: {out}\nchangetype: modrdn\nnewrdn: CN=doubt-in\ndeleteoldrdn: 1\nnewsuperior: {unit}\n"
    ))
    .await;
    whole(&format!(
        "dn: {doubted}\nchangetype: modrdn\nnewrdn: CN=doubts\ndeleteoldrdn: 1\n"
    ))
    .await;

    // Whoever is moved out of the bases, or leaves the filter, is missing by that.
    for changes in [
        format!(
            "dn: CN=doubt-cid,{unit}\nchangetype: modrdn\nnewrdn: CN=doubt-cid\ndeleteoldrdn: 1\n\
             newsuperior: {}\n",
            within("Out")
        ),
        modify(
            &format!("CN=doubt-anna,{unit}"),
            "replace",
            "department",
            "hidden",
        ),
    ] {
        whole(&changes).await;
    }
    // A new container has nobody below it whom nobody tells of.
    let mut ldif = Ldif::empty(DOMAIN);
    ldif.unit("OU=A,OU=Inc", "New");
    User::new("doubt-new").add_to(&mut ldif, &format!("OU=New,{}", within("A")));
    samba.add(ldif.text()).unwrap();
    let (directory, _) = read_changes(&source).await.expect("it is told");
    assert_eq!(all(directory), all(read(settings).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_with_the_name_of_one_that_is_gone_inherits_no_membership() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let dns = add_all(samba, &["name-ann"], "names");
    let proxy = proxy(samba).await;
    // Nobody tells this account of deleted entries.
    let settings = settings_at(&proxy, READER);
    let (source, _) = begun(&settings).await;
    let mut ldif = Ldif::empty(DOMAIN);
    let mut second = User::new("name-ann2");
    second.name = "name-ANN".into();
    second.mail = Some("name-ann2@example.com".into());
    second.add_to(&mut ldif, &within("A"));
    samba
        .modify(&format!("dn: {}\nchangetype: delete\n", dns[0]))
        .unwrap();
    samba.add(ldif.text()).unwrap();
    assert!(read_changes(&source).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_joins_a_group_and_is_not_shown_any_more_has_everything_read() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let dns = add_all(samba, &["joins-ann", "joins-bob"], "joins");
    let proxy = proxy(samba).await;
    let settings = settings_at(&proxy, READER);
    let (source, _) = begun(&settings).await;
    // Nobody but administrators may see anything of the entry.
    let rights = "D:PAI(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;DA)(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;SY)";
    samba
        .modify(&modify(&dns[1], "replace", "nTSecurityDescriptor", rights))
        .unwrap();
    let (directory, _) = read_changes(&source).await.expect("nobody tells of it");
    assert!(emails(&directory).contains(&"joins-bob@example.com".to_owned()));
    samba
        .modify(&modify(&dns[2], "add", "member", &dns[1]))
        .unwrap();
    assert!(read_changes(&source).await.is_none());
    let (whole, _) = full(&source).await.unwrap();
    assert_eq!(members(&whole, "joins"), ["joins-ann"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_during_a_whole_read_is_in_the_next_one() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let dns = add_all(samba, &["during-ann", "during-bob"], "during");
    let proxy = proxy(samba).await;
    let settings = settings_at(&proxy, READER);
    begun(&settings).await;
    let (source, changes) = (
        keeping(&settings),
        modify(&dns[0], "replace", "mail", "x@example.com"),
    );
    // Once groups are asked for, people may have been read already, or not.
    proxy.surprise("department", move || samba.modify(&changes).unwrap());
    full(&source).await.unwrap();
    let changes = modify(&dns[1], "replace", "mail", "y@example.com");
    proxy.surprise("description", move || samba.modify(&changes).unwrap());
    full(&source).await.unwrap();
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert!(!read_now.users.is_empty());
    assert_eq!(all(directory), all(read(settings).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_controller_and_one_that_was_put_back_are_read_as_a_whole() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let [copy, older] = [(); 2].map(|()| samba.another(false).unwrap());
    let proxy = proxy(&copy).await;
    let settings = settings_at(&proxy, "Administrator");
    let (source, _) = begun(&settings).await;
    let add = |samba: &Samba, name: &str| {
        add_all(samba, &[name], &format!("{name}s"));
    };
    add(&copy, "back-ann");
    assert!(read_changes(&source).await.is_some());
    // The same controller as it was before, by its own word.
    proxy.lead_to(SocketAddr::from((older.address(), 389)));
    assert!(read_changes(&source).await.is_none());

    // A later number, in another life.
    proxy.lead_to(SocketAddr::from((copy.address(), 389)));
    full(&source).await.unwrap();
    copy.take_another_invocation().unwrap();
    add(&copy, "back-bob");
    assert!(read_changes(&source).await.is_none());
    full(&source).await.unwrap();
    assert!(read_changes(&source).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_too_large_for_one_answer_is_kept_and_brought_up_to_date_whole() {
    needs_samba!();
    domain();
    let _still = still().await;
    let upstream = SocketAddr::from((domain().address(), 389));
    let proxy = LdapProxy::with_windows_limits(upstream).await.unwrap();
    let mut settings = settings_within(&container("OU=Large"));
    settings.location = at("127.0.0.1", Some(proxy.address().port()));
    settings.security = ActiveDirectorySecurity::Plaintext;
    settings.groups.as_mut().unwrap().search_bases = vec![container("OU=Staff")];
    let mut person = String::new();
    own_unit("Large", |ldif, unit| {
        person = User::new("large").add_to(ldif, unit);
        User::new("small").add_to(ldif, unit);
    });
    let (source, _) = begun(&settings).await;
    let (directory, _) = read_changes(&source).await.unwrap();
    assert_eq!(members(&directory, "everyone"), [""; 0]);
    assert_eq!(all(directory), all(read(settings.clone()).await));
    let everyone = container("CN=everyone,OU=Staff");
    for (what, now) in [("add", &["large"][..]), ("delete", &[])] {
        let change = modify(&everyone, what, "member", &person);
        domain().modify(&change).unwrap();
        let (directory, read_now) = read_changes(&source).await.unwrap();
        assert_eq!(members(&directory, "everyone"), now);
        assert_eq!(read_now.groups.len(), 1);
        assert_eq!(all(directory), all(read(settings.clone()).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_without_room_or_of_what_is_not_told() {
    needs_samba!();
    let (samba, _turn) = own().await;
    let proxy = proxy(samba).await;
    let told = settings_at(&proxy, READER);
    let is_kept = async |settings: &ActiveDirectorySettings, memory: u64| {
        let memory = Arc::new(KeptDirectories::new(memory));
        let source = source(settings.clone()).keeping(&memory);
        full(&source).await.unwrap();
        read_changes(&source).await.is_some()
    };
    assert!(is_kept(&told, 64 << 20).await);
    assert!(!is_kept(&told, 0).await, "nothing may be kept");
    assert!(!is_kept(&told, 100).await, "there is no room");
    let mut untold = told.clone();
    untold.users.filter = Some("(memberOf=*)".into());
    assert!(!is_kept(&untold, 64 << 20).await);
}
