//! Entries that were read and can't be identified.
//!
//! Such an entry isn't nobody: a member of the organization may be this person, and is then not
//! absent from the directory. Each has a problem that says what to do.

use crate::{Email, ExternalId};

/// A person without an id of their own: none that can be read, or one that another entry has too.
/// Or one of whom nobody can tell whether the account may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnidentifiedUser {
    /// The id that another entry has too; `None` where no id can be read.
    pub id: Option<ExternalId>,
    /// The email, where it is one.
    pub email: Option<Email>,
    /// The entry as its administrators know it, cut to a harmless length.
    pub entry: Box<str>,
    /// The id is this person's own; what nobody can tell is whether the account may be used. They
    /// may be no other member than the one with this id or email.
    pub undecided: bool,
}

/// A group without an id of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnidentifiedGroup {
    /// The id that another group has too; `None` where no id can be read.
    pub id: Option<ExternalId>,
    /// The name, trimmed; may be empty.
    pub name: Box<str>,
}
