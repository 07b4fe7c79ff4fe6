//! Who is invited, linked, re-linked, restored, revoked or removed.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::directory::hash::FastMap;
use crate::directory::{Email, Evidence, ExternalId};
use crate::organization::model::{Member, MemberRole, MemberStatus};
use crate::problem::{Problem, ProblemReason};
use crate::sync::plan::onboarding::{Due, Survey};
use crate::sync::plan::unidentified::Protected;
use crate::sync::plan::{Action, Change, MemberAction, Reason, Subject};
use crate::sync::policy::{OffboardingAction, Policy, Restore};
use crate::sync::roster::{Eligibility, Person, Roster};
use crate::text::sanitize;

/// What was decided about people, and who is a member under which external id because of it.
#[derive(Default)]
pub(super) struct Decided {
    pub changes: Vec<Change>,
    pub problems: Vec<Problem>,
    /// Who of the roster's people is a member, in their order.
    pub presence: Vec<Presence>,
    /// Everyone who is removed, in the roster or not.
    pub removed: HashSet<ExternalId>,
    /// External ids that members get by this plan.
    pub renamed: HashMap<Uuid, ExternalId>,
    /// Members whose place in groups isn't ours to change, although they may have an id of ours.
    pub unmanaged: HashSet<Uuid>,
    /// Active people whose member is revoked.
    pub active_revoked: Vec<ExternalId>,
    /// Who is out of scope only because nobody knows all members of a group that they are in.
    pub possible_members: HashSet<ExternalId>,
    /// Whether any active person is a member already.
    pub recognizes_somebody: bool,
    /// Members whose ID is the name (DN) of an entry, under which another program kept them.
    pub by_former_id: HashSet<Uuid>,
    /// How many members with an ID that is out of use are recognized by their email.
    pub relinked_by_email: usize,
    /// Active people whose invitation was withdrawn, and who aren't invited again.
    pub withdrawn: Vec<(ExternalId, Email)>,
    /// Who comes into no group they aren't in: the member with their id may be somebody else's account.
    pub doubtful: HashSet<ExternalId>,
}

/// Whether somebody of the roster is a member under their own id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Presence {
    /// No, and it stays so.
    #[default]
    No,
    /// Yes, and it stays so.
    Stays,
    /// By this plan.
    Joins,
    /// Until this plan removes them.
    Leaves,
}

impl Presence {
    /// Whether their groups shall have them.
    pub fn is_wanted(self) -> bool {
        matches!(self, Self::Stays | Self::Joins)
    }
}

/// Decides about everyone in the roster and every member of ours.
pub(super) fn decide(
    roster: &Roster,
    members: &[Member],
    policy: &Policy,
    revoked_long_ago: &dyn Fn(&ExternalId, Uuid) -> bool,
    survey: &Survey<'_>,
) -> Decided {
    let mut decision = Decision {
        roster,
        policy,
        revoked_long_ago,
        survey,
        index: MemberIndex::new(members, &policy.external_id_prefix),
        former: FormerMembers::new(roster, members, &policy.external_id_prefix),
        claimed: HashSet::new(),
        settled: HashSet::new(),
        protected: Protected::default(),
        decided: Decided {
            presence: vec![Presence::No; roster.people.len()],
            ..Decided::default()
        },
    };
    decision.report_shared_ids(members);
    decision.report_unknown_statuses(members);
    decision.protect_unidentified(members);
    decision.keep_undecided_former(members);
    let people = || roster.people.iter().zip(0u32..);
    // Who has the first word about a member found by email: active people, then people whose entry
    // is broken, then disabled ones.
    for (person, at) in people().filter(|(person, _)| person.eligibility == Eligibility::Active) {
        decision.active(person, at);
    }
    // Of several with one email, the first is named: the order of reading must not matter.
    let is_unusable = |(person, _): &(&Person, u32)| person.eligibility == Eligibility::Unusable;
    let mut unusable: Vec<_> = people().filter(is_unusable).collect();
    unusable.sort_unstable_by_key(|(person, _)| &person.id);
    for (person, at) in unusable {
        decision.unusable(person, at);
    }
    for eligibility in [Eligibility::Disabled, Eligibility::Deleted] {
        let mut departing: Vec<_> = people()
            .filter(|(person, _)| person.eligibility == eligibility)
            .collect();
        departing.sort_unstable_by_key(|(person, _)| &person.id);
        for (person, at) in departing {
            decision.departing(person, at);
        }
    }
    let is_filtered_out =
        |(person, _): &(&Person, u32)| person.eligibility == Eligibility::OutOfScope;
    for (person, at) in people().filter(is_filtered_out) {
        decision.filtered_out(person, at);
    }
    for member in members {
        decision.gone(member);
    }
    let problem = std::mem::take(&mut decision.protected).problem("members");
    decision.decided.problems.extend(problem);
    decision.decided.by_former_id = decision.former.people.into_keys().collect();
    decision.decided
}

struct Decision<'a> {
    roster: &'a Roster,
    policy: &'a Policy,
    /// Whether earlier runs revoked this person, as this member, so long ago that they may be removed.
    revoked_long_ago: &'a dyn Fn(&ExternalId, Uuid) -> bool,
    survey: &'a Survey<'a>,
    index: MemberIndex<'a>,
    former: FormerMembers<'a>,
    /// Members about whom somebody in the directory was found to have the say, by email.
    claimed: HashSet<Uuid>,
    /// Members who may be an entry that can't be identified.
    protected: Protected<'a>,
    /// Members without an external id about whom somebody else with their email has the say, or was told.
    settled: HashSet<Uuid>,
    decided: Decided,
}

impl<'a> Decision<'a> {
    /// Whoever may be an entry that can't be identified keeps what they have.
    fn protect_unidentified(&mut self, members: &[Member]) {
        let roster = self.roster;
        let former = &self.former.people;
        let is_known = |member: &Member| {
            let id = member.external_id.as_ref();
            let at = id.and_then(|id| roster.by_id.get(id));
            let at = at.or_else(|| former.get(&member.id));
            at.is_some_and(|&at| roster.people[at as usize].eligibility == Eligibility::Active)
        };
        self.protected = Protected::members(
            &roster.unidentified,
            members,
            &self.policy.external_id_prefix,
            is_known,
            |id| {
                let prefix = &self.policy.external_id_prefix;
                roster.by_id.contains_key(id) || roster.former_person(id, prefix).is_some()
            },
        );
        self.claimed.extend(&self.protected.may_be);
        self.decided.unmanaged.extend(&self.protected.may_be);
    }

    /// Two members with one external id: nobody can tell which one the directory means.
    fn report_shared_ids(&mut self, members: &[Member]) {
        let mut shared: HashMap<&ExternalId, Vec<&Member>> = HashMap::new();
        for member in members {
            if let Some(id) = &member.external_id
                && matches!(self.index.by_id.get(id), Some(Found::Several))
            {
                shared.entry(id).or_default().push(member);
                self.decided.unmanaged.insert(member.id);
            }
        }
        for (id, members) in shared {
            let mut emails: Vec<String> = members
                .iter()
                .map(|member| sanitize(member.email.as_str()))
                .collect();
            emails.sort();
            emails.truncate(5);
            let message = format!(
                "several members have the external id {}: {}; remove all but one in Bitwarden",
                sanitize(id.as_str()),
                emails.join(", ")
            );
            self.problem(ProblemReason::IdentityConflict, message, [id.clone()]);
        }
    }

    /// Members with a status that this version doesn't know: nothing is done with them.
    fn report_unknown_statuses(&mut self, members: &[Member]) {
        let prefix = &*self.policy.external_id_prefix;
        let mut unknown: Vec<_> = members
            .iter()
            .filter_map(|member| match (member.status, &member.external_id) {
                (MemberStatus::Other(number), Some(id)) if id.as_str().starts_with(prefix) => {
                    Some((id, number, &member.email))
                }
                _ => None,
            })
            .collect();
        if unknown.is_empty() {
            return;
        }
        unknown.sort_unstable();
        let count = unknown.len();
        unknown.truncate(5);
        let shown = unknown.iter().map(|(_, number, email)| {
            let email = sanitize(email.as_str());
            format!("{email} ({number})")
        });
        let message = format!(
            "{count} members have a status that this version doesn't know, and keep what they have: {}; \
             update the operator",
            shown.collect::<Vec<_>>().join(", ")
        );
        let ids: Vec<ExternalId> = unknown.iter().map(|(id, ..)| (*id).clone()).collect();
        let problem = Problem::new(ProblemReason::UnknownMemberStatus, message, ids);
        self.decided.problems.push(problem);
    }

    fn active(&mut self, person: &'a Person, at: u32) {
        let Some(email) = &person.email else { return };
        match self.index.by_id.get(&person.id).copied() {
            Some(Found::One(member)) => {
                self.set(at, Presence::Stays);
                self.decided.recognizes_somebody = true;
                if member.status == MemberStatus::Revoked {
                    self.decided.active_revoked.push(person.id.clone());
                }
                if member.email != *email && self.can_replace_invitation(member, email) {
                    let subject =
                        Subject::person(person.id.clone(), email.clone(), Some(member.id));
                    let from = Some(member.email.clone());
                    let staged = false;
                    let action = MemberAction::Invite { staged, from };
                    self.change(subject, action, Reason::EmailChanged);
                } else if member.email != *email {
                    self.report_email_changed(person, email, member);
                    self.keep_other_with_email(person);
                    return;
                }
                self.restore(&person.id, member);
                self.invitation(person, at, member);
            }
            Some(Found::Several) => {
                self.decided.recognizes_somebody = true;
                self.keep_other_with_email(person);
            }
            None if self.former.undecided.contains(&at) => {
                self.decided.recognizes_somebody = true;
                self.keep_other_with_email(person);
            }
            None if self.by_former_id(at).is_some() => self.active_by_former_id(person, at),
            None => match self.index.by_email.get(email).copied() {
                None if self.survey.is_withdrawn(&person.id, email) => {
                    let withdrawn = (person.id.clone(), email.clone());
                    self.decided.withdrawn.push(withdrawn);
                    let problem = self.survey.withdrawn(&person.id, email);
                    self.decided.problems.push(problem);
                }
                None => {
                    self.set(at, Presence::Joins);
                    let subject = Subject::person(person.id.clone(), email.clone(), None);
                    let staged = !self.policy.onboarding.invite;
                    let action = MemberAction::Invite { staged, from: None };
                    self.change(subject, action, Reason::NewInDirectory);
                }
                Some(Found::One(member)) => self.active_by_email(person, at, member),
                Some(Found::Several) => {
                    let message = format!(
                        "several members have the email {}; remove all but one in Bitwarden",
                        sanitize(email.as_str())
                    );
                    self.problem(
                        ProblemReason::IdentityConflict,
                        message,
                        [person.id.clone()],
                    );
                }
            },
        }
    }

    /// What is due about an open invitation at the address that the directory has.
    fn invitation(&mut self, person: &Person, at: u32, member: &Member) {
        if member.email != *person.email.as_ref().unwrap_or(&member.email) {
            return;
        }
        match self.survey.due(&person.id, member) {
            None => {}
            Some(Due::Again { nth, last }) => {
                let subject = subject(&person.id, member);
                let action = MemberAction::Reinvite { nth, last };
                self.change(subject, action, Reason::NotAcceptedYet);
            }
            Some(Due::Withdraw(evidence)) => {
                let (policy, reason) = (OffboardingAction::Remove, Reason::NotAccepted);
                self.depart(member, Some(at), policy, reason, evidence);
            }
            Some(Due::Unknown(problem)) => self.decided.problems.push(problem),
        }
    }

    /// A member who has another address than the directory says.
    fn report_email_changed(&mut self, person: &Person, email: &Email, member: &Member) {
        let (new, old) = (sanitize(email.as_str()), sanitize(member.email.as_str()));
        let what_to_do = match member.status {
            MemberStatus::Invited => {
                let next = match self.policy.onboarding.invite {
                    true => "invites",
                    false => "adds",
                };
                format!(
                    "whoever owns {old} can still accept the invitation: remove it in Bitwarden; the \
                     next run {next} {new}"
                )
            }
            MemberStatus::Staged => format!(
                "nobody was invited yet: remove the member in Bitwarden; the next run adds {new}"
            ),
            MemberStatus::Revoked => {
                "the access isn't given back while they differ, because the id may be another \
                 person's now; if it is the same person, change the email or restore them in \
                 Bitwarden, else remove the member there"
                    .to_owned()
            }
            _ => {
                "an account's email can only be changed by its owner; change it in Bitwarden first"
                    .to_owned()
            }
        };
        let mut message = format!("the directory says {new}, Bitwarden says {old}: {what_to_do}");
        // The id may be another person's now, whatever account it names.
        message.push_str("; until then they come into no more groups");
        self.decided.doubtful.insert(person.id.clone());
        self.problem(ProblemReason::EmailChanged, message, [person.id.clone()]);
    }

    /// An active person whose member another program kept under the name (DN) of the entry.
    fn active_by_former_id(&mut self, person: &Person, at: u32) {
        let Some(member) = self.by_former_id(at) else {
            return;
        };
        let (Some(email), Some(from)) = (&person.email, &member.external_id) else {
            return;
        };
        self.decided.recognizes_somebody = true;
        self.claim(member);
        let same_email = member.email == *email;
        if !same_email && let Some(other) = self.may_have_email(email) {
            self.claim(other);
            self.decided.unmanaged.extend([member.id, other.id]);
            let message = format!(
                "{} has the external id {}, which is the name of {}'s entry, and {} is the email of \
                 another member: nobody can tell which of the two is this person, and both were left as \
                 they are; if both are, remove the one that isn't used in Bitwarden",
                sanitize(member.email.as_str()),
                sanitize(from.as_str()),
                sanitize(email.as_str()),
                sanitize(email.as_str()),
            );
            let ids = [person.id.clone(), from.clone()];
            self.problem(ProblemReason::IdentityConflict, message, ids);
            return;
        }
        if member.role == MemberRole::Owner {
            self.keep_owner(person, member);
            return;
        }
        if has_unknown_status(member) {
            // Told with all others of such a status.
            self.decided.unmanaged.insert(member.id);
            return;
        }
        self.set(at, Presence::Joins);
        self.decided.renamed.insert(member.id, person.id.clone());
        let action = MemberAction::Relink { from: from.clone() };
        self.change(subject(&person.id, member), action, Reason::NewExternalId);
        if !same_email {
            self.report_email_changed(person, email, member);
        }
    }

    /// Another member with this email who may be the person, too: without an ID, or with one that is out
    /// of use.
    fn may_have_email(&self, email: &Email) -> Option<&'a Member> {
        match self.index.by_email.get(email) {
            Some(Found::One(other)) if other.external_id.is_none() || self.is_out_of_use(other) => {
                Some(other)
            }
            _ => None,
        }
    }

    /// An owner who has the person's email or former ID keeps the ID that they have: nothing about an
    /// owner is ever changed.
    fn keep_owner(&mut self, person: &Person, member: &'a Member) {
        self.claim(member);
        self.decided.unmanaged.insert(member.id);
        let from = member.external_id.as_ref().map_or("", ExternalId::as_str);
        let message = format!(
            "{} is an owner and keeps the external id {} and all groups; they come into no more groups \
             until they have the id {}, which owners are given by hand only (Bitwarden's public API)",
            sanitize(member.email.as_str()),
            sanitize(from),
            sanitize(person.id.as_str()),
        );
        // Somebody else's entry may have that id.
        let other = member.external_id.iter();
        let other = other.filter(|from| self.roster.by_id.contains_key(*from));
        let ids: Vec<ExternalId> = std::iter::once(&person.id).chain(other).cloned().collect();
        let problem = Problem::new(ProblemReason::OwnerRetained, message, ids);
        self.decided.problems.push(problem);
    }

    /// Members who have a former ID of somebody who is a member already, or whose former IDs several
    /// members have: nobody can tell which of them is the person.
    fn keep_undecided_former(&mut self, members: &[Member]) {
        if self.former.people.is_empty() {
            return;
        }
        for member in members {
            let Some(&at) = self.former.people.get(&member.id) else {
                continue;
            };
            let person = &self.roster.people[at as usize];
            let is_member = self.index.by_id.contains_key(&person.id);
            if !is_member && !self.former.undecided.contains(&at) {
                continue;
            }
            self.former.members.remove(&at);
            self.claim(member);
            self.decided.unmanaged.insert(member.id);
            let advice = match member.role {
                MemberRole::Owner => "owners are never changed",
                _ => "if both are the same person, remove the one that isn't used in Bitwarden",
            };
            let message = format!(
                "{} has the external id {}, which is the name of an entry that another member stands for, \
                 too: they were left as they are; {advice}",
                sanitize(member.email.as_str()),
                sanitize(member.external_id.as_ref().map_or("", ExternalId::as_str)),
            );
            self.problem(
                ProblemReason::IdentityConflict,
                message,
                [person.id.clone()],
            );
        }
    }

    /// Takes access from a member whom another program kept under the name of this person's entry.
    fn depart_by_former_id(
        &mut self,
        person: &Person,
        member: &'a Member,
        policy: OffboardingAction,
        reason: Reason,
    ) {
        self.claim(member);
        self.decided.unmanaged.insert(member.id);
        // Not for good where the name may be another person's by now.
        let other_email = person
            .email
            .as_ref()
            .is_some_and(|email| *email != member.email);
        if member.status != MemberStatus::Revoked || !other_email {
            self.depart(member, None, policy, reason, evidence(person));
        }
    }

    /// Whether an open invitation can be withdrawn and sent to this address instead. Whom somebody gave
    /// another role than a user's is left alone: an address in the directory must not become an
    /// administrator's. So is everybody where the policy invites nobody.
    fn can_replace_invitation(&self, member: &Member, email: &Email) -> bool {
        member.status == MemberStatus::Invited
            && member.role == MemberRole::USER
            && !member.email.is_withheld()
            && self.policy.onboarding.invite
            && !self.index.by_email.contains_key(email)
    }

    /// An active person whose id isn't in the organization, but whose email is.
    fn active_by_email(&mut self, person: &Person, at: u32, member: &'a Member) {
        self.decided.recognizes_somebody = true;
        if self.protected.may_be.contains(&member.id) {
            let message = format!(
                "{} may belong to another entry of the directory, which can't be identified; \
                 nothing was done to this member",
                sanitize(member.email.as_str())
            );
            let ids = [person.id.clone()];
            self.problem(ProblemReason::UnidentifiedEntries, message, ids);
            return;
        }
        let (action, reason) = match &member.external_id {
            None if !has_unknown_status(member) => (MemberAction::Link, Reason::SameEmail),
            None if member.status == MemberStatus::Withheld => {
                let message = format!(
                    "{} is a member whose external id holds a value of one of the resource's Secrets, \
                     and was left as they are; give them another external id through Bitwarden's public \
                     API, and the Secret a new value",
                    sanitize(member.email.as_str())
                );
                self.problem(ProblemReason::SecretInEntry, message, [person.id.clone()]);
                return;
            }
            None => {
                let message = format!(
                    "{} is a member whose status this version doesn't know, and was left as they are; \
                     update the operator",
                    sanitize(member.email.as_str())
                );
                let ids = [person.id.clone()];
                self.problem(ProblemReason::UnknownMemberStatus, message, ids);
                return;
            }
            Some(from)
                if self.is_out_of_use(member)
                    && member.role != MemberRole::Owner
                    && !has_unknown_status(member) =>
            {
                let from = from.clone();
                self.decided.relinked_by_email += 1;
                (MemberAction::Relink { from }, Reason::NewExternalId)
            }
            Some(_) if self.is_out_of_use(member) && member.role == MemberRole::Owner => {
                self.decided.relinked_by_email += 1;
                self.keep_owner(person, member);
                return;
            }
            Some(from) => {
                if self.is_out_of_use(member) {
                    self.claim(member);
                    self.decided.unmanaged.insert(member.id);
                }
                let why = if member.role == MemberRole::Owner {
                    "an owner"
                } else {
                    "a member"
                };
                let message = format!(
                    "{} belongs to {why} with the external id {}, who was left as they are; if both \
                     are the same person, give the older entry of the directory another email, or \
                     leave it out by a filter",
                    sanitize(member.email.as_str()),
                    sanitize(from.as_str())
                );
                let ids = [person.id.clone(), from.clone()];
                self.problem(ProblemReason::IdentityConflict, message, ids);
                return;
            }
        };
        self.claim(member);
        self.set(at, Presence::Joins);
        self.decided.renamed.insert(member.id, person.id.clone());
        self.change(subject(&person.id, member), action, reason);
    }

    /// Whoever has an active person's email under an id that is out of use isn't departed for that
    /// id's sake, although the person is a member under another email: both may be theirs.
    fn keep_other_with_email(&mut self, person: &Person) {
        let Some(other) = self.out_of_use_by_email(person) else {
            return;
        };
        self.claim(other);
        self.decided.unmanaged.insert(other.id);
        let message = format!(
            "{} is the email of an active person, and of another member whose external id {} is out \
             of use; that member was left as they are: {}",
            sanitize(other.email.as_str()),
            sanitize(other.external_id.as_ref().map_or("", ExternalId::as_str)),
            match other.role {
                MemberRole::Owner => "an owner; change the person's email in Bitwarden",
                _ => "remove them in Bitwarden, or change the person's email there",
            },
        );
        let other = other.external_id.clone();
        let ids = [person.id.clone()]
            .into_iter()
            .chain(other)
            .collect::<Vec<_>>();
        let problem = Problem::new(ProblemReason::IdentityConflict, message, ids);
        self.decided.problems.push(problem);
    }

    /// Somebody whose entry is broken keeps what they have, under whatever id.
    fn unusable(&mut self, person: &'a Person, at: u32) {
        // The id of somebody who isn't in the index has no prefix: it is nobody's in Bitwarden.
        let known = self.roster.by_id.contains_key(&person.id);
        if known && let Some(Found::One(_)) = self.index.by_id.get(&person.id) {
            self.set(at, Presence::Stays);
        } else if let Some(member) = self.by_former_id(at) {
            self.claim(member);
            self.decided.unmanaged.insert(member.id);
        }
        if let Some(member) = self.out_of_use_by_email(person) {
            self.claim(member);
            self.decided.unmanaged.insert(member.id);
            self.report_undecided(person, member);
        }
        // It may be theirs, whoever else has the email.
        if let Some(member) = self.unclaimed_by_email(person)
            && member.external_id.is_none()
        {
            self.settled.insert(member.id);
        }
    }

    /// A member who may be somebody whose entry is broken: nothing is taken from them, and they come
    /// into no group either, whatever the entry with their id says.
    fn report_undecided(&mut self, person: &Person, member: &Member) {
        let Some(id) = &member.external_id else {
            return;
        };
        // Without an entry of their own the problem of the broken one says everything.
        if !self.roster.by_id.contains_key(id) {
            return;
        }
        let message = format!(
            "{}, who has the external id {}, was left as they are, because {} has the same email, may \
             be the same person and needs manual action first",
            sanitize(member.email.as_str()),
            sanitize(id.as_str()),
            sanitize(person.id.as_str()),
        );
        self.problem(ProblemReason::IdentityConflict, message, [id.clone()]);
    }

    /// Somebody whose entry says that the account is disabled or deleted.
    fn departing(&mut self, person: &'a Person, at: u32) {
        let offboarding = &self.policy.offboarding;
        let is_deleted = person.eligibility == Eligibility::Deleted;
        let (policy, reason) = match is_deleted {
            true => (offboarding.deleted, Reason::GoneFromDirectory),
            false => (offboarding.disabled, Reason::DisabledInDirectory),
        };
        if let Some(member) = self.by_id(person) {
            self.depart(member, Some(at), policy, reason, evidence(person));
        } else if let Some(member) = self.by_former_id(at) {
            self.depart_by_former_id(person, member, policy, reason);
        }
        let Some(member) = self.unclaimed_by_email(person) else {
            return;
        };
        match self.standing_of_id(member) {
            // Known under an older id: what the entry says is about them.
            Some(None) => self.depart_by_email(person, member, policy, reason),
            Some(Some(Eligibility::Deleted)) if !is_deleted => {
                self.depart_by_email(person, member, policy, reason);
            }
            Some(Some(Eligibility::Active | Eligibility::OutOfScope | Eligibility::Unusable)) => {
                self.report_contested(person, member, policy)
            }
            None if member.external_id.is_none() => self.report_unmanaged(person, member, policy),
            Some(Some(Eligibility::Disabled | Eligibility::Deleted)) | None => {}
        }
    }

    /// Somebody disabled or deleted has the email of a member without an external id: one made by hand, or
    /// unlinked by an undo. Such a member isn't ours, and keeps what they have.
    fn report_unmanaged(&mut self, person: &Person, member: &Member, policy: OffboardingAction) {
        if policy == OffboardingAction::Retain
            || member.status == MemberStatus::Revoked
            || !self.settled.insert(member.id)
        {
            return;
        }
        let message = format!(
            "{} is {} in the directory, and the member with that email has no external id: no sync takes \
             access away from members without one; revoke them in Bitwarden if that is the same person",
            sanitize(member.email.as_str()),
            what_is(person),
        );
        let ids = [person.id.clone()];
        self.problem(ProblemReason::UnmanagedAccess, message, ids);
    }

    fn depart_by_email(
        &mut self,
        person: &Person,
        member: &'a Member,
        policy: OffboardingAction,
        reason: Reason,
    ) {
        self.claim(member);
        self.decided.unmanaged.insert(member.id);
        self.depart(member, None, policy, reason, evidence(person));
    }

    /// Somebody disabled or deleted has the email of a member whose id is another person's: nobody can tell
    /// whose access it is.
    fn report_contested(&mut self, person: &Person, member: &Member, policy: OffboardingAction) {
        let Some(id) = &member.external_id else {
            return;
        };
        let owner = self.roster.by_id.get(id);
        let owner = owner.map(|&at| &self.roster.people[at as usize]);
        // Of two entries with the email, the one with the member's id decides.
        let is_theirs = owner.is_some_and(|owner| owner.email == person.email);
        if is_theirs
            || *id == person.id
            || policy == OffboardingAction::Retain
            || member.status == MemberStatus::Revoked
        {
            return;
        }
        let what = what_is(person);
        let message = format!(
            "{} has the email {} in the directory and is {what}, and the member with that email has the \
             external id of {}, who has another entry: nothing was taken from them; if the member is the \
             {what} person, revoke them in Bitwarden",
            sanitize(person.id.as_str()),
            sanitize(member.email.as_str()),
            sanitize(id.as_str()),
        );
        let ids = [person.id.clone(), id.clone()];
        self.problem(ProblemReason::IdentityConflict, message, ids);
    }

    fn filtered_out(&mut self, person: &'a Person, at: u32) {
        let (policy, reason) = (self.policy.offboarding.absent, Reason::FilteredOut);
        if let Some(member) = self.by_id(person) {
            self.depart(member, Some(at), policy, reason, evidence(person));
        } else if let Some(member) = self.by_former_id(at) {
            self.depart_by_former_id(person, member, policy, reason);
        }
    }

    /// A member of ours whom the directory doesn't know.
    fn gone(&mut self, member: &'a Member) {
        let Some(id) = &member.external_id else {
            return;
        };
        if self.former.people.contains_key(&member.id) {
            return;
        }
        if matches!(self.index.by_id.get(id), Some(Found::One(_)))
            && !self.roster.by_id.contains_key(id)
            && !self.claimed.contains(&member.id)
        {
            if self.protected.keeps(id) {
                self.decided.unmanaged.insert(member.id);
                return;
            }
            let (policy, reason) = (self.policy.offboarding.absent, Reason::GoneFromDirectory);
            self.depart(member, None, policy, reason, Evidence::Absent);
        }
    }

    fn depart(
        &mut self,
        member: &Member,
        at: Option<u32>,
        policy: OffboardingAction,
        reason: Reason,
        evidence: Evidence,
    ) {
        let Some(external_id) = member.external_id.clone() else {
            return;
        };
        let mut reason = reason;
        let action = match policy {
            OffboardingAction::Retain => None,
            OffboardingAction::Revoke if member.status == MemberStatus::Revoked => {
                // Not for good where the id may be another person's by now.
                let people = at.map(|at| &self.roster.people[at as usize]);
                let email = people.and_then(|person| person.email.as_ref());
                let same = email.is_none_or(|email| *email == member.email);
                (same && (self.revoked_long_ago)(&external_id, member.id)).then(|| {
                    reason = Reason::RevokedLongAgo;
                    MemberAction::Remove { evidence }
                })
            }
            OffboardingAction::Revoke => Some(MemberAction::Revoke { evidence }),
            OffboardingAction::Remove => Some(MemberAction::Remove { evidence }),
        };
        let action = action.filter(|_| !has_unknown_status(member));
        let action = action.filter(|_| {
            let owner = member.role == MemberRole::Owner;
            if owner {
                let message = format!(
                    "{} is an owner, whose access is never taken away; make them a user in \
                     Bitwarden first",
                    sanitize(member.email.as_str())
                );
                self.problem(ProblemReason::OwnerRetained, message, [external_id.clone()]);
            }
            !owner
        });
        let removed = matches!(action, Some(MemberAction::Remove { .. }));
        if let Some(at) = at {
            self.set(
                at,
                if removed {
                    Presence::Leaves
                } else {
                    Presence::Stays
                },
            );
        }
        let subject = subject(&external_id, member);
        if removed {
            self.decided.removed.insert(external_id);
            self.decided.unmanaged.remove(&member.id);
        }
        if let Some(action) = action {
            self.change(subject, action, reason);
        }
    }

    fn restore(&mut self, external_id: &ExternalId, member: &Member) {
        if member.status == MemberStatus::Revoked
            && member.role != MemberRole::Owner
            && self.policy.onboarding.restore != Restore::Nobody
        {
            let subject = subject(external_id, member);
            self.change(subject, MemberAction::Restore, Reason::ActiveAgain);
        }
    }

    /// The one member with this person's id, unless somebody else turned out to be that member.
    fn by_id(&self, person: &Person) -> Option<&'a Member> {
        match self.index.by_id.get(&person.id).copied() {
            Some(Found::One(member))
                if !self.claimed.contains(&member.id)
                    && self.roster.by_id.contains_key(&person.id) =>
            {
                Some(member)
            }
            _ => None,
        }
    }

    /// The one unclaimed member whom another program kept under the name of the entry of the person at
    /// this index.
    fn by_former_id(&self, at: u32) -> Option<&'a Member> {
        let member = self.former.members.get(&at).copied();
        member.filter(|member| !self.claimed.contains(&member.id))
    }

    /// The one unclaimed member with this person's email, if its id is out of use.
    fn out_of_use_by_email(&self, person: &Person) -> Option<&'a Member> {
        self.unclaimed_by_email(person)
            .filter(|member| self.is_out_of_use(member))
    }

    fn unclaimed_by_email(&self, person: &Person) -> Option<&'a Member> {
        match self.index.by_email.get(person.email.as_ref()?) {
            Some(Found::One(member)) if !self.claimed.contains(&member.id) => Some(member),
            _ => None,
        }
    }

    /// Whether a member's id is ours, its alone, and nobody's in the directory who is to be a
    /// member: its entry is gone, deleted, disabled or out of scope.
    fn is_out_of_use(&self, member: &Member) -> bool {
        let eligibility = self.standing_of_id(member);
        matches!(
            eligibility,
            Some(
                None | Some(Eligibility::Deleted | Eligibility::Disabled | Eligibility::OutOfScope)
            )
        )
    }

    /// What the directory makes of the entry with a member's id, `Some(None)` where there is none;
    /// `None` where the id isn't ours, or several members have it.
    fn standing_of_id(&self, member: &Member) -> Option<Option<Eligibility>> {
        let id = member.external_id.as_ref()?;
        let at = match self.index.by_id.get(id) {
            Some(Found::One(_)) => {
                let now = self.roster.by_id.get(id);
                now.or_else(|| self.former.people.get(&member.id))
            }
            _ => return None,
        };
        Some(at.map(|&at| self.roster.people[at as usize].eligibility))
    }

    fn set(&mut self, at: u32, presence: Presence) {
        self.decided.presence[at as usize] = presence;
    }

    fn claim(&mut self, member: &Member) {
        self.claimed.insert(member.id);
    }

    fn change(&mut self, subject: Subject, action: MemberAction, reason: Reason) {
        self.decided.changes.push(Change {
            subject,
            reason,
            action: Action::Member(action),
        });
    }

    fn problem<const N: usize>(
        &mut self,
        reason: ProblemReason,
        message: String,
        ids: [ExternalId; N],
    ) {
        self.decided
            .problems
            .push(Problem::new(reason, message, ids));
    }
}

/// Whether nobody here can tell what this member may do.
fn has_unknown_status(member: &Member) -> bool {
    matches!(
        member.status,
        MemberStatus::Other(_) | MemberStatus::Withheld
    )
}

/// A member who has or gets this external id.
/// What the directory says of somebody who isn't active there.
fn what_is(person: &Person) -> &'static str {
    match person.eligibility {
        Eligibility::Deleted => "deleted",
        _ => "disabled",
    }
}

fn subject(external_id: &ExternalId, member: &Member) -> Subject {
    Subject::person(external_id.clone(), member.email.clone(), Some(member.id))
}

/// What says that a person of the directory may lose something. Without a word of the source they
/// count as absent, which is believed less readily.
fn evidence(person: &Person) -> Evidence {
    person.evidence.clone().unwrap_or(Evidence::Absent)
}

/// Members by what identifies them.
struct MemberIndex<'a> {
    /// Only ids of ours.
    by_id: FastMap<&'a ExternalId, Found<'a>>,
    by_email: FastMap<&'a Email, Found<'a>>,
}

/// Members whose external id is the name (DN) of an entry of the directory: another program kept them
/// under it. Bitwarden's own connector does, on LDAP.
struct FormerMembers<'a> {
    /// By member, the index of the person.
    people: HashMap<Uuid, u32>,
    /// By index, the person's one such member.
    members: HashMap<u32, &'a Member>,
    /// People with several such members.
    undecided: HashSet<u32>,
}

impl<'a> FormerMembers<'a> {
    fn new(roster: &Roster, members: &'a [Member], prefix: &str) -> Self {
        let mut former = Self {
            people: HashMap::new(),
            members: HashMap::new(),
            undecided: HashSet::new(),
        };
        for member in members {
            let id = member.external_id.as_ref();
            let Some(at) = id.and_then(|id| roster.former_person(id, prefix)) else {
                continue;
            };
            former.people.insert(member.id, at);
            if former.members.insert(at, member).is_some() {
                former.undecided.insert(at);
            }
        }
        former
    }
}

#[derive(Clone, Copy)]
enum Found<'a> {
    One(&'a Member),
    Several,
}

impl<'a> MemberIndex<'a> {
    fn new(members: &'a [Member], prefix: &str) -> Self {
        let mut index = Self {
            by_id: FastMap::default(),
            by_email: FastMap::default(),
        };
        for member in members {
            if let Some(id) = &member.external_id
                && id.as_str().starts_with(prefix)
            {
                note(&mut index.by_id, id, member);
            }
            note(&mut index.by_email, &member.email, member);
        }
        index
    }
}

fn note<'a, K: Eq + std::hash::Hash>(
    index: &mut FastMap<K, Found<'a>>,
    key: K,
    member: &'a Member,
) {
    index
        .entry(key)
        .and_modify(|found| *found = Found::Several)
        .or_insert(Found::One(member));
}
