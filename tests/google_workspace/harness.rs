//! A customer, the settings to read it, and a directory in a form that reads well in a test.

use std::collections::BTreeMap;
use std::time::Duration;

use directory_sync::directory::{AccountState, Directory};
use directory_sync::http::Retry;
use directory_sync::source::google_workspace::{
    Addresses, Credentials, GoogleWorkspaceSettings, GoogleWorkspaceSource, ServiceAccountKey,
    WorkloadIdentity,
};
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, Step};
use directory_sync::testing::Refusal;
use simulators::google_workspace::{Config, GroupSeed, SimulatedGoogle, UserSeed};

/// The administrator to act for, who is a person like others.
pub const ADMIN: &str = "admin@example.com";

/// A customer with nobody but its administrator.
pub async fn customer_with(config: Config) -> SimulatedGoogle {
    let google = SimulatedGoogle::start(config).await.unwrap();
    google.user(UserSeed::new(ADMIN).id("100").admin());
    google
}

pub async fn customer() -> SimulatedGoogle {
    customer_with(Config::default()).await
}

/// Seven people besides the administrator and four groups, on pages of two.
pub async fn company(config: Config) -> SimulatedGoogle {
    let config = Config {
        page_max: 2,
        ..config
    };
    let google = customer_with(config).await;
    let names = ["ann", "bob", "cid", "dot", "eve", "fay", "gus"];
    let people = names.map(|name| google.user(UserSeed::new(&format!("{name}@example.com"))));
    let group = |name: &str| {
        let email = format!("{}@example.com", name.to_lowercase());
        GroupSeed::new(&email, name)
    };
    google.group(group("All").users(people.clone()));
    google.group(group("Law").users(people[..3].to_vec()).id("law"));
    google.group(group("Sales").users(people[4..].to_vec()));
    google.group(group("Empty"));
    google
}

/// Settings that read this customer with the service account's key, acting for the administrator,
/// and the defaults of every field.
pub fn settings(google: &SimulatedGoogle) -> GoogleWorkspaceSettings {
    let key = ServiceAccountKey::parse(&google.key_file()).unwrap();
    settings_with(google, Credentials::Key(key), Some(ADMIN))
}

pub fn settings_with(
    google: &SimulatedGoogle,
    credentials: Credentials,
    admin: Option<&str>,
) -> GoogleWorkspaceSettings {
    let mut settings = GoogleWorkspaceSettings::new(credentials, admin.map(str::to_owned));
    settings.addresses = Addresses {
        token: format!("{}/token", google.url()).parse().unwrap(),
        directory: google.url().parse().unwrap(),
    };
    settings.retry = Retry {
        first_delay: Duration::from_millis(2),
        longest_delay: Duration::from_millis(10),
        ..Retry::default()
    };
    settings
}

/// Workload identity with the cluster's token in this file.
pub fn keyless(google: &SimulatedGoogle, file: &std::path::Path) -> WorkloadIdentity {
    let config = google.config();
    let provider = &config.federation.provider;
    let mut identity = WorkloadIdentity::new(provider, &config.service_account.email);
    identity.token_file = file.into();
    identity.sts = google.url().parse().unwrap();
    identity.iam = google.url().parse().unwrap();
    identity
}

pub async fn try_read_directory(
    settings: GoogleWorkspaceSettings,
) -> Result<Directory, SourceError> {
    let source = GoogleWorkspaceSource::new(settings)?;
    match source.read(None, &ReadProgress::default()).await? {
        Reading::Full { directory, .. } => Ok(directory.into_inner()),
        Reading::Unchanged => panic!("no read was known"),
    }
}

pub async fn try_read(settings: GoogleWorkspaceSettings) -> Result<Seen, SourceError> {
    try_read_directory(settings)
        .await
        .map(|directory| Seen::of(&directory))
}

pub async fn read(settings: GoogleWorkspaceSettings) -> Seen {
    try_read(settings).await.unwrap()
}

pub async fn refusal(settings: GoogleWorkspaceSettings) -> Refusal {
    Refusal(try_read(settings).await.unwrap_err())
}

pub async fn check(settings: GoogleWorkspaceSettings) -> Vec<Step> {
    GoogleWorkspaceSource::new(settings).unwrap().check().await
}

/// How many requests went to paths that begin so.
pub fn asked(google: &SimulatedGoogle, path: &str) -> usize {
    let requests = google.requests();
    requests.iter().filter(|r| r.path.starts_with(path)).count()
}

/// A directory as a test speaks of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// By email.
    pub users: BTreeMap<String, AccountState>,
    /// Members' emails, and names of groups within, by the group's name.
    pub groups: BTreeMap<String, Vec<String>>,
    pub unknown_members: usize,
    /// What a person is told.
    pub problems: Vec<String>,
}

impl Seen {
    fn of(directory: &Directory) -> Self {
        let email = |index: &u32| match &directory.users[*index as usize].email {
            Ok(email) => email.to_string(),
            Err(unusable) => format!("{:?} of {}", unusable.why, unusable.entry),
        };
        let indexes = 0..u32::try_from(directory.users.len()).unwrap();
        Self {
            users: indexes
                .map(|index| (email(&index), directory.users[index as usize].state))
                .collect(),
            groups: directory
                .groups
                .iter()
                .map(|group| {
                    let mut members: Vec<_> = group.users.iter().map(email).collect();
                    let inner = |index: &u32| directory.groups[*index as usize].name.to_string();
                    members.extend(group.groups.iter().map(inner));
                    members.sort();
                    (group.name.to_string(), members)
                })
                .collect(),
            unknown_members: directory.unknown_members.count,
            problems: directory
                .problems
                .iter()
                .map(|problem| problem.message.clone())
                .collect(),
        }
    }

    /// Everybody but the administrator.
    pub fn emails(&self) -> Vec<&str> {
        let emails = self.users.keys().map(String::as_str);
        emails.filter(|email| *email != ADMIN).collect()
    }

    pub fn group_names(&self) -> Vec<&str> {
        self.groups.keys().map(String::as_str).collect()
    }
}
