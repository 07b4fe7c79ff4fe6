//! Revocations ahead of a run: of members whose entry was read alone and says that the account is disabled
//! or deleted. Nothing else comes of it, and nobody's absence.
//!
//! What a run sees of both sides beyond these few people is taken from the last whole run
//! ([`Baseline`]). Wherever that may not be enough, the answer is a [`Doubt`], and a whole run decides.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use crate::directory::{AccountState, Email, Evidence, User};
use crate::organization::model::{Content, Member, MemberRole, MemberStatus};
use crate::sync::change_set::ChangeSet;
use crate::sync::guard::{GuardedPlan, guard};
use crate::sync::ledger::{Ledger, key};
use crate::sync::plan::{
    Action, Change, Counts, CurrentRule, Kind, MemberAction, Plan, Reason, Subject,
};
use crate::sync::policy::{OffboardingAction, Policy};
use crate::sync::roster::{Eligibility, Person, Roster};

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

impl Baseline {
    /// What a run saw whose changes are those of `guarded`; `None` where anything is open.
    pub fn of(
        roster: &Roster,
        content: &Content,
        policy: &Policy,
        guarded: &GuardedPlan,
    ) -> Option<Self> {
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
        let mut of_email: HashMap<&Email, usize> = HashMap::new();
        for email in roster.people.iter().filter_map(|one| one.email.as_ref()) {
            *of_email.entry(email).or_default() += 1;
        }
        let mut members_with: HashMap<&Email, usize> = HashMap::new();
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        for member in &content.members {
            *members_with.entry(&member.email).or_default() += 1;
            let id = member.external_id.as_ref();
            *by_id.entry(id.map_or("", |id| id.as_str())).or_default() += 1;
        }
        let changed: HashSet<Uuid> = plan
            .changes
            .iter()
            .filter(|change| change.member().is_some())
            .filter_map(|change| change.subject.id)
            .collect();
        let prefix = &*policy.external_id_prefix;
        let known = content.members.iter().filter_map(|member| {
            let id = member.external_id.as_ref()?;
            let person = &roster.people[*roster.by_id.get(id)? as usize];
            let is_known = id.as_str().starts_with(prefix)
                && by_id.get(id.as_str()) == Some(&1)
                && members_with.get(&member.email) == Some(&1)
                && is_this(person, member)
                && of_email.get(&member.email) == Some(&1)
                && may_be_revoked(member)
                && !changed.contains(&member.id);
            is_known.then(|| (u64::from_be_bytes(key(id)), member.id))
        });
        let mut members: Vec<(u64, Uuid)> = known.collect();
        members.sort_unstable();
        // Who shares a hash isn't told apart.
        let shared: HashSet<u64> = members
            .windows(2)
            .filter(|two| two[0].0 == two[1].0)
            .map(|two| two[0].0)
            .collect();
        members.retain(|(hash, _)| !shared.contains(hash));
        members.shrink_to_fit();
        // Whoever this run changes may get access back.
        let revoked = content.members.iter().filter(|member| {
            member.status == MemberStatus::Revoked && !changed.contains(&member.id)
        });
        let revoked = revoked.filter_map(|member| {
            let id = member.external_id.as_ref()?;
            let is_one = by_id.get(id.as_str()) == Some(&1);
            is_one.then(|| u64::from_be_bytes(key(id)))
        });
        let mut revoked: Vec<u64> = revoked.collect();
        revoked.sort_unstable();
        revoked.shrink_to_fit();
        let mut baseline = Self {
            policy: policy.clone(),
            counts: plan.counts,
            rule: plan.account_rule.clone(),
            members,
            revoked,
        };
        let kinds = plan.changes.iter().map(Change::kind);
        let leaving = kinds.filter(|kind| matches!(kind, Kind::Revoke | Kind::Remove));
        baseline.lose(leaving.count());
        Some(baseline)
    }

    /// Whom the last whole run knew by this id of the directory.
    pub fn member(&self, user: &crate::directory::ExternalId) -> Option<Uuid> {
        let id = user.with_prefix(&self.policy.external_id_prefix).ok()?;
        let hash = u64::from_be_bytes(key(&id));
        let at = self.members.binary_search_by_key(&hash, |(hash, _)| *hash);
        Some(self.members[at.ok()?].1)
    }

    /// Whether the member with this id of the directory has no access any more: what a signal tells that was on
    /// its way meanwhile is settled.
    pub fn is_revoked(&self, user: &crate::directory::ExternalId) -> bool {
        let id = user.with_prefix(&self.policy.external_id_prefix);
        id.is_ok_and(|id| {
            let hash = u64::from_be_bytes(key(&id));
            self.revoked.binary_search(&hash).is_ok()
        })
    }

    /// The same after the revocations of `guarded`, whether or not they were made.
    #[must_use]
    pub fn without(mut self, guarded: &GuardedPlan) -> Self {
        let changes = guarded.approved.changes.iter();
        let gone: HashSet<Uuid> = changes.filter_map(|change| change.subject.id).collect();
        self.members.retain(|(_, member)| !gone.contains(member));
        self.lose(gone.len());
        self
    }

    /// The same after these changes, which were made.
    #[must_use]
    pub fn after(mut self, done: &ChangeSet) -> Self {
        let revoked = done.of_kind(Kind::Revoke);
        let revoked = revoked.map(|id| u64::from_be_bytes(key(id)));
        self.revoked.extend(revoked);
        self.revoked.sort_unstable();
        self
    }

    /// Fewer have something to lose: what limits are a share of isn't counted twice.
    fn lose(&mut self, members: usize) {
        let counts = &mut self.counts;
        counts.with_access = counts.with_access.saturating_sub(members);
    }
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
    changes.sort_by(|one, other| one.order().cmp(&other.order()));
    let plan = Plan {
        changes,
        counts: baseline.counts,
        account_rule: baseline.rule.clone(),
        revoked: Some(HashMap::new()),
        is_partial: true,
        ..Plan::default()
    };
    let guarded = guard(plan, policy, ledger, now, None);
    match guarded.held {
        None => Ok(guarded),
        Some(_) => Err(Doubt::Held),
    }
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

/// Whether an active person in scope is this member, and nothing else about them.
fn is_this(person: &Person, member: &Member) -> bool {
    person.eligibility == Eligibility::Active && person.email.as_ref() == Some(&member.email)
}

fn may_be_revoked(member: &Member) -> bool {
    let has_access = matches!(
        member.status,
        MemberStatus::Invited | MemberStatus::Accepted | MemberStatus::Confirmed
    );
    has_access && member.role != MemberRole::Owner && !member.email.is_withheld()
}
