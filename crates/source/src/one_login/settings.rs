//! Where a OneLogin account is, how to get in, and what of it is read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use crate::api::spec::{
    OneLoginAttribute, OneLoginGroupsFrom, OneLoginRegion, OneLoginStates, OneLoginStatuses,
};
use crate::checks::state;
use crate::directory::AccountState;
use crate::http::{ClientError, ClientSettings, Observer, Retry, Unobserved};

/// A OneLogin account and what of it is read.
#[derive(Debug, Clone)]
pub struct OneLoginSettings {
    /// Where its API is; `/auth` and `/api` are below.
    pub url: Url,
    /// How much of the rate limit is used at most, in percent.
    pub rate_limit_share: u8,
    /// Only people whose attributes have all of these values.
    pub attributes: Vec<OneLoginAttribute>,
    /// Makes an email of a username that is none: `@example.com`.
    pub email_suffix: Option<String>,
    /// What each status means.
    pub statuses: OneLoginStatuses,
    /// What each state of approval means.
    pub states: OneLoginStates,
    /// What becomes a group; `None`: nothing.
    pub groups: Option<OneLoginGroupsFrom>,
    /// Between two questions for what has changed since. Default 45 s: 80 of 5,000 requests an hour.
    pub poll_interval: Duration,
    /// Trust and time-outs of the connections.
    pub connection: ClientSettings,
    /// How failed requests are tried again.
    pub retry: Retry,
    /// Called for each request.
    pub observer: Arc<dyn Observer>,
}

impl OneLoginSettings {
    /// Everybody and every role, with half of the limit.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            rate_limit_share: 50,
            attributes: vec![],
            email_suffix: None,
            statuses: OneLoginStatuses::default(),
            states: OneLoginStates::default(),
            groups: Some(OneLoginGroupsFrom::Roles),
            poll_interval: Duration::from_secs(45),
            connection: ClientSettings::default(),
            retry: Retry::default(),
            observer: Arc::new(Unobserved),
        }
    }
}

/// API credentials of the account, from Developers > API Credentials.
#[derive(Clone)]
pub struct Credentials {
    /// The client id of the credentials.
    pub client_id: String,
    /// The client secret of the credentials.
    pub client_secret: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.client_id)
    }
}

/// Where a region's API is.
pub(super) fn region_url(region: OneLoginRegion) -> Url {
    let text = match region {
        OneLoginRegion::EU => "https://api.eu.onelogin.com",
        OneLoginRegion::US => "https://api.us.onelogin.com",
    };
    Url::parse(text).expect("both are addresses")
}

/// Where the API of the account with this subdomain is; `None` for a text that is no subdomain.
pub(super) fn subdomain_url(subdomain: &str) -> Option<Url> {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let ends = |c: char| c.is_ascii_alphanumeric();
    let fits = subdomain.len() <= 63
        && subdomain.chars().all(inside)
        && subdomain.starts_with(ends)
        && subdomain.ends_with(ends);
    fits.then(|| Url::parse(&format!("https://{subdomain}.onelogin.com")).ok())?
}

/// A number that OneLogin doesn't document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown;

impl OneLoginSettings {
    /// What each status and each state means, in one text.
    pub(super) fn describe_states(&self) -> String {
        let name = |meaning: Result<Option<AccountState>, Unknown>| match meaning {
            Ok(Some(state)) => format!("{state:?}"),
            Ok(None) => "Absent".to_owned(),
            Err(Unknown) => "unknown".to_owned(),
        };
        let statuses = (0..=8).map(|number| {
            let meaning = name(status_meaning(&self.statuses, number));
            format!("status {number} is {meaning}")
        });
        let states = (0..=3).map(|number| {
            let meaning = name(state_meaning(&self.states, number));
            format!("state {number} is {meaning}")
        });
        statuses.chain(states).collect::<Vec<_>>().join(", ")
    }
}

/// What the `status` of an account means; `None`: as if there were no such account.
pub(super) fn status_meaning(
    spec: &OneLoginStatuses,
    status: i64,
) -> Result<Option<AccountState>, Unknown> {
    let meaning = match status {
        0 => spec.unactivated,
        1 => spec.active,
        2 => return Ok(state(spec.suspended, Some(AccountState::Disabled))),
        3 => spec.locked,
        4 => spec.password_expired,
        5 => spec.awaiting_password_reset,
        7 => spec.pending,
        8 => spec.security_questions_required,
        _ => return Err(Unknown),
    };
    Ok(state(meaning, Some(AccountState::Active)))
}

/// What the `state` of an account's approval means; `None`: as if there were no such account.
pub(super) fn state_meaning(
    spec: &OneLoginStates,
    number: i64,
) -> Result<Option<AccountState>, Unknown> {
    let meaning = match number {
        0 => spec.unapproved,
        1 => spec.approved,
        2 => spec.rejected,
        3 => spec.unlicensed,
        _ => return Err(Unknown),
    };
    Ok(state(meaning, Some(AccountState::Active)))
}

/// Why an account's settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// Not an address of an API.
    #[error("the address of the API must begin with https://")]
    Address,
    /// Trust can't be set up.
    #[error(transparent)]
    Connection(#[from] ClientError),
}
