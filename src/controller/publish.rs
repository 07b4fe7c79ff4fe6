//! Publishes status, events and condition metrics, kept consistent with each other.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::context::Context;
use super::state::ObjectState;
use super::status::{is_worth_writing, write};
use crate::api::DirectorySyncStatus;
use crate::api::conditions::{ConditionType, SyncOutcome, find, is_ready_reason};
use crate::telemetry::{ConditionStatus, Object};

/// Publishes the status of one object.
pub struct Publisher<'a> {
    /// What all reconciles share: clients, claims, settings.
    pub context: &'a Context,
    /// The namespace and name of the resource.
    pub object: &'a Object,
    /// Of this very object.
    pub metadata: &'a ObjectMeta,
    /// What events are about.
    pub reference: ObjectReference,
}

impl Publisher<'_> {
    /// The object's status with the conditions of `outcome`, and what else `change` changes.
    pub fn status_with(
        &self,
        state: &ObjectState,
        outcome: &SyncOutcome,
        change: impl FnOnce(&mut DirectorySyncStatus),
    ) -> DirectorySyncStatus {
        let generation = self.metadata.generation.unwrap_or_default();
        let mut status = state.status.clone();
        status.conditions = outcome.conditions(&status.conditions, generation, Timestamp::now());
        status.observed_generation = Some(generation);
        if state.plan.storage.is_some() {
            state.plan.seal.put(&mut status);
            status.undone_changes = state.plan.undone;
        }
        if let Some(word) = &state.undo_word {
            word.put(&mut status);
        }
        state.records.put(&mut status);
        change(&mut status);
        status
    }

    /// Writes `status` where it says something new, and emits events for what changed. What can't be
    /// written now is written by the next reconcile.
    pub async fn publish(&self, state: &mut ObjectState, status: DirectorySyncStatus) {
        self.set_metrics(&status);
        state.unwritten = None;
        let heartbeat = self.context.timing.status_heartbeat;
        if !is_worth_writing(&state.status, &status, heartbeat, Timestamp::now()) {
            return;
        }
        match write(&self.context.client, self.metadata, &status).await {
            Ok(()) => {
                let before = std::mem::replace(&mut state.status, status);
                let (before, after) = (before.conditions, &state.status.conditions);
                self.context
                    .events
                    .publish_transition(&self.reference, &before, after)
                    .await;
            }
            Err(error) => {
                tracing::warn!(%error, "couldn't write status; trying again");
                state.unwritten = Some(status);
            }
        }
    }

    /// Writes `status` without a retry, because it will be out of date soon.
    /// Whether it was written.
    pub async fn publish_best_effort(
        &self,
        state: &mut ObjectState,
        status: DirectorySyncStatus,
    ) -> bool {
        // Noted first: if this future is dropped, the next status is written in any case.
        state.status = status;
        let written = write(&self.context.client, self.metadata, &state.status).await;
        if let Err(error) = &written {
            tracing::debug!(%error, "couldn't write progress to status");
        }
        written.is_ok()
    }

    /// Sets the metrics that mirror status.
    pub fn set_metrics(&self, status: &DirectorySyncStatus) {
        let conditions = ConditionType::ALL.into_iter().filter_map(|kind| {
            let condition = find(&status.conditions, kind)?;
            Some((kind.name(), status_of(&condition.status)))
        });
        let metrics = &self.context.metrics;
        metrics.set_conditions(self.object, conditions);
        // Another version of the operator, or anybody, may have written this status.
        let reason = find(&status.conditions, ConditionType::Ready)
            .map(|ready| ready.reason.clone())
            .filter(|reason| is_ready_reason(reason));
        metrics.set_ready_reason(self.object, reason);
        let held = status.held_removals.as_ref().map_or(0, |held| held.total);
        metrics.set_held(self.object, usize::try_from(held).unwrap_or_default());
    }

    /// Sets metrics from the status that an earlier process wrote, so that alerts neither begin nor
    /// end with a restart.
    pub fn restore_metrics(&self, status: &DirectorySyncStatus) {
        self.set_metrics(status);
        self.context.metrics.nobody_exposed(self.object);
        if let Some(time) = &status.last_sync_time {
            let metrics = &self.context.metrics;
            metrics.set_last_success(self.object, time.0);
        }
    }

    /// Writes the status that couldn't be written before.
    pub async fn publish_unwritten(&self, state: &mut ObjectState) {
        if let Some(status) = state.unwritten.take() {
            self.publish(state, status).await;
        }
    }
}

fn status_of(status: &str) -> ConditionStatus {
    match status {
        "True" => ConditionStatus::True,
        "False" => ConditionStatus::False,
        _ => ConditionStatus::Unknown,
    }
}
