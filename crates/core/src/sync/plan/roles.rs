//! Which members get another role because of the groups that they are in.
//!
//! Where a rule of `access.roles` is about somebody, their role is what the rules say. Where none is, a role
//! that a run gave goes, and any other stays. What isn't known of a group decides nothing: between the least
//! and the most that rules may give somebody, their role is left as it is.

use std::collections::{HashMap, HashSet};

use roaring::RoaringBitmap;
use uuid::Uuid;

use crate::directory::{Evidence, ExternalId, ScopeRule, fold};
use crate::organization::model::{Member, MemberStatus};
use crate::organization::role::AccessRole;
use crate::problem::{Problem, ProblemReason};
use crate::sync::ledger::GIVEN_MAX;
use crate::sync::plan::people::Decided;
use crate::sync::plan::{Action, Change, MemberAction, Reason, Revocations, RoleChange, Subject};
use crate::sync::policy::{Access, RoleRule};
use crate::sync::roster::{Eligibility, Person, Roster, RosterGroup};
use crate::text::sanitize;

/// So many groups are named that give somebody a role.
const NAMED: usize = 5;

/// The role of each member that is neither user nor owner.
pub(super) fn current(members: &[Member]) -> HashMap<Uuid, AccessRole> {
    let roles = members
        .iter()
        .filter_map(|member| Some((member.id, AccessRole::of(member)?)));
    roles
        .filter(|(_, role)| *role != AccessRole::User)
        .collect()
}

/// A rule with the groups that it is about.
struct Resolved<'a> {
    rule: &'a RoleRule,
    groups: Vec<&'a RosterGroup>,
    /// Everybody in them.
    people: RoaringBitmap,
    /// It may be about anybody: a group that it is about isn't known, or there is none.
    anybody: bool,
    /// It may be about people whose entry doesn't show the name by which groups name them.
    unnamed: bool,
    /// It fits no group that is synced.
    unmatched: bool,
}

impl<'a> Resolved<'a> {
    fn new(rule: &'a RoleRule, roster: &'a Roster) -> Self {
        let fits = |name: &str| rule.group.matches(&fold(name));
        let groups = roster.groups.iter().filter(|group| fits(&group.name));
        let groups: Vec<&RosterGroup> = groups.collect();
        let mut people = RoaringBitmap::new();
        groups.iter().for_each(|group| people |= &*group.people);
        // A group without a name may have any.
        let unidentified = roster.unidentified_groups.iter().map(|group| &group.name);
        let mut unknown = roster.unusable_group_names.iter().chain(unidentified);
        let unmatched = groups.is_empty();
        Self {
            rule,
            people,
            anybody: unmatched || unknown.any(|name| name.is_empty() || fits(name)),
            unnamed: groups.iter().any(|group| group.has_unknown),
            groups,
            unmatched,
        }
    }

    fn may_be_about(&self, person: &Person) -> bool {
        self.anybody || self.unnamed && person.is_unnamed
    }
}

/// What the rules say of one person.
#[derive(Default)]
struct Claim {
    /// What they certainly give; `None` where none is certainly about the person.
    least: Option<AccessRole>,
    /// With those that may be about the person.
    most: Option<AccessRole>,
}

fn or(one: Option<AccessRole>, other: AccessRole) -> Option<AccessRole> {
    Some(one.map_or(other, |one| one.or(other)))
}

impl Claim {
    fn of(rules: &[Resolved<'_>], at: u32, person: &Person) -> Self {
        let mut claim = Self::default();
        for rule in rules {
            let role = rule.rule.role;
            if rule.people.contains(at) {
                claim.least = or(claim.least, role);
                claim.most = or(claim.most, role);
            } else if rule.may_be_about(person) {
                claim.most = or(claim.most, role);
            }
        }
        claim
    }

    /// The role that somebody shall have who has `now`, which a run gave or not.
    fn decide(&self, now: AccessRole, given: bool) -> AccessRole {
        match (self.least, self.most) {
            (Some(least), most) => now.or(least).and(most.unwrap_or(least)),
            (None, _) if !given => now,
            (None, Some(most)) => now.and(most),
            (None, None) => AccessRole::User,
        }
    }
}

/// The groups through which somebody gets a role, by name.
fn through(rules: &[Resolved<'_>], at: u32, role: AccessRole) -> Vec<Box<str>> {
    // What a rule gives that is less isn't why.
    let giving = rules.iter().filter(|rule| match role {
        AccessRole::Custom(_) => matches!(rule.rule.role, AccessRole::Custom(_)),
        other => rule.rule.role == other,
    });
    let groups = giving.flat_map(|rule| &rule.groups);
    let groups = groups.filter(|group| group.people.contains(at));
    let mut names: Vec<Box<str>> = groups.map(|group| group.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(NAMED);
    names
}

/// Why somebody has more than the rules certainly give: another rule may be about them.
fn doubt(
    rules: &[Resolved<'_>],
    at: u32,
    person: &Person,
    to: AccessRole,
    claim: &Claim,
) -> Option<Box<str>> {
    let certain = claim.least.unwrap_or(AccessRole::User);
    if !to.exceeds(certain) {
        return None;
    }
    let mut rules = rules.iter().filter(|rule| {
        let more = rule.rule.role.and(to);
        !rule.people.contains(at) && rule.may_be_about(person) && more.exceeds(certain)
    });
    let rule = rules.next()?;
    let why = match rule.unmatched {
        true => "fits no group",
        false => "is about a group that isn't known completely",
    };
    let group = sanitize(rule.rule.group.as_str());
    Some(format!("{to} may be by the rule for {group}, which {why}").into())
}

/// The role that `access.roles` gives somebody of the roster, and through which groups; `None` where no rule
/// is about them.
pub(crate) fn claims(
    roster: &Roster,
    access: &Access,
    at: u32,
) -> Option<(AccessRole, Vec<Box<str>>)> {
    let rules = access.roles.iter().map(|rule| Resolved::new(rule, roster));
    let rules: Vec<Resolved<'_>> = rules.collect();
    let role = Claim::of(&rules, at, &roster.people[at as usize]).least?;
    Some((role, through(&rules, at, role)))
}

/// Decides about the roles of members with whom nothing else is done in this run.
pub(super) fn decide(
    roster: &Roster,
    members: &[Member],
    access: &Access,
    people: &Decided,
    earlier: &impl Revocations,
) -> (Vec<Change>, Vec<Problem>) {
    if access.roles.is_empty() && earlier.given_roles() == 0 {
        return (vec![], vec![]);
    }
    let rules = access.roles.iter().map(|rule| Resolved::new(rule, roster));
    let rules: Vec<Resolved<'_>> = rules.collect();
    let busy: HashSet<&ExternalId> = people.changes.iter().map(Change::external_id).collect();
    let busy_members = people.changes.iter().filter_map(|change| change.subject.id);
    let busy_members: HashSet<Uuid> = busy_members.collect();
    let (mut changes, mut problems) = (vec![], vec![]);
    for member in members {
        let (Some(now), Some(id)) = (AccessRole::of(member), &member.external_id) else {
            continue;
        };
        let Some(&at) = roster.by_id.get(id) else {
            continue;
        };
        if people.unmanaged.contains(&member.id)
            || people.renamed.contains_key(&member.id)
            || people.doubtful.contains(id)
            || busy.contains(id)
            || busy_members.contains(&member.id)
        {
            continue;
        }
        let person = &roster.people[at as usize];
        let revoked = member.status == MemberStatus::Revoked;
        let is_known = match person.eligibility {
            Eligibility::Active => true,
            // Whoever comes back shall not come back with what they had.
            Eligibility::Disabled => revoked,
            Eligibility::Deleted | Eligibility::OutOfScope | Eligibility::Unusable => false,
        };
        let unreadable = matches!(
            member.status,
            MemberStatus::Other(_) | MemberStatus::Withheld
        );
        if !is_known || unreadable {
            continue;
        }
        let claim = Claim::of(&rules, at, person);
        let given = now != AccessRole::User && earlier.has_given_role(member.id, now);
        let mut to = claim.decide(now, given);
        if to == now && claim.decide(now, true) != now {
            problems.extend(match () {
                () if earlier.may_have_given_role(member.id, now) => Some(unclear(id, member, now)),
                () if earlier.has_given_role_back(member.id, now) => {
                    Some(given_back(id, member, now))
                }
                () => None,
            });
        }
        if !matches!(
            member.status,
            MemberStatus::Accepted | MemberStatus::Confirmed
        ) {
            // Nobody gains rights who has no access, or hasn't taken it up: the invitation may still go to
            // another address.
            to = to.and(now);
        }
        if to == now {
            continue;
        }
        let reason = match claim.least {
            Some(_) => Reason::AccessRole,
            None => Reason::AccessRoleEnded,
        };
        let lost = now.exceeds(to);
        changes.push(Change {
            subject: Subject::person(id.clone(), member.email.clone(), Some(member.id)),
            reason,
            action: Action::Member(MemberAction::SetRole(Box::new(RoleChange {
                from: now,
                to,
                through: through(&rules, at, to),
                doubt: doubt(&rules, at, person, to, &claim),
                evidence: lost.then_some(Evidence::OutOfScope(ScopeRule::AccessRoles)),
            }))),
        });
    }
    let unmatched_rules = rules.iter().filter(|rule| rule.unmatched);
    problems.extend(unmatched_rules.map(|rule| unmatched(rule.rule)));
    if !access.roles.is_empty() {
        let gained = changes.iter().filter_map(Change::role);
        let gained = gained.filter(|role| role.gives()).count();
        problems.extend(not_recorded(earlier, gained));
    }
    (changes, problems)
}

fn unmatched(rule: &RoleRule) -> Problem {
    let message = format!(
        "access.roles: {:?} fits no group that is synced; nobody gets the role {} by it, and nobody who \
         may have it by this rule loses it; check how it is spelt, and groups.include and groups.exclude, \
         or take the rule out",
        sanitize(rule.group.as_str()),
        rule.role
    );
    Problem::new(ProblemReason::UnmatchedPattern, message, [])
}

/// A role stays that a run may have given: nobody can tell it from one that somebody gave by hand.
fn unclear(id: &ExternalId, member: &Member, role: AccessRole) -> Problem {
    let message = format!(
        "access.roles: {} has the role {role}, and no rule gives it any more; a sync that was stopped in the \
         middle may have given it, or somebody by hand, so it stays: take it away in Bitwarden, unless it is \
         meant to be",
        sanitize(member.email.as_str())
    );
    Problem::new(ProblemReason::AccessKept, message, [id.clone()])
}

/// A role stays that an undo gave back: a person asked for it, and no rule does.
fn given_back(id: &ExternalId, member: &Member, role: AccessRole) -> Problem {
    let message = format!(
        "access.roles: {} has the role {role}, and no rule gives it any more; an undo gave it back, so no sync \
         takes it away: take it away in Bitwarden, unless it is meant to be",
        sanitize(member.email.as_str())
    );
    Problem::new(ProblemReason::AccessKept, message, [id.clone()])
}

/// What is told where the record of the roles and access that runs gave is lost.
pub(super) fn lost_record(access: &Access, earlier: &impl Revocations) -> Option<Problem> {
    let has_rules = !access.roles.is_empty() || !access.collections.is_empty();
    (has_rules && earlier.has_lost_roles()).then(|| {
        let message = "access: the record of which roles and access earlier runs gave is missing or isn't \
                       the one written last; what no rule gives any more stays: look at who is Admin or \
                       Custom in Bitwarden, and at the groups' collections";
        Problem::new(ProblemReason::AccessKept, message, [])
    })
}

/// What of the roles that runs gave won't be known.
fn not_recorded(earlier: &impl Revocations, gained: usize) -> Option<Problem> {
    let over = (earlier.given_roles() + gained).saturating_sub(GIVEN_MAX);
    (over > 0).then(|| {
        let message = format!(
            "access.roles: of {GIVEN_MAX} members it is kept that a run gave them their role; {over} more \
             get it, and keep it when they leave the group: use smaller groups"
        );
        Problem::new(ProblemReason::AccessKept, message, [])
    })
}
