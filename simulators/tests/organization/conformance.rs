//! What is known of the real servers, sentence by sentence, as requests and expected answers.
//!
//! The tables beside this file were written from what the servers do, without looking at the
//! simulator or at the client. Each row says on which servers it holds (`on`, else the cloud), what is
//! there (`given`, besides a confirmed owner), what is asked, and what the organization holds in the end
//! (`then`).
//!
//! In texts `<ann@example.com>` stands for the id of a member, `<group Law>` for the id of a group,
//! `<x*100>` for so many x. In an expected body objects may have more fields than are named, lists not
//! more elements; `<any>` is anything but null, `<absent>` a field that isn't there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use simulators::organization::{Config, Plan, Profile, RateLimits, Seats, Seed};

use crate::client::{Signed, signed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    says: String,
    #[serde(default)]
    on: Vec<String>,
    #[serde(default, rename = "with")]
    settings: Settings,
    #[serde(default)]
    given: Value,
    steps: Vec<Step>,
    then: Option<End>,
}

/// What the organization's server is set to.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Settings {
    plan: Option<BTreeMap<String, bool>>,
    seats: Option<Seats>,
    can_stage: Option<bool>,
    requires_two_step: bool,
    rate_limits: bool,
    fails_invites: Option<String>,
    accepted_without_mail: Vec<String>,
    collections: Vec<String>,
}

/// A request, and what is answered. `ask` names method and path; `import` and `token` are the two calls
/// with what differs from a valid body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    ask: Option<String>,
    send: Option<Value>,
    import: Option<Map<String, Value>>,
    /// Rows that the import has besides.
    #[serde(default)]
    members: usize,
    #[serde(default)]
    groups: usize,
    /// Fields of the form; null leaves one out.
    token: Option<BTreeMap<String, Option<String>>>,
    /// Another token than the one that was given; empty: none.
    bearer: Option<String>,
    #[serde(default = "once")]
    times: usize,
    status: u16,
    #[serde(default)]
    body: Value,
    /// The body holds this; empty: there is no body.
    text: Option<String>,
    #[serde(rename = "type")]
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn once() -> usize {
    1
}

/// What the organization holds in the end; what isn't named isn't looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    /// Status and external id (`-`: none) of every member but the owner.
    members: Option<BTreeMap<String, String>>,
    owner: Option<String>,
    /// The members' emails, by name and external id of every group.
    groups: Option<BTreeMap<String, Vec<String>>>,
    /// How many mails were sent, by address.
    invitations: Option<BTreeMap<String, u64>>,
}

struct Answered {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

fn config(server: &str, settings: &Settings) -> Config {
    let mut config = match server {
        "cloud" => Config::cloud(),
        "self-hosted" => Config::self_hosted(),
        "official-lite" => Config::lite(),
        "official-2025.10" => Config::of_2025_10(),
        "vaultwarden" => Config::vaultwarden(),
        "vaultwarden-without-groups" => Config {
            profile: Profile::Vaultwarden { groups: false },
            ..Config::vaultwarden()
        },
        other => panic!("there is no server {other}"),
    };
    if let Some(plan) = &settings.plan {
        config.plan = Plan {
            directory: plan["directory"],
            groups: plan["groups"],
            custom_permissions: plan.get("customPermissions").copied().unwrap_or(true),
        };
    }
    if let Some(seats) = settings.seats {
        config.seats = seats;
    }
    if let Some(can_stage) = settings.can_stage {
        config.can_stage = can_stage;
    }
    config.requires_two_step = settings.requires_two_step;
    config.rate_limits = settings.rate_limits.then(|| RateLimits {
        // Six requests must fit into it, however busy the machine.
        second: std::time::Duration::from_secs(5),
        ..RateLimits::cloud()
    });
    config.fails_invites.clone_from(&settings.fails_invites);
    config
        .accepted_without_mail
        .clone_from(&settings.accepted_without_mail);
    config.collections.clone_from(&settings.collections);
    config
}

/// The ids by their placeholders, as the organization is now.
fn ids(signed: &Signed) -> Vec<(String, String)> {
    let state = &signed.organization;
    let members = state.snapshot().members.into_keys();
    let members = members.filter_map(|email| {
        let id = state.member_id(&email)?;
        Some((format!("<{email}>"), id.to_string()))
    });
    let groups = state.group_ids();
    let groups = groups
        .into_iter()
        .map(|(name, id)| (format!("<group {name}>"), id.to_string()));
    members.chain(groups).collect()
}

fn fill(text: &str, ids: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (placeholder, id) in ids {
        text = text.replace(placeholder, id);
    }
    // `<x*100>`
    while let Some(star) = text.find('*')
        && let Some(start) = text[..star].rfind('<')
        && let Some(length) = text[star..].find('>')
    {
        let times: usize = text[star + 1..star + length].parse().unwrap();
        let repeated = text[start + 1..star].repeat(times);
        text.replace_range(start..=star + length, &repeated);
    }
    text
}

fn fill_all(value: &Value, ids: &[(String, String)]) -> Value {
    match value {
        Value::String(text) => fill(text, ids).into(),
        Value::Array(values) => values.iter().map(|value| fill_all(value, ids)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), fill_all(value, ids)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// Where `seen` isn't what is `expected`.
fn difference(expected: &Value, seen: Option<&Value>, at: &str) -> Option<String> {
    let shown = seen.map_or("nothing".to_owned(), ToString::to_string);
    let differs = || Some(format!("{at}: expected {expected}, got {shown}"));
    match (expected, seen) {
        (Value::String(text), None) if text == "<absent>" => None,
        (Value::String(text), None | Some(Value::Null)) if text == "<null or absent>" => None,
        (Value::String(text), Some(value)) if text == "<any>" && !value.is_null() => None,
        (Value::Object(fields), Some(Value::Object(seen))) => {
            let mut fields = fields.iter();
            fields.find_map(|(name, value)| {
                difference(value, seen.get(name), &format!("{at}.{name}"))
            })
        }
        (Value::Array(values), Some(Value::Array(seen))) if values.len() == seen.len() => {
            let mut pairs = values.iter().zip(seen).enumerate();
            pairs
                .find_map(|(n, (value, seen))| difference(value, Some(seen), &format!("{at}[{n}]")))
        }
        (expected, Some(seen)) if expected == seen => None,
        _ => differs(),
    }
}

impl Step {
    fn body_to_send(&self, ids: &[(String, String)]) -> Option<Value> {
        let Some(import) = &self.import else {
            return self.send.as_ref().map(|body| fill_all(body, ids));
        };
        let mut body = json!({"groups": [], "members": [], "overwriteExisting": false});
        for (name, value) in import {
            body[name] = fill_all(value, ids);
        }
        let members = body["members"].as_array_mut().unwrap();
        members.extend((0..self.members).map(
            |n| json!({"email": format!("m{n}@example.com"), "externalId": format!("m{n}"), "deleted": false}),
        ));
        let groups = body["groups"].as_array_mut().unwrap();
        groups.extend((0..self.groups).map(
            |n| json!({"name": format!("g{n}"), "externalId": format!("g{n}"), "memberExternalIds": []}),
        ));
        Some(body)
    }

    async fn ask(&self, signed: &Signed) -> Answered {
        let ids = ids(signed);
        let base = signed.organization.url();
        let request = if let Some(fields) = &self.token {
            let mut form: BTreeMap<&str, String> = signed.form().into_iter().collect();
            for (name, value) in fields {
                match value {
                    Some(value) => form.insert(name, value.clone()),
                    None => form.remove(name.as_str()),
                };
            }
            let url = format!("{base}/identity/connect/token");
            signed.http.post(url).form(&form)
        } else {
            let import = "POST /api/public/organization/import".to_owned();
            let ask = fill(self.ask.as_ref().unwrap_or(&import), &ids);
            let (method, path) = ask.split_once(' ').unwrap();
            let method: Method = method.parse().unwrap();
            let mut request = signed.http.request(method, format!("{base}{path}"));
            match self.bearer.as_deref().unwrap_or(&signed.token) {
                "" => {}
                token => request = request.bearer_auth(token),
            }
            match self.body_to_send(&ids) {
                Some(body) => request.json(&body),
                None => request,
            }
        };
        let response = request.send().await.unwrap();
        Answered {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    fn judge(&self, answer: &Answered, ids: &[(String, String)]) -> Option<String> {
        let Answered { status, text, .. } = answer;
        if *status != self.status {
            let text: String = text.chars().take(200).collect();
            return Some(format!("expected {}, got {status} {text}", self.status));
        }
        match self.text.as_deref() {
            Some("") if !text.is_empty() => return Some(format!("a body: {text}")),
            Some(expected) if !text.contains(expected) => {
                return Some(format!("expected {expected}, got {text}"));
            }
            _ => {}
        }
        let header = |name: &str| Some(answer.headers.get(name)?.to_str().unwrap());
        if let Some(expected) = &self.content_type {
            let seen = header("content-type").unwrap_or_default();
            if !seen.starts_with(expected) {
                return Some(format!("expected {expected}, got {seen}"));
            }
        }
        for (name, expected) in &self.headers {
            let seen = header(name).map(Value::from);
            let differs = difference(&expected.as_str().into(), seen.as_ref(), name);
            if differs.is_some() {
                return differs;
            }
        }
        if self.body.is_null() {
            return None;
        }
        match serde_json::from_str(text) {
            Ok(seen) => difference(&fill_all(&self.body, ids), Some(&seen), "body"),
            Err(_) => Some(format!("expected JSON, got {text:?}")),
        }
    }
}

impl End {
    async fn judge(&self, signed: &Signed) -> Option<String> {
        let url = format!("{}/simulator/state", signed.organization.url());
        let state = signed.http.get(url).send().await.unwrap();
        let state: Value = serde_json::from_str(&state.text().await.unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let mut members: BTreeMap<String, String> = state["organization"]["members"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(email, member)| {
                let shown = format!(
                    "{} {}",
                    text(&member["status"]),
                    text(&member["externalId"])
                );
                (email.clone(), shown)
            })
            .collect();
        let owner = members.remove("owner@example.com");
        let groups: BTreeMap<String, Vec<String>> = state["organization"]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| {
                let emails = group["members"].as_array().unwrap().iter();
                let name = format!("{} {}", text(&group["name"]), text(&group["externalId"]));
                (name, emails.map(text).collect())
            })
            .collect();
        let invitations: BTreeMap<String, u64> =
            serde_json::from_value(state["invitations"].clone()).unwrap();

        let mut differences = String::new();
        if let Some(expected) = &self.members {
            let expected = expected.iter();
            let expected: BTreeMap<_, _> = expected
                .map(|(email, shown)| (fill(email, &[]), fill(shown, &[])))
                .collect();
            if expected != members {
                let _ = write!(
                    differences,
                    "members: expected {expected:?}, got {members:?} "
                );
            }
        }
        if self.owner.is_some() && self.owner != owner {
            let _ = write!(differences, "owner: {owner:?} ");
        }
        if let Some(expected) = &self.groups
            && *expected != groups
        {
            let _ = write!(
                differences,
                "groups: expected {expected:?}, got {groups:?} "
            );
        }
        if let Some(expected) = &self.invitations
            && *expected != invitations
        {
            let _ = write!(
                differences,
                "invitations: expected {expected:?}, got {invitations:?}"
            );
        }
        (!differences.is_empty()).then_some(differences)
    }
}

impl Row {
    async fn run(&self, server: &str) -> Option<String> {
        let signed = signed(config(server, &self.settings)).await;
        if !self.given.is_null() {
            let seed: Seed = serde_json::from_value(self.given.clone()).unwrap();
            signed.organization.seed(seed).unwrap();
        }
        for (number, step) in self.steps.iter().enumerate() {
            for _ in 0..step.times {
                let before = ids(&signed);
                let answer = step.ask(&signed).await;
                let ids = before.into_iter().chain(ids(&signed)).collect::<Vec<_>>();
                if let Some(why) = step.judge(&answer, &ids) {
                    return Some(format!("step {}: {why}", number + 1));
                }
            }
        }
        self.then.as_ref()?.judge(&signed).await
    }
}

/// Runs every row of a table on each of its servers, and tells of all that fail at once.
async fn holds(table: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/organization/conformance")
        .join(table);
    let rows: Vec<Row> = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(!rows.is_empty());
    let mut failures = String::new();
    for row in &rows {
        let cloud = ["cloud".to_owned()];
        let servers = if row.on.is_empty() {
            &cloud[..]
        } else {
            &row.on
        };
        for server in servers {
            if let Some(why) = row.run(server).await {
                let _ = writeln!(failures, "{server}: {}\n    {why}", row.says);
            }
        }
    }
    assert!(failures.is_empty(), "{table}:\n{failures}");
}

#[tokio::test]
async fn what_is_known_of_tokens_holds() {
    holds("token.yaml").await;
}

#[tokio::test]
async fn what_is_known_of_the_import_holds() {
    holds("import.yaml").await;
}

#[tokio::test]
async fn what_is_known_of_members_holds() {
    holds("members.yaml").await;
}

#[tokio::test]
async fn what_is_known_of_groups_holds() {
    holds("groups.yaml").await;
}

#[tokio::test]
async fn what_is_known_of_collections_and_policies_holds() {
    holds("collections.yaml").await;
}

#[tokio::test]
async fn what_is_known_of_rate_limits_holds() {
    holds("limits.yaml").await;
}

#[tokio::test]
async fn what_is_known_of_vaultwarden_holds() {
    holds("vaultwarden.yaml").await;
}

#[test]
fn a_difference_is_seen() {
    let expected = json!({"list": [{"a": 1}], "gone": "<absent>", "set": "<any>"});
    let seen = json!({"list": [{"a": 1, "b": 2}], "set": 0, "more": true});
    assert_eq!(difference(&expected, Some(&seen), ""), None);
    for wrong in [
        json!({"list": [], "set": 0}),
        json!({"list": [{"a": 2}], "set": 0}),
        json!({"list": [{"a": 1}], "set": null}),
        json!({"list": [{"a": 1}], "set": 0, "gone": null}),
    ] {
        assert!(difference(&expected, Some(&wrong), "").is_some(), "{wrong}");
    }
    assert_eq!(fill("<x*3>@<yz*2>", &[]), "xxx@yzyz");
}
