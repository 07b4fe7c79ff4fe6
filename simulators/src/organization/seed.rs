//! What an organization holds before a test begins.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::model::{CollectionAccess, Group, Member, Role, Status};
use super::store::Store;

/// A member who is already there. By default: confirmed, a user, with a master
/// password and two-step login, without external id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberSeed {
    email: String,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default = "confirmed")]
    status: Status,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    collections: Vec<CollectionAccess>,
    #[serde(default = "yes")]
    master_password: bool,
    #[serde(default = "yes")]
    two_step: bool,
}

fn confirmed() -> Status {
    Status::Confirmed
}

fn yes() -> bool {
    true
}

impl MemberSeed {
    /// A confirmed member with the role of a user.
    #[must_use]
    pub fn new(email: &str) -> Self {
        Self {
            email: email.to_owned(),
            external_id: None,
            status: Status::Confirmed,
            role: Role::User,
            collections: Vec::new(),
            master_password: true,
            two_step: true,
        }
    }

    /// Known to the directory under this id.
    #[must_use]
    pub fn external_id(mut self, external_id: &str) -> Self {
        self.external_id = Some(external_id.to_owned());
        self
    }

    /// Standing elsewhere. A revoked member was confirmed before.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Sets the role of the member.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Makes the member an owner.
    #[must_use]
    pub fn owner(self) -> Self {
        self.role(Role::Owner)
    }

    /// With access to a collection.
    #[must_use]
    pub fn collection(mut self, access: CollectionAccess) -> Self {
        self.collections.push(access);
        self
    }

    /// Signs in without a master password.
    #[must_use]
    pub fn without_master_password(mut self) -> Self {
        self.master_password = false;
        self
    }

    /// Has no two-step login.
    #[must_use]
    pub fn without_two_step(mut self) -> Self {
        self.two_step = false;
        self
    }

    pub(super) fn build(self) -> Member {
        let mut member = Member::new(
            &self.email,
            self.external_id.as_deref(),
            self.status,
            self.role,
        );
        member.has_account |= self.status == Status::Revoked;
        member.has_master_password = member.has_account && self.master_password;
        member.collections = self.collections;
        member.two_step = self.two_step;
        member
    }
}

/// A group that is already there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupSeed {
    name: String,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    collections: Vec<CollectionAccess>,
}

impl GroupSeed {
    /// An empty group without external id.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            external_id: None,
            members: Vec::new(),
            collections: Vec::new(),
        }
    }

    /// Known to the directory under this id.
    #[must_use]
    pub fn external_id(mut self, external_id: &str) -> Self {
        self.external_id = Some(external_id.to_owned());
        self
    }

    /// With these members, by email. They must be there already.
    #[must_use]
    pub fn members<E: Into<String>>(mut self, emails: impl IntoIterator<Item = E>) -> Self {
        self.members.extend(emails.into_iter().map(Into::into));
        self
    }

    /// With access to a collection.
    #[must_use]
    pub fn collection(mut self, access: CollectionAccess) -> Self {
        self.collections.push(access);
        self
    }

    /// # Errors
    /// The email that isn't a member's.
    pub(super) fn build(self, store: &Store) -> Result<Group, SeedError> {
        let find = |email: &String| {
            let id = store.by_email.get(&email.to_lowercase());
            id.ok_or_else(|| SeedError::UnknownMember(self.name.clone(), email.clone()))
        };
        let members = self
            .members
            .iter()
            .map(find)
            .collect::<Result<BTreeSet<_>, _>>()?;
        Ok(Group {
            name: self.name,
            external_id: self.external_id,
            collections: self.collections,
            members,
        })
    }
}

/// A whole organization, as a seed file holds it: members first, then groups of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Seed {
    /// In the order in which they came.
    pub members: Vec<MemberSeed>,
    /// In the order in which they were created.
    pub groups: Vec<GroupSeed>,
}

/// Why a seed doesn't make an organization.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Two members with one email.
    #[error("the seed names the member {0} twice")]
    DuplicateMember(String),
    /// A group's member who isn't in the organization.
    #[error("the seed's group {0} lists {1}, who isn't a member")]
    UnknownMember(String, String),
}

impl Seed {
    pub(super) fn plant(self, store: &mut Store) -> Result<(), SeedError> {
        for seed in self.members {
            let email = seed.email.clone();
            let added = store.add_member(seed.build());
            added.ok_or(SeedError::DuplicateMember(email))?;
        }
        for seed in self.groups {
            let group = seed.build(store)?;
            store.add_group(group);
        }
        Ok(())
    }
}
