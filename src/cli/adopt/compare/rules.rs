//! What the connector makes of a directory, by its documented rules.
//!
//! Everybody with an email who isn't deleted; a disabled account only where disabled ones aren't removed.
//! The filters: people by email, groups by name. Nested groups are followed only among the groups that the
//! filter leaves. Except on LDAP, a filter of groups limits people to those who are in one that is left.

use std::collections::{BTreeSet, HashMap};

use crate::cli::adopt::filter::{self, Of, Rule};
use crate::cli::adopt::read::{Connector, Kind};
use crate::directory::{AccountState, Directory, InvalidEmail, User};

/// The connector's settings that choose among what was read.
#[derive(Debug, Default)]
pub struct Rules {
    pub users: bool,
    pub groups: bool,
    pub remove_disabled: bool,
    /// By email, in lower case.
    pub of_users: Vec<NameRule>,
    /// By name, in lower case.
    pub of_groups: Vec<NameRule>,
    pub groups_limit_people: bool,
}

/// A list of names that are kept, or left out.
#[derive(Debug, Clone)]
pub struct NameRule {
    pub include: bool,
    pub names: BTreeSet<String>,
}

/// Whom and what the connector would send.
#[derive(Debug)]
pub struct Selected {
    /// By index of the directory's people: why they aren't sent.
    left_out: Vec<Option<LeftOut>>,
    /// By index of the directory's groups that are sent: their people, direct or nested.
    pub groups: HashMap<usize, BTreeSet<u32>>,
}

/// Why the connector doesn't send somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It syncs groups only.
    NoPeople,
    /// The account is deleted, or disabled where such are removed.
    Account,
    NoEmail,
    /// The filter of people.
    UserFilter,
    /// In no group that the filter of groups leaves.
    GroupFilter,
    /// In such a group only through a nested one that the filter leaves out.
    Nesting,
}

impl LeftOut {
    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::NoPeople => "the connector syncs groups only",
            Self::Account => "the connector removes disabled and deleted accounts",
            Self::NoEmail => "the connector finds no email",
            Self::UserFilter => "the connector's userFilter leaves them out",
            Self::GroupFilter => "in no group that the connector's groupFilter leaves",
            Self::Nesting => {
                "in a group in scope only through a nested group that the connector's filter leaves out"
            }
        }
    }
}

impl Selected {
    /// Why somebody isn't sent; `None`: they are.
    pub fn left_out(&self, at: usize) -> Option<LeftOut> {
        self.left_out[at]
    }

    pub fn sends(&self, at: usize) -> bool {
        self.left_out[at].is_none()
    }
}

impl NameRule {
    fn passes(&self, name: &str) -> bool {
        self.names.contains(&name.trim().to_lowercase()) == self.include
    }
}

impl Rules {
    /// The rules of these settings. Filters that the source has by now (LDAP filters, queries, groups and
    /// units of Entra ID) choose what is read on both sides.
    pub fn of(connector: &Connector) -> Self {
        let sync = &connector.sync;
        let is_ldap = connector.kind == Kind::Ldap;
        let rule = |key| {
            let text = sync.text(key).filter(|_| !is_ldap).unwrap_or_default();
            let filter = filter::parse(&text, connector.kind != Kind::EntraId);
            filter.unwrap_or_default().rule
        };
        let names = |rule: &Option<Rule>| {
            let rule = rule.iter().filter(|rule| rule.of == Of::Names);
            let rules = rule.map(|rule| NameRule {
                include: rule.include,
                names: rule
                    .values
                    .iter()
                    .map(|value| value.to_lowercase())
                    .collect(),
            });
            rules.collect()
        };
        let of_groups = rule("groupFilter");
        let groups = sync.flag("groups", false);
        Self {
            users: sync.flag("users", false),
            groups,
            remove_disabled: sync.flag("removeDisabled", false),
            of_users: names(&rule("userFilter")),
            of_groups: names(&of_groups),
            groups_limit_people: groups && of_groups.is_some(),
        }
    }

    /// Whom and what the connector would send of this directory.
    pub fn select(&self, directory: &Directory) -> Selected {
        let is_kept = |name: &str| {
            let name = name.trim();
            self.groups && !name.is_empty() && self.of_groups.iter().all(|rule| rule.passes(name))
        };
        let kept: Vec<bool> = directory
            .groups
            .iter()
            .map(|group| is_kept(&group.name))
            .collect();
        let everywhere = vec![true; kept.len()];
        let users = directory.users.iter();
        let mut left_out: Vec<Option<LeftOut>> = users.map(|user| self.leaves_out(user)).collect();
        let mut inside: BTreeSet<u32> = BTreeSet::new();
        let mut inside_by_any: BTreeSet<u32> = BTreeSet::new();
        let mut groups = HashMap::new();
        for at in (0..kept.len()).filter(|at| kept[*at]) {
            let all = members(directory, at, &kept);
            inside.extend(&all);
            inside_by_any.extend(members(directory, at, &everywhere));
            groups.insert(at, all);
        }
        if self.groups_limit_people {
            let sent = left_out.iter_mut().zip(0u32..);
            for (why, at) in sent.filter(|(why, at)| why.is_none() && !inside.contains(at)) {
                *why = Some(match inside_by_any.contains(&at) {
                    true => LeftOut::Nesting,
                    false => LeftOut::GroupFilter,
                });
            }
        }
        for all in groups.values_mut() {
            all.retain(|at| left_out[*at as usize].is_none());
        }
        Selected { left_out, groups }
    }

    /// Why a group isn't sent that the directory has.
    pub fn why_no_group(&self) -> &'static str {
        match self.groups {
            true => "the connector's groupFilter leaves them out",
            false => "the connector syncs no groups",
        }
    }

    /// Why somebody isn't sent as far as their own entry says.
    fn leaves_out(&self, user: &User) -> Option<LeftOut> {
        if !self.users {
            return Some(LeftOut::NoPeople);
        }
        let is_active = match user.state {
            AccountState::Active => true,
            AccountState::Disabled => !self.remove_disabled,
            AccountState::Deleted => false,
        };
        if !is_active {
            return Some(LeftOut::Account);
        }
        let email = match &user.email {
            Ok(email) => Some(email.as_str()),
            // An address that isn't one is sent all the same.
            Err(unusable) if unusable.why != InvalidEmail::Empty => None,
            Err(_) => return Some(LeftOut::NoEmail),
        };
        let by_filter = self
            .of_users
            .iter()
            .all(|rule| email.map_or(!rule.include, |email| rule.passes(email)));
        (!by_filter).then_some(LeftOut::UserFilter)
    }
}

/// Everybody in a group, through nested groups that are `followed`.
fn members(directory: &Directory, group: usize, followed: &[bool]) -> BTreeSet<u32> {
    let (mut all, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![group]);
    while let Some(at) = open.pop() {
        if seen.insert(at) {
            let group = &directory.groups[at];
            all.extend(group.users.iter().copied());
            let nested = group.groups.iter().map(|at| *at as usize);
            open.extend(nested.filter(|at| followed[*at]));
        }
    }
    all
}
