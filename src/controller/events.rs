//! Events, where an object's state has changed.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as PublishedEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};

use super::FIELD_MANAGER;
use super::timeout::with_timeout;
use crate::api::conditions::{ConditionType, REMOVALS_HELD, SYNCING, WAITING, find};
use crate::text::truncate_bytes;

/// Longest note of an event, in bytes; the API server refuses more than 1,024.
const NOTE_MAX: usize = 1_000;

/// Publishes events. Made once a process: it counts repetitions.
pub struct Events {
    recorder: Recorder,
    client: Client,
    reporter: Reporter,
}

impl Events {
    /// Under the name of this process.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.into(),
            instance: Some(instance),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter.clone()),
            client,
            reporter,
        }
    }

    /// Tells that conditions went from `before` to `after`, where `Ready` has another reason now, and where a
    /// credential that expires soon wasn't told of before.
    /// An event that can't be published is no reason to stop.
    pub async fn publish_transition(
        &self,
        about: &ObjectReference,
        before: &[Condition],
        after: &[Condition],
    ) {
        for event in transition(before, after)
            .into_iter()
            .chain(expires(before, after))
        {
            self.publish(about, event).await;
        }
    }
}

impl Events {
    /// Tells of something that is no condition.
    pub async fn warn(&self, about: &ObjectReference, reason: &str, note: &str) {
        self.publish(about, warning(reason, note)).await;
    }

    /// Tells of something that went as it should. Each time in an event of its own: the recorder takes
    /// two of one reason for repetitions, and keeps the note of the first.
    pub async fn tell(&self, about: &ObjectReference, reason: &str, note: &str) {
        self.create(about, EventType::Normal, (reason, note)).await;
    }

    /// The same of something that a person should look at.
    pub async fn warn_each_time(&self, about: &ObjectReference, reason: &str, note: &str) {
        self.create(about, EventType::Warning, (reason, note)).await;
    }

    async fn create(
        &self,
        about: &ObjectReference,
        type_: EventType,
        (reason, note): (&str, &str),
    ) {
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let now = Timestamp::now();
        let object = about.name.as_deref().unwrap_or_default();
        let event = PublishedEvent {
            metadata: ObjectMeta {
                // As client-go names them.
                name: Some(format!("{object}.{:x}", now.as_nanosecond())),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(
                match type_ {
                    EventType::Normal => "Normal",
                    EventType::Warning => "Warning",
                }
                .into(),
            ),
            reason: Some(reason.to_owned()),
            note: Some(truncate_bytes(note, NOTE_MAX)),
            action: Some("Sync".into()),
            regarding: Some(about.clone()),
            reporting_controller: Some(self.reporter.controller.clone()),
            reporting_instance: self.reporter.instance.clone(),
            event_time: Some(MicroTime(now)),
            ..PublishedEvent::default()
        };
        let api: Api<PublishedEvent> = Api::namespaced(self.client.clone(), namespace);
        let created = with_timeout(api.create(&PostParams::default(), &event)).await;
        if let Err(error) = created {
            tracing::warn!(%error, reason, "couldn't publish an event");
        }
    }

    async fn publish(&self, about: &ObjectReference, event: Event) {
        if let Err(error) = with_timeout(self.recorder.publish(&event, about)).await {
            tracing::warn!(%error, reason = event.reason, "couldn't publish an event");
        }
    }
}

fn warning(reason: &str, note: &str) -> Event {
    Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(truncate_bytes(note, NOTE_MAX)),
        action: "Sync".into(),
        secondary: None,
    }
}

fn transition(before: &[Condition], after: &[Condition]) -> Option<Event> {
    let ready = find(after, ConditionType::Ready)?;
    let unchanged = find(before, ConditionType::Ready)
        .is_some_and(|earlier| earlier.status == ready.status && earlier.reason == ready.reason);
    if unchanged || [SYNCING, WAITING].contains(&ready.reason.as_str()) {
        return None;
    }
    let held = find(after, ConditionType::RemovalsHeld).filter(|_| ready.reason == REMOVALS_HELD);
    let type_ = match (ready.status.as_str(), held) {
        ("True", None) => EventType::Normal,
        _ => EventType::Warning,
    };
    let note = &held.unwrap_or(ready).message;
    Some(Event {
        type_,
        ..warning(&ready.reason, note)
    })
}

fn expires(before: &[Condition], after: &[Condition]) -> Option<Event> {
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

    fn event_of(before: &[Condition], after: &[Condition]) -> Option<(EventType, String, String)> {
        transition(before, after).map(|e| (e.type_, e.reason, e.note.unwrap()))
    }

    #[test]
    fn an_event_is_published_when_ready_changes_its_reason_and_only_then() {
        let in_sync = succeeded(None);
        assert_eq!(
            event_of(&[], &in_sync),
            Some((EventType::Normal, "Succeeded".into(), "in sync".into()))
        );
        assert_eq!(event_of(&in_sync, &in_sync), None);
        assert_eq!(
            event_of(&in_sync, &failed("refused")),
            Some((
                EventType::Warning,
                "SourceUnavailable".into(),
                "refused".into()
            ))
        );
        assert_eq!(event_of(&failed("refused"), &failed("timed out")), None);
    }

    #[test]
    fn held_removals_are_a_warning_that_says_what_to_do() {
        let held = succeeded(Some((HeldReason::LimitExceeded, "approve with …".into())));
        assert_eq!(
            event_of(&succeeded(None), &held),
            Some((
                EventType::Warning,
                "RemovalsHeld".into(),
                "approve with …".into()
            ))
        );
    }

    #[test]
    fn what_expires_is_told_once_and_again_when_something_else_does() {
        let with = |message: &str| {
            let mut conditions = succeeded(None);
            set_credential_expiring(&mut conditions, Some(message), 1, Timestamp::UNIX_EPOCH);
            conditions
        };
        let note = |before: &[Condition], after: &[Condition]| {
            expires(before, after).map(|event| (event.reason, event.note.unwrap()))
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
