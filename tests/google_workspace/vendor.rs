//! Requests and answers against the API's description that Google publishes (its discovery
//! document): Prism stands between the two and refuses what doesn't fit. And Google's own client, which
//! sees whom our source sees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use directory_sync::directory::AccountState;
use directory_sync::source::google_workspace::{GroupSettings, Tenant};
use directory_sync_testing::{VendorClient, client};
use serde::Deserialize;
use serde_json::Value;
use simulators::google_workspace::{Config, GroupSeed, Member, Pages, SimulatedGoogle, UserSeed};
use simulators::lab::{LabError, Prism, find, or_skip};

use crate::harness::*;

/// Google's document in a form that Prism reads.
async fn description(folder: &Path) -> Result<PathBuf, LabError> {
    let converter = find("google-discovery-to-swagger")?;
    let document = find("google-discovery")?;
    let described = folder.join("directory.json");
    let script = VendorClient::node("google/describe.cjs")?;
    let script = script.with([&converter, &document, &described]);
    script.printed().await;
    Ok(described)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_fit_the_description_that_google_publishes() {
    let google = company(Config::default()).await;
    let test = "requests_and_answers_fit_the_description_that_google_publishes";
    let folder = tempfile::tempdir().unwrap();
    let described = description(folder.path()).await;
    let prism = described.and_then(|description| Prism::before(&google.listens_at(), &description));
    let Some(prism) = or_skip(test, prism) else {
        return;
    };
    google.user(
        UserSeed::new("hal@example.com")
            .suspended()
            .alias("h@example.com")
            .other_alias("hal@example.org")
            .unit("/Staff"),
    );
    google.user(UserSeed::new("ian@example.com").archived());
    let mixed = GroupSeed::new("mixed@example.com", "Mixed")
        .member(Member::Customer)
        .member(Member::Group("law".into()));
    let outsider = Member::External {
        email: "zoe@partner.example".into(),
        id: None,
    };
    google.group(mixed.member(outsider));

    // Everything that a read asks for: by customer and by domain, with each field and query.
    let mut everything = settings(&google);
    everything.addresses.directory = prism.url().parse().unwrap();
    let seen = read(everything.clone()).await;
    assert_eq!((seen.users.len(), seen.groups.len()), (10, 5));
    everything.tenant = Tenant::Domains(vec!["example.com".into()]);
    everything.users.organizational_units = vec!["/Staff".into()];
    everything.users.email_domain = Some("example.org".into());
    everything.users.query = Some("email:h*".into());
    everything.groups = Some(GroupSettings {
        query: Some("email:mixed*".into()),
    });
    let some = read(everything.clone()).await;
    assert_eq!(colleagues(&some), ["hal@example.org"]);
    assert_eq!(some.group_names(), ["Mixed"]);

    // What Google refuses has the form that Google describes.
    everything.users.query = Some("shoeSize=42".into());
    let refused = refusal(everything).await;
    refused.says("Invalid Input: query");

    // And the proxy does look: at answers, which are an error of the server's where they don't fit,
    google.set_pages(Pages::Misshapen);
    let mut misshapen = settings(&google);
    misshapen.addresses.directory = prism.url().parse().unwrap();
    refusal(misshapen).await.says("500");
    // and at requests: a page size that is no number isn't one of Google's.
    let url = format!("{}/admin/directory/v1/users?maxResults=many", prism.url());
    let answer = client().get(url).bearer_auth("any").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422);
}

#[derive(Debug, Deserialize)]
struct Customer {
    users: Vec<User>,
    deleted: Vec<String>,
    /// Emails of the members who are people, by the group's name.
    groups: BTreeMap<String, Vec<String>>,
    refused: u16,
}

#[derive(Debug, Deserialize)]
struct User {
    id: String,
    email: String,
    disabled: bool,
}

impl Customer {
    /// As the vendor's client sees it; `Err` where the client isn't here.
    async fn seen(google: &SimulatedGoogle, folder: &Path) -> Result<Self, LabError> {
        let client = find("google-client")?;
        let packages = client.ancestors().nth(2).unwrap();
        let mut key: Value = serde_json::from_str(&google.key_file()).unwrap();
        key["token_uri"] = format!("{}/token", google.url()).into();
        let key_file = folder.join("key.json");
        std::fs::write(&key_file, key.to_string()).unwrap();
        let script = VendorClient::python("google/read.py", packages);
        let arguments =
            [google.url().as_str(), key_file.to_str().unwrap(), ADMIN].map(str::to_owned);
        Ok(script.with(arguments).read().await)
    }

    fn people(&self) -> BTreeMap<String, (String, AccountState)> {
        let person = |user: &User| {
            let state = match user.disabled {
                true => AccountState::Disabled,
                false => AccountState::Active,
            };
            (user.email.clone(), (user.id.clone(), state))
        };
        self.users.iter().map(person).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_own_client_sees_the_same_people_and_groups() {
    let google = company(Config::default()).await;
    google.user(UserSeed::new("hal@example.com").suspended());
    google.user(UserSeed::new("ian@example.com").archived());

    let test = "googles_own_client_sees_the_same_people_and_groups";
    let folder = tempfile::tempdir().unwrap();
    let Some(theirs) = or_skip(test, Customer::seen(&google, folder.path()).await) else {
        return;
    };
    let ours = read(settings(&google)).await;
    let people = ours.users.iter().map(|(email, state)| {
        let id = ours.ids[email].clone();
        (email.clone(), (id, *state))
    });
    assert_eq!(theirs.people(), people.collect());
    assert_eq!(theirs.people().len(), 10);
    assert_eq!(theirs.groups, ours.groups);
    assert_eq!(theirs.deleted, [] as [String; 0]);
    assert_eq!(theirs.refused, 404);
}
