//! `adopt --compare`: whom and what the connector would make of the directory, beside what the resource makes.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::AdoptError;
use super::read::Connector;
use crate::cli::args::ManifestArgs;
use crate::cli::manifests::Manifests;
use crate::cli::output::note;
use crate::cli::session::Session;
use crate::complete::Complete;
use crate::directory::{Directory, Evidence, User};
use crate::source::{ReadProgress, Reading};
use crate::sync::policy::Policy;
use crate::sync::resolve::resolve;
use crate::sync::roster::{Eligibility, Person, Unusable};
use crate::text::sanitize;
use rules::Rules;

/// So many people or groups of a reason are named.
const NAMED_MAX: usize = 20;

const DISABLED: &str = "the account is disabled: the connector takes it for active";
const NESTED: &str =
    "in a group in scope only through a nested group that the connector's filter leaves out";
const NOT_THERE: &str = "the connector's settings leave them out";

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Comparison {
    people: Counts,
    groups: Counts,
    /// People by why the connector alone has them.
    only_connector: BTreeMap<String, BTreeSet<String>>,
    /// People by why they are here alone.
    only_here: BTreeMap<String, BTreeSet<String>>,
    groups_only_connector: BTreeSet<String>,
    groups_only_here: BTreeSet<String>,
    /// Groups of both, by name: who is in them here alone, and there alone.
    members: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
    /// Emails that several people have whom the connector sends.
    shared_emails: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    connector: usize,
    here: usize,
    both: usize,
}

/// Reads the directory that the manifests name and compares.
pub async fn compare(
    connector: &Connector,
    manifests: &ManifestArgs,
) -> Result<String, AdoptError> {
    let failed =
        |error: &dyn std::error::Error| AdoptError::Compare(crate::cli::output::explain(error));
    let manifests = Manifests::load(manifests).map_err(|error| failed(&error))?;
    note(&manifests.notes);
    let mut text = String::new();
    for resource in manifests.resources() {
        let session = Session::open(resource, &manifests).map_err(|error| failed(&error))?;
        let read = session.source.read(None, &ReadProgress::default()).await;
        let Reading::Full { directory, .. } = read.map_err(|error| failed(&error))? else {
            continue;
        };
        let comparison = Comparison::of(&Rules::of(connector), directory, &session.policy);
        text.push_str(&format!("{}\n{}", session.object, comparison?.to_text()));
    }
    Ok(text)
}

impl Comparison {
    fn of(
        rules: &Rules,
        directory: Complete<Directory>,
        policy: &Policy,
    ) -> Result<Self, AdoptError> {
        let selected = rules.select(&directory);
        let names: Vec<String> = directory.users.iter().map(name_of).collect();
        let group_ids: Vec<_> = directory
            .groups
            .iter()
            .map(|group| {
                (
                    group.id.with_prefix(&policy.external_id_prefix).ok(),
                    group.name.clone(),
                )
            })
            .collect();
        let roster =
            resolve(directory, policy).map_err(|error| AdoptError::Compare(error.to_string()))?;

        let mut found = Self::default();
        let mut emails: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, person) in roster.people.iter().enumerate() {
            let (there, here) = (
                selected.people[at],
                person.eligibility == Eligibility::Active,
            );
            found.people.count(there, here);
            let name = || names[at].clone();
            match (there, here) {
                (true, false) => {
                    let why = why_not_here(person);
                    found.only_connector.entry(why).or_default().insert(name());
                }
                (false, true) => {
                    let lost = selected.lost_by_nesting.contains(&(at as u32));
                    let why = if lost { NESTED } else { NOT_THERE };
                    found
                        .only_here
                        .entry(why.to_owned())
                        .or_default()
                        .insert(name());
                }
                _ => {}
            }
            if let Some(email) = person.email.as_ref().filter(|_| there) {
                *emails.entry(email.as_str()).or_default() += 1;
            }
        }
        let shared = emails.into_iter().filter(|(_, count)| *count > 1);
        found.shared_emails = shared.map(|(email, _)| email.to_owned()).collect();

        let ours: BTreeMap<_, _> = roster
            .groups
            .iter()
            .map(|group| (&group.id, group))
            .collect();
        for (at, (id, name)) in group_ids.iter().enumerate() {
            let there = selected.groups.get(&at);
            let here = id.as_ref().and_then(|id| ours.get(id));
            found.groups.count(there.is_some(), here.is_some());
            let name = sanitize(name);
            match (there, here) {
                (Some(_), None) => {
                    found.groups_only_connector.insert(name);
                }
                (None, Some(_)) => {
                    found.groups_only_here.insert(name);
                }
                (Some(there), Some(here)) => {
                    let active =
                        |at: &u32| roster.people[*at as usize].eligibility == Eligibility::Active;
                    let here: BTreeSet<u32> = here.people.iter().filter(active).collect();
                    // Who differs as a person is told above.
                    let both = |at: &&u32| selected.people[**at as usize] && active(at);
                    let named = |only: Vec<&u32>| -> BTreeSet<String> {
                        only.into_iter()
                            .map(|at| names[*at as usize].clone())
                            .collect()
                    };
                    let more = named(here.difference(there).filter(both).collect());
                    let fewer = named(there.difference(&here).filter(both).collect());
                    if !more.is_empty() || !fewer.is_empty() {
                        found.members.insert(name, (more, fewer));
                    }
                }
                (None, None) => {}
            }
        }
        Ok(found)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for (what, counts) in [("people", self.people), ("groups", self.groups)] {
            text.push_str(&format!(
                "{what}: the connector {}, here {}, both {}\n",
                counts.connector, counts.here, counts.both
            ));
        }
        let mut list = |title: &str, all: &BTreeSet<String>| {
            if all.is_empty() {
                return;
            }
            text.push_str(&format!("\n{title} ({})\n", all.len()));
            let named = all.iter().take(NAMED_MAX);
            named.for_each(|name| text.push_str(&format!("  {name}\n")));
            if all.len() > NAMED_MAX {
                text.push_str(&format!("  … and {} more\n", all.len() - NAMED_MAX));
            }
        };
        for (why, people) in &self.only_connector {
            list(&format!("only the connector: {why}"), people);
        }
        for (why, people) in &self.only_here {
            list(&format!("only here: {why}"), people);
        }
        list("groups of the connector alone", &self.groups_only_connector);
        list("groups here alone", &self.groups_only_here);
        for (group, (more, fewer)) in &self.members {
            list(&format!("only here in group {group}"), more);
            list(&format!("only with the connector in group {group}"), fewer);
        }
        list(
            "emails that several people have: the connector's whole import fails",
            &self.shared_emails,
        );
        let nothing = self.only_connector.is_empty()
            && self.only_here.is_empty()
            && self.groups_only_connector.is_empty()
            && self.groups_only_here.is_empty()
            && self.members.is_empty();
        if nothing {
            text.push_str("\neverybody and every group is the same\n");
        }
        text
    }
}

impl Counts {
    fn count(&mut self, there: bool, here: bool) {
        self.connector += usize::from(there);
        self.here += usize::from(here);
        self.both += usize::from(there && here);
    }
}

fn name_of(user: &User) -> String {
    match &user.email {
        Ok(email) => sanitize(email.as_str()),
        Err(_) => sanitize(user.id.as_str()),
    }
}

/// Why somebody isn't a member here.
fn why_not_here(person: &Person) -> String {
    match (person.eligibility, &person.evidence, person.unusable) {
        (Eligibility::Disabled, ..) => DISABLED.to_owned(),
        (Eligibility::OutOfScope, Some(Evidence::OutOfScope(rule)), _) => {
            format!("left out here by {rule}")
        }
        (Eligibility::Unusable, _, Some(Unusable::Problem(reason))) => {
            format!("the entry needs manual action ({reason})")
        }
        _ => "the entry can't be used here".to_owned(),
    }
}
