//! An account, the settings to read it, and a directory in a form that reads well in a test.

use directory_sync::source::one_login::{Credentials, OneLoginSettings, OneLoginSource};
use directory_sync::source::{Source, SourceError, Step};
use directory_sync_testing::{Refusal, Setup, hurried, read_all};
use simulators::one_login::{Config, PageMax, RoleSeed, SimulatedOneLogin, UserSeed};

pub use directory_sync_testing::Seen;

pub type OneLoginSetup = Setup<OneLoginSettings, Credentials>;

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
pub fn settings(one_login: &SimulatedOneLogin) -> OneLoginSetup {
    let url = one_login.url().parse().unwrap();
    let mut settings = OneLoginSettings::new(url);
    settings.retry = hurried();
    Setup {
        settings,
        credentials: Credentials {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.into(),
        },
    }
}

pub fn source(setup: OneLoginSetup) -> Result<OneLoginSource, SourceError> {
    OneLoginSource::new(setup.settings, &setup.credentials)
}

pub async fn try_read(setup: OneLoginSetup) -> Result<Seen, SourceError> {
    read_by(&source(setup)?).await
}

pub async fn read_by(source: &OneLoginSource) -> Result<Seen, SourceError> {
    read_all(source).await.map(Seen::from)
}

pub async fn read(setup: OneLoginSetup) -> Seen {
    try_read(setup).await.unwrap()
}

pub async fn refusal(setup: OneLoginSetup) -> Refusal {
    Refusal(try_read(setup).await.unwrap_err())
}

pub async fn check(setup: OneLoginSetup) -> Vec<Step> {
    source(setup).unwrap().check().await
}

/// How often a path was asked for.
pub fn asked(one_login: &SimulatedOneLogin, path: &str) -> usize {
    let requests = one_login.requests();
    requests.iter().filter(|asked| asked.path == path).count()
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
