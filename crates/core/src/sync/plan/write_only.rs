//! The plan for a server that takes imports and can't be read (Vaultwarden): the difference between
//! the directory and what was sent before.
//!
//! - Only accounts that an import of ours brought in lose access, at the address that was sent, and
//!   only once the owners and members who were invited by hand are named (`never_send`).
//! - An account is one person's: an address that was sent for somebody else is left alone, unless
//!   that id is gone from the directory.
//! - Only what changed is sent: the server empties and refills every group it is sent, and restores
//!   every account.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::directory::{Email, Evidence, ExternalId};
use crate::problem::{Problem, ProblemReason};
use crate::sync::plan::draft::unmatched_protected;
use crate::sync::plan::{
    Action, Change, Counts, GroupAction, MemberAction, Plan, Reason, RemovedMember, Subject, Update,
};
use crate::sync::policy::{OffboardingAction, Policy, Restore};
use crate::sync::roster::{Eligibility, GroupEligibility, Person, Roster, RosterGroup};
use crate::sync::sent::{Access, Sent, SentGroup, SentState};
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
        moved: HashSet::new(),
        conflicts: HashMap::new(),
        in_use: in_use(roster),
        changes: vec![],
        sent: Sent::default(),
        problems,
    };
    plan.disabled_revoked = comparison.disabled_revoked();
    comparison.forget_never_sent();
    comparison.people();
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

struct Comparison<'a> {
    roster: &'a Roster,
    policy: &'a Policy,
    state: &'a SentState,
    accounts: BTreeMap<&'a ExternalId, Vec<(&'a Email, Access)>>,
    /// Whose account the server has, once the plan is applied.
    on_server: HashSet<&'a ExternalId>,
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

    /// Who is disabled and has an account that was revoked.
    fn disabled_revoked(&self) -> Vec<ExternalId> {
        let accounts = self.accounts.iter();
        let revoked = accounts.filter(|(id, accounts)| {
            let mut accounts = accounts.iter();
            let at = self.roster.by_id.get(**id);
            let person = at.map(|&at| &self.roster.people[at as usize]);
            accounts.any(|(_, access)| *access == Access::Revoked)
                && person.is_some_and(|person| {
                    matches!(
                        person.eligibility,
                        Eligibility::Disabled | Eligibility::Deleted
                    )
                })
        });
        revoked.map(|(id, _)| (*id).clone()).collect()
    }

    fn people(&mut self) {
        let mut people: Vec<&Person> = self
            .roster
            .people
            .iter()
            .filter(|person| self.roster.by_id.contains_key(&person.id))
            .collect();
        people.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        for person in people {
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
                Access::Revoked | Access::MaybeRevoked => {
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
            Access::MaybeRevoked => "may have been revoked and belongs to",
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

    fn disabled(&mut self, person: &'a Person) {
        let Some(accounts) = self.accounts.get(&person.id) else {
            // Never sent: who it is, if anybody, isn't known.
            return;
        };
        self.on_server.insert(&person.id);
        let departs = match person.eligibility {
            Eligibility::Deleted => self.policy.offboarding.deleted != OffboardingAction::Retain,
            _ => self.policy.offboarding.disabled != OffboardingAction::Retain,
        };
        let with_access = |email: &&Email| {
            let mut accounts = accounts.iter();
            accounts.any(|(of, access)| of == email && *access != Access::Revoked)
        };
        if !departs {
            return;
        }
        // The address that the directory has now keeps the id; others are retired.
        let current = person.email.as_ref().filter(with_access).or_else(|| {
            let mut emails = accounts.iter().map(|(email, _)| *email);
            emails.find(|email| with_access(email))
        });
        let current = current.cloned();
        if let Some(email) = &current {
            let evidence = person.evidence.clone().unwrap_or(Evidence::Absent);
            let reason = match person.eligibility {
                Eligibility::Deleted => Reason::GoneFromDirectory,
                _ => Reason::DisabledInDirectory,
            };
            self.revoke(person.id.clone(), email, evidence, reason);
        }
        let accounts = self.accounts.get(&person.id).into_iter().flatten();
        let others: Vec<&Email> = accounts
            .filter(|(email, access)| {
                Some(*email) != current.as_ref() && *access != Access::Revoked
            })
            .map(|(email, _)| *email)
            .collect();
        for email in others {
            let retired = retired(&self.policy.external_id_prefix, email);
            let evidence = person.evidence.clone().unwrap_or(Evidence::Absent);
            self.revoke(retired, email, evidence, Reason::DisabledInDirectory);
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
                    sent.then_some((GroupAction::Update(update), reason))
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
            .cloned()
            .collect();
        ids.sort_unstable();
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

fn in_use(roster: &Roster) -> HashSet<&Email> {
    let usable = |person: &&Person| {
        !matches!(
            person.eligibility,
            Eligibility::Disabled | Eligibility::Deleted
        )
    };
    let people = roster.people.iter().filter(usable);
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
    if !policy.onboarding.invite {
        report(
            "this server can't stage members without an invitation, so no one is added; set \
             onboarding.invite to true",
        );
    }
    problems
}
