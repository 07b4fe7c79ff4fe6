//! The first phase of a run: reads both sides, works out the difference and guards it. What comes of
//! it is [`Planned`], a value that can be shown, published and confirmed before it is applied.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};
use uuid::Uuid;

use crate::complete::Complete;
use crate::directory::{Directory, ExternalId, Incremental};
use crate::fault::FaultKind;
use crate::organization::model::{MemberStatus, Organization};
use crate::organization::{OrganizationClient, OrganizationError};
use crate::problem::Problems;
use crate::schedule::Schedule;
use crate::source::{Reading, Source, SourceError, Update, Version};
use crate::sync::access_outcome::AccessOutcome;
use crate::sync::audit::Audit;
use crate::sync::change_set::ChangeSet;
use crate::sync::checkpoint::Checkpoints;
use crate::sync::exposure::Exposure;
use crate::sync::fast_lane::{Baseline, Candidates};
use crate::sync::guard::{Approval, Digest, GuardedPlan, guard};
use crate::sync::history::History;
use crate::sync::identities::People;
use crate::sync::ledger::Ledger;
use crate::sync::memberships::MembershipCache;
use crate::sync::plan::{self, Counts, Kind, Revocations as _};
use crate::sync::planned::{Planned, fingerprint};
use crate::sync::policy::Policy;
use crate::sync::progress::{Phase, Progress};
use crate::sync::report::{ActionCounts, Durations, Mode, Report};
use crate::sync::resolve::{NestingTooLarge, resolve, resolve_incremental};
use crate::sync::roster::Roster;
use crate::sync::seats::{needs_seats, needs_staging, seats, without_staging};

/// What runs of one resource leave to the next. Without it a run is as right, only dearer.
#[derive(Debug, Default)]
pub struct State {
    /// Who was seen or put into which group.
    pub memberships: MembershipCache,
    /// What was taken away, and when. The limits and restores depend on it: a caller that keeps
    /// nothing else between processes keeps this.
    pub ledger: Ledger,
    /// What was done, record by record. Nothing depends on it.
    pub history: History,
    /// Who is told of each record.
    pub audit: Audit,
    /// How long those kept access whom runs took it from, until somebody takes this out. For figures alone.
    pub exposures: Vec<Exposure>,
    /// What became of changes by `access`, until somebody takes this out. For figures alone.
    pub access_outcomes: Vec<AccessOutcome>,
    pub(super) in_sync: Option<InSync>,
    /// What the last complete read of the directory was reported to have, if every run since has come to its end
    /// and holds nothing. Only then a run reads what has changed alone.
    pub(super) confirmed: Option<Problems>,
    /// Whom the fast lane may revoke until the next run; `None` where only a whole run may.
    pub baseline: Option<Baseline>,
    /// Whom the fast lane has revoked, or tried to, since the last run began: what that run read of them may
    /// be older.
    pub(super) revoked_meanwhile: HashSet<Uuid>,
    /// Of whom the directory has told, while an undo is under way, that they seem to have left: by external ID.
    pub(super) left_meanwhile: HashSet<ExternalId>,
}

/// Both sides when they last agreed.
#[derive(Debug)]
pub(super) struct InSync {
    pub version: Version,
    pub policy: Policy,
    /// Whom we revoked by then was due for removal, if anybody was, and nothing was to be done.
    pub considered: Option<Timestamp>,
    /// From then on the passing of time alone makes another plan: an invitation expires, or somebody waits
    /// for too long.
    pub until: Option<Timestamp>,
    pub organization: u64,
    pub digest: Digest,
    pub counts: Counts,
    pub problems: Problems,
}

impl State {
    /// Starts from what an earlier process kept.
    pub fn restored(memberships: MembershipCache, ledger: Ledger) -> Self {
        Self {
            memberships,
            ledger,
            history: History::default(),
            audit: Audit::default(),
            exposures: vec![],
            access_outcomes: vec![],
            in_sync: None,
            confirmed: None,
            baseline: None,
            revoked_meanwhile: HashSet::new(),
            left_meanwhile: HashSet::new(),
        }
    }
}

/// How often a run plans again because somebody else changed a group before it was written. What is
/// changed after that is left to the next run.
pub const REPLANS: usize = 2;

/// How a run is to go.
#[derive(Clone, Copy)]
pub struct RunOptions<'a> {
    /// A person's word on removals that were held before.
    pub approval: Option<&'a Approval>,
    /// Compare everything, whatever is remembered.
    pub full_resync: bool,
    /// Whether it is kept for the fast lane what the run saw.
    pub keeps_baseline: bool,
    /// When it was first seen that something had changed in the directory, where that was before the run.
    pub seen: Option<Timestamp>,
    /// Where to report progress.
    pub progress: &'a Progress,
    /// Ends the run at the next await. What was done stays done; the next run goes on from there.
    pub stop: &'a CancellationToken,
    /// Ends the changes of the run between two requests, as `stop` does at any time.
    pub make_way: Option<&'a CancellationToken>,
    /// Where the ledger is kept while changes are made, if anywhere.
    pub checkpoints: Option<&'a dyn Checkpoints>,
    /// When runs are due. A clock that is further ahead than that explains has jumped.
    pub schedule: Option<&'a Schedule>,
}

impl<'a> RunOptions<'a> {
    /// A run that nothing was approved for, goes by what is remembered, and keeps no record meanwhile.
    pub fn new(progress: &'a Progress, stop: &'a CancellationToken) -> Self {
        Self {
            approval: None,
            full_resync: false,
            keeps_baseline: false,
            seen: None,
            progress,
            stop,
            make_way: None,
            checkpoints: None,
            schedule: None,
        }
    }

    /// Prepares the ledger for a run now, for this organization.
    pub(super) fn keep_ledger(&self, state: &mut State, organization: &str, now: Timestamp) {
        let due = |last| match self.schedule {
            Some(schedule) => schedule.latest_after(last),
            None => last,
        };
        state.ledger.keep_for_due(organization, now, due);
    }

    /// What `work` comes to, where it comes to an end before the run is asked to stop. For what changes
    /// nothing.
    pub(super) async fn unless_stopped<T, E: From<RunError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let ended = self.stop.run_until_cancelled(work).await;
        ended.unwrap_or_else(|| {
            let stopped = RunError::Stopped {
                during: self.progress.now().0,
                applied: ActionCounts::default(),
            };
            Err(stopped.into())
        })
    }
}

/// Why a run didn't come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The directory wasn't read.
    #[error("the directory couldn't be read: {error}{}", made_before(applied))]
    Source {
        /// What failed at the directory.
        #[source]
        error: SourceError,
        /// What was changed before, by a run that planned again.
        applied: ActionCounts,
    },
    /// The organization wasn't read, or a change wasn't possible.
    #[error("{}: {error}{}", match .during {
        Phase::Read | Phase::ReadMemberships => "the organization couldn't be read",
        Phase::Verify => "the changes were made, and couldn't be seen afterwards",
        _ => "not all changes could be made",
    }, made_before(applied))]
    Organization {
        /// The phase in which it happened.
        during: Phase,
        /// What failed at the organization.
        #[source]
        error: OrganizationError,
        /// What was changed before.
        applied: ActionCounts,
    },
    /// What earlier runs took away couldn't be read, or what the changes take away couldn't be recorded
    /// first. Nothing was changed since.
    #[error("{}, because the record of removals can't be read or written: {why}{}", match .applied.total() {
        0 => "nothing was changed",
        _ => "nothing more was changed",
    }, made_before(applied))]
    Unrecorded {
        /// What can't be read or written.
        why: String,
        /// What was changed before, by a run that planned again.
        applied: ActionCounts,
    },
    /// The run was asked to make way, and did so between two requests.
    #[error(
        "the run made way for something more urgent; it goes on from where it was{}",
        made_before(applied)
    )]
    MadeWay {
        /// What was changed before.
        applied: ActionCounts,
    },
    /// Somebody asked the run to stop.
    #[error(
        "the run was stopped; the next one goes on from where it was{}",
        made_before(applied)
    )]
    Stopped {
        /// The phase in which it was.
        during: Phase,
        /// What was changed before.
        applied: ActionCounts,
    },
}

impl From<SourceError> for RunError {
    fn from(error: SourceError) -> Self {
        let applied = ActionCounts::default();
        Self::Source { error, applied }
    }
}

/// For the end of a message.
pub fn made_before(applied: &ActionCounts) -> String {
    match applied.total() {
        0 => String::new(),
        _ => format!("; changes made before that: {applied}"),
    }
}

impl RunError {
    /// The record can't be read or written; nothing was changed.
    pub fn unrecorded(why: impl Into<String>) -> Self {
        Self::Unrecorded {
            why: why.into(),
            applied: ActionCounts::default(),
        }
    }

    /// The organization couldn't be read; nothing was changed.
    pub(super) fn organization(during: Phase, error: OrganizationError) -> Self {
        Self::Organization {
            during,
            error,
            applied: ActionCounts::default(),
        }
    }

    /// Who can fix it.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Source { error, .. } => error.kind,
            Self::Organization { error, .. } => error.kind(),
            Self::Unrecorded { .. } | Self::MadeWay { .. } | Self::Stopped { .. } => {
                FaultKind::Transient { retry_after: None }
            }
        }
    }

    /// The same of a run that had made the changes of `earlier` before it planned again.
    #[must_use]
    pub fn after(self, earlier: &Report) -> Self {
        self.after_changes(&earlier.applied)
    }

    /// The same of a run that had made these changes.
    #[must_use]
    pub fn after_changes(mut self, earlier: &ActionCounts) -> Self {
        let (Self::Source { applied, .. }
        | Self::Organization { applied, .. }
        | Self::Unrecorded { applied, .. }
        | Self::MadeWay { applied }
        | Self::Stopped { applied, .. }) = &mut self;
        applied.merge(earlier);
        self
    }

    /// What was changed before the run ended.
    pub fn applied(&self) -> &ActionCounts {
        let (Self::Source { applied, .. }
        | Self::Organization { applied, .. }
        | Self::Unrecorded { applied, .. }
        | Self::MadeWay { applied }
        | Self::Stopped { applied, .. }) = self;
        applied
    }
}

/// Reads both sides and plans what would make the organization agree with the directory, as far as
/// policy and guard let it. Changes nothing.
///
/// Entries at fault and missing seats are problems in the report, not errors.
///
/// # Errors
/// When either side can't be read completely, and when asked to stop.
pub async fn plan(
    source: &dyn Source,
    client: &OrganizationClient,
    policy: &Policy,
    state: &mut State,
    options: &RunOptions<'_>,
) -> Result<Planned, RunError> {
    plan_beside((source, client, policy), state, options, &mut Alone).await
}

/// The same, while `beside` may revoke people as long as only reading goes on. What the run has read by then
/// may be older than such a revocation: the organization is read again, and the plan leaves these people alone.
///
/// # Errors
/// As [`plan()`].
pub async fn plan_beside(
    (source, client, policy): (&dyn Source, &OrganizationClient, &Policy),
    state: &mut State,
    options: &RunOptions<'_>,
    beside: &mut dyn Beside,
) -> Result<Planned, RunError> {
    let mut planning = Planning {
        source,
        client,
        policy,
        options,
        durations: vec![],
    };
    Box::pin(planning.execute(state, beside)).await
}

/// What else may be done to the state while a run only reads.
pub trait Beside: Send {
    /// Does `reading` to its end. Meanwhile members may be revoked by
    /// [`run_fast_lane`](crate::sync::run_fast_lane) with `state`.
    fn read<'s>(
        &'s mut self,
        state: &'s mut State,
        reading: BoxFuture<'s, ()>,
    ) -> BoxFuture<'s, ()>;

    /// Revokes whoever of these people certainly left, by [`run_fast_lane`](crate::sync::run_fast_lane) with
    /// `state`: their IDs in the directory, without a prefix.
    fn revoke<'s>(
        &'s mut self,
        state: &'s mut State,
        people: &'s [ExternalId],
    ) -> BoxFuture<'s, ()>;
}

/// Nothing else is done.
pub struct Alone;

impl Beside for Alone {
    fn read<'s>(&'s mut self, _: &'s mut State, reading: BoxFuture<'s, ()>) -> BoxFuture<'s, ()> {
        reading
    }

    fn revoke<'s>(&'s mut self, _: &'s mut State, _: &'s [ExternalId]) -> BoxFuture<'s, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What `reading` comes to.
async fn while_reading<T: Send>(
    beside: &mut dyn Beside,
    state: &mut State,
    reading: impl Future<Output = T> + Send,
) -> T {
    let mut read = None;
    let reading = Box::pin(async { read = Some(reading.await) });
    beside.read(state, reading).await;
    read.expect("it was done to its end")
}

pub(super) struct Planning<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) client: &'a OrganizationClient,
    pub(super) policy: &'a Policy,
    pub(super) options: &'a RunOptions<'a>,
    pub(super) durations: Durations,
}

/// A guarded plan, and what it was made from.
pub(super) struct Worked {
    pub guarded: GuardedPlan,
    /// Whether every group was read for it.
    verified: bool,
    /// The groups that were read, with their members.
    pub memberships: HashMap<Uuid, Vec<Uuid>>,
    /// Of those, the ones that the plan didn't need.
    pub read_beside: Vec<Uuid>,
    /// Whether groups weren't read that the plan needs: see [`Comparison::only`].
    pub leaves_out: bool,
}

/// So many groups are read without much ado: a request each.
pub(super) const FEW_GROUPS: usize = 50;

/// What a run saw of the directory.
enum DirectoryRead {
    /// All of it.
    Complete(Complete<Directory>, Option<Version>),
    /// An earlier complete read, brought up to date.
    Incremental(Incremental<Directory>, Version),
    /// That it is as it was when both sides agreed.
    Unchanged,
}

impl DirectoryRead {
    fn of(reading: Reading) -> Self {
        match reading {
            Reading::Full { directory, version } => Self::Complete(directory, version),
            Reading::Unchanged => Self::Unchanged,
        }
    }

    fn of_update(update: Update) -> Self {
        match update {
            Update::Changed { directory, version } => Self::Incremental(directory, version),
            Update::Unchanged => Self::Unchanged,
        }
    }
}

/// Which groups are read for a plan.
#[derive(Default)]
pub(super) struct Comparison<'a> {
    /// These are read, whatever is remembered of them.
    pub beside: &'a [Uuid],
    /// Of those that the plan needs, only these are read, and nothing is planned for the others; unless they are
    /// at most [`FEW_GROUPS`].
    pub only: Option<&'a HashSet<Uuid>>,
    /// Groups that were read before, with their members.
    pub read: HashMap<Uuid, Vec<Uuid>>,
}

/// What a comparison of groups comes to.
enum Compared {
    Now(Box<Worked>),
    /// Somebody was revoked meanwhile. The groups with their members.
    Before(HashMap<Uuid, Vec<Uuid>>),
}

impl Planning<'_> {
    async fn execute(
        &mut self,
        state: &mut State,
        beside: &mut dyn Beside,
    ) -> Result<Planned, RunError> {
        self.begin(state);
        let options = self.options;
        let (started, made) = (Instant::now(), Timestamp::now());
        let known = self.known(state).cloned();
        // Whatever ends this run early, the next one reads everything.
        let mut confirmed = state.confirmed.take();
        let reads_all = options.full_resync || options.approval.is_some() || confirmed.is_none();
        let collections = self.needs_collections(state);
        let reading = Box::pin(self.read_sides(known.as_ref(), reads_all, collections));
        let read = while_reading(beside, state, options.unless_stopped(reading)).await;
        let (reading, mut organization) = read?;
        if !state.revoked_meanwhile.is_empty() {
            organization = self.read_organization_again(state, beside).await?;
        }
        let seen = state.revoked_meanwhile.len();
        let (mut roster, mut version) = match reading {
            DirectoryRead::Complete(directory, version) => {
                self.time(Phase::Read, started.elapsed());
                (self.resolve(directory)?, version)
            }
            DirectoryRead::Incremental(directory, version) => {
                self.time(Phase::Read, started.elapsed());
                (self.resolve_incremental(directory)?, Some(version))
            }
            DirectoryRead::Unchanged => {
                if let Some(report) = self.still_in_sync(state, &organization) {
                    let planned = self.planned(report, organization, None, made);
                    return Ok(Planned {
                        confirms: confirmed,
                        ..planned
                    });
                }
                state.in_sync = None;
                let reading = options.unless_stopped(Box::pin(self.read_all()));
                let (directory, version) = while_reading(beside, state, reading).await?;
                self.time(Phase::Read, started.elapsed());
                (self.resolve(directory)?, version)
            }
        };
        let mut comparison = Comparison::default();
        if state.revoked_meanwhile.len() > seen {
            organization = self.read_organization_again(state, beside).await?;
        }
        let (mut were_looked_at, mut some_stay) = (false, false);
        let worked = loop {
            let compared = self.compare(state, &roster, &organization, comparison, beside);
            match compared.await? {
                Compared::Now(worked) => {
                    let why = needs_complete_read(&roster, &worked.guarded, confirmed.as_ref());
                    let Some(why) = why else {
                        break *worked;
                    };
                    // A whole read may take minutes, and hold up the directory for others meanwhile.
                    let leavers = self.leavers(state, &worked.guarded);
                    if !leavers.is_empty() && !std::mem::replace(&mut were_looked_at, true) {
                        let before = state.revoked_meanwhile.len();
                        let (people, members): (Vec<_>, HashSet<_>) = leavers.into_iter().unzip();
                        beside.revoke(state, &people).await;
                        if state.revoked_meanwhile.len() > before {
                            organization = self.read_organization_again(state, beside).await?;
                            comparison = Comparison::default();
                            let stay = with_access(&organization, &members);
                            if stay.is_empty() {
                                continue;
                            }
                            // Both sides are read after what failed: this run decides about them.
                            some_stay = true;
                            state.revoked_meanwhile.retain(|one| !stay.contains(one));
                        }
                    }
                    tracing::info!(%why, "the directory is read as a whole before anything is decided");
                    let started = Instant::now();
                    let reading = options.unless_stopped(Box::pin(self.read_all()));
                    let (directory, whole) = while_reading(beside, state, reading).await?;
                    self.time(Phase::Read, started.elapsed());
                    (roster, version) = (self.resolve(directory)?, whole);
                    if some_stay || state.revoked_meanwhile.len() > seen {
                        organization = self.read_organization_again(state, beside).await?;
                    }
                    comparison = Comparison::default();
                }
                Compared::Before(read) => {
                    organization = self.read_organization_again(state, beside).await?;
                    comparison = Comparison {
                        read,
                        ..Comparison::default()
                    };
                }
            }
        };
        let Worked {
            mut guarded,
            verified,
            ..
        } = worked;
        // What was read of some people isn't how things stand.
        let version = version.filter(|_| state.revoked_meanwhile.is_empty());
        if roster.incremental.is_none() || confirmed.is_none() {
            confirmed = Some(guarded.approved.problems.clone());
        }
        let candidates = match self.options.keeps_baseline {
            true => run_blocking(|| Candidates::of(&roster, self.policy, &guarded)),
            false => None,
        };
        drop(roster);
        let noting = Box::pin(note_collections(self.client, &mut guarded));
        options.unless_stopped(noting).await?;
        let report = Report {
            mode: Mode::Preview,
            digest: guarded.digest.clone(),
            counts: guarded.approved.counts,
            onboarding: guarded.approved.counts.onboarding,
            imported: None,
            applied: ActionCounts::default(),
            failed: ChangeSet::default(),
            problems: guarded.approved.problems.clone(),
            memberships_verified: verified,
            changed_meanwhile: false,
            durations: std::mem::take(&mut self.durations),
            guarded: Some(guarded),
        };
        Ok(Planned {
            candidates,
            confirms: confirmed,
            ..self.planned(report, organization, version, made)
        })
    }

    /// Whom the fast lane may be certain of, of those who would be revoked on account of a directory that wasn't read
    /// whole: their IDs in it, without a prefix, and their members.
    fn leavers(&self, state: &State, guarded: &GuardedPlan) -> Vec<(ExternalId, Uuid)> {
        let Some(baseline) = &state.baseline else {
            return vec![];
        };
        let prefix = &*self.policy.external_id_prefix;
        let leavers = guarded.leavers.iter();
        leavers
            .filter_map(|id| id.as_str().strip_prefix(prefix))
            .filter_map(|id| ExternalId::parse(id).ok())
            .filter_map(|id| baseline.member(&id).map(|member| (id, member)))
            .collect()
    }

    /// Prepares what earlier runs left for a run now.
    pub(super) fn begin(&self, state: &mut State) {
        state.revoked_meanwhile.clear();
        if self.options.full_resync {
            self.source.forget();
            state.memberships.invalidate();
            state.in_sync = None;
        }
        let organization = self.client.organization_id().to_string();
        self.options
            .keep_ledger(state, &organization, Timestamp::now());
        if !state.memberships.keep_for(&self.client.describe()) {
            state.in_sync = None;
        }
    }

    fn planned(
        &self,
        report: Report,
        organization: Organization,
        version: Option<Version>,
        made: Timestamp,
    ) -> Planned {
        Planned {
            client: self.client.clone(),
            policy: self.policy.clone(),
            organization,
            version,
            made,
            seen: self.options.seen.map_or(made, |seen| seen.min(made)),
            candidates: None,
            confirms: None,
            report,
            recorded: false,
        }
    }

    fn time(&mut self, phase: Phase, took: Duration) {
        let mut known = self.durations.iter_mut();
        match known.find(|(known, _)| *known == phase) {
            Some((_, before)) => *before += took,
            None => self.durations.push((phase, took)),
        }
    }

    /// Where the directory stood when both sides agreed, where that can spare a read.
    pub(super) fn known<'s>(&self, state: &'s State) -> Option<&'s Version> {
        state
            .in_sync
            .as_ref()
            .filter(|in_sync| in_sync.policy == *self.policy)
            // Somebody may have become due for removal since then, although nothing changed.
            .filter(|in_sync| {
                let now = state.ledger.believed(Timestamp::now());
                let revoked_by = self.policy.offboarding.revoked_by(now);
                let after = in_sync.considered;
                !revoked_by.is_some_and(|by| state.ledger.has_revoked_any(after, by))
            })
            .filter(|in_sync| {
                let now = state.ledger.believed(Timestamp::now());
                in_sync.until.is_none_or(|until| now < until)
            })
            .map(|in_sync| &in_sync.version)
    }

    /// Both sides at once, of the directory what has changed alone, unless all is to be read or that isn't possible.
    async fn read_sides(
        &self,
        known: Option<&Version>,
        reads_all: bool,
        collections: bool,
    ) -> Result<(DirectoryRead, Organization), RunError> {
        self.options.progress.start(Phase::Read, 0);
        let progress = &self.options.progress.read;
        let directory = async {
            if !reads_all && let Some(update) = self.source.read_changes(known, progress).await {
                return Ok(DirectoryRead::of_update(update));
            }
            progress.begin_again();
            let reading = self.source.read(known, progress).await;
            reading.map(DirectoryRead::of).map_err(RunError::from)
        }
        .instrument(info_span!("read_directory"));
        tokio::try_join!(directory, self.read_organization(collections))
    }

    /// Both sides at once; the first error ends the other's read.
    pub(super) async fn read(
        &self,
        known: Option<&Version>,
        collections: bool,
    ) -> Result<(Reading, Organization), RunError> {
        self.options.progress.start(Phase::Read, 0);
        let directory = async {
            let reading = self.source.read(known, &self.options.progress.read).await;
            reading.map_err(RunError::from)
        }
        .instrument(info_span!("read_directory"));
        tokio::try_join!(directory, self.read_organization(collections))
    }

    /// Whether collections are needed: rules name them, or gave access that is to be taken back.
    pub(super) fn needs_collections(&self, state: &State) -> bool {
        !self.policy.access.collections.is_empty() || state.ledger.given_access() > 0
    }

    async fn read_organization(&self, collections: bool) -> Result<Organization, RunError> {
        let read = self.client.read_with(collections);
        let read = read.instrument(info_span!("read_organization")).await;
        read.map_err(|error| RunError::organization(Phase::Read, error))
    }

    /// Reads the organization again until nobody is revoked meanwhile.
    async fn read_organization_again(
        &self,
        state: &mut State,
        beside: &mut dyn Beside,
    ) -> Result<Organization, RunError> {
        let collections = self.needs_collections(state);
        loop {
            let before = state.revoked_meanwhile.len();
            let reading = Box::pin(self.read_organization(collections));
            let reading = self.options.unless_stopped(reading);
            let read = while_reading(beside, state, reading).await?;
            if state.revoked_meanwhile.len() == before {
                return Ok(read);
            }
        }
    }

    pub(super) async fn read_directory(&self) -> Result<Complete<Directory>, RunError> {
        let (directory, _) = self.read_all().await?;
        Ok(directory)
    }

    /// Everything that the directory has.
    async fn read_all(&self) -> Result<(Complete<Directory>, Option<Version>), RunError> {
        let progress = &self.options.progress.read;
        progress.begin_again();
        match self.source.read(None, progress).await? {
            Reading::Full { directory, version } => Ok((directory, version)),
            Reading::Unchanged => Err(RunError::from(SourceError {
                kind: FaultKind::Incomplete,
                message: "the source says that nothing changed, and wasn't asked for that".into(),
                cause: None,
            })),
        }
    }

    /// The report of a run that has nothing to look at: neither the directory nor the organization
    /// has changed since they agreed.
    fn still_in_sync(&mut self, state: &State, organization: &Organization) -> Option<Report> {
        let in_sync = state.in_sync.as_ref()?;
        (fingerprint(organization)? == in_sync.organization).then(|| Report {
            mode: Mode::Preview,
            guarded: None,
            digest: in_sync.digest.clone(),
            counts: in_sync.counts,
            onboarding: in_sync.counts.onboarding,
            imported: None,
            applied: ActionCounts::default(),
            failed: ChangeSet::default(),
            problems: in_sync.problems.clone(),
            memberships_verified: false,
            changed_meanwhile: false,
            durations: std::mem::take(&mut self.durations),
        })
    }

    /// The directory as the policy sees it.
    pub(super) fn resolve(&mut self, directory: Complete<Directory>) -> Result<Roster, RunError> {
        self.resolved(|policy| resolve(directory, policy))
    }

    /// The same of one that wasn't read whole.
    fn resolve_incremental(
        &mut self,
        directory: Incremental<Directory>,
    ) -> Result<Roster, RunError> {
        self.resolved(|policy| resolve_incremental(directory, policy))
    }

    fn resolved(
        &mut self,
        resolve: impl FnOnce(&Policy) -> Result<Roster, NestingTooLarge>,
    ) -> Result<Roster, RunError> {
        let started = Instant::now();
        self.options.progress.start(Phase::Plan, 0);
        let roster = info_span!("resolve")
            .in_scope(|| run_blocking(|| resolve(self.policy)))
            .map_err(|error| SourceError {
                kind: FaultKind::Configuration,
                message: error.to_string(),
                cause: None,
            })?;
        self.time(Phase::Plan, started.elapsed());
        Ok(roster)
    }

    /// The guarded plan, where nothing else is done meanwhile.
    pub(super) async fn plan(
        &mut self,
        state: &mut State,
        roster: &Roster,
        organization: &Organization,
        mut comparison: Comparison<'_>,
    ) -> Result<Worked, RunError> {
        loop {
            let Comparison { beside, only, .. } = comparison;
            let mut alone = Alone;
            let compared = self.compare(state, roster, organization, comparison, &mut alone);
            match compared.await? {
                Compared::Now(worked) => return Ok(*worked),
                Compared::Before(read) => comparison = Comparison { beside, only, read },
            }
        }
    }

    /// The guarded plan, unless somebody was revoked while groups were read: then the groups, and what was read
    /// of the organization before is outdated.
    async fn compare(
        &mut self,
        state: &mut State,
        roster: &Roster,
        organization: &Organization,
        Comparison { beside, only, read }: Comparison<'_>,
        revoking: &mut dyn Beside,
    ) -> Result<Compared, RunError> {
        let started = Instant::now();
        self.options.progress.start(Phase::Plan, 0);
        let draft = info_span!("plan").in_scope(|| {
            run_blocking(|| {
                plan::draft(
                    roster,
                    organization,
                    self.policy,
                    &state.ledger,
                    Timestamp::now(),
                )
            })
        });
        let approving = self.options.approval.is_some();
        let mut unknown = state.memberships.to_read(&draft, approving);
        let verified = self.options.full_resync || unknown.len() == draft.existing_groups();
        let mut read_beside = beside.to_vec();
        if !beside.is_empty() {
            let needed: HashSet<Uuid> = unknown.iter().copied().collect();
            read_beside.retain(|group| !needed.contains(group));
        }
        let needed = unknown.len();
        if let Some(only) = only.filter(|_| needed > FEW_GROUPS) {
            unknown.retain(|group| only.contains(group));
        }
        let leaves_out = unknown.len() < needed;
        unknown.extend(&read_beside);
        unknown.retain(|group| !read.contains_key(group));
        let planning = started.elapsed();

        let revoked = state.revoked_meanwhile.len();
        let reading = Box::pin(self.read_memberships(&unknown));
        let reading = self.options.unless_stopped(reading);
        let (mut memberships, took) = while_reading(revoking, state, reading).await?;
        memberships.extend(read);
        self.time(Phase::ReadMemberships, took);
        if state.revoked_meanwhile.len() > revoked {
            return Ok(Compared::Before(memberships));
        }
        let State { history, audit, .. } = &mut *state;
        history.settle(organization, &memberships, &mut |record| audit.tell(record));

        let started = Instant::now();
        self.options.progress.start(Phase::Plan, 0);
        let mut plan = run_blocking(|| draft.complete(&state.memberships, &memberships));
        if let Organization::Read(content) = organization {
            let revoked = People::of(&state.revoked_meanwhile, &HashSet::new());
            plan.leave_alone(&revoked.known_to(content, &plan, &[]));
        }
        plan.keep_manual_revocations(self.policy, &state.ledger);
        let now = Timestamp::now();
        let counts = &plan.counts;
        let (managed, by_id) = (counts.managed_members, counts.recognized.by_id);
        state.ledger.adopt(managed, by_id, now);
        let guarded = guard(plan, self.policy, &state.ledger, now, self.options.approval);
        let limiting = Box::pin(within_means(self.client, guarded, organization));
        let guarded = self.options.unless_stopped(limiting).await?;
        self.time(Phase::Plan, planning + started.elapsed());
        Ok(Compared::Now(Box::new(Worked {
            guarded,
            verified,
            memberships,
            read_beside,
            leaves_out,
        })))
    }
}

impl Planning<'_> {
    /// The members of these groups, and how long it took to read them.
    async fn read_memberships(
        &self,
        groups: &[Uuid],
    ) -> Result<(HashMap<Uuid, Vec<Uuid>>, Duration), RunError> {
        let started = Instant::now();
        let progress = self.options.progress;
        progress.start(Phase::ReadMemberships, groups.len());
        let read = self
            .client
            .memberships(groups, &|done| progress.reach(done))
            .instrument(info_span!("read_memberships", groups = groups.len()))
            .await;
        let read = read.map_err(|error| RunError::organization(Phase::ReadMemberships, error))?;
        Ok((read, started.elapsed()))
    }
}

/// Why the directory has to be read as a whole for this plan; `None` where it was, or the plan only gives to those
/// whose entries were read now, and has no problem that the last whole read hadn't.
fn needs_complete_read(
    roster: &Roster,
    guarded: &GuardedPlan,
    confirmed: Option<&Problems>,
) -> Option<String> {
    if let Some(why) = &guarded.needs_complete_read {
        return Some(why.to_string());
    }
    roster.incremental.as_ref()?;
    let is_known =
        confirmed.is_some_and(|before| !guarded.approved.problems.has_other_than(before));
    (!is_known).then(|| "there are problems that the last whole read hadn't".to_owned())
}

/// Those of `members` who have access in an organization that can be read.
fn with_access(organization: &Organization, members: &HashSet<Uuid>) -> HashSet<Uuid> {
    let Organization::Read(content) = organization else {
        return HashSet::new();
    };
    let there = content.members.iter();
    there
        .filter(|one| members.contains(&one.id) && one.status != MemberStatus::Revoked)
        .map(|one| one.id)
        .collect()
}

/// Without those who can't come in: there is no seat for them, or the server can't add them without an
/// invitation.
pub(super) async fn within_means(
    client: &OrganizationClient,
    guarded: GuardedPlan,
    organization: &Organization,
) -> Result<GuardedPlan, RunError> {
    let failed = |error| RunError::organization(Phase::Plan, error);
    let guarded = if needs_staging(&guarded.approved) {
        match client.stages_members().await.map_err(failed)? {
            true => guarded,
            false => without_staging(guarded),
        }
    } else {
        guarded
    };
    Ok(match organization {
        Organization::Read(content) if needs_seats(&guarded.approved) => {
            let paid = client.seats().await.map_err(failed)?;
            seats(guarded, content, paid)
        }
        _ => guarded,
    })
}

/// Reads to which collections the groups give access that are to be deleted: afterwards nobody knows.
pub(super) async fn note_collections(
    client: &OrganizationClient,
    guarded: &mut GuardedPlan,
) -> Result<(), RunError> {
    let deletions = guarded.approved.changes.iter();
    let deletions = deletions.filter(|change| change.kind() == Kind::DeleteGroup);
    let groups: Vec<Uuid> = deletions.filter_map(|change| change.subject.id).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let read = client.collections(&groups).await;
    let read = read.map_err(|error| RunError::organization(Phase::ReadMemberships, error))?;
    guarded.approved.note_collections(read);
    Ok(())
}

/// Runs what takes the processor for a while, so that other tasks go on where there are threads.
pub(super) fn run_blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}
