//! The first half of a plan: everything but who is in which of the groups that exist already.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use roaring::RoaringBitmap;
use uuid::Uuid;

use crate::directory::{ExternalId, fold};
use crate::organization::collection::AccessChange;
use crate::organization::model::{Content, MemberRole, MemberStatus, Organization};
use crate::problem::{Problem, ProblemReason};
use crate::sync::hash::{MemberSum, hash, person_hash};
use crate::sync::ledger::{SeenInvitations, Tally};
use crate::sync::patterns::Unmatched;
use crate::sync::plan::groups::{self, Target};
use crate::sync::plan::onboarding::{self, Survey};
use crate::sync::plan::people::{self, Presence};
use crate::sync::plan::{
    Change, Counts, CurrentRule, GroupAction, Kind, NotRead, Recognized, Revocations,
};
use crate::sync::plan::{collections, roles};
use crate::sync::policy::{Policy, passes};
use crate::sync::roster::{Eligibility, Roster};

/// A plan whose groups aren't compared yet.
///
/// Who is in a group takes a request a group to find out, so a plan is made in two steps: a draft
/// tells which groups have to be read
/// ([`MembershipCache::to_read`](crate::sync::memberships::MembershipCache::to_read)), and [`Draft::complete`]
/// makes the plan of it.
pub struct Draft<'a> {
    pub(super) roster: &'a Roster,
    pub(super) counts: Counts,
    /// What [`Plan`](crate::sync::plan::Plan) has of the same name.
    pub(super) disabled_and_not_read: Vec<NotRead>,
    /// The same.
    pub(super) tally: Tally,
    pub(super) account_rule: Option<CurrentRule>,
    pub(super) kind: DraftKind<'a>,
}

pub(super) enum DraftKind<'a> {
    Compared(Box<Compared<'a>>),
    /// The rules, for a server that can't be read.
    WriteOnly(&'a Policy),
}

/// What is decided where the organization can be read.
pub(super) struct Compared<'a> {
    pub content: &'a Content,
    pub prefix: &'a str,
    pub people: people::Decided,
    pub groups: groups::Decided,
    /// Members who get another role.
    pub roles: Vec<Change>,
    pub invitations: SeenInvitations,
    pub until: Option<Timestamp>,
    /// Groups whose access to collections changes.
    pub collections: Vec<Change>,
    /// What groups get once this plan has made or re-linked them.
    pub follows: HashMap<ExternalId, Vec<AccessChange>>,
    pub wanted: Vec<DesiredGroup>,
    /// Where somebody is removed from the organization: they would leave these by that.
    pub protected: ProtectedGroups,
    pub unmanaged: Unmanaged,
}

/// A group in scope, and what it shall hold.
pub(crate) struct DesiredGroup {
    /// Its index in the roster.
    pub(super) at: usize,
    pub(super) target: Target,
    /// Stands for everyone who shall be in it.
    pub(crate) digest: [u8; 16],
    /// Stands for the same people and those whom this plan removes from the organization, where
    /// there are any.
    pub(crate) before: Option<[u8; 16]>,
    /// Whether somebody who shall be in it isn't a member yet.
    pub(crate) joins: bool,
}

impl Counts {
    /// Counts what an organization holds; managed is what has an external id with this prefix.
    pub(crate) fn count(&mut self, content: &Content, prefix: &str) {
        let ours = |id: &&_| ExternalId::as_str(id).starts_with(prefix);
        self.members = content.members.len();
        self.managed_members = content
            .members
            .iter()
            .filter_map(|member| member.external_id.as_ref())
            .filter(ours)
            .count();
        let revoked = content.members.iter().filter(|member| {
            member.status == MemberStatus::Revoked
                && member.external_id.as_ref().is_some_and(|id| ours(&id))
        });
        self.revoked_members = revoked.count();
        let of_ours = |has: fn(MemberStatus) -> bool| {
            let members = content
                .members
                .iter()
                .filter(|member| has(member.status) && member.role != MemberRole::Owner);
            let ids = members.filter_map(|member| member.external_id.as_ref());
            ids.filter(ours).count()
        };
        // Our own invitations don't raise the limits of what may be taken from others.
        let invited = |status| matches!(status, MemberStatus::Invited | MemberStatus::Staged);
        self.invited = of_ours(invited);
        self.with_access = of_ours(|status| status != MemberStatus::Revoked) - self.invited;
        self.organization_groups = content.groups.len();
        self.managed_groups = content
            .groups
            .iter()
            .filter_map(|group| group.external_id.as_ref())
            .filter(ours)
            .count();
    }
}

/// Stands for the members that are ours and have something to lose.
pub(crate) fn tally(content: &Content, prefix: &str) -> Tally {
    let is_ours = |id: &ExternalId| id.as_str().starts_with(prefix);
    let members = content.members.iter().filter(|member| {
        member.status != MemberStatus::Revoked
            && member.role != MemberRole::Owner
            && member.external_id.as_ref().is_some_and(is_ours)
    });
    Tally::of(members.map(|member| member.id))
}

/// Decides about people and groups. Whom `earlier` runs revoked long enough before `now` is removed,
/// where the policy says so.
pub fn draft<'a>(
    roster: &'a Roster,
    organization: &'a Organization,
    policy: &'a Policy,
    earlier: &impl Revocations,
    now: Timestamp,
) -> Draft<'a> {
    let mut counts = Counts {
        groups: roster.groups.len(),
        ..Counts::default()
    };
    for person in &roster.people {
        match person.eligibility {
            Eligibility::Active => counts.active += 1,
            Eligibility::Disabled => counts.disabled += 1,
            _ => {}
        }
    }
    let mut read = roster.people.iter().map(|person| &person.id);
    let disabled_and_not_read = earlier.disabled_and_not_read(&mut read);
    let mut account_rule = roster.account_rule.as_ref().map(CurrentRule::from);
    if let Some(rule) = &mut account_rule {
        rule.active_had_it = !rule.active_have_it && earlier.active_had_attribute(rule.id);
    }
    let content = match organization {
        Organization::Read(content) => &**content,
        Organization::WriteOnly => {
            let kind = DraftKind::WriteOnly(policy);
            return Draft {
                roster,
                counts,
                disabled_and_not_read,
                tally: Tally::default(),
                account_rule,
                kind,
            };
        }
    };
    let prefix = &*policy.external_id_prefix;
    counts.count(content, prefix);
    let ours = |id: &&ExternalId| id.as_str().starts_with(prefix);
    let tally = tally(content, prefix);

    let believed = earlier.believed(now);
    let rules = (prefix, &policy.onboarding);
    let survey = Survey::of(content, roster, rules, earlier.invitations(), believed);
    counts.onboarding = survey.counts;
    let mut people = people::decide(
        roster,
        &content.members,
        policy,
        &|person, member| {
            let revoked_by = policy.offboarding.revoked_by(believed);
            revoked_by.is_some_and(|time| earlier.has_revoked_by(person, member, time))
        },
        &survey,
    );
    let (problems, mut invitations, until) = survey.into_parts();
    invitations.withdrawn = std::mem::take(&mut people.withdrawn);
    onboarding::limit_reinvitations(&mut people.changes);
    people.problems.extend(content.problems.iter().cloned());
    people.problems.extend(problems);
    let anybody_left = counts.with_access + counts.invited > 0;
    let nobody_named = roster.people.is_empty() && counts.managed_members > 0;
    if roster.directory_is_empty && (anybody_left || nobody_named) {
        people.problems.push(Problem::new(
            ProblemReason::EmptyDirectory,
            format!(
                "the directory names no one who is active and in scope, the organization has {} \
                 members of ours; check what the source may read, and its filters",
                counts.managed_members
            ),
            [],
        ));
    }
    let unrecognized = content.members.iter().filter(|member| {
        let id = member.external_id.as_ref().filter(ours);
        member.status != MemberStatus::Revoked
            && member.role != MemberRole::Owner
            && id.is_some_and(|id| !roster.by_id.contains_key(id))
            && !people.renamed.contains_key(&member.id)
            && !people.by_former_id.contains(&member.id)
    });
    counts.unrecognized = unrecognized.count();
    counts.recognized = recognized(roster, content, &people, counts.managed_members, prefix);
    let names = content.groups.iter().map(|group| &*group.name);
    people
        .problems
        .extend(unmatched_protected(roster, policy, names));
    let groups = groups::decide(roster, &content.groups, policy);
    let (roles, problems) =
        roles::decide(roster, &content.members, &policy.access, &people, earlier);
    people.problems.extend(problems);
    let sides = collections::Sides {
        roster,
        content,
        access: &policy.access,
        targets: &groups.targets,
        ended: &groups.ended,
        people: &people,
    };
    let collections::Decided {
        changes: collections,
        problems,
        follows,
    } = collections::decide(&sides, earlier);
    people.problems.extend(problems);
    let lost_record = roles::lost_record(&policy.access, earlier);
    people.problems.extend(lost_record);
    let unmanaged = unmanaged(content, prefix, &people);
    let wanted = wanted(roster, &people.presence, &groups.targets);
    let protected = match people.removed.is_empty() {
        true => ProtectedGroups::default(),
        false => protected(content, policy, &groups),
    };
    let compared = Compared {
        content,
        prefix,
        people,
        groups,
        roles,
        invitations,
        until,
        collections,
        follows,
        wanted,
        protected,
        unmanaged,
    };
    Draft {
        roster,
        counts,
        disabled_and_not_read,
        tally,
        account_rule,
        kind: DraftKind::Compared(Box::new(compared)),
    }
}

/// By what the members are recognized.
fn recognized(
    roster: &Roster,
    content: &Content,
    people: &people::Decided,
    managed: usize,
    prefix: &str,
) -> Recognized {
    let ids = content.members.iter().filter_map(|member| {
        let id = member.external_id.as_ref()?;
        id.as_str().starts_with(prefix).then_some(id)
    });
    let by_id = ids.filter(|id| roster.by_id.contains_key(*id)).count();
    let by_former_id = people.by_former_id.len();
    let links = people
        .changes
        .iter()
        .filter(|change| change.kind() == Kind::Link);
    Recognized {
        by_id,
        by_former_id,
        by_email: people.relinked_by_email + links.count(),
        not: managed.saturating_sub(by_id + by_former_id + people.relinked_by_email),
    }
}

impl Draft<'_> {
    /// How many groups of the organization may have to be read: those in scope, those that are to be
    /// deleted, and protected ones that somebody leaves by being removed from the organization.
    pub fn existing_groups(&self) -> usize {
        self.existing().count() + self.deleted().count() + self.protected().len()
    }

    /// Groups that aren't compared and that nobody may leave without approval. Who is in them has to
    /// be known.
    pub(crate) fn protected(&self) -> &[Uuid] {
        match &self.kind {
            DraftKind::Compared(compared) => &compared.protected.others,
            DraftKind::WriteOnly(_) => &[],
        }
    }

    /// Whether somebody may leave this protected group by being removed from the organization: who is
    /// in it by now has to be known.
    pub(crate) fn may_lose_protected(&self, group: &Uuid) -> bool {
        match &self.kind {
            DraftKind::Compared(compared) => compared.protected.compared.contains(group),
            DraftKind::WriteOnly(_) => false,
        }
    }

    /// The groups that are to be deleted. Who is in them has to be known: they lose something.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = Uuid> {
        let changes = match &self.kind {
            DraftKind::Compared(compared) => compared.groups.changes.as_slice(),
            DraftKind::WriteOnly(_) => &[],
        };
        changes
            .iter()
            .filter(|change| matches!(change.group(), Some(GroupAction::Delete(_))))
            .filter_map(|change| change.subject.id)
    }

    /// The groups whose access to collections changes. Who is in them has to be known: they gain or lose it.
    pub(crate) fn changing_access(&self) -> impl Iterator<Item = Uuid> {
        let changes = match &self.kind {
            DraftKind::Compared(compared) => compared.collections.as_slice(),
            DraftKind::WriteOnly(_) => &[],
        };
        changes.iter().filter_map(|change| change.subject.id)
    }

    /// Who isn't ours to move.
    pub(crate) fn unmanaged(&self) -> Unmanaged {
        match &self.kind {
            DraftKind::Compared(compared) => compared.unmanaged,
            DraftKind::WriteOnly(_) => Unmanaged::default(),
        }
    }

    /// The groups that exist already and what they shall hold: (group, external id, content).
    pub(crate) fn existing(&self) -> impl Iterator<Item = (Uuid, &ExternalId, Existing<'_>)> {
        let wanted = match &self.kind {
            DraftKind::Compared(compared) => compared.wanted.as_slice(),
            DraftKind::WriteOnly(_) => &[],
        };
        wanted.iter().filter_map(|wanted| {
            let id = &self.roster.groups[wanted.at].id;
            match wanted.target {
                Target::New => None,
                Target::Existing(group) => Some((group, id, Existing::Known(wanted))),
                Target::Relinked(group) => Some((group, id, Existing::Relinked)),
            }
        })
    }
}

/// A group of the organization, as far as what was remembered of it holds.
pub(crate) enum Existing<'a> {
    /// It may.
    Known(&'a DesiredGroup),
    /// It was remembered under another id, if at all.
    Relinked,
}

/// Digests of the unmanaged members: those who aren't ours to move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unmanaged {
    /// Of those whom the plan doesn't re-link.
    pub(crate) unchanged: [u8; 16],
    /// Of them, and of the external ids that members get by the plan.
    pub(crate) with_relinked: [u8; 16],
}

fn unmanaged(content: &Content, prefix: &str, people: &people::Decided) -> Unmanaged {
    let (mut outside, mut renamed) = (MemberSum::default(), MemberSum::default());
    for member in &content.members {
        let ours = || {
            member
                .external_id
                .as_ref()
                .is_some_and(|id| id.as_str().starts_with(prefix))
        };
        if let Some(id) = people.renamed.get(&member.id) {
            renamed.add(hash(member.id.as_bytes()) ^ person_hash(id));
        } else if !ours() || people.unmanaged.contains(&member.id) {
            outside.add(hash(member.id.as_bytes()));
        }
    }
    Unmanaged {
        unchanged: outside.digest(),
        with_relinked: outside.and(renamed).digest(),
    }
}

/// Patterns of protected groups that fit no group of the directory, and none of the organization by
/// these `names`.
pub(super) fn unmatched_protected<'a>(
    roster: &'a Roster,
    policy: &'a Policy,
    names: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = Problem> {
    let mut protected = Unmatched::new("groups.protected", &policy.groups.protected);
    let groups = roster.groups.iter().map(|group| &*group.name);
    let unidentified = roster.unidentified_groups.iter();
    let others = roster.other_group_names.iter().map(|name| &**name);
    let others = others.chain(unidentified.map(|group| &*group.name));
    names
        .chain(groups)
        .chain(others)
        .for_each(|name| protected.see(name));
    protected.problems("no group of the directory or of Bitwarden")
}

/// Groups by whose names nobody may leave them without approval.
#[derive(Default)]
pub(super) struct ProtectedGroups {
    /// Those in scope.
    pub compared: HashSet<Uuid>,
    /// Those that are filtered out, can't be used, or aren't managed.
    pub others: Vec<Uuid>,
}

fn protected(content: &Content, policy: &Policy, groups: &groups::Decided) -> ProtectedGroups {
    let patterns = &policy.groups.protected;
    if patterns.is_empty() {
        return ProtectedGroups::default();
    }
    let compared = groups
        .targets
        .iter()
        .filter_map(|(_, target)| match target {
            Target::New => None,
            Target::Existing(group) | Target::Relinked(group) => Some(*group),
        });
    let changed = groups.changes.iter().filter_map(|change| change.subject.id);
    let compared: HashSet<Uuid> = compared.chain(changed).collect();
    let groups = content.groups.iter();
    let protected = groups.filter(|group| passes(patterns, &[], &fold(&group.name)));
    let (compared, others): (Vec<Uuid>, Vec<Uuid>) = protected
        .map(|group| group.id)
        .partition(|group| compared.contains(group));
    ProtectedGroups {
        compared: compared.into_iter().collect(),
        others,
    }
}

fn wanted(
    roster: &Roster,
    presence: &[Presence],
    targets: &[(usize, Target)],
) -> Vec<DesiredGroup> {
    // Each person is hashed once, each shared set of people summed once.
    let hashes: Vec<u128> = roster
        .people
        .iter()
        .zip(presence)
        .map(|(person, presence)| match presence {
            Presence::No => 0,
            _ => person_hash(&person.id),
        })
        .collect();
    let mut summed: HashMap<*const RoaringBitmap, Sums> = HashMap::new();
    targets
        .iter()
        .map(|&(at, target)| {
            let people = &roster.groups[at].people;
            let sums = *summed
                .entry(Arc::as_ptr(people))
                .or_insert_with(|| Sums::of(people, &hashes, presence));
            DesiredGroup {
                at,
                target,
                digest: sums.wanted.digest(),
                before: (!sums.leaving.is_empty()).then(|| sums.wanted.and(sums.leaving).digest()),
                joins: sums.joins,
            }
        })
        .collect()
}

#[derive(Clone, Copy, Default)]
struct Sums {
    wanted: MemberSum,
    leaving: MemberSum,
    joins: bool,
}

impl Sums {
    fn of(people: &RoaringBitmap, hashes: &[u128], presence: &[Presence]) -> Self {
        let mut sums = Self::default();
        for person in people {
            let (hash, presence) = (hashes[person as usize], presence[person as usize]);
            match presence {
                Presence::No => {}
                Presence::Stays => sums.wanted.add(hash),
                Presence::Joins => {
                    sums.wanted.add(hash);
                    sums.joins = true;
                }
                Presence::Leaves => sums.leaving.add(hash),
            }
        }
        sums
    }
}
