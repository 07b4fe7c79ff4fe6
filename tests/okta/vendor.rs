//! Requests and answers against the API's description that Okta publishes: Prism stands between the
//! two and refuses what doesn't fit.

use std::net::TcpStream;
use std::time::Duration;

use directory_sync::directory::AccountState;
use directory_sync::source::okta::UserScope;
use simulators::lab::process::Process;
use simulators::lab::{LabError, find, free_port, skip};
use simulators::okta::{Config, SimulatedOkta, Status, UserSeed};

use crate::harness::*;

/// A proxy that knows Okta's description of its API.
struct Prism {
    url: String,
    _process: Process,
}

impl Prism {
    fn before(okta: &SimulatedOkta) -> Result<Self, LabError> {
        let (prism, description) = (find("prism")?, find("okta-openapi")?);
        let port = free_port()?;
        let folder = tempfile::tempdir().unwrap().keep();
        let arguments = [
            prism.to_str().unwrap(),
            "proxy",
            "--errors",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            description.to_str().unwrap(),
            &okta.listens_at(),
        ]
        .map(str::to_owned);
        let mut process = Process::start(&node()?, arguments, &folder)?;
        process.wait_until(Duration::from_secs(60), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            _process: process,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_fit_the_description_that_okta_publishes() {
    let okta = company(Config::default()).await;
    let prism = match Prism::before(&okta) {
        Ok(prism) => prism,
        Err(error @ LabError::Missing { .. }) => {
            let test = "requests_and_answers_fit_the_description_that_okta_publishes";
            return skip(test, &error.to_string());
        }
        Err(error) => panic!("{error}"),
    };
    okta.set_public_url(&prism.url);
    for status in Status::ALL {
        let email = format!("{}@example.com", status.name().to_lowercase());
        let id = okta.user(UserSeed::new(&email).status(status));
        okta.application("0oabitwarden", &[&id], &["00g00000000000000009"]);
    }

    let client = http();
    // Everything that a read asks for: both lists of users, groups, members, assignments.
    let mut settings = settings(&okta);
    settings.statuses.deprovisioned = Some(AccountState::Disabled);
    let all = read(settings.clone()).await;
    assert_eq!(all.users.len(), 15);
    assert_eq!(all.groups.len(), 4);
    settings.users = UserScope::Search(r#"profile.email sw "d""#.into());
    settings.application_id = Some("0oabitwarden".into());
    let some = read(settings.clone()).await;
    assert_eq!(some.emails(), ["deprovisioned@example.com"]);
    assert_eq!(some.group_names(), ["Law"]);

    // What Okta refuses has the form that Okta describes.
    settings.users = UserScope::Search("(".into());
    let refused = failure(settings).await;
    assert!(refused.message.contains("E0000031"), "{refused}");

    // And the proxy does look: a page size that is no number isn't one of Okta's.
    let answer = client
        .get(format!("{}/api/v1/users?limit=many", prism.url))
        .header("Authorization", format!("SSWS {TOKEN}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 422);
}
