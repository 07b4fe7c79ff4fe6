//! An Okta that nobody here wrote: the emulator `emulate`. It pages in its own way, thirty a page whatever
//! is asked for, and lists deprovisioned people with all others.
//!
//! It leaves out the `Link` header where there is one page. Okta always sends one that names the page
//! itself, and our source takes an answer without it for cut. A door before the emulator adds it.

use std::path::Path;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use directory_sync::directory::AccountState;
use directory_sync::source::okta::{Credentials, OktaSettings};
use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{LabError, find, free_port, node_js, or_skip};
use simulators::wire::Served;
use tokio::sync::watch;

use crate::harness::*;

/// Passes a request on to the emulator, which is at `url`.
async fn pass(
    State(url): State<String>,
    request: Request,
) -> (StatusCode, HeaderMap, axum::body::Bytes) {
    let target = request.uri().path_and_query().unwrap().as_str();
    let answer = directory_sync_testing::client()
        .get(format!("{url}{target}"))
        .headers(request.headers().clone())
        .send()
        .await
        .unwrap();
    let (status, mut headers) = (answer.status(), HeaderMap::new());
    let this = format!(
        "<http://{}{target}>; rel=\"self\"",
        header(request.headers(), "host")
    );
    headers.append("link", HeaderValue::from_str(&this).unwrap());
    for link in answer.headers().get_all("link") {
        headers.append("link", link.clone());
    }
    (status, headers, answer.bytes().await.unwrap())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers[name].to_str().unwrap()
}

struct Emulator {
    url: String,
    _door: Served,
    _process: Process,
}

impl Emulator {
    async fn start(seed: &Value) -> Result<Self, LabError> {
        let program = find("okta-emulator")?;
        let port = free_port()?;
        let folder = tempfile::tempdir().unwrap().keep();
        let file = folder.join("seed.json");
        std::fs::write(&file, seed.to_string()).unwrap();
        // Of itself it would listen on every address of the machine.
        let loopback = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/okta-client/loopback.cjs");
        let port_argument = port.to_string();
        let arguments = [
            "--require".as_ref(),
            loopback.as_os_str(),
            program.as_os_str(),
            "--service".as_ref(),
            "okta".as_ref(),
            "--port".as_ref(),
            port_argument.as_ref(),
            "--seed".as_ref(),
            file.as_os_str(),
        ];
        let mut process = Process::start(&node_js()?, arguments, &folder)?;
        process.wait_for_port(port)?;
        let router = Router::new()
            .fallback(pass)
            .with_state(format!("http://127.0.0.1:{port}"));
        let (stopping, _) = watch::channel(false);
        let door = Served::start(router, 0, stopping).await.unwrap();
        Ok(Self {
            url: format!("http://{}", door.address()),
            _door: door,
            _process: process,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_that_others_wrote_is_read_completely() {
    let person = |n: usize| {
        let status = match n {
            3 => "SUSPENDED",
            5 => "DEPROVISIONED",
            7 => "LOCKED_OUT",
            _ => "ACTIVE",
        };
        json!({"okta_id": format!("00u{n:017}"), "login": email(n), "status": status})
    };
    fn email(n: usize) -> String {
        format!("p{n:02}@example.com")
    }
    let groups = ["Law", "Tax", "Nobody"];
    let group = |(n, name): (usize, &&str)| json!({"okta_id": format!("00g{n:017}"), "name": name});
    let member = |n: usize| {
        let group = format!("00g{:017}", n % 2);
        json!({"group_okta_id": group, "user_okta_id": format!("00u{n:017}")})
    };
    let seed = json!({"okta": {
        "users": (0..70).map(person).collect::<Vec<_>>(),
        "groups": groups.iter().enumerate().map(group).collect::<Vec<_>>(),
        "group_memberships": (0..70).map(member).collect::<Vec<_>>(),
    }});
    let test = "an_emulator_that_others_wrote_is_read_completely";
    let Some(emulator) = or_skip(test, Emulator::start(&seed).await) else {
        return;
    };

    let setup = OktaSetup {
        settings: OktaSettings::new(emulator.url.parse().unwrap()),
        credentials: Credentials::ApiToken(TOKEN.into()),
    };
    let seen = read(setup).await;
    let state = |n: usize| seen.users[&email(n)];
    // Somebody of its own comes with it.
    let ours = seen
        .users
        .keys()
        .filter(|email| email.ends_with("@example.com"));
    assert_eq!(ours.count(), 70);
    assert_eq!(state(3), AccountState::Disabled);
    assert_eq!(state(5), AccountState::Deleted);
    assert_eq!(state(7), AccountState::Active);
    assert_eq!(seen.ids[&email(69)], format!("00u{:017}", 69));
    let sizes = ["Law", "Tax", "Nobody"].map(|name| seen.groups[name].len());
    assert_eq!(sizes, [35, 35, 0]);
}
