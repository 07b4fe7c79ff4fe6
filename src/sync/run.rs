//! One run: read both sides, work out the difference, guard it, apply it, see that it is there.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Instant;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

use crate::complete::Complete;
use crate::directory::Directory;
use crate::fault::FaultKind;
use crate::organization::model::{Content, Organization};
use crate::organization::{OrganizationClient, OrganizationError};
use crate::problem::Problems;
use crate::source::{Reading, Source, SourceError, Version};
use crate::sync::apply::apply;
use crate::sync::guard::{Approval, Digest, Guarded, guard};
use crate::sync::memberships::{Failed, Memory};
use crate::sync::plan::{self, Counts};
use crate::sync::policy::Policy;
use crate::sync::progress::{Phase, Progress};
use crate::sync::report::{ActionCounts, Applied, Durations, Mode, Report};
use crate::sync::resolve::resolve;
use crate::sync::seats::{needs_seats, seats};
use crate::sync::verify::verify;

/// What runs of one resource leave to the next. Without it a run is as right, only dearer.
#[derive(Debug, Default)]
pub struct State {
    /// Who was seen or put into which group.
    pub memory: Memory,
    in_step: Option<InStep>,
}

/// Both sides when they last agreed.
#[derive(Debug)]
struct InStep {
    version: Version,
    policy: Policy,
    organization: u64,
    digest: Digest,
    counts: Counts,
    problems: Problems,
}

impl State {
    /// Starts from memberships that an earlier process kept.
    pub fn restored(memory: Memory) -> Self {
        Self {
            memory,
            in_step: None,
        }
    }
}

/// How a run is to go.
pub struct RunOptions<'a> {
    /// Whether to change anything.
    pub mode: Mode,
    /// A person's word on removals that were held before.
    pub approval: Option<&'a Approval>,
    /// Compare everything, whatever is remembered.
    pub everything: bool,
    /// Where to tell how far things are.
    pub progress: &'a Progress,
    /// Hears of the plan before anything is changed, and what may be remembered from then on: where
    /// a memory is kept, it has to be replaced by this one. Absent where none is.
    pub before_changes: Option<&'a BeforeChanges<'a>>,
    /// Ends the run at the next await. What was done stays done; the next run goes on from there.
    pub stop: &'a CancellationToken,
}

/// Told of a plan that is about to be applied; the changes begin when it is done.
pub type BeforeChanges<'a> = dyn Fn(&Guarded, &Memory) -> BoxFuture<'static, ()> + Send + Sync + 'a;

/// Why a run didn't come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The directory wasn't read; nothing was changed.
    #[error("the directory couldn't be read: {0}")]
    Source(#[from] SourceError),
    /// The organization wasn't read, or a change wasn't possible.
    #[error("{}: {error}", match .during {
        Phase::Read | Phase::ReadMemberships => "the organization couldn't be read",
        Phase::Verify => "the changes were made, and couldn't be seen afterwards",
        _ => "not all changes could be made",
    })]
    Organization {
        /// The phase in which it happened.
        during: Phase,
        /// What happened.
        #[source]
        error: OrganizationError,
        /// What was changed before.
        applied: ActionCounts,
    },
    /// Somebody asked the run to stop.
    #[error("the run was stopped; the next one goes on from where it was")]
    Stopped {
        /// The phase in which it was.
        during: Phase,
        /// What was changed before.
        applied: ActionCounts,
    },
}

impl RunError {
    /// Who can mend it.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Source(error) => error.kind,
            Self::Organization { error, .. } => error.kind(),
            Self::Stopped { .. } => FaultKind::Transient { retry_after: None },
        }
    }

    /// What was changed before the run ended.
    pub fn applied(&self) -> Option<&ActionCounts> {
        match self {
            Self::Source(_) => None,
            Self::Organization { applied, .. } | Self::Stopped { applied, .. } => Some(applied),
        }
    }
}

/// Brings the organization into step with the directory, as far as policy and guard let it.
///
/// Entries at fault, refused rows and missing seats are problems in the report, not errors.
///
/// # Errors
/// When either side can't be read completely (nothing was changed), when the organization can't be
/// reached in the middle of the changes, and when asked to stop.
pub async fn run(
    source: &dyn Source,
    client: &OrganizationClient,
    policy: &Policy,
    state: &mut State,
    options: &RunOptions<'_>,
) -> Result<Report, RunError> {
    let mut run = Run {
        source,
        client,
        policy,
        options,
        durations: vec![],
        applied: Applied::default(),
    };
    let finished = options.stop.run_until_cancelled(run.go(state)).await;
    finished.unwrap_or_else(|| {
        let during = options.progress.now().0;
        Err(RunError::Stopped {
            during,
            applied: std::mem::take(&mut run.applied.counts),
        })
    })
}

struct Run<'a> {
    source: &'a dyn Source,
    client: &'a OrganizationClient,
    policy: &'a Policy,
    options: &'a RunOptions<'a>,
    durations: Durations,
    applied: Applied,
}

impl Run<'_> {
    async fn go(&mut self, state: &mut State) -> Result<Report, RunError> {
        if self.options.everything {
            state.memory.distrust();
            state.in_step = None;
        }
        if !state.memory.keep_for(&self.client.describe()) {
            state.in_step = None;
        }
        let started = Instant::now();
        let (reading, organization) = self.read(state).await?;
        let (directory, version) = match reading {
            Reading::Full { directory, version } => (directory, version),
            Reading::Unchanged => {
                if let Some(report) = self.still_in_step(state, &organization) {
                    return Ok(report);
                }
                state.in_step = None;
                (self.read_directory().await?, None)
            }
        };
        self.durations.push((Phase::Read, started.elapsed()));

        let (guarded, verified) = self.plan(state, directory, &organization).await?;
        let mut report = Report {
            mode: self.options.mode,
            digest: guarded.digest.clone(),
            counts: guarded.approved.counts,
            applied: ActionCounts::default(),
            problems: guarded.approved.problems.clone(),
            memberships_verified: verified,
            durations: vec![],
            guarded: Some(guarded),
        };
        self.finish(state, &organization, &mut report).await?;
        report.durations = std::mem::take(&mut self.durations);
        state.in_step = version.filter(|_| report.in_step()).and_then(|version| {
            Some(InStep {
                version,
                policy: self.policy.clone(),
                organization: fingerprint(&organization)?,
                digest: report.digest.clone(),
                counts: report.counts,
                problems: report.problems.clone(),
            })
        });
        Ok(report)
    }

    /// Both sides at once; the first error ends the other's read.
    async fn read(&self, state: &State) -> Result<(Reading, Organization), RunError> {
        self.options.progress.start(Phase::Read, 0);
        let known = state
            .in_step
            .as_ref()
            .filter(|in_step| in_step.policy == *self.policy)
            .map(|in_step| &in_step.version);
        let directory = async {
            let reading = self.source.read(known, &self.options.progress.read).await;
            reading.map_err(RunError::from)
        }
        .instrument(info_span!("read_directory"));
        let organization = async {
            let read = self.client.read().await;
            read.map_err(|error| self.organization_error(Phase::Read, error))
        }
        .instrument(info_span!("read_organization"));
        tokio::try_join!(directory, organization)
    }

    async fn read_directory(&self) -> Result<Complete<Directory>, RunError> {
        match self.source.read(None, &self.options.progress.read).await? {
            Reading::Full { directory, .. } => Ok(directory),
            Reading::Unchanged => Err(RunError::Source(SourceError {
                kind: FaultKind::Incomplete,
                message: "the source says that nothing changed, and wasn't asked for that".into(),
                cause: None,
            })),
        }
    }

    /// The report of a run that has nothing to look at: the directory stands where it stood, and so
    /// does the organization.
    fn still_in_step(&mut self, state: &State, organization: &Organization) -> Option<Report> {
        let in_step = state.in_step.as_ref()?;
        (fingerprint(organization)? == in_step.organization).then(|| Report {
            mode: self.options.mode,
            guarded: None,
            digest: in_step.digest.clone(),
            counts: in_step.counts,
            applied: ActionCounts::default(),
            problems: in_step.problems.clone(),
            memberships_verified: false,
            durations: std::mem::take(&mut self.durations),
        })
    }

    /// The guarded plan, and whether every group was read for it.
    async fn plan(
        &mut self,
        state: &State,
        directory: Complete<Directory>,
        organization: &Organization,
    ) -> Result<(Guarded, bool), RunError> {
        let started = Instant::now();
        self.options.progress.start(Phase::Plan, 0);
        let roster = info_span!("resolve").in_scope(|| heavy(|| resolve(directory, self.policy)));
        let draft = info_span!("plan")
            .in_scope(|| heavy(|| plan::draft(&roster, organization, self.policy)));
        let approving = self.options.approval.is_some();
        let unknown = state.memory.to_read(&draft, approving);
        let verified = self.options.everything || unknown.len() == draft.existing_groups();
        let planning = started.elapsed();

        let started = Instant::now();
        let progress = self.options.progress;
        progress.start(Phase::ReadMemberships, unknown.len());
        let memberships = self
            .client
            .memberships(&unknown, &|done| progress.reach(done))
            .instrument(info_span!("read_memberships", groups = unknown.len()))
            .await;
        let memberships =
            memberships.map_err(|error| self.organization_error(Phase::ReadMemberships, error))?;
        self.durations
            .push((Phase::ReadMemberships, started.elapsed()));

        let started = Instant::now();
        progress.start(Phase::Plan, 0);
        let plan = heavy(|| draft.complete(&state.memory, &memberships));
        let guarded = guard(plan, self.policy, self.options.approval);
        let guarded = match organization {
            Organization::Read(content) if needs_seats(&guarded.approved) => {
                let paid = self.client.seats().await;
                let paid = paid.map_err(|error| self.organization_error(Phase::Plan, error))?;
                seats(guarded, content, paid)
            }
            _ => guarded,
        };
        self.durations
            .push((Phase::Plan, planning + started.elapsed()));
        Ok((guarded, verified))
    }

    /// Applies what passed the guard, and remembers how things stand.
    async fn finish(
        &mut self,
        state: &mut State,
        organization: &Organization,
        report: &mut Report,
    ) -> Result<(), RunError> {
        let Some(guarded) = &report.guarded else {
            return Ok(());
        };
        if self.options.mode == Mode::Preview {
            state.memory.observe(guarded);
            return Ok(());
        }
        if guarded.approved.changes.is_empty() {
            state.memory.record(guarded, &Failed::default());
            return Ok(());
        }
        // From here on the organization may be other than remembered, wherever this stops.
        state.memory.record(guarded, &everything(guarded));
        state.in_step = None;
        if let Some(before_changes) = self.options.before_changes {
            before_changes(guarded, &state.memory).await;
        }
        let started = Instant::now();
        let progress = self.options.progress;
        let done = apply(
            self.client,
            &guarded.approved,
            organization,
            progress,
            &mut self.applied,
        )
        .instrument(info_span!(
            "apply",
            changes = guarded.approved.changes.len()
        ))
        .await;
        self.durations.push((progress.now().0, started.elapsed()));
        done.map_err(|error| self.organization_error(progress.now().0, error))?;

        let started = Instant::now();
        if matches!(organization, Organization::Read(_)) {
            progress.start(Phase::Verify, 0);
            let after = self.client.read().instrument(info_span!("verify")).await;
            let after = after.map_err(|error| self.organization_error(Phase::Verify, error))?;
            if let Organization::Read(content) = &after {
                verify(&guarded.approved, content, &mut self.applied);
            }
            self.durations.push((Phase::Verify, started.elapsed()));
        }
        let refused = &self.applied.refused;
        let failed = Failed {
            groups: refused.clone(),
            people: refused.clone(),
        };
        state.memory.record(guarded, &failed);
        report.applied = std::mem::take(&mut self.applied.counts);
        report
            .problems
            .extend(std::mem::take(&mut self.applied.problems));
        Ok(())
    }

    fn organization_error(&self, during: Phase, error: OrganizationError) -> RunError {
        RunError::Organization {
            during,
            error,
            applied: self.applied.counts.clone(),
        }
    }
}

/// Every group and person that the plan changes.
fn everything(guarded: &Guarded) -> Failed {
    let ids = guarded
        .approved
        .changes
        .iter()
        .map(|change| change.external_id().clone());
    let all: std::collections::HashSet<_> = ids.collect();
    Failed {
        groups: all.clone(),
        people: all,
    }
}

/// Stands for who is in the organization, in any order; `None` where that can't be read.
fn fingerprint(organization: &Organization) -> Option<u64> {
    let Organization::Read(content) = organization else {
        return None;
    };
    let Content { members, groups } = &**content;
    let members = members.iter().map(|member| {
        hash(&(
            member.id,
            &member.external_id,
            &member.email,
            member.status,
            member.role,
        ))
    });
    let groups = groups
        .iter()
        .map(|group| hash(&(group.id, &group.external_id, &group.name)));
    Some(members.chain(groups).fold(0, u64::wrapping_add))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Runs what takes the processor for a while, so that other tasks go on where there are threads.
fn heavy<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}
