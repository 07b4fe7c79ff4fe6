//! A slapd, the settings to read it, and a directory in a form that reads well in a test.

use std::sync::Arc;

use directory_sync::directory::{AccountState, Directory};
use directory_sync::source::ldap::{Bind, LdapSettings, LdapSource};
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, SourceErrorKind, Step};
use simulators::lab::{Ldif, Slapd, SlapdOptions};

pub const SUFFIX: &str = "dc=example,dc=com";

/// A directory with `ou=people` and `ou=groups`, to be filled.
pub fn company() -> Ldif {
    let mut ldif = Ldif::new(SUFFIX);
    ldif.unit("", "people");
    ldif.unit("", "groups");
    ldif
}

/// A slapd that holds `ldif`.
pub fn slapd(ldif: &Ldif) -> Slapd {
    start(Slapd::options().ldif(ldif.text()))
}

pub fn start(options: SlapdOptions) -> Slapd {
    options.start().expect("slapd starts")
}

/// Settings that read `url` anonymously with the defaults of every field.
pub fn settings(url: &str) -> LdapSettings {
    LdapSettings::new(vec![url.parse().unwrap()], SUFFIX)
}

pub fn simple(dn: impl Into<String>, password: &str) -> Bind {
    Bind::Simple {
        dn: dn.into(),
        password: password.into(),
    }
}

async fn reading(
    settings: LdapSettings,
    progress: &ReadProgress,
) -> Result<Directory, SourceError> {
    let source = LdapSource::new(settings)?;
    match source.read(None, progress).await? {
        Reading::Full { directory, .. } => Ok(directory.into_inner()),
        Reading::Unchanged => panic!("nothing was known before"),
    }
}

/// The directory that these settings read.
pub async fn read(settings: LdapSettings) -> Directory {
    match reading(settings, &ReadProgress::default()).await {
        Ok(directory) => directory,
        Err(error) => panic!("the read failed: {error}"),
    }
}

/// The error that these settings end in.
pub async fn refused(settings: LdapSettings) -> Refusal {
    refused_after(settings, Arc::default()).await
}

/// The error that these settings end in, and how far they came.
pub async fn refused_after(settings: LdapSettings, progress: Arc<ReadProgress>) -> Refusal {
    match reading(settings, &progress).await {
        Ok(directory) => panic!("{} people were read", directory.users.len()),
        Err(error) => Refusal(error),
    }
}

/// An error to be looked at.
pub struct Refusal(SourceError);

impl Refusal {
    #[track_caller]
    pub fn is(self, kind: SourceErrorKind) -> Self {
        assert_eq!(self.0.kind, kind, "{}", self.0);
        self
    }

    #[track_caller]
    pub fn for_the_user_to_mend(self) -> Self {
        self.is(SourceErrorKind::Configuration)
    }

    #[track_caller]
    pub fn passes_by_itself(self) -> Self {
        self.is(SourceErrorKind::Transient { retry_after: None })
    }

    #[track_caller]
    pub fn ended_early(self) -> Self {
        self.is(SourceErrorKind::Incomplete)
    }

    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(
            self.0.message.contains(part),
            "{part:?} isn't in: {}",
            self.0
        );
        self
    }

    #[track_caller]
    pub fn never_says(self, part: &str) -> Self {
        let all = format!("{} {:?}", self.0, self.0);
        assert!(!all.contains(part), "{part:?} is in: {all}");
        self
    }
}

pub async fn check(settings: LdapSettings) -> Vec<Step> {
    LdapSource::new(settings).unwrap().check().await
}

/// Everyone's email and state, in order.
pub fn people(directory: &Directory) -> Vec<(String, AccountState)> {
    let mut people: Vec<_> = directory
        .users
        .iter()
        .map(|user| {
            let email = match &user.email {
                Ok(email) => email.to_string(),
                Err(unusable) => format!("({})", unusable.why),
            };
            (email, user.state)
        })
        .collect();
    people.sort_by(|one, other| one.0.cmp(&other.0));
    people
}

/// Everyone's email, in order.
pub fn emails(directory: &Directory) -> Vec<String> {
    people(directory)
        .into_iter()
        .map(|(email, _)| email)
        .collect()
}

/// The direct members of the group: emails (the part before the `@`) and `group:NAME`, in order.
#[track_caller]
pub fn members(directory: &Directory, name: &str) -> Vec<String> {
    let group = directory
        .groups
        .iter()
        .find(|group| &*group.name == name)
        .unwrap_or_else(|| panic!("there is no group {name}"));
    let people = group.users.iter().map(|&index| {
        let email = directory.users[index as usize].email.as_ref().unwrap();
        email.as_str().split('@').next().unwrap().to_owned()
    });
    let groups = group
        .groups
        .iter()
        .map(|&index| format!("group:{}", directory.groups[index as usize].name));
    let mut all: Vec<_> = people.chain(groups).collect();
    all.sort();
    all
}
