//! Microsoft's own client reads the simulated tenant and sees whom our source sees; and the types that
//! Microsoft publishes are those that the simulated Graph goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use directory_sync::directory::AccountState;
use directory_sync_testing::VendorClient;
use serde::Deserialize;
use serde_json::Value;
use simulators::entra_id::{Config, PageSizes, SimulatedEntra, UserSeed};
use simulators::lab::{LabError, find, or_skip};

use crate::harness::*;

#[derive(Debug, Deserialize)]
struct Tenant {
    users: Vec<User>,
    /// Type and id of every member, by the group's name.
    groups: BTreeMap<String, Vec<(String, String)>>,
    deleted: Vec<String>,
    disabled: usize,
    refused: Refused,
    batch: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    mail: Option<String>,
    user_principal_name: String,
    account_enabled: bool,
}

#[derive(Debug, Deserialize)]
struct Refused {
    status: u16,
    code: String,
    message: String,
}

impl Tenant {
    /// As the vendor's client sees it; `Err` where the client isn't here.
    async fn seen(tenant: &SimulatedEntra) -> Result<Self, LabError> {
        let client = find("graph-client")?;
        let config = tenant.config();
        let secret = &config.secret.as_ref().unwrap().value;
        let arguments = [&tenant.url(), &config.tenant_id, &config.client_id, secret];
        let script = VendorClient::node("entra/read.cjs")?.with([client]);
        Ok(script.with(arguments).read().await)
    }

    fn people(&self) -> Vec<(String, AccountState)> {
        let person = |user: &User| {
            let state = match user.account_enabled {
                true => AccountState::Active,
                false => AccountState::Disabled,
            };
            let email = user.mail.as_ref().unwrap_or(&user.user_principal_name);
            (email.to_lowercase(), state)
        };
        let mut people: Vec<_> = self.users.iter().map(person).collect();
        people.sort_by(|one, other| one.0.cmp(&other.0));
        people
    }

    /// Members as the harness shows those of our source.
    fn members(&self, group: &str, names: &BTreeMap<String, String>) -> Vec<String> {
        let member = |(kind, id): &(String, String)| match kind.as_str() {
            "#microsoft.graph.user" => {
                let user = self.users.iter().find(|user| user.id == *id).unwrap();
                user.mail.as_ref().unwrap().replace("@example.com", "")
            }
            "#microsoft.graph.group" => format!("group:{}", names[id]),
            other => panic!("{other}"),
        };
        let mut members: Vec<String> = self.groups[group].iter().map(member).collect();
        members.sort();
        members
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_own_client_sees_the_same_people_and_groups() {
    let tenant = tenant_with(Config {
        pages: PageSizes {
            usual: 2,
            ..PageSizes::default()
        },
        ..Config::default()
    })
    .await;
    let people = ["ann", "bob", "cid", "dot", "eve"].map(|n| tenant.add_user(UserSeed::new(n)));
    tenant.add_user(UserSeed::new("hal").disabled());
    let gone = tenant.add_user(UserSeed::new("ian"));
    let law = tenant.add_group("Law", people[..3].to_vec());
    tenant.add_group("All", [people.to_vec(), vec![law]].concat());
    tenant.add_group("Empty", []);
    tenant.change(|admin| admin.delete(gone));

    let test = "microsofts_own_client_sees_the_same_people_and_groups";
    let Some(theirs) = or_skip(test, Tenant::seen(&tenant).await) else {
        return;
    };
    let ours = read(settings(&tenant)).await;
    let live = crate::harness::people(&ours)
        .into_iter()
        .filter(|(_, state)| *state != AccountState::Deleted);
    assert_eq!(theirs.people(), live.collect::<Vec<_>>());
    let names = BTreeMap::from([(law.to_string(), "Law".to_owned())]);
    let groups: BTreeSet<&str> = theirs.groups.keys().map(String::as_str).collect();
    assert_eq!(groups, BTreeSet::from(["All", "Empty", "Law"]));
    for group in groups {
        let mut ours = members(&ours, group);
        ours.sort();
        assert_eq!(theirs.members(group, &names), ours, "{group}");
    }
    assert_eq!(theirs.deleted, [gone.to_string()]);
    assert_eq!(theirs.disabled, 1);
    assert_eq!(
        (theirs.refused.status, theirs.refused.code.as_str()),
        (400, "BadRequest")
    );
    assert!(
        theirs.refused.message.contains("shoeSize"),
        "{:?}",
        theirs.refused
    );
    assert_eq!(theirs.batch, 2, "a page");
}

/// What Microsoft's file says of a property: its type, and the words about it.
fn published(types: &str, interface: &str) -> BTreeMap<String, (String, String)> {
    let start = types
        .find(&format!("\nexport interface {interface} "))
        .unwrap();
    let body = &types[start + 1..];
    let body = &body[..body.find("\n}").unwrap()];
    let mut properties = BTreeMap::new();
    let mut words = String::new();
    for line in body.lines().skip(1).map(str::trim) {
        if let Some(comment) = line.strip_prefix("//").or(line.strip_prefix('*')) {
            words += comment;
        } else if line.starts_with("/**") {
            words.clear();
        } else if let Some((name, kind)) = line.split_once("?: ") {
            let property = (
                kind.trim_end_matches(';').to_owned(),
                std::mem::take(&mut words),
            );
            properties.insert(name.to_owned(), property);
        }
    }
    properties
}

/// The operators in `Supports $filter (eq, ne, not , ge, le, in, and eq on null values)`.
fn operators(words: &str) -> Option<BTreeSet<String>> {
    let (_, rest) = words.split_once("Supports $filter (")?;
    let list = rest[..rest.find(')')?].replace(" and ", ", ");
    let known = [
        "eq",
        "ne",
        "not",
        "ge",
        "le",
        "in",
        "startsWith",
        "endsWith",
    ];
    let named = list
        .split(',')
        .map(|word| word.trim().trim_start_matches("and "));
    let operators =
        named.filter_map(|word| known.into_iter().find(|op| op.eq_ignore_ascii_case(word)));
    Some(operators.map(str::to_owned).collect())
}

#[test]
fn the_simulated_graph_goes_by_the_types_that_microsoft_publishes() {
    let test = "the_simulated_graph_goes_by_the_types_that_microsoft_publishes";
    let Some(types) = or_skip(test, find("graph-types")) else {
        return;
    };
    let types = std::fs::read_to_string(types).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = std::fs::read(root.join("simulators/src/entra_id/metadata.json")).unwrap();
    let ours: BTreeMap<String, Value> = serde_json::from_slice(&ours).unwrap();
    let mut compared = 0;
    for (name, kind) in &ours {
        // Of version 1.0 of the reference, but not yet of this file.
        if name == "agentUser" {
            continue;
        }
        let interface = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let theirs = published(&types, &interface);
        for (property, ours) in kind["properties"].as_object().unwrap() {
            // Of `Entity`, from which everything derives.
            if property == "id" {
                continue;
            }
            let at = format!("{name}.{property}");
            let (kind, words) = theirs
                .get(property)
                .unwrap_or_else(|| panic!("{at} isn't there"));
            let inner = kind.strip_prefix("NullableOption<");
            assert_eq!(inner.is_some(), ours["nullable"] == true, "{at} is {kind}");
            let expected = match inner.map_or(kind.as_str(), |kind| kind.trim_end_matches('>')) {
                "boolean" => "boolean",
                "string" => "string",
                "string[]" => "strings",
                "AssignedLicense[]" => "licenses",
                "PasswordCredential[]" => "objects",
                _ => "object",
            };
            assert_eq!(ours["type"], expected, "{at} is {kind}");
            let by_default = words.contains("Returned by default");
            assert_eq!(ours["default"] == true, by_default, "{at}: {words}");
            let filters = ours["filter"].as_array().cloned().unwrap_or_default();
            let filters = filters.iter().filter_map(|operator| operator.as_str());
            let filters: BTreeSet<String> = filters.map(str::to_owned).collect();
            assert_eq!(
                filters,
                operators(words).unwrap_or_default(),
                "{at}: {words}"
            );
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}
