//! A tenant, the settings to read it, and a directory in a form that reads well in a test.

use directory_sync::directory::Directory;
use directory_sync::source::entra_id::{
    Addresses, Credentials, EntraIdSettings, EntraIdSource, GroupSettings,
};
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, Version};
use directory_sync_testing::{Setup, hurried, read_all};
use simulators::entra_id::{Config, SimulatedEntra};

pub use directory_sync_testing::{Refusal, group_names, members, people};

pub type EntraSetup = Setup<EntraIdSettings, Credentials>;

pub async fn tenant() -> SimulatedEntra {
    tenant_with(Config::default()).await
}

pub async fn tenant_with(config: Config) -> SimulatedEntra {
    SimulatedEntra::start(config).await.unwrap()
}

/// Settings that read this tenant with its client secret and the defaults of every field.
pub fn settings(tenant: &SimulatedEntra) -> EntraSetup {
    let config = tenant.config();
    let secret = config.secret.as_ref().map(|secret| secret.value.as_str());
    let credentials = Credentials::Secret(secret.unwrap_or("none").into());
    settings_with(tenant, credentials)
}

pub fn settings_with(tenant: &SimulatedEntra, credentials: Credentials) -> EntraSetup {
    let config = tenant.config();
    let mut settings = EntraIdSettings::new(&config.tenant_id, &config.client_id);
    settings.addresses = Addresses {
        authority: tenant.url().parse().unwrap(),
        graph: tenant.url().parse().unwrap(),
    };
    settings.retry = hurried();
    Setup {
        settings,
        credentials,
    }
}

pub fn source(setup: EntraSetup) -> Result<EntraIdSource, SourceError> {
    EntraIdSource::new(setup.settings, &setup.credentials)
}

/// The same, with other groups.
pub fn with_groups(tenant: &SimulatedEntra, groups: GroupSettings) -> EntraSetup {
    let mut setup = settings(tenant);
    setup.groups = Some(groups);
    setup
}

/// A source that is read again and again, as by the operator.
pub struct Reader {
    source: EntraIdSource,
    pub known: Option<Version>,
}

impl Reader {
    pub fn new(setup: EntraSetup) -> Self {
        let source = source(setup).unwrap_or_else(|error| panic!("{error}"));
        Self {
            source,
            known: None,
        }
    }

    /// The directory, or `None` where nothing moved since the last one.
    pub async fn next(&mut self) -> Option<Directory> {
        match self.try_next().await {
            Ok(directory) => directory,
            Err(error) => panic!("the read failed: {error}"),
        }
    }

    pub async fn try_next(&mut self) -> Result<Option<Directory>, SourceError> {
        let progress = ReadProgress::default();
        match self.source.read(self.known.as_ref(), &progress).await? {
            Reading::Full { directory, version } => {
                self.known = version;
                Ok(Some(directory.into_inner()))
            }
            Reading::Unchanged => Ok(None),
        }
    }
}

pub async fn try_read(setup: EntraSetup) -> Result<Directory, SourceError> {
    read_all(&source(setup)?).await
}

/// The directory that these settings read.
pub async fn read(setup: EntraSetup) -> Directory {
    match try_read(setup).await {
        Ok(directory) => directory,
        Err(error) => panic!("the read failed: {error}"),
    }
}

/// The error that these settings end in.
pub async fn refused(setup: EntraSetup) -> Refusal {
    match try_read(setup).await {
        Ok(directory) => panic!("{} people were read", directory.users.len()),
        Err(error) => Refusal(error),
    }
}

/// What is to be fixed in Entra ID.
pub trait ForEntra {
    /// To be fixed where the operator sees nothing of it: tried again now and then.
    fn for_entra(self) -> Self;
}

impl ForEntra for Refusal {
    #[track_caller]
    fn for_entra(self) -> Self {
        self.is_configuration()
    }
}

/// The names before the `@` of everybody with an email, in order.
pub fn names(directory: &Directory) -> Vec<String> {
    let people = people(directory).into_iter();
    people
        .map(|(email, _)| email.split('@').next().unwrap_or_default().to_owned())
        .collect()
}

/// A directory as text, the same for the same content: what a fault must not change.
pub fn fingerprint(directory: &Directory) -> String {
    let mut lines: Vec<String> = people(directory)
        .into_iter()
        .map(|(email, state)| format!("{email} {state:?}"))
        .collect();
    for name in group_names(directory) {
        lines.push(format!("{name}: {}", members(directory, name).join(" ")));
    }
    lines.join("\n")
}
