//! Events, where an object's state has changed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::FIELD_MANAGER;
use super::timeout::{ApiServerError, with_timeout};
use crate::api::conditions::{ConditionType, REMOVALS_HELD, SYNCING, WAITING, find};
use crate::text::truncate_bytes;

/// Longest note of an event, in bytes; the API server refuses more than 1,024.
const NOTE_MAX: usize = 1_000;
/// For so long the same event is counted instead of being published again, as client-go does it.
const SERIES: SignedDuration = SignedDuration::from_mins(6);

/// What an event says.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    type_: &'static str,
    reason: String,
    note: String,
}

/// Publishes events. Made once a process: it counts repetitions.
pub struct Events {
    client: Client,
    instance: String,
    series: Mutex<HashMap<Key, Series>>,
}

/// What makes two events the same. The note is part of it: a second hold isn't a repetition of the first, although
/// it has the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    about: (Option<String>, Option<String>),
    reason: String,
    note: String,
}

/// The event that repetitions are counted in.
struct Series {
    name: String,
    count: i32,
    last: Timestamp,
}

impl Events {
    /// Under the name of this process.
    pub fn new(client: Client, instance: String) -> Self {
        Self {
            client,
            instance,
            series: Mutex::default(),
        }
    }

    /// Tells that conditions went from `before` to `after`, where `Ready` has another reason now, where something
    /// else is held, and where a credential that expires soon wasn't told of before.
    /// An event that can't be published is no reason to stop.
    pub async fn publish_transition(
        &self,
        about: &ObjectReference,
        before: &[Condition],
        after: &[Condition],
    ) {
        for told in transition(before, after)
            .into_iter()
            .chain(expires(before, after))
        {
            self.publish(about, told).await;
        }
    }

    /// Tells of something that is no condition, and that a person should look at.
    pub async fn warn(&self, about: &ObjectReference, reason: &str, note: &str) {
        self.publish(about, warning(reason, note)).await;
    }

    /// Tells of something that went as it should.
    pub async fn tell(&self, about: &ObjectReference, reason: &str, note: &str) {
        let told = Told {
            type_: "Normal",
            ..warning(reason, note)
        };
        self.publish(about, told).await;
    }

    async fn publish(&self, about: &ObjectReference, told: Told) {
        let reason = told.reason.clone();
        let counted = match self.repeated(about, &told) {
            Some((name, count)) => Some(self.count(about, &name, count).await),
            None => None,
        };
        let published = match counted {
            Some(Err(error)) if error.is_gone() => self.create(about, told).await,
            Some(counted) => counted,
            None => self.create(about, told).await,
        };
        if let Err(error) = published {
            tracing::warn!(%error, reason, "couldn't publish an event");
        }
    }

    /// The event that says the same, and how often it was said by now.
    fn repeated(&self, about: &ObjectReference, told: &Told) -> Option<(String, i32)> {
        let now = Timestamp::now();
        let mut series = self.lock();
        series.retain(|_, one| one.last + SERIES > now);
        let one = series.get_mut(&Key::of(about, told))?;
        one.count += 1;
        one.last = now;
        Some((one.name.clone(), one.count))
    }

    async fn count(
        &self,
        about: &ObjectReference,
        name: &str,
        count: i32,
    ) -> Result<(), ApiServerError> {
        let series = EventSeries {
            count,
            last_observed_time: MicroTime(Timestamp::now()),
        };
        let patch = Patch::Merge(json!({ "series": series }));
        let api = self.api(about);
        with_timeout(api.patch(name, &PatchParams::default(), &patch)).await?;
        Ok(())
    }

    async fn create(&self, about: &ObjectReference, told: Told) -> Result<(), ApiServerError> {
        let now = Timestamp::now();
        let object = about.name.as_deref().unwrap_or_default();
        // As client-go names them.
        let name = format!("{object}.{:x}", now.as_nanosecond());
        let key = Key::of(about, &told);
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(namespace(about).to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(told.type_.to_owned()),
            reason: Some(told.reason),
            note: Some(told.note),
            action: Some("Sync".into()),
            regarding: Some(about.clone()),
            reporting_controller: Some(FIELD_MANAGER.into()),
            reporting_instance: Some(self.instance.clone()),
            event_time: Some(MicroTime(now)),
            ..Event::default()
        };
        let api = self.api(about);
        with_timeout(api.create(&PostParams::default(), &event)).await?;
        let series = Series {
            name,
            count: 1,
            last: now,
        };
        self.lock().insert(key, series);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api(&self, about: &ObjectReference) -> Api<Event> {
        Api::namespaced(self.client.clone(), namespace(about))
    }
}

impl Key {
    fn of(about: &ObjectReference, told: &Told) -> Self {
        Self {
            about: (
                about.namespace.clone(),
                about.uid.clone().or_else(|| about.name.clone()),
            ),
            reason: told.reason.clone(),
            note: told.note.clone(),
        }
    }
}

fn namespace(about: &ObjectReference) -> &str {
    about.namespace.as_deref().unwrap_or("default")
}

fn warning(reason: &str, note: &str) -> Told {
    Told {
        type_: "Warning",
        reason: reason.to_owned(),
        note: truncate_bytes(note, NOTE_MAX),
    }
}

fn transition(before: &[Condition], after: &[Condition]) -> Option<Told> {
    let ready = find(after, ConditionType::Ready)?;
    let held = find(after, ConditionType::RemovalsHeld).filter(|_| ready.reason == REMOVALS_HELD);
    let held_before = find(before, ConditionType::RemovalsHeld);
    let is_held_already =
        held.is_none_or(|held| held_before.is_some_and(|earlier| earlier.message == held.message));
    let unchanged = find(before, ConditionType::Ready)
        .is_some_and(|earlier| earlier.status == ready.status && earlier.reason == ready.reason);
    if unchanged && is_held_already || [SYNCING, WAITING].contains(&ready.reason.as_str()) {
        return None;
    }
    let type_ = match (ready.status.as_str(), held) {
        ("True", None) => "Normal",
        _ => "Warning",
    };
    let note = &held.unwrap_or(ready).message;
    Some(Told {
        type_,
        ..warning(&ready.reason, note)
    })
}

fn expires(before: &[Condition], after: &[Condition]) -> Option<Told> {
    let kind = ConditionType::CredentialExpiring;
    let now = find(after, kind)?;
    let is_new = find(before, kind).is_none_or(|earlier| earlier.message != now.message);
    is_new.then(|| warning(&now.reason, &now.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::{
        Failure, HeldReason, Success, SyncOutcome, set_credential_expiring,
    };

    fn succeeded(held: Option<(HeldReason, String)>) -> Vec<Condition> {
        let outcome = SyncOutcome::Succeeded {
            reason: Success::Succeeded,
            message: "in sync".into(),
            held,
        };
        outcome.conditions(&[], 1, Timestamp::UNIX_EPOCH)
    }

    fn failed(message: &str) -> Vec<Condition> {
        let outcome = SyncOutcome::Failed {
            reason: Failure::SourceUnavailable,
            message: message.into(),
        };
        outcome.conditions(&[], 1, Timestamp::UNIX_EPOCH)
    }

    fn event_of(
        before: &[Condition],
        after: &[Condition],
    ) -> Option<(&'static str, String, String)> {
        transition(before, after).map(|told| (told.type_, told.reason, told.note))
    }

    #[test]
    fn an_event_is_published_when_ready_changes_its_reason_and_only_then() {
        let in_sync = succeeded(None);
        assert_eq!(
            event_of(&[], &in_sync),
            Some(("Normal", "Succeeded".into(), "in sync".into()))
        );
        assert_eq!(event_of(&in_sync, &in_sync), None);
        assert_eq!(
            event_of(&in_sync, &failed("refused")),
            Some(("Warning", "SourceUnavailable".into(), "refused".into()))
        );
        assert_eq!(event_of(&failed("refused"), &failed("timed out")), None);
    }

    #[test]
    fn held_removals_are_a_warning_that_says_what_to_do() {
        let held = succeeded(Some((HeldReason::LimitExceeded, "approve with …".into())));
        assert_eq!(
            event_of(&succeeded(None), &held),
            Some(("Warning", "RemovalsHeld".into(), "approve with …".into()))
        );
    }

    #[test]
    fn another_hold_is_told_although_something_was_held_before() {
        let held = |what: &str| succeeded(Some((HeldReason::LimitExceeded, what.into())));
        let note = |before: &[Condition], after: &[Condition]| {
            event_of(before, after).map(|(_, _, note)| note)
        };
        assert_eq!(note(&held("three"), &held("three")), None);
        assert_eq!(note(&held("three"), &held("sixty")), Some("sixty".into()));
    }

    #[test]
    fn what_expires_is_told_once_and_again_when_something_else_does() {
        let with = |message: &str| {
            let mut conditions = succeeded(None);
            set_credential_expiring(&mut conditions, Some(message), 1, Timestamp::UNIX_EPOCH);
            conditions
        };
        let note = |before: &[Condition], after: &[Condition]| {
            expires(before, after).map(|told| (told.reason, told.note))
        };
        let told = note(&succeeded(None), &with("one"));
        assert_eq!(told, Some(("ExpiresSoon".into(), "one".into())));
        assert_eq!(note(&with("one"), &with("one")), None);
        assert!(note(&with("one"), &with("another")).is_some());
        assert_eq!(note(&with("one"), &succeeded(None)), None);
    }

    #[test]
    fn the_beginning_of_a_run_is_no_event() {
        let syncing = SyncOutcome::Syncing {
            message: "reading".into(),
        };
        assert_eq!(
            event_of(&[], &syncing.conditions(&[], 1, Timestamp::UNIX_EPOCH)),
            None
        );
    }

    #[test]
    fn a_long_note_in_any_alphabet_is_one_that_the_api_server_takes() {
        let (_, _, note) = event_of(&[], &failed(&"ж".repeat(900))).unwrap();
        assert!(note.len() <= 1_024 && note.ends_with('…'));
    }
}
