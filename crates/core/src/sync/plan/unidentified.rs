//! Who may be an entry of the directory that can't be identified.
//!
//! The member with its email may be this person, and so may the one with an id that several entries
//! have: they keep what they have. Where neither tells, any member whom the directory doesn't list
//! may be this person, and nobody's absence is believed.

use std::collections::HashSet;

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
    /// `is_known` tells members who are somebody else for certain: active people with an id of
    /// their own. Only a managed member (with our `prefix`) tells whose an entry is: somebody who was
    /// invited by hand may have the email of a managed member's entry.
    pub fn members(
        entries: &'a [UnidentifiedUser],
        members: &[Member],
        prefix: &str,
        is_known: impl Fn(&Member) -> bool,
    ) -> Self {
        let mut protected = Self::default();
        if entries.is_empty() {
            return protected;
        }
        let emails: HashSet<_> = entries.iter().filter_map(|e| e.email.as_ref()).collect();
        let ids: HashSet<_> = entries.iter().filter_map(|e| e.id.as_ref()).collect();
        let (mut found_emails, mut found_ids) = (HashSet::new(), HashSet::new());
        for member in members.iter().filter(|member| !is_known(member)) {
            let email = emails.get(&member.email).copied();
            let id = member
                .external_id
                .as_ref()
                .and_then(|id| ids.get(id).copied());
            if email.is_some() || id.is_some() {
                protected.may_be.insert(member.id);
            }
            let managed = member.external_id.as_ref();
            if managed.is_some_and(|id| id.as_str().starts_with(prefix)) {
                email.map(|email| found_emails.insert(email));
                id.map(|id| found_ids.insert(id));
            }
        }
        let told = |entry: &UnidentifiedUser| {
            entry
                .email
                .as_ref()
                .is_some_and(|email| found_emails.contains(email))
                || entry.id.as_ref().is_some_and(|id| found_ids.contains(id))
        };
        let anybody = entries
            .iter()
            .filter(|entry| !entry.undecided && !told(entry));
        protected.anybody = anybody.map(|entry| &*entry.entry).collect();
        protected
    }

    /// Looks for each group among the `groups` by name and by id.
    pub fn groups(entries: &'a [UnidentifiedGroup], groups: &[Group]) -> Self {
        let mut protected = Self::default();
        if entries.is_empty() {
            return protected;
        }
        let (mut found_names, mut found_ids) = (HashSet::new(), HashSet::new());
        for group in groups {
            let name = entries.iter().find(|entry| entry.name == group.name);
            let of_group = group.external_id.as_ref();
            let id = entries
                .iter()
                .find(|e| e.id.is_some() && e.id.as_ref() == of_group);
            if name.is_some() || id.is_some() {
                protected.may_be.insert(group.id);
            }
            name.map(|entry| found_names.insert(&entry.name));
            id.and_then(|entry| entry.id.as_ref())
                .map(|id| found_ids.insert(id));
        }
        let told = |entry: &UnidentifiedGroup| {
            found_names.contains(&entry.name)
                || entry.id.as_ref().is_some_and(|id| found_ids.contains(id))
        };
        let anybody = entries.iter().filter(|entry| !told(entry));
        protected.anybody = anybody.map(|entry| &*entry.name).collect();
        protected
    }

    /// Whether somebody with this id, whom the directory doesn't list, is to be left alone because
    /// an entry may be theirs and nothing tells. Notes them.
    pub fn keeps(&mut self, external_id: &ExternalId) -> bool {
        let keeps = !self.anybody.is_empty();
        if keeps {
            self.kept.push(external_id.clone());
        }
        keeps
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
