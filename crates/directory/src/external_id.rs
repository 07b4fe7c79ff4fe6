//! The stable name of a person or group in its directory.

use std::fmt;
use std::sync::Arc;

/// Longest external id Bitwarden takes, in characters.
pub const EXTERNAL_ID_MAX: usize = 300;

/// The stable id of a directory entry, as it stands (or shall stand) in Bitwarden's `externalId`.
///
/// Never empty, at most [`EXTERNAL_ID_MAX`] characters, without control characters and without
/// white space at its ends. Compared exactly. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExternalId(Arc<str>);

/// Why a text can't be an external id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExternalId {
    /// Nothing is left after trimming.
    #[error("the id is empty")]
    Empty,
    /// Longer than Bitwarden takes.
    #[error("the id has {0} characters, Bitwarden takes at most {EXTERNAL_ID_MAX}")]
    TooLong(usize),
    /// A line break or another control character.
    #[error("the id contains a control character")]
    ControlCharacter,
}

impl ExternalId {
    /// Checks and trims `text`.
    pub fn parse(text: &str) -> Result<Self, InvalidExternalId> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidExternalId::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidExternalId::ControlCharacter);
        }
        // Bytes bound characters from above: the exact count is needed for long texts only.
        if text.len() > EXTERNAL_ID_MAX {
            let characters = text.chars().count();
            if characters > EXTERNAL_ID_MAX {
                return Err(InvalidExternalId::TooLong(characters));
            }
        }
        Ok(Self(text.into()))
    }

    /// The id with `prefix` before it: how it stands in an organization that several directories
    /// share.
    pub fn with_prefix(&self, prefix: &str) -> Result<Self, InvalidExternalId> {
        if prefix.is_empty() {
            return Ok(self.clone());
        }
        Self::parse(&format!("{prefix}{}", self.0))
    }

    /// The id of a member or group that is in the organization already, taken as the server holds
    /// it. `None` for an empty text, which Bitwarden treats as no external id.
    pub fn of_member(text: &str) -> Option<Self> {
        if text.is_empty() {
            None
        } else {
            Some(Self(text.into()))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the text is held, which clones share. As long as both exist, two ids with one place are equal;
    /// two with different ones may be, too.
    pub fn place(&self) -> Place {
        Place(self.0.as_ptr().addr())
    }
}

/// Where the text of an id is held ([`ExternalId::place`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(usize);

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for ExternalId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for ExternalId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
