//! The roles that members have in an organization, as access rules give them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::organization::model::{Member, MemberRole};

/// What a member with the role Custom may do: any of [`Permissions::NAMES`].
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Permissions(u16);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// The names of the public API, 2026.8.0, in the order of their bits.
    pub const NAMES: [&'static str; 12] = [
        "accessEventLogs",
        "accessImportExport",
        "accessReports",
        "createNewCollections",
        "editAnyCollection",
        "deleteAnyCollection",
        "manageGroups",
        "managePolicies",
        "manageSso",
        "manageUsers",
        "manageResetPassword",
        "manageScim",
    ];

    /// Those of these names; names that aren't known are left out.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let place = |name: &str| Self::NAMES.iter().position(|known| *known == name);
        let places = names.into_iter().filter_map(place);
        Self(places.fold(0, |all, at| all | 1 << at))
    }

    /// Each name of the API, and whether it is among these.
    pub fn each(self) -> impl Iterator<Item = (&'static str, bool)> {
        let names = Self::NAMES.into_iter().zip(0..);
        names.map(move |(name, at)| (name, self.0 & 1 << at != 0))
    }

    /// The names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.each().filter(|(_, has)| *has).map(|(name, _)| name)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// A role that access rules give and take back. Never that of an owner.
///
/// User is less than Custom, which is less than Admin; of two Custom roles one is less than the other where
/// its permissions are among the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccessRole {
    /// Without rights over others: what an import makes of everybody.
    User,
    /// With some of an administrator's rights.
    Custom(Permissions),
    /// With all rights but an owner's.
    Admin,
}

impl AccessRole {
    /// The role of a member; `None` of owners, and of roles that this version doesn't know.
    pub fn of(member: &Member) -> Option<Self> {
        match member.role {
            MemberRole::Other(1) => Some(Self::Admin),
            MemberRole::Other(2) => Some(Self::User),
            MemberRole::Other(4) => Some(Self::Custom(member.permissions)),
            MemberRole::Owner | MemberRole::Other(_) => None,
        }
    }

    /// The number of the public API.
    pub fn number(self) -> i64 {
        match self {
            Self::Admin => 1,
            Self::User => 2,
            Self::Custom(_) => 4,
        }
    }

    /// What a member with this role has.
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Custom(permissions) => permissions,
            Self::User | Self::Admin => Permissions::NONE,
        }
    }

    /// The least role that has all rights of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Custom(one), Self::Custom(other)) => Self::Custom(one.union(other)),
            (one, other) => one.max(other),
        }
    }

    /// The greatest role that has no right that one of both lacks.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Custom(one), Self::Custom(other)) => match one.intersection(other) {
                none if none.is_empty() => Self::User,
                both => Self::Custom(both),
            },
            (one, other) => one.min(other),
        }
    }

    /// Whether it has a right that `other` lacks.
    pub fn exceeds(self, other: Self) -> bool {
        self.or(other) != other
    }

    /// The name: `Custom`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Custom(_) => "Custom",
            Self::Admin => "Admin",
        }
    }
}

impl fmt::Display for AccessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Self::Custom(permissions) = self {
            let names: Vec<&str> = permissions.names().collect();
            match names.is_empty() {
                true => f.write_str(" without permissions")?,
                false => write!(f, " ({})", names.join(", "))?,
            }
        }
        Ok(())
    }
}

/// A role as it is kept and sent, which may be one that this version doesn't know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedRole {
    /// `User`, `Custom` or `Admin`.
    pub role: Box<str>,
    /// The permissions of Custom, by the names of the public API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Box<str>>,
}

impl From<AccessRole> for NamedRole {
    fn from(role: AccessRole) -> Self {
        Self {
            role: role.name().into(),
            permissions: role.permissions().names().map(Into::into).collect(),
        }
    }
}

impl NamedRole {
    /// The role, where this version knows it with all its permissions.
    pub fn known(&self) -> Option<AccessRole> {
        let role = match &*self.role {
            "User" => AccessRole::User,
            "Custom" => {
                let names = self.permissions.iter().map(|name| &**name);
                AccessRole::Custom(Permissions::of(names))
            }
            "Admin" => AccessRole::Admin,
            _ => return None,
        };
        (Self::from(role) == *self).then_some(role)
    }
}

impl fmt::Display for NamedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.role)?;
        match self.permissions.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.permissions.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn roles() -> impl Strategy<Value = AccessRole> {
        prop_oneof![
            Just(AccessRole::User),
            (1u16..1 << 12).prop_map(|bits| AccessRole::Custom(Permissions(bits))),
            Just(AccessRole::Admin),
        ]
    }

    proptest! {
        #[test]
        fn the_union_has_the_rights_of_both_and_the_intersection_none_that_one_lacks(
            one in roles(),
            other in roles(),
        ) {
            prop_assert!(!one.exceeds(one.or(other)));
            prop_assert!(!one.and(other).exceeds(one));
            prop_assert_eq!(one.or(other), other.or(one));
            prop_assert_eq!(one.and(other), other.and(one));
            // What is below both bounds is within them.
            prop_assert_eq!(one.and(one.or(other)), one);
            prop_assert_eq!(one.or(one.and(other)), one);
        }
    }

    #[test]
    fn a_role_is_the_same_after_it_was_kept() {
        let some = Permissions::of(["manageUsers"]);
        for role in [
            AccessRole::User,
            AccessRole::Custom(some),
            AccessRole::Custom(Permissions::NONE),
            AccessRole::Admin,
        ] {
            assert_eq!(NamedRole::from(role).known(), Some(role));
        }
        let newer = NamedRole {
            role: "Custom".into(),
            permissions: vec!["manageUsers".into(), "manageMoons".into()],
        };
        assert_eq!(newer.known(), None, "it isn't taken for less than it is");
    }

    #[test]
    fn permissions_keep_the_names_of_the_api() {
        let some = Permissions::of(["manageUsers", "manageScim", "unknown"]);
        assert_eq!(
            some.names().collect::<Vec<_>>(),
            ["manageUsers", "manageScim"]
        );
        assert_eq!(some.each().count(), 12);
        assert_eq!(
            AccessRole::Custom(some).to_string(),
            "Custom (manageUsers, manageScim)"
        );
    }
}
