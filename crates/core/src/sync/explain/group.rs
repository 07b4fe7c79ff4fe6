//! About one group: who is in it on which side, and why.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::find::FoundGroup;
use super::next_run::Subject;
use super::{
    Context, Group, GroupMember, List, NAMED_MAX, NextRun, OrganizationGroup, Scope, Verdict, shown,
};
use crate::directory::{ExternalId, fold};
use crate::organization::collection::{Collection, CollectionAccess};
use crate::organization::model::Organization;
use crate::sync::policy::CollectionName;
use crate::sync::roster::Eligibility;

pub(super) fn explain(found: &FoundGroup, context: &Context<'_>) -> Group {
    let with_prefix = found.id.as_ref().and_then(|id| context.prefixed(id));
    let theirs = found.organization.as_ref();
    let of_organization = theirs.and_then(|group| group.external_id.as_ref());
    let external_id = with_prefix.as_ref().or(of_organization);
    let scope = match &found.id {
        Some(id) => context.scope_of_group(id, &found.name),
        None => absent(of_organization, context),
    };
    let subject = Subject {
        external_ids: external_id.into_iter().chain(of_organization).collect(),
        ids: theirs.and_then(|group| group.id).into_iter().collect(),
    };
    let mut next_run = context.of_group(&subject);
    let kept_out = external_id.and_then(|id| context.kept_out(id.as_str(), &shown(&found.name)));
    next_run.notes.extend(kept_out);
    let about = About { found, context };
    let members = about.members(&scope);
    let ids: Vec<&ExternalId> = found
        .id
        .iter()
        .chain(&with_prefix)
        .chain(of_organization)
        .collect();
    let organization = theirs.map(|group| {
        let inside = about.inside();
        let managed = inside.map(|inside| {
            let members = inside.iter().filter_map(|id| context.members.get(id));
            members.filter(|member| context.is_ours(member)).count()
        });
        OrganizationGroup {
            id: group.id.map(|id| id.to_string()),
            name: shown(&group.name),
            managed,
            unmanaged: inside
                .zip(managed)
                .map(|(inside, managed)| inside.len() - managed),
        }
    });
    Group {
        name: shown(match found.name.is_empty() {
            true => external_id.map_or("", ExternalId::as_str),
            false => &found.name,
        }),
        summary: summary(&scope, organization.as_ref(), found.people.len(), &next_run),
        external_id: external_id.map(|id| shown(id.as_str())),
        in_directory: found.id.is_some(),
        scope,
        organization,
        members: List::of(members, NAMED_MAX),
        in_directory_total: found.people.len(),
        contains: List::of(
            found.contains.iter().map(|name| shown(name)).collect(),
            NAMED_MAX,
        ),
        unknown: found
            .unknown
            .iter()
            .take(NAMED_MAX)
            .map(|text| shown(text))
            .collect(),
        access: context.access_of(&found.name),
        next_run,
        problems: context.problems(&ids),
        last_changes: vec![],
    }
}

/// Why the directory has no group for one of the organization.
fn absent(external_id: Option<&ExternalId>, context: &Context<'_>) -> Scope {
    let prefix = &*context.decided.policy.external_id_prefix;
    let why = match external_id {
        Some(id) if id.as_str().starts_with(prefix) => {
            "the directory's complete list has no group with this ID: it was deleted, or the source's \
             filters leave it out"
        }
        Some(_) => "the external ID isn't one of this resource's (externalIdPrefix): unmanaged",
        None => "the group has no external ID: unmanaged",
    };
    Scope {
        verdict: Verdict::Absent,
        why: Some(why.to_owned()),
    }
}

impl Context<'_> {
    /// The access to collections that the rules give a group that is synced.
    fn access_of(&self, name: &str) -> Vec<String> {
        let decided = self.decided;
        let mut groups = decided.roster.groups.iter();
        if !groups.any(|group| &*group.name == name) {
            return vec![];
        }
        let folded = fold(name);
        let rules = decided.policy.access.collections.iter();
        let rules = rules.filter(|rule| rule.group.matches(&folded));
        let all: &[Collection] = match decided.organization {
            Organization::Read(content) => content.collections.as_deref().unwrap_or_default(),
            Organization::WriteOnly => &[],
        };
        // By the name that the plan has, which is the external ID where there is one.
        let label = |name: &CollectionName| match name {
            CollectionName::ExternalId(name) => shown(name),
            CollectionName::Id(id) => {
                let found = all.iter().find(|one| one.id == *id);
                let name = found.and_then(|one| one.external_id.as_deref());
                name.map_or_else(|| id.to_string(), shown)
            }
        };
        let mut together: Vec<(String, CollectionAccess)> = vec![];
        for (name, right) in rules.flat_map(|rule| &rule.collections) {
            let (label, access) = (label(name), right.on(Uuid::nil()));
            match together.iter_mut().find(|(known, _)| *known == label) {
                Some((_, known)) => *known = known.or(access),
                None => together.push((label, access)),
            }
        }
        let access = together.into_iter();
        let access = access.map(|(name, access)| format!("{} on {name}", access.right().name()));
        access.take(NAMED_MAX).collect()
    }
}

struct About<'a> {
    found: &'a FoundGroup,
    context: &'a Context<'a>,
}

impl About<'_> {
    /// Who is in it in the organization; `None` where that wasn't read.
    fn inside(&self) -> Option<&Vec<Uuid>> {
        let id = self.found.organization.as_ref()?.id?;
        self.context.decided.group_members.get(&id)
    }

    /// Those who are in it on one side only first, then the others, each by name.
    fn members(&self, scope: &Scope) -> Vec<GroupMember> {
        let roster = self.context.decided.roster;
        let inside = self.inside();
        let by_external_id: HashMap<&ExternalId, _> = inside
            .into_iter()
            .flatten()
            .filter_map(|id| self.context.members.get(id))
            .filter_map(|member| Some((member.external_id.as_ref()?, member.id)))
            .collect();
        let mut matched: HashSet<Uuid> = HashSet::new();
        let mut members = vec![];
        for (at, through) in &self.found.people {
            let person = &roster.people[*at as usize];
            let theirs = by_external_id.get(&person.id);
            matched.extend(theirs);
            let in_organization = inside.map(|_| theirs.is_some());
            let why = match in_organization {
                Some(true) => None,
                _ if scope.verdict != Verdict::InScope => None,
                _ => self.why_not(person.eligibility, &person.id),
            };
            members.push(GroupMember {
                person: shown(
                    person
                        .email
                        .as_ref()
                        .map_or(person.id.as_str(), |email| email.as_str()),
                ),
                in_directory: true,
                in_organization,
                through: through.iter().map(|name| shown(name)).collect(),
                why,
            });
        }
        let others = inside
            .into_iter()
            .flatten()
            .filter(|id| !matched.contains(id));
        for id in others {
            let member = self.context.members.get(id);
            let ours = member.is_some_and(|member| self.context.is_ours(member));
            members.push(GroupMember {
                person: member
                    .map_or_else(|| id.to_string(), |member| shown(member.email.as_str())),
                in_directory: false,
                in_organization: Some(true),
                through: vec![],
                why: Some(if ours {
                    "the directory's group doesn't have them".to_owned()
                } else {
                    "unmanaged: no external ID of this resource; no run moves them".to_owned()
                }),
            });
        }
        members.sort_by(|a, b| {
            let both = |one: &GroupMember| one.in_directory && one.in_organization == Some(true);
            (both(a), &a.person).cmp(&(both(b), &b.person))
        });
        members
    }

    /// Why somebody of the directory's group isn't in the organization's.
    fn why_not(&self, eligibility: Eligibility, id: &ExternalId) -> Option<String> {
        Some(match eligibility {
            Eligibility::Active => {
                let is_member = self
                    .context
                    .members
                    .values()
                    .any(|member| member.external_id.as_ref() == Some(id));
                match is_member {
                    true => return None,
                    false => "not a member under this ID yet".to_owned(),
                }
            }
            Eligibility::Disabled => "disabled in the directory".to_owned(),
            Eligibility::Deleted => "listed as deleted in the directory".to_owned(),
            Eligibility::OutOfScope => "left out by the resource's filters".to_owned(),
            Eligibility::Unusable => "the entry needs manual action".to_owned(),
        })
    }
}

fn summary(
    scope: &Scope,
    organization: Option<&OrganizationGroup>,
    people: usize,
    next_run: &NextRun,
) -> String {
    let synced = match scope.verdict {
        Verdict::InScope => "synced".to_owned(),
        Verdict::OutOfScope => "not synced: the resource's filters leave it out".to_owned(),
        Verdict::Absent => "not in the directory's list".to_owned(),
        _ => "not synced: the entry can't be used as it is".to_owned(),
    };
    let people = match scope.verdict {
        Verdict::Absent => String::new(),
        _ => match people {
            1 => "; 1 person in the directory".to_owned(),
            people => format!("; {people} people in the directory"),
        },
    };
    let there = match organization {
        None => "not in the organization".to_owned(),
        Some(OrganizationGroup {
            managed: Some(managed),
            unmanaged: Some(unmanaged),
            ..
        }) => format!("{managed} managed and {unmanaged} unmanaged members in the organization"),
        Some(_) => "in the organization".to_owned(),
    };
    let held = next_run.held();
    let next = match (next_run.changes.total, held) {
        (0, _) => "the next run changes nothing about it".to_owned(),
        (_, 0) => "the next run changes it".to_owned(),
        (total, held) if total == held => "a change is held until approved".to_owned(),
        _ => "the next run changes it, and a change is held until approved".to_owned(),
    };
    format!("{synced}{people}; {there}; {next}")
}
