//! Requests and answers against the API's description that Okta publishes: Prism stands between the
//! two and refuses what doesn't fit. And Okta's own client, which sees whom our source sees.

use std::collections::BTreeMap;

use directory_sync::api::spec::AccountMeaning;
use directory_sync::directory::AccountState;
use directory_sync::source::okta::UserScope;
use directory_sync_testing::{VendorClient, client};
use serde::Deserialize;
use simulators::lab::{LabError, Prism, find, or_skip};
use simulators::okta::{Config, SimulatedOkta, Status, UserSeed};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_fit_the_description_that_okta_publishes() {
    let okta = company(Config::default()).await;
    let test = "requests_and_answers_fit_the_description_that_okta_publishes";
    let prism = find("okta-openapi")
        .and_then(|description| Prism::before(&okta.listens_at(), &description));
    let Some(prism) = or_skip(test, prism) else {
        return;
    };
    okta.set_public_url(prism.url());
    for status in Status::ALL {
        let email = format!("{}@example.com", status.name().to_lowercase());
        let id = okta.user(UserSeed::new(&email).status(status));
        okta.application("0oabitwarden", &[&id], &["00g00000000000000009"]);
    }

    // Everything that a read asks for: both lists of users, groups, members, assignments.
    let mut settings = settings(&okta);
    settings.statuses.deprovisioned = Some(AccountMeaning::Disabled);
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
    let answer = client()
        .get(format!("{}/api/v1/users?limit=many", prism.url()))
        .header("Authorization", format!("SSWS {TOKEN}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 422);
}

#[derive(Debug, Deserialize)]
struct Organization {
    users: Vec<User>,
    deprovisioned: Vec<User>,
    found: Vec<User>,
    groups: BTreeMap<String, Vec<String>>,
    refused: Refused,
}

#[derive(Debug, Deserialize)]
struct User {
    id: String,
    email: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Refused {
    status: u16,
    code: String,
}

impl Organization {
    /// As the vendor's client sees it; `Err` where the client isn't here.
    async fn seen(okta: &SimulatedOkta) -> Result<Self, LabError> {
        let client = find("okta-client")?;
        let script = VendorClient::node("okta-client/read.cjs")?;
        let script = script.with([client.ancestors().nth(2).unwrap()]);
        Ok(script.with([&okta.url(), TOKEN]).read().await)
    }

    /// Everybody as our source would have it with the defaults of every field.
    fn people(&self) -> BTreeMap<String, (String, AccountState)> {
        let person = |user: &User| {
            let state = match user.status.as_str() {
                "DEPROVISIONED" => AccountState::Deleted,
                "SUSPENDED" => AccountState::Disabled,
                _ => AccountState::Active,
            };
            (user.email.clone(), (user.id.clone(), state))
        };
        self.users
            .iter()
            .chain(&self.deprovisioned)
            .map(person)
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oktas_own_client_sees_the_same_people_and_groups() {
    let okta = company(Config::default()).await;
    okta.user(UserSeed::new("hal@example.com").status(Status::Suspended));
    okta.user(UserSeed::new("ian@example.com").status(Status::Deprovisioned));

    let test = "oktas_own_client_sees_the_same_people_and_groups";
    let Some(theirs) = or_skip(test, Organization::seen(&okta).await) else {
        return;
    };
    let ours = read(settings(&okta)).await;
    let people = ours.users.iter().map(|(email, state)| {
        let id = ours.ids[email].clone();
        (email.clone(), (id, *state))
    });
    assert_eq!(theirs.people(), people.collect());
    assert_eq!(
        theirs.users.len(),
        8,
        "a list leaves out who is deprovisioned"
    );
    assert_eq!(theirs.found.len(), 1);
    assert_eq!(theirs.groups, ours.groups);
    assert_eq!(
        (theirs.refused.status, theirs.refused.code.as_str()),
        (404, "E0000007")
    );
}
