//! Directories in a few words.

use directory_sync_core::complete::Complete;
use directory_sync_core::directory::{
    Account, AccountState, Directory, DirectoryBuilder, ExternalId,
};

/// A directory to be read.
#[derive(Debug, Clone, Default)]
pub struct TestDirectory {
    people: Vec<(String, String, AccountState)>,
    groups: Vec<(String, String, Vec<String>)>,
    /// Entries by a name that isn't their id: (name, id, email).
    entries: Vec<(String, Option<String>, String)>,
    /// People of whom it isn't known whether the account may be used: (id, email).
    undecided: Vec<(String, String)>,
    /// Names of groups without an id.
    unidentified_groups: Vec<String>,
    /// The attribute that marks disabled accounts, where no entry has it.
    unseen_state_attribute: Option<String>,
}

/// A directory without people or groups.
pub fn directory() -> TestDirectory {
    TestDirectory::default()
}

/// The external id that `text` spells.
pub fn id(text: &str) -> ExternalId {
    ExternalId::parse(text).expect("a test's id is one")
}

impl TestDirectory {
    /// Adds an active account.
    pub fn person(self, id: &str, email: &str) -> Self {
        self.account(id, email, AccountState::Active)
    }

    /// Adds a disabled account.
    pub fn disabled(self, id: &str, email: &str) -> Self {
        self.account(id, email, AccountState::Disabled)
    }

    /// An account that is listed as deleted.
    pub fn deleted(self, id: &str, email: &str) -> Self {
        self.account(id, email, AccountState::Deleted)
    }

    /// Adds an account in the given state.
    pub fn account(mut self, id: &str, email: &str, state: AccountState) -> Self {
        self.people.push((id.into(), email.into(), state));
        self
    }

    /// An active entry whose DN is `dn`; groups have it as `dn`. Its `id` may be another's, too.
    pub fn entry(mut self, dn: &str, id: &str, email: &str) -> Self {
        self.entries
            .push((dn.into(), Some(id.into()), email.into()));
        self
    }

    /// An entry whose id can't be read; groups have it as `dn`.
    pub fn unidentified(mut self, dn: &str, email: &str) -> Self {
        self.entries.push((dn.into(), None, email.into()));
        self
    }

    /// An account of which it isn't known whether it may be used.
    pub fn undecided(mut self, id: &str, email: &str) -> Self {
        self.undecided.push((id.into(), email.into()));
        self
    }

    /// No entry has this attribute, by which disabled accounts are recognised.
    pub fn without_attribute(mut self, name: &str) -> Self {
        self.unseen_state_attribute = Some(name.into());
        self
    }

    /// A group whose id can't be read.
    pub fn unidentified_group(mut self, name: &str) -> Self {
        self.unidentified_groups.push(name.into());
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
        let mut builder = DirectoryBuilder::with_shareable_ids();
        for (id, email, state) in &self.people {
            let key = builder.key(id);
            let account = Account::new(*state, "state", "off");
            builder.user(&[key], id, email, account, id);
        }
        for (dn, id, email) in &self.entries {
            let key = builder.key(dn);
            match id {
                Some(id) => builder.user(&[key], id, email, Account::ACTIVE, dn),
                None => builder.unidentified_user(&[key], email, dn, "no id"),
            }
        }
        for (id, email) in &self.undecided {
            let key = builder.key(id);
            builder.undecided_user(&[key], id, email, id, "has an unknown state");
        }
        for name in &self.unidentified_groups {
            let key = builder.key(&format!("@{name}"));
            builder.unidentified_group(&[key], name, "no id");
        }
        for (id, name, members) in &self.groups {
            let key = builder.key(&format!("@{id}"));
            let members = members.iter().map(|member| builder.key(member)).collect();
            builder.group(&[key], id, name, members);
        }
        if let Some(name) = &self.unseen_state_attribute {
            builder.state_attribute(name, 0);
        }
        builder.finish()
    }
}
