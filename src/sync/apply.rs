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
use crate::sync::plan::{Action, Plan};
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
    run.let_go(before).await?;
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
    fn actions(&self) -> impl Iterator<Item = &'a Action> + use<'a> {
        self.plan.changes.iter().map(|change| &change.action)
    }

    /// Removals in one import, whatever their number; on a server that can't be read its
    /// revocations as well.
    async fn let_go(&mut self, before: &Organization) -> Result<(), OrganizationError> {
        let write_only = matches!(before, Organization::WriteOnly);
        let going: Vec<&Action> = self
            .actions()
            .filter(|action| match action {
                Action::Remove { .. } => true,
                Action::Revoke { .. } => write_only,
                _ => false,
            })
            .collect();
        let rows = going
            .iter()
            .filter_map(|action| match action {
                Action::Remove {
                    external_id, email, ..
                }
                | Action::Revoke {
                    external_id, email, ..
                } => Some(MemberRow {
                    external_id: external_id.clone(),
                    email: Some(email.clone()),
                    deleted: true,
                }),
                _ => None,
            })
            .collect();
        self.import(
            Phase::ChangeMembers,
            &going,
            ImportRows {
                members: rows,
                ..ImportRows::default()
            },
        )
        .await
    }

    /// Revocations, re-links and restores: one request (or two) each, at the server's pace.
    async fn change_members(&mut self) -> Result<(), OrganizationError> {
        let single: Vec<&Action> = self
            .actions()
            .filter(|action| {
                matches!(
                    action,
                    Action::Revoke {
                        member: Some(_),
                        ..
                    } | Action::Relink { .. }
                        | Action::Restore { .. }
                )
            })
            .collect();
        self.progress.start(Phase::ChangeMembers, single.len());
        for action in single {
            let result = match action {
                Action::Revoke {
                    member: Some(member),
                    ..
                } => self.client.revoke(*member).await,
                Action::Relink {
                    member,
                    external_id,
                    ..
                } => self.client.relink(*member, external_id).await,
                Action::Restore { member, .. } => self.client.restore(*member).await,
                _ => continue,
            };
            self.settle(action, result)?;
        }
        Ok(())
    }

    /// Invitations and links, in bulk.
    async fn invite(&mut self) -> Result<(), OrganizationError> {
        let coming: Vec<&Action> = self
            .actions()
            .filter(|action| matches!(action, Action::Invite { .. } | Action::Link { .. }))
            .collect();
        let mut rows = ImportRows::default();
        for action in &coming {
            match action {
                Action::Invite {
                    external_id,
                    email,
                    staged,
                } => {
                    rows.staged |= staged;
                    rows.members.push(row(external_id, email));
                }
                Action::Link {
                    external_id, email, ..
                } => rows.members.push(row(external_id, email)),
                _ => {}
            }
        }
        self.import(Phase::Invite, &coming, rows).await
    }

    async fn change_groups(&mut self, before: &Organization) -> Result<(), OrganizationError> {
        let relinks: Vec<&Action> = self
            .actions()
            .filter(|action| matches!(action, Action::RelinkGroup { .. }))
            .collect();
        self.progress.start(Phase::ChangeGroups, relinks.len());
        for action in relinks {
            if let Action::RelinkGroup {
                external_id, group, ..
            } = action
            {
                let result = self.client.relink_group(*group, external_id).await;
                self.settle(action, result)?;
            }
        }
        let others = self.others(before).await?;
        self.import_groups(&others).await?;
        self.change_single_groups(before, &others).await
    }

    /// Members who aren't ours, of each group that is to be updated: as the plan found them, or
    /// read now where it went by what earlier runs remembered.
    async fn others(&self, before: &Organization) -> Result<Others, OrganizationError> {
        let mut others = Others::new();
        let mut unread: HashMap<Uuid, &Action> = HashMap::new();
        for action in self.actions() {
            match action {
                Action::UpdateGroup {
                    external_id,
                    others: Some(known),
                    ..
                } => {
                    others.insert(external_id.clone(), known.clone());
                }
                Action::UpdateGroup {
                    group: Some(group),
                    others: None,
                    ..
                } => {
                    unread.insert(*group, action);
                }
                _ => {}
            }
        }
        if unread.is_empty() {
            return Ok(others);
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
            let Some(Action::UpdateGroup {
                external_id,
                add,
                remove,
                keep,
                ..
            }) = unread.get(&group)
            else {
                continue;
            };
            let ours = add
                .iter()
                .chain(remove)
                .chain(keep)
                .filter_map(|id| ids.get(id));
            let ours: HashSet<&Uuid> = ours.collect();
            members.retain(|member| !ours.contains(member));
            others.insert(external_id.clone(), members);
        }
        Ok(others)
    }

    /// New groups, and members of groups in which everyone is ours.
    async fn import_groups(&mut self, others: &Others) -> Result<(), OrganizationError> {
        let rows: Vec<GroupRow> = self
            .actions()
            .filter_map(|action| group_row(action, others))
            .collect();
        // A row carries the group's name, too: renaming comes with it.
        let in_rows: HashSet<ExternalId> = rows.iter().map(|row| row.external_id.clone()).collect();
        let (sent, renamed): (Vec<&Action>, Vec<&Action>) = self
            .actions()
            .filter(|action| match action {
                Action::CreateGroup { .. } | Action::RenameGroup { .. } => true,
                Action::UpdateGroup { .. } => fits_import(action, others),
                _ => false,
            })
            .partition(|action| in_rows.contains(action.external_id()));
        let rows = ImportRows {
            groups: rows,
            ..ImportRows::default()
        };
        self.import(Phase::ChangeGroups, &sent, rows).await?;
        self.progress.start(Phase::ChangeGroups, renamed.len());
        for action in renamed {
            if let Action::RenameGroup { group, name, .. } = action {
                let result = self.client.rename_group(*group, name).await;
                self.settle(action, result)?;
            }
        }
        Ok(())
    }

    /// Groups that also hold members who aren't ours, which an import would drop; and deletions.
    async fn change_single_groups(
        &mut self,
        before: &Organization,
        others: &Others,
    ) -> Result<(), OrganizationError> {
        let (updates, deletions): (Vec<&Action>, Vec<&Action>) = self
            .actions()
            .filter(|action| match action {
                Action::UpdateGroup { .. } => !fits_import(action, others),
                Action::DeleteGroup { .. } => true,
                _ => false,
            })
            .partition(|action| matches!(action, Action::UpdateGroup { .. }));
        self.progress
            .start(Phase::ChangeGroups, updates.len() + deletions.len());
        if !updates.is_empty() {
            let ids = self.member_ids(before).await?;
            for action in updates {
                let Action::UpdateGroup {
                    external_id,
                    group: Some(group),
                    add,
                    keep,
                    ..
                } = action
                else {
                    continue;
                };
                let ours = keep.iter().chain(add).filter_map(|id| ids.get(id).copied());
                let members: Vec<Uuid> = others
                    .get(external_id)
                    .into_iter()
                    .flatten()
                    .copied()
                    .chain(ours)
                    .collect();
                let result = self.client.set_members(*group, &members).await;
                self.settle(action, result)?;
            }
        }
        for action in deletions {
            if let Action::DeleteGroup { group, .. } = action {
                let result = self.client.delete_group(*group).await;
                self.settle(action, result)?;
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
        let changed = self.actions().any(|action| {
            matches!(
                action,
                Action::Invite { .. } | Action::Link { .. } | Action::Relink { .. }
            )
        });
        let again = if changed {
            Some(self.client.read().await?)
        } else {
            None
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
        actions: &[&Action],
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
        let refused = self.note(report, &rows);
        for action in actions {
            if !refused.contains(action.external_id()) {
                self.applied.counts.add(action);
            }
        }
        self.applied.refused.extend(refused);
        Ok(())
    }

    /// Turns what the server refused into problems, and tells whose rows weren't taken.
    fn note(&mut self, report: ImportReport, rows: &ImportRows) -> HashSet<ExternalId> {
        let mut refused = HashSet::new();
        for row in report.refused {
            let what = match row.kind {
                RowKind::Member => "member",
                RowKind::Group => "group",
            };
            let message = format!(
                "Bitwarden refused {what} {}: {}",
                shorten(row.external_id.as_str()),
                shorten(&row.message)
            );
            self.problem(ProblemReason::Refused, message, [row.external_id.clone()]);
            refused.insert(row.external_id);
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
    fn settle(
        &mut self,
        action: &Action,
        result: Result<(), OrganizationError>,
    ) -> Result<(), OrganizationError> {
        self.progress.add(1);
        match result {
            Ok(()) => self.applied.counts.add(action),
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
                let id = action.external_id().clone();
                let message = format!("{} {}: {error}", action.kind().name(), shorten(id.as_str()));
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

/// Members who aren't ours, by group.
type Others = HashMap<ExternalId, Vec<Uuid>>;

/// Whether an import may fill a group: it drops every member it doesn't list, so only where nobody
/// is in the group who isn't ours, as far as can be known.
fn fits_import(update: &Action, others: &Others) -> bool {
    others.get(update.external_id()).is_none_or(Vec::is_empty)
}

fn row(external_id: &ExternalId, email: &crate::directory::Email) -> MemberRow {
    MemberRow {
        external_id: external_id.clone(),
        email: Some(email.clone()),
        deleted: false,
    }
}

/// The import's row for a change, where an import can make it.
fn group_row(action: &Action, others: &Others) -> Option<GroupRow> {
    match action {
        Action::CreateGroup {
            external_id,
            name,
            add,
        } => Some(GroupRow {
            external_id: external_id.clone(),
            name: name.clone(),
            members: add.clone(),
        }),
        Action::UpdateGroup {
            external_id,
            name,
            add,
            keep,
            ..
        } if fits_import(action, others) => Some(GroupRow {
            external_id: external_id.clone(),
            name: name.clone(),
            members: keep.iter().chain(add).cloned().collect(),
        }),
        _ => None,
    }
}
