//! About one person.

use std::collections::{BTreeSet, HashSet};

use super::find::{FoundMember, FoundPerson, FoundWay};
use super::next_run::Subject;
use super::{
    Context, Entry, InGroup, Linked, List, Member, NAMED_MAX, NextRun, Person, Recorded, Scope,
    Verdict, shown,
};
use crate::directory::{AccountState, ExternalId};
use crate::organization::model::{MemberStatus, Organization};
use crate::sync::ledger::Fact;
use crate::sync::plan::{claims, describe_role};
use crate::sync::roster::Eligibility;

pub(super) fn explain(found: &FoundPerson, context: &Context<'_>) -> Person {
    let about = About { found, context };
    let person = found
        .at
        .map(|at| &context.decided.roster.people[at as usize]);
    let bare = found.entry.as_ref().map(|entry| &entry.id);
    let own: Vec<&ExternalId> = person
        .map(|person| &person.id)
        .into_iter()
        .chain(bare)
        .collect();
    // A member who has the address and another person's ID isn't theirs.
    let is_others = |id: &ExternalId| {
        person.is_none_or(|person| person.id != *id)
            && context.decided.roster.by_id.contains_key(id)
    };
    let theirs = found
        .members
        .iter()
        .filter(|member| found.at.is_none() || !member.external_id.as_ref().is_some_and(is_others));
    let with_prefix: BTreeSet<&ExternalId> = person
        .map(|person| &person.id)
        .into_iter()
        .chain(
            theirs
                .clone()
                .filter_map(|member| member.external_id.as_ref()),
        )
        .collect();
    let of_members = theirs
        .clone()
        .filter_map(|member| member.external_id.as_ref());
    let all: Vec<&ExternalId> = own.iter().copied().chain(of_members).collect();
    let scope = match (person, &found.unidentified) {
        (Some(person), _) => context.scope_of(person, &own),
        (None, Some(user)) => Scope {
            verdict: Verdict::Unidentified,
            why: Some(format!(
                "{} was read and can't be identified{}",
                shown(&user.entry),
                if user.undecided {
                    ": nobody can tell whether the account may be used"
                } else {
                    ": it has no ID of its own that the operator's account may read"
                }
            )),
        },
        (None, None) => about.absent(),
    };
    let with_id = person.map(|person| &person.id);
    let subject = Subject {
        external_ids: all.iter().copied().collect(),
        ids: theirs.filter_map(|member| member.id).collect(),
    };
    let mut next_run = context.of_person(&subject);
    let groups = about.groups();
    if scope.verdict == Verdict::InScope {
        let kept_out = about.kept_out(&groups);
        next_run.rests_on_all_groups |= !kept_out.is_empty();
        next_run.notes.extend(kept_out);
    }
    let members: Vec<Member> = found
        .members
        .iter()
        .map(|member| about.member(member, with_id))
        .collect();
    let record = about.record(&all);
    let name = found
        .entry
        .as_ref()
        .and_then(|entry| entry.email.as_ref())
        .or_else(|| {
            found
                .unidentified
                .as_ref()
                .and_then(|user| user.email.as_ref())
        })
        .or_else(|| found.members.first().map(|member| &member.email))
        .map(|email| email.as_str());
    let name = name.or_else(|| bare.map(ExternalId::as_str));
    Person {
        person: shown(
            name.or(found.unidentified.as_ref().map(|user| &*user.entry))
                .unwrap_or_default(),
        ),
        summary: summary(&scope, found.entry.is_some(), &members, &next_run),
        entry: found.entry.as_ref().map(|entry| Entry {
            id: entry.id.to_string(),
            name: entry.name.as_deref().map(shown),
            email: entry.email.as_ref().map(ToString::to_string),
            state: match entry.state {
                AccountState::Active => "Active",
                AccountState::Disabled => "Disabled",
                AccountState::Deleted => "Deleted",
            }
            .to_owned(),
            evidence: entry.evidence.as_deref().map(shown),
        }),
        scope,
        groups,
        role: found.at.and_then(|at| about.role(at)),
        members,
        next_run,
        problems: context.problems(&all),
        record,
        external_ids: (with_prefix.iter()).map(|id| shown(id.as_str())).collect(),
        last_changes: vec![],
    }
}

struct About<'a> {
    found: &'a FoundPerson,
    context: &'a Context<'a>,
}

impl About<'_> {
    /// Why the directory has nobody for a member.
    fn absent(&self) -> Scope {
        let policy = self.context.decided.policy;
        let prefix = &*policy.external_id_prefix;
        let member = self.found.members.first();
        let why = match member.and_then(|member| member.external_id.as_ref()) {
            Some(id) if id.as_str().starts_with(prefix) => {
                "the directory's complete list has no entry with this ID: it was deleted, or the source's \
                 filters leave it out"
            }
            Some(_) => "the external ID isn't one of this resource's (externalIdPrefix): unmanaged",
            None => {
                "the member has no external ID, and nobody in the directory has the address: unmanaged"
            }
        };
        Scope {
            verdict: Verdict::Absent,
            why: Some(why.to_owned()),
        }
    }

    /// The role that the rules give somebody of the roster.
    fn role(&self, at: u32) -> Option<String> {
        let decided = self.context.decided;
        let (role, through) = claims(decided.roster, &decided.policy.access, at)?;
        let members = self.found.members.iter();
        let members = members.filter_map(|one| self.context.members.get(&one.id?));
        let mut statuses = members.map(|member| member.status);
        let person = &decided.roster.people[at as usize];
        let later = match (decided.organization, statuses.next()) {
            (Organization::WriteOnly, _) => "",
            _ if person.eligibility != Eligibility::Active => "",
            (_, None | Some(MemberStatus::Invited | MemberStatus::Staged)) => {
                ", once they have accepted an invitation"
            }
            (_, Some(MemberStatus::Revoked)) => ", once they have access again",
            (_, Some(_)) => "",
        };
        Some(shown(&format!("{}{later}", describe_role(&role, &through))))
    }

    fn groups(&self) -> List<InGroup> {
        let ids: HashSet<_> = self
            .found
            .members
            .iter()
            .filter_map(|member| member.id)
            .collect();
        let inside = &self.context.decided.member_groups;
        let was_read = ids.iter().any(|id| inside.contains_key(id));
        let is_in: HashSet<_> = ids
            .iter()
            .filter_map(|id| inside.get(id))
            .flatten()
            .collect();
        let content = match self.context.decided.organization {
            Organization::Read(content) => content.groups.as_slice(),
            Organization::WriteOnly => &[],
        };
        let explain = |way: &FoundWay| {
            let with_prefix = self.context.prefixed(&way.id);
            let scope = self.context.scope_of_group(&way.id, &way.name);
            let theirs = content
                .iter()
                .filter(|group| with_prefix.is_some() && group.external_id == with_prefix);
            let is_member = theirs
                .map(|group| is_in.contains(&group.id))
                .reduce(|a, b| a || b);
            InGroup {
                name: shown(&way.name),
                external_id: with_prefix.as_ref().unwrap_or(&way.id).to_string(),
                through: way.through.iter().map(|name| shown(name)).collect(),
                is_member: is_member.filter(|_| was_read),
                scope,
            }
        };
        let mut groups: Vec<InGroup> = self.found.groups.iter().map(explain).collect();
        // Stable: within each the nearest come first.
        groups.sort_by_key(|group| group.scope.verdict != Verdict::InScope);
        List::of(groups, NAMED_MAX)
    }

    /// Groups that nobody comes into while it is held that they get another name: each with what holds it.
    fn kept_out(&self, groups: &List<InGroup>) -> Vec<String> {
        let outside = groups.named.iter().filter(|group| {
            group.scope.verdict == Verdict::InScope && group.is_member != Some(true)
        });
        let kept_out = |group: &InGroup| self.context.kept_out(&group.external_id, &group.name);
        outside.filter_map(kept_out).collect()
    }

    /// Whose entry has this external ID for its name (DN).
    fn former_person(&self, id: &ExternalId) -> Option<u32> {
        let decided = &self.context.decided;
        let prefix = &decided.policy.external_id_prefix;
        decided.roster.former_person(id, prefix)
    }

    fn member(&self, member: &FoundMember, own: Option<&ExternalId>) -> Member {
        let of_directory = self.found.entry.is_some() || self.found.unidentified.is_some();
        let linked = match &member.external_id {
            Some(id) if Some(id) == own => Linked::ExternalId,
            Some(id) if self.context.decided.roster.by_id.contains_key(id) => Linked::AnotherPerson,
            Some(id) if self.found.at.is_some() && self.former_person(id) == self.found.at => {
                Linked::FormerId
            }
            _ if of_directory => Linked::Email,
            _ => Linked::Nothing,
        };
        let content = match self.context.decided.organization {
            Organization::Read(content) => content.groups.as_slice(),
            Organization::WriteOnly => &[],
        };
        let inside = member
            .id
            .and_then(|id| self.context.decided.member_groups.get(&id));
        let groups = inside.map(|inside| {
            let inside: HashSet<_> = inside.iter().collect();
            let groups = content.iter().filter(|group| inside.contains(&group.id));
            let mut names: Vec<String> = groups.map(|group| shown(&group.name)).collect();
            names.sort();
            List::of(names, NAMED_MAX)
        });
        Member {
            id: member.id.map(|id| id.to_string()),
            email: member.email.to_string(),
            status: member.status.clone(),
            role: member.role.clone(),
            external_id: member.external_id.as_ref().map(|id| shown(id.as_str())),
            linked,
            groups,
        }
    }

    fn record(&self, ids: &[&ExternalId]) -> Vec<Recorded> {
        let ledger = self.context.decided.ledger;
        let groups = &self.context.decided.roster.groups;
        let mut seen = HashSet::new();
        let ids = ids.iter().filter(|id| seen.insert(**id));
        let mut facts: Vec<_> = ids
            .flat_map(|id| ledger.facts(id, groups.iter().map(|group| &group.id)))
            .collect();
        facts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let named = |group: &ExternalId| {
            let at = self.context.groups_in_scope.get(group);
            at.map_or_else(|| shown(group.as_str()), |&at| shown(&groups[at].name))
        };
        let recorded = facts.into_iter().map(|(at, fact)| Recorded {
            at: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            what: match fact {
                Fact::Revoked => "an earlier run revoked the access".to_owned(),
                Fact::MayBeRevoked => {
                    "an earlier run that didn't end may have revoked the access".to_owned()
                }
                Fact::LostAccess(why) => format!("lost access or membership ({why})"),
                Fact::LeftGroup(group, why) => format!("left group {} ({why})", named(&group)),
            },
        });
        recorded.take(NAMED_MAX).collect()
    }
}

/// All of it in one sentence.
fn summary(scope: &Scope, in_directory: bool, members: &[Member], next_run: &NextRun) -> String {
    let directory = match scope.verdict {
        Verdict::InScope => "active in the directory and in scope",
        Verdict::Disabled => "disabled in the directory",
        Verdict::Deleted => "listed as deleted in the directory",
        Verdict::OutOfScope => "in the directory, but left out by the resource's filters",
        Verdict::Unusable if in_directory => {
            "in the directory, but the entry can't be used as it is"
        }
        Verdict::Unusable => "the entry can't be used as it is",
        Verdict::Unidentified => "in the directory, but can't be identified",
        Verdict::Absent => "not in the directory's list",
    };
    let member = match members {
        [] => "not a member".to_owned(),
        [member] => match member.linked {
            Linked::ExternalId => format!("a member ({})", member.status),
            Linked::FormerId => format!("a member by the name of the entry ({})", member.status),
            Linked::Email => format!("a member by address alone ({})", member.status),
            Linked::Nothing => format!("a member ({})", member.status),
            Linked::AnotherPerson => "another person's member has the address".to_owned(),
        },
        several => format!("{} members have the ID or the address", several.len()),
    };
    let total = next_run.changes.total;
    let held = next_run.held();
    let next = match next_run.changes.named.as_slice() {
        [] => "the next run changes nothing about them".to_owned(),
        [only] => match &only.held_by {
            None => format!("the next run: {}", only.what),
            Some(_) => format!("held until approved: {}", only.what),
        },
        _ if held > 0 => format!("{total} changes are due, {held} of them held until approved"),
        _ => format!("the next run makes {total} changes"),
    };
    format!("{directory}; {member}; {next}")
}
