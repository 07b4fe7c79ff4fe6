//! The plan for a server that takes imports and can't be read (Vaultwarden): the difference between
//! the directory and what was sent before.
//!
//! - Only accounts that an import of ours brought in lose access, at the address that was sent, and
//!   only once the owners and members who were invited by hand are named (`never_send`).
//! - An account is one person's: an address that was sent for somebody else is left alone, unless
//!   that id is gone from the directory. Whoever has such an address and is active gets the account by a
//!   re-link; whoever is disabled loses it at once, under the id that the server has.
//! - Only what changed is sent: the server empties and refills every group it is sent, and restores
//!   every account.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::directory::{Email, Evidence, ExternalId};
use crate::problem::{Problem, ProblemReason};
use crate::sync::plan::draft::unmatched_protected;
use crate::sync::plan::{
    Action, Change, Counts, GroupAction, Kind, MemberAction, Plan, Reason, RemovedMember, Subject,
    Update,
};
use crate::sync::policy::{OffboardingAction, Policy, Restore};
use crate::sync::roster::{Eligibility, GroupEligibility, Person, Roster, RosterGroup};
use crate::sync::sent::{Access, Sent, SentAccount, SentGroup, SentState};
use crate::text::sanitize;

/// Makes the changes, and tells what such a server can't do.
pub(super) fn compare(
    roster: &Roster,
    policy: &Policy,
    state: &SentState,
    plan: &mut Plan,
) -> Vec<Problem> {
    let with_access = state.with_access();
    plan.counts = Counts {
        managed_members: with_access,
        with_access,
        members: with_access,
        managed_groups: state.groups.len(),
        organization_groups: state.groups.len(),
        ..plan.counts
    };
    let mut problems = unsupported(policy);
    let names = state.groups.values().map(|group| &*group.name);
    problems.extend(unmatched_protected(roster, policy, names));
    if roster.directory_is_empty && plan.counts.disabled == 0 {
        problems.push(Problem::new(
            ProblemReason::EmptyDirectory,
            "the directory names no one who is active and in scope, so nothing is sent; check what \
             the source may read, and its filters",
            [],
        ));
        return problems;
    }
    let mut comparison = Comparison {
        roster,
        policy,
        state,
        accounts: state.accounts_of(),
        on_server: HashSet::new(),
        former_ids: HashMap::new(),
        moved: HashSet::new(),
        conflicts: HashMap::new(),
        in_use: in_use(roster),
        changes: vec![],
        sent: Sent::default(),
        problems,
    };
    comparison.forget_never_sent();
    comparison.people();
    plan.disabled_revoked = comparison.disabled_revoked();
    comparison.groups();
    comparison.skip_refused();
    plan.changes.append(&mut comparison.changes);
    plan.sent = Some(comparison.sent);
    comparison.problems
}

/// An address that changes is another account there: the old one is revoked instead.
const INVITE: MemberAction = MemberAction::Invite {
    staged: false,
    from: None,
};

/// So many people one problem names.
const NAMED_MAX: usize = 10;
/// So many external ids one problem has.
const IDS_MAX: usize = 100;

struct Comparison<'a> {
    roster: &'a Roster,
    policy: &'a Policy,
    state: &'a SentState,
    accounts: BTreeMap<&'a ExternalId, Vec<(&'a Email, Access)>>,
    /// Whose account the server has, once the plan is applied.
    on_server: HashSet<&'a ExternalId>,
    /// The ids under which the server has people who are disabled under another one in the directory.
    former_ids: HashMap<&'a ExternalId, &'a ExternalId>,
    /// Whoever may be somebody else by the address that was sent: they leave no group. `true`: they
    /// come into none either.
    conflicts: HashMap<ExternalId, bool>,
    /// Whose account is another one than before: the groups have to be filled again.
    moved: HashSet<&'a ExternalId>,
    /// Addresses of people who may be using them, whatever else has the same.
    in_use: HashSet<&'a Email>,
    changes: Vec<Change>,
    sent: Sent,
    problems: Vec<Problem>,
}

impl<'a> Comparison<'a> {
    fn never_sends(&self, email: &Email) -> bool {
        let never = self.policy.never_send.as_ref();
        never.is_some_and(|never| never.contains(email))
    }

    /// Naming an address there is the way to say that its account isn't ours, or is gone.
    fn forget_never_sent(&mut self) {
        let named = self.policy.never_send.iter().flatten();
        let forgotten = named.filter(|email| self.state.accounts.contains_key(*email));
        self.sent.forgotten = forgotten.cloned().collect();
    }

    /// Who is disabled and has an account that was revoked, by the id of the account.
    fn disabled_revoked(&self) -> Vec<ExternalId> {
        let accounts = self.accounts.iter();
        let revoked = accounts.filter(|(id, accounts)| {
            let mut accounts = accounts.iter();
            let at = self.roster.by_id.get(**id);
            let person = at.map(|&at| &self.roster.people[at as usize]);
            accounts.any(|(_, access)| *access == Access::Revoked)
                && person.is_some_and(is_disabled)
        });
        let revoked = revoked.map(|(id, _)| *id);
        let of_former_ids = self.former_ids.values().copied().filter(|id| {
            let mut accounts = self.accounts[id].iter();
            accounts.any(|(_, access)| *access == Access::Revoked)
        });
        let ids: BTreeSet<&ExternalId> = revoked.chain(of_former_ids).collect();
        ids.into_iter().cloned().collect()
    }

    fn people(&mut self) {
        let mut people: Vec<&Person> = self
            .roster
            .people
            .iter()
            .filter(|person| self.roster.by_id.contains_key(&person.id))
            .collect();
        people.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        for person in &people {
            let person: &'a Person = person;
            match person.eligibility {
                Eligibility::Active => self.active(person),
                Eligibility::Disabled | Eligibility::Deleted => self.disabled(person),
                Eligibility::OutOfScope | Eligibility::Unusable => {
                    if self.accounts.contains_key(&person.id) {
                        self.on_server.insert(&person.id);
                    }
                }
            }
        }
        self.disabled_under_new_ids(&people);
        self.tell_of_unknown_accounts(&people);
    }

    /// Disabled people whose account was sent under another id: theirs has changed, and a re-link was never
    /// made or waits. Their account is found by its address, as the server does, and keeps the id that
    /// the server has.
    fn disabled_under_new_ids(&mut self, people: &[&'a Person]) {
        let state = self.state;
        let found = people.iter().filter_map(|person| {
            let email = person.email.as_ref().filter(|_| is_disabled(person))?;
            let account = state.accounts.get(email)?;
            (account.external_id != person.id).then_some((*person, email, account))
        });
        let found: Vec<(&'a Person, &'a Email, &'a SentAccount)> = found.collect();
        if found.is_empty() {
            return;
        }
        let active = people
            .iter()
            .filter(|one| one.eligibility == Eligibility::Active);
        let active: HashSet<&Email> = active.filter_map(|one| one.email.as_ref()).collect();
        let mut revoked: HashSet<&ExternalId> = HashSet::new();
        for (person, email, account) in found {
            // Somebody active has the address: the account is theirs, or becomes theirs.
            if active.contains(email) {
                continue;
            }
            let from = &account.external_id;
            let at = self.roster.by_id.get(from);
            match at.map(|&at| &self.roster.people[at as usize]) {
                // What the deleted entry says is done already.
                Some(owner) if owner.eligibility == Eligibility::Deleted && self.departs(owner) => {
                }
                Some(owner) if owner.eligibility != Eligibility::Deleted => {
                    // Of two entries with the address, the one with the account's id decides.
                    if owner.email.as_ref() != Some(email) {
                        self.tell_of_contested(person, email, account);
                    }
                }
                _ => {
                    self.on_server.insert(&person.id);
                    self.former_ids.insert(&person.id, from);
                    if revoked.insert(from) {
                        self.revoke_accounts(person, from);
                    }
                }
            }
        }
    }

    /// The address is a disabled person's by now, and the account somebody else's who is in the directory:
    /// nobody can tell whose access it is.
    fn tell_of_contested(&mut self, person: &Person, email: &Email, account: &SentAccount) {
        let is_revoked = |change: &Change| {
            change.kind() == Kind::Revoke && change.subject.email() == Some(email)
        };
        if account.access == Access::Revoked
            || !self.departs(person)
            || self.never_sends(email)
            || self.changes.iter().any(is_revoked)
        {
            return;
        }
        let from = &account.external_id;
        let message = format!(
            "{} has the address {} in the directory and is disabled, and the account at that address was \
             sent for {}, who has another entry: it isn't revoked; if it is the disabled \
             person's, revoke it in the server's console",
            sanitize(person.id.as_str()),
            sanitize(email.as_str()),
            sanitize(from.as_str()),
        );
        let ids = [person.id.clone(), from.clone()];
        self.problems
            .push(Problem::new(ProblemReason::IdentityConflict, message, ids));
    }

    /// Where it isn't known any more who was sent, nobody can be revoked: not even whoever is disabled.
    fn tell_of_unknown_accounts(&mut self, people: &[&'a Person]) {
        if !self.state.lost {
            return;
        }
        let unknown = people.iter().copied().filter(|person| {
            let email = person.email.as_ref();
            let is_known = email.is_some_and(|email| self.state.accounts.contains_key(email));
            is_disabled(person)
                && self.departs(person)
                && !is_known
                && !email.is_some_and(|email| self.never_sends(email))
                && !self.accounts.contains_key(&person.id)
        });
        let unknown: Vec<&Person> = unknown.collect();
        if unknown.is_empty() {
            return;
        }
        let named = unknown
            .iter()
            .take(NAMED_MAX)
            .map(|person| match &person.email {
                Some(email) => sanitize(email.as_str()),
                None => sanitize(person.id.as_str()),
            });
        let mut named = named.collect::<Vec<_>>().join(", ");
        if let more @ 1.. = unknown.len().saturating_sub(NAMED_MAX) {
            named.push_str(&format!(" and {more} more"));
        }
        let message = format!(
            "what was sent before isn't known any more, so disabled people can't be revoked: look in the \
             server's console, and revoke whoever has access there: {named}"
        );
        let ids = unknown.iter().take(IDS_MAX).map(|person| person.id.clone());
        let ids: Vec<ExternalId> = ids.collect();
        self.problems
            .push(Problem::new(ProblemReason::Unsupported, message, ids));
    }

    fn active(&mut self, person: &'a Person) {
        let Some(email) = &person.email else { return };
        if self.never_sends(email) || !self.policy.onboarding.invite {
            return;
        }
        let (action, reason) = match self.state.accounts.get(email) {
            None if self.state.lost => (INVITE, Reason::MembersUnknown),
            None => (INVITE, Reason::NewInDirectory),
            Some(account) if account.external_id == person.id => match account.access {
                Access::Given => {
                    self.on_server.insert(&person.id);
                    self.revoke_former_addresses(person, Some(email));
                    return;
                }
                Access::Unsure => {
                    self.sent.known.insert(person.id.clone());
                    (INVITE, Reason::NewInDirectory)
                }
                Access::Revoked | Access::MaybeRevoked
                    if self.policy.onboarding.restore != Restore::Nobody =>
                {
                    (MemberAction::Restore, Reason::ActiveAgain)
                }
                Access::MaybeRestored if self.policy.onboarding.restore != Restore::Nobody => {
                    let reason = match self.policy.onboarding.restore {
                        Restore::All => Reason::ActiveAgain,
                        _ => Reason::ActiveAgainUnseen,
                    };
                    (MemberAction::Restore, reason)
                }
                Access::Revoked | Access::MaybeRevoked | Access::MaybeRestored => {
                    self.on_server.insert(&person.id);
                    return;
                }
            },
            Some(account) => {
                let from = &account.external_id;
                let in_use = self.roster.by_id.get(from).is_some_and(|&at| {
                    self.roster.people[at as usize].eligibility != Eligibility::Deleted
                });
                // Whoever has an account already would get a second one, which is somebody else's.
                let has_another = self.accounts.contains_key(&person.id);
                if in_use || has_another || account.access.may_be_revoked() {
                    self.taken(person, email, from, account.access);
                    return;
                }
                let from = from.clone();
                (MemberAction::Relink { from }, Reason::NewExternalIdUnseen)
            }
        };
        let restores = matches!(action, MemberAction::Restore);
        let change = Change {
            subject: Subject::person(person.id.clone(), email.clone(), None),
            reason,
            action: Action::Member(action),
        };
        let refused = self.state.was_refused(&change);
        if restores || !refused {
            self.on_server.insert(&person.id);
        }
        if !refused {
            if !restores {
                self.moved.insert(&person.id);
            }
            self.revoke_former_addresses(person, Some(email));
        }
        self.changes.push(change);
    }

    /// The address was sent for somebody else, whose account it is.
    fn taken(&mut self, person: &Person, email: &Email, from: &ExternalId, access: Access) {
        // Both may be the same person, so neither leaves a group.
        self.conflicts.entry(from.clone()).or_default();
        if self.accounts.contains_key(&person.id) {
            self.conflicts.insert(person.id.clone(), true);
        }
        let whose = match access {
            Access::Revoked => "was revoked and belongs to",
            Access::MaybeRevoked | Access::MaybeRestored => "may be revoked and belongs to",
            Access::Given | Access::Unsure => "belongs to",
        };
        let message = format!(
            "the account of {} {whose} {}, so it isn't given to {}; if they are the same person, or \
             once the member is removed in the server's console, name the address in \
             organization.vaultwarden.neverSend for one sync and take it out again",
            sanitize(email.as_str()),
            sanitize(from.as_str()),
            sanitize(person.id.as_str()),
        );
        let ids = [person.id.clone(), from.clone()];
        self.problems
            .push(Problem::new(ProblemReason::IdentityConflict, message, ids));
    }

    /// Accounts of somebody at other addresses than `now`: the server knows accounts by address, so
    /// these would keep their access for ever.
    fn revoke_former_addresses(&mut self, person: &'a Person, now: Option<&Email>) {
        let accounts = self.accounts.get(&person.id).into_iter().flatten();
        let former: Vec<&Email> = accounts
            .filter(|(email, access)| Some(*email) != now && *access != Access::Revoked)
            .map(|(email, _)| *email)
            .collect();
        for email in former {
            let retired = retired(&self.policy.external_id_prefix, email);
            let evidence = person.evidence.clone().unwrap_or(Evidence::Absent);
            let reason = if now.is_some() {
                Reason::EmailChanged
            } else {
                Reason::DisabledInDirectory
            };
            if self.revoke(retired.clone(), email, evidence, reason) {
                self.moved.insert(&person.id);
                self.sent.replaced.insert(retired, person.id.clone());
                self.sent.known.insert(person.id.clone());
            }
        }
    }

    /// Whether somebody loses access who is disabled, or listed as deleted.
    fn departs(&self, person: &Person) -> bool {
        let action = match person.eligibility {
            Eligibility::Deleted => self.policy.offboarding.deleted,
            _ => self.policy.offboarding.disabled,
        };
        action != OffboardingAction::Retain
    }

    fn disabled(&mut self, person: &'a Person) {
        if self.accounts.contains_key(&person.id) {
            self.on_server.insert(&person.id);
            self.revoke_accounts(person, &person.id);
        }
    }

    /// Revokes the accounts that were sent under this id, which are the person's.
    fn revoke_accounts(&mut self, person: &Person, id: &'a ExternalId) {
        if !self.departs(person) {
            return;
        }
        let accounts = self.accounts.get(id).into_iter().flatten();
        let accounts = accounts.filter(|(_, access)| *access != Access::Revoked);
        let mut emails: Vec<&Email> = accounts.map(|(email, _)| *email).collect();
        // The address that the directory has now keeps the id; others are retired.
        let current = emails
            .iter()
            .position(|email| Some(*email) == person.email.as_ref());
        if let Some(current) = current {
            emails.swap(0, current);
            emails[1..].sort_unstable();
        }
        let evidence = person.evidence.clone().unwrap_or(Evidence::Absent);
        let reason = match person.eligibility {
            Eligibility::Deleted => Reason::GoneFromDirectory,
            _ => Reason::DisabledInDirectory,
        };
        for (at, email) in emails.into_iter().enumerate() {
            let (id, reason) = match at {
                0 => (id.clone(), reason),
                _ => {
                    let retired = retired(&self.policy.external_id_prefix, email);
                    (retired, Reason::DisabledInDirectory)
                }
            };
            self.revoke(id, email, evidence.clone(), reason);
        }
    }

    /// Whether the account is revoked by the plan.
    fn revoke(
        &mut self,
        id: ExternalId,
        email: &Email,
        evidence: Evidence,
        reason: Reason,
    ) -> bool {
        if self.never_sends(email) {
            return false;
        }
        let why = if self.policy.never_send.is_none() {
            "isn't revoked, because this server doesn't tell who its owners and hand-invited \
             members are: name them in organization.vaultwarden.neverSend (an empty list if there \
             are none)"
        } else if self.in_use.contains(email) {
            "isn't revoked, because an entry that isn't disabled has the same address"
        } else {
            let subject = Subject::person(id, email.clone(), None);
            self.changes.push(Change {
                subject,
                reason,
                action: Action::Member(MemberAction::Revoke { evidence }),
            });
            return true;
        };
        self.problems.push(Problem::new(
            ProblemReason::Unsupported,
            format!("{} {why}", sanitize(email.as_str())),
            [id],
        ));
        false
    }

    fn groups(&mut self) {
        let mut taken_over = self.taken_over();
        let relinked = self
            .changes
            .iter()
            .filter_map(|change| match change.member() {
                Some(MemberAction::Relink { from }) => {
                    Some((from.clone(), change.external_id().clone()))
                }
                _ => None,
            });
        let relinked: HashMap<ExternalId, ExternalId> = relinked.collect();
        let relinked_to: HashSet<&ExternalId> = relinked.values().collect();
        for group in &self.roster.groups {
            if group.has_unidentified {
                self.leave_alone(group);
                continue;
            }
            let mut wanted = self.wanted(group);
            let known = self.state.groups.get(&group.id);
            let former = taken_over.remove(&group.id);
            let before = known.or(former.map(|(_, before)| before));
            if let (true, Some(before)) = (group.has_unknown, before) {
                // Whoever wasn't read may be one of the members that it names.
                let unread = |id: &&ExternalId| {
                    let at = self.roster.by_id.get(*id);
                    at.is_none_or(|&at| self.roster.people[at as usize].is_unnamed)
                        && self.accounts.contains_key(*id)
                        && !relinked.contains_key(*id)
                };
                wanted.extend(before.members.iter().filter(unread).cloned());
                wanted.sort_unstable();
                wanted.dedup();
            }
            if let Some(before) = before {
                self.keep_conflicts(&mut wanted, before);
            }
            if let Some((server_id, before)) = former {
                let on_server = before.server_id.as_ref().unwrap_or(server_id);
                self.sent
                    .server_ids
                    .insert(group.id.clone(), on_server.clone());
            } else if let Some(on_server) = known.and_then(|group| group.server_id.as_ref()) {
                self.sent
                    .server_ids
                    .insert(group.id.clone(), on_server.clone());
            }
            let new_ids = |id: &ExternalId| relinked_to.contains(id);
            let with_new_ids = wanted.iter().any(new_ids);
            let change = match before {
                None => Some((
                    GroupAction::Create { add: wanted },
                    if self.state.lost {
                        Reason::MembersUnknown
                    } else if with_new_ids {
                        Reason::MembersRelinked
                    } else {
                        Reason::NewInDirectory
                    },
                )),
                Some(before) => {
                    self.tell_new_name(group, before);
                    let update = self.update(before, wanted, &relinked);
                    if former.is_none() && !before.unsure {
                        self.note_refilled(group, before, &update);
                    }
                    let reason = match with_new_ids {
                        true => Reason::MembersRelinked,
                        false => Reason::MembersChanged,
                    };
                    let sent = former.is_some() || before.unsure || !is_empty(&update);
                    sent.then_some((GroupAction::Update(Box::new(update)), reason))
                }
            };
            if let Some((action, reason)) = change {
                self.changes.push(Change {
                    subject: Subject::group(group.id.clone(), group.name.clone(), None),
                    reason,
                    action: Action::Group(action),
                });
            }
        }
        self.tell_gone();
    }

    /// An import replaces a group's members: where somebody in it can't be identified, it would take
    /// them out, and nobody could see that.
    fn leave_alone(&mut self, group: &RosterGroup) {
        let message = format!(
            "group {} has a member who can't be identified, and this server doesn't tell who is in \
             it: the group isn't sent; let the operator's account read the id of its members, give \
             each an id of its own, or leave them out by a filter",
            sanitize(&group.name)
        );
        let ids = [group.id.clone()];
        let reason = ProblemReason::UnidentifiedEntries;
        self.problems.push(Problem::new(reason, message, ids));
    }

    /// Whoever may be somebody else stays where they are.
    fn keep_conflicts(&self, wanted: &mut Vec<ExternalId>, before: &SentGroup) {
        if self.conflicts.is_empty() {
            return;
        }
        let was_in = |id: &ExternalId| before.members.binary_search(id).is_ok();
        wanted.retain(|id| self.conflicts.get(id) != Some(&true) || was_in(id));
        let stay = self.conflicts.keys().filter(|id| was_in(id));
        wanted.extend(stay.cloned());
        wanted.sort_unstable();
        wanted.dedup();
    }

    /// Everyone of a group whom the server has, in order.
    fn wanted(&self, group: &RosterGroup) -> Vec<ExternalId> {
        let people = group.people.iter();
        let ids = people.map(|person| &self.roster.people[person as usize].id);
        let mut ids: Vec<ExternalId> = ids
            .filter(|id| self.on_server.contains(*id))
            .map(|id| self.former_ids.get(id).copied().unwrap_or(id).clone())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whoever stays under a new id by a re-link doesn't leave by the one before.
    fn update(
        &self,
        before: &SentGroup,
        wanted: Vec<ExternalId>,
        relinked: &HashMap<ExternalId, ExternalId>,
    ) -> Update {
        let was_in: HashSet<&ExternalId> = before.members.iter().collect();
        let stays: HashSet<&ExternalId> = wanted.iter().collect();
        let remove = before
            .members
            .iter()
            .filter(|id| !stays.contains(relinked.get(*id).unwrap_or(id)))
            .map(|id| RemovedMember {
                external_id: id.clone(),
                evidence: self.evidence(id),
            })
            .collect();
        let comes = |id: &ExternalId| !was_in.contains(id) || self.moved.contains(id);
        let add = wanted.iter().filter(|id| comes(id)).cloned().collect();
        let keep = wanted.iter().filter(|id| !comes(id)).cloned().collect();
        Update {
            add,
            remove,
            keep,
            unmanaged: None,
        }
    }

    /// Who is in the group already, and comes again with another account.
    fn note_refilled(&mut self, group: &RosterGroup, before: &SentGroup, update: &Update) {
        let was_in = |id: &&ExternalId| before.members.binary_search(id).is_ok();
        let again = update.add.iter().filter(was_in);
        let again: BTreeSet<ExternalId> = again.cloned().collect();
        if !again.is_empty() {
            self.sent.refilled.insert(group.id.clone(), again);
        }
    }

    fn evidence(&self, id: &ExternalId) -> Evidence {
        let person = self.roster.by_id.get(id);
        let person = person.map(|&at| &self.roster.people[at as usize]);
        person
            .and_then(|person| person.evidence.clone())
            .unwrap_or(Evidence::Absent)
    }

    /// Groups of the directory whose id is new and whose name a group has that was sent under an id
    /// that is gone: as the server can't give it another id, it goes on under the old one.
    fn taken_over(&mut self) -> HashMap<&'a ExternalId, (&'a ExternalId, &'a SentGroup)> {
        let state = self.state;
        let (in_use, news): (Vec<&RosterGroup>, Vec<&RosterGroup>) = self
            .roster
            .groups
            .iter()
            .partition(|group| state.groups.contains_key(&group.id));
        let in_use: BTreeSet<&ExternalId> = in_use.iter().map(|group| &group.id).collect();
        let mut orphans: HashMap<&str, Vec<(&ExternalId, &SentGroup)>> = HashMap::new();
        for (id, group) in &state.groups {
            if !in_use.contains(id) && !self.roster.other_groups.contains_key(id) {
                orphans.entry(&group.name).or_default().push((id, group));
            }
        }
        let mut taken_over = HashMap::new();
        for group in &news {
            let alone = news.iter().filter(|other| other.name == group.name).count() == 1;
            match orphans.get(&*group.name).map(Vec::as_slice) {
                Some([orphan]) if alone => {
                    taken_over.insert(&group.id, *orphan);
                }
                None => {}
                Some(_) => self.problems.push(Problem::new(
                    ProblemReason::IdentityConflict,
                    format!(
                        "{} has a new id, and several groups were sent by that name: another one is \
                         made; delete the old ones in the server's console",
                        sanitize(&group.name)
                    ),
                    [group.id.clone()],
                )),
            }
        }
        taken_over
    }

    fn tell_new_name(&mut self, group: &RosterGroup, before: &SentGroup) {
        if before.name != group.name {
            let names = &mut self.sent.server_names;
            names.insert(group.id.clone(), before.name.clone());
        }
        let known = before.renamed.as_ref().unwrap_or(&before.name);
        if *known == group.name {
            return;
        }
        self.sent
            .renamed
            .insert(group.id.clone(), group.name.clone());
        let message = format!(
            "the group {} is called {} in the directory now; this server can't rename groups: \
             rename it in its console (this is reported once)",
            sanitize(known),
            sanitize(&group.name)
        );
        self.problems.push(Problem::new(
            ProblemReason::Unsupported,
            message,
            [group.id.clone()],
        ));
    }

    fn tell_gone(&mut self) {
        let in_scope: HashSet<&ExternalId> =
            self.roster.groups.iter().map(|group| &group.id).collect();
        let taken_over: HashSet<&ExternalId> = self.sent.server_ids.values().collect();
        let gone: Vec<(&ExternalId, &SentGroup)> = self
            .state
            .groups
            .iter()
            .filter(|(id, group)| {
                let other = self.roster.other_groups.get(*id);
                !group.gone
                    && !in_scope.contains(id)
                    && !taken_over.contains(id)
                    && !matches!(other, Some(GroupEligibility::Unusable(_)))
            })
            .collect();
        for (id, group) in gone {
            let message = format!(
                "the group {} isn't among the directory's any more; this server can't delete \
                 groups, so its members keep what it gives: delete it in the server's console \
                 (this is reported once)",
                sanitize(&group.name)
            );
            self.problems.push(Problem::new(
                ProblemReason::Unsupported,
                message,
                [id.clone()],
            ));
            self.sent.gone.push(id.clone());
        }
    }

    /// What the server refused before isn't sent again before it changes.
    fn skip_refused(&mut self) {
        let state = self.state;
        let (refused, rest): (Vec<Change>, Vec<Change>) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change| state.was_refused(change));
        self.changes = rest;
        for change in refused {
            let message = format!(
                "the server refused {} ({}) before; it is sent again once it changes, or when all \
                 is compared anew",
                sanitize(change.subject.label()),
                sanitize(change.external_id().as_str()),
            );
            let id = change.external_id().clone();
            self.problems
                .push(Problem::new(ProblemReason::Refused, message, [id]));
        }
    }
}

fn is_disabled(person: &Person) -> bool {
    matches!(
        person.eligibility,
        Eligibility::Disabled | Eligibility::Deleted
    )
}

fn in_use(roster: &Roster) -> HashSet<&Email> {
    let people = roster.people.iter().filter(|person| !is_disabled(person));
    let unidentified = roster.unidentified.iter();
    let unidentified = unidentified.filter_map(|person| person.email.as_ref());
    people
        .filter_map(|person| person.email.as_ref())
        .chain(unidentified)
        .collect()
}

fn is_empty(update: &Update) -> bool {
    update.add.is_empty() && update.remove.is_empty()
}

/// The external id that an account gets at an address that its person doesn't have any more, so
/// that the person's own id names one account only: the server fills groups by it.
fn retired(prefix: &str, email: &Email) -> ExternalId {
    let text = format!("{prefix}former:{email}");
    ExternalId::parse(&text).unwrap_or_else(|_| {
        let hash = crate::sync::hash::hash(email.as_str().as_bytes());
        ExternalId::of_member(&format!("{prefix}former:{hash:032x}"))
            .expect("a prefix has at most 50 characters")
    })
}

fn unsupported(policy: &Policy) -> Vec<Problem> {
    let mut problems = vec![];
    let mut report = |message: &str| {
        problems.push(Problem::new(ProblemReason::Unsupported, message, []));
    };
    if policy.offboarding.absent != OffboardingAction::Retain {
        report(
            "this server doesn't tell who its members are, so people who are gone from the \
             directory stay; set offboarding.absent to Retain and remove them in its console",
        );
    }
    for (departure, field) in [
        (policy.offboarding.disabled, "disabled"),
        (policy.offboarding.deleted, "deleted"),
    ] {
        if departure == OffboardingAction::Remove {
            report(&format!(
                "this server can't remove members, so {field} people are revoked; set \
                 offboarding.{field} to Revoke"
            ));
        }
    }
    if policy.groups.prune {
        report(
            "this server can't delete groups; set groups.prune to false and delete them in its \
             console",
        );
    }
    if !policy.access.roles.is_empty() {
        report(
            "this server has no call that changes a role, so nobody gets or loses one; leave out \
             access.roles, and give roles in its console",
        );
    }
    for (is_set, field, why) in [
        (
            policy.onboarding.reinvite.is_some(),
            "onboarding.reinvite",
            "send an invitation again",
        ),
        (
            policy.onboarding.withdraw_after.is_some(),
            "onboarding.withdrawAfter",
            "tell whose invitation is open",
        ),
        (
            policy.offboarding.remove_after.is_some(),
            "offboarding.removeAfter",
            "remove members",
        ),
    ] {
        if is_set {
            report(&format!(
                "this server can't {why}, so {field} has no effect; take it out"
            ));
        }
    }
    if !policy.access.collections.is_empty() {
        report(
            "this server has no call that changes access to collections, so no group gets or loses any; \
             leave out access.collections, and give access in its console",
        );
    }
    if !policy.onboarding.invite {
        report(
            "this server can't stage members without an invitation, so no one is added; set \
             onboarding.invite to true",
        );
    }
    problems
}
