//! Small checks that note what is wrong and go on, so that a person hears of everything at once.

use std::time::Duration;

use super::{Invalid, InvalidSpec};
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
