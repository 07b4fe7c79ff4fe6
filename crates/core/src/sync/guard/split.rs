//! Takes what is held out of a plan.

use std::collections::{HashMap, HashSet};

use super::postpone;
use super::weigh::Reasons;
use crate::directory::ExternalId;
use crate::sync::plan::{
    Action, Change, GroupAction, MemberAction, Name, Plan, RemovedMember, Update,
};

/// A plan without what is held, and that.
pub(super) struct Split {
    pub plan: Plan,
    pub changes: Vec<Change>,
    /// Which reason holds each of `changes`.
    pub by: Vec<usize>,
}

pub(super) fn split(mut plan: Plan, reasons: &Reasons) -> Split {
    keep_out(&mut plan, reasons);
    let mut held: Vec<(Change, usize)> = vec![];
    let mut withheld: HashMap<ExternalId, Vec<ExternalId>> = HashMap::new();
    let mut uninvited: HashSet<ExternalId> = HashSet::new();
    let mut not_renamed: HashMap<ExternalId, Box<str>> = HashMap::new();
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
                withheld.insert(change.subject.external_id.clone(), leaving);
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
                held.push((change, by));
            }
        }
    }
    if !uninvited.is_empty() {
        // So that they are taken out of the groups, too.
        let invitations = held
            .iter()
            .filter(|(change, _)| uninvited.contains(change.external_id()));
        let invitations: Vec<Change> = invitations.map(|(change, _)| change.clone()).collect();
        plan.changes.splice(0..0, invitations);
        postpone(&mut plan, &uninvited);
    }
    for state in &mut plan.groups {
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
        let held: HashSet<&ExternalId> = held
            .iter()
            .map(|(change, _)| change.external_id())
            .collect();
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
    Split { plan, changes, by }
}

/// Nobody comes into a group whose new name is held: by the name that it keeps it may be for others.
fn keep_out(plan: &mut Plan, reasons: &Reasons) {
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
        return;
    }
    for state in &mut plan.groups {
        let late = late.remove(&state.external_id);
        state.missing.extend(late.unwrap_or_default());
    }
}

/// An update of a group without the withdrawals that are held (where anything is left of it), and
/// those.
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
    let Some(by) = by else {
        return (Some(change), None);
    };
    let before = update.keep.clone();
    update.keep.extend(stays.iter().map(RemovedMember::id));
    update.keep.sort_unstable();
    let held = Update {
        add: vec![],
        remove: stays,
        keep: before,
        unmanaged: update.unmanaged.clone(),
    };
    let nothing_left = update.add.is_empty() && update.remove.is_empty();
    let waits = Change {
        subject: change.subject.clone(),
        reason: change.reason,
        action: Action::Group(GroupAction::Update(held)),
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
