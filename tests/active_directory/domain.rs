//! One domain for all tests, the settings to read it, and a directory in a form that reads well.
//!
//! Each test has an OU of its own and changes nothing else, so that they can go side by side.

use std::sync::OnceLock;

use directory_sync::directory::Directory;
use directory_sync::source::active_directory::{
    ActiveDirectorySettings, ActiveDirectorySource, Controller, DomainControllerLocation,
};
use directory_sync::source::ldap::Bind;
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, Version};
use simulators::lab::{Ldif, Samba};
use tokio::sync::{RwLock, RwLockReadGuard};

pub use directory_sync_testing::{Refusal, emails, group_names, members, people};
pub use simulators::lab::{Account as User, AccountStatus};

pub const DOMAIN: &str = Samba::DOMAIN;
/// Everybody reads as this account.
pub const READER: &str = "reader";
/// How many people `OU=Staff` has, and contacts besides.
pub const STAFF: usize = 2_000;

/// Held while a test changes the domain; held alone while one needs it to be still.
static STILL: RwLock<()> = RwLock::const_new(());

/// The domain that all tests share: `OU=Staff` with 2,000 people, the same number of contacts, and
/// the group `everyone` with all of them.
pub fn domain() -> &'static Samba {
    static DOMAIN: OnceLock<Samba> = OnceLock::new();
    DOMAIN.get_or_init(|| {
        let mut ldif = Ldif::empty(self::DOMAIN);
        User::new(READER)
            .with_password()
            .add_to(&mut ldif, &container("CN=Users"));
        let staff = unit(&mut ldif, "Staff");
        let mut members = vec![];
        for n in 0..STAFF {
            members.push(User::new(&format!("staff{n:04}")).add_to(&mut ldif, &staff));
            let contact = format!("CN=contact{n:04},{staff}");
            ldif.entry(&contact, &[("objectClass", "contact")]);
            members.push(contact);
        }
        group(&mut ldif, &staff, "everyone", &members);
        Samba::options()
            .allow_plaintext()
            .ldif(ldif.text())
            .start()
            .expect("Samba starts")
    })
}

/// The lock of a test that changes the domain while it runs.
pub async fn changing() -> RwLockReadGuard<'static, ()> {
    STILL.read().await
}

/// The lock of a test during which nothing may change but by itself.
pub async fn still() -> tokio::sync::RwLockWriteGuard<'static, ()> {
    STILL.write().await
}

/// Skips the test where no controller can be started.
macro_rules! needs_samba {
    () => {
        // The thread of a test has its name, as long as the test itself runs on it.
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        if !simulators::lab::Samba::can_start(&name) {
            return;
        }
    };
}
pub(crate) use needs_samba;

pub fn container(name: &str) -> String {
    format!("{name},{DOMAIN}")
}

/// Adds an OU right below the domain; its DN.
pub fn unit(ldif: &mut Ldif, name: &str) -> String {
    ldif.unit("", name)
}

/// Adds a global security group; its DN.
pub fn group(ldif: &mut Ldif, parent: &str, name: &str, members: &[impl AsRef<str>]) -> String {
    let dn = format!("CN={name},{parent}");
    let mut attributes = vec![("objectClass", "group"), ("sAMAccountName", name)];
    attributes.extend(members.iter().map(|member| ("member", member.as_ref())));
    ldif.entry(&dn, &attributes);
    dn
}

/// Adds what `fill` makes to the shared domain, in an OU of the test's own; its DN.
pub fn own_unit(name: &str, fill: impl FnOnce(&mut Ldif, &str)) -> String {
    let mut ldif = Ldif::empty(DOMAIN);
    let dn = unit(&mut ldif, name);
    fill(&mut ldif, &dn);
    domain().add(ldif.text()).expect("entries are added");
    dn
}

/// Settings that read the whole shared domain over LDAPS.
pub fn settings() -> ActiveDirectorySettings {
    settings_of(domain())
}

pub fn settings_of(samba: &Samba) -> ActiveDirectorySettings {
    let mut settings = ActiveDirectorySettings::new(at(&samba.address().to_string(), None));
    settings.bind = simple(&format!("{READER}@{}", Samba::REALM), Samba::PASSWORD);
    settings.tls.ca_bundle = Some(samba.authority().pem().into_bytes());
    settings
}

/// Settings for one OU: its people, its groups.
pub fn settings_within(unit: &str) -> ActiveDirectorySettings {
    let mut settings = settings();
    settings.base_dn = Some(unit.to_owned());
    settings
}

/// Only the account that reads, which no test changes.
pub fn small() -> ActiveDirectorySettings {
    let mut settings = settings();
    settings.users.filter = Some(format!("(sAMAccountName={READER})"));
    settings.groups = None;
    settings
}

pub async fn gets_in(settings: ActiveDirectorySettings) {
    assert_eq!(emails(&read(settings).await), ["reader@example.com"]);
}

/// The same as somebody else.
pub fn by(name: &str, password: &str) -> ActiveDirectorySettings {
    let mut settings = small();
    settings.bind = simple(name, password);
    settings
}

pub fn simple(name: &str, password: &str) -> Bind {
    Bind::Simple {
        dn: name.to_owned(),
        password: password.into(),
    }
}

pub fn at(host: &str, port: Option<u16>) -> DomainControllerLocation {
    DomainControllerLocation::Controllers(vec![Controller {
        host: host.to_owned(),
        port,
    }])
}

pub fn source(settings: ActiveDirectorySettings) -> ActiveDirectorySource {
    ActiveDirectorySource::new(settings).expect("the settings can work")
}

/// The directory that these settings read.
pub async fn read(settings: ActiveDirectorySettings) -> Directory {
    match full(&source(settings)).await {
        Ok((directory, _)) => directory,
        Err(error) => panic!("the read failed: {error}"),
    }
}

/// A full read with the version it gives.
pub async fn full(
    source: &ActiveDirectorySource,
) -> Result<(Directory, Option<Version>), SourceError> {
    match source.read(None, &ReadProgress::default()).await? {
        Reading::Full { directory, version } => Ok((directory.into_inner(), version)),
        Reading::Unchanged => panic!("nothing was known before"),
    }
}

/// The error that these settings end in.
pub async fn refused(settings: ActiveDirectorySettings) -> Refusal {
    let source = match ActiveDirectorySource::new(settings) {
        Ok(source) => source,
        Err(error) => return Refusal(error),
    };
    match full(&source).await {
        Ok((directory, _)) => panic!("{} people were read", directory.users.len()),
        Err(error) => Refusal(error),
    }
}
