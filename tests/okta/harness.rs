//! An organization, the settings to read it, and a directory in a form that reads well in a test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use directory_sync::directory::{AccountState, Directory};
use directory_sync::http::Retry;
use directory_sync::source::okta::{Credentials, OktaSettings, OktaSource};
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, Step};
use simulators::lab::LabError;
use simulators::okta::{Config, GroupSeed, SimulatedOkta, UserSeed};

pub const TOKEN: &str = "00simulated-api-token-0123456789abcdef";

/// An organization without rate limits, unless `config` says otherwise.
pub async fn organization_with(config: Config) -> SimulatedOkta {
    SimulatedOkta::start(config).await.unwrap()
}

pub async fn organization() -> SimulatedOkta {
    organization_with(Config::default()).await
}

/// Settings that read this organization with its API token and the defaults of every field.
pub fn settings(okta: &SimulatedOkta) -> OktaSettings {
    settings_with(okta, Credentials::ApiToken(TOKEN.into()))
}

pub fn settings_with(okta: &SimulatedOkta, credentials: Credentials) -> OktaSettings {
    let mut settings = OktaSettings::new(okta.url().parse().unwrap(), credentials);
    settings.retry = Retry {
        first_delay: Duration::from_millis(2),
        longest_delay: Duration::from_millis(10),
        ..Retry::default()
    };
    settings
}

pub async fn try_read(settings: OktaSettings) -> Result<Seen, SourceError> {
    let source = OktaSource::new(settings)?;
    match source.read(None, &ReadProgress::default()).await? {
        Reading::Full { directory, .. } => Ok(Seen::of(&directory)),
        Reading::Unchanged => panic!("no read was known"),
    }
}

pub async fn read(settings: OktaSettings) -> Seen {
    try_read(settings).await.unwrap()
}

pub async fn failure(settings: OktaSettings) -> SourceError {
    try_read(settings).await.unwrap_err()
}

pub async fn check(settings: OktaSettings) -> Vec<Step> {
    OktaSource::new(settings).unwrap().check().await
}

/// What runs the parts that come by npm.
pub fn node() -> Result<PathBuf, LabError> {
    let found = Command::new("node").arg("--version").output();
    match found {
        Ok(output) if output.status.success() => Ok("node".into()),
        _ => Err(LabError::Missing {
            part: "node".to_owned(),
            answer: "there is no node on PATH; install it from https://nodejs.org".to_owned(),
        }),
    }
}

/// A plain HTTP client, ignorant of the product's.
pub fn http() -> reqwest::Client {
    // Every test after the first finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A directory as a test speaks of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// By email.
    pub users: BTreeMap<String, AccountState>,
    /// Members' emails by the group's name.
    pub groups: BTreeMap<String, Vec<String>>,
    pub unknown_members: usize,
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
                    members.sort();
                    (group.name.to_string(), members)
                })
                .collect(),
            unknown_members: directory.unknown_members.count,
        }
    }

    pub fn emails(&self) -> Vec<&str> {
        self.users.keys().map(String::as_str).collect()
    }

    pub fn group_names(&self) -> Vec<&str> {
        self.groups.keys().map(String::as_str).collect()
    }
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
