//! What the plan does about one person or group.

use std::collections::HashSet;

use uuid::Uuid;

use super::{Context, List, NAMED_MAX, NextRun, PlannedChange, shown};
use crate::directory::{Evidence, ExternalId};
use crate::organization::collection::describe_access;
use crate::sync::guard::HeldBecause;
use crate::sync::plan::{
    Action, Change, GroupAction, Kind, LEFT_GROUP, MemberAction, describe_role,
};

/// Whom it is about: all IDs that are theirs.
pub(super) struct Subject<'a> {
    pub external_ids: HashSet<&'a ExternalId>,
    pub ids: HashSet<Uuid>,
}

impl Context<'_> {
    /// All changes of the plan, with what holds them.
    fn changes(&self) -> impl Iterator<Item = (&Change, Option<&HeldBecause>)> {
        let guarded = self.decided.guarded;
        let ahead = guarded.approved.changes.iter().map(|change| (change, None));
        let held = guarded.held.iter().flat_map(|held| {
            let by = held.by.iter().map(|&by| Some(&held.why[by]));
            held.changes.iter().zip(by)
        });
        ahead.chain(held)
    }

    /// What keeps newcomers out of a group: its new name is held, because the one that it has is protected, or the
    /// new one.
    pub(super) fn kept_out(&self, group: &str, name: &str) -> Option<String> {
        let mut held = self.changes().filter_map(|(change, held)| {
            let is_renamed = change.kind() == Kind::RenameGroup;
            (is_renamed && change.external_id().as_str() == group).then_some(held?)
        });
        let because = held.find(|why| matches!(why, HeldBecause::ProtectedGroup { .. }))?;
        let limit = because.limit();
        Some(format!(
            "nobody comes into group {name} until it is approved that it gets that name, which is held ({limit}: \
             {because})"
        ))
    }

    fn next_run(
        &self,
        changes: Vec<PlannedChange>,
        notes: Vec<String>,
        rests_on_all_groups: bool,
    ) -> NextRun {
        let is_held = changes.iter().any(|change| change.held_by.is_some());
        NextRun {
            changes: List::of(changes, NAMED_MAX),
            digest: is_held.then(|| self.decided.guarded.digest.to_string()),
            notes,
            // Which ones are held together, and how many they are, is told of each.
            rests_on_all_groups: rests_on_all_groups || is_held,
        }
    }

    /// Whether the plan makes seats free, if no limit holds that.
    fn frees_seats(&self) -> bool {
        let mut ahead = self.decided.guarded.approved.changes.iter();
        ahead.any(|change| matches!(change.kind(), Kind::Revoke | Kind::Remove))
    }

    /// Whether it depends on the plan for other groups if this change goes ahead: it takes something away, and
    /// limits count everybody who loses something; or it gives what a limit counts by groups.
    fn rests_on_all_groups(&self, change: &Change) -> bool {
        match &change.action {
            Action::Member(action) => match action {
                MemberAction::Revoke { .. }
                | MemberAction::Remove { .. }
                | MemberAction::SetRole(_) => true,
                MemberAction::Invite { .. } | MemberAction::Restore => self.frees_seats(),
                MemberAction::Link
                | MemberAction::Relink { .. }
                | MemberAction::Unlink
                | MemberAction::Reinvite { .. } => false,
            },
            Action::Group(action) => match action {
                GroupAction::Delete(_) | GroupAction::SetCollections(_) => true,
                // Whoever has no seat yet doesn't come into it either.
                GroupAction::Update(update) => {
                    !update.remove.is_empty() || !update.add.is_empty() && self.frees_seats()
                }
                GroupAction::Create { add } => !add.is_empty() && self.frees_seats(),
                GroupAction::Relink { .. } | GroupAction::Unlink | GroupAction::Rename { .. } => {
                    false
                }
            },
        }
    }

    /// What is planned about a person.
    pub(super) fn of_person(&self, subject: &Subject<'_>) -> NextRun {
        let mut changes = vec![];
        let (mut read, mut rests) = (HashSet::new(), false);
        for (change, held) in self.changes() {
            let Some((what, why)) = subject.of_change(change) else {
                continue;
            };
            if let (Action::Group(_), Some(id)) = (&change.action, change.subject.id)
                && self.decided.read_for_this.contains(&id)
            {
                read.insert(id);
            }
            rests |= match change.group() {
                // Whoever comes into a group does, whatever becomes of those who leave it.
                Some(GroupAction::Update(update)) => {
                    let mut leaving = update.remove.iter();
                    leaving.any(|one| subject.has(&one.external_id))
                }
                _ => self.rests_on_all_groups(change),
            };
            changes.push(planned(change, what, why, held));
        }
        self.next_run(changes, read_for_this(read.len()), rests)
    }

    /// What is planned about a group.
    pub(super) fn of_group(&self, subject: &Subject<'_>) -> NextRun {
        let mut changes = vec![];
        let (mut read, mut rests) = (HashSet::new(), false);
        for (change, held) in self.changes() {
            let Action::Group(action) = &change.action else {
                continue;
            };
            let id = change.subject.id;
            let is_theirs = subject.external_ids.contains(change.external_id())
                || id.is_some_and(|id| subject.ids.contains(&id));
            if !is_theirs {
                continue;
            }
            read.extend(id.filter(|id| self.decided.read_for_this.contains(id)));
            rests |= self.rests_on_all_groups(change);
            let (what, why) = of_group(action, change.reason.describe());
            changes.push(planned(change, what, why, held));
        }
        let mut notes = read_for_this(read.len());
        let follows = subject.external_ids.iter();
        let follows = follows.filter_map(|id| self.decided.guarded.approved.follows.get(*id));
        notes.extend(follows.map(|access| {
            let access = describe_access(access);
            format!("access follows in the run after it is there: {access}")
        }));
        self.next_run(changes, notes, rests)
    }
}

fn read_for_this(groups: usize) -> Vec<String> {
    if groups == 0 {
        return vec![];
    }
    let note = "in the organization somebody changed this by hand since the last comparison: the next run \
                sees it where it compares all groups (once in each driftCheckInterval, after a change of \
                the spec, and when a sync is asked for)";
    vec![note.to_owned()]
}

fn planned(
    change: &Change,
    what: String,
    why: String,
    held: Option<&HeldBecause>,
) -> PlannedChange {
    PlannedChange {
        action: change.kind().name().to_owned(),
        what,
        why,
        held_by: held.map(|because| format!("{}: {because}", because.limit())),
    }
}

fn because(reason: &str, evidence: &Evidence) -> String {
    match evidence {
        Evidence::Absent => reason.to_owned(),
        evidence => format!("{reason}: {evidence}"),
    }
}

impl Subject<'_> {
    fn has(&self, id: &ExternalId) -> bool {
        self.external_ids.contains(id)
    }

    /// What a change does to them, and why; `None` where it is about others.
    fn of_change(&self, change: &Change) -> Option<(String, String)> {
        let reason = change.reason.describe();
        match &change.action {
            Action::Member(action) => {
                let of_id = change.subject.id.is_some_and(|id| self.ids.contains(&id));
                if of_id && !self.has(change.external_id()) {
                    // Two people have the address.
                    let other = shown(change.external_id().as_str());
                    let what = format!("link to the ID of another person, {other}");
                    return Some((what, reason.to_owned()));
                }
                self.has(change.external_id())
                    .then(|| of_member(action, reason))
            }
            Action::Group(action) => {
                let name = shown(change.subject.label());
                match action {
                    GroupAction::Create { add } => add.iter().any(|id| self.has(id)).then(|| {
                        (
                            format!("add to group {name}, which is created"),
                            reason.to_owned(),
                        )
                    }),
                    GroupAction::Update(update) => {
                        if update.add.iter().any(|id| self.has(id)) {
                            let why = "in the directory's group".to_owned();
                            return Some((format!("add to group {name}"), why));
                        }
                        let mut leaving = update.remove.iter();
                        let leaving = leaving.find(|one| self.has(&one.external_id))?;
                        let why = match &leaving.evidence {
                            Evidence::Absent => LEFT_GROUP.to_owned(),
                            evidence => evidence.to_string(),
                        };
                        Some((format!("remove from group {name}"), why))
                    }
                    GroupAction::Delete(deletion) => {
                        let inside = deletion.members.iter().flatten().any(|id| self.has(id))
                            || deletion.unmanaged.iter().any(|id| self.ids.contains(id));
                        inside.then(|| {
                            (
                                format!("delete group {name}, which they are in"),
                                because(reason, &deletion.evidence),
                            )
                        })
                    }
                    GroupAction::SetCollections(access) => {
                        let mut people = access.losing.iter().chain(&access.gaining);
                        people.any(|id| self.has(id)).then(|| {
                            (
                                format!(
                                    "change what group {name}, which they are in, has access to: {}",
                                    describe_access(&access.changes)
                                ),
                                reason.to_owned(),
                            )
                        })
                    }
                    GroupAction::Relink { .. }
                    | GroupAction::Rename { .. }
                    | GroupAction::Unlink => None,
                }
            }
        }
    }
}

fn of_member(action: &MemberAction, reason: &str) -> (String, String) {
    match action {
        MemberAction::Invite {
            from: Some(from), ..
        } => {
            let from = shown(from.as_str());
            (
                format!("invite, in place of the open invitation to {from}"),
                reason.to_owned(),
            )
        }
        MemberAction::Invite { staged: true, .. } => {
            ("add without an invitation".to_owned(), reason.to_owned())
        }
        MemberAction::Invite { .. } => ("invite".to_owned(), reason.to_owned()),
        MemberAction::Link => ("link to the directory's ID".to_owned(), reason.to_owned()),
        MemberAction::Relink { from } => {
            let from = shown(from.as_str());
            (
                format!("link to the directory's ID, in place of {from}"),
                reason.to_owned(),
            )
        }
        MemberAction::Restore => ("restore the access".to_owned(), reason.to_owned()),
        MemberAction::Unlink => ("take the external ID out".to_owned(), reason.to_owned()),
        MemberAction::SetRole(role) => (
            format!(
                "give the role {} in place of {}",
                describe_role(&role.to, &role.through),
                role.from
            ),
            reason.to_owned(),
        ),
        MemberAction::Reinvite { nth, .. } => (
            format!("send the invitation again ({nth})"),
            reason.to_owned(),
        ),
        MemberAction::Revoke { evidence } => {
            ("revoke the access".to_owned(), because(reason, evidence))
        }
        MemberAction::Remove {
            evidence: evidence @ Evidence::NotAccepted { .. },
        } => ("withdraw the invitation".to_owned(), evidence.to_string()),
        MemberAction::Remove { evidence } => (
            "remove from the organization".to_owned(),
            because(reason, evidence),
        ),
    }
}

fn of_group(action: &GroupAction, reason: &str) -> (String, String) {
    let what = match action {
        GroupAction::Create { add } => format!("create with {}", members(add.len())),
        GroupAction::Relink { from: Some(from) } => {
            format!(
                "link to the directory's ID, in place of {}",
                shown(from.as_str())
            )
        }
        GroupAction::Relink { from: None } => "link to the directory's ID".to_owned(),
        GroupAction::Unlink => "take the external ID out".to_owned(),
        GroupAction::Rename { from } => format!("rename; it was {}", shown(from)),
        GroupAction::SetCollections(access) => {
            format!(
                "access to collections: {}",
                describe_access(&access.changes)
            )
        }
        GroupAction::Update(update) => format!(
            "add {}, remove {}",
            members(update.add.len()),
            members(update.remove.len())
        ),
        GroupAction::Delete(deletion) => {
            return ("delete".to_owned(), because(reason, &deletion.evidence));
        }
    };
    (what, reason.to_owned())
}

fn members(count: usize) -> String {
    super::find::plural(count, "member")
}
