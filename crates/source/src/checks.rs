//! Small checks that note what is wrong and go on, so that a person hears of everything at once.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use crate::api::conditions::Blocker;
use crate::api::spec::AccountMeaning;
use crate::directory::AccountState;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Invalid>);

impl Checks {
    /// Notes what is wrong with a field.
    pub fn refuse(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Invalid {
            field: field.into(),
            message: message.into(),
        });
    }

    /// Notes an error; `None` where there was one.
    pub fn noted<T, E: ToString>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| self.refuse(field, error.to_string()))
            .ok()
    }

    /// Of `fields` (and whether each is there) exactly one is.
    pub fn exactly_one(&mut self, parent: &str, fields: &[(&str, bool)]) {
        let there = fields.iter().filter(|(_, is_there)| *is_there).count();
        if there != 1 {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            self.refuse(parent, format!("write exactly one of {}", names.join(", ")));
        }
    }

    /// A duration of at least `min`, such as `1h30m`; `default` where there is none.
    pub fn duration(
        &mut self,
        field: &str,
        text: Option<&str>,
        min: Duration,
        default: Duration,
    ) -> Duration {
        let Some(text) = text else { return default };
        let only_units = text
            .chars()
            .all(|c| c.is_ascii_digit() || "hms".contains(c));
        let parsed = text
            .parse::<kube::core::Duration>()
            .ok()
            .map(Duration::from);
        match parsed {
            Some(duration) if only_units && !text.contains("ms") && duration >= min => duration,
            _ => {
                let min = kube::core::Duration::from(min);
                self.refuse(
                    field,
                    format!("write a time of at least {min} in hours, minutes and seconds: 1h30m"),
                );
                default
            }
        }
    }

    /// How much of a vendor's rate limit to use, in percent; half where there is no word of it.
    pub fn share(&mut self, field: &str, share: Option<i32>) -> Option<u8> {
        let share = u8::try_from(share.unwrap_or(50)).ok();
        let share = share.filter(|share| (1..=100).contains(share));
        if share.is_none() {
            let message = "write a number from 1 to 100: the percentage of the limit to use";
            self.refuse(field, message);
        }
        share
    }

    /// Everything that was found wrong.
    pub fn finish(self) -> Result<(), InvalidSpec> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidSpec(self.0))
        }
    }
}

/// What a status means; `usual` where the spec has no word of it. `None`: as if there were no such
/// account.
pub fn state(meaning: Option<AccountMeaning>, usual: Option<AccountState>) -> Option<AccountState> {
    match meaning {
        None => usual,
        Some(AccountMeaning::Active) => Some(AccountState::Active),
        Some(AccountMeaning::Disabled) => Some(AccountState::Disabled),
        Some(AccountMeaning::Deleted) => Some(AccountState::Deleted),
        Some(AccountMeaning::Absent) => None,
    }
}

/// An address without user, query or fragment; `https`, unless it stays on the machine or
/// `plaintext` is accepted.
pub fn web_address(checks: &mut Checks, field: &str, text: &str, plaintext: bool) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let Some(url) = url else {
        checks.refuse(
            field,
            "must be an address such as https://example.com, without user, query or fragment",
        );
        return None;
    };
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "http" && !plaintext && !is_loopback(host) {
        checks.refuse(
            field,
            "would send credentials unencrypted: write https://, or accept it with allowPlaintext: true",
        );
        return None;
    }
    Some(url)
}

/// Whether a host is the machine itself.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A spec that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSpec(
    /// Everything that is wrong with it; at least one.
    pub Vec<Invalid>,
);

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field's path in the resource: `spec.organization.serverUrl`.
    pub field: String,
    /// What to write instead.
    pub message: String,
}

impl InvalidSpec {
    /// The reason that conditions and events give.
    pub fn blocker(&self) -> Blocker {
        Blocker::InvalidSpec
    }
}

impl fmt::Display for InvalidSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, invalid) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", invalid.field, invalid.message)?;
        }
        Ok(())
    }
}

/// Whether a filter or query is about one of these attributes, as far as its words tell.
pub fn mentions(text: Option<&str>, attributes: &[&str]) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let mut words = text.unwrap_or_default().split(|c| !is_part(c));
    words.any(|word| attributes.iter().any(|one| one.eq_ignore_ascii_case(word)))
}
