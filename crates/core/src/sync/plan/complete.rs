//! The second half of a plan: who comes into and leaves which group.

use std::cell::LazyCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::directory::hash::{FastMap, FastSet};
use crate::directory::{Evidence, ExternalId, ScopeRule};
use crate::organization::model::MemberStatus;
use crate::problem::Problem;
use crate::sync::plan::draft::{Compared, DesiredGroup, Draft, DraftKind};
use crate::sync::plan::groups::Target;
use crate::sync::plan::people::Presence;
use crate::sync::plan::write_only;
use crate::sync::plan::{
    Action, CachedMembers, Change, GroupAction, GroupCache, GroupState, Kind, MemberAction, Names,
    Plan, Reason, RemovedMember, Subject, Update,
};
use crate::sync::plan::{collections, roles};
use crate::sync::roster::{Eligibility, Person, Roster};

impl Draft<'_> {
    /// Compares the groups and makes the plan.
    ///
    /// `read` are the groups that were read, with their members' ids in Bitwarden; for the others
    /// the plan goes by `memory`. A group that neither knows is left alone.
    pub(crate) fn complete_with(
        self,
        memory: &impl GroupCache,
        read: &HashMap<Uuid, Vec<Uuid>>,
    ) -> Plan {
        let Self {
            roster,
            counts,
            disabled_and_not_read,
            tally,
            account_rule,
            kind,
        } = self;
        let mut plan = Plan {
            problems: roster.problems.clone(),
            counts,
            directory_is_empty: roster.directory_is_empty,
            disabled_and_not_read,
            tally,
            account_rule,
            incremental: roster.incremental.clone(),
            ..Plan::default()
        };
        let content = match &kind {
            DraftKind::Compared(compared) => Some(compared.content),
            DraftKind::WriteOnly(_) => None,
        };
        let mut problems = match kind {
            DraftKind::Compared(compared) => compare(*compared, roster, memory, read, &mut plan),
            DraftKind::WriteOnly(policy) => {
                write_only::compare(roster, policy, memory.sent(), &mut plan)
            }
        };
        problems.sort_by(|a, b| {
            let key = |problem: &Problem| (problem.reason, problem.external_ids.clone());
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        problems
            .into_iter()
            .for_each(|problem| plan.problems.add(problem));
        plan.changes
            .sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        let rule = plan.account_rule.as_ref();
        let active_had_it = rule.is_some_and(|rule| rule.active_had_it);
        let gives = |change: &&Change| matches!(change.kind(), Kind::Restore | Kind::Invite);
        let unseen = plan.changes.iter().filter(gives).filter_map(|change| {
            let id = change.external_id();
            let at = *roster.by_id.get(id)?;
            let container = roster.people[at as usize].lacks_attribute_in?;
            let rule = roster.account_rule.as_ref();
            // That others show it there is said by entries that may not have been read now.
            let hidden = roster.incremental.is_some()
                || active_had_it
                || rule.is_none_or(|rule| rule.may_be_hidden_in(container));
            hidden.then(|| (id.clone(), container))
        });
        plan.unseen = unseen.collect();
        plan.groups
            .sort_by(|a, b| a.external_id.cmp(&b.external_id));
        plan.names = Names::of(&plan, roster, content, memory.sent());
        plan
    }
}

fn compare(
    mut compared: Compared<'_>,
    roster: &Roster,
    memory: &impl GroupCache,
    read: &HashMap<Uuid, Vec<Uuid>>,
    plan: &mut Plan,
) -> Vec<Problem> {
    keep_possible_members(&mut compared, roster, memory, read);
    let mut groups = std::mem::take(&mut compared.groups);
    let mut access = std::mem::take(&mut compared.collections);
    let members = LazyCell::new(|| identities(&compared));
    let all = LazyCell::new(|| managed(&compared));
    let ours = LazyCell::new(|| members.values().copied().collect::<FastSet<&ExternalId>>());
    let departing: FastMap<&ExternalId, &Evidence> = compared
        .people
        .changes
        .iter()
        .filter_map(|change| Some((change.external_id(), change.evidence()?)))
        .collect();
    for wanted in &compared.wanted {
        let group = Comparison {
            departing: &departing,
            roster,
            compared: &compared,
            wanted,
        };
        let id = &roster.groups[wanted.at].id;
        let (state, change) = match wanted.target {
            Target::New => group.create(),
            Target::Existing(uuid) | Target::Relinked(uuid) => {
                let known = match read.get(&uuid) {
                    Some(_) => None,
                    None if wanted.target == Target::Existing(uuid) => memory.members(id, wanted),
                    None => None,
                };
                match (read.get(&uuid), known) {
                    (Some(current), _) => group.with_read(uuid, current, &members, &all),
                    (None, Some(mut known)) => {
                        if let CachedMembers::Differs { extra, .. } = &mut known {
                            // Whoever left the organization has left the group.
                            extra.retain(|id| ours.contains(id));
                        }
                        let (mut state, change) = group.with_known(uuid, &known);
                        state.unmanaged = memory.unmanaged(id);
                        (state, change)
                    }
                    (None, None) => continue,
                }
            }
        };
        plan.groups.push(state);
        plan.changes.extend(change);
    }
    for change in &mut groups.changes {
        if let (Some(group), Action::Group(GroupAction::Delete(deletion))) =
            (change.subject.id, &mut change.action)
            && let Some(read) = read.get(&group)
        {
            let mut managed = BTreeSet::new();
            for member in read {
                // Whoever isn't moved in this run loses the group with all others.
                match members.get(member).or_else(|| all.get(member)) {
                    Some(id) if managed.insert(*id) => {}
                    _ => deletion.unmanaged.push(*member),
                }
            }
            deletion.unmanaged.sort_unstable();
            deletion.members = Some(managed.into_iter().cloned().collect());
        }
    }
    collections::add_those_inside(
        &mut access,
        read,
        &compared.content.members,
        |member| {
            let id = members.get(&member).or_else(|| all.get(&member));
            id.map(|id| (*id).clone())
        },
        |id| {
            let at = roster.by_id.get(id);
            at.is_some_and(|&at| compared.people.presence[at as usize].is_wanted())
        },
    );
    for group in &compared.protected.others {
        let Some(inside) = read.get(group) else {
            continue;
        };
        let removed = inside.iter().filter_map(|member| members.get(member));
        let removed = removed.filter(|id| compared.people.removed.contains(**id));
        let mut removed: Vec<ExternalId> = removed.map(|id| (*id).clone()).collect();
        removed.sort_unstable();
        let mut groups = compared.content.groups.iter();
        if let (false, Some(group)) = (removed.is_empty(), groups.find(|one| one.id == *group)) {
            plan.protected.push((group.name.clone(), removed));
        }
    }
    plan.protected.sort_unstable();
    drop(ours);
    drop(members);
    drop(all);
    drop(departing);
    plan.unmanaged = compared.unmanaged;
    plan.revoked = Some(
        compared
            .content
            .members
            .iter()
            .filter(|member| member.status == MemberStatus::Revoked)
            .filter_map(|member| Some((member.external_id.clone()?, member.id)))
            .collect(),
    );
    (plan.disabled_revoked, plan.disabled_outside) = disabled(roster, &compared, plan);
    plan.by_former_id = compared.people.by_former_id;
    plan.active_revoked = compared.people.active_revoked;
    plan.invitations = Some(compared.invitations);
    plan.until = compared.until;
    plan.recognizes_nobody =
        !compared.people.recognizes_somebody && plan.counts.with_access + plan.counts.invited > 0;
    plan.roles = Some(roles::current(&compared.content.members));
    let of_groups = std::mem::replace(&mut plan.changes, compared.people.changes);
    plan.changes.extend(of_groups);
    plan.access = Some(collections::current(&compared.content.groups));
    plan.changes.extend(compared.roles);
    plan.follows = compared.follows;
    plan.changes.extend(access);
    plan.changes.extend(groups.changes);
    let mut problems = compared.people.problems;
    problems.extend(groups.problems);
    problems
}

/// Who is disabled in the directory and a revoked member, or one whose member is somebody else's by this plan; and
/// who is and no member.
fn disabled(
    roster: &Roster,
    compared: &Compared<'_>,
    plan: &Plan,
) -> (Vec<ExternalId>, Vec<ExternalId>) {
    let is_disabled = |person: &&Person| {
        matches!(
            person.eligibility,
            Eligibility::Disabled | Eligibility::Deleted
        )
    };
    let mut disabled = roster.people.iter().filter(is_disabled).peekable();
    if disabled.peek().is_none() {
        return (vec![], vec![]);
    }
    let members = compared.content.members.iter();
    let members: FastSet<&ExternalId> = members
        .filter_map(|member| member.external_id.as_ref())
        .collect();
    let relinked = compared.people.changes.iter();
    let relinked = relinked.filter_map(|change| match change.member() {
        Some(MemberAction::Relink { from }) => Some(from),
        _ => None,
    });
    let relinked: FastSet<&ExternalId> = relinked.collect();
    let (mut revoked, mut outside) = (vec![], vec![]);
    for person in disabled {
        if plan.was_revoked(&person.id) || relinked.contains(&person.id) {
            revoked.push(person.id.clone());
        } else if !members.contains(&person.id) {
            outside.push(person.id.clone());
        }
    }
    revoked.sort_unstable();
    (revoked, outside)
}

/// A group that names members nobody knows may name another group whose members can't be read. So
/// whoever is in it in Bitwarden, and would go because `groups.onlyTheirMembers` leaves them out, stays,
/// there too.
fn keep_possible_members(
    compared: &mut Compared<'_>,
    roster: &Roster,
    memory: &impl GroupCache,
    read: &HashMap<Uuid, Vec<Uuid>>,
) {
    let out = Evidence::OutOfScope(ScopeRule::OnlyTheirMembers);
    let going = |change: &Change| change.evidence() == Some(&out);
    let leaving = compared.people.changes.iter().filter(|one| going(one));
    let leaving: HashSet<ExternalId> = leaving.map(|one| one.external_id().clone()).collect();
    if leaving.is_empty() {
        return;
    }
    let members = LazyCell::new(|| identities(compared));
    let mut possible: HashSet<ExternalId> = HashSet::new();
    let in_part = compared.wanted.iter();
    for wanted in in_part.filter(|wanted| roster.groups[wanted.at].has_unknown) {
        let (Target::Existing(group) | Target::Relinked(group)) = wanted.target else {
            continue;
        };
        let inside: Vec<ExternalId> = match read.get(&group) {
            Some(read) => {
                let ids = read.iter().filter_map(|member| members.get(member));
                ids.map(|id| (*id).clone()).collect()
            }
            None => match memory.members(&roster.groups[wanted.at].id, wanted) {
                Some(CachedMembers::Differs { extra, .. }) => extra,
                _ => vec![],
            },
        };
        possible.extend(inside.into_iter().filter(|id| leaving.contains(id)));
    }
    drop(members);
    let people = &mut compared.people;
    people
        .changes
        .retain(|change| !going(change) || !possible.contains(change.external_id()));
    for id in &possible {
        people.removed.remove(id);
        if let Some(&at) = roster.by_id.get(id) {
            people.presence[at as usize] = Presence::Stays;
        }
    }
    people.possible_members = possible;
}

/// The external id of every member of ours, as this plan leaves it.
fn identities<'a>(compared: &'a Compared<'_>) -> FastMap<Uuid, &'a ExternalId> {
    let people = &compared.people;
    compared
        .content
        .members
        .iter()
        .filter(|member| !people.unmanaged.contains(&member.id))
        .filter_map(|member| {
            let own = || {
                let id = member.external_id.as_ref();
                id.filter(|id| id.as_str().starts_with(compared.prefix))
            };
            Some((member.id, people.renamed.get(&member.id).or_else(own)?))
        })
        .collect()
}

/// The external id of every member that has one of ours, now.
fn managed<'a>(compared: &'a Compared<'_>) -> FastMap<Uuid, &'a ExternalId> {
    let members = compared.content.members.iter();
    members
        .filter_map(|member| Some((member.id, member.external_id.as_ref()?)))
        .filter(|(_, id)| id.as_str().starts_with(compared.prefix))
        .collect()
}

/// One group in scope against what is known of it.
struct Comparison<'a> {
    /// On what people lose their access by this plan: they leave their groups on the same.
    departing: &'a FastMap<&'a ExternalId, &'a Evidence>,
    roster: &'a Roster,
    compared: &'a Compared<'a>,
    wanted: &'a DesiredGroup,
}

impl Comparison<'_> {
    fn create(&self) -> (GroupState, Option<Change>) {
        let (add, late) = self.without_doubtful(self.wanted_ids());
        let change = Change {
            subject: self.subject(None),
            reason: Reason::NewInDirectory,
            action: Action::Group(GroupAction::Create { add }),
        };
        let mut state = self.state();
        state.missing = late;
        (state, Some(change))
    }

    /// Who may come into the group, and who is wanted in it but doesn't come as long as it isn't
    /// known whose account theirs is.
    fn without_doubtful(&self, ids: Vec<ExternalId>) -> (Vec<ExternalId>, Vec<ExternalId>) {
        let doubtful = &self.compared.people.doubtful;
        if doubtful.is_empty() {
            return (ids, vec![]);
        }
        ids.into_iter().partition(|id| !doubtful.contains(id))
    }

    fn with_read(
        &self,
        group: Uuid,
        current: &[Uuid],
        members: &FastMap<Uuid, &ExternalId>,
        all: &FastMap<Uuid, &ExternalId>,
    ) -> (GroupState, Option<Change>) {
        let mut others = vec![];
        let (mut kept, mut remove) = (FastSet::default(), vec![]);
        for member in current {
            match members.get(member) {
                None => others.push(*member),
                Some(id) if self.is_wanted(id) => {
                    kept.insert(*id);
                }
                Some(id) => remove.push((*id).clone()),
            }
        }
        others.sort_unstable();
        let mut add = self.wanted_ids();
        add.retain(|id| !kept.contains(id));
        let with_id = others.iter().filter(|member| all.contains_key(*member));
        let with_id = u32::try_from(with_id.count()).unwrap_or(u32::MAX);
        let unmanaged = (!others.is_empty()).then_some(with_id);
        let (mut state, change) = self.update(group, add, remove, Some(others));
        state.unmanaged = unmanaged;
        (state, change)
    }

    fn with_known(&self, group: Uuid, known: &CachedMembers) -> (GroupState, Option<Change>) {
        match known {
            CachedMembers::AsDesired => (self.state(), None),
            CachedMembers::WithLeavers => {
                let removed = self.ids(|presence| presence == Presence::Leaves);
                self.update(group, vec![], removed, None)
            }
            CachedMembers::Differs { missing, extra } => {
                // Whoever isn't a member yet can't be in it, whatever was remembered.
                let mut add = self.ids(|presence| presence == Presence::Joins);
                add.extend(missing.iter().cloned());
                add.sort_unstable();
                add.dedup();
                self.update(group, add, extra.clone(), None)
            }
        }
    }

    fn update(
        &self,
        group: Uuid,
        add: Vec<ExternalId>,
        mut remove: Vec<ExternalId>,
        unmanaged: Option<Vec<Uuid>>,
    ) -> (GroupState, Option<Change>) {
        remove.sort();
        remove.dedup();
        let (add, late) = self.without_doubtful(add);
        let mut state = self.state();
        let removed = &self.compared.people.removed;
        let unknown = self.roster.groups[self.wanted.at].has_unknown;
        let possible = &self.compared.people.possible_members;
        let stays = |id: &ExternalId| {
            unknown && !removed.contains(id) && (self.may_be_unknown(id) || possible.contains(id))
        };
        state.extra = remove.extract_if(.., |id| stays(id)).collect();
        state.leaving = remove
            .iter()
            .filter(|id| removed.contains(*id))
            .cloned()
            .collect();
        state.missing = late;
        if !state.leaving.is_empty() {
            state.id = Some(group);
            state.name = self.roster.groups[self.wanted.at].name.clone();
            // Nobody was added yet who isn't in it, and nobody is moved out of it who isn't known.
            let outside = add.len() + state.missing.len();
            state.stays = self.wanted_ids().len().saturating_sub(outside) + state.extra.len();
        }
        // Whoever is removed from the organization leaves its groups by that alone.
        if add.is_empty() && state.leaving.len() == remove.len() {
            return (state, None);
        }
        let added: FastSet<&ExternalId> = add.iter().chain(&state.missing).collect();
        let mut keep = self.wanted_ids();
        keep.retain(|id| !added.contains(id));
        if !state.extra.is_empty() {
            keep.extend(state.extra.iter().cloned());
            keep.sort_unstable();
        }
        let remove = remove
            .into_iter()
            .map(|id| self.removed_member(id))
            .collect();
        let change = Change {
            subject: self.subject(Some(group)),
            reason: Reason::MembersChanged,
            action: Action::Group(GroupAction::Update(Box::new(Update {
                add,
                remove,
                keep,
                unmanaged,
            }))),
        };
        (state, Some(change))
    }

    /// Whether somebody may be a member whom the group names and nobody knows: they weren't read, or their
    /// entry doesn't show the name by which groups name people.
    fn may_be_unknown(&self, id: &ExternalId) -> bool {
        let at = self.roster.by_id.get(id);
        at.is_none_or(|&at| self.roster.people[at as usize].is_unnamed)
    }

    fn subject(&self, group: Option<Uuid>) -> Subject {
        let wanted = &self.roster.groups[self.wanted.at];
        Subject::group(wanted.id.clone(), wanted.name.clone(), group)
    }

    /// Somebody who isn't in the group any more: because of what the directory says about them, or
    /// because its complete list doesn't have them.
    fn removed_member(&self, external_id: ExternalId) -> RemovedMember {
        if let Some(evidence) = self.departing.get(&external_id) {
            let evidence = (*evidence).clone();
            return RemovedMember {
                external_id,
                evidence,
            };
        }
        let person = self.roster.by_id.get(&external_id);
        let person = person.map(|&at| &self.roster.people[at as usize]);
        let evidence = person.and_then(|person| person.evidence.clone());
        RemovedMember {
            external_id,
            evidence: evidence.unwrap_or(Evidence::Absent),
        }
    }

    fn state(&self) -> GroupState {
        let id = self.roster.groups[self.wanted.at].id.clone();
        GroupState::wanted(id, self.wanted.digest)
    }

    /// Whether the group shall have the member with this id.
    fn is_wanted(&self, id: &ExternalId) -> bool {
        self.roster.by_id.get(id).is_some_and(|&person| {
            self.compared.people.presence[person as usize].is_wanted()
                && self.roster.groups[self.wanted.at].people.contains(person)
        })
    }

    fn wanted_ids(&self) -> Vec<ExternalId> {
        self.ids(Presence::is_wanted)
    }

    /// The ids of the group's people whose presence fits, sorted.
    fn ids(&self, fit: impl Fn(Presence) -> bool) -> Vec<ExternalId> {
        let presence = &self.compared.people.presence;
        let people = self.roster.groups[self.wanted.at].people.iter();
        let mut ids: Vec<ExternalId> = people
            .filter(|&person| fit(presence[person as usize]))
            .map(|person| self.roster.people[person as usize].id.clone())
            .collect();
        ids.sort_unstable();
        // A first plan keeps the ids of all members of all groups.
        ids.shrink_to_fit();
        ids
    }
}
