//! Revocations ahead of a run: of members whose entry was read alone and says that the account is disabled
//! or deleted. Nothing else comes of it, and nobody's absence.
//!
//! What a run sees of both sides beyond these few people is taken from the last whole run
//! ([`Baseline`]). Wherever that may not be enough, the answer is a [`Doubt`], and a whole run decides.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::directory::hash::FastMap;
use crate::directory::{AccountEvidence, AccountState, Email, Evidence, ExternalId, User};
use crate::organization::model::{Content, Member, MemberRole, MemberStatus};
use crate::sync::change_set::ChangeSet;
use crate::sync::guard::{GuardedPlan, Kept, guard, keep_ids};
use crate::sync::hash::hash;
use crate::sync::identities::People;
use crate::sync::ledger::{Ledger, key};
use crate::sync::plan::{
    Action, Change, Counts, CurrentRule, GroupAction, Kind, MemberAction, Plan, Reason, Subject,
};
use crate::sync::policy::{OffboardingAction, Policy};
use crate::sync::roster::{Eligibility, Roster};

/// What a whole run saw that left nothing open: whom the fast lane may revoke until the next one.
///
/// 24 bytes for each of those, and 8 for each who has lost access already.
#[derive(Debug, Clone)]
pub struct Baseline {
    policy: Policy,
    counts: Counts,
    rule: Option<CurrentRule>,
    /// By the hash of the external id, in order. A member that is found by it is read before anything is
    /// done, and shows the whole id.
    members: Vec<(u64, Uuid)>,
    /// The hashes of the external ids whose members have no access: they lost it by that run, before or since.
    /// In order.
    revoked: Vec<u64>,
}

/// Why a whole run has to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The last whole run is of other rules.
    #[error("the spec was changed since the last sync")]
    OtherPolicy,
    /// The policy asks for something else than a revocation.
    #[error("the policy doesn't ask for a revocation")]
    OtherAction,
    /// What earlier runs took away isn't known for certain, or something is held or half done.
    #[error("something is held, or the record of earlier removals isn't certain")]
    Record,
    /// The member isn't, or not any more, whom the last whole run knew by this entry.
    #[error("the member isn't the one that the last sync knew by this entry")]
    OtherMember,
    /// The entry has another address than the member, or none.
    #[error("the entry and the member have different addresses")]
    OtherEmail,
    /// A limit holds it.
    #[error("a limit holds it")]
    Held,
}

/// Who is active in the directory with an address of their own, as a whole run read it: their members may be
/// known for certain.
///
/// 16 bytes for each.
#[derive(Debug, Clone)]
pub struct Candidates {
    policy: Policy,
    counts: Counts,
    rule: Option<CurrentRule>,
    /// By the hashes of the external id and of the address, in order.
    people: Vec<(u64, u64)>,
}

impl Candidates {
    /// What a run saw whose changes are those of `guarded`; `None` where anything is open.
    pub fn of(roster: &Roster, policy: &Policy, guarded: &GuardedPlan) -> Option<Self> {
        let plan = &*guarded.approved;
        let is_open = guarded.held.is_some()
            || plan.is_write_only()
            || plan.directory_is_empty
            || plan.recognizes_nobody
            // Such an entry may be anybody's.
            || !roster.unidentified.is_empty();
        if is_open {
            return None;
        }
        let mut of_email: FastMap<&Email, usize> = FastMap::default();
        for email in roster.people.iter().filter_map(|one| one.email.as_ref()) {
            *of_email.entry(email).or_default() += 1;
        }
        let prefix = &*policy.external_id_prefix;
        let known = roster.people.iter().filter_map(|person| {
            let email = person.email.as_ref()?;
            let is_known = person.eligibility == Eligibility::Active
                && person.id.as_str().starts_with(prefix)
                && of_email.get(email) == Some(&1);
            is_known.then(|| (hash_of(&person.id), email_hash(email)))
        });
        let mut people: Vec<(u64, u64)> = known.collect();
        people.sort_unstable();
        people.shrink_to_fit();
        let kinds = plan.changes.iter().map(Change::kind);
        let leaving = kinds.filter(|kind| matches!(kind, Kind::Revoke | Kind::Remove));
        let mut counts = plan.counts;
        lose(&mut counts, leaving.count());
        Some(Self {
            policy: policy.clone(),
            counts,
            rule: plan.account_rule.clone(),
            people,
        })
    }

    /// With the members, as they were read before the run's changes or after them: but for those in `changed`,
    /// who may be otherwise by now.
    pub fn among(self, content: &Content, changed: &HashSet<Uuid>) -> Baseline {
        let Self {
            policy,
            counts,
            rule,
            people,
        } = self;
        let mut members_with: FastMap<&Email, usize> = FastMap::default();
        let mut by_id: FastMap<u64, usize> = FastMap::default();
        let mut with_ids = vec![];
        for member in &content.members {
            *members_with.entry(&member.email).or_default() += 1;
            if let Some(id) = &member.external_id {
                let id = hash_of(id);
                *by_id.entry(id).or_default() += 1;
                with_ids.push((id, member));
            }
        }
        // Who shares a hash isn't told apart.
        let is_alone = |(id, member): &(u64, &Member)| {
            by_id.get(id) == Some(&1) && !changed.contains(&member.id)
        };
        let alone = with_ids.iter().copied().filter(is_alone);
        let is_person = |id: u64, member: &Member| {
            let first = people.partition_point(|one| one.0 < id);
            let email = email_hash(&member.email);
            let mut with_id = people[first..].iter().take_while(|one| one.0 == id);
            with_id.next() == Some(&(id, email)) && with_id.next().is_none()
        };
        let known = alone.clone().filter(|(id, member)| {
            members_with.get(&member.email) == Some(&1)
                && may_be_revoked(member)
                && is_person(*id, member)
        });
        let mut members: Vec<(u64, Uuid)> = known.map(|(id, member)| (id, member.id)).collect();
        members.sort_unstable();
        members.shrink_to_fit();
        let revoked = alone.filter(|(_, member)| member.status == MemberStatus::Revoked);
        let mut revoked: Vec<u64> = revoked.map(|(id, _)| id).collect();
        revoked.sort_unstable();
        revoked.shrink_to_fit();
        Baseline {
            policy,
            counts,
            rule,
            members,
            revoked,
        }
    }
}

/// The members whom a plan changes.
pub fn changed(plan: &Plan) -> HashSet<Uuid> {
    let changes = plan.changes.iter();
    changes
        .filter(|change| change.member().is_some())
        .filter_map(|change| change.subject.id)
        .collect()
}

impl Plan {
    /// Leaves out what would give access, or anything else of their own, to people of whom the directory has told
    /// meanwhile that they left. Whom that concerns.
    pub fn give_nothing_to(&mut self, people: &People) -> Vec<Box<str>> {
        self.leave_out(people, |change| {
            !matches!(change.kind(), Kind::Revoke | Kind::Remove)
        })
    }

    /// Leaves out what is to be done with people who were revoked meanwhile: what was read of them in the directory
    /// may be older than their revocation.
    pub fn leave_alone(&mut self, people: &People) {
        self.leave_out(people, |_| true);
    }

    /// Without these changes of theirs, and without them in groups that they would come into, and by those to
    /// collections. Whom that concerns.
    fn leave_out(&mut self, people: &People, is_left_out: fn(&Change) -> bool) -> Vec<Box<str>> {
        let left = self.changes.extract_if(.., |change| {
            people.is_subject_of(change) && is_left_out(change)
        });
        let left: Vec<Change> = left.collect();
        let mut whom: Vec<Box<str>> = vec![];
        let mut name = |who: &str| {
            if whom.iter().all(|known| **known != *who) {
                whom.push(who.into());
            }
        };
        left.iter().for_each(|change| name(change.subject.label()));
        let mut filled: HashSet<ExternalId> = HashSet::new();
        for (group, again) in self.undoes.iter_mut().flat_map(|one| &mut one.made_again) {
            let members = &mut again.members;
            for member in members.extract_if(.., |member| people.has_member(*member)) {
                if let Some(email) = self.names.unmanaged(&member) {
                    name(email.as_str());
                }
            }
            filled.insert(group.clone());
        }
        let mut out_of: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
        self.changes.retain_mut(|change| {
            let group = &change.subject.external_id;
            let add = match &mut change.action {
                Action::Group(GroupAction::Create { add }) => add,
                Action::Group(GroupAction::Update(update)) => &mut update.add,
                _ => return true,
            };
            let out: Vec<ExternalId> = add.extract_if(.., |id| people.has_id(id)).collect();
            if out.is_empty() {
                return true;
            }
            let is_empty = add.is_empty();
            let group = group.clone();
            let is_nothing = is_empty && change.kind() == Kind::UpdateGroup;
            let stays = !is_nothing || filled.contains(&group) || change.takes_away();
            out_of.insert(group, out);
            stays
        });
        for id in out_of.values().flatten() {
            let email = self.names.email(id).map(Email::as_str);
            let is_subject = || left.iter().any(|change| change.external_id() == id);
            match email {
                Some(email) => name(email),
                None if is_subject() => {}
                None => name(id.as_str()),
            }
        }
        for state in &mut self.groups {
            let out = out_of.remove(&state.external_id);
            state.missing.extend(out.unwrap_or_default());
        }
        let keep = left
            .iter()
            .filter_map(|change| Some((change.external_id().clone(), Kept::without(change)?)));
        keep_ids(self, &keep.collect());
        whom
    }
}

impl Baseline {
    /// Whom the last whole run knew by this id of the directory.
    pub fn member(&self, user: &ExternalId) -> Option<Uuid> {
        let id = user.with_prefix(&self.policy.external_id_prefix).ok()?;
        let hash = hash_of(&id);
        let at = self.members.binary_search_by_key(&hash, |(hash, _)| *hash);
        Some(self.members[at.ok()?].1)
    }

    /// Whether the member with this id of the directory has no access any more: what a signal tells that was on
    /// its way meanwhile is settled.
    pub fn is_revoked(&self, user: &ExternalId) -> bool {
        let id = user.with_prefix(&self.policy.external_id_prefix);
        id.is_ok_and(|id| {
            let hash = hash_of(&id);
            self.revoked.binary_search(&hash).is_ok()
        })
    }

    /// The same after the revocations of `guarded`, whether or not they were made.
    #[must_use]
    pub fn without(mut self, guarded: &GuardedPlan) -> Self {
        let changes = guarded.approved.changes.iter();
        let gone: HashSet<Uuid> = changes.filter_map(|change| change.subject.id).collect();
        self.members.retain(|(_, member)| !gone.contains(member));
        lose(&mut self.counts, gone.len());
        self
    }

    /// The same while other changes than revocations by the directory are made, those of an undo, in an organization
    /// that was so before: nothing is known of the members whom it changes.
    #[must_use]
    pub fn apart_from(self, guarded: &GuardedPlan, content: &Content) -> Self {
        let plan = &*guarded.approved;
        let members = plan
            .changes
            .iter()
            .filter(|change| change.member().is_some());
        let ids = members.map(|change| change.external_id().clone()).collect();
        let people = People::of(&changed(plan), &ids).known_to(content, plan, &[]);
        let changed: HashSet<u64> = people.ids().map(|id| hash_of(&id)).collect();
        let mut rest = self.without(guarded);
        rest.revoked.retain(|id| !changed.contains(id));
        rest
    }

    /// Of these people alone.
    fn plan(&self, mut changes: Vec<Change>) -> Plan {
        changes.sort_by(|one, other| one.order().cmp(&other.order()));
        Plan {
            changes,
            counts: self.counts,
            account_rule: self.rule.clone(),
            revoked: Some(HashMap::new()),
            is_partial: true,
            ..Plan::default()
        }
    }

    /// The same after these changes, which were made.
    #[must_use]
    pub fn after(mut self, done: &ChangeSet) -> Self {
        let revoked = done.of_kind(Kind::Revoke);
        let revoked = revoked.map(hash_of);
        self.revoked.extend(revoked);
        self.revoked.sort_unstable();
        self
    }
}

/// Fewer have something to lose: what limits are a share of isn't counted twice.
fn lose(counts: &mut Counts, members: usize) {
    counts.with_access = counts.with_access.saturating_sub(members);
}

fn hash_of(id: &ExternalId) -> u64 {
    u64::from_be_bytes(key(id))
}

/// Somebody whose entry and member were read, one by one.
#[derive(Debug, Clone)]
pub struct Leaver {
    /// The entry, which no other entry shares its id or address with.
    pub user: User,
    /// The member.
    pub member: Member,
}

/// The revocations of these people, past every limit. Whoever is revoked already is left out.
///
/// # Errors
/// Where anything about any of them is to be seen by a whole run first.
pub fn plan(
    baseline: &Baseline,
    leavers: &[Leaver],
    policy: &Policy,
    ledger: &Ledger,
    now: Timestamp,
) -> Result<GuardedPlan, Doubt> {
    if baseline.policy != *policy {
        return Err(Doubt::OtherPolicy);
    }
    let ledger = &ledger.at(now);
    if ledger.is_careful() || ledger.is_holding() || ledger.is_unfinished() {
        return Err(Doubt::Record);
    }
    let mut changes = vec![];
    for leaver in leavers {
        changes.extend(revocation(baseline, leaver, policy)?);
    }
    let guarded = guard(baseline.plan(changes), policy, ledger, now, None);
    match guarded.held {
        None => Ok(guarded),
        Some(_) => Err(Doubt::Held),
    }
}

/// Whether the limits would let go whom the last whole run knew of these people, if each of them left. What disables
/// many accounts at once may be an accident, which a run holds as a whole: then none of them is revoked ahead of it.
pub fn limits_allow(
    baseline: &Baseline,
    suspects: &[ExternalId],
    policy: &Policy,
    ledger: &Ledger,
    now: Timestamp,
) -> bool {
    // Whoever is revoked has an entry that was read; these count, and nothing comes of them.
    let evidence = Arc::new(AccountEvidence {
        attribute: "".into(),
        value: "".into(),
        entry: "".into(),
        changed: None,
    });
    let known = suspects.iter().filter_map(|id| {
        let member = baseline.member(id)?;
        Some((member, id.with_prefix(&policy.external_id_prefix).ok()?))
    });
    let known: HashMap<Uuid, ExternalId> = known.collect();
    let changes = known.into_iter().map(|(member, id)| Change {
        subject: Subject::person(id, Email::withheld(), Some(member)),
        reason: Reason::DisabledInDirectory,
        action: Action::Member(MemberAction::Revoke {
            evidence: Evidence::Disabled(Arc::clone(&evidence)),
        }),
    });
    let plan = baseline.plan(changes.collect());
    let guarded = guard(plan, policy, &ledger.at(now), now, None);
    guarded.held.is_none()
}

/// `None` where there is nothing to do.
fn revocation(
    baseline: &Baseline,
    Leaver { user, member }: &Leaver,
    policy: &Policy,
) -> Result<Option<Change>, Doubt> {
    let (action, reason) = match user.state {
        AccountState::Active => return Ok(None),
        AccountState::Disabled => (policy.offboarding.disabled, Reason::DisabledInDirectory),
        AccountState::Deleted => (policy.offboarding.deleted, Reason::GoneFromDirectory),
    };
    if action != OffboardingAction::Revoke {
        return Err(Doubt::OtherAction);
    }
    let id = user.id.with_prefix(&policy.external_id_prefix).ok();
    let is_known = id.is_some() && id == member.external_id;
    if !is_known || baseline.member(&user.id) != Some(member.id) {
        return Err(Doubt::OtherMember);
    }
    if user.email.as_ref().ok() != Some(&member.email) {
        return Err(Doubt::OtherEmail);
    }
    if member.status == MemberStatus::Revoked {
        return Ok(None);
    }
    let (Some(evidence), Some(id), true) = (&user.evidence, id, may_be_revoked(member)) else {
        return Err(Doubt::OtherMember);
    };
    let evidence = Evidence::Disabled(evidence.clone());
    Ok(Some(Change {
        subject: Subject::person(id, member.email.clone(), Some(member.id)),
        reason,
        action: Action::Member(MemberAction::Revoke { evidence }),
    }))
}

fn may_be_revoked(member: &Member) -> bool {
    let has_access = matches!(
        member.status,
        MemberStatus::Invited | MemberStatus::Accepted | MemberStatus::Confirmed
    );
    has_access && member.role != MemberRole::Owner && !member.email.is_withheld()
}

fn email_hash(email: &Email) -> u64 {
    hash(email.as_str().as_bytes()) as u64
}
