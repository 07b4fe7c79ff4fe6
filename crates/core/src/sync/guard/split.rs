//! Takes what is held out of a plan.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::postpone;
use super::weigh::Reasons;
use crate::directory::ExternalId;
use crate::sync::plan::{
    Action, Change, GroupAction, Kind, MemberAction, Name, Plan, RemovedMember, Update,
};

/// A plan without what is held, and that.
pub(super) struct Split {
    pub plan: Plan,
    pub changes: Vec<Change>,
    /// Which reason holds each of `changes`.
    pub by: Vec<usize>,
    /// Who comes into a group once it gets the name that is held.
    pub kept_out: HashMap<ExternalId, Vec<ExternalId>>,
}

pub(super) fn split(mut plan: Plan, reasons: &Reasons) -> Split {
    let not_in = keep_out(&mut plan, reasons);
    let mut held: Vec<(Change, usize)> = vec![];
    let mut withheld: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    let mut uninvited: HashSet<ExternalId> = HashSet::new();
    let mut not_renamed: HashMap<ExternalId, Box<str>> = HashMap::new();
    let mut kept_out: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    let mut not_made: HashSet<ExternalId> = HashSet::new();
    let mut not_relinked: HashMap<ExternalId, Kept> = HashMap::new();
    for change in std::mem::take(&mut plan.changes) {
        let whole = reasons.holds_whole(&change);
        if !whole && matches!(change.group(), Some(GroupAction::Update(_))) {
            let (mut goes_ahead, waits) = split_update(change, reasons);
            // An update may be sent with the group's name.
            if let Some(change) = &mut goes_ahead
                && let Some(name) = not_renamed.get(change.external_id())
            {
                change.subject.name = Name::Group(name.clone());
            }
            plan.changes.extend(goes_ahead);
            if let Some((change, by)) = waits {
                let leaving = removed(&change).map(RemovedMember::id).collect();
                let group = change.subject.external_id.clone();
                if let Some(GroupAction::Update(update)) = change.group() {
                    kept_out.insert(group.clone(), update.add.clone());
                }
                withheld.insert(group, leaving);
                held.push((change, by));
            }
            continue;
        }
        match reasons.holds(&change) {
            None => plan.changes.push(change),
            Some(by) => {
                if !whole && matches!(change.member(), Some(MemberAction::Invite { .. })) {
                    uninvited.insert(change.external_id().clone());
                }
                if let Some(GroupAction::Rename { from }) = change.group() {
                    not_renamed.insert(change.external_id().clone(), from.clone());
                }
                if reasons.leaves_group(&change) {
                    not_made.insert(change.external_id().clone());
                }
                if let Some(keeps) = Kept::without(&change) {
                    not_relinked.insert(change.external_id().clone(), keeps);
                }
                held.push((change, by));
            }
        }
    }
    if !uninvited.is_empty() {
        // So that they are taken out of the groups, too.
        let invitations = held.iter().map(|(change, _)| change);
        let invitations = invitations.filter(|one| one.kind() == Kind::Invite);
        let invitations = invitations.filter(|one| uninvited.contains(one.external_id()));
        let invitations: Vec<Change> = invitations.cloned().collect();
        plan.changes.splice(0..0, invitations);
        postpone(&mut plan, &uninvited);
    }
    // What a group that isn't made holds is known once it is.
    plan.groups
        .retain(|state| !not_made.contains(&state.external_id));
    keep_ids(&mut plan, &not_relinked);
    keep_invited(&mut plan, &held);
    for state in &mut plan.groups {
        let out = kept_out.remove(&state.external_id);
        state.missing.extend(out.unwrap_or_default());
        state.extra.extend(
            withheld
                .get(&state.external_id)
                .into_iter()
                .flatten()
                .cloned(),
        );
    }
    if let Some(sent) = &plan.sent {
        // A new address is invited only once the old one is revoked. Until then the groups hold the
        // account at the old one.
        let held = held.iter().map(|(change, _)| change);
        let held = held.filter(|change| change.member().is_some());
        let held: HashSet<&ExternalId> = held.map(Change::external_id).collect();
        let replaced = sent.replaced.iter();
        let waiting: HashSet<&ExternalId> = replaced
            .filter(|(former, _)| held.contains(former))
            .map(|(_, id)| id)
            .collect();
        plan.changes.retain_mut(|change| {
            let id = change.subject.external_id.clone();
            match &mut change.action {
                Action::Member(_) => !waiting.contains(&id),
                Action::Group(GroupAction::Update(update)) => {
                    let refilled = sent.refilled.get(&id);
                    refilled.is_none_or(|refilled| {
                        let stay = |id: &ExternalId| waiting.contains(id) && refilled.contains(id);
                        let stay: Vec<ExternalId> =
                            update.add.extract_if(.., |id| stay(id)).collect();
                        let is_changed =
                            stay.is_empty() || !update.add.is_empty() || !update.remove.is_empty();
                        update.keep.extend(stay);
                        update.keep.sort_unstable();
                        is_changed
                    })
                }
                Action::Group(_) => true,
            }
        });
    }
    let (changes, by) = held.into_iter().unzip();
    Split {
        plan,
        changes,
        by,
        kept_out: not_in,
    }
}

/// What a member who doesn't get a new external id has in its place.
pub(in crate::sync) enum Kept {
    Has(ExternalId),
    /// None: they are known by their id in Bitwarden alone.
    HasNone(Uuid),
}

impl Kept {
    /// Where this change isn't made; `None` of one that gives no external id.
    pub(in crate::sync) fn without(change: &Change) -> Option<Self> {
        match change.member()? {
            MemberAction::Relink { from } => Some(Self::Has(from.clone())),
            MemberAction::Link => change.subject.id.map(Self::HasNone),
            _ => None,
        }
    }
}

/// Members who don't get a new external id stay in their groups as they are, and come into no other group.
pub(in crate::sync) fn keep_ids(plan: &mut Plan, not_relinked: &HashMap<ExternalId, Kept>) {
    if not_relinked.is_empty() || plan.is_write_only() {
        return;
    }
    let mut late: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    let undoes = plan.undoes.as_ref();
    // Others come back into such a group, whom nobody manages.
    let filled = undoes.map(|undoes| undoes.made_again.keys().cloned().collect());
    let filled: HashSet<ExternalId> = filled.unwrap_or_default();
    plan.changes.retain_mut(|change| {
        let id = change.subject.external_id.clone();
        let add = match &mut change.action {
            Action::Group(GroupAction::Create { add }) => add,
            Action::Group(GroupAction::Update(update)) => {
                let unmanaged = &mut update.unmanaged;
                update.keep.retain_mut(|one| match not_relinked.get(one) {
                    None => true,
                    Some(Kept::Has(from)) => {
                        *one = from.clone();
                        true
                    }
                    Some(Kept::HasNone(member)) => {
                        unmanaged.iter_mut().for_each(|all| all.push(*member));
                        false
                    }
                });
                update.keep.sort_unstable();
                update
                    .unmanaged
                    .iter_mut()
                    .for_each(|all| all.sort_unstable());
                &mut update.add
            }
            _ => return true,
        };
        let out: Vec<ExternalId> = add
            .extract_if(.., |one| not_relinked.contains_key(one))
            .collect();
        let is_empty = !out.is_empty() && add.is_empty();
        let is_filled = filled.contains(&id);
        late.insert(id, out);
        let is_update = change.kind() == Kind::UpdateGroup;
        !(is_empty && is_update) || is_filled || change.takes_away()
    });
    for state in &mut plan.groups {
        let late = late.remove(&state.external_id);
        state.missing.extend(late.unwrap_or_default());
    }
}

/// Whose invitation an undo doesn't take back yet stays in the groups that they would have left with it.
fn keep_invited(plan: &mut Plan, held: &[(Change, usize)]) {
    let Some(undoes) = &plan.undoes else { return };
    let mut stays: HashMap<Uuid, Vec<ExternalId>> = HashMap::new();
    let removals = held.iter().map(|(change, _)| change);
    for change in removals.filter(|change| change.kind() == Kind::Remove) {
        let groups = undoes.leaves.get(change.external_id());
        for group in groups.into_iter().flatten().filter_map(|one| one.group_id) {
            let id = change.external_id().clone();
            stays.entry(group).or_default().push(id);
        }
    }
    for change in &mut plan.changes {
        if let Action::Group(GroupAction::Update(update)) = &mut change.action
            && let Some(ids) = change.subject.id.and_then(|group| stays.remove(&group))
        {
            update.keep.extend(ids);
            update.keep.sort_unstable();
        }
    }
}

/// Nobody comes into a group whose new name is held: by the name that it keeps it may be for others. Who would.
fn keep_out(plan: &mut Plan, reasons: &Reasons) -> HashMap<ExternalId, Vec<ExternalId>> {
    let mut late: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    plan.changes.retain_mut(|change| {
        let id = change.subject.external_id.clone();
        let Action::Group(GroupAction::Update(update)) = &mut change.action else {
            return true;
        };
        if update.add.is_empty() || !reasons.holds_name(&id) {
            return true;
        }
        late.insert(id, std::mem::take(&mut update.add));
        !update.remove.is_empty()
    });
    if late.is_empty() {
        return late;
    }
    for state in &mut plan.groups {
        let late = late.get(&state.external_id);
        state.missing.extend(late.into_iter().flatten().cloned());
    }
    late
}

/// An update of a group without what is held of it (where anything is left), and that.
fn split_update(
    mut change: Change,
    reasons: &Reasons,
) -> (Option<Change>, Option<(Change, usize)>) {
    let group = change.subject.external_id.clone();
    let Action::Group(GroupAction::Update(update)) = &mut change.action else {
        return (Some(change), None);
    };
    let mut by = None;
    let stays: Vec<RemovedMember> = update
        .remove
        .extract_if(.., |leaving| {
            let held = reasons.holds_removed_member(&group, leaving);
            by = by.or(held);
            held.is_some()
        })
        .collect();
    let outside: Vec<ExternalId> = update
        .add
        .extract_if(.., |id| {
            let held = reasons.holds_added_member(&group, id);
            by = by.or(held);
            held.is_some()
        })
        .collect();
    let Some(by) = by else {
        return (Some(change), None);
    };
    let before = update.keep.clone();
    update.keep.extend(stays.iter().map(RemovedMember::id));
    update.keep.sort_unstable();
    let held = Update {
        add: outside,
        remove: stays,
        keep: before,
        unmanaged: update.unmanaged.clone(),
    };
    let nothing_left = update.add.is_empty() && update.remove.is_empty();
    let waits = Change {
        subject: change.subject.clone(),
        reason: change.reason,
        action: Action::Group(GroupAction::Update(Box::new(held))),
    };
    ((!nothing_left).then_some(change), Some((waits, by)))
}

fn removed(change: &Change) -> impl Iterator<Item = &RemovedMember> {
    let update = match change.group() {
        Some(GroupAction::Update(update)) => Some(update),
        _ => None,
    };
    update.into_iter().flat_map(|update| &update.remove)
}
