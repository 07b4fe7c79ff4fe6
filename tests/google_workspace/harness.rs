//! A customer, the settings to read it, and a directory in a form that reads well in a test.

use std::sync::Arc;

use directory_sync::directory::Directory;
use directory_sync::http::oauth::ProjectedToken;
use directory_sync::source::google_workspace::{
    Addresses, Credentials, GoogleWorkspaceSettings, GoogleWorkspaceSource, ServiceAccountKey,
    WorkloadIdentity,
};
use directory_sync::source::{Source, SourceError, Step};
use directory_sync_testing::{Refusal, Setup, hurried, read_all};
use simulators::google_workspace::{Config, GroupSeed, SimulatedGoogle, UserSeed};

pub use directory_sync_testing::Seen;

pub type GoogleSetup = Setup<GoogleWorkspaceSettings, Credentials>;

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
pub fn settings(google: &SimulatedGoogle) -> GoogleSetup {
    let key = ServiceAccountKey::parse(&google.key_file()).unwrap();
    settings_with(google, Credentials::Key(key), Some(ADMIN))
}

pub fn settings_with(
    google: &SimulatedGoogle,
    credentials: Credentials,
    admin: Option<&str>,
) -> GoogleSetup {
    let mut settings = GoogleWorkspaceSettings::new(admin.map(str::to_owned));
    settings.addresses = Addresses {
        token: format!("{}/token", google.url()).parse().unwrap(),
        directory: google.url().parse().unwrap(),
    };
    settings.retry = hurried();
    Setup {
        settings,
        credentials,
    }
}

pub fn source(setup: GoogleSetup) -> Result<GoogleWorkspaceSource, SourceError> {
    GoogleWorkspaceSource::new(setup.settings, &setup.credentials)
}

/// Workload identity with the cluster's token in this file.
pub fn keyless(google: &SimulatedGoogle, file: &std::path::Path) -> WorkloadIdentity {
    let config = google.config();
    let provider = &config.federation.provider;
    let token = Arc::new(ProjectedToken(file.into()));
    let mut identity = WorkloadIdentity::new(provider, &config.service_account.email, token);
    identity.sts = google.url().parse().unwrap();
    identity.iam = google.url().parse().unwrap();
    identity
}

pub async fn try_read_directory(setup: GoogleSetup) -> Result<Directory, SourceError> {
    read_all(&source(setup)?).await
}

pub async fn try_read(setup: GoogleSetup) -> Result<Seen, SourceError> {
    try_read_directory(setup).await.map(Seen::from)
}

pub async fn read(setup: GoogleSetup) -> Seen {
    try_read(setup).await.unwrap()
}

pub async fn refusal(setup: GoogleSetup) -> Refusal {
    Refusal(try_read(setup).await.unwrap_err())
}

pub async fn check(setup: GoogleSetup) -> Vec<Step> {
    source(setup).unwrap().check().await
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
