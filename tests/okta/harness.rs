//! An organization, the settings to read it, and a directory in a form that reads well in a test.

use directory_sync::source::okta::{Credentials, OktaSettings, OktaSource};
use directory_sync::source::{Source, SourceError, Step};
use directory_sync_testing::{Setup, hurried, read_all};
use simulators::okta::{Config, GroupSeed, SimulatedOkta, UserSeed};

pub use directory_sync_testing::Seen;

pub const TOKEN: &str = "00simulated-api-token-0123456789abcdef";

pub type OktaSetup = Setup<OktaSettings, Credentials>;

/// An organization without rate limits, unless `config` says otherwise.
pub async fn organization_with(config: Config) -> SimulatedOkta {
    SimulatedOkta::start(config).await.unwrap()
}

pub async fn organization() -> SimulatedOkta {
    organization_with(Config::default()).await
}

/// Settings that read this organization with its API token and the defaults of every field.
pub fn settings(okta: &SimulatedOkta) -> OktaSetup {
    settings_with(okta, Credentials::ApiToken(TOKEN.into()))
}

pub fn settings_with(okta: &SimulatedOkta, credentials: Credentials) -> OktaSetup {
    let mut settings = OktaSettings::new(okta.url().parse().unwrap());
    settings.retry = hurried();
    Setup {
        settings,
        credentials,
    }
}

pub fn source(setup: OktaSetup) -> Result<OktaSource, SourceError> {
    OktaSource::new(setup.settings, &setup.credentials)
}

pub async fn try_read(setup: OktaSetup) -> Result<Seen, SourceError> {
    read_all(&source(setup)?).await.map(Seen::from)
}

pub async fn read(setup: OktaSetup) -> Seen {
    try_read(setup).await.unwrap()
}

pub async fn failure(setup: OktaSetup) -> SourceError {
    try_read(setup).await.unwrap_err()
}

pub async fn check(setup: OktaSetup) -> Vec<Step> {
    source(setup).unwrap().check().await
}

/// Seven people and four groups on pages of two, three with Okta's own order of ids.
pub async fn company(config: Config) -> SimulatedOkta {
    let okta = organization_with(Config {
        page_max: 2,
        ..config
    })
    .await;
    let names = ["ann", "bob", "cid", "dot", "eve", "fay", "gus"];
    let people = names.map(|name| okta.user(UserSeed::new(&format!("{name}@example.com"))));
    okta.group(GroupSeed::new("All").members(people.clone()));
    okta.group(GroupSeed::new("Law").members(people[..3].to_vec()));
    okta.group(GroupSeed::new("Sales").members(people[4..].to_vec()));
    okta.group(GroupSeed::new("Empty"));
    okta
}
