//! Tells people how things stand: status, events and condition metrics, in step with each other.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::context::Context;
use super::memory::Memory;
use super::status::{is_worth_writing, write};
use crate::api::DirectorySyncStatus;
use crate::api::conditions::{ConditionType, Outcome, find, is_ready_reason};
use crate::telemetry::{ConditionStatus, Object};

/// Tells people how one object stands.
pub struct Publisher<'a> {
    /// What all share.
    pub context: &'a Context,
    /// Who it is.
    pub object: &'a Object,
    /// Of this very object.
    pub metadata: &'a ObjectMeta,
    /// What events are about.
    pub reference: ObjectReference,
}

impl Publisher<'_> {
    /// The status of an object that stands so, with what else `change` changes.
    pub fn standing(
        &self,
        memory: &Memory,
        outcome: &Outcome,
        change: impl FnOnce(&mut DirectorySyncStatus),
    ) -> DirectorySyncStatus {
        let generation = self.metadata.generation.unwrap_or_default();
        let mut status = memory.status.clone();
        status.conditions = outcome.conditions(&status.conditions, generation, Timestamp::now());
        status.observed_generation = Some(generation);
        change(&mut status);
        status
    }

    /// Writes `status` where it is worth it, and tells of what changed. What can't be written is
    /// written at the next occasion.
    pub async fn publish(&self, memory: &mut Memory, status: DirectorySyncStatus) {
        self.show(&status);
        memory.unwritten = None;
        let heartbeat = self.context.timing.status_heartbeat;
        if !is_worth_writing(&memory.status, &status, heartbeat, Timestamp::now()) {
            return;
        }
        match write(&self.context.client, self.metadata, &status).await {
            Ok(()) => {
                let before = std::mem::replace(&mut memory.status, status);
                let (before, after) = (before.conditions, &memory.status.conditions);
                self.context
                    .events
                    .tell(&self.reference, &before, after)
                    .await;
            }
            Err(error) => {
                tracing::warn!(%error, "couldn't write status; trying again");
                memory.unwritten = Some(status);
            }
        }
    }

    /// Writes `status` now or not at all: it will be out of date soon.
    pub async fn publish_in_passing(&self, memory: &mut Memory, status: DirectorySyncStatus) {
        // Noted first: if this is dropped in the middle, the next one is written in any case.
        memory.status = status;
        if let Err(error) = write(&self.context.client, self.metadata, &memory.status).await {
            tracing::debug!(%error, "couldn't tell how far the sync is");
        }
    }

    /// Shows in metrics what stands in status.
    pub fn show(&self, status: &DirectorySyncStatus) {
        let conditions = ConditionType::ALL.into_iter().filter_map(|kind| {
            let condition = find(&status.conditions, kind)?;
            Some((kind.name(), status_of(&condition.status)))
        });
        let metrics = &self.context.metrics;
        metrics.set_conditions(self.object, conditions);
        // A status may be of another version's making, or anybody's.
        let reason = find(&status.conditions, ConditionType::Ready)
            .map(|ready| ready.reason.clone())
            .filter(|reason| is_ready_reason(reason));
        metrics.set_ready_reason(self.object, reason);
        let held = status.held_removals.as_ref().map_or(0, |held| held.total);
        metrics.set_held(self.object, usize::try_from(held).unwrap_or_default());
    }

    /// Shows in metrics what an earlier process left in status, so that alerts neither begin nor
    /// end with a restart.
    pub fn recall(&self, status: &DirectorySyncStatus) {
        self.show(status);
        if let Some(time) = &status.last_sync_time {
            let metrics = &self.context.metrics;
            metrics.set_last_success(self.object, time.0);
        }
    }

    /// Writes what couldn't be written before.
    pub async fn publish_unwritten(&self, memory: &mut Memory) {
        if let Some(status) = memory.unwritten.take() {
            self.publish(memory, status).await;
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
