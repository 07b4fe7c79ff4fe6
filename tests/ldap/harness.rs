//! A slapd, the settings to read it, and a directory in a form that reads well in a test.

use std::sync::Arc;

use directory_sync::directory::Directory;
use directory_sync::source::ldap::{Bind, LdapSettings, LdapSource};
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, Step};
use simulators::lab::{Ldif, Slapd, SlapdOptions};

pub use directory_sync_testing::{Refusal, emails, members, people};

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

pub async fn check(settings: LdapSettings) -> Vec<Step> {
    LdapSource::new(settings).unwrap().check().await
}
