//! People: who is read, and what becomes of an account.

use jiff::Timestamp;
use serde_json::Value;

use super::error::{Purpose, unknown_attribute};
use super::pages::{List, Version};
use super::settings::{OneLoginSettings, state_meaning, status_meaning};
use super::wire::User;
use crate::api::spec::OneLoginAttribute;
use crate::directory::{AccountState, Email, Glob, fold};
use crate::http::ApiError;
use crate::text::sanitize;

/// What is asked of each account.
pub(super) const FIELDS: [&str; 7] = [
    "id",
    "email",
    "username",
    "status",
    "state",
    "group_id",
    "updated_at",
];

/// One account, as far as it is needed.
#[derive(Debug)]
pub(super) struct Person {
    pub id: u64,
    pub email: String,
    /// What the account is, or why that isn't known.
    pub account: Result<State, String>,
    /// The name that administrators know it by.
    pub name: String,
    pub group: Option<u64>,
    /// When the account was last changed.
    pub updated: Option<Timestamp>,
}

/// Whether an account may be used, and what says so.
#[derive(Debug)]
pub(super) struct State {
    pub state: AccountState,
    /// The field that says so.
    pub field: &'static str,
    /// The value that the field must have.
    pub value: String,
}

/// The list of people.
pub(super) fn list(settings: &OneLoginSettings) -> List {
    let mut fields: Vec<&str> = FIELDS.to_vec();
    for attribute in &settings.attributes {
        if let Some(field) = field(&attribute.attribute).filter(|field| !fields.contains(field)) {
            fields.push(field);
        }
    }
    let mut query = vec![("fields".to_owned(), fields.join(","))];
    let attributes = settings.attributes.iter();
    query.extend(attributes.map(|wanted| (wanted.attribute.clone(), wanted.value.clone())));
    List {
        version: Version::Two,
        path: vec!["users".to_owned()],
        query,
        endpoint: "GET /api/2/users",
        purpose: match settings.attributes.is_empty() {
            true => Purpose::List,
            false => Purpose::Query,
        },
    }
}

/// What of an account is kept; `None` where it is as if it weren't there.
///
/// # Errors
/// When nobody can say whether the account has an attribute's value.
pub(super) fn keep(settings: &OneLoginSettings, user: User) -> Result<Option<Person>, ApiError> {
    let name = [user.username.as_deref(), user.email.as_deref()]
        .into_iter()
        .flatten()
        .find(|text| !text.trim().is_empty())
        .map_or_else(|| user.id.to_string(), str::to_owned);
    for wanted in &settings.attributes {
        if !has(&user, wanted, &name)? {
            return Ok(None);
        }
    }
    let Some(account) = state(settings, &user).transpose() else {
        return Ok(None);
    };
    Ok(Some(Person {
        id: user.id,
        email: email(settings, &user),
        account,
        name,
        group: user.group_id,
        updated: user
            .updated_at
            .as_deref()
            .and_then(|time| time.parse().ok()),
    }))
}

/// The more restrictive of what status and state mean; `None` where it is as if there were no such
/// account, an error where OneLogin says what this version doesn't know.
pub(super) fn state(settings: &OneLoginSettings, user: &User) -> Result<Option<State>, String> {
    let unknown = |what: &str, number: Option<i64>| {
        let number = number.map_or_else(|| "(none)".to_owned(), |number| number.to_string());
        format!(
            "has the {what} {number}, which this version doesn't know; the member keeps what they \
             have: update the operator, or leave such accounts out with users.attributes"
        )
    };
    let status = user
        .status
        .and_then(|status| status_meaning(&settings.statuses, status).ok())
        .ok_or_else(|| unknown("status", user.status))?;
    let state = user
        .state
        .and_then(|state| state_meaning(&settings.states, state).ok())
        .ok_or_else(|| unknown("state", user.state))?;
    let (state, field, number) = match (status, state) {
        (None, _) | (_, None) => return Ok(None),
        (Some(AccountState::Active), Some(state)) => (state, "state", user.state),
        (Some(status), Some(_)) => (status, "status", user.status),
    };
    Ok(Some(State {
        state,
        field,
        value: number.unwrap_or_default().to_string(),
    }))
}

/// The email; else the username, where it is an address or becomes one by the suffix.
pub(super) fn email(settings: &OneLoginSettings, user: &User) -> String {
    let email = user.email.as_deref().unwrap_or_default().trim();
    let username = user.username.as_deref().unwrap_or_default().trim();
    if Email::parse(email).is_ok() {
        return email.to_owned();
    }
    if Email::parse(username).is_ok() {
        return username.to_owned();
    }
    match &settings.email_suffix {
        Some(suffix) if !username.is_empty() => format!("{username}{suffix}"),
        // The message says what is wrong with what there is.
        _ if !email.is_empty() => email.to_owned(),
        _ => username.to_owned(),
    }
}

/// The field in which OneLogin shows an attribute; `None` for what its queries know beyond
/// attributes.
fn field(attribute: &str) -> Option<&str> {
    let asked_only = matches!(attribute, "app_id" | "user_ids")
        || attribute.ends_with("_since")
        || attribute.ends_with("_until");
    (!asked_only).then(|| attribute.split('.').next().unwrap_or(attribute))
}

/// Whether an account has a value. OneLogin passes over parameters of a query that it doesn't know,
/// and would let everybody through.
fn has(user: &User, wanted: &OneLoginAttribute, name: &str) -> Result<bool, ApiError> {
    let Some(field) = field(&wanted.attribute) else {
        return Ok(true);
    };
    let shown = match field {
        "id" => Some(Value::from(user.id)),
        "email" => Some(user.email.clone().into()),
        "username" => Some(user.username.clone().into()),
        "status" => Some(user.status.into()),
        "state" => Some(user.state.into()),
        "group_id" => Some(user.group_id.into()),
        "updated_at" => Some(user.updated_at.clone().into()),
        other => user.others.get(other).cloned(),
    };
    let Some(shown) = shown else {
        return Err(unknown_attribute(&sanitize(name), &wanted.attribute));
    };
    let mut inner = wanted.attribute.split('.').skip(1);
    let text = match inner.try_fold(&shown, |value, part| value.get(part)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let pattern = Glob::with_stars_alone(&wanted.value);
    Ok(pattern.matches(&fold(text.trim())))
}
