//! Where a OneLogin account is, how to get in, and what of it is read.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;
use secrecy::SecretString;

use crate::api::spec::{OneLoginAttribute, OneLoginGroupsFrom, OneLoginRegion};
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
    pub statuses: StatusTable,
    /// What each state of approval means.
    pub states: StateTable,
    /// What becomes a group; `None`: nothing.
    pub groups: Option<OneLoginGroupsFrom>,
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
            statuses: StatusTable::default(),
            states: StateTable::default(),
            groups: Some(OneLoginGroupsFrom::Roles),
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

/// What each status of an account means; `None`: as if there were no such account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusTable {
    /// Status 0 in the API.
    pub unactivated: Option<AccountState>,
    /// Status 1 in the API.
    pub active: Option<AccountState>,
    /// Status 2 in the API.
    pub suspended: Option<AccountState>,
    /// Status 3 in the API.
    pub locked: Option<AccountState>,
    /// Status 4 in the API.
    pub password_expired: Option<AccountState>,
    /// Status 5 in the API.
    pub awaiting_password_reset: Option<AccountState>,
    /// Status 7 in the API: the password has never been set.
    pub pending: Option<AccountState>,
    /// Status 8 in the API.
    pub security_questions_required: Option<AccountState>,
}

impl Default for StatusTable {
    fn default() -> Self {
        let active = Some(AccountState::Active);
        Self {
            unactivated: active,
            active,
            suspended: Some(AccountState::Disabled),
            locked: active,
            password_expired: active,
            awaiting_password_reset: active,
            pending: active,
            security_questions_required: active,
        }
    }
}

/// What each state of an account's approval means; `None`: as if there were no such account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateTable {
    /// State 0 in the API.
    pub unapproved: Option<AccountState>,
    /// State 1 in the API.
    pub approved: Option<AccountState>,
    /// State 2 in the API.
    pub rejected: Option<AccountState>,
    /// State 3 in the API.
    pub unlicensed: Option<AccountState>,
}

impl Default for StateTable {
    fn default() -> Self {
        let active = Some(AccountState::Active);
        Self {
            unapproved: active,
            approved: active,
            rejected: active,
            unlicensed: active,
        }
    }
}

/// A number that OneLogin doesn't document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown;

impl StatusTable {
    /// The account's state for a `status`; `None`: not synced.
    pub(super) fn meaning(&self, status: i64) -> Result<Option<AccountState>, Unknown> {
        Ok(match status {
            0 => self.unactivated,
            1 => self.active,
            2 => self.suspended,
            3 => self.locked,
            4 => self.password_expired,
            5 => self.awaiting_password_reset,
            7 => self.pending,
            8 => self.security_questions_required,
            _ => return Err(Unknown),
        })
    }
}

impl StateTable {
    /// The account's state for a `state`; `None`: not synced.
    pub(super) fn meaning(&self, state: i64) -> Result<Option<AccountState>, Unknown> {
        Ok(match state {
            0 => self.unapproved,
            1 => self.approved,
            2 => self.rejected,
            3 => self.unlicensed,
            _ => return Err(Unknown),
        })
    }
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
