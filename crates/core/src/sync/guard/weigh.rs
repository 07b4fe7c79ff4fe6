//! Which limits a plan exceeds, and which of its changes each of them holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{FingerprintSet, HeldBecause};
use crate::directory::{ExternalId, fold};
use crate::sync::ledger::{
    EvidenceKind, GainedAccess, Key, Ledger, Limited, Recent, Repeat, UndoneSet, key, member_key,
};
use crate::sync::limits::{Limit, SMALLEST_LIMITED_GROUP};
use crate::sync::plan::{
    Action, Change, Counts, GroupAction, Kind, MemberAction, Plan, Reason, RemovedMember,
    RoleChange, Update,
};
use crate::sync::policy::{Policy, passes};

/// Why changes are held, and which ones; a number is an index into the list of reasons.
#[derive(Default)]
pub(super) struct Reasons {
    list: Vec<HeldBecause>,
    /// What the limits that are exceeded are a share of.
    shares_of: Vec<(Limited, usize)>,
    /// What the limits of the organization are a share of, whether they are exceeded or not.
    bases: Vec<(Limited, usize)>,
    /// Whatever takes something away.
    everything: Option<usize>,
    /// What rests on evidence of this kind.
    disabled: Option<usize>,
    absent: Option<usize>,
    /// Loss of access, membership or a whole group that rests on absence.
    access: Option<usize>,
    deletions: Option<usize>,
    /// Groups that aren't synced any more, and lose access: all of them, or one.
    ended: Option<usize>,
    ended_groups: HashMap<ExternalId, usize>,
    invitations: Option<usize>,
    /// Re-links that may give access back, and the groups of whoever is re-linked.
    relinks: Option<usize>,
    /// Restores that an earlier run may have made.
    restores: Option<usize>,
    /// People who would gain rights of their role.
    gained_roles: Option<usize>,
    /// People who would lose some.
    lost_roles: Option<usize>,
    /// Groups whose members would gain access to collections.
    gained_access: Option<usize>,
    /// Groups whose members would gain `Manage` on some.
    gained_manage: Option<usize>,
    /// Whose place in a group is held: their role, too.
    kept_in: HashMap<ExternalId, usize>,
    /// Invitations of people who may be disabled.
    newcomers: Option<usize>,
    doubtful: HashSet<ExternalId>,
    /// Who leaves these groups.
    groups: HashMap<ExternalId, HeldGroup>,
    /// Removals from the organization that would empty a held group.
    people: HashMap<ExternalId, usize>,
    /// Groups that would get another name.
    renamed: BTreeSet<ExternalId>,
    /// Who is invited and isn't new.
    known: BTreeSet<ExternalId>,
    /// What an approval lets go ahead that an earlier run used.
    covered: FingerprintSet,
    /// What a person took back and this plan asks for again.
    undone: Undone,
}

/// What of a plan a person took back before.
#[derive(Default)]
struct Undone {
    by: Option<usize>,
    set: UndoneSet,
    /// Whose loss of access was taken back: they keep their groups, too.
    people: HashSet<ExternalId>,
    /// Groups whose new external id was: by that an update would make another group.
    relinked_groups: HashSet<ExternalId>,
}

impl Undone {
    fn of(plan: &Plan, ledger: &Ledger, covered: &FingerprintSet) -> Self {
        let set = match plan.undoes {
            Some(_) => UndoneSet::default(),
            None => ledger.undone(),
        };
        let mut undone = Self {
            set,
            ..Self::default()
        };
        if undone.set.is_empty() {
            return undone;
        }
        for change in &plan.changes {
            if !undone.set.has_change(change) || covered.has(change) {
                continue;
            }
            let id = change.external_id().clone();
            match &change.action {
                Action::Member(MemberAction::Revoke { .. } | MemberAction::Remove { .. }) => {
                    undone.people.insert(id);
                }
                Action::Group(GroupAction::Relink { .. }) => {
                    undone.relinked_groups.insert(id);
                }
                _ => {}
            }
        }
        undone
    }

    fn has(&self, change: &Change) -> bool {
        self.set.has_change(change)
            || matches!(change.group(), Some(GroupAction::Update(_)))
                && self.relinked_groups.contains(change.external_id())
    }

    fn has_join(&self, group: &ExternalId, id: &ExternalId) -> bool {
        self.set.has(Repeat::Join(group, id), None)
    }

    fn has_withdrawal(&self, group: &ExternalId, leaving: &RemovedMember) -> bool {
        let id = &leaving.external_id;
        self.people.contains(id)
            || self
                .set
                .has(Repeat::Leave(group, id), Some(&leaving.evidence))
    }

    /// How much of a plan is held for it.
    fn count(&self, plan: &Plan, covered: &FingerprintSet) -> usize {
        if self.set.is_empty() {
            return 0;
        }
        let counts = plan.changes.iter().map(|change| {
            let group = change.external_id();
            match change.group() {
                Some(GroupAction::Update(update)) if !self.has(change) => {
                    let joins = update
                        .add
                        .iter()
                        .filter(|id| self.has_join(group, id) && !covered.has_join(group, id));
                    let leaves = update.remove.iter().filter(|leaving| {
                        self.has_withdrawal(group, leaving)
                            && !covered.has_withdrawal(group, &leaving.external_id)
                    });
                    joins.count() + leaves.count()
                }
                _ => usize::from(self.has(change) && !covered.has(change)),
            }
        });
        counts.sum()
    }
}

struct HeldGroup {
    by: usize,
    /// It is protected: also those leave it whose account is disabled, and it keeps the name that it
    /// is protected by until they have left.
    protected: bool,
}

impl Reasons {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn shares_of(&self) -> Vec<(Limited, usize)> {
        self.shares_of.clone()
    }

    pub fn into_list(self) -> Vec<HeldBecause> {
        self.list
    }

    fn is_protected(&self, group: &ExternalId) -> bool {
        self.groups.get(group).is_some_and(|held| held.protected)
    }

    /// Whether the group keeps its name: nobody comes into it meanwhile who isn't known to belong to the
    /// group of that name.
    pub fn holds_name(&self, group: &ExternalId) -> bool {
        self.renamed.contains(group) && self.is_protected(group)
    }

    /// What holds this change; for an update of a group see [`Reasons::holds_removed_member`].
    pub fn holds(&self, change: &Change) -> Option<usize> {
        let id = change.external_id();
        if self.covered.has(change) {
            return None;
        }
        if self.undone.has(change) {
            return self.undone.by;
        }
        if change.reason.is_relink_unseen() {
            return self.relinks;
        }
        if change.reason == Reason::MembersUnknown {
            return self.everything;
        }
        match &change.action {
            Action::Member(MemberAction::Revoke { evidence }) => {
                self.everything.or(self.access_by_kind(evidence.into()))
            }
            Action::Member(MemberAction::Remove { evidence }) => self
                .everything
                .or(self.access_by_kind(evidence.into()))
                .or_else(|| self.people.get(id).copied()),
            Action::Member(MemberAction::Invite { .. }) => {
                let newcomers = self.newcomers.filter(|_| self.doubtful.contains(id));
                newcomers.or(self.invitations.filter(|_| !self.known.contains(id)))
            }
            Action::Member(MemberAction::Restore) => {
                let unseen = change.reason == Reason::ActiveAgainUnseen;
                self.restores.filter(|_| unseen).or(self.invitations)
            }
            Action::Member(MemberAction::SetRole(role)) => {
                let takes = role.takes_away().then(|| {
                    self.everything
                        .or(self.absent)
                        .or(self.lost_roles)
                        .or_else(|| self.kept_in.get(id).copied())
                });
                let gives = self.gained_roles.filter(|_| role.gives());
                takes.flatten().or(gives)
            }
            Action::Group(GroupAction::SetCollections(access)) => {
                let takes = self.everything.or(self.absent);
                let takes = takes.filter(|_| access.takes_away());
                // As its deletion would be.
                let ended = || {
                    let all = self.access.or(self.ended);
                    let one = || self.ended_groups.get(id).copied();
                    all.or_else(one).filter(|_| access.is_of_ended_group())
                };
                let takes = takes.or_else(ended);
                let gives = self.gained_access.filter(|_| access.gives());
                let manage = self.gained_manage.filter(|_| access.gives_manage());
                takes.or(manage).or(gives)
            }
            Action::Group(GroupAction::Delete(_)) => self
                .everything
                .or(self.access_by_kind(EvidenceKind::Absent))
                .or(self.deletions)
                .or_else(|| self.groups.get(id).map(|group| group.by)),
            // By another name it might not be protected in the next run.
            Action::Group(GroupAction::Rename { .. }) => {
                let group = self.groups.get(id).filter(|group| group.protected);
                group.map(|group| group.by)
            }
            _ => None,
        }
    }

    /// Whether an update of a group is held as a whole, and not its withdrawals one by one.
    pub fn holds_whole(&self, change: &Change) -> bool {
        change.reason == Reason::MembersUnknown
            || change.reason.is_relink_unseen() && self.holds(change).is_some()
            || self.undone.has(change)
    }

    /// Whether a group isn't made, or keeps its external id, because that was taken back.
    pub fn leaves_group(&self, change: &Change) -> bool {
        let gets_id = matches!(change.kind(), Kind::CreateGroup | Kind::RelinkGroup);
        gets_id && self.undone.has(change) && self.holds(change).is_some()
    }

    /// What keeps somebody out of a group.
    pub fn holds_added_member(&self, group: &ExternalId, id: &ExternalId) -> Option<usize> {
        if !self.undone.has_join(group, id) || self.covered.has_join(group, id) {
            return None;
        }
        self.undone.by
    }

    /// What keeps somebody in a group.
    pub fn holds_removed_member(
        &self,
        group: &ExternalId,
        leaving: &RemovedMember,
    ) -> Option<usize> {
        let member = &leaving.external_id;
        if self.covered.has_withdrawal(group, member) {
            return None;
        }
        if self.undone.has_withdrawal(group, leaving) {
            return self.undone.by;
        }
        let kind = EvidenceKind::from(&leaving.evidence);
        let by_group = || {
            let held = self.groups.get(group)?;
            (held.protected || kind == EvidenceKind::Absent).then_some(held.by)
        };
        self.everything
            .or(self.by_kind(kind))
            .or_else(by_group)
            // What is held of one person is held together.
            .or_else(|| self.people.get(member).copied())
    }

    fn by_kind(&self, kind: EvidenceKind) -> Option<usize> {
        match kind {
            EvidenceKind::Disabled => self.disabled,
            EvidenceKind::Absent => self.absent,
        }
    }

    fn access_by_kind(&self, kind: EvidenceKind) -> Option<usize> {
        self.by_kind(kind)
            .or(self.access.filter(|_| kind == EvidenceKind::Absent))
    }

    /// Identifies everything that is held.
    pub fn held(&self, plan: &Plan) -> FingerprintSet {
        let held = plan.changes.iter().filter_map(|change| {
            let whole = self.holds_whole(change);
            let Some(GroupAction::Update(update)) = change.group().filter(|_| !whole) else {
                return self.holds(change).map(|_| change.clone());
            };
            let group = change.external_id();
            let is_held =
                |leaving: &&RemovedMember| self.holds_removed_member(group, leaving).is_some();
            let comes = |id: &&ExternalId| self.holds_added_member(group, id).is_some();
            let update = Update {
                remove: update.remove.iter().filter(is_held).cloned().collect(),
                add: update.add.iter().filter(comes).cloned().collect(),
                ..(**update).clone()
            };
            let is_empty = update.remove.is_empty() && update.add.is_empty();
            (!is_empty).then(|| Change {
                action: Action::Group(GroupAction::Update(Box::new(update))),
                ..change.clone()
            })
        });
        let held: Vec<Change> = held.collect();
        // Who comes into a group is held only where that was taken back.
        let partly = held.iter().filter(|change| !self.holds_whole(change));
        FingerprintSet::of(&held).union(&FingerprintSet::of_joins(partly))
    }

    /// Whether limits don't look at a change: it was approved, or is held because somebody took it back.
    fn sets_aside(&self, change: &Change) -> bool {
        self.covered.has(change) || self.undone.has(change)
    }

    /// The same of somebody who leaves a group.
    fn sets_withdrawal_aside(&self, group: &ExternalId, leaving: &RemovedMember) -> bool {
        self.covered.has_withdrawal(group, &leaving.external_id)
            || self.undone.has_withdrawal(group, leaving)
    }

    fn add(&mut self, why: HeldBecause) -> Option<usize> {
        self.list.push(why);
        Some(self.list.len() - 1)
    }
}

/// Measures a plan against every limit.
pub(super) fn weigh(plan: &Plan, policy: &Policy, ledger: &Ledger) -> Reasons {
    let covered = ledger.in_progress().and_what_follows(&plan.changes);
    let mut reasons = Reasons {
        undone: Undone::of(plan, ledger, &covered),
        covered,
        known: plan
            .sent
            .iter()
            .flat_map(|sent| sent.known.clone())
            .collect(),
        ..Reasons::default()
    };
    let undone = reasons.undone.count(plan, &reasons.covered);
    if undone > 0 {
        let why = HeldBecause::Undone { changes: undone };
        reasons.undone.by = reasons.add(why);
    }
    let losses = Losses::of(plan, &reasons);
    let renamed = losses.renamed.keys().map(|group| (*group).clone());
    let renamed: BTreeSet<ExternalId> = renamed.collect();
    let recent = ledger.recent();
    reasons.bases = bases(plan, &losses, &recent);
    let nobody = plan.directory_is_empty || plan.recognizes_nobody;
    if nobody && plan.counts.managed_members > 0 && !losses.are_none() {
        let members = plan.counts.managed_members;
        let why = match plan.directory_is_empty {
            true => HeldBecause::EmptyDirectory { members },
            false => HeldBecause::NobodyRecognized { members },
        };
        if plan.counts.disabled == 0 {
            reasons.everything = reasons.add(why);
        } else if losses.rest_on_absence() {
            // Of those who are listed as disabled, the directory did say something.
            reasons.absent = reasons.add(why);
        }
    }
    let unknown = |change: &&Change| change.reason == Reason::MembersUnknown;
    let unknown = plan.changes.iter().filter(unknown);
    let changes = unknown
        .filter(|change| !reasons.covered.has(change))
        .count();
    if changes > 0 {
        let why = reasons.add(HeldBecause::MembersUnknown { changes });
        reasons.everything = reasons.everything.or(why);
    }
    let relinked = plan.changes.iter();
    let relinked = relinked.filter(|change| change.reason == Reason::NewExternalIdUnseen);
    let relinked = relinked
        .filter(|change| !reasons.covered.has(change))
        .count();
    if relinked > 0 {
        let why = HeldBecause::RelinksUnseen { people: relinked };
        reasons.relinks = reasons.add(why);
    }
    let restored = plan.changes.iter();
    let restored = restored.filter(|change| change.reason == Reason::ActiveAgainUnseen);
    let restored = restored
        .filter(|change| !reasons.covered.has(change))
        .count();
    if restored > 0 {
        let why = HeldBecause::RestoresUnseen { people: restored };
        reasons.restores = reasons.add(why);
    }
    let newcomers = plan
        .changes
        .iter()
        .filter(|change| is_doubtful(plan, change));
    let newcomers = newcomers.filter(|change| !reasons.covered.has(change));
    let newcomers = newcomers.count();
    if newcomers > 0 {
        let why = HeldBecause::UnknownAccountState { people: newcomers };
        reasons.newcomers = reasons.add(why);
        reasons.doubtful.clone_from(&plan.doubtful_newcomers);
    }
    let absent = losses.people(EvidenceKind::Absent).len() + losses.unmanaged.len();
    let careful = ledger.is_careful() && reasons.absent.is_none();
    if ledger.is_adopted() {
        let members = losses.absent_without_access().count();
        let groups = losses.deleted.len();
        // Without a limit nothing has to be known to keep within it; a record that is known to be lost
        // is another matter.
        if !policy.offboarding.limit.is_off() && (members > 0 || groups > 0) {
            let why = HeldBecause::NoHistory {
                members,
                groups,
                until: ledger.careful_until(),
            };
            reasons.access = reasons.add(why);
            // Whose access is held keeps the groups, too.
            if let Some(by) = reasons.access {
                let kept = losses.absent_without_access();
                reasons.people.extend(kept.map(|id| ((*id).clone(), by)));
            }
        }
    } else if careful && (absent > 0 || !losses.deleted.is_empty()) {
        let why = HeldBecause::UnknownHistory {
            members: absent,
            until: ledger.careful_until(),
        };
        reasons.absent = reasons.add(why);
    }
    people(&mut reasons, &losses, &recent, plan, policy, ledger);
    groups(&mut reasons, &losses, &recent, plan, policy, ledger);
    ended_groups(&mut reasons, &losses, &recent, policy, ledger);
    invitations(&mut reasons, &recent, plan, policy, ledger);
    reasons.renamed = renamed;
    roles(&mut reasons, plan, policy, ledger);
    collections(&mut reasons, plan, policy, ledger);
    reasons
}

fn is_doubtful(plan: &Plan, change: &Change) -> bool {
    change.kind() == Kind::Invite && plan.doubtful_newcomers.contains(change.external_id())
}

/// What `offboarding.limit` is a share of: whom a run invited within the day doesn't raise what may be
/// taken from others.
fn base(plan: &Plan, losses: &Losses<'_>, recent: &Recent) -> usize {
    let invited = recent.came_in();
    let members = plan.counts.with_access + plan.counts.invited;
    members.saturating_sub(invited) + losses.without_access(recent)
}

/// What the limits of the organization are a share of. Who accepts counts for the dismissals of the same
/// day, so that everybody who was invited does here.
fn bases(plan: &Plan, losses: &Losses<'_>, recent: &Recent) -> Vec<(Limited, usize)> {
    let members = plan.counts.with_access + plan.counts.invited;
    let deleted = losses.keys(recent, losses.deleted.iter().copied());
    let groups = plan.counts.managed_groups + recent.groups(|key| deleted.contains(key));
    let invited = recent.invited + recent.maybe_invited + recent.approved;
    vec![
        (Limited::Absent, base(plan, losses, recent)),
        (Limited::Disabled, members + losses.without_access(recent)),
        (Limited::Groups, groups),
        (Limited::Invited, members.saturating_sub(invited)),
    ]
}

/// What limits were a share of before this plan adds to it: whom it links and restores, who comes into a
/// group, groups that it makes. Not in a first sync: there is nothing to take away before it.
pub(super) fn raised(
    plan: &Plan,
    reasons: &Reasons,
    policy: &Policy,
    ledger: &Ledger,
) -> Vec<(Limited, usize)> {
    if ledger.is_filling(plan) {
        return vec![];
    }
    let kinds = |of: &[Kind]| {
        plan.changes
            .iter()
            .any(|change| of.contains(&change.kind()))
    };
    let people = kinds(&[Kind::Link, Kind::Restore]);
    let groups = plan.changes.iter().any(|change| {
        matches!(
            change.group(),
            Some(GroupAction::Create { .. } | GroupAction::Relink { from: None })
        )
    });
    let bases = reasons.bases.iter().copied();
    let bases = bases.filter(|(of, _)| match of {
        Limited::Groups => groups,
        _ => people,
    });
    let members = plan.changes.iter().filter_map(|change| {
        let Some(GroupAction::Update(update)) = change.group() else {
            return None;
        };
        let id = change.external_id();
        let before = update.keep.len() + update.remove.len() + plan.unmoved(id);
        let allows = |size: usize| policy.groups.limit.losses(size.max(SMALLEST_LIMITED_GROUP));
        let raises = allows(before + update.add.len()) > allows(before);
        raises.then(|| (Limited::Group(key(id)), before))
    });
    bases.chain(members).collect()
}

/// People who would lose something, of both kinds.
fn people(
    reasons: &mut Reasons,
    losses: &Losses<'_>,
    recent: &Recent,
    plan: &Plan,
    policy: &Policy,
    ledger: &Ledger,
) {
    // Whom we invited within the day doesn't raise what may be taken from others.
    let invited = recent.came_in();
    let Counts {
        with_access: accepted,
        invited: open,
        ..
    } = plan.counts;
    let without_access = losses.without_access(recent);
    let base = base(plan, losses, recent);
    // Who accepted counts among the members of whom some are dismissed, so that nobody's dismissal
    // waits on the day after a first sync.
    let base_of_disabled = accepted + open.saturating_sub(invited) + without_access;
    for kind in [EvidenceKind::Absent, EvidenceKind::Disabled] {
        let people = losses.people(kind);
        let others = match kind {
            EvidenceKind::Absent => losses.unmanaged.len(),
            EvidenceKind::Disabled => 0,
        };
        let members = people.len() + others;
        let limit = match kind {
            EvidenceKind::Absent => policy.offboarding.limit,
            EvidenceKind::Disabled => policy.offboarding.disabled_limit,
        };
        if members == 0 || limit.is_off() {
            continue;
        }
        let mut keys = losses.keys(recent, people.iter().copied());
        keys.extend(losses.unmanaged.iter().map(|member| member_key(*member)));
        let earlier = recent.people(kind, |key| keys.contains(key));
        match kind {
            EvidenceKind::Absent => {
                // Nobody knows why they lost it.
                let earlier = earlier + recent.elsewhere;
                let base = ledger.at_most(Limited::Absent, base);
                let limit = limit.losses(base);
                if members + earlier > limit && reasons.absent.is_none() {
                    reasons.shares_of.push((Limited::Absent, base));
                    let why = losses.why_absent(members, earlier, limit);
                    reasons.absent = reasons.add(why);
                }
            }
            EvidenceKind::Disabled => {
                let base = ledger.at_most(Limited::Disabled, base_of_disabled);
                let limit = limit.disabled(base);
                if members + earlier > limit {
                    reasons.shares_of.push((Limited::Disabled, base));
                    let why = HeldBecause::Disabled {
                        members,
                        earlier,
                        limit,
                    };
                    reasons.disabled = reasons.add(why);
                }
            }
        }
    }
}

/// Groups that would be deleted, and groups that would lose too many of their members.
fn groups(
    reasons: &mut Reasons,
    losses: &Losses<'_>,
    recent: &Recent,
    plan: &Plan,
    policy: &Policy,
    ledger: &Ledger,
) {
    let limit = policy.offboarding.limit;
    if !losses.deleted.is_empty() && !limit.is_off() {
        let keys = losses.keys(recent, losses.deleted.iter().copied());
        let earlier = recent.groups(|key| keys.contains(key));
        let total = ledger.at_most(Limited::Groups, plan.counts.managed_groups + earlier);
        let limit = limit.losses(total);
        let groups = losses.deleted.len();
        if groups + earlier > limit {
            reasons.shares_of.push((Limited::Groups, total));
            let why = HeldBecause::DeletedGroups {
                groups,
                earlier,
                limit,
            };
            reasons.deletions = reasons.add(why);
        }
    }
    for (group, leaving) in &losses.groups {
        // By the name that it has in Bitwarden, and by the one that it gets.
        let current = losses.renamed.get(group).map(|(from, _)| *from);
        // A server that can't rename keeps the first one.
        let on_server = plan
            .sent
            .as_ref()
            .and_then(|sent| sent.server_names.get(*group));
        let current = current.or(on_server.map(|name| &**name));
        let names = current.into_iter().chain([leaving.name]);
        let protected = names.into_iter().find(|name| is_protected(policy, name));
        let protected = protected.filter(|_| leaving.any());
        let by = if let Some(name) = protected {
            reasons.add(HeldBecause::ProtectedGroup {
                name: name.into(),
                members: leaving.absent.len() + leaving.disabled.len(),
            })
        } else {
            let exceeded = exceeded(group, leaving, recent, losses, policy.groups.limit, ledger);
            exceeded.and_then(|(why, size)| {
                reasons.shares_of.extend(size);
                reasons.add(why)
            })
        };
        if let Some(by) = by {
            let held = HeldGroup {
                by,
                protected: protected.is_some(),
            };
            reasons.groups.insert((*group).clone(), held);
            let removed = leaving.removed.iter();
            let removed =
                removed.filter(|(_, kind)| protected.is_some() || *kind == EvidenceKind::Absent);
            let removed = removed.map(|(id, _)| ((*id).clone(), by));
            reasons.people.extend(removed);
            if leaving.deleted && protected.is_some() {
                // It is kept, and so is whoever is in it.
                let removed = leaving
                    .absent
                    .iter()
                    .filter(|id| losses.removed.contains_key(*id));
                reasons.people.extend(removed.map(|id| ((*id).clone(), by)));
            }
        }
    }
    protected_names(reasons, losses, policy);
    for (name, leaving) in &plan.protected {
        let leaving = leaving.iter().filter(|id| losses.removed.contains_key(*id));
        let leaving: Vec<&ExternalId> = leaving.collect();
        if leaving.is_empty() {
            continue;
        }
        let why = HeldBecause::ProtectedGroup {
            name: name.clone(),
            members: leaving.len(),
        };
        if let Some(by) = reasons.add(why) {
            for id in leaving {
                reasons.people.entry(id.clone()).or_insert(by);
            }
        }
    }
}

/// Groups that would lose access because they aren't synced any more: the limits of their deletion hold that.
fn ended_groups(
    reasons: &mut Reasons,
    losses: &Losses<'_>,
    recent: &Recent,
    policy: &Policy,
    ledger: &Ledger,
) {
    let limit = policy.offboarding.limit;
    if !losses.ended.is_empty() && !limit.is_off() {
        let keys = losses.keys(recent, losses.ended.keys().copied());
        let earlier = recent.ended(|key| keys.contains(key));
        let mut bases = reasons.bases.iter();
        let total = bases.find(|(of, _)| *of == Limited::Groups);
        let total = ledger.at_most(Limited::Groups, total.map_or(0, |(_, total)| *total));
        let limit = limit.losses(total);
        let groups = losses.ended.len();
        if groups + earlier > limit {
            reasons.shares_of.push((Limited::Groups, total));
            let why = HeldBecause::EndedGroups {
                groups,
                earlier,
                limit,
            };
            reasons.ended = reasons.add(why);
        }
    }
    for (group, leaving) in &losses.ended {
        let limit = if is_protected(policy, leaving.name) {
            None
        } else {
            let exceeded = exceeded(group, leaving, recent, losses, policy.groups.limit, ledger);
            let Some((HeldBecause::Group { limit, .. }, size)) = exceeded else {
                continue;
            };
            reasons.shares_of.extend(size);
            Some(limit)
        };
        let by = reasons.add(HeldBecause::EndedGroup {
            name: leaving.name.into(),
            members: leaving.absent.len(),
            limit,
        });
        let by = by.map(|by| ((*group).clone(), by));
        reasons.ended_groups.extend(by);
    }
}

fn is_protected(policy: &Policy, name: &str) -> bool {
    let patterns = &policy.groups.protected;
    !patterns.is_empty() && passes(patterns, &[], &fold(name))
}

/// A protected group keeps the name that it is protected by, also where nobody leaves it now.
fn protected_names(reasons: &mut Reasons, losses: &Losses<'_>, policy: &Policy) {
    for (group, (from, to)) in &losses.renamed {
        let ends = is_protected(policy, from) && !is_protected(policy, to);
        if !ends || reasons.is_protected(group) {
            continue;
        }
        let why = HeldBecause::ProtectedGroup {
            name: (*from).into(),
            members: 0,
        };
        if let Some(by) = reasons.add(why) {
            let protected = true;
            let held = HeldGroup { by, protected };
            reasons.groups.insert((*group).clone(), held);
        }
    }
    // Nor does another group get the name of one that keeps it.
    let renamed = losses
        .renamed
        .iter()
        .map(|(group, (from, _))| (group, *from));
    let deleted = losses.groups.iter().filter(|(_, leaving)| leaving.deleted);
    let deleted = deleted.map(|(group, leaving)| (group, leaving.name));
    let names = renamed.chain(deleted);
    let kept = names.filter_map(|(group, name)| Some((name, reasons.groups.get(*group)?)));
    let kept = kept.filter(|(_, held)| held.protected);
    let kept: HashMap<Cow<'_, str>, usize> =
        kept.map(|(name, held)| (fold(name), held.by)).collect();
    for (group, (_, to)) in &losses.renamed {
        if let Some(by) = kept.get(&fold(to))
            && !reasons.is_protected(group)
        {
            let (by, protected) = (*by, true);
            let held = HeldGroup { by, protected };
            reasons.groups.insert((*group).clone(), held);
        }
    }
}

fn exceeded(
    group: &ExternalId,
    leaving: &Leaving<'_>,
    recent: &Recent,
    losses: &Losses<'_>,
    limit: Limit,
    ledger: &Ledger,
) -> Option<(HeldBecause, Option<(Limited, usize)>)> {
    let name = leaving.name.into();
    if limit.is_off() || (!leaving.deleted && leaving.absent.is_empty()) {
        return None;
    }
    if leaving.deleted && leaving.size.is_none() {
        // Nobody knows who would lose it.
        let why = HeldBecause::Group {
            name,
            members: 0,
            earlier: 0,
            limit: 0,
        };
        return Some((why, None));
    }
    let keys = losses.keys(recent, leaving.absent.iter().copied());
    let earlier = recent.left(group, |key| keys.contains(key));
    let members = leaving.absent.len();
    // Whoever left it and is in it again is one person.
    let back = match earlier {
        0 => 0,
        _ => {
            let inside: HashSet<[u8; 8]> = leaving.keep.iter().map(key).collect();
            recent.back_in(group, |key| inside.contains(key), |key| keys.contains(key))
        }
    };
    let size = leaving.size.unwrap_or_default() + earlier.saturating_sub(back);
    let of = Limited::Group(key(group));
    // A group that was too small for a limit and isn't any more has that of the smallest that has one.
    let smallest = size.min(SMALLEST_LIMITED_GROUP);
    let size = ledger.at_most(of, size).max(smallest);
    let limit = limit.of_group(size)?;
    let why = HeldBecause::Group {
        name,
        members,
        earlier,
        limit,
    };
    (members + earlier > limit).then_some((why, Some((of, size))))
}

/// People who would be invited or get their access back: so many leavers as would double an organization
/// don't come back because a directory says for once that they are active. Who gets an account at a new
/// address in place of the old one isn't new; neither is anybody known to be where what was sent isn't
/// known any more, and all of that is held anyway.
fn invitations(
    reasons: &mut Reasons,
    recent: &Recent,
    plan: &Plan,
    policy: &Policy,
    ledger: &Ledger,
) {
    let counts = &plan.counts;
    let limit = policy.onboarding.limit;
    // Many members whom the directory doesn't know beside many new people: their IDs have changed,
    // and a first sync would invite everybody again.
    let recognized = counts.unrecognized
        <= policy
            .offboarding
            .limit
            .losses(counts.with_access + counts.invited);
    // Whoever asks for an undo has seen whom it gives access.
    if plan.undoes.is_some() {
        return;
    }
    let first = ledger.is_to_be_filled(plan) || (ledger.is_first_sync() && recognized);
    if first || limit.is_off() {
        return;
    }
    // Whoever is held for another reason isn't invited, and is looked at one by one.
    let gives = |change: &&Change| {
        plan.invites_new(change) && !is_doubtful(plan, change) || change.kind() == Kind::Restore
    };
    let people = plan.changes.iter().filter(gives);
    let goes_on = |change: &&Change| !reasons.covered.has(change) && !reasons.undone.has(change);
    let people = people.filter(goes_on).count();
    // Whom a stopped run didn't invite is invited now.
    let again = plan.changes.iter().filter(gives);
    let again = recent.pending(again.map(Change::external_id));
    let earlier = recent.invited + recent.maybe_invited.saturating_sub(again);
    let members = counts.with_access + counts.invited;
    let before = members.saturating_sub(earlier + recent.approved);
    let total = ledger.at_most(Limited::Invited, before);
    let limit = limit.growth(total);
    if people > 0 && people + earlier > limit {
        reasons.shares_of.push((Limited::Invited, total));
        let why = HeldBecause::Invited {
            people,
            earlier,
            limit,
        };
        reasons.invitations = reasons.add(why);
    }
}

/// People who would gain or lose rights of their role: few do in a day, and each matters.
fn roles(reasons: &mut Reasons, plan: &Plan, policy: &Policy, ledger: &Ledger) {
    // Whoever asks for an undo has seen whom it gives which role.
    if plan.undoes.is_some() {
        return;
    }
    let changes = plan.changes.iter().filter(|change| change.role().is_some());
    let changes: Vec<&Change> = changes
        .filter(|change| !reasons.sets_aside(change))
        .collect();
    if changes.is_empty() {
        return;
    }
    let recent = ledger.recent_roles(&changes);
    let limit = policy.access.limit;
    let count = |which: fn(&RoleChange) -> bool| {
        let roles = changes.iter().filter_map(|change| change.role());
        roles.filter(|role| which(role)).count()
    };
    let why = |people: usize, earlier: usize, lost: bool| {
        (people > 0 && people + earlier > limit).then_some(HeldBecause::Roles {
            people,
            earlier,
            limit,
            lost,
        })
    };
    let gained = why(count(RoleChange::gives), recent.gained, false);
    let lost = why(count(RoleChange::takes_away), recent.lost, true);
    reasons.gained_roles = gained.and_then(|why| reasons.add(why));
    reasons.lost_roles = lost.and_then(|why| reasons.add(why));
    // Somebody who stays in a group until that is approved keeps what they have by it.
    for change in &plan.changes {
        let Some(GroupAction::Update(update)) = change.group() else {
            continue;
        };
        for leaving in &update.remove {
            if let Some(by) = reasons.holds_removed_member(change.external_id(), leaving) {
                reasons
                    .kept_in
                    .entry(leaving.external_id.clone())
                    .or_insert(by);
            }
        }
    }
}

/// People who would gain access to collections: one rule may give it to everybody, and whoever has seen a secret
/// knows it.
fn collections(reasons: &mut Reasons, plan: &Plan, policy: &Policy, ledger: &Ledger) {
    // Whoever asks for an undo has seen what it gives back.
    if plan.undoes.is_some() {
        return;
    }
    let changes = plan.changes.iter();
    let changes = changes.filter(|change| !reasons.sets_aside(change));
    let gains = GainedAccess::of(changes);
    let why = |people: &HashSet<Key>, earlier: usize, limit: usize, manage: bool| {
        let people = people.len();
        (people > 0 && people + earlier > limit).then_some(HeldBecause::Collections {
            people,
            earlier,
            limit,
            manage,
        })
    };
    let recent = ledger.recent_access(&gains);
    let manage = why(&gains.manage, recent.manage, policy.access.limit, true);
    // Whom a run invited within the day doesn't raise what others may gain.
    let invited = ledger.recent().came_in();
    let members = plan.counts.with_access + plan.counts.invited;
    let base = members.saturating_sub(invited).min(plan.counts.with_access);
    let limit = policy.access.collections_limit;
    let any = match limit.is_off() {
        true => None,
        false => why(&gains.any, recent.any, limit.growth(base), false),
    };
    reasons.gained_manage = manage.and_then(|why| reasons.add(why));
    reasons.gained_access = any.and_then(|why| reasons.add(why));
}

/// Who would lose what by a plan, without what is approved already.
#[derive(Default)]
struct Losses<'a> {
    absent: HashSet<&'a ExternalId>,
    disabled: HashSet<&'a ExternalId>,
    /// Of the absent, who would lose a role or access by rules, who isn't one of ours and would, and who hasn't
    /// accepted an invitation.
    by_rules: HashSet<&'a ExternalId>,
    unmanaged_by_rules: BTreeSet<Uuid>,
    invitations: HashSet<&'a ExternalId>,
    /// Who really is absent, out of scope or out of a group.
    gone: HashSet<&'a ExternalId>,
    /// Of those, who would lose access or membership.
    access: HashSet<&'a ExternalId>,
    /// Members of deleted groups, and of groups that lose access to collections, who aren't managed.
    unmanaged: BTreeSet<Uuid>,
    deleted: Vec<&'a ExternalId>,
    /// Groups that lose access because they aren't synced any more, with who is in them.
    ended: BTreeMap<&'a ExternalId, Leaving<'a>>,
    /// Who is removed from the organization.
    removed: HashMap<&'a ExternalId, EvidenceKind>,
    /// The names that groups have in Bitwarden and get, where the plan changes them and that isn't
    /// approved.
    renamed: BTreeMap<&'a ExternalId, (&'a str, &'a str)>,
    /// In the order of their ids, so that reasons are.
    groups: BTreeMap<&'a ExternalId, Leaving<'a>>,
}

/// Who would leave one group.
#[derive(Default)]
struct Leaving<'a> {
    name: &'a str,
    absent: HashSet<&'a ExternalId>,
    disabled: HashSet<&'a ExternalId>,
    /// Who of them leaves it by being removed from the organization.
    removed: Vec<(&'a ExternalId, EvidenceKind)>,
    /// Managed members in it, whether they are moved in this run or not; `None` where that isn't known.
    size: Option<usize>,
    /// Who of them stays, where that isn't told by the number alone.
    keep: &'a [ExternalId],
    deleted: bool,
}

impl<'a> Leaving<'a> {
    fn of_kind(&mut self, kind: EvidenceKind) -> &mut HashSet<&'a ExternalId> {
        match kind {
            EvidenceKind::Disabled => &mut self.disabled,
            EvidenceKind::Absent => &mut self.absent,
        }
    }

    fn any(&self) -> bool {
        !self.absent.is_empty() || !self.disabled.is_empty() || self.deleted
    }
}

impl<'a> Losses<'a> {
    fn of(plan: &'a Plan, reasons: &Reasons) -> Self {
        let mut losses = Self::default();
        for change in &plan.changes {
            if let Some(GroupAction::Rename { from }) = change.group()
                && !reasons.sets_aside(change)
            {
                let names = (&**from, change.subject.label());
                losses.renamed.insert(change.external_id(), names);
            }
            if change.takes_away() {
                losses.add(change, reasons);
            }
        }
        for state in plan.groups.iter().filter(|state| !state.leaving.is_empty()) {
            let entry = losses.groups.entry(&state.external_id).or_default();
            entry.name = &state.name;
            entry.size.get_or_insert(state.stays + state.leaving.len());
            for id in &state.leaving {
                let Some(&kind) = losses.removed.get(id) else {
                    continue;
                };
                if !reasons.covered.has_withdrawal(&state.external_id, id) {
                    entry.of_kind(kind).insert(id);
                    entry.removed.push((id, kind));
                }
            }
        }
        // Whoever isn't moved in this run doesn't make the group smaller.
        let unmanaged = plan.groups.iter().filter_map(|state| {
            let count = state.unmanaged.filter(|count| *count > 0)?;
            Some((&state.external_id, count))
        });
        for (group, count) in unmanaged {
            let leaving = losses.groups.get_mut(group);
            if let Some(size) = leaving.and_then(|leaving| leaving.size.as_mut()) {
                *size += count as usize;
            }
        }
        losses
    }

    fn add(&mut self, change: &'a Change, reasons: &Reasons) {
        let id = change.external_id();
        match &change.action {
            Action::Member(
                action @ (MemberAction::Revoke { evidence } | MemberAction::Remove { evidence }),
            ) if !reasons.sets_aside(change) => {
                self.of_kind(evidence.into()).insert(id);
                match change.withdraws_invitation() {
                    true => self.invitations.insert(id),
                    false => self.gone.insert(id),
                };
                self.access.insert(id);
                if matches!(action, MemberAction::Remove { .. }) {
                    self.removed.insert(id, evidence.into());
                }
            }
            Action::Member(MemberAction::SetRole(_)) if !reasons.sets_aside(change) => {
                self.of_kind(EvidenceKind::Absent).insert(id);
                self.by_rules.insert(id);
            }
            Action::Group(GroupAction::SetCollections(access)) if !reasons.sets_aside(change) => {
                self.absent.extend(&access.losing);
                self.by_rules.extend(&access.losing);
                if access.takes_away() {
                    self.unmanaged.extend(&access.others);
                    self.unmanaged_by_rules.extend(&access.others);
                }
                if access.is_of_ended_group() {
                    let leaving = Leaving {
                        name: change.subject.label(),
                        size: Some(access.losing.len()),
                        absent: access.losing.iter().collect(),
                        ..Leaving::default()
                    };
                    self.ended.insert(id, leaving);
                }
            }
            Action::Group(GroupAction::Update(update)) => {
                let mut leaving = Leaving {
                    name: change.subject.label(),
                    size: Some(update.keep.len() + update.remove.len()),
                    keep: &update.keep,
                    ..Leaving::default()
                };
                for withdrawal in &update.remove {
                    let member = &withdrawal.external_id;
                    if reasons.sets_withdrawal_aside(id, withdrawal) {
                        continue;
                    }
                    let kind = EvidenceKind::from(&withdrawal.evidence);
                    self.gone.insert(member);
                    self.of_kind(kind).insert(member);
                    leaving.of_kind(kind).insert(member);
                }
                self.groups.insert(id, leaving);
            }
            Action::Group(GroupAction::Delete(deletion)) if !reasons.sets_aside(change) => {
                let absent: HashSet<&ExternalId> = deletion.members.iter().flatten().collect();
                self.absent.extend(&absent);
                self.gone.extend(&absent);
                self.unmanaged.extend(&deletion.unmanaged);
                self.deleted.push(id);
                let leaving = Leaving {
                    name: change.subject.label(),
                    size: deletion.members.as_ref().map(Vec::len),
                    absent,
                    deleted: true,
                    ..Leaving::default()
                };
                self.groups.insert(id, leaving);
            }
            _ => {}
        }
    }

    fn of_kind(&mut self, kind: EvidenceKind) -> &mut HashSet<&'a ExternalId> {
        match kind {
            EvidenceKind::Disabled => &mut self.disabled,
            EvidenceKind::Absent => &mut self.absent,
        }
    }

    fn people(&self, kind: EvidenceKind) -> &HashSet<&'a ExternalId> {
        match kind {
            EvidenceKind::Disabled => &self.disabled,
            EvidenceKind::Absent => &self.absent,
        }
    }

    /// How those lose something who aren't disabled.
    fn why_absent(&self, members: usize, earlier: usize, limit: usize) -> HeldBecause {
        let by_rules = self.by_rules.len() + self.unmanaged_by_rules.len();
        let invitations = self.invitations.len();
        if by_rules + invitations == 0 {
            return HeldBecause::Absent {
                members,
                earlier,
                limit,
            };
        }
        let absent = self.gone.intersection(&self.absent).count();
        let unmanaged = self.unmanaged.difference(&self.unmanaged_by_rules).count();
        HeldBecause::Losing {
            members,
            absent: absent + unmanaged,
            by_rules,
            invitations,
            earlier,
            limit,
        }
    }

    /// Who would lose access or membership on absence.
    fn absent_without_access(&self) -> impl Iterator<Item = &&'a ExternalId> {
        self.absent
            .iter()
            .filter(|person| self.access.contains(*person))
    }

    fn are_none(&self) -> bool {
        self.absent.is_empty()
            && self.disabled.is_empty()
            && self.deleted.is_empty()
            && self.ended.is_empty()
            && self.unmanaged.is_empty()
    }

    fn rest_on_absence(&self) -> bool {
        !self.absent.is_empty()
            || !self.deleted.is_empty()
            || !self.ended.is_empty()
            || !self.unmanaged.is_empty()
    }

    /// How many people lost access within the last day and are no part of this plan: when the day
    /// began, they were part of what limits are a share of.
    fn without_access(&self, recent: &Recent) -> usize {
        let keys = self.keys(recent, self.access.iter().copied());
        recent.without_access(|key| keys.contains(key))
    }

    /// The keys of these people or groups, where there is anything to compare them with.
    fn keys<'b>(
        &self,
        recent: &Recent,
        ids: impl Iterator<Item = &'b ExternalId>,
    ) -> HashSet<[u8; 8]> {
        if recent.is_empty() {
            return HashSet::new();
        }
        ids.map(key).collect()
    }
}
