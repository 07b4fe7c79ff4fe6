//! A directory in a form that reads well in a test, and two of which can be compared.

use std::collections::BTreeMap;

use directory_sync::directory::{AccountState, Directory};

/// A directory as a test speaks of it. Who has no usable email stands under the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The states of accounts, by email.
    pub users: BTreeMap<String, AccountState>,
    /// The external ids, by email.
    pub ids: BTreeMap<String, String>,
    /// The direct members by the group's name: emails of people, names of groups, in order.
    pub groups: BTreeMap<String, Vec<String>>,
    /// How many members are neither people nor groups that were read.
    pub unknown_members: usize,
    /// The problems, as a report shows them.
    pub problems: Vec<String>,
}

impl From<Directory> for Seen {
    fn from(directory: Directory) -> Self {
        let emails: Vec<String> = directory
            .users
            .iter()
            .map(|user| match &user.email {
                Ok(email) => email.to_string(),
                Err(unusable) => {
                    let why = format!("{:?}", unusable.why);
                    let kind = why.split([' ', '(']).next().unwrap_or_default();
                    format!("{kind} of {}", unusable.entry)
                }
            })
            .collect();
        let by_email = || emails.iter().cloned().zip(&directory.users);
        let groups = directory.groups.iter().map(|group| {
            let people = group.users.iter().map(|&at| emails[at as usize].clone());
            let inner = group
                .groups
                .iter()
                .map(|&at| &directory.groups[at as usize]);
            let mut members: Vec<_> = people.chain(inner.map(|g| g.name.to_string())).collect();
            members.sort();
            (group.name.to_string(), members)
        });
        let problems = directory.problems.iter();
        Self {
            users: by_email()
                .map(|(email, user)| (email, user.state))
                .collect(),
            ids: by_email()
                .map(|(email, user)| (email, user.id.to_string()))
                .collect(),
            groups: groups.collect(),
            unknown_members: directory.unknown_members.count,
            problems: problems.map(|problem| problem.message.clone()).collect(),
        }
    }
}

impl Seen {
    /// The emails of all people, in alphabetical order.
    pub fn emails(&self) -> Vec<&str> {
        self.users.keys().map(String::as_str).collect()
    }

    /// Every group, in order.
    pub fn group_names(&self) -> Vec<&str> {
        self.groups.keys().map(String::as_str).collect()
    }
}
