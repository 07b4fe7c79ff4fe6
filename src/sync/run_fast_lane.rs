//! Revocations ahead of a run: each entry and each member is read alone, by its id, and neither side whole.
//!
//! Nothing but a revocation comes of it, on the word of an entry that was read. Whoever isn't certain is
//! left to a whole run.

use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tracing::{Instrument as _, info_span};
use uuid::Uuid;

use crate::directory::ExternalId;
use crate::organization::model::{Content, Member};
use crate::organization::{OrganizationClient, OrganizationError};
use crate::problem::{Problem, ProblemReason};
use crate::source::{LeaverCheck, Source};
use crate::sync::checkpoint::Checkpoint;
use crate::sync::exposure;
use crate::sync::fast_lane::{self, Baseline, Leaver};
use crate::sync::guard::GuardedPlan;
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{Change, Kind};
use crate::sync::planned::note_interrupted;
use crate::sync::policy::Policy;
use crate::sync::progress::Phase;
use crate::sync::report::{Applied, Mode, Outcomes, Report};
use crate::sync::run::{RunError, RunOptions, State};
use crate::sync::verify::verify;
use crate::text::sanitize;

/// Members that are read at once. They are revoked one by one.
const MEMBERS_AT_ONCE: usize = 4;

/// Revocations that can be made at once, as they are recorded before.
#[must_use = "a plan changes nothing until it is applied"]
pub struct PlannedRevocations {
    client: OrganizationClient,
    guarded: GuardedPlan,
    /// The members that were read.
    members: Vec<Member>,
    /// When it was first seen that something had changed.
    seen: Timestamp,
    /// Whether a whole run has to look at some of those who were to be looked at.
    pub is_partial: bool,
}

/// Reads the entry and the member of each of `suspects`, and plans the revocation of those who certainly
/// left. `None` where nobody did, or anything about it is to be seen by a whole run first.
///
/// # Errors
/// When one of the sides can't be asked, and when asked to stop.
pub async fn plan(
    source: &dyn Source,
    client: &OrganizationClient,
    policy: &Policy,
    state: &State,
    options: &RunOptions<'_>,
    suspects: &[ExternalId],
) -> Result<Option<PlannedRevocations>, RunError> {
    let Some(baseline) = &state.baseline else {
        return Ok(None);
    };
    if client.can_be_read() != Some(true) {
        return Ok(None);
    }
    options.progress.start(Phase::Read, 0);
    let (mut leavers, mut is_partial) = (vec![], false);
    // Whoever has lost access already needs nobody to look: a run was faster than their signal.
    let suspects = suspects.iter().filter(|one| !baseline.is_revoked(one));
    let suspects: Vec<ExternalId> = suspects.cloned().collect();
    let looking = look(source, client, baseline, &suspects);
    let looking = looking.instrument(info_span!("read_leavers"));
    for (id, looked) in options.unless_stopped(looking).await? {
        match looked {
            Ok(leaver) => leavers.push(leaver),
            Err(why) => {
                let id = sanitize(id.as_str());
                tracing::info!(
                    id,
                    why,
                    "a whole run decides about a change in the directory"
                );
                is_partial = true;
            }
        }
    }
    if leavers.is_empty() && is_partial {
        return Ok(None);
    }
    let now = Timestamp::now();
    let guarded = match fast_lane::plan(baseline, &leavers, policy, &state.ledger, now) {
        Ok(guarded) => guarded,
        Err(doubt) => {
            tracing::info!(why = %doubt, "a whole run decides about changes in the directory");
            return Ok(None);
        }
    };
    Ok(Some(PlannedRevocations {
        client: client.clone(),
        guarded,
        members: leavers.into_iter().map(|leaver| leaver.member).collect(),
        seen: options.seen.map_or(now, |seen| seen.min(now)),
        is_partial,
    }))
}

/// Whether the limits would let go all of these people, if each of them left.
pub fn limits_allow(policy: &Policy, state: &State, suspects: &[ExternalId]) -> bool {
    let (baseline, ledger) = (state.baseline.as_ref(), &state.ledger);
    let now = Timestamp::now();
    baseline
        .is_some_and(|baseline| fast_lane::limits_allow(baseline, suspects, policy, ledger, now))
}

/// The entry and the member of each of these people, if they certainly left; else why not.
async fn look<'s>(
    source: &dyn Source,
    client: &OrganizationClient,
    baseline: &Baseline,
    suspects: &'s [ExternalId],
) -> Result<Vec<(&'s ExternalId, Result<Leaver, String>)>, RunError> {
    let (known, unknown): (Vec<_>, Vec<_>) = suspects
        .iter()
        .map(|id| (id, baseline.member(id)))
        .partition(|(_, member)| member.is_some());
    let ids: Vec<ExternalId> = known.iter().map(|(id, _)| (*id).clone()).collect();
    let checked = source.check_leavers(&ids).await?;
    let each: Vec<_> = known
        .into_iter()
        .zip(checked)
        .map(|((id, member), checked)| look_at_member(client, id, member, checked))
        .collect();
    let mut looked: Vec<_> = stream::iter(each)
        .buffered(MEMBERS_AT_ONCE)
        .try_collect()
        .await?;
    let why = "the last sync knew no such member for certain";
    looked.extend(unknown.into_iter().map(|(id, _)| (id, Err(why.to_owned()))));
    Ok(looked)
}

async fn look_at_member<'s>(
    client: &OrganizationClient,
    id: &'s ExternalId,
    member: Option<Uuid>,
    checked: LeaverCheck,
) -> Result<(&'s ExternalId, Result<Leaver, String>), RunError> {
    let user = match checked {
        LeaverCheck::Left(user) => *user,
        LeaverCheck::Uncertain(why) => return Ok((id, Err(why))),
    };
    let read = match member {
        Some(member) => client.read_member(member).await,
        None => Ok(None),
    };
    let read = read.map_err(|error| RunError::organization(Phase::Read, error))?;
    let leaver = read.map(|member| Leaver { user, member });
    let why = || "the member is gone, or isn't shown".to_owned();
    Ok((id, leaver.ok_or_else(why)))
}

impl PlannedRevocations {
    /// What is about to be done.
    pub fn changes(&self) -> &[Change] {
        &self.guarded.approved.changes
    }

    /// Notes in the record and in the history of `state` what is about to be done. A caller that keeps them
    /// stores both after this and before [`PlannedRevocations::apply`].
    pub fn record(&self, state: &mut State) {
        let now = Timestamp::now();
        let content = self.content();
        let history = &mut state.history;
        history.begin(&self.guarded, &content, &state.ledger, now);
        state.ledger.before(&self.guarded, now);
        state.invalidate();
        state
            .revoked_meanwhile
            .extend(self.members.iter().map(|one| one.id));
        state.baseline = state.baseline.take().map(|one| one.without(&self.guarded));
    }

    /// Revokes them, looks whether that took effect, and notes what came of it. A refusal is a problem in the
    /// report, not an error.
    ///
    /// # Errors
    /// When the organization can't be reached in the middle, and when asked to stop.
    pub async fn apply(
        self,
        state: &mut State,
        options: &RunOptions<'_>,
    ) -> Result<Report, RunError> {
        let started = Instant::now();
        let mut applied = Applied {
            outcomes: Outcomes::new(self.changes().len()),
            ..Applied::default()
        };
        let mut checkpoint = Checkpoint::new(options.checkpoints, &state.ledger, &self.guarded);
        let revoking = self.revoke(options, &mut checkpoint, &mut applied);
        let executed = options.stop.run_until_cancelled(revoking).await;
        let interrupted = match &executed {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some("it was stopped before the answer came".to_owned()),
        };
        let content = self.content();
        let State { history, audit, .. } = state;
        history.end(
            &self.guarded,
            &content,
            &applied.outcomes,
            interrupted.as_deref(),
            &mut |record| audit.tell(record),
        );
        let exposures = exposure::ended(&self.guarded, &applied.outcomes, self.seen);
        state.exposures.extend(exposures);
        let during = options.progress.now().0;
        match executed {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                note_interrupted(state, &self.guarded, &applied);
                return Err(RunError::Organization {
                    during,
                    error,
                    applied: applied.counts,
                });
            }
            None => {
                note_interrupted(state, &self.guarded, &applied);
                return Err(RunError::Stopped {
                    during,
                    applied: applied.counts,
                });
            }
        }
        let failed = FailedChanges {
            changes: applied.refused,
            refused: true,
            ..FailedChanges::default()
        };
        state.ledger.after(&self.guarded, &failed);
        let baseline = state.baseline.take();
        state.baseline = baseline.map(|one| one.after(&applied.done));
        Ok(Report {
            mode: Mode::Apply,
            digest: self.guarded.digest.clone(),
            counts: self.guarded.approved.counts,
            onboarding: self.guarded.approved.counts.onboarding,
            imported: None,
            applied: applied.counts,
            failed: failed.changes,
            problems: applied.problems,
            memberships_verified: false,
            changed_meanwhile: false,
            durations: vec![(Phase::ChangeMembers, started.elapsed())],
            guarded: Some(self.guarded),
        })
    }

    /// One after another, as a run does: of those under way together the record couldn't know which were
    /// made.
    async fn revoke(
        &self,
        options: &RunOptions<'_>,
        checkpoint: &mut Checkpoint<'_>,
        applied: &mut Applied,
    ) -> Result<(), OrganizationError> {
        let changes = self.changes();
        options.progress.start(Phase::ChangeMembers, changes.len());
        for (at, change) in changes.iter().enumerate() {
            let Some(member) = change.subject.id else {
                continue;
            };
            let id = change.external_id();
            let to_come = changes[at..].iter();
            checkpoint.before_single(to_come, applied).await;
            applied.requested.insert(id.clone());
            applied.outcomes.sent(at, None);
            let revoked = Box::pin(self.client.revoke(member));
            let revoked = checkpoint.during(Some(change), applied, revoked).await;
            options.progress.add(1);
            match revoked {
                Ok(()) => {
                    applied.outcomes.done(at, Timestamp::now());
                    applied.counts.add(Kind::Revoke);
                    applied.done.insert(change);
                }
                Err(error @ OrganizationError::Refused { .. }) => {
                    let answer = sanitize(&error.to_string());
                    let who = sanitize(change.subject.label());
                    let message = format!("Revoke {who} ({}): {answer}", sanitize(id.as_str()));
                    let problem = Problem::new(ProblemReason::Refused, message, [id.clone()]);
                    applied.problems.add(problem);
                    applied.outcomes.refused(at, Timestamp::now(), &answer);
                    applied.refused.insert(change);
                }
                Err(error) => return Err(error),
            }
            applied.requested.remove(id);
        }
        options.progress.start(Phase::Verify, 0);
        let members = changes.iter().filter_map(|change| change.subject.id);
        let reads: Vec<_> = members
            .map(|member| self.client.read_member(member))
            .collect();
        let after: Vec<_> = stream::iter(reads)
            .buffered(MEMBERS_AT_ONCE)
            .try_collect()
            .await?;
        let content = Content {
            members: after.into_iter().flatten().collect(),
            ..Content::default()
        };
        verify(&self.guarded.approved, &content, applied);
        Ok(())
    }

    fn content(&self) -> Content {
        Content {
            members: self.members.clone(),
            ..Content::default()
        }
    }
}
