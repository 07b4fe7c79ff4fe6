//! Which groups get or lose access to collections.
//!
//! Where a rule of `access.collections` is about a group and a collection, the access is what the rules say.
//! Of the rest, what a run gave goes, and with `exclusive` everything does. Groups that aren't synced are left
//! alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use roaring::RoaringBitmap;
use uuid::Uuid;

use crate::directory::{Evidence, ExternalId, ScopeRule, fold};
use crate::organization::collection::{AccessChange, CollectionAccess};
use crate::organization::model::{Content, Group, Member, MemberStatus};
use crate::problem::{Problem, ProblemReason};
use crate::sync::hash::hash;
use crate::sync::ledger::GIVEN_ACCESS_MAX;
use crate::sync::plan::ended_access;
use crate::sync::plan::groups::{Ended, Target};
use crate::sync::plan::people;
use crate::sync::plan::{
    Action, Change, CollectionsChange, GroupAction, Kind, Reason, Revocations, Subject,
};
use crate::sync::policy::{Access, CollectionName, CollectionRule};
use crate::sync::roster::Roster;
use crate::text::sanitize;

/// Identifies a group's access to a collection, as it is: another access is another one.
pub(crate) type AccessKey = [u8; 6];

/// 48 bits of a hash: enough to tell the accesses of one organization apart.
pub(crate) fn access_key(group: Uuid, access: CollectionAccess) -> AccessKey {
    let mut text = group.as_bytes().to_vec();
    text.extend(access.id.as_bytes());
    text.push(access.right() as u8);
    let hash = hash(&text).to_be_bytes();
    [hash[0], hash[1], hash[2], hash[3], hash[4], hash[5]]
}

/// All access that groups have, as read.
pub(super) fn current(groups: &[Group]) -> HashSet<AccessKey> {
    let all = groups.iter().flat_map(|group| {
        let access = group.collections.iter().flatten();
        access.map(|access| access_key(group.id, *access))
    });
    all.collect()
}

/// What a plan decides from.
pub(super) struct Sides<'a> {
    pub roster: &'a Roster,
    pub content: &'a Content,
    pub access: &'a Access,
    /// Where the roster's groups are.
    pub targets: &'a [(usize, Target)],
    /// Groups that aren't synced any more.
    pub ended: &'a HashMap<Uuid, Ended>,
    /// Who of the roster's people is a member, and who is invited by this plan.
    pub people: &'a people::Decided,
}

/// What was decided about access.
#[derive(Default)]
pub(super) struct Decided {
    pub changes: Vec<Change>,
    pub problems: Vec<Problem>,
    /// What groups get once this plan has made or re-linked them.
    pub follows: HashMap<ExternalId, Vec<AccessChange>>,
}

/// A rule with the collections that it names.
struct Resolved<'a> {
    rule: &'a CollectionRule,
    access: Vec<CollectionAccess>,
    /// It names one that isn't there.
    incomplete: bool,
    matched: bool,
}

/// Collections by what a rule may call them.
pub(super) struct Known<'a> {
    ids: HashSet<Uuid>,
    by_external_id: HashMap<&'a str, Vec<Uuid>>,
    external_ids: HashMap<Uuid, &'a str>,
}

impl<'a> Known<'a> {
    fn of(content: &'a Content) -> Option<Self> {
        let collections = content.collections.as_ref()?;
        let mut by_external_id: HashMap<&str, Vec<Uuid>> = HashMap::new();
        let mut external_ids = HashMap::new();
        for collection in collections {
            if let Some(id) = &collection.external_id {
                by_external_id.entry(id).or_default().push(collection.id);
                external_ids.insert(collection.id, &**id);
            }
        }
        Some(Self {
            ids: collections.iter().map(|collection| collection.id).collect(),
            by_external_id,
            external_ids,
        })
    }

    /// What a collection is called by, apart from its id.
    pub fn external_id(&self, id: Uuid) -> Option<&'a str> {
        self.external_ids.get(&id).copied()
    }

    fn change(&self, (id, from, to): Difference) -> AccessChange {
        AccessChange {
            id,
            external_id: self.external_id(id).map(Into::into),
            from,
            to,
        }
    }

    /// The collection that a rule names, or what is wrong with the name.
    fn find(&self, name: &CollectionName) -> Result<Uuid, String> {
        match name {
            CollectionName::Id(id) if self.ids.contains(id) => Ok(*id),
            CollectionName::Id(id) => Err(format!("no collection has the id {id}")),
            CollectionName::ExternalId(name) => match self.by_external_id.get(&**name) {
                Some(ids) if ids.len() == 1 => Ok(ids[0]),
                Some(ids) => Err(format!(
                    "{} collections have the external id {:?}",
                    ids.len(),
                    sanitize(name)
                )),
                None => Err(format!(
                    "no collection has the external id {:?}",
                    sanitize(name)
                )),
            },
        }
    }
}

/// Decides about the access of groups that are there already: those that are synced, and those that aren't any more.
pub(super) fn decide(sides: &Sides<'_>, earlier: &impl Revocations) -> Decided {
    let mut decided = Decided::default();
    let rules = &sides.access.collections;
    if rules.is_empty() && earlier.given_access() == 0 {
        return decided;
    }
    let Some(known) = Known::of(sides.content) else {
        let message = "access.collections: this server doesn't list its collections, so no group gets or \
                       loses access; everything else goes on: update the server, or leave the field out";
        let problem = Problem::new(ProblemReason::Unsupported, message, []);
        decided.problems.push(problem);
        return decided;
    };
    let problems = &mut decided.problems;
    let mut rules: Vec<Resolved<'_>> = rules
        .iter()
        .map(|rule| resolve(rule, &known, problems))
        .collect();
    for rule in &mut rules {
        let mut groups = sides.roster.groups.iter();
        rule.matched = groups.any(|group| rule.rule.group.matches(&fold(&group.name)));
        if !rule.matched {
            problems.push(unmatched(rule.rule));
        }
    }
    let doubtful = Doubtful::by(rules.iter().filter(|rule| !rule.matched));
    let groups: HashMap<Uuid, &Group> = sides
        .content
        .groups
        .iter()
        .map(|group| (group.id, group))
        .collect();
    let outside = not_in_yet(sides);
    let mut given = 0;
    for &(at, target) in sides.targets {
        let wanted = &sides.roster.groups[at];
        let name = fold(&wanted.name);
        let own: Vec<&Resolved<'_>> = rules
            .iter()
            .filter(|rule| rule.rule.group.matches(&name))
            .collect();
        let id = match target {
            Target::Existing(id) => id,
            Target::New | Target::Relinked(_) => {
                let follows = following(target, &groups, &own, &doubtful, earlier);
                let follows: Vec<AccessChange> =
                    follows.into_iter().map(|one| known.change(one)).collect();
                if !follows.is_empty() {
                    decided.follows.insert(wanted.id.clone(), follows);
                }
                continue;
            }
        };
        let Some(group) = groups.get(&id) else {
            continue;
        };
        let Some(current) = group.collections.as_deref() else {
            if !own.is_empty() {
                problems.push(untold(&wanted.id, &wanted.name));
            }
            continue;
        };
        let Compared {
            differences,
            unclear: kept,
        } = compare(group.id, current, &own, &doubtful, earlier);
        problems.extend(
            kept.into_iter()
                .map(|access| unclear((Some(&wanted.id), &wanted.name), access, &known)),
        );
        if differences.is_empty() {
            continue;
        }
        let differences = differences.into_iter();
        let differences: Vec<AccessChange> = differences.map(|one| known.change(one)).collect();
        given += differences.iter().filter(|one| one.to.is_some()).count();
        let takes = differences.iter().any(AccessChange::takes_away);
        let gives = differences.iter().any(AccessChange::gives);
        let inside = |which: &dyn Fn(u32) -> bool| {
            let people = wanted.people.iter();
            let people = people.filter(|&one| sides.people.presence[one as usize].is_wanted());
            let people = people.filter(|&one| which(one));
            let mut ids: Vec<ExternalId> = people
                .map(|one| sides.roster.people[one as usize].id.clone())
                .collect();
            ids.sort_unstable();
            ids
        };
        let losing = || inside(&|_| true);
        let gaining = || inside(&|one| !outside.contains(one));
        decided.changes.push(Change {
            subject: Subject::group(wanted.id.clone(), wanted.name.clone(), Some(group.id)),
            reason: match own.is_empty() {
                true => Reason::AccessCollectionsEnded,
                false => Reason::AccessCollections,
            },
            action: Action::Group(GroupAction::SetCollections(Box::new(CollectionsChange {
                changes: differences,
                losing: if takes { losing() } else { vec![] },
                gaining: if gives { gaining() } else { vec![] },
                others: vec![],
                evidence: takes.then_some(Evidence::OutOfScope(ScopeRule::AccessCollections)),
            }))),
        });
    }
    problems.extend(not_recorded(earlier, given));
    ended_access::decide(sides, &known, &doubtful, earlier, &mut decided);
    decided
}

/// Collections that somebody may still be meant to have by a rule whose group isn't there any more.
#[derive(Default)]
pub(super) struct Doubtful {
    /// Such a rule names a collection that can't be told: it may be any.
    all: bool,
    ids: HashSet<Uuid>,
}

impl Doubtful {
    fn by<'a>(rules: impl Iterator<Item = &'a Resolved<'a>>) -> Self {
        let mut doubtful = Self::default();
        for rule in rules {
            doubtful.all |= rule.incomplete;
            let named = rule.access.iter().map(|access| access.id);
            doubtful.ids.extend(named);
        }
        doubtful
    }

    pub fn contains(&self, collection: Uuid) -> bool {
        self.all || self.ids.contains(&collection)
    }
}

/// What changes of the access of a group once this plan has made or re-linked it.
fn following(
    target: Target,
    groups: &HashMap<Uuid, &Group>,
    own: &[&Resolved<'_>],
    doubtful: &Doubtful,
    earlier: &impl Revocations,
) -> Vec<Difference> {
    let (id, current) = match target {
        Target::Relinked(id) => match groups.get(&id).and_then(|one| one.collections.as_deref()) {
            Some(current) => (id, current),
            None => return vec![],
        },
        _ => (Uuid::nil(), [].as_slice()),
    };
    compare(id, current, own, doubtful, earlier).differences
}

/// Who is in a group as it was read gains and loses what it does, whether the directory has them in it or not:
/// members who aren't ours, and whoever leaves it, because that may be held or refused. A group that is gone
/// gets nothing.
pub(super) fn add_those_inside(
    changes: &mut Vec<Change>,
    read: &HashMap<Uuid, Vec<Uuid>>,
    members: &[Member],
    ours: impl Fn(Uuid) -> Option<ExternalId>,
    is_restored: impl Fn(&ExternalId) -> bool,
) {
    if changes.is_empty() {
        return;
    }
    let status: HashMap<Uuid, MemberStatus> = members
        .iter()
        .map(|member| (member.id, member.status))
        .collect();
    changes.retain_mut(|change| {
        let inside = change.subject.id.and_then(|group| read.get(&group));
        let (Some(inside), Action::Group(GroupAction::SetCollections(access))) =
            (inside, &mut change.action)
        else {
            return false;
        };
        let (gives, takes) = (access.gives(), access.takes_away());
        for member in inside {
            let id = ours(*member);
            let has_access = match status.get(member) {
                Some(MemberStatus::Invited | MemberStatus::Staged) => false,
                Some(MemberStatus::Revoked) => id.as_ref().is_some_and(&is_restored),
                _ => true,
            };
            match id {
                _ if !has_access => {}
                None => access.others.push(*member),
                Some(id) => {
                    access.gaining.extend(gives.then(|| id.clone()));
                    access.losing.extend(takes.then_some(id));
                }
            }
        }
        for people in [&mut access.gaining, &mut access.losing] {
            people.sort_unstable();
            people.dedup();
        }
        access.others.sort_unstable();
        access.others.dedup();
        true
    });
}

/// Who hasn't accepted an invitation, or gets it by this plan: nobody's access follows from a rule alone then,
/// because an administrator confirms them.
fn not_in_yet(sides: &Sides<'_>) -> RoaringBitmap {
    let members = sides.content.members.iter();
    let invited = members.filter(|member| member.status == MemberStatus::Invited);
    let invited = invited.filter_map(|member| {
        let id = member.external_id.as_ref()?;
        sides.roster.by_id.get(id).copied()
    });
    let new = sides.people.changes.iter();
    let new = new.filter(|change| change.kind() == Kind::Invite);
    let new = new.filter_map(|change| sides.roster.by_id.get(change.external_id()).copied());
    invited.chain(new).collect()
}

fn resolve<'a>(
    rule: &'a CollectionRule,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) -> Resolved<'a> {
    let mut access: BTreeMap<Uuid, CollectionAccess> = BTreeMap::new();
    let mut incomplete = false;
    for (name, right) in &rule.collections {
        match known.find(name) {
            Ok(id) => {
                let given = right.on(id);
                let all = access.entry(id).or_insert(given);
                *all = all.or(given);
            }
            Err(what) => {
                incomplete = true;
                let message = format!(
                    "access.collections: {what}, which the rule for {:?} names; its groups get no access by \
                     that, and lose none: directory-sync collections lists them",
                    sanitize(rule.group.as_str())
                );
                problems.push(Problem::new(ProblemReason::UnknownCollection, message, []));
            }
        }
    }
    Resolved {
        rule,
        access: access.into_values().collect(),
        incomplete,
        matched: false,
    }
}

type Difference = (Uuid, Option<CollectionAccess>, Option<CollectionAccess>);

#[derive(Default)]
struct Compared {
    differences: Vec<Difference>,
    /// What would be taken away if it were certain that a run gave it, and what an undo gave back.
    unclear: Vec<Unclear>,
}

/// What has to change of a group that has `current`.
fn compare(
    group: Uuid,
    current: &[CollectionAccess],
    rules: &[&Resolved<'_>],
    doubtful: &Doubtful,
    earlier: &impl Revocations,
) -> Compared {
    let mut wanted: BTreeMap<Uuid, CollectionAccess> = BTreeMap::new();
    for access in rules.iter().flat_map(|rule| &rule.access) {
        let all = wanted.entry(access.id).or_insert(*access);
        *all = all.or(*access);
    }
    let exclusive = rules.iter().any(|rule| rule.rule.exclusive);
    let incomplete = rules.iter().any(|rule| rule.incomplete);
    let Compared {
        mut differences,
        mut unclear,
    } = Compared::default();
    for access in current {
        match wanted.remove(&access.id) {
            Some(to) if to == *access => {}
            Some(to) => differences.push((access.id, Some(*access), Some(to))),
            // A collection that can't be told may be this one.
            None if incomplete || doubtful.contains(access.id) => {}
            None if exclusive || earlier.has_given_access(group, *access) => {
                differences.push((access.id, Some(*access), None));
            }
            None => unclear.extend(Unclear::of(group, *access, earlier)),
        }
    }
    let given = wanted.into_values();
    differences.extend(given.map(|access| (access.id, None, Some(access))));
    differences.sort_unstable_by_key(|(id, ..)| *id);
    Compared {
        differences,
        unclear,
    }
}

/// Access that no rule gives, and that stays because of what earlier runs did.
#[derive(Clone, Copy)]
pub(super) enum Unclear {
    /// A run that was stopped may have given it.
    Stopped(CollectionAccess),
    /// An undo gave it back.
    GivenBack(CollectionAccess),
}

impl Unclear {
    pub fn of(group: Uuid, access: CollectionAccess, earlier: &impl Revocations) -> Option<Self> {
        if earlier.has_given_access(group, access) {
            None
        } else if earlier.may_have_given_access(group, access) {
            Some(Self::Stopped(access))
        } else {
            let is_back = earlier.has_given_access_back(group, access);
            is_back.then_some(Self::GivenBack(access))
        }
    }
}

/// An access stays that a run may have given: nobody can tell it from one that somebody gave by hand. So does one
/// that an undo gave back: a person asked for it.
pub(super) fn unclear(
    (id, name): (Option<&ExternalId>, &str),
    access: Unclear,
    known: &Known<'_>,
) -> Problem {
    let (access, why) = match access {
        Unclear::Stopped(access) => (
            access,
            "a sync that was stopped in the middle may have given it, or somebody by hand, so it stays",
        ),
        Unclear::GivenBack(access) => (access, "an undo gave it back, so no sync takes it away"),
    };
    let collection = known.external_id(access.id);
    let collection = collection.map_or_else(|| access.id.to_string(), sanitize);
    let message = format!(
        "access.collections: group {} has {} on {collection}, and no rule gives it any more; {why}: take it \
         away in Bitwarden, unless it is meant to be",
        sanitize(name),
        access.right().name()
    );
    let ids: Vec<ExternalId> = id.cloned().into_iter().collect();
    Problem::new(ProblemReason::AccessKept, message, ids)
}

fn unmatched(rule: &CollectionRule) -> Problem {
    let message = format!(
        "access.collections: {:?} fits no group that is synced; no group gets access by it, and access that \
         may be by this rule stays; check how it is spelt, and groups.include and groups.exclude, or take \
         the rule out",
        sanitize(rule.group.as_str())
    );
    Problem::new(ProblemReason::UnmatchedPattern, message, [])
}

fn untold(id: &ExternalId, name: &str) -> Problem {
    let message = format!(
        "access.collections: this server doesn't tell what group {} has access to, so nothing is changed of \
         it: update the server",
        sanitize(name)
    );
    Problem::new(ProblemReason::Unsupported, message, [id.clone()])
}

/// What of the access that runs gave isn't known, or won't be.
fn not_recorded(earlier: &impl Revocations, given: usize) -> Option<Problem> {
    let over = (earlier.given_access() + given).saturating_sub(GIVEN_ACCESS_MAX);
    (over > 0).then(|| {
        let message = format!(
            "access.collections: of {GIVEN_ACCESS_MAX} times that a group has access to a collection it is kept \
             that a run gave it; {over} more stay when the rule goes: take those away in Bitwarden then, or \
             set exclusive: true"
        );
        Problem::new(ProblemReason::AccessKept, message, [])
    })
}
