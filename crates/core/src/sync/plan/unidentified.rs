//! Who may be an entry of the directory that can't be identified.
//!
//! The member with its email may be this person, and so may the one with an id that several entries
//! have: they keep what they have. Where neither tells, any member whom the directory doesn't list
//! may be this person, and nobody's absence is believed.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use uuid::Uuid;

use crate::directory::{ExternalId, UnidentifiedGroup, UnidentifiedUser};
use crate::organization::model::{Group, Member};
use crate::problem::{Problem, ProblemReason};
use crate::text::sanitize;

/// How many entries a problem names.
const SAMPLE: usize = 5;

/// Members or groups that may be entries which can't be identified.
#[derive(Default)]
pub(super) struct Protected<'a> {
    /// Each may be one of these entries.
    pub may_be: HashSet<Uuid>,
    /// Entries that may be anybody.
    anybody: Vec<&'a str>,
    /// Who isn't believed to be absent because of them.
    kept: Vec<ExternalId>,
}

impl<'a> Protected<'a> {
    /// Looks for each entry among the `members` by email and by id.
    ///
    /// `is_known` recognises members who are somebody else for certain: active people with an id of
    /// their own. A member is one person, so they say of one entry whose it is, and of none where
    /// `has_entry` knows another entry with their id. Only a managed member (with our `prefix`) does:
    /// somebody who was invited by hand may have the email of a managed member's entry.
    pub fn members(
        entries: &'a [UnidentifiedUser],
        members: &[Member],
        prefix: &str,
        is_known: impl Fn(&Member) -> bool,
        has_entry: impl Fn(&ExternalId) -> bool,
    ) -> Self {
        let mut protected = Self::default();
        if entries.is_empty() {
            return protected;
        }
        let mut open = OpenEntries::of(
            entries
                .iter()
                .map(|entry| (entry.email.as_ref(), entry.id.as_ref())),
        );
        for member in members.iter().filter(|member| !is_known(member)) {
            let id = member.external_id.as_ref();
            if !open.may_be(Some(&member.email), id) {
                continue;
            }
            protected.may_be.insert(member.id);
            let own = id.filter(|id| id.as_str().starts_with(prefix) && !has_entry(id));
            if own.is_some() {
                open.identify(Some(&member.email), own);
            }
        }
        let anybody = entries.iter().zip(&open.identified);
        let anybody = anybody.filter(|(entry, identified)| !entry.undecided && !**identified);
        protected.anybody = anybody.map(|(entry, _)| &*entry.entry).collect();
        protected
    }

    /// Looks for each group among the `groups` by name and by id. A group is one, as a member is: see
    /// [`Self::members`].
    pub fn groups(
        entries: &'a [UnidentifiedGroup],
        groups: &[Group],
        prefix: &str,
        has_entry: impl Fn(&ExternalId) -> bool,
    ) -> Self {
        let mut protected = Self::default();
        if entries.is_empty() {
            return protected;
        }
        let mut open = OpenEntries::of(
            entries
                .iter()
                .map(|entry| (Some(&*entry.name), entry.id.as_ref())),
        );
        for group in groups {
            let id = group.external_id.as_ref();
            if open.may_be(Some(&*group.name), id) {
                protected.may_be.insert(group.id);
                let own = id.filter(|id| id.as_str().starts_with(prefix) && !has_entry(id));
                if own.is_some() {
                    open.identify(Some(&*group.name), own);
                }
            }
        }
        let anybody = entries.iter().zip(&open.identified);
        let anybody = anybody.filter(|(_, identified)| !**identified);
        protected.anybody = anybody.map(|(entry, _)| &*entry.name).collect();
        protected
    }

    /// Whether somebody with this id, whom the directory doesn't list, is to be left alone because
    /// an entry may be theirs and nothing tells. Notes them.
    pub fn keeps(&mut self, external_id: &ExternalId) -> bool {
        let keeps = self.would_keep();
        if keeps {
            self.kept.push(external_id.clone());
        }
        keeps
    }

    /// The same, where nobody is to be told.
    pub fn would_keep(&self) -> bool {
        !self.anybody.is_empty()
    }

    /// What a person is told about whoever was kept: `what` are members or groups.
    pub fn problem(self, what: &str) -> Option<Problem> {
        if self.kept.is_empty() {
            return None;
        }
        let mut named: Vec<String> = self.anybody.iter().copied().map(sanitize).collect();
        named.sort_unstable();
        named.truncate(SAMPLE);
        let count = self.anybody.len();
        let more = match count > SAMPLE {
            true => format!(" and {} more", count - SAMPLE),
            false => String::new(),
        };
        let entries = match count {
            1 => "1 entry of the directory can't be identified".to_owned(),
            _ => format!("{count} entries of the directory can't be identified"),
        };
        let message = format!(
            "{entries} ({}{more}) and may be any of the {} {what} that it doesn't list: none of \
             them was taken for absent in this run; let the operator's account read the id of \
             these entries, give each an id of its own, or leave them out by a filter",
            named.join(", "),
            self.kept.len(),
        );
        let reason = ProblemReason::UnidentifiedEntries;
        Some(Problem::new(reason, message, self.kept))
    }
}

/// Entries by what may be read of them: an email or a name, and an id that others have, too.
struct OpenEntries<'a, N: ?Sized> {
    by_name: HashMap<&'a N, Vec<usize>>,
    by_id: HashMap<&'a ExternalId, Vec<usize>>,
    /// Of which entries it is known whose they are.
    identified: Vec<bool>,
}

impl<'a, N: Eq + Hash + ?Sized> OpenEntries<'a, N> {
    fn of(entries: impl Iterator<Item = (Option<&'a N>, Option<&'a ExternalId>)>) -> Self {
        let mut open = Self {
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            identified: vec![],
        };
        for (at, (name, id)) in entries.enumerate() {
            if let Some(name) = name {
                open.by_name.entry(name).or_default().push(at);
            }
            if let Some(id) = id {
                open.by_id.entry(id).or_default().push(at);
            }
            open.identified.push(false);
        }
        open
    }

    /// Whether any entry has this name or id.
    fn may_be(&self, name: Option<&N>, id: Option<&ExternalId>) -> bool {
        name.is_some_and(|name| self.by_name.contains_key(name))
            || id.is_some_and(|id| self.by_id.contains_key(id))
    }

    /// Gives one entry to whoever has this name and id: one that has both, else one that has one.
    fn identify(&mut self, name: Option<&N>, id: Option<&ExternalId>) {
        let empty = vec![];
        let named = name
            .and_then(|name| self.by_name.get(name))
            .unwrap_or(&empty);
        let of_id = id.and_then(|id| self.by_id.get(id)).unwrap_or(&empty);
        // Both lists are in order.
        let both = named.iter().filter(|at| of_id.binary_search(at).is_ok());
        let entry = both
            .chain(named)
            .chain(of_id)
            .find(|at| !self.identified[**at]);
        if let Some(&at) = entry {
            self.identified[at] = true;
        }
    }
}
