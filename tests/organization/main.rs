//! The organization's client against the simulated server, over real HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod errors;
mod import;
mod pace;
mod read;
mod single;

use std::sync::Arc;
use std::time::Duration;

use directory_sync::directory::ExternalId;
use directory_sync::http::{RateLimiter, Retry};
use directory_sync::organization::model::{Content, Organization};
use directory_sync::organization::{ClientId, OrganizationClient, Region, Settings};
use simulators::organization::{Config, SimulatedOrganization};
use uuid::Uuid;

async fn start(config: Config) -> SimulatedOrganization {
    SimulatedOrganization::start(config).await.unwrap()
}

fn settings(server: &SimulatedOrganization) -> Settings {
    let mut settings = Settings::new(
        Region::server(&server.url()).unwrap(),
        ClientId::parse(&server.client_id()).unwrap(),
        server.client_secret().into(),
    );
    settings.retry = Retry {
        first_delay: Duration::from_millis(2),
        longest_delay: Duration::from_millis(10),
        ..Retry::default()
    };
    settings.limit = Some(Arc::new(RateLimiter::unlimited()));
    settings
}

fn client(server: &SimulatedOrganization) -> OrganizationClient {
    OrganizationClient::new(settings(server)).unwrap()
}

async fn content(client: &OrganizationClient) -> Content {
    match client.read().await.unwrap() {
        Organization::Read(content) => content.into_inner(),
        Organization::WriteOnly => panic!("the server can be read"),
    }
}

fn id(text: &str) -> ExternalId {
    ExternalId::parse(text).unwrap()
}

fn member(server: &SimulatedOrganization, email: &str) -> Uuid {
    server
        .member_id(email)
        .unwrap()
        .to_string()
        .parse()
        .unwrap()
}

fn group(server: &SimulatedOrganization, external_id: &str) -> Uuid {
    let id = server.group_id(external_id).unwrap();
    id.to_string().parse().unwrap()
}

/// The API's requests so far, as `METHOD /path`.
fn requests(server: &SimulatedOrganization) -> Vec<String> {
    let requests = server.requests().into_iter();
    requests
        .filter(|request| request.path.starts_with("/api/"))
        .map(|request| format!("{} {}", request.method, request.path))
        .collect()
}
