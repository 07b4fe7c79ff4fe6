//! The client that OneLogin publishes reads the simulated account, and sees whom our source sees.

use std::collections::BTreeMap;

use directory_sync::api::spec::{OneLoginAttribute, OneLoginGroupsFrom};
use directory_sync::directory::AccountState;
use directory_sync_testing::VendorClient;
use serde::Deserialize;
use simulators::lab::{LabError, find, or_skip};
use simulators::one_login::{Config, SimulatedOneLogin, UserSeed};

use crate::harness::*;

#[derive(Debug, Deserialize)]
struct Account {
    users: Vec<User>,
    /// Members' ids by the role's name.
    roles: BTreeMap<String, Vec<u64>>,
    /// The names of groups, by id.
    groups: BTreeMap<String, String>,
    limit: u32,
    refused: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct User {
    id: u64,
    email: Option<String>,
    username: Option<String>,
    status: i64,
    state: i64,
    group_id: Option<u64>,
    firstname: Option<String>,
}

impl Account {
    /// As the vendor's client sees it; `Err` where the client isn't here.
    async fn seen(one_login: &SimulatedOneLogin, attribute: &str) -> Result<Self, LabError> {
        let client = find("onelogin-client")?;
        let packages = client.ancestors().nth(2).unwrap();
        let script = VendorClient::python("onelogin/read.py", packages);
        let script = script.with([&one_login.url(), CLIENT_ID, CLIENT_SECRET]);
        let attribute = Some(attribute).filter(|attribute| !attribute.is_empty());
        Ok(script.with(attribute).read().await)
    }

    /// Everybody as our source would have it with the defaults of every field.
    fn people(&self) -> BTreeMap<String, (String, AccountState)> {
        let person = |user: &User| {
            assert_eq!(user.state, 1);
            assert_eq!(user.firstname, None, "only the fields that were asked for");
            let state = match user.status {
                2 => AccountState::Disabled,
                _ => AccountState::Active,
            };
            let email = user.email.as_ref().or(user.username.as_ref()).unwrap();
            (email.clone(), (user.id.to_string(), state))
        };
        self.users.iter().map(person).collect()
    }

    fn emails(&self, ids: impl Iterator<Item = u64>) -> Vec<String> {
        let email = |id| {
            let user = self.users.iter().find(|user| user.id == id).unwrap();
            user.email.clone().or(user.username.clone()).unwrap()
        };
        let mut emails: Vec<String> = ids.map(email).collect();
        emails.sort();
        emails
    }
}

fn people(seen: &Seen) -> BTreeMap<String, (String, AccountState)> {
    let person = |(email, state): (&String, &AccountState)| {
        let id = seen.ids[email].clone();
        (email.clone(), (id, *state))
    };
    seen.users.iter().map(person).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn onelogins_own_client_sees_the_same_people_roles_and_groups() {
    let (one_login, ann) = company(Config::default()).await;
    one_login.user(UserSeed::new("hal@example.com").with("status", 2));
    one_login.user(UserSeed::named("ida@example.com").with("directory_id", 5));

    let test = "onelogins_own_client_sees_the_same_people_roles_and_groups";
    let Some(theirs) = or_skip(test, Account::seen(&one_login, "").await) else {
        return;
    };
    let ours = read(settings(&one_login)).await;
    assert_eq!(theirs.users.len(), 9);
    assert_eq!(theirs.people(), people(&ours));
    let roles: BTreeMap<_, _> = theirs
        .roles
        .iter()
        .map(|(name, ids)| (name.clone(), theirs.emails(ids.iter().copied())))
        .collect();
    assert_eq!(roles, ours.groups);
    assert_eq!(theirs.limit, 5_000);
    assert_eq!(theirs.refused, Some(404));

    let mut by_department = settings(&one_login);
    by_department.attributes = vec![OneLoginAttribute {
        attribute: "directory_id".into(),
        value: "5".into(),
    }];
    let theirs = Account::seen(&one_login, "directory_id=5").await.unwrap();
    assert_eq!(theirs.people(), people(&read(by_department).await));
    assert_eq!(theirs.users.len(), 1);
    assert!(ann < theirs.users[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn onelogins_own_client_sees_the_same_groups_as_far_as_it_reads_them() {
    // It knows no second page of groups.
    let (one_login, _) = company_with(Config::default()).await;
    let test = "onelogins_own_client_sees_the_same_groups_as_far_as_it_reads_them";
    let Some(theirs) = or_skip(test, Account::seen(&one_login, "").await) else {
        return;
    };
    let mut by_groups = settings(&one_login);
    by_groups.groups = Some(OneLoginGroupsFrom::Groups);
    let ours = read(by_groups).await;
    let members = |id: &String| {
        let inside = theirs.users.iter();
        let inside = inside.filter(|user| user.group_id.is_some_and(|of| of.to_string() == *id));
        theirs.emails(inside.map(|user| user.id))
    };
    let groups = theirs.groups.iter();
    let groups: BTreeMap<_, _> = groups
        .map(|(id, name)| (name.clone(), members(id)))
        .collect();
    assert_eq!(groups, ours.groups);
}
