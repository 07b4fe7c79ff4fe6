//! Claims an organization for a run, before anything in it is read or changed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim_lease::ClaimError;
use super::outcome::{self, Requeue, RunFailure};
use super::run::Run;
use super::state::ObjectState;
use crate::api::conditions::{Blocker, Failure, SyncOutcome};
use crate::api::status::ClaimStatus;
use crate::organization::OrganizationError;
use crate::sync::progress::Phase;
use crate::sync::report::ActionCounts;
use crate::sync::run::RunError;
use crate::telemetry::Object;

/// How long the organization may take to accept or refuse the credentials.
const AUTHENTICATION_LIMIT: Duration = Duration::from_secs(90);

/// Why a run can't begin.
#[derive(Debug)]
pub enum NotClaimed {
    /// Another object owns the organization.
    OwnedBy(Object),
    /// The organization didn't accept the credentials.
    Organization(OrganizationError),
    /// It didn't answer in time.
    NoAnswer(Duration),
    /// The claim couldn't be recorded.
    Record(ClaimError),
    /// The run was stopped.
    Stopped,
}

impl Run<'_> {
    /// Makes sure that the object owns its organization: its credentials are accepted, and no other
    /// object's were before. What was found is written to status before the run goes on. Sends
    /// nothing where an earlier run of this process has done so.
    pub async fn claim(
        &self,
        state: &mut ObjectState,
        stop: &CancellationToken,
    ) -> Result<(), NotClaimed> {
        let uid = self.object.metadata.uid.as_deref().unwrap_or_default();
        let claims = &self.context.claims;
        let Some((claim, accepted)) = claims.eligibility(uid) else {
            return Ok(());
        };
        if accepted {
            return Ok(());
        }
        let authenticated = self.connected.organization.authenticate();
        let authenticated = tokio::time::timeout(AUTHENTICATION_LIMIT, authenticated);
        match stop.run_until_cancelled(authenticated).await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return Err(NotClaimed::Organization(error)),
            Some(Err(_)) => return Err(NotClaimed::NoAnswer(AUTHENTICATION_LIMIT)),
            None => return Err(NotClaimed::Stopped),
        }
        claims.accept(uid).map_err(NotClaimed::OwnedBy)?;
        if let Some(leases) = &self.context.claim_leases {
            match leases.record(&claim).await {
                Ok(()) => {}
                Err(ClaimError::OwnedBy(owner)) => {
                    claims.recorded(uid, false);
                    return Err(NotClaimed::OwnedBy(owner));
                }
                Err(error) => return Err(NotClaimed::Record(error)),
            }
        }
        claims.recorded(uid, true);
        let mut status = state.status.clone();
        status.claim = Some(ClaimStatus::new(claim.organization, &claim.prefix));
        self.publisher.publish(state, status).await;
        Ok(())
    }

    /// Reports why the run can't begin.
    pub async fn not_claimed(
        &self,
        state: &mut ObjectState,
        reason: NotClaimed,
        started: Timestamp,
        clock: Instant,
    ) -> Option<Timestamp> {
        let took = clock.elapsed();
        let unavailable = |message: String| RunFailure {
            outcome: SyncOutcome::Failed {
                reason: Failure::OrganizationUnavailable,
                message,
            },
            requeue: Requeue::Backoff(None),
        };
        let failed = match reason {
            NotClaimed::Stopped => return self.stopped(),
            NotClaimed::OwnedBy(owner) => {
                // Once it owns the organization, it runs at once.
                state.history.get_or_insert_default().last = None;
                let outcome = SyncOutcome::Stalled {
                    reason: Blocker::AlreadyManaged,
                    message: outcome::already_managed(&owner),
                };
                let status = self.publisher.status_with(state, &outcome, |status| {
                    status.next_sync_time = None;
                    status.progress = None;
                    status.claim = None;
                });
                self.publisher.publish(state, status).await;
                return None;
            }
            NotClaimed::Organization(error) => {
                let error = RunError::Organization {
                    during: Phase::Read,
                    error,
                    applied: ActionCounts::default(),
                };
                return Some(self.failed(state, &error, started, took).await);
            }
            NotClaimed::NoAnswer(limit) => unavailable(format!(
                "{} neither accepted nor refused the credentials within {} s",
                self.connected.organization.describe(),
                limit.as_secs()
            )),
            NotClaimed::Record(error) => unavailable(error.to_string()),
        };
        Some(
            self.report(state, failed, &ActionCounts::default(), started, took)
                .await,
        )
    }
}
