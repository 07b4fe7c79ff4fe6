//! A part of a plan, and another order of it.

use std::str::FromStr;

use super::document::{ChangeRow, Entry, MemberRow, PlanDocument};
use crate::directory::Glob;
use crate::sync::plan::Kind;

/// What is shown of a plan.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only changes about these people, and of groups what is about them.
    pub people: Vec<NamePattern>,
    /// Only changes of these groups.
    pub groups: Vec<NamePattern>,
    /// Only these kinds of change.
    pub actions: Vec<Kind>,
}

/// A text that names people or groups: an email, a name, an external id, or a pattern of them with `*`
/// and `?`; case doesn't matter.
#[derive(Debug, Clone)]
pub struct NamePattern(Glob);

impl FromStr for NamePattern {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Glob::new(text)))
    }
}

impl NamePattern {
    fn fits(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.0.matches(&text.to_lowercase()))
    }
}

/// A kind of change by its name, whatever its case: `revoke`, `UpdateGroup`.
///
/// # Errors
/// With the names that there are.
pub fn action(text: &str) -> Result<Kind, String> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let named = Kind::ALL
        .into_iter()
        .find(|kind| plain(kind.name()) == plain(text));
    named.ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name);
        format!("there is no such change: choose among {}", names.join(", "))
    })
}

impl Selection {
    /// Whether everything is shown.
    pub fn is_everything(&self) -> bool {
        self.people.is_empty() && self.groups.is_empty() && self.actions.is_empty()
    }

    fn has_person(&self, email: Option<&str>, id: Option<&str>) -> bool {
        let mut patterns = self.people.iter();
        patterns.any(|pattern| pattern.fits(email) || pattern.fits(id))
    }

    /// Whether something of a change is shown, as far as it tells without a row made of it.
    fn may_show(&self, entry: &Entry<'_>) -> bool {
        let is_named = |patterns: &[NamePattern]| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| {
                pattern.fits(Some(entry.label())) || pattern.fits(Some(entry.external_id()))
            })
        };
        let fits_action = |kind| self.actions.contains(&kind);
        (self.actions.is_empty() || entry.kind().is_some_and(fits_action))
            && (self.groups.is_empty() || entry.is_of_group() && is_named(&self.groups))
            && (self.people.is_empty() || entry.is_of_group() || is_named(&self.people))
    }

    /// What of a group's change is about the people; `None` where nothing is.
    fn about_people<'a>(&self, mut row: ChangeRow<'a>) -> Option<ChangeRow<'a>> {
        let keep = |member: &MemberRow<'_>| {
            self.has_person(member.email.as_deref(), member.external_id.as_deref())
        };
        for members in [&mut row.add, &mut row.remove].into_iter().flatten() {
            members.retain(keep);
        }
        let lists = [&row.add, &row.remove];
        let somebody = lists.into_iter().flatten().any(|list| !list.is_empty());
        somebody.then_some(row)
    }
}

impl<'a> PlanDocument<'a> {
    /// Leaves what is selected. Problems stay where everything of the changes does.
    #[must_use]
    pub fn select(mut self, selection: &Selection) -> Self {
        if selection.is_everything() {
            return self;
        }
        for list in [Self::changes_mut, Self::held_mut] {
            let entries = std::mem::take(list(&mut self));
            let shown = entries
                .into_iter()
                .filter(|entry| selection.may_show(entry));
            let parts = shown.filter_map(|entry| {
                if selection.people.is_empty() || !entry.is_of_group() {
                    return Some(entry);
                }
                let part = selection.about_people(self.row(&entry).into_owned())?;
                Some(Entry::Row(Box::new(part)))
            });
            let parts = parts.collect();
            *list(&mut self) = parts;
        }
        self.is_selection = true;
        self.problems.clear();
        self.head.problem_counts.clear();
        self
    }

    fn changes_mut(&mut self) -> &mut Vec<Entry<'a>> {
        &mut self.changes
    }

    fn held_mut(&mut self) -> &mut Vec<Entry<'a>> {
        &mut self.held
    }
}
