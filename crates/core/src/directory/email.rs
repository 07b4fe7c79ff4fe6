//! Email addresses as Bitwarden compares them.

use std::fmt;
use std::sync::Arc;

/// Longest email Bitwarden takes, in characters.
pub const EMAIL_MAX: usize = 256;

/// An email address: trimmed, lower-cased, with one `@` between two parts that aren't empty, at
/// most [`EMAIL_MAX`] characters. Cheap to clone.
///
/// Bitwarden lower-cases the emails of an import before it compares them, so this is the form in
/// which two addresses are the same person.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(Arc<str>);

/// Why a text can't be an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Nothing is left after trimming.
    #[error("there is no email")]
    Empty,
    /// Longer than Bitwarden takes.
    #[error("the email has {0} characters, Bitwarden takes at most {EMAIL_MAX}")]
    TooLong(usize),
    /// Not of the form `local@domain`.
    #[error("this is not an email address")]
    Malformed,
}

impl Email {
    /// Trims, lower-cases and checks `text`.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidEmail::Empty);
        }
        if text.len() > EMAIL_MAX {
            let characters = text.chars().count();
            if characters > EMAIL_MAX {
                return Err(InvalidEmail::TooLong(characters));
            }
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail::Malformed)?;
        let malformed = local.is_empty()
            || domain.is_empty()
            || local.contains('@')
            || domain.starts_with('.')
            || domain.ends_with('.')
            || domain.contains("..")
            || text
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "<>,;:\"()[]\\".contains(c));
        if malformed {
            return Err(InvalidEmail::Malformed);
        }
        let lower_already = text
            .bytes()
            .all(|b| b.is_ascii() && !b.is_ascii_uppercase());
        Ok(Self(if lower_already {
            text.into()
        } else {
            text.to_lowercase().into()
        }))
    }

    /// The address of somebody who is in the organization already: lower-cased, otherwise taken as
    /// the server holds it.
    pub fn of_member(text: &str) -> Self {
        Self(text.trim().to_lowercase().into())
    }

    /// The address as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Email {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for Email {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
