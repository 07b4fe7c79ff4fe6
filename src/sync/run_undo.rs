//! Takes back an earlier run: reads the organization, plans what takes the run back, and has it applied like
//! any other plan. The directory isn't read.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{Instrument as _, info_span};

use crate::directory::ExternalId;
use crate::organization::OrganizationClient;
use crate::organization::model::Organization;
use crate::sync::change_set::ChangeSet;
use crate::sync::fast_lane::Baseline;
use crate::sync::guard::{Digest, GuardedPlan, Held, guard};
use crate::sync::history::{Record, RunId};
use crate::sync::identities::People;
use crate::sync::plan::{Change, GroupAction, RemovedMember};
use crate::sync::planned::Planned;
use crate::sync::policy::Policy;
use crate::sync::progress::Phase;
use crate::sync::report::{ActionCounts, Mode, Report};
use crate::sync::run::{RunError, RunOptions, State, note_collections, run_blocking, within_means};
use crate::sync::undo::{
    Left, NoSuchRun, RunChoice, Scope, Sides, digest, draft, groups_to_delete, groups_to_read,
    merge_latest, select,
};

/// What takes back a run, as it is shown and confirmed before it is done.
pub struct PlannedUndo {
    /// The changes; an undo is applied like any other plan.
    pub planned: Planned,
    /// The run.
    pub run: RunId,
    /// When it began.
    pub began: Timestamp,
    /// Former external ids are given back, of all runs from that one on.
    pub adoption: bool,
    /// What stays as it is.
    pub left: Vec<Left>,
    /// Who gets nothing back because they left meanwhile.
    pub leavers: Vec<Box<str>>,
    /// Of whom the directory has told meanwhile that they left, whether or not they were to get anything back.
    pub left_meanwhile: People,
    /// Identifies all of it.
    pub digest: Digest,
}

/// Whom and what to take back.
#[derive(Debug, Clone)]
pub struct UndoRequest {
    /// The run.
    pub run: RunChoice,
    /// Which part of it.
    pub scope: Scope,
}

/// Why nothing is taken back.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// There is nothing of the kind in the history.
    #[error(transparent)]
    NoSuchRun(#[from] NoSuchRun),
    /// The organization couldn't be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing of it can be seen.
    #[error(
        "nothing was undone: this server (Vaultwarden) takes imports and can't be read, so nobody can tell \
         what is still as the run left it, or what somebody has changed since. What the run sent is in the \
         history: restore members in Vaultwarden's member list, or mend the directory and sync"
    )]
    WriteOnly,
}

impl PlannedUndo {
    /// What goes ahead and what limits hold back.
    pub fn guarded(&self) -> Option<&GuardedPlan> {
        self.planned.guarded()
    }

    /// The changes that are made.
    pub fn changes(&self) -> &[Change] {
        self.planned.changes()
    }

    /// What limits hold back.
    pub fn held(&self) -> Option<&Held> {
        self.planned.held()
    }

    /// Whom the fast lane may revoke while the undo is made, of those whom it may revoke by the last run.
    pub fn beside(&self, baseline: Baseline) -> Option<Baseline> {
        match &self.planned.organization {
            Organization::Read(content) => {
                Some(baseline.apart_from(self.planned.guarded()?, content))
            }
            Organization::WriteOnly => None,
        }
    }

    /// How many people are invited again, who have to accept.
    pub fn invited(&self) -> usize {
        let kinds = ActionCounts::of(self.changes());
        kinds.get(crate::sync::plan::Kind::Invite)
    }
}

/// Plans what takes a run back. `records` is the history of the resource, `directory_sync` its name there.
/// Changes nothing.
///
/// # Errors
/// Where there is no such run, and where the organization can't be read.
pub async fn plan_undo(
    client: &OrganizationClient,
    policy: &Policy,
    state: &mut State,
    options: &RunOptions<'_>,
    (records, directory_sync): (&[Record], Option<&str>),
    request: &UndoRequest,
) -> Result<PlannedUndo, UndoError> {
    let planning = execute(
        client,
        policy,
        state,
        options,
        (records, directory_sync),
        request,
    );
    options.unless_stopped(planning).await
}

async fn execute(
    client: &OrganizationClient,
    policy: &Policy,
    state: &mut State,
    options: &RunOptions<'_>,
    (records, directory_sync): (&[Record], Option<&str>),
    request: &UndoRequest,
) -> Result<PlannedUndo, UndoError> {
    let (started, made) = (Instant::now(), Timestamp::now());
    let find = |records: &[Record]| select(records, &request.run, &request.scope, directory_sync);
    let selected = find(records)?;
    let organization_id = client.organization_id().to_string();
    options.keep_ledger(state, &organization_id, made);
    if !state.memberships.keep_for(&client.describe()) {
        state.invalidate();
    }
    options.progress.start(Phase::Read, 0);
    let read = client
        .read()
        .instrument(info_span!("read_organization"))
        .await;
    let organization = read.map_err(|error| RunError::organization(Phase::Read, error))?;
    let Organization::Read(content) = &organization else {
        return Err(UndoError::WriteOnly);
    };
    let groups = groups_to_read(&selected, content);
    options.progress.start(Phase::ReadMemberships, groups.len());
    let failed = |error| RunError::organization(Phase::ReadMemberships, error);
    let progress = options.progress;
    let memberships = client
        .memberships(&groups, &|done| progress.reach(done))
        .await;
    let memberships = memberships.map_err(failed)?;
    let collections = client
        .collections(&groups_to_delete(&selected, content))
        .await;
    let collections = collections.map_err(failed)?;
    // What came of changes whose answer was lost shows in what was read.
    let State { history, audit, .. } = &mut *state;
    history.settle(&organization, &memberships, &mut |record| {
        audit.tell(record)
    });
    let records = &merge_latest(records, state.history.unsaved());
    let selected = find(records)?;

    options.progress.start(Phase::Plan, 0);
    let undo = run_blocking(|| {
        let sides = Sides {
            content,
            memberships: &memberships,
            collections: &collections,
            ledger: &state.ledger,
            policy,
        };
        draft(&selected, &sides)
    });
    let mut undo = undo;
    let left_meanwhile = People::of(&state.revoked_meanwhile, &state.left_meanwhile);
    let left_meanwhile = left_meanwhile.known_to(content, &undo.plan, records);
    let leavers = undo.plan.give_nothing_to(&left_meanwhile);
    let now = Timestamp::now();
    let counts = &undo.plan.counts;
    let (managed, by_id) = (counts.managed_members, counts.recognized.by_id);
    state.ledger.adopt(managed, by_id, now);
    let guarded = guard(undo.plan, policy, &state.ledger, now, options.approval);
    let mut guarded = within_means(client, guarded, &organization).await?;
    note_collections(client, &mut guarded).await?;
    let digest = digest(&guarded, &undo.left);
    let took: Duration = started.elapsed();
    let report = Report {
        mode: Mode::Preview,
        digest: guarded.digest.clone(),
        counts: guarded.approved.counts,
        onboarding: guarded.approved.counts.onboarding,
        imported: None,
        applied: ActionCounts::default(),
        failed: ChangeSet::default(),
        problems: guarded.approved.problems.clone(),
        memberships_verified: false,
        changed_meanwhile: false,
        durations: vec![(Phase::Plan, took)],
        guarded: Some(guarded),
    };
    Ok(PlannedUndo {
        planned: Planned {
            client: client.clone(),
            policy: policy.clone(),
            organization,
            version: None,
            made,
            seen: made,
            candidates: None,
            report,
            confirms: None,
            recorded: false,
        },
        run: selected.run,
        began: selected.began,
        adoption: selected.adoption,
        left: undo.left,
        leavers,
        left_meanwhile,
        digest,
    })
}

/// Whether each of these changes is one of the undo that was confirmed, or a part of one.
pub fn are_part_of(rest: &[Change], confirmed: &[Change]) -> bool {
    rest.iter()
        .all(|change| confirmed.iter().any(|all| is_part_of(change, all)))
}

fn is_part_of(change: &Change, all: &Change) -> bool {
    match (change.group(), all.group()) {
        (Some(GroupAction::Update(part)), Some(GroupAction::Update(whole))) => {
            let is_there = |member: &RemovedMember| {
                let mut removed = whole.remove.iter();
                removed.any(|one| one.external_id == member.external_id)
            };
            change.subject == all.subject
                && part.add.iter().all(|member| whole.add.contains(member))
                && part.remove.iter().all(is_there)
        }
        (Some(GroupAction::Create { add: part }), Some(GroupAction::Create { add: whole })) => {
            change.subject == all.subject && part.iter().all(|member| whole.contains(member))
        }
        _ => change.subject == all.subject && change.action == all.action,
    }
}

impl State {
    /// Whoever is revoked by the fast lane from now on gets nothing back by the undo that begins.
    pub fn begin_undo(&mut self) {
        self.revoked_meanwhile.clear();
        self.left_meanwhile.clear();
    }

    /// The directory has told that these people seem to have left: they get nothing back by the undo that is under way.
    pub fn leave_out<'p>(
        &mut self,
        people: impl IntoIterator<Item = &'p ExternalId>,
        policy: &Policy,
    ) {
        let ids = people
            .into_iter()
            .filter_map(|id| id.with_prefix(&policy.external_id_prefix).ok());
        self.left_meanwhile.extend(ids);
    }

    /// Forgets that both sides agreed.
    pub(super) fn invalidate(&mut self) {
        self.in_sync = None;
    }
}
