//! An account, the settings to read it, and a directory in a form that reads well in a test.

use std::collections::BTreeMap;
use std::time::Duration;

use directory_sync::directory::{AccountState, Directory};
use directory_sync::http::Retry;
use directory_sync::source::one_login::{OneLoginSettings, OneLoginSource};
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, Step};
use directory_sync::testing::Refusal;
use simulators::one_login::{Config, PageMax, RoleSeed, SimulatedOneLogin, UserSeed};

pub const CLIENT_ID: &str = "simulated-client-id";
pub const CLIENT_SECRET: &str = "simulated-client-secret";

pub const USERS: &str = "/api/2/users";
pub const ROLES: &str = "/api/2/roles";

pub async fn account_with(config: Config) -> SimulatedOneLogin {
    SimulatedOneLogin::start(config).await.unwrap()
}

pub async fn account() -> SimulatedOneLogin {
    account_with(Config::default()).await
}

/// Settings that read this account with the defaults of every field.
pub fn settings(one_login: &SimulatedOneLogin) -> OneLoginSettings {
    let url = one_login.url().parse().unwrap();
    let mut settings = OneLoginSettings::new(url, CLIENT_ID.to_owned(), CLIENT_SECRET.into());
    settings.retry = Retry {
        first_delay: Duration::from_millis(2),
        longest_delay: Duration::from_millis(10),
        ..Retry::default()
    };
    settings
}

pub async fn try_read(settings: OneLoginSettings) -> Result<Seen, SourceError> {
    read_by(&OneLoginSource::new(settings)?).await
}

pub async fn read_by(source: &OneLoginSource) -> Result<Seen, SourceError> {
    match source.read(None, &ReadProgress::default()).await? {
        Reading::Full { directory, .. } => Ok(Seen::of(&directory)),
        Reading::Unchanged => panic!("no read was known"),
    }
}

pub async fn read(settings: OneLoginSettings) -> Seen {
    try_read(settings).await.unwrap()
}

pub async fn refusal(settings: OneLoginSettings) -> Refusal {
    Refusal(try_read(settings).await.unwrap_err())
}

pub async fn check(settings: OneLoginSettings) -> Vec<Step> {
    OneLoginSource::new(settings).unwrap().check().await
}

/// A plain HTTP client, ignorant of the product's.
pub fn http() -> reqwest::Client {
    // Every test after the first finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// How often a path was asked for.
pub fn asked(one_login: &SimulatedOneLogin, path: &str) -> usize {
    let requests = one_login.requests();
    requests.iter().filter(|asked| asked.path == path).count()
}

/// A directory as a test speaks of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// By email.
    pub users: BTreeMap<String, AccountState>,
    /// Members' emails by the group's name.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Ids by email.
    pub ids: BTreeMap<String, String>,
    pub unknown_members: usize,
}

impl Seen {
    fn of(directory: &Directory) -> Self {
        let email = |index: usize| match &directory.users[index].email {
            Ok(email) => email.to_string(),
            Err(unusable) => format!("{:?} of {}", unusable.why, unusable.entry),
        };
        let all = || (0..directory.users.len()).map(|index| (index, &directory.users[index]));
        Self {
            users: all()
                .map(|(index, user)| (email(index), user.state))
                .collect(),
            ids: all()
                .map(|(index, user)| (email(index), user.id.to_string()))
                .collect(),
            groups: directory
                .groups
                .iter()
                .map(|group| {
                    let members = group.users.iter();
                    let mut members: Vec<_> = members.map(|index| email(*index as usize)).collect();
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

/// Seven people, four roles and three groups on pages of two; the id of the first person, the ids
/// of the others follow.
pub async fn company(config: Config) -> (SimulatedOneLogin, u64) {
    company_with(Config {
        page_max: PageMax::all(2),
        ..config
    })
    .await
}

/// The same on pages as `config` says.
pub async fn company_with(config: Config) -> (SimulatedOneLogin, u64) {
    let one_login = account_with(config).await;
    let groups = ["Law", "Sales", "Nobody"].map(|name| one_login.group(name));
    let names = ["ann", "bob", "cid", "dot", "eve", "fay", "gus"];
    let people = names.map(|name| {
        let seed = UserSeed::new(&format!("{name}@example.com"));
        one_login.user(match name {
            "ann" | "bob" | "cid" => seed.with("group_id", groups[0]),
            "dot" => seed,
            _ => seed.with("group_id", groups[1]),
        })
    });
    one_login.role(RoleSeed::new("All").members(people));
    one_login.role(RoleSeed::new("Counsel").members(people[..3].to_vec()));
    one_login.role(RoleSeed::new("Sellers").members(people[4..].to_vec()));
    one_login.role(RoleSeed::new("Empty"));
    (one_login, people[0])
}
