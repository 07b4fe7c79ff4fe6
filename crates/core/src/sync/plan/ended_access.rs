//! Access of groups that aren't synced any more, because the directory doesn't have them or a filter leaves them out.
//!
//! No rule is about them, so what a run gave goes. The evidence is that by which `groups.prune` would delete the group,
//! and the guard holds it as it would hold that. Where it isn't certain what became of the group, or whose the access
//! is, it stays and is told.

use std::collections::HashSet;

use uuid::Uuid;

use crate::directory::{Evidence, ExternalId};
use crate::organization::collection::{AccessChange, CollectionAccess};
use crate::organization::model::Group;
use crate::problem::{Problem, ProblemReason};
use crate::sync::plan::collections::{Decided, Doubtful, Known, Sides, Unclear, unclear};
use crate::sync::plan::groups::{Ended, Target};
use crate::sync::plan::{
    Action, Change, CollectionsChange, GroupAction, Reason, Revocations, Subject,
};
use crate::text::sanitize;

/// Decides about them, once it is known what the synced groups get. By rules that fit no group somebody may still be
/// meant to have what is on `doubtful` collections.
pub(super) fn decide(
    sides: &Sides<'_>,
    known: &Known<'_>,
    doubtful: &Doubtful,
    earlier: &impl Revocations,
    decided: &mut Decided,
) {
    if earlier.given_access() == 0 {
        return;
    }
    let synced: HashSet<Uuid> = sides
        .targets
        .iter()
        .filter_map(|(_, target)| match target {
            Target::New => None,
            Target::Existing(group) | Target::Relinked(group) => Some(*group),
        })
        .collect();
    // Who was in the group may be in one that gets the access in its place, in this run or once it is made: nobody
    // loses it before that group has it, for the gift can be held, refused or cut off.
    let given = decided
        .changes
        .iter()
        .filter_map(|change| match &change.action {
            Action::Group(GroupAction::SetCollections(access)) => Some(&access.changes),
            _ => None,
        });
    let follows = decided.follows.values().chain(given).flatten();
    let follows: HashSet<Uuid> = follows
        .filter(|one| one.gives())
        .map(|one| one.id)
        .collect();
    for group in &sides.content.groups {
        let ended = sides.ended.get(&group.id);
        if synced.contains(&group.id) || ended == Some(&Ended::Deleted) {
            continue;
        }
        let access = group.collections.iter().flatten().copied();
        let access: Vec<CollectionAccess> = access
            .filter(|access| !doubtful.contains(access.id))
            .collect();
        let own = access.iter().copied();
        let own = own.filter(|access| earlier.has_given_access(group.id, *access));
        let own: Vec<CollectionAccess> = own.collect();
        match (ended, &group.external_id) {
            (Some(Ended::Known(evidence)), Some(id)) => {
                let now = own.into_iter();
                let now: Vec<CollectionAccess> =
                    now.filter(|access| !follows.contains(&access.id)).collect();
                let change = (!now.is_empty()).then(|| take_back(group, id, &now, known, evidence));
                decided.changes.extend(change);
            }
            _ if own.is_empty() => {}
            (ended, _) => decided
                .problems
                .push(kept(group, &own, known, ended.is_some())),
        }
        let name = (group.external_id.as_ref(), &*group.name);
        let access = access.iter();
        let may_be = access.filter_map(|access| Unclear::of(group.id, *access, earlier));
        let may_be = may_be.map(|access| unclear(name, access, known));
        decided.problems.extend(may_be);
    }
}

fn take_back(
    group: &Group,
    id: &ExternalId,
    access: &[CollectionAccess],
    known: &Known<'_>,
    evidence: &Evidence,
) -> Change {
    let mut changes: Vec<AccessChange> = access
        .iter()
        .map(|access| AccessChange {
            id: access.id,
            external_id: known.external_id(access.id).map(Into::into),
            from: Some(*access),
            to: None,
        })
        .collect();
    changes.sort_unstable_by_key(|one| one.id);
    Change {
        subject: Subject::group(id.clone(), group.name.clone(), Some(group.id)),
        reason: Reason::AccessCollectionsEnded,
        // Who is in it is known once it was read.
        action: Action::Group(GroupAction::SetCollections(Box::new(CollectionsChange {
            changes,
            losing: vec![],
            gaining: vec![],
            others: vec![],
            evidence: Some(evidence.clone()),
        }))),
    }
}

/// Access stays that a run gave to a group that isn't synced any more, and nobody can tell what became of the group.
fn kept(
    group: &Group,
    access: &[CollectionAccess],
    known: &Known<'_>,
    may_be_there: bool,
) -> Problem {
    let named = access.iter().map(|access| {
        let name = known.external_id(access.id);
        let name = name.map_or_else(|| access.id.to_string(), sanitize);
        format!("{} on {name}", access.right().name())
    });
    let named: Vec<String> = named.collect();
    let (name, named) = (sanitize(&group.name), named.join(", "));
    let message = match may_be_there {
        // Two groups have its external ID, for one.
        false if group.external_id.is_some() => format!(
            "access.collections: group {name} keeps {named}, which a sync gave: it isn't certain which group of \
             the directory it is, or whether it is one; what else is reported of it says more"
        ),
        true => format!(
            "access.collections: group {name} keeps {named}, which a sync gave, as long as an entry of the \
             directory can't be identified that may be this group"
        ),
        false => format!(
            "access.collections: group {name} keeps {named}, which a sync gave, and isn't one of the groups \
             that are synced any more: take it away in Bitwarden, unless it is meant to be"
        ),
    };
    let ids: Vec<ExternalId> = group.external_id.iter().cloned().collect();
    Problem::new(ProblemReason::AccessKept, message, ids)
}
