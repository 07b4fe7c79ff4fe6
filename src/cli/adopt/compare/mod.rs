//! `adopt --compare`: whom and what the connector would make of the directory, beside what the resource makes.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::AdoptError;
use super::read::{Connector, Kind};
use crate::api::spec::SourceSpec;
use crate::cli::args::ManifestArgs;
use crate::cli::manifests::{Manifests, object_of};
use crate::cli::output::note;
use crate::cli::session::Session;
use crate::complete::Complete;
use crate::directory::{Directory, Evidence, User};
use crate::source::{ReadProgress, Reading};
use crate::sync::policy::Policy;
use crate::sync::resolve::resolve;
use crate::sync::roster::{Eligibility, GroupEligibility, Person, Unusable};
use crate::text::sanitize;
use rules::Rules;

/// So many people or groups of a reason are named, unless all are asked for.
const NAMED_MAX: usize = 20;

const DISABLED: &str = "the account is disabled: the connector takes it for active";

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Comparison {
    people: Counts,
    groups: Counts,
    /// People by why the connector alone has them.
    only_connector: BTreeMap<String, BTreeSet<String>>,
    /// People by why they are here alone.
    only_here: BTreeMap<String, BTreeSet<String>>,
    /// Groups by why the connector alone has them.
    groups_only_connector: BTreeMap<String, BTreeSet<String>>,
    /// Groups by why they are here alone.
    groups_only_here: BTreeMap<String, BTreeSet<String>>,
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
///
/// # Errors
/// When the manifests can't be used, are about another kind of directory, or the directory can't be read.
pub async fn compare(
    connector: &Connector,
    manifests: &ManifestArgs,
    all: bool,
) -> Result<String, AdoptError> {
    let failed =
        |error: &dyn std::error::Error| AdoptError::Compare(crate::cli::output::explain(error));
    let manifests = Manifests::load(manifests).map_err(|error| failed(&error))?;
    note(&manifests.notes);
    let mut text = String::new();
    for resource in manifests.resources() {
        let object = object_of(resource);
        if !reads(&resource.spec.source, connector.kind) {
            return Err(AdoptError::OtherDirectory {
                path: connector.path.clone(),
                kind: connector.kind.describe(),
                object: object.to_string(),
            });
        }
        let session = Session::open(resource, &manifests).map_err(|error| failed(&error))?;
        let ours = session.organization.organization_id().to_string();
        if let Some(other) = connector
            .organization
            .as_ref()
            .filter(|one| !one.eq_ignore_ascii_case(&ours))
        {
            note(&[format!(
                "{} is about the organization {}, and {object} about {ours}: is it the right file?",
                connector.path.display(),
                sanitize(other),
            )]);
        }
        let read = session.source.read(None, &ReadProgress::default()).await;
        let Reading::Full { directory, .. } = read.map_err(|error| failed(&error))? else {
            continue;
        };
        let comparison = Comparison::of(&Rules::of(connector), directory, &session.policy);
        text.push_str(&format!("{}\n{}", session.object, comparison?.to_text(all)));
    }
    Ok(text)
}

/// Whether a resource reads this kind of directory.
fn reads(source: &SourceSpec, kind: Kind) -> bool {
    match kind {
        Kind::Ldap => source.ldap.is_some() || source.active_directory.is_some(),
        Kind::EntraId => source.entra_id.is_some(),
        Kind::GoogleWorkspace => source.google_workspace.is_some(),
        Kind::Okta => source.okta.is_some(),
        Kind::OneLogin => source.one_login.is_some(),
    }
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
                selected.sends(at),
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
                    if let Some(why) = selected.left_out(at) {
                        let why = why.describe().to_owned();
                        found.only_here.entry(why).or_default().insert(name());
                    }
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
                    let why =
                        why_no_group_here(id.as_ref().and_then(|id| roster.other_groups.get(id)));
                    let groups = &mut found.groups_only_connector;
                    groups.entry(why).or_default().insert(name);
                }
                (None, Some(_)) => {
                    let why = rules.why_no_group().to_owned();
                    found.groups_only_here.entry(why).or_default().insert(name);
                }
                (Some(there), Some(here)) => {
                    let active =
                        |at: &u32| roster.people[*at as usize].eligibility == Eligibility::Active;
                    let here: BTreeSet<u32> = here.people.iter().filter(active).collect();
                    // Who differs as a person is told above.
                    let both = |at: &&u32| selected.sends(**at as usize) && active(at);
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

    /// `every`: everybody is named, and not the first of each reason alone.
    fn to_text(&self, every: bool) -> String {
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
            let shown = if every { all.len() } else { NAMED_MAX };
            let named = all.iter().take(shown);
            named.for_each(|name| text.push_str(&format!("  {name}\n")));
            if all.len() > shown {
                let more = all.len() - shown;
                text.push_str(&format!("  … and {more} more: add --all\n"));
            }
        };
        for (why, people) in &self.only_connector {
            list(&format!("only the connector: {why}"), people);
        }
        for (why, people) in &self.only_here {
            list(&format!("only here: {why}"), people);
        }
        for (why, groups) in &self.groups_only_connector {
            list(&format!("groups of the connector alone: {why}"), groups);
        }
        for (why, groups) in &self.groups_only_here {
            list(&format!("groups here alone: {why}"), groups);
        }
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

/// Why a group isn't here.
fn why_no_group_here(eligibility: Option<&GroupEligibility>) -> String {
    match eligibility {
        Some(GroupEligibility::OutOfScope) => {
            "left out here by groups.include or groups.exclude".to_owned()
        }
        Some(GroupEligibility::Unusable(Unusable::Problem(reason))) => {
            format!("the entry needs manual action ({reason})")
        }
        _ => "the entry can't be used here".to_owned(),
    }
}
