//! A customer, the settings to read it, and a directory in a form that reads well in a test.

use directory_sync::directory::Directory;
use directory_sync::source::google_workspace::{
    Addresses, Credentials, GoogleWorkspaceSettings, GoogleWorkspaceSource, ServiceAccountKey,
    WorkloadIdentity,
};
use directory_sync::source::{Source, SourceError, Step};
use directory_sync::testing::{Refusal, hurried, read_all};
use simulators::google_workspace::{Config, GroupSeed, SimulatedGoogle, UserSeed};

pub use directory_sync::testing::Seen;

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
    settings.retry = hurried();
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
    read_all(&GoogleWorkspaceSource::new(settings)?).await
}

pub async fn try_read(settings: GoogleWorkspaceSettings) -> Result<Seen, SourceError> {
    try_read_directory(settings).await.map(Seen::from)
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

/// Everybody but the administrator.
pub fn colleagues(seen: &Seen) -> Vec<&str> {
    let mut emails = seen.emails();
    emails.retain(|email| *email != ADMIN);
    emails
}
