//! Directories in a few words.

use crate::complete::Complete;
use crate::directory::{Account, AccountState, Directory, DirectoryBuilder, ExternalId};

/// A directory to be read.
#[derive(Debug, Clone, Default)]
pub struct TestDirectory {
    people: Vec<(String, String, AccountState)>,
    groups: Vec<(String, String, Vec<String>)>,
}

/// An empty directory.
pub fn directory() -> TestDirectory {
    TestDirectory::default()
}

/// An external id.
pub fn id(text: &str) -> ExternalId {
    ExternalId::parse(text).expect("a test's id is one")
}

impl TestDirectory {
    /// An active account.
    pub fn person(self, id: &str, email: &str) -> Self {
        self.account(id, email, AccountState::Active)
    }

    /// A blocked account.
    pub fn disabled(self, id: &str, email: &str) -> Self {
        self.account(id, email, AccountState::Disabled)
    }

    /// An account that is listed as deleted.
    pub fn deleted(self, id: &str, email: &str) -> Self {
        self.account(id, email, AccountState::Deleted)
    }

    /// An account.
    pub fn account(mut self, id: &str, email: &str, state: AccountState) -> Self {
        self.people.push((id.into(), email.into(), state));
        self
    }

    /// A group; a member with an `@` before it is a group: `&["ann", "@admins"]`.
    pub fn group(mut self, id: &str, name: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|&member| member.into()).collect();
        self.groups.push((id.into(), name.into(), members));
        self
    }

    /// The same directory, read from its end.
    pub fn reversed(mut self) -> Self {
        self.people.reverse();
        self.groups.reverse();
        self.groups
            .iter_mut()
            .for_each(|(.., members)| members.reverse());
        self
    }

    /// Reads it to its end.
    pub fn read(&self) -> Complete<Directory> {
        let mut builder = DirectoryBuilder::new();
        for (id, email, state) in &self.people {
            let key = builder.key(id);
            let account = Account::new(*state, "state", "off");
            builder.user(&[key], id, email, account, id);
        }
        for (id, name, members) in &self.groups {
            let key = builder.key(&format!("@{id}"));
            let members = members.iter().map(|member| builder.key(member)).collect();
            builder.group(&[key], id, name, members);
        }
        builder.finish()
    }
}
