//! Which revoked members get their access back.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::directory::{Container, ExternalId};
use crate::organization::collection::CollectionAccess;
use crate::organization::role::AccessRole;
use crate::problem::{Problem, ProblemReason};
use crate::sync::guard::postpone;
use crate::sync::hash::hash;
use crate::sync::ledger::Invitations;
use crate::sync::plan::{Kind, MemberAction, Plan, Reason};
use crate::sync::policy::{Policy, Restore};
use crate::text::sanitize;

/// Identifies the rule by which accounts are told to be disabled: an attribute with what its values mean.
/// Of two rules it tells that they differ but once in 65,536 times: the ledger keeps one for each person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId([u8; 2]);

impl RuleId {
    /// None, or nobody knows which.
    pub const UNKNOWN: Self = Self([0; 2]);

    /// The rule of this text ([`AccountRule::meaning`](crate::directory::AccountRule::meaning)).
    pub(crate) fn of(meaning: &str) -> Self {
        let hash = hash(meaning.as_bytes()) as u16;
        Self(hash.max(1).to_be_bytes())
    }
}

/// Somebody who lost access because their account was disabled, and isn't in the directory under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRead {
    /// Their key in the ledger.
    pub(crate) person: [u8; 8],
    /// By which rule their account was disabled.
    pub(crate) rule: RuleId,
    /// When it was last read so, to within a day, in seconds.
    pub(crate) at: i64,
}

/// What earlier runs know about revocations.
pub trait Revocations {
    /// Whether an earlier run revoked this person, and they weren't restored since. It has to be the same
    /// `member`, where the server tells.
    fn has_revoked(&self, person: &ExternalId, member: Option<Uuid>) -> bool;
    /// By which rule this person's account was disabled while they lost access or were without it; `None`
    /// where it isn't known to have been.
    fn disabled_by(&self, person: &ExternalId) -> Option<RuleId>;
    /// Whether an earlier run revoked this person, as this member, at that time or before, and they
    /// weren't restored since.
    fn has_revoked_by(&self, person: &ExternalId, member: Uuid, time: Timestamp) -> bool;
    /// Whether this person lost access or membership because their account was disabled, and hasn't
    /// got it back by a run.
    fn was_disabled(&self, person: &ExternalId) -> bool;
    /// Those who lost access or membership because their account was disabled, and aren't among `read`, the
    /// ids in the directory: they may have another id now. Nobody of whom an approval said that newcomers
    /// aren't they.
    fn disabled_and_not_read(&self, read: &mut dyn Iterator<Item = &ExternalId>) -> Vec<NotRead>;
    /// Whether active people's entries had the attribute of this rule within the last 30 days.
    fn active_had_attribute(&self, rule: RuleId) -> bool;
    /// Whether what they know may have been lost.
    fn is_incomplete(&self) -> bool;
    /// The time that it is by the clocks of earlier runs: `now`, or earlier where the clock has jumped.
    fn believed(&self, now: Timestamp) -> Timestamp;
    /// Whether an earlier run gave this member the role that they have now.
    fn has_given_role(&self, member: Uuid, role: AccessRole) -> bool;
    /// Whether an earlier run that was stopped may have given this member the role that they have now, or somebody
    /// by hand.
    fn may_have_given_role(&self, member: Uuid, role: AccessRole) -> bool;
    /// Whether an undo gave this member back the role that they have now.
    fn has_given_role_back(&self, member: Uuid, role: AccessRole) -> bool;
    /// How many members have their role from an earlier run, or may have.
    fn given_roles(&self) -> usize;
    /// Whether what they know of that was lost.
    fn has_lost_roles(&self) -> bool;
    /// What they know of invitations.
    fn invitations(&self) -> &Invitations;
    /// Whether an earlier run gave this group the access that it has now.
    fn has_given_access(&self, group: Uuid, access: CollectionAccess) -> bool;
    /// Whether an earlier run that was stopped may have given this group the access that it has now, or somebody by
    /// hand.
    fn may_have_given_access(&self, group: Uuid, access: CollectionAccess) -> bool;
    /// Whether an undo gave this group back the access that it has now.
    fn has_given_access_back(&self, group: Uuid, access: CollectionAccess) -> bool;
    /// How many times a group has access to a collection from an earlier run, or may have.
    fn given_access(&self) -> usize;
}

/// Why it isn't known whether somebody whose account was disabled is active again.
enum Doubt {
    /// Nothing is read any more that tells disabled accounts, or something else than what told so.
    OtherRule,
    /// The entry doesn't show the attribute, and it may be hidden from us.
    Unseen(Container),
}

/// Of whom it isn't known whether they are active again.
#[derive(Default)]
struct Doubtful {
    /// By another rule: any newcomer may be one of those whom that rule would have told.
    by_rule: bool,
    /// Where their entries are.
    containers: HashSet<Container>,
    people: HashSet<ExternalId>,
}

impl Doubtful {
    fn add(&mut self, person: &ExternalId, doubt: &Doubt) {
        self.people.insert(person.clone());
        match doubt {
            Doubt::OtherRule => self.by_rule = true,
            Doubt::Unseen(container) => {
                self.containers.insert(*container);
            }
        }
    }
}

fn not_restored(person: &ExternalId, why: String) -> Problem {
    Problem::new(ProblemReason::NotRestored, why, [person.clone()])
}

impl Plan {
    /// Leaves out the restores of members whom somebody revoked by hand, unless the policy asks for
    /// everybody's. Each is reported.
    ///
    /// Whoever lost access because their account was disabled is restored, or invited again, only by the
    /// rule that told so, and only where the attribute isn't possibly hidden from us: the policy doesn't
    /// change that. As long as somebody isn't for that, newcomers of whom the same isn't known are held: they
    /// may be disabled.
    pub fn keep_manual_revocations(&mut self, policy: &Policy, earlier: &impl Revocations) {
        let mut doubtful = Doubtful::default();
        let mut problems = vec![];
        let mut relinked = vec![];
        let mut unknown = vec![];
        for change in &self.changes {
            let (id, label) = (change.external_id(), change.subject.label());
            // On a server that can't be read only whom we revoked is known to be revoked, and nobody is
            // for another reason.
            let unread = change.subject.id.is_none();
            let why = match change.kind() {
                Kind::Restore => {
                    // A restore that a run which ended early may have made is held in any case.
                    let is_first = unread && change.reason != Reason::ActiveAgainUnseen;
                    let rule = earlier
                        .disabled_by(id)
                        .or(is_first.then_some(RuleId::UNKNOWN));
                    if let Some(doubt) = rule.and_then(|rule| self.doubt(id, rule)) {
                        doubtful.add(id, &doubt);
                        self.describe_doubt(&doubt, label, "restored", "restore")
                    } else if unread || earlier.has_revoked(id, change.subject.id) {
                        continue;
                    } else if policy.onboarding.restore == Restore::All {
                        unknown.push(change);
                        continue;
                    } else {
                        format!(
                            "{} is active in the directory and revoked in Bitwarden, and no earlier run \
                             is known to have done that under this external id: restore them in \
                             Bitwarden, leave them out with users.exclude, or set onboarding.restore to \
                             true to restore everybody",
                            sanitize(label)
                        )
                    }
                }
                Kind::Invite if earlier.was_disabled(id) => {
                    let rule = earlier.disabled_by(id).unwrap_or(RuleId::UNKNOWN);
                    let Some(doubt) = self.doubt(id, rule) else {
                        continue;
                    };
                    doubtful.add(id, &doubt);
                    self.describe_doubt(&doubt, label, "invited", "invite")
                }
                // The next run doesn't restore them either, and may be hours away.
                Kind::Relink if policy.onboarding.restore == Restore::RevokedByUs => {
                    let Some(MemberAction::Relink { from }) = change.member() else {
                        continue;
                    };
                    if self.was_revoked(from) {
                        let member = change.subject.id;
                        let by_name = member.is_some_and(|id| self.by_former_id.contains(&id));
                        let label = sanitize(label);
                        let why = match by_name {
                            true => format!(
                                "{label} is active in the directory and was revoked in Bitwarden under the \
                                 name (DN) of the same entry: restore them in Bitwarden if they should have \
                                 access, else leave them out with users.exclude"
                            ),
                            false => format!(
                                "{label} is active in the directory by another account than the one for \
                                 which they are revoked in Bitwarden: if that is the same person, restore \
                                 them in Bitwarden, else leave them out with users.exclude"
                            ),
                        };
                        relinked.push(not_restored(id, why));
                    }
                    continue;
                }
                _ => continue,
            };
            problems.push(not_restored(id, why));
        }
        // The ledger has no room for any number of people: whom it doesn't know may be as those are whom
        // it does.
        for change in unknown {
            let (id, label) = (change.external_id(), change.subject.label());
            if let Some(doubt) = self.same_doubt(id, &doubtful) {
                let why = self.describe_doubt(&doubt, label, "restored", "restore");
                problems.push(not_restored(id, why));
            } else if earlier.is_incomplete() {
                // A lost ledger may have said by which rule their account was disabled.
                let why = format!(
                    "{} is active in the directory and revoked in Bitwarden, and the record that may tell \
                     why was lost: restore them in Bitwarden, or wait for a day, after which \
                     onboarding.restore holds again",
                    sanitize(label)
                );
                problems.push(not_restored(id, why));
            }
        }
        let left_out = problems.iter().flat_map(|one| one.external_ids.clone());
        let left_out: HashSet<ExternalId> = left_out.collect();
        if !left_out.is_empty() {
            postpone(self, &left_out);
        }
        let problems = problems.into_iter().chain(relinked);
        problems.for_each(|problem| self.problems.add(problem));
        // Whoever was disabled by another rule, and whose id isn't in the directory any more, may be any
        // newcomer.
        doubtful.by_rule |= self.disabled_by_other_rules().next().is_some();
        if doubtful.by_rule || !doubtful.people.is_empty() {
            self.doubt_newcomers(&doubtful);
        }
    }

    /// The doubt about others that holds for this person, too.
    fn same_doubt(&self, person: &ExternalId, doubtful: &Doubtful) -> Option<Doubt> {
        if doubtful.by_rule {
            return Some(Doubt::OtherRule);
        }
        let container = *self.unseen.get(person)?;
        let rule = self.account_rule.as_ref();
        let anywhere = !doubtful.people.is_empty() && rule.is_some_and(|rule| rule.unseen);
        let hidden = anywhere || doubtful.containers.contains(&container);
        hidden.then_some(Doubt::Unseen(container))
    }

    /// Why it isn't known whether somebody is active again whose account was disabled by `rule`.
    fn doubt(&self, person: &ExternalId, rule: RuleId) -> Option<Doubt> {
        if rule == RuleId::UNKNOWN || rule != self.rule() {
            return Some(Doubt::OtherRule);
        }
        let unseen = self.unseen.get(person);
        unseen.map(|container| Doubt::Unseen(*container))
    }

    /// `what` isn't done with them, and a person may `do_so`.
    fn describe_doubt(&self, doubt: &Doubt, person: &str, what: &str, do_so: &str) -> String {
        let person = sanitize(person);
        let rule = self.account_rule.as_ref();
        let shown = rule.map(|rule| sanitize(&rule.name)).unwrap_or_default();
        // What to do has to come early: where problems are listed they are cut.
        let (why, way_out) = match (doubt, rule) {
            (Doubt::Unseen(_), Some(rule)) if rule.unseen => (
                format!("they lost access by the attribute {shown}, which no entry shows now"),
                "let the operator's account read it",
            ),
            (Doubt::Unseen(_), Some(rule)) if rule.active_had_it => (
                format!(
                    "they lost access by the attribute {shown}, which active people's entries had \
                     within the last 30 days and don't show now"
                ),
                "let the operator's account read it",
            ),
            (Doubt::Unseen(_), _) => (
                format!(
                    "they lost access by the attribute {shown}, which their entry may hide now"
                ),
                "let the operator's account read it",
            ),
            (Doubt::OtherRule, Some(_)) => (
                format!(
                    "their account was disabled by another rule than {shown} as it is read now"
                ),
                "set the spec back for one sync",
            ),
            (Doubt::OtherRule, None) => (
                "their account was disabled, and what told so isn't read any more".to_owned(),
                "set users.disabled (or the preset) back",
            ),
        };
        format!("{person} isn't {what}: {why}; {way_out}, or {do_so} them in Bitwarden")
    }

    /// Who isn't read and was disabled by another rule than the one that is read now.
    pub(crate) fn disabled_by_other_rules(&self) -> impl Iterator<Item = [u8; 8]> {
        let rule = self.rule();
        let not_read = self.disabled_and_not_read.iter();
        let other = not_read.filter(move |one| one.rule == RuleId::UNKNOWN || one.rule != rule);
        other.map(|one| one.person)
    }

    /// Newcomers of whom it isn't known either whether they are disabled are held.
    fn doubt_newcomers(&mut self, doubtful: &Doubtful) {
        let newcomers = self.changes.iter().filter(|change| {
            self.invites_new(change) && self.same_doubt(change.external_id(), doubtful).is_some()
        });
        let newcomers = newcomers.map(|change| change.external_id().clone());
        let newcomers: HashSet<ExternalId> = newcomers.collect();
        if newcomers.is_empty() {
            return;
        }
        let people = match newcomers.len() {
            1 => "1 person isn't invited".to_owned(),
            people => format!("{people} people aren't invited"),
        };
        let settles = doubtful.people.is_empty();
        let message = match settles {
            true => format!(
                "{people}: set users.disabled (or the preset) back, or look whether their accounts are \
                 disabled, and approve what is held; somebody lost access by what that read, and isn't in \
                 the directory under the same id any more: they may be among these"
            ),
            false => format!(
                "{people}: whether their accounts are disabled isn't known, as it isn't of those whom \
                 NotRestored names; do what that says, or look at these, and approve what is held"
            ),
        };
        let mut ids: Vec<ExternalId> = newcomers.iter().cloned().collect();
        ids.sort_unstable();
        self.doubtful_newcomers = newcomers;
        self.settles_not_read = settles;
        let reason = ProblemReason::UnknownAccountState;
        self.problems.add(Problem::new(reason, message, ids));
    }
}
