//! Small checks that note what is wrong and go on, so that a person hears of everything at once.

use std::time::Duration;

use super::{Invalid, InvalidSpec};

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<Invalid>);

impl Checks {
    /// Notes what is wrong with a field.
    pub(super) fn refuse(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Invalid {
            field: field.into(),
            message: message.into(),
        });
    }

    /// Notes an error; `None` where there was one.
    pub(super) fn noted<T, E: ToString>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| self.refuse(field, error.to_string()))
            .ok()
    }

    /// Of `fields` (and whether each is there) exactly one is.
    pub(super) fn exactly_one(&mut self, parent: &str, fields: &[(&str, bool)]) {
        let there = fields.iter().filter(|(_, is_there)| *is_there).count();
        if there != 1 {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            self.refuse(parent, format!("write exactly one of {}", names.join(", ")));
        }
    }

    /// A duration of at least `min`, such as `1h30m`; `default` where there is none.
    pub(super) fn duration(
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

    /// Everything that was found wrong.
    pub(super) fn finish(self) -> Result<(), InvalidSpec> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidSpec(self.0))
        }
    }
}
