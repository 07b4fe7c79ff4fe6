//! What an organization is made of.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Ids look like the GUIDs they are on the real servers; a number inside keeps them small.
macro_rules! guid {
    ($name:ident, $prefix:literal, $of:literal) => {
        #[doc = concat!("The id of ", $of, ".")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(super) u64);

        impl $name {
            /// None where the text isn't an id this server gave out.
            pub(super) fn parse(text: &str) -> Option<Self> {
                let digits = text
                    .strip_prefix($prefix)
                    .filter(|digits| digits.len() == 12)?;
                u64::from_str_radix(digits, 16).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "{:012x}"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

guid!(MemberId, "6d656d62-6572-4000-8000-", "a member");
guid!(GroupId, "67726f75-7000-4000-8000-", "a group");

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// −1: keeps account and data, has no access, takes no seat.
    Revoked,
    /// 0: has been sent an invitation.
    Invited,
    /// 1: has taken the invitation.
    Accepted,
    /// 2: has been let in.
    Confirmed,
    /// 3: created without an invitation.
    Staged,
}

impl Status {
    /// The number in the API.
    #[must_use]
    pub fn number(self) -> i8 {
        match self {
            Self::Revoked => -1,
            Self::Invited => 0,
            Self::Accepted => 1,
            Self::Confirmed => 2,
            Self::Staged => 3,
        }
    }

    /// Whether the organization pays a seat for it.
    pub(super) fn takes_seat(self) -> bool {
        !matches!(self, Self::Revoked | Self::Staged)
    }

    /// Whether there is a person's account behind the membership yet.
    pub(super) fn has_account(self) -> bool {
        matches!(self, Self::Accepted | Self::Confirmed)
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Type 0 of the API: may do everything.
    Owner,
    /// Type 1 of the API: may manage members and groups.
    Admin,
    /// Type 2 of the API: uses the shared vault.
    #[default]
    User,
    /// Type 4 of the API: permissions chosen one by one. Type 3 was removed.
    Custom,
}

impl Role {
    /// The number in the API's `type`.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Owner => 0,
            Self::Admin => 1,
            Self::User => 2,
            Self::Custom => 4,
        }
    }

    pub(super) fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Owner),
            1 => Some(Self::Admin),
            2 => Some(Self::User),
            4 => Some(Self::Custom),
            _ => None,
        }
    }
}

/// Access to one collection, as the API shows and takes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionAccess {
    /// The GUID of the collection.
    pub id: String,
    /// May not change its items.
    #[serde(default)]
    pub read_only: bool,
    /// May not see its passwords.
    #[serde(default)]
    pub hide_passwords: bool,
    /// May manage the collection.
    #[serde(default)]
    pub manage: bool,
}

impl CollectionAccess {
    /// Full use of a collection without managing it.
    #[must_use]
    pub fn to(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            read_only: false,
            hide_passwords: false,
            manage: false,
        }
    }
}

/// A member as the server holds it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub email: String,
    pub external_id: Option<String>,
    pub status: Status,
    /// What restoring returns to.
    pub before_revocation: Status,
    pub role: Role,
    pub collections: Vec<CollectionAccess>,
    pub groups: BTreeSet<GroupId>,
    pub permissions: Option<serde_json::Value>,
    pub has_account: bool,
    pub has_master_password: bool,
    pub two_step: bool,
}

impl Member {
    pub(super) fn new(email: &str, external_id: Option<&str>, status: Status, role: Role) -> Self {
        Self {
            email: email.to_lowercase(),
            external_id: external_id.and_then(set),
            status,
            before_revocation: Status::Confirmed,
            role,
            collections: Vec::new(),
            groups: BTreeSet::new(),
            permissions: None,
            has_account: status.has_account(),
            has_master_password: status.has_account(),
            two_step: true,
        }
    }
}

/// A group as the server holds it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub name: String,
    pub external_id: Option<String>,
    pub collections: Vec<CollectionAccess>,
    pub members: BTreeSet<MemberId>,
}

/// An external id of nothing but blanks counts as none.
pub(super) fn set(external_id: &str) -> Option<String> {
    (!external_id.trim().is_empty()).then(|| external_id.to_owned())
}
