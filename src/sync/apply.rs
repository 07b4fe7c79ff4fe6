//! Carries out an approved plan with as few requests as possible.
//!
//! Every step may be repeated: a run that stops anywhere leaves what the next run can go on from.

use std::collections::{HashMap, HashSet};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::directory::{Evidence, ExternalId};
use crate::organization::model::{Content, Organization};
use crate::organization::{
    GroupRow, ImportReport, ImportRows, Made, MemberRow, NotMade, OrganizationClient,
    OrganizationError, RowKind,
};
use crate::problem::{Problem, ProblemReason};
use crate::sync::checkpoint::Checkpoint;
use crate::sync::guard::Approved;
use crate::sync::plan::{Change, GroupAction, Kind, MadeAgain, MemberAction, Plan, Update};
use crate::sync::progress::{Phase, Progress};
use crate::sync::report::{Applied, MembershipChange, Outcomes};
use crate::text::sanitize;

/// Applies `plan` to an organization that is as `before`, and whose managed members have external ids
/// with `prefix`; `applied` grows while it goes on, so that it tells how far things came when an error
/// ends it, and `checkpoint` keeps that.
///
/// # Errors
/// The first that isn't about a single row or member, and when asked to make way. What was done stays done.
pub async fn apply(
    (client, make_way): (&OrganizationClient, Option<&CancellationToken>),
    plan: &Approved<Plan>,
    before: &Organization,
    prefix: &str,
    progress: &Progress,
    checkpoint: &mut Checkpoint<'_>,
    applied: &mut Applied,
) -> Result<(), EarlyEnd> {
    applied.outcomes = Outcomes::new(plan.changes.len());
    let mut run = Run {
        client,
        make_way,
        plan,
        prefix,
        progress,
        checkpoint,
        applied,
        not_relinked: HashSet::new(),
    };
    run.remove_members(before).await?;
    run.change_members(before).await?;
    run.invite().await?;
    run.change_groups(before).await?;
    run.reinvite().await?;
    run.unlink(before).await
}

/// Why changes came to an early end.
#[derive(Debug)]
pub enum EarlyEnd {
    /// Something more urgent is to be done. No request is without its answer.
    MadeWay,
    /// A request failed, and it wasn't about a single row or member.
    Failed(OrganizationError),
}

impl From<OrganizationError> for EarlyEnd {
    fn from(error: OrganizationError) -> Self {
        Self::Failed(error)
    }
}

struct Run<'a, 'c> {
    client: &'a OrganizationClient,
    /// Asks for an end between two requests.
    make_way: Option<&'a CancellationToken>,
    plan: &'a Plan,
    prefix: &'a str,
    progress: &'a Progress,
    checkpoint: &'a mut Checkpoint<'c>,
    applied: &'a mut Applied,
    /// Groups whose new external id was refused. An import that names it would make a second group
    /// beside the one that is meant.
    not_relinked: HashSet<&'a ExternalId>,
}

impl<'a> Run<'a, '_> {
    /// To be called where no request is under way.
    fn unless_asked_to_make_way(&self) -> Result<(), EarlyEnd> {
        match self.has_to_make_way() {
            true => Err(EarlyEnd::MadeWay),
            false => Ok(()),
        }
    }

    fn has_to_make_way(&self) -> bool {
        self.make_way.is_some_and(CancellationToken::is_cancelled)
    }

    /// The plan's changes of these kinds, in its order.
    fn of_kind(&self, kinds: &[Kind]) -> Vec<&'a Change> {
        let changes = self.plan.changes.iter();
        changes
            .filter(|change| kinds.contains(&change.kind()))
            .collect()
    }

    /// The place of a change in the plan.
    fn place(&self, change: &Change) -> Option<usize> {
        self.plan.changes.element_offset(change)
    }

    /// Notes that a change is about to be sent.
    fn note_sent(&mut self, change: &Change) {
        self.note_members_sent(change, None);
    }

    /// The same, where it makes another difference in a group than the plan says.
    fn note_members_sent(&mut self, change: &Change, members: Option<MembershipChange>) {
        if let Some(at) = self.place(change) {
            self.applied.outcomes.sent(at, members);
        }
    }

    /// Notes that a change wasn't made, with what the server said.
    fn note_refused(&mut self, change: &Change, answer: &str) {
        self.applied.refused.insert(change);
        if let Some(at) = self.place(change) {
            let outcomes = &mut self.applied.outcomes;
            outcomes.refused(at, Timestamp::now(), &sanitize(answer));
        }
    }

    /// Waits for an answer, and keeps the record up to date meanwhile.
    async fn keeping_record<T>(&mut self, answer: impl Future<Output = T> + Unpin) -> T {
        let during = self.checkpoint.during(None, self.applied, answer);
        during.await
    }

    fn updates(&self) -> impl Iterator<Item = (&'a Change, &'a Update)> + use<'a> {
        let changes = self.plan.changes.iter();
        changes.filter_map(|change| match change.group()? {
            GroupAction::Update(update) => Some((change, &**update)),
            _ => None,
        })
    }

    /// Removals in one import, whatever their number; on a server that can't be read its
    /// revocations as well.
    async fn remove_members(&mut self, before: &Organization) -> Result<(), EarlyEnd> {
        let mut leaving = match before {
            Organization::Read(_) => self.of_kind(&[Kind::Remove]),
            Organization::WriteOnly => self.of_kind(&[Kind::Remove, Kind::Revoke]),
        };
        leaving.retain(|change| !change.withdraws_invitation());
        let rows = leaving.iter().map(|change| MemberRow {
            deleted: true,
            ..row(change)
        });
        let rows = ImportRows {
            members: rows.collect(),
            ..ImportRows::default()
        };
        leaving.iter().for_each(|change| self.note_sent(change));
        self.import(Phase::ChangeMembers, &leaving, rows).await
    }

    /// Revocations, roles, re-links, restores, withdrawn and replaced invitations: a few requests each, at the
    /// server's pace.
    async fn change_members(&mut self, before: &Organization) -> Result<(), EarlyEnd> {
        let kinds = [
            Kind::Revoke,
            Kind::SetRole,
            Kind::Relink,
            Kind::Restore,
            Kind::Invite,
        ];
        let mut single = self.of_kind(&kinds);
        single.retain(|change| change.subject.id.is_some());
        let mut withdrawals = self.of_kind(&[Kind::Remove]);
        withdrawals.retain(|change| change.withdraws_invitation());
        let changes = single.len() + withdrawals.len();
        self.progress.start(Phase::ChangeMembers, changes);
        let managed = self.managed_groups(before);
        // They are in this order.
        let takes = |change: &Change| match change.role() {
            Some(role) => role.takes_away(),
            None => change.kind() == Kind::Revoke,
        };
        let taking = single.partition_point(|change| takes(change));
        let (taking, others) = single.split_at(taking);
        let relinks = others.partition_point(|change| change.kind() == Kind::Relink);
        let (relinks, others) = others.split_at(relinks);
        self.change_one_by_one(taking, &managed).await?;
        self.change_one_by_one(&withdrawals, &managed).await?;
        self.change_side_by_side(relinks, &managed).await?;
        self.change_one_by_one(others, &managed).await
    }

    /// One after another: of those that are under way together the record couldn't know, after a kill, which
    /// were done.
    async fn change_one_by_one(
        &mut self,
        changes: &[&'a Change],
        managed: &HashSet<Uuid>,
    ) -> Result<(), EarlyEnd> {
        for (at, &change) in changes.iter().enumerate() {
            self.unless_asked_to_make_way()?;
            let kind = change.kind();
            if kind == Kind::SetRole {
                let to_come = changes[at..].iter().copied();
                let to_come = to_come.filter(|change| change.kind() == kind);
                self.checkpoint.before_access(to_come, self.applied).await;
                self.applied.in_doubt.insert(change);
            }
            if matches!(kind, Kind::Revoke | Kind::Restore) {
                let to_come = changes[at..].iter().copied();
                let to_come = to_come.filter(|change| change.kind() == kind);
                self.checkpoint.before_single(to_come, self.applied).await;
                let id = change.external_id().clone();
                match kind {
                    Kind::Revoke => self.applied.requested.insert(id),
                    _ => self.applied.restoring.insert(id),
                };
            }
            self.note_sent(change);
            let result = change_member(self.client, change, managed);
            let is_noted = matches!(kind, Kind::Revoke | Kind::Restore);
            let requested = is_noted.then_some(change);
            let result = self
                .checkpoint
                .during(requested, self.applied, Box::pin(result));
            let result = result.await;
            let result = self.note_made(change, result);
            if !matches!(result, Err(OrganizationError::Unreachable(_))) {
                self.applied.restoring.remove(change.external_id());
            }
            self.note_single(change, result)?;
            self.applied.requested.remove(change.external_id());
        }
        self.checkpoint.after_access(self.applied).await;
        Ok(())
    }

    /// Several at once: an import can't replace an external id, and thousands get another one where an
    /// organization was filled by another program. Nobody loses anything by it, and what was done before a kill
    /// shows in what the next run reads.
    async fn change_side_by_side(
        &mut self,
        relinks: &[&'a Change],
        managed: &HashSet<Uuid>,
    ) -> Result<(), EarlyEnd> {
        let client = self.client;
        let mut to_come = relinks.iter();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < RELINKS_AT_ONCE
                && !self.has_to_make_way()
                && let Some(&change) = to_come.next()
            {
                self.note_sent(change);
                let relinked = change_member(client, change, managed);
                under_way.push(async move { (change, relinked.await) });
            }
            let answered = self.keeping_record(under_way.next());
            let Some((change, result)) = answered.await else {
                return match to_come.len() {
                    0 => Ok(()),
                    _ => self.unless_asked_to_make_way(),
                };
            };
            let result = self.note_made(change, result);
            self.note_single(change, result)?;
        }
    }

    /// Sends invitations again, after everything else: nobody loses or gets anything by it. Each was noted
    /// as sent before the first change.
    async fn reinvite(&mut self) -> Result<(), EarlyEnd> {
        let again = self.of_kind(&[Kind::Reinvite]);
        self.progress.start(Phase::Invite, again.len());
        for change in again {
            let Some(member) = change.subject.id else {
                continue;
            };
            self.unless_asked_to_make_way()?;
            self.note_sent(change);
            let id = change.external_id();
            self.applied.reinvited.insert(id.clone());
            let result = self.client.reinvite(member);
            let result = self.keeping_record(Box::pin(result)).await;
            self.note_single(change, result)?;
        }
        Ok(())
    }

    /// Takes external ids out, after everything else: an import names members and groups by them.
    async fn unlink(&mut self, before: &Organization) -> Result<(), EarlyEnd> {
        let members = self.of_kind(&[Kind::Unlink]);
        self.progress.start(Phase::ChangeMembers, members.len());
        let managed = self.managed_groups(before);
        self.change_side_by_side(&members, &managed).await?;
        let groups = self.of_kind(&[Kind::UnlinkGroup]);
        self.progress.start(Phase::ChangeGroups, groups.len());
        for change in groups {
            if let Some(group) = change.subject.id {
                self.unless_asked_to_make_way()?;
                self.note_sent(change);
                let result = self.client.unlink_group(group, change.external_id());
                let result = self.keeping_record(Box::pin(result)).await;
                self.note_single(change, result)?;
            }
        }
        Ok(())
    }

    /// The groups that runs keep: who is in them, the next run knows.
    fn managed_groups(&self, before: &Organization) -> HashSet<Uuid> {
        let Organization::Read(content) = before else {
            return HashSet::new();
        };
        let is_managed = |id: &ExternalId| id.as_str().starts_with(self.prefix);
        let groups = content.groups.iter();
        groups
            .filter(|group| group.external_id.as_ref().is_some_and(is_managed))
            .map(|group| group.id)
            .collect()
    }

    /// Invitations and links, in bulk. On a server that can't be read an import also restores and re-links:
    /// by itself, because a run that ends in the middle of it leaves those people to a person.
    async fn invite(&mut self) -> Result<(), EarlyEnd> {
        let mut back = self.of_kind(&[Kind::Restore, Kind::Relink]);
        back.retain(|change| change.subject.id.is_none());
        self.import_members(back).await?;
        let mut coming = self.of_kind(&[Kind::Invite, Kind::Link]);
        coming.retain(|change| change.subject.id.is_none() || change.kind() == Kind::Link);
        self.import_members(coming).await
    }

    async fn import_members(&mut self, coming: Vec<&'a Change>) -> Result<(), EarlyEnd> {
        let mut rows = ImportRows::default();
        for change in &coming {
            let staged = matches!(
                change.member(),
                Some(MemberAction::Invite { staged: true, .. })
            );
            rows.staged |= staged;
            rows.members.push(row(change));
        }
        coming.iter().for_each(|change| self.note_sent(change));
        self.import(Phase::Invite, &coming, rows).await
    }

    async fn change_groups(&mut self, before: &Organization) -> Result<(), EarlyEnd> {
        let relinks = self.of_kind(&[Kind::RelinkGroup]);
        self.progress.start(Phase::ChangeGroups, relinks.len());
        for change in relinks {
            if let (Some(group), Some(GroupAction::Relink { from })) =
                (change.subject.id, change.group())
            {
                let to = change.external_id();
                self.unless_asked_to_make_way()?;
                self.note_sent(change);
                let result = self.client.relink_group(group, from.as_ref(), to);
                let result = self.keeping_record(Box::pin(result)).await;
                let refused = result.is_err();
                self.note_single(change, result)?;
                if refused {
                    self.not_relinked.insert(change.external_id());
                }
            }
        }
        match before {
            Organization::Read(_) => {
                self.update_groups(before).await?;
                self.set_collections().await?;
            }
            Organization::WriteOnly => self.send_groups().await?,
        }
        self.delete_groups(before).await
    }

    /// Creates, fills and renames groups of a server that can be read.
    ///
    /// The members of each group are read right before they are replaced, and only those whom the
    /// plan names come or go: what somebody did by hand since the plan was made stays, and is noted,
    /// so that the caller plans again. Whoever's own change was refused stays, too: nobody is dropped
    /// because of an id that they didn't get.
    async fn update_groups(&mut self, before: &Organization) -> Result<(), EarlyEnd> {
        let renames = self.of_kind(&[Kind::RenameGroup]);
        let updates: Vec<(&Change, &Update)> = self
            .updates()
            .filter(|(change, _)| !self.not_relinked.contains(change.external_id()))
            .collect();
        let creations = self.of_kind(&[Kind::CreateGroup]);
        let mut renamed: HashSet<&ExternalId> = HashSet::new();
        if !updates.is_empty() || !creations.is_empty() {
            let members = self.read_members(before).await?;
            let mut rows = ImportRows::default();
            for change in &creations {
                if let Some(row) = members.new_group(change) {
                    let membership = MembershipChange {
                        added: row.members.clone(),
                        ..MembershipChange::default()
                    };
                    self.note_members_sent(change, Some(membership));
                    rows.groups.push(row);
                }
            }
            self.import(Phase::ChangeGroups, &creations, rows).await?;
            for chunk in updates.chunks(READ_AHEAD) {
                self.update_chunk(chunk, &members, &mut renamed).await?;
            }
        }
        self.progress.start(Phase::ChangeGroups, renames.len());
        for change in renames {
            if let Some(group) = change.subject.id
                && !renamed.contains(change.external_id())
            {
                self.unless_asked_to_make_way()?;
                self.note_sent(change);
                let result = self.client.rename_group(group, change.subject.label());
                let result = self.keeping_record(Box::pin(result)).await;
                self.note_single(change, result)?;
            }
        }
        Ok(Box::pin(self.fill_made_again()).await?)
    }

    /// Changes what groups have access to, several at once: after a kill the record has which of them may be done. A
    /// refusal says nothing of their members.
    async fn set_collections(&mut self) -> Result<(), EarlyEnd> {
        let client = self.client;
        let changes = self.of_kind(&[Kind::SetCollections]);
        self.progress.start(Phase::ChangeGroups, changes.len());
        let to_come =
            changes
                .into_iter()
                .filter_map(|change| match (change.subject.id, change.group()) {
                    (Some(group), Some(GroupAction::SetCollections(access))) => {
                        Some((change, group, &access.changes))
                    }
                    _ => None,
                });
        let to_come: Vec<_> = to_come.collect();
        let mut to_come = to_come.into_iter();
        let mut under_way = FuturesUnordered::new();
        // Those that are under way then are waited for: without their answers they would be in doubt.
        let mut failed = None;
        loop {
            while failed.is_none()
                && under_way.len() < ACCESS_AT_ONCE
                && !self.has_to_make_way()
                && let Some((change, group, access)) = to_come.next()
            {
                let next = to_come.as_slice().iter().map(|(change, ..)| *change);
                let next = std::iter::once(change).chain(next);
                self.checkpoint.before_access(next, self.applied).await;
                self.applied.in_doubt.insert(change);
                self.note_sent(change);
                under_way
                    .push(async move { (change, client.set_collections(group, access).await) });
            }
            let answered = self.keeping_record(under_way.next());
            let Some((change, result)) = answered.await else {
                self.checkpoint.after_access(self.applied).await;
                return match failed {
                    Some(error) => Err(EarlyEnd::Failed(error)),
                    None if to_come.len() == 0 => Ok(()),
                    None => self.unless_asked_to_make_way(),
                };
            };
            let result = self.note_made(change, result);
            if let Err(error) = self.note_single(change, result) {
                failed.get_or_insert(error);
            }
        }
    }

    /// Gives groups that an undo has made again what an import can't: access to collections, and members
    /// without an external id.
    async fn fill_made_again(&mut self) -> Result<(), OrganizationError> {
        let undoes = self.plan.undoes.as_ref();
        let again: Vec<(&Change, &MadeAgain)> = undoes
            .into_iter()
            .flat_map(|undoes| {
                let groups = self.plan.changes.iter();
                let groups = groups.filter(|change| {
                    matches!(change.kind(), Kind::CreateGroup | Kind::UpdateGroup)
                });
                groups.filter_map(|change| {
                    Some((change, undoes.made_again.get(change.external_id())?))
                })
            })
            .filter(|(change, _)| !self.applied.refused.has(change))
            .collect();
        if again.is_empty() {
            return Ok(());
        }
        // A group is there, and isn't yet what its record says.
        let places = again.iter().filter_map(|(change, _)| self.place(change));
        let places: Vec<usize> = places.collect();
        let outcomes = &mut self.applied.outcomes;
        places.into_iter().for_each(|at| outcomes.reopen(at));
        let Organization::Read(content) = self.client.read().await? else {
            return Ok(());
        };
        for (change, again) in again {
            let id = change.external_id();
            let mut groups = content.groups.iter();
            let group = groups.find(|group| group.external_id.as_ref() == Some(id));
            if let Some(group) = group {
                self.fill(change, group.id, again).await?;
            }
            if let Some(at) = self.place(change) {
                self.applied.outcomes.close(at, Timestamp::now());
            }
        }
        Ok(())
    }

    async fn fill(
        &mut self,
        change: &Change,
        group: Uuid,
        again: &MadeAgain,
    ) -> Result<(), OrganizationError> {
        let at = self.place(change).unwrap_or(usize::MAX);
        if !again.collections.is_empty() {
            let given = self.client.give_collections(group, &again.collections);
            let given = given.await;
            if given.as_ref().is_err_and(OrganizationError::is_about_one) {
                self.applied.outcomes.collections_refused(at);
            }
            self.note_given(change, given)?;
        }
        if again.members.is_empty() {
            return Ok(());
        }
        let inside = self.client.memberships(&[group], &|_| ()).await?;
        let mut inside = inside.get(&group).cloned().unwrap_or_default();
        let missing = again.members.iter().filter(|one| !inside.contains(one));
        let missing: Vec<Uuid> = missing.copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        inside.extend(&missing);
        self.applied.outcomes.unmanaged_sent(at, missing);
        let set = self.client.set_members(group, &inside).await;
        if let Err(error) = &set
            && error.is_about_one()
        {
            let answer = sanitize(&error.to_string());
            let outcomes = &mut self.applied.outcomes;
            outcomes.unmanaged_refused(at, Timestamp::now(), &answer);
        }
        self.note_given(change, set)
    }

    /// Reports what a group that is made again doesn't get.
    fn note_given(
        &mut self,
        change: &Change,
        given: Result<(), OrganizationError>,
    ) -> Result<(), OrganizationError> {
        match given {
            Err(error) if error.is_about_one() => {
                let message = format!(
                    "group {} was made again without all that it had ({error}): give it the rest in \
                     Bitwarden",
                    sanitize(change.subject.label())
                );
                let id = change.external_id().clone();
                self.problem(ProblemReason::Refused, message, [id]);
                Ok(())
            }
            other => other,
        }
    }

    /// Reads a few groups and replaces their members at once, so that little can happen in between.
    async fn update_chunk(
        &mut self,
        chunk: &[(&'a Change, &'a Update)],
        members: &Members,
        renamed: &mut HashSet<&'a ExternalId>,
    ) -> Result<(), EarlyEnd> {
        let groups: Vec<Uuid> = chunk
            .iter()
            .filter_map(|(change, _)| change.subject.id)
            .collect();
        self.unless_asked_to_make_way()?;
        let progress = self.progress;
        progress.start(Phase::ReadMemberships, groups.len());
        let now = self
            .client
            .memberships(&groups, &|done| progress.reach(done))
            .await?;
        let (mut rows, mut in_rows, mut single) = (vec![], vec![], vec![]);
        for &(change, update) in chunk {
            let Some((group, now)) = change.subject.id.and_then(|id| Some((id, now.get(&id)?)))
            else {
                self.note_gone(change);
                continue;
            };
            let after = members.after(now, update);
            self.note_difference(change, update, now, members);
            if after.len() == now.len() && now.iter().all(|member| after.contains(member)) {
                // Done already, or nobody who is to come in could be invited.
                if members.knows_all(&update.add) {
                    self.applied.counts.add(change.kind());
                }
            } else if let Some(row) = members.row(change, &after) {
                self.note_members_sent(change, Some(members.difference(now, &after)));
                rows.push(row);
                in_rows.push(change);
            } else {
                let difference = members.difference(now, &after);
                single.push((change, group, after, difference));
            }
        }
        // A row carries the group's name, too: renaming comes with it.
        for change in self.of_kind(&[Kind::RenameGroup]) {
            let same = |updated: &&Change| updated.external_id() == change.external_id();
            if in_rows.iter().any(same) {
                renamed.insert(change.external_id());
                self.note_sent(change);
                in_rows.push(change);
            }
        }
        let rows = ImportRows {
            groups: rows,
            ..ImportRows::default()
        };
        self.import(Phase::ChangeGroups, &in_rows, rows).await?;
        self.progress.start(Phase::ChangeGroups, single.len());
        for (change, group, after, difference) in single {
            self.unless_asked_to_make_way()?;
            self.note_members_sent(change, Some(difference));
            let after: Vec<Uuid> = after.into_iter().collect();
            let result = self.client.set_members(group, &after);
            let result = self.keeping_record(Box::pin(result)).await;
            self.note_single(change, result)?;
        }
        Ok(())
    }

    /// Notes that a group holds other members than the plan was made for. It isn't remembered, so that
    /// the next plan is made for what is there.
    fn note_difference(
        &mut self,
        change: &Change,
        update: &Update,
        now: &[Uuid],
        members: &Members,
    ) {
        let added: HashSet<Uuid> = members.ids_of(&update.add).collect();
        let now: HashSet<Uuid> = now
            .iter()
            .copied()
            .filter(|id| !added.contains(id))
            .collect();
        let refused = self.refused_members();
        let is_changed = match members.planned(update) {
            Some(planned) => {
                if now != planned {
                    self.applied.outdated.insert(change.external_id().clone());
                }
                let mut different = now.symmetric_difference(&planned);
                different.any(|id| !refused.contains(id))
            }
            None => self.differs_from_cache(change, update, &now, members, &refused),
        };
        if is_changed {
            self.note_changed(change);
        }
    }

    /// Whether a group that wasn't read for the plan has lost or gained managed members since it was
    /// read last.
    fn differs_from_cache(
        &self,
        change: &Change,
        update: &Update,
        now: &HashSet<Uuid>,
        members: &Members,
        refused: &HashSet<Uuid>,
    ) -> bool {
        let keep: HashSet<Uuid> = members.ids_of(&update.keep).collect();
        let has_lost = keep
            .iter()
            .any(|id| !now.contains(id) && !refused.contains(id));
        let leaving = update.remove.iter().map(|leaving| &leaving.external_id);
        let leaving: HashSet<Uuid> = members.ids_of(leaving).collect();
        let is_ours = |id: &&Uuid| {
            let external_id = members.external_ids.get(*id);
            external_id.is_some_and(|id| id.as_str().starts_with(self.prefix))
        };
        let more = now
            .iter()
            .filter(|id| !keep.contains(*id) && !leaving.contains(*id) && !refused.contains(*id));
        // Some have an id of ours and aren't moved in this run; how many is known.
        let unmoved = self.plan.unmoved(change.external_id());
        has_lost || more.filter(is_ours).count() > unmoved
    }

    /// Members whose own change was refused: they have another id than the plan says.
    fn refused_members(&self) -> HashSet<Uuid> {
        let changes = self.plan.changes.iter();
        let refused =
            changes.filter(|change| change.member().is_some() && self.applied.refused.has(change));
        refused.filter_map(|change| change.subject.id).collect()
    }

    /// A group that somebody else changed since the plan was made.
    fn note_changed(&mut self, change: &Change) {
        let id = change.external_id().clone();
        let message = format!(
            "group {} was changed by somebody else while the sync ran: what they did stays until the \
             group is planned again",
            sanitize(change.subject.label())
        );
        self.problem(ProblemReason::NotApplied, message, [id.clone()]);
        self.applied.outdated.insert(id);
        self.applied.changed_meanwhile = true;
    }

    /// A group that somebody deleted since the plan was made: the next plan creates it.
    fn note_gone(&mut self, change: &Change) {
        self.applied.refused.insert(change);
        self.note_changed(change);
    }

    /// Groups of a server that can't be read, with everyone who shall be in them.
    async fn send_groups(&mut self) -> Result<(), EarlyEnd> {
        let sent = self.of_kind(&[Kind::CreateGroup, Kind::UpdateGroup]);
        sent.iter().for_each(|change| self.note_sent(change));
        let rows = sent.iter().filter_map(|change| {
            let members = match change.group()? {
                GroupAction::Create { add } => add.clone(),
                GroupAction::Update(update) => {
                    update.keep.iter().chain(&update.add).cloned().collect()
                }
                _ => return None,
            };
            let id = change.external_id();
            let server_id = self
                .plan
                .sent
                .as_ref()
                .and_then(|sent| sent.server_ids.get(id));
            Some(GroupRow {
                external_id: server_id.unwrap_or(id).clone(),
                name: change.subject.label().into(),
                members,
            })
        });
        let rows = ImportRows {
            groups: rows.collect(),
            ..ImportRows::default()
        };
        self.import(Phase::ChangeGroups, &sent, rows).await
    }

    /// A group is deleted only as long as nobody else has come into it: whoever did would lose it
    /// unasked.
    async fn delete_groups(&mut self, before: &Organization) -> Result<(), EarlyEnd> {
        let deletions = self.of_kind(&[Kind::DeleteGroup]);
        let groups: Vec<Uuid> = deletions
            .iter()
            .filter_map(|change| change.subject.id)
            .collect();
        if groups.is_empty() {
            return Ok(());
        }
        let members = self.read_members(before).await?;
        let progress = self.progress;
        progress.start(Phase::ReadMemberships, groups.len());
        let now = self
            .client
            .memberships(&groups, &|done| progress.reach(done))
            .await?;
        let refused = self.refused_members();
        self.progress.start(Phase::ChangeGroups, deletions.len());
        for change in deletions {
            let Some(group) = change.subject.id else {
                continue;
            };
            self.unless_asked_to_make_way()?;
            let inside = now.get(&group).into_iter().flatten();
            let leaving = inside.clone();
            let leaving = leaving.filter_map(|id| members.external_ids.get(id).cloned());
            let leaving = MembershipChange {
                removed: leaving.collect(),
                ..MembershipChange::default()
            };
            let mut inside = inside.filter(|id| !refused.contains(*id));
            let planned = members.in_deleted(change);
            if planned.is_some_and(|planned| inside.any(|id| !planned.contains(id))) {
                self.applied.refused.insert(change);
                self.note_changed(change);
                continue;
            }
            self.note_members_sent(change, Some(leaving));
            let result = self.client.delete_group(group);
            let result = self.keeping_record(Box::pin(result)).await;
            self.note_single(change, result)?;
        }
        Ok(())
    }

    /// The members as they are once people have their external ids: with those who were invited by
    /// this run, and with the old id of whoever's new one was refused.
    async fn read_members(&self, before: &Organization) -> Result<Members, OrganizationError> {
        let changed = self.of_kind(&[Kind::Invite, Kind::Link, Kind::Relink, Kind::Remove]);
        let again = match changed.is_empty() {
            true => None,
            false => Some(self.client.read().await?),
        };
        match again.as_ref().unwrap_or(before) {
            Organization::Read(content) => {
                let mut members = Members::of(content);
                // Whose invitation couldn't be replaced comes into no group under the old address.
                let replaced = self.plan.changes.iter().filter(|c| c.replaces_invitation());
                let refused = replaced.filter(|change| self.applied.refused.has(change));
                refused.for_each(|change| {
                    members.ids.remove(change.external_id());
                });
                Ok(members)
            }
            Organization::WriteOnly => Ok(Members::default()),
        }
    }

    async fn import(
        &mut self,
        phase: Phase,
        changes: &[&Change],
        rows: ImportRows,
    ) -> Result<(), EarlyEnd> {
        if rows.members.is_empty() && rows.groups.is_empty() {
            return Ok(());
        }
        let progress = self.progress;
        progress.start(phase, rows.members.len() + rows.groups.len());
        let reached = |done| progress.reach(done);
        let report = self.client.import(&rows, &reached);
        let report = self.keeping_record(Box::pin(report)).await?;
        let refused = self.note(report, &rows, changes);
        for change in changes {
            match refused.get(change.external_id()) {
                Some(answer) => self.note_refused(change, answer),
                None => self.note_done(change),
            }
        }
        self.checkpoint.after_changes(self.applied).await;
        Ok(())
    }

    /// Turns what the server refused into problems, and lists the rows that weren't taken, with the server's
    /// answer.
    fn note(
        &mut self,
        report: ImportReport,
        rows: &ImportRows,
        changes: &[&Change],
    ) -> HashMap<ExternalId, String> {
        let mut refused = HashMap::new();
        let server_ids = self.plan.sent.iter().flat_map(|sent| &sent.server_ids);
        let own_ids: HashMap<&ExternalId, &ExternalId> =
            server_ids.map(|(id, on_server)| (on_server, id)).collect();
        for row in report.refused {
            let what = match row.kind {
                RowKind::Member => "member",
                RowKind::Group => "group",
            };
            let id = own_ids.get(&row.external_id).copied();
            let id = id.unwrap_or(&row.external_id).clone();
            let label = changes.iter().find(|change| *change.external_id() == id);
            let message = format!(
                "the server refused {what} {} ({}): {}",
                sanitize(label.map_or("", |change| change.subject.label())),
                sanitize(id.as_str()),
                sanitize(&row.message)
            );
            self.problem(ProblemReason::Refused, message, [id.clone()]);
            refused.insert(id, row.message);
        }
        if let Some(seats) = report.no_seats {
            let message = format!(
                "{} people wait for a seat: Bitwarden says \"{}\"; add seats, or raise the limit up \
                 to which they grow by themselves",
                seats.rows.len(),
                sanitize(&seats.answer)
            );
            self.problem(
                ProblemReason::NoSeats,
                message,
                &seats.rows[..seats.rows.len().min(20)],
            );
            let answer = seats.answer;
            refused.extend(seats.rows.into_iter().map(|id| (id, answer.clone())));
        }
        if let Some(answer) = report.no_groups {
            let message = format!(
                "the organization can't have groups: Bitwarden says \"{}\"; change its plan, or \
                 leave groups out of the resource",
                sanitize(&answer)
            );
            self.problem(ProblemReason::Unsupported, message, []);
            let groups = rows.groups.iter();
            refused.extend(groups.map(|row| (row.external_id.clone(), answer.clone())));
        }
        refused
    }

    /// Notes whether it is known now that this run made a change of a role or of access, or that it didn't.
    fn note_made(
        &mut self,
        change: &Change,
        result: Result<Made, NotMade>,
    ) -> Result<(), OrganizationError> {
        let is_known = match &result {
            Ok(made) => *made == Made::Now,
            Err(not_made) => not_made.is_certain,
        };
        if is_known {
            self.applied.in_doubt.remove(change);
        }
        result.map(|_| ()).map_err(|not_made| not_made.error)
    }

    /// Counts a single change, or notes that this one was refused and goes on.
    fn note_single(
        &mut self,
        change: &Change,
        result: Result<(), OrganizationError>,
    ) -> Result<(), OrganizationError> {
        self.progress.add(1);
        match result {
            Ok(()) => self.note_done(change),
            Err(
                error @ (OrganizationError::Refused { .. }
                | OrganizationError::Gone { .. }
                | OrganizationError::NotApplied { .. }
                | OrganizationError::NoSeats { .. }),
            ) => {
                let reason = match &error {
                    OrganizationError::NoSeats { .. } => ProblemReason::NoSeats,
                    _ => ProblemReason::Refused,
                };
                let id = change.external_id().clone();
                let is_gone = matches!(error, OrganizationError::Gone { .. });
                self.applied.changed_meanwhile |= is_gone && change.group().is_some();
                let message = format!(
                    "{} {} ({}): {error}",
                    change.kind().name(),
                    sanitize(change.subject.label()),
                    sanitize(id.as_str())
                );
                self.problem(reason, message, [id]);
                self.note_refused(change, &error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn note_done(&mut self, change: &Change) {
        let kind = change.kind();
        self.applied.counts.add(kind);
        if let Some(at) = self.place(change) {
            self.applied.outcomes.done(at, Timestamp::now());
        }
        let unread = self.plan.is_write_only() && change.member().is_some();
        if change.takes_away()
            || matches!(kind, Kind::Restore | Kind::SetRole | Kind::SetCollections)
            || unread
            || self.checkpoint.uses_approval()
        {
            self.applied.done.insert(change);
        }
    }

    fn problem(&mut self, reason: ProblemReason, message: String, ids: impl Into<Vec<ExternalId>>) {
        self.applied
            .problems
            .add(Problem::new(reason, message, ids));
    }
}

/// Makes a change of a single member that the server knows.
async fn change_member(
    client: &OrganizationClient,
    change: &Change,
    managed: &HashSet<Uuid>,
) -> Result<Made, NotMade> {
    let (Some(member), Some(action)) = (change.subject.id, change.member()) else {
        return Ok(Made::Now);
    };
    let external_id = change.external_id();
    let done = match action {
        MemberAction::Revoke { .. } => client.revoke(member).await,
        MemberAction::Relink { .. } => client.relink(member, external_id).await,
        MemberAction::Unlink => client.unlink(member, external_id).await,
        MemberAction::Restore => client.restore(member).await,
        MemberAction::SetRole(role) => return client.set_role(member, role.from, role.to).await,
        MemberAction::Invite {
            from: Some(from), ..
        } => match change.subject.email() {
            Some(to) => {
                let call = client.replace_invitation(member, external_id, [from, to], managed);
                call.await
            }
            None => Ok(()),
        },
        MemberAction::Remove {
            evidence: Evidence::NotAccepted { .. },
        } => client.withdraw_invitation(member, external_id).await,
        MemberAction::Invite { from: None, .. }
        | MemberAction::Link
        | MemberAction::Reinvite { .. }
        | MemberAction::Remove { .. } => Ok(()),
    };
    done.map(|()| Made::Now).map_err(NotMade::from)
}

/// The import's row for a member.
fn row(change: &Change) -> MemberRow {
    MemberRow {
        external_id: change.external_id().clone(),
        // A removal goes by the id alone; nothing else is asked for whose address isn't known.
        email: change
            .subject
            .email()
            .filter(|email| !email.is_withheld())
            .cloned(),
        deleted: false,
    }
}

/// So many members get another external id at once. Each takes two requests, one after the other; a server far
/// away answers each after a tenth of a second, and the cloud takes 40 a second.
const RELINKS_AT_ONCE: usize = 8;

/// So many groups get other access to collections at once; the limit of the server sets the speed.
const ACCESS_AT_ONCE: usize = 8;

/// So many groups are read before the first of them is written. More would leave somebody who
/// changes a group by hand more time to do it in between; fewer take more imports.
const READ_AHEAD: usize = 100;

/// The organization's members by their external ids, and the other way around.
#[derive(Default)]
struct Members {
    ids: HashMap<ExternalId, Uuid>,
    external_ids: HashMap<Uuid, ExternalId>,
}

impl Members {
    /// Members who share an external id can't be named by it.
    fn of(content: &Content) -> Self {
        let mut members = Self::default();
        let mut shared: HashSet<ExternalId> = HashSet::new();
        for member in &content.members {
            if let Some(id) = &member.external_id
                && members.ids.insert(id.clone(), member.id).is_some()
            {
                shared.insert(id.clone());
            }
        }
        members.ids.retain(|id, _| !shared.contains(id));
        let external_ids = members.ids.iter().map(|(id, member)| (*member, id.clone()));
        members.external_ids = external_ids.collect();
        members
    }

    fn ids_of<'a>(
        &'a self,
        ids: impl IntoIterator<Item = &'a ExternalId>,
    ) -> impl Iterator<Item = Uuid> {
        ids.into_iter().filter_map(|id| self.ids.get(id).copied())
    }

    fn knows_all(&self, ids: &[ExternalId]) -> bool {
        ids.iter().all(|id| self.ids.contains_key(id))
    }

    /// Who is in a group once it is updated.
    fn after(&self, now: &[Uuid], update: &Update) -> HashSet<Uuid> {
        let leaving = update.remove.iter().map(|leaving| &leaving.external_id);
        let leaving: HashSet<Uuid> = self.ids_of(leaving).collect();
        let staying = now.iter().copied().filter(|id| !leaving.contains(id));
        staying.chain(self.ids_of(&update.add)).collect()
    }

    /// Who comes into and leaves a group that holds `now`, so that it holds `after`. Only people with
    /// external ids do.
    fn difference(&self, now: &[Uuid], after: &HashSet<Uuid>) -> MembershipChange {
        let named = |id: &Uuid| self.external_ids.get(id).cloned();
        let before: HashSet<Uuid> = now.iter().copied().collect();
        MembershipChange {
            added: after.difference(&before).filter_map(named).collect(),
            removed: before.difference(after).filter_map(named).collect(),
            ..MembershipChange::default()
        }
    }

    /// Who was in a group when the plan was made, of those who are still members; `None` where the
    /// plan went by what earlier runs remembered.
    fn planned(&self, update: &Update) -> Option<HashSet<Uuid>> {
        let unmanaged = update.unmanaged.as_ref()?;
        let leaving = update.remove.iter().map(|leaving| &leaving.external_id);
        let managed = self.ids_of(update.keep.iter().chain(leaving));
        Some(managed.chain(unmanaged.iter().copied()).collect())
    }

    /// Who was in a group that is to be deleted, of those who are still members; `None` where that isn't
    /// known.
    fn in_deleted(&self, change: &Change) -> Option<HashSet<Uuid>> {
        let Some(GroupAction::Delete(deletion)) = change.group() else {
            return None;
        };
        let managed = self.ids_of(deletion.members.as_ref()?);
        Some(managed.chain(deletion.unmanaged.iter().copied()).collect())
    }

    /// The import's row for a group with these members; `None` where one of them has no external id
    /// by which an import could name them: it would drop them.
    fn row(&self, change: &Change, after: &HashSet<Uuid>) -> Option<GroupRow> {
        let members = after.iter().map(|id| self.external_ids.get(id).cloned());
        let mut members: Vec<ExternalId> = members.collect::<Option<_>>()?;
        members.sort_unstable();
        Some(GroupRow {
            external_id: change.external_id().clone(),
            name: change.subject.label().into(),
            members,
        })
    }

    /// The import's row for a new group, with those who are members by now.
    fn new_group(&self, change: &Change) -> Option<GroupRow> {
        let GroupAction::Create { add } = change.group()? else {
            return None;
        };
        let members = add.iter().filter(|id| self.ids.contains_key(*id));
        Some(GroupRow {
            external_id: change.external_id().clone(),
            name: change.subject.label().into(),
            members: members.cloned().collect(),
        })
    }
}
