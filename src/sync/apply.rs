//! Carries out an approved plan with as few requests as possible.
//!
//! Every step may be repeated: a run that stops anywhere leaves what the next run can go on from.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::directory::ExternalId;
use crate::organization::model::Organization;
use crate::organization::{
    GroupRow, ImportReport, ImportRows, MemberRow, OrganizationClient, OrganizationError, RowKind,
};
use crate::problem::{Problem, ProblemReason};
use crate::sync::guard::Approved;
use crate::sync::plan::{Change, GroupAction, Kind, MemberAction, Plan, Update};
use crate::sync::progress::{Phase, Progress};
use crate::sync::report::Applied;
use crate::text::shorten;

/// Applies `plan` to `organization`, which is as `before`; `applied` grows while it goes on, so
/// that it tells how far things came when an error ends it.
///
/// # Errors
/// The first that isn't about a single row or member. What was done stays done.
pub async fn apply(
    client: &OrganizationClient,
    plan: &Approved<Plan>,
    before: &Organization,
    progress: &Progress,
    applied: &mut Applied,
) -> Result<(), OrganizationError> {
    let mut run = Run {
        client,
        plan,
        progress,
        applied,
        ids: OnceCell::new(),
    };
    run.remove_members(before).await?;
    run.change_members().await?;
    run.invite().await?;
    run.change_groups(before).await
}

struct Run<'a> {
    client: &'a OrganizationClient,
    plan: &'a Plan,
    progress: &'a Progress,
    applied: &'a mut Applied,
    /// See [`Run::member_ids`].
    ids: OnceCell<Arc<MemberIds>>,
}

/// The members' ids in Bitwarden.
type MemberIds = HashMap<ExternalId, Uuid>;

impl<'a> Run<'a> {
    /// The plan's changes of these kinds, in its order.
    fn of_kind(&self, kinds: &[Kind]) -> Vec<&'a Change> {
        let changes = self.plan.changes.iter();
        changes
            .filter(|change| kinds.contains(&change.kind()))
            .collect()
    }

    fn updates(&self) -> impl Iterator<Item = (&'a Change, &'a Update)> + use<'a> {
        let changes = self.plan.changes.iter();
        changes.filter_map(|change| match change.group()? {
            GroupAction::Update(update) => Some((change, update)),
            _ => None,
        })
    }

    /// Removals in one import, whatever their number; on a server that can't be read its
    /// revocations as well.
    async fn remove_members(&mut self, before: &Organization) -> Result<(), OrganizationError> {
        let leaving = match before {
            Organization::Read(_) => self.of_kind(&[Kind::Remove]),
            Organization::WriteOnly => self.of_kind(&[Kind::Remove, Kind::Revoke]),
        };
        let rows = leaving.iter().map(|change| MemberRow {
            deleted: true,
            ..row(change)
        });
        let rows = ImportRows {
            members: rows.collect(),
            ..ImportRows::default()
        };
        self.import(Phase::ChangeMembers, &leaving, rows).await
    }

    /// Revocations, re-links and restores: one request (or two) each, at the server's pace.
    async fn change_members(&mut self) -> Result<(), OrganizationError> {
        let mut single = self.of_kind(&[Kind::Revoke, Kind::Relink, Kind::Restore]);
        single.retain(|change| change.subject.id.is_some());
        self.progress.start(Phase::ChangeMembers, single.len());
        for change in single {
            let (Some(member), Some(action)) = (change.subject.id, change.member()) else {
                continue;
            };
            let result = match action {
                MemberAction::Revoke { .. } => self.client.revoke(member).await,
                MemberAction::Relink { .. } => {
                    let external_id = change.external_id();
                    self.client.relink(member, external_id).await
                }
                MemberAction::Restore => self.client.restore(member).await,
                MemberAction::Invite { .. } | MemberAction::Link | MemberAction::Remove { .. } => {
                    continue;
                }
            };
            self.note_single(change, result)?;
        }
        Ok(())
    }

    /// Invitations and links, in bulk.
    async fn invite(&mut self) -> Result<(), OrganizationError> {
        let mut coming = self.of_kind(&[Kind::Invite, Kind::Link, Kind::Restore, Kind::Relink]);
        // On a server that can't be read an import also restores and re-links.
        coming.retain(|change| {
            change.subject.id.is_none() || matches!(change.kind(), Kind::Invite | Kind::Link)
        });
        let mut rows = ImportRows::default();
        for change in &coming {
            let staged = matches!(change.member(), Some(MemberAction::Invite { staged: true }));
            rows.staged |= staged;
            rows.members.push(row(change));
        }
        self.import(Phase::Invite, &coming, rows).await
    }

    async fn change_groups(&mut self, before: &Organization) -> Result<(), OrganizationError> {
        let relinks = self.of_kind(&[Kind::RelinkGroup]);
        self.progress.start(Phase::ChangeGroups, relinks.len());
        for change in relinks {
            if let Some(group) = change.subject.id {
                let result = self.client.relink_group(group, change.external_id()).await;
                self.note_single(change, result)?;
            }
        }
        let unmanaged = self.unmanaged(before).await?;
        self.import_groups(&unmanaged).await?;
        self.change_single_groups(before, &unmanaged).await
    }

    /// Members whom we don't manage, of each group that is to be updated: as the plan found them,
    /// or read now where it went by what earlier runs remembered.
    async fn unmanaged(&self, before: &Organization) -> Result<Unmanaged, OrganizationError> {
        let mut unmanaged = Unmanaged::new();
        let mut unread: HashMap<Uuid, (&Change, &Update)> = HashMap::new();
        for (change, update) in self.updates() {
            match (&update.unmanaged, change.subject.id) {
                (Some(known), _) => {
                    unmanaged.insert(change.external_id().clone(), known.clone());
                }
                (None, Some(group)) => {
                    unread.insert(group, (change, update));
                }
                (None, None) => {}
            }
        }
        if unread.is_empty() {
            return Ok(unmanaged);
        }
        let ids = self.member_ids(before).await?;
        let groups: Vec<Uuid> = unread.keys().copied().collect();
        self.progress.start(Phase::ReadMemberships, groups.len());
        let progress = self.progress;
        let there = self
            .client
            .memberships(&groups, &|done| progress.reach(done))
            .await?;
        for (group, mut members) in there {
            let Some((change, update)) = unread.get(&group) else {
                continue;
            };
            let leaving = update.remove.iter().map(|leaving| &leaving.external_id);
            let ours = update.add.iter().chain(&update.keep).chain(leaving);
            let ours: HashSet<&Uuid> = ours.filter_map(|id| ids.get(id)).collect();
            members.retain(|member| !ours.contains(member));
            unmanaged.insert(change.external_id().clone(), members);
        }
        Ok(unmanaged)
    }

    /// New groups, and members of groups in which we manage everyone.
    async fn import_groups(&mut self, unmanaged: &Unmanaged) -> Result<(), OrganizationError> {
        let changes = self.plan.changes.iter();
        let (ids, rows): (HashSet<&ExternalId>, Vec<GroupRow>) = changes
            .filter_map(|change| {
                let row = group_row(self.plan, change, unmanaged)?;
                Some((change.external_id(), row))
            })
            .unzip();
        // A row carries the group's name, too: renaming comes with it.
        let in_rows = ids;
        let (sent, renamed): (Vec<&Change>, Vec<&Change>) = self
            .of_kind(&[Kind::CreateGroup, Kind::RenameGroup, Kind::UpdateGroup])
            .into_iter()
            .filter(|change| change.kind() != Kind::UpdateGroup || fits_import(change, unmanaged))
            .partition(|change| in_rows.contains(change.external_id()));
        let rows = ImportRows {
            groups: rows,
            ..ImportRows::default()
        };
        self.import(Phase::ChangeGroups, &sent, rows).await?;
        self.progress.start(Phase::ChangeGroups, renamed.len());
        for change in renamed {
            if let Some(group) = change.subject.id {
                let result = self
                    .client
                    .rename_group(group, change.subject.label())
                    .await;
                self.note_single(change, result)?;
            }
        }
        Ok(())
    }

    /// Groups that also hold members whom we don't manage, which an import would drop; and
    /// deletions.
    async fn change_single_groups(
        &mut self,
        before: &Organization,
        unmanaged: &Unmanaged,
    ) -> Result<(), OrganizationError> {
        let updates: Vec<(&Change, &Update)> = self
            .updates()
            .filter(|(change, _)| !fits_import(change, unmanaged))
            .collect();
        let deletions = self.of_kind(&[Kind::DeleteGroup]);
        self.progress
            .start(Phase::ChangeGroups, updates.len() + deletions.len());
        if !updates.is_empty() {
            let ids = self.member_ids(before).await?;
            for (change, update) in updates {
                let Some(group) = change.subject.id else {
                    continue;
                };
                let ours = update.keep.iter().chain(&update.add);
                let ours = ours.filter_map(|id| ids.get(id));
                let others = unmanaged.get(change.external_id()).into_iter().flatten();
                let members: Vec<Uuid> = others.chain(ours).copied().collect();
                let result = self.client.set_members(group, &members).await;
                self.note_single(change, result)?;
            }
        }
        for change in deletions {
            if let Some(group) = change.subject.id {
                let result = self.client.delete_group(group).await;
                self.note_single(change, result)?;
            }
        }
        Ok(())
    }

    /// The members' ids in Bitwarden, read again (once) where this run made new ones. To be asked
    /// for when members have their final external ids: while groups are changed.
    async fn member_ids(&self, before: &Organization) -> Result<Arc<MemberIds>, OrganizationError> {
        let ids = self.ids.get_or_try_init(|| self.read_member_ids(before));
        ids.await.cloned()
    }

    async fn read_member_ids(
        &self,
        before: &Organization,
    ) -> Result<Arc<MemberIds>, OrganizationError> {
        let changed = self.of_kind(&[Kind::Invite, Kind::Link, Kind::Relink]);
        let again = if changed.is_empty() {
            None
        } else {
            Some(self.client.read().await?)
        };
        let Organization::Read(content) = again.as_ref().unwrap_or(before) else {
            return Ok(Arc::default());
        };
        let ids = content
            .members
            .iter()
            .filter_map(|member| Some((member.external_id.clone()?, member.id)));
        Ok(Arc::new(ids.collect()))
    }

    async fn import(
        &mut self,
        phase: Phase,
        changes: &[&Change],
        rows: ImportRows,
    ) -> Result<(), OrganizationError> {
        if rows.members.is_empty() && rows.groups.is_empty() {
            return Ok(());
        }
        let progress = self.progress;
        progress.start(phase, rows.members.len() + rows.groups.len());
        let report = self
            .client
            .import(&rows, &|done| progress.reach(done))
            .await?;
        let refused = self.note(report, &rows, changes);
        for change in changes {
            if !refused.contains(change.external_id()) {
                self.applied.counts.add(change.kind());
            }
        }
        self.applied.refused.extend(refused);
        Ok(())
    }

    /// Turns what the server refused into problems, and tells whose rows weren't taken.
    fn note(
        &mut self,
        report: ImportReport,
        rows: &ImportRows,
        changes: &[&Change],
    ) -> HashSet<ExternalId> {
        let mut refused = HashSet::new();
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
                label.map_or("", |change| change.subject.label()),
                shorten(id.as_str()),
                shorten(&row.message)
            );
            self.problem(ProblemReason::Refused, message, [id.clone()]);
            refused.insert(id);
        }
        if let Some(seats) = report.no_seats {
            let message = format!(
                "{} people wait for a seat: Bitwarden says \"{}\"; add seats, or raise the limit up \
                 to which they grow by themselves",
                seats.rows.len(),
                shorten(&seats.answer)
            );
            self.problem(
                ProblemReason::NoSeats,
                message,
                &seats.rows[..seats.rows.len().min(20)],
            );
            refused.extend(seats.rows);
        }
        if let Some(answer) = report.no_groups {
            let message = format!(
                "the organization can't have groups: Bitwarden says \"{}\"; change its plan, or \
                 leave groups out of the resource",
                shorten(&answer)
            );
            self.problem(ProblemReason::Unsupported, message, []);
            refused.extend(rows.groups.iter().map(|row| row.external_id.clone()));
        }
        refused
    }

    /// Counts a single change, or notes that this one was refused and goes on.
    fn note_single(
        &mut self,
        change: &Change,
        result: Result<(), OrganizationError>,
    ) -> Result<(), OrganizationError> {
        self.progress.add(1);
        match result {
            Ok(()) => self.applied.counts.add(change.kind()),
            Err(
                error @ (OrganizationError::Refused { .. }
                | OrganizationError::Gone { .. }
                | OrganizationError::NotApplied { .. }
                | OrganizationError::NoSeats { .. }),
            ) => {
                let reason = match error {
                    OrganizationError::NoSeats { .. } => ProblemReason::NoSeats,
                    _ => ProblemReason::Refused,
                };
                let id = change.external_id().clone();
                let message = format!("{} {}: {error}", change.kind().name(), shorten(id.as_str()));
                self.problem(reason, message, [id.clone()]);
                self.applied.refused.insert(id);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn problem(&mut self, reason: ProblemReason, message: String, ids: impl Into<Vec<ExternalId>>) {
        self.applied
            .problems
            .add(Problem::new(reason, message, ids));
    }
}

/// Members whom we don't manage, by group.
type Unmanaged = HashMap<ExternalId, Vec<Uuid>>;

/// Whether an import may fill a group: it drops every member it doesn't list, so only where we
/// manage everyone in it, as far as can be known.
fn fits_import(change: &Change, unmanaged: &Unmanaged) -> bool {
    unmanaged
        .get(change.external_id())
        .is_none_or(Vec::is_empty)
}

/// The import's row for a member.
fn row(change: &Change) -> MemberRow {
    MemberRow {
        external_id: change.external_id().clone(),
        email: change.subject.email().cloned(),
        deleted: false,
    }
}

/// The import's row for a change of a group, where an import can make it.
fn group_row(plan: &Plan, change: &Change, unmanaged: &Unmanaged) -> Option<GroupRow> {
    let members = match change.group()? {
        GroupAction::Create { add } => add.clone(),
        GroupAction::Update(update) if fits_import(change, unmanaged) => {
            update.keep.iter().chain(&update.add).cloned().collect()
        }
        _ => return None,
    };
    let id = change.external_id();
    let server_id = plan.sent.as_ref().and_then(|sent| sent.server_ids.get(id));
    Some(GroupRow {
        external_id: server_id.unwrap_or(id).clone(),
        name: change.subject.label().into(),
        members,
    })
}
