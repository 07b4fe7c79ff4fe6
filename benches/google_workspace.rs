//! What a complete read of a Google Workspace customer costs at 100 ms a request and Google's quota
//! of 2,400 queries a minute: requests, time and memory; beside it one request a group, one after
//! another.
//!
//! `cargo bench --bench google_workspace [USERS GROUPS]`; 50,000 users and 5,000 groups by default.
//! It takes as long as the quota makes it: minutes.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

mod shared;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use directory_sync::source::google_workspace::{
    Addresses, Credentials, GoogleWorkspaceSettings, GoogleWorkspaceSource, ServiceAccountKey,
};
use directory_sync::source::{ReadProgress, Reading, Source};
use simulators::google_workspace::{Config, GroupSeed, Quota, SimulatedGoogle, UserSeed};
use simulators::lab::Company;

const LATENCY: Duration = Duration::from_millis(100);
const ADMIN: &str = "admin@example.com";
/// Requests of the old way that are made in earnest; the rest is multiplied.
const SAMPLE: u32 = 30;
/// The argument that makes this program the one who reads, so that its memory is measured alone.
const READER: &str = "reader";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == READER) {
        return reader(&arguments[at + 1], &arguments[at + 2]).await;
    }
    let (people, teams) = shared::sizes((50_000, 5_000));
    let google = SimulatedGoogle::start(Config {
        latency: LATENCY,
        quota: Some(Quota::DEFAULT),
        ..Config::default()
    })
    .await
    .unwrap();
    fill(&google, people, teams);
    println!(
        "{people} users, {teams} groups, {LATENCY:?} a request, {} queries a minute",
        Quota::DEFAULT.queries
    );
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), google.key_file()).unwrap();
    let url = google.url();
    let file = key.path().to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let reader = Command::new(std::env::current_exe().unwrap())
            .args([READER, &url])
            .arg(file)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        String::from_utf8(reader.stdout).unwrap()
    });
    let read = read.await.unwrap();
    let requests = google.requests();
    let refused = requests.iter().filter(|r| r.status != Some(200)).count();
    println!(
        "{} requests ({refused} refused, {} at once at most), {}",
        requests.len(),
        google.most_at_once(),
        read.trim()
    );
    google.next_window();
    one_by_one(&google, teams).await;
}

fn fill(google: &SimulatedGoogle, people: u32, teams: u32) {
    google.user(UserSeed::new(ADMIN).admin());
    let company = Company::new(people, teams);
    let ids: Vec<String> = company
        .employees()
        .map(|employee| google.user(UserSeed::new(&employee.person.mail.unwrap())))
        .collect();
    for team in company.all_teams() {
        let members = team.people.iter().map(|person| &ids[*person as usize]);
        let email = format!("{}@example.com", team.name);
        google.group(GroupSeed::new(&email, &team.name).users(members));
    }
}

/// Reads everything and tells how long it took and what it needed.
async fn reader(url: &str, key: &str) {
    let key = ServiceAccountKey::parse(&std::fs::read_to_string(key).unwrap()).unwrap();
    let mut settings = GoogleWorkspaceSettings::new(Some(ADMIN.into()));
    settings.addresses = Addresses {
        token: format!("{url}/token").parse().unwrap(),
        directory: url.parse().unwrap(),
    };
    let source = GoogleWorkspaceSource::new(settings, &Credentials::Key(key)).unwrap();
    let started = Instant::now();
    let reading = source.read(None, &ReadProgress::default()).await.unwrap();
    let took = started.elapsed();
    let Reading::Full { directory, .. } = reading else {
        panic!("nothing was known before");
    };
    println!(
        "{took:.1?}, {:.1} MiB at most: {}",
        peak_memory(),
        shared::summary(&directory),
    );
}

/// The most memory that this process had resident, in MiB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap();
    kib / 1024.0
}

/// As the old client: one request a group, one after another.
async fn one_by_one(google: &SimulatedGoogle, groups: u32) {
    // The client wants a provider before it is made, even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let account = &google.config().service_account;
    let (id, key) = &account.keys[0];
    let now = jiff::Timestamp::now().as_second();
    let claims = serde_json::json!({
        "iss": account.email,
        "sub": ADMIN,
        "aud": format!("{}/token", google.url()),
        "scope": account.delegated_scopes.join(" "),
        "iat": now,
        "exp": now + 600,
    });
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &key.sign(id, &claims)),
    ];
    let url = format!("{}/token", google.url());
    let token = client.post(url).form(&form).send().await.unwrap();
    let token: serde_json::Value = token.json().await.unwrap();
    let get = async |path: &str| -> serde_json::Value {
        let request = client.get(format!("{}/admin/directory/v1/{path}", google.url()));
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        request.send().await.unwrap().json().await.unwrap()
    };
    let list = get("groups?customer=my_customer").await;
    let list = list["groups"].as_array().unwrap();
    let ids: Vec<&str> = list.iter().filter_map(|g| g["id"].as_str()).collect();
    let started = Instant::now();
    for id in ids.iter().take(SAMPLE as usize) {
        get(&format!("groups/{id}/members?maxResults=200")).await;
    }
    let each = started.elapsed() / SAMPLE;
    println!(
        "one group after another: {:.0?} for groups alone ({each:.0?} each, of {SAMPLE})",
        each * groups
    );
}
