//! The second phase of a run: what was planned is previewed or applied, exactly as it was shown.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Instant;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

use crate::organization::OrganizationClient;
use crate::organization::model::{Content, Organization};
use crate::problem::Problems;
use crate::source::Version;
use crate::sync::access_outcome;
use crate::sync::apply::{EarlyEnd, apply};
use crate::sync::checkpoint::Checkpoint;
use crate::sync::exposure;
use crate::sync::fast_lane::{self, Candidates};
use crate::sync::guard::{Digest, GuardedPlan, Held};
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{Change, OnboardingCounts};
use crate::sync::policy::Policy;
use crate::sync::progress::{Phase, Progress};
use crate::sync::report::{Applied, Durations, Imported, Mode, Report};
use crate::sync::run::{InSync, RunError, RunOptions, State};
use crate::sync::verify::verify;

/// A plan with both sides as they were when it was made. What is shown of it, published and
/// confirmed is what is applied, whatever the directory says by then.
#[must_use = "a plan changes nothing until it is applied"]
pub struct Planned {
    pub(super) client: OrganizationClient,
    pub(super) policy: Policy,
    pub(super) organization: Organization,
    /// Where the directory stood, if its source can tell.
    pub(super) version: Option<Version>,
    /// The time that it was made for: it removes whoever was revoked long enough before.
    pub(super) made: Timestamp,
    /// When it was first seen that something had changed in the directory.
    pub(super) seen: Timestamp,
    /// Among whom those are whom the fast lane may revoke until the next run.
    pub(super) candidates: Option<Candidates>,
    /// For [`State::confirmed`], if nothing is held.
    pub(super) confirms: Option<Problems>,
    /// What a preview reports.
    pub(super) report: Report,
    /// Whether the state knows what is about to be done.
    pub(super) recorded: bool,
}

impl Planned {
    /// What goes ahead and what is held; `None` where neither side changed since they agreed.
    pub fn guarded(&self) -> Option<&GuardedPlan> {
        self.report.guarded.as_ref()
    }

    /// The changes that [`Planned::apply`] makes.
    pub fn changes(&self) -> &[Change] {
        self.report.planned()
    }

    /// Removals that wait for approval.
    pub fn held(&self) -> Option<&Held> {
        self.report.held()
    }

    /// Identifies everything that the plan takes away, held or not.
    pub fn digest(&self) -> &Digest {
        &self.report.digest
    }

    /// Whether the fast lane may revoke anybody once the run has made way.
    pub fn leaves_somebody_to_the_fast_lane(&self) -> bool {
        self.candidates.is_some()
    }

    /// Ends the run without a change, and remembers what was seen.
    pub fn preview(self, state: &mut State) -> Report {
        if let Some(guarded) = &self.report.guarded {
            state.memberships.observe(guarded);
            state.ledger.observe(guarded);
        }
        self.finish(state)
    }

    /// Takes out of `state` what the changes are going to make untrue, notes in its ledger what they
    /// take away, and begins their records in its history. A caller that keeps the state between processes stores it after this and
    /// before [`Planned::apply`], so that a process that is killed in the middle leaves nothing there
    /// that isn't so, and has used up what it may have taken away.
    pub fn invalidate(&mut self, state: &mut State) {
        if let Some(guarded) = &self.report.guarded
            && !guarded.approved.changes.is_empty()
            && !std::mem::replace(&mut self.recorded, true)
        {
            state.memberships.record(guarded, &every_change(guarded));
            let now = Timestamp::now();
            let history = &mut state.history;
            history.begin(guarded, &self.organization, &state.ledger, now);
            state.ledger.before(guarded, now);
            state.in_sync = None;
            state.baseline = None;
        }
    }

    /// Whether it makes the same changes as another plan. To be asked of one that was made since,
    /// where time went by: while somebody was asked to confirm.
    pub fn makes_same_changes_as(&self, other: &Self) -> bool {
        self.changes() == other.changes()
    }

    /// Makes the changes, looks whether they took effect, and remembers how things stand. Refused
    /// rows are problems in the report, not errors.
    ///
    /// Where somebody else changed a group meanwhile
    /// ([`Report::changed_meanwhile`](crate::sync::report::Report::changed_meanwhile)), only what the
    /// plan decided is done in it. The caller plans again, at most [`REPLANS`](crate::sync::run::REPLANS)
    /// times: that way what is to be done now passes the guard and is recorded like any other plan.
    ///
    /// Where asked to make way, it ends between two requests, and the state tells whom the fast lane may revoke
    /// then.
    ///
    /// # Errors
    /// When the organization can't be reached in the middle of the changes, and when asked to stop or to make
    /// way.
    pub async fn apply(
        mut self,
        state: &mut State,
        options: &RunOptions<'_>,
    ) -> Result<Report, RunError> {
        self.report.mode = Mode::Apply;
        self.invalidate(state);
        let Some(guarded) = &self.report.guarded else {
            return Ok(self.finish(state));
        };
        if guarded.approved.changes.is_empty() {
            state.memberships.record(guarded, &FailedChanges::default());
            state.ledger.observe(guarded);
            return Ok(self.finish(state));
        }
        let mut execution = Execution {
            client: &self.client,
            make_way: options.make_way,
            before: &self.organization,
            prefix: &self.policy.external_id_prefix,
            guarded,
            progress: options.progress,
            checkpoint: Checkpoint::new(options.checkpoints, &state.ledger, guarded),
            applied: Applied::default(),
            after: None,
            durations: vec![],
        };
        let executed = options.stop.run_until_cancelled(execution.execute()).await;
        let Execution {
            applied,
            after,
            durations,
            ..
        } = execution;
        let during = options.progress.now().0;
        let interrupted = match &executed {
            Some(Ok(())) => None,
            Some(Err(EarlyEnd::Failed(error))) => Some(error.to_string()),
            Some(Err(EarlyEnd::MadeWay)) => Some("the run made way for a revocation".to_owned()),
            None => Some("the run was stopped before the answer came".to_owned()),
        };
        let State { history, audit, .. } = state;
        history.end(
            guarded,
            &self.organization,
            &applied.outcomes,
            interrupted.as_deref(),
            &mut |record| audit.tell(record),
        );
        let exposures = exposure::ended(guarded, &applied.outcomes, self.seen);
        state.exposures.extend(exposures);
        let access = access_outcome::ended(guarded, &applied.outcomes);
        state.access_outcomes.extend(access);
        match executed {
            Some(Ok(())) => {}
            Some(Err(EarlyEnd::Failed(error))) => {
                note_interrupted(state, guarded, &applied);
                return Err(RunError::Organization {
                    during,
                    error,
                    applied: applied.counts,
                });
            }
            Some(Err(EarlyEnd::MadeWay)) => {
                note_interrupted(state, guarded, &applied);
                if let Organization::Read(content) = &self.organization {
                    let candidates = self.candidates.take();
                    let changed = fast_lane::changed(&guarded.approved);
                    state.baseline = candidates.map(|people| people.among(content, &changed));
                }
                return Err(RunError::MadeWay {
                    applied: applied.counts,
                });
            }
            None => {
                note_interrupted(state, guarded, &applied);
                return Err(RunError::Stopped {
                    during,
                    applied: applied.counts,
                });
            }
        }
        self.report.changed_meanwhile = applied.changed_meanwhile;
        let failed = FailedChanges {
            changes: applied.refused,
            in_doubt: applied.in_doubt,
            outdated: applied.outdated,
            refused: true,
        };
        state.memberships.record(guarded, &failed);
        state.ledger.after(guarded, &failed);
        let mut baseline = None;
        if let Some(Organization::Read(content)) = after {
            // Whoever was invited by this run is known, too.
            let candidates = self.candidates.take();
            baseline = candidates.map(|people| people.among(&content, &HashSet::new()));
            let prefix = &self.policy.external_id_prefix;
            let now = state.ledger.believed(Timestamp::now());
            let known = state.ledger.invitations();
            self.report.onboarding = OnboardingCounts {
                overdue: self.report.onboarding.overdue,
                ..OnboardingCounts::of(&content, prefix, known, now)
            };
        }
        self.report.applied = applied.counts;
        self.report.failed = failed.changes;
        self.report.problems.extend(applied.problems);
        self.report.durations.extend(durations);
        let report = self.finish(state);
        state.baseline = baseline;
        Ok(report)
    }

    fn finish(mut self, state: &mut State) -> Report {
        state.confirmed = self
            .confirms
            .take()
            .filter(|_| self.report.held().is_none());
        if self.report.guarded.is_some() {
            let content = match &self.organization {
                Organization::Read(content) => Some(content),
                Organization::WriteOnly => None,
            };
            let known = self.candidates.take().zip(content);
            state.baseline = known.map(|(people, content)| people.among(content, &HashSet::new()));
        }
        let mut report = self.report;
        if matches!(self.organization, Organization::WriteOnly) {
            let sent = state.memberships.sent();
            report.imported = Some(Imported {
                accounts: sent.with_access(),
                groups: sent.groups.len(),
            });
        }
        if report.guarded.is_some() {
            let plan = report.guarded.as_ref().map(|guarded| &guarded.approved);
            let until = plan.and_then(|plan| plan.until);
            state.in_sync = self
                .version
                .filter(|_| report.in_sync())
                .and_then(|version| {
                    Some(InSync {
                        version,
                        considered: {
                            let now = state.ledger.believed(self.made);
                            self.policy.offboarding.revoked_by(now)
                        },
                        until,
                        policy: self.policy,
                        organization: fingerprint(&self.organization)?,
                        digest: report.digest.clone(),
                        counts: report.counts,
                        problems: report.problems.clone(),
                    })
                });
        }
        report
    }
}

/// The changes of one plan while they are made.
struct Execution<'a> {
    client: &'a OrganizationClient,
    make_way: Option<&'a CancellationToken>,
    before: &'a Organization,
    prefix: &'a str,
    guarded: &'a GuardedPlan,
    progress: &'a Progress,
    checkpoint: Checkpoint<'a>,
    applied: Applied,
    /// The organization, as it was read after the changes.
    after: Option<Organization>,
    durations: Durations,
}

impl Execution<'_> {
    async fn execute(&mut self) -> Result<(), EarlyEnd> {
        let (plan, progress) = (&self.guarded.approved, self.progress);
        let started = Instant::now();
        let (checkpoint, applied) = (&mut self.checkpoint, &mut self.applied);
        let (client, before, prefix) = (self.client, self.before, self.prefix);
        let side = (client, self.make_way);
        let done = apply(side, plan, before, prefix, progress, checkpoint, applied)
            .instrument(info_span!("apply", changes = plan.changes.len()))
            .await;
        self.durations.push((progress.now().0, started.elapsed()));
        done?;

        if matches!(self.before, Organization::Read(_)) {
            let started = Instant::now();
            progress.start(Phase::Verify, 0);
            let after = self.client.read().instrument(info_span!("verify")).await?;
            if let Organization::Read(content) = &after {
                verify(plan, content, &mut self.applied);
            }
            self.after = Some(after);
            self.durations.push((Phase::Verify, started.elapsed()));
        }
        Ok(())
    }
}

/// Notes what a run did that ended early.
pub(super) fn note_interrupted(state: &mut State, guarded: &GuardedPlan, applied: &Applied) {
    let (done, in_doubt) = (&applied.done, &applied.in_doubt);
    state.ledger.interrupted(guarded, done, in_doubt);
    state.ledger.requested(&applied.requested);
    state.ledger.restoring(&applied.restoring);
    state.ledger.reinvited(guarded, &applied.reinvited);
    if guarded.approved.is_write_only() {
        let members = guarded.approved.changes.iter();
        let members = members.filter(|change| change.member().is_some());
        let done = members.filter(|change| applied.done.has(change)).collect();
        let mut failed = every_change(guarded);
        failed.changes.remove_all(&done);
        state.memberships.record(guarded, &failed);
    }
}

/// As if nothing of the plan had been done.
fn every_change(guarded: &GuardedPlan) -> FailedChanges {
    FailedChanges {
        changes: guarded.approved.changes.iter().collect(),
        ..FailedChanges::default()
    }
}

/// Identifies who is in the organization, in any order; `None` where that can't be read.
pub(super) fn fingerprint(organization: &Organization) -> Option<u64> {
    let Organization::Read(content) = organization else {
        return None;
    };
    let Content {
        members, groups, ..
    } = &**content;
    let members = members.iter().map(|member| {
        hash(&(
            member.id,
            &member.external_id,
            &member.email,
            member.status,
            member.role,
            member.permissions,
        ))
    });
    let groups = groups.iter().map(|group| {
        hash(&(
            group.id,
            &group.external_id,
            &group.name,
            &group.collections,
        ))
    });
    let collections = content.collections.iter().flatten();
    let collections = collections.map(|one| hash(&(one.id, &one.external_id)));
    Some(
        members
            .chain(groups)
            .chain(collections)
            .fold(0, u64::wrapping_add),
    )
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
