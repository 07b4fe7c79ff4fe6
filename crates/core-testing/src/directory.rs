//! Directories in a few words.

use directory_sync_core::complete::Complete;
use directory_sync_core::directory::{
    Account, AccountState, Directory, DirectoryBuilder, ExternalId, Incremental, ReadNow,
};

/// A directory to be read.
#[derive(Debug, Clone, Default)]
pub struct TestDirectory {
    people: Vec<(String, String, AccountState)>,
    groups: Vec<(String, String, Vec<String>)>,
    /// Groups by a DN: (dn, id, name, members).
    group_entries: Vec<(String, String, String, Vec<String>)>,
    /// Entries by a name that isn't their id: (name, id, email).
    entries: Vec<(String, Option<String>, String, AccountState)>,
    /// People of whom it isn't known whether the account may be used: (id, email).
    undecided: Vec<(String, String)>,
    /// Names of groups without an id.
    unidentified_groups: Vec<String>,
    /// By what disabled accounts are told, where that isn't the usual.
    rule: Rule,
    /// Active people whose entry has the attribute, or lacks it: (id, container, whether it has it).
    attributes: Vec<(String, String, bool)>,
    /// People whose entry doesn't show the name by which groups may name people.
    unnamed: Vec<String>,
}

/// By what disabled accounts are told.
#[derive(Debug, Clone, Default)]
enum Rule {
    /// By an attribute that each entry has.
    #[default]
    State,
    /// By the same, and entries may lack it; `true` where active ones have it for a while.
    Optional { name: String, comes_and_goes: bool },
    /// By an attribute whose values mean this.
    Other(String),
    /// By nothing.
    None,
}

/// What the values of the attribute mean.
const MEANING: &str = "state is off";

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
    pub fn entry(self, dn: &str, id: &str, email: &str) -> Self {
        self.entry_in(dn, id, email, AccountState::Active)
    }

    /// The same, of an account in the given state.
    pub fn entry_in(mut self, dn: &str, id: &str, email: &str, state: AccountState) -> Self {
        self.entries
            .push((dn.into(), Some(id.into()), email.into(), state));
        self
    }

    /// A group whose DN is `dn`; members by DN.
    pub fn group_entry(mut self, dn: &str, id: &str, name: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|&member| member.into()).collect();
        self.group_entries
            .push((dn.into(), id.into(), name.into(), members));
        self
    }

    /// An entry whose id can't be read; groups have it as `dn`.
    pub fn unidentified(mut self, dn: &str, email: &str) -> Self {
        let state = AccountState::Active;
        self.entries.push((dn.into(), None, email.into(), state));
        self
    }

    /// An account of which it isn't known whether it may be used.
    pub fn undecided(mut self, id: &str, email: &str) -> Self {
        self.undecided.push((id.into(), email.into()));
        self
    }

    /// No entry has this attribute, by which disabled accounts are recognised.
    pub fn without_attribute(mut self, name: &str) -> Self {
        self.rule = Rule::Optional {
            name: name.into(),
            comes_and_goes: false,
        };
        self
    }

    /// Nothing is read that would tell disabled accounts.
    pub fn without_account_rule(mut self) -> Self {
        self.rule = Rule::None;
        self
    }

    /// Disabled accounts are told by values that mean something else.
    pub fn other_account_rule(mut self, meaning: &str) -> Self {
        self.rule = Rule::Other(meaning.into());
        self
    }

    /// Active accounts have the attribute that tells disabled ones for a while, and lack it then.
    pub fn attribute_comes_and_goes(mut self) -> Self {
        self.rule = Rule::Optional {
            name: "state".into(),
            comes_and_goes: true,
        };
        self
    }

    /// The entry of an active person in this container has the attribute that tells disabled accounts.
    pub fn shows_attribute(self, id: &str, container: &str) -> Self {
        self.attribute(id, container, true)
    }

    /// The entry of an active person in this container doesn't show it.
    pub fn lacks_attribute(self, id: &str, container: &str) -> Self {
        self.attribute(id, container, false)
    }

    fn attribute(mut self, id: &str, container: &str, shown: bool) -> Self {
        if matches!(self.rule, Rule::State) {
            self = self.without_attribute("state");
        }
        self.attributes.push((id.into(), container.into(), shown));
        self
    }

    /// The entry of this person doesn't show the name by which groups may name people.
    pub fn unnamed(mut self, id: &str) -> Self {
        self.unnamed.push(id.into());
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
        self.builder().finish()
    }

    /// The same of an earlier read that was brought up to date; `read_now` was itself read.
    pub fn read_incremental(&self, read_now: ReadNow) -> Incremental<Directory> {
        self.builder().finish_incremental(read_now)
    }

    fn builder(&self) -> DirectoryBuilder {
        let mut builder = DirectoryBuilder::with_shareable_ids();
        match &self.rule {
            Rule::State => builder.account_rule("state", MEANING),
            Rule::Optional {
                name,
                comes_and_goes,
            } => builder.optional_account_rule(name, MEANING, *comes_and_goes),
            Rule::Other(meaning) => builder.account_rule("state", meaning),
            Rule::None => {}
        }
        for (id, email, state) in &self.people {
            let key = builder.key(id);
            let mut account = Account::new(*state, "state", "off");
            let mut attributes = self.attributes.iter();
            let attribute = attributes.find(|(of, ..)| of == id);
            let container = attribute.map_or("", |(_, container, _)| container);
            let shown = match attribute {
                Some((.., shown)) => *shown,
                None => *state != AccountState::Active,
            };
            if let Rule::Optional { .. } = self.rule {
                account.lacks_attribute_in =
                    builder.note_attribute(container, shown.then_some(*state));
            }
            builder.user(&[key], id, email, account, id);
            if self.unnamed.contains(id) {
                builder.unnamed(key);
            }
        }
        builder.keys_are_former_ids(|text| text.contains('=').then(|| text.to_lowercase()));
        for (dn, id, email, state) in &self.entries {
            let key = builder.key(&dn.to_lowercase());
            let account = Account::new(*state, "state", "off");
            match id {
                Some(id) => builder.user(&[key], id, email, account, dn),
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
        for (dn, id, name, members) in &self.group_entries {
            let key = builder.key(&dn.to_lowercase());
            let members = members.iter();
            let members = members.map(|dn| builder.key(&dn.to_lowercase())).collect();
            builder.group(&[key], id, name, members);
        }
        builder
    }
}
