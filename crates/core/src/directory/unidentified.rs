//! Entries that were read and can't be identified.
//!
//! Such an entry isn't nobody: a member of the organization may be this person, and is then not
//! absent from the directory. Each has a problem that says what to do.

use crate::directory::{Email, ExternalId};

/// A person without an id of their own: none that can be read, or one that another entry has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnidentifiedUser {
    /// The id that another entry has too; `None` where no id can be read.
    pub id: Option<ExternalId>,
    /// The email, where it is one.
    pub email: Option<Email>,
    /// The entry as its administrators know it, cut to a harmless length.
    pub entry: Box<str>,
}

/// A group without an id of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnidentifiedGroup {
    /// The id that another group has too; `None` where no id can be read.
    pub id: Option<ExternalId>,
    /// The name, trimmed; may be empty.
    pub name: Box<str>,
}
