//! Collections, and what somebody may do with one. Their names are encrypted: only their users can read them.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A collection of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// The id that the server gave it.
    pub id: Uuid,
    /// What somebody called it by, where anybody did.
    pub external_id: Option<Box<str>>,
}

/// What the members of a group may do with one collection, as Bitwarden calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CollectionAccess {
    /// The collection's id. Its name is encrypted, and nobody but its users can read it.
    pub id: Uuid,
    /// They may not change what is in it.
    pub read_only: bool,
    /// They may not see passwords.
    pub hide_passwords: bool,
    /// They may say who has access.
    pub manage: bool,
}

impl Default for CollectionAccess {
    fn default() -> Self {
        CollectionRight::Edit.on(Uuid::nil())
    }
}

/// What somebody may do with a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CollectionRight {
    /// See what is in it, without passwords.
    ViewExceptPasswords,
    /// See what is in it.
    View,
    /// Change what is in it, without seeing passwords.
    EditExceptPasswords,
    /// Change what is in it.
    Edit,
    /// Also say who has access.
    Manage,
}

impl CollectionRight {
    /// This right on a collection.
    pub fn on(self, id: Uuid) -> CollectionAccess {
        let (read_only, hide_passwords) = match self {
            Self::ViewExceptPasswords => (true, true),
            Self::View => (true, false),
            Self::EditExceptPasswords => (false, true),
            Self::Edit | Self::Manage => (false, false),
        };
        CollectionAccess {
            id,
            read_only,
            hide_passwords,
            manage: self == Self::Manage,
        }
    }

    /// The name: `View`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ViewExceptPasswords => "ViewExceptPasswords",
            Self::View => "View",
            Self::EditExceptPasswords => "EditExceptPasswords",
            Self::Edit => "Edit",
            Self::Manage => "Manage",
        }
    }
}

impl CollectionAccess {
    /// The right that it gives.
    pub fn right(self) -> CollectionRight {
        match (self.manage, self.read_only, self.hide_passwords) {
            (true, _, _) => CollectionRight::Manage,
            (false, true, true) => CollectionRight::ViewExceptPasswords,
            (false, true, false) => CollectionRight::View,
            (false, false, true) => CollectionRight::EditExceptPasswords,
            (false, false, false) => CollectionRight::Edit,
        }
    }

    /// All that either of two allows on the same collection.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            id: self.id,
            read_only: self.read_only && other.read_only,
            hide_passwords: self.hide_passwords && other.hide_passwords,
            manage: self.manage || other.manage,
        }
    }

    /// Whether it allows something that `other` doesn't.
    pub fn exceeds(self, other: Self) -> bool {
        let both = self.or(other);
        both.right() != other.right()
    }
}

/// What changes of a group's access to one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessChange {
    /// The collection.
    pub id: Uuid,
    /// Its external id, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Box<str>>,
    /// The access before; `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<CollectionAccess>,
    /// The access afterwards; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<CollectionAccess>,
}

impl AccessChange {
    /// Whether something is lost by it.
    pub fn takes_away(&self) -> bool {
        match (self.from, self.to) {
            (Some(from), Some(to)) => from.exceeds(to),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Whether something is gained by it.
    pub fn gives(&self) -> bool {
        match (self.from, self.to) {
            (Some(from), Some(to)) => to.exceeds(from),
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// Whether it gives the right to say who has access.
    pub fn gives_manage(&self) -> bool {
        let manages = |access: Option<CollectionAccess>| access.is_some_and(|one| one.manage);
        manages(self.to) && !manages(self.from)
    }

    /// The change that takes it back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self.clone()
        }
    }
}

impl fmt::Display for AccessChange {
    /// `View on infra`, `View on infra, was Edit`, `no access to infra, was View`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.to_string();
        let name = match &self.external_id {
            Some(name) => crate::text::sanitize(name),
            None => id,
        };
        match self.to {
            Some(to) => write!(f, "{} on {name}", to.right().name())?,
            None => write!(f, "no access to {name}")?,
        }
        match self.from {
            Some(from) => write!(f, ", was {}", from.right().name()),
            None => Ok(()),
        }
    }
}

/// The first of many changes for a person, and how many more there are.
pub fn describe_access(changes: &[AccessChange]) -> String {
    const NAMED: usize = 5;
    let named = changes.iter().take(NAMED).map(ToString::to_string);
    let mut named: Vec<String> = named.collect();
    if changes.len() > NAMED {
        named.push(format!("and {} more", changes.len() - NAMED));
    }
    named.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [CollectionRight; 5] = [
        CollectionRight::ViewExceptPasswords,
        CollectionRight::View,
        CollectionRight::EditExceptPasswords,
        CollectionRight::Edit,
        CollectionRight::Manage,
    ];

    #[test]
    fn a_right_is_the_same_as_access_and_both_together_allow_what_either_does() {
        let on = |right: CollectionRight| right.on(Uuid::nil());
        for one in ALL {
            assert_eq!(on(one).right(), one);
            for other in ALL {
                let both = on(one).or(on(other));
                assert!(!on(one).exceeds(both) && !on(other).exceeds(both));
                assert_eq!(both, on(other).or(on(one)));
                assert_eq!(on(one).exceeds(on(other)), both != on(other));
            }
        }
        let both = on(CollectionRight::View).or(on(CollectionRight::EditExceptPasswords));
        assert_eq!(both.right(), CollectionRight::Edit);
    }
}
