//! From a directory as read to a roster: filters, duplicates, nesting, prefixed ids.

mod nesting;
mod shared_emails;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::complete::Complete;
use crate::directory::hash::{FastMap, FastSet};
use crate::directory::{
    AccountState, Directory, Evidence, ExternalId, Group, InPart, Incremental, InvalidEmail,
    ReadNow, ScopeRule, UnidentifiedGroup, UnidentifiedUser, UnknownMembers, UnusableEmail, User,
    fold,
};
use crate::problem::{Problem, ProblemReason};
use crate::sync::patterns::Unmatched;
use crate::sync::policy::{GroupFilter, Policy, UserFilter, passes};
use crate::sync::roster::{
    Eligibility, Former, GroupEligibility, Person, Roster, RosterGroup, Unusable,
};
use crate::text::sanitize;
pub use nesting::NestingTooLarge;
use shared_emails::set_shared_emails_aside;

/// Longest name of a group that Bitwarden takes, in characters.
pub const GROUP_NAME_MAX: usize = 100;

/// A group that has the id of another one.
const UNIDENTIFIED: Unusable = Unusable::Problem(ProblemReason::UnidentifiedEntries);

/// Sees a directory through a policy.
///
/// What can't be decided because an entry is broken is decided in favour of whoever is in the
/// organization already: such an entry is [`Eligibility::Unusable`], which neither invites nor takes
/// anything away. So is an active account without an email where an include list would have to
/// match it.
///
/// A disabled account stays [`Eligibility::Disabled`] even without an email or groups: directories
/// commonly strip both when somebody leaves, and that must not turn the policy for disabled accounts
/// into the one for absent ones.
///
/// So is a group of which the directory hides members from us; and with `onlyTheirMembers`, whoever
/// could be in such a group in scope and isn't seen in another.
///
/// A group that names members who were not read keeps those of its members in Bitwarden who weren't
/// read either: they may be the ones that it names.
///
/// With `onlyTheirMembers` and no group in scope, no active person is in scope. The limit on
/// removals is what protects from a mistyped group filter.
///
/// # Errors
/// When nested groups don't fit into memory once everybody in each is listed.
pub fn resolve(directory: Complete<Directory>, policy: &Policy) -> Result<Roster, NestingTooLarge> {
    resolve_entries(directory.into_inner(), policy)
}

/// The same of a directory that wasn't read whole. What is planned of it takes nothing from anybody: the guard
/// sees to that.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_incremental(
    directory: Incremental<Directory>,
    policy: &Policy,
) -> Result<Roster, NestingTooLarge> {
    let (directory, mut read_now) = directory.into_parts();
    // Who is in a group that has others in it is said by entries that may not have been read now.
    for group in directory
        .groups
        .iter()
        .filter(|group| !group.groups.is_empty())
    {
        read_now.groups.remove(&group.id);
    }
    if policy.groups.only_their_members {
        // Who is in scope is said by a group as well.
        let groups = directory.groups.iter();
        let groups = groups.filter(|group| read_now.groups.contains(&group.id));
        let groups = groups.filter(|group| group_scope(&group.name, &policy.groups) == Scope::In);
        let members = groups.flat_map(|group| &group.users);
        let members: FastSet<&ExternalId> = members
            .filter_map(|at| Some(&directory.users.get(*at as usize)?.id))
            .collect();
        read_now.users.retain(|id| members.contains(id));
    }
    let prefixed = |ids: FastSet<ExternalId>| {
        let ids = ids.iter();
        ids.filter_map(|id| id.with_prefix(&policy.external_id_prefix).ok())
            .collect()
    };
    Ok(Roster {
        incremental: Some(Arc::new(ReadNow {
            users: prefixed(read_now.users),
            groups: prefixed(read_now.groups),
        })),
        ..resolve_entries(directory, policy)?
    })
}

fn resolve_entries(directory: Directory, policy: &Policy) -> Result<Roster, NestingTooLarge> {
    let Directory {
        users,
        groups,
        mut problems,
        unidentified_users,
        unidentified_groups,
        account_rule,
        former_ids,
        ..
    } = directory;
    let mut own = vec![];

    let unidentified_groups = prefixed_groups(unidentified_groups, policy);
    let former = former_ids.map(|ids| Former {
        ids,
        groups: groups
            .iter()
            .map(|group| group.id.with_prefix(&policy.external_id_prefix).ok())
            .collect(),
    });
    let mut groups = resolve_groups(groups, policy, &mut own)?;
    // Whoever is in such a group can't be told to be in none.
    groups.scope_in_part |= !unidentified_groups.is_empty();
    // The group that has such an id in Bitwarden may be either.
    let shared = unidentified_groups
        .iter()
        .filter_map(|group| group.id.clone());
    groups
        .others
        .extend(shared.map(|id| (id, GroupEligibility::Unusable(UNIDENTIFIED))));
    let (mut people, by_id) = resolve_people(users, &groups, policy, &mut own);
    let unidentified = prefixed_users(unidentified_users, policy);
    let directory_is_empty = people
        .iter()
        .all(|person| person.eligibility != Eligibility::Active);
    set_shared_emails_aside(&mut people, &unidentified, &mut own);

    own.extend_from_slice(&policy.doubts);
    own.sort_by(|a, b| (a.reason, &a.external_ids).cmp(&(b.reason, &b.external_ids)));
    own.into_iter().for_each(|problem| problems.add(problem));
    Ok(Roster {
        people,
        groups: groups.in_scope,
        by_id,
        other_groups: groups.others,
        other_group_names: groups.other_names,
        unusable_group_names: groups.unusable_names,
        unidentified,
        unidentified_groups,
        account_rule,
        former,
        problems,
        directory_is_empty,
        incremental: None,
    })
}

/// With the ids under which they may stand in Bitwarden: one that it can't take stands nowhere.
fn prefixed_users(users: Vec<UnidentifiedUser>, policy: &Policy) -> Vec<UnidentifiedUser> {
    let prefix = &policy.external_id_prefix;
    let prefixed = users.into_iter().map(|user| UnidentifiedUser {
        id: user.id.and_then(|id| id.with_prefix(prefix).ok()),
        ..user
    });
    prefixed.collect()
}

fn prefixed_groups(groups: Vec<UnidentifiedGroup>, policy: &Policy) -> Vec<UnidentifiedGroup> {
    let prefix = &policy.external_id_prefix;
    let prefixed = groups.into_iter().map(|group| UnidentifiedGroup {
        id: group.id.and_then(|id| id.with_prefix(prefix).ok()),
        ..group
    });
    prefixed.collect()
}

struct Groups {
    in_scope: Vec<RosterGroup>,
    others: HashMap<ExternalId, GroupEligibility>,
    other_names: HashSet<Box<str>>,
    unusable_names: HashSet<Box<str>>,
    /// Everyone in a group in scope; `None` where that doesn't matter.
    scope: Option<RoaringBitmap>,
    /// Whether there may be more people in groups in scope than we can see.
    scope_in_part: bool,
}

fn resolve_groups(
    groups: Vec<Group>,
    policy: &Policy,
    problems: &mut Vec<Problem>,
) -> Result<Groups, NestingTooLarge> {
    // Over all groups, before the filter: a group in scope keeps the people whom it has through a
    // group that isn't.
    let people = nesting::flatten(&groups, nesting::MAX)?;
    let partial = nesting::spread(&groups, |group| group.in_part);
    let unidentified = nesting::spread(&groups, |group| group.has_unidentified.then_some(()));
    let unknown = nesting::spread(&groups, |group| group.unknown.as_ref().map(|_| ()));
    let mut include = Unmatched::new("groups.include", &policy.groups.include);
    let mut exclude = Unmatched::excluding("groups.exclude", &policy.groups.exclude);
    for group in groups.iter().filter(|group| !group.name.is_empty()) {
        include.see(&group.name);
        exclude.see(&group.name);
    }
    let none = "no group of the directory";
    problems.extend(include.problems(none).chain(exclude.problems(none)));
    let mut resolved = Groups {
        in_scope: Vec::with_capacity(groups.len()),
        others: HashMap::new(),
        other_names: HashSet::new(),
        unusable_names: HashSet::new(),
        scope: policy.groups.only_their_members.then(RoaringBitmap::new),
        scope_in_part: false,
    };
    let known = people.into_iter().zip(
        partial
            .into_iter()
            .zip(unidentified.into_iter().zip(unknown)),
    );
    for (group, (people, (in_part, (unidentified, unknown)))) in groups.into_iter().zip(known) {
        let id = group.id.with_prefix(&policy.external_id_prefix);
        let eligibility = match group_scope(&group.name, &policy.groups) {
            Scope::Out => Some(GroupEligibility::OutOfScope),
            scope => {
                if let Some(scope) = &mut resolved.scope {
                    *scope |= &*people;
                }
                resolved.scope_in_part |= in_part.is_some();
                let problem = id.as_ref().err().map(|error| {
                    let message = format!("group {}: {error}", sanitize(&group.name));
                    Problem::new(
                        ProblemReason::InvalidExternalId,
                        message,
                        [group.id.clone()],
                    )
                });
                let named = id.as_ref().unwrap_or(&group.id);
                let problem = problem
                    .or_else(|| name_problem(named, &group.name, scope))
                    .or_else(|| partial_problem(named, &group.name, in_part?));
                let unusable = match &problem {
                    Some(problem) => Some(Unusable::Problem(problem.reason)),
                    None => (scope == Scope::Unknown).then_some(Unusable::NothingToCompare),
                };
                problems.extend(problem);
                if let Some(unknown) = &group.unknown {
                    problems.push(unknown_problem(named, &group.name, unknown));
                }
                unusable.map(GroupEligibility::Unusable)
            }
        };
        if matches!(eligibility, Some(GroupEligibility::Unusable(_))) {
            resolved.unusable_names.insert(group.name.clone());
        }
        // An id that Bitwarden can't take isn't there either: nothing to compare with.
        let Ok(id) = id else {
            resolved.other_names.insert(group.name);
            continue;
        };
        match eligibility {
            Some(eligibility) => {
                resolved.other_names.insert(group.name);
                resolved.others.insert(id, eligibility);
            }
            None => resolved.in_scope.push(RosterGroup {
                id,
                name: group.name,
                people,
                has_unidentified: unidentified.is_some(),
                has_unknown: unknown.is_some(),
            }),
        }
    }
    Ok(resolved)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    In,
    Out,
    /// There is nothing to compare with the filter.
    Unknown,
}

fn group_scope(name: &str, filter: &GroupFilter) -> Scope {
    if filter.include.is_empty() && filter.exclude.is_empty() {
        Scope::In
    } else if name.is_empty() {
        if filter.include.is_empty() {
            Scope::In
        } else {
            Scope::Unknown
        }
    } else if passes(&filter.include, &filter.exclude, &fold(name)) {
        Scope::In
    } else {
        Scope::Out
    }
}

fn name_problem(id: &ExternalId, name: &str, scope: Scope) -> Option<Problem> {
    if name.is_empty() {
        // With an include list it would hardly have been meant.
        return (scope == Scope::In).then(|| {
            let message = format!("group {} has no name; give it one", sanitize(id.as_str()));
            Problem::new(ProblemReason::GroupNameMissing, message, [id.clone()])
        });
    }
    let characters = name.chars().count();
    (characters > GROUP_NAME_MAX).then(|| {
        let message = format!(
            "the name of group {} has {characters} characters, Bitwarden takes at most \
             {GROUP_NAME_MAX}; shorten it",
            sanitize(name)
        );
        Problem::new(ProblemReason::GroupNameTooLong, message, [id.clone()])
    })
}

/// Of a group that is known in part, nothing can be taken away.
fn partial_problem(id: &ExternalId, name: &str, why: InPart) -> Option<Problem> {
    let name = sanitize(name);
    let (reason, message) = match why {
        InPart::HiddenMembers => (
            ProblemReason::HiddenMembers,
            format!(
                "the directory hides members of group {name} (or of a group in it); it is left as \
                 it is in Bitwarden until the operator's account may see them, or leave it out by \
                 a filter"
            ),
        ),
        InPart::AmbiguousMember => (
            ProblemReason::AmbiguousMember,
            format!(
                "group {name} (or a group in it) has a member whose name several people have; it \
                 is left as it is in Bitwarden until they have names of their own"
            ),
        ),
        InPart::UnidentifiedGroup => (
            ProblemReason::UnidentifiedEntries,
            format!(
                "group {name} contains a group that can't be identified; it is left as it is in \
                 Bitwarden until that group has an id of its own, which the operator's account may \
                 read"
            ),
        ),
    };
    Some(Problem::new(reason, message, [id.clone()]))
}

/// Tells how many members of a group weren't read, and which.
fn unknown_problem(id: &ExternalId, name: &str, unknown: &UnknownMembers) -> Problem {
    let (members, are) = match unknown.count {
        1 => ("1 member".to_owned(), "is"),
        count => (format!("{count} members"), "are"),
    };
    let sample = match unknown.sample.as_slice() {
        [] => String::new(),
        sample if sample.len() < unknown.count => format!(" ({}, …)", sample.join("; ")),
        sample => format!(" ({})", sample.join("; ")),
    };
    let message = format!(
        "{members} of group {}{sample} {are} neither among the people nor among the groups that were \
         read; a member in Bitwarden who wasn't read keeps their place in it; if people are missing, \
         check the source's base and filters",
        sanitize(name),
    );
    Problem::new(ProblemReason::UnknownMembers, message, [id.clone()])
}

fn resolve_people(
    users: Vec<User>,
    groups: &Groups,
    policy: &Policy,
    problems: &mut Vec<Problem>,
) -> (Vec<Person>, FastMap<ExternalId, u32>) {
    let mut people = Vec::with_capacity(users.len());
    let mut by_id = FastMap::default();
    by_id.reserve(users.len());
    let mut include = Unmatched::new("users.include", &policy.users.include);
    let mut exclude = Unmatched::excluding("users.exclude", &policy.users.exclude);
    for email in users.iter().filter_map(|user| user.email.as_ref().ok()) {
        include.see(email.as_str());
        exclude.see(email.as_str());
    }
    let none = "nobody's email in the directory";
    problems.extend(include.problems(none).chain(exclude.problems(none)));
    for (index, user) in users.into_iter().enumerate() {
        let scope = groups.scope.as_ref();
        let in_a_group = match scope.is_none_or(|scope| scope.contains(index as u32)) {
            true => Scope::In,
            false if groups.scope_in_part => Scope::Unknown,
            false => Scope::Out,
        };
        let (mut eligibility, evidence) = eligibility(&user, in_a_group, &policy.users);
        let mut unusable = None;
        let id = match user.id.with_prefix(&policy.external_id_prefix) {
            Ok(id) => {
                by_id.insert(id.clone(), index as u32);
                id
            }
            // It can't be in Bitwarden: nothing may find this person by id.
            Err(error) => {
                if eligibility == Eligibility::Active {
                    let message = format!("person {}: {error}", sanitize(user.id.as_str()));
                    let ids = [user.id.clone()];
                    problems.push(Problem::new(ProblemReason::InvalidExternalId, message, ids));
                    eligibility = Eligibility::Unusable;
                    unusable = Some(Unusable::Problem(ProblemReason::InvalidExternalId));
                }
                user.id
            }
        };
        let email = match user.email {
            Ok(email) => {
                if eligibility == Eligibility::Unusable {
                    unusable.get_or_insert(Unusable::MayBeInAGroup);
                }
                Some(email)
            }
            Err(email) => {
                let reported = email.why != InvalidEmail::Empty || policy.users.include.is_empty();
                if eligibility == Eligibility::Unusable && reported {
                    let problem = email_problem(&id, &email);
                    unusable.get_or_insert(Unusable::Problem(problem.reason));
                    problems.push(problem);
                } else if eligibility == Eligibility::Unusable {
                    unusable.get_or_insert(Unusable::NothingToCompare);
                }
                None
            }
        };
        people.push(Person {
            id,
            email,
            eligibility,
            evidence,
            lacks_attribute_in: user.lacks_attribute_in,
            is_unnamed: user.is_unnamed,
            unusable,
        });
    }
    (people, by_id)
}

/// Where somebody stands, and on what evidence they may lose something because of it.
fn eligibility(
    user: &User,
    in_a_group: Scope,
    filter: &UserFilter,
) -> (Eligibility, Option<Evidence>) {
    let out = |rule| (Eligibility::OutOfScope, Some(Evidence::OutOfScope(rule)));
    let left_out = user.email.as_ref().ok().and_then(|email| {
        let email = fold(email.as_str());
        if !passes(&[], &filter.exclude, &email) {
            Some(ScopeRule::UsersExclude)
        } else if !passes(&filter.include, &[], &email) {
            Some(ScopeRule::UsersInclude)
        } else {
            None
        }
    });
    let evidence = || user.evidence.clone().map(Evidence::Disabled);
    match (user.state, left_out) {
        (AccountState::Deleted, _) => (Eligibility::Deleted, evidence()),
        (_, Some(rule)) => out(rule),
        (AccountState::Disabled, None) => (Eligibility::Disabled, evidence()),
        (AccountState::Active, None) => match in_a_group {
            Scope::Out => out(ScopeRule::OnlyTheirMembers),
            Scope::In if user.email.is_ok() => (Eligibility::Active, None),
            Scope::In | Scope::Unknown => (Eligibility::Unusable, None),
        },
    }
}

fn email_problem(id: &ExternalId, unusable: &UnusableEmail) -> Problem {
    let reason = match unusable.why {
        InvalidEmail::Empty => ProblemReason::NoEmail,
        InvalidEmail::TooLong(_) => ProblemReason::EmailTooLong,
        InvalidEmail::Malformed { .. } | InvalidEmail::Invisible { .. } => {
            ProblemReason::InvalidEmail
        }
    };
    let message = format!("{}: {}", sanitize(&unusable.entry), unusable.why);
    Problem::new(reason, message, [id.clone()])
}
